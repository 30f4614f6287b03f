//! RFC 9568 §5: our advertisements, octet by octet, compared with a second encoder.

use super::support::frame::Checksum;
use super::support::inject::Forgery;
use super::support::ms;
use super::{Bench, VIP, v4, v6};

/// The frame of the first advertisement.
fn first_frame(bench: &Bench) -> Vec<u8> {
    let advert = bench.first_advert(bench.started);
    let frames = bench.lab.capture().frames(advert.at);
    frames.into_iter().find(|seen| seen.at == advert.at && seen.node == super::DUT).expect("its frame").bytes
}

// T04
#[test]
fn the_ipv4_advertisement_octet_by_octet() {
    let router = v4().interval("100ms").addresses(&["192.0.2.254/24", "192.0.2.253/24"]).priority(123);
    let bench = Bench::active(&router);
    let expected = Forgery::new(bench.dut_v4(), 51, 123, 10).addresses(&[VIP, "192.0.2.253"]).frame();
    let mut frame = first_frame(&bench);
    assert_eq!(frame[..6], [0x01, 0x00, 0x5e, 0x00, 0x00, 0x12], "destination MAC");
    assert_eq!(frame[6..12], bench.node().mac(), "source MAC: the interface's until virtual MAC");
    assert_eq!(frame[15], 0xc0, "CS6");
    assert_eq!((frame[22], frame[23]), (255, 112), "TTL and protocol");
    assert_eq!(frame[26..34], [192, 0, 2, 11, 224, 0, 0, 18], "addresses");
    // The kernel chooses identification and flags, and with them the header's checksum.
    frame[6..12].copy_from_slice(&expected[6..12]);
    for free in [18, 19, 20, 21, 24, 25] {
        frame[free] = expected[free];
    }
    assert_eq!(frame, expected);
}

// T05
#[test]
fn the_ipv6_advertisement_octet_by_octet() {
    let bench = Bench::active(&v6().interval("100ms").priority(123));
    let six = ["fe80::51", "2001:db8:51::fe"];
    let expected = Forgery::new(bench.dut_v6(), 51, 123, 10).addresses(&six).frame();
    let mut frame = first_frame(&bench);
    assert_eq!(frame[6..12], bench.node().mac(), "source MAC: the interface's until virtual MAC");
    assert_eq!(frame[21], 255, "hop limit");
    frame[6..12].copy_from_slice(&expected[6..12]);
    // The kernel chooses the flow label.
    frame[15] = (frame[15] & 0xf0) | (expected[15] & 0x0f);
    frame[16..18].copy_from_slice(&expected[16..18]);
    assert_eq!(frame, expected);
}

#[test]
fn the_checksum_flavour_can_be_fixed() {
    for (value, expected) in [("rfc9568", Checksum::Message), ("rfc5798", Checksum::PseudoHeader)] {
        let bench = Bench::active(&v4().interval("100ms").key("checksum", &format!("{value:?}")));
        assert_eq!(bench.first_advert(bench.started).checksum, expected, "{value}");
        // A fixed flavour does not follow that of another router.
        let other = if expected == Checksum::Message { super::Form::P } else { super::Form::M };
        bench.say(&super::frame_of(super::vector("P16", other)));
        let later = bench.first_advert(bench.lab.capture().now() + ms(50));
        assert_eq!(later.checksum, expected, "{value}");
    }
}
