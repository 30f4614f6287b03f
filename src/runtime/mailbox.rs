//! The way into the protocol thread: a bounded queue and an eventfd that wakes it.

use super::hooks::Arrangement;
use crate::agent::CommandReply;
use crate::protocol::{CheckName, CheckResult, Command, Demotion, HoldResult, Input, RouterSpec, Snapshot};
use crate::types::{InstanceKey, InterfaceName, LinkFacts, RouterName};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::oneshot;

/// Letters that may wait. The protocol thread empties it at each turn, so that it fills only while
/// that thread is not run; senders then wait, and they can afford to.
const CAPACITY: usize = 1024;

/// What the other threads tell the protocol thread.
#[derive(Debug)]
pub(crate) enum Letter {
    Link(InterfaceName, Option<LinkFacts>),
    Owned(HoldResult),
    Restored {
        key: InstanceKey,
        count: usize,
    },
    Reinstalled {
        key: InstanceKey,
    },
    OtherName(InterfaceName, InterfaceName),
    Unrestored {
        key: InstanceKey,
        why: String,
    },
    Check(CheckName, CheckResult),
    CheckGone(CheckName),
    Remembered(RouterName, Demotion),
    /// Before the configuration that it belongs to.
    Arrange(Box<Arrangement>),
    Configure(Vec<RouterSpec>),
    /// Routers of a run that died. The keeper was told of their addresses.
    Inherit(Vec<RouterSpec>),
    Command(Command, oneshot::Sender<CommandReply>),
    Snapshot(oneshot::Sender<Snapshot>),
    /// The `before_active` of this run of a router ended.
    Prepared(RouterName, u64),
    Shutdown,
}

impl Letter {
    /// The input it is, if it is nothing else.
    pub(crate) fn into_input(self) -> Result<Input<'static>, Box<Self>> {
        Ok(match self {
            Self::Link(name, facts) => Input::Link(name, facts),
            Self::Owned(owned) => Input::AddressesHeld(owned),
            Self::Reinstalled { key } => Input::AddressesReinstalled { key },
            Self::OtherName(name, real) => Input::OtherName(name, real),
            Self::Restored { key, count } => Input::AddressesRestored { key, count },
            Self::Unrestored { key, why } => Input::AddressesNotRestored { key, why },
            Self::Check(name, health) => Input::CheckResult(name, health),
            Self::CheckGone(name) => Input::CheckRemoved(name),
            Self::Remembered(router, demotion) => Input::SavedDemotion(router, demotion),
            Self::Configure(specs) => Input::Configure(specs),
            Self::Inherit(specs) => Input::FinishCrashedRun(specs),
            Self::Shutdown => Input::Shutdown,
            Self::Command(..) | Self::Snapshot(_) | Self::Prepared(..) | Self::Arrange(_) => {
                return Err(Box::new(self));
            }
        })
    }
}

/// The sending end.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    letters: SyncSender<Letter>,
    bell: Arc<EventFd>,
}

impl Sender {
    /// Puts a letter in; waits while the box is full. `Err`: the protocol thread has ended.
    ///
    /// The wait is bounded by the time for which the protocol thread is not run at all.
    pub(crate) fn send(&self, letter: Letter) -> Result<(), Ended> {
        self.letters.send(letter).map_err(|_| Ended)?;
        // The counter overflows after 2^64 letters; the thread is awake long before.
        let _ = self.bell.write(1);
        Ok(())
    }
}

/// Nobody reads letters any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the protocol thread has ended")]
pub(crate) struct Ended;

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Mailbox {
    letters: Receiver<Letter>,
    bell: Arc<EventFd>,
}

impl Mailbox {
    /// Both ends.
    pub(crate) fn open() -> io::Result<(Sender, Self)> {
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let bell = Arc::new(bell);
        let (sender, letters) = sync_channel(CAPACITY);
        Ok((Sender { letters: sender, bell: Arc::clone(&bell) }, Self { letters, bell }))
    }

    /// Silences the bell; to be called before the letters are read, so that none is overlooked.
    pub(crate) fn answer_bell(&self) {
        let _ = self.bell.read();
    }

    /// The next letter, if there is one.
    pub(crate) fn next(&self) -> Option<Letter> {
        self.letters.try_recv().ok()
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
