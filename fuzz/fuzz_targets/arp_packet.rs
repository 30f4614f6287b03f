//! The input is an ARP packet as a packet socket delivers it, without its Ethernet header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vrrpd_core::types::Family;
use vrrpd_fuzz::an_announcement_survives;

fuzz_target!(|packet: &[u8]| an_announcement_survives(Family::Ipv4, packet));
