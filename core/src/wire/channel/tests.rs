//! Octets and back, forgeries, and the sizes of pages.

use super::message::printable;
use super::*;
use crate::types::Connection;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

const LOCAL: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 50), 443));

fn key() -> ChannelKey {
    ChannelKey::new(&[7; 32]).unwrap()
}

fn envelope(message: ChannelMessage) -> Envelope {
    Envelope { from: SessionId([1; 16]), to: Some(SessionId([2; 16])), counter: 9, message }
}

fn report(vrid: u8) -> RouterReport {
    let address: IpAddr = "2001:db8::50".parse().unwrap();
    RouterReport {
        vrid,
        name: "n".repeat(64),
        state: ReportedState::Backup,
        priority: 100,
        obstacle: Some("check nginx ".repeat(60)),
        preempts: true,
        settings: ReportedSettings {
            version: 3,
            interval_ms: 1_000,
            addresses: vec![address; 8],
            address_count: 255,
            address_digest: u64::MAX,
            checks: vec!["c".repeat(64); 8],
            check_count: 12,
        },
    }
}

#[test]
fn a_message_is_read_as_it_was_written() {
    let refused = TakeAnswer::refusal("demoted\nby alice");
    assert_eq!(refused, TakeAnswer::Refused { why: "demoted by alice".to_owned() });
    for message in [
        ChannelMessage::Challenge { number: u64::MAX },
        ChannelMessage::Response { number: 0 },
        ChannelMessage::Farewell,
        ChannelMessage::TakeRequest { number: 3, vrid: 51, by: "alice".to_owned() },
        ChannelMessage::TakeAnswer { number: 3, answer: refused },
        ChannelMessage::TakeAnswer {
            number: 3,
            answer: TakeAnswer::HandedOver { micros: 12_345, demoted: true },
        },
        ChannelMessage::Report(pages(1, "fe0", "0.1.0", &[report(1)]).remove(0)),
        ChannelMessage::Drains { drains: true, forwards: false, proven: vec![] },
        ChannelMessage::Drains { drains: true, forwards: true, proven: vec![SessionId([255; 16]); 32] },
        ChannelMessage::Probe { number: u64::MAX },
        ChannelMessage::Draining { vrid: 255, left: 7, oldest_ms: None, lasted_ms: 0, remaining_ms: 9 },
        ChannelMessage::Draining {
            vrid: 1,
            left: u32::MAX,
            oldest_ms: Some(u64::MAX),
            lasted_ms: u64::MAX,
            remaining_ms: u64::MAX,
        },
        ChannelMessage::DrainEnded { vrid: 51 },
        ChannelMessage::Forwarding { vrid: 51, listed: u32::MAX, packets: u64::MAX },
    ] {
        for to in [None, Some(SessionId([2; 16]))] {
            let envelope = Envelope { to, ..envelope(message.clone()) };
            assert_eq!(Envelope::open(&key(), &envelope.seal(&key()).unwrap()), Ok(envelope));
        }
    }
}

/// Another implementation can check itself against these octets.
#[test]
fn the_octets_of_a_message_are_fixed() {
    let sealed = envelope(ChannelMessage::Challenge { number: 5 }).seal(&key()).unwrap();
    let (head, tag) = sealed.split_at(sealed.len() - TAG);
    let mut expected = b"VRC\x01".to_vec();
    expected.extend([1; 16]);
    expected.extend([2; 16]);
    expected.extend([0, 0, 0, 0, 0, 0, 0, 9]);
    // CBOR: an array of the number of the message and the array of its fields.
    expected.extend([0x82, 0x00, 0x81, 0x05]);
    assert_eq!(head, expected);
    assert_eq!(tag, TAG_OF_THE_FIXED_MESSAGE);
}

/// Computed with Python's `hmac` module.
const TAG_OF_THE_FIXED_MESSAGE: [u8; TAG] = [
    0x6f, 0x5d, 0xaf, 0x10, 0x4e, 0xf7, 0x2f, 0xa9, 0xcb, 0x1b, 0xfe, 0x87, 0xb0, 0x7a, 0x84, 0xa6, 0x80,
    0x5a, 0xe4, 0x0b, 0xe2, 0x43, 0x22, 0x61, 0xe2, 0xba, 0xfb, 0xa2, 0xc7, 0x0c, 0xf3, 0xf6,
];

#[test]
fn one_changed_octet_anywhere_is_noticed() {
    let sealed = envelope(ChannelMessage::Farewell).seal(&key()).unwrap();
    for at in 0..sealed.len() {
        let mut forged = sealed.clone();
        forged[at] ^= 1;
        let rejected = Envelope::open(&key(), &forged).unwrap_err();
        let expected = match at {
            0..3 => ChannelReject::NotOurs,
            3 => ChannelReject::Format(0),
            _ => ChannelReject::Key,
        };
        assert_eq!(rejected, expected, "octet {at}");
    }
    let other = ChannelKey::new(&[8; 32]).unwrap();
    assert_eq!(Envelope::open(&other, &sealed), Err(ChannelReject::Key));
    for short in 0..sealed.len() {
        assert!(Envelope::open(&key(), &sealed[..short]).is_err(), "{short} octets");
    }
}

#[test]
fn a_short_key_is_refused_and_no_key_is_shown() {
    assert_eq!(ChannelKey::new(&[0; 31]), Err(ChannelKeyTooShort(31)));
    assert_eq!(format!("{:?}", key()), "ChannelKey(…)");
}

#[test]
fn pages_fit_and_are_complete_whatever_they_say() {
    for (routers, least) in [(0, 1), (1, 1), (2, 2), (255, 100)] {
        let reports: Vec<_> = (0..routers).map(|vrid| report(vrid + 1)).collect();
        let pages = pages(7, &"x".repeat(300), "0.1.0", &reports);
        assert!(pages.len() >= least, "{} pages for {routers}", pages.len());
        let mut seen = Vec::new();
        for (number, page) in pages.iter().enumerate() {
            assert_eq!((usize::from(page.page), usize::from(page.pages)), (number, pages.len()));
            seen.extend(page.routers.iter().map(|report| report.vrid));
            let sealed = envelope(ChannelMessage::Report(page.clone())).seal(&key()).unwrap();
            let opened = Envelope::open(&key(), &sealed).expect("what we send, we accept");
            assert_eq!(opened.message, ChannelMessage::Report(page.clone()));
        }
        assert_eq!(seen, (1..=routers).collect::<Vec<_>>());
    }
}

#[test]
fn short_reports_share_a_page() {
    let short = |vrid| RouterReport {
        name: "web".to_owned(),
        obstacle: None,
        settings: ReportedSettings { addresses: vec![], checks: vec![], ..report(vrid).settings },
        ..report(vrid)
    };
    let reports: Vec<_> = (1..=255).map(short).collect();
    let pages = pages(1, "fe0", "0.1.0", &reports);
    assert!(pages.len() <= 8, "{} pages", pages.len());
    assert!(pages.iter().all(|page| envelope(ChannelMessage::Report(page.clone())).seal(&key()).is_ok()));
}

#[test]
fn a_text_is_cut_between_characters_and_is_never_empty() {
    assert_eq!(printable("ää", 3), "ä");
    assert_eq!(printable("a\u{1b}[2J", 9), "a [2J");
    assert_eq!(printable("", 9), "-");
}

#[test]
fn values_that_no_node_sends_are_refused() {
    let page = pages(1, "fe0", "0.1.0", &[report(1)]).remove(0);
    let changed = |change: fn(&mut ReportPage)| {
        let mut page = page.clone();
        change(&mut page);
        ChannelMessage::Report(page)
    };
    for message in [
        changed(|page| page.page = page.pages),
        changed(|page| page.node.clear()),
        changed(|page| page.node = "\u{1b}[2J".to_owned()),
        changed(|page| page.software = "9".repeat(65)),
        changed(|page| page.routers[0].vrid = 0),
        changed(|page| page.routers[0].name.clear()),
        changed(|page| page.routers[0].obstacle = Some("x".repeat(241))),
        changed(|page| page.routers[0].settings.address_count = 7),
        changed(|page| page.routers[0].settings.check_count = 7),
        changed(|page| page.routers[0].settings.checks[0].clear()),
        ChannelMessage::TakeRequest { number: 1, vrid: 0, by: "alice".to_owned() },
        ChannelMessage::TakeRequest { number: 1, vrid: 1, by: String::new() },
        ChannelMessage::TakeAnswer { number: 1, answer: TakeAnswer::Refused { why: String::new() } },
        ChannelMessage::Drains { drains: true, forwards: true, proven: vec![SessionId([0; 16])] },
        ChannelMessage::Drains { drains: true, forwards: true, proven: vec![SessionId([1; 16]); 33] },
        ChannelMessage::Draining { vrid: 0, left: 1, oldest_ms: None, lasted_ms: 1, remaining_ms: 1 },
        ChannelMessage::DrainEnded { vrid: 0 },
        ChannelMessage::Forwarding { vrid: 0, listed: 1, packets: 1 },
        connection_chunks(0, &[Connection { local: LOCAL, remote: LOCAL }])
            .pop()
            .map(ChannelMessage::Connections)
            .unwrap(),
    ] {
        let sealed = envelope(message.clone()).seal(&key()).unwrap();
        assert_eq!(Envelope::open(&key(), &sealed), Err(ChannelReject::Contents), "{message:?}");
    }
    // A list without a connection, and one that ends in the middle of a connection.
    let list = connection_chunks(51, &[Connection { local: LOCAL, remote: LOCAL }]).remove(0);
    let sealed = envelope(ChannelMessage::Connections(list)).seal(&key()).unwrap();
    let whole = &sealed[..sealed.len() - TAG];
    assert!(Envelope::open(&key(), &Envelope::signed(&key(), whole)).is_ok());
    for length in 0..6_u8 {
        let mut part = whole[..whole.len() - 7].to_vec();
        part.push(0x40 + length);
        part.extend(vec![1; length.into()]);
        let read = Envelope::open(&key(), &Envelope::signed(&key(), &part));
        assert_eq!(read, Err(ChannelReject::Contents), "{length} octets");
    }
}

#[test]
fn a_field_and_a_message_of_a_later_version_do_no_harm() {
    let sealed = |body: &[u8]| {
        let mut octets = envelope(ChannelMessage::Farewell).seal(&key()).unwrap();
        octets.truncate(HEADER);
        octets.extend(body);
        Envelope::signed(&key(), &octets)
    };
    // A challenge with a second field.
    let later = sealed(&[0x82, 0x00, 0x82, 0x05, 0x61, b'x']);
    let opened = Envelope::open(&key(), &later).map(|opened| opened.message);
    assert_eq!(opened, Ok(ChannelMessage::Challenge { number: 5 }));
    // A message of number 200.
    let unknown = sealed(&[0x82, 0x18, 200, 0x80]);
    assert_eq!(Envelope::open(&key(), &unknown), Err(ChannelReject::LaterMessage(200)));
    let next = sealed(&[0x82, 12, 0x80]);
    assert_eq!(Envelope::open(&key(), &next), Err(ChannelReject::LaterMessage(12)));
    // A message that is known, with contents that are not.
    for known in 0..=11 {
        let damaged = sealed(&[0x82, known, 0x81, 0x81, 0xf6]);
        if known != 3 {
            assert_eq!(Envelope::open(&key(), &damaged), Err(ChannelReject::Contents), "message {known}");
        }
    }
    // An answer of a later version to a request.
    let answer = sealed(&[0x82, 0x05, 0x82, 0x01, 0x82, 0x18, 200, 0x80]);
    assert_eq!(Envelope::open(&key(), &answer), Err(ChannelReject::Contents));
    // A datagram that is longer than any of ours, but in good order.
    let long = sealed(&[&[0x82, 0x00, 0x82, 0x05, 0x59, 0x07, 0xd0][..], &[0; 2_000]].concat());
    assert_eq!(Envelope::open(&key(), &long), Err(ChannelReject::NotOurs));
}

/// What is in octets is fixed as well.
#[test]
fn the_octets_of_a_list_are_fixed() {
    let connection = |remote: &str| Connection {
        local: "192.0.2.50:443".parse().unwrap(),
        remote: remote.parse().unwrap(),
    };
    let list = [connection("198.51.100.7:40000"), connection("198.51.100.8:256")];
    let chunk = connection_chunks(51, &list).remove(0);
    let sealed = envelope(ChannelMessage::Connections(chunk)).seal(&key()).unwrap();
    let mut body = vec![0x82, 10, 0x81, 0x83, 0x18, 51];
    body.extend([0x82, 0, 0x82, 0x44, 192, 0, 2, 50, 0x19, 0x01, 0xbb]);
    body.extend([0x4c, 198, 51, 100, 7, 0x9c, 0x40, 198, 51, 100, 8, 0x01, 0x00]);
    assert_eq!(sealed[HEADER..sealed.len() - TAG], body);
    let drains = ChannelMessage::Drains { drains: true, forwards: false, proven: vec![SessionId([9; 16])] };
    let sealed = envelope(drains).seal(&key()).unwrap();
    let body = [&[0x82, 6, 0x83, 0xf5, 0xf4, 0x81, 0x50][..], &[9; 16]].concat();
    assert_eq!(sealed[HEADER..sealed.len() - TAG], body);
}

fn connections() -> impl Strategy<Value = Vec<Connection>> {
    let port = 1..=u16::MAX;
    let ipv4 = (0..4_u8, 0..3_u16, any::<[u8; 4]>(), port.clone()).prop_map(|(host, local, remote, port)| {
        Connection { local: ([192, 0, 2, host], 443 + local).into(), remote: (remote, port).into() }
    });
    let ipv6 = (0..4_u16, 0..3_u16, any::<[u16; 8]>(), port).prop_map(|(host, local, remote, port)| {
        let address = [0x2001, 0xdb8, 0, 0, 0, 0, 0, host];
        Connection { local: (address, 443 + local).into(), remote: (remote, port).into() }
    });
    let few = proptest::collection::vec(prop_oneof![ipv4.clone(), ipv6.clone()], 0..20);
    let many = (proptest::collection::vec(ipv4, 0..1_000), proptest::collection::vec(ipv6, 0..400));
    prop_oneof![few, many.prop_map(|(ipv4, ipv6)| [ipv4, ipv6].concat())]
}

#[test]
fn full_chunks_use_the_whole_datagram() {
    for (address, most) in [("192.0.2.50:443", 189), ("[2001:db8::50]:443", 62)] {
        let local: SocketAddr = address.parse().unwrap();
        let connection = |port| Connection { local, remote: SocketAddr::new(local.ip(), port) };
        let chunks = connection_chunks(255, &(1..=2_000).map(connection).collect::<Vec<_>>());
        let lengths: Vec<_> = chunks.iter().map(|chunk| chunk.connections().count()).collect();
        assert_eq!(lengths[0], most);
        assert!(lengths[..lengths.len() - 1].iter().all(|length| *length == most));
        let octets = envelope(ChannelMessage::Connections(chunks[0].clone())).seal(&key()).unwrap().len();
        let end = if local.is_ipv4() { 6 } else { 18 };
        assert!(octets + end > CHANNEL_PAYLOAD_MAX, "{octets}");
    }
}

#[test]
fn what_only_this_node_understands_is_not_sent() {
    let scoped = Connection {
        local: SocketAddrV6::new("fe80::1".parse().unwrap(), 443, 0, 3).into(),
        remote: SocketAddrV6::new("fe80::2".parse().unwrap(), 40_000, 7, 3).into(),
    };
    let mixed = Connection { local: "192.0.2.50:443".parse().unwrap(), ..scoped };
    let chunks = connection_chunks(51, &[scoped, mixed]);
    let read: Vec<_> = chunks.iter().flat_map(ConnectionChunk::connections).collect();
    let plain = |text: &str| text.parse::<SocketAddr>().unwrap();
    assert_eq!(read, [Connection { local: plain("[fe80::1]:443"), remote: plain("[fe80::2]:40000") }]);
}

proptest! {
    #[test]
    fn connections_that_were_split_and_joined_are_the_same(connections in connections()) {
        let mut joined = BTreeSet::new();
        for chunk in connection_chunks(51, &connections) {
            let message = ChannelMessage::Connections(chunk);
            let sealed = envelope(message.clone()).seal(&key()).expect("it was made to fit");
            let opened = Envelope::open(&key(), &sealed).expect("what we send, we accept").message;
            prop_assert_eq!(&opened, &message);
            let ChannelMessage::Connections(chunk) = opened else { unreachable!("it is the same") };
            prop_assert_eq!(chunk.vrid(), 51);
            joined.extend(chunk.connections());
        }
        prop_assert_eq!(joined, connections.into_iter().collect::<BTreeSet<_>>());
    }

    #[test]
    fn nothing_makes_the_reader_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Envelope::open(&key(), &octets);
        // The same octets from somebody who has the key.
        let mut sealed = b"VRC\x01".to_vec();
        sealed.extend(&octets);
        if let Ok(envelope) = Envelope::open(&key(), &Envelope::signed(&key(), &sealed)) {
            let written = envelope.seal(&key()).expect("what was read can be written");
            prop_assert_eq!(Envelope::open(&key(), &written), Ok(envelope));
        }
    }
}
