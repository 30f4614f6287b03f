//! Health checks: each check has a task, which runs its command at an interval and reports what
//! changed.
//!
//! The rules: the first run is at once; two runs of one check never overlap; late runs are
//! postponed and not made up for; a command that hangs counts as failing at every interval for as
//! long as it hangs. A command that cannot be run counts as failing too, because a missing result
//! does not show that the service is healthy.
//!
//! This module must not know which virtual router tracks a check, and what a failing check does to
//! it.

use super::hysteresis::Hysteresis;
use crate::agent::{
    CheckRule, CheckRun, CheckStatus, FailureKind, ProgramFailure, ProgramOutcome, ResultChange,
};
use crate::config::CheckSpec;
use crate::kernel::blocking::BlockingTask;
use crate::kernel::confinement::Confinement;
use crate::protocol::{CheckName, CheckResult};
use crate::runtime::account::{self, Account};
use crate::runtime::clock;
use crate::runtime::process::{Attempt, Launch, Life, OutputMode, Starter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// No check runs more often than this, whatever its interval.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// A new result: the first result of a check, or one that differs from the result before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckReport {
    /// The name of the check.
    pub(crate) check: CheckName,
    /// The result of the check, after rise and fall.
    pub(crate) result: CheckResult,
    /// Whether the check had another result before.
    pub(crate) change: ResultChange,
    /// How many runs in a row gave this result.
    pub(crate) in_a_row: u32,
    /// The run that decided it.
    pub(crate) outcome: ProgramOutcome,
}

/// The running checks. When this is dropped, all of them end.
#[derive(Debug)]
pub(crate) struct Checks {
    reports: mpsc::Sender<CheckReport>,
    board: CheckBoard,
    running: BTreeMap<CheckName, RunningCheck>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct RunningCheck {
    spec: CheckSpec,
    // This sender is dropped in order to stop the task.
    _stop: watch::Sender<()>,
}

impl Checks {
    /// Begins without checks. Reports go to `reports`; while it is full, the checks wait, so that
    /// no report is lost.
    #[must_use]
    pub(crate) fn new(reports: mpsc::Sender<CheckReport>) -> Self {
        Self { reports, board: CheckBoard::default(), running: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Returns the board with the state of each check.
    #[must_use]
    pub(crate) fn board(&self) -> CheckBoard {
        self.board.clone()
    }

    /// Makes `specs` the checks that run. Unchanged checks continue, changed checks start again
    /// without a result (while the command of the old one may still be ending), and removed checks
    /// are stopped. Must be called on a tokio runtime with I/O and time.
    pub(crate) fn apply(&mut self, specs: &[CheckSpec]) {
        while self.tasks.try_join_next().is_some() {}
        let wanted: BTreeSet<_> = specs.iter().map(|spec| &spec.name).collect();
        self.running.retain(|name, _| wanted.contains(name));
        self.board.lock().retain(|name, _| wanted.contains(name));
        for spec in specs {
            if self.running.get(&spec.name).is_none_or(|running| running.spec != *spec) {
                self.start(spec);
            }
        }
    }

    /// Stops all checks and ends their commands; takes 2 s at most.
    pub(crate) async fn shutdown(mut self) {
        self.running.clear();
        while self.tasks.join_next().await.is_some() {}
    }

    fn start(&mut self, spec: &CheckSpec) {
        let (stop, stopped) = watch::channel(());
        let rule = CheckRule { interval: spec.interval, rise: spec.rise, fall: spec.fall };
        self.board.lock().insert(spec.name.clone(), CheckStatus { rule, ..CheckStatus::default() });
        let watcher = Watcher {
            spec: spec.clone(),
            reports: self.reports.clone(),
            board: self.board.clone(),
            hysteresis: Hysteresis::new(spec.rise, spec.fall),
            account: None,
            asked: None,
            starter: Starter::default(),
            attempt: None,
        };
        self.tasks.spawn(run_watcher(watcher, stopped));
        self.running.insert(spec.name.clone(), RunningCheck { spec: spec.clone(), _stop: stop });
    }
}

/// The state of every check, for the threads that show it. The lock is held for moments only, and
/// never by the protocol thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct CheckBoard(Arc<Mutex<BTreeMap<CheckName, CheckStatus>>>);

impl CheckBoard {
    /// Returns a copy of the state of every configured check.
    #[must_use]
    pub(crate) fn snapshot(&self) -> BTreeMap<CheckName, CheckStatus> {
        self.lock().clone()
    }

    /// Whether there is a check of this name.
    #[must_use]
    pub(crate) fn has(&self, check: &CheckName) -> bool {
        self.lock().contains_key(check)
    }

    /// Adds a check that never runs.
    #[cfg(test)]
    pub(crate) fn insert(&self, check: CheckName) {
        self.lock().insert(check, CheckStatus::default());
    }

    /// Records that the task of a check has died: the check counts as failing from now on. `Some`:
    /// this result is new.
    fn record_death(&self, check: CheckName, death: &JoinError) -> Option<CheckReport> {
        let why = format!("this is a bug, please report it: the check is not run any more ({death})");
        tracing::error!(check = %check.0, why, "the check counts as failing until it is changed or vrrpd restarts");
        let mut board = self.lock();
        let status = board.get_mut(&check)?;
        let before = status.result.replace(CheckResult::Failing);
        status.streak = Some((CheckResult::Failing, 1));
        if before == Some(CheckResult::Failing) {
            return None;
        }
        status.since = Some(clock::wall());
        let change = if before.is_some() { ResultChange::Changed } else { ResultChange::First };
        let outcome = ProgramOutcome::Failed(FailureKind::CouldNotRun(why).into());
        Some(CheckReport { check, result: CheckResult::Failing, change, in_a_row: 1, outcome })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CheckName, CheckStatus>> {
        // A value in the map is replaced as a whole, so a panic in another thread does not leave it
        // half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of one check.
struct Watcher {
    spec: CheckSpec,
    reports: mpsc::Sender<CheckReport>,
    board: CheckBoard,
    hysteresis: Hysteresis,
    /// The account is looked up until it is found once, because a name service that is down later
    /// must not make checks fail.
    account: Option<Account>,
    /// The question that the name service has not answered yet. There are never two of them.
    asked: Option<BlockingTask<Result<Account, FailureKind>>>,
    starter: Starter,
    /// A run in progress, or one that timed out and has not ended yet. It is kept here and not in
    /// the future that waits for it, so that a stopped check can end it in order.
    attempt: Option<Attempt>,
}

/// Runs a watcher, and reports a failure if its task dies, because its last result must not count
/// any longer.
async fn run_watcher(watcher: Watcher, stopped: watch::Receiver<()>) {
    let (check, reports, board) = (watcher.spec.name.clone(), watcher.reports.clone(), watcher.board.clone());
    let still_wanted = stopped.clone();
    // The set has one task, which ends when the set is dropped.
    let mut task = JoinSet::new();
    task.spawn(watcher.live(stopped));
    if let Some(Err(death)) = task.join_next().await
        && death.is_panic()
        && still_wanted.has_changed().is_ok()
        && let Some(report) = board.record_death(check, &death)
    {
        // An error means that no thread receives reports any more.
        let _ = reports.send(report).await;
    }
}

impl Watcher {
    async fn live(mut self, mut stopped: watch::Receiver<()>) {
        tokio::select! {
            biased;
            _ = stopped.changed() => {}
            () = self.work() => {}
        }
        self.starter.call_off().await;
        if let Some(attempt) = &mut self.attempt {
            attempt.kill().await;
        }
    }

    /// Runs the check until no thread receives reports any more.
    async fn work(&mut self) {
        let mut ticks = interval(self.spec.interval.max(SHORTEST_INTERVAL));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let (time, started) = (clock::wall(), Instant::now());
            let outcome = self.run_once().await;
            let last = CheckRun { time, took: started.elapsed(), outcome };
            let report = self.conclude(last);
            let (told, ()) = tokio::join!(tell(&self.reports, report), clear(&mut self.attempt));
            if told.is_err() {
                return;
            }
        }
    }

    async fn run_once(&mut self) -> ProgramOutcome {
        if self.attempt.as_mut().is_some_and(|attempt| attempt.life_now() == Life::Running) {
            return ProgramOutcome::Failed(FailureKind::Unkillable.into());
        }
        match self.start().await {
            Ok(attempt) => self.attempt.insert(attempt).outcome(self.spec.timeout).await,
            Err(kind) => ProgramOutcome::Failed(ProgramFailure::from(kind)),
        }
    }

    async fn start(&mut self) -> Result<Attempt, FailureKind> {
        let user = self.spec.user.as_deref().or_else(|| account::for_checks());
        if let (None, Some(user)) = (&self.account, user) {
            let limit = self.spec.timeout;
            let asked = self.asked.get_or_insert_with(|| Account::look_up(user));
            let Ok(answer) = tokio::time::timeout(limit, asked).await else {
                return Err(FailureKind::CouldNotRun(format!(
                    "no answer about user \"{user}\" within {limit:?}"
                )));
            };
            self.asked = None;
            self.account = Some(answer.map_err(|error| FailureKind::CouldNotRun(error.to_string()))??);
        }
        let variables = [("VRRPD_CHECK", &*self.spec.name.0)];
        let launch = Launch {
            command: &self.spec.command,
            account: self.account.as_ref(),
            confinement: Confinement::AnswerOnly,
            variables: &variables,
            output: OutputMode::Read,
        };
        self.starter.start(launch, self.spec.timeout).await
    }

    /// Records a run on the board. `Some`: the result is new.
    fn conclude(&mut self, last: CheckRun) -> Option<CheckReport> {
        let result = match &last.outcome {
            ProgramOutcome::Passed => CheckResult::Passing,
            ProgramOutcome::Failed(failure) => {
                tracing::debug!(check = %self.spec.name.0, %failure, "check run failed");
                CheckResult::Failing
            }
        };
        let change =
            if self.hysteresis.result().is_some() { ResultChange::Changed } else { ResultChange::First };
        let new = self.hysteresis.record(result);
        let in_a_row = self.hysteresis.streak().map_or(1, |(_, runs)| runs);
        let outcome = last.outcome.clone();
        // A check that left the configuration has no entry on the board any more.
        if let Some(status) = self.board.lock().get_mut(&self.spec.name) {
            *status = CheckStatus {
                rule: status.rule,
                since: if new.is_some() { Some(clock::wall()) } else { status.since },
                result: self.hysteresis.result(),
                streak: self.hysteresis.streak(),
                runs: status.runs + 1,
                last: Some(last),
            };
        }
        new.map(|result| CheckReport { check: self.spec.name.clone(), result, change, in_a_row, outcome })
    }
}

async fn tell(
    reports: &mpsc::Sender<CheckReport>,
    report: Option<CheckReport>,
) -> Result<(), SendError<CheckReport>> {
    match report {
        Some(report) => reports.send(report).await,
        None => Ok(()),
    }
}

/// Ends a run that timed out. If the run hangs, it is kept, so that the next run can report it.
async fn clear(attempt: &mut Option<Attempt>) {
    if let Some(ended) = attempt
        && ended.kill().await == Life::Over
    {
        *attempt = None;
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
