//! The IPv4 packet that carries a message: it comes from a raw socket of Linux, which includes the
//! header, or in an Ethernet frame from a packet socket. Padding of the link may follow the packet.
//!
//! IPv6 does not need this: its raw sockets deliver the payload alone, and the facts of the header
//! as control messages.

use super::advert::{Carrier, Reject, RejectReason};
use super::checksum::Sum;
use super::ethernet::ETHERNET_HEADER;
use pnet::packet::ipv4::{Ipv4Flags, Ipv4Packet};
use std::net::IpAddr;

/// The octets of a header without options.
const MINIMAL_HEADER: usize = Ipv4Packet::minimum_packet_size();

/// Splits a packet into the facts of its header and its payload. The payload ends where the
/// *header* says, because Ethernet pads the smallest advertisement by 14 octets.
///
/// Options are skipped. The kernel has verified the checksum of the header, and reassembled
/// fragments.
///
/// # Errors
/// [`RejectReason::PacketLengthErrors`] if the octets are not one whole IPv4 packet.
pub fn split_ipv4(packet: &[u8]) -> Result<(Carrier, &[u8]), Reject> {
    let incomplete = Reject { reason: RejectReason::PacketLengthErrors, vrid: None, version: None };
    let ipv4 = Ipv4Packet::new(packet).ok_or(incomplete)?;
    let header_len = header_len(&ipv4);
    let more_fragments = ipv4.get_flags() & Ipv4Flags::MoreFragments != 0;
    let fragment = more_fragments || ipv4.get_fragment_offset() != 0;
    if ipv4.get_version() != 4 || header_len < MINIMAL_HEADER || fragment {
        return Err(incomplete);
    }
    // RFC9568-7.1-16, RFC9568-7.1-13
    let payload = packet.get(header_len..usize::from(ipv4.get_total_length())).ok_or(incomplete)?;
    let carrier = Carrier {
        source: IpAddr::from(ipv4.get_source().octets()),
        destination: IpAddr::from(ipv4.get_destination().octets()),
        ttl: ipv4.get_ttl(),
    };
    Ok((carrier, payload))
}

/// Splits the packet in an Ethernet frame without a VLAN tag as [`split_ipv4`] does. Below IP the
/// kernel has checked nothing, so the checksum of the header is verified here, and a fragment is
/// refused.
///
/// # Errors
/// [`RejectReason::PacketLengthErrors`] if the octets are not one whole and intact IPv4 packet.
pub fn split_ipv4_frame(frame: &[u8]) -> Result<(Carrier, &[u8]), Reject> {
    let damaged = Reject { reason: RejectReason::PacketLengthErrors, vrid: None, version: None };
    let packet = frame.get(ETHERNET_HEADER..).ok_or(damaged)?;
    let ipv4 = Ipv4Packet::new(packet).ok_or(damaged)?;
    let header = packet.get(..header_len(&ipv4)).ok_or(damaged)?;
    if !Sum::new().octets(header).verifies() {
        return Err(damaged);
    }
    split_ipv4(packet)
}

fn header_len(ipv4: &Ipv4Packet<'_>) -> usize {
    usize::from(ipv4.get_header_length()) * 4
}
