//! The codec is tested against messages that others computed, and against damaged messages.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod vectors;

use std::net::IpAddr;
use vectors::{CAPTURED, F01, F20, Form, G01, N01, VECTORS, Vector, Verdict, from_hex, vector};
use vrrpd_core::types::{AdverInterval, AdvertPriority, Authentication, Family, MacAddr, Version, Vrid};
use vrrpd_core::wire::{
    Advertisement, Announcement, Carrier, ChecksumFlavour, Draft, HeardAuthentication, Reject, emit, parse,
    split_ipv4,
};

fn carrier_of(vector: &Vector) -> Carrier {
    let source: IpAddr = vector.source.parse().unwrap();
    Carrier { source, destination: Family::of(source).group(), ttl: 255 }
}

/// What was parsed, in the format of the table.
fn summary(parsed: &Result<Advertisement<'_>, Reject>) -> Result<(u8, u8, u16, Vec<String>), &'static str> {
    match parsed {
        Ok(advertisement) => Ok((
            advertisement.vrid.get(),
            advertisement.priority.get(),
            advertisement.interval.centiseconds(),
            advertisement.addresses.iter().map(|address| address.to_string()).collect(),
        )),
        Err(reject) => Err(reject.reason.as_str()),
    }
}

fn expected(vector: &Vector) -> Result<(u8, u8, u16, Vec<String>), &'static str> {
    match vector.verdict {
        Verdict::Accepted { vrid, priority, centiseconds, addresses } => {
            Ok((vrid, priority, centiseconds, addresses.iter().map(ToString::to_string).collect()))
        }
        Verdict::Rejected(counter) => Err(counter),
    }
}

const fn flavour(form: Form) -> ChecksumFlavour {
    match form {
        Form::M => ChecksumFlavour::Rfc9568,
        Form::P => ChecksumFlavour::Rfc5798,
    }
}

/// What we write for a message that was read; `None` for an authentication that is never written.
fn re_emitted(source: IpAddr, heard: &Advertisement<'_>) -> Option<Vec<u8>> {
    let Advertisement { version, vrid, priority, interval, addresses, authentication, checksum } = *heard;
    let HeardAuthentication::Readable(authentication) = authentication else { return None };
    let mut out = Vec::new();
    let destination = Family::of(source).group();
    let draft = Draft { version, source, destination, vrid, priority, interval, authentication, checksum };
    emit(&draft, addresses.iter(), &mut out).unwrap();
    Some(out)
}

// T33, T34, T35, T36, T37, T38, RFC9568-7.1-4, RFC9568-5.2.6-2, RFC9568-5.2.8-1, RFC9568-5.2.8-2, RFC9568-5.2.8-4
#[test]
fn every_vector_is_read_as_the_table_says() {
    for vector in VECTORS {
        let octets = vector.octets();
        let parsed = parse(&carrier_of(vector), &octets);
        assert_eq!(summary(&parsed), expected(vector), "{}", vector.name());
        match parsed {
            Ok(advertisement) => {
                assert_eq!(advertisement.checksum, flavour(vector.form), "{}", vector.name())
            }
            Err(reject) => assert_eq!(reject.vrid, Vrid::new(51).ok(), "{}", vector.name()),
        }
    }
}

#[test]
fn the_table_has_every_vector_in_every_form() {
    let forms = |form| VECTORS.iter().filter(|v| v.form == form).map(|v| v.id).collect::<Vec<_>>();
    assert_eq!(forms(Form::M).len(), 37, "P01..P18, P20..P26, P30..P35, P40..P45");
    assert_eq!(forms(Form::P), forms(Form::M)[..18], "P01..P18");
}

// RFC9568-5.2.6-1, RFC9568-5.2.8-1
#[test]
fn every_accepted_vector_is_written_as_others_wrote_it() {
    for vector in VECTORS {
        let mut octets = vector.octets();
        let carrier = carrier_of(vector);
        let Ok(advertisement) = parse(&carrier, &octets) else { continue };
        let written = re_emitted(carrier.source, &advertisement).unwrap();
        if vector.id == "P09" {
            // RFC 9568 §5.2.6: Reserve is sent as 0, and the checksum is adjusted for it.
            octets = from_hex(match vector.form {
                Form::M => "3133c80100644368c00002fe",
                Form::P => "3133c8010064a0d7c00002fe",
            });
        }
        assert_eq!(written, octets, "{}", vector.name());
    }
}

#[test]
fn the_ipv6_rule_of_the_first_address_is_left_to_the_configuration() {
    for (id, link_local) in [("P20", true), ("P22", false)] {
        let vector = vector(id, Form::M);
        let octets = vector.octets();
        let advertisement = parse(&carrier_of(vector), &octets).unwrap();
        assert_eq!(advertisement.addresses.first_is_link_local(), link_local, "{id}");
    }
}

// RFC9568-5.2.8-3
/// T44: the two checksums that mean the same value.
#[test]
fn a_checksum_of_zero_is_accepted_in_both_of_its_forms() {
    for form in [Form::M, Form::P] {
        let vector = vector("P17", form);
        let mut octets = vector.octets();
        assert_eq!(octets[6..8], [0, 0]);
        assert!(parse(&carrier_of(vector), &octets).is_ok());
        octets[6..8].fill(0xff);
        assert!(parse(&carrier_of(vector), &octets).is_ok());
    }
}

#[test]
fn the_frame_f01_carries_p01_with_and_without_padding() {
    let p01 = vector("P01", Form::M);
    for padding in [0, 14, 1000] {
        let mut frame = from_hex(F01);
        frame.extend(vec![0xaa; padding]);
        let (carrier, payload) = split_ipv4(&frame[14..]).unwrap();
        assert_eq!(carrier, carrier_of(p01), "padding {padding}");
        assert_eq!(payload, p01.octets(), "padding {padding}");
        assert!(parse(&carrier, payload).is_ok(), "padding {padding}");
    }
}

/// What a raw socket delivers of the frames that keepalived and FRR sent.
#[test]
fn the_captured_frames_carry_their_vectors() {
    let captured: Vec<_> = CAPTURED.iter().map(|captured| captured.id).collect();
    assert_eq!(captured, ["P40", "P41", "P42", "P43", "P44", "P45"]);
    for captured in CAPTURED {
        let (vector, frame) = (vector(captured.id, Form::M), from_hex(captured.frame));
        let (carrier, payload) = split_ipv4(&frame[14..]).unwrap();
        assert_eq!(carrier, carrier_of(vector), "{captured:?}");
        assert_eq!(payload, vector.octets(), "{captured:?}");
    }
}

#[test]
fn the_frame_f20_carries_p20() {
    let frame = from_hex(F20);
    let (header, payload) = frame[14..].split_at(40);
    let address = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&header[at..at + 16]).unwrap());
    let carrier = Carrier { source: address(8), destination: address(24), ttl: header[7] };
    assert_eq!(usize::from(header[5]), payload.len());
    assert_eq!(carrier, carrier_of(vector("P20", Form::M)));
    let advertisement = parse(&carrier, payload).unwrap();
    assert_eq!(re_emitted(carrier.source, &advertisement).unwrap(), payload);
}

// RFC9568-5.2.1-1, RFC9568-5.2.2-1, RFC9568-5.2.5-1, RFC9568-5.2.6-1
/// The contents of the frames are what we send for the same configuration.
#[test]
fn an_advertisement_of_that_configuration_is_f01() {
    let draft = Draft {
        version: Version::V3,
        source: [192, 0, 2, 1].into(),
        destination: Family::Ipv4.group(),
        vrid: Vrid::new(51).unwrap(),
        priority: AdvertPriority::from_wire(100),
        interval: AdverInterval::default(),
        authentication: Authentication::None,
        checksum: ChecksumFlavour::Rfc9568,
    };
    let mut out = Vec::new();
    emit(&draft, [IpAddr::from([192, 0, 2, 254])], &mut out).unwrap();
    assert_eq!(out, from_hex(F01)[34..]);
}

/// The seeds of `fuzz/` are these vectors, so that the fuzzer begins with messages that pass every
/// check.
#[test]
fn the_fuzz_corpus_holds_every_vector() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/advert_parse");
    for vector in VECTORS {
        let seed = corpus.join(format!("seed-{}", vector.name()));
        assert_eq!(std::fs::read(&seed).unwrap(), vector.octets(), "{}", seed.display());
    }
    let packet = std::fs::read(corpus.with_file_name("ipv4_packet").join("seed-F01")).unwrap();
    assert_eq!(packet, from_hex(F01)[14..]);
    for (target, seed, packet) in [
        ("arp_packet", "seed-G01", &from_hex(G01)[14..]),
        ("neighbor_advertisement", "seed-N01", &from_hex(N01)[54..]),
    ] {
        assert_eq!(std::fs::read(corpus.with_file_name(target).join(seed)).unwrap(), packet, "{target}");
    }
}

// RFC9568-8.1.2-2, RFC9568-8.2.2-1
/// What we write is what others computed, and it is read as it was meant.
#[test]
fn the_announcements_of_a_router_that_becomes_active_are_g01_and_n01() {
    for (address, vector, headers) in [("192.0.2.254", G01, 14), ("2001:db8:51::fe", N01, 54)] {
        let address: IpAddr = address.parse().unwrap();
        let family = Family::of(address);
        let mac = MacAddr::virtual_router(family, Vrid::new(51).unwrap());
        let announcement = Announcement { address, mac };
        let octets = from_hex(vector);
        assert_eq!(announcement.frame().as_bytes(), octets, "{address}");
        assert_eq!(Announcement::read(family, &octets[headers..]), Some(announcement), "{address}");
    }
}

/// Reproducible random numbers (SplitMix64): the run is the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn octet(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }
}

/// A vector with a few octets changed, cut or added. Its checksum is corrected half of the time, so
/// that the damage reaches the checks after the checksum.
fn damaged(random: &mut Random) -> (Carrier, Vec<u8>) {
    let vector = &VECTORS[random.below(VECTORS.len())];
    let mut octets = vector.octets();
    for _ in 0..random.below(3) {
        let at = random.below(octets.len());
        octets[at] = random.octet();
    }
    match random.below(8) {
        0 => octets.truncate(random.below(octets.len() + 1)),
        1 => octets.extend((0..random.below(40)).map(|_| 0)),
        2 => octets = (0..random.below(1500)).map(|_| random.octet()).collect(),
        _ => {}
    }
    if octets.len() >= 8 && Family::of(carrier_of(vector).source) == Family::Ipv4 && random.below(2) == 0 {
        repair_checksum(&mut octets);
    }
    (carrier_of(vector), octets)
}

fn repair_checksum(message: &mut [u8]) {
    message[6..8].fill(0);
    let word = |octets: &[u8]| u32::from(octets[0]) << 8 | octets.get(1).map_or(0, |low| u32::from(*low));
    let mut sum: u32 = message.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    message[6..8].copy_from_slice(&(!sum).to_be_bytes()[2..]);
}

// RFC9568-7.1-10
#[test]
fn two_hundred_thousand_damaged_messages_are_rejected_or_mean_what_they_say() {
    let mut random = Random(51);
    let mut accepted = 0;
    let mut reasons = std::collections::BTreeMap::new();
    for round in 0..200_000 {
        let (carrier, octets) = damaged(&mut random);
        match parse(&carrier, &octets) {
            Ok(advertisement) => {
                accepted += 1;
                let Some(written) = re_emitted(carrier.source, &advertisement) else { continue };
                let again = parse(&carrier, &written).unwrap();
                assert_eq!(again, advertisement, "round {round}: {octets:02x?}");
                assert_eq!(written.len(), octets.len(), "round {round}: {octets:02x?}");
            }
            Err(reject) => *reasons.entry(reject.reason).or_insert(0) += 1,
        }
    }
    assert!(accepted > 20_000, "{accepted}: the damage hides the accepting half of the codec");
    let reached: Vec<_> = reasons.keys().map(|reason| reason.as_str()).collect();
    assert_eq!(
        reached,
        [
            "packet_length_errors",
            "version_errors",
            "invalid_type_pkts_rcvd",
            "checksum_errors",
            "vrid_errors",
            "addr_count_errors",
            "interval_zero",
            "invalid_auth_type"
        ],
        "every check behind the carrier's is reached: {reasons:?}"
    );
}
