//! This node: every virtual router, every deadline; routes inputs to the router they are about.

use crate::protocol::counters::LinkCounters;
use crate::protocol::effect::{Answer, Effect, Effects};
use crate::protocol::event::Cause;
use crate::protocol::input::{Command, CommandId, Demotion, HoldResult, Input};
use crate::protocol::router::tracking::{self, Facts};
use crate::protocol::router::{Again, Presence, Router};
use crate::protocol::snapshot::Snapshot;
use crate::protocol::spec::{InstanceSpec, RouterSpec};
use crate::types::{
    AdvertPriority, Family, InstanceKey, InterfaceName, LinkFacts, MacAddr, MonoTime, RouterName,
};
use crate::wire::{Advertisement, Carrier, Reject, RejectReason};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// This node.
///
/// Contract: time never steps back from one call to the next; received packets are fed before
/// [`Input::Deadline`] ("receive before you judge"), so that after a stall the queued
/// advertisements are seen before any timer fires.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// In the order of their names.
    groups: Vec<Router>,
    /// Where each virtual router is in `groups`.
    index: BTreeMap<InstanceKey, usize>,
    /// When each group wants to be called; `wakes` is the same by group.
    deadlines: BTreeSet<(MonoTime, usize)>,
    wakes: Vec<Option<MonoTime>>,
    facts: Facts,
    strays: BTreeMap<(InterfaceName, Family), LinkCounters>,
    ending: Ending,
    /// Demotions of routers that are not configured: of an earlier run, or of an earlier configuration.
    remembered: BTreeMap<RouterName, Demotion>,
    /// Configured routers whose name or keys another one still has, which is leaving.
    waiting: BTreeMap<RouterName, RouterSpec>,
    /// Virtual routers that are gone: one entry a key ever configured.
    departed: BTreeMap<InstanceKey, Departed>,
    /// When it last compared the addresses of a foreign VRID with ours.
    looked: Option<MonoTime>,
    /// Counts changes of what runs.
    generation: u64,
}

/// Messages for other VRIDs are compared with our addresses no more often.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Ending {
    #[default]
    No,
    Underway,
    Done,
}

/// What outlives a virtual router.
#[derive(Debug, Clone)]
struct Departed {
    /// None is used twice.
    epoch: u64,
    /// Its last word may not be sent yet.
    instance: InstanceSpec,
}

impl Node {
    /// A node without any virtual router; [`Input::Configure`] gives it some.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one input. Never fails: every (state, input) pair has a row. Effects are appended in
    /// the order in which they must be carried out.
    pub fn handle(&mut self, now: MonoTime, input: Input<'_>, out: &mut Effects) {
        match input {
            Input::Deadline => self.on_deadline(now, out),
            Input::Received { interface, carrier, advertisement } => {
                self.on_heard(now, interface, carrier, &advertisement, out);
            }
            Input::Rejected { interface, family, source, reject } => {
                self.on_rejected(now, (interface, family), source, reject, out);
            }
            Input::AnnouncementHeard { interface, address, mac } => {
                self.on_announced(now, interface, address, mac, out);
            }
            Input::AddressesHeld(owned) => self.on_owned(now, owned, out),
            Input::AddressesRestored { key, count } => self.on_restored(now, key, count, out),
            Input::AddressesReinstalled { key } => {
                let group = self.index.get(&key).and_then(|at| self.groups.get_mut(*at));
                if let Some(group) = group {
                    group.on_reinstalled(now, key, out);
                }
            }
            Input::OtherName(name, real) => {
                self.facts.other_names.insert(name, real);
                self.evaluate_all(now, Cause::FaultCleared, out);
            }
            Input::Link(name, facts) => {
                self.on_link(now, name, facts, out);
                self.evaluate_all(now, Cause::FaultCleared, out);
            }
            Input::AddressesNotRestored { key, why } => self.on_unrestored(now, key, why, out),
            Input::Sockets(name, family, outcome) => {
                match outcome {
                    Ok(()) => drop(self.facts.deaf.remove(&(name, family))),
                    Err(why) => drop(self.facts.deaf.insert((name, family), why)),
                }
                self.evaluate_all(now, Cause::FaultCleared, out);
            }
            Input::CheckResult(name, health) => {
                self.facts.checks.insert(name, health);
                self.evaluate_all(now, Cause::FaultCleared, out);
            }
            Input::CheckRemoved(name) => {
                self.facts.checks.remove(&name);
                self.evaluate_all(now, Cause::FaultCleared, out);
            }
            Input::Command(id, command) => self.on_command(now, id, command, out),
            Input::SavedDemotion(router, demotion) => drop(self.remembered.insert(router, demotion)),
            Input::Configure(specs) => match self.ending {
                Ending::No => self.configure(now, specs, out),
                Ending::Underway | Ending::Done => {}
            },
            Input::FinishCrashedRun(specs) => self.inherit(now, specs, out),
            Input::Shutdown => {
                self.ending = Ending::Underway;
                self.waiting.clear();
                for group in &mut self.groups {
                    group.presence = Presence::Ending;
                }
                self.evaluate_all(now, Cause::Shutdown, out);
            }
        }
        self.finish(out);
    }

    /// When to call again with [`Input::Deadline`] at the latest, if nothing else happens. After
    /// `Input::Deadline` it lies later than `now`.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonoTime> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The addresses that `key` advertises, in order, then those it only holds. Of one that is gone, as
    /// they were; empty if it never was.
    #[must_use]
    pub fn addresses(&self, key: InstanceKey) -> (&[IpNet], &[IpNet]) {
        let group = self.index.get(&key).and_then(|at| self.groups.get(*at));
        let instance = group.and_then(|group| group.spec.instances.iter().find(|m| m.family == key.family));
        let departed = || self.departed.get(&key).map(|departed| &departed.instance);
        instance.or_else(departed).map_or((&[], &[]), |instance| (&instance.addresses, &instance.excluded))
    }

    /// Changes with the answers of [`Self::running`] and [`Self::addresses`].
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// What runs: the configured routers, but for those that wait until one that is leaving is gone, which
    /// is here in their stead.
    pub fn running(&self) -> impl Iterator<Item = &RouterSpec> {
        self.groups.iter().map(|group| &group.spec)
    }

    /// The state of everything, as owned data.
    #[must_use]
    pub fn snapshot(&self, now: MonoTime) -> Snapshot {
        let tracked = self.groups.iter().flat_map(|group| group.spec.tracks.iter());
        let names: BTreeSet<_> = tracked.filter_map(crate::protocol::spec::Track::check).collect();
        Snapshot {
            at: now,
            routers: self.groups.iter().map(|group| group.snapshot(now)).collect(),
            links: self.strays.iter().map(|((name, family), c)| (*name, *family, c.clone())).collect(),
            checks: names
                .into_iter()
                .map(|name| (name.clone(), self.facts.checks.get(name).copied()))
                .collect(),
        }
    }

    /// The socket refused an advertisement of `key`. It was counted as sent when it was decided, and is not. `errno`:
    /// the kernel's, if it was asked at all.
    pub fn on_unsent(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        priority: AdvertPriority,
        errno: Option<i32>,
        out: &mut Effects,
    ) {
        let Some(at) = self.index.get(&key).copied() else { return };
        if let Some(counters) = self.groups.get_mut(at).and_then(|group| group.counters_mut(key)) {
            counters.on_unsent(priority);
        }
        let Some(errno) = errno else { return };
        // Of a link that is away that is said already.
        if tracking::link_fault(key.interface, &self.facts).is_some() {
            return;
        }
        let (count, last) = self.facts.unsent.entry(key).or_insert((0, errno));
        *count = count.saturating_add(1);
        if *count == tracking::MUTE || *last != errno {
            *last = errno;
            self.with(now, at, out, |_, _| Again::Evaluate(Cause::FaultCleared));
        }
    }

    /// It took one again.
    pub fn on_sent_again(&mut self, now: MonoTime, key: InstanceKey, out: &mut Effects) {
        if self.facts.unsent.remove(&key).is_some()
            && let Some(at) = self.index.get(&key).copied()
        {
            self.with(now, at, out, |_, _| Again::Evaluate(Cause::FaultCleared));
        }
    }

    fn on_link(&mut self, now: MonoTime, name: InterfaceName, facts: Option<LinkFacts>, out: &mut Effects) {
        let mac = facts.as_ref().and_then(|facts| facts.mac);
        let before = match facts {
            Some(facts) => {
                self.facts.other_names.remove(&name);
                self.facts.links.insert(name, facts)
            }
            None => self.facts.links.remove(&name),
        };
        let moved = before.and_then(|before| before.mac).zip(mac).filter(|(from, to)| from != to);
        if let Some((from, to)) = moved {
            for group in self.groups.iter_mut().filter(|group| group.spec.interface == name) {
                group.on_mac(now, from, to, out);
            }
        }
    }

    fn on_deadline(&mut self, now: MonoTime, out: &mut Effects) {
        // A group may be due again at once (a hand-over that ends starts a router); each step makes
        // progress, so that this ends.
        while let Some((_, at)) = self.deadlines.first().copied().filter(|(due, _)| *due <= now) {
            self.with(now, at, out, |group, out| group.on_deadline(now, out));
        }
    }

    fn on_heard(
        &mut self,
        now: MonoTime,
        interface: InterfaceName,
        carrier: Carrier,
        advertisement: &Advertisement<'_>,
        out: &mut Effects,
    ) {
        let key = InstanceKey { interface, family: Family::of(carrier.source), vrid: advertisement.vrid };
        let reject = |reason| Reject { reason, vrid: Some(key.vrid) };
        let Some(at) = self.index.get(&key).copied() else {
            // RFC9568-7.1-6
            let link = (interface, key.family);
            self.on_other_vrid(now, carrier, interface, advertisement, out);
            return self.on_rejected(now, link, Some(carrier.source), reject(RejectReason::VridErrors), out);
        };
        let spoke = |group: &Router| group.has_spoken_from(key, carrier.source);
        if self.facts.is_own(interface, carrier.source) || self.groups.get(at).is_some_and(spoke) {
            return self.with(now, at, out, |group, out| {
                group.on_own(now, key, carrier.source, advertisement, out);
                Again::Nothing
            });
        }
        self.with(now, at, out, |group, out| group.on_heard(now, key, carrier, advertisement, out));
    }

    /// Whether somebody has our addresses under another VRID. A flood of foreign VRIDs is looked at now and then.
    fn on_other_vrid(
        &mut self,
        now: MonoTime,
        carrier: Carrier,
        interface: InterfaceName,
        advertisement: &Advertisement<'_>,
        out: &mut Effects,
    ) {
        if self.looked.is_some_and(|last| now.since(last) < BETWEEN_LOOKS) {
            return;
        }
        self.looked = Some(now);
        for group in self.groups.iter_mut().filter(|group| group.spec.interface == interface) {
            group.on_other_vrid(now, carrier, advertisement, out);
        }
    }

    fn on_announced(
        &mut self,
        now: MonoTime,
        interface: InterfaceName,
        address: IpAddr,
        mac: MacAddr,
        out: &mut Effects,
    ) {
        for at in 0..self.groups.len() {
            if self.groups.get(at).is_some_and(|group| group.is_listening(interface, address)) {
                self.with(now, at, out, |group, _| {
                    group.on_announced(now, address, mac);
                    Again::Nothing
                });
            }
        }
    }

    fn on_rejected(
        &mut self,
        now: MonoTime,
        (interface, family): (InterfaceName, Family),
        source: Option<IpAddr>,
        reject: Reject,
        out: &mut Effects,
    ) {
        let key = reject.vrid.map(|vrid| InstanceKey { interface, family, vrid });
        let group = key.and_then(|key| self.index.get(&key)).and_then(|at| self.groups.get_mut(*at));
        match (group, key) {
            (Some(group), Some(key)) => group.on_rejected(now, key, source, reject.reason, out),
            (Some(_) | None, _) => {
                let counters = self.strays.entry((interface, family)).or_default();
                *counters.rejected.entry(reject.reason).or_default() += 1;
            }
        }
    }

    fn on_owned(&mut self, now: MonoTime, owned: HoldResult, out: &mut Effects) {
        if let Some(at) = self.index.get(&owned.key).copied() {
            self.with(now, at, out, |group, out| group.on_owned(now, owned, out));
        }
    }

    fn on_unrestored(&mut self, now: MonoTime, key: InstanceKey, why: String, out: &mut Effects) {
        if let Some(at) = self.index.get(&key).copied() {
            self.with(now, at, out, |group, out| group.on_unrestored(now, key, why, out));
        }
    }

    fn on_restored(&mut self, now: MonoTime, key: InstanceKey, count: usize, out: &mut Effects) {
        let group = self.index.get(&key).and_then(|at| self.groups.get_mut(*at));
        if let Some(group) = group {
            group.on_restored(now, key, count, out);
        }
    }

    fn on_command(&mut self, now: MonoTime, id: CommandId, command: Command, out: &mut Effects) {
        let (Command::Demote { router, .. } | Command::Promote { router }) = &command;
        let Some(at) = self.groups.iter().position(|group| group.spec.name == *router) else {
            out.push(Effect::Answer { id, answer: Answer::UnknownRouter(router.clone()) });
            return;
        };
        self.with(now, at, out, |group, out| match command {
            Command::Demote { demotion, force, .. } => group.demote(now, id, demotion, force, out),
            Command::Promote { .. } => group.promote(now, id, out),
        });
    }

    /// Adds, retunes, removes. What replaces another router starts when that is gone.
    fn configure(&mut self, now: MonoTime, specs: Vec<RouterSpec>, out: &mut Effects) {
        let why = if self.generation == 0 { Cause::Startup } else { Cause::Configuration };
        self.waiting = specs.into_iter().map(|spec| (spec.name.clone(), spec)).collect();
        for group in &mut self.groups {
            match self.waiting.remove(&group.spec.name) {
                Some(spec) if group.spec.is_same_instance(&spec) => group.retune(now, spec, out),
                replacement => {
                    group.dismiss();
                    self.waiting.extend(replacement.map(|spec| (spec.name.clone(), spec)));
                }
            }
        }
        self.admit(now);
        self.evaluate_all(now, why, out);
    }

    /// Configured routers that nobody is in the way of come to be. Returns their names.
    fn admit(&mut self, now: MonoTime) -> BTreeSet<RouterName> {
        let keys: BTreeSet<InstanceKey> = self.groups.iter().flat_map(|group| group.spec.keys()).collect();
        let names: BTreeSet<RouterName> = self.groups.iter().map(|group| group.spec.name.clone()).collect();
        let free = |spec: &RouterSpec| !names.contains(&spec.name) && !spec.keys().any(|k| keys.contains(&k));
        let (admitted, waiting): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(_, spec)| free(spec));
        self.waiting = waiting;
        let fresh = admitted.keys().cloned().collect();
        for spec in admitted.into_values() {
            let demoted = self.remembered.remove(&spec.name);
            let departed = &self.departed;
            let epoch = |key| departed.get(&key).map_or(0, |departed| departed.epoch);
            self.groups.push(Router { demoted, ..Router::new(now, spec, epoch) });
        }
        self.groups.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        self.reindex();
        fresh
    }

    /// To a node without any router.
    fn inherit(&mut self, now: MonoTime, specs: Vec<RouterSpec>, out: &mut Effects) {
        self.groups = specs.into_iter().map(|spec| Router::new(now, spec, |_| 0)).collect();
        self.groups.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        self.reindex();
        for at in 0..self.groups.len() {
            self.with(now, at, out, |group, out| group.inherit(now, out));
        }
    }

    fn evaluate_all(&mut self, now: MonoTime, why: Cause, out: &mut Effects) {
        for at in 0..self.groups.len() {
            if let Some(group) = self.groups.get_mut(at) {
                group.evaluate(now, &self.facts, why, out);
                group.watch_service(now, out);
            }
            self.forget_unsent(at);
            self.reschedule(at);
        }
        // Not one by one: what goes would move the others to other places.
        self.replace_gone(now, out);
    }

    /// Lets `f` act on one group, and keeps everything that depends on it true.
    fn with(
        &mut self,
        now: MonoTime,
        at: usize,
        out: &mut Effects,
        f: impl FnOnce(&mut Router, &mut Effects) -> Again,
    ) {
        let Some(group) = self.groups.get_mut(at) else { return };
        let served = group.is_active();
        match f(group, out) {
            Again::Nothing => {}
            Again::Evaluate(why) => group.evaluate(now, &self.facts, why, out),
        }
        if !served && group.is_active() {
            group.update_concerns(now, &self.facts, out);
        }
        if group.has_outlived_its_facts() {
            group.evaluate(now, &self.facts, Cause::FaultCleared, out);
        }
        group.watch_service(now, out);
        group.lay_remarks(now, out);
        let gone = group.presence == Presence::Leaving && group.is_gone();
        self.forget_unsent(at);
        self.reschedule(at);
        if gone {
            self.replace_gone(now, out);
        }
    }

    /// Who says nothing any more does not know whether it would be sent.
    fn forget_unsent(&mut self, at: usize) {
        if self.facts.unsent.is_empty() {
            return;
        }
        if let Some(group) = self.groups.get(at).filter(|group| !group.is_active()) {
            self.facts.unsent.retain(|key, _| !group.instances.iter().any(|instance| instance.key == *key));
        }
    }

    fn reschedule(&mut self, at: usize) {
        let wake = self.groups.get(at).and_then(Router::wake);
        let Some(slot) = self.wakes.get_mut(at) else { return };
        if *slot == wake {
            return;
        }
        if let Some(old) = std::mem::replace(slot, wake) {
            self.deadlines.remove(&(old, at));
        }
        self.deadlines.extend(wake.map(|wake| (wake, at)));
    }

    /// Routers that left and let go make room for what replaces them.
    fn replace_gone(&mut self, now: MonoTime, out: &mut Effects) {
        let gone = |group: &Router| group.presence == Presence::Leaving && group.is_gone();
        if !self.groups.iter().any(gone) {
            return;
        }
        let (leaving, staying): (Vec<Router>, Vec<Router>) =
            std::mem::take(&mut self.groups).into_iter().partition(gone);
        self.groups = staying;
        for Router { spec, instances, demoted, .. } in leaving {
            let departed = spec.instances.into_iter().zip(instances);
            let departed = departed.map(|(instance, was)| (was.key, Departed { epoch: was.epoch, instance }));
            self.departed.extend(departed);
            // A demotion outlives its router: it may come back.
            self.remembered.extend(demoted.map(|demotion| (spec.name, demotion)));
        }
        let fresh = self.admit(now);
        for at in 0..self.groups.len() {
            if self.groups.get(at).is_some_and(|group| fresh.contains(&group.spec.name)) {
                self.with(now, at, out, |_, _| Again::Evaluate(Cause::Configuration));
            }
        }
    }

    fn reindex(&mut self) {
        self.generation += 1;
        self.index.clear();
        for (at, group) in self.groups.iter().enumerate() {
            self.index.extend(group.instances.iter().map(|instance| (instance.key, at)));
        }
        self.deadlines.clear();
        self.wakes = vec![None; self.groups.len()];
        for at in 0..self.groups.len() {
            self.reschedule(at);
        }
    }

    /// Says once that everything is let go.
    fn finish(&mut self, out: &mut Effects) {
        if self.ending == Ending::Underway && self.groups.iter().all(Router::is_gone) {
            self.ending = Ending::Done;
            out.push(Effect::Stopped);
        }
    }
}
