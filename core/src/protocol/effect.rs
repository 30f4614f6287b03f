//! What the caller must do, as values. The order of the effects of one input is part of the
//! contract: hold the addresses, then advertise, then announce, then report.

use crate::protocol::event::Event;
use crate::protocol::input::{CommandId, Demotion, DrainId};
use crate::types::{
    AdverInterval, AdvertPriority, Authentication, Family, InstanceKey, MonoTime, RouterName, Version,
};
use crate::wire::ChecksumFlavour;
use std::net::IpAddr;
use std::time::Duration;

/// One thing for the caller to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// From now on this node must hold the addresses of `key`. The answer is
    /// [`super::Input::AddressesHeld`] with the same epoch.
    HoldAddresses {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// Grows with each `HoldAddresses`, `DrainAddresses` and `ReleaseAddresses` of this
        /// instance.
        epoch: u64,
        /// The router that lives, and is relieved by this one: it resigned, or is preempted.
        /// Packets of its connections may be passed on to it. `None`: nobody is relieved, or this
        /// router keeps no connections.
        relieved: Option<IpAddr>,
    },
    /// From now on this node must not hold the addresses of `key`, and serves on the connections
    /// that it has. The answer is [`super::Input::AddressesDraining`] with the same epoch.
    DrainAddresses {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// As in `HoldAddresses`.
        epoch: u64,
        /// When the drain ends at the latest.
        until: MonoTime,
    },
    /// Reset the connections that are left of a drain, and none of a later one. The answer is
    /// [`super::Input::ConnectionsEnded`].
    ResetConnections(DrainId),
    /// From now on this node must not hold the addresses of `key`.
    ReleaseAddresses {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// As in `HoldAddresses`.
        epoch: u64,
    },
    /// Send one advertisement now. Its address list is [`super::Node::addresses`].
    Advertise {
        /// The instance that advertises.
        key: InstanceKey,
        /// The version in which it is written.
        version: Version,
        /// IP source address.
        source: IpAddr,
        /// IP destination address.
        destination: IpAddr,
        /// Priority field of the advertisement; 0 resigns.
        priority: AdvertPriority,
        /// Max Advertise Interval field of the advertisement.
        interval: AdverInterval,
        /// Authentication of the advertisement (VRRPv2; ignored for VRRPv3).
        authentication: Authentication,
        /// Checksum flavour (IPv4; ignored for IPv6).
        checksum: ChecksumFlavour,
    },
    /// Send a gratuitous ARP or an unsolicited NA for every held address of `key`: all of them,
    /// `rounds` times.
    Announce {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// Number of rounds, which are sent one right after the other.
        rounds: u8,
    },
    /// From now on, until [`Self::IgnoreAnnouncements`], report what other stations announce about
    /// the addresses of `key`, as [`super::Input::AnnouncementHeard`].
    WatchAnnouncements {
        /// The instance that the addresses belong to.
        key: InstanceKey,
    },
    /// What other stations announce about the addresses of `key` is not needed any more.
    IgnoreAnnouncements {
        /// The instance that the addresses belong to.
        key: InstanceKey,
    },
    /// An event for the operator.
    Report(Event),
    /// The answer to a command.
    Answer {
        /// The command that is answered.
        id: CommandId,
        /// The result of the command.
        answer: Answer,
    },
    /// The demotion of a router changed. The new one, or `None` if the router is not demoted any
    /// more, must survive a restart.
    SaveDemotion {
        /// Which router.
        router: RouterName,
        /// Its demotion.
        demotion: Option<Demotion>,
    },
    /// The last effect after [`super::Input::Shutdown`]: everything is handed over and released.
    /// The agent may end once the last `ReleaseAddresses` is carried out.
    Stopped,
}

/// A list that the caller reuses, so that the steady state allocates no memory. Order matters.
pub type Effects = Vec<Effect>;

/// The result of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Results of a demotion, one for each family.
    Demoted(Vec<InstanceResult>),
    /// Result of a promotion.
    Promoted {
        /// Whether the router was demoted before.
        was_demoted: bool,
    },
    /// No router has this name.
    UnknownRouter(RouterName),
}

/// What a demotion did to one family of a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceResult {
    /// The router that was demoted.
    pub name: RouterName,
    /// The family of the router that this result is about.
    pub family: Family,
    /// What the demotion did to this family.
    pub outcome: DemoteOutcome,
}

/// The result of a demotion for one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoteOutcome {
    /// Another router was heard serving before this node released the addresses.
    HandedOver {
        /// Source address of that router.
        to: IpAddr,
        /// Time from the command to the successor's first advertisement.
        after: Duration,
        /// How long open connections are kept here at most; `None`: they are not kept.
        kept: Option<Duration>,
    },
    /// This family did not hold the addresses.
    WasBackup,
    /// The router had been demoted before, and holds no addresses. The new reason and end replace
    /// the old.
    AlreadyDemoted,
    /// No other router took over, so this node is still Active.
    Refused {
        /// Time from the command to this answer.
        after: Duration,
    },
    /// No other router took over. This node serves on as the last resort, and yields to any router.
    LastResort {
        /// Time from the command to this answer.
        after: Duration,
    },
    /// No other router took over, and the addresses were released because the operator asked for
    /// it.
    Forced {
        /// Time from the command to this answer.
        after: Duration,
    },
}
