//! The protocol thread's side of hooks: who must be prepared before the addresses come.
//!
//! Pure but for sending into bounded queues: time is an argument. The deadline of a preparation is
//! kept here, on the thread that is never late, and not where the hook runs: nothing that happens
//! there (a slow disk, a full log pipe) can hold up a takeover for longer.

use super::queue::{FamilyTransition, WorkerEvent};
use super::{HookRouting, NotTold, WorkerRoutes};
use crate::kernel::keeper::KeeperCommand;
use crate::protocol::{Cause, Event, EventKind};
use crate::types::{InstanceKey, MonoTime, RouterName};
use crate::words::why_in_full;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Keeps back `Own` of routers that have a `before_active` hook, and passes on what hooks are about.
#[derive(Debug, Default)]
pub(crate) struct HookGate {
    routes: WorkerRoutes,
    /// Routers that have a `before_active`.
    preparations: BTreeMap<RouterName, Preparation>,
    /// WorkerEvent of this turn, in order: at most one an effect.
    waiting: Vec<(RouterName, WorkerEvent)>,
    /// The addresses that the core wants here, and for which router: a key may go to another.
    wanted: BTreeMap<InstanceKey, RouterName>,
    /// Counts preparations, so that the end of one cannot be taken for that of another.
    runs: u64,
}

#[derive(Debug)]
struct Preparation {
    patience: Duration,
    /// The last preparation.
    run: u64,
    state: PreparationState,
}

/// Both families of a router pass together.
#[derive(Debug)]
enum PreparationState {
    /// Nothing is wanted.
    Idle,
    /// The hook runs or waits for its turn; these `Own` are kept back, by epoch.
    Running { until: MonoTime, kept: BTreeMap<InstanceKey, u64> },
    /// Prepared for as long as one of these is wanted.
    Done(BTreeSet<InstanceKey>),
}

impl HookGate {
    /// The configuration changed. What is held stays held: a hook that is new runs at the next takeover.
    /// Returns what was kept back behind preparations that are no more.
    #[must_use]
    pub(crate) fn reroute(&mut self, routing: HookRouting) -> Vec<KeeperCommand> {
        let HookRouting { routes, preparations } = routing;
        self.routes = routes;
        let mut before = std::mem::take(&mut self.preparations);
        for (router, patience) in preparations {
            let preparation = before.remove(&router).unwrap_or_else(|| {
                let held = self.wanted.iter().filter(|(_, whose)| **whose == router);
                let held: BTreeSet<InstanceKey> = held.map(|(key, _)| *key).collect();
                let state =
                    if held.is_empty() { PreparationState::Idle } else { PreparationState::Done(held) };
                Preparation { patience, run: 0, state }
            });
            self.preparations.insert(router, Preparation { patience, ..preparation });
        }
        before.values_mut().flat_map(Preparation::open).collect()
    }

    /// The core wants these addresses here. What is returned is for the keeper now; where nothing is,
    /// it follows from another method of the gate, unless [`Self::release`] comes first.
    #[must_use]
    pub(crate) fn hold(&mut self, now: MonoTime, key: InstanceKey, epoch: u64) -> Option<KeeperCommand> {
        let router = self.wanted.get(&key).or_else(|| self.routes.router(key)).cloned();
        let Some(router) = router else { return Some(KeeperCommand::Own { key, epoch }) };
        self.wanted.insert(key, router.clone());
        let Some(preparation) = self.preparations.get_mut(&router) else {
            return Some(KeeperCommand::Own { key, epoch });
        };
        match &mut preparation.state {
            PreparationState::Idle => {
                self.runs += 1;
                preparation.run = self.runs;
                preparation.state = PreparationState::Running {
                    until: now + preparation.patience,
                    kept: BTreeMap::from([(key, epoch)]),
                };
                self.waiting.push((router, WorkerEvent::Prepare { run: preparation.run }));
                None
            }
            PreparationState::Running { kept, .. } => {
                kept.insert(key, epoch);
                None
            }
            PreparationState::Done(wanted) => {
                wanted.insert(key);
                Some(KeeperCommand::Own { key, epoch })
            }
        }
    }

    /// The core does not want these addresses any more. The keeper is told in any case.
    pub(crate) fn release(&mut self, key: InstanceKey) {
        let router = self.wanted.remove(&key);
        let Some(preparation) = router.and_then(|router| self.preparations.get_mut(&router)) else { return };
        let left = match &mut preparation.state {
            PreparationState::Idle => return,
            PreparationState::Running { kept, .. } => {
                kept.remove(&key);
                kept.len()
            }
            PreparationState::Done(wanted) => {
                wanted.remove(&key);
                wanted.len()
            }
        };
        if left == 0 {
            // The worker ends the hook when it hears of the transition.
            preparation.state = PreparationState::Idle;
        }
    }

    /// Something happened to a router.
    pub(crate) fn on_event(&mut self, event: &Event) {
        let Some(router) = &event.router else { return };
        match &event.kind {
            EventKind::Transition { from, to, cause, priority, details } => {
                let Some(key) = event.key else { return };
                let faults: Vec<String> = details.faults.iter().map(ToString::to_string).collect();
                let faults = if *cause == Cause::Fault { faults.join("; ") } else { String::new() };
                let moved = FamilyTransition {
                    family: key.family,
                    from: *from,
                    to: *to,
                    cause: *cause,
                    priority: *priority,
                    peer: details.peer.map(|peer| peer.address),
                    reason: why_in_full(*cause, details, *priority, key.family).into(),
                    faults: faults.into(),
                };
                self.waiting.push((router.clone(), WorkerEvent::Moved(moved)));
            }
            EventKind::HandedOver { to, .. } => {
                self.waiting.push((router.clone(), WorkerEvent::TakenOverBy(*to)));
            }
            EventKind::FaultRaised(_)
            | EventKind::LocalWarningRaised(_)
            | EventKind::MacChanged { .. }
            | EventKind::LocalWarningCleared(_)
            | EventKind::FaultCleared(_)
            | EventKind::PriorityChanged { .. }
            | EventKind::HandoverStarted(_)
            | EventKind::NobodyTookOver { .. }
            | EventKind::Demoted { .. }
            | EventKind::Promoted
            | EventKind::DemotionExpired
            | EventKind::SuccessorSilent
            | EventKind::AddressesRestored { .. }
            | EventKind::AddressesRefused { .. }
            | EventKind::DualActive { .. }
            | EventKind::TakeoverRefuted { .. }
            | EventKind::Impersonated { .. }
            | EventKind::PeerWarningRaised { .. }
            | EventKind::PeerWarningCleared { .. }
            | EventKind::NobodyServes { .. }
            | EventKind::ServedAgain { .. }
            | EventKind::Stalled { .. }
            | EventKind::ChecksumFollows(_) => {}
        }
    }

    /// Ends a turn: tells the workers, transitions before the preparations that they are about.
    /// Where a worker cannot be told to prepare, there is nothing to wait for.
    #[must_use]
    pub(crate) fn flush(&mut self) -> Vec<KeeperCommand> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let waiting = std::mem::take(&mut self.waiting);
        let (prepare, moves): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(_, news)| matches!(news, WorkerEvent::Prepare { .. }));
        for (router, news) in moves {
            self.routes.tell_or_lose(&router, news);
        }
        let mut passed = Vec::new();
        for (router, news) in prepare {
            let WorkerEvent::Prepare { run } = news else { continue };
            // Wanted no more, or again, since it was written.
            let current = self
                .preparations
                .get(&router)
                .is_some_and(|preparation| preparation.run == run && preparation.is_running());
            if current && self.routes.tell(&router, news) == Err(NotTold) {
                self.routes.lost.fetch_add(1, Ordering::Relaxed);
                passed.extend(self.prepared(&router, run));
            }
        }
        passed
    }

    /// The hook of this run ended, one way or another.
    #[must_use]
    pub(crate) fn prepared(&mut self, router: &RouterName, run: u64) -> Vec<KeeperCommand> {
        match self.preparations.get_mut(router) {
            Some(preparation) if preparation.run == run => preparation.open(),
            Some(_) | None => Vec::new(),
        }
    }

    /// Opens what has waited long enough.
    #[must_use]
    pub(crate) fn expire(&mut self, now: MonoTime) -> Vec<KeeperCommand> {
        let due = |preparation: &&mut Preparation| preparation.until().is_some_and(|until| until <= now);
        self.preparations.values_mut().filter(due).flat_map(Preparation::open).collect()
    }

    /// When [`Self::expire`] has something to do.
    pub(crate) fn deadline(&self) -> Option<MonoTime> {
        self.preparations.values().filter_map(Preparation::until).min()
    }
}

impl Preparation {
    const fn is_running(&self) -> bool {
        matches!(self.state, PreparationState::Running { .. })
    }

    const fn until(&self) -> Option<MonoTime> {
        match self.state {
            PreparationState::Running { until, .. } => Some(until),
            PreparationState::Idle | PreparationState::Done(_) => None,
        }
    }

    fn open(&mut self) -> Vec<KeeperCommand> {
        let kept = match &mut self.state {
            PreparationState::Running { kept, .. } => std::mem::take(kept),
            PreparationState::Idle | PreparationState::Done(_) => return Vec::new(),
        };
        self.state = PreparationState::Done(kept.keys().copied().collect());
        kept.into_iter().map(|(key, epoch)| KeeperCommand::Own { key, epoch }).collect()
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
