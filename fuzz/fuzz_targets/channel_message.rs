//! The input is a datagram that a node received from another one, as it is and with a good signature.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vrrpd_fuzz::a_channel_message_survives;

fuzz_target!(|octets: &[u8]| a_channel_message_survives(octets));
