//! Words for people: why something happened, and how long it took.
//!
//! They may change from release to release; scripts read the fixed names of
//! [`Cause::as_str`] and their like.

mod concern;
pub mod neighbours;

pub use concern::foreign_addresses;

use crate::protocol::{Cause, Event, EventKind, Fault, HandoverCause, Hastened, HookOutcome, LastHeard};
use crate::types::Family;
use crate::wire::ChecksumFlavour;
use jiff::Timestamp;
use std::fmt::Write as _;
use std::time::Duration;

/// Why, for a sentence: "backup → active, *the Active fell silent*".
#[must_use]
pub const fn cause_in_full(cause: Cause) -> &'static str {
    match cause {
        Cause::Startup => "the agent started",
        Cause::OwnerStartup => "the owner of the addresses started",
        Cause::ActiveDownTimer => "the Active fell silent",
        Cause::PeerResigned => "the Active resigned",
        Cause::Preempted => "the Active had a lower priority",
        Cause::HigherPriority => "a router of higher priority advertises",
        Cause::TieBreak => "a router of equal priority and greater address advertises",
        Cause::HandedOver => "another router took over",
        Cause::Fault => "something it needs has failed",
        Cause::FaultCleared => "what it needs works again",
        Cause::Demoted => "the operator demoted it",
        Cause::Promoted => "the operator promoted it",
        Cause::Sibling => "its other family moved",
        Cause::Stalled => "this node had stalled and another router took over",
        Cause::Configuration => "the configuration changed",
        Cause::Shutdown => "the agent ends",
    }
}

/// Why, for a table column: 14 characters at most.
#[must_use]
pub const fn cause_in_short(cause: Cause) -> &'static str {
    match cause {
        Cause::Startup => "started",
        Cause::OwnerStartup => "owner",
        Cause::ActiveDownTimer => "Active silent",
        Cause::PeerResigned => "peer resigned",
        Cause::Preempted => "outranks peer",
        Cause::HigherPriority => "outranked",
        Cause::TieBreak => "lost tie-break",
        Cause::HandedOver => "handed over",
        Cause::Fault => "fault",
        Cause::FaultCleared => "recovered",
        Cause::Demoted => "demoted",
        Cause::Promoted => "promoted",
        Cause::Sibling => "other family",
        Cause::Stalled => "had stalled",
        Cause::Configuration => "reconfigured",
        Cause::Shutdown => "stopping",
    }
}

/// A fault for a table column.
#[must_use]
pub fn fault_in_short(fault: &Fault) -> String {
    match fault {
        Fault::InterfaceMissing(name) => format!("{name} missing"),
        Fault::InterfaceDown(name) => format!("{name} down"),
        Fault::NoCarrier(name) => format!("{name} no carrier"),
        Fault::NoSourceAddress(name, family) => format!("{name} no {family} source"),
        Fault::ForeignAddresses(foreign) => format!("foreign {}", foreign.first.addr()),
        Fault::Sockets(name, family, _) => format!("{name} no {family} socket"),
        Fault::Check(name) => format!("check {}", name.0),
        Fault::CheckPending(name) => format!("{} pending", name.0),
        Fault::Addresses(why) => why.clone(),
    }
}

/// One line about an event: "moodle-a ipv4: backup → active, …".
#[must_use]
pub fn event_line(event: &Event) -> String {
    let Some(router) = &event.router else { return happening(&event.kind) };
    let mut line = router.to_string();
    if let Some(key) = event.key {
        let _infallible = write!(line, " {}", key.family);
    }
    line.push_str(": ");
    // The command that helps needs its name.
    let text = if let EventKind::NobodyServes { unserved, idle, addresses } = &event.kind {
        neighbours::nobody_serves(router.as_str(), addresses, unserved, idle)
    } else {
        happening(&event.kind)
    };
    line.push_str(&text);
    line
}

fn happening(kind: &EventKind) -> String {
    match kind {
        EventKind::Transition { from, to, cause, priority, peer, after: _ } => {
            let because = cause_in_full(*cause);
            let mut text = format!("{from} → {to}, {because} ({cause}), priority {priority}");
            if let Some(LastHeard { address, priority, ago: _ }) = peer {
                let _infallible = write!(text, ", decided by {address} with priority {priority}");
            }
            text
        }
        EventKind::FaultRaised(fault) => format!("fault: {}", fault_in_full(fault)),
        EventKind::FaultCleared(fault) => format!("fault cleared: {fault}"),
        EventKind::ConcernRaised(concern) => concern::begins(concern),
        EventKind::ConcernCleared(concern) => concern::ends(concern),
        EventKind::ConfigurationReloaded { by, changes: 0 } => {
            format!("configuration reloaded by {by}: nothing changed")
        }
        EventKind::ConfigurationReloaded { by, changes: 1 } => {
            format!("configuration reloaded by {by}: 1 change")
        }
        EventKind::ConfigurationReloaded { by, changes } => {
            format!("configuration reloaded by {by}: {changes} changes")
        }
        EventKind::PriorityChanged { from, to } => format!("priority {from} → {to}"),
        EventKind::HandoverStarted(cause) => format!("handing over, {}", handover_cause(*cause)),
        EventKind::HandedOver { to, after } => format!("{to} took over after {}", span(*after)),
        EventKind::NobodyTookOver { after, released: false } => {
            format!("nobody took over within {}; this node stays active", span(*after))
        }
        EventKind::NobodyTookOver { after, released: true } => {
            format!("nobody took over within {}; the addresses are released all the same", span(*after))
        }
        EventKind::Demoted { by, reason } if reason.is_empty() => format!("demoted by {by}"),
        EventKind::Demoted { by, reason } => format!("demoted by {by}: {reason}"),
        EventKind::Promoted => "promoted".to_owned(),
        EventKind::DemotionExpired => "the demotion's time is up".to_owned(),
        EventKind::TakerSilent => {
            "nobody is heard since the hand-over; this node serves as the last resort".to_owned()
        }
        EventKind::AddressesRestored { count: 1 } => {
            "1 address was removed by somebody else and is back in place".to_owned()
        }
        EventKind::AddressesRestored { count } => {
            format!("{count} addresses were removed by somebody else and are back in place")
        }
        EventKind::AddressesRefused { why } => format!("the kernel refused addresses: {why}"),
        EventKind::DualActive { peer, priority } => {
            format!("{peer} is active as well, with priority {priority}")
        }
        EventKind::TakeoverRefuted { by, silent, word, lasts } => {
            let because = match word {
                Hastened::Resignation => "a message in its name had resigned".to_owned(),
                Hastened::Interval(interval) => {
                    format!(
                        "it was silent for {} at the {interval} that a message in its name said",
                        span(*silent)
                    )
                }
            };
            format!(
                "this node had taken over from {by}, which was there all the time: {because}. Somebody may forge \
                 messages; for {} such words are believed only when {by} misses its next message",
                span(*lasts)
            )
        }
        EventKind::Impersonated { priority, interval } => format!(
            "somebody sends VRRP messages from this node's own address (priority {priority}, interval {interval}): \
             forged, or a second machine with this address. Look for its MAC address: tcpdump -eni IFACE proto 112"
        ),
        EventKind::Suspicious { peer, what } => neighbours::suspicion(*peer, what),
        EventKind::SuspicionOver { peer, what, after } => neighbours::over(*peer, what, *after),
        EventKind::NobodyServes { unserved, idle, addresses } => {
            neighbours::nobody_serves("NAME", addresses, unserved, idle)
        }
        EventKind::ServedAgain { by: Some(by) } => format!("{by} serves again"),
        EventKind::ServedAgain { by: None } => "somebody serves again".to_owned(),
        EventKind::Stalled { late } => format!("this node was not run for {}", span(*late)),
        EventKind::ChecksumFollows(flavour) => {
            format!("a peer computes checksums as in {}; so does this node now", checksum(*flavour))
        }
        EventKind::Hook { hook, state, outcome, took } => {
            format!("{hook} ({state}) {}", hook_outcome(outcome, *took))
        }
    }
}

/// What came of a hook, for a sentence that begins with the hook.
#[must_use]
pub fn hook_outcome(outcome: &HookOutcome, took: Duration) -> String {
    match outcome {
        HookOutcome::Passed => format!("passed in {}", span(took)),
        HookOutcome::Failed(why) => format!("failed after {}: {why}", span(took)),
        HookOutcome::TimedOut(why) => format!("was killed: {why}"),
        HookOutcome::Cancelled => "was given up: what it was for is off".to_owned(),
        HookOutcome::Superseded => "was left out: the state changed again before its turn".to_owned(),
    }
}

pub(in crate::telemetry) fn fault_in_full(fault: &Fault) -> String {
    match fault {
        Fault::ForeignAddresses(foreign) => concern::foreign_addresses(foreign),
        Fault::Sockets(name, family, why) => format!("no {family} socket on {name}: {why}"),
        Fault::InterfaceMissing(name) => format!("interface {name} does not exist"),
        Fault::InterfaceDown(name) => format!("interface {name} is down"),
        Fault::NoCarrier(name) => format!("interface {name} has no carrier"),
        Fault::NoSourceAddress(name, Family::Ipv4) => {
            format!("interface {name} has no IPv4 address to send from")
        }
        Fault::NoSourceAddress(name, Family::Ipv6) => {
            format!("interface {name} has no IPv6 link-local address to send from")
        }
        Fault::Check(name) => format!("check {} fails", name.0),
        Fault::CheckPending(name) => format!("check {} has no verdict yet", name.0),
        Fault::Addresses(why) => format!("the kernel refuses addresses: {why}"),
    }
}

const fn handover_cause(cause: HandoverCause) -> &'static str {
    match cause {
        HandoverCause::Demote => "the operator demotes it (demote)",
        HandoverCause::Shutdown => "the agent ends (shutdown)",
        HandoverCause::Fault => "something it needs has failed (fault)",
        HandoverCause::Configuration => "the configuration changed (configuration)",
    }
}

/// How the JSON contract and people name a checksum flavour.
#[must_use]
pub const fn checksum(flavour: ChecksumFlavour) -> &'static str {
    match flavour {
        ChecksumFlavour::Rfc9568 => "rfc9568",
        ChecksumFlavour::Rfc5798 => "rfc5798",
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

/// An age in five characters, as exact as that allows: `12s`, `3m12s`, `42m`, `2h05m`, `17h`, `4d03h`.
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

/// An instant to come, as short as it is clear: `12:34 UTC`, or with its date if it is another day. What
/// is no time stays as it is.
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
