//! The text of `show`.

use super::table::{priority, since};
use super::warnings::on_page;
use super::{millis, named, printable};
use crate::control::message::{
    ActiveDoc, AnnounceDoc, CheckStatusDoc, CountersDoc, HookDoc, InstanceDoc, PeerDoc, ShowDoc, StandbyDoc,
    TrackDoc,
};
use crate::words::Stamp;
use crate::words::span;
use std::fmt::Write as _;

/// The text of `show`: everything about one router.
#[must_use]
pub fn show(document: &ShowDoc) -> String {
    let mut page = Page::default();
    page.heading(&format!(
        "{} on {}, VRID {}, node {}",
        document.name, document.interface, document.vrid, document.node
    ));
    standing(&mut page, document);
    configuration(&mut page, document);
    for track in &document.tracks {
        page.row("tracks", &tracked(track, document.time));
        if let Some(check) = &track.check {
            page.row("  last run", &runs(check));
        }
    }
    for hook in &document.hooks {
        page.row(&hook.hook, &self::hook(hook));
    }
    for instance in &document.instances {
        self::instance(&mut page, instance, document.time);
    }
    for link in document.unattributed.iter().filter(|link| !link.rejected.is_empty()) {
        page.heading(&format!("{} {}: messages for no router of this node", document.interface, link.family));
        counters(&mut page, &link.rejected);
    }
    if !document.events.is_empty() {
        page.heading("last events");
        for event in &document.events {
            page.line(&format!("{}  {}", event.time, printable(&event.text)));
        }
    }
    page.text
}

/// Lines with a name and a value each, under headings.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn heading(&mut self, heading: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let _infallible = writeln!(self.text, "{heading}");
    }

    fn row(&mut self, name: &str, value: &str) {
        self.line(&format!("{name:<24} {}", printable(value)));
    }

    fn line(&mut self, line: &str) {
        let _infallible = writeln!(self.text, "  {line}");
    }
}

fn standing(page: &mut Page, document: &ShowDoc) {
    page.row("priority", &priority(document.priority.effective, document.priority.configured));
    for fault in &document.faults {
        page.row("fault", fault);
    }
    if let Some(demoted) = &document.demoted {
        let why = if demoted.reason.is_empty() { String::new() } else { format!(": {}", demoted.reason) };
        page.row("demoted", &format!("since {} by {}{why}", demoted.since, demoted.by));
        page.row("demoted until", demoted.until.as_deref().unwrap_or("vrrpctl promote"));
        if demoted.last_resort {
            page.row("last resort", "serves at priority 1 if nobody else does");
        }
    }
    if document.handing_over {
        page.row("handing over", "yes");
    }
    for standby in &document.standbys {
        page.row("standby", &self::standby(standby));
    }
    if document.redundant == Some(false) {
        page.row("redundant", "NO: nobody would take over if the Active failed now");
    }
}

/// The line of another node: `fe1 (192.0.2.11, priority 100) would take over; heard 320 ms ago`.
fn standby(standby: &StandbyDoc) -> String {
    let StandbyDoc { node, address, active, priority, obstacle, heard: _, age_ms } = standby;
    let does = match (active, obstacle) {
        (true, _) => "is Active".to_owned(),
        (false, None) => "would take over".to_owned(),
        (false, Some(why)) => format!("would NOT take over: {why}"),
    };
    format!("{node} ({address}, priority {priority}) {does}; heard {} ago", span(millis(*age_ms)))
}

fn configuration(page: &mut Page, document: &ShowDoc) {
    let settings = &document.configuration;
    let preempts = if settings.preempt { "preempts" } else { "does not preempt" };
    page.row("role", &format!("{}, {preempts}", settings.role));
    if settings.preempt_delay_ms > 0.0 {
        page.row("preempt delay", &duration(settings.preempt_delay_ms));
    }
    let every = duration(settings.advertise_interval_ms);
    page.row("advertises every", &format!("{every}; taken for dead after {} missed", settings.down_adverts));
    page.row("checksum", &settings.checksum);
    if let Some(source) = settings.source_address {
        page.row("source address", &source.to_string());
    }
    page.row("announces", &announces(&settings.announce));
}

fn announces(announce: &AnnounceDoc) -> String {
    let mut text = format!("{} times", announce.repeat);
    if announce.delay_ms > 0.0 {
        let _infallible = write!(text, ", again after {}", duration(announce.delay_ms));
    }
    if announce.refresh_ms > 0.0 {
        let _infallible = write!(text, ", then once every {}", duration(announce.refresh_ms));
    }
    text
}

/// The line of one track: `check haproxy: FAILING → priority -60, for 3m12s`.
fn tracked(track: &TrackDoc, now: Stamp) -> String {
    let effect = match (&*track.health, track.weight) {
        ("failing", None) => "FAILING → fault".to_owned(),
        ("failing", Some(weight)) if weight < 0 => format!("FAILING → priority {weight}"),
        ("failing", Some(weight)) => format!("FAILING → priority +0 (would be {weight:+})"),
        ("passing", Some(weight)) if weight > 0 => format!("passing → priority {weight:+}"),
        ("passing", Some(weight)) => format!("passing (failing: priority {weight})"),
        ("passing", None) => "passing (failing is a fault)".to_owned(),
        ("pending", _) => "waiting for the first result".to_owned(),
        (health, _) => health.to_owned(),
    };
    let stands = track.check.as_ref().and_then(|check| check.since);
    let stands = stands.map_or_else(String::new, |then| format!(", for {}", since(now, then)));
    format!("{} {}: {effect}{stands}", track.kind, track.name)
}

/// The line of a check's runs: `exit code 3: backend pool empty; the last 195 failed (3 make it
/// fail); took 12 ms; 4123 runs, every 1s`.
fn runs(check: &CheckStatusDoc) -> String {
    let every = duration(check.interval_ms);
    let Some(last) = &check.last else { return format!("none yet; every {every}") };
    let mut text = last.failure.clone().unwrap_or_else(|| "passed".to_owned());
    if let Some(output) = &last.output {
        let _infallible = write!(text, ": {output}");
    }
    let (ended, needed, turns) = match check.latest.as_deref() {
        Some("failing") => ("failed", check.fall, "make it fail"),
        Some(_) | None => ("passed", check.rise, "make it pass"),
    };
    let took = span(millis(last.took_ms));
    let _infallible = write!(
        text,
        "; the last {} {ended} ({needed} {turns}); took {took}; {} runs, every {every}",
        check.in_a_row, check.runs
    );
    text
}

/// The line of one hook: `/etc/vrrpd/notify: passed in 12.3ms at 2026-11-22T10:00:00.123Z (active);
/// 3 runs, 1 failed`.
fn hook(hook: &HookDoc) -> String {
    let mut text = hook.command.join(" ");
    match &hook.last {
        None => text.push_str(": has not run"),
        Some(last) => {
            let outcome = last.outcome.replace('_', " ");
            let why = last.error.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
            let took = duration(last.took_ms);
            let _infallible = write!(
                text,
                ": {outcome}{why} after {took} at {} ({}); {} runs",
                last.time, last.state, hook.runs
            );
        }
    }
    for (count, what) in [(hook.failures, "failed"), (hook.skipped, "skipped")] {
        if count > 0 {
            let _infallible = write!(text, ", {count} {what}");
        }
    }
    if hook.running {
        text.push_str("; running");
    }
    text
}

fn instance(page: &mut Page, instance: &InstanceDoc, now: Stamp) {
    page.heading(&format!(
        "{}: {} for {}, {} ({})",
        instance.family,
        instance.state,
        since(now, instance.since),
        instance.why,
        instance.cause
    ));
    page.row("since", &instance.since.to_string());
    let with = if instance.authentication == "none" {
        String::new()
    } else {
        format!(" with a {}", instance.authentication)
    };
    page.row("speaks", &format!("VRRPv{}{with}", instance.vrrp_version));
    page.row("active", &instance.active.as_ref().map_or_else(|| "not known".to_owned(), active));
    let source = instance.source.map_or_else(|| "none".to_owned(), |source| source.to_string());
    page.row("sends from", &source);
    for address in &instance.addresses {
        page.row("address", &address.to_string());
    }
    for address in &instance.excluded_addresses {
        page.row("not advertised", &address.to_string());
    }
    page.row("checksum sent", &instance.checksum);
    let timers = &instance.timers;
    page.row("active advert interval", &duration(timers.active_adver_interval_ms));
    page.row("skew time", &duration(timers.skew_time_ms));
    page.row("active down interval", &duration(timers.active_down_interval_ms));
    page.row("acts next in", &timers.next_in_ms.map_or_else(|| "nothing scheduled".to_owned(), duration));
    for peer in &instance.peers {
        page.row("heard", &heard(peer));
    }
    for peer in &instance.unheard_peers {
        page.row("never heard", &peer.to_string());
    }
    for warning in &instance.warnings {
        page.row(&warning.severity.to_uppercase(), &on_page(warning));
    }
    counters(page, &instance.counters);
}

fn active(active: &ActiveDoc) -> String {
    let ActiveDoc { address, local, node } = active;
    if *local { format!("{address} (this node)") } else { named(node.as_deref(), *address).to_string() }
}

fn heard(peer: &PeerDoc) -> String {
    let ago = span(millis(peer.age_ms));
    let node = named(peer.node.as_deref(), peer.address);
    if peer.priority == 0 {
        return format!("{node} resigned {ago} ago");
    }
    let every = duration(peer.advertise_interval_ms);
    format!("{node} {ago} ago: priority {}, every {every}, checksum {}", peer.priority, peer.checksum)
}

/// Adds the counters that are not zero; `--json` has all of them.
fn counters(page: &mut Page, counters: &CountersDoc) {
    for (name, count) in counters.iter().filter(|(_, count)| **count > 0) {
        page.row(name, &count.to_string());
    }
}

/// A duration, exact, in the unit that reads best: `609.375ms`, `3.609375s`.
fn duration(milliseconds: f64) -> String {
    format!("{:?}", millis(milliseconds))
}
