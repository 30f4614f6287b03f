//! What the channel takes in and gives out about open connections that outlive a move.
//!
//! A node that has given the addresses of a router away and still serves open connections is a
//! *leaver*. The node that has taken over passes on what belongs to those connections: it
//! *forwards*.

use super::values::ChannelLink;
use crate::types::MonoTime;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// What this node can do for open connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DrainAbilities {
    /// Whether it goes on serving open connections after it has given the addresses away.
    pub drains: Ability,
    /// Whether it passes on packets of such connections after it has taken over.
    pub forwards: Ability,
}

/// Whether this node can do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ability {
    /// It cannot, or it is configured not to.
    #[default]
    Unable,
    /// It can.
    Able,
}

/// A router of this node that drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalDrain {
    /// When it began.
    pub since: MonoTime,
    /// When the connections that are left then will be reset.
    pub until: MonoTime,
    /// How many connections are left.
    pub left: u32,
    /// For how long the oldest of them has been open, if that is known.
    pub oldest: Option<Duration>,
}

/// What this node passes on for one leaver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardedConnections {
    /// How many connections of the leaver it knows.
    pub listed: u32,
    /// How many packets it has passed on.
    pub packets: u64,
}

/// What is known about draining, and about the next hand-over. VRIDs are those of this node's routers;
/// addresses are those that nodes report from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DrainView {
    /// For each router that this node could drain: the nodes that would forward to this one if they
    /// took over, because they have the router, say that they forward, and a frame with a foreign
    /// source address has arrived from them. A router for which there is none is absent.
    pub partners: BTreeMap<(ChannelLink, u8), BTreeSet<IpAddr>>,
    /// The nodes that this node would forward to if it took over from them: they say that they
    /// drain, and that a frame with a foreign source address has arrived from this node.
    pub relievable: BTreeMap<ChannelLink, BTreeSet<IpAddr>>,
    /// For each router of this node, how many other Backups would win the election against it. A router
    /// for which there are none is absent.
    pub better_backups: BTreeMap<(ChannelLink, u8), u8>,
    /// For each router, the other nodes that drain it, in the order of their addresses. At most
    /// [`DrainView::MOST_LEAVERS`].
    pub leavers: BTreeMap<(ChannelLink, u8), Vec<HeardLeaver>>,
    /// For each router that this node drains, the node that forwards to it.
    pub forwarded_by: BTreeMap<(ChannelLink, u8), ForwardedBy>,
}

impl DrainView {
    /// The most leavers of one router.
    pub const MOST_LEAVERS: usize = 8;
}

/// Another node that drains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeardLeaver {
    /// Its name.
    pub node: String,
    /// Its address.
    pub address: IpAddr,
    /// How many connections are left.
    pub left: u32,
    /// When it began, as near as the way of a message allows.
    pub since: MonoTime,
    /// When the connections that are left then will be reset.
    pub until: MonoTime,
    /// For how long the oldest of them has been open, if that is known.
    pub oldest: Option<Duration>,
    /// Whether it says that a frame with a foreign source address has arrived from this node. It
    /// says so a moment after it has started again.
    pub proven: bool,
}

/// The node that forwards to this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedBy {
    /// Its name.
    pub node: String,
    /// Its address.
    pub address: IpAddr,
    /// How many connections of this node it knows.
    pub listed: u32,
    /// How many packets it has passed on.
    pub packets: u64,
}
