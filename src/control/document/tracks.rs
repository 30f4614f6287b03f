//! The checks and interfaces that a router tracks, as a document.

use crate::agent::{AgentSnapshot, CheckRun, CheckStatus, FailureKind, ProgramOutcome, named};
use crate::control::message::{CheckRunDoc, CheckStatusDoc, TrackDoc};
use crate::protocol::{CheckName, Health, Track, Watched};
use crate::words::{self, Stamp, millis};

impl AgentSnapshot {
    pub(super) fn track(&self, track: &Track) -> TrackDoc {
        let (_, name) = track.watched.kind_and_name();
        TrackDoc {
            kind: watched_kind(&track.watched).into(),
            name: name.to_owned().into(),
            weight: track.weight(),
            health: self.health(&track.watched).map_or("pending", health_word).into(),
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

named! {
    /// The names of all kinds of things that a router can track.
    pub(in crate::control) const WATCHED_KINDS;
    fn watched_kind(Watched);
    Watched::Check(_) => "check",
    Watched::Interface(_) => "interface",
}

named! {
    /// The words for all kinds of health.
    pub(in crate::control) const HEALTHS;
    fn health_word(Health);
    Health::Passing => "passing",
    Health::Failing(_) => "failing",
    Health::Pending(_) => "pending",
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
