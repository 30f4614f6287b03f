//! The order of one router's hooks. The code is pure: events and time are its input, jobs are its
//! output.
//!
//! At most one job runs and at most two wait: the hook for the addresses (`before_active`, `on_drain`
//! or `after_release`), then the hook for the state that follows (`on_transition`). A newer state
//! makes waiting jobs stale. This module must not know processes.

use crate::agent::HookOutcome;
use crate::config::HookKind;
use crate::protocol::{Cause, StateName, TransitionDetails};
use crate::types::{AdvertPriority, Family, MonoTime};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// An event that a worker must know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WorkerEvent {
    /// One family changed its state.
    Moved(FamilyTransition),
    /// The address of the router that took over, after the transition that it belongs to.
    TakenOverBy(IpAddr),
    /// The addresses are wanted, and wait for `before_active`.
    Prepare {
        /// The number of this preparation, which is reported when it has ended.
        run: u64,
    },
    /// The addresses of one family are installed.
    Held(Family),
    /// The addresses of one family are with another node, and open connections are still served here.
    Draining(Family),
    /// The addresses of one family are removed.
    Released(Family),
}

/// A transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FamilyTransition {
    pub(super) family: Family,
    pub(super) from: StateName,
    pub(super) to: StateName,
    pub(super) cause: Cause,
    pub(super) priority: AdvertPriority,
    pub(super) details: Arc<TransitionDetails>,
}

/// The facts that a hook is told of the transition that it runs for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HookFacts {
    pub(super) state: StateName,
    /// The settled state before this one, whether or not a hook was told of it.
    pub(super) previous: StateName,
    /// The family whose transition is told.
    pub(super) family: Family,
    pub(super) cause: Cause,
    pub(super) priority: AdvertPriority,
    pub(super) details: Arc<TransitionDetails>,
    /// The other router: the one of the details, or else the one that took over.
    pub(super) peer: Option<IpAddr>,
    pub(super) at: Timestamp,
}

/// One run of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) hook: HookKind,
    pub(super) facts: HookFacts,
    /// The number of the preparation, if the hook is a `before_active`.
    pub(super) run: u64,
}

/// The action that the worker must take at once after an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// End the running hook: its preparation is not needed any more.
    Kill,
    /// A job will not run.
    Drop(Job, Stale),
}

/// Why a job will not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stale {
    /// A newer state replaces the one that the job was for.
    Superseded,
    /// The takeover that the job was to prepare was cancelled.
    Cancelled,
}

impl From<Stale> for HookOutcome {
    fn from(stale: Stale) -> Self {
        match stale {
            Stale::Superseded => Self::Superseded,
            Stale::Cancelled => Self::Cancelled,
        }
    }
}

/// The hooks of one router that wait or run.
#[derive(Debug)]
pub(super) struct HookQueue {
    configured: BTreeSet<HookKind>,
    /// How long a state may wait for its addresses to come or go before it counts as settled.
    patience: Duration,
    instances: BTreeMap<Family, InstanceState>,
    /// The newest transition of the router.
    latest: Option<HookFacts>,
    /// Since when that transition is not settled.
    unsettled: Option<MonoTime>,
    /// The last settled state.
    settled: StateName,
    /// The state that `on_transition` was told last, or will be told next.
    told: Option<StateName>,
    running: Option<HookKind>,
    /// The waiting `before_active`, `on_drain` or `after_release`.
    addresses: Option<Job>,
    /// The waiting `on_transition`.
    transition: Option<Job>,
}

#[derive(Debug, Clone, Copy)]
struct InstanceState {
    state: StateName,
    addresses: AddressLocation,
}

/// Where the addresses of a family are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AddressLocation {
    Elsewhere,
    Coming,
    Here,
    Going,
    /// With another node; open connections are still served here.
    Draining,
}

impl HookQueue {
    /// Makes the queue of a router that is in Initialize with all `families`.
    pub(super) fn new(
        configured: BTreeSet<HookKind>,
        patience: Duration,
        families: impl Iterator<Item = Family>,
    ) -> Self {
        let idle = InstanceState { state: StateName::Initialize, addresses: AddressLocation::Elsewhere };
        Self {
            configured,
            patience,
            instances: families.map(|family| (family, idle)).collect(),
            latest: None,
            unsettled: None,
            settled: StateName::Initialize,
            told: Some(StateName::Initialize),
            running: None,
            addresses: None,
            transition: None,
        }
    }

    /// Sets the hooks that are configured. Waiting jobs of other hooks are dropped; where the
    /// addresses are is kept.
    pub(super) fn reconfigure(
        &mut self,
        configured: BTreeSet<HookKind>,
        patience: Duration,
        families: impl Iterator<Item = Family>,
    ) {
        let fresh = Self::new(configured, patience, families);
        let known = std::mem::replace(&mut self.instances, fresh.instances);
        for (family, instance) in &mut self.instances {
            *instance = known.get(family).copied().unwrap_or(*instance);
        }
        (self.configured, self.patience) = (fresh.configured, fresh.patience);
        self.addresses.take_if(|job| !self.configured.contains(&job.hook));
        self.transition.take_if(|job| !self.configured.contains(&job.hook));
        self.settle();
    }

    /// Whether no address is installed or requested, and no hook for addresses waits.
    pub(super) fn is_released(&self) -> bool {
        // What drains when the agent stops goes on to drain.
        let is_released = |instance: &InstanceState| match instance.addresses {
            AddressLocation::Elsewhere | AddressLocation::Draining => true,
            AddressLocation::Coming | AddressLocation::Here | AddressLocation::Going => false,
        };
        self.instances.values().all(is_released) && self.addresses.is_none()
    }

    /// Whether the router takes part in no family, and its hooks for that state have run.
    pub(super) fn is_idle(&self) -> bool {
        let idle = |instance: &InstanceState| {
            instance.state == StateName::Initialize && instance.addresses == AddressLocation::Elsewhere
        };
        self.instances.values().all(idle) && self.addresses.is_none() && self.transition.is_none()
    }

    /// Records an event; `at` is the wall clock at `now`.
    pub(super) fn accept(&mut self, now: MonoTime, at: Timestamp, news: WorkerEvent) -> Vec<Action> {
        let mut actions = Vec::new();
        match news {
            WorkerEvent::Moved(moved) => self.on_move(now, at, moved, &mut actions),
            WorkerEvent::TakenOverBy(taker) => {
                if let Some(facts) = self.latest.as_mut().filter(|facts| facts.state != StateName::Active) {
                    facts.peer.get_or_insert(taker);
                }
            }
            WorkerEvent::Prepare { run } => {
                let wanted = self.configured.contains(&HookKind::BeforeActive);
                let latest = self.latest.clone().filter(|facts| wanted && facts.state == StateName::Active);
                if let Some(facts) = latest {
                    self.addresses = Some(Job { hook: HookKind::BeforeActive, facts, run });
                }
            }
            WorkerEvent::Held(family) => self.arrived(family),
            WorkerEvent::Draining(family) => self.draining(family),
            WorkerEvent::Released(family) => self.gone(family),
        }
        self.settle();
        actions
    }

    /// Returns the next job, if none runs; the job counts as running until [`Self::ended`].
    pub(super) fn next(&mut self) -> Option<Job> {
        if self.running.is_some() {
            return None;
        }
        let job = self.addresses.take().or_else(|| self.transition.take())?;
        self.running = Some(job.hook);
        Some(job)
    }

    /// Records that the running job has ended.
    pub(super) const fn ended(&mut self) {
        self.running = None;
    }

    /// Settles a state that has waited long enough for its addresses.
    pub(super) fn on_deadline(&mut self, now: MonoTime) {
        if self.deadline().is_none_or(|at| at > now) {
            return;
        }
        let families: Vec<_> =
            self.instances.iter().map(|(family, instance)| (*family, instance.addresses)).collect();
        for (family, addresses) in families {
            match addresses {
                AddressLocation::Coming => self.arrived(family),
                AddressLocation::Going => self.gone(family),
                AddressLocation::Here | AddressLocation::Elsewhere | AddressLocation::Draining => {}
            }
        }
        self.settle();
    }

    /// Returns when [`Self::on_deadline`] is due.
    pub(super) fn deadline(&self) -> Option<MonoTime> {
        let (facts, since) = self.latest.as_ref().zip(self.unsettled)?;
        self.instances.values().all(|instance| instance.state == facts.state).then_some(since + self.patience)
    }

    /// Drops all waiting jobs.
    pub(super) fn clear(&mut self) -> Vec<Action> {
        let waiting = [self.addresses.take(), self.transition.take()];
        waiting.into_iter().flatten().map(|job| Action::Drop(job, Stale::Cancelled)).collect()
    }

    fn on_move(&mut self, now: MonoTime, at: Timestamp, moved: FamilyTransition, actions: &mut Vec<Action>) {
        let FamilyTransition { family, from, to, cause, priority, details } = moved;
        let Some(instance) = self.instances.get_mut(&family) else { return };
        instance.state = to;
        match (from, to) {
            (_, StateName::Active) => instance.addresses = AddressLocation::Coming,
            (StateName::Active, _) => instance.addresses = AddressLocation::Going,
            (StateName::Initialize | StateName::Backup, StateName::Initialize | StateName::Backup) => {}
        }
        // Both families have transitions. Hooks are told the one that has a cause of its own.
        let told = |facts: &HookFacts| facts.state == to && facts.cause != Cause::Sibling;
        if self.unsettled.is_none() || !self.latest.as_ref().is_some_and(told) {
            self.latest = Some(HookFacts {
                state: to,
                previous: self.settled,
                family,
                cause,
                priority,
                peer: details.peer.map(|peer| peer.address),
                details,
                at,
            });
            self.unsettled = Some(now);
        }
        if let Some(job) = self.transition.take() {
            self.told = None;
            actions.push(Action::Drop(job, Stale::Superseded));
        }
        let stale = match to {
            StateName::Active => Stale::Superseded,
            StateName::Initialize | StateName::Backup => Stale::Cancelled,
        };
        let is_stale = |job: &mut Job| (job.hook == HookKind::BeforeActive) == (to != StateName::Active);
        actions.extend(self.addresses.take_if(is_stale).map(|job| Action::Drop(job, stale)));
        if to != StateName::Active && self.running == Some(HookKind::BeforeActive) {
            actions.push(Action::Kill);
        }
    }

    /// Records that addresses are installed. An answer to an older request is ignored, because it
    /// does not belong to the newest one.
    fn arrived(&mut self, family: Family) {
        if let Some(instance) = self.instances.get_mut(&family)
            && instance.addresses == AddressLocation::Coming
        {
            instance.addresses = AddressLocation::Here;
        }
    }

    fn gone(&mut self, family: Family) {
        let Some(instance) = self.instances.get_mut(&family) else { return };
        let was_here = instance.addresses != AddressLocation::Draining;
        match instance.addresses {
            // If they count as installed, the keeper is ending, whatever the election wants.
            AddressLocation::Going | AddressLocation::Here | AddressLocation::Draining => {
                instance.addresses = AddressLocation::Elsewhere;
            }
            AddressLocation::Coming | AddressLocation::Elsewhere => return,
        }
        if self.instances.values().all(|instance| instance.addresses == AddressLocation::Elsewhere) {
            self.queue_for_addresses(HookKind::AfterRelease);
        } else if was_here {
            self.queue_on_drain();
        }
    }

    /// Records that addresses are with another node, and that open connections are still served.
    fn draining(&mut self, family: Family) {
        let Some(instance) = self.instances.get_mut(&family) else { return };
        match instance.addresses {
            AddressLocation::Going | AddressLocation::Here => instance.addresses = AddressLocation::Draining,
            // Another end of the drain was set, or the node takes over again.
            AddressLocation::Draining | AddressLocation::Coming | AddressLocation::Elsewhere => return,
        }
        self.queue_on_drain();
    }

    /// The hook for a drain waits if no address is here any more, in whatever order the families went.
    fn queue_on_drain(&mut self) {
        let is_away = |one: &InstanceState| match one.addresses {
            AddressLocation::Draining | AddressLocation::Elsewhere => true,
            AddressLocation::Coming | AddressLocation::Here | AddressLocation::Going => false,
        };
        if self.instances.values().all(is_away) {
            self.queue_for_addresses(HookKind::OnDrain);
        }
    }

    /// The addresses are away, or drain: the hook for that waits.
    fn queue_for_addresses(&mut self, hook: HookKind) {
        let Some(facts) = self.latest.clone().filter(|_| self.configured.contains(&hook)) else {
            return;
        };
        let facts = match facts.state {
            StateName::Initialize | StateName::Backup => HookFacts { previous: StateName::Active, ..facts },
            StateName::Active => {
                let (state, cause) = (StateName::Initialize, Cause::Shutdown);
                HookFacts { state, cause, previous: StateName::Active, ..facts }
            }
        };
        self.addresses = Some(Job { hook, facts, run: 0 });
    }

    /// Settles the state if all families are in the same state, and their addresses are installed
    /// or removed as it requires.
    fn settle(&mut self) {
        let Some(facts) = self.latest.clone().filter(|_| self.unsettled.is_some()) else { return };
        let is_settled = |one: &InstanceState| {
            let fits = match (facts.state, one.addresses) {
                (StateName::Active, AddressLocation::Here)
                | (
                    StateName::Initialize | StateName::Backup,
                    AddressLocation::Elsewhere | AddressLocation::Draining,
                ) => true,
                (StateName::Active | StateName::Initialize | StateName::Backup, _) => false,
            };
            one.state == facts.state && fits
        };
        if !self.instances.values().all(is_settled) {
            return;
        }
        self.unsettled = None;
        self.settled = facts.state;
        // If the state changed and changed back before a hook was told, there is nothing to tell.
        if self.told.replace(facts.state) != Some(facts.state)
            && self.configured.contains(&HookKind::OnTransition)
        {
            self.transition = Some(Job { hook: HookKind::OnTransition, facts, run: 0 });
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
