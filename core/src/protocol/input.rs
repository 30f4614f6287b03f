//! What can happen to this node, as values.

use crate::protocol::local_warning::ForeignAddresses;
use crate::protocol::spec::{CheckName, RouterSpec};
use crate::types::{
    AdvertPriority, Family, InstanceKey, InterfaceName, LinkFacts, MacAddr, MonoTime, RouterName,
};
use crate::wire::{Advertisement, Carrier, Reject};
use std::fmt;
use std::net::IpAddr;

/// One input. `'a` is the receive buffer of a packet.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// A deadline may have passed: whatever is due at `now` happens.
    Deadline,
    /// The whole configuration, all of it anew at each reload. Routers that are new start, those gone
    /// hand over and stop, those whose instance is another do both in this order, the others are retuned:
    /// they keep state and timers, and those unchanged do not notice.
    Configure(Vec<RouterSpec>),
    /// Routers of which an earlier run died as Active, and whose addresses are in place: they are handed
    /// over. Instead of a configuration, and followed by [`Self::Shutdown`].
    FinishCrashedRun(Vec<RouterSpec>),
    /// A message that `wire` accepted.
    Received {
        /// Where it arrived.
        interface: InterfaceName,
        /// Its IP header.
        carrier: Carrier,
        /// Its content.
        advertisement: Advertisement<'a>,
    },
    /// A message that `wire` rejected: counted, and nothing else.
    Rejected {
        /// Where it arrived.
        interface: InterfaceName,
        /// The family of its carrier.
        family: Family,
        /// The source address of its carrier, if there was one to read.
        source: Option<IpAddr>,
        /// Why.
        reject: Reject,
    },
    /// Another station told the LAN that this address is where it is: gratuitous ARP, or an unsolicited
    /// Neighbor Advertisement. Of interest between [`super::Effect::WatchAnnouncements`] and
    /// [`super::Effect::IgnoreAnnouncements`], and of an address that this node serves, of which any broadcast in its name will do; not to be
    /// fed with our own announcements, reflected ones included.
    AnnouncementHeard {
        /// Where it was heard.
        interface: InterfaceName,
        /// The address.
        address: IpAddr,
        /// Where it is said to be.
        mac: MacAddr,
    },
    /// What the kernel now says about an interface; `None`: it does not exist.
    Link(InterfaceName, Option<LinkFacts>),
    /// The first name, which no interface has as its own, is another name of the interface of the second. Until there is
    /// an interface of that name.
    OtherName(InterfaceName, InterfaceName),
    /// How the desired state of addresses came out.
    AddressesHeld(HoldResult),
    /// Somebody removed this many of the addresses of a virtual router, and they were put back.
    AddressesRestored {
        /// Whose addresses.
        key: InstanceKey,
        /// How many.
        count: usize,
    },
    /// Owned addresses had gone with their interface and are back: hosts may not know the way.
    AddressesReinstalled {
        /// Whose addresses.
        key: InstanceKey,
    },
    /// Owned addresses are missing, and the kernel refuses to take them back.
    AddressesNotRestored {
        /// Whose addresses.
        key: InstanceKey,
        /// Why.
        why: String,
    },
    /// Whether the sockets of an interface and family are open; `Err`: why not. Without a word,
    /// they are.
    Sockets(InterfaceName, Family, Result<(), String>),
    /// The socket refused an advertisement. It was counted as sent when it was decided, and was not sent.
    AdvertisementUnsent {
        /// The instance whose advertisement it was.
        key: InstanceKey,
        /// The priority in the advertisement.
        priority: AdvertPriority,
        /// The kernel's error number; `None`: there was no socket to ask.
        errno: Option<i32>,
    },
    /// The socket took an advertisement of this instance after it had refused the one before.
    AdvertisementSentAgain(InstanceKey),
    /// A health check's verdict.
    CheckResult(CheckName, CheckResult),
    /// A health check is not run any more: its verdict says nothing from now on.
    CheckRemoved(CheckName),
    /// An operator's command; answered with [`super::Effect::Answer`] under the same id.
    Command(CommandId, Command),
    /// A demotion that an earlier run recorded. To be fed before the router is configured, so that a
    /// node that boots demoted does not touch the addresses.
    SavedDemotion(RouterName, Demotion),
    /// The agent ends: every virtual router hands over and lets go.
    Shutdown,
}

/// The kernel's answer to [`super::Effect::HoldAddresses`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldResult {
    /// Whose addresses.
    pub key: InstanceKey,
    /// The epoch of the `Own` that is answered; a stale one is ignored.
    pub epoch: u64,
    /// `Err`: some could not be installed, and why.
    pub outcome: Result<(), String>,
}

/// A health check's verdict, after rise and fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckResult {
    /// It passes.
    Passing,
    /// It fails.
    Failing,
}

/// Correlates a command with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// What an operator may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Take a router out of service on this node.
    Demote {
        /// Which.
        router: RouterName,
        /// The fact that is recorded.
        demotion: Demotion,
        /// Release the addresses even if nobody takes over.
        force: Force,
    },
    /// End its demotion.
    Promote {
        /// Which.
        router: RouterName,
    },
}

/// Whether a demotion may leave the addresses without a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Force {
    /// No: without a taker we stay Active.
    No,
    /// Yes, the operator said so.
    Yes,
}

/// A demotion as a fact: who said so, when, why and until when. Texts are opaque to the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demotion {
    /// RFC 3339.
    pub since: String,
    /// When it ends by itself; `None`: with a promotion only.
    pub until: Option<Until>,
    /// Whether the router still serves when nobody else does.
    pub last_resort: LastResort,
    /// The operator's words, may be empty.
    pub reason: String,
    /// The operator.
    pub by: String,
}

impl Demotion {
    /// Characters of an operator's reason: it travels through logs and tables.
    pub const REASON_MAX: usize = 200;
}

/// The end of a demotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Until {
    /// On the core's clock.
    pub at: MonoTime,
    /// The same for people: RFC 3339.
    pub text: String,
}

/// What a demoted router still does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LastResort {
    /// It takes part in nothing.
    #[default]
    No,
    /// It stays Backup at priority 1: better than nobody.
    Yes,
}

/// A named reason for which a router cannot take part. A router's faults are a set that is
/// recomputed from facts, never a counter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The interface does not exist.
    InterfaceMissing(InterfaceName),
    /// The interface is administratively down.
    InterfaceDown(InterfaceName),
    /// The interface has no carrier.
    NoCarrier(InterfaceName),
    /// The first is a port of the second (a bridge, a bond): it hears nothing itself.
    Port(InterfaceName, InterfaceName),
    /// The first is another name of the second, which is the one to be used.
    OtherName(InterfaceName, InterfaceName),
    /// The interface has no usable source address of this family.
    NoSourceAddress(InterfaceName, Family),
    /// The router's addresses are on the interface, and not by this agent's doing. Nobody who does not serve may hold
    /// them, and what is not ours is never taken away. While it serves, a [`super::LocalWarning`].
    ForeignAddresses(ForeignAddresses),
    /// The sockets of this family could not be opened; tried again every second.
    Sockets(InterfaceName, Family, String),
    /// A health check fails.
    Check(CheckName),
    /// A health check has not given its first verdict yet.
    CheckPending(CheckName),
    /// The kernel refused the addresses; retried after a while.
    Addresses(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterfaceMissing(name) => write!(f, "interface {name} missing"),
            Self::InterfaceDown(name) => write!(f, "interface {name} down"),
            Self::NoCarrier(name) => write!(f, "interface {name} no carrier"),
            Self::NoSourceAddress(name, Family::Ipv4) => write!(f, "interface {name} no IPv4 address"),
            Self::NoSourceAddress(name, Family::Ipv6) => {
                write!(f, "interface {name} no IPv6 link-local address")
            }
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
