//! What goes into the channel and what comes out of it.

use super::drain_values::{DrainAbilities, ForwardedConnections, LocalDrain};
use crate::types::{Connection, Family, InterfaceName, MonoTime, RouterName};
use crate::wire::channel::{ChannelReject, RouterReport, SessionId, TakeAnswer};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// An interface, in one family: where nodes hear one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelLink {
    /// The interface.
    pub interface: InterfaceName,
    /// The family of the datagrams.
    pub family: Family,
}

/// What this node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LocalNode {
    /// The name of the node.
    pub name: String,
    /// The version of vrrpd.
    pub software: String,
    /// The links that it has routers on.
    pub links: BTreeMap<ChannelLink, LocalLink>,
    /// What the node can do for open connections.
    pub abilities: DrainAbilities,
}

impl LocalNode {
    /// The report of a router of this node.
    pub(super) fn router(&self, link: ChannelLink, vrid: u8) -> Option<&RouterReport> {
        self.links.get(&link)?.routers.iter().find(|ours| ours.vrid == vrid)
    }
}

/// One link of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalLink {
    /// The address that advertisements are sent from; `None`: the interface has none now, so that
    /// nothing can be sent.
    pub source: Option<IpAddr>,
    /// Where what all nodes are told is sent: the group, or each node that is listed.
    pub destinations: BTreeSet<IpAddr>,
    /// The routers of this node on the link.
    pub routers: Vec<RouterReport>,
}

/// What can happen to the channel.
#[derive(Debug, Clone)]
pub enum ChannelInput<'a> {
    /// A deadline may have passed.
    Deadline,
    /// What this node says of itself from now on.
    Local(LocalNode),
    /// A datagram.
    Received {
        /// The link that it arrived on.
        link: ChannelLink,
        /// Its source address.
        source: IpAddr,
        /// Its octets.
        octets: &'a [u8],
    },
    /// An operator wants a router to become Active here. Answered with [`ChannelEffect::TakeEnded`]
    /// and the same id.
    Take {
        /// The id of the answer.
        id: u64,
        /// The router.
        router: RouterName,
        /// The operator.
        by: String,
    },
    /// What became of [`ChannelEffect::HandOver`].
    HandedOver(HandoverRequest, TakeAnswer),
    /// All routers of this node that drain, by link and VRID. What was there before and is missing
    /// here has ended.
    Draining(BTreeMap<(ChannelLink, u8), LocalDrain>),
    /// Open connections that this node still serves. They are sent to the node that is Active; if
    /// none is known, nothing happens. What the recipient hears counts for some seconds, so a list
    /// is repeated.
    Connections {
        /// The link.
        link: ChannelLink,
        /// The VRID.
        vrid: u8,
        /// The connections.
        connections: &'a [Connection],
    },
    /// All that this node forwards, by link, VRID and address of the leaver.
    Forwarding(BTreeMap<(ChannelLink, u8, IpAddr), ForwardedConnections>),
    /// A probe frame has arrived.
    ProbeHeard {
        /// The link that it arrived on.
        link: ChannelLink,
        /// What it carried.
        octets: &'a [u8],
    },
    /// This node stops.
    Farewell,
}

/// What the caller must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelEffect {
    /// Send a datagram.
    Send {
        /// The link to send it on, from the source address of the link.
        link: ChannelLink,
        /// The address to send it to; `None`: the VRRP group of the family.
        to: Option<IpAddr>,
        /// Its octets.
        octets: Vec<u8>,
    },
    /// Tell what happened.
    Report(ChannelEvent),
    /// Hand over the router, because the node asks for it. The answer is
    /// [`ChannelInput::HandedOver`] with the same request.
    HandOver {
        /// The request.
        request: HandoverRequest,
        /// The router of this node.
        router: RouterName,
        /// The name of the node that becomes Active, and its operator.
        by: String,
        /// What becomes of the router here.
        afterwards: Afterwards,
    },
    /// The answer to [`ChannelInput::Take`].
    TakeEnded {
        /// The id of the request.
        id: u64,
        /// The outcome.
        outcome: TakeOutcome,
    },
    /// Send a probe frame: a TCP segment with a foreign source address, to the hardware address of
    /// this node. What arrives there is to come back as [`ChannelInput::ProbeHeard`].
    SendProbe {
        /// The link to send it on.
        link: ChannelLink,
        /// The address of the node.
        to: IpAddr,
        /// What it carries.
        octets: Vec<u8>,
    },
    /// A leaver lists open connections that it serves. It repeats them while they are open.
    Listed {
        /// The link.
        link: ChannelLink,
        /// The VRID.
        vrid: u8,
        /// The address of the leaver.
        leaver: IpAddr,
        /// The connections. Whether their addresses belong to the router is for the caller to judge.
        connections: Vec<Connection>,
    },
    /// A router of this node drains, and the node that is Active has not said for three seconds that
    /// it forwards, or no node has been Active for a long time. It is said once of each Active.
    ForwardingLost {
        /// The link.
        link: ChannelLink,
        /// The VRID.
        vrid: u8,
        /// When the drain began ([`super::LocalDrain::since`]).
        since: MonoTime,
        /// The name of the node that is Active; `None`: none of the nodes that are heard is.
        node: Option<String>,
    },
}

/// A request of another node to hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandoverRequest {
    /// The session of the node.
    pub from: SessionId,
    /// The number that it gave the request.
    pub number: u64,
}

/// What becomes of a router that has handed over to a node that asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Afterwards {
    /// It is Backup as before.
    Backup,
    /// It stays demoted as the last resort: with its higher priority it would take over again.
    LastResort,
}

/// What became of a request of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeOutcome {
    /// The Active has handed over to this node.
    HandedOver {
        /// The name of the node that was Active.
        node: String,
        /// Its address.
        address: IpAddr,
        /// How long that took.
        after: Duration,
        /// What became of the router there.
        afterwards: Afterwards,
    },
    /// Nothing was done, for this reason.
    Refused(String),
    /// The node was asked and did not answer in this time: it may or may not hand over.
    NoAnswer {
        /// The name of the node that was asked.
        node: String,
        /// How long this node waited.
        waited: Duration,
    },
}

/// What happened, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelEvent {
    /// Another node is there.
    NodeHeard {
        /// Its name.
        node: String,
        /// Its address.
        address: IpAddr,
    },
    /// Another node is not heard any more.
    NodeSilent {
        /// Its name.
        node: String,
        /// Its address.
        address: IpAddr,
        /// How long it has been silent.
        silent: Duration,
    },
    /// Another node said that it stops, or that it will use another key.
    NodeLeft {
        /// Its name.
        node: String,
        /// Its address.
        address: IpAddr,
    },
    /// This node serves a router, and no other node would take over.
    RedundancyLost {
        /// The router.
        router: RouterName,
        /// Each other node, and why it would not. Empty: no other node is heard.
        why: Vec<(String, String)>,
    },
    /// Another node would take over again.
    RedundancyBack {
        /// The router.
        router: RouterName,
        /// The name of the node.
        node: String,
    },
    /// A setting is not the same here and there.
    Differs {
        /// The router; `None`: the setting is one of the node.
        router: Option<RouterName>,
        /// The name of the other node.
        node: String,
        /// The setting.
        what: SettingDifference,
    },
    /// A setting is the same again.
    DiffersNoMore {
        /// The router; `None`: the setting is one of the node.
        router: Option<RouterName>,
        /// The name of the other node.
        node: String,
        /// The setting.
        what: SettingDifference,
    },
    /// Another node has the name of this one, or two others have one name.
    NameShared {
        /// The name.
        node: String,
        /// The address of the node that was heard last.
        address: IpAddr,
    },
    /// Datagrams arrive that are not believed.
    NotUnderstood {
        /// Where they come from.
        address: IpAddr,
        /// Why they are not believed.
        why: ChannelReject,
    },
}

impl ChannelEvent {
    /// The router that the event is about; `None`: it is about a node.
    #[must_use]
    pub const fn router(&self) -> Option<&RouterName> {
        match self {
            Self::RedundancyLost { router, .. } | Self::RedundancyBack { router, .. } => Some(router),
            Self::Differs { router, .. } | Self::DiffersNoMore { router, .. } => router.as_ref(),
            Self::NodeHeard { .. }
            | Self::NodeSilent { .. }
            | Self::NodeLeft { .. }
            | Self::NameShared { .. }
            | Self::NotUnderstood { .. } => None,
        }
    }
}

/// A setting that should be the same on all nodes, and is not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SettingDifference {
    /// The address lists.
    Addresses {
        /// Addresses that only this node has; of long lists only the first ones are known.
        only_here: Vec<IpAddr>,
        /// Addresses that only the other node has.
        only_there: Vec<IpAddr>,
    },
    /// The VRIDs of routers with the same name.
    Vrid {
        /// The VRID here.
        here: u8,
        /// The VRID there.
        there: u8,
    },
    /// The intervals between advertisements.
    Interval {
        /// The interval here.
        here: Duration,
        /// The interval there.
        there: Duration,
    },
    /// The versions of VRRP.
    Version {
        /// The version here.
        here: u8,
        /// The version there.
        there: u8,
    },
    /// The health checks.
    Checks {
        /// Checks that only this node tracks.
        only_here: Vec<String>,
        /// Checks that only the other node tracks.
        only_there: Vec<String>,
    },
    /// The versions of vrrpd.
    Software {
        /// The version here.
        here: String,
        /// The version there.
        there: String,
    },
}

/// What is known about other nodes, for readers outside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelView {
    /// The other nodes, in the order of their names. Nodes that left are there for a while.
    pub nodes: Vec<OtherNode>,
    /// For each router of this node, who would take over. Routers are absent until the nodes have
    /// had the time to hear one another.
    pub routers: BTreeMap<RouterName, Redundancy>,
    /// The settings that differ now.
    pub differences: Vec<StandingDifference>,
}

/// A setting that differs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingDifference {
    /// The name of the other node.
    pub node: String,
    /// The router; `None`: the setting is one of the node.
    pub router: Option<RouterName>,
    /// The setting.
    pub what: SettingDifference,
    /// Since when this node knows.
    pub since: MonoTime,
}

/// Another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherNode {
    /// Its name.
    pub name: String,
    /// The version of vrrpd that it runs.
    pub software: String,
    /// Its addresses, with the link of each.
    pub addresses: Vec<(ChannelLink, IpAddr)>,
    /// When it was last heard.
    pub heard: MonoTime,
    /// Whether it is there now.
    pub presence: NodePresence,
}

/// Whether a node is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodePresence {
    /// It is heard.
    Present,
    /// It is not heard any more.
    Silent,
    /// It said that it stops.
    Left,
}

/// Who would take over a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redundancy {
    /// Whether anybody would, if the Active failed now.
    pub is_redundant: bool,
    /// Since when nobody would, if this node is Active.
    pub missing_since: Option<MonoTime>,
    /// If nobody would: each other node that was heard, and why it would not.
    pub why: Vec<(String, String)>,
    /// The other nodes that have the router, the one that would take over first before the others.
    pub standbys: Vec<Standby>,
}

/// Another node that has a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standby {
    /// The name of the node.
    pub node: String,
    /// Its address: the IPv4 one, if it is heard there.
    pub address: IpAddr,
    /// The priority of its router after tracking.
    pub priority: u8,
    /// Why it would not take over; `None`: it would, or it is Active.
    pub obstacle: Option<String>,
    /// Whether it is Active.
    pub is_active: bool,
    /// When it was last heard.
    pub heard: MonoTime,
}
