//! What a hostile or broken neighbour sends is counted, and changes neither a state nor a timer.

use super::support::inject::{Forgery, Injector, Sum};
use super::support::lab::ip;
use super::support::{Config, Daemon, Lab, SOON, ms, wait_for};
use super::{WEB, web};
use std::time::Duration;

/// A message from the client, with a priority that would win: only then can a test see whether it
/// was obeyed.
fn winning(change: impl FnOnce(&mut Forgery)) -> Forgery {
    Forgery::new(ip("192.0.2.12"), 51, 254, 1).addresses(&[WEB]).with(change)
}

/// Frames that must be discarded, and the counter for each.
fn rejected() -> Vec<(&'static str, Vec<u8>)> {
    let short = winning(|_| {});
    let whole = short.message();
    vec![
        ("checksum_errors", winning(|f| f.sum = Sum::Wrong).frame()),
        ("ip_ttl_errors", winning(|f| f.ttl = 254).frame()),
        ("ip_ttl_errors", winning(|f| f.ttl = 1).frame()),
        ("version_errors", winning(|f| f.version_type = 0x41).frame()),
        ("version_errors", winning(|f| f.version_type = 0x21).frame()),
        ("invalid_type_pkts_rcvd", winning(|f| f.version_type = 0x32).frame()),
        ("interval_zero", winning(|f| f.interval = 0).frame()),
        ("addr_count_errors", winning(|f| f.addresses.clear()).frame()),
        ("packet_length_errors", winning(|f| f.count = Some(2)).frame()),
        ("packet_length_errors", winning(|f| f.trailer = vec![0; 4]).frame()),
        ("packet_length_errors", short.frame_of(whole.get(..7).expect("seven octets"))),
    ]
}

#[test]
fn bad_packets_are_counted_by_reason_and_do_not_touch_an_active() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    let injector = Injector::new(lab.node("client"));
    for (counter, frame) in rejected() {
        let before = fe0.counter("web", "ipv4", counter);
        // The frames come faster than the router's own advertisements: a timer that a bad packet
        // sets again would never fire.
        let from = lab.capture().now();
        let sent = u64::from(injector.flood(&frame, 20, ms(500)));
        wait_for(SOON, format!("{sent} more {counter}"), || {
            fe0.counter("web", "ipv4", counter) == before + sent
        });
        assert_steady(&lab, &fe0, from, counter);
    }
}

#[test]
fn two_thousand_bad_packets_a_second_change_nothing_either() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    let injector = Injector::new(lab.node("client"));
    for (counter, frame) in rejected() {
        let before = fe0.counter("web", "ipv4", counter);
        let from = lab.capture().now();
        injector.flood(&frame, 2000, ms(400));
        wait_for(SOON, format!("more {counter}"), || fe0.counter("web", "ipv4", counter) > before);
        assert_steady(&lab, &fe0, from, counter);
    }
}

#[test]
fn bad_packets_do_not_keep_a_backup_from_taking_over() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let mut fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(200)));
    fe0.wait_state("web", "active");
    let fe1 = Daemon::start(lab.node("fe1"), &Config::of(&web(100)));
    fe1.wait_state("web", "backup");
    let injector = Injector::new(lab.node("client"));
    let crash = lab.capture().now();
    fe0.kill();
    let frames = rejected();
    std::thread::scope(|scope| {
        let taken = scope.spawn(|| lab.capture().wait_advert(SOON, "fe1", crash, |_| true));
        for (_, frame) in frames.iter().cycle() {
            injector.flood(frame, 200, ms(25));
            if taken.is_finished() {
                break;
            }
        }
        let last = lab.capture().adverts_of("fe0", ms(0)).pop().expect("fe0 was Active");
        let first = taken.join().expect("fe1 takes over");
        assert!(first.at - last.at < ms(361 + 300), "{:?}", first.at - last.at);
    });
}

#[test]
fn reserved_bits_are_not_part_of_the_interval() {
    let lab = Lab::new(&["fe0", "client"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    let injector = Injector::new(lab.node("client"));
    // 10 cs with all reserved bits set. A reader that does not mask them would read ten minutes.
    let sent = lab.capture().now();
    injector.send(&winning(|f| f.interval = 0xf00a).frame());
    fe0.wait_state("web", "backup");
    let first = lab.capture().wait_advert(SOON, "fe0", sent, |advert| advert.at > sent + ms(300));
    assert!(first.at - sent < ms(361 + 500), "{:?}", first.at - sent);
}

#[test]
fn noise_on_protocol_112_is_survived() {
    let lab = Lab::new(&["fe0", "client"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    let injector = Injector::new(lab.node("client"));
    let forgery = winning(|_| {});
    let from = lab.capture().now();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for length in (0..1400).chain(0..1400) {
        let noise: Vec<u8> = (0..length)
            .map(|_| {
                // xorshift64 makes the same octets in each run.
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                (random & 0xff) as u8
            })
            .collect();
        injector.send(&forgery.frame_of(&noise));
    }
    wait_for(SOON, "five more advertisements", || lab.capture().adverts_of("fe0", from).len() >= 5);
    assert_steady(&lab, &fe0, from, "noise");
}

/// The router is Active for the first time still, and has advertised in its own period since
/// `from`.
fn assert_steady(lab: &Lab, fe0: &Daemon, from: Duration, what: &str) {
    let instance = fe0.instance("web", "ipv4");
    assert_eq!(
        (&instance["state"], &instance["counters"]["active_transitions"]),
        (&"active".into(), &1.into())
    );
    let adverts = lab.capture().adverts_of("fe0", from);
    let gaps: Vec<_> = adverts.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    let steady = gaps.iter().all(|gap| *gap > ms(20) && *gap < ms(300));
    assert!(!adverts.is_empty() && steady, "{what}: {gaps:?}");
}
