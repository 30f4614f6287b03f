//! How a whole router leaves (docs/adr/0009), and the watch over its successor after a demotion.

use super::instance::{Heard, Instance};
use super::leave::WithoutSuccessor;
use super::router::{Next, Router, Start};
use super::turn::Turn;
use crate::protocol::{Demotion, Force, LastResort};
use crate::sim::documents::{
    CRASHED_RUN_ASKS, MARGIN, OVERSLEPT, STOP_ENDS, active_down_interval, fault_waits, waits_for_successor,
};
use crate::types::{AdverInterval, AdvertPriority, MonoTime, Version};
use std::time::Duration;

/// Why a router leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Demotion,
    Shutdown,
    Configuration,
    Fault,
}

#[derive(Debug, Clone)]
pub(super) struct Handover {
    reason: Reason,
    until: MonoTime,
    without_successor: WithoutSuccessor,
    demotion: Option<Demotion>,
    /// Whether an operator forced the demotion: then it is of no matter that a fault has gone.
    force: Force,
}

impl Handover {
    /// The families, which speak `versions`, leave together: the slowest of them is waited for.
    fn new(
        now: MonoTime,
        reason: Reason,
        interval: AdverInterval,
        versions: impl Iterator<Item = Version>,
    ) -> Self {
        let waits = |version| match reason {
            Reason::Demotion => waits_for_successor(version, interval),
            Reason::Shutdown | Reason::Configuration => waits_for_successor(version, interval).min(STOP_ENDS),
            Reason::Fault => fault_waits(version),
        };
        let wait = versions.map(waits).max().unwrap_or_default();
        let without_successor = match reason {
            Reason::Demotion => WithoutSuccessor::Stay,
            Reason::Shutdown | Reason::Configuration | Reason::Fault => WithoutSuccessor::LetGo,
        };
        Self { reason, until: now + wait, without_successor, demotion: None, force: Force::No }
    }

    /// Nothing can be sent in one family: there the timers of the other routers decide.
    pub(super) fn wait_for_families_that_cannot_send(&mut self, active_down: Duration, now: MonoTime) {
        let wait = active_down + MARGIN;
        let wait = match self.reason {
            Reason::Shutdown | Reason::Configuration => wait.min(STOP_ENDS),
            Reason::Demotion | Reason::Fault => wait,
        };
        self.until = self.until.max(now + wait);
    }
}

impl Router {
    pub(super) fn hand_over(&mut self, reason: Reason, turn: &mut Turn<'_>) {
        let fresh = Handover::new(turn.now, reason, self.settings.interval, self.versions());
        match &mut self.handover {
            None => {
                for instance in &mut self.instances {
                    instance.leave(&self.settings, fresh.without_successor, turn);
                }
                self.handover = Some(fresh);
            }
            // There is another reason to leave: the hand-over ends sooner, and lets go in any case
            // if that reason lets go.
            Some(under_way) if under_way.reason != reason => {
                under_way.until = under_way.until.min(fresh.until);
                if fresh.without_successor == WithoutSuccessor::LetGo {
                    under_way.without_successor = WithoutSuccessor::LetGo;
                }
            }
            Some(under_way) if reason == Reason::Fault => {
                under_way.without_successor = WithoutSuccessor::LetGo
            }
            Some(_) => {}
        }
        self.apply_without_successor();
    }

    fn apply_without_successor(&mut self) {
        if let Some(without_successor) = self.handover.as_ref().map(|handover| handover.without_successor) {
            self.set_without_successor(without_successor);
        }
    }

    /// The fault is gone: if nobody took over, the router stays.
    pub(super) fn stay_if_nobody_takes_over(&mut self) {
        let unforced = |it: &&mut Handover| it.reason == Reason::Fault && it.force == Force::No;
        if let Some(handover) = self.handover.as_mut().filter(unforced) {
            handover.without_successor = WithoutSuccessor::Stay;
            self.apply_without_successor();
        }
    }

    pub(super) fn begin_as_crashed_run(&mut self, turn: &mut Turn<'_>) {
        for instance in &mut self.instances {
            instance.begin_as_crashed_run(turn);
        }
        let handover = Handover::new(turn.now, Reason::Shutdown, self.settings.interval, self.versions());
        self.handover = Some(Handover { until: handover.until + CRASHED_RUN_ASKS, ..handover });
    }

    /// When the hand-over ends: when hosts have switched to the successor, else when the waiting
    /// ends.
    pub(super) fn handover_ends(&self) -> Option<MonoTime> {
        let handover = self.handover.as_ref()?;
        let mut end = None;
        for instance in self.instances.iter().filter(|instance| instance.is_active()) {
            match serving_since(instance) {
                None => return Some(handover.until),
                Some(served) => end = end.max(Some(instance.switched_at(served))),
            }
        }
        Some(end.unwrap_or(handover.until))
    }

    fn has_successors(&self) -> bool {
        self.instances.iter().filter(|it| it.is_active()).all(|it| serving_since(it).is_some())
    }

    pub(super) fn conclude(&mut self, turn: &mut Turn<'_>) -> Next {
        let Some(handover) = &self.handover else { return Next::Nothing };
        let settings = self.settings;
        if self.has_successors() {
            for instance in self.instances.iter_mut().filter(|it| it.leaves_hosts_behind()) {
                instance.resign(&settings, turn);
            }
            let watches = handover.reason == Reason::Demotion;
            self.release(watches.then_some(settings.interval), turn);
        } else if handover.without_successor == WithoutSuccessor::LetGo {
            for instance in &mut self.instances {
                instance.resign(&settings, turn);
            }
            self.release(None, turn);
        } else {
            if handover.demotion.as_ref().is_some_and(|it| it.last_resort == LastResort::Yes) {
                self.set_lowest_priority();
            }
            self.call_off(turn);
        }
        Next::EvaluateAndCouple(Start::Ordinary)
    }

    /// The router stays, and says so.
    fn call_off(&mut self, turn: &mut Turn<'_>) {
        for instance in &mut self.instances {
            instance.cancel_leave(&self.settings, turn);
        }
        self.end_handover();
    }

    /// Every Active instance lets go. `watches` says whether the successor is watched, and by which
    /// interval.
    pub(super) fn release(&mut self, watches: Option<AdverInterval>, turn: &mut Turn<'_>) {
        for instance in self.instances.iter_mut().filter(|it| it.is_active()) {
            instance.let_go(turn);
        }
        for instance in &mut self.instances {
            instance.stop_backup(turn);
        }
        if let Some(interval) = watches {
            let version = self.slowest_backups(interval);
            let watch = SuccessorWatch::new(turn.now, version, interval, self.settings.down_adverts);
            self.successor_watch = Some(watch);
        }
        self.end_handover();
    }

    fn end_handover(&mut self) {
        let demotion = self.handover.take().and_then(|handover| handover.demotion);
        let released = !self.is_active();
        if let Some(demotion) = demotion.filter(|it| released || it.last_resort == LastResort::Yes) {
            self.demoted = Some(demotion);
        }
    }

    pub(super) fn demote(&mut self, demotion: Demotion, force: Force, turn: &mut Turn<'_>) -> Next {
        if !self.is_active() {
            self.demoted = Some(demotion);
            return Next::Evaluate(Start::Ordinary);
        }
        self.hand_over(Reason::Demotion, turn);
        if let Some(handover) = &mut self.handover {
            handover.demotion = Some(demotion);
            if force == Force::Yes {
                handover.force = Force::Yes;
                handover.without_successor = WithoutSuccessor::LetGo;
            }
        }
        self.apply_without_successor();
        Next::Nothing
    }

    pub(super) fn promote(&mut self, turn: &mut Turn<'_>) -> Next {
        if self.handover.as_ref().is_some_and(|it| it.reason == Reason::Demotion) {
            self.call_off(turn);
        }
        if let Some(handover) = &mut self.handover {
            handover.demotion = None;
            handover.force = Force::No;
        }
        self.end_demotion();
        Next::EvaluateAndCouple(Start::Ordinary)
    }
}

/// Since when another router is known to serve what `instance` leaves.
fn serving_since(instance: &Instance) -> Option<MonoTime> {
    instance.leaving()?.successor().map(|(_, since)| since)
}

/// The watch after a demotion: a successor that falls silent before it was heard as often as a
/// Backup would wait is replaced (docs/adr/0009, 0019).
#[derive(Debug, Clone)]
pub(super) struct SuccessorWatch {
    silent_at: MonoTime,
    version: Version,
    interval: AdverInterval,
    down_adverts: u32,
    awaited: u32,
}

impl SuccessorWatch {
    fn new(now: MonoTime, version: Version, interval: AdverInterval, down_adverts: u32) -> Self {
        let patience = active_down_interval(version, down_adverts, AdvertPriority::LOWEST, interval);
        Self { silent_at: now + patience, version, interval, down_adverts, awaited: down_adverts }
    }

    pub(super) const fn silent_at(&self) -> MonoTime {
        self.silent_at
    }

    pub(super) fn on_advert(&mut self, heard: &Heard, now: MonoTime) {
        if heard.priority.is_resignation() {
            return;
        }
        let interval = self.interval.max(heard.interval);
        let patience =
            active_down_interval(self.version, self.down_adverts, AdvertPriority::LOWEST, interval);
        self.silent_at = self.silent_at.max(now + patience);
        self.awaited = self.awaited.saturating_sub(1);
    }

    pub(super) const fn is_confirmed(&self) -> bool {
        self.awaited == 0
    }

    /// Whether the successor is silent. A node that was not run has not listened either, and
    /// listens once more.
    pub(super) fn finds_silence(&mut self, now: MonoTime) -> bool {
        if now.since(self.silent_at) > self.interval.period().max(OVERSLEPT) {
            let again = Self::new(now, self.version, self.interval, self.down_adverts);
            self.silent_at = again.silent_at;
            return false;
        }
        self.silent_at <= now
    }
}
