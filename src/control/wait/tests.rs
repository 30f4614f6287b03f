//! Which states of a router end a wait, and how they are told.

use super::*;
use serde_json::{Value, json};

fn family(name: &str, state: &str, active: Option<(&str, bool)>) -> Value {
    let active = active.map(|(node, local)| json!({ "address": "192.0.2.10", "local": local, "node": node }));
    json!({
        "name": "web", "interface": "eth0", "family": name, "vrid": 51, "state": state,
        "priority": { "configured": 150, "effective": 150 }, "active": active,
        "addresses": ["192.0.2.50/24"], "since": "2026-11-22T09:00:00Z", "cause": "startup",
        "why": "check nginx fails", "faults": [], "demoted": null, "handing_over": false, "counters": {},
    })
}

fn status(families: &[Value]) -> StatusDoc {
    let status =
        json!({ "version": 1, "node": "fe0", "time": "2026-11-22T10:00:00Z", "virtual_routers": families });
    serde_json::from_value(status).unwrap()
}

fn changed(mut family: Value, key: &str, value: Value) -> Value {
    assert!(family.get(key).is_some(), "no {key}");
    family[key] = value;
    family
}

const HERE: Option<(&str, bool)> = Some(("fe0", true));
const THERE: Option<(&str, bool)> = Some(("fe1", false));

#[test]
fn every_state_ends_the_waits_that_it_should_and_no_other() {
    let faulty = |active| changed(family("ipv4", "initialize", active), "faults", json!(["check nginx"]));
    let pending = changed(family("ipv4", "initialize", THERE), "faults", json!(["check nginx pending"]));
    let handing_over = |state, active| changed(family("ipv4", state, active), "handing_over", json!(true));
    for (families, goals, active, line) in [
        (vec![family("ipv4", "active", HERE)], "active settled", true, "web: active"),
        (vec![family("ipv4", "backup", THERE)], "backup settled", false, "web: backup, fe1 is active"),
        (vec![family("ipv4", "backup", None)], "backup", false, "web: backup, no active router is known"),
        (vec![family("ipv4", "initialize", THERE)], "", false, "web: starting, fe1 is active"),
        (vec![pending], "", false, "web: starting, fe1 is active"),
        (vec![faulty(THERE)], "settled", false, "web: out of service (check nginx fails), fe1 is active"),
        (vec![faulty(None)], "", false, "web: out of service (check nginx fails), no active router is known"),
        (vec![handing_over("active", HERE)], "", true, "web: handing over"),
        (vec![handing_over("backup", THERE)], "", false, "web: handing over, fe1 is active"),
        (
            vec![family("ipv4", "active", HERE), family("ipv6", "active", HERE)],
            "active settled",
            true,
            "web: active",
        ),
        (
            vec![family("ipv4", "active", HERE), family("ipv6", "initialize", None)],
            "",
            false,
            "web: active (ipv4), starting (ipv6)",
        ),
    ] {
        let router = status(&families);
        let reached = WaitGoal::ALL.into_iter().filter(|goal| goal.is_reached(&router));
        let reached: Vec<_> = reached.map(WaitGoal::as_str).collect();
        assert_eq!(reached.join(" "), goals, "{line}");
        assert_eq!(is_active(&router), active, "{line}");
        assert_eq!(state_line(&router), line);
    }
}

#[test]
fn a_router_without_families_is_nowhere() {
    let router = status(&[]);
    assert!(!is_active(&router) && !WaitGoal::ALL.into_iter().any(|goal| goal.is_reached(&router)));
}

#[test]
fn goals_are_read_by_their_names() {
    assert!(WaitGoal::ALL.into_iter().all(|goal| goal.to_string().parse() == Ok(goal)));
    assert!("soon".parse::<WaitGoal>().unwrap_err().contains("active, backup, settled"));
}
