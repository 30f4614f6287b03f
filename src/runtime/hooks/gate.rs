//! The protocol thread's side of hooks: who must be prepared before the addresses come.
//!
//! Pure but for sending into bounded queues: time is an argument. The deadline of a preparation is
//! kept here, on the thread that is never late, and not where the hook runs: nothing that happens
//! there (a slow disk, a full log pipe) can hold up a takeover for longer.

use super::queue::{Move, News};
use super::{Lines, NotTold};
use crate::config::Config;
use crate::kernel::keeper::Command;
use crate::protocol::{Event, EventKind, HookKind};
use crate::types::{MonoTime, RouterName, VrKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Keeps back `Own` of routers that have a `before_active` hook, and passes on what hooks are about.
#[derive(Debug)]
pub(in crate::runtime) struct Gate {
    lines: Lines,
    /// Routers that have a `before_active`.
    doors: BTreeMap<RouterName, Door>,
    /// News of this turn, in order: at most one an effect.
    waiting: Vec<(VrKey, News)>,
}

#[derive(Debug)]
struct Door {
    patience: Duration,
    /// Counts preparations, so that the end of one cannot be taken for that of another.
    run: u64,
    state: DoorState,
}

/// Both families of a router pass together.
#[derive(Debug)]
enum DoorState {
    /// Nothing is wanted.
    Closed,
    /// The hook runs or waits for its turn; these `Own` are kept back, by epoch.
    Preparing { until: MonoTime, kept: BTreeMap<VrKey, u64> },
    /// Prepared for as long as one of these is wanted.
    Open(BTreeSet<VrKey>),
}

impl Gate {
    /// The gate of the routers of `config`; `lines` lead to their workers.
    pub(in crate::runtime) fn new(config: &Config, lines: Lines) -> Self {
        let doors = config
            .hooks
            .iter()
            .filter(|(_, hooks)| hooks.commands.contains_key(&HookKind::BeforeActive))
            .map(|(name, hooks)| {
                let patience = hooks.before_active_timeout;
                (name.clone(), Door { patience, run: 0, state: DoorState::Closed })
            })
            .collect();
        Self { lines, doors, waiting: Vec::new() }
    }

    /// The core wants these addresses here. What is returned is for the keeper now; where nothing is,
    /// it follows from another method of the gate, unless [`Self::disown`] comes first.
    #[must_use]
    pub(in crate::runtime) fn own(&mut self, now: MonoTime, key: VrKey, epoch: u64) -> Option<Command> {
        let Some(door) = self.lines.router(key).and_then(|router| self.doors.get_mut(router)) else {
            return Some(Command::Own { key, epoch });
        };
        match &mut door.state {
            DoorState::Closed => {
                door.run += 1;
                door.state =
                    DoorState::Preparing { until: now + door.patience, kept: BTreeMap::from([(key, epoch)]) };
                self.waiting.push((key, News::Prepare { run: door.run }));
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
    pub(in crate::runtime) fn disown(&mut self, key: VrKey) {
        let Some(door) = self.lines.router(key).and_then(|router| self.doors.get_mut(router)) else { return };
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
    pub(in crate::runtime) fn on_event(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Transition { from, to, cause, priority, peer } => {
                let Some(key) = event.key.filter(|key| self.lines.router(*key).is_some()) else { return };
                let peer = peer.map(|(address, _)| address);
                let moved = Move {
                    family: key.family,
                    from: *from,
                    to: *to,
                    cause: *cause,
                    priority: *priority,
                    peer,
                };
                self.waiting.push((key, News::Moved(moved)));
            }
            EventKind::HandedOver { to, .. } => {
                let lines = self.lines.lines.iter();
                let line = lines.filter(|(_, line)| line.router == event.router).map(|(key, _)| *key).next();
                self.waiting.extend(line.map(|key| (key, News::TakenOverBy(*to))));
            }
            EventKind::FaultRaised(_)
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
            | EventKind::Suspicious { .. }
            | EventKind::Stalled { .. }
            | EventKind::ChecksumFollows(_)
            | EventKind::Hook { .. } => {}
        }
    }

    /// Ends a turn: tells the workers, transitions before the preparations that they are about.
    /// Where a worker cannot be told to prepare, there is nothing to wait for.
    #[must_use]
    pub(in crate::runtime) fn flush(&mut self) -> Vec<Command> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let waiting = std::mem::take(&mut self.waiting);
        let (prepare, moves): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(_, news)| matches!(news, News::Prepare { .. }));
        for (key, news) in moves {
            self.lines.tell_or_lose(key, news);
        }
        let mut passed = Vec::new();
        for (key, news) in prepare {
            let Some(router) = self.lines.router(key).cloned() else { continue };
            let News::Prepare { run } = news else { continue };
            // Wanted no more, or again, since it was written.
            let current = self.doors.get(&router).is_some_and(|door| door.run == run && door.is_preparing());
            if current && self.lines.tell(key, news) == Err(NotTold) {
                self.lines.lost.fetch_add(1, Ordering::Relaxed);
                passed.extend(self.prepared(&router, run));
            }
        }
        passed
    }

    /// The hook of this run ended, one way or another.
    #[must_use]
    pub(in crate::runtime) fn prepared(&mut self, router: &RouterName, run: u64) -> Vec<Command> {
        match self.doors.get_mut(router) {
            Some(door) if door.run == run => door.open(),
            Some(_) | None => Vec::new(),
        }
    }

    /// Opens what has waited long enough.
    #[must_use]
    pub(in crate::runtime) fn expire(&mut self, now: MonoTime) -> Vec<Command> {
        let due = |door: &&mut Door| door.until().is_some_and(|until| until <= now);
        self.doors.values_mut().filter(due).flat_map(Door::open).collect()
    }

    /// When [`Self::expire`] has something to do.
    pub(in crate::runtime) fn deadline(&self) -> Option<MonoTime> {
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
