//! Documents as text for people.
//!
//! Pure: the age of a thing comes from the document's own time, the width of the terminal is an
//! argument. What scripts read is `--json`; this may change.

mod reload;
mod show;
mod table;
pub mod terminal;
mod warnings;

pub use reload::reload;
pub use show::show;
pub use table::{Width, status};

use self::terminal::line as printable;
use super::message::{DemoteDoc, DemoteResultDoc, DemotedDoc, EventsDoc, PromoteDoc};
use crate::telemetry::words::{self, span};
use std::fmt::Write as _;
use std::time::Duration;

/// `demote`: one sentence per router, or per family where they differ.
#[must_use]
pub fn demote(document: &DemoteDoc) -> String {
    if document.results.is_empty() {
        return NONE_CONFIGURED.to_owned();
    }
    let mut text = String::new();
    for router in document.results.chunk_by(|a, b| a.name == b.name) {
        for alike in router.chunk_by(|a, b| a.outcome == b.outcome) {
            let Some(first) = alike.first() else { continue };
            let whole = alike.len() == router.len();
            let family = if whole { String::new() } else { format!(" {}", first.family) };
            let _infallible =
                writeln!(text, "{}{family}: {}", first.name, demoted(alike, &document.demotion));
        }
    }
    text
}

/// `promote`: one sentence per router.
#[must_use]
pub fn promote(document: &PromoteDoc) -> String {
    if document.results.is_empty() {
        return NONE_CONFIGURED.to_owned();
    }
    let sentence = |outcome: &str| match outcome {
        "promoted" => "takes part again.".to_owned(),
        "was_not_demoted" => "was not demoted; nothing changed.".to_owned(),
        other => format!("{other}."),
    };
    let mut text = String::new();
    for result in &document.results {
        let _infallible = writeln!(text, "{}: {}", result.name, sentence(&result.outcome));
    }
    text
}

/// `events`: one line each, its severity in front of what deserves a look.
#[must_use]
pub fn events(document: &EventsDoc) -> String {
    let mut text = String::new();
    if document.lost > 0 {
        let _infallible = writeln!(text, "({} events were missed: this reader was too slow)", document.lost);
    }
    for event in &document.events {
        let mark = match &*event.severity {
            "info" => "",
            "warning" => "WARN",
            "error" => "ERROR",
            other => other,
        };
        let _infallible = writeln!(text, "{} {mark:5} {}", event.time, printable(&event.text));
    }
    text
}

const NONE_CONFIGURED: &str = "No virtual router is configured.\n";

/// What a demotion did to families of one router that fared alike.
fn demoted(families: &[DemoteResultDoc], demotion: &DemotedDoc) -> String {
    let Some(first) = families.first() else { return String::new() };
    let end = end(demotion);
    let until = demotion.until.as_ref().map(|_| format!(" {end}")).unwrap_or_default();
    match &*first.outcome {
        "handed_over" => {
            let takers = takers(families);
            let slowest = families.iter().filter_map(|f| f.handover_ms).fold(0.0, f64::max);
            let after = span(millis(slowest));
            format!("{takers} took over after {after}; nothing of it is left here{until}.")
        }
        "was_backup" if demotion.last_resort => {
            format!("was not Active here; serves as the last resort only, {end}.")
        }
        "was_backup" => {
            format!("was not Active here; takes no part {end}.")
        }
        "already_demoted" => match &first.replaced {
            Some(before) => format!("was demoted already; {}.", changes(before, demotion)),
            None => format!("was demoted already, now {end}."),
        },
        "refused" => format!(
            "nobody took over within {}; this node stays active. Use --force to release it anyway.",
            waited(families)
        ),
        "last_resort" => format!(
            "nobody took over within {}; this node serves it as the last resort, and yields to anybody{until}.",
            waited(families)
        ),
        "forced" => format!(
            "nobody took over within {}; its addresses are released all the same, and nobody serves them.",
            waited(families)
        ),
        other => format!("{other}."),
    }
}

/// When a demotion ends.
fn end(demotion: &DemotedDoc) -> String {
    match (&demotion.until, demotion.since.parse()) {
        (Some(until), Ok(now)) => format!("until {}", words::until(until, now)),
        (Some(until), Err(_)) => format!("until {until}"),
        (None, _) => "until it is promoted".to_owned(),
    }
}

/// What a demotion changed of the one it replaced.
fn changes(before: &DemotedDoc, now: &DemotedDoc) -> String {
    let mut changes = Vec::new();
    if before.until != now.until {
        changes.push(format!("it now lasts {}", end(now)));
    }
    if before.reason != now.reason {
        changes.push(match (&*before.reason, &*now.reason) {
            (before, "") => format!("its reason is gone (was: {})", printable(before)),
            ("", now) => format!("its reason is now: {}", printable(now)),
            (before, now) => format!("its reason is now: {} (was: {})", printable(now), printable(before)),
        });
    }
    match (before.last_resort, now.last_resort) {
        (false, true) => changes.push("it serves as the last resort now".to_owned()),
        (true, false) => changes.push("it is no last resort any more".to_owned()),
        (true, true) | (false, false) => {}
    }
    if changes.is_empty() { "nothing changed".to_owned() } else { changes.join("; ") }
}

fn takers(families: &[DemoteResultDoc]) -> String {
    let mut takers: Vec<String> =
        families.iter().filter_map(|f| f.taken_over_by).map(|address| address.to_string()).collect();
    takers.dedup();
    if takers.is_empty() { "another router".to_owned() } else { takers.join(" and ") }
}

fn waited(families: &[DemoteResultDoc]) -> String {
    span(millis(families.iter().filter_map(|f| f.waited_ms).fold(0.0, f64::max)))
}

/// Milliseconds of a document; nonsense is zero.
fn millis(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1e3).unwrap_or_default()
}
