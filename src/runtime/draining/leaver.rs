//! The leaver's half of draining: lists the connections that this node still serves, tells when
//! none is left, and resets the rest at the end.
//!
//! A task on the main thread. What it asks of the kernel takes milliseconds for thousands of
//! connections, and is done on a thread of its own. [`LeavingInstances`] knows what drains.

use super::leaving::{AddressesByInstance, AskedResets, LeavingInstances};
use super::progress::OpenConnections;
use crate::channel::{ChannelLink, LocalDrain};
use crate::kernel::blocking;
use crate::kernel::connections::{self, ConnectionList, ConnectionSocket, ConnectionsError};
use crate::protocol::{DrainId, Input};
use crate::runtime::channel::ChannelHandle;
use crate::runtime::clock;
use crate::runtime::protocol_thread::mailbox::{Sender, ThreadRequest};
use crate::types::InstanceKey;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

/// The state of the routers is read this long after something happened, so that many events at once
/// cause one look.
const CALM: Duration = Duration::from_millis(5);
/// Listing and resetting have limits of their own; this is for a thread that is not run.
const KERNEL_LIMIT: Duration = Duration::from_secs(11);

/// What is known of the drains of this node, for those who show it.
pub(crate) type DrainStatuses = BTreeMap<InstanceKey, LocalDrain>;

/// What the task needs of the rest of the agent.
#[derive(Debug)]
pub(super) struct LeaverTask {
    pub(super) mail: Sender,
    pub(super) kernel: Arc<dyn LeaverKernel>,
    /// Has the address thread compare what is there with what is wanted.
    pub(super) reconcile: Reconcile,
    pub(super) channel: ChannelHandle,
    /// Something about the routers may have changed.
    pub(super) changed: Arc<Notify>,
    /// The drains whose connections the core wants to be reset.
    pub(super) resets: mpsc::Receiver<DrainId>,
    pub(super) statuses: watch::Sender<DrainStatuses>,
    pub(super) listing: ToldTrouble,
    pub(super) resetting: ToldTrouble,
}

/// What the task asks of the kernel. Both may take seconds.
pub(super) trait LeaverKernel: Debug + Send + Sync {
    fn list(&self, addresses: &BTreeSet<IpAddr>) -> Result<ConnectionList, ConnectionsError>;
    fn destroy(&self, sockets: &[ConnectionSocket]) -> Result<(), ConnectionsError>;
}

/// The sockets of this network namespace.
#[derive(Debug)]
pub(super) struct NamespaceSockets;

impl LeaverKernel for NamespaceSockets {
    fn list(&self, addresses: &BTreeSet<IpAddr>) -> Result<ConnectionList, ConnectionsError> {
        connections::list(addresses)
    }

    fn destroy(&self, sockets: &[ConnectionSocket]) -> Result<(), ConnectionsError> {
        connections::destroy(sockets).map(drop)
    }
}

/// Has the address thread compare what is there with what is wanted.
pub(super) struct Reconcile(pub(super) Box<dyn Fn() + Send + Sync>);

impl Debug for Reconcile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reconcile")
    }
}

/// Trouble with the kernel, as it was last told. Pure.
#[derive(Debug, Default)]
pub(super) struct ToldTrouble {
    trouble: Option<String>,
}

/// What an operator is told, once.
#[derive(Debug, PartialEq, Eq)]
enum TroubleNews {
    Begins(String),
    IsOver,
}

impl ToldTrouble {
    /// Something was done, or was not because of this trouble.
    fn note(&mut self, trouble: Option<String>) -> Option<TroubleNews> {
        let before = std::mem::replace(&mut self.trouble, trouble);
        match (before, &self.trouble) {
            (before, Some(now)) => (before.as_ref() != Some(now)).then(|| TroubleNews::Begins(now.clone())),
            (Some(_), None) => Some(TroubleNews::IsOver),
            (None, None) => None,
        }
    }
}

impl LeaverTask {
    pub(super) async fn run(mut self) {
        let mut leaving = LeavingInstances::default();
        let mut list_at = clock::now();
        // What the kernel has refused to reset is tried again until the core gives it up.
        let mut unreset = AskedResets::new();
        loop {
            tokio::select! {
                reset = self.resets.recv() => match reset {
                    Some(drain) => {
                        unreset.extend(self.all_asked(drain));
                        unreset = self.reset(unreset, &mut leaving).await;
                    }
                    None => return,
                },
                () = self.changed.notified() => {
                    sleep(CALM).await;
                    self.look(&mut leaving).await;
                    if !leaving.is_empty() {
                        list_at = list_at.min(clock::now());
                    }
                }
                () = sleep(list_at.since(clock::now())) => {
                    // An operator may have given a drain another end.
                    self.look(&mut leaving).await;
                    if !unreset.is_empty() {
                        unreset = self.reset(unreset, &mut leaving).await;
                    }
                    self.list(&mut leaving).await;
                    let now = clock::now();
                    list_at = now + leaving.pause(now);
                }
            }
        }
    }

    /// This drain, and all others whose connections were asked to be reset meanwhile.
    fn all_asked(&mut self, first: DrainId) -> AskedResets {
        let mut asked = AskedResets::from([first]);
        while let Ok(drain) = self.resets.try_recv() {
            asked.insert(drain);
        }
        asked
    }

    /// Which instances drain now.
    async fn look(&self, leaving: &mut LeavingInstances) {
        let (reply, snapshot) = oneshot::channel();
        if self.mail.send(ThreadRequest::Snapshot(reply)).is_err() {
            return;
        }
        let Ok(snapshot) = snapshot.await else { return };
        leaving.follow(clock::now(), &snapshot);
        if leaving.is_empty() {
            self.publish(leaving);
        }
    }

    /// Lists the connections of everything that drains.
    async fn list(&mut self, leaving: &mut LeavingInstances) {
        if leaving.is_empty() {
            return;
        }
        // Somebody may have changed what keeps ARP silent.
        (self.reconcile.0)();
        let (kernel, addresses) = (Arc::clone(&self.kernel), leaving.to_list());
        let lists = in_background(move || {
            let list = kernel.list(&union(&addresses))?;
            let lists = list.divided(&addresses).into_iter();
            Ok(lists.map(|(key, list)| (key, OpenConnections::from(&list))).collect::<Vec<_>>())
        });
        let (lists, trouble) = match lists.await {
            Ok(lists) => (lists, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        match self.listing.note(trouble) {
            Some(TroubleNews::Begins(why)) => tracing::warn!(
                "the open connections cannot be listed, and are not passed on to this node: {why}"
            ),
            Some(TroubleNews::IsOver) => tracing::info!("the open connections can be listed again"),
            None => {}
        }
        let now = clock::now();
        for (key, list) in lists {
            let over = leaving.on_list(now, key, &list);
            let link = ChannelLink { interface: key.interface, family: key.family };
            self.channel.connections(link, key.vrid.get(), list.connections).await;
            if let Some(drain) = over {
                let _ = self.mail.send(Input::ConnectionsEnded { drain, reset: 0 });
            }
        }
        // That something drains is true whether or not it could be listed.
        self.publish(leaving);
    }

    /// Tells the other nodes, and those who show it.
    fn publish(&self, leaving: &LeavingInstances) {
        let statuses = leaving.statuses(clock::now());
        self.statuses.send_if_modified(|before| {
            let is_other = *before != statuses;
            *before = statuses;
            is_other
        });
    }

    /// Resets what is left of these drains, all at once: the core waits for each of them from the
    /// same moment on. Returns those whose connections the kernel did not reset.
    async fn reset(&mut self, asked: AskedResets, leaving: &mut LeavingInstances) -> AskedResets {
        // A router may be Active again since this was asked, with connections that have begun now.
        self.look(leaving).await;
        let asked = leaving.still_asked(&asked);
        if asked.is_empty() {
            return asked;
        }
        let addresses = leaving.to_reset(&asked);
        let kernel = Arc::clone(&self.kernel);
        let reset = in_background(move || {
            let list = kernel.list(&union(&addresses))?;
            kernel.destroy(&list.sockets)?;
            let lists = list.divided(&addresses).into_iter();
            Ok(lists.map(|(key, list)| (key, list.left())).collect::<Vec<_>>())
        });
        let (ended, trouble) = match reset.await {
            Ok(ended) => (ended, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        let is_done = trouble.is_none();
        match self.resetting.note(trouble) {
            Some(TroubleNews::Begins(why)) => {
                tracing::warn!("open connections cannot be reset, and may hang: {why}; it is tried again");
            }
            Some(TroubleNews::IsOver) => tracing::info!("open connections can be reset again"),
            None => {}
        }
        for (key, reset) in ended {
            for drain in asked.iter().filter(|drain| drain.key == key).copied() {
                let _ = self.mail.send(Input::ConnectionsEnded { drain, reset });
            }
        }
        if is_done { AskedResets::new() } else { asked }
    }
}

/// The addresses of all instances.
fn union(addresses: &AddressesByInstance) -> BTreeSet<IpAddr> {
    addresses.values().flatten().copied().collect()
}

/// Runs something that waits for the kernel on a thread of its own.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ConnectionsError> + Send + 'static,
) -> Result<T, String> {
    match timeout(KERNEL_LIMIT, blocking::spawn(work)).await {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Ok(Err(error))) => Err(error.to_string()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("the kernel does not answer within {KERNEL_LIMIT:?}")),
    }
}

#[cfg(test)]
#[path = "leaver_tests.rs"]
mod tests;
