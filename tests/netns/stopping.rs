//! Ends of the daemon: orderly ones and others.

use super::support::{Config, SOON, ms, wait_for};
use super::{Pair, WEB, web};

#[test]
fn sigterm_hands_over_without_a_lost_request_and_leaves_no_address() {
    let mut pair = Pair::new();
    let prober = pair.client_of("fe0");
    let stop = pair.lab.capture().now();
    let status = pair.fe0.terminate();
    assert!(status.success(), "{status}");
    assert!(!pair.lab.node("fe0").has(WEB), "an address is left behind");
    pair.fe1.wait_state("web", "active");
    prober.wait_answer_of(pair.fe1.node());
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!(report.lost, 0, "{report:?}");
    let last = pair.lab.capture().adverts_of("fe0", stop).pop().expect("it resigned");
    assert_eq!(last.priority, 0);
}

#[test]
fn sigterm_of_a_backup_says_nothing() {
    let mut pair = Pair::new();
    assert!(pair.fe1.terminate().success());
    let said = pair.lab.capture().adverts_of("fe1", ms(0));
    assert!(said.is_empty(), "{said:?}");
    pair.fe0.stays(ms(300), "web", "active");
}

#[test]
fn a_lone_router_releases_on_sigterm_although_no_router_takes_over() {
    let lab = super::support::Lab::new(&["fe0"]);
    let mut fe0 = super::support::Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    assert!(fe0.terminate().success());
    assert!(!lab.node("fe0").has(WEB));
}

// T31
#[test]
fn addresses_of_a_killed_run_are_removed_at_the_next_start() {
    let lab = super::support::Lab::new(&["fe0"]);
    let fe0 = lab.node("fe0");
    let two = Config::of(&web(100).addresses(&["192.0.2.50/24", "192.0.2.51/24"]));
    let mut first = super::support::Daemon::start_in(fe0, "first", &two);
    first.wait_state("web", "active");
    wait_for(SOON, "both addresses", || fe0.has(WEB) && fe0.has("192.0.2.51"));
    fe0.ns.ip("address add 192.0.2.60/24 dev eth0");
    first.kill();
    assert!(fe0.has(WEB) && fe0.has("192.0.2.51"), "SIGKILL leaves them");

    // A slow configuration with only one of the two routers: as Backup, for three seconds, the
    // daemon must hold neither address.
    let one = Config::of(&web(100).interval("1s"));
    let second = super::support::Daemon::start_in(fe0, "second", &one);
    wait_for(SOON, "no stale address", || !fe0.has(WEB) && !fe0.has("192.0.2.51"));
    assert!(second.is("web", "backup"), "removed before it became Active");
    assert!(fe0.has("192.0.2.60"), "an address that is not ours is not touched");
    assert!(fe0.has(&fe0.v4().to_string()));
    second.wait_state("web", "active");
    wait_for(SOON, "the address is back", || fe0.has(WEB));
}

#[test]
fn a_restart_of_the_active_loses_no_request() {
    let mut pair = Pair::new();
    let prober = pair.client_of("fe0");
    pair.fe0.terminate();
    prober.wait_answer_of(pair.fe1.node());
    pair.fe0.start_again();
    pair.fe0.wait_state("web", "active");
    prober.wait_answer_of(pair.fe0.node());
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!(report.lost, 0, "{report:?}");
}
