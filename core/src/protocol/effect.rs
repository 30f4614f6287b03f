//! What should happen, as values. The order of effects of one input is part of the contract: own,
//! then advertise, then announce, then report.

use crate::protocol::event::Event;
use crate::protocol::input::{CommandId, Demotion};
use crate::types::{AdverInterval, AdvertPriority, Family, InstanceKey, RouterName};
use crate::wire::ChecksumFlavour;
use std::net::IpAddr;
use std::time::Duration;

/// One effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Desired state: this node holds the addresses of `key`. To be answered with
    /// [`super::Input::AddressesHeld`] under the same epoch.
    HoldAddresses {
        /// Whose addresses.
        key: InstanceKey,
        /// Grows with each `HoldAddresses` and `ReleaseAddresses` of this virtual router.
        epoch: u64,
    },
    /// Desired state: this node does not hold the addresses of `key`.
    ReleaseAddresses {
        /// Whose addresses.
        key: InstanceKey,
        /// As in `HoldAddresses`.
        epoch: u64,
    },
    /// Send one advertisement now. The address list is [`super::Node::addresses`].
    Advertise {
        /// Who speaks.
        key: InstanceKey,
        /// IP source address.
        source: IpAddr,
        /// Priority.
        priority: AdvertPriority,
        /// Max Advertise Interval.
        interval: AdverInterval,
        /// Checksum flavour (IPv4; ignored for IPv6).
        checksum: ChecksumFlavour,
    },
    /// Gratuitous ARP or unsolicited NA for every held address of `key`: all of them, `rounds` times.
    Announce {
        /// Whose addresses.
        key: InstanceKey,
        /// How often.
        rounds: u8,
    },
    /// Hear what others announce of the addresses of `key`, from now until [`Self::IgnoreAnnouncements`]:
    /// [`super::Input::AnnouncementHeard`].
    WatchAnnouncements {
        /// Whose addresses.
        key: InstanceKey,
    },
    /// It is of no interest any more.
    IgnoreAnnouncements {
        /// Whose addresses.
        key: InstanceKey,
    },
    /// Something an operator may want to know.
    Report(Event),
    /// The answer to a command.
    Answer {
        /// Which command.
        id: CommandId,
        /// What came of it.
        answer: Answer,
    },
    /// The set of demotions changed: what must survive a restart. `None`: not demoted any more.
    SaveDemotion {
        /// Which router.
        router: RouterName,
        /// Its demotion.
        demotion: Option<Demotion>,
    },
    /// After [`super::Input::Shutdown`]: everything is handed over and let go. The agent may end
    /// once the last `ReleaseAddresses` is carried out.
    Stopped,
}

/// A sink that keeps the order and is reused, so that steady state allocates nothing.
pub type Effects = Vec<Effect>;

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Of a demotion: one result a family.
    Demoted(Vec<InstanceResult>),
    /// Of a promotion.
    Promoted {
        /// Whether it was demoted before.
        was_demoted: bool,
    },
    /// No router has this name.
    UnknownRouter(RouterName),
}

/// What a demotion did to one family of a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceResult {
    /// The router.
    pub name: RouterName,
    /// The family.
    pub family: Family,
    /// What happened.
    pub outcome: DemoteOutcome,
}

/// The outcome of a demotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoteOutcome {
    /// Somebody else was heard serving before we let go.
    HandedOver {
        /// Who.
        to: IpAddr,
        /// From the command to the taker's first advertisement.
        after: Duration,
    },
    /// It did not hold the addresses.
    WasBackup,
    /// It was demoted before, and holds nothing; the new reason and end replace the old.
    AlreadyDemoted,
    /// Nobody took over: it is still Active.
    Refused {
        /// How long it waited.
        after: Duration,
    },
    /// Nobody took over: it serves on as the last resort, and yields to anybody.
    LastResort {
        /// How long it waited.
        after: Duration,
    },
    /// Nobody took over, and the addresses were released because the operator said so.
    Forced {
        /// How long it waited.
        after: Duration,
    },
}
