//! Draining: connections that outlive a planned move (docs/adr/0040).
//!
//! The node that gave its addresses away (the *leaver*) serves on the connections that it has and
//! lists them; the node that took over (the *successor*) passes their packets on. Who may leave
//! connections to whom is agreed beside VRRP ([`crate::channel`]); when something drains is decided
//! by the core.
//!
//! | module | does |
//! |---|---|
//! | [`leaver`] | lists, counts and resets the connections of this node |
//! | [`leaving`], [`drain_addresses`] | which instances and addresses of this node drain |
//! | [`forwarder`] | decides for whom this node passes on packets |
//! | [`thread`], [`pulse`] | the thread of the forwarder, and whether it runs |
//! | [`listed`], [`progress`] | what a leaver has listed; how far a drain is |

mod drain_addresses;
mod forwarder;
mod leaver;
mod leaving;
mod listed;
mod progress;
mod pulse;
mod thread;

pub(in crate::runtime) use drain_addresses::DrainAddresses;
pub(in crate::runtime) use forwarder::{ForwardingInstance, ForwardingWanted};
pub(crate) use leaver::DrainStatuses;
pub(in crate::runtime) use thread::{ForwardOrder, ForwardingReport};

use self::leaver::{LeaverTask, NamespaceSockets, Reconcile, ToldTrouble};
use self::pulse::ForwarderPulse;
use super::channel::ChannelHandle;
use super::clock;
use super::protocol_thread::mailbox::Sender;
use crate::protocol::DrainId;
use crate::types::{InstanceKey, MonoTime};
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, TryLockError};
use tokio::sync::{Notify, mpsc, watch};

/// Number of orders that may wait for the forwarder. When there is no room, a part of a list is
/// dropped, which is listed again, and a takeover does not wait for its rules.
const ORDERS: usize = 1024;
/// Number of instances that may wait to have their connections reset: as many as there can be.
const RESETS: usize = 1024;

/// The way to the forwarder, which is started when nodes begin to talk to one another.
#[derive(Debug, Clone)]
pub(crate) struct ForwarderHandle {
    orders: SyncSender<ForwardOrder>,
    /// The other end, which the thread has as long as it runs. It outlives the thread, so that another
    /// one can go on, and whoever gives orders never waits.
    orders_out: Arc<Mutex<Receiver<ForwardOrder>>>,
    pulse: ForwarderPulse,
    report: watch::Sender<ForwardingReport>,
}

/// Whether somebody was asked, and will answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) enum OrderResult {
    Yes,
    No,
}

/// What a start of the forwarder has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) enum ForwarderStart {
    /// The thread runs from now on. It knows of nothing that is wanted.
    Begun,
    /// It runs already, or has ended a moment ago.
    Unchanged,
}

impl Default for ForwarderHandle {
    fn default() -> Self {
        let (orders, orders_out) = sync_channel(ORDERS);
        Self {
            orders,
            orders_out: Arc::new(Mutex::new(orders_out)),
            pulse: ForwarderPulse::default(),
            report: watch::Sender::new(ForwardingReport::default()),
        }
    }
}

impl ForwarderHandle {
    /// Starts the thread, if it does not run.
    ///
    /// # Errors
    /// No more threads can be started.
    pub(in crate::runtime) fn start(&self, mail: &Sender) -> io::Result<ForwarderStart> {
        let mail = mail.clone();
        self.start_with(move |orders, pulse, report| thread::run(orders, &mail, pulse, report))
    }

    fn start_with(
        &self,
        work: impl FnOnce(&Receiver<ForwardOrder>, &ForwarderPulse, &watch::Sender<ForwardingReport>)
        + Send
        + 'static,
    ) -> io::Result<ForwarderStart> {
        if self.pulse.is_running() || !self.pulse.may_start(clock::now()) {
            return Ok(ForwarderStart::Unchanged);
        }
        // What the thread before has left undone is out of date.
        match self.orders_out.try_lock() {
            Ok(orders) => while orders.try_recv().is_ok() {},
            Err(TryLockError::Poisoned(orders)) => while orders.get_ref().try_recv().is_ok() {},
            Err(TryLockError::WouldBlock) => return Ok(ForwarderStart::Unchanged),
        }
        self.pulse.beat(clock::now());
        let ending = ForwarderEnding { pulse: self.pulse.clone(), report: self.report.clone() };
        let orders = Arc::clone(&self.orders_out);
        std::thread::Builder::new().name(thread::THREAD.to_owned()).spawn(move || {
            let orders = orders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            work(&orders, &ending.pulse, &ending.report);
            // The next thread finds the orders when this one is seen to have ended.
            drop(orders);
        })?;
        Ok(ForwarderStart::Begun)
    }

    /// Gives the forwarder an order, without waiting.
    pub(in crate::runtime) fn order(&self, order: ForwardOrder) -> OrderResult {
        if !self.pulse.is_running() {
            return OrderResult::No;
        }
        match self.orders.try_send(order) {
            Ok(()) => OrderResult::Yes,
            Err(_) => OrderResult::No,
        }
    }

    /// Since when the thread does not answer although it runs.
    pub(in crate::runtime) fn silent_since(&self, now: MonoTime) -> Option<MonoTime> {
        self.pulse.silent_since(now)
    }

    /// What the forwarder can do, and what it does.
    pub(in crate::runtime) fn report(&self) -> watch::Receiver<ForwardingReport> {
        self.report.subscribe()
    }
}

/// Notes that the thread of the forwarder has ended, however that was.
struct ForwarderEnding {
    pulse: ForwarderPulse,
    report: watch::Sender<ForwardingReport>,
}

impl Drop for ForwarderEnding {
    fn drop(&mut self) {
        self.pulse.end();
        self.report.send_modify(|report| {
            let why =
                "the thread that does it has ended, and is started again; this is a bug, please report it";
            *report = ForwardingReport {
                forwards: Some(Err(why.to_owned())),
                drains: report.drains.take(),
                ..ForwardingReport::default()
            };
        });
    }
}

/// The way of the protocol thread to both halves of draining. Nothing of it waits.
#[derive(Debug)]
pub(crate) struct DrainOutlet {
    forwarder: ForwarderHandle,
    resets: mpsc::Sender<DrainId>,
}

impl DrainOutlet {
    /// Asks for the rules for connections of the router that is relieved, before the addresses come.
    pub(in crate::runtime) fn take_over(
        &self,
        key: InstanceKey,
        epoch: u64,
        relieved: IpAddr,
    ) -> OrderResult {
        let asked = clock::now();
        self.forwarder.order(ForwardOrder::TakeOver { key, epoch, relieved, asked })
    }

    /// Asks for the connections that are left of a drain to be reset. If there is no room, the core waits in
    /// vain, which has a limit.
    pub(in crate::runtime) fn reset_connections(&self, drain: DrainId) {
        let _ = self.resets.try_send(drain);
    }
}

/// The other end of the task that lists connections.
#[derive(Debug, Clone)]
pub(crate) struct LeaverHandle {
    changed: Arc<Notify>,
}

impl LeaverHandle {
    /// Something about the routers of this node may have changed.
    pub(crate) fn look_again(&self) {
        self.changed.notify_one();
    }
}

/// The queues of draining, before the tasks that they join are started.
#[derive(Debug)]
pub(crate) struct DrainQueues {
    resets: mpsc::Receiver<DrainId>,
    statuses: watch::Sender<DrainStatuses>,
}

impl DrainQueues {
    /// Makes the queues, and the way into them.
    pub(crate) fn new(forwarder: &ForwarderHandle) -> (Self, DrainOutlet) {
        let (resets_in, resets) = mpsc::channel(RESETS);
        let outlet = DrainOutlet { forwarder: forwarder.clone(), resets: resets_in };
        (Self { resets, statuses: watch::Sender::new(DrainStatuses::new()) }, outlet)
    }

    /// What drains, for the task that tells the other nodes.
    pub(crate) fn statuses(&self) -> watch::Receiver<DrainStatuses> {
        self.statuses.subscribe()
    }

    /// Starts the task that lists connections. `reconcile` has the address thread compare what is
    /// there with what is wanted.
    pub(crate) fn start(
        self,
        mail: Sender,
        reconcile: impl Fn() + Send + Sync + 'static,
        channel: ChannelHandle,
    ) -> LeaverHandle {
        let Self { resets, statuses } = self;
        let changed = Arc::new(Notify::new());
        let handle = LeaverHandle { changed: Arc::clone(&changed) };
        let task = LeaverTask {
            mail,
            kernel: Arc::new(NamespaceSockets),
            reconcile: Reconcile(Box::new(reconcile)),
            channel,
            changed,
            resets,
            statuses,
            listing: ToldTrouble::default(),
            resetting: ToldTrouble::default(),
        };
        tokio::spawn(task.run());
        handle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn wanted() -> ForwardOrder {
        ForwardOrder::Wanted(Box::default())
    }

    /// A thread that takes orders until there are no more senders.
    fn take_all(orders: &Receiver<ForwardOrder>, taken: &std::sync::mpsc::Sender<()>) {
        while orders.recv().is_ok() {
            let _ = taken.send(());
        }
    }

    #[tokio::test]
    async fn a_forwarder_that_has_ended_is_told_of_and_can_be_started_again() {
        let handle = ForwarderHandle::default();
        let mut report = handle.report();
        assert_eq!(handle.order(wanted()), OrderResult::No, "nobody would take it");
        let begun = handle.start_with(|orders, _, _| {
            let _ = orders.recv();
            panic!("on purpose");
        });
        assert_eq!(begun.unwrap(), ForwarderStart::Begun);
        assert_eq!(handle.start_with(|_, _, _| ()).unwrap(), ForwarderStart::Unchanged, "it runs");
        assert_eq!(handle.order(wanted()), OrderResult::Yes);
        let ended = report.wait_for(|report| report.forwards.is_some()).await.unwrap().clone();
        assert!(ended.forwards.unwrap().unwrap_err().contains("has ended"));
        assert_eq!(handle.order(wanted()), OrderResult::No);
        assert_eq!(handle.start_with(|_, _, _| ()).unwrap(), ForwarderStart::Unchanged, "not at once");
        handle.pulse.forget_start();
        let (taken_in, taken) = std::sync::mpsc::channel();
        let begun = handle.start_with(move |orders, _, _| take_all(orders, &taken_in));
        assert_eq!(begun.unwrap(), ForwarderStart::Begun);
        assert_eq!(handle.order(wanted()), OrderResult::Yes);
        taken.recv_timeout(Duration::from_secs(20)).unwrap();
        drop(handle);
        taken.recv_timeout(Duration::from_secs(20)).unwrap_err();
    }
}
