//! Documents as text for people.
//!
//! Pure: ages are counted from the time in the document, and the width of the terminal is an
//! argument. Scripts read `--json`, so this text may change.

mod reload;
mod show;
mod table;
pub mod terminal;
mod warnings;

pub use reload::reload;
pub use show::show;
pub use table::{Width, status};

use self::terminal::line as printable;
use super::message::{
    DemoteDoc, DemoteResultDoc, DemotedDoc, EventsDoc, LastHeardDoc, PromoteDoc, PromoteResultDoc,
};
use crate::words::{self, span};
use std::fmt::Write as _;
use std::time::Duration;

/// The text of `demote`: one sentence per router, or per family where the families differ.
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
            let _infallible = writeln!(text, "{}{family}: {}", first.name, demoted(alike, document));
        }
    }
    text
}

/// The text of `promote`: one sentence per router.
#[must_use]
pub fn promote(document: &PromoteDoc) -> String {
    if document.results.is_empty() {
        return NONE_CONFIGURED.to_owned();
    }
    let mut text = String::new();
    for PromoteResultDoc { name, outcome, outlook } in &document.results {
        let outlook = printable(outlook);
        let sentence = match (&**outcome, outlook.is_empty()) {
            ("promoted", true) => format!("{name}: demotion ended."),
            ("promoted", false) => format!("{name}: demotion ended; it {outlook}."),
            ("was_not_demoted", true) => format!("{name}: is not demoted here: nothing to end."),
            ("was_not_demoted", false) => {
                format!("{name}: is not demoted here: nothing to end. It {outlook}.")
            }
            (other, _) => format!("{name}: {other}."),
        };
        let _infallible = writeln!(text, "{sentence}");
    }
    text
}

/// The text of `events`: one line each, which begins with the severity if the event needs
/// attention.
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

/// The sentence about a demotion, for families of one router that had the same outcome.
fn demoted(families: &[DemoteResultDoc], document: &DemoteDoc) -> String {
    let Some(first) = families.first() else { return String::new() };
    let demotion = &document.demotion;
    let end = end(demotion);
    match &*first.outcome {
        "handed_over" => {
            let slowest = families.iter().filter_map(|f| f.handover_ms).fold(0.0, f64::max);
            let after = span(millis(slowest));
            let takers = takers(families);
            format!(
                "now served by {takers} ({after}). This node holds none of its addresses and stays out {end}."
            )
        }
        "was_backup" if demotion.last_resort => {
            format!("was not Active here; from now on it serves here only if nobody else does, {end}.")
        }
        "was_backup" => match first.last_heard {
            Some(active) => format!(
                "was not Active here; now demoted {end}: this node will not take over if {} fails.",
                active.address
            ),
            None => format!(
                "was not Active here; now demoted {end}. No other router was heard: does anybody serve {}?",
                addresses(families)
            ),
        },
        "already_demoted" => match &first.replaced {
            Some(before) => format!("was demoted already; {}.", changes(before, demotion)),
            None => format!("was demoted already, now {end}."),
        },
        "refused" => refused(families),
        "last_resort" => format!(
            "nobody took over within {}: still served here, at priority 1; any other router takes over. {}",
            waited(families),
            end_in_full(demotion, &first.name)
        ),
        "forced" => format!(
            "NOBODY SERVES {} now: nobody took over within {}, and the addresses were released (--force). To serve here \
             again: vrrpctl promote {}",
            addresses(families),
            waited(families),
            first.name
        ),
        other => format!("{other}."),
    }
}

/// The sentence about a refused demotion. It says what to look at, and that `--force` costs the
/// service.
fn refused(families: &[DemoteResultDoc]) -> String {
    let waited = waited(families);
    let heard = families.iter().filter_map(|family| family.last_heard).max_by_key(|heard| heard.time);
    let heard = match heard {
        Some(LastHeardDoc { address, priority, time }) => format!(
            "The last other router that was heard is {address} (priority {priority}), at {time}. Look there first: \
             vrrpctl status"
        ),
        None => "No other router was heard since vrrpd started: is it running on the other node, and do the firewalls let \
                 protocol 112 pass?"
            .to_owned(),
    };
    format!(
        "NOT demoted: nobody took over within {waited}, and this node goes on serving. {heard} (--force would leave {} \
         without a server.)",
        addresses(families)
    )
}

/// The addresses without their prefix lengths.
fn addresses(families: &[DemoteResultDoc]) -> String {
    let all = families.iter().flat_map(|family| &family.addresses).map(|net| net.addr().to_string());
    let all = all.collect::<Vec<_>>().join(", ");
    if all.is_empty() { "its addresses".to_owned() } else { all }
}

fn end_in_full(demotion: &DemotedDoc, name: &str) -> String {
    match demotion.until {
        Some(_) => format!("The demotion lasts {}.", end(demotion)),
        None => format!("To end the demotion: vrrpctl promote {name}"),
    }
}

/// The words for the end of a demotion.
fn end(demotion: &DemotedDoc) -> String {
    match (&demotion.until, demotion.since.parse()) {
        (Some(until), Ok(now)) => format!("until {}", words::until(until, now)),
        (Some(until), Err(_)) => format!("until {until}"),
        (None, _) => "until promoted".to_owned(),
    }
}

/// The words for what a demotion changed of the one that it replaced.
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
        (true, false) => changes.push("it is not a last resort any more".to_owned()),
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

/// A duration of a document; a number that is not a duration is zero.
fn millis(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1e3).unwrap_or_default()
}
