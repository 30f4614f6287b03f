//! Nodes that share a key know one another: their names, who would take over, what is not configured
//! alike, and one may ask another to hand over.

use super::support::wait::stays;
use super::support::{Config, Daemon, Lab, Router, SOON, ms, wait_for};
use super::{Pair, WEB, web};
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

/// How long nodes take to find out that nobody would take over.
pub(super) const FOUND_OUT: std::time::Duration = ms(9_000);

/// Writes a key of which each octet is `octet`.
pub(super) fn write_key(lab: &Lab, node: &str, octet: u8) -> String {
    let path = lab.node(node).dir().join("peer.key");
    std::fs::write(&path, [octet; 32]).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    path.display().to_string()
}

/// A configuration with a name and a key.
pub(super) fn knowing(lab: &Lab, node: &str, router: &Router) -> Config {
    let key = write_key(lab, node, b'k');
    Config::new().agent(&[("node_name", node), ("peer_key_file", &key)]).with(router)
}

/// A pair whose nodes know each other. `fe0` is preferred, and serves.
fn pair_of(first: &Router, second: &Router) -> Pair {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let (first, second) = (knowing(&lab, "fe0", first), knowing(&lab, "fe1", second));
    let pair = Pair::on(lab, &first, &second);
    for daemon in [&pair.fe0, &pair.fe1] {
        wait_for(FOUND_OUT, "the nodes know each other", || {
            daemon.instance("web", "ipv4")["redundant"] == true
        });
    }
    pair
}

fn both_families(priority: u8) -> Router {
    web(priority).addresses(&["192.0.2.50/24", "2001:db8::50/64"])
}

fn standbys(daemon: &Daemon) -> Value {
    let standbys = daemon.instance("web", "ipv4")["standbys"].as_array().cloned().unwrap_or_default();
    let brief = |one: &Value| json!([one["node"], one["active"], one["obstacle"]]);
    standbys.iter().map(brief).collect()
}

#[test]
fn nodes_call_one_another_by_their_names_and_know_who_would_take_over() {
    let pair = pair_of(&both_families(200), &both_families(100));
    assert_eq!(standbys(&pair.fe0), json!([["fe1", false, null]]));
    assert_eq!(standbys(&pair.fe1), json!([["fe0", true, null]]));
    let nodes = pair.fe1.ctl(&["status"]).json["nodes"].clone();
    assert_eq!((&nodes[0]["name"], &nodes[0]["presence"]), (&json!("fe0"), &json!("present")));
    assert_eq!(nodes[0]["addresses"], json!(["192.0.2.10", "fe80::a"]));
    assert_eq!(pair.fe1.instance("web", "ipv6")["active"]["node"], "fe0");
    let table = pair.fe1.ctl_text(&["status"]);
    assert!(table.contains(" fe0 "), "{table}");
    let page = pair.fe0.ctl_text(&["show", "web"]);
    assert!(page.contains("fe1 (192.0.2.11, priority 100) would take over; heard "), "{page}");
    let answer = pair.fe0.ctl(&["demote", "web"]);
    let result = &answer.json["results"][0];
    assert_eq!(
        (&result["taken_over_by"], &result["taken_over_by_node"]),
        (&json!("192.0.2.11"), &json!("fe1"))
    );
    assert_eq!(pair.fe0.ctl(&["promote", "web"]).code, 0);
    let moved = |event: &Value| event["kind"] == "transition" && event["to"] == "backup";
    let event =
        pair.fe1.wait_event("that fe0 took over again", |event| moved(event) && event["peer_node"] == "fe0");
    let text = event["text"].as_str().unwrap();
    assert!(text.contains("fe0 (192.0.2.10)") || text.contains("fe0 (fe80::a)"), "{text}");
}

#[test]
fn redundancy_that_is_lost_and_comes_back_is_told_by_the_node_that_serves() {
    let check = |lab: &Lab| lab.dir().join("nginx").display().to_string();
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let path = check(&lab);
    std::fs::write(&path, "").unwrap();
    let tracked = |priority| web(priority).key("track", "[{ check = \"nginx\" }]");
    let second = knowing(&lab, "fe1", &tracked(100)).file_check("nginx", &path);
    let always = Config::check(knowing(&lab, "fe0", &tracked(200)), "nginx", "[\"/bin/true\"]", &[]);
    let mut pair = Pair::on(lab, &always, &second);
    wait_for(FOUND_OUT, "redundant", || pair.fe0.instance("web", "ipv4")["redundant"] == true);
    // A fault of the Backup.
    std::fs::remove_file(&path).unwrap();
    let lost = pair.fe0.wait_event("redundancy lost", |event| event["kind"] == "redundancy_lost");
    assert_eq!((&lost["severity"], &lost["name"]), (&json!("warning"), &json!("web")));
    assert_eq!(lost["reasons"], json!({ "fe1": "check nginx fails" }));
    let instance = pair.fe0.instance("web", "ipv4");
    assert_eq!(
        (&instance["redundant"], &instance["warnings"][0]["kind"]),
        (&json!(false), &json!("not_redundant"))
    );
    std::fs::write(&path, "").unwrap();
    pair.fe0.wait_event("redundant again", |event| event["kind"] == "redundancy_back");
    // The Backup dies.
    pair.fe1.kill();
    pair.fe0.wait_event("silence", |event| event["kind"] == "node_silent" && event["node"] == "fe1");
    let lost =
        |event: &Value| event["kind"] == "redundancy_lost" && event["reasons"]["fe1"] != "check nginx fails";
    pair.fe0.wait_event("redundancy lost again", lost);
    pair.fe1.start_again();
    wait_for(FOUND_OUT, "redundant again", || pair.fe0.instance("web", "ipv4")["redundant"] == true);
    // The Backup is stopped in order.
    pair.fe1.terminate();
    pair.fe0.wait_event("a farewell", |event| event["kind"] == "node_left" && event["node"] == "fe1");
}

#[test]
fn a_backup_takes_the_address_without_a_lost_request_and_the_active_stays_away() {
    let pair = pair_of(&both_families(200), &both_families(100));
    let prober = pair.client_of("fe0");
    let taken = pair.fe1.ctl(&["take", "web"]);
    assert_eq!((taken.code, &taken.stderr[..]), (0, ""), "{taken:?}");
    assert_eq!(
        json!([
            taken.json["outcome"],
            taken.json["taken_from_node"],
            taken.json["taken_from"],
            taken.json["last_resort"]
        ]),
        json!(["handed_over", "fe0", "192.0.2.10", true])
    );
    assert!(taken.json["handover_ms"].as_f64().is_some_and(|ms| ms < 1_000.0), "{taken:?}");
    prober.wait_answer_of(pair.fe1.node());
    pair.fe1.stays(ms(500), "web", "active");
    let former = pair.fe0.instance("web", "ipv4");
    assert_eq!((&former["state"], &former["demoted"]["last_resort"]), (&json!("backup"), &json!(true)));
    assert_eq!(pair.fe0.ctl(&["promote", "web"]).code, 0);
    prober.wait_answer_of(pair.fe0.node());
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!((report.lost, report.sequence.len()), (0, 3), "{report:?}");
}

#[test]
fn a_node_that_does_not_preempt_is_an_ordinary_backup_afterwards() {
    let plain = |priority| web(priority).key("preempt", "false");
    let pair = pair_of(&plain(200), &plain(100));
    let taken = pair.fe1.ctl(&["take", "web"]);
    assert_eq!((taken.code, &taken.json["last_resort"]), (0, &json!(false)), "{taken:?}");
    pair.fe1.wait_state("web", "active");
    wait_for(SOON, "fe0 is not demoted", || pair.fe0.instance("web", "ipv4")["demoted"].is_null());
    pair.fe0.wait_state("web", "backup");
    let back = pair.fe0.ctl(&["take", "web"]);
    assert_eq!((back.code, &back.json["last_resort"]), (0, &json!(false)), "{back:?}");
    pair.fe0.wait_state("web", "active");
}

#[test]
fn a_request_that_would_harm_or_cannot_be_made_is_refused_with_its_reason() {
    let mut pair = pair_of(&web(200), &web(100));
    let refused = |daemon: &Daemon, why: &str| {
        let taken = daemon.ctl(&["take", "web"]);
        assert_eq!((taken.code, &taken.json["outcome"]), (4, &json!("refused")), "{taken:?}");
        let reason = taken.json["reason"].as_str().unwrap();
        assert!(reason.contains(why), "{reason}");
    };
    refused(&pair.fe0, "this node serves it already");
    assert_eq!(pair.fe1.ctl(&["demote", "web"]).code, 0);
    refused(&pair.fe1, "vrrpctl promote web");
    assert_eq!(pair.fe1.ctl(&["promote", "web"]).code, 0);
    assert_eq!(pair.fe1.ctl(&["take", "nothing"]).code, 1);
    // The Active dies: the node takes over by itself, and there is nobody to ask.
    pair.fe0.kill();
    pair.fe1.wait_state("web", "active");
    refused(&pair.fe1, "this node serves it already");
}

#[test]
fn without_a_key_nothing_is_sent_and_nothing_is_claimed() {
    let pair = Pair::new();
    let status = pair.fe0.ctl(&["status"]).json;
    assert_eq!((&status["nodes"], &status["virtual_routers"][0]["redundant"]), (&Value::Null, &Value::Null));
    let taken = pair.fe1.ctl(&["take", "web"]);
    assert_eq!(taken.code, 4, "{taken:?}");
    assert!(taken.json["reason"].as_str().unwrap().contains("peer_key_file"), "{taken:?}");
    let listening = pair.fe0.node().ns.run("ss", &["-Huln", "sport = :9651"]);
    assert_eq!(listening, "");
}

#[test]
fn nodes_with_two_keys_do_not_know_one_another_until_the_key_is_copied() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let (first, second) = (knowing(&lab, "fe0", &web(200)), knowing(&lab, "fe1", &web(100)));
    write_key(&lab, "fe1", b'x');
    let pair = Pair::on(lab, &first, &second);
    let refused = |event: &Value| event["kind"] == "channel_message_refused" && event["peer"] == "192.0.2.11";
    pair.fe0.wait_event("another key", refused);
    pair.fe0.wait_event("not redundant", |event| event["kind"] == "redundancy_lost");
    write_key(&pair.lab, "fe1", b'k');
    assert_eq!(pair.fe1.ctl(&["reload"]).code, 0);
    wait_for(FOUND_OUT, "redundant", || pair.fe0.instance("web", "ipv4")["redundant"] == true);
    let all = pair.fe0.ctl(&["events", "-n", "1000"]).json["events"].clone();
    let count = all.as_array().unwrap().iter().filter(|event| refused(event)).count();
    assert_eq!(count, 1, "once, and not once a datagram");
}

#[test]
fn a_key_that_cannot_be_used_stops_nothing_and_is_shown() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let (first, second) = (knowing(&lab, "fe0", &web(200)), knowing(&lab, "fe1", &web(100)));
    std::fs::remove_file(lab.node("fe0").dir().join("peer.key")).unwrap();
    let pair = Pair::on(lab, &first, &second);
    wait_for(SOON, "a warning", || {
        pair.fe0.ctl(&["status"]).json["warnings"][0]["message"]
            .as_str()
            .is_some_and(|message| message.contains("peer_key_file") && message.contains("cannot be read"))
    });
    let table = pair.fe0.ctl_text(&["status"]);
    assert!(table.contains("! fe0: the nodes cannot talk to one another: peer_key_file"), "{table}");
    write_key(&pair.lab, "fe0", b'k');
    assert_eq!(pair.fe0.ctl(&["reload"]).code, 0);
    wait_for(FOUND_OUT, "redundant", || pair.fe0.instance("web", "ipv4")["redundant"] == true);
    assert_eq!(pair.fe0.ctl(&["status"]).json["warnings"], json!([]));
    // A mistake at a reload takes nothing away: the key that was read before stays.
    let path = pair.fe0.node().dir().join("peer.key");
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(pair.fe0.ctl(&["reload"]).code, 0);
    let warned =
        |message: &Value| message.as_str().is_some_and(|text| text.contains("the earlier key stays in use"));
    wait_for(SOON, "the warning", || warned(&pair.fe0.ctl(&["status"]).json["warnings"][0]["message"]));
    assert_eq!(pair.fe0.instance("web", "ipv4")["redundant"], true);
}

#[test]
fn what_is_not_configured_alike_is_told_once() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let first = knowing(&lab, "fe0", &web(200));
    let second = knowing(&lab, "fe1", &web(100).addresses(&["192.0.2.50/24", "192.0.2.51/24"]));
    let pair = Pair::on(lab, &first, &second);
    let differs = |event: &Value| event["kind"] == "setting_differs" && event["setting"] == "addresses";
    let event = pair.fe0.wait_event("that the addresses differ", differs);
    let text = event["text"].as_str().unwrap();
    assert!(text.contains("fe1 has other addresses (only on fe1: 192.0.2.51)"), "{text}");
    pair.fe1.wait_event("that the addresses differ", differs);
    pair.fe0.ctl(&["demote", "web"]);
    pair.fe1.wait_state("web", "active");
    pair.fe0.ctl(&["promote", "web"]);
    pair.fe0.wait_state("web", "active");
    let events = pair.fe0.ctl(&["events", "-n", "1000"]).json["events"].clone();
    assert_eq!(events.as_array().unwrap().iter().filter(|event| differs(event)).count(), 1);
    pair.fe1.write_config(knowing(&pair.lab, "fe1", &web(100)).text());
    assert_eq!(pair.fe1.ctl(&["reload"]).code, 0);
    pair.fe0.wait_event("that they agree", |event| event["kind"] == "setting_agrees");
}

/// The elections do not depend on the channel: its datagrams are lost, and nothing else changes.
#[test]
fn a_firewall_between_the_nodes_costs_the_knowledge_and_no_transition() {
    let pair = pair_of(&web(200), &web(100));
    pair.fe1.node().ns.nft(
        "add table inet filter\n\
         add chain inet filter input { type filter hook input priority 0; }\n\
         add rule inet filter input udp dport 9651 drop",
    );
    pair.fe1.wait_event("silence", |event| event["kind"] == "node_silent");
    stays(ms(500), "both keep their states", || pair.fe0.is("web", "active") && pair.fe1.is("web", "backup"));
    let taken = pair.fe1.ctl(&["take", "web"]);
    assert_eq!(taken.code, 4, "{taken:?}");
    let prober = pair.client_of("fe0");
    assert_eq!(pair.fe0.ctl(&["demote", "web"]).code, 0);
    prober.wait_answer_of(pair.fe1.node());
    assert_eq!(prober.finish().lost, 0, "{WEB} moved as ever");
}
