//! The owner of the addresses: priority 255, RFC 9568 §6.4.1 and errata 8298.

use super::support::{Config, Router, SOON, ms, wait_for};
use super::{Bench, DUT, Lab, frame, v4};
use std::time::Duration;

/// The router owns the address of the vectors: the interface has it before the daemon starts.
fn owner(interval: &str) -> (Lab, Router) {
    let lab = Lab::new(&[super::TESTER, DUT]);
    lab.node(DUT).ns.ip("address add 192.0.2.254/24 dev eth0");
    (lab, v4().key("priority", "\"owner\"").interval(interval))
}

// T02
#[test]
fn the_owner_advertises_and_announces_at_once() {
    let (lab, router) = owner("1s");
    let bench = Bench::on(lab, &Config::of(&router));
    let first = bench.first_advert(bench.started);
    let waited = first.at - bench.started;
    // The start of the process takes a moment; a contender of the greatest priority would need
    // three seconds.
    assert!(waited < ms(1500), "{waited:?}");
    assert_eq!(first.priority, 255);
    let announced = bench.lab.capture().wait_announcement(SOON, DUT, bench.started, super::ip(super::VIP));
    assert!(announced.at.abs_diff(first.at) < ms(300));
}

// T26, T27
#[test]
fn the_owner_yields_to_no_contender_and_reports_another_owner() {
    let (lab, router) = owner("100ms");
    let bench = Bench::on(lab, &Config::of(&router));
    bench.wait("active");
    bench.say(&frame("P18"));
    bench.stays(ms(500), "active");

    let rival = super::Forgery::new(super::ip("192.0.2.200"), 51, 255, 100).addresses(&[super::VIP]);
    bench.say(&rival.frame());
    bench.wait("backup");
    bench.dut.wait_event("owner conflict", |event| event["suspicion"] == "owner_conflict");
    wait_for(SOON, "counted", || bench.dut.counter("v4", "ipv4", "owner_conflicts") == 1);
}

// T28
#[test]
fn the_owner_displaces_a_live_active_at_once() {
    let (lab, router) = owner("1s");
    let tester = super::Injector::new(lab.node(super::TESTER));
    tester.send(&frame("P18"));
    let bench = Bench::on(lab, &Config::of(&router));
    tester.send(&frame("P18"));
    let first = bench.first_advert(bench.started);
    assert!(first.at - bench.started < ms(1500) && first.priority == 255, "{first:?}");
    let held = bench.hold(&frame("P18"), ms(200), ms(1000));
    assert!(held > Duration::ZERO && bench.states() == ["active"]);
}
