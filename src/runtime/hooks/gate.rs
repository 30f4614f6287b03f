//! The protocol thread's side of hooks: who must be prepared before the addresses come.
//!
//! Pure but for sending into bounded queues: time is an argument. The deadline of a preparation is
//! kept here, on the thread that is never late, and not where the hook runs: nothing that happens
//! there (a slow disk, a full log pipe) can hold up a takeover for longer.

use super::queue::{Move, News};
use super::{Arrangement, Lines, NotTold};
use crate::kernel::keeper::Command;
use crate::protocol::{Cause, Event, EventKind};
use crate::types::{InstanceKey, MonoTime, RouterName};
use crate::words::why_in_full;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Keeps back `Own` of routers that have a `before_active` hook, and passes on what hooks are about.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    lines: Lines,
    /// Routers that have a `before_active`.
    doors: BTreeMap<RouterName, Door>,
    /// News of this turn, in order: at most one an effect.
    waiting: Vec<(RouterName, News)>,
    /// The addresses that the core wants here, and for which router: a key may go to another.
    wanted: BTreeMap<InstanceKey, RouterName>,
    /// Counts preparations, so that the end of one cannot be taken for that of another.
    runs: u64,
}

#[derive(Debug)]
struct Door {
    patience: Duration,
    /// The last preparation.
    run: u64,
    state: DoorState,
}

/// Both families of a router pass together.
#[derive(Debug)]
enum DoorState {
    /// Nothing is wanted.
    Closed,
    /// The hook runs or waits for its turn; these `Own` are kept back, by epoch.
    Preparing { until: MonoTime, kept: BTreeMap<InstanceKey, u64> },
    /// Prepared for as long as one of these is wanted.
    Open(BTreeSet<InstanceKey>),
}

impl Gate {
    /// The configuration changed. What is held stays held: a hook that is new runs at the next takeover.
    /// Returns what was kept back behind doors that are no more.
    #[must_use]
    pub(crate) fn rearrange(&mut self, arrangement: Arrangement) -> Vec<Command> {
        let Arrangement { lines, doors } = arrangement;
        self.lines = lines;
        let mut before = std::mem::take(&mut self.doors);
        for (router, patience) in doors {
            let door = before.remove(&router).unwrap_or_else(|| {
                let held = self.wanted.iter().filter(|(_, whose)| **whose == router);
                let held: BTreeSet<InstanceKey> = held.map(|(key, _)| *key).collect();
                let state = if held.is_empty() { DoorState::Closed } else { DoorState::Open(held) };
                Door { patience, run: 0, state }
            });
            self.doors.insert(router, Door { patience, ..door });
        }
        before.values_mut().flat_map(Door::open).collect()
    }

    /// The core wants these addresses here. What is returned is for the keeper now; where nothing is,
    /// it follows from another method of the gate, unless [`Self::disown`] comes first.
    #[must_use]
    pub(crate) fn own(&mut self, now: MonoTime, key: InstanceKey, epoch: u64) -> Option<Command> {
        let router = self.wanted.get(&key).or_else(|| self.lines.router(key)).cloned();
        let Some(router) = router else { return Some(Command::Own { key, epoch }) };
        self.wanted.insert(key, router.clone());
        let Some(door) = self.doors.get_mut(&router) else {
            return Some(Command::Own { key, epoch });
        };
        match &mut door.state {
            DoorState::Closed => {
                self.runs += 1;
                door.run = self.runs;
                door.state =
                    DoorState::Preparing { until: now + door.patience, kept: BTreeMap::from([(key, epoch)]) };
                self.waiting.push((router, News::Prepare { run: door.run }));
                None
            }
            DoorState::Preparing { kept, .. } => {
                kept.insert(key, epoch);
                None
            }
            DoorState::Open(wanted) => {
                wanted.insert(key);
                Some(Command::Own { key, epoch })
            }
        }
    }

    /// The core does not want these addresses any more. The keeper is told in any case.
    pub(crate) fn disown(&mut self, key: InstanceKey) {
        let router = self.wanted.remove(&key);
        let Some(door) = router.and_then(|router| self.doors.get_mut(&router)) else { return };
        let left = match &mut door.state {
            DoorState::Closed => return,
            DoorState::Preparing { kept, .. } => {
                kept.remove(&key);
                kept.len()
            }
            DoorState::Open(wanted) => {
                wanted.remove(&key);
                wanted.len()
            }
        };
        if left == 0 {
            // The worker ends the hook when it hears of the transition.
            door.state = DoorState::Closed;
        }
    }

    /// Something happened to a router.
    pub(crate) fn on_event(&mut self, event: &Event) {
        let Some(router) = &event.router else { return };
        match &event.kind {
            EventKind::Transition { from, to, cause, priority, grounds } => {
                let Some(key) = event.key else { return };
                let faults: Vec<String> = grounds.faults.iter().map(ToString::to_string).collect();
                let faults = if *cause == Cause::Fault { faults.join("; ") } else { String::new() };
                let moved = Move {
                    family: key.family,
                    from: *from,
                    to: *to,
                    cause: *cause,
                    priority: *priority,
                    peer: grounds.peer.map(|peer| peer.address),
                    reason: why_in_full(*cause, grounds, *priority, key.family).into(),
                    faults: faults.into(),
                };
                self.waiting.push((router.clone(), News::Moved(moved)));
            }
            EventKind::HandedOver { to, .. } => {
                self.waiting.push((router.clone(), News::TakenOverBy(*to)));
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
            | EventKind::TakerSilent
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
    pub(crate) fn flush(&mut self) -> Vec<Command> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let waiting = std::mem::take(&mut self.waiting);
        let (prepare, moves): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(_, news)| matches!(news, News::Prepare { .. }));
        for (router, news) in moves {
            self.lines.tell_or_lose(&router, news);
        }
        let mut passed = Vec::new();
        for (router, news) in prepare {
            let News::Prepare { run } = news else { continue };
            // Wanted no more, or again, since it was written.
            let current = self.doors.get(&router).is_some_and(|door| door.run == run && door.is_preparing());
            if current && self.lines.tell(&router, news) == Err(NotTold) {
                self.lines.lost.fetch_add(1, Ordering::Relaxed);
                passed.extend(self.prepared(&router, run));
            }
        }
        passed
    }

    /// The hook of this run ended, one way or another.
    #[must_use]
    pub(crate) fn prepared(&mut self, router: &RouterName, run: u64) -> Vec<Command> {
        match self.doors.get_mut(router) {
            Some(door) if door.run == run => door.open(),
            Some(_) | None => Vec::new(),
        }
    }

    /// Opens what has waited long enough.
    #[must_use]
    pub(crate) fn expire(&mut self, now: MonoTime) -> Vec<Command> {
        let due = |door: &&mut Door| door.until().is_some_and(|until| until <= now);
        self.doors.values_mut().filter(due).flat_map(Door::open).collect()
    }

    /// When [`Self::expire`] has something to do.
    pub(crate) fn deadline(&self) -> Option<MonoTime> {
        self.doors.values().filter_map(Door::until).min()
    }
}

impl Door {
    const fn is_preparing(&self) -> bool {
        matches!(self.state, DoorState::Preparing { .. })
    }

    const fn until(&self) -> Option<MonoTime> {
        match self.state {
            DoorState::Preparing { until, .. } => Some(until),
            DoorState::Closed | DoorState::Open(_) => None,
        }
    }

    fn open(&mut self) -> Vec<Command> {
        let kept = match &mut self.state {
            DoorState::Preparing { kept, .. } => std::mem::take(kept),
            DoorState::Closed | DoorState::Open(_) => return Vec::new(),
        };
        self.state = DoorState::Open(kept.keys().copied().collect());
        kept.into_iter().map(|(key, epoch)| Command::Own { key, epoch }).collect()
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
