//! What happens to a router or to the node that an operator may want to know, each event with its
//! cause.

use crate::protocol::input::{Demotion, Fault};
use crate::protocol::instance::{HastyMessage, NobodyServing};
use crate::protocol::local_warning::LocalWarning;
use crate::protocol::spec::Watched;
use crate::types::{
    AdverInterval, AdvertPriority, Authentication, InstanceKey, InterfaceName, MacAddr, RouterName, Version,
    Vrid,
};
use crate::wire::{ChecksumFlavour, HeardAuthentication, RejectReason};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// The state of a virtual router (RFC 9568 §6.4), without its timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateName {
    /// The virtual router does not take part in the protocol.
    Initialize,
    /// The virtual router watches the Active and is ready to replace it.
    Backup,
    /// The virtual router holds the addresses and serves them.
    Active,
}

impl StateName {
    /// The name of the state in the JSON contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Backup => "backup",
            Self::Active => "active",
        }
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a virtual router changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// The virtual router was configured.
    Startup,
    /// The virtual router was configured, and it owns the addresses.
    OwnerStartup,
    /// The Active was not heard for the whole of Active_Down_Timer.
    ActiveDownTimer,
    /// The Active resigned with priority 0.
    PeerResigned,
    /// The Active has a lower priority, and Preempt_Mode is True.
    Preempted,
    /// Another router of higher priority advertises.
    HigherPriority,
    /// Another router of equal priority and a greater address advertises.
    TieBreak,
    /// A hand-over ended: another router was heard serving.
    HandedOver,
    /// A fault appeared.
    Fault,
    /// The last fault cleared.
    FaultCleared,
    /// The operator demoted the router.
    Demoted,
    /// The operator ended the demotion of the router.
    Promoted,
    /// The time of the router's demotion was up.
    DemotionExpired,
    /// The other family of the router changed its state, and both families move together.
    Sibling,
    /// This node had stopped for longer than the other routers wait, and one of them took over
    /// meanwhile.
    Stalled,
    /// The configuration changed.
    Configuration,
    /// The agent ends.
    Shutdown,
}

impl Cause {
    /// The name of the cause in the JSON contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::OwnerStartup => "owner_startup",
            Self::ActiveDownTimer => "active_down_timer",
            Self::PeerResigned => "peer_resigned",
            Self::Preempted => "preempted",
            Self::HigherPriority => "higher_priority",
            Self::TieBreak => "tie_break",
            Self::HandedOver => "handed_over",
            Self::Fault => "fault",
            Self::FaultCleared => "fault_cleared",
            Self::Demoted => "demoted",
            Self::Promoted => "promoted",
            Self::DemotionExpired => "demotion_expired",
            Self::Sibling => "sibling",
            Self::Stalled => "stalled",
            Self::Configuration => "configuration",
            Self::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a hand-over was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HandoverCause {
    /// The operator demoted the router with `vrrpctl demote`.
    Demote,
    /// The agent ends.
    Shutdown,
    /// A fault appeared. The service here is bad, so the hand-over does not wait long.
    Fault,
    /// The router left the configuration, or another instance replaces it there.
    Configuration,
}

impl HandoverCause {
    /// The name of the cause in the JSON contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Demote => "demote",
            Self::Shutdown => "shutdown",
            Self::Fault => "fault",
            Self::Configuration => "configuration",
        }
    }
}

/// One thing that happened to a router or to the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The router that the event is about; `None` if it is about the whole node.
    pub router: Option<RouterName>,
    /// The instance, if the event is about one family only.
    pub key: Option<InstanceKey>,
    /// What happened.
    pub kind: EventKind,
}

/// What an event keeps of another router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastHeard {
    /// The source address of the other router.
    pub address: IpAddr,
    /// The priority of the other router. If it resigned, this is its priority before that.
    pub priority: AdvertPriority,
    /// The time between the last advertisement of the other router and the event.
    pub ago: Duration,
}

/// What decided a transition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionDetails {
    /// The other router whose advertisement, or whose silence, decided the transition.
    pub peer: Option<LastHeard>,
    /// How long the previous state lasted.
    pub lasted: Duration,
    /// With [`Cause::Fault`] the faults that are present, with [`Cause::FaultCleared`] the faults
    /// that cleared last.
    pub faults: Vec<Fault>,
    /// With [`Cause::Demoted`] and [`Cause::HandedOver`]: the demotion, as the operator asked for
    /// it.
    pub demotion: Option<Demotion>,
}

impl TransitionDetails {
    /// Whether the other router was heard during the state that has ended, and not only before it.
    #[must_use]
    pub fn was_heard_meanwhile(&self) -> bool {
        self.peer.is_some_and(|peer| peer.ago <= self.lasted)
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A transition of the state machine.
    Transition {
        /// The state before the transition.
        from: StateName,
        /// The state after the transition.
        to: StateName,
        /// Why the state changed.
        cause: Cause,
        /// The priority of this router.
        priority: AdvertPriority,
        /// What decided the transition.
        details: TransitionDetails,
    },
    /// A fault appeared.
    FaultRaised(Fault),
    /// A fault cleared.
    FaultCleared(Fault),
    /// Something is wrong on this node, but this is not a reason to release the addresses.
    LocalWarningRaised(LocalWarning),
    /// The reason for a warning about this node is gone.
    LocalWarningCleared(LocalWarning),
    /// The interface has another hardware address now, and the hosts were told of it.
    MacChanged {
        /// The interface.
        interface: InterfaceName,
        /// The hardware address before the change.
        from: MacAddr,
        /// The hardware address after the change.
        to: MacAddr,
    },
    /// Tracking, a demotion or a reload changed the effective priority.
    PriorityChanged {
        /// The effective priority before the change.
        from: AdvertPriority,
        /// The effective priority after the change.
        to: AdvertPriority,
        /// What had its weight added or taken away, each with the change of the sum of weights
        /// that it caused. The list is empty if a demotion or a reload changed the priority.
        weights: Vec<(Watched, i32)>,
    },
    /// A hand-over began.
    HandoverStarted(HandoverCause),
    /// Another router took over.
    HandedOver {
        /// The address of the router that took over.
        to: IpAddr,
        /// The time from the start of the hand-over until then.
        after: Duration,
    },
    /// The addresses were given away, and the connections that are open are served on.
    DrainBegun {
        /// The address of the router that took over, if it is known.
        to: Option<IpAddr>,
        /// How long the drain lasts at most.
        lasts: Duration,
    },
    /// The drain of an earlier run goes on.
    DrainResumed {
        /// How long the drain lasts at most, from now on.
        lasts: Duration,
    },
    /// The drain is over.
    DrainEnded {
        /// Why it is over.
        why: DrainEnd,
        /// How long it lasted.
        after: Duration,
        /// How many connections were reset; `None`: that is not known, because the kernel did not
        /// answer in time.
        reset: Option<usize>,
    },
    /// The addresses were given away, and connections are reset, although they were to be kept: the
    /// kernel refused.
    DrainRefused {
        /// The error of the kernel.
        why: String,
    },
    /// The kernel has refused to let addresses that drain do so for another time. The addresses drain
    /// on, and the attempt is repeated.
    DrainNotRenewed {
        /// The error of the kernel.
        why: String,
    },
    /// No router took over. The field `released` says what follows from this.
    NobodyTookOver {
        /// How long this router waited for a successor.
        after: Duration,
        /// Whether the addresses were released all the same.
        released: bool,
    },
    /// The operator demoted the router.
    Demoted {
        /// The name of the operator.
        by: String,
        /// The reason that the operator gave.
        reason: String,
    },
    /// The operator ended the demotion.
    Promoted,
    /// The time of the demotion was up.
    DemotionExpired,
    /// Soon after a hand-over no router is heard any more: the demoted router serves as the last
    /// resort.
    SuccessorSilent,
    /// Another program removed addresses, and the keeper put them back.
    AddressesRestored {
        /// Number of addresses.
        count: usize,
    },
    /// The kernel refused to install addresses.
    AddressesRefused {
        /// The error of the kernel.
        why: String,
    },
    /// Another router is Active at the same time as this one.
    DualActive {
        /// The address of the other router.
        peer: IpAddr,
        /// The priority of the other router.
        priority: AdvertPriority,
    },
    /// A router that this node had just replaced continues to advertise: the message that made this
    /// node take over did not come from that router.
    TakeoverRefuted {
        /// The address of the router that continues.
        by: IpAddr,
        /// How long that router had been silent when this node took over.
        silent: Duration,
        /// The message that had been sent in the name of that router.
        message: HastyMessage,
        /// For how long such messages are doubted from now on.
        lasts: Duration,
    },
    /// Another station uses our name: a message came from our own address that this node did not
    /// send.
    Impersonated {
        /// The priority in that message.
        priority: AdvertPriority,
        /// The interval in that message.
        interval: AdverInterval,
    },
    /// The settings of a peer differ from ours, or its messages are bad. The rate of this event is
    /// limited for each router and reason.
    PeerWarningRaised {
        /// The address of the peer, if it is known.
        peer: Option<IpAddr>,
        /// What is wrong with the peer.
        what: PeerWarning,
    },
    /// The reason for a warning about a peer is gone, or was not seen again.
    PeerWarningCleared {
        /// The address of the peer, if it is known.
        peer: Option<IpAddr>,
        /// What was wrong with the peer.
        what: PeerWarning,
        /// How long the warning lasted.
        after: Duration,
    },
    /// No other router is heard to serve the addresses, and this node does not serve them either.
    NobodyServes {
        /// Which router was heard last, and when.
        nobody_serving: NobodyServing,
        /// Why this node does not serve.
        not_serving: NotServing,
        /// The addresses that are not served.
        addresses: Vec<IpAddr>,
    },
    /// A router serves the addresses again.
    ServedAgain {
        /// The address of the router that serves, if it is another one.
        by: Option<IpAddr>,
    },
    /// This node serves for some time, and has never heard any of the nodes that are listed in
    /// `unicast_peers`.
    NoPeerHeard {
        /// The other nodes.
        peers: Vec<IpAddr>,
        /// How long this node has served without hearing any.
        after: Duration,
    },
    /// After it was reported that no node of the list was ever heard, one was.
    PeerHeard {
        /// The address of that node.
        peer: IpAddr,
    },
    /// The kernel did not run this process in time.
    Stalled {
        /// How late the process is.
        late: Duration,
    },
    /// A peer uses this checksum flavour, and from now on this router uses it, too.
    ChecksumFollows(ChecksumFlavour),
}

/// Why a drain is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DrainEnd {
    /// The last connection has ended.
    Free,
    /// The time was up. An operator may have shortened it, and a change of the configuration ends
    /// it.
    Deadline,
    /// The router that is Active now does not pass on what belongs to us.
    ForwardingLost,
    /// This router is Active again, and serves the connections as before.
    ActiveAgain,
}

/// Why a router does not serve although no other router does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotServing {
    /// The operator demoted the router.
    Demoted,
    /// The router has these faults.
    Faults(Vec<Fault>),
    /// The other family of the router hears an Active, and both families move together.
    Sibling,
}

/// How the authentication of a peer differs from ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AuthenticationMismatch {
    /// Both have a password, and the passwords differ.
    OtherPassword,
    /// Only this router has a password.
    OnlyHere,
    /// Only the peer has a password.
    OnlyThere,
    /// The peer uses an IPsec Authentication Header.
    IpsecThere,
}

impl AuthenticationMismatch {
    /// How what was heard differs from what is configured here, if it does.
    #[must_use]
    pub fn of(ours: Authentication, heard: HeardAuthentication) -> Option<Self> {
        match (ours, heard) {
            (Authentication::None, HeardAuthentication::Readable(Authentication::None)) => None,
            (
                Authentication::Password(ours),
                HeardAuthentication::Readable(Authentication::Password(theirs)),
            ) => (ours != theirs).then_some(Self::OtherPassword),
            (Authentication::Password(_), HeardAuthentication::Readable(Authentication::None)) => {
                Some(Self::OnlyHere)
            }
            (Authentication::None, HeardAuthentication::Readable(Authentication::Password(_))) => {
                Some(Self::OnlyThere)
            }
            (Authentication::None | Authentication::Password(_), HeardAuthentication::IpsecHeader) => {
                Some(Self::IpsecThere)
            }
        }
    }
}

/// What is wrong with a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerWarning {
    /// A message of the peer was discarded.
    Rejected(RejectReason),
    /// The peer speaks another version of VRRP, and its messages are discarded.
    OtherVersion {
        /// The version of the peer.
        theirs: Version,
        /// The version of this router.
        ours: Version,
    },
    /// The messages of the peer have another authentication than ours, and are discarded (VRRPv2).
    AuthenticationDiffers(AuthenticationMismatch),
    /// The advertisement interval of the peer differs from ours, and its messages are discarded
    /// (VRRPv2).
    IntervalRefused {
        /// The interval of the peer.
        theirs: AdverInterval,
        /// The interval of this router.
        ours: AdverInterval,
    },
    /// The address list of the peer differs from ours, and its messages are discarded (VRRPv2).
    AddressListRefused {
        /// The addresses that only the peer lists.
        more: Vec<IpAddr>,
        /// The addresses that only this router lists.
        less: Vec<IpAddr>,
    },
    /// The address list of the peer differs from ours. The message is accepted all the same.
    AddressListDiffers {
        /// The addresses that only the peer lists.
        more: Vec<IpAddr>,
        /// The addresses that only this router lists.
        less: Vec<IpAddr>,
    },
    /// The peer is Active for our VRID and lists none of our addresses, so no router serves them.
    AddressesLost {
        /// The priority of the peer.
        priority: AdvertPriority,
        /// The addresses that the peer lists.
        lists: Vec<IpAddr>,
        /// The addresses of this router.
        ours: Vec<IpAddr>,
    },
    /// The peer advertises one of our addresses under another VRID.
    OtherVrid {
        /// The address that both advertise.
        address: IpAddr,
        /// The VRID of the peer.
        theirs: Vrid,
    },
    /// The peer has the same priority as this router, so the source addresses decide.
    SamePriority(AdvertPriority),
    /// The peer is Active as well, and stays Active although it hears this router, or should hear
    /// it.
    StaysActive(AdvertPriority),
    /// The advertisement interval of the peer differs from ours. A Backup learns it, as RFC 9568
    /// says.
    IntervalDiffers(AdverInterval),
    /// The advertisement interval of the peer is longer than the longest one that is learned, which
    /// is used instead.
    IntervalTooLong {
        /// The interval that the peer advertises.
        said: AdverInterval,
        /// The interval that is used instead.
        obeyed: AdverInterval,
    },
    /// The peer is Active beside this router, and computes its checksums in another way than the
    /// peers that this router follows: it may discard our messages.
    ChecksumDiffers,
    /// The peer claims to own the addresses that this router owns (errata 8298).
    OwnerConflict,
    /// A station that is not heard as a router announces one of our addresses while this router
    /// serves it.
    AddressConflict {
        /// The announced address.
        address: IpAddr,
        /// The hardware address that the announcement gives for it.
        mac: MacAddr,
    },
}

impl PeerWarning {
    /// The name of the warning in the JSON contract.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Rejected(reason) => reason.as_str(),
            Self::OtherVersion { .. } => "other_version",
            Self::AuthenticationDiffers(_) => "authentication_differs",
            Self::IntervalRefused { .. } => "interval_refused",
            Self::AddressListRefused { .. } => "address_list_refused",
            Self::AddressListDiffers { .. } => "address_list_differs",
            Self::AddressesLost { .. } => "addresses_lost",
            Self::OtherVrid { .. } => "other_vrid",
            Self::SamePriority(_) => "same_priority",
            Self::StaysActive(_) => "also_active",
            Self::IntervalDiffers(_) => "interval_differs",
            Self::IntervalTooLong { .. } => "interval_too_long",
            Self::ChecksumDiffers => "checksum_differs",
            Self::OwnerConflict => "owner_conflict",
            Self::AddressConflict { .. } => "address_conflict",
        }
    }

    /// The hardware address of the station that caused the warning, if nothing else is known of
    /// that station.
    #[must_use]
    pub const fn mac(&self) -> Option<MacAddr> {
        match self {
            Self::AddressConflict { mac, .. } => Some(*mac),
            Self::Rejected(_)
            | Self::OtherVersion { .. }
            | Self::AuthenticationDiffers(_)
            | Self::IntervalRefused { .. }
            | Self::AddressListRefused { .. }
            | Self::AddressListDiffers { .. }
            | Self::AddressesLost { .. }
            | Self::OtherVrid { .. }
            | Self::SamePriority(_)
            | Self::StaysActive(_)
            | Self::IntervalDiffers(_)
            | Self::IntervalTooLong { .. }
            | Self::ChecksumDiffers
            | Self::OwnerConflict => None,
        }
    }

    /// Whether the messages of the peer are discarded. Anybody can send such messages, under any name.
    #[must_use]
    pub const fn is_about_discarded(&self) -> bool {
        self.is_refusal() || matches!(self, Self::Rejected(_))
    }

    /// Whether the messages of the peer are discarded because of what is configured on both sides: then
    /// neither hears the other, and both may hold the addresses.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::OtherVersion { .. }
            | Self::AuthenticationDiffers(_)
            | Self::IntervalRefused { .. }
            | Self::AddressListRefused { .. } => true,
            Self::Rejected(_)
            | Self::AddressListDiffers { .. }
            | Self::AddressesLost { .. }
            | Self::OtherVrid { .. }
            | Self::SamePriority(_)
            | Self::StaysActive(_)
            | Self::IntervalDiffers(_)
            | Self::IntervalTooLong { .. }
            | Self::ChecksumDiffers
            | Self::OwnerConflict
            | Self::AddressConflict { .. } => false,
        }
    }

    /// Whether both warnings are of the same kind, whatever their values are.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Display for PeerWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
