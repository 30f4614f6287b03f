//! Documents against their schemas, and what people see of them.

use crate::rig::schema::{assert_conforms, violations};
use crate::rig::{BEFORE, event, published, published_with_names, reloaded, took_over};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use vrrpd::agent::{AgentEventKind, AgentSnapshot, EventFilter, EventLog, HookOutcome, ReloadMode};
use vrrpd::config::HookKind;
use vrrpd::control::message::{
    DemoteDoc, DemoteResultDoc, DemotedDoc, EventsDoc, LastHeardDoc, PromoteDoc, PromoteResultDoc, ReloadDoc,
    ShowDoc, StatusDoc, VERSION, VirtualRouterDoc,
};
use vrrpd::control::render::{self, Width};
use vrrpd::protocol::{
    ActiveRouter, Demotion, EventKind, Fault, Health, LastHeard, LastResort, PeerSnapshot, RouterSnapshot,
    StateName, Track, Until,
};
use vrrpd::types::{AdvertPriority, InterfaceName, Preempt, Priority, Role};
use vrrpd::words::{EventDoc, Stamp};

fn status() -> StatusDoc {
    let published = published();
    published.status(&published.snapshot.routers)
}

fn events() -> Vec<EventDoc> {
    let log = EventLog::new();
    log.push("2026-11-22T09:56:48.123Z".parse().unwrap(), event("moodle-a", took_over()));
    let restored = EventKind::AddressesRestored { count: 2 };
    log.push("2026-11-22T09:58:00Z".parse().unwrap(), event("moodle-a", restored));
    let (hook, state, took) = (HookKind::OnTransition, StateName::Active, Duration::from_micros(73_250));
    let failed =
        AgentEventKind::Hook { hook, state, outcome: HookOutcome::Failed("exit code 1".into()), took };
    log.push("2026-11-22T09:58:01Z".parse().unwrap(), event("moodle-a", failed));
    log.last_of(10, &EventFilter::default()).iter().map(|record| EventDoc::new(record)).collect()
}

fn show() -> ShowDoc {
    let mut published = published();
    let router = published.snapshot.routers.iter_mut().find(|r| r.spec.name.as_str() == "moodle-a").unwrap();
    router.demoted = Some(Demotion {
        since: "2026-11-22T09:59:59.000Z".into(),
        until: Some(Until { at: crate::rig::seconds(2799), text: "2026-11-22T10:29:59.000Z".into() }),
        last_resort: LastResort::Yes,
        reason: "kernel update".into(),
        by: "alice".into(),
    });
    router.handing_over = true;
    published.show(published.router("moodle-a").unwrap(), events())
}

fn demoted(until: Option<&str>, reason: &str) -> DemotedDoc {
    DemotedDoc {
        since: "2026-11-22T10:00:00.000Z".into(),
        until: until.map(str::to_owned),
        reason: reason.into(),
        by: "alice".into(),
        last_resort: false,
    }
}

fn demote(outcomes: &[(&str, &str, &str)]) -> DemoteDoc {
    let result = |(name, family, outcome): &(&str, &str, &str)| DemoteResultDoc {
        name: (*name).to_owned().into(),
        family: (*family).to_owned().into(),
        outcome: (*outcome).to_owned().into(),
        refusal: None,
        taken_over_by: (*outcome == "handed_over").then(|| match *family {
            "ipv4" => "192.0.2.11".parse().unwrap(),
            _ => "fe80::11".parse().unwrap(),
        }),
        taken_over_by_node: None,
        handover_ms: (*outcome == "handed_over").then_some(18.3),
        kept_ms: None,
        waited_ms: matches!(*outcome, "refused" | "forced" | "last_resort").then_some(1609.0),
        replaced: None,
        last_heard: (*name != "alone").then(|| LastHeardDoc {
            address: "192.0.2.11".parse().unwrap(),
            node: None,
            priority: 100,
            time: Stamp("2026-11-22T03:01:00.000Z".parse().unwrap()),
        }),
        addresses: vec!["192.0.2.50/24".parse().unwrap()],
    };
    DemoteDoc {
        version: VERSION,
        node: "frontend-0".into(),
        demotion: demoted(None, "kernel update"),
        persisted: true,
        warning: None,
        results: outcomes.iter().map(result).collect(),
    }
}

#[test]
fn a_demotion_says_that_open_connections_are_kept() {
    let mut document = demote(&[("both", "ipv4", "handed_over"), ("both", "ipv6", "handed_over")]);
    for (result, kept) in document.results.iter_mut().zip([599_800.0, 600_000.0]) {
        result.kept_ms = Some(kept);
    }
    insta::assert_snapshot!(render::demote(&document));
}

/// The same document from a daemon that knows the names of the other nodes.
fn named(mut document: DemoteDoc) -> DemoteDoc {
    for result in &mut document.results {
        result.taken_over_by_node = result.taken_over_by.map(|_| "fe1".to_owned());
        if let Some(heard) = &mut result.last_heard {
            heard.node = Some("fe1".to_owned());
        }
    }
    document
}

fn json<T: Serialize>(document: &T) -> Value {
    serde_json::to_value(document).unwrap()
}

#[test]
fn documents_conform_to_their_schemas_and_read_back() {
    assert_conforms("status", &json(&status()));
    assert_conforms("show", &json(&show()));
    assert_conforms("demote", &json(&demote(&[("a", "ipv4", "handed_over"), ("b", "ipv6", "refused")])));
    let events = EventsDoc { version: VERSION, node: "n".into(), lost: 3, events: events() };
    assert_conforms("events", &json(&events));
    assert_eq!(json(&serde_json::from_value::<StatusDoc>(json(&status())).unwrap()), json(&status()));
    assert_eq!(json(&serde_json::from_value::<ShowDoc>(json(&show())).unwrap()), json(&show()));
    assert_eq!(serde_json::from_value::<EventsDoc>(json(&events)).unwrap(), events);
}

#[test]
fn what_two_schemas_describe_they_describe_alike() {
    let mut described = std::collections::BTreeMap::new();
    for schema in ["status", "show", "events"] {
        let path = format!("{}/docs/json-schema/{schema}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for (name, rule) in schema["$defs"].as_object().unwrap() {
            assert_eq!(described.entry(name.clone()).or_insert_with(|| rule.clone()), rule, "{name}");
        }
    }
}

#[test]
fn the_schema_test_can_fail() {
    let mut undocumented = json(&status());
    undocumented["virtual_routers"][0]["colour"] = "red".into();
    assert_eq!(violations("status", &undocumented).len(), 1);
    let mut unknown_state = json(&status());
    unknown_state["virtual_routers"][1]["state"] = "master".into();
    assert_eq!(violations("status", &unknown_state).len(), 1);
    let mut incomplete = json(&status());
    incomplete["virtual_routers"][2].as_object_mut().unwrap().remove("cause");
    assert_eq!(violations("status", &incomplete).len(), 1);
    let mut local_time = json(&status());
    local_time["time"] = "2026-11-22T10:00:00+01:00".into();
    assert_eq!(violations("status", &local_time).len(), 1);
}

#[test]
fn the_status_document_is_the_contract() {
    let document = json(&status());
    assert_eq!(document["version"], 1);
    assert_eq!(document["time"], "2026-11-22T10:00:00.123Z");
    let routers = document["virtual_routers"].as_array().unwrap();
    let order: Vec<_> = routers.iter().map(|r| format!("{}/{}", r["name"], r["family"])).collect();
    assert_eq!(
        order.join(" ").replace('"', ""),
        "broken/ipv4 lonely/ipv4 moodle-a/ipv4 moodle-a/ipv6 moodle-b/ipv4"
    );
    let a = &routers[2];
    assert_eq!(a["priority"], serde_json::json!({ "configured": 150, "effective": 90 }));
    assert_eq!(
        a["active"],
        serde_json::json!({ "address": "192.0.2.10", "local": true, "node": "frontend-0" })
    );
    assert_eq!(a["addresses"], serde_json::json!(["192.0.2.50/24", "192.0.2.51/24"]));
    assert_eq!(a["since"], "2026-11-22T09:56:48.123Z", "192 s before");
    assert_eq!((&a["demoted"], &a["faults"]), (&Value::Null, &serde_json::json!([])));
    assert_eq!(a["counters"]["checksum_errors"], 3, "reasons are counters");
    assert_eq!(a["counters"]["address_list_errors"], 2, "the protocol's counter has both kinds");
    assert_eq!(a["counters"]["ip_ttl_errors"], 0, "what never happened is there");
    assert_eq!(routers[0]["faults"], serde_json::json!(["interface eth1 no carrier", "check nginx"]));
    assert_eq!(routers[1]["priority"]["configured"], 255, "the owner");
}

#[test]
fn documents_have_the_names_of_the_other_nodes() {
    let published = published_with_names();
    let status = json(&published.status(&published.snapshot.routers));
    assert_conforms("status", &status);
    let routers = &status["virtual_routers"];
    assert_eq!(routers[0]["active"], Value::Null);
    assert_eq!(routers[2]["active"]["node"], "frontend-0", "this node");
    assert_eq!(routers[4]["active"]["node"], "fe1");
    assert_eq!(routers[4]["warnings"][0]["peer_node"], "fe1");
    assert_eq!(routers[0]["warnings"][0]["peer_node"], Value::Null, "nobody was heard");
    assert_eq!(routers[4]["why"], "fe1 has priority 150");
    let show = json(&published.show(published.router("moodle-a").unwrap(), Vec::new()));
    assert_conforms("show", &show);
    assert_eq!(show["instances"][0]["peers"][0]["node"], "fe1");
    assert_eq!(show["instances"][0]["why"], "fe1 (192.0.2.11, priority 100) was last heard 3.6 s ago");
    let nameless = json(&self::status());
    assert_eq!(nameless["virtual_routers"][4]["active"]["node"], Value::Null);
    assert_eq!(nameless["virtual_routers"][4]["warnings"][0]["peer_node"], Value::Null);
    assert_conforms(
        "demote",
        &json(&named(demote(&[("a", "ipv4", "handed_over"), ("b", "ipv6", "refused")]))),
    );
}

#[test]
fn a_router_that_nobody_serves_has_the_name_of_its_last_active() {
    let mut published = published_with_names();
    let broken = published.snapshot.routers.iter_mut().find(|r| r.spec.name.as_str() == "broken").unwrap();
    let last =
        LastHeard { address: "192.0.2.11".parse().unwrap(), priority: priority(100), ago: Duration::ZERO };
    broken.instances[0].nobody_serving.as_mut().unwrap().last = Some(last);
    let document = published.status(published.router("broken"));
    let warning = &document.virtual_routers[0].warnings[0];
    assert_eq!((&*warning.kind, warning.peer_node.as_deref()), ("nobody_serves", Some("fe1")));
    let since = "the last Active, fe1 (192.0.2.11, priority 100), has been silent for 15 s";
    assert!(warning.message.contains(since), "{}", warning.message);
}

#[test]
fn documents_of_a_daemon_without_names_are_readable() {
    let without = |mut document: Value, fields: &[&str]| {
        for field in fields {
            let (parent, name) = field.rsplit_once('/').unwrap();
            let gone = document.pointer_mut(parent).and_then(|parent| parent.as_object_mut()?.remove(name));
            assert!(gone.is_some(), "{field}");
        }
        document
    };
    let fields = ["/virtual_routers/4/active/node", "/virtual_routers/4/warnings/0/peer_node"];
    let document: StatusDoc = serde_json::from_value(without(json(&status()), &fields)).unwrap();
    assert_eq!(json(&document), json(&status()));
    let fields = ["/instances/0/peers/0/node"];
    let document: ShowDoc = serde_json::from_value(without(json(&show()), &fields)).unwrap();
    assert_eq!(json(&document), json(&show()));
    let today = demote(&[("a", "ipv4", "handed_over")]);
    let fields = ["/results/0/taken_over_by_node", "/results/0/last_heard/node"];
    let document: DemoteDoc = serde_json::from_value(without(json(&today), &fields)).unwrap();
    assert_eq!(document, today);
}

#[test]
fn the_status_table_has_the_name_of_the_active() {
    let published = published_with_names();
    let document = published.status(&published.snapshot.routers);
    let table = on_a_terminal(&document, 80).join("\n");
    insta::assert_snapshot!(table);
    let mut long = document;
    let name = "the-second-frontend-of-the-learning-platform.example.org";
    long.virtual_routers[4].active.as_mut().unwrap().node = Some(name.to_owned());
    let lines = on_a_terminal(&long, 80);
    assert!(lines.iter().any(|line| line.contains(" the-se…le.org ")), "{lines:#?}");
    assert!(render::status(&long, Width::Unlimited).contains(name), "a program has the whole name");
}

#[test]
fn families_that_two_nodes_serve_have_two_rows() {
    let mut document = status();
    document.virtual_routers.retain(|vr| vr.name == "moodle-a");
    let mut nodes = |v4: Option<&str>, v6: Option<&str>| {
        for (router, node) in document.virtual_routers.iter_mut().zip([v4, v6]) {
            router.state = "backup".into();
            let active = router.active.as_mut().unwrap();
            (active.local, active.node) = (false, node.map(str::to_owned));
        }
        on_a_terminal(&document, 200).len() - 1
    };
    assert_eq!(nodes(Some("fe1"), Some("fe2")), 2);
    assert_eq!(nodes(Some("fe1"), Some("fe1")), 1);
    assert_eq!(nodes(Some("fe1"), None), 1);
    assert_eq!(nodes(None, None), 1);
}

#[test]
fn the_page_of_a_router_has_the_names_of_the_other_nodes() {
    let mut published = published_with_names();
    let a = published.snapshot.routers.iter_mut().find(|r| r.spec.name.as_str() == "moodle-a").unwrap();
    let heard = a.instances[0].peers[0];
    a.instances[0].active = Some(ActiveRouter { address: heard.address, local: false });
    a.instances[0].peers.push(PeerSnapshot { priority: priority(0), ..heard });
    a.instances[0].peers.push(PeerSnapshot { address: "192.0.2.12".parse().unwrap(), ..heard });
    let page = render::show(&published.show(published.router("moodle-a").unwrap(), Vec::new()));
    for row in [
        "ipv4: active for 3m12s, fe1 (192.0.2.11, priority 100) was last heard 3.6 s ago (active_down_timer)\n",
        "  active                   fe1 (192.0.2.11)\n",
        "  heard                    fe1 (192.0.2.11) 195 s ago: priority 100, every 1s, checksum rfc5798\n",
        "  heard                    fe1 (192.0.2.11) resigned 195 s ago\n",
        "  heard                    192.0.2.12 195 s ago: priority 100, every 1s, checksum rfc5798\n",
        "  active                   fe80::1c2d:3eff:fe4f:5a6b (this node)\n",
    ] {
        assert!(page.contains(row), "{row}{page}");
    }
}

#[test]
fn a_demotion_is_told_with_the_names_of_the_other_nodes() {
    let document = named(demote(&[
        ("moodle-a", "ipv4", "handed_over"),
        ("moodle-b", "ipv4", "was_backup"),
        ("both", "ipv4", "handed_over"),
        ("both", "ipv6", "handed_over"),
        ("lonely", "ipv4", "refused"),
    ]));
    insta::assert_snapshot!(render::demote(&document));
    let mut apart = named(demote(&[("both", "ipv4", "handed_over"), ("both", "ipv6", "handed_over")]));
    let mut takers = |v4: Option<&str>, v6: Option<&str>| {
        apart.results[0].taken_over_by_node = v4.map(str::to_owned);
        apart.results[1].taken_over_by_node = v6.map(str::to_owned);
        let text = render::demote(&apart);
        text.strip_prefix("both: now served by ").unwrap().split_once(". This").unwrap().0.to_owned()
    };
    assert_eq!(takers(Some("fe1"), Some("fe2")), "fe1 (192.0.2.11) and fe2 (fe80::11), after 18 ms");
    assert_eq!(takers(Some("fe1"), None), "fe1 (192.0.2.11) and fe80::11, after 18 ms");
    assert_eq!(takers(None, None), "192.0.2.11 and fe80::11 (18 ms)");
}

#[test]
fn the_status_table_is_unlimited_for_programs() {
    insta::assert_snapshot!(render::status(&status(), Width::Unlimited));
}

#[test]
fn the_status_table_fits_a_terminal() {
    let table = render::status(&status(), Width::Columns(80));
    for line in table.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
    insta::assert_snapshot!(table);
}

#[test]
fn long_values_are_shortened_and_never_the_state() {
    let mut document = status();
    document.virtual_routers.truncate(3);
    document.virtual_routers[0].name = "a-very-long-name-of-a-virtual-router-0".into();
    document.virtual_routers[1].name = "a-very-long-name-of-a-virtual-router-1".into();
    document.virtual_routers[2].why = "demoted: \u{1b}[31mthe whole rack is moved to another room".into();
    insta::assert_snapshot!(render::status(&document, Width::Columns(80)));
}

#[test]
fn a_cell_of_any_length_is_cut_in_every_width() {
    let mut document = status();
    document.virtual_routers[0].why = "é".repeat(70_000);
    document.virtual_routers[0].name = "n".repeat(70_000).into();
    for width in [Width::Unlimited, Width::Columns(80), Width::Columns(0)] {
        let longest = render::status(&document, width).lines().map(|line| line.chars().count()).max();
        assert!(longest.unwrap() < 2_500, "{width:?}: {longest:?}");
    }
}

fn on_a_terminal(document: &StatusDoc, columns: usize) -> Vec<String> {
    let table = render::status(document, Width::Columns(columns));
    for line in table.lines() {
        assert!(line.chars().count() <= columns, "{} columns: {line}", line.chars().count());
    }
    table.lines().map(str::to_owned).collect()
}

#[test]
fn names_are_never_cut_to_the_same_text() {
    let mut document = status();
    let model = document.virtual_routers[4].clone();
    let named = |at: usize| VirtualRouterDoc {
        name: format!("moodle-production-frontend-{at:02}.example").into(),
        why: "demoted: the whole rack is moved to another room, ticket 4711, until 2026-11-23 08:00 UTC"
            .into(),
        ..model.clone()
    };
    document.virtual_routers = (0..10).map(named).collect();
    for columns in [60, 80, 120, 200] {
        let lines = on_a_terminal(&document, columns);
        // What follows the rows are their warnings.
        let rows = lines[1..].iter().filter(|line| !line.starts_with([' ', '!']));
        let names: std::collections::BTreeSet<_> =
            rows.map(|line| line.split_whitespace().next().unwrap()).collect();
        assert_eq!(names.len(), 10, "{columns} columns: {names:?}");
        let short = columns < 200;
        assert_eq!(
            !lines[0].contains("INTERFACE"),
            short,
            "it says nothing, if space is short: {}",
            lines[0]
        );
    }
    assert!(
        on_a_terminal(&document, 120).join(" ").contains("2026-11-23 08:00 UTC"),
        "the reason goes on below"
    );
}

#[test]
fn on_a_terminal_families_that_agree_share_a_row() {
    let mut document = status();
    document.virtual_routers.retain(|vr| vr.name == "moodle-a");
    let lines = on_a_terminal(&document, 200);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].contains("ipv4+6") && lines[1].contains("this node"), "{lines:?}");
    assert!(
        lines[1].contains("192.0.2.11 (100) was not heard for 3.6 s"),
        "and not \"with IPv4\": {lines:?}"
    );
    assert_eq!(render::status(&document, Width::Unlimited).lines().count(), 3, "a program has both");
    document.virtual_routers[1].state = "backup".into();
    assert_eq!(on_a_terminal(&document, 200).len(), 3, "they do not agree");
}

#[test]
fn the_state_says_what_initialize_means() {
    let mut router = status().virtual_routers[4].clone();
    router.state = "initialize".into();
    let mut shown = |faults: &[&str], demotion: Option<DemotedDoc>| {
        router.faults = faults.iter().map(ToString::to_string).collect();
        router.demoted = demotion;
        let document = StatusDoc { virtual_routers: vec![router.clone()], ..status() };
        let table = render::status(&document, Width::Unlimited);
        table.lines().nth(1).unwrap().split_whitespace().nth(4).unwrap().to_owned()
    };
    assert_eq!(shown(&[], None), "STARTING");
    assert_eq!(shown(&["check nginx pending"], None), "STARTING");
    assert_eq!(shown(&["check nginx pending", "interface eth0 down"], None), "FAULT");
    assert_eq!(shown(&["interface eth0 down"], Some(demoted(None, ""))), "DEMOTED");
}

#[test]
fn no_router_is_said_in_words() {
    let empty = StatusDoc { virtual_routers: vec![], ..status() };
    assert_eq!(render::status(&empty, Width::Columns(80)), "No virtual router is configured.\n");
    assert_eq!(render::demote(&demote(&[])), "No virtual router is configured.\n");
}

#[test]
fn the_page_of_a_router_shows_everything() {
    insta::assert_snapshot!(render::show(&show()));
}

#[test]
fn a_demotion_is_told_in_one_sentence_a_router() {
    let document = demote(&[
        ("moodle-a", "ipv4", "handed_over"),
        ("moodle-b", "ipv4", "was_backup"),
        ("both", "ipv4", "handed_over"),
        ("both", "ipv6", "handed_over"),
        ("lonely", "ipv4", "refused"),
        ("alone", "ipv4", "refused"),
        ("forced", "ipv4", "forced"),
        ("again", "ipv4", "already_demoted"),
        ("last", "ipv4", "last_resort"),
        ("mixed", "ipv4", "was_backup"),
        ("mixed", "ipv6", "refused"),
        ("newer", "ipv4", "teleported"),
    ]);
    insta::assert_snapshot!(render::demote(&document));
}

#[test]
fn a_demotion_with_an_end_says_when_it_ends() {
    let mut document = demote(&[
        ("moodle-a", "ipv4", "handed_over"),
        ("moodle-b", "ipv4", "was_backup"),
        ("again", "ipv4", "already_demoted"),
        ("last", "ipv4", "last_resort"),
    ]);
    document.demotion = demoted(Some("2026-11-22T10:30:00.000Z"), "");
    insta::assert_snapshot!(render::demote(&document));
}

#[test]
fn a_second_demotion_says_what_it_changed() {
    let tomorrow = Some("2026-11-23T08:00:00.000Z");
    let first = demoted(None, "kernel update");
    let last_resort = DemotedDoc { last_resort: true, ..first.clone() };
    let cases = [
        (first.clone(), first.clone(), "nothing changed."),
        (first.clone(), demoted(tomorrow, "kernel update"), "it now lasts until 2026-11-23 08:00 UTC."),
        (demoted(tomorrow, "kernel update"), first.clone(), "it now lasts until promoted."),
        (first.clone(), demoted(None, "a disk"), "its reason is now: a disk (was: kernel update)."),
        (demoted(None, ""), first.clone(), "its reason is now: kernel update."),
        (first.clone(), demoted(None, ""), "its reason is gone (was: kernel update)."),
        (first.clone(), last_resort.clone(), "it serves as the last resort now."),
        (last_resort, first, "it is not a last resort any more."),
    ];
    for (before, now, words) in cases {
        let mut document = demote(&[("web", "ipv4", "already_demoted")]);
        document.results[0].replaced = Some(before);
        document.demotion = now;
        assert_conforms("demote", &json(&document));
        assert_eq!(render::demote(&document), format!("web: was demoted already; {words}\n"));
    }
}

#[test]
fn the_status_tells_why_until_when_and_how_a_router_is_demoted() {
    let until = |text: &str| Some(Until { at: crate::rig::seconds(2000), text: text.into() });
    for (reason, until, last_resort, why) in [
        ("", None, LastResort::No, "demoted"),
        ("kernel update", None, LastResort::No, "demoted: kernel update"),
        ("a disk", until("2026-11-22T12:34:56.789Z"), LastResort::No, "demoted: a disk, until 12:34 UTC"),
        (
            "",
            until("2026-11-23T01:02:03.000Z"),
            LastResort::Yes,
            "demoted: until 2026-11-23 01:02 UTC, last resort",
        ),
    ] {
        let mut published = published();
        published.snapshot.routers.truncate(1);
        let (since, by) = ("2026-11-22T09:59:59.000Z".into(), "alice".into());
        let demotion = Demotion { since, until, last_resort, reason: reason.into(), by };
        published.snapshot.routers[0].demoted = Some(demotion);
        assert_eq!(published.status(&published.snapshot.routers).virtual_routers[0].why, why);
    }
}

/// The configuration refuses a weight of an interface; the protocol and the documents have it.
#[test]
fn an_interface_with_a_weight_is_told_like_a_check_with_one() {
    let eth1: InterfaceName = "eth1".parse().unwrap();
    let mut published = published();
    let router = published.snapshot.routers.iter_mut().find(|r| r.spec.name.as_str() == "moodle-a").unwrap();
    router.spec.tracks = vec![Track::weighted(eth1, -40)];
    published.snapshot.watched = vec![(eth1.into(), Health::Failing(Fault::NoCarrier(eth1)))];
    let router = published.router("moodle-a").unwrap();
    let track = &published.show(router, Vec::new()).tracks[0];
    assert_eq!((&*track.kind, &*track.name, &*track.health), ("interface", "eth1", "failing"));
    assert_eq!(track.weight, Some(-40));
    let why = &published.status(std::slice::from_ref(router)).virtual_routers[0].why;
    assert!(why.ends_with("; interface eth1 fails (-40)"), "{why}");
}

#[test]
fn a_promotion_is_told_in_one_sentence_a_router() {
    let result = |name: &'static str, outcome: &'static str| PromoteResultDoc {
        name: name.into(),
        outcome: outcome.into(),
        outlook: "is Backup, because 192.0.2.11 has priority 150 and this node 100".to_owned(),
    };
    let old = |outcome| PromoteResultDoc { outlook: String::new(), ..result("old", outcome) };
    let results = vec![
        result("moodle-a", "promoted"),
        result("moodle-b", "was_not_demoted"),
        old("promoted"),
        old("was_not_demoted"),
    ];
    let node = "frontend-0".into();
    let document = PromoteDoc { version: VERSION, node, persisted: true, warning: None, results };
    assert_conforms("promote", &json(&document));
    insta::assert_snapshot!(render::promote(&document));
}

/// Everything that a reload can do at once.
fn after() -> String {
    let tables: Vec<_> = BEFORE.split("[[").collect();
    let without_old: Vec<_> = tables.into_iter().filter(|table| !table.contains("\"old\"")).collect();
    let mut text = without_old.join("[[");
    for (from, to) in [
        ("\"fe0\"", "\"fe-0\"\nrealtime = true"),
        ("\"nginx.service\"]", "\"nginx.service\"]\ninterval = \"5s\"\ntimeout = \"1s\""),
        ("priority = 150", "priority = 90\nadvertise_interval = \"250ms\""),
        ("\"192.0.2.51/24\"]", "\"192.0.2.52/24\", \"192.0.2.53/24\"]"),
        ("vrid = 52", "vrid = 62"),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    text + "\n[[virtual_router]]\nname = \"new\"\nvrid = 55\naddresses = [\"192.0.2.90/24\"]\n\
            on_transition = [\"/etc/vrrpd/notify\"]\n\
            [[check]]\nname = \"unused\"\ncommand = [\"/bin/true\"]\n"
}

fn reload(after: &str, mode: ReloadMode) -> ReloadDoc {
    reload_between(BEFORE, after, mode)
}

fn reload_between(before: &str, after: &str, mode: ReloadMode) -> ReloadDoc {
    let document = reloaded(before, after).document("fe0".into(), mode).unwrap();
    assert_conforms("reload", &json(&document));
    assert_eq!(serde_json::from_value::<ReloadDoc>(json(&document)).unwrap(), document);
    document
}

#[test]
fn the_plan_of_a_reload_tells_what_changes_and_fits_a_terminal() {
    // Names of 20 characters leave room for the whole sentence.
    let long = |text: &str| {
        text.replace("\"nginx\"", "\"moodle-login-page-ok\"")
            .replace("\"unused\"", "\"unused-by-any-router\"")
    };
    let text = render::reload(&reload_between(&long(BEFORE), &long(&after()), ReloadMode::Apply));
    assert!(!text.contains('…'), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_dry_run_tells_the_same_and_that_it_did_nothing() {
    let (applied, tried) = (reload(&after(), ReloadMode::Apply), reload(&after(), ReloadMode::DryRun));
    assert_eq!((applied.applied, tried.applied, tried.dry_run), (true, false, true));
    assert_eq!((&applied.virtual_routers, &applied.checks), (&tried.virtual_routers, &tried.checks));
    let plan = |document: &ReloadDoc| {
        let text = render::reload(document);
        let (plan, summary) = text.trim_end().rsplit_once('\n').unwrap();
        (plan.to_owned(), summary.to_owned())
    };
    assert_eq!(plan(&applied).0, plan(&tried).0);
    assert_eq!(plan(&applied).1, "Reloaded /etc/vrrpd/vrrpd.toml.");
    assert_eq!(plan(&tried).1, "Nothing was changed: a dry run of /etc/vrrpd/vrrpd.toml.");
}

#[test]
fn a_reload_that_changes_nothing_says_so() {
    let expected = "4 virtual routers and 2 checks unchanged.\n\
                    No changes: /etc/vrrpd/vrrpd.toml is already in use.\n";
    for mode in [ReloadMode::Apply, ReloadMode::DryRun] {
        assert_eq!(render::reload(&reload(BEFORE, mode)), expected);
    }
}

#[test]
fn a_wrong_file_is_shown_as_check_shows_it() {
    let wrong = BEFORE.replace("vrid = 52", "vrid = 520").replace("priority", "prioritaet");
    let document = reload(&wrong, ReloadMode::Apply);
    assert!(!document.valid && !document.applied && document.virtual_routers.is_empty());
    assert_eq!(document.errors.len(), 2);
    insta::assert_snapshot!(render::reload(&document));
}

#[test]
fn events_are_lines() {
    let document = EventsDoc { version: VERSION, node: "frontend-0".into(), lost: 3, events: events() };
    insta::assert_snapshot!(render::events(&document));
}

/// The names in `(a: int, b: (…))` that follows `heading` in our interface's definition.
fn defined(heading: &str) -> Vec<String> {
    let code = |line: &'static str| line.split('#').next().unwrap_or_default();
    let text: Vec<_> = vrrpd::control::INTERFACE_DESCRIPTION.lines().map(code).collect();
    let text = text.join(" ");
    let (_, rest) = text.split_once(heading).unwrap_or_else(|| panic!("{heading} is not defined"));
    let rest = if heading.starts_with("method") { rest.split_once("->").unwrap().1 } else { rest };
    let (_, rest) = rest.split_once('(').unwrap();
    let (fields, _) = rest.split_once(')').unwrap();
    let mut names: Vec<_> =
        fields.split(',').map(|field| field.split_once(':').unwrap().0.trim().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn the_interface_definition_and_the_schemas_name_the_same_fields() {
    for (heading, schema, pointer) in [
        ("method Status(", "status", ""),
        ("type VirtualRouter ", "status", "/$defs/virtual_router"),
        ("type Warning ", "status", "/$defs/warning"),
        ("type Priority ", "status", "/$defs/priority"),
        ("type Active ", "status", "/$defs/active"),
        ("type Demoted ", "status", "/$defs/demoted"),
        ("method Show(", "show", ""),
        ("type Configuration ", "show", "/$defs/configuration"),
        ("type Announce ", "show", "/$defs/announce"),
        ("type Track ", "show", "/$defs/track"),
        ("type CheckStatus ", "show", "/$defs/check_status"),
        ("type CheckRun ", "show", "/$defs/check_run"),
        ("type Instance ", "show", "/$defs/instance"),
        ("type Timers ", "show", "/$defs/timers"),
        ("type Peer ", "show", "/$defs/peer"),
        ("type Unattributed ", "show", "/$defs/unattributed"),
        ("type Event ", "show", "/$defs/event"),
        ("type Event ", "events", "/$defs/event"),
        ("method Events(", "events", ""),
        ("method Demote(", "demote", ""),
        ("type LastHeard ", "demote", "/$defs/last_heard"),
        ("type DemoteResult ", "demote", "/$defs/demote_result"),
        ("method Promote(", "promote", ""),
        ("type PromoteResult ", "promote", "/$defs/promote_result"),
        ("method Reload(", "reload", ""),
        ("type Finding ", "reload", "/$defs/finding"),
        ("type Change ", "reload", "/$defs/change"),
        ("type PlannedRouter ", "reload", "/$defs/planned_router"),
        ("type PlannedCheck ", "reload", "/$defs/planned_check"),
        ("type AgentChange ", "reload", "/$defs/agent_change"),
    ] {
        let path = format!("{}/docs/json-schema/{schema}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let root: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let properties = root.pointer(&format!("{pointer}/properties")).unwrap().as_object().unwrap();
        let mut documented: Vec<_> = properties.keys().cloned().collect();
        documented.sort();
        assert_eq!(defined(heading), documented, "{heading} and {schema}.schema.json{pointer}");
    }
}

#[test]
fn after_a_promotion_an_operator_is_told_what_to_run_where() {
    let outlook_of = |published: AgentSnapshot, change: &dyn Fn(&mut RouterSnapshot)| {
        let mut published = published;
        let mut router = published.router("moodle-b").unwrap().clone();
        let heard = published.router("moodle-a").unwrap().instances[0].peers[0];
        router.instances[0].peers = vec![PeerSnapshot { priority: priority(150), ..heard }];
        change(&mut router);
        published.snapshot.routers = vec![router];
        published.outlook(&published.snapshot.routers[0])
    };
    let outlook = |change: &dyn Fn(&mut RouterSnapshot)| outlook_of(published(), change);
    let next = crate::rig::seconds(1000) + Duration::from_millis(3400);
    let move_it = "to move it here, run on 192.0.2.11: vrrpctl demote moodle-b";
    assert_eq!(
        outlook(&|_| {}),
        format!("is Backup, because 192.0.2.11 has priority 150 and this node 100; {move_it}")
    );
    let outranks = |router: &mut RouterSnapshot| {
        router.effective = priority(200);
        router.instances[0].timers.next = Some(next);
    };
    assert_eq!(
        outlook(&outranks),
        "is Backup, and takes over from 192.0.2.11 in about 3 s (priority 200 > 150)"
    );
    let named = |change: &dyn Fn(&mut RouterSnapshot)| outlook_of(published_with_names(), change);
    assert_eq!(
        named(&|_| {}),
        "is Backup, because fe1 (192.0.2.11) has priority 150 and this node 100; to move it here, run on fe1: \
         vrrpctl demote moodle-b"
    );
    assert_eq!(
        named(&outranks),
        "is Backup, and takes over from fe1 (192.0.2.11) in about 3 s (priority 200 > 150)"
    );
    assert_eq!(
        outlook(&|router| {
            outranks(router);
            router.instances[0].active = None;
        }),
        "is Backup; it takes over in about 3 s unless another router is heard"
    );
    assert_eq!(
        outlook(&|router| {
            outranks(router);
            router.spec.role =
                Role::Contender { priority: Priority::new(200).unwrap(), preempt: Preempt::Forbid };
        }),
        format!("is Backup, and leaves it to 192.0.2.11 (preempt = false); {move_it}")
    );
    assert_eq!(
        named(&|router| {
            outranks(router);
            router.spec.role =
                Role::Contender { priority: Priority::new(200).unwrap(), preempt: Preempt::Forbid };
        }),
        "is Backup, and leaves it to fe1 (192.0.2.11), because preempt = false; to move it here, run on fe1: vrrpctl demote \
         moodle-b"
    );
    assert_eq!(
        outlook(&|router| router.faults = vec![Fault::NoCarrier("eth0".parse().unwrap())]),
        "is out of service here: eth0 has no carrier"
    );
}

fn priority(priority: u8) -> AdvertPriority {
    AdvertPriority::from_wire(priority)
}

#[test]
fn the_end_of_a_drain_is_told_as_it_was() {
    let event = |kind: &str, details: serde_json::Value| -> EventDoc {
        let mut event = serde_json::json!({
            "seq": 1, "time": "2026-01-01T00:00:00Z", "severity": "info", "kind": kind, "name": "web",
            "text": "",
        });
        event.as_object_mut().unwrap().extend(details.as_object().unwrap().clone());
        serde_json::from_value(event).unwrap()
    };
    let ended = |kind: &str, reset: Option<u64>| {
        let mut details = serde_json::json!({ "lasted_ms": 4200.0 });
        if let Some(reset) = reset {
            details["reset"] = reset.into();
        }
        event(kind, details)
    };
    let refused = event("drain_refused", serde_json::json!({ "error": "ARP cannot be guarded" }));
    for (events, text, is_kept) in [
        (vec![ended("drained", Some(0))], "web: free after 4.2 s.", true),
        (
            vec![ended("drain_taken_back", Some(0))],
            "web: served here again after 4.2 s, with the connections that were kept.",
            true,
        ),
        (
            vec![ended("drained", Some(0)), ended("drain_expired", Some(3))],
            "web: free after 4.2 s; 3 connections reset at the deadline.",
            false,
        ),
        (
            vec![ended("drain_lost", Some(1))],
            "web: free after 4.2 s; 1 connection reset because the node that took over does not pass on \
             their packets.",
            false,
        ),
        (
            vec![ended("drain_expired", None)],
            "web: free after 4.2 s; an unknown number of connections reset at the deadline.",
            false,
        ),
        (
            vec![refused],
            "web: free, but open connections could NOT be kept, and were cut: ARP cannot be guarded",
            false,
        ),
        (
            Vec::new(),
            "web: nothing is kept any more, and how that ended is not known. See: vrrpctl events web",
            false,
        ),
    ] {
        assert_eq!(render::drained("web", &events), (text.to_owned(), is_kept));
    }
}
