//! The IPv4 packet as a raw socket of Linux delivers it: header included, link padding possible.
//!
//! IPv6 has no counterpart: its raw sockets deliver the payload alone, and the facts of the header
//! as control messages.

use super::advert::{Carrier, Reject, RejectReason};
use std::net::IpAddr;

/// Octets of a header without options.
const MINIMAL_HEADER: usize = 20;
/// More Fragments, and the Fragment Offset.
const FRAGMENT_BITS: u16 = 0x3fff;

/// Splits a packet into the facts of its header and its payload, as long as the *header* says:
/// Ethernet pads the smallest advertisement by 14 octets.
///
/// Options are skipped. The kernel has verified the header's checksum, and reassembled fragments.
///
/// # Errors
/// [`RejectReason::PacketLengthErrors`] for what is not one whole IPv4 packet.
pub fn split_ipv4(packet: &[u8]) -> Result<(Carrier, &[u8]), Reject> {
    let incomplete = Reject { reason: RejectReason::PacketLengthErrors, vrid: None };
    let Some((header, _)) = packet.split_first_chunk::<MINIMAL_HEADER>() else {
        return Err(incomplete);
    };
    let [first, _, len_high, len_low, _, _, frag_high, frag_low, ttl, _, _, _, addresses @ ..] = *header;
    let [s0, s1, s2, s3, d0, d1, d2, d3] = addresses;
    let header_len = usize::from(first & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([len_high, len_low]));
    let fragment = u16::from_be_bytes([frag_high, frag_low]) & FRAGMENT_BITS != 0;
    if first >> 4 != 4 || header_len < MINIMAL_HEADER || fragment {
        return Err(incomplete);
    }
    // RFC9568-7.1-16, RFC9568-7.1-13
    let payload = packet.get(header_len..total_len).ok_or(incomplete)?;
    let carrier =
        Carrier { source: IpAddr::from([s0, s1, s2, s3]), destination: IpAddr::from([d0, d1, d2, d3]), ttl };
    Ok((carrier, payload))
}
