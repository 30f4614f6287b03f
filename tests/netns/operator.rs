//! `vrrpctl demote` and `promote`, while a client sends requests.

use super::support::{Config, Daemon, Lab, SOON, ms, wait_for};
use super::{Pair, WEB, web};

#[test]
fn a_demotion_hands_over_without_a_lost_request_and_names_the_successor() {
    let pair = Pair::new();
    let prober = pair.client_of("fe0");
    let answer = pair.fe0.ctl(&["demote", "web", "--reason", "a test"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let result = &answer.json["results"][0];
    assert_eq!(result["name"], "web");
    assert_eq!(result["outcome"], "handed_over");
    assert_eq!(result["taken_over_by"], pair.lab.node("fe1").v4().to_string());
    assert!(result["handover_ms"].as_f64().is_some_and(|ms| ms < 500.0), "{result}");
    prober.wait_answer_of(pair.fe1.node());
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!(
        (report.lost, &report.sequence[..]),
        (0, &["fe0".to_owned(), "fe1".to_owned()][..]),
        "{report:?}"
    );

    let demoted = pair.fe0.instance("web", "ipv4");
    assert_eq!(demoted["state"], "initialize");
    assert_eq!(demoted["demoted"]["reason"], "a test");
    assert!(!pair.lab.node("fe0").has(WEB));
}

#[test]
fn a_demoted_router_takes_part_in_nothing_until_it_is_promoted() {
    let mut pair = Pair::new();
    assert_eq!(pair.fe1.ctl(&["demote", "web"]).code, 0);
    // A demoted router does not serve even if no other router is there. (A router that has just
    // handed over would: demotion.rs.)
    pair.fe0.terminate();
    pair.fe1.stays(ms(700), "web", "initialize");
    assert!(pair.lab.capture().adverts_of("fe1", ms(0)).is_empty());
    assert_eq!(pair.fe1.ctl(&["promote", "web"]).code, 0);
    pair.fe1.wait_state("web", "active");
    assert!(pair.fe1.instance("web", "ipv4")["demoted"].is_null());
}

#[test]
fn a_demotion_survives_a_restart() {
    let mut pair = Pair::new();
    assert_eq!(pair.fe0.ctl(&["demote", "web", "--reason", "repair"]).code, 0);
    pair.fe0.terminate();
    let restarted = pair.lab.capture().now();
    pair.fe0.start_again();
    pair.fe0.stays(ms(700), "web", "initialize");
    assert!(pair.lab.capture().adverts_of("fe0", restarted).is_empty());
    assert_eq!(pair.fe0.instance("web", "ipv4")["demoted"]["reason"], "repair");
}

#[test]
fn a_promotion_takes_the_address_back_without_a_lost_request() {
    let pair = Pair::new();
    assert_eq!(pair.fe0.ctl(&["demote", "web"]).code, 0);
    let prober = pair.client_of("fe1");
    assert_eq!(pair.fe0.ctl(&["promote", "web"]).code, 0);
    prober.wait_answer_of(pair.fe0.node());
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!(
        (report.lost, &report.sequence[..]),
        (0, &["fe1".to_owned(), "fe0".to_owned()][..]),
        "{report:?}"
    );
}

#[test]
fn a_demotion_is_refused_when_no_router_would_take_over() {
    let mut pair = Pair::new();
    pair.fe1.terminate();
    let prober = pair.client_of("fe0");
    let answer = pair.fe0.ctl(&["demote", "web"]);
    assert_eq!(answer.code, 4, "{answer:?}");
    assert_eq!(answer.json["results"][0]["outcome"], "refused");
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!((report.lost, &report.sequence[..]), (0, &["fe0".to_owned()][..]), "{report:?}");
    assert!(pair.fe0.is("web", "active"));
    assert!(pair.fe0.instance("web", "ipv4")["demoted"].is_null());
}

#[test]
fn a_forced_demotion_releases_the_address_although_no_router_takes_over() {
    let lab = Lab::new(&["fe0"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    let answer = fe0.ctl(&["demote", "web", "--force"]);
    assert_eq!((answer.code, &answer.json["results"][0]["outcome"]), (0, &"forced".into()), "{answer:?}");
    wait_for(SOON, "the address is gone", || !lab.node("fe0").has(WEB));
    fe0.stays(ms(500), "web", "initialize");
}

#[test]
fn demoting_a_backup_takes_it_out_quietly() {
    let pair = Pair::new();
    let answer = pair.fe1.ctl(&["demote", "web"]);
    assert_eq!((answer.code, &answer.json["results"][0]["outcome"]), (0, &"was_backup".into()), "{answer:?}");
    pair.fe1.wait_state("web", "initialize");
    assert!(pair.lab.capture().adverts_of("fe1", ms(0)).is_empty());
}

#[test]
fn of_two_routers_demoted_at_the_same_moment_one_stays() {
    let pair = Pair::new();
    let prober = pair.client_of("fe0");
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| pair.fe0.ctl(&["demote", "web"]));
        let second = scope.spawn(|| pair.fe1.ctl(&["demote", "web"]));
        (first.join().expect("fe0's answer"), second.join().expect("fe1's answer"))
    });
    wait_for(SOON, "one of the two is Active and holds the address", || {
        (pair.fe0.is("web", "active") && pair.lab.node("fe0").has(WEB))
            || (pair.fe1.is("web", "active") && pair.lab.node("fe1").has(WEB))
    });
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!(report.lost, 0, "{report:?}\n{first:?}\n{second:?}");
}

#[test]
fn an_unknown_router_is_named_in_the_error() {
    let pair = Pair::new();
    let answer = pair.fe0.ctl(&["demote", "wbe"]);
    assert_ne!(answer.code, 0);
    assert!(answer.stderr.contains("wbe") || answer.stdout.contains("wbe"), "{answer:?}");
    assert!(pair.fe0.is("web", "active"));
}
