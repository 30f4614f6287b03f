//! Events, causes and faults in words for people, and events as JSON ([`EventDoc`]).
//!
//! Log lines, the control service and hooks all describe an event in these words, so the words
//! stand on a floor below them. The sentences may change from release to release; scripts read the
//! fixed names of [`crate::protocol::Cause::as_str`] and similar functions, and the fields of
//! [`EventDoc`], which are part of the JSON contract.

pub mod channel;
mod event_doc;
pub mod local_warning;
mod named_node;
pub mod peer_warning;
mod why;

#[cfg(any(test, feature = "schema"))]
pub(crate) use event_doc::EVENT_KINDS;
pub use event_doc::{EventDetails, EventDoc, Stamp, Word};
pub use local_warning::foreign_addresses;
pub use named_node::NamedNode;
pub use why::{fault_in_short, why_in_full, why_in_short};

use crate::agent::{AgentEvent, AgentEventKind, HookOutcome, ResultChange};
use crate::protocol::{CheckResult, DrainEnd, EventKind, Fault, HastyMessage};
use crate::types::Family;
use crate::wire::ChecksumFlavour;
use jiff::Timestamp;
use std::time::Duration;
use why::{fault_in_full, handover_cause, recovered, states};

/// Describes an event in one line: "moodle-a ipv4: backup → active, …".
#[must_use]
pub fn event_line(event: &AgentEvent) -> String {
    let text = happening(event);
    match (&event.router, event.key) {
        (None, _) => text,
        (Some(router), None) => format!("{router}: {text}"),
        (Some(router), Some(key)) => format!("{router} {}: {text}", key.family),
    }
}

fn happening(event: &AgentEvent) -> String {
    match &event.kind {
        AgentEventKind::Protocol(kind) => protocol_event(event, kind),
        AgentEventKind::Channel(kind) => channel::sentence(kind),
        AgentEventKind::ConfigurationReloaded { by, changes: 0 } => {
            format!("configuration reloaded by {by}: nothing changed")
        }
        AgentEventKind::ConfigurationReloaded { by, changes: 1 } => {
            format!("configuration reloaded by {by}: 1 change")
        }
        AgentEventKind::ConfigurationReloaded { by, changes } => {
            format!("configuration reloaded by {by}: {changes} changes")
        }
        AgentEventKind::Check { check, result, change, in_a_row, failure } => {
            let told = match (result, change) {
                (CheckResult::Failing, ResultChange::First | ResultChange::Changed) => "fails",
                (CheckResult::Passing, ResultChange::First) => "passes",
                (CheckResult::Passing, ResultChange::Changed) => "passes again",
            };
            let runs = match change {
                ResultChange::First => "first result".to_owned(),
                ResultChange::Changed => format!("{in_a_row} in a row"),
            };
            let why = failure.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            format!("check {} {told} ({runs}){why}", check.0)
        }
        AgentEventKind::Hook { hook, state, outcome, took } => {
            format!("{hook} ({state}) {}", hook_outcome(outcome, *took))
        }
    }
}

/// Describes an event of the core; `event` says which router and instance it is about.
fn protocol_event(event: &AgentEvent, kind: &EventKind) -> String {
    let names = &event.names;
    let node = |address| NamedNode::of(names, address);
    let family = event.key.map_or(Family::Ipv4, |key| key.family);
    match kind {
        EventKind::Transition { from, to, cause, priority, details } => {
            let because = why_in_full(names, *cause, details, *priority, family);
            format!("{}: {because}", states(*from, *to, *cause))
        }
        EventKind::FaultRaised(fault @ Fault::CheckPending(_)) => fault_in_full(fault),
        EventKind::FaultRaised(fault) => format!("FAULT: {}", fault_in_full(fault)),
        EventKind::FaultCleared(fault) => recovered(fault),
        EventKind::MacChanged { interface, from, to } => {
            format!(
                "{interface} has another hardware address, {to} (before: {from}); hosts were told at once"
            )
        }
        EventKind::LocalWarningRaised(concern) => local_warning::begins(concern),
        EventKind::LocalWarningCleared(concern) => local_warning::ends(concern),
        EventKind::PriorityChanged { from, to, weights } => {
            let weights = weights.iter().map(|(watched, change)| format!("{watched} {change:+}"));
            let weights = weights.collect::<Vec<_>>().join(", ");
            let because = if weights.is_empty() { String::new() } else { format!(" ({weights})") };
            format!("priority {from} → {to}{because}")
        }
        EventKind::HandoverStarted(cause) => format!("handing over: {}", handover_cause(*cause)),
        EventKind::HandedOver { to, after } => format!("{} took over after {}", node(*to), span(*after)),
        EventKind::DrainBegun { to: Some(to), lasts } => format!(
            "open connections are kept for {} at most, while {} serves the addresses",
            span(*lasts),
            node(*to)
        ),
        EventKind::DrainBegun { to: None, lasts } => {
            format!(
                "open connections are kept for {} at most, while another node serves the addresses",
                span(*lasts)
            )
        }
        EventKind::DrainResumed { lasts } => format!(
            "open connections that were kept before vrrpd started again are kept on, for {} at most",
            span(*lasts)
        ),
        EventKind::DrainNotRenewed { why } => {
            format!(
                "the kernel does not accept the new end of the time for open connections ({why}): this is tried again"
            )
        }
        EventKind::DrainEnded { why, after, reset } => drain_end(*why, *after, *reset),
        EventKind::DrainRefused { why } => {
            format!("open connections are reset: the kernel does not let the addresses drain ({why})")
        }
        EventKind::NobodyTookOver { after, released: false } => {
            format!("nobody took over within {}; this node stays Active and goes on serving", span(*after))
        }
        EventKind::NobodyTookOver { after, released: true } => {
            format!("NOBODY SERVES its addresses: released after {} without a successor", span(*after))
        }
        EventKind::Demoted { by, reason } if reason.is_empty() => format!("demoted by {by}"),
        EventKind::Demoted { by, reason } => format!("demoted by {by}: {reason}"),
        EventKind::Promoted => "an operator ended the demotion".to_owned(),
        EventKind::DemotionExpired => "the demotion ended by itself (--for)".to_owned(),
        EventKind::SuccessorSilent => {
            "the router that took over is gone again; serving here although demoted".to_owned()
        }
        EventKind::AddressesRestored { count: 1 } => {
            "1 address was removed by somebody else and is back in place".to_owned()
        }
        EventKind::AddressesRestored { count } => {
            format!("{count} addresses were removed by somebody else and are back in place")
        }
        EventKind::AddressesRefused { why } => format!("the kernel refused addresses: {why}"),
        EventKind::DualActive { peer, priority } => {
            let peer = node(*peer).with_priority(priority);
            format!("{peer} is Active too: both hold the virtual addresses")
        }
        EventKind::TakeoverRefuted { by, silent, message, lasts } => {
            let because = match message {
                HastyMessage::Resignation => "a message in its name was a resignation".to_owned(),
                HastyMessage::Interval(interval) => {
                    format!(
                        "a message in its name had an interval of {interval}, and no message followed for {}",
                        span(*silent)
                    )
                }
            };
            let by = node(*by);
            format!(
                "this node took over from {by}, which had not stopped: {because}. The message may be forged; for {} \
                 such messages are believed only if {} misses its next advertisement",
                span(*lasts),
                by.in_short()
            )
        }
        EventKind::Impersonated { priority, interval } => {
            let interface = event.key.map_or_else(|| "any".to_owned(), |key| key.interface.to_string());
            format!(
                "somebody sends VRRP messages from this node's own address (priority {priority}, interval {interval}): \
                 forged, or a second machine with this address. Look for its MAC address: tcpdump -eni {interface} proto 112"
            )
        }
        EventKind::PeerWarningRaised { peer, what } => peer_warning::sentence(names, *peer, what),
        EventKind::PeerWarningCleared { peer, what, after } => peer_warning::over(names, *peer, what, *after),
        EventKind::NobodyServes { nobody_serving, not_serving, addresses } => {
            // The command that helps needs the router's name.
            let router = event.router.as_ref().map_or("NAME", |router| router.as_str());
            peer_warning::nobody_serves(names, router, addresses, nobody_serving, not_serving)
        }
        EventKind::ServedAgain { by: Some(by) } => format!("{} serves again", node(*by)),
        EventKind::ServedAgain { by: None } => "somebody serves again".to_owned(),
        EventKind::NoPeerHeard { peers, after } => peer_warning::no_peer_heard(peers, *after),
        EventKind::PeerHeard { peer } => {
            format!("{} is heard: advertisements arrive here from it", node(*peer))
        }
        EventKind::Stalled { late } => {
            format!("this machine was paused for {} (snapshot, live migration, overload?)", span(*late))
        }
        EventKind::ChecksumFollows(flavour) => {
            format!("a peer uses the {} checksum; using it too (harmless)", flavour_in_full(*flavour))
        }
    }
}

/// Describes the end of a drain.
#[must_use]
pub fn drain_end(why: DrainEnd, after: Duration, reset: Option<usize>) -> String {
    let after = span(after);
    let left = match reset {
        Some(0) => "no connection was left".to_owned(),
        Some(1) => "1 connection was reset".to_owned(),
        Some(reset) => format!("{reset} connections were reset"),
        None => "the kernel has not said how many connections were reset".to_owned(),
    };
    match why {
        DrainEnd::Free => format!("free after {after}: the last connection has ended"),
        DrainEnd::Deadline => format!("free after {after}, at the deadline: {left}"),
        DrainEnd::ForwardingLost => {
            format!(
                "the node that serves the addresses does not pass on what belongs to this one: {left} after {after}"
            )
        }
        DrainEnd::ActiveAgain => {
            format!("the addresses are here again after {after}, with the connections that were kept")
        }
    }
}

/// Describes the end of a hook, for a sentence that begins with the hook.
#[must_use]
pub fn hook_outcome(outcome: &HookOutcome, took: Duration) -> String {
    match outcome {
        HookOutcome::Passed => format!("passed in {}", span(took)),
        HookOutcome::Failed(why) => format!("failed after {}: {why}", span(took)),
        HookOutcome::TimedOut(why) => format!("was killed: {why}"),
        HookOutcome::Cancelled => "was cancelled: this node is no longer becoming Active".to_owned(),
        HookOutcome::Superseded => "was skipped: the state changed before it could run".to_owned(),
    }
}

const fn flavour_in_full(flavour: ChecksumFlavour) -> &'static str {
    match flavour {
        ChecksumFlavour::Rfc9568 => "RFC 9568",
        ChecksumFlavour::Rfc5798 => "RFC 5798",
    }
}

/// The name of a checksum flavour in the JSON contract.
#[must_use]
pub const fn checksum(flavour: ChecksumFlavour) -> &'static str {
    match flavour {
        ChecksumFlavour::Rfc9568 => "rfc9568",
        ChecksumFlavour::Rfc5798 => "rfc5798",
    }
}

/// The name of a check's result in the JSON contract.
#[must_use]
pub const fn check_result(result: CheckResult) -> &'static str {
    match result {
        CheckResult::Passing => "passing",
        CheckResult::Failing => "failing",
    }
}

/// A span that was measured: `18 ms`, `1.6 s`.
#[must_use]
pub fn span(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "less than 1 ms".to_owned(),
        ms @ 1..1000 => format!("{ms} ms"),
        ms if ms % 1000 < 100 => format!("{} s", ms / 1000),
        ms => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}

/// An age in five characters, as exact as that allows: `12s`, `3m12s`, `42m`, `2h05m`, `17h`,
/// `4d03h`.
#[must_use]
pub fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, ..10) => format!("{minutes}m{:02}s", seconds % 60),
        (0, 0, _) => format!("{minutes}m"),
        (0, ..10, _) => format!("{hours}h{:02}m", minutes % 60),
        (0, _, _) => format!("{hours}h"),
        (..10, _, _) => format!("{days}d{:02}h", hours % 24),
        (_, _, _) => format!("{days}d"),
    }
}

/// An instant to come, as short as is clear: `12:34 UTC`, or with its date on another day. A text
/// that is not a time is returned as it is.
#[must_use]
pub fn until(then: &str, now: Timestamp) -> String {
    let Ok(then) = then.parse::<Timestamp>() else { return then.to_owned() };
    let day = |time: Timestamp| time.strftime("%Y-%m-%d").to_string();
    let form = if day(then) == day(now) { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" };
    then.strftime(form).to_string()
}

/// Milliseconds as the JSON contract writes them: a number, to the microsecond.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests;
