//! The vocabulary: the members, the addresses that they serve, and what can happen to them. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// One of the three nodes that run the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Member {
    Fe0,
    Fe1,
    Fe2,
}

/// One of the two routers; each has addresses of both families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    Web,
    Mail,
}

/// What can happen to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// SIGKILL; the daemon is started again and finds the addresses of its earlier run.
    Kill,
    /// SIGKILL, then `vrrpd --clean-up` as the service manager runs it; the daemon is started again
    /// later.
    KillCleanedUp,
    /// The machine dies, is off the LAN, and comes back without addresses.
    MachineLost,
    /// SIGSTOP and SIGCONT.
    Pause,
    /// A second daemon is started beside the first. It must end, and change nothing.
    SecondDaemon,
    /// Nothing passes the cable, without a change of carrier.
    Cut,
    /// The member receives nothing, but can send.
    Deaf,
    /// The member can receive, but nothing that it sends arrives.
    Mute,
    /// A share of all frames is lost, in both directions.
    Loss,
    /// `ip link set eth0 down` and up.
    LinkDown,
    /// The far end of the cable goes down and up.
    CarrierLost,
    /// The interface has another name for a while.
    Rename,
    /// The interface is deleted, and created again with the same name.
    Recreate,
    /// Another program deletes the virtual addresses that the member holds.
    AddressDeleted,
    /// The member's own IPv4 address is removed for a while, as in a renewal of its lease.
    SourceAway,
    Demote,
    Promote,
    /// SIGTERM.
    Stop,
    Start,
    CheckFails,
    CheckRecovers,
    /// A reload with other priorities.
    Reload,
}

/// Two faults of one member at the same time must not have the same aspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aspect {
    Process,
    Link,
    Check,
}

/// Whether requests may be lost by a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// A planned move, which costs no request on a healthy LAN.
    Planned,
    /// A failure, which may cost requests.
    None,
}

/// One fault at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stroke {
    /// Number of the fault, counted from 1 over the whole run.
    pub(crate) number: usize,
    pub(crate) kind: Kind,
    pub(crate) member: Member,
    /// Time after the begin of its round.
    pub(crate) after: Duration,
    /// How long the fault lasts; zero for one that has no end of its own.
    pub(crate) lasts: Duration,
    /// How many of a hundred frames are lost ([`Kind::Loss`]).
    pub(crate) percent: u8,
}

impl Member {
    pub(crate) const ALL: [Self; 3] = [Self::Fe0, Self::Fe1, Self::Fe2];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fe0 => "fe0",
            Self::Fe1 => "fe1",
            Self::Fe2 => "fe2",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|member| member.name() == name)
    }
}

impl Service {
    pub(crate) const ALL: [Self; 2] = [Self::Web, Self::Mail];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Mail => "mail",
        }
    }

    pub(crate) const fn vrid(self) -> u8 {
        match self {
            Self::Web => 51,
            Self::Mail => 52,
        }
    }

    /// The addresses as in the configuration. One has the prefix of the network, the other has
    /// none: the kernel treats them differently when the node's own address is removed.
    pub(crate) const fn configured(self) -> [&'static str; 2] {
        match self {
            Self::Web => ["192.0.2.50/24", "2001:db8::50/64"],
            Self::Mail => ["192.0.2.60/32", "2001:db8::60/128"],
        }
    }

    /// The addresses that the client sends requests to.
    pub(crate) fn addresses(self) -> [IpAddr; 2] {
        self.configured().map(|text| {
            let (address, _) = text.split_once('/').expect("a prefix length");
            address.parse().expect("an address")
        })
    }

    /// The addresses that the holder has. They include the link-local address of the router, which
    /// is made of its MAC address.
    pub(crate) fn held(self) -> [IpAddr; 3] {
        let [ipv4, ipv6] = self.addresses();
        let link_local =
            Ipv6Addr::new(0xfe80, 0, 0, 0, 0x0200, 0x5eff, 0xfe00, 0x0200 | u16::from(self.vrid()));
        [link_local.into(), ipv4, ipv6]
    }

    /// The service with this VRID.
    pub(crate) fn of_vrid(vrid: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.vrid() == vrid)
    }
}

/// Every address that the client sends requests to.
pub(crate) fn all_served() -> impl Iterator<Item = IpAddr> {
    Service::ALL.into_iter().flat_map(Service::addresses)
}

/// Every virtual address, and the service that it belongs to.
pub(crate) fn all_held() -> impl Iterator<Item = (Service, IpAddr)> {
    Service::ALL.into_iter().flat_map(|service| service.held().map(|address| (service, address)))
}

impl Kind {
    /// How often each kind is drawn, compared with the others.
    pub(crate) const WEIGHTS: [(Self, u64); 22] = [
        (Self::Kill, 4),
        (Self::KillCleanedUp, 4),
        (Self::MachineLost, 3),
        (Self::Pause, 6),
        (Self::SecondDaemon, 2),
        (Self::Cut, 5),
        (Self::Deaf, 4),
        (Self::Mute, 4),
        (Self::Loss, 4),
        (Self::LinkDown, 4),
        (Self::CarrierLost, 3),
        (Self::Rename, 3),
        (Self::Recreate, 2),
        (Self::AddressDeleted, 4),
        (Self::SourceAway, 4),
        // A fault that ends the effect of another is drawn more often, so that three nodes take
        // part most of the time.
        (Self::Demote, 6),
        (Self::Promote, 18),
        (Self::Stop, 6),
        (Self::Start, 18),
        (Self::CheckFails, 5),
        (Self::CheckRecovers, 15),
        (Self::Reload, 6),
    ];

    pub(crate) const fn promise(self) -> Promise {
        match self {
            Self::SecondDaemon
            | Self::Demote
            | Self::Promote
            | Self::Stop
            | Self::Start
            | Self::CheckFails
            | Self::CheckRecovers
            | Self::Reload => Promise::Planned,
            Self::Kill
            | Self::KillCleanedUp
            | Self::MachineLost
            | Self::Pause
            | Self::Cut
            | Self::Deaf
            | Self::Mute
            | Self::Loss
            | Self::LinkDown
            | Self::CarrierLost
            | Self::Rename
            | Self::Recreate
            | Self::AddressDeleted
            | Self::SourceAway => Promise::None,
        }
    }

    pub(crate) const fn aspects(self) -> &'static [Aspect] {
        match self {
            Self::Kill
            | Self::KillCleanedUp
            | Self::Pause
            | Self::SecondDaemon
            | Self::Demote
            | Self::Promote
            | Self::Stop
            | Self::Start
            | Self::Reload => &[Aspect::Process],
            Self::MachineLost => &[Aspect::Process, Aspect::Link],
            Self::Cut
            | Self::Deaf
            | Self::Mute
            | Self::Loss
            | Self::LinkDown
            | Self::CarrierLost
            | Self::Rename
            | Self::Recreate
            | Self::AddressDeleted
            | Self::SourceAway => &[Aspect::Link],
            Self::CheckFails | Self::CheckRecovers => &[Aspect::Check],
        }
    }

    /// Whether the fault lasts for a drawn time; the others end by themselves.
    pub(crate) fn lasts(self) -> bool {
        self.promise() == Promise::None && self != Self::AddressDeleted
    }

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Kill => "kill, start again",
            Self::KillCleanedUp => "kill, clean up, start again",
            Self::MachineLost => "machine lost and back",
            Self::Pause => "pause",
            Self::SecondDaemon => "a second daemon",
            Self::Cut => "cut",
            Self::Deaf => "cut towards it",
            Self::Mute => "cut from it",
            Self::Loss => "loss",
            Self::LinkDown => "link down and up",
            Self::CarrierLost => "carrier lost and back",
            Self::Rename => "interface renamed",
            Self::Recreate => "interface made anew",
            Self::AddressDeleted => "virtual addresses deleted",
            Self::SourceAway => "own address away",
            Self::Demote => "demote",
            Self::Promote => "promote",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::CheckFails => "check fails",
            Self::CheckRecovers => "check recovers",
            Self::Reload => "reload of priorities",
        }
    }
}

impl fmt::Display for Stroke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>4}  {}: {}", self.number, self.member.name(), self.kind.words())?;
        if self.kind == Kind::Loss {
            write!(f, " of {} %", self.percent)?;
        }
        if !self.lasts.is_zero() {
            write!(f, ", {} ms", self.lasts.as_millis())?;
        }
        if !self.after.is_zero() {
            write!(f, " (from {} ms on)", self.after.as_millis())?;
        }
        Ok(())
    }
}
