//! The protocol thread: owns the core, its sockets and its one timer, and never blocks.
//!
//! - [`turn`] is the order of a turn: everything that waits is heard before a deadline is judged;
//! - [`engine`] carries out a turn, without knowing the kernel: what it needs of it is
//!   [`engine::ThreadIo`];
//! - [`node_runner`] is the one place where inputs enter the core;
//! - [`endpoints`] and [`endpoint`] keep the books of the sockets, [`sockets`] are the kernel's;
//! - [`commands`], [`declarations`], [`arming`] and [`retry_queue`] are what the engine remembers of
//!   operators, of the address thread, of rules that are being written, and of full queues;
//! - [`mailbox`] is the way in, and [`kernel_io`] the kernel's side.
//!
//! The thread must not log, allocate without bound, touch files or wait for another thread.

mod arming;
mod commands;
mod declarations;
mod endpoint;
mod endpoints;
mod engine;
mod kernel_io;
pub(crate) mod mailbox;
mod node_runner;
mod retry_queue;
#[cfg(test)]
mod scripted;
mod sockets;
mod turn;

pub(crate) use self::arming::PATIENCE as ARMING_PATIENCE;
use self::engine::Engine;
pub(crate) use self::engine::OUTLIVES;
use self::kernel_io::KernelIo;
use self::mailbox::Mailbox;
use super::draining::DrainOutlet;
use super::state::WriterMessage;
use crate::agent::AgentEvent;
use crate::kernel::keeper::AddressKeeper;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::{mpsc, oneshot};

/// Where the protocol thread sends what others have to know.
#[derive(Debug)]
pub(crate) struct ThreadOutlets {
    /// Events. When the queue is full, an event is dropped and counted in `lost`.
    pub(crate) events: mpsc::Sender<AgentEvent>,
    /// How many events were dropped.
    pub(crate) lost: Arc<AtomicU64>,
    /// What must survive a restart, and answers, in this order. When the queue is full, they are
    /// kept and offered again.
    pub(crate) to_writer: mpsc::Sender<WriterMessage>,
    /// What draining needs of others.
    pub(crate) drains: DrainOutlet,
    /// Fires when everything is released after [`crate::protocol::Input::Shutdown`].
    pub(crate) stopped: oneshot::Sender<()>,
}

/// The protocol thread, to be run by a thread of its own.
#[derive(Debug)]
pub(crate) struct ProtocolThread {
    engine: Engine<KernelIo>,
    stopped: oneshot::Sender<()>,
}

impl ProtocolThread {
    /// Opens what the thread needs. Sockets follow when it is told of interfaces and of a
    /// configuration.
    ///
    /// # Errors
    /// The kernel has no epoll or timer to give.
    pub(crate) fn new(
        mailbox: Mailbox,
        keeper: Arc<AddressKeeper>,
        outlets: ThreadOutlets,
    ) -> io::Result<Self> {
        let ThreadOutlets { events, lost, to_writer, drains, stopped } = outlets;
        let io = KernelIo::new(&mailbox, keeper, drains)?;
        Ok(Self { engine: Engine::new(io, mailbox, events, lost, to_writer), stopped })
    }

    /// Runs until everything is released after [`crate::protocol::Input::Shutdown`].
    ///
    /// # Errors
    /// The kernel refused to wait or to set a timer: nothing can be done on time any more.
    pub(crate) fn run(mut self) -> io::Result<()> {
        self.engine.run()?;
        let _ = self.stopped.send(());
        Ok(())
    }
}
