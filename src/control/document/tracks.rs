//! The checks and interfaces that a router tracks, as a document.

use crate::agent::{AgentSnapshot, CheckRun, CheckStatus, FailureKind, ProgramOutcome};
use crate::control::message::{CheckRunDoc, CheckStatusDoc, TrackDoc};
use crate::protocol::{CheckName, Health, Track, Watched};
use crate::words::{self, Stamp, millis};

impl AgentSnapshot {
    pub(super) fn track(&self, track: &Track) -> TrackDoc {
        let (kind, name) = track.watched.kind_and_name();
        let health = match self.health(&track.watched) {
            Some(Health::Passing) => "passing",
            Some(Health::Failing(_)) => "failing",
            Some(Health::Pending(_)) | None => "pending",
        };
        TrackDoc {
            kind: kind.into(),
            name: name.to_owned().into(),
            weight: track.weight(),
            health: health.into(),
            check: track.watched.check().and_then(|name| self.checks.get(name)).map(status),
        }
    }

    /// How the protocol sees something that is watched; `None` if no router tracks it.
    pub(super) fn health(&self, watched: &Watched) -> Option<&Health> {
        self.snapshot.watched.iter().find(|(other, _)| other == watched).map(|(_, health)| health)
    }

    /// How the last run of a check failed, in words.
    pub(super) fn failure(&self, name: &CheckName) -> Option<String> {
        match &self.checks.get(name)?.last.as_ref()?.outcome {
            ProgramOutcome::Passed => None,
            ProgramOutcome::Failed(failure) => Some(failure.to_string()),
        }
    }
}

fn status(status: &CheckStatus) -> CheckStatusDoc {
    let CheckStatus { rule, result: _, since, streak, runs, last } = status;
    CheckStatusDoc {
        since: since.map(Stamp),
        interval_ms: millis(rule.interval),
        rise: rule.rise,
        fall: rule.fall,
        runs: *runs,
        latest: streak.map(|(health, _)| words::check_result(health).into()),
        in_a_row: streak.map_or(0, |(_, runs)| runs),
        last: last.as_ref().map(run),
    }
}

fn run(run: &CheckRun) -> CheckRunDoc {
    let CheckRun { time, took, outcome } = run;
    let (exit_code, failure, output) = match outcome {
        ProgramOutcome::Passed => (None, None, None),
        ProgramOutcome::Failed(failure) => {
            let code = match failure.kind {
                FailureKind::ExitCode(code) => Some(code),
                FailureKind::Signal(_)
                | FailureKind::TimedOut(_)
                | FailureKind::CouldNotRun(_)
                | FailureKind::Unkillable => None,
            };
            (code, Some(failure.kind.to_string()), failure.said.clone())
        }
    };
    CheckRunDoc { time: Stamp(*time), took_ms: millis(*took), exit_code, failure, output }
}
