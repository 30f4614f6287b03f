//! The state of the operator's programs: health checks, hooks, and how a run of one of them ended.

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
    /// The program ended with exit code 0.
    Passed,
    /// The program ended otherwise, or could not be run.
    Failed(ProgramFailure),
}

/// A run that failed, or could not be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramFailure {
    /// The kind of the failure.
    pub kind: FailureKind,
    /// The first line of standard error; if a check wrote none, the first line of its standard
    /// output, which plugins for monitoring use. It is cut to 200 octets and has no control
    /// characters.
    pub said: Option<String>,
}

/// The kinds of failures.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FailureKind {
    /// The program ended with this exit code.
    #[error("exit code {0}")]
    ExitCode(i32),
    /// The program was ended by this signal.
    #[error("killed by {}", signal_name(*.0))]
    Signal(i32),
    /// The program did not end within this time.
    #[error("timed out after {0:?}")]
    TimedOut(Duration),
    /// The program could not be started, for this reason. That says nothing about the service.
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
    /// How many runs in a row must pass before the check passes.
    pub rise: u8,
    /// How many runs in a row must fail before the check fails.
    pub fall: u8,
}

/// The state of one check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckStatus {
    /// How often it runs, and how many runs in a row change its result.
    pub rule: CheckRule,
    /// The present result; `None` before the first run has ended.
    pub result: Option<CheckResult>,
    /// The time since which the check has had this result.
    pub since: Option<Timestamp>,
    /// How the latest runs ended, and how many of them in a row.
    pub streak: Option<(CheckResult, u32)>,
    /// How many runs have ended since the check was configured.
    pub runs: u64,
    /// The latest run.
    pub last: Option<CheckRun>,
}

/// One run of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRun {
    /// The wall clock at the start of the run.
    pub time: Timestamp,
    /// How long the run took.
    pub took: Duration,
    /// How the run ended.
    pub outcome: ProgramOutcome,
}

/// The state of one hook of one router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookStatus {
    /// The kind of the hook.
    pub hook: HookKind,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The time after which the program is killed.
    pub timeout: Duration,
    /// Whether the program is running now.
    pub activity: HookActivity,
    /// How many runs have ended, in whatever way.
    pub runs: u64,
    /// How many of these runs failed or timed out.
    pub failures: u64,
    /// How many runs were skipped or cancelled because the state changed again.
    pub skipped: u64,
    /// The last run that ended.
    pub last: Option<HookRun>,
}

/// Whether a hook is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HookActivity {
    /// The program is running.
    Running,
    /// The program is not running.
    Idle,
}

/// One run of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRun {
    /// The wall clock at the end of the run.
    pub ended: Timestamp,
    /// The state that the program was told.
    pub state: StateName,
    /// How long the program ran.
    pub took: Duration,
    /// How the run ended.
    pub outcome: HookOutcome,
}

fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |signal| signal.as_str().to_owned())
}
