//! The short form of `benches/flood.rs`: every packet is counted, and none is obeyed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

mod support;

use support::flood::{Barrage, counted, kernel_drops};
use support::inject::Injector;
use support::wait::Ticker;
use support::{Config, Daemon, Lab, Router, SOON, ms, wait_for};

const PACKETS: usize = 20_000;
const RATE: u32 = 10_000;

#[test]
fn twenty_thousand_random_packets_are_all_accounted_for_and_change_nothing() {
    let lab = Lab::new(&["active", "backup", "client"]);
    let web = |priority| Router::new("web").priority(priority).addresses(&["192.0.2.50/24"]);
    let active = Daemon::start(lab.node("active"), &Config::of(&web(200)));
    active.wait_state("web", "active");
    let backup = Daemon::start(lab.node("backup"), &Config::of(&web(100)));
    backup.wait_state("web", "backup");
    let injector = Injector::new(lab.node("client"));
    let seen = |daemon: &Daemon| counted(daemon, "web") + kernel_drops(daemon.node());

    let from = lab.capture().now();
    let before = seen(&active);
    let mut ticker = Ticker::new(std::time::Duration::from_secs(1) / RATE);
    for frame in Barrage::new("192.0.2.12", 1).take(PACKETS) {
        ticker.tick();
        injector.send(&frame);
    }
    let sent = u64::try_from(PACKETS).unwrap();
    wait_for(SOON, "every packet is accounted for", || seen(&active) >= before + sent);
    wait_for(SOON, "five more advertisements", || {
        lab.capture().adverts_of("active", lab.capture().now() - ms(600)).len() >= 5
    });
    // Only the random packets reach the Active: it must not count anything twice.
    assert_eq!(seen(&active), before + sent);
    for (daemon, state, transitions) in [(&active, "active", 1), (&backup, "backup", 0)] {
        let instance = daemon.instance("web", "ipv4");
        assert_eq!(
            (&instance["state"], &instance["counters"]["active_transitions"]),
            (&state.into(), &transitions.into())
        );
    }
    let adverts = lab.capture().adverts_of("active", from);
    let gaps: Vec<_> = adverts.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(gaps.len() >= 15 && gaps.iter().all(|gap| *gap < ms(250)), "{gaps:?}");
    // The Backup received them all the time.
    assert!(lab.capture().adverts_of("backup", from).is_empty());
}
