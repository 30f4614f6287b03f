//! What is watched on behalf of a router, as a document.

use crate::agent::{AgentSnapshot, CheckRun, CheckStatus, FailureKind, ProgramOutcome};
use crate::control::message::{CheckRunDoc, CheckStatusDoc, TrackDoc};
use crate::protocol::{CheckName, CheckResult, Fault, RouterSnapshot, Track};
use crate::types::InterfaceName;
use crate::words::{self, Stamp, millis};

impl AgentSnapshot {
    pub(super) fn track(&self, router: &RouterSnapshot, track: &Track) -> TrackDoc {
        match track {
            Track::Check(name) => self.check(name, None),
            Track::WeightedCheck(name, weight) => self.check(name, Some(*weight)),
            Track::Interface(name) => {
                let down = router.faults.iter().any(|fault| concerns(fault, *name));
                let health = if down { "failing" } else { "passing" };
                let name = name.to_string().into();
                let kind = "interface".into();
                TrackDoc { kind, name, weight: None, health: health.into(), check: None }
            }
        }
    }

    fn check(&self, name: &CheckName, weight: Option<i16>) -> TrackDoc {
        TrackDoc {
            kind: "check".into(),
            name: name.0.to_string().into(),
            weight,
            health: self.check_result(name).map_or("pending", words::check_result).into(),
            check: self.checks.get(name).map(status),
        }
    }

    /// The result that the protocol knows; `None`: there is none yet.
    pub(super) fn check_result(&self, name: &CheckName) -> Option<CheckResult> {
        self.snapshot.checks.iter().find(|(check, _)| check == name).and_then(|(_, health)| *health)
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

fn concerns(fault: &Fault, interface: InterfaceName) -> bool {
    match fault {
        Fault::InterfaceMissing(name)
        | Fault::InterfaceDown(name)
        | Fault::NoCarrier(name)
        | Fault::Port(name, _)
        | Fault::OtherName(name, _) => *name == interface,
        Fault::NoSourceAddress(..)
        | Fault::ForeignAddresses(_)
        | Fault::Sockets(..)
        | Fault::Check(_)
        | Fault::CheckPending(_)
        | Fault::Addresses(_) => false,
    }
}
