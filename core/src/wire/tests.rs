//! The codec is tested against its own contract. Messages that other implementations wrote are in
//! `tests/conformance_vectors.rs`.

use super::checksum::Sum;
use super::*;
use crate::types::{AdverInterval, AdvertPriority, AuthPassword, Authentication, Family, Version, Vrid};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const V4: Carrier =
    Carrier { source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), destination: Family::Ipv4.group(), ttl: 255 };
const V6: Carrier = Carrier {
    source: IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xa)),
    destination: Family::Ipv6.group(),
    ttl: 255,
};

fn draft(source: IpAddr, checksum: ChecksumFlavour) -> Draft {
    Draft {
        version: Version::V3,
        source,
        destination: Family::of(source).group(),
        vrid: Vrid::new(51).unwrap(),
        priority: AdvertPriority::from_wire(100),
        interval: AdverInterval::default(),
        authentication: Authentication::None,
        checksum,
    }
}

fn written(source: IpAddr, addresses: &[IpAddr]) -> Vec<u8> {
    let mut out = Vec::new();
    emit(&draft(source, ChecksumFlavour::Rfc9568), addresses.iter().copied(), &mut out).unwrap();
    out
}

fn v4_message() -> Vec<u8> {
    written(V4.source, &[IpAddr::from([192, 0, 2, 254])])
}

/// Changes octets of a valid IPv4 message and corrects its checksum afterwards.
fn repaired(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut message = v4_message();
    change(&mut message);
    message[6..8].fill(0);
    let sum = checksum::Sum::new().octets(&message).checksum();
    message[6..8].copy_from_slice(&sum.to_be_bytes());
    message
}

fn reason(carrier: &Carrier, payload: &[u8]) -> RejectReason {
    parse(carrier, payload).unwrap_err().reason
}

// T46, RFC9568-7.1-4, RFC9568-7.1-13
#[test]
fn every_length_but_the_right_one_is_refused() {
    for count in [1, 2, 255] {
        let addresses: Vec<IpAddr> = (0..count).map(|n| IpAddr::from([10, 0, 0, n])).collect();
        let message = written(V4.source, &addresses);
        assert!(parse(&V4, &message).is_ok());
        for len in 0..message.len() {
            assert_eq!(reason(&V4, &message[..len]), RejectReason::PacketLengthErrors, "{len} octets");
        }
        for more in 1..=20 {
            let longer = [message.as_slice(), &vec![0; more]].concat();
            assert_eq!(reason(&V4, &longer), RejectReason::PacketLengthErrors, "{more} more");
        }
    }
}

// T63, RFC9568-7.1-2, RFC9568-7.1-3, RFC9568-5.2.1-1, RFC9568-5.2.2-1
#[test]
fn every_other_version_and_type_is_refused() {
    for first in 0..=255 {
        let message = repaired(|m| m[0] = first);
        let expected = match (first >> 4, first & 0x0f) {
            (3, 1) => continue,
            (2, 1) => RejectReason::PacketLengthErrors, // It lacks the Authentication Data.
            (2 | 3, _) => RejectReason::InvalidTypePktsRcvd,
            (_, _) => RejectReason::VersionErrors,
        };
        assert_eq!(reason(&V4, &message), expected, "{first:#04x}");
        let reject = parse(&V4, &message).unwrap_err();
        assert_eq!(reject.version, Version::of_number(first >> 4), "{first:#04x}");
    }
}

/// RFC 3768 §1: VRRPv2 is for IPv4 only.
#[test]
fn a_message_of_version_2_over_ipv6_is_refused() {
    let carrier =
        Carrier { source: "fe80::a".parse().unwrap(), destination: "ff02::12".parse().unwrap(), ttl: 255 };
    let mut message = repaired_v2(|_| ());
    message[0] = 0x21;
    assert_eq!(reason(&carrier, &message), RejectReason::VersionErrors);
    let draft = draft_v2(Authentication::None);
    let draft = Draft { source: carrier.source, destination: carrier.destination, ..draft };
    let refused = emit(&draft, [IpAddr::from([192, 0, 2, 254])], &mut Vec::new());
    assert!(matches!(refused, Err(EmitError::NoSuchFamily { version: Version::V2, .. })), "{refused:?}");
}

fn draft_v2(authentication: Authentication) -> Draft {
    Draft { version: Version::V2, authentication, ..draft(V4.source, ChecksumFlavour::Rfc9568) }
}

/// A VRRPv2 message of VRID 51 with priority 100, one second and one address, changed, with a checksum
/// that is right again.
fn repaired_v2(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut message = vec![0x21, 51, 100, 1, 0, 1, 0, 0, 192, 0, 2, 254, 0, 0, 0, 0, 0, 0, 0, 0];
    change(&mut message);
    let sum = Sum::new().octets(&message).checksum();
    message[6..8].copy_from_slice(&sum.to_be_bytes());
    message
}

// RFC3768-7.1-5, RFC3768-7.1-6, RFC3768-5.3.8-1, RFC3768-7.1-1
/// A message that fails every check, repaired from the front: each repair uncovers the next reason.
#[test]
fn the_checks_of_version_2_come_in_the_order_of_its_rfc() {
    let mut message = vec![0x41, 0, 100, 0, 3, 0, 0xff, 0];
    let mut reasons = Vec::new();
    let repairs: [fn(&mut Vec<u8>); 8] = [
        |m| m[0] = 0x22,
        |m| m[0] = 0x21,
        |m| m.extend([0; 8]),
        |m| *m = repaired_v2(|good| *good = vec![0x21, 0, 100, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        |m| *m = repaired_v2(|good| *good = vec![0x21, 51, 100, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        |m| *m = repaired_v2(|good| good[4..6].copy_from_slice(&[3, 0])),
        |m| *m = repaired_v2(|good| good[4..6].copy_from_slice(&[3, 1])),
        |m| *m = repaired_v2(|_| ()),
    ];
    for repair in repairs {
        reasons.push(reason(&V4, &message));
        repair(&mut message);
    }
    let advertisement = parse(&V4, &message).unwrap();
    assert_eq!((advertisement.version, advertisement.interval), (Version::V2, AdverInterval::default()));
    assert_eq!(
        reasons,
        [
            RejectReason::VersionErrors,
            RejectReason::InvalidTypePktsRcvd,
            RejectReason::PacketLengthErrors,
            RejectReason::ChecksumErrors,
            RejectReason::VridErrors,
            RejectReason::AddrCountErrors,
            RejectReason::IntervalZero,
            RejectReason::InvalidAuthType,
        ]
    );
}

// RFC3768-7.1-6
#[test]
fn a_message_of_version_2_has_exactly_the_octets_of_its_count_and_eight_more() {
    for more in 1..=9 {
        let longer = repaired_v2(|message| message.extend(vec![0; more]));
        assert_eq!(reason(&V4, &longer), RejectReason::PacketLengthErrors, "{more} more");
        let shorter = repaired_v2(|message| message.truncate(20 - more));
        assert_eq!(reason(&V4, &shorter), RejectReason::PacketLengthErrors, "{more} fewer");
    }
}

// RFC3768-5.3.10-1
#[test]
fn the_authentication_of_a_message_of_version_2_is_what_its_type_says() {
    let password = AuthPassword::from_octets(*b"secret\0\0");
    let heard = |auth_type, data: &[u8; 8]| {
        let message = repaired_v2(|message| {
            message[4] = auth_type;
            message[12..].copy_from_slice(data);
        });
        parse(&V4, &message).unwrap().authentication
    };
    let readable = HeardAuthentication::Readable;
    assert_eq!(heard(0, b"\0\0\0\0\0\0\0\0"), readable(Authentication::None));
    assert_eq!(heard(0, b"anything"), readable(Authentication::None), "ignored on receipt");
    assert_eq!(heard(1, b"secret\0\0"), readable(Authentication::Password(password)));
    assert_eq!(heard(2, b"\0\0\0\0\0\0\0\0"), HeardAuthentication::IpsecHeader);
}

// RFC3768-5.3.8-1, RFC3768-5.3-1, RFC3768-5.3.10-1
#[test]
fn a_message_of_version_2_is_written_with_its_password_and_whole_seconds() {
    let address = [IpAddr::from([192, 0, 2, 254])];
    let mut out = Vec::new();
    emit(&draft_v2(Authentication::None), address, &mut out).unwrap();
    assert_eq!(out, repaired_v2(|_| ()));
    let password = AuthPassword::from_octets(*b"secret\0\0");
    emit(&draft_v2(Authentication::Password(password)), address, &mut out).unwrap();
    assert_eq!(out[4], 1);
    assert_eq!(out[12..], *b"secret\0\0");
    let long = AdverInterval::from_seconds(200).unwrap();
    emit(&Draft { interval: long, ..draft_v2(Authentication::None) }, address, &mut out).unwrap();
    assert_eq!(out[5], 200);
    let half =
        Draft { interval: AdverInterval::from_centiseconds(50).unwrap(), ..draft_v2(Authentication::None) };
    let refused = EmitError::NoSuchInterval { version: Version::V2, interval: half.interval };
    assert_eq!(emit(&half, address, &mut out), Err(refused));
    assert!(out.is_empty());
    let in_v3 = Draft { version: Version::V3, interval: long, ..draft_v2(Authentication::None) };
    let refused = EmitError::NoSuchInterval { version: Version::V3, interval: long };
    assert_eq!(emit(&in_v3, address, &mut out), Err(refused));
}

// RFC9568-7.1-10, RFC9568-7.1-5, RFC9568-5.2.5-2, RFC9568-5.2.7-2
/// A message that fails every check, repaired from the front: each repair uncovers the next reason.
#[test]
fn the_checks_come_in_the_order_of_the_rfc() {
    let mut message = vec![0x42, 0, 100, 0, 0xf0, 0];
    let mut reasons = Vec::new();
    let repairs: [fn(&mut Vec<u8>); 8] = [
        |m| m.extend([0xde, 0xad, 0, 0, 0, 0]),
        |m| m[0] = 0x32,
        |m| m[0] = 0x31,
        |m| m.truncate(8),
        |m| *m = repaired(|good| *good = vec![0x31, 0, 100, 0, 0xf0, 0, 0, 0]),
        |m| *m = repaired(|good| *good = vec![0x31, 1, 100, 0, 0xf0, 0, 0, 0]),
        |m| *m = repaired(|good| good[4..6].copy_from_slice(&[0xf0, 0])),
        |m| *m = repaired(|good| good[4..6].copy_from_slice(&[0xf0, 1])),
    ];
    for repair in repairs {
        reasons.push(reason(&V4, &message));
        repair(&mut message);
    }
    assert_eq!(parse(&V4, &message).unwrap().interval, AdverInterval::MIN);
    assert_eq!(
        reasons,
        [
            RejectReason::PacketLengthErrors,
            RejectReason::VersionErrors,
            RejectReason::InvalidTypePktsRcvd,
            RejectReason::PacketLengthErrors,
            RejectReason::ChecksumErrors,
            RejectReason::VridErrors,
            RejectReason::AddrCountErrors,
            RejectReason::IntervalZero,
        ]
    );
}

#[test]
fn a_reject_names_the_virtual_router_it_claimed_to_be_for() {
    let vrid = |payload: &[u8]| parse(&V4, payload).unwrap_err().vrid.map(Vrid::get);
    assert_eq!(vrid(&[]), None);
    assert_eq!(vrid(&[0x31]), None);
    assert_eq!(vrid(&[0x31, 0]), None);
    assert_eq!(vrid(&[0x31, 51]), Some(51));
    assert_eq!(vrid(&repaired(|m| m[1] = 0)), None);
    let damaged = repaired(|m| m[5] = 0);
    assert_eq!(vrid(&damaged), Some(51));
}

/// RFC 9568 §6.4.3 compares addresses as unsigned integers in network order. They come out of the
/// codec as types that do.
#[test]
fn sources_around_the_sign_bit_compare_unsigned() {
    let greater = |a: &str, b: &str| a.parse::<IpAddr>().unwrap() > b.parse::<IpAddr>().unwrap();
    assert!(greater("192.0.2.1", "10.0.0.1"));
    assert!(greater("128.0.0.0", "127.255.255.255"));
    assert!(greater("10.0.1.0", "10.0.0.255"));
    assert!(greater("fe80::8000:0:0:0", "fe80::7fff:0:0:0"));
    assert!(greater("fe80::ffff", "fe80::a"));
}

// RFC9568-5.2.9-4
#[test]
fn addresses_keep_their_order() {
    let addresses: Vec<IpAddr> =
        ["fe80::51", "2001:db8::9", "2001:db8::1"].map(|a| a.parse().unwrap()).into();
    let message = written(V6.source, &addresses);
    let parsed = parse(&V6, &message).unwrap();
    assert_eq!(parsed.addresses.iter().collect::<Vec<_>>(), addresses);
    assert_eq!(parsed.addresses.len(), 3);
    assert!(!parsed.addresses.is_empty());
}

#[test]
fn a_list_without_an_address_is_empty() {
    for family in [Family::Ipv4, Family::Ipv6] {
        assert!(AddressList::new(family, &[]).is_empty(), "{family}");
        assert!(AddressList::new(family, &[1, 2, 3]).is_empty(), "{family}: a remainder");
    }
}

// RFC9568-5.2.5-1, RFC9568-5.2.9-1
#[test]
fn a_list_that_no_message_can_carry_is_refused_and_leaves_nothing_to_send() {
    let v4 = IpAddr::from([10, 0, 0, 1]);
    let v6 = IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 1]);
    let wrong = |address, source_address| EmitError::WrongFamily { address, source_address };
    for (source, addresses, error) in [
        (V4.source, vec![], EmitError::NoAddress),
        (V4.source, vec![v4; 256], EmitError::TooManyAddresses),
        (V4.source, vec![v4, v6], wrong(v6, V4.source)),
        (V6.source, vec![v4], wrong(v4, V6.source)),
    ] {
        let mut out = vec![1, 2, 3];
        let draft = draft(source, ChecksumFlavour::Rfc9568);
        assert_eq!(emit(&draft, addresses, &mut out), Err(error));
        assert!(out.is_empty());
    }
    assert_eq!(written(V4.source, &vec![v4; 255]).len(), 8 + 255 * 4);
}

#[test]
fn a_buffer_that_is_used_again_is_not_reallocated() {
    let addresses = [IpAddr::from([192, 0, 2, 254]); 20];
    let mut out = Vec::new();
    emit(&draft(V4.source, ChecksumFlavour::Rfc9568), addresses, &mut out).unwrap();
    let (place, room) = (out.as_ptr(), out.capacity());
    for count in [1, 20, 7] {
        emit(&draft(V4.source, ChecksumFlavour::Rfc5798), addresses[..count].iter().copied(), &mut out)
            .unwrap();
        assert_eq!((out.as_ptr(), out.capacity(), out.len()), (place, room, 8 + count * 4));
    }
}

// RFC9568-5.2.8-1, RFC9568-5.2.8-2, RFC9568-5.2.8-4
#[test]
fn the_flavour_changes_the_checksum_of_ipv4_only() {
    let both = |source, address: &str| {
        [ChecksumFlavour::Rfc9568, ChecksumFlavour::Rfc5798].map(|flavour| {
            let mut out = Vec::new();
            emit(&draft(source, flavour), [address.parse().unwrap()], &mut out).unwrap();
            out
        })
    };
    let [rfc9568, rfc5798] = both(V4.source, "192.0.2.254");
    assert_ne!(rfc9568[6..8], rfc5798[6..8]);
    assert_eq!((&rfc9568[..6], &rfc9568[8..]), (&rfc5798[..6], &rfc5798[8..]));
    let [rfc9568, rfc5798] = both(V6.source, "fe80::51");
    assert_eq!(rfc9568, rfc5798);
}

/// The pseudo-header of one address from 10.0.21.113 sums to zero, so the message verifies as both
/// flavours.
#[test]
fn a_message_that_is_good_in_both_flavours_counts_as_that_of_rfc_9568() {
    let source = IpAddr::from([10, 0, 21, 113]);
    for flavour in [ChecksumFlavour::Rfc9568, ChecksumFlavour::Rfc5798] {
        let mut out = Vec::new();
        emit(&draft(source, flavour), [IpAddr::from([192, 0, 2, 254])], &mut out).unwrap();
        assert_eq!(out, v4_message());
        assert_eq!(parse(&Carrier { source, ..V4 }, &out).unwrap().checksum, ChecksumFlavour::Rfc9568);
    }
}

// T50, RFC9568-5.2.8-2, RFC9568-7.1-5
#[test]
fn an_ipv6_message_without_pseudo_header_is_refused() {
    let mut message = written(V6.source, &["fe80::51".parse().unwrap()]);
    message[6..8].fill(0);
    let sum = checksum::Sum::new().octets(&message).checksum();
    message[6..8].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(reason(&V6, &message), RejectReason::ChecksumErrors);
}

fn ipv4_packet(ihl: u8, total_len: u16, fragment: u16) -> Vec<u8> {
    let mut packet = vec![0x40 | ihl, 0xc0];
    packet.extend(total_len.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([255, 112, 0, 0, 192, 0, 2, 1, 224, 0, 0, 18]);
    packet.resize(usize::from(ihl).max(5) * 4, 1);
    packet.extend(v4_message());
    packet
}

// T45, T47, RFC9568-7.1-13, RFC9568-7.1-16
#[test]
fn options_are_skipped_and_padding_is_left_out() {
    for (ihl, padding) in [(5, 0), (5, 14), (6, 0), (15, 3)] {
        let mut packet = ipv4_packet(ihl, u16::from(ihl) * 4 + 12, 0);
        packet.extend(vec![0xee; padding]);
        assert_eq!(split_ipv4(&packet), Ok((V4, v4_message().as_slice())), "IHL {ihl}, padding {padding}");
    }
}

#[test]
fn do_not_fragment_is_not_a_fragment() {
    assert!(split_ipv4(&ipv4_packet(5, 32, 0x4000)).is_ok());
}

// T47, RFC9568-7.1-16
#[test]
fn what_is_not_one_whole_ipv4_packet_is_refused() {
    let whole = ipv4_packet(5, 32, 0);
    let mut v6 = whole.clone();
    v6[0] = 0x65;
    for (what, packet) in [
        ("more fragments follow", ipv4_packet(5, 32, 0x2000)),
        ("a later fragment", ipv4_packet(5, 32, 0x0001)),
        ("a header shorter than a header", ipv4_packet(4, 32, 0)),
        ("a total length inside the header", ipv4_packet(5, 19, 0)),
        ("a total length beyond the buffer", ipv4_packet(5, 33, 0)),
        ("options beyond the total length", ipv4_packet(15, 32, 0)),
        ("IPv6", v6),
        ("nothing", vec![]),
        ("a cut header", whole[..19].to_vec()),
    ] {
        let expected = Reject { reason: RejectReason::PacketLengthErrors, vrid: None, version: None };
        assert_eq!(split_ipv4(&packet), Err(expected), "{what}");
    }
    let header_only = ipv4_packet(5, 20, 0);
    let (_, empty) = split_ipv4(&header_only).unwrap();
    assert!(empty.is_empty(), "an empty payload is the codec's to refuse");
}

/// An advertisement of an owner, 192.0.2.10, VRID 51, as it leaves its interface.
fn owners_frame() -> Vec<u8> {
    let mut frame = vec![1, 0, 0x5e, 0, 0, 0x12, 2, 0, 0, 0, 0, 0x0a, 8, 0];
    let mut header = vec![0x45, 0xc0, 0, 32, 0, 0, 0x40, 0, 255, 112, 0, 0, 192, 0, 2, 10, 224, 0, 0, 18];
    let sum = checksum::Sum::new().octets(&header).checksum();
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(header);
    frame.extend([0x31, 51, 255, 1, 0, 100, 0, 0, 192, 0, 2, 10]);
    frame
}

#[test]
fn a_frame_is_its_carrier_and_its_message() {
    let mut frame = owners_frame();
    let carrier = Carrier { source: IpAddr::from([192, 0, 2, 10]), ..V4 };
    assert_eq!(split_ipv4_frame(&frame), Ok((carrier, &frame[34..])));
    frame.extend([0; 14]);
    assert_eq!(split_ipv4_frame(&frame), Ok((carrier, &frame[34..46])), "padding");
}

/// A packet socket delivers frames from below IP, where the kernel has verified nothing.
#[test]
fn a_frame_that_the_kernel_would_drop_is_refused() {
    let refused = Reject { reason: RejectReason::PacketLengthErrors, vrid: None, version: None };
    for damaged in [14, 16, 22, 24, 26, 30] {
        let mut frame = owners_frame();
        frame[damaged] ^= 1;
        assert_eq!(split_ipv4_frame(&frame), Err(refused), "octet {damaged}");
    }
    let frame = owners_frame();
    for length in 0..frame.len() {
        assert_eq!(split_ipv4_frame(&frame[..length]), Err(refused), "cut at {length}");
    }
    let mut zeros = frame;
    zeros[14..].fill(0);
    assert_eq!(split_ipv4_frame(&zeros), Err(refused), "a header of no length");
}

fn a_list() -> impl Strategy<Value = (IpAddr, Vec<IpAddr>)> {
    let v4_source =
        any::<[u8; 4]>().prop_map(IpAddr::from).prop_filter("a router's address", |source| match source {
            IpAddr::V4(source) => !matches!(source.octets(), [0 | 127 | 224.., ..]),
            IpAddr::V6(_) => false,
        });
    let v6_source = any::<[u8; 8]>().prop_map(|low| {
        let mut octets = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        octets[8..].copy_from_slice(&low);
        IpAddr::from(octets)
    });
    prop_oneof![
        (v4_source, prop::collection::vec(any::<[u8; 4]>().prop_map(IpAddr::from), 1..=255)),
        (v6_source, prop::collection::vec(any::<[u8; 16]>().prop_map(IpAddr::from), 1..=255)),
    ]
}

proptest! {
    #[test]
    fn what_we_write_is_read_as_we_meant_it(
        (source, addresses) in a_list(),
        vrid in 1..=255_u8,
        priority: u8,
        centiseconds in 1..=4095_u16,
        legacy: bool,
    ) {
        let flavour = if legacy { ChecksumFlavour::Rfc5798 } else { ChecksumFlavour::Rfc9568 };
        let family = Family::of(source);
        let sent = Draft {
            version: Version::V3,
            source,
            destination: family.group(),
            vrid: Vrid::new(vrid).unwrap(),
            priority: AdvertPriority::from_wire(priority),
            interval: AdverInterval::from_centiseconds(centiseconds).unwrap(),
            authentication: Authentication::None, checksum: flavour,
        };
        let mut out = Vec::new();
        emit(&sent, addresses.iter().copied(), &mut out).unwrap();
        let carrier = Carrier { source, destination: family.group(), ttl: 255 };
        let heard = parse(&carrier, &out).unwrap();
        prop_assert_eq!(heard.vrid, sent.vrid);
        prop_assert_eq!(heard.priority, sent.priority);
        prop_assert_eq!(heard.interval, sent.interval);
        prop_assert_eq!(heard.addresses.iter().collect::<Vec<_>>(), addresses);
        // If the pseudo-header sums to zero, both flavours give one checksum: this is so for about
        // one message in 65,535.
        let one = checksum::Sum::new().pseudo_header(source, carrier.destination, out.len()).verifies();
        let expected = match family {
            Family::Ipv4 if !one => flavour,
            Family::Ipv4 | Family::Ipv6 => ChecksumFlavour::Rfc9568,
        };
        prop_assert_eq!(heard.checksum, expected);
    }

    #[test]
    fn one_flipped_bit_is_never_accepted_as_it_was(
        (source, addresses) in a_list(),
        bit: prop::sample::Index,
    ) {
        let mut message = written(source, &addresses);
        let carrier = Carrier { source, destination: Family::of(source).group(), ttl: 255 };
        let bit = bit.index(message.len() * 8);
        message[bit / 8] ^= 1 << (bit % 8);
        // If the pseudo-header sums to exactly that bit, the message verifies as the other flavour:
        // this is so for 1 in 65,535.
        prop_assert!(!parse(&carrier, &message).is_ok_and(|heard| heard.checksum == ChecksumFlavour::Rfc9568));
    }

    #[test]
    fn nothing_makes_the_codec_panic(
        v6: bool,
        head in prop::option::of(Just([0x31_u8, 51])),
        tail in prop::collection::vec(any::<u8>(), 0..1500),
    ) {
        let octets = [head.as_ref().map_or(&[][..], |head| head), &tail].concat();
        let _ = parse(if v6 { &V6 } else { &V4 }, &octets);
        for split in [split_ipv4, split_ipv4_frame] {
            if let Ok((carrier, payload)) = split(&octets) {
                let _ = parse(&carrier, payload);
            }
        }
    }
}
