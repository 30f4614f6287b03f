//! Announcements are written and read again, and arbitrary packets are read. Frames that other
//! implementations computed are in `tests/conformance_vectors.rs`.

use super::*;
use crate::types::{Family, MacAddr};
use proptest::prelude::*;
use std::net::IpAddr;

const MAC: MacAddr = MacAddr([2, 0, 0, 0xaa, 0xbb, 0xcc]);
/// Where the options of an advertisement begin.
const OPTIONS: usize = 24;

fn announcement(address: &str) -> Announcement {
    Announcement { address: address.parse().unwrap(), mac: MAC }
}

/// Returns what a socket delivers of a frame: the packet behind the headers that the kernel
/// removes.
fn delivered(frame: &Frame, family: Family) -> Vec<u8> {
    let kept = match family {
        Family::Ipv4 => 0,
        Family::Ipv6 => 40,
    };
    frame.payload()[kept..].to_vec()
}

fn arp() -> Vec<u8> {
    delivered(&announcement("192.0.2.254").frame(), Family::Ipv4)
}

fn advertisement() -> Vec<u8> {
    delivered(&announcement("2001:db8::fe").frame(), Family::Ipv6)
}

#[test]
fn the_hardware_address_is_the_one_that_was_given() {
    for address in ["192.0.2.254", "fe80::51"] {
        let frame = announcement(address).frame();
        let appearances = frame.as_bytes().windows(6).filter(|w| *w == MAC.0).count();
        // The address is the Ethernet source, and also the sender and target of ARP, or the option
        // of the advertisement.
        assert_eq!(appearances, if address.contains(':') { 2 } else { 3 }, "{address}");
    }
}

#[test]
fn a_reply_announces_as_a_request_does() {
    let mut packet = arp();
    packet[7] = 2;
    assert_eq!(Announcement::read(Family::Ipv4, &packet), Some(announcement("192.0.2.254")));
}

/// A probe or an ordinary request from one of the watched addresses also tells hosts the hardware
/// address of its sender.
#[test]
fn the_sender_of_an_arp_packet_counts_and_not_its_target() {
    let mut packet = arp();
    packet[18..28].copy_from_slice(&[9, 9, 9, 9, 9, 9, 198, 51, 100, 1]);
    assert_eq!(Announcement::read(Family::Ipv4, &packet), Some(announcement("192.0.2.254")));
}

#[test]
fn arp_that_is_not_for_ipv4_over_ethernet_announces_nothing() {
    for (octet, what) in [
        (0, "hardware type"),
        (1, "hardware type"),
        (2, "protocol type"),
        (3, "protocol type"),
        (4, "length of a hardware address"),
        (5, "length of a protocol address"),
    ] {
        let mut packet = arp();
        packet[octet] ^= 2;
        assert_eq!(Announcement::read(Family::Ipv4, &packet), None, "{what}");
    }
}

#[test]
fn a_packet_that_was_cut_announces_nothing_and_padding_changes_nothing() {
    for (family, packet, said) in [
        (Family::Ipv4, arp(), announcement("192.0.2.254")),
        (Family::Ipv6, advertisement(), announcement("2001:db8::fe")),
    ] {
        for length in 0..packet.len() {
            assert_eq!(Announcement::read(family, &packet[..length]), None, "{family}, {length} octets");
        }
        let padded = [packet, vec![0; 18]].concat();
        assert_eq!(Announcement::read(family, &padded), Some(said), "{family}");
    }
}

#[test]
fn the_target_link_layer_address_is_found_behind_other_options() {
    let said = Some(announcement("2001:db8::fe"));
    // The second of these lengths in octets does not fit into one octet.
    for eights in [2_u8, 32, 255] {
        let mut packet = advertisement();
        let other = [14, eights].into_iter().chain(vec![9; usize::from(eights) * 8 - 2]);
        packet.splice(OPTIONS..OPTIONS, other);
        assert_eq!(Announcement::read(Family::Ipv6, &packet), said, "an option of {eights} times 8 octets");
        assert_eq!(
            Announcement::read(Family::Ipv6, &packet[..packet.len() - 1]),
            None,
            "{eights}: it is cut off"
        );
        packet[OPTIONS + 1] = 0;
        assert_eq!(Announcement::read(Family::Ipv6, &packet), None, "an option of no length");
    }
    assert_eq!(Announcement::read(Family::Ipv6, &advertisement()[..OPTIONS]), None, "no option at all");
}

/// Hosts on Ethernet ignore an option whose length is not that of an Ethernet address.
#[test]
fn a_link_layer_address_of_another_length_announces_nothing() {
    for (eights, octets) in [(0, 8), (2, 16), (255, 255 * 8)] {
        let mut packet = advertisement();
        packet.resize(OPTIONS + octets, 0);
        packet[OPTIONS + 1] = eights;
        assert_eq!(Announcement::read(Family::Ipv6, &packet), None, "{eights} times 8 octets");
    }
}

#[test]
fn other_messages_of_neighbor_discovery_announce_nothing() {
    for kind in (0..=255).filter(|kind| *kind != 136) {
        let mut packet = advertisement();
        packet[0] = kind;
        assert_eq!(Announcement::read(Family::Ipv6, &packet), None, "type {kind}");
    }
    let mut solicited = advertisement();
    solicited[4] |= 0x40;
    assert_eq!(Announcement::read(Family::Ipv6, &solicited), None, "the answer to a question");
    let mut from_a_host = advertisement();
    from_a_host[4] = 0;
    let said = Some(announcement("2001:db8::fe"));
    assert_eq!(Announcement::read(Family::Ipv6, &from_a_host), said, "without Router and Override");
}

proptest! {
    #[test]
    fn what_we_announce_is_read_as_we_meant_it(
        address in prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 16]>().prop_map(IpAddr::from),
        ],
        mac: [u8; 6],
    ) {
        let said = Announcement { address, mac: MacAddr(mac) };
        let family = Family::of(address);
        let frame = said.frame();
        prop_assert_eq!(&frame.as_bytes()[6..12], &mac[..]);
        prop_assert_eq!(&frame.as_bytes()[ETHERNET_HEADER..], frame.payload());
        prop_assert_eq!(Announcement::read(family, &delivered(&frame, family)), Some(said));
    }

    /// RFC 4443 §2.3: receivers drop a message whose checksum is wrong.
    #[test]
    fn the_checksum_of_an_advertisement_verifies(octets: [u8; 16], mac: [u8; 6]) {
        let frame = Announcement { address: octets.into(), mac: MacAddr(mac) }.frame();
        let packet = frame.payload();
        let pseudo_header = [&packet[8..40], &[0, 0, 0, 32, 0, 0, 0, 58]].concat();
        let sum = checksum::Sum::new().octets(&pseudo_header).octets(&packet[40..]);
        prop_assert!(sum.verifies());
    }

    #[test]
    fn nothing_that_arrives_makes_the_reader_panic(
        head in prop::option::of(prop_oneof![
            Just(vec![0, 1, 8, 0, 6, 4, 0, 1]),
            Just(vec![136, 0, 0, 0, 0xa0, 0, 0, 0]),
        ]),
        tail in prop::collection::vec(any::<u8>(), 0..=LONGEST_ANNOUNCEMENT),
    ) {
        let packet = [head.unwrap_or_default(), tail].concat();
        for family in [Family::Ipv4, Family::Ipv6] {
            if let Some(said) = Announcement::read(family, &packet) {
                prop_assert_eq!(Family::of(said.address), family);
            }
        }
    }
}
