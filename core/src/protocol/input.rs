//! What can happen to this node, as values.

use crate::protocol::local_warning::ForeignAddresses;
use crate::protocol::spec::{CheckName, MissingSource, RouterSpec};
use crate::types::{
    AdvertPriority, Family, InstanceKey, InterfaceName, LinkFacts, MacAddr, MonoTime, RouterName,
};
use crate::wire::{Advertisement, Carrier, Reject};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// One input. `'a` is the receive buffer of a packet.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// A deadline may have passed: the core does whatever is due at `now`.
    Deadline,
    /// The whole configuration, at the start and at each reload. Routers that are new start.
    /// Routers that are not in it any more hand over and stop. Routers with another interface, VRID
    /// or set of families do both in this order. All others take the new values and keep their
    /// state and timers; an unchanged router is not affected.
    Configure(Vec<RouterSpec>),
    /// Routers whose addresses are still installed because an earlier run crashed as Active. They
    /// are handed over. This input replaces [`Self::Configure`], and [`Self::Shutdown`] follows it.
    FinishCrashedRun(Vec<RouterSpec>),
    /// A message that `wire` accepted.
    Received {
        /// The interface that the message arrived on.
        interface: InterfaceName,
        /// Its IP header.
        carrier: Carrier,
        /// Its VRRP fields.
        advertisement: Advertisement<'a>,
    },
    /// A message that `wire` rejected. It is counted, and has no other effect on an election.
    Rejected {
        /// The interface that the message arrived on.
        interface: InterfaceName,
        /// The family of its IP header.
        family: Family,
        /// Its IP header, if there was one to read.
        carrier: Option<Carrier>,
        /// Why `wire` rejected the message.
        reject: Reject,
    },
    /// Another station announced an address as its own: with a gratuitous ARP or an unsolicited
    /// Neighbor Advertisement. This input matters between [`super::Effect::WatchAnnouncements`] and
    /// [`super::Effect::IgnoreAnnouncements`], and for an address that this node serves; for the
    /// latter, any broadcast in the address's name counts. The caller must not feed our own
    /// announcements, not even reflected ones.
    AnnouncementHeard {
        /// The interface that the announcement was received on.
        interface: InterfaceName,
        /// The address that was announced.
        address: IpAddr,
        /// The hardware address that the station announced for it.
        mac: MacAddr,
    },
    /// What the kernel now reports about an interface; `None` if it does not exist.
    Link(InterfaceName, Option<LinkFacts>),
    /// The first name is an alternative name of the interface with the second name, and no
    /// interface has it as its own name. This holds until an interface of the first name appears.
    OtherName(InterfaceName, InterfaceName),
    /// The kernel's answer to a change of the addresses.
    AddressesHeld(HoldResult),
    /// Another program removed this many addresses of an instance, and they were installed again.
    AddressesRestored {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// Number of addresses.
        count: usize,
    },
    /// Held addresses had disappeared with their interface and are installed again. Hosts may not
    /// know the way to them.
    AddressesReinstalled {
        /// The instance that the addresses belong to.
        key: InstanceKey,
    },
    /// Held addresses are missing, and the kernel refuses to install them again.
    AddressesNotRestored {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// The kernel's error.
        why: String,
    },
    /// The kernel's answer to [`super::Effect::DrainAddresses`].
    AddressesDraining(DrainResult),
    /// For each instance, the addresses of the routers to which connections can be left: they pass
    /// on what belongs to us, and it was proven that what they pass on arrives here. This input
    /// replaces the one before.
    DrainPartners(BTreeMap<InstanceKey, BTreeSet<IpAddr>>),
    /// For each instance, how many other Backups would win the election against it, by what the nodes
    /// say of themselves. Instances that are absent have none. This input replaces the one before.
    BetterBackups(BTreeMap<InstanceKey, u8>),
    /// An instance of this key was draining when an earlier run ended, and still is. The caller
    /// feeds it before the router is configured.
    DrainOfEarlierRun {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// When the drain ends at the latest.
        until: MonoTime,
    },
    /// An instance that drains has no connection any more.
    ConnectionsEnded {
        /// Which drain that is said of.
        drain: DrainId,
        /// How many connections were reset; 0: all of them ended by themselves.
        reset: usize,
    },
    /// Nobody passes on what belongs to an instance that drains: the router that is Active now does
    /// not.
    ForwardingLost(DrainId),
    /// Whether the sockets of an interface and family are open; `Err` says why they are not.
    /// Without this input they count as open.
    Sockets(InterfaceName, Family, Result<(), String>),
    /// The socket refused an advertisement. It was counted as sent when it was decided, and was not
    /// sent.
    AdvertisementUnsent {
        /// The instance whose advertisement it was.
        key: InstanceKey,
        /// Where it was to be sent.
        destination: IpAddr,
        /// The priority in the advertisement.
        priority: AdvertPriority,
        /// The kernel's error number; `None`: there was no socket to ask.
        errno: Option<i32>,
    },
    /// The socket took an advertisement of this instance to this destination after it had refused
    /// the one before.
    AdvertisementSentAgain(InstanceKey, IpAddr),
    /// A health check has this result, after `rise` and `fall`.
    CheckResult(CheckName, CheckResult),
    /// A health check is not run any more: its last result does not count from now on.
    CheckRemoved(CheckName),
    /// A command of an operator; answered with [`super::Effect::Answer`] and the same id.
    Command(CommandId, Command),
    /// A demotion that an earlier run saved. The caller feeds it before the router is configured,
    /// so that a node that boots demoted does not touch the addresses.
    SavedDemotion(RouterName, Demotion),
    /// vrrpd stops: every router hands over and releases its addresses.
    Shutdown,
}

/// The kernel's answer to [`super::Effect::HoldAddresses`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldResult {
    /// The instance that the addresses belong to.
    pub key: InstanceKey,
    /// The epoch of the `HoldAddresses` that is answered; an old epoch is ignored.
    pub epoch: u64,
    /// `Err`: the kernel did not install some of the addresses, and why.
    pub outcome: Result<(), String>,
}

/// One drain of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrainId {
    /// The instance that the addresses belong to.
    pub key: InstanceKey,
    /// When the drain began ([`super::DrainSnapshot::since`]). What concerns an earlier drain of the
    /// instance does not concern this one.
    pub since: MonoTime,
}

/// The kernel's answer to [`super::Effect::DrainAddresses`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainResult {
    /// The instance that the addresses belong to.
    pub key: InstanceKey,
    /// The epoch of the `DrainAddresses` that is answered; an old epoch is ignored.
    pub epoch: u64,
    /// `Err`: the addresses cannot drain, and why. The kernel may still hold them.
    pub outcome: Result<(), String>,
}

/// The result of a health check, after `rise` and `fall` have been applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CheckResult {
    /// The check succeeds.
    Passing,
    /// The check fails.
    Failing,
}

/// Number by which the caller finds the command of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CommandId(pub u64);

/// What an operator may ask of a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Take a router out of service on this node.
    Demote {
        /// The router to demote.
        router: RouterName,
        /// Who demoted it, why, and until when; to be saved.
        demotion: Demotion,
        /// Whether the addresses are released even if no other router takes over.
        force: Force,
        /// How long open connections are kept; `None`: as configured. For a router that drains
        /// already, this is counted from now.
        drain: Option<Duration>,
    },
    /// End the demotion of a router.
    Promote {
        /// The router to promote.
        router: RouterName,
    },
}

/// Whether a demotion may leave the addresses without a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Force {
    /// It may not: unless another router takes over, this one stays Active.
    No,
    /// It may, because the operator said so.
    Yes,
}

/// A demotion as it is recorded: by whom, when, why and until when. The core does not interpret the
/// texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demotion {
    /// When the demotion began (RFC 3339).
    pub since: String,
    /// When the demotion ends by itself; `None` if only a promotion ends it.
    pub until: Option<Until>,
    /// Whether the router still serves when no other router does.
    pub last_resort: LastResort,
    /// The reason that the operator gave; may be empty.
    pub reason: String,
    /// Who demoted the router.
    pub by: String,
}

impl Demotion {
    /// Greatest length of a reason in characters. A reason must fit into logs and tables.
    pub const REASON_MAX: usize = 200;
}

/// The end of a demotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Until {
    /// The instant on the core's clock.
    pub at: MonoTime,
    /// The same instant for people (RFC 3339).
    pub text: String,
}

/// Whether a demoted router serves when no other router does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum LastResort {
    /// The router takes no part in elections.
    #[default]
    No,
    /// The router stays Backup at priority 1, because it is better than no router.
    Yes,
}

/// A named reason for which a router cannot take part. The faults of a router are a set that is
/// computed again from the facts at each change, and never a counter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fault {
    /// The interface does not exist.
    InterfaceMissing(InterfaceName),
    /// The interface is administratively down.
    InterfaceDown(InterfaceName),
    /// The interface has no carrier.
    NoCarrier(InterfaceName),
    /// The first interface is a port of the second (a bridge, a bond), and cannot receive anything
    /// itself.
    Port(InterfaceName, InterfaceName),
    /// The first name is an alternative name of the second, which the configuration must use.
    OtherName(InterfaceName, InterfaceName),
    /// The interface has no address that the router can send from.
    NoSourceAddress(InterfaceName, MissingSource),
    /// Every address of this family among `unicast_peers` is this node's own: there is nobody to
    /// send to.
    NoUnicastPeer(InterfaceName, Family),
    /// The router's addresses are on the interface although this agent did not install them. Only
    /// the Active may hold them, and this agent does not remove what it did not install. While the
    /// router serves, this is a [`super::LocalWarning`].
    ForeignAddresses(ForeignAddresses),
    /// The sockets of this family could not be opened. The agent tries again every second.
    Sockets(InterfaceName, Family, String),
    /// A health check fails.
    Check(CheckName),
    /// A health check has not had a result yet.
    CheckPending(CheckName),
    /// The kernel refused to install the addresses. The agent tries again after a while.
    Addresses(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterfaceMissing(name) => write!(f, "interface {name} missing"),
            Self::InterfaceDown(name) => write!(f, "interface {name} down"),
            Self::NoCarrier(name) => write!(f, "interface {name} no carrier"),
            Self::NoSourceAddress(name, missing) => write!(f, "interface {name} no {missing}"),
            Self::NoUnicastPeer(name, family) => write!(f, "interface {name} no other {family} node"),
            Self::Port(name, controller) => write!(f, "interface {name} port of {controller}"),
            Self::OtherName(name, real) => write!(f, "interface {name} other name of {real}"),
            Self::ForeignAddresses(foreign) => foreign.fmt(f),
            Self::Sockets(name, family, why) => write!(f, "interface {name} {family} socket: {why}"),
            Self::Check(name) => write!(f, "check {}", name.0),
            Self::CheckPending(name) => write!(f, "check {} pending", name.0),
            Self::Addresses(why) => write!(f, "addresses: {why}"),
        }
    }
}
