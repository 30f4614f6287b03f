//! RFC 9568 §7.1: every message of the table is sent to a running Active, which obeys or discards
//! and counts it.

use super::support::inject::{Forgery, Injector, Sum};
use super::support::lab::ip;
use super::support::{SOON, ms, wait_for};
use super::vectors::{VECTORS, Vector, Verdict};
use super::{Bench, DUT, TESTER, VIP, frame, frame_of, v4, v6};
use std::time::Duration;

/// A message of priority 200 from the tester with the addresses of the vectors: an Active of
/// priority 100 obeys it.
fn winning(change: impl FnOnce(&mut Forgery)) -> Vec<u8> {
    Forgery::new(ip("192.0.2.10"), 51, 200, 10).addresses(&[VIP]).with(change).frame()
}

fn winning6(change: impl FnOnce(&mut Forgery)) -> Vec<u8> {
    let six = ["fe80::51", "2001:db8:51::fe"];
    Forgery::new(ip("fe80::a"), 51, 200, 10).addresses(&six).with(change).frame()
}

/// The message is obeyed: the router becomes Backup. Then a resignation makes it Active for the
/// next message.
fn assert_obeyed(bench: &Bench, family: &str, what: &str, frame: &[u8]) {
    let before = bench.dut.counter(family_name(family), family, "advertisement_rcvd");
    bench.say(frame);
    let settled = || bench.dut.counter(family_name(family), family, "advertisement_rcvd") == before + 1;
    wait_for(SOON, format!("{what} is counted as received"), settled);
    assert_eq!(bench.states(), ["backup"], "{what} was not obeyed");
    // After a short interval was learned, a resignation ends soon.
    let (short, resignation) = if family == "ipv4" { ("P04", "P02") } else { ("P24", "P21") };
    bench.say(&super::frame(short));
    bench.say(&super::frame(resignation));
    bench.wait("active");
}

/// The message is discarded, and counted by this counter; the router is still Active, without an
/// interruption.
fn assert_discarded(bench: &Bench, family: &str, what: &str, counter: &str, frame: &[u8]) {
    let name = family_name(family);
    let transitions = bench.dut.counter(name, family, "active_transitions");
    let before = bench.dut.counter(name, family, counter);
    let from = bench.lab.capture().now();
    let sent = u64::from(bench.tester.flood(frame, 20, ms(300)));
    wait_for(SOON, format!("{what}: {sent} more {counter}"), || {
        bench.dut.counter(name, family, counter) == before + sent
    });
    assert_eq!(bench.dut.counter(name, family, "active_transitions"), transitions, "{what}");
    assert_eq!(bench.states(), ["active"], "{what}");
    let next = bench.first_advert(from + ms(300));
    assert!(next.at - from < ms(700), "{what}: its own rate was disturbed");
}

fn family_name(family: &str) -> &'static str {
    if family == "ipv4" { "v4" } else { "v6" }
}

fn table(family: &str, router: &super::Router) {
    let bench = Bench::active(&router.clone().interval("100ms"));
    let ours = |vector: &&Vector| ip(vector.source).is_ipv4() == (family == "ipv4");
    for vector in VECTORS.iter().filter(ours) {
        match vector.verdict {
            // The first address of P22 is not link-local, which a router can be configured to
            // accept; this one is not.
            Verdict::Accepted { .. } if vector.id == "P22" => {
                assert_discarded(&bench, family, &vector.name(), "address_list_errors", &frame_of(vector));
            }
            Verdict::Accepted { .. } if vector.is_of_version_2() => {
                assert_discarded(&bench, family, &vector.name(), "version_errors", &frame_of(vector));
            }
            Verdict::Accepted { vrid: 51, priority: 101.., .. } => {
                assert_obeyed(&bench, family, &vector.name(), &frame_of(vector));
            }
            // Messages for other VRIDs, or of lower priority, are in other tests.
            Verdict::Accepted { .. } => {}
            Verdict::Rejected(counter) => {
                assert_discarded(&bench, family, &vector.name(), counter, &frame_of(vector));
            }
        }
    }
}

// T33, T34, T35, T36, T37, T38, T41, T42, T43, T44, T63
#[test]
fn every_ipv4_message_of_the_table_is_obeyed_or_discarded_and_counted() {
    table("ipv4", &v4());
}

// T49, T50
#[test]
fn every_ipv6_message_of_the_table_is_obeyed_or_discarded_and_counted() {
    table("ipv6", &v6());
}

// T37, T39, T45, T46, T47, T51
#[test]
fn carriers_of_ipv4_are_checked() {
    let bench = Bench::active(&v4().interval("100ms"));
    assert_obeyed(&bench, "ipv4", "padding", &winning(|f| f.padding = 14));
    // The option Router Alert.
    assert_obeyed(&bench, "ipv4", "options", &winning(|f| f.options = vec![0x94, 4, 0, 0]));
    for ttl in [254, 1, 0] {
        assert_discarded(&bench, "ipv4", &format!("TTL {ttl}"), "ip_ttl_errors", &winning(|f| f.ttl = ttl));
    }
    let trailer = winning(|f| f.trailer = vec![0; 4]);
    assert_discarded(&bench, "ipv4", "four octets more", "packet_length_errors", &trailer);
    let whole = Forgery::new(ip("192.0.2.10"), 51, 200, 10).addresses(&[VIP]);
    let seven = whole.frame_of(&whole.message()[..7]);
    assert_discarded(&bench, "ipv4", "seven octets", "packet_length_errors", &seven);
    assert_discarded(&bench, "ipv4", "bad sum", "checksum_errors", &winning(|f| f.sum = Sum::Wrong));
    // These have no readable VRID, so no counter of a router changes: the router only must not
    // react.
    bench.say(&whole.frame_of(&[]));
    bench.say(&winning(|f| f.fragment = 0x2000));
    bench.stays(ms(300), "active");
}

// T39, T51
#[test]
fn carriers_of_ipv6_are_checked() {
    let bench = Bench::active(&v6().interval("100ms"));
    assert_discarded(&bench, "ipv6", "hop limit", "ip_ttl_errors", &winning6(|f| f.ttl = 254));
    let global = winning6(|f| f.source = ip("2001:db8::a"));
    assert_discarded(&bench, "ipv6", "global source", "bad_source", &global);
    for elsewhere in ["ff02::1", "fe80::b"] {
        bench.say(&winning6(|f| f.destination = ip(elsewhere)));
    }
    bench.stays(ms(300), "active");
}

// T40
#[test]
fn other_virtual_routers_and_other_interfaces_are_none_of_ours() {
    let bench = Bench::active(&v4().interval("100ms"));
    bench.say(&frame("P14"));
    bench.lab.node(TESTER).ns.cable("eth1", &bench.node().ns, "eth1");
    bench.lab.node(TESTER).ns.ip("link set eth1 up");
    bench.node().ns.ip("link set eth1 up\naddress add 198.51.100.1/24 dev eth1");
    let aside = Injector::on(bench.lab.node(TESTER), "eth1");
    for _ in 0..3 {
        aside.send(&frame("P18"));
    }
    bench.stays(ms(500), "active");
    assert_eq!(bench.dut.counter("v4", "ipv4", "advertisement_rcvd"), 0);
}

// T41, T42
#[test]
fn differing_lists_and_intervals_are_accepted_counted_and_reported_once() {
    let bench = Bench::active(&v4().interval("100ms"));
    bench.hold(&frame("P15"), ms(20), ms(200));
    for counter in ["address_list_errors", "interval_errors"] {
        assert_eq!(bench.dut.counter("v4", "ipv4", counter), 11, "{counter}");
    }
    // The sender outranks us, and lists none of our addresses.
    for suspicion in ["addresses_lost", "interval_differs"] {
        let events = bench.dut.ctl(&["events", "-n", "1000"]).json;
        let told = events["events"].as_array().into_iter().flatten();
        assert_eq!(told.filter(|event| event["suspicion"] == suspicion).count(), 1, "{suspicion}: {events}");
    }
}

// T52, T53
#[test]
fn our_own_advertisements_come_back_and_change_nothing() {
    for (family, router) in [("ipv4", v4()), ("ipv6", v6())] {
        let bench = Bench::active(&router.interval("100ms"));
        let from = bench.lab.capture().now();
        for _ in 0..10 {
            let ours = bench.first_advert(bench.lab.capture().now());
            let frames = bench.lab.capture().frames(ours.at);
            let echo =
                frames.into_iter().find(|seen| seen.at == ours.at && seen.node == DUT).expect("its frame");
            bench.tester.send(&echo.bytes);
        }
        let (own, forged) = if family == "ipv4" {
            (bench.dut_v4(), winning(|f| f.source = bench.dut_v4()))
        } else {
            (bench.dut_v6(), winning6(|f| f.source = bench.dut_v6()))
        };
        let until = bench.lab.capture().now();
        bench.say(&forged);
        bench.stays(ms(500), "active");
        let adverts = bench.adverts(from);
        // The router answers at once what it has not sent itself, but not what a bridge reflects.
        let reflected = |at: &Duration| *at < until;
        let ours = adverts.iter().filter(|advert| advert.source == own).map(|advert| advert.at);
        let ours = ours.filter(reflected);
        let times: Vec<Duration> = ours.collect();
        let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| *gap > ms(50) && *gap < ms(300)), "{family}: {gaps:?}");
        // The kernel takes IPv4 packets from an own address for martians, so they are received
        // below IP.
        let router = if family == "ipv4" { "v4" } else { "v6" };
        wait_for(SOON, format!("{family}: counted"), || {
            bench.dut.counter(router, family, "own_packets") >= 11
        });
    }
}
