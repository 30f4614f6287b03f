//! The way into the protocol thread: a bounded queue, and an eventfd that wakes the thread.

use crate::agent::CommandReply;
use crate::protocol::{Command, Input, Snapshot};
use crate::runtime::hooks::HookRouting;
use crate::types::{InstanceKey, RouterName};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::sync::oneshot;

/// Messages that may wait. The protocol thread takes all of them at each turn, so that the queue
/// fills only while that thread is not run; senders then wait, and they can afford to.
const CAPACITY: usize = 1024;

/// What the other threads tell the protocol thread.
#[derive(Debug)]
pub(crate) enum Message {
    /// An input of the core.
    Input(Input<'static>),
    /// A request to the thread itself.
    Request(ThreadRequest),
}

/// What is asked of the thread.
#[derive(Debug)]
pub(crate) enum ThreadRequest {
    /// A command of an operator. The thread numbers it and feeds it to the core.
    Command(Command, oneshot::Sender<CommandReply>),
    /// The state of the core as it is now.
    Snapshot(oneshot::Sender<Snapshot>),
    /// From now on hooks are run by these workers. To be sent before the configuration that it
    /// belongs to.
    RouteHooks(Box<HookRouting>),
    /// The `before_active` of this run of a router ended.
    BeforeActiveEnded(RouterName, u64),
    /// The rules by which packets are passed on are written for this takeover, by its epoch, or
    /// cannot be.
    Armed(InstanceKey, u64),
}

impl From<Input<'static>> for Message {
    fn from(input: Input<'static>) -> Self {
        Self::Input(input)
    }
}

impl From<ThreadRequest> for Message {
    fn from(request: ThreadRequest) -> Self {
        Self::Request(request)
    }
}

/// The sending end.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    messages: SyncSender<Message>,
    wakeup: Arc<EventFd>,
}

impl Sender {
    /// Puts a message in, and waits while the queue is full. `Err`: the protocol thread has ended.
    ///
    /// The wait is bounded by the time for which the protocol thread is not run at all.
    pub(crate) fn send(&self, message: impl Into<Message>) -> Result<(), ThreadEnded> {
        self.messages.send(message.into()).map_err(|_| ThreadEnded)?;
        // The counter would overflow after 2^64 messages; the thread is awake long before.
        let _ = self.wakeup.write(1);
        Ok(())
    }
}

/// Nobody reads messages any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the protocol thread has ended")]
pub(crate) struct ThreadEnded;

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Mailbox {
    messages: Receiver<Message>,
    wakeup: Arc<EventFd>,
}

impl Mailbox {
    /// Makes both ends.
    ///
    /// # Errors
    /// The kernel's, if it has no eventfd to give.
    pub(crate) fn open() -> io::Result<(Sender, Self)> {
        let wakeup = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let wakeup = Arc::new(wakeup);
        let (sender, messages) = sync_channel(CAPACITY);
        Ok((Sender { messages: sender, wakeup: Arc::clone(&wakeup) }, Self { messages, wakeup }))
    }

    /// Makes the eventfd unreadable until the next message; to be called before the messages are
    /// taken, so that none is overlooked.
    pub(super) fn clear_wakeup(&self) {
        let _ = self.wakeup.read();
    }

    /// The next message, if there is one.
    pub(crate) fn next(&self) -> Option<Message> {
        self.messages.try_recv().ok()
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wakeup.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::sync::mpsc::channel;
    use std::thread;

    fn is_awake(mailbox: &Mailbox) -> bool {
        let mut waits = [PollFd::new(mailbox.as_fd(), PollFlags::POLLIN)];
        poll(&mut waits, PollTimeout::ZERO).unwrap() == 1
    }

    #[test]
    fn a_message_wakes_the_thread_until_the_wakeup_is_cleared() {
        let (sender, mailbox) = Mailbox::open().unwrap();
        assert!(!is_awake(&mailbox));
        for _ in 0..3 {
            sender.send(Input::Shutdown).unwrap();
        }
        assert!(is_awake(&mailbox));
        mailbox.clear_wakeup();
        assert!(!is_awake(&mailbox), "once for all of them");
        for _ in 0..3 {
            assert!(matches!(mailbox.next(), Some(Message::Input(Input::Shutdown))));
        }
        assert!(mailbox.next().is_none());
    }

    #[test]
    fn a_message_that_comes_after_the_wakeup_was_cleared_wakes_again() {
        let (sender, mailbox) = Mailbox::open().unwrap();
        sender.send(Input::Shutdown).unwrap();
        mailbox.clear_wakeup();
        sender.send(Input::Shutdown).unwrap();
        assert!(mailbox.next().is_some() && mailbox.next().is_some());
        assert!(is_awake(&mailbox), "it may wake in vain, and never the other way round");
    }

    #[test]
    fn whoever_sends_into_a_full_mailbox_waits_for_room_and_loses_nothing() {
        let (sender, mailbox) = Mailbox::open().unwrap();
        for _ in 0..CAPACITY {
            sender.send(Input::Deadline).unwrap();
        }
        let (sent_in, sent) = channel();
        let waits = thread::spawn(move || {
            sender.send(Input::Shutdown).unwrap();
            sent_in.send(()).unwrap();
        });
        assert!(sent.try_recv().is_err(), "there is no room yet");
        assert!(matches!(mailbox.next(), Some(Message::Input(Input::Deadline))));
        sent.recv().unwrap();
        let mut last = None;
        let mut count = 0;
        while let Some(message) = mailbox.next() {
            (last, count) = (Some(message), count + 1);
        }
        assert_eq!(count, CAPACITY);
        assert!(matches!(last, Some(Message::Input(Input::Shutdown))), "in order");
        waits.join().unwrap();
    }

    #[test]
    fn a_thread_that_has_ended_is_told_to_those_who_send() {
        let (sender, mailbox) = Mailbox::open().unwrap();
        drop(mailbox);
        assert_eq!(sender.send(Input::Shutdown), Err(ThreadEnded));
    }
}
