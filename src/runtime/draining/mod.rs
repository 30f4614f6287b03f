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
//! | [`thread`] | the thread of the forwarder |
//! | [`listed`], [`progress`] | what a leaver has listed; how far a drain is |

mod drain_addresses;
mod forwarder;
mod leaver;
mod leaving;
mod listed;
mod progress;
mod thread;

pub(in crate::runtime) use drain_addresses::DrainAddresses;
pub(in crate::runtime) use forwarder::{ForwardingInstance, ForwardingWanted};
pub(crate) use leaver::DrainStatuses;
pub(in crate::runtime) use thread::{ForwardOrder, ForwardingReport};

use self::leaver::{LeaverTask, ListingHealth, NamespaceSockets, Reconcile};
use super::channel::ChannelHandle;
use super::clock;
use super::protocol_thread::mailbox::Sender;
use crate::types::InstanceKey;
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use tokio::sync::{Notify, mpsc, watch};

/// Number of orders that may wait for the forwarder. When there is no room, a part of a list is
/// dropped, which is listed again, and a takeover does not wait for its rules.
const ORDERS: usize = 1024;
/// Number of instances that may wait to have their connections reset: as many as there can be.
const RESETS: usize = 1024;

/// The way to the forwarder, which is started when nodes begin to talk to one another.
#[derive(Debug, Clone)]
pub(crate) struct ForwarderHandle {
    orders: Arc<OnceLock<SyncSender<ForwardOrder>>>,
    report: watch::Sender<ForwardingReport>,
}

/// Whether somebody was asked, and will answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) enum OrderResult {
    Yes,
    No,
}

impl Default for ForwarderHandle {
    fn default() -> Self {
        Self { orders: Arc::default(), report: watch::Sender::new(ForwardingReport::default()) }
    }
}

impl ForwarderHandle {
    /// Starts the thread, if it does not run yet.
    ///
    /// # Errors
    /// No more threads can be started.
    pub(in crate::runtime) fn start(&self, mail: &Sender) -> io::Result<()> {
        if self.orders.get().is_some() {
            return Ok(());
        }
        let (orders_in, orders) = sync_channel(ORDERS);
        let (mail, report) = (mail.clone(), self.report.clone());
        std::thread::Builder::new()
            .name(thread::THREAD.to_owned())
            .spawn(move || thread::run(&orders, &mail, &report))?;
        let _ = self.orders.set(orders_in);
        Ok(())
    }

    /// Gives the forwarder an order, without waiting.
    pub(in crate::runtime) fn order(&self, order: ForwardOrder) -> OrderResult {
        match self.orders.get().map(|orders| orders.try_send(order)) {
            Some(Ok(())) => OrderResult::Yes,
            Some(Err(_)) | None => OrderResult::No,
        }
    }

    /// What the forwarder can do, and what it does.
    pub(in crate::runtime) fn report(&self) -> watch::Receiver<ForwardingReport> {
        self.report.subscribe()
    }
}

/// The way of the protocol thread to both halves of draining. Nothing of it waits.
#[derive(Debug)]
pub(crate) struct DrainOutlet {
    forwarder: ForwarderHandle,
    resets: mpsc::Sender<InstanceKey>,
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

    /// Asks for the connections of an instance to be reset. If there is no room, the core waits in
    /// vain, which has a limit.
    pub(in crate::runtime) fn reset_connections(&self, key: InstanceKey) {
        let _ = self.resets.try_send(key);
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
    resets: mpsc::Receiver<InstanceKey>,
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
            listing: ListingHealth::default(),
        };
        tokio::spawn(task.run());
        handle
    }
}
