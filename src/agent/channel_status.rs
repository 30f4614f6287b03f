//! The state of the channel between nodes, as the agent publishes it.

use crate::channel::{ChannelView, DrainView, ForwardedConnections, LocalDrain};
use crate::types::InstanceKey;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Whether the nodes talk to one another, and what is known from that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelStatus {
    /// Whether there is a channel.
    pub state: ChannelState,
    /// What is known about the other nodes; empty without a channel.
    pub view: ChannelView,
    /// What is wrong with the sockets, in words.
    pub problems: Vec<String>,
    /// What is known about the draining of other nodes.
    pub drain_view: DrainView,
    /// What this node drains.
    pub drains: BTreeMap<InstanceKey, LocalDrain>,
    /// What this node passes on, by the address of the node that drains.
    pub forwarded: BTreeMap<(InstanceKey, IpAddr), ForwardedConnections>,
    /// Why open connections cannot be kept or passed on here, in words.
    pub drain_problems: Vec<String>,
}

/// Whether there is a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ChannelState {
    /// None is configured.
    #[default]
    Off,
    /// One is configured, and the key cannot be used. The text says why.
    Broken(String),
    /// There is one.
    On,
}
