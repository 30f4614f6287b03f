//! RFC 9568 §6.4.1 and §6.4.2: when a Backup becomes Active, to the millisecond, and when it does
//! not.

use super::support::{Config, Router, ms};
use super::vectors::Form;
use super::{Bench, VIP, assert_after, frame, frame_of, v4, v6};
use std::time::Duration;

/// A duration in tenths of a millisecond.
const fn tenths(n: u64) -> Duration {
    Duration::from_micros(n * 100)
}

/// Starts a router alone, and checks how long it takes until it is Active, apart from the start of
/// the process.
fn alone(router: &Router, down: Duration) {
    let bench = Bench::new(&Config::of(router));
    let first = bench.first_advert(bench.started);
    // Measured from before the start, so that "never early" is exact; the start takes a moment.
    let elapsed = first.at - bench.started;
    assert!(elapsed >= down && elapsed < down + ms(1500), "{elapsed:?} instead of {down:?}");
}

// T01
#[test]
fn alone_it_is_silent_for_active_down_interval_and_then_advertises_and_announces() {
    let bench = Bench::new(&Config::of(&v4()));
    let first = bench.first_advert(bench.started);
    let waited = first.at - bench.started;
    assert!(waited >= tenths(36_093) && waited < ms(3610 + 1500), "{waited:?}");
    let announced =
        bench.lab.capture().wait_announcement(super::SOON, super::DUT, bench.started, super::ip(VIP));
    // Installing and advertising come before the announcement, or together with it.
    assert!(announced.at + ms(20) > first.at && announced.at < first.at + ms(300), "{announced:?}");
    let fourth = bench.lab.capture().wait_advert(super::SOON, super::DUT, first.at + ms(2500), |_| true);
    let adverts: Vec<_> =
        bench.adverts(first.at).into_iter().filter(|advert| advert.at <= fourth.at).collect();
    assert_eq!(adverts.len(), 4, "{adverts:?}");
    for pair in adverts.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap > ms(800) && gap < ms(1200), "{gap:?}");
    }
    // Deadlines are absolute: three periods are three seconds, however late each of them was.
    let three = adverts[3].at - adverts[0].at;
    assert!(three > ms(2800) && three < ms(3200), "{three:?}");
}

// T03
#[test]
fn skew_time_of_short_intervals_is_exact() {
    alone(&v4().interval("100ms").priority(200), tenths(3218));
    alone(&v4().interval("10ms").priority(254), tenths(300));
}

/// The advertisement that keeps the router Backup, the last one, and how long after that it becomes
/// Active.
struct Case {
    name: &'static str,
    router: Router,
    held_by: &'static str,
    every: Duration,
    resigned_with: Option<&'static str>,
    active_after: Duration,
}

fn run(case: &Case) {
    let bench = Bench::new(&Config::of(&case.router));
    let mut last = bench.hold(&frame(case.held_by), case.every, ms(1500));
    assert!(bench.adverts(bench.started).is_empty(), "{}: it spoke while held", case.name);
    if let Some(id) = case.resigned_with {
        last = bench.say(&frame(id));
    }
    let first = bench.first_advert(last);
    assert_after(first.at - last, case.active_after, case.name);
    let second = bench.first_advert(first.at + ms(1));
    let own = second.at - first.at;
    assert!(own > ms(800) && own < ms(1200), "{}: its own interval, not the learned one: {own:?}", case.name);
}

// T09, T10, T12, T13, T14
#[test]
fn a_held_backup_becomes_active_when_the_learned_interval_says() {
    let case = |name, held_by, every, resigned_with, active_after| Case {
        name,
        router: v4(),
        held_by,
        every,
        resigned_with,
        active_after,
    };
    let no_preempt = |case: Case| Case { router: v4().key("preempt", "false"), ..case };
    let sixth = |case: Case| Case { router: v6(), ..case };
    let cases = [
        case("T09 silence after 100 cs", "P18", ms(500), None, tenths(36_093)),
        case("T10 silence after 10 cs", "P04", ms(100), None, tenths(3609)),
        case("T12 priority 0", "P18", ms(500), Some("P02"), tenths(6093)),
        case("T13 priority 0 after 10 cs", "P04", ms(100), Some("P02"), tenths(609)),
        no_preempt(case("T14 priority 0, no preemption", "P18", ms(500), Some("P02"), tenths(6093))),
        sixth(case("T09 IPv6", "P26", ms(500), None, tenths(36_093))),
        sixth(case("T10 IPv6", "P24", ms(100), None, tenths(3609))),
        sixth(case("T12 IPv6", "P26", ms(500), Some("P21"), tenths(6093))),
    ];
    in_parallel(&cases, |case| case.name, run);
}

// T08
#[test]
fn a_held_backup_sends_nothing() {
    let bench = Bench::new(&Config::of(&v4()));
    bench.hold(&frame("P18"), ms(1000), ms(5000));
    assert_eq!(bench.states(), ["backup"]);
    assert!(bench.adverts(bench.started).is_empty());
    assert!(bench.lab.capture().announcements(bench.started).is_empty());
    let virtual_mac = [0x00, 0x00, 0x5e, 0x00, 0x01, 0x33];
    let spoofed = bench.lab.capture().frames(bench.started).into_iter();
    let spoofed = spoofed.filter(|seen| seen.node == super::DUT && seen.bytes[6..12] == virtual_mac);
    assert_eq!(spoofed.count(), 0, "a frame from the virtual MAC");
    assert!(!bench.node().has(VIP));
}

// T15
#[test]
fn a_lower_priority_does_not_hold_a_preempting_backup() {
    let bench = Bench::new(&Config::of(&v4()));
    let armed = bench.say(&frame("P18"));
    bench.hold(&frame("P16"), ms(500), ms(3000));
    let first = bench.first_advert(armed);
    assert_after(first.at - armed, tenths(36_093), "preemption");
}

// T16
#[test]
fn a_lower_priority_holds_a_backup_that_may_not_preempt() {
    let bench = Bench::new(&Config::of(&v4().key("preempt", "false")));
    let last = bench.hold(&frame("P16"), ms(500), ms(5000));
    assert!(bench.adverts(bench.started).is_empty(), "it preempted");
    let first = bench.first_advert(last);
    assert_after(first.at - last, tenths(36_093), "after its silence");
}

// T17
#[test]
fn equal_priority_holds_a_backup_from_either_side() {
    let cases = ["P01", "P05"];
    in_parallel(
        &cases,
        |id| *id,
        |id| {
            let bench = Bench::new(&Config::of(&v4()));
            bench.hold(&frame(id), ms(500), ms(5000));
            assert!(bench.adverts(bench.started).is_empty(), "{id}");
            assert_eq!(bench.states(), ["backup"]);
        },
    );
}

// T43
#[test]
fn both_checksum_flavours_hold_and_the_legacy_one_is_counted_and_answered() {
    let bench = Bench::new(&Config::of(&v4()));
    bench.hold(&frame("P04"), ms(100), ms(500));
    assert_eq!(bench.dut.counter("v4", "ipv4", "checksum_legacy_accepted"), 0);
    let legacy = frame_of(super::vector("P04", Form::P));
    let last = bench.hold(&legacy, ms(100), ms(500));
    assert_eq!(bench.dut.counter("v4", "ipv4", "checksum_legacy_accepted"), 6);
    let first = bench.first_advert(last);
    assert_after(first.at - last, tenths(3609), "the legacy form held it");
    assert_eq!(first.checksum, super::support::frame::Checksum::PseudoHeader, "auto follows the peer");
}

/// Runs all cases at once, each on a LAN of its own, because they mostly wait. Every failure is
/// named.
pub(crate) fn in_parallel<T: Sync>(cases: &[T], name: impl Fn(&T) -> &str, run: impl Fn(&T) + Sync) {
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let start = |case| {
            let thread = std::thread::Builder::new().name(name(case).replace(' ', "-"));
            (name(case), thread.spawn_scoped(scope, || run(case)).expect("a thread"))
        };
        let running: Vec<_> = cases.iter().map(start).collect();
        running.into_iter().filter_map(|(name, thread)| thread.join().is_err().then_some(name)).collect()
    });
    assert!(failed.is_empty(), "failed: {failed:?}");
}
