//! One input of one node, as far as the rules distinguish.

use super::clock::TrueTime;
use super::lan::Port;
use super::node::Brief;
use crate::protocol::Input;
use crate::types::MonoTime;

/// What kind of input was given: what the rules distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InputKind {
    /// A deadline.
    Deadline,
    /// A configuration.
    Configure,
    /// The one that runs, again.
    Unchanged,
    /// An advertisement of priority 0.
    Resignation,
    /// Any other advertisement.
    Heard,
    /// A rejected packet.
    Rejected,
    /// Anything else.
    Other,
}

impl InputKind {
    pub(super) const fn of(input: &Input<'_>) -> Self {
        match input {
            Input::Deadline => Self::Deadline,
            Input::Configure(_) => Self::Configure,
            Input::Heard { advertisement, .. } if advertisement.priority.is_resignation() => {
                Self::Resignation
            }
            Input::Heard { .. } => Self::Heard,
            Input::Rejected { .. } => Self::Rejected,
            Input::Link(..)
            | Input::Announced { .. }
            | Input::Owned(_)
            | Input::Restored { .. }
            | Input::Reinstalled { .. }
            | Input::OtherName(..)
            | Input::Unrestored { .. }
            | Input::Sockets(..)
            | Input::Remembered(..)
            | Input::Check(..)
            | Input::CheckGone(_)
            | Input::Operator(..)
            | Input::Inherit(_)
            | Input::Shutdown => Self::Other,
        }
    }
}

/// One input of one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occasion<'a> {
    pub(super) now: TrueTime,
    pub(super) port: Port,
    /// What the node's clock shows.
    pub(super) local: MonoTime,
    pub(super) kind: InputKind,
    /// The node before it.
    pub(super) before: &'a Brief,
}
