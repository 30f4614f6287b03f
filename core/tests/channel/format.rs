//! The octets of every message are fixed.

use super::lan::{key_of, report};
use std::net::SocketAddr;
use std::path::Path;
use vrrpd_core::types::Connection;
use vrrpd_core::wire::channel::{
    ChannelMessage, Envelope, ReportedSettings, ReportedState, RouterReport, SessionId, TakeAnswer,
    connection_chunks, pages,
};

/// Octets of the signature, which fuzzing writes itself.
const SIGNATURE: usize = 32;

fn envelope(message: ChannelMessage) -> Envelope {
    Envelope { from: SessionId([1; 16]), to: Some(SessionId([2; 16])), counter: 9, message }
}

/// The seeds of fuzzing are one of each message: their octets must never be read as anything else.
#[test]
fn the_fuzz_corpus_holds_every_message_and_its_octets_are_fixed() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/channel_message");
    let settings = ReportedSettings {
        version: 3,
        interval_ms: 1_000,
        addresses: vec!["192.0.2.50".parse().unwrap(), "2001:db8::50".parse().unwrap()],
        address_count: 2,
        address_digest: 0x0123_4567_89ab_cdef,
        checks: vec!["nginx".to_owned()],
        check_count: 1,
    };
    let obstacle = Some("check nginx fails".to_owned());
    let report =
        RouterReport { name: "web".to_owned(), obstacle, settings, ..report(ReportedState::Backup, 100) };
    let ipv4: SocketAddr = "192.0.2.50:443".parse().unwrap();
    let ipv6: SocketAddr = "[2001:db8::50]:443".parse().unwrap();
    let chunk = |local| connection_chunks(51, &[Connection { local, remote: local }; 2]).remove(0);
    let messages = [
        ("M00", ChannelMessage::Challenge { number: 5 }),
        ("M01", ChannelMessage::Response { number: 5 }),
        ("M02", ChannelMessage::Report(pages(7, "fe0", "0.1.0", &[report]).remove(0))),
        ("M03", ChannelMessage::Farewell),
        ("M04", ChannelMessage::TakeRequest { number: 3, vrid: 51, by: "alice".to_owned() }),
        ("M05", ChannelMessage::TakeAnswer { number: 3, answer: TakeAnswer::refusal("demoted by alice") }),
        ("M06", ChannelMessage::Drains { drains: true, forwards: false, proven: vec![SessionId([9; 16])] }),
        ("M07", ChannelMessage::Probe { number: 300 }),
        (
            "M08",
            ChannelMessage::Draining {
                vrid: 51,
                left: 37,
                oldest_ms: Some(70_000),
                lasted_ms: 1_500,
                remaining_ms: 598_500,
            },
        ),
        ("M09", ChannelMessage::DrainEnded { vrid: 51 }),
        ("M10", ChannelMessage::Connections(chunk(ipv4))),
        ("M10-ipv6", ChannelMessage::Connections(chunk(ipv6))),
        ("M11", ChannelMessage::Forwarding { vrid: 51, listed: 37, packets: 70_000 }),
    ];
    for (name, message) in messages {
        let mut octets = envelope(message.clone()).seal(&key_of(7)).unwrap();
        octets.truncate(octets.len() - SIGNATURE);
        let file = corpus.join(format!("seed-{name}"));
        let seed = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(seed, octets, "{name}");
        let read =
            Envelope::open(&key_of(7), &Envelope::signed(&key_of(7), &seed)).map(|opened| opened.message);
        assert_eq!(read, Ok(message), "{name}");
    }
}
