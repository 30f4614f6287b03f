//! The input is an IPv4 packet as a raw socket delivers it; it is also read in an Ethernet frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vrrpd_core::wire::{split_ipv4, split_ipv4_frame};
use vrrpd_fuzz::accepted_messages_survive;

fuzz_target!(|packet: &[u8]| {
    let frame = [&[0; 14], packet].concat();
    let split = split_ipv4(packet);
    if let Ok(below_ip) = split_ipv4_frame(&frame) {
        assert_eq!(split, Ok(below_ip), "only the header's checksum is looked at as well");
    }
    let Ok((carrier, payload)) = split else { return };
    assert!(payload.len() + 20 <= packet.len());
    accepted_messages_survive(&carrier, payload);
});
