//! RFC 9568 §6.4.3: what an Active answers, and what makes it yield.

use super::support::inject::Forgery;
use super::support::lab::ip;
use super::support::{Config, SOON, ms, wait_for};
use super::{Bench, VIP, assert_after, frame, v4, v6};
use std::time::Duration;

/// The router is Active at a 1 s interval and has just sent a regular advertisement. Returns the
/// time of that.
fn between_adverts(bench: &Bench) -> Duration {
    bench.first_advert(bench.lab.capture().now()).at
}

// RFC9568-6.4.2-5
// T18
#[test]
fn a_higher_priority_is_yielded_to_at_once_and_its_interval_learned() {
    for (router, winner, sixth) in [(v4(), "P18", false), (v6(), "P26", true)] {
        let bench = Bench::active(&router.interval("100ms"));
        let address = if sixth { "2001:db8:51::fe" } else { VIP };
        wait_for(SOON, "it holds the address", || bench.node().has(address));
        let said = bench.say(&frame(winner));
        bench.wait("backup");
        wait_for(SOON, "the address is gone", || !bench.node().has(address));
        let first = bench.lab.capture().wait_advert(SOON, super::DUT, said + ms(300), |_| true);
        assert_after(first.at - said, Duration::from_micros(3_609_375), "100 cs learned");
        // An advertisement that was sent before the winner was heard is not an error; a resignation
        // would be.
        let between = bench.adverts(said).into_iter().filter(|advert| advert.at < first.at);
        let between: Vec<_> =
            between.filter(|advert| advert.priority == 0 || advert.at > said + ms(50)).collect();
        assert!(between.is_empty(), "{between:?}");
    }
}

// T19, T25
#[test]
fn ties_from_greater_addresses_and_owners_are_yielded_to() {
    for (router, winner) in [(v4(), "P05"), (v4().priority(254), "P03")] {
        let bench = Bench::active(&router.interval("100ms"));
        bench.say(&frame(winner));
        bench.wait("backup");
        wait_for(SOON, "the address is gone", || !bench.node().has(VIP));
    }
}

// T20, T22, T24
#[test]
fn a_losing_advertisement_is_answered_at_once() {
    let bench = Bench::active(&v4());
    for loser in ["P01", "P16", "P02"] {
        let regular = between_adverts(&bench);
        let said = bench.say(&frame(loser));
        let answer = bench.first_advert(said);
        // The answer comes within 10 ms on an idle machine, and long before the second of the
        // schedule.
        assert!(answer.at - said < ms(200), "{loser}: {:?}", answer.at - said);
        let next = bench.first_advert(answer.at + ms(1));
        if loser == "P02" {
            // An answer to priority 0 restarts the Adver_Timer.
            let after = next.at - answer.at;
            assert!(after > ms(900) && after < ms(1300), "{loser}: {after:?}");
        } else {
            // An answer to a lower priority does not change the schedule.
            let after = next.at - regular;
            assert!(after > ms(900) && after < ms(1200), "{loser}: {after:?}");
        }
        assert_eq!(bench.states(), ["active"]);
        assert!(bench.node().has(VIP));
    }
}

// T21
#[test]
fn addresses_of_a_tie_are_compared_as_unsigned_numbers() {
    let tie = |source: &str| Forgery::new(ip(source), 51, 100, 100);
    // Our address begins with 192: as a signed octet it would be the smaller one.
    let bench = Bench::active(&v4().interval("100ms"));
    bench.say(&tie("10.0.0.1").addresses(&[VIP]).frame());
    bench.stays(ms(300), "active");
    // Our address is fe80::b.
    let bench = Bench::active(&v6().interval("100ms"));
    let six = ["fe80::51", "2001:db8:51::fe"];
    bench.say(&tie("fe80::1").addresses(&six).frame());
    bench.stays(ms(300), "active");
    bench.say(&tie("fe80::8000:0:0:1").addresses(&six).frame());
    bench.wait("backup");
}

// T23
#[test]
fn answers_to_losers_are_limited_and_the_schedule_is_kept() {
    let bench = Bench::active(&v4());
    let regular = between_adverts(&bench);
    bench.tester.flood(&frame("P16"), 1000, ms(1500));
    let next = bench.lab.capture().wait_advert(SOON, super::DUT, regular + ms(1900), |_| true);
    let adverts: Vec<_> = bench.adverts(regular).into_iter().filter(|advert| advert.at <= next.at).collect();
    // One answer in each quarter of an interval for a second and a half, the regular ones, and a
    // margin of two.
    assert!(adverts.len() >= 4 && adverts.len() <= 6 + 3 + 2, "{adverts:?}");
    assert_eq!(bench.states(), ["active"]);
    assert_eq!(bench.dut.counter("v4", "ipv4", "active_transitions"), 1);
    for period in 1..=2 {
        let due = regular + ms(1000) * period;
        let kept = adverts.iter().any(|advert| advert.at.abs_diff(due) < ms(150));
        assert!(kept, "none at {due:?}: {adverts:?}");
    }
}

// T29
#[test]
fn a_stop_while_active_resigns_and_leaves_nothing() {
    let mut bench = Bench::active(&v4().interval("100ms"));
    let stop = bench.lab.capture().now();
    assert!(bench.dut.terminate().success());
    let end = bench.lab.capture().now();
    assert!(!bench.node().has(VIP));
    let last = bench.adverts(stop).pop().expect("it resigned");
    assert_eq!(last.priority, 0);
    bench.hold(&frame("P14"), ms(100), ms(500));
    assert!(bench.adverts(end).is_empty(), "nothing afterwards");
}

// T48
#[test]
fn the_families_of_separate_routers_are_separate() {
    let bench = Bench::new(&Config::of(&v4().interval("100ms")).with(&v6().interval("100ms")));
    bench.wait("active");
    bench.say(&frame("P26"));
    bench.dut.wait_state("v6", "backup");
    bench.dut.stays(ms(300), "v4", "active");
}

// T66
#[test]
fn an_active_that_was_stopped_finds_out_before_it_speaks() {
    use nix::sys::signal::Signal;
    let lab = super::Lab::new(&["one", "two"]);
    let web = |priority| Config::of(&v4().interval("100ms").priority(priority));
    let mut one = super::Daemon::start(lab.node("one"), &web(200));
    one.wait_state("v4", "active");
    let two = super::Daemon::start(lab.node("two"), &web(100));
    two.wait_state("v4", "backup");
    one.process().signal(Signal::SIGSTOP);
    two.wait_state("v4", "active");
    let woken = lab.capture().now();
    one.process().signal(Signal::SIGCONT);
    one.wait_state("v4", "active");
    two.wait_state("v4", "backup");
    // Both routers advertised around the change; what matters is that the better one wins and
    // announces the address.
    lab.capture().wait_announcement(SOON, "one", woken, ip(VIP));
    wait_for(SOON, "one holder", || lab.node("one").has(VIP) && !lab.node("two").has(VIP));
}
