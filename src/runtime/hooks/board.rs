//! The latest results of every hook, for the threads that show them. The lock is held for moments
//! only, and never by the protocol thread.

use crate::agent::{HookActivity, HookOutcome, HookRun, HookStatus};
use crate::config::{HookKind, RouterHooks};
use crate::types::RouterName;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The status of all hooks, by router; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct HookBoard(Arc<Mutex<BTreeMap<RouterName, BTreeMap<HookKind, HookStatus>>>>);

impl HookBoard {
    /// Returns a copy of everything, the hooks of a router in the order in which they run.
    #[must_use]
    pub(crate) fn snapshot(&self) -> BTreeMap<RouterName, Vec<HookStatus>> {
        self.lock().iter().map(|(name, hooks)| (name.clone(), hooks.values().cloned().collect())).collect()
    }

    /// Sets the hooks of a router. Hooks that were configured before keep their status.
    pub(super) fn open(&self, router: &RouterName, hooks: &RouterHooks) {
        let status = |(hook, command): (&HookKind, &Vec<String>)| {
            let (timeout, command) = (hooks.timeout_of(*hook), command.clone());
            let status = HookStatus {
                hook: *hook,
                command,
                timeout,
                activity: HookActivity::Idle,
                runs: 0,
                failures: 0,
                skipped: 0,
                last: None,
            };
            (*hook, status)
        };
        let mut board = self.lock();
        let known = board.entry(router.clone()).or_default();
        known.retain(|hook, _| hooks.commands.contains_key(hook));
        for (hook, new) in hooks.commands.iter().map(status) {
            let HookStatus { command, timeout, .. } = new.clone();
            let status = known.entry(hook).or_insert(new);
            (status.command, status.timeout) = (command, timeout);
        }
        board.retain(|_, hooks| !hooks.is_empty());
    }

    pub(super) fn retain(&self, stays: impl Fn(&RouterName) -> bool) {
        self.lock().retain(|router, _| stays(router));
    }

    pub(super) fn started(&self, router: &RouterName, hook: HookKind) {
        self.change(router, hook, |status| status.activity = HookActivity::Running);
    }

    pub(super) fn ended(&self, router: &RouterName, hook: HookKind, run: HookRun) {
        self.change(router, hook, |status| {
            status.activity = HookActivity::Idle;
            status.runs += 1;
            match run.outcome {
                HookOutcome::Passed => {}
                HookOutcome::Failed(_) | HookOutcome::TimedOut(_) => status.failures += 1,
                HookOutcome::Cancelled | HookOutcome::Superseded => status.skipped += 1,
            }
            status.last = Some(run);
        });
    }

    pub(super) fn skipped(&self, router: &RouterName, hook: HookKind) {
        self.change(router, hook, |status| status.skipped += 1);
    }

    fn change(&self, router: &RouterName, hook: HookKind, change: impl FnOnce(&mut HookStatus)) {
        if let Some(status) = self.lock().get_mut(router).and_then(|hooks| hooks.get_mut(&hook)) {
            change(status);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<RouterName, BTreeMap<HookKind, HookStatus>>> {
        // The map contains numbers and whole values, so a panic in another thread does not leave
        // any of them half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
