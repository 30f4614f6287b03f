//! The whole state of a node as plain data: for a daemon that is replaced while it runs, and must go on
//! where its predecessor was, with every timer and everything that it knows of its peers.
//!
//! Every part of the state can be serialized, in any format that serde knows. Times are those of the
//! boot clock, which goes on in the next process. What the core does not have, it does not save: the
//! sockets, the addresses in the kernel and the inputs that wait are the caller's.
//!
//! The layout has a number. A checkpoint of another layout is refused, and its reader begins as after
//! a crash ([`Input::FinishCrashedRun`](super::Input::FinishCrashedRun)). Nothing in the programs uses
//! a checkpoint yet.

use super::Node;
use serde::{Deserialize, Serialize};

/// The state of a node at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checkpoint {
    layout: u32,
    node: Node,
}

/// A checkpoint of another version of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the checkpoint has layout {found}, and this program reads layout {expected} only")]
pub struct UnknownLayout {
    /// The layout that it has.
    pub found: u32,
    /// The layout that is read here.
    pub expected: u32,
}

impl Checkpoint {
    /// The number of the layout. It grows when the serialized form changes.
    pub const LAYOUT: u32 = 1;

    /// The state of `node` at this moment. Effects that it has asked for are not in it: they must be
    /// carried out.
    #[must_use]
    pub fn of(node: &Node) -> Self {
        Self { layout: Self::LAYOUT, node: node.clone() }
    }

    /// The node, which goes on where it was.
    ///
    /// # Errors
    /// [`UnknownLayout`].
    pub fn restore(self) -> Result<Node, UnknownLayout> {
        if self.layout == Self::LAYOUT {
            Ok(self.node)
        } else {
            Err(UnknownLayout { found: self.layout, expected: Self::LAYOUT })
        }
    }
}
