//! The whole state of a node as plain data: for a daemon that is replaced while it runs, and must go on
//! where its predecessor was, with every timer and everything that it knows of its peers.
//!
//! A checkpoint is a [`CheckpointHeader`], and after it the [`Node`](super::Node) itself. Both can be
//! serialized in every format of serde whose maps may have any key. What the core does not have, it
//! does not save: the sockets, the addresses in the kernel, the inputs that wait, and effects that are
//! not carried out yet are the caller's.
//!
//! The header is read and checked first, because a node of another layout cannot be read. Who must not
//! read a checkpoint begins as after a crash
//! ([`Input::FinishCrashedRun`](super::Input::FinishCrashedRun)). Nothing in the programs writes a
//! checkpoint yet.

use crate::types::MonoTime;
use serde::{Deserialize, Serialize};

/// What a reader has to know before it reads the node. This type does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointHeader {
    layout: u32,
    written: MonoTime,
}

/// Why the node of a checkpoint must not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Another version of this program wrote it.
    #[error("the checkpoint has layout {0}, and this program reads layout {expected} only", expected = CheckpointHeader::LAYOUT)]
    UnknownLayout(u32),
    /// The clock has begun again since: the times in it mean nothing now.
    #[error("the checkpoint is older than the last boot of this machine")]
    OtherBoot,
}

impl CheckpointHeader {
    /// The number of the layout of a node. It grows when the serialized form changes.
    pub const LAYOUT: u32 = 4;

    /// The header of a node that is written now.
    #[must_use]
    pub const fn new(now: MonoTime) -> Self {
        Self { layout: Self::LAYOUT, written: now }
    }

    /// Whether the node after this header can be read, and goes on at `now`.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn check(self, now: MonoTime) -> Result<(), CheckpointError> {
        if self.layout != Self::LAYOUT {
            return Err(CheckpointError::UnknownLayout(self.layout));
        }
        // The clock goes on while the machine sleeps, and begins at zero when it boots.
        if now < self.written { Err(CheckpointError::OtherBoot) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_layout_of_this_boot_is_read() {
        let at = MonoTime::from_nanos;
        let header = CheckpointHeader::new(at(100));
        assert_eq!((header.check(at(100)), header.check(at(101))), (Ok(()), Ok(())));
        assert_eq!(header.check(at(99)), Err(CheckpointError::OtherBoot));
        let other = CheckpointHeader { layout: CheckpointHeader::LAYOUT + 1, ..header };
        let error = other.check(at(100)).unwrap_err();
        assert_eq!(error.to_string(), "the checkpoint has layout 5, and this program reads layout 4 only");
    }
}
