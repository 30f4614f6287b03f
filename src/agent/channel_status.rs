//! The state of the channel between nodes, as the agent publishes it.

use crate::channel::ChannelView;

/// Whether the nodes talk to one another, and what is known from that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelStatus {
    /// Whether there is a channel.
    pub state: ChannelState,
    /// What is known about the other nodes; empty without a channel.
    pub view: ChannelView,
    /// What is wrong with the sockets, in words.
    pub problems: Vec<String>,
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
