//! What the operator configured for one router, with all defaults filled in. `config` makes these
//! values and the core uses them. Every combination that a value of these types can express is
//! legal.

use crate::types::{
    AdverInterval, AuthPassword, Authentication, Destinations, Family, InstanceKey, InterfaceName, Role,
    RouterName, Version, Vrid,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

/// One `[[virtual_router]]`: one or two instances that move together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterSpec {
    /// Name of the router, unique on this node.
    pub name: RouterName,
    /// The interface that the router runs on: it sends and receives there, its source address is on
    /// it, and its link faults are those of the router.
    pub interface: InterfaceName,
    /// The interface on which the addresses are installed and announced. It is the interface that
    /// the router runs on, unless the addresses have an interface of their own (as they will with a
    /// virtual MAC).
    pub address_interface: InterfaceName,
    /// The VRID, the same in both families.
    pub vrid: Vrid,
    /// Owner of the addresses, or contender with a priority and a Preempt_Mode.
    pub role: Role,
    /// Advertisement_Interval: the period in which we send.
    pub interval: AdverInterval,
    /// Number of missed advertisements before Active_Down_Timer fires: RFC 9568's 3 unless
    /// configured.
    pub down_adverts: NonZeroU8,
    /// How long the preemption of a *live* Active waits after start or recovery. RFC 9568 does not
    /// have this delay; it never delays the takeover from a dead Active.
    pub preempt_delay: Duration,
    /// Which checksum VRRPv3 over IPv4 is sent with.
    pub checksum: ChecksumPolicy,
    /// Whether advertisements of IPv6 peers whose first address is not link-local are accepted.
    pub link_local: LinkLocalRule,
    /// Source address of advertisements. It must be on the interface, and serves the instance of
    /// its own family only.
    pub source_address: Option<IpAddr>,
    /// Where advertisements are sent, and with unicast also from whom they are accepted.
    pub destinations: Destinations,
    /// The only senders whose advertisements are accepted; empty: anybody's are.
    pub accept_from: Vec<IpAddr>,
    /// One or two instances of different families, IPv4 before IPv6.
    pub instances: Vec<InstanceSpec>,
    /// What may make the router faulty or change its priority.
    pub tracks: Vec<Track>,
    /// How often gratuitous ARP and unsolicited NA are sent.
    pub announce: AnnounceSpec,
    /// How long open connections are kept after another router took over as planned; with zero, not
    /// at all.
    pub drain: Duration,
}

impl RouterSpec {
    /// `down_adverts` where none is configured: Active_Down_Interval is 3 intervals and the
    /// Skew_Time (RFC 9568 §6.1).
    pub const DEFAULT_DOWN_ADVERTS: NonZeroU8 = NonZeroU8::MIN.saturating_add(2);

    /// The version that was asked for: an IPv6 instance beside one of VRRPv2 speaks VRRPv3.
    #[must_use]
    pub fn version(&self) -> Version {
        self.instances.iter().map(|instance| instance.version).min().unwrap_or_default()
    }

    /// The password of the instance that has one.
    #[must_use]
    pub fn password(&self) -> Option<AuthPassword> {
        self.instances.iter().find_map(|instance| match instance.authentication {
            Authentication::None => None,
            Authentication::Password(password) => Some(password),
        })
    }

    /// The address that advertisements of one family are sent from, as the operator has to provide it.
    #[must_use]
    pub fn wanted_source(&self, family: Family) -> MissingSource {
        if let Some(address) = self.source_address.filter(|address| Family::of(*address) == family) {
            return MissingSource::Configured(address);
        }
        match (family, self.destinations.unicast()) {
            (Family::Ipv4, _) => MissingSource::Ipv4,
            (Family::Ipv6, Some(peers)) if !peers.are_link_local() => MissingSource::Global,
            (Family::Ipv6, _) => MissingSource::LinkLocal,
        }
    }

    /// The health checks that the router tracks.
    pub fn tracked_checks(&self) -> impl Iterator<Item = &CheckName> {
        self.tracks.iter().filter_map(|track| track.watched.check())
    }

    /// The interfaces that the router tracks besides its own.
    pub fn tracked_interfaces(&self) -> impl Iterator<Item = InterfaceName> {
        self.tracks.iter().filter_map(|track| track.watched.interface())
    }

    /// The key of the instance of one family.
    #[must_use]
    pub const fn key(&self, family: Family) -> InstanceKey {
        InstanceKey { interface: self.interface, family, vrid: self.vrid }
    }

    /// The keys of all instances.
    pub fn keys(&self) -> impl Iterator<Item = InstanceKey> {
        self.instances.iter().map(|instance| self.key(instance.family))
    }

    /// Whether a router that runs with `self` can go on with `other`, keeping its state and timers:
    /// both interfaces, the VRID and the families must be the same. Otherwise the router releases its
    /// addresses, and another one starts in its place. The core acts on this, and the plan of a reload
    /// shows it.
    ///
    /// The version may be another: an Active goes on serving, so that a pair can be moved from VRRPv2 to
    /// VRRPv3 one node after the other (docs/adr/0043).
    ///
    /// The interface of the addresses counts although it is not in the key: addresses that are
    /// released and held again are never on two interfaces, and are announced from the new one.
    #[must_use]
    pub fn is_same_instance(&self, other: &Self) -> bool {
        self.keys().eq(other.keys()) && self.address_interface == other.address_interface
    }
}

/// One family of a [`RouterSpec`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSpec {
    /// The family of every address in `addresses`.
    pub family: Family,
    /// The version of VRRP that the instance speaks. VRRPv2 is for IPv4 only.
    pub version: Version,
    /// How its messages prove that they belong to it. VRRPv3 has no authentication.
    pub authentication: Authentication,
    /// IPvX_Addresses in the order in which they are advertised, 1..=255; for IPv6, the link-local
    /// one comes first unless [`LinkLocalRule::Lenient`].
    pub addresses: Vec<IpNet>,
    /// Addresses that are held but not advertised. This list may contain addresses of a family that
    /// has no instance in this router.
    pub excluded: Vec<IpNet>,
}

impl InstanceSpec {
    /// All addresses that are held, whether advertised or not.
    pub fn held(&self) -> impl Iterator<Item = &IpNet> {
        self.addresses.iter().chain(&self.excluded)
    }
}

/// The checksum flavour of the VRRPv3 over IPv4 advertisements that we send. Both flavours are
/// accepted in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum ChecksumPolicy {
    /// The flavour of RFC 9568, until a peer shows that it uses the other.
    #[default]
    Auto,
    /// Over the message only (RFC 9568).
    Rfc9568,
    /// Over a pseudo-header and the message (RFC 5798).
    Rfc5798,
}

/// Whether the first IPv6 address of a received advertisement must be link-local (errata 8300).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum LinkLocalRule {
    /// It must be link-local, as RFC 9568 demands.
    #[default]
    Require,
    /// It need not be link-local, because keepalived does not send it so.
    Lenient,
}

/// The name of a health check, as configured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckName(pub Arc<str>);

/// One thing that is watched for a router, and what it means for the router when that thing fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// What is watched.
    pub watched: Watched,
    /// What follows from its health.
    pub consequence: Consequence,
}

/// Something outside of a router whose [`Health`](super::Health) is watched. What the health of
/// each kind follows from is said in one place, `router/tracking.rs`, and what each kind is called
/// in one other, [`Watched::kind_and_name`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Watched {
    /// A health check.
    Check(CheckName),
    /// Another interface, which fails while it is down, missing or without carrier.
    Interface(InterfaceName),
}

/// What the health of something that is watched does to a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Consequence {
    /// While it fails, and until its health is known, the router is faulty.
    Fault,
    /// The weight changes the priority: a negative weight is added while it fails, a positive one
    /// while it passes.
    Weight(i16),
}

impl Track {
    /// While `watched` fails, the router is faulty.
    pub fn fault(watched: impl Into<Watched>) -> Self {
        Self { watched: watched.into(), consequence: Consequence::Fault }
    }

    /// The health of `watched` changes the priority by `weight`.
    pub fn weighted(watched: impl Into<Watched>, weight: i16) -> Self {
        Self { watched: watched.into(), consequence: Consequence::Weight(weight) }
    }

    /// The weight, if the consequence is one.
    #[must_use]
    pub const fn weight(&self) -> Option<i16> {
        match self.consequence {
            Consequence::Weight(weight) => Some(weight),
            Consequence::Fault => None,
        }
    }
}

impl Watched {
    /// The key of the configuration for things of this kind, and the name of this one:
    /// `check = "nginx"`.
    #[must_use]
    pub fn kind_and_name(&self) -> (&'static str, &str) {
        match self {
            Self::Check(name) => ("check", &name.0),
            Self::Interface(name) => ("interface", name.as_str()),
        }
    }

    /// The name of the health check, if a health check is watched. Like [`Self::interface`], this
    /// names one kind only, so that a new kind does not concern it.
    #[must_use]
    pub const fn check(&self) -> Option<&CheckName> {
        if let Self::Check(name) = self { Some(name) } else { None }
    }

    /// The name of the interface, if an interface is watched.
    #[must_use]
    pub const fn interface(&self) -> Option<InterfaceName> {
        if let Self::Interface(name) = self { Some(*name) } else { None }
    }
}

/// `check nginx`.
impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.kind_and_name();
        write!(f, "{kind} {name}")
    }
}

impl From<CheckName> for Watched {
    fn from(name: CheckName) -> Self {
        Self::Check(name)
    }
}

impl From<InterfaceName> for Watched {
    fn from(name: InterfaceName) -> Self {
        Self::Interface(name)
    }
}

/// When the hosts on the LAN are told where the addresses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnounceSpec {
    /// Rounds in each burst, 1..=100. A round announces every address once.
    pub repeat: NonZeroU8,
    /// Time from becoming Active to the second burst; with zero, there is no second burst.
    pub delay: Duration,
    /// Period of single rounds while Active; with zero, they are not sent.
    pub refresh: Duration,
}

impl Default for AnnounceSpec {
    fn default() -> Self {
        Self {
            repeat: NonZeroU8::MIN.saturating_add(4),
            delay: Duration::from_secs(5),
            refresh: Duration::from_secs(60),
        }
    }
}

/// Which address a router would send from, and does not find on its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MissingSource {
    /// Any IPv4 address of its own.
    Ipv4,
    /// A link-local address of IPv6 (RFC 9568 §5.1.2.1), which the listed nodes have as well if there
    /// are any.
    LinkLocal,
    /// An address of IPv6 that is not link-local, as those of the listed nodes are.
    Global,
    /// The one that is configured.
    Configured(IpAddr),
}

impl MissingSource {
    /// The family of the instance that cannot send.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Ipv4 => Family::Ipv4,
            Self::LinkLocal | Self::Global => Family::Ipv6,
            Self::Configured(address) => Family::of(address),
        }
    }
}

impl fmt::Display for MissingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4 => f.write_str("IPv4 address"),
            Self::LinkLocal => f.write_str("IPv6 link-local address"),
            Self::Global => f.write_str("global IPv6 address"),
            Self::Configured(address) => write!(f, "source address {address}"),
        }
    }
}
