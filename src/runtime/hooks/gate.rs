//! The part of the hooks that runs on the protocol thread: which routers must be prepared before
//! their addresses are installed.
//!
//! The code is pure except for sending into bounded queues: time is an argument. The deadline of a
//! preparation is kept here, on the thread that is never late, and not where the hook runs: a slow
//! disk or a full log pipe there must not delay a takeover any longer.

use super::queue::{FamilyTransition, WorkerEvent};
use super::{HookRouting, NotTold, WorkerRoutes};
use crate::kernel::keeper::KeeperCommand;
use crate::protocol::{Event, EventKind};
use crate::types::{InstanceKey, MonoTime, RouterName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Keeps back the `Hold` of routers that have a `before_active` hook, and tells the workers what
/// happens to their routers.
#[derive(Debug, Default)]
pub(crate) struct HookGate {
    routes: WorkerRoutes,
    /// The routers that have a `before_active`.
    preparations: BTreeMap<RouterName, Preparation>,
    /// The [`WorkerEvent`]s of this turn, in order: at most one for each effect.
    waiting: Vec<(RouterName, WorkerEvent)>,
    /// The instances whose addresses the core wants here, with their router: a key may go to
    /// another router.
    wanted: BTreeMap<InstanceKey, RouterName>,
    /// Counts preparations, so that the end of one preparation is not mistaken for the end of
    /// another.
    runs: u64,
}

#[derive(Debug)]
struct Preparation {
    patience: Duration,
    /// The number of the last preparation.
    run: u64,
    state: PreparationState,
}

/// The state of a preparation. Both families of a router pass together.
#[derive(Debug)]
enum PreparationState {
    /// No addresses are wanted.
    Idle,
    /// The hook runs or waits for its turn. These `Hold` commands are kept back, by epoch.
    Running { until: MonoTime, kept: BTreeMap<InstanceKey, u64> },
    /// The router is prepared for as long as one of these instances is wanted.
    Done(BTreeSet<InstanceKey>),
}

impl HookGate {
    /// Takes a changed configuration. Addresses that are held stay held: a new hook runs at the
    /// next takeover. Returns the commands that were kept back by preparations that do not exist
    /// any more.
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

    /// The core wants these addresses here. The caller gives a returned command to the keeper at
    /// once. If none is returned, another method of the gate returns it later, unless
    /// [`Self::release`] is called first.
    #[must_use]
    pub(crate) fn hold(&mut self, now: MonoTime, key: InstanceKey, epoch: u64) -> Option<KeeperCommand> {
        let router = self.wanted.get(&key).or_else(|| self.routes.router(key)).cloned();
        let Some(router) = router else { return Some(KeeperCommand::Hold { key, epoch }) };
        self.wanted.insert(key, router.clone());
        let Some(preparation) = self.preparations.get_mut(&router) else {
            return Some(KeeperCommand::Hold { key, epoch });
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
                Some(KeeperCommand::Hold { key, epoch })
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

    /// Passes an event of a router to its worker.
    pub(crate) fn on_event(&mut self, event: &Event) {
        let Some(router) = &event.router else { return };
        match &event.kind {
            EventKind::Transition { from, to, cause, priority, details } => {
                let Some(key) = event.key else { return };
                let moved = FamilyTransition {
                    family: key.family,
                    from: *from,
                    to: *to,
                    cause: *cause,
                    priority: *priority,
                    details: details.clone().into(),
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
            | EventKind::DrainBegun { .. }
            | EventKind::DrainEnded { .. }
            | EventKind::DrainRefused { .. }
            | EventKind::DrainResumed { .. }
            | EventKind::DrainNotRenewed { .. }
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
            | EventKind::NoPeerHeard { .. }
            | EventKind::PeerHeard { .. }
            | EventKind::Stalled { .. }
            | EventKind::ChecksumFollows(_) => {}
        }
    }

    /// Ends a turn: tells the workers, transitions before the preparations that belong to them. If
    /// a worker cannot be told to prepare, the takeover does not wait.
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
            // Since the event was written, the addresses may not be wanted any more, or may be
            // wanted again.
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

    /// The hook of this run has ended, in whatever way.
    #[must_use]
    pub(crate) fn prepared(&mut self, router: &RouterName, run: u64) -> Vec<KeeperCommand> {
        match self.preparations.get_mut(router) {
            Some(preparation) if preparation.run == run => preparation.open(),
            Some(_) | None => Vec::new(),
        }
    }

    /// Returns the commands that have waited for their whole time.
    #[must_use]
    pub(crate) fn expire(&mut self, now: MonoTime) -> Vec<KeeperCommand> {
        let due = |preparation: &&mut Preparation| preparation.until().is_some_and(|until| until <= now);
        self.preparations.values_mut().filter(due).flat_map(Preparation::open).collect()
    }

    /// Returns when [`Self::expire`] must be called.
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
        kept.into_iter().map(|(key, epoch)| KeeperCommand::Hold { key, epoch }).collect()
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
