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
pub(super) use table::status_cells;
pub use table::{Width, status};
pub(super) use warnings::status_warnings;

use self::terminal::line as printable;
use super::message::{
    DemoteDoc, DemoteResultDoc, DemotedDoc, EventsDoc, HealthDoc, LastHeardDoc, PromoteDoc, PromoteResultDoc,
    StandbyDoc, StatusDoc, TakeDoc,
};
use crate::words::{self, EventDoc, NamedNode, Stamp, span};
use std::fmt::Write as _;
use std::net::IpAddr;
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

/// A hand-over that takes longer than this, in milliseconds, is worth a word beforehand.
const NOTICEABLE_MS: f64 = 100.0;

/// Who will take over the selected routers that this node serves, and how long that may take, one
/// sentence per router; nothing where the nodes do not know one another and it takes no time.
#[must_use]
pub fn successors(document: &StatusDoc, selected: &dyn Fn(&str) -> bool) -> String {
    let mut text = String::new();
    for router in document.virtual_routers.chunk_by(|a, b| a.name == b.name) {
        let Some(served) = router.iter().find(|family| family.state == "active") else { continue };
        if !selected(&served.name) {
            continue;
        }
        let longest = router.iter().map(|family| family.handover_up_to_ms).fold(0.0, f64::max);
        let slow = (longest >= NOTICEABLE_MS).then(|| span(millis(longest)));
        if served.redundant.is_none() {
            if let Some(slow) = slow {
                let _infallible = writeln!(
                    text,
                    "{}: VRRPv{} lets another router take over after up to {slow}; this node serves until then.",
                    served.name, served.vrrp_version
                );
            }
            continue;
        }
        let ready = served.standbys.iter().find(|standby| standby.obstacle.is_none());
        let outlook = match ready {
            Some(StandbyDoc { node, address, priority, .. }) => {
                let after = slow
                    .map_or_else(String::new, |slow| format!(" within {slow}; this node serves until then"));
                format!("{} ({address}, priority {priority}) will take over{after}", printable(node))
            }
            None => {
                let why = served
                    .standbys
                    .iter()
                    .filter_map(|standby| Some(format!("{}: {}", standby.node, standby.obstacle.as_ref()?)));
                let why = why.collect::<Vec<_>>().join("; ");
                let why = if why.is_empty() { "no other node is heard".to_owned() } else { why };
                format!("by what is known now, nobody will take over ({})", printable(&why))
            }
        };
        let _infallible = writeln!(text, "{}: {outlook}.", served.name);
    }
    text
}

/// The line of `health`, as monitoring systems read it.
#[must_use]
pub fn health(document: &HealthDoc) -> String {
    health_line(&document.level.to_uppercase(), &document.summary)
}

/// The line of `health` if the daemon cannot be asked.
#[must_use]
pub fn health_unknown(why: &str) -> String {
    health_line("UNKNOWN", why)
}

/// Makes one line of a level and its reason. Monitoring systems take what follows a `|` for
/// measurements, and the words of a check may have one.
fn health_line(level: &str, why: &str) -> String {
    let why = why.replace('\n', ". ").replace('|', "/");
    format!("{level}: {}\n", printable(&why))
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

/// The text of `take`: one sentence.
#[must_use]
pub fn take(document: &TakeDoc) -> String {
    let TakeDoc { name, outcome, taken_from, taken_from_node, handover_ms, last_resort, reason, .. } =
        document;
    let reason = printable(reason.as_deref().unwrap_or("no reason was given"));
    let asked = printable(taken_from_node.as_deref().unwrap_or("the Active"));
    let sentence = match &**outcome {
        "handed_over" => {
            let from = taken_from.map_or_else(String::new, |address| format!(" ({address})"));
            let after = span(millis(handover_ms.unwrap_or_default()));
            let more = if *last_resort == Some(true) {
                format!(
                    " {asked} has the higher priority, so it stays Backup at priority 1 until you run there: vrrpctl \
                     promote {name}"
                )
            } else {
                String::new()
            };
            format!("now served here; {asked}{from} handed over ({after}).{more}")
        }
        "refused" => format!("NOT taken: {reason}."),
        "no_answer" => format!("{reason}. It may hand over all the same; see: vrrpctl status {name}"),
        other => format!("{other}."),
    };
    format!("{name}: {sentence}\n")
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
            let takers = match takers(families) {
                Takers::Nameless(takers) => format!("{takers} ({after})"),
                // The addresses are in parentheses already.
                Takers::Named(takers) => format!("{takers}, after {after}"),
            };
            let here = match families.iter().filter_map(|family| family.kept_ms).reduce(f64::max) {
                Some(kept) => {
                    let kept = span(millis(kept));
                    format!("serves the connections that are open, for {kept} at most,")
                }
                None => "holds none of its addresses".to_owned(),
            };
            format!("now served by {takers}. This node {here} and stays out {end}.")
        }
        "was_backup" if demotion.last_resort => {
            format!("was not Active here; from now on it serves here only if nobody else does, {end}.")
        }
        "was_backup" => match &first.last_heard {
            Some(active) => format!(
                "was not Active here; now demoted {end}: this node will not take over if {} fails.",
                printable(&named(active.node.as_deref(), active.address).to_string())
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

/// The lines about drains that are under way, one for each router of a status that drains.
#[must_use]
pub fn draining(document: &StatusDoc, selected: &dyn Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for router in document.virtual_routers.chunk_by(|a, b| a.name == b.name) {
        let drains: Vec<_> = router.iter().filter_map(|family| family.draining.as_ref()).collect();
        let (Some(first), Some(name)) = (drains.first(), router.first().map(|one| &one.name)) else {
            continue;
        };
        if !selected(name) {
            continue;
        }
        let until = drains.iter().map(|drain| drain.until.0).max().unwrap_or(first.until.0);
        let until = words::until(&Stamp(until).to_string(), document.time.0);
        let left: Option<u32> = drains.iter().map(|drain| drain.left).sum();
        let left = match left {
            Some(1) => "1 connection left".to_owned(),
            Some(left) => format!("{left} connections left"),
            None => "open connections are kept".to_owned(),
        };
        lines.push((name.to_string(), format!("{name}: {left}, until {until}.")));
    }
    lines
}

/// How the drains of a router ended, from its events: a sentence, and whether every connection was
/// kept until its end.
#[must_use]
pub fn drained(name: &str, events: &[EventDoc]) -> (String, bool) {
    let of_kinds = |kinds: &[&str]| -> Vec<&EventDoc> {
        events.iter().filter(|event| kinds.contains(&&*event.kind)).collect()
    };
    if let Some(refused) = of_kinds(&["drain_refused"]).last() {
        let why = refused.details.error.as_deref().unwrap_or("the kernel does not say why");
        let why = printable(why);
        let text = format!("{name}: free, but open connections could NOT be kept, and were cut: {why}");
        return (text, false);
    }
    let ends = of_kinds(&["drained", "drain_expired", "drain_lost", "drain_taken_back"]);
    if ends.is_empty() {
        let text = format!(
            "{name}: nothing is kept any more, and how that ended is not known. See: vrrpctl events {name}"
        );
        return (text, false);
    }
    let reset = ends.iter().map(|event| event.details.reset).sum::<Option<u64>>();
    let lasted = ends.iter().filter_map(|event| event.details.lasted_ms).fold(0.0, f64::max);
    let after = span(millis(lasted));
    let is = |kind: &str| ends.iter().any(|event| event.kind == kind);
    if is("drain_taken_back") {
        let text = format!("{name}: served here again after {after}, with the connections that were kept.");
        return (text, reset == Some(0));
    }
    let connections = match reset {
        Some(0) => return (format!("{name}: free after {after}."), true),
        Some(1) => "1 connection reset".to_owned(),
        Some(reset) => format!("{reset} connections reset"),
        None => "an unknown number of connections reset".to_owned(),
    };
    let why = if is("drain_lost") {
        " because the node that took over does not pass on their packets"
    } else if is("drain_expired") {
        " at the deadline"
    } else {
        ""
    };
    (format!("{name}: free after {after}; {connections}{why}."), false)
}

/// The sentence about a refused demotion. It says what to look at, and that `--force` costs the
/// service.
fn refused(families: &[DemoteResultDoc]) -> String {
    if let Some(why) = families.iter().find_map(|family| family.refusal.as_ref()) {
        return format!(
            "NOT demoted, and nothing was moved: open connections would be cut: {}. (--drain 0s demotes without \
             keeping them.)",
            printable(why)
        );
    }
    let waited = waited(families);
    let heard =
        families.iter().filter_map(|family| family.last_heard.as_ref()).max_by_key(|heard| heard.time);
    let heard = match heard {
        Some(LastHeardDoc { address, node, priority, time }) => format!(
            "The last other router that was heard is {}, at {time}. Look there first: vrrpctl status",
            printable(&named(node.as_deref(), *address).with_priority(priority))
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

/// Those who took over, in words.
enum Takers {
    /// No name is known: `192.0.2.11 and fe80::11`.
    Nameless(String),
    /// At least one name is known: `fe1 (192.0.2.11, fe80::11)`.
    Named(String),
}

/// Those who took over. A node is named once, with its addresses in all families.
fn takers(families: &[DemoteResultDoc]) -> Takers {
    let mut takers: Vec<(Option<&str>, Vec<IpAddr>)> = Vec::new();
    for family in families {
        let (node, Some(address)) = (family.taken_over_by_node.as_deref(), family.taken_over_by) else {
            continue;
        };
        let known = takers
            .iter_mut()
            .find(|(taker, addresses)| *taker == node && (node.is_some() || addresses.contains(&address)));
        match known {
            Some((_, addresses)) if addresses.contains(&address) => {}
            Some((_, addresses)) => addresses.push(address),
            None => takers.push((node, vec![address])),
        }
    }
    let words = |(node, addresses): &(Option<&str>, Vec<IpAddr>)| {
        let addresses = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        node.map_or_else(|| addresses.clone(), |node| format!("{} ({addresses})", printable(node)))
    };
    let told = takers.iter().map(words).collect::<Vec<_>>().join(" and ");
    if takers.iter().any(|(node, _)| node.is_some()) {
        Takers::Named(told)
    } else if told.is_empty() {
        Takers::Nameless("another router".to_owned())
    } else {
        Takers::Nameless(told)
    }
}

/// The node of a document, with its name if the document has one.
const fn named(name: Option<&str>, address: IpAddr) -> NamedNode<'_> {
    NamedNode { name, address }
}

fn waited(families: &[DemoteResultDoc]) -> String {
    span(millis(families.iter().filter_map(|f| f.waited_ms).fold(0.0, f64::max)))
}

/// A duration of a document; a number that is not a duration is zero.
fn millis(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1e3).unwrap_or_default()
}
