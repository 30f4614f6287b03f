//! Which routers run after a configuration, and which wait until those that leave are gone.

use super::{Ending, Node, RouterId};
use crate::protocol::effect::{Effect, Effects};
use crate::protocol::event::Cause;
use crate::protocol::input::Demotion;
use crate::protocol::router::{FollowUp, Router};
use crate::protocol::spec::{InstanceSpec, RouterSpec};
use crate::types::{InstanceKey, MonoTime, RouterName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What is kept for routers that do not run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Succession {
    /// Demotions of routers that are not configured: of an earlier run, or of an earlier
    /// configuration.
    saved_demotions: BTreeMap<RouterName, Demotion>,
    /// Configured routers whose name or keys another router still has, which is leaving.
    waiting: BTreeMap<RouterName, RouterSpec>,
    /// Instances that are gone: one entry for each key that was ever configured.
    departed: BTreeMap<InstanceKey, Departed>,
    /// Drains of an earlier run, until their router is configured.
    saved_drains: BTreeMap<InstanceKey, MonoTime>,
    /// For each instance, the routers to which connections can be left.
    drain_partners: BTreeMap<InstanceKey, BTreeSet<IpAddr>>,
    better_backups: BTreeMap<InstanceKey, u8>,
}

/// What outlives an instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Departed {
    /// The last epoch that was used for this key. Its successor continues from it.
    epoch: u64,
    /// The last advertisement may not be sent yet, and needs the addresses.
    instance: InstanceSpec,
}

impl Succession {
    pub(super) fn save_demotion(&mut self, router: RouterName, demotion: Demotion) {
        self.saved_demotions.insert(router, demotion);
    }

    /// An earlier run was draining, until then at the latest.
    pub(super) fn save_drain(&mut self, key: InstanceKey, until: MonoTime) {
        self.saved_drains.insert(key, until);
    }

    pub(super) fn set_drain_partners(&mut self, partners: BTreeMap<InstanceKey, BTreeSet<IpAddr>>) {
        self.drain_partners = partners;
    }

    /// The routers to which the connections of an instance can be left.
    pub(super) fn drain_partners(&self, key: InstanceKey) -> BTreeSet<IpAddr> {
        self.drain_partners.get(&key).cloned().unwrap_or_default()
    }

    pub(super) fn set_better_backups(&mut self, ahead: BTreeMap<InstanceKey, u8>) {
        self.better_backups = ahead;
    }

    /// How many other Backups would win the election against an instance.
    pub(super) fn better_backups(&self, key: InstanceKey) -> u8 {
        self.better_backups.get(&key).copied().unwrap_or_default()
    }

    /// The specification of an instance that is gone.
    pub(super) fn departed(&self, key: InstanceKey) -> Option<&InstanceSpec> {
        self.departed.get(&key).map(|departed| &departed.instance)
    }

    fn epoch(&self, key: InstanceKey) -> u64 {
        self.departed.get(&key).map_or(0, |departed| departed.epoch)
    }

    /// A router is gone.
    fn bury(&mut self, router: Router) {
        let keys: Vec<InstanceKey> = router.keys().collect();
        let (spec, epochs, demotion) = router.into_remains();
        let instances = keys.into_iter().zip(epochs).zip(spec.instances);
        self.departed.extend(instances.map(|((key, epoch), instance)| (key, Departed { epoch, instance })));
        // A demotion outlives its router, which may come back.
        self.saved_demotions.extend(demotion.map(|demotion| (spec.name, demotion)));
    }
}

impl Node {
    /// Adds, changes and removes routers. What replaces another router starts when that is gone.
    pub(super) fn configure(&mut self, now: MonoTime, specs: Vec<RouterSpec>, out: &mut Effects) {
        if self.ending != Ending::No {
            return;
        }
        let cause = if self.generation == 0 { Cause::Startup } else { Cause::Configuration };
        let mut waiting: BTreeMap<_, _> = specs.into_iter().map(|spec| (spec.name.clone(), spec)).collect();
        for router in self.routers.values_mut() {
            match waiting.remove(router.name()) {
                Some(spec) if router.spec().is_same_instance(&spec) => router.reconfigure(now, spec, out),
                replacement => {
                    router.remove();
                    waiting.extend(replacement.map(|spec| (spec.name.clone(), spec)));
                }
            }
        }
        self.succession.waiting = waiting;
        self.admit(now, out);
        self.evaluate_each(now, cause, out, |_| true);
    }

    /// Configured routers that no other router is in the way of come to be. Returns them.
    fn admit(&mut self, now: MonoTime, out: &mut Effects) -> Vec<RouterId> {
        let keys: BTreeSet<InstanceKey> = self.routers.values().flat_map(Router::keys).collect();
        let names: BTreeSet<RouterName> = self.routers.values().map(|router| router.name().clone()).collect();
        let free = |spec: &RouterSpec| !names.contains(&spec.name) && !spec.keys().any(|k| keys.contains(&k));
        let (admitted, waiting): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.succession.waiting).into_iter().partition(|(_, spec)| free(spec));
        self.succession.waiting = waiting;
        self.generation += 1;
        admitted.into_values().map(|spec| self.add(now, spec, out)).collect()
    }

    fn add(&mut self, now: MonoTime, spec: RouterSpec, out: &mut Effects) -> RouterId {
        let demoted = self.succession.saved_demotions.remove(&spec.name);
        let mut router = Router::new(now, spec, demoted, |key| self.succession.epoch(key));
        router.set_drain_partners(|key| self.succession.drain_partners(key));
        router.set_better_backups(|key| self.succession.better_backups(key));
        router.resume_drains(now, |key| self.succession.saved_drains.get(&key).copied(), out);
        for key in router.keys() {
            self.succession.saved_drains.remove(&key);
        }
        let id = RouterId(self.next_id);
        self.next_id += 1;
        self.by_key.extend(router.keys().map(|key| (key, id)));
        self.routers.insert(id, router);
        self.reschedule(id);
        id
    }

    /// Routers that a crashed run left as Active are handed over. To a node without any router.
    pub(super) fn finish_crashed_run(&mut self, now: MonoTime, specs: Vec<RouterSpec>, out: &mut Effects) {
        let specs: BTreeMap<_, _> = specs.into_iter().map(|spec| (spec.name.clone(), spec)).collect();
        self.generation += 1;
        let routers: Vec<RouterId> = specs.into_values().map(|spec| self.add(now, spec, out)).collect();
        for id in routers {
            self.act_on(now, id, out, |router, out| router.finish_crashed_run(now, out));
        }
    }

    /// Routers that were removed and are gone make room for what replaces them.
    pub(super) fn replace_gone(&mut self, now: MonoTime, out: &mut Effects) {
        let gone: Vec<RouterId> =
            self.routers.iter().filter(|(_, router)| router.is_gone()).map(|(id, _)| *id).collect();
        if gone.is_empty() {
            return;
        }
        for id in gone {
            self.schedule.set(id, None);
            if let Some(router) = self.routers.remove(&id) {
                self.by_key.retain(|_, of| *of != id);
                self.succession.bury(router);
            }
        }
        for id in self.admit(now, out) {
            let start = FollowUp::Evaluate { cause_if_started: Cause::Configuration };
            self.act_on(now, id, out, |_, _| start);
        }
    }

    /// The daemon stops: every router hands over and lets go, and none starts any more. One that
    /// was removed stays where it is when it is at rest, so that nothing takes its place.
    pub(super) fn shut_down(&mut self, now: MonoTime, out: &mut Effects) {
        self.ending = Ending::Underway;
        for router in self.routers.values_mut() {
            router.shut_down();
        }
        self.evaluate_each(now, Cause::Shutdown, out, |_| true);
    }

    /// Reports once that everything is let go.
    pub(super) fn finish(&mut self, out: &mut Effects) {
        if self.ending == Ending::Underway && self.routers.values().all(Router::is_at_rest) {
            self.ending = Ending::Done;
            out.push(Effect::Stopped);
        }
    }
}
