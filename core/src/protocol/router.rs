//! The virtual routers that move together: both families of one configured router (docs/adr/0003).
//!
//! Owns when they start, claim, yield, hand over and stop. The state machine of each is in
//! `virtual_router`; what an advertisement does to it in `reception`.

pub(in crate::protocol) mod crashed_run;
pub(in crate::protocol) mod demotion;
pub(in crate::protocol) mod handover;
pub(in crate::protocol) mod interruption;
pub(in crate::protocol) mod peer_warnings;
pub(in crate::protocol) mod receive;
pub(in crate::protocol) mod stopping;
pub(in crate::protocol) mod throttle;
pub(in crate::protocol) mod tracking;

pub use peer_warnings::StandingPeerWarning;

use crate::protocol::counters::Counters;
use crate::protocol::effect::{Effect, Effects};
use crate::protocol::event::{Cause, Event, EventKind, HandoverCause};
use crate::protocol::input::{Demotion, Fault, HoldResult, LastResort};
use crate::protocol::instance::reception::{List, Tie};
use crate::protocol::instance::{Instance, Policy, State};
use crate::protocol::local_warning::LocalWarning;
use crate::protocol::router::handover::{Handover, Seen, Watch};
use crate::protocol::router::interruption::Interruption;
use crate::protocol::router::peer_warnings::PeerWarnings;
use crate::protocol::router::throttle::Throttle;
use crate::protocol::router::tracking::{Facts, Standing};
use crate::protocol::snapshot::RouterSnapshot;
use crate::protocol::spec::{CheckName, InstanceSpec, RouterSpec, Track};
use crate::protocol::timing::active_down_interval;
use crate::types::{AdverInterval, AdvertPriority, InstanceKey, MacAddr, MonoTime, Preempt, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// After the kernel refused the addresses, the router tries again this much later.
const REFUSED_RETRY: Duration = Duration::from_secs(10);

/// One configured router.
#[derive(Debug, Clone)]
pub(in crate::protocol) struct Router {
    pub(in crate::protocol) spec: RouterSpec,
    pub(in crate::protocol) policy: Policy,
    pub(in crate::protocol) instances: Vec<Instance>,
    pub(in crate::protocol) faults: BTreeSet<Fault>,
    /// Since when each stands.
    pub(in crate::protocol) concerns: BTreeMap<LocalWarning, MonoTime>,
    /// What would be faults if it lasted.
    pub(in crate::protocol) interruption: Option<Interruption>,
    /// What each check adds to the priority now.
    pub(in crate::protocol) weights: BTreeMap<CheckName, i32>,
    /// Those that went last.
    pub(in crate::protocol) cleared: Vec<Fault>,
    pub(in crate::protocol) demoted: Option<Demotion>,
    pub(in crate::protocol) handover: Option<Handover>,
    /// Why the kernel refused the addresses, and when to try again.
    pub(in crate::protocol) refused: Option<(String, MonoTime)>,
    pub(in crate::protocol) presence: Presence,
    pub(in crate::protocol) throttle: Throttle,
    pub(in crate::protocol) remarks: PeerWarnings,
    /// Whether the one who took over stays.
    pub(in crate::protocol) watch: Option<Watch>,
    /// Checks that it tracks since it runs and that have no verdict yet: no reason to stop what serves.
    pub(in crate::protocol) on_trial: BTreeSet<CheckName>,
}

/// Whether the router is to be there at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::protocol) enum Presence {
    Wanted,
    /// The agent ends.
    Ending,
    /// It left the configuration, or what replaces it starts when it is gone.
    Leaving,
}

impl Router {
    /// `epoch` is the last one that each key had.
    pub(in crate::protocol) fn new(
        now: MonoTime,
        spec: RouterSpec,
        epoch: impl Fn(InstanceKey) -> u64,
    ) -> Self {
        let instances = spec.instances.iter().map(|instance| {
            let key = spec.key(instance.family);
            Instance::new(key, now, epoch(key), width(instance))
        });
        let instances = instances.collect();
        Self {
            policy: policy(&spec, AdvertPriority::RESIGN, now),
            spec,
            instances,
            faults: BTreeSet::new(),
            concerns: BTreeMap::new(),
            interruption: None,
            cleared: Vec::new(),
            weights: BTreeMap::new(),
            demoted: None,
            handover: None,
            refused: None,
            presence: Presence::Wanted,
            throttle: Throttle::default(),
            remarks: PeerWarnings::default(),
            watch: None,
            on_trial: BTreeSet::new(),
        }
    }

    /// Recomputes everything that follows from facts, and starts or stops accordingly. `why` is the
    /// cause of a start.
    pub(in crate::protocol) fn evaluate(
        &mut self,
        now: MonoTime,
        facts: &Facts,
        why: Cause,
        out: &mut Effects,
    ) {
        for instance in &mut self.instances {
            instance.set_source(tracking::source(&self.spec, instance.key.family, facts, instance.source));
        }
        self.weigh(facts, out);
        // One that starts waits for the verdicts; one that runs goes on until they come.
        if self.is_idle() {
            self.on_trial.clear();
        }
        self.on_trial.retain(|check| !facts.checks.contains_key(check));
        let mut faults = tracking::faults(&self.spec, facts);
        faults.retain(|fault| !self.is_on_trial(fault) && !self.is_tolerated(fault));
        if !self.is_active() {
            faults.retain(|fault| !tracking::is_explained(&self.spec, facts, fault));
        }
        // What the kernel refused on a link that is dead, or gone, it may take on the next: that is asked at once. Who is
        // Active without its addresses lets go first, however short the interruption is.
        if !self.is_active() && faults.iter().any(|fault| tracking::is_dead_link(&self.spec, fault)) {
            self.refused = None;
        }
        faults.extend(self.refused.as_ref().map(|(why, _)| Fault::Addresses(why.clone())));
        self.wait_out(now, &mut faults, out);
        let cleared: Vec<Fault> = self.faults.difference(&faults).cloned().collect();
        if !cleared.is_empty() {
            self.cleared = cleared;
        }
        for fault in self.faults.difference(&faults) {
            out.push(report(&self.spec, None, EventKind::FaultCleared(fault.clone())));
        }
        for fault in faults.difference(&self.faults) {
            out.push(report(&self.spec, None, EventKind::FaultRaised(fault.clone())));
        }
        self.faults = faults;
        self.update_concerns(now, facts, out);
        if self.faults.iter().any(|fault| tracking::is_dead_link(&self.spec, fault)) {
            self.watch = None; // Whether anybody serves cannot be heard.
        }
        let served = self.is_active();
        match self.obstacle() {
            None => {
                self.relent();
                self.start(now, why, out);
            }
            Some(obstacle) => self.stop(now, obstacle, out),
        }
        // An owner serves from its start.
        if !served && self.is_active() {
            self.update_concerns(now, facts, out);
        }
        if self.has_outlived_its_facts() {
            self.evaluate(now, facts, why, out);
        }
    }

    /// The interface has another hardware address: hosts send to one that nobody has.
    pub(in crate::protocol) fn on_mac(
        &mut self,
        now: MonoTime,
        from: MacAddr,
        to: MacAddr,
        out: &mut Effects,
    ) {
        let announcing = |m: &&mut Instance| matches!(&m.state, State::Active(active) if active.announces());
        let mut told = false;
        for instance in self.instances.iter_mut().filter(announcing) {
            instance.begin_announcing(now, &self.policy, out);
            told = true;
        }
        if told {
            let kind = EventKind::MacChanged { interface: self.spec.interface, from, to };
            out.push(report(&self.spec, None, kind));
        }
    }

    /// Addresses that had gone with the interface are back.
    pub(in crate::protocol) fn on_reinstalled(&mut self, now: MonoTime, key: InstanceKey, out: &mut Effects) {
        if let Some(instance) = self.instances.iter_mut().find(|m| m.key == key) {
            instance.on_restored(now, out);
        }
    }

    /// It does something else now, so that facts have to be looked at again: what was a concern of one who serves, and
    /// what was waited out, may be faults.
    pub(in crate::protocol) fn has_outlived_its_facts(&self) -> bool {
        (!self.is_active() && !self.concerns.is_empty()) || self.has_outlived_its_interruption()
    }

    /// Replaces the specification of a router whose interface, VRID and families stay: state and
    /// timers stay too.
    pub(in crate::protocol) fn retune(&mut self, now: MonoTime, spec: RouterSpec, out: &mut Effects) {
        self.presence = Presence::Wanted;
        if spec == self.spec {
            return;
        }
        let before = std::mem::replace(&mut self.spec, spec);
        if !self.is_idle() {
            let tracked = |spec: &RouterSpec, check| spec.tracks.iter().any(|t| t.check() == Some(check));
            let checks = self.spec.tracks.iter().filter_map(Track::check);
            self.on_trial.extend(checks.filter(|check| !tracked(&before, check)).cloned());
        }
        let Policy { priority, preempt_after, .. } = self.policy;
        // RFC9568-6.1-9
        self.policy = Policy { preempt_after, ..policy(&self.spec, priority, now) };
        for (instance, specs) in
            self.instances.iter_mut().zip(before.instances.iter().zip(&self.spec.instances))
        {
            if specs.0 != specs.1 {
                instance.width = width(specs.1);
                instance.readdress(out);
            }
            instance.shorten(now, &self.policy);
        }
    }

    /// It is not wanted any more.
    pub(in crate::protocol) fn dismiss(&mut self) {
        self.presence = Presence::Leaving;
        // Nobody is told about checks that it will not wait for.
        self.on_trial.extend(self.spec.tracks.iter().filter_map(Track::check).cloned());
    }

    /// Fires what is due. Returns whether facts must be looked at again.
    pub(in crate::protocol) fn on_deadline(&mut self, now: MonoTime, out: &mut Effects) -> Again {
        // A hand-over whose patience ran out ends without another word: after a stall, one with our
        // priority would silence whoever took over, and be our last.
        if self.handover_ends().is_some_and(|at| at <= now) {
            return self.settle(now, out);
        }
        for instance in &mut self.instances {
            if let Some(late) = instance.on_deadline(now, &self.policy, out) {
                out.push(report(&self.spec, Some(instance.key), EventKind::Stalled { late }));
            }
        }
        self.judge_conflicts(now, out);
        let settled = self.settle(now, out);
        let ends = self.demoted.as_ref().and_then(|demotion| demotion.until.as_ref()).map(|until| until.at);
        if ends.is_some_and(|at| at <= now) && self.handover.is_none() {
            self.end_demotion(EventKind::DemotionExpired, out);
            return Again::Evaluate(Cause::DemotionExpired);
        }
        match self.watch.as_mut().map(|watch| watch.look(now)) {
            Some(Seen::Settled) => self.watch = None,
            Some(Seen::Silence) => return self.stand_in(out),
            Some(Seen::Unsettled) | None => {}
        }
        if self.interruption.as_mut().is_some_and(|interruption| interruption.lapses(now)) {
            return Again::Evaluate(Cause::FaultCleared);
        }
        if self.refused.as_ref().is_some_and(|(_, retry)| *retry <= now) {
            self.refused = None;
            return Again::Evaluate(Cause::FaultCleared);
        }
        settled
    }

    /// When to be called at the latest.
    pub(in crate::protocol) fn wake(&self) -> Option<MonoTime> {
        let instances =
            self.instances.iter().filter_map(|m| m.deadline(&self.policy)).map(|(at, slack)| at + slack);
        let retry = self.refused.as_ref().map(|(_, retry)| *retry);
        let watch = self.watch.as_ref().map(Watch::next);
        let interruption = self.interruption.as_ref().map(Interruption::until);
        let demotion =
            self.demoted.as_ref().and_then(|demotion| demotion.until.as_ref()).map(|until| until.at);
        // A hand-over decides first.
        let demotion = demotion.filter(|_| self.handover.is_none());
        let silent = self.instances.iter().filter_map(|instance| instance.silent_at(&self.policy));
        let silent = silent.min().filter(|_| self.presence == Presence::Wanted);
        let conflict = self.instances.iter().filter_map(|m| m.conflict_at(&self.policy)).min();
        let due =
            interruption.into_iter().chain(retry).chain(watch).chain(demotion).chain(silent).chain(conflict);
        instances.chain(self.handover_ends()).chain(due).min()
    }

    /// The kernel's answer to an `Own`.
    pub(in crate::protocol) fn on_owned(
        &mut self,
        now: MonoTime,
        owned: HoldResult,
        out: &mut Effects,
    ) -> Again {
        let Some(instance) = self.instances.iter_mut().find(|m| m.key == owned.key && m.epoch == owned.epoch)
        else {
            return Again::Nothing; // Stale: the decision changed meanwhile.
        };
        match owned.outcome {
            Ok(()) => {
                instance.on_owned(now, &self.policy, out);
                if !self.instances.iter().any(Instance::is_claiming) {
                    for instance in &mut self.instances {
                        instance.speak(now, &self.policy, out);
                    }
                }
                Again::Nothing
            }
            Err(why) => self.refuse(now, owned.key, why, out),
        }
    }

    /// Addresses that we held are gone, and the kernel does not take them back.
    pub(in crate::protocol) fn on_unrestored(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        why: String,
        out: &mut Effects,
    ) -> Again {
        if self.is_active() { self.refuse(now, key, why, out) } else { Again::Nothing }
    }

    fn refuse(&mut self, now: MonoTime, key: InstanceKey, why: String, out: &mut Effects) -> Again {
        out.push(report(&self.spec, Some(key), EventKind::AddressesRefused { why: why.clone() }));
        self.refused = Some((why, now + REFUSED_RETRY));
        Again::Evaluate(Cause::FaultCleared)
    }

    /// After any change of a instance: the others follow, hand-overs end, claims are granted.
    pub(in crate::protocol) fn settle(&mut self, now: MonoTime, out: &mut Effects) -> Again {
        if let Some(end) = self.handover_ends() {
            if end > now {
                return Again::Nothing;
            }
            let takers = self.takers();
            return self.conclude(now, takers.as_deref(), out);
        }
        // A stranger with our VRID serves nothing of ours: what it takes from one family the other does not give up.
        let yielded = self.instances.iter().find_map(|m| match &m.state {
            State::Backup(backup) if m.list == List::Ours => Some((m.cause, backup.learned)),
            State::Initialize | State::Backup(_) | State::Active(_) => None,
        });
        if let Some((cause, learned)) = yielded.filter(|_| self.is_active()) {
            for at in 0..self.instances.len() {
                self.follow(now, at, cause, learned, out);
            }
        }
        let ready = |m: &Instance| matches!(&m.state, State::Backup(backup) if backup.is_expired());
        // Nor does it keep the other family from taking over.
        let in_the_way = |m: &Instance| match &m.state {
            State::Backup(backup) => !backup.is_expired() && m.list == List::Ours,
            State::Initialize => true,
            State::Active(_) => false,
        };
        let may_claim = self.instances.iter().any(ready) && !self.instances.iter().any(in_the_way);
        // What could not be heard may be why the timer fired, and nothing could be said.
        if may_claim && self.interruption.is_none() {
            self.claim(now, out);
        }
        Again::Nothing
    }

    pub(in crate::protocol) fn is_active(&self) -> bool {
        self.instances.iter().any(|m| matches!(m.state, State::Active(_)))
    }

    /// It takes no part.
    pub(in crate::protocol) fn is_idle(&self) -> bool {
        self.instances.iter().all(|m| matches!(m.state, State::Initialize))
    }

    /// Nothing more will come of it: it takes no part and holds nothing.
    pub(in crate::protocol) fn is_gone(&self) -> bool {
        self.is_idle() && !self.instances.iter().any(Instance::is_listening)
    }

    /// When a lost tie of `key` counts: the first family decides (docs/adr/0003).
    pub(in crate::protocol) fn tie(&self, key: InstanceKey) -> Tie {
        if self.instances.first().is_none_or(|lead| lead.key == key) {
            return Tie::AtOnce;
        }
        Tie::After(active_down_interval(self.policy.down_adverts, self.policy.priority, self.policy.interval))
    }

    pub(in crate::protocol) fn snapshot(&self, now: MonoTime) -> RouterSnapshot {
        RouterSnapshot {
            spec: self.spec.clone(),
            effective: self.policy.priority,
            faults: self.faults.iter().cloned().collect(),
            concerns: self.concerns.iter().map(|(concern, since)| (concern.clone(), *since)).collect(),
            demoted: self.demoted.clone(),
            handing_over: self.handover.is_some(),
            instances: self.instances.iter().map(|m| m.snapshot(now, &self.policy)).collect(),
            remarks: self.remarks.standing(now),
            idle: self.idle(),
        }
    }

    /// Somebody removed addresses; they are back.
    pub(in crate::protocol) fn on_restored(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        count: usize,
        out: &mut Effects,
    ) {
        if let Some(instance) = self.instances.iter_mut().find(|m| m.key == key) {
            instance.on_restored(now, out);
            out.push(report(&self.spec, Some(key), EventKind::AddressesRestored { count }));
        }
    }

    pub(in crate::protocol) fn counters_mut(&mut self, key: InstanceKey) -> Option<&mut Counters> {
        self.instances.iter_mut().find(|m| m.key == key).map(|m| &mut m.counters)
    }

    /// Why the router may not run, the most final reason first.
    fn obstacle(&self) -> Option<Obstacle> {
        match &self.presence {
            Presence::Ending => Some(Obstacle { cause: Cause::Shutdown, handover: HandoverCause::Shutdown }),
            Presence::Leaving => {
                Some(Obstacle { cause: Cause::Configuration, handover: HandoverCause::Configuration })
            }
            Presence::Wanted if !self.faults.is_empty() => {
                Some(Obstacle { cause: Cause::Fault, handover: HandoverCause::Fault })
            }
            Presence::Wanted if self.demoted.as_ref().is_some_and(|d| d.last_resort == LastResort::No) => {
                Some(Obstacle { cause: Cause::Demoted, handover: HandoverCause::Demote })
            }
            Presence::Wanted => None,
        }
    }

    fn is_on_trial(&self, fault: &Fault) -> bool {
        match fault {
            Fault::CheckPending(check) => self.on_trial.contains(check),
            Fault::InterfaceMissing(_)
            | Fault::InterfaceDown(_)
            | Fault::NoCarrier(_)
            | Fault::Port(..)
            | Fault::OtherName(..)
            | Fault::NoSourceAddress(..)
            | Fault::ForeignAddresses(_)
            | Fault::Sockets(..)
            | Fault::Check(_)
            | Fault::Addresses(_) => false,
        }
    }

    /// Whether `fault` is no reason to let go of what is served.
    fn is_tolerated(&self, fault: &Fault) -> bool {
        match fault {
            Fault::ForeignAddresses(_) => self.is_active(),
            Fault::InterfaceMissing(_)
            | Fault::InterfaceDown(_)
            | Fault::NoCarrier(_)
            | Fault::Port(..)
            | Fault::OtherName(..)
            | Fault::NoSourceAddress(..)
            | Fault::Sockets(..)
            | Fault::Check(_)
            | Fault::CheckPending(_)
            | Fault::Addresses(_) => false,
        }
    }

    /// How a demotion bears on the priority.
    pub(in crate::protocol) fn standing(&self) -> Standing {
        match self.demoted.as_ref().map(|demotion| demotion.last_resort) {
            Some(LastResort::Yes) => Standing::LastResort,
            Some(LastResort::No) | None => Standing::Full,
        }
    }

    /// Who took over is silent: better to serve at the lowest priority than to let nobody serve.
    fn stand_in(&mut self, out: &mut Effects) -> Again {
        self.watch = None;
        let Some(demotion) = &mut self.demoted else { return Again::Nothing };
        demotion.last_resort = LastResort::Yes;
        let demotion = Some(demotion.clone());
        out.push(Effect::SaveDemotion { router: self.spec.name.clone(), demotion });
        out.push(report(&self.spec, None, EventKind::TakerSilent));
        Again::Evaluate(Cause::ActiveDownTimer)
    }

    fn start(&mut self, now: MonoTime, why: Cause, out: &mut Effects) {
        if !self.is_idle() {
            return;
        }
        self.policy.preempt_after = now + self.spec.preempt_delay; // RFC9568-6.4.2-16
        for at in 0..self.instances.len() {
            let Some(instance) = self.instances.get_mut(at) else { continue };
            let moved = match self.spec.role {
                Role::Owner if self.policy.priority == AdvertPriority::OWNER => {
                    let why = if why == Cause::Startup { Cause::OwnerStartup } else { why };
                    instance.claim(now, &self.policy, why, out) // RFC9568-6.4.1-1
                }
                // The wait is over already: the one who took over fell silent.
                Role::Owner | Role::Contender { .. } if why == Cause::ActiveDownTimer => {
                    instance.claim(now, &self.policy, why, out)
                }
                // An owner, too, that is demoted and serves as the last resort only.
                Role::Owner | Role::Contender { .. } => instance.start(now, &self.policy, why),
            };
            let key = instance.key;
            self.report_move(key, moved, out);
        }
    }

    fn claim(&mut self, now: MonoTime, out: &mut Effects) {
        for at in 0..self.instances.len() {
            let Some(instance) = self.instances.get_mut(at) else { continue };
            let State::Backup(backup) = &instance.state else { continue };
            if !backup.is_expired() {
                continue;
            }
            let cause = instance.claim_cause(now, backup, self.policy.priority);
            let moved = instance.claim(now, &self.policy, cause, out);
            let key = instance.key;
            self.report_move(key, moved, out);
        }
    }

    /// The instance at `at` goes to Backup because its sibling did, for this cause and to this interval.
    fn follow(&mut self, now: MonoTime, at: usize, cause: Cause, learned: AdverInterval, out: &mut Effects) {
        let Some(instance) = self.instances.get_mut(at) else { return };
        if matches!(instance.state, State::Active(_)) {
            // Who is Active in this family, it has not heard yet.
            instance.active = None;
            if cause != Cause::Stalled {
                instance.last_word(&self.policy, learned, out);
            }
            let moved = instance.yield_to(now, &self.policy, learned, Cause::Sibling, out);
            instance.list = List::Ours;
            let key = instance.key;
            self.report_move(key, moved, out);
        }
    }
}

/// Whether the group's facts must be looked at again, and what a start would be due to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(in crate::protocol) enum Again {
    Nothing,
    Evaluate(Cause),
}

/// What keeps a router from running.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct Obstacle {
    pub(in crate::protocol) cause: Cause,
    pub(in crate::protocol) handover: HandoverCause,
}

/// How many addresses a instance holds.
fn width(instance: &InstanceSpec) -> usize {
    instance.held().count()
}

pub(in crate::protocol) fn report(spec: &RouterSpec, key: Option<InstanceKey>, kind: EventKind) -> Effect {
    Effect::Report(Event { router: Some(spec.name.clone()), key, kind })
}

fn policy(spec: &RouterSpec, priority: AdvertPriority, now: MonoTime) -> Policy {
    let preempt = match spec.role {
        Role::Owner => Preempt::Allow, // RFC9568-6.1-5: the owner always preempts.
        Role::Contender { preempt, .. } => preempt,
    };
    Policy {
        priority,
        preempt,
        interval: spec.interval,
        down_adverts: spec.down_adverts,
        announce: spec.announce,
        checksum: spec.checksum,
        preempt_after: now,
    }
}

impl Router {
    /// The priority that follows from facts, and which checks are to blame for a change.
    fn weigh(&mut self, facts: &Facts, out: &mut Effects) {
        let weights = tracking::weights(&self.spec, facts);
        let before = std::mem::replace(&mut self.weights, weights);
        let change = |(check, now): (&CheckName, &i32)| {
            let change = now - before.get(check).unwrap_or(&0);
            (change != 0).then(|| (check.clone(), change))
        };
        let changes = self.weights.iter().filter_map(change).collect();
        self.update_priority(tracking::effective_priority(&self.spec, facts, self.standing()), changes, out);
    }

    pub(in crate::protocol) fn update_priority(
        &mut self,
        priority: AdvertPriority,
        checks: Vec<(CheckName, i32)>,
        out: &mut Effects,
    ) {
        let from = std::mem::replace(&mut self.policy.priority, priority);
        // RESIGN: it never had one, this is the first evaluation.
        if from != priority && from != AdvertPriority::RESIGN {
            out.push(report(&self.spec, None, EventKind::PriorityChanged { from, to: priority, checks }));
        }
        if priority < from {
            for instance in &mut self.instances {
                instance.on_lowered(&self.policy);
            }
        }
    }
}
