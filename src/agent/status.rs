//! How the programs of the operator are doing: health checks, hooks, and how a run of one of them ended.

use super::event::HookOutcome;
use crate::config::HookKind;
use crate::protocol::{CheckResult, StateName};
use jiff::Timestamp;
use nix::sys::signal::Signal;
use std::fmt;
use std::time::Duration;

/// How a run of a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramOutcome {
    /// It ended with exit code 0.
    Passed,
    /// It ended otherwise, or could not be run.
    Failed(ProgramFailure),
}

/// A run that failed, or could not be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramFailure {
    /// What happened.
    pub kind: FailureKind,
    /// The first line that it wrote to standard error, else, of a check, to standard output, where plugins for
    /// monitoring speak; cut to 200 octets, without control characters.
    pub said: Option<String>,
}

/// What happened to a run that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FailureKind {
    /// It ended with this code.
    #[error("exit code {0}")]
    ExitCode(i32),
    /// This signal ended it.
    #[error("killed by {}", signal_name(*.0))]
    Signal(i32),
    /// It did not end in time.
    #[error("timed out after {0:?}")]
    TimedOut(Duration),
    /// It could not be started: the command says nothing about the service.
    #[error("could not run: {0}")]
    CouldNotRun(String),
    /// An earlier run timed out, and even SIGKILL has not ended it yet.
    #[error("an earlier run hangs and cannot be killed")]
    Unkillable,
}

impl fmt::Display for ProgramFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.said {
            Some(line) => write!(f, "{}: {line}", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl From<FailureKind> for ProgramFailure {
    fn from(kind: FailureKind) -> Self {
        Self { kind, said: None }
    }
}

/// When a check runs, and how many runs in a row change its result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckRule {
    /// The time from one start to the next.
    pub interval: Duration,
    /// Runs in a row that must pass before the check passes.
    pub rise: u8,
    /// Runs in a row that must fail before the check fails.
    pub fall: u8,
}

/// How one check is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckStatus {
    /// How often it runs, and how many runs in a row change its result.
    pub rule: CheckRule,
    /// The result that stands; `None` before the first run has ended.
    pub result: Option<CheckResult>,
    /// Since when this result stands.
    pub since: Option<Timestamp>,
    /// How the latest runs ended, and how many of them in a row.
    pub streak: Option<(CheckResult, u32)>,
    /// Runs since it was configured.
    pub runs: u64,
    /// The latest run.
    pub last: Option<CheckRun>,
}

/// One run of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRun {
    /// The wall clock at its start.
    pub time: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: ProgramOutcome,
}

/// How one hook of one router is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookStatus {
    /// Which hook it is.
    pub hook: HookKind,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// After this time it is killed.
    pub timeout: Duration,
    /// Whether it runs now.
    pub activity: HookActivity,
    /// Runs that ended, however they did.
    pub runs: u64,
    /// The runs among these that failed or timed out.
    pub failures: u64,
    /// Runs that were skipped or cancelled because the state changed again.
    pub skipped: u64,
    /// The last run that ended.
    pub last: Option<HookRun>,
}

/// Whether a hook runs at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HookActivity {
    /// It runs.
    Running,
    /// It does not run.
    Idle,
}

/// One run of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRun {
    /// When it ended.
    pub ended: Timestamp,
    /// The state that it was told.
    pub state: StateName,
    /// How long it ran.
    pub took: Duration,
    /// How it ended.
    pub outcome: HookOutcome,
}

fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |signal| signal.as_str().to_owned())
}
