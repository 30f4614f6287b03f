//! What `health` makes of a status.

use super::*;
use crate::control::render;
use crate::protocol::{CheckName, Fault};
use serde_json::{Value, json};

/// A router in this family with nothing wrong: it is Active here, and fe1 would take over.
fn family(name: &str, family: &str) -> Value {
    json!({
        "name": name, "interface": "eth0", "family": family, "vrid": 51, "state": "active",
        "priority": { "configured": 150, "effective": 150 },
        "active": { "address": "192.0.2.10", "local": true, "node": "fe0" },
        "addresses": ["192.0.2.50/24"], "since": "2026-11-22T09:00:00Z", "cause": "startup", "why": "started",
        "faults": [], "demoted": null, "handing_over": false, "redundant": true,
        "standbys": [standby("fe1", None)], "warnings": [], "counters": {},
    })
}

fn standby(node: &str, obstacle: Option<&str>) -> Value {
    json!({
        "node": node, "address": "192.0.2.11", "active": false, "priority": 100, "obstacle": obstacle,
        "heard": "2026-11-22T09:59:59Z", "age_ms": 200.0,
    })
}

fn warning(kind: &str, severity: &str, message: &str) -> Value {
    json!({
        "kind": kind, "severity": severity, "peer": null, "mac": null, "since": "2026-11-22T09:00:00Z",
        "message": message,
    })
}

fn demoted() -> Value {
    json!({ "since": "2026-11-22T09:00:00Z", "until": null, "reason": "lunch", "by": "ann", "last_resort": true })
}

fn with(mut family: Value, changes: &[(&str, Value)]) -> Value {
    for (key, value) in changes {
        assert!(family.get(*key).is_some(), "no {key}");
        family[*key] = value.clone();
    }
    family
}

fn health(families: &[Value], warnings: &[Value]) -> NodeHealth {
    let status = json!({
        "version": 1, "node": "fe0", "time": "2026-11-22T10:00:00Z", "virtual_routers": families,
        "nodes": null, "warnings": warnings,
    });
    NodeHealth::of(&serde_json::from_value(status).unwrap())
}

/// The exit code and the line for one router `web` of one family with these changes.
fn judged(changes: &[(&str, Value)]) -> (u8, String) {
    let health = health(&[with(family("web", "ipv4"), changes)], &[]);
    (health.exit_code(), render::health(&health.document))
}

fn expect(changes: &[(&str, Value)], code: u8, line: &str) {
    assert_eq!(judged(changes), (code, format!("{line}\n")), "{changes:?}");
}

#[test]
fn a_router_with_which_nothing_is_wrong_is_told_in_few_words() {
    let elsewhere = json!({ "address": "192.0.2.11", "local": false, "node": "fe1" });
    let unnamed = json!({ "address": "192.0.2.11", "local": false, "node": null });
    let backup = |active| [("state", json!("backup")), ("active", active), ("redundant", json!(null))];
    expect(&[], 0, "OK: web active, redundant (fe1 would take over)");
    expect(&[("redundant", json!(null)), ("standbys", json!([]))], 0, "OK: web active");
    expect(&backup(elsewhere), 0, "OK: web backup, fe1 is active");
    expect(&backup(unnamed), 0, "OK: web backup, 192.0.2.11 is active");
    expect(&backup(json!(null)), 0, "OK: web backup");
    expect(&[("handing_over", json!(true)), ("redundant", json!(null))], 0, "OK: web handing over");
    let standbys = json!([standby("fe1", Some("demoted")), standby("fe2", None)]);
    expect(&[("standbys", standbys)], 0, "OK: web active, redundant (fe2 would take over)");
}

#[test]
fn a_backup_does_not_claim_that_nobody_would_take_over() {
    let elsewhere = json!({ "address": "192.0.2.11", "local": false, "node": "fe1" });
    let changes = [("state", json!("backup")), ("active", elsewhere), ("redundant", json!(false))];
    expect(&changes, 0, "OK: web backup, fe1 is active");
}

#[test]
fn an_active_router_that_nobody_would_take_over_is_a_warning_with_its_reason() {
    let standbys = json!([standby("fe1", Some("check nginx fails"))]);
    let line = "WARNING: web: nobody would take over (fe1: check nginx fails)";
    let lost = [("redundant", json!(false)), ("standbys", standbys)];
    expect(&lost, 1, line);
    // The daemon's own sentence is preferred, and is not told a second time.
    let message = "NOT REDUNDANT: nobody would take over (fe1: vrrpd was stopped there)";
    let told = ("warnings", json!([warning("not_redundant", "warning", message)]));
    let changes = [&lost[..], &[told]].concat();
    expect(&changes, 1, "WARNING: web: nobody would take over (fe1: vrrpd was stopped there)");
    let alone = [("redundant", json!(false)), ("standbys", json!([]))];
    expect(&alone, 1, "WARNING: web: nobody would take over");
}

#[test]
fn a_check_that_waits_for_its_first_result_is_not_a_fault() {
    let starts = |faults: &[&str]| {
        [
            ("state", json!("initialize")),
            ("active", json!(null)),
            ("faults", json!(faults)),
            ("why", json!("broken")),
        ]
    };
    let pending = Fault::CheckPending(CheckName("nginx".into())).to_string();
    expect(&starts(&[]), 0, "OK: web starting");
    expect(&starts(&[&pending, "check haproxy pending"]), 0, "OK: web starting");
    for faults in [
        &["check nginx"][..],
        &[&pending, "interface eth0 down"],
        &["addresses: something pending"],
        &["check pending"],
    ] {
        expect(&starts(faults), 2, "CRITICAL: web: broken");
    }
}

#[test]
fn a_demotion_is_a_warning_and_a_fault_beside_it_is_critical() {
    let out = [("state", json!("initialize")), ("demoted", demoted()), ("why", json!("demoted: lunch"))];
    expect(&out, 1, "WARNING: web: demoted: lunch");
    let faulty = [&out[..], &[("faults", json!(["check nginx", "interface eth0 down"]))]].concat();
    let line = "CRITICAL: web: check nginx; interface eth0 down; web: demoted: lunch";
    expect(&faulty, 2, line);
}

#[test]
fn warnings_count_by_their_severity_and_those_of_the_node_count_as_well() {
    let differs = warning("setting_differs", "warning", "fe1 has another interval");
    let nobody = warning("nobody_serves", "error", "NOBODY SERVES 192.0.2.50");
    expect(&[("warnings", json!([differs]))], 1, "WARNING: web: fe1 has another interval");
    let line = "CRITICAL: web: NOBODY SERVES 192.0.2.50; web: fe1 has another interval";
    expect(&[("warnings", json!([differs, nobody]))], 2, line);
    let channel = warning("channel", "warning", "the nodes cannot talk to one another");
    let health = health(&[family("web", "ipv4")], &[channel]);
    assert_eq!((health.level, health.exit_code()), (HealthLevel::Warning, 1));
    assert_eq!(health.document.summary, "fe0: the nodes cannot talk to one another");
    assert_eq!((&health.document.findings[0].name, &*health.document.level), (&None, "warning"));
}

#[test]
fn families_are_told_together_where_they_are_alike_and_apart_where_not() {
    let differs = json!([warning("setting_differs", "warning", "fe1 has another interval")]);
    let both = ["ipv4", "ipv6"].map(|name| with(family("web", name), &[("warnings", differs.clone())]));
    assert_eq!(health(&both, &[]).document.findings.len(), 1);
    let alone = [("redundant", json!(null))];
    let starting = with(family("web", "ipv6"), &[("state", json!("initialize")), ("redundant", json!(null))]);
    let apart = health(&[with(family("web", "ipv4"), &alone), starting], &[]);
    assert_eq!(apart.document.summary, "web active (ipv4), starting (ipv6)");
}

#[test]
fn the_worst_comes_first_and_a_long_list_is_cut_in_the_line_and_not_in_the_document() {
    let sick: Vec<_> = (0..10)
        .map(|at| {
            let faults = if at == 9 { json!(["interface eth1 down"]) } else { json!([]) };
            let why = if at == 9 { "interface eth1 down" } else { "demoted" };
            let changes = [("faults", faults), ("why", json!(why))];
            let demoted = [("demoted", if at == 9 { json!(null) } else { demoted() })];
            with(with(family(&format!("web-{at}"), "ipv4"), &changes), &demoted)
        })
        .collect();
    let sick = health(&sick, &[]);
    assert_eq!((sick.exit_code(), sick.document.findings.len()), (2, 10));
    assert!(sick.document.summary.starts_with("web-9: interface eth1 down; web-0: demoted; "), "{sick:?}");
    assert!(sick.document.summary.ends_with("; web-6: demoted; and 2 more"), "{sick:?}");
    assert_eq!(health(&[], &[]).document.summary, "no virtual routers are configured");
}

#[test]
fn the_line_is_one_line_without_measurements_whatever_a_check_wrote() {
    let why = json!("check nginx fails: a | b\n\u{1b}[2J");
    let (code, line) = judged(&[("faults", json!(["check nginx"])), ("why", why)]);
    assert_eq!((code, &*line), (2, "CRITICAL: web: check nginx fails: a / b. \u{fffd}[2J\n"));
    assert_eq!(render::health_unknown("not there\nIs it?"), "UNKNOWN: not there. Is it?\n");
}
