//! `vrrpctl reload` and SIGHUP, while a client sends requests.

use super::support::capture::Capture;
use super::support::lab::ip;
use super::support::wait::stays;
use super::support::{Config, Ctl, Daemon, Lab, Router, SOON, ServiceManager, ms, wait_for};
use super::{Pair, WEB, web};
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};
use std::time::Duration;

/// Writes a new configuration for `fe0`, and reloads it.
fn reload(daemon: &Daemon, config: &Config) -> Ctl {
    daemon.write_config(config.text());
    daemon.ctl(&["reload"])
}

/// As [`reload`], which must succeed; returns what happens to each router.
fn reloaded(daemon: &Daemon, config: &Config) -> Vec<(String, String)> {
    let answer = reload(daemon, config);
    assert_eq!(
        (answer.code, &answer.json["applied"], &answer.json["valid"]),
        (0, &json!(true), &json!(true)),
        "{answer:?}"
    );
    let routers = answer.json["virtual_routers"].as_array().expect("routers");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    routers.iter().map(|router| (text(&router["name"]), text(&router["action"]))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, action)| ((*name).to_owned(), (*action).to_owned())).collect()
}

fn events_of_kind(daemon: &Daemon, kind: &str) -> Vec<Value> {
    let events = daemon.ctl(&["events", "-n", "1000"]).json["events"].as_array().cloned().unwrap_or_default();
    events.into_iter().filter(|event| event["kind"] == kind).collect()
}

/// The times between the advertisements of a node.
fn gaps(capture: &Capture, node: &str, from: Duration) -> Vec<Duration> {
    let adverts = capture.adverts_of(node, from);
    adverts.windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

#[test]
fn addresses_of_an_active_router_change_without_a_lost_request_or_a_transition() {
    let pair = Pair::new();
    let before = pair.fe0.instance("web", "ipv4");
    let prober = pair.client_of("fe0");
    let more = web(200).addresses(&["192.0.2.51/24", "192.0.2.50/24", "192.0.2.52/24"]);
    assert_eq!(reloaded(&pair.fe0, &Config::of(&more)), pairs(&[("web", "retune")]));
    wait_for(SOON, "the new addresses are here", || {
        pair.lab.node("fe0").has("192.0.2.51") && pair.lab.node("fe0").has("192.0.2.52")
    });
    prober.wait_some_answers();
    let fewer = web(200).addresses(&["192.0.2.50/24"]);
    assert_eq!(reloaded(&pair.fe0, &Config::of(&fewer)), pairs(&[("web", "retune")]));
    wait_for(SOON, "they are gone again", || {
        !pair.lab.node("fe0").has("192.0.2.51") && !pair.lab.node("fe0").has("192.0.2.52")
    });
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!((report.lost, &report.sequence[..]), (0, &["fe0".to_owned()][..]), "{report:?}");
    let after = pair.fe0.instance("web", "ipv4");
    assert_eq!((&after["since"], &after["state"]), (&before["since"], &json!("active")));
    for address in ["192.0.2.51", "192.0.2.52"] {
        pair.lab.capture().wait_announcement(SOON, "fe0", ms(0), ip(address));
    }
    // The advertised addresses and their order have changed as well.
    let listed = |addresses: &[&str]| addresses.iter().map(|address| ip(address)).collect::<Vec<_>>();
    let more = listed(&["192.0.2.51", "192.0.2.50", "192.0.2.52"]);
    pair.lab.capture().wait_advert(SOON, "fe0", ms(0), |advert| advert.addresses == more);
    let now = pair.lab.capture().now();
    pair.lab.capture().wait_advert(SOON, "fe0", now, |advert| advert.addresses == listed(&[WEB]));
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    let pair = Pair::new();
    let before = pair.fe0.instance("web", "ipv4");
    let prober = pair.client_of("fe0");
    pair.fe0.write_config(Config::of(&web(200).key("priority", "300").key("adresses", "[]")).text());
    for arguments in [&["reload"][..], &["reload", "--dry-run"]] {
        let answer = pair.fe0.ctl(arguments);
        assert_eq!(
            (answer.code, &answer.json["valid"], &answer.json["applied"]),
            (2, &json!(false), &json!(false))
        );
        let errors = answer.json["errors"].as_array().expect("errors");
        assert_eq!(errors.len(), 2, "{answer:?}");
        assert!(errors.iter().all(|error| error["line"].as_u64() > Some(1) && error["help"] != ""));
        // The errors are the same, word for word, as those of `check`.
        let file = answer.json["file"].as_str().expect("a file").to_owned();
        assert_eq!(pair.fe0.ctl(&["check", &file]).json["errors"], answer.json["errors"]);
    }
    kill(pair.fe0.pid(), Signal::SIGHUP).expect("SIGHUP");
    wait_for(SOON, "the log has what is wrong, from SIGHUP too", || {
        pair.fe0.log().contains("did you mean `addresses`?") && pair.fe0.log().contains("SIGHUP")
    });
    prober.wait_some_answers();
    assert_eq!(prober.finish().lost, 0);
    assert_eq!(pair.fe0.instance("web", "ipv4")["since"], before["since"]);
    assert_eq!(pair.fe0.instance("web", "ipv4")["priority"], before["priority"]);
    assert!(events_of_kind(&pair.fe0, "configuration_reloaded").is_empty());
    // The daemon can still reload.
    assert_eq!(reloaded(&pair.fe0, &Config::of(&web(201))), pairs(&[("web", "retune")]));
}

#[test]
fn a_file_that_is_gone_changes_nothing() {
    let pair = Pair::new();
    pair.fe0.remove_config();
    let answer = pair.fe0.ctl(&["reload"]);
    assert_eq!(
        (answer.code, &answer.json["error"]["kind"]),
        (1, &json!("unreadable_configuration")),
        "{answer:?}"
    );
    assert!(pair.fe0.is("web", "active"));
}

#[test]
fn routers_that_are_not_concerned_do_not_notice() {
    let db = Router::new("db").vrid(52).priority(200).addresses(&["192.0.2.60/24"]);
    let config = |web: &Router, db: &Router| Config::of(web).with(db);
    let pair = Pair::with(&config(&web(200), &db), &config(&web(100), &db.clone().priority(100)));
    pair.fe0.wait_state("db", "active");
    pair.fe1.wait_state("db", "backup");
    let before = (pair.fe0.instance("web", "ipv4"), pair.fe1.instance("web", "ipv4"));
    let from = pair.lab.capture().now();
    for priority in 201..=210 {
        let changed = db.clone().priority(priority);
        let expected = pairs(&[("db", "retune"), ("web", "unchanged")]);
        assert_eq!(reloaded(&pair.fe0, &config(&web(200), &changed)), expected);
        let changed = db.clone().priority(priority - 101);
        let plan = reloaded(&pair.fe1, &config(&web(100), &changed));
        assert!(plan.contains(&("web".to_owned(), "unchanged".to_owned())), "{plan:?}");
    }
    wait_for(SOON, "ten more advertisements", || pair.lab.capture().adverts_of("fe0", from).len() >= 20);
    let after = (pair.fe0.instance("web", "ipv4"), pair.fe1.instance("web", "ipv4"));
    assert_eq!((&after.0["since"], &after.1["since"]), (&before.0["since"], &before.1["since"]));
    let capture = pair.lab.capture();
    let adverts: Vec<_> =
        capture.adverts_of("fe0", from).into_iter().filter(|advert| advert.vrid == 51).collect();
    // The time from one advertisement to the next is 100 ms, whatever came between; a late one is
    // caused by the machine.
    for pair in adverts.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap > ms(60) && gap < ms(250), "{gap:?}");
    }
    assert!(capture.adverts_of("fe1", from).is_empty(), "the Backup says nothing");
}

#[test]
fn sighup_reloads_and_the_event_names_the_user() {
    let pair = Pair::new();
    pair.fe0.write_config(Config::of(&web(150)).text());
    kill(pair.fe0.pid(), Signal::SIGHUP).expect("SIGHUP");
    wait_for(SOON, "the priority is another", || {
        pair.fe0.instance("web", "ipv4")["priority"]["effective"] == 150
    });
    let event = pair.fe0.wait_event("of the reload", |event| event["kind"] == "configuration_reloaded");
    assert_eq!((&event["by"], &event["count"], &event["name"]), (&json!("SIGHUP"), &json!(1), &Value::Null));
    assert!(pair.fe0.log().contains("configuration reloaded by SIGHUP: 1 change"), "{}", pair.fe0.log());
    // Once more, as another user.
    assert_eq!(reloaded(&pair.fe0, &Config::of(&web(150))), pairs(&[("web", "unchanged")]));
    let events = events_of_kind(&pair.fe0, "configuration_reloaded");
    assert_eq!((events.len(), &events[1]["count"]), (2, &json!(0)), "{events:?}");
    assert_ne!(events[1]["by"], "SIGHUP");
}

#[test]
fn a_dry_run_tells_the_plan_and_changes_nothing() {
    let pair = Pair::new();
    let before = pair.fe0.ctl(&["show", "web"]).json["configuration"].clone();
    let other = web(90).interval("250ms").addresses(&["192.0.2.51/24"]);
    pair.fe0.write_config(Config::of(&other).text());
    let answer = pair.fe0.ctl(&["reload", "--dry-run"]);
    assert_eq!((answer.code, &answer.json["applied"]), (0, &json!(false)), "{answer:?}");
    let changes = answer.json["virtual_routers"][0]["changes"].as_array().expect("changes");
    let keys: Vec<_> = changes.iter().map(|change| change["key"].as_str().expect("a key")).collect();
    assert_eq!(keys, ["priority", "addresses", "advertise_interval"]);
    assert_eq!(pair.fe0.ctl(&["show", "web"]).json["configuration"], before);
    assert!(pair.lab.node("fe0").has(WEB) && !pair.lab.node("fe0").has("192.0.2.51"));
    assert!(events_of_kind(&pair.fe0, "configuration_reloaded").is_empty());
    // Now the reload is carried out, with the same plan.
    let done = pair.fe0.ctl(&["reload"]);
    assert_eq!(done.json["virtual_routers"], answer.json["virtual_routers"]);
    wait_for(SOON, "the other address", || {
        pair.lab.node("fe0").has("192.0.2.51") && !pair.lab.node("fe0").has(WEB)
    });
}

#[test]
fn a_router_that_is_removed_hands_over_and_comes_back_when_it_is_added() {
    let pair = Pair::new();
    let db = Router::new("db").vrid(52).priority(200).addresses(&["192.0.2.60/24"]);
    let prober = pair.client_of("fe0");
    assert_eq!(reloaded(&pair.fe0, &Config::of(&db)), pairs(&[("db", "add"), ("web", "remove")]));
    prober.wait_answer_of(pair.fe1.node());
    pair.fe0.wait_state("db", "active");
    wait_for(SOON, "web is gone", || pair.fe0.states("web").is_empty() && !pair.lab.node("fe0").has(WEB));
    let both = Config::of(&db).with(&web(200));
    assert_eq!(reloaded(&pair.fe0, &both), pairs(&[("db", "unchanged"), ("web", "add")]));
    prober.wait_answer_of(pair.fe0.node());
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!(report.lost, 0, "{report:?}");
    assert_eq!(report.sequence, ["fe0", "fe1", "fe0"]);
    assert!(pair.lab.node("fe0").has(WEB));
}

#[test]
fn an_address_of_a_router_that_is_gone_is_the_administrators_again() {
    let lab = Lab::new(&["fe0"]);
    let db = Router::new("db").vrid(52).addresses(&["192.0.2.60/24"]);
    let mut fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)).with(&db));
    fe0.wait_state("db", "active");
    assert_eq!(reloaded(&fe0, &Config::of(&web(100))), pairs(&[("db", "remove"), ("web", "unchanged")]));
    let there = || lab.node("fe0").has("192.0.2.60");
    wait_for(SOON, "db is gone", || fe0.states("db").is_empty() && !there());
    lab.node("fe0").ns.ip("address add 192.0.2.60/24 dev eth0");
    stays(ms(500), "the address is there", there);
    assert!(fe0.terminate().success());
    assert!(there(), "nor is it removed at the end");
}

#[test]
fn a_router_with_another_vrid_hands_over_and_is_replaced() {
    let pair = Pair::new();
    let prober = pair.client_of("fe0");
    assert_eq!(reloaded(&pair.fe0, &Config::of(&web(200).vrid(61))), pairs(&[("web", "rebuild")]));
    prober.wait_answer_of(pair.fe1.node());
    wait_for(SOON, "the router runs with its new VRID", || pair.fe0.instance("web", "ipv4")["vrid"] == 61);
    assert_eq!(pair.fe0.instance("web", "ipv4")["cause"], "configuration");
    let report = prober.finish();
    assert_eq!(
        (report.lost, &report.sequence[..2]),
        (0, &["fe0".to_owned(), "fe1".to_owned()][..]),
        "{report:?}"
    );
}

#[test]
fn a_priority_below_the_peers_lets_it_preempt_without_a_lost_request() {
    let pair = Pair::new();
    let prober = pair.client_of("fe0");
    assert_eq!(reloaded(&pair.fe0, &Config::of(&web(50))), pairs(&[("web", "retune")]));
    prober.wait_answer_of(pair.fe1.node());
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!((report.lost, report.sequence.len()), (0, 2), "{report:?}");
    pair.fe0.wait_state("web", "backup");
}

#[test]
fn another_interval_takes_effect_without_a_transition() {
    let pair = Pair::new();
    let before = (
        pair.fe0.instance("web", "ipv4")["since"].clone(),
        pair.fe1.instance("web", "ipv4")["since"].clone(),
    );
    assert_eq!(reloaded(&pair.fe0, &Config::of(&web(200).interval("50ms"))), pairs(&[("web", "retune")]));
    let from = pair.lab.capture().now();
    wait_for(SOON, "twenty advertisements", || pair.lab.capture().adverts_of("fe0", from).len() >= 20);
    let mut gaps = gaps(pair.lab.capture(), "fe0", from);
    gaps.sort();
    assert!(gaps[gaps.len() / 2] > ms(35) && gaps[gaps.len() / 2] < ms(70), "{gaps:?}");
    let learned =
        pair.fe1.ctl(&["show", "web"]).json["instances"][0]["timers"]["active_adver_interval_ms"].clone();
    assert_eq!(learned, 50.0);
    assert_eq!(
        (&pair.fe0.instance("web", "ipv4")["since"], &pair.fe1.instance("web", "ipv4")["since"]),
        (&before.0, &before.1)
    );
}

#[test]
fn a_check_that_is_added_to_an_active_router_does_not_interrupt_it() {
    let pair = Pair::new();
    let before = pair.fe0.instance("web", "ipv4");
    let prober = pair.client_of("fe0");
    let dir = pair.lab.node("fe0").dir().to_owned();
    let script = format!("while test ! -e {0}/go; do sleep 0.05; done; test ! -e {0}/broken", dir.display());
    let command = format!("[\"/bin/sh\", \"-c\", {script:?}]");
    let tracked = web(200).key("track", "[{ check = \"service\" }]");
    let config = Config::new().check("service", &command, &[("timeout", "\"60s\"")]).with(&tracked);
    assert_eq!(reloaded(&pair.fe0, &config), pairs(&[("web", "retune")]));
    pair.fe0.stays(ms(700), "web", "active");
    let track = || pair.fe0.ctl(&["show", "web"]).json["tracks"][0]["health"].clone();
    assert_eq!(track(), "pending");
    assert_eq!(pair.fe0.instance("web", "ipv4")["faults"], json!([]));
    std::fs::write(dir.join("go"), "").expect("the check may end");
    wait_for(SOON, "the first result", || track() == "passing");
    // A check that is changed keeps its last result.
    let slower = Config::new().check("service", &command, &[("timeout", "\"50s\"")]).with(&tracked);
    assert_eq!(reloaded(&pair.fe0, &slower), pairs(&[("web", "unchanged")]));
    assert_eq!(track(), "passing");
    prober.wait_some_answers();
    assert_eq!(pair.fe0.instance("web", "ipv4")["since"], before["since"]);
    assert_eq!(prober.finish().lost, 0);
    // From now on its results count.
    std::fs::write(dir.join("broken"), "").expect("the service breaks");
    pair.fe1.wait_state("web", "active");
}

#[test]
fn an_interface_that_is_named_newly_is_looked_at_before_it_counts() {
    let pair = Pair::new();
    let before = pair.fe0.instance("web", "ipv4");
    let tracked = |name: &str| Config::of(&web(200).key("track", &format!("[{{ interface = {name:?} }}]")));
    pair.lab.node("fe0").ns.ip("link add up0 type veth peer name up1");
    pair.lab.node("fe0").ns.ip("link set up1 up");
    pair.lab.node("fe0").ns.ip("link set up0 up");
    assert_eq!(reloaded(&pair.fe0, &tracked("up0")), pairs(&[("web", "retune")]));
    assert_eq!(pair.fe0.instance("web", "ipv4")["since"], before["since"]);
    assert!(events_of_kind(&pair.fe0, "fault_raised").is_empty());
    assert_eq!(reloaded(&pair.fe0, &tracked("nowhere0")), pairs(&[("web", "retune")]));
    pair.fe0.wait_faults("web", "ipv4", &["interface nowhere0 missing"]);
    pair.fe1.wait_state("web", "active");
}

#[test]
fn a_demotion_survives_a_reload_also_of_a_router_that_is_replaced() {
    let pair = Pair::new();
    assert_eq!(pair.fe0.ctl(&["demote", "web", "--reason", "repair"]).code, 0);
    let expected = pair.fe0.instance("web", "ipv4")["demoted"].clone();
    for config in [web(250), web(250).vrid(61), web(250)] {
        assert_eq!(reload(&pair.fe0, &Config::of(&config)).code, 0);
        pair.fe0.stays(ms(200), "web", "initialize");
        assert_eq!(pair.fe0.instance("web", "ipv4")["demoted"], expected);
    }
}

#[test]
fn reloads_at_the_same_time_come_one_after_the_other() {
    let pair = Pair::new();
    let prober = pair.client_of("fe0");
    pair.fe0.write_config(Config::of(&web(201)).text());
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8).map(|_| scope.spawn(|| pair.fe0.ctl(&["reload"]))).collect();
        for _ in 0..8 {
            kill(pair.fe0.pid(), Signal::SIGHUP).expect("SIGHUP");
        }
        let answers: Vec<_> = calls.into_iter().map(|call| call.join().expect("an answer")).collect();
        assert!(answers.iter().all(|answer| answer.code == 0), "{answers:?}");
    });
    // One of the two reloads found a difference.
    let events = events_of_kind(&pair.fe0, "configuration_reloaded");
    assert_eq!(events.iter().filter(|event| event["count"] == 1).count(), 1, "{events:?}");
    prober.wait_some_answers();
    assert_eq!(prober.finish().lost, 0);
}

#[test]
fn hooks_that_are_added_run_at_the_next_transition() {
    let lab = Lab::new(&["fe0"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    let trace = lab.node("fe0").dir().join("trace");
    let hook = |word: &str| {
        let script = format!(
            "echo {word} $VRRPD_HOOK $VRRPD_PREVIOUS_STATE $VRRPD_STATE $VRRPD_ADDRESSES >>{}",
            trace.display()
        );
        let command = format!("[\"/bin/sh\", \"-c\", {script:?}]");
        web(100).key("on_transition", &command).key("after_release", &command)
    };
    let traced = || std::fs::read_to_string(&trace).unwrap_or_default();
    assert_eq!(reloaded(&fe0, &Config::of(&hook("first"))), pairs(&[("web", "retune")]));
    assert_eq!(reloaded(&fe0, &Config::of(&hook("second"))), pairs(&[("web", "retune")]));
    assert_eq!(fe0.ctl(&["demote", "web", "--force"]).code, 0);
    let expected = "second after_release active initialize 192.0.2.50/24\n\
                    second on_transition active initialize 192.0.2.50/24\n";
    wait_for(SOON, "both hooks", || traced() == expected);
    // Without hooks again, nothing is run.
    assert_eq!(reloaded(&fe0, &Config::of(&web(100))), pairs(&[("web", "retune")]));
    assert_eq!(fe0.ctl(&["promote", "web"]).code, 0);
    fe0.wait_state("web", "active");
    assert_eq!(traced(), expected);
}

#[test]
fn the_last_hooks_of_a_router_that_is_removed_run_when_it_is_gone() {
    let lab = Lab::new(&["fe0"]);
    let trace = lab.node("fe0").dir().join("trace");
    let script = format!("echo $VRRPD_NAME $VRRPD_VRID $VRRPD_HOOK $VRRPD_STATE >>{}", trace.display());
    let command = format!("[\"/bin/sh\", \"-c\", {script:?}]");
    let hooked = |vrid| web(100).vrid(vrid).key("on_transition", &command).key("after_release", &command);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&hooked(51)));
    fe0.wait_state("web", "active");
    let traced = |expected: &str| {
        wait_for(SOON, expected.to_owned(), || {
            std::fs::read_to_string(&trace).is_ok_and(|text| text.contains(expected))
        });
    };
    traced("web 51 on_transition active\n");
    // A router that is replaced runs its last hook with its old VRID, when the new router is there
    // already.
    assert_eq!(reloaded(&fe0, &Config::of(&hooked(61))), pairs(&[("web", "rebuild")]));
    traced("web 51 after_release backup\n");
    traced("web 61 on_transition active\n");
    let db = Router::new("db").vrid(52).addresses(&["192.0.2.60/24"]);
    assert_eq!(reloaded(&fe0, &Config::of(&db)), pairs(&[("db", "add"), ("web", "remove")]));
    traced("web 61 after_release initialize\nweb 61 on_transition initialize\n");
}

/// Reading a file of thousands of errors takes long: the watchdog would end a daemon that serves
/// well.
#[test]
fn a_file_with_thousands_of_errors_stops_neither_the_watchdog_nor_other_clients() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let watchdog = ms(1000);
    let manager = ServiceManager::start(node.dir(), Some(watchdog));
    let fe0 = Daemon::start_under(&manager, node, &Config::of(&web(100)));
    let router = |n: usize| {
        format!(
            "[[virtual_router]]\nname = \"r{n}\"\ninterface = \"eth0\"\nvrid = 51\naddresses = [\"10.{}.{}.1/32\"]\n",
            n / 256,
            n % 256
        )
    };
    fe0.write_config(&(0..6_000).map(router).collect::<String>());
    let reload = fe0.ctl(&["reload"]);
    assert_eq!(reload.code, 2);
    assert_eq!(reload.json["errors"].as_array().map(Vec::len), Some(5_999));
    assert!(reload.json["report"].as_str().unwrap().contains("and 5,949 more errors"));
    wait_for(SOON, "signs of life before and after", || manager.beats().len() > 1);
    let beats = manager.beats();
    let gap = beats.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    println!("longest time between two signs of life: {gap:?}");
    assert!(gap < watchdog, "the watchdog starved for {gap:?}");
    let said = fe0.log();
    assert_eq!(said.matches(" is used twice ").count(), 20, "{said}");
    assert!(said.contains("and 5,979 more findings"), "{said}");
    fe0.wait_state("web", "active");
}

/// docs/adr/0017: an operator mistypes one digit, and lists the address of the machine.
#[test]
fn a_reload_that_lists_an_address_of_the_machine_is_refused_as_a_whole() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let fe0 = Daemon::start(node, &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    let db = Router::new("db").vrid(52).addresses(&["192.0.2.60/24"]);
    for (own, is) in [
        (format!("{}/32", node.v4()), format!("{}/24", node.v4())),
        (format!("{}/64", node.v6()), format!("{}/64", node.v6())),
    ] {
        fe0.write_config(Config::of(&web(150).addresses(&["192.0.2.50/24", &own])).with(&db).text());
        for arguments in [&["reload", "--dry-run"][..], &["reload"]] {
            let answer = fe0.ctl(arguments);
            assert_eq!(answer.code, 4, "{answer:?}");
            assert_eq!((&answer.json["valid"], &answer.json["applied"]), (&true.into(), &false.into()));
            let reason = answer.json["refused"][0].as_str().unwrap();
            assert!(
                reason.starts_with(&format!("web: {is} is configured on eth0 by something else")),
                "{reason}"
            );
            assert!(reason.contains(&format!("ip address delete {is} dev eth0")), "{reason}");
        }
        assert!(node.has(&node.v4().to_string()) && node.has(&node.v6().to_string()));
    }
    // Nothing is carried out: neither the new priority nor the other router.
    assert_eq!(fe0.instance("web", "ipv4")["priority"]["configured"], 100);
    assert!(fe0.states("db").is_empty() && fe0.is("web", "active"));
    // Without the wrong address, the reload is carried out.
    fe0.write_config(Config::of(&web(150)).with(&db).text());
    assert_eq!(fe0.ctl(&["reload"]).code, 0);
    fe0.wait_state("db", "active");
}
