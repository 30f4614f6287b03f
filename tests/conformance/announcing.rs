//! RFC 9568 §8: gratuitous ARP and unsolicited Neighbor Advertisements, and which router answers
//! for the addresses.

use super::support::lab::ip;
use super::support::{Config, SOON, ms, wait_for, wait_some};
use super::vectors::{G01, N01, from_hex};
use super::{Bench, DUT, TESTER, VIP, frame, v4, v6};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

// T06
#[test]
fn the_gratuitous_arp_octet_by_octet() {
    let bench = Bench::active(&v4().interval("100ms").addresses(&["192.0.2.254/24", "192.0.2.253/24"]));
    for (address, last) in [(VIP, 254), ("192.0.2.253", 253)] {
        let seen = bench.lab.capture().wait_announcement(SOON, DUT, bench.started, ip(address));
        let mut expected = from_hex(G01);
        for at in [6, 22, 32] {
            // The MAC address of the interface, until virtual MAC addresses are supported.
            expected[at..at + 6].copy_from_slice(&bench.node().mac());
        }
        (expected[31], expected[41]) = (last, last);
        let frame = frame_at(&bench, seen.at);
        // Ethernet's padding may follow.
        assert_eq!(frame[..expected.len()], expected);
    }
}

// T07
#[test]
fn the_unsolicited_neighbour_advertisement_octet_by_octet() {
    let bench = Bench::active(&v6().interval("100ms"));
    let link_local = bench.lab.capture().wait_announcement(SOON, DUT, bench.started, ip("fe80::51"));
    assert_eq!(link_local.mac, bench.node().mac());
    let global = bench.lab.capture().wait_announcement(SOON, DUT, bench.started, ip("2001:db8:51::fe"));
    let mut expected = from_hex(N01);
    for at in [6, 80] {
        expected[at..at + 6].copy_from_slice(&bench.node().mac());
    }
    let frame = frame_at(&bench, global.at);
    assert_eq!(frame[54..56], [136, 0], "a Neighbor Advertisement");
    assert_eq!(frame[58], 0xa0, "Router and Override, not Solicited");
    // The checksum covers the MAC address, which differs in each run. Therefore it is verified, and
    // not compared with that of the expected octets.
    let six = |at: usize| IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(&frame[at..at + 16]).unwrap()));
    let pseudo = icmp_pseudo_header(six(22), six(38), frame.len() - 54);
    assert_eq!(super::support::frame::ones_complement_sum(&[&pseudo, &frame[54..]]), 0xffff);
    expected[56..58].copy_from_slice(&frame[56..58]);
    assert_eq!(frame, expected);
    let groups = bench.node().ns.run("ip", &["-6", "maddress", "show", "dev", "eth0"]);
    for group in ["ff02::1:ff00:51", "ff02::1:ff00:fe"] {
        assert!(groups.contains(group), "solicited-node group {group} in {groups}");
    }
}

// RFC9568-6.4.2-1
// T54, T55
#[test]
fn arp_for_the_address_is_answered_once_by_an_active_and_not_by_a_backup() {
    let bench = Bench::new(&Config::of(&v4().interval("100ms")));
    bench.hold(&frame("P04"), ms(50), ms(200));
    assert_eq!(bench.states(), ["backup"]);
    let asked = bench.say(&arp_request(&bench, VIP));
    bench.hold(&frame("P04"), ms(50), ms(500));
    assert_eq!(arp_replies(&bench, asked).len(), 0, "a Backup answers");

    bench.wait("active");
    wait_for(SOON, "it holds the address", || bench.node().has(VIP));
    let asked = bench.say(&arp_request(&bench, VIP));
    wait_for(SOON, "an answer", || !arp_replies(&bench, asked).is_empty());
    let settled = bench.first_advert(asked + ms(300));
    assert!(settled.at > asked);
    assert_eq!(arp_replies(&bench, asked), [bench.node().mac()], "exactly one answer");
}

// RFC9568-6.4.2-2, RFC9568-6.4.3-2
// T56
#[test]
fn solicitations_are_answered_by_an_active_and_not_by_a_backup() {
    let bench = Bench::new(&Config::of(&v6().interval("100ms")));
    let addresses = ["fe80::51", "2001:db8:51::fe"];
    bench.hold(&frame("P24"), ms(50), ms(200));
    assert_eq!(bench.states(), ["backup"]);
    for address in addresses {
        let asked = bench.say(&solicitation(&bench, address));
        bench.hold(&frame("P24"), ms(50), ms(300));
        assert_eq!(solicited(&bench, asked, address), 0, "a Backup answers for {address}");
    }
    bench.wait("active");
    for address in addresses {
        wait_for(SOON, "it holds the address", || bench.node().has(address));
        let asked = bench.say(&solicitation(&bench, address));
        wait_some(SOON, format!("an answer for {address}"), || {
            (solicited(&bench, asked, address) == 1).then_some(())
        });
    }
}

// RFC9568-6.4.3-6
// T57
#[test]
fn the_address_of_an_active_answers_ping() {
    let bench = Bench::active(&v4().interval("100ms"));
    wait_for(SOON, "it holds the address", || bench.node().has(VIP));
    bench.lab.node(TESTER).ns.run("ping", &["-c", "1", "-W", "5", VIP]);
}

fn frame_at(bench: &Bench, at: Duration) -> Vec<u8> {
    let frames = bench.lab.capture().frames(at);
    frames.into_iter().find(|seen| seen.at == at && seen.node == DUT).expect("its frame").bytes
}

/// A broadcast ARP request of the tester.
fn arp_request(bench: &Bench, address: &str) -> Vec<u8> {
    let tester = bench.lab.node(TESTER);
    let IpAddr::V4(address) = ip(address) else { unreachable!("an IPv4 address") };
    let mut frame = vec![0xff; 6];
    frame.extend(tester.mac());
    frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(tester.mac());
    frame.extend(tester.v4().octets());
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

/// The MAC addresses with which the device under test answered the tester.
fn arp_replies(bench: &Bench, from: Duration) -> Vec<[u8; 6]> {
    let frames = bench.lab.capture().frames(from).into_iter().filter(|seen| seen.node == DUT);
    let replies = frames.filter(|seen| seen.bytes[12..14] == [0x08, 0x06] && seen.bytes[20..22] == [0, 2]);
    replies.map(|seen| seen.bytes[22..28].try_into().unwrap()).collect()
}

fn icmp_pseudo_header(source: IpAddr, destination: IpAddr, length: usize) -> Vec<u8> {
    let mut header = super::support::frame::pseudo_header(source, destination, length);
    *header.last_mut().unwrap() = 58;
    header
}

/// A Neighbor Solicitation of the tester to the solicited-node group.
fn solicitation(bench: &Bench, target: &str) -> Vec<u8> {
    let tester = bench.lab.node(TESTER);
    let IpAddr::V6(target) = ip(target) else { unreachable!("an IPv6 address") };
    let low = &target.octets()[13..];
    let mut group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0).octets();
    group[13..].copy_from_slice(low);
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(target.octets());
    message.extend([1, 1]);
    message.extend(tester.mac());
    let source = tester.link_local();
    let pseudo = icmp_pseudo_header(source.into(), Ipv6Addr::from(group).into(), message.len());
    let sum = !super::support::frame::ones_complement_sum(&[&pseudo, &message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());

    let mut frame = vec![0x33, 0x33, 0xff, low[0], low[1], low[2]];
    frame.extend(tester.mac());
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, u8::try_from(message.len()).unwrap(), 58, 255]);
    frame.extend(source.octets());
    frame.extend(group);
    frame.extend(message);
    frame
}

/// The number of solicited advertisements for `target` that the device under test sent.
fn solicited(bench: &Bench, from: Duration, target: &str) -> usize {
    let IpAddr::V6(target) = ip(target) else { unreachable!("an IPv6 address") };
    let frames = bench.lab.capture().frames(from).into_iter().filter(|seen| seen.node == DUT);
    let answers = frames.filter(|seen| seen.bytes.len() >= 78 && seen.bytes[12..14] == [0x86, 0xdd]);
    answers
        .filter(|seen| seen.bytes[20] == 58 && seen.bytes[54] == 136 && seen.bytes[58] & 0x40 != 0)
        .filter(|seen| seen.bytes[62..78] == target.octets())
        .count()
}
