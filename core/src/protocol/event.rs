//! Notable happenings, each with its cause.

use crate::protocol::input::{Demotion, Fault};
use crate::protocol::instance::{HastyMessage, NobodyServing};
use crate::protocol::local_warning::LocalWarning;
use crate::protocol::spec::CheckName;
use crate::types::{AdverInterval, AdvertPriority, InstanceKey, InterfaceName, MacAddr, RouterName, Vrid};
use crate::wire::{ChecksumFlavour, RejectReason};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// The state of a virtual router (RFC 9568 §6.4), without its timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateName {
    /// Not taking part.
    Initialize,
    /// Watching the Active.
    Backup,
    /// Holding the addresses.
    Active,
}

impl StateName {
    /// As in the JSON contract.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// It was configured.
    Startup,
    /// It was configured and owns the addresses.
    OwnerStartup,
    /// The Active fell silent: Active_Down_Timer.
    ActiveDownTimer,
    /// The Active resigned with priority 0.
    PeerResigned,
    /// The Active has a lower priority, and Preempt_Mode is True.
    Preempted,
    /// Somebody of higher priority advertises.
    HigherPriority,
    /// Somebody of equal priority and a greater address advertises.
    TieBreak,
    /// A hand-over ended: somebody else was heard serving.
    HandedOver,
    /// A fault.
    Fault,
    /// The last fault cleared.
    FaultCleared,
    /// The operator demoted it.
    Demoted,
    /// The operator ended its demotion.
    Promoted,
    /// The time of its demotion was up.
    DemotionExpired,
    /// The other family of the router moved.
    Sibling,
    /// We had stopped for longer than the others wait, and somebody took over meanwhile.
    Stalled,
    /// The configuration changed.
    Configuration,
    /// The agent ends.
    Shutdown,
}

impl Cause {
    /// As in the JSON contract.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HandoverCause {
    /// `vrrpctl demote`.
    Demote,
    /// The agent ends.
    Shutdown,
    /// A fault: the service here is bad, so it does not wait long.
    Fault,
    /// The router left the configuration, or what replaces it is another instance.
    Configuration,
}

impl HandoverCause {
    /// As in the JSON contract.
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

/// One notable happening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The router it is about; `None`: the whole node.
    pub router: Option<RouterName>,
    /// The instance, where only one family is concerned.
    pub key: Option<InstanceKey>,
    /// What happened.
    pub kind: EventKind,
}

/// Another router, as an event remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastHeard {
    /// Its source address.
    pub address: IpAddr,
    /// Its priority; of one that resigned, that before.
    pub priority: AdvertPriority,
    /// How long before the event it was last heard.
    pub ago: Duration,
}

/// What decided a transition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransitionDetails {
    /// Whose words, or whose silence.
    pub peer: Option<LastHeard>,
    /// How long the state before lasted.
    pub lasted: Duration,
    /// With [`Cause::Fault`] those that there are, with [`Cause::FaultCleared`] those that went last.
    pub faults: Vec<Fault>,
    /// With [`Cause::Demoted`] and [`Cause::HandedOver`]: what the operator said.
    pub demotion: Option<Demotion>,
}

impl TransitionDetails {
    /// Whether the other router was heard during the state that has ended, and not just before it.
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
        /// From.
        from: StateName,
        /// To.
        to: StateName,
        /// Why.
        cause: Cause,
        /// Our priority.
        priority: AdvertPriority,
        /// What decided it.
        details: TransitionDetails,
    },
    /// A fault appeared.
    FaultRaised(Fault),
    /// A fault went.
    FaultCleared(Fault),
    /// Something is wrong that is no reason to let go.
    LocalWarningRaised(LocalWarning),
    /// It is over.
    LocalWarningCleared(LocalWarning),
    /// The interface has another hardware address now, and hosts were told.
    MacChanged {
        /// Which interface.
        interface: InterfaceName,
        /// Before.
        from: MacAddr,
        /// After.
        to: MacAddr,
    },
    /// Tracking, a demotion or a reload changed the effective priority.
    PriorityChanged {
        /// From.
        from: AdvertPriority,
        /// To.
        to: AdvertPriority,
        /// Of which checks the weight came or went, and by how much the sum of weights changed with it. None:
        /// a demotion, or a reload.
        checks: Vec<(CheckName, i32)>,
    },
    /// A hand-over began.
    HandoverStarted(HandoverCause),
    /// Somebody took over.
    HandedOver {
        /// Who.
        to: IpAddr,
        /// How long it took.
        after: Duration,
    },
    /// Nobody took over; what follows is in `released`.
    NobodyTookOver {
        /// How long we waited.
        after: Duration,
        /// Whether the addresses were let go all the same.
        released: bool,
    },
    /// The operator demoted the router.
    Demoted {
        /// The operator.
        by: String,
        /// The operator's words.
        reason: String,
    },
    /// The operator ended the demotion.
    Promoted,
    /// The demotion's time was up.
    DemotionExpired,
    /// Soon after a hand-over nobody is heard any more: the demoted router serves as the last resort.
    SuccessorSilent,
    /// Somebody removed addresses; they were put back.
    AddressesRestored {
        /// How many.
        count: usize,
    },
    /// The kernel refused addresses.
    AddressesRefused {
        /// Why.
        why: String,
    },
    /// Another router is Active at the same time as we are.
    DualActive {
        /// Who.
        peer: IpAddr,
        /// Its priority.
        priority: AdvertPriority,
    },
    /// A router that this node had just replaced goes on: what made us take over was not its own word.
    TakeoverRefuted {
        /// Who.
        by: IpAddr,
        /// How long it had been silent when we took over.
        silent: Duration,
        /// What had been said in its name.
        message: HastyMessage,
        /// For how long such words are doubted from now on.
        lasts: Duration,
    },
    /// Somebody speaks in our name: a message from our own address that we did not say.
    Impersonated {
        /// The priority in it.
        priority: AdvertPriority,
        /// The interval in it.
        interval: AdverInterval,
    },
    /// A peer's settings differ or its messages are bad. At a limited rate a router and reason.
    PeerWarningRaised {
        /// Its address, if known.
        peer: Option<IpAddr>,
        /// What is wrong.
        what: PeerWarning,
    },
    /// What was suspicious of a peer is over, or was not seen again.
    PeerWarningCleared {
        /// Its address, if known.
        peer: Option<IpAddr>,
        /// What was wrong.
        what: PeerWarning,
        /// How long it stood.
        after: Duration,
    },
    /// Nobody is heard to serve, and this node does not.
    NobodyServes {
        /// Who was heard last, and when.
        nobody_serving: NobodyServing,
        /// Why this node does not.
        not_serving: NotServing,
        /// The addresses.
        addresses: Vec<IpAddr>,
    },
    /// That is over.
    ServedAgain {
        /// Who serves.
        by: Option<IpAddr>,
    },
    /// We were not run for this long.
    Stalled {
        /// How late we are.
        late: Duration,
    },
    /// A peer uses this checksum flavour, and so do we now.
    ChecksumFollows(ChecksumFlavour),
}

/// Why a router does not serve though nobody else does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotServing {
    /// The operator demoted it.
    Demoted,
    /// These faults.
    Faults(Vec<Fault>),
    /// Its other family hears an Active, and both move together.
    Sibling,
}

/// What is wrong with a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerWarning {
    /// A discarded message.
    Rejected(RejectReason),
    /// Its address list differs from ours (accepted all the same).
    AddressListDiffers {
        /// What it lists and we do not.
        more: Vec<IpAddr>,
        /// What we list and it does not.
        less: Vec<IpAddr>,
    },
    /// It is Active for our VRID and lists none of our addresses: nobody serves them.
    AddressesLost {
        /// Its priority.
        priority: AdvertPriority,
        /// What it lists.
        lists: Vec<IpAddr>,
        /// Ours.
        ours: Vec<IpAddr>,
    },
    /// It advertises one of our addresses under another VRID.
    OtherVrid {
        /// The address.
        address: IpAddr,
        /// The VRID.
        theirs: Vrid,
    },
    /// Its priority is ours: source addresses decide.
    SamePriority(AdvertPriority),
    /// It is Active as well, and goes on though it hears us, or should.
    StaysActive(AdvertPriority),
    /// Its advertisement interval differs from ours (learned, as RFC 9568 says).
    IntervalDiffers(AdverInterval),
    /// Its advertisement interval is longer than what is learned: it is obeyed with the longest that is.
    IntervalTooLong {
        /// Its interval.
        said: AdverInterval,
        /// What it is taken for.
        obeyed: AdverInterval,
    },
    /// It is Active beside us, and sums its messages otherwise than those whom we follow: it may not understand us.
    ChecksumDiffers,
    /// It claims to own the addresses that we own (errata 8298).
    OwnerConflict,
    /// A station that is not heard as a router announces one of our addresses while we serve it.
    AddressConflict {
        /// The address.
        address: IpAddr,
        /// Where it is said to be.
        mac: MacAddr,
    },
}

impl PeerWarning {
    /// As in the JSON contract.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Rejected(reason) => reason.as_str(),
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

    /// The hardware address of the one who did it, where nothing else is known of it.
    #[must_use]
    pub const fn mac(&self) -> Option<MacAddr> {
        match self {
            Self::AddressConflict { mac, .. } => Some(*mac),
            Self::Rejected(_)
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

    /// Whether both say the same of a peer, whatever the values.
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
