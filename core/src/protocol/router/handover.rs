//! How a router leaves: with a hand-over if anything can still be said, else at once
//! (docs/adr/0009).
//!
//! ```text
//!  AwaitingSuccessor ──▶ AwaitingHosts ──▶ released
//!          │
//!          └── patience is over ──▶ released, or taken back
//! ```
//!
//! What each instance says meanwhile, from the shortened interval to the resignations, is in
//! `instance::leaving`. The phase is not stored: it follows from what the instances have heard
//! ([`Router::handover_phase`]).

use super::successor_watch::SuccessorWatch;
use super::tracking::{self, Impact};
use super::{FollowUp, Obstacle, Router};
use crate::protocol::effect::Effects;
use crate::protocol::event::{Cause, EventKind, HandoverCause};
use crate::protocol::input::{CommandId, Demotion, Fault, Force, LastResort};
use crate::protocol::instance::{Instance, PROBE_TIMEOUT, Proof, Successor, longest_wait};
use crate::protocol::version_rules::VersionRules;
use crate::types::{AdverInterval, MonoTime, Priority, Version};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// On top of the longest Skew_Time: scheduling, and the way there and back.
const MARGIN: Duration = Duration::from_millis(100);
/// On top of what the version prescribes, a fault waits for a shortened Skew_Time (less than 10 ms) and
/// the way there and back, not longer.
const FAULT_PATIENCE: Duration = Duration::from_millis(30);
/// A stop must end, whatever the interval.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// The hand-over of a router that is under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Handover {
    cause: HandoverCause,
    began: MonoTime,
    /// When the router does not wait for a successor any more.
    until: MonoTime,
    without_successor: WithoutSuccessor,
    /// The demotion to record when it succeeds.
    demotion: Option<Demotion>,
    /// How long connections are kept after it, if a command says so.
    drain: Option<Duration>,
    /// The commands to answer when it ends.
    commands: Vec<CommandId>,
}

/// What follows when no other router took over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum WithoutSuccessor {
    /// Stay Active: a demotion never takes the service down.
    Stay,
    /// Let go all the same.
    LetGo,
    /// Let go because an operator forced it, even if the fault has gone for which the router leaves.
    Forced,
}

/// Where a hand-over is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum HandoverPhase {
    /// No router has taken over every instance yet.
    AwaitingSuccessor,
    /// These routers have taken over every instance. The addresses stay until hosts have switched to
    /// them.
    AwaitingHosts { successors: Vec<Successor>, until: MonoTime },
}

/// What a hand-over that is over leaves behind, for those who asked for it.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) began: MonoTime,
    pub(super) demotion: Option<Demotion>,
    pub(super) commands: Vec<CommandId>,
}

impl WithoutSuccessor {
    const fn proof(self) -> Proof {
        match self {
            Self::Stay => Proof::Demanded,
            Self::LetGo | Self::Forced => Proof::Waived,
        }
    }

    /// The router has a fault, or has none any more; what an operator forced stays.
    const fn unless_forced(self, otherwise: Self) -> Self {
        match self {
            Self::Forced => Self::Forced,
            Self::Stay | Self::LetGo => otherwise,
        }
    }
}

impl Handover {
    /// `rules` are those of each instance: the families leave together, so that the slowest decides how
    /// long the router waits.
    fn new(
        now: MonoTime,
        cause: HandoverCause,
        interval: AdverInterval,
        rules: impl Iterator<Item = &'static VersionRules>,
    ) -> Self {
        let patience = rules.map(|rules| patience(cause, interval, rules)).max().unwrap_or_default();
        let without_successor = match cause {
            HandoverCause::Demote => WithoutSuccessor::Stay,
            HandoverCause::Shutdown | HandoverCause::Configuration | HandoverCause::Fault => {
                WithoutSuccessor::LetGo
            }
        };
        Self {
            cause,
            began: now,
            until: now + patience,
            without_successor,
            demotion: None,
            drain: None,
            commands: Vec::new(),
        }
    }

    /// The hand-over of a run that crashed. It first asks whether another router is Active.
    pub(super) fn of_crashed_run(
        now: MonoTime,
        interval: AdverInterval,
        rules: impl Iterator<Item = &'static VersionRules>,
    ) -> Self {
        let handover = Self::new(now, HandoverCause::Shutdown, interval, rules);
        Self { until: handover.until + PROBE_TIMEOUT, ..handover }
    }

    pub(super) const fn cause(&self) -> HandoverCause {
        self.cause
    }

    pub(super) const fn drain(&self) -> Option<Duration> {
        self.drain
    }

    pub(super) const fn demotion(&self) -> Option<&Demotion> {
        self.demotion.as_ref()
    }

    /// In one family nothing can be sent any more: its Backups take over when their own timers fire, and
    /// routers of our kind that run both families only then. A stop must end all the same.
    fn wait_for_families_that_cannot_send(&mut self, now: MonoTime, active_down: Duration) {
        let wait = active_down + MARGIN;
        let wait = match self.cause {
            HandoverCause::Shutdown | HandoverCause::Configuration => wait.min(STOP_PATIENCE),
            HandoverCause::Demote | HandoverCause::Fault => wait,
        };
        self.until = self.until.max(now + wait);
    }

    /// A more pressing reason to leave arrived while the router leaves.
    fn hurry(&mut self, pressing: &Self) {
        self.until = self.until.min(pressing.until);
        if pressing.without_successor == WithoutSuccessor::LetGo {
            self.without_successor = self.without_successor.unless_forced(WithoutSuccessor::LetGo);
        }
    }

    /// A command joins the hand-over.
    pub(super) fn join(&mut self, id: CommandId, demotion: Demotion, force: Force, drain: Option<Duration>) {
        self.commands.push(id);
        self.demotion = Some(demotion);
        // A command that names no time leaves the time of an earlier one.
        self.drain = drain.or(self.drain);
        match force {
            Force::Yes => self.without_successor = WithoutSuccessor::Forced,
            Force::No => {}
        }
    }

    /// The demotion that joined is called off. Returns the commands that asked for it, and how long ago
    /// the hand-over began; `None` if no demotion joined.
    pub(super) fn call_off_demotion(&mut self, now: MonoTime) -> Option<(Vec<CommandId>, Duration)> {
        self.demotion.take()?;
        if self.without_successor == WithoutSuccessor::Forced {
            self.without_successor = WithoutSuccessor::LetGo;
        }
        Some((std::mem::take(&mut self.commands), now.since(self.began)))
    }
}

impl Router {
    /// Something keeps the router from running.
    pub(super) fn stop(&mut self, now: MonoTime, obstacle: Obstacle, out: &mut Effects) {
        let dead = self.faults_and_interruptions().any(|fault| tracking::is_dead_link(&self.spec, fault));
        let (mut active, mut cannot_send) = (0, 0);
        for instance in self.active_instances() {
            active += 1;
            let family = instance.key().family;
            let mut faults = self.faults_and_interruptions();
            if faults.any(|fault| Impact::of(&self.spec, fault).prevents_sending(family)) {
                cannot_send += 1;
            }
        }
        if active == 0 {
            self.stop_backups(now, obstacle.cause, out);
            if dead {
                for instance in &mut self.instances {
                    instance.release_retained(out);
                }
            }
        } else if cannot_send == active {
            // Nothing can be said: let go, and let the timers of the others decide.
            self.release_all(now, None, obstacle.cause, out);
        } else if self.refusal.is_some() || self.cannot_receive() {
            // No successor would be heard.
            self.resign_all(out);
            self.release_all(now, None, obstacle.cause, out);
        } else {
            let begins = self.handover.is_none();
            // RFC9568-6.4.3-8
            self.hand_over(now, obstacle.handover, out);
            let wait = self.active_down_interval();
            if let Some(handover) = self.handover.as_mut().filter(|_| begins && cannot_send > 0) {
                handover.wait_for_families_that_cannot_send(now, wait);
            }
        }
    }

    /// Begins to hand over, or makes a hand-over that is under way more pressing.
    pub(super) fn hand_over(&mut self, now: MonoTime, cause: HandoverCause, out: &mut Effects) {
        let wanted = Handover::new(now, cause, self.policy.interval, self.rules());
        if let Some(handover) = &mut self.handover {
            if handover.cause != cause {
                handover.hurry(&wanted);
            } else if cause == HandoverCause::Fault {
                // The fault had gone meanwhile.
                handover.without_successor =
                    handover.without_successor.unless_forced(WithoutSuccessor::LetGo);
            }
        } else {
            let proof = wanted.without_successor.proof();
            for instance in &mut self.instances {
                instance.leave(now, &self.policy, proof, out);
            }
            self.handover = Some(wanted);
            self.report(None, EventKind::HandoverStarted(cause), out);
        }
        self.demand_proof();
    }

    /// The fault for which the router leaves has gone: a router that is about to take over may, and
    /// without one we stay.
    pub(super) fn stay_if_nobody_takes_over(&mut self) {
        let leaves_for_fault = |handover: &&mut Handover| handover.cause == HandoverCause::Fault;
        if let Some(handover) = self.handover.as_mut().filter(leaves_for_fault) {
            handover.without_successor = handover.without_successor.unless_forced(WithoutSuccessor::Stay);
            self.demand_proof();
        }
    }

    /// What it takes to believe in a successor has changed with the hand-over.
    pub(super) fn demand_proof(&mut self) {
        let Some(handover) = &self.handover else { return };
        let proof = handover.without_successor.proof();
        for instance in &mut self.instances {
            instance.demand(proof);
        }
    }

    /// Calls a hand-over off: we serve on, and say so. What follows is
    /// [`FollowUp::EvaluateAndMoveTogether`].
    pub(super) fn call_off_handover(&mut self, now: MonoTime, out: &mut Effects) {
        for instance in &mut self.instances {
            instance.cancel_leave(now, &self.policy, out);
        }
        self.finish_handover(now, None, out);
    }

    /// The instances that are Active: all, but where a stranger has taken the VRID of one family.
    fn active_instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|instance| instance.is_active())
    }

    /// Where the hand-over is that is under way.
    fn handover_phase(&self) -> HandoverPhase {
        let successors: Option<Vec<Successor>> = self.active_instances().map(Instance::successor).collect();
        let switched = |instance: &Instance| Some(instance.switched_at(instance.successor()?.heard));
        let until = self.active_instances().filter_map(switched).max();
        match (successors, until) {
            (Some(successors), Some(until)) => HandoverPhase::AwaitingHosts { successors, until },
            _ => HandoverPhase::AwaitingSuccessor,
        }
    }

    /// When the hand-over that is under way ends.
    pub(super) fn handover_ends_at(&self) -> Option<MonoTime> {
        let handover = self.handover.as_ref()?;
        Some(match self.handover_phase() {
            HandoverPhase::AwaitingSuccessor => handover.until,
            HandoverPhase::AwaitingHosts { until, .. } => until,
        })
    }

    /// Ends a hand-over that is due.
    pub(super) fn settle_handover(&mut self, now: MonoTime, out: &mut Effects) -> FollowUp {
        if self.handover_ends_at().is_none_or(|end| end > now) {
            return FollowUp::Nothing;
        }
        let Some(handover) = &self.handover else { return FollowUp::Nothing };
        match (self.handover_phase(), handover.without_successor) {
            (HandoverPhase::AwaitingHosts { successors, .. }, _) => {
                // A successor that was Active before, behind a partition that has healed, tells our hosts
                // when it hears this.
                for instance in self.instances.iter_mut().filter(|instance| instance.leaves_hosts_behind()) {
                    instance.resign(&self.policy, out);
                }
                self.release_all(now, Some(&successors), Cause::HandedOver, out);
            }
            (HandoverPhase::AwaitingSuccessor, WithoutSuccessor::LetGo | WithoutSuccessor::Forced) => {
                // A partition may have healed since our last advertisement: an Active that hears this one
                // tells our hosts.
                self.resign_all(out);
                self.release_all(now, None, Cause::Demoted, out);
            }
            (HandoverPhase::AwaitingSuccessor, WithoutSuccessor::Stay) => {
                let demotion = handover.demotion.as_ref();
                if demotion.is_some_and(|demotion| demotion.last_resort == LastResort::Yes) {
                    self.set_priority(Priority::MIN.into(), Vec::new(), out);
                }
                // RFC9568-6.4.3-18
                self.call_off_handover(now, out);
            }
        }
        // What stopped the router may be gone by now, and what did not stop it before may have come.
        let cause_if_started = if self.demoted.is_some() { Cause::Demoted } else { Cause::FaultCleared };
        FollowUp::EvaluateAndMoveTogether { cause_if_started }
    }

    /// Every Active instance lets go. `cause` is that of a release without a hand-over.
    fn release_all(
        &mut self,
        now: MonoTime,
        successors: Option<&[Successor]>,
        cause: Cause,
        out: &mut Effects,
    ) {
        let cause = match (self.handover.as_ref().map(Handover::cause), successors) {
            (Some(HandoverCause::Demote), Some(_)) => Cause::HandedOver,
            (Some(HandoverCause::Demote), None) => Cause::Demoted,
            (Some(HandoverCause::Shutdown), _) => Cause::Shutdown,
            (Some(HandoverCause::Fault), _) => Cause::Fault,
            (Some(HandoverCause::Configuration), _) => Cause::Configuration,
            (None, _) => cause,
        };
        let drain = self.drain_after_handover(successors);
        self.move_each(out, |instance, _, out| {
            instance.is_active().then(|| instance.release(now, cause, drain, out))
        });
        self.stop_backups(now, cause, out);
        if cause == Cause::HandedOver {
            let watch = SuccessorWatch::new(
                now,
                self.slowest_version(),
                self.policy.interval,
                self.policy.down_adverts,
            );
            self.successor_watch = Some(watch);
        }
        self.finish_handover(now, successors, out);
    }

    fn resign_all(&mut self, out: &mut Effects) {
        for instance in &mut self.instances {
            instance.resign(&self.policy, out);
        }
    }

    /// Takes a hand-over that is over.
    pub(super) fn take_finished(&mut self) -> Option<Finished> {
        let Handover { began, demotion, commands, .. } = self.handover.take()?;
        Some(Finished { began, demotion, commands })
    }

    /// Whether it can send, but not receive.
    fn cannot_receive(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault, Fault::Port(..)))
    }

    /// Of its instances, the longest Active_Down_Interval with our own interval.
    pub(super) fn active_down_interval(&self) -> Duration {
        let wait =
            |instance: &Instance| self.policy.active_down_interval(instance.version(), self.policy.interval);
        self.instances.iter().map(wait).max().unwrap_or_default()
    }

    /// Of the versions of its instances, the one in which others wait longest before they take over.
    fn slowest_version(&self) -> Version {
        let wait = |version: &Version| longest_wait(*version, self.policy.down_adverts, self.policy.interval);
        self.instances.iter().map(Instance::version).max_by_key(wait).unwrap_or_default()
    }

    /// What the version of each instance prescribes.
    pub(super) fn rules(&self) -> impl Iterator<Item = &'static VersionRules> {
        self.instances.iter().map(Instance::rules)
    }
}

/// How long a router that leaves waits for a successor, where it speaks by `rules`.
fn patience(cause: HandoverCause, interval: AdverInterval, rules: &VersionRules) -> Duration {
    let script = rules.leave();
    // What is said after a crash does not end later.
    let mut patience = script.first_round_ends() + rules.takeover_after_resignation(interval) + MARGIN;
    if script.second_round_begins().is_some_and(|second| patience > second) {
        // A round that is begun is brought to an end.
        patience = patience.max(script.ends() + rules.takeover_lasts() + MARGIN);
    }
    match cause {
        HandoverCause::Demote => patience,
        HandoverCause::Shutdown | HandoverCause::Configuration => patience.min(STOP_PATIENCE),
        HandoverCause::Fault => script.first_resignation() + rules.takeover_lasts() + FAULT_PATIENCE,
    }
}
