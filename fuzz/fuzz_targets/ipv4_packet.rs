//! Input: an IPv4 packet as a raw socket delivers it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vrrpd_core::wire::split_ipv4;
use vrrpd_fuzz::accepted_messages_survive;

fuzz_target!(|packet: &[u8]| {
    let Ok((carrier, payload)) = split_ipv4(packet) else { return };
    assert!(payload.len() + 20 <= packet.len());
    accepted_messages_survive(&carrier, payload);
});
