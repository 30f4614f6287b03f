//! The input is an IP payload. It is read as IPv4 and as IPv6, unchanged and with a good checksum,
//! and with a good checksum as VRRPv2 with a password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vrrpd_core::wire::ChecksumFlavour;
use vrrpd_fuzz::{V4, V6, accepted_messages_survive, with_good_checksum, with_password};

fuzz_target!(|payload: &[u8]| {
    for carrier in [&V4, &V6] {
        accepted_messages_survive(carrier, payload);
        for flavour in [ChecksumFlavour::Rfc9568, ChecksumFlavour::Rfc5798] {
            accepted_messages_survive(carrier, &with_good_checksum(carrier, payload, flavour));
        }
    }
    let version2 = with_good_checksum(&V4, &with_password(payload), ChecksumFlavour::Rfc9568);
    accepted_messages_survive(&V4, &version2);
});
