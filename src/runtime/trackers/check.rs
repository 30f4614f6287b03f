//! CheckResult checks: one task each, which runs its command at an interval and reports what changed.
//!
//! The rules: the first run at once; never two runs of one check at a time; late ticks are put off,
//! not made up for; a command that hangs counts as failing at every interval for as long as it
//! hangs. A command that cannot be run counts as failing too: silence is not health.
//!
//! Must not know: which virtual router cares, and what a failing check does to it.

use super::hysteresis::Hysteresis;
use crate::config::CheckSpec;
use crate::kernel::confinement::Trust;
use crate::protocol::{CheckName, CheckResult, Turn};
use crate::runtime::account::{self, Account};
use crate::runtime::clock;
use crate::runtime::patience::Errand;
use crate::runtime::process::{Attempt, Failure, FailureKind, Launch, Life, Outcome, Output, Starter};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// No check runs more often than this, whatever its interval.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// A verdict that is new: the first of a check, or another than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Of which check.
    pub check: CheckName,
    /// The verdict, after rise and fall.
    pub health: CheckResult,
    /// Whether another one stood before.
    pub turn: Turn,
    /// How many runs in a row speak for it.
    pub in_a_row: u32,
    /// The run that decided it.
    pub outcome: Outcome,
}

/// The running checks. Dropped, all of them end.
#[derive(Debug)]
pub struct Checks {
    verdicts: mpsc::Sender<Verdict>,
    board: CheckBoard,
    running: BTreeMap<CheckName, Running>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Running {
    spec: CheckSpec,
    // Dropped to stop the task.
    _stop: watch::Sender<()>,
}

impl Checks {
    /// No checks yet. Verdicts go to `verdicts`; while it is full, the checks wait: none is lost.
    #[must_use]
    pub fn new(verdicts: mpsc::Sender<Verdict>) -> Self {
        Self { verdicts, board: CheckBoard::default(), running: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// What is known of each check, shared.
    #[must_use]
    pub fn board(&self) -> CheckBoard {
        self.board.clone()
    }

    /// Makes `specs` the checks that run: those unchanged do not notice, those changed start anew
    /// without a verdict (while what the old one runs may still be ending), those gone are stopped. Must be called on a tokio runtime with I/O and time.
    pub fn apply(&mut self, specs: &[CheckSpec]) {
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

    /// Stops all checks and ends what they run; takes 2 s at most.
    pub async fn shutdown(mut self) {
        self.running.clear();
        while self.tasks.join_next().await.is_some() {}
    }

    fn start(&mut self, spec: &CheckSpec) {
        let (stop, stopped) = watch::channel(());
        let rule = Rule { interval: spec.interval, rise: spec.rise, fall: spec.fall };
        self.board.lock().insert(spec.name.clone(), CheckStatus { rule, ..CheckStatus::default() });
        let watcher = Watcher {
            spec: spec.clone(),
            verdicts: self.verdicts.clone(),
            board: self.board.clone(),
            hysteresis: Hysteresis::new(spec.rise, spec.fall),
            account: None,
            asked: None,
            starter: Starter::default(),
            attempt: None,
        };
        self.tasks.spawn(outlived(watcher, stopped));
        self.running.insert(spec.name.clone(), Running { spec: spec.clone(), _stop: stop });
    }
}

/// When a check runs, and when its verdict turns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rule {
    /// From one start to the next.
    pub interval: Duration,
    /// Runs in a row that must pass.
    pub rise: u8,
    /// Runs in a row that must fail.
    pub fall: u8,
}

/// What is known of one check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckStatus {
    /// How often it runs, and how many runs in a row turn its verdict.
    pub rule: Rule,
    /// The verdict that stands; `None` before the first run has ended.
    pub verdict: Option<CheckResult>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// How the latest runs went, and how many of them in a row.
    pub streak: Option<(CheckResult, u32)>,
    /// Runs since it was configured.
    pub runs: u64,
    /// The latest run.
    pub last: Option<LastRun>,
}

/// The latest run of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// When it started, for people.
    pub time: Timestamp,
    /// The same; its age is [`Instant::elapsed`].
    pub started: Instant,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// The state of every check, for whoever shows it. Locked for moments only, and never by the
/// protocol thread.
#[derive(Debug, Clone, Default)]
pub struct CheckBoard(Arc<Mutex<BTreeMap<CheckName, CheckStatus>>>);

impl CheckBoard {
    /// A copy of the state of every configured check.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<CheckName, CheckStatus> {
        self.lock().clone()
    }

    /// Whether there is such a check.
    #[must_use]
    pub fn has(&self, check: &CheckName) -> bool {
        self.lock().contains_key(check)
    }

    /// The check counts as failing from now on. `Some`: that is new.
    fn bury(&self, check: CheckName, death: &JoinError) -> Option<Verdict> {
        let why = format!("this is a bug, please report it: nobody runs the check any more ({death})");
        tracing::error!(check = %check.0, why, "the check counts as failing until it is changed or vrrpd restarts");
        let mut board = self.lock();
        let status = board.get_mut(&check)?;
        let before = status.verdict.replace(CheckResult::Failing);
        status.streak = Some((CheckResult::Failing, 1));
        if before == Some(CheckResult::Failing) {
            return None;
        }
        status.since = Some(clock::wall());
        let turn = if before.is_some() { Turn::Changed } else { Turn::First };
        let outcome = Outcome::Failed(FailureKind::CouldNotRun(why).into());
        Some(Verdict { check, health: CheckResult::Failing, turn, in_a_row: 1, outcome })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CheckName, CheckStatus>> {
        // A value in it is replaced as a whole: a panic elsewhere leaves none half written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of one check.
struct Watcher {
    spec: CheckSpec,
    verdicts: mpsc::Sender<Verdict>,
    board: CheckBoard,
    hysteresis: Hysteresis,
    /// Looked up until it is found once: a name service that is down later must not fail checks.
    account: Option<Account>,
    /// The question that the name service has not answered yet: never two of them.
    asked: Option<Errand<Result<Account, FailureKind>>>,
    starter: Starter,
    /// A run in progress, or one that timed out and has not ended yet. Here and not inside the
    /// future that waits for it, so that a check that is stopped can end it in order.
    attempt: Option<Attempt>,
}

/// Runs a watcher, and speaks for it should it die: its last verdict must not stand for ever.
async fn outlived(watcher: Watcher, stopped: watch::Receiver<()>) {
    let (check, verdicts, board) =
        (watcher.spec.name.clone(), watcher.verdicts.clone(), watcher.board.clone());
    let still_wanted = stopped.clone();
    // A set of one: dropped, it ends with its task.
    let mut task = JoinSet::new();
    task.spawn(watcher.live(stopped));
    if let Some(Err(death)) = task.join_next().await
        && death.is_panic()
        && still_wanted.has_changed().is_ok()
        && let Some(verdict) = board.bury(check, &death)
    {
        // Nobody wants verdicts any more.
        let _ = verdicts.send(verdict).await;
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

    /// Ends when nobody wants verdicts any more.
    async fn work(&mut self) {
        let mut ticks = interval(self.spec.interval.max(SHORTEST_INTERVAL));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let (time, started) = (clock::wall(), Instant::now());
            let outcome = self.run_once().await;
            let last = LastRun { time, started, took: started.elapsed(), outcome };
            let verdict = self.conclude(last);
            let (told, ()) = tokio::join!(tell(&self.verdicts, verdict), clear(&mut self.attempt));
            if told.is_err() {
                return;
            }
        }
    }

    async fn run_once(&mut self) -> Outcome {
        if self.attempt.as_mut().is_some_and(|attempt| attempt.life_now() == Life::Running) {
            return Outcome::Failed(FailureKind::Unkillable.into());
        }
        match self.start().await {
            Ok(attempt) => self.attempt.insert(attempt).outcome(self.spec.timeout).await,
            Err(kind) => Outcome::Failed(Failure::from(kind)),
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
            trust: Trust::ToAnswer,
            variables: &variables,
            output: Output::Read,
        };
        self.starter.start(launch, self.spec.timeout).await
    }

    /// Records a run where it is shown. `Some`: the verdict is new.
    fn conclude(&mut self, last: LastRun) -> Option<Verdict> {
        let health = match &last.outcome {
            Outcome::Passed => CheckResult::Passing,
            Outcome::Failed(failure) => {
                tracing::debug!(check = %self.spec.name.0, %failure, "check run failed");
                CheckResult::Failing
            }
        };
        let turn = if self.hysteresis.verdict().is_some() { Turn::Changed } else { Turn::First };
        let change = self.hysteresis.record(health);
        let in_a_row = self.hysteresis.streak().map_or(1, |(_, runs)| runs);
        let outcome = last.outcome.clone();
        // A check that left the configuration has no place any more.
        if let Some(status) = self.board.lock().get_mut(&self.spec.name) {
            *status = CheckStatus {
                rule: status.rule,
                since: if change.is_some() { Some(clock::wall()) } else { status.since },
                verdict: self.hysteresis.verdict(),
                streak: self.hysteresis.streak(),
                runs: status.runs + 1,
                last: Some(last),
            };
        }
        change.map(|health| Verdict { check: self.spec.name.clone(), health, turn, in_a_row, outcome })
    }
}

async fn tell(verdicts: &mpsc::Sender<Verdict>, verdict: Option<Verdict>) -> Result<(), SendError<Verdict>> {
    match verdict {
        Some(verdict) => verdicts.send(verdict).await,
        None => Ok(()),
    }
}

/// Ends what a run that timed out left; keeps it, if it hangs, so that the next run can tell.
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
