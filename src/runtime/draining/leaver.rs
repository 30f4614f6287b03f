//! The leaver's half of draining: lists the connections that this node still serves, tells when
//! none is left, and resets the rest at the end.
//!
//! A task on the main thread. What it asks of the kernel takes milliseconds for thousands of
//! connections, and is done on a thread of its own.

use super::progress::DrainProgress;
use crate::channel::{ChannelLink, LocalDrain};
use crate::kernel::blocking;
use crate::kernel::connections;
use crate::protocol::{DrainId, Input, Snapshot, StateName};
use crate::runtime::channel::ChannelHandle;
use crate::runtime::clock;
use crate::runtime::protocol_thread::mailbox::{Sender, ThreadRequest};
use crate::types::{Connection, InstanceKey, MonoTime};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

/// How often connections are listed at first, when new ones may still begin here.
const LIST_OFTEN: Duration = Duration::from_millis(250);
/// Hosts have switched after this time.
const OFTEN_FOR: Duration = Duration::from_secs(6);
/// How often they are listed later.
const LIST: Duration = Duration::from_secs(1);
/// The other nodes are told so long after the addresses came back that nothing drains here any more.
const TOLD_AFTER: Duration = Duration::from_secs(2);
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
    /// Has the address thread compare what is there with what is wanted.
    pub(super) reconcile: Reconcile,
    pub(super) channel: ChannelHandle,
    /// Something about the routers may have changed.
    pub(super) changed: Arc<Notify>,
    /// The drains whose connections the core wants to be reset.
    pub(super) resets: mpsc::Receiver<DrainId>,
    pub(super) statuses: watch::Sender<DrainStatuses>,
}

/// Has the address thread compare what is there with what is wanted.
pub(super) struct Reconcile(pub(super) Box<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Reconcile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reconcile")
    }
}

/// An instance that drains.
#[derive(Debug)]
struct DrainingInstance {
    addresses: BTreeSet<IpAddr>,
    since: MonoTime,
    until: MonoTime,
    progress: DrainProgress,
    /// Set when the addresses are here again: hosts may not have switched yet, and the other node
    /// passes on what they send until it hears that the drain is over.
    back: Option<MonoTime>,
}

impl LeaverTask {
    pub(super) async fn run(mut self) {
        let mut drains: BTreeMap<InstanceKey, DrainingInstance> = BTreeMap::new();
        let mut list_at: Option<MonoTime> = None;
        loop {
            let wait = async {
                match list_at {
                    Some(at) => sleep(at.since(clock::now())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                reset = self.resets.recv() => match reset {
                    Some(drain) => self.reset(drain, &mut drains).await,
                    None => return,
                },
                () = self.changed.notified() => {
                    sleep(CALM).await;
                    self.look(&mut drains).await;
                    let now = clock::now();
                    list_at = (!drains.is_empty()).then(|| list_at.unwrap_or(now).min(now));
                }
                () = wait => {
                    // An operator may have given a drain another end.
                    self.look(&mut drains).await;
                    self.list(&mut drains).await;
                    let now = clock::now();
                    let next = drains.values().map(|one| now + pause(now, one.since)).min();
                    list_at = next;
                }
            }
        }
    }

    /// Which instances drain now.
    async fn look(&self, drains: &mut BTreeMap<InstanceKey, DrainingInstance>) {
        let (reply, snapshot) = oneshot::channel();
        if self.mail.send(ThreadRequest::Snapshot(reply)).is_err() {
            return;
        }
        let Ok(snapshot) = snapshot.await else { return };
        let before = std::mem::take(drains);
        *drains = draining(clock::now(), &snapshot, before);
        if drains.is_empty() {
            self.publish(drains);
        }
    }

    /// Lists the connections of everything that drains.
    async fn list(&self, drains: &mut BTreeMap<InstanceKey, DrainingInstance>) {
        if drains.is_empty() {
            return;
        }
        // Somebody may have changed what keeps ARP silent.
        (self.reconcile.0)();
        let addresses: BTreeSet<IpAddr> =
            drains.values().flat_map(|one| one.addresses.iter().copied()).collect();
        let list = match in_background(move || connections::list(&addresses)).await {
            Ok(list) => list,
            Err(why) => {
                tracing::warn!(
                    "the open connections cannot be listed, and are not passed on to this node: {why}"
                );
                return;
            }
        };
        let now = clock::now();
        for (key, one) in drains.iter_mut() {
            let own = list.of(&one.addresses);
            if one.back.is_some() {
                continue;
            }
            one.progress.on_list(now, &own);
            let connections: Vec<Connection> = own.connections().collect();
            let link = ChannelLink { interface: key.interface, family: key.family };
            self.channel.connections(link, key.vrid.get(), connections).await;
            if one.progress.is_over(now.since(one.since)) {
                let _ = self.mail.send(Input::ConnectionsEnded {
                    drain: DrainId { key: *key, since: one.since },
                    reset: 0,
                });
            }
        }
        self.publish(drains);
    }

    /// Tells the other nodes, and those who show it.
    fn publish(&self, drains: &BTreeMap<InstanceKey, DrainingInstance>) {
        let now = clock::now();
        let status = |(key, one): (&InstanceKey, &DrainingInstance)| {
            let (left, oldest) = (one.progress.left(), one.progress.oldest(now));
            (*key, LocalDrain { since: one.since, until: one.until, left, oldest })
        };
        let statuses: DrainStatuses = drains.iter().map(status).collect();
        self.statuses.send_if_modified(|before| {
            let is_other = *before != statuses;
            *before = statuses;
            is_other
        });
    }

    /// Resets what is left of a drain.
    async fn reset(&self, drain: DrainId, drains: &mut BTreeMap<InstanceKey, DrainingInstance>) {
        // The addresses may be here again meanwhile, and have new connections.
        self.look(drains).await;
        let DrainId { key, since } = drain;
        let meant = drains.get(&key).filter(|one| one.since == since && one.back.is_none());
        let Some(addresses) = meant.map(|one| one.addresses.clone()) else { return };
        let reset = in_background(move || {
            let list = connections::list(&addresses)?;
            connections::destroy(&list.sockets)?;
            Ok(list.left())
        });
        match reset.await {
            Ok(reset) => drop(self.mail.send(Input::ConnectionsEnded { drain, reset })),
            // The core does not wait for ever.
            Err(why) => tracing::warn!("open connections cannot be reset, and will hang: {why}"),
        }
    }
}

fn pause(now: MonoTime, since: MonoTime) -> Duration {
    if now.since(since) < OFTEN_FOR { LIST_OFTEN } else { LIST }
}

/// Runs something that waits for the kernel on a thread of its own.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, connections::ConnectionsError> + Send + 'static,
) -> Result<T, String> {
    match timeout(KERNEL_LIMIT, blocking::spawn(work)).await {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Ok(Err(error))) => Err(error.to_string()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("the kernel does not answer within {KERNEL_LIMIT:?}")),
    }
}

/// What drains by a snapshot. What drained before goes on to be counted.
fn draining(
    now: MonoTime,
    snapshot: &Snapshot,
    mut before: BTreeMap<InstanceKey, DrainingInstance>,
) -> BTreeMap<InstanceKey, DrainingInstance> {
    let mut drains = BTreeMap::new();
    for router in &snapshot.routers {
        for instance in &router.instances {
            let before = before.remove(&instance.key);
            let Some(drain) = instance.draining.filter(|drain| drain.is_serving) else {
                let is_back = instance.state == StateName::Active;
                if let Some(mut one) = before.filter(|_| is_back) {
                    let back = *one.back.get_or_insert(now);
                    if now.since(back) < TOLD_AFTER {
                        drains.insert(instance.key, one);
                    }
                }
                continue;
            };
            let spec = router.spec.instances.iter().find(|spec| spec.family == instance.key.family);
            let addresses = spec.into_iter().flat_map(|spec| spec.held()).map(ipnet::IpNet::addr).collect();
            let progress = before.map(|one| one.progress).unwrap_or_default();
            let (since, until) = (drain.since, drain.until);
            let one = DrainingInstance { addresses, since, until, progress, back: None };
            drains.insert(instance.key, one);
        }
    }
    drains
}
