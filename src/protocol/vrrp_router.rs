//! This node: every virtual router, every deadline; routes inputs to the router they are about.

use super::counters::LinkCounters;
use super::effect::{Answer, Effect, Effects};
use super::event::Cause;
use super::group::{Again, Group, Presence};
use super::input::{Command, CommandId, Demotion, Input, Owned};
use super::snapshot::Snapshot;
use super::spec::RouterSpec;
use super::tracking::Facts;
use crate::types::{Family, InterfaceName, MonoTime, RouterName, VrKey};
use crate::wire::{Advertisement, Carrier, Reject, RejectReason};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

/// This node.
///
/// Contract: time never steps back from one call to the next; received packets are fed before
/// [`Input::Deadline`] ("receive before you judge"), so that after a stall the queued
/// advertisements are seen before any timer fires.
#[derive(Debug, Clone, Default)]
pub struct VrrpRouter {
    /// In the order of their names.
    groups: Vec<Group>,
    /// Where each virtual router is in `groups`.
    index: BTreeMap<VrKey, usize>,
    /// When each group wants to be called; `wakes` is the same by group.
    deadlines: BTreeSet<(MonoTime, usize)>,
    wakes: Vec<Option<MonoTime>>,
    facts: Facts,
    strays: BTreeMap<(InterfaceName, Family), LinkCounters>,
    ending: Ending,
    /// Demotions of routers that are not configured: of an earlier run, or of an earlier configuration.
    remembered: BTreeMap<RouterName, Demotion>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Ending {
    #[default]
    No,
    Underway,
    Done,
}

impl VrrpRouter {
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
            Input::Heard { interface, carrier, advertisement } => {
                self.on_heard(now, interface, carrier, &advertisement, out);
            }
            Input::Rejected { interface, family, reject } => {
                self.on_rejected(now, interface, family, reject, out);
            }
            Input::Owned(owned) => self.on_owned(now, owned, out),
            Input::Restored { key, count } => self.on_restored(key, count, out),
            Input::Link(name, facts) => {
                match facts {
                    Some(facts) => drop(self.facts.links.insert(name, facts)),
                    None => drop(self.facts.links.remove(&name)),
                }
                self.evaluate_all(now, Cause::FaultCleared, out);
            }
            Input::Unrestored { key, why } => self.on_unrestored(now, key, why, out),
            Input::Sockets(name, family, outcome) => {
                match outcome {
                    Ok(()) => drop(self.facts.deaf.remove(&(name, family))),
                    Err(why) => drop(self.facts.deaf.insert((name, family), why)),
                }
                self.evaluate_all(now, Cause::FaultCleared, out);
            }
            Input::Check(name, health) => {
                self.facts.checks.insert(name, health);
                self.evaluate_all(now, Cause::FaultCleared, out);
            }
            Input::Operator(id, command) => self.on_command(now, id, command, out),
            Input::Remembered(router, demotion) => drop(self.remembered.insert(router, demotion)),
            Input::Configure(specs) => self.configure(now, specs, out),
            Input::Inherit(specs) => self.inherit(now, specs, out),
            Input::Shutdown => {
                self.ending = Ending::Underway;
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

    /// The addresses that `key` advertises, in order, then those it only holds; empty if it is not
    /// configured.
    #[must_use]
    pub fn addresses(&self, key: VrKey) -> (&[IpNet], &[IpNet]) {
        let group = self.index.get(&key).and_then(|at| self.groups.get(*at));
        let member = group.and_then(|group| group.spec.members.iter().find(|m| m.family == key.family));
        member.map_or((&[], &[]), |member| (&member.addresses, &member.excluded))
    }

    /// The state of everything, as owned data.
    #[must_use]
    pub fn snapshot(&self, now: MonoTime) -> Snapshot {
        let tracked = self.groups.iter().flat_map(|group| group.spec.tracks.iter());
        let names: BTreeSet<_> = tracked.filter_map(super::spec::Track::check).collect();
        Snapshot {
            at: now,
            routers: self.groups.iter().map(Group::snapshot).collect(),
            links: self.strays.iter().map(|((name, family), c)| (*name, *family, c.clone())).collect(),
            checks: names
                .into_iter()
                .map(|name| (name.clone(), self.facts.checks.get(name).copied()))
                .collect(),
        }
    }

    /// Counts an advertisement of `key` that the socket refused.
    pub fn count_transmit_error(&mut self, key: VrKey) {
        let group = self.index.get(&key).and_then(|at| self.groups.get_mut(*at));
        if let Some(counters) = group.and_then(|group| group.counters_mut(key)) {
            counters.tx_errors += 1;
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
        let key = VrKey { interface, family: Family::of(carrier.source), vrid: advertisement.vrid };
        let reject = |reason| Reject { reason, vrid: Some(key.vrid) };
        let Some(at) = self.index.get(&key).copied() else {
            // RFC9568-7.1-6
            return self.on_rejected(now, interface, key.family, reject(RejectReason::VridErrors), out);
        };
        if self.facts.is_own(interface, carrier.source) {
            // RFC9568-7.1-15
            return self.on_rejected(now, interface, key.family, reject(RejectReason::OwnPackets), out);
        }
        self.with(now, at, out, |group, out| group.on_heard(now, key, carrier, advertisement, out));
    }

    fn on_rejected(
        &mut self,
        now: MonoTime,
        interface: InterfaceName,
        family: Family,
        reject: Reject,
        out: &mut Effects,
    ) {
        let key = reject.vrid.map(|vrid| VrKey { interface, family, vrid });
        let group = key.and_then(|key| self.index.get(&key)).and_then(|at| self.groups.get_mut(*at));
        match (group, key) {
            (Some(group), Some(key)) => group.on_rejected(now, key, None, reject.reason, out),
            (Some(_) | None, _) => {
                let counters = self.strays.entry((interface, family)).or_default();
                *counters.rejected.entry(reject.reason).or_default() += 1;
            }
        }
    }

    fn on_owned(&mut self, now: MonoTime, owned: Owned, out: &mut Effects) {
        if let Some(at) = self.index.get(&owned.key).copied() {
            self.with(now, at, out, |group, out| group.on_owned(now, owned, out));
        }
    }

    fn on_unrestored(&mut self, now: MonoTime, key: VrKey, why: String, out: &mut Effects) {
        if let Some(at) = self.index.get(&key).copied() {
            self.with(now, at, out, |group, out| group.on_unrestored(now, key, why, out));
        }
    }

    fn on_restored(&mut self, key: VrKey, count: usize, out: &mut Effects) {
        let group = self.index.get(&key).and_then(|at| self.groups.get_mut(*at));
        if let Some(group) = group {
            group.on_restored(key, count, out);
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

    /// Adds, retunes, removes; what keeps its interface, VRID and families keeps its state.
    fn configure(&mut self, now: MonoTime, specs: Vec<RouterSpec>, out: &mut Effects) {
        let mut wanted: BTreeMap<RouterName, RouterSpec> =
            specs.into_iter().map(|spec| (spec.name.clone(), spec)).collect();
        for group in &mut self.groups {
            let replacement = wanted.remove(&group.spec.name);
            match replacement {
                Some(spec) if same_identity(&spec, &group.spec) => {
                    group.presence = Presence::Wanted;
                    group.retune(now, spec, out);
                }
                replacement => group.presence = Presence::Leaving(replacement.map(Box::new)),
            }
        }
        for spec in wanted.into_values() {
            let demoted = self.remembered.remove(&spec.name);
            self.groups.push(Group { demoted, ..Group::new(now, spec) });
        }
        self.groups.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        self.reindex();
        self.evaluate_all(now, Cause::Startup, out);
        self.replace_gone(now, out);
    }

    /// To a node without any router.
    fn inherit(&mut self, now: MonoTime, specs: Vec<RouterSpec>, out: &mut Effects) {
        self.groups = specs.into_iter().map(|spec| Group::new(now, spec)).collect();
        self.groups.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        self.reindex();
        for at in 0..self.groups.len() {
            self.with(now, at, out, |group, out| group.inherit(now, out));
        }
    }

    fn evaluate_all(&mut self, now: MonoTime, why: Cause, out: &mut Effects) {
        for at in 0..self.groups.len() {
            self.with(now, at, out, |_, _| Again::Evaluate(why));
        }
    }

    /// Lets `f` act on one group, and keeps everything that depends on it true.
    fn with(
        &mut self,
        now: MonoTime,
        at: usize,
        out: &mut Effects,
        f: impl FnOnce(&mut Group, &mut Effects) -> Again,
    ) {
        let Some(group) = self.groups.get_mut(at) else { return };
        match f(group, out) {
            Again::Nothing => {}
            Again::Evaluate(why) => group.evaluate(now, &self.facts, why, out),
        }
        let gone = matches!(group.presence, Presence::Leaving(_)) && group.is_idle();
        self.reschedule(at);
        if gone {
            self.replace_gone(now, out);
        }
    }

    fn reschedule(&mut self, at: usize) {
        let wake = self.groups.get(at).and_then(Group::wake);
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
        let gone = |group: &Group| matches!(group.presence, Presence::Leaving(_)) && group.is_idle();
        if !self.groups.iter().any(gone) {
            return;
        }
        let (leaving, staying): (Vec<Group>, Vec<Group>) =
            std::mem::take(&mut self.groups).into_iter().partition(gone);
        self.groups = staying;
        let mut fresh: Vec<RouterName> = Vec::new();
        for group in leaving {
            let Group { presence, demoted, .. } = group;
            match presence {
                Presence::Leaving(Some(spec)) => {
                    fresh.push(spec.name.clone());
                    self.groups.push(Group { demoted, ..Group::new(now, *spec) });
                }
                // A demotion outlives its router: it may come back.
                Presence::Leaving(None) => {
                    self.remembered.extend(demoted.map(|demotion| (group.spec.name, demotion)))
                }
                Presence::Wanted | Presence::Ending => {}
            }
        }
        self.groups.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        self.reindex();
        for at in 0..self.groups.len() {
            if self.groups.get(at).is_some_and(|group| fresh.contains(&group.spec.name)) {
                self.with(now, at, out, |_, _| Again::Evaluate(Cause::Configuration));
            }
        }
    }

    fn reindex(&mut self) {
        self.index.clear();
        for (at, group) in self.groups.iter().enumerate() {
            self.index.extend(group.members.iter().map(|member| (member.key, at)));
        }
        self.deadlines.clear();
        self.wakes = vec![None; self.groups.len()];
        for at in 0..self.groups.len() {
            self.reschedule(at);
        }
    }

    /// Says once that everything is let go.
    fn finish(&mut self, out: &mut Effects) {
        if self.ending == Ending::Underway && self.groups.iter().all(Group::is_idle) {
            self.ending = Ending::Done;
            out.push(Effect::Stopped);
        }
    }
}

/// Whether one specification can become the other without a new state machine.
fn same_identity(a: &RouterSpec, b: &RouterSpec) -> bool {
    let families = |spec: &RouterSpec| spec.members.iter().map(|m| m.family).collect::<Vec<_>>();
    a.interface == b.interface && a.vrid == b.vrid && families(a) == families(b)
}
