//! Failover when an Active disappears, and what its return costs.

use super::support::frame::Advert;
use super::support::{Config, Daemon, Lab, SOON, ms, wait_for};
use super::{Pair, WEB, web};
use std::time::Duration;

/// How late this machine may be: it has two cores, which other programs use too. A timer must never
/// be early.
const LATE: Duration = ms(300);

/// The time from the last advertisement that reached the survivor to its own first one.
fn silence_before(pair: &Pair, from: Duration) -> Duration {
    let capture = pair.lab.capture();
    let first = capture.wait_advert(SOON, "fe1", from, |_| true);
    let heard = capture.delivered_adverts("fe1");
    let last =
        heard.iter().filter(|advert| advert.at < first.at && advert.node == "fe1").map(|advert| advert.at);
    first.at - last.max().expect("fe1 heard fe0")
}

#[test]
fn a_cut_link_is_noticed_three_intervals_and_a_skew_after_the_last_advertisement() {
    let pair = Pair::new();
    let cut = pair.lab.capture().now();
    pair.lab.cut(pair.fe0.node());
    // 3 × 100 ms + (256 - 100) / 256 × 100 ms
    let expected = Duration::from_micros(360_937);
    let silence = silence_before(&pair, cut);
    assert!(silence >= expected && silence < expected + LATE, "{silence:?}");
    pair.fe1.wait_state("web", "active");
    assert_eq!(pair.fe1.instance("web", "ipv4")["cause"], "active_down_timer");
    // The link has a carrier, so fe0 cannot know that it is cut off.
    assert!(pair.fe0.is("web", "active"));
}

#[test]
fn at_one_second_too() {
    let slow = |priority| Config::of(&web(priority).interval("1s"));
    let pair = Pair::with(&slow(200), &slow(100));
    pair.lab.capture().wait_advert(SOON, "fe0", pair.lab.capture().now(), |_| true);
    let cut = pair.lab.capture().now();
    pair.lab.cut(pair.fe0.node());
    let expected = Duration::from_micros(3_609_375);
    let silence = silence_before(&pair, cut);
    assert!(silence >= expected && silence < expected + LATE, "{silence:?}");
}

#[test]
fn a_crash_costs_the_client_the_failover_time_and_no_more() {
    let mut pair = Pair::new();
    let prober = pair.client_of("fe0");
    // The daemon dies together with its machine, so that nothing answers in its place.
    pair.lab.cut(pair.fe0.node());
    pair.fe0.kill();
    prober.wait_answer_of(pair.fe1.node());
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!(report.sequence, ["fe0", "fe1"]);
    assert!(report.lost > 0 && report.longest_gap < ms(361) + LATE, "{report:?}");
}

#[test]
fn a_recovered_router_takes_the_address_back_without_a_lost_request() {
    let mut pair = Pair::new();
    pair.fe0.terminate();
    pair.fe1.wait_state("web", "active");
    let prober = pair.client_of("fe1");
    pair.fe0.start_again();
    prober.wait_answer_of(pair.fe0.node());
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!(
        (report.lost, &report.sequence[..]),
        (0, &["fe1".to_owned(), "fe0".to_owned()][..]),
        "{report:?}"
    );
    pair.fe0.wait_state("web", "active");
    assert_eq!(pair.fe0.instance("web", "ipv4")["cause"], "preempted");
    pair.fe1.wait_state("web", "backup");
}

#[test]
fn when_a_partition_heals_one_of_the_two_yields_and_the_client_finds_the_other() {
    let pair = Pair::new();
    pair.lab.cut(pair.fe0.node());
    pair.fe1.wait_state("web", "active");
    let prober = pair.client_of("fe1");
    let healed = pair.lab.capture().now();
    pair.lab.heal(pair.fe0.node());
    pair.fe1.wait_state("web", "backup");
    assert!(pair.fe0.is("web", "active"));
    // The client's neighbour entry still names fe1. Without an announcement, that would last for
    // long.
    pair.lab.capture().wait_announcement(SOON, "fe0", healed, super::support::lab::ip(WEB));
    prober.wait_answer_of(pair.fe0.node());
    prober.wait_some_answers();
    let report = prober.finish();
    assert!(report.longest_gap < ms(1000), "{report:?}");
    pair.fe0.wait_event("dual_active", |event| event["kind"] == "dual_active");
}

#[test]
fn adverts_lost_at_random_do_not_move_the_address() {
    let lab = Lab::new(&["fe0", "fe1"]);
    // A fifth of the advertisements is lost: three in a row would be lost now and then, ten in a row
    // practically never.
    let ten = |priority| Config::of(&web(priority).key("down_adverts", "10"));
    let fe0 = Daemon::start(lab.node("fe0"), &ten(200));
    fe0.wait_state("web", "active");
    let fe1 = Daemon::start(lab.node("fe1"), &ten(100));
    lab.lose_adverts_of(lab.node("fe0"), 20);
    let lossy = lab.capture().now();
    wait_for(SOON, "thirty advertisements", || lab.capture().adverts_of("fe0", lossy).len() >= 30);
    let all: Vec<Advert> = lab.capture().adverts(lossy);
    assert!(all.iter().all(|advert| advert.node == "fe0"), "{all:?}");
    assert!(fe1.is("web", "backup"));
    let heard = lab.capture().delivered_adverts("fe1").len();
    assert!(heard < lab.capture().adverts_of("fe0", ms(0)).len(), "nothing was lost");
}
