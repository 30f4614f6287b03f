//! A demotion is a lasting fact: it survives restarts, it ends, and it never ends the service.

use super::support::process::Process;
use super::support::wait::stays;
use super::support::{Config, Daemon, Lab, SOON, ms, wait_for};
use super::{Pair, WEB, web};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The directory in which a daemon stores its demotions.
fn state_dir(lab: &Lab, node: &str) -> PathBuf {
    lab.node(node).dir().join("vrrpd.state")
}

fn state_file(lab: &Lab, node: &str) -> Value {
    let text = std::fs::read_to_string(state_dir(lab, node).join("demotions.json")).expect("a state file");
    serde_json::from_str(&text).expect("JSON")
}

/// Prints every change of the addresses of `fe0` from now on.
fn watch_addresses(lab: &Lab) -> Process {
    let fe0 = lab.node("fe0");
    let mut command = Command::new("ip");
    let watch = fe0.spawn("monitor", command.args(["monitor", "address"]));
    // `ip monitor` does not report that it has started: a change of our own shows that it listens.
    fe0.ns.ip("address add 198.51.100.1/32 dev lo");
    wait_for(SOON, "ip monitor shows a change", || {
        fe0.ns.ip("address replace 198.51.100.1/32 dev lo valid_lft 3600 preferred_lft 3600");
        watch.log().contains("198.51.100.1")
    });
    watch
}

fn demoted(daemon: &Daemon) -> Value {
    daemon.instance("web", "ipv4")["demoted"].clone()
}

/// The outcome of a `demote web` with these arguments, which must succeed.
fn demote(daemon: &Daemon, arguments: &[&str]) -> Value {
    let answer = daemon.ctl(&[&["demote", "web"], arguments].concat());
    assert_eq!((answer.code, &answer.stderr[..]), (0, ""), "{answer:?}");
    assert_eq!(answer.json["persisted"], true, "{answer:?}");
    answer.json["results"][0]["outcome"].clone()
}

#[test]
fn a_node_that_boots_demoted_never_touches_the_address() {
    let mut pair = Pair::new();
    assert_eq!(demote(&pair.fe0, &["--reason", "repair"]), "handed_over");
    let before = demoted(&pair.fe0);
    // The demotion lasts after an orderly end and after a crash, even if no other router is there.
    pair.fe0.terminate();
    let watch = watch_addresses(&pair.lab);
    let restarted = pair.lab.capture().now();
    pair.fe0.start_again();
    pair.fe0.stays(ms(300), "web", "initialize");
    pair.fe0.kill();
    pair.fe0.start_again();
    pair.fe1.terminate();
    pair.fe0.stays(ms(900), "web", "initialize");
    assert_eq!(demoted(&pair.fe0), before, "who, when and why are what they were");
    assert!(!watch.log().contains(WEB), "{}", watch.log());
    let capture = pair.lab.capture();
    assert!(capture.adverts_of("fe0", restarted).is_empty());
    assert!(!capture.announcements(restarted).iter().any(|seen| seen.node == "fe0"));
    // The monitor would have seen the address.
    assert_eq!(pair.fe0.ctl(&["promote", "web"]).code, 0);
    pair.fe0.wait_state("web", "active");
    wait_for(SOON, "ip monitor shows the address", || watch.log().contains(WEB));
}

#[test]
fn a_promotion_survives_a_restart_too() {
    let mut pair = Pair::new();
    assert_eq!(demote(&pair.fe0, &[]), "handed_over");
    pair.fe0.terminate();
    pair.fe0.start_again();
    let prober = pair.client_of("fe1");
    let promoted = pair.fe0.ctl(&["promote", "web"]);
    assert_eq!((promoted.code, &promoted.json["persisted"]), (0, &true.into()), "{promoted:?}");
    prober.wait_answer_of(pair.fe0.node());
    pair.fe0.wait_state("web", "active");
    pair.fe0.terminate();
    pair.fe0.start_again();
    pair.fe0.wait_state("web", "active");
    prober.wait_answer_of(pair.fe0.node());
    assert_eq!(prober.finish().lost, 0);
    assert_eq!(state_file(&pair.lab, "fe0")["demotions"], Value::Array(vec![]));
}

#[test]
fn a_demotion_for_a_while_ends_by_itself_and_takes_the_address_back_without_a_lost_request() {
    let pair = Pair::new();
    let prober = pair.client_of("fe0");
    let asked = pair.lab.capture().now();
    let answer = pair.fe0.ctl(&["demote", "web", "--for", "3s"]);
    assert_eq!(
        (answer.code, &answer.json["results"][0]["outcome"]),
        (0, &"handed_over".into()),
        "{answer:?}"
    );
    assert_eq!(demoted(&pair.fe0)["until"], answer.json["demotion"]["until"]);
    prober.wait_answer_of(pair.fe1.node());
    let handed_over = pair.lab.capture().now();
    prober.wait_answer_of(pair.fe0.node());
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!((report.lost, report.sequence.len()), (0, 3), "{report:?}");
    let again = pair.lab.capture().wait_advert(SOON, "fe0", handed_over, |_| true);
    // Three seconds, and then as long as a Backup waits.
    let after = again.at - asked;
    assert!(after >= ms(3000) && after < ms(4500), "{after:?}");
    pair.fe0.wait_event("demotion_expired", |event| event["kind"] == "demotion_expired");
    assert!(demoted(&pair.fe0).is_null());
    wait_for(SOON, "the end is on the disk", || {
        state_file(&pair.lab, "fe0")["demotions"] == Value::Array(vec![])
    });
}

#[test]
fn the_end_of_a_demotion_does_not_move_with_a_restart() {
    let mut pair = Pair::new();
    let asked = pair.lab.capture().now();
    assert_eq!(demote(&pair.fe0, &["--for", "3s"]), "handed_over");
    let before = demoted(&pair.fe0);
    pair.fe0.terminate();
    let restarted = pair.lab.capture().now();
    pair.fe0.start_again();
    assert_eq!(demoted(&pair.fe0), before);
    let again = pair.lab.capture().wait_advert(SOON, "fe0", restarted, |_| true);
    let after = again.at - asked;
    assert!(after >= ms(2900) && after < ms(4500), "{after:?}");
    pair.fe0.wait_state("web", "active");
}

#[test]
fn a_demotion_whose_time_is_up_while_the_daemon_is_down_is_over() {
    let mut pair = Pair::new();
    assert_eq!(demote(&pair.fe0, &["--for", "1s"]), "handed_over");
    pair.fe0.terminate();
    stays(ms(1100), "time passes", || true);
    pair.fe0.start_again();
    pair.fe0.wait_state("web", "active");
    pair.fe0.wait_event("demotion_expired", |event| event["kind"] == "demotion_expired");
}

#[test]
fn a_last_resort_serves_when_no_other_router_does_and_yields_to_any() {
    let mut pair = Pair::new();
    assert_eq!(demote(&pair.fe0, &["--last-resort"]), "handed_over");
    pair.fe0.wait_state("web", "backup");
    assert_eq!(pair.fe0.instance("web", "ipv4")["priority"]["effective"], 1);
    pair.lab.cut(pair.fe1.node());
    pair.fe1.kill();
    pair.fe0.wait_state("web", "active");
    let advert = pair.lab.capture().adverts_of("fe0", ms(0)).pop().expect("it speaks");
    assert_eq!(advert.priority, 1);
    // The same is true after a restart.
    pair.fe0.terminate();
    pair.fe0.start_again();
    pair.fe0.wait_state("web", "active");
    assert_eq!(demoted(&pair.fe0)["last_resort"], true);
    pair.lab.heal(pair.fe1.node());
    pair.fe1.start_again();
    pair.fe1.wait_state("web", "active");
    pair.fe0.wait_state("web", "backup");
}

#[test]
fn a_last_resort_without_a_successor_serves_on_and_reports_it() {
    let mut pair = Pair::new();
    pair.fe1.terminate();
    let prober = pair.client_of("fe0");
    assert_eq!(demote(&pair.fe0, &["--last-resort"]), "last_resort");
    let served = pair.fe0.instance("web", "ipv4");
    assert_eq!((&served["state"], &served["priority"]["effective"]), (&"active".into(), &1.into()));
    // Any router, of whatever priority, takes over from the last resort, and no request is lost.
    pair.fe1.start_again();
    pair.fe1.wait_state("web", "active");
    prober.wait_answer_of(pair.fe1.node());
    prober.wait_some_answers();
    assert_eq!(prober.finish().lost, 0);
}

#[test]
fn a_successor_that_dies_right_after_it_took_over_is_replaced() {
    let mut pair = Pair::new();
    let prober = pair.client_of("fe0");
    assert_eq!(demote(&pair.fe0, &["--reason", "repair"]), "handed_over");
    pair.lab.cut(pair.fe1.node());
    pair.fe1.kill();
    pair.fe0.wait_state("web", "active");
    prober.wait_answer_of(pair.fe0.node());
    prober.wait_some_answers();
    let report = prober.finish();
    assert!(report.longest_gap < Duration::from_secs(1), "as long as any crash: {report:?}");
    pair.fe0.wait_event("taker_silent", |event| event["kind"] == "taker_silent");
    let still = demoted(&pair.fe0);
    assert_eq!((&still["reason"], &still["last_resort"]), (&"repair".into(), &true.into()));
    wait_for(SOON, "and so it is after a restart", || {
        state_file(&pair.lab, "fe0")["demotions"][0]["last_resort"] == true
    });
}

#[test]
fn a_state_directory_that_cannot_be_written_is_reported_and_hinders_nothing() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    // Root may write anywhere, except below a path that is a file.
    std::fs::write(state_dir(&lab, "fe0"), "").expect("a file in the way");
    let mut pair = Pair::on(lab, &Config::of(&web(200)), &Config::of(&web(100)));
    let prober = pair.client_of("fe0");
    let answer = pair.fe0.ctl(&["demote", "web"]);
    assert_eq!(
        (answer.code, &answer.json["results"][0]["outcome"]),
        (0, &"handed_over".into()),
        "{answer:?}"
    );
    assert_eq!(answer.json["persisted"], false);
    for told in [&answer.stderr[..], answer.json["warning"].as_str().unwrap_or_default()] {
        assert!(told.contains("is not saved") && told.contains("vrrpd.state"), "{answer:?}");
    }
    let answer = pair.fe0.ctl(&["promote", "web"]);
    assert_eq!((answer.code, &answer.json["persisted"]), (0, &false.into()), "{answer:?}");
    prober.wait_answer_of(pair.fe0.node());
    assert_eq!(prober.finish().lost, 0);
    let errors = pair.fe0.log().lines().filter(|line| line.contains("ERROR")).count();
    assert!(errors >= 2, "at the start and at each save:\n{}", pair.fe0.log());

    assert_eq!(pair.fe0.ctl(&["demote", "web"]).code, 0);
    pair.fe0.terminate();
    pair.fe0.start_again();
    pair.fe0.wait_state("web", "active");
}

#[test]
fn a_torn_state_file_is_reported_and_set_aside_and_the_router_serves() {
    for torn in
        ["", "{\"version\": 1, \"demotions\": [{\"name\": \"web\", \"si", "\0\0\0\0", "{\"version\": 9}"]
    {
        let lab = Lab::new(&["fe0"]);
        let dir = state_dir(&lab, "fe0");
        std::fs::create_dir(&dir).expect("a state directory");
        std::fs::write(dir.join("demotions.json"), torn).expect("a torn file");
        let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
        fe0.wait_state("web", "active");
        let told =
            fe0.log().lines().any(|line| line.contains("ERROR") && line.contains("demotions.json.corrupt-"));
        assert!(told, "{torn:?}:\n{}", fe0.log());
        let aside =
            std::fs::read_dir(&dir).expect("the directory").map(|entry| entry.expect("an entry").path());
        let aside: Vec<_> = aside.filter(|path| path.to_string_lossy().contains(".corrupt-")).collect();
        assert_eq!(aside.len(), 1);
        assert_eq!(std::fs::read_to_string(&aside[0]).expect("it"), torn, "not a byte is lost");
    }
}

#[test]
fn a_second_demotion_changes_the_first_and_says_what() {
    let mut pair = Pair::new();
    assert_eq!(demote(&pair.fe0, &["--reason", "repair"]), "handed_over");
    let answer = pair.fe0.ctl(&["demote", "web", "--reason", "a disk", "--for", "1d"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let result = &answer.json["results"][0];
    assert_eq!(
        (&result["outcome"], &result["replaced"]["reason"]),
        (&"already_demoted".into(), &"repair".into())
    );
    assert!(result["replaced"]["until"].is_null());
    assert_eq!(demoted(&pair.fe0), answer.json["demotion"]);
    pair.fe0.terminate();
    pair.fe0.start_again();
    assert_eq!(demoted(&pair.fe0), answer.json["demotion"]);
}

#[test]
fn all_routers_are_demoted_at_once_and_all_of_them_survive_a_restart() {
    let two = |first, second| {
        let other = super::support::Router::new("db").vrid(52).priority(second).addresses(&["192.0.2.60/24"]);
        Config::of(&web(first)).with(&other)
    };
    let mut pair = Pair::with(&two(200, 100), &two(100, 200));
    pair.fe1.wait_state("db", "active");
    let prober = pair.client_of("fe0");
    let answer = pair.fe0.ctl(&["demote", "--all", "--reason", "the rack moves"]);
    assert_eq!((answer.code, &answer.json["persisted"]), (0, &true.into()), "{answer:?}");
    let outcomes: Vec<_> = answer.json["results"].as_array().expect("results").iter().collect();
    let of = |name: &str| outcomes.iter().find(|result| result["name"] == name).map(|r| r["outcome"].clone());
    assert_eq!((of("web"), of("db")), (Some("handed_over".into()), Some("was_backup".into())));
    prober.wait_answer_of(pair.fe1.node());
    assert_eq!(prober.finish().lost, 0);
    pair.fe0.terminate();
    pair.fe0.start_again();
    for router in ["web", "db"] {
        pair.fe0.stays(ms(200), router, "initialize");
    }
    let unknown = pair.fe0.ctl(&["demote", "wbe"]);
    assert_eq!(unknown.code, 1, "{unknown:?}");
    assert!(unknown.stderr.contains("db, web"), "it lists what exists: {unknown:?}");
    assert_eq!(pair.fe0.ctl(&["promote", "--all"]).code, 0);
    pair.fe0.wait_state("web", "active");
}

#[test]
fn demotions_of_routers_that_are_not_configured_are_kept() {
    let lab = Lab::new(&["fe0"]);
    let mut first = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    first.wait_state("web", "active");
    assert_eq!(demote(&first, &["--force"]), "forced");
    first.terminate();
    let config = lab.node("fe0").dir().join("vrrpd.toml");
    let with_web = std::fs::read_to_string(&config).expect("the configuration");
    std::fs::write(&config, with_web.replace("\"web\"", "\"other\"")).expect("another configuration");
    first.start_again();
    first.wait_state("other", "active");
    assert_eq!(first.ctl(&["promote", "other"]).code, 0);
    assert!(first.log().contains("no virtual routers of these names are configured"), "{}", first.log());
    first.terminate();
    std::fs::write(&config, with_web).expect("the first configuration");
    first.start_again();
    first.stays(ms(500), "web", "initialize");
}
