//! The instances that this node drains: which connections are theirs, and how far each is. Pure.

use super::drain_addresses::DrainAddresses;
use super::leaver::DrainStatuses;
use super::progress::{DrainProgress, OpenConnections};
use crate::channel::LocalDrain;
use crate::protocol::{DrainId, Snapshot, StateName};
use crate::types::{InstanceKey, MonoTime};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// How often connections are listed at first, when new ones may still begin here.
const LIST_OFTEN: Duration = Duration::from_millis(250);
/// Hosts have switched after this time.
const OFTEN_FOR: Duration = Duration::from_secs(6);
/// How often they are listed later.
const LIST: Duration = Duration::from_secs(1);
/// How often the routers are looked at while nothing is known to drain: an event that says so may be
/// lost when very many happen at once.
const LOOK: Duration = Duration::from_secs(5);
/// The other nodes are told so long after the addresses came back that nothing drains here any more.
const TOLD_AFTER: Duration = Duration::from_secs(2);

/// Addresses of several instances.
pub(super) type AddressesByInstance = BTreeMap<InstanceKey, BTreeSet<IpAddr>>;

/// The drains whose connections are to be reset. Another drain of the same instance keeps its own.
pub(super) type AskedResets = BTreeSet<DrainId>;

/// All instances that drain.
#[derive(Debug, Default)]
pub(super) struct LeavingInstances {
    instances: BTreeMap<InstanceKey, LeavingInstance>,
    /// What Active routers of this node hold. A reload may have given them an address of a drain that
    /// is under way; then its connections are theirs.
    served: BTreeSet<IpAddr>,
}

/// An instance that drains.
#[derive(Debug)]
struct LeavingInstance {
    /// The addresses when the drain began. They stay the same until it ends: if a reload changes them,
    /// the connections that are then to be reset are those to the addresses before.
    addresses: DrainAddresses,
    /// When the drain began. Another drain of the same instance began at another time.
    since: MonoTime,
    until: MonoTime,
    progress: DrainProgress,
    /// Set when the addresses are here again: hosts may not have switched yet, and the other node
    /// passes on what they send until it hears that the drain is over.
    back: Option<MonoTime>,
}

impl LeavingInstances {
    pub(super) fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    /// Learns from a snapshot what drains now.
    pub(super) fn follow(&mut self, now: MonoTime, snapshot: &Snapshot) {
        let mut before = std::mem::take(self).instances;
        for router in &snapshot.routers {
            for instance in &router.instances {
                let before = before.remove(&instance.key);
                let is_active = instance.state == StateName::Active;
                let Some(drain) = instance.draining.filter(|drain| drain.is_serving) else {
                    if let Some(mut one) = before.filter(|_| is_active) {
                        let back = *one.back.get_or_insert(now);
                        if now.since(back) < TOLD_AFTER {
                            self.instances.insert(instance.key, one);
                        }
                    }
                    continue;
                };
                let (since, until) = (drain.since, drain.until);
                let one = match before.filter(|one| one.since == since) {
                    Some(one) => LeavingInstance { until, back: None, ..one },
                    None => LeavingInstance {
                        addresses: DrainAddresses::of(router, instance.key),
                        since,
                        until,
                        progress: DrainProgress::default(),
                        back: None,
                    },
                };
                self.instances.insert(instance.key, one);
            }
        }
        if !self.is_empty() {
            self.served = served(snapshot);
        }
    }

    /// The addresses whose connections are to be listed.
    pub(super) fn to_list(&self) -> AddressesByInstance {
        let leaving = self.instances.iter().filter(|(_, one)| one.back.is_none());
        leaving.map(|(key, one)| (*key, self.without_served(&one.addresses.passed_on))).collect()
    }

    /// Of the drains whose connections were asked to be reset, those that go on: whoever has its
    /// addresses again keeps its connections.
    pub(super) fn still_asked(&self, asked: &AskedResets) -> AskedResets {
        let goes_on = |drain: &&DrainId| {
            let one = self.instances.get(&drain.key);
            one.is_some_and(|one| one.back.is_none() && one.since == drain.since)
        };
        asked.iter().filter(goes_on).copied().collect()
    }

    /// The addresses to which connections are to be reset.
    pub(super) fn to_reset(&self, asked: &AskedResets) -> AddressesByInstance {
        let is_asked = |key: InstanceKey, one: &LeavingInstance| {
            let since = one.since;
            asked.contains(&DrainId { key, since })
        };
        let leaving = self.instances.iter().filter(|(key, one)| is_asked(**key, one));
        leaving.map(|(key, one)| (*key, self.without_served(&one.addresses.all))).collect()
    }

    fn without_served(&self, addresses: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
        addresses.difference(&self.served).copied().collect()
    }

    /// Takes what a list says of an instance. Returns its drain if that is over.
    pub(super) fn on_list(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        list: &OpenConnections,
    ) -> Option<DrainId> {
        let one = self.instances.get_mut(&key)?;
        let since = one.since;
        one.progress.on_list(now, list);
        one.progress.is_over(now.since(since)).then_some(DrainId { key, since })
    }

    /// What the other nodes are told, and those who show it.
    pub(super) fn statuses(&self, now: MonoTime) -> DrainStatuses {
        let status = |(key, one): (&InstanceKey, &LeavingInstance)| {
            let (left, oldest) = (one.progress.left(), one.progress.oldest(now));
            (*key, LocalDrain { since: one.since, until: one.until, left, oldest })
        };
        self.instances.iter().map(status).collect()
    }

    /// After how long the routers are looked at next, and connections are listed.
    pub(super) fn pause(&self, now: MonoTime) -> Duration {
        let often = |one: &LeavingInstance| now.since(one.since) < OFTEN_FOR;
        match self.instances.values().map(often).max() {
            Some(true) => LIST_OFTEN,
            Some(false) => LIST,
            None => LOOK,
        }
    }
}

/// All addresses of the instances that are Active here.
fn served(snapshot: &Snapshot) -> BTreeSet<IpAddr> {
    let instances =
        snapshot.routers.iter().flat_map(|router| router.instances.iter().map(move |it| (router, it)));
    let active = instances.filter(|(_, instance)| instance.state == StateName::Active);
    active.flat_map(|(router, instance)| DrainAddresses::of(router, instance.key).all).collect()
}

#[cfg(test)]
#[path = "leaving_tests.rs"]
mod tests;
