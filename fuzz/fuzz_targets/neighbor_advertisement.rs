//! The input is an ICMPv6 message as a raw socket delivers it, without its IPv6 header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vrrpd_core::types::Family;
use vrrpd_fuzz::an_announcement_survives;

fuzz_target!(|packet: &[u8]| an_announcement_survives(Family::Ipv6, packet));
