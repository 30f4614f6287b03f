//! The methods, over the real socket.

use crate::rig::{Running, took_over};
use crate::wire::{Wire, served};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use vrrpd::control::client::{Client, ClientError, DemoteRequest, Force, LastResort, Selection};
use vrrpd::control::{INTERFACE_DESCRIPTION, Limits};

fn names(names: &[&str]) -> Selection {
    Selection::Names(names.iter().map(|name| (*name).to_owned()).collect())
}

fn order(reason: &str) -> DemoteRequest<'_> {
    DemoteRequest { reason, span: None, last_resort: LastResort::No, force: Force::No, drain: None }
}

fn outcomes(reply: &Value) -> Vec<String> {
    let results = reply["parameters"]["results"].as_array().unwrap_or_else(|| panic!("{reply}"));
    results
        .iter()
        .map(|r| format!("{} {}", r["name"].as_str().unwrap(), r["outcome"].as_str().unwrap()))
        .collect()
}

#[test]
fn the_service_introduces_itself() {
    let daemon = Running::start();
    let mut wire = Wire::connect(&daemon.socket);
    let info = wire.call("org.varlink.service.GetInfo", json!({}));
    assert_eq!(info["parameters"]["interfaces"], json!(["org.varlink.service", "org.vrrpd.Control"]));
    assert_eq!(info["parameters"]["version"], env!("CARGO_PKG_VERSION"));
    let about = json!({ "interface": "org.vrrpd.Control" });
    let description = wire.call("org.varlink.service.GetInterfaceDescription", about);
    assert_eq!(description["parameters"]["description"], INTERFACE_DESCRIPTION);
}

#[test]
fn mistakes_of_the_caller_have_varlinks_names() {
    let daemon = Running::start();
    let mut wire = Wire::connect(&daemon.socket);
    let table = [
        ("org.vrrpd.Control.Explode", json!({}), "org.varlink.service.MethodNotFound", "method"),
        ("org.varlink.service.Explode", json!({}), "org.varlink.service.MethodNotFound", "method"),
        ("org.example.Ping", json!({}), "org.varlink.service.InterfaceNotFound", "interface"),
        ("nonsense", json!({}), "org.varlink.service.MethodNotFound", "method"),
        (
            "org.vrrpd.Control.Status",
            json!({ "name": 7 }),
            "org.varlink.service.InvalidParameter",
            "parameter",
        ),
        (
            "org.vrrpd.Control.Status",
            json!({ "nam": "a" }),
            "org.varlink.service.InvalidParameter",
            "parameter",
        ),
        ("org.vrrpd.Control.Show", json!({}), "org.varlink.service.InvalidParameter", "parameter"),
        (
            "org.vrrpd.Control.Events",
            json!({ "last": -1 }),
            "org.varlink.service.InvalidParameter",
            "parameter",
        ),
        ("org.vrrpd.Control.Demote", json!({}), "org.varlink.service.InvalidParameter", "parameter"),
        (
            "org.vrrpd.Control.Demote",
            json!({ "all": true, "names": ["moodle-a"] }),
            "org.varlink.service.InvalidParameter",
            "parameter",
        ),
        (
            "org.vrrpd.Control.Demote",
            json!({ "all": true, "reason": "two\nlines" }),
            "org.varlink.service.InvalidParameter",
            "parameter",
        ),
        (
            "org.vrrpd.Control.Demote",
            json!({ "all": true, "for_ms": 999 }),
            "org.varlink.service.InvalidParameter",
            "parameter",
        ),
        (
            "org.vrrpd.Control.Demote",
            json!({ "all": true, "for_ms": u64::MAX }),
            "org.varlink.service.InvalidParameter",
            "parameter",
        ),
        (
            "org.vrrpd.Control.Demote",
            json!({ "all": true, "last_resort": true, "force": true }),
            "org.varlink.service.InvalidParameter",
            "parameter",
        ),
    ];
    for (method, parameters, error, detail) in table {
        let reply = wire.call(method, parameters.clone());
        assert_eq!(reply["error"], error, "{method} {parameters}");
        assert!(reply["parameters"][detail].is_string(), "{reply}");
    }
    assert!(daemon.demotions.lock().unwrap().is_empty());
}

#[test]
fn an_unknown_name_is_answered_with_those_that_exist_and_nothing_is_done() {
    let daemon = Running::start();
    let mut wire = Wire::connect(&daemon.socket);
    for (method, parameters) in [
        ("Status", json!({ "name": "moodle-z" })),
        ("Show", json!({ "name": "moodle-z" })),
        ("Demote", json!({ "names": ["moodle-a", "moodle-z"] })),
        ("Promote", json!({ "names": ["moodle-z"] })),
    ] {
        let reply = wire.call(&format!("org.vrrpd.Control.{method}"), parameters);
        assert_eq!(reply["error"], "org.vrrpd.Control.UnknownRouter");
        let known = json!(["broken", "lonely", "moodle-a", "moodle-b"]);
        assert_eq!(reply["parameters"], json!({ "name": "moodle-z", "known": known }));
    }
    assert!(daemon.demotions.lock().unwrap().is_empty(), "moodle-a was not demoted either");
}

#[test]
fn calls_are_answered_in_their_order_and_oneway_calls_not_at_all() {
    let daemon = Running::start();
    let mut wire = Wire::connect(&daemon.socket);
    wire.send(&json!({ "method": "org.vrrpd.Control.Status", "parameters": { "name": "broken" } }));
    wire.send(&json!({ "method": "org.vrrpd.Control.Status", "oneway": true }));
    wire.send(&json!({ "method": "org.vrrpd.Control.Explode", "oneway": true }));
    wire.send(&json!({ "method": "org.vrrpd.Control.Show", "parameters": { "name": "lonely" } }));
    let first = wire.reply().unwrap();
    assert_eq!(first["parameters"]["virtual_routers"][0]["name"], "broken");
    assert!(first.get("continues").is_none());
    assert_eq!(wire.reply().unwrap()["parameters"]["name"], "lonely");
}

#[test]
fn a_demotion_records_who_when_and_why() {
    let daemon = Running::start();
    let mut client = Client::connect(&daemon.socket).unwrap();
    let demoted =
        client.demote(&names(&["moodle-a"]), &order("kernel update"), || panic!("it need not wait")).unwrap();
    let first = &demoted.results[0];
    assert_eq!((&*first.outcome, first.handover_ms), ("handed_over", Some(17.25)));
    assert_eq!(first.taken_over_by, Some("192.0.2.11".parse().unwrap()));
    let demotion = daemon.demotions.lock().unwrap()[0].clone();
    assert_eq!(demotion.reason, "kernel update");
    assert_eq!(demotion.since, "2026-11-22T10:00:00.123Z");
    let me = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap();
    assert_eq!(demotion.by, me.name);
}

#[test]
fn a_demotion_names_the_node_that_took_over_and_the_one_that_was_heard() {
    let daemon = Running::with_names();
    let mut client = Client::connect(&daemon.socket).unwrap();
    let document = client.demote(&names(&["moodle-a"]), &order(""), || ()).unwrap();
    let [v4, v6] = <[_; 2]>::try_from(document.results).unwrap();
    assert_eq!(
        (v4.taken_over_by_node.as_deref(), v6.taken_over_by_node.as_deref()),
        (Some("fe1"), Some("fe1"))
    );
    assert_eq!(v4.last_heard.unwrap().node.as_deref(), Some("fe1"));
    let daemon = Running::start();
    let mut client = Client::connect(&daemon.socket).unwrap();
    let nameless = client.demote(&names(&["moodle-a"]), &order(""), || ()).unwrap().results.remove(0);
    assert_eq!((nameless.taken_over_by_node, nameless.last_heard.unwrap().node), (None, None));
}

#[test]
fn a_demotion_has_an_end_and_a_last_resort_if_told_so() {
    let daemon = Running::start();
    let mut client = Client::connect(&daemon.socket).unwrap();
    let span = Some(Duration::from_secs(1800));
    let told = DemoteRequest { span, last_resort: LastResort::Yes, ..order("") };
    let document = client.demote(&names(&["moodle-a"]), &told, || ()).unwrap();
    let demotion = daemon.demotions.lock().unwrap()[0].clone();
    let until = demotion.until.unwrap();
    assert_eq!((until.at, &*until.text), (crate::rig::seconds(2800), "2026-11-22T10:30:00.123Z"));
    assert_eq!(demotion.last_resort, LastResort::Yes);
    assert_eq!(document.demotion.until.as_deref(), Some("2026-11-22T10:30:00.123Z"));
    assert!(document.demotion.last_resort && document.persisted && document.warning.is_none());
}

#[test]
fn what_will_not_survive_a_restart_is_said() {
    let daemon = Running::with_a_full_disk();
    let mut client = Client::connect(&daemon.socket).unwrap();
    let demoted = client.demote(&names(&["moodle-a"]), &order(""), || ()).unwrap();
    assert_eq!(&*demoted.results[0].outcome, "handed_over");
    assert!(!demoted.persisted && demoted.warning.unwrap().contains("the disk is full"));
    let promoted = client.promote(&names(&["moodle-a"])).unwrap();
    assert!(!promoted.persisted && promoted.warning.unwrap().contains("the disk is full"));
}

#[test]
fn all_routers_are_demoted_together_and_promoted_again() {
    // The daemon answers nobody before all four commands have arrived.
    let daemon = Running::with(Limits::default(), 4);
    let mut wire = Wire::connect(&daemon.socket);
    let reply = wire.call("org.vrrpd.Control.Demote", json!({ "all": true }));
    assert_eq!(
        outcomes(&reply),
        [
            "broken was_backup",
            "lonely refused",
            "moodle-a handed_over",
            "moodle-a handed_over",
            "moodle-b was_backup"
        ]
    );
    let reply = wire.call("org.vrrpd.Control.Promote", json!({ "all": true }));
    assert_eq!(outcomes(&reply).len(), 4);
    assert!(outcomes(&reply).iter().all(|outcome| outcome.ends_with(" promoted")), "{reply}");
}

#[test]
fn a_router_that_is_named_twice_is_demoted_once() {
    let daemon = Running::start();
    let mut wire = Wire::connect(&daemon.socket);
    let twice = json!({ "names": ["lonely", "moodle-b", "lonely"], "force": true });
    let reply = wire.call("org.vrrpd.Control.Demote", twice);
    assert_eq!(outcomes(&reply), ["lonely forced", "moodle-b was_backup"]);
    let reply = wire.call("org.vrrpd.Control.Demote", json!({ "names": ["lonely"] }));
    assert_eq!(outcomes(&reply), ["lonely already_demoted"]);
}

#[test]
fn the_client_says_once_that_it_waits() {
    let daemon = Running::with(Limits::default(), 2);
    let mut waiting = 0;
    let mut client = Client::connect(&daemon.socket).unwrap();
    let other = daemon.socket.clone();
    let mut second = None;
    client
        .demote(&names(&["moodle-a"]), &order(""), || {
            waiting += 1;
            // The daemon answers when a second command waits.
            second = Some(std::thread::spawn(move || {
                Client::connect(&other).unwrap().promote(&names(&["moodle-b"])).unwrap()
            }));
        })
        .unwrap();
    assert_eq!(waiting, 1);
    assert_eq!(second.unwrap().join().unwrap().results[0].outcome, "was_not_demoted");
}

#[test]
fn a_command_that_the_daemon_does_not_finish_times_out() {
    let limits = Limits { command: Duration::from_millis(50), ..Limits::default() };
    let daemon = Running::with(limits, 2);
    let mut client = Client::connect(&daemon.socket).unwrap();
    let error = client.demote(&names(&["moodle-a"]), &order(""), || ()).unwrap_err();
    assert!(matches!(error, ClientError::NotFinished), "{error:?}");
    served(&daemon.socket);
}

#[test]
fn a_daemon_that_ends_during_a_command_is_noticed() {
    let daemon = Running::with(Limits::default(), 2);
    let socket = daemon.socket.clone();
    let mut daemon = Some(daemon);
    let mut client = Client::connect(&socket).unwrap();
    let error = client.demote(&names(&["moodle-a"]), &order(""), || drop(daemon.take())).unwrap_err();
    assert!(matches!(error, ClientError::Closed { .. } | ClientError::Stopping), "{error:?}");
    assert!(!socket.exists(), "the socket's file went with the daemon");
}

#[test]
fn a_follower_gets_the_past_and_then_what_happens() {
    let daemon = Running::start();
    daemon.happens("moodle-a", took_over());
    daemon.happens("moodle-b", took_over());
    let mut wire = Wire::connect(&daemon.socket);
    wire.send(&json!({ "method": "org.vrrpd.Control.Events", "parameters": { "last": 1 }, "more": true }));
    let past = wire.reply().unwrap();
    assert_eq!(past["continues"], true);
    assert_eq!(past["parameters"]["events"].as_array().unwrap().len(), 1);
    assert_eq!(past["parameters"]["events"][0]["seq"], 2);
    daemon.happens("moodle-a", took_over());
    let next = wire.reply().unwrap();
    assert_eq!(next["parameters"]["events"][0]["seq"], 3);
    assert_eq!(next["parameters"]["lost"], 0);
}

#[test]
fn a_router_that_is_named_thousands_of_times_is_asked_for_once() {
    let daemon = Running::start();
    daemon.happens("moodle-a", took_over());
    daemon.happens("moodle-b", took_over());
    daemon.happens("lonely", took_over());
    let asked = |names: Vec<&str>| {
        let reply = Wire::connect(&daemon.socket).call("org.vrrpd.Control.Events", json!({ "names": names }));
        reply["parameters"]["events"].clone()
    };
    let many = [&["moodle-a"; 3_000][..], &["lonely"], &["moodle-a"; 2_000]].concat();
    let events = asked(many);
    assert_eq!(events, asked(vec!["lonely", "moodle-a"]));
    let of: Vec<_> = events.as_array().unwrap().iter().map(|event| &event["name"]).collect();
    assert_eq!(of, ["moodle-a", "lonely"]);
}

#[test]
fn without_more_events_are_one_reply() {
    let daemon = Running::start();
    (0..30).for_each(|_| {
        drop(daemon.events.push(jiff::Timestamp::UNIX_EPOCH, crate::rig::event("a", took_over())))
    });
    let mut wire = Wire::connect(&daemon.socket);
    let reply = wire.call("org.vrrpd.Control.Events", json!({}));
    assert!(reply.get("continues").is_none());
    assert_eq!(reply["parameters"]["events"].as_array().unwrap().len(), 20);
}

#[test]
fn show_has_the_events_of_its_router_only() {
    let daemon = Running::start();
    daemon.happens("moodle-a", took_over());
    daemon.happens("moodle-b", took_over());
    let document = Client::connect(&daemon.socket).unwrap().show("moodle-b").unwrap();
    assert_eq!(document.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [2]);
}

#[test]
fn the_socket_is_for_owner_and_group() {
    let daemon = Running::start();
    let mode = std::fs::metadata(&daemon.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}
