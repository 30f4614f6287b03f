//! Probe frames: do packets with a foreign source, which are forwarded to a node on the link, arrive
//! there?
//!
//! A switch or a hypervisor may drop frames whose source address does not belong to their sender. A
//! probe is such a frame: an IP packet from an address of documentation, which belongs to nobody
//! anywhere, to the node's own address. It is a TCP segment with RST, because no kernel answers one
//! (RFC 9293 §3.10.7.1), and its payload is a message of the channel, which is authenticated.

use super::ethernet::ETHERNET_HEADER;
use crate::types::{Family, MacAddr};
use pnet::packet::Packet;
use pnet::packet::ethernet::{EtherTypes, MutableEthernetPacket};
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::packet::ipv4::{self, Ipv4Packet, MutableIpv4Packet};
use pnet::packet::ipv6::{Ipv6Packet, MutableIpv6Packet};
use pnet::packet::tcp::{self, MutableTcpPacket, TcpFlags, TcpPacket};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The source of IPv4 probes, of TEST-NET-3 (RFC 5737).
pub const PROBE_SOURCE_IPV4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The source of IPv6 probes, of the prefix for documentation (RFC 3849).
pub const PROBE_SOURCE_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
/// Both ports of a probe: the service `discard`.
pub const PROBE_PORT: u16 = 9;
/// The most octets of a payload: any link that carries IPv6 carries such a packet.
pub const LONGEST_PROBE: usize = 1200;

const TCP: IpNextHeaderProtocol = IpNextHeaderProtocols::Tcp;
const IPV4_HEADER: usize = Ipv4Packet::minimum_packet_size();
const IPV6_HEADER: usize = Ipv6Packet::minimum_packet_size();
const TCP_HEADER: usize = TcpPacket::minimum_packet_size();
/// That of Linux for packets of its own.
const HOPS: u8 = 64;

/// The octets of a probe frame between two nodes on a link; nothing if the payload is longer than
/// [`LONGEST_PROBE`].
#[must_use]
pub fn write_probe(from: MacAddr, to: MacAddr, address: IpAddr, payload: &[u8]) -> Option<Vec<u8>> {
    if payload.len() > LONGEST_PROBE {
        return None;
    }
    let (header, ethernet_type) = match address {
        IpAddr::V4(_) => (IPV4_HEADER, EtherTypes::Ipv4),
        IpAddr::V6(_) => (IPV6_HEADER, EtherTypes::Ipv6),
    };
    let segment = TCP_HEADER + payload.len();
    let mut octets = vec![0; ETHERNET_HEADER + header + segment];
    let (ethernet, packet) = octets.split_at_mut_checked(ETHERNET_HEADER)?;
    let mut ethernet = MutableEthernetPacket::new(ethernet)?;
    ethernet.set_destination(to.0.into());
    ethernet.set_source(from.0.into());
    ethernet.set_ethertype(ethernet_type);
    let (header, octets_of_segment) = packet.split_at_mut_checked(header)?;
    write_segment(octets_of_segment, address, payload)?;
    match address {
        IpAddr::V4(address) => write_ipv4(header, address, segment)?,
        IpAddr::V6(address) => write_ipv6(header, address, segment)?,
    }
    Some(octets)
}

fn write_ipv4(header: &mut [u8], address: Ipv4Addr, segment: usize) -> Option<()> {
    let length = u16::try_from(header.len() + segment).ok()?;
    let mut ip = MutableIpv4Packet::new(header)?;
    ip.set_version(4);
    ip.set_header_length(5);
    ip.set_total_length(length);
    ip.set_ttl(HOPS);
    ip.set_next_level_protocol(TCP);
    ip.set_source(PROBE_SOURCE_IPV4.octets().into());
    ip.set_destination(address.octets().into());
    ip.set_checksum(ipv4::checksum(&ip.to_immutable()));
    Some(())
}

fn write_ipv6(header: &mut [u8], address: Ipv6Addr, segment: usize) -> Option<()> {
    let length = u16::try_from(segment).ok()?;
    let mut ip = MutableIpv6Packet::new(header)?;
    ip.set_version(6);
    ip.set_payload_length(length);
    ip.set_next_header(TCP);
    ip.set_hop_limit(HOPS);
    ip.set_source(PROBE_SOURCE_IPV6.octets().into());
    ip.set_destination(address.octets().into());
    Some(())
}

fn write_segment(octets: &mut [u8], address: IpAddr, payload: &[u8]) -> Option<()> {
    let mut segment = MutableTcpPacket::new(octets)?;
    segment.set_source(PROBE_PORT);
    segment.set_destination(PROBE_PORT);
    segment.set_data_offset(5);
    segment.set_flags(TcpFlags::RST);
    segment.set_payload(payload);
    let sum = checksum(&segment.to_immutable(), address);
    segment.set_checksum(sum);
    Some(())
}

/// The checksum of a probe's segment to this address.
fn checksum(segment: &TcpPacket<'_>, address: IpAddr) -> u16 {
    match address {
        IpAddr::V4(address) => {
            tcp::ipv4_checksum(segment, &PROBE_SOURCE_IPV4.octets().into(), &address.octets().into())
        }
        IpAddr::V6(address) => {
            tcp::ipv6_checksum(segment, &PROBE_SOURCE_IPV6.octets().into(), &address.octets().into())
        }
    }
}

/// The payload of a probe, from an IP packet of this family behind which the padding of the link may
/// follow; nothing if it is not a whole and intact probe.
#[must_use]
pub fn read_probe(family: Family, packet: &[u8]) -> Option<Vec<u8>> {
    let (address, segment) = match family {
        Family::Ipv4 => {
            let ip = Ipv4Packet::new(packet)?;
            let is_plain = ip.get_version() == 4
                && ip.get_header_length() == 5
                && (ip.get_flags() & ipv4::Ipv4Flags::MoreFragments, ip.get_fragment_offset()) == (0, 0)
                && ipv4::checksum(&ip) == ip.get_checksum();
            let is_ours =
                ip.get_next_level_protocol() == TCP && ip.get_source().octets() == PROBE_SOURCE_IPV4.octets();
            let segment = packet.get(IPV4_HEADER..usize::from(ip.get_total_length()))?;
            (is_plain && is_ours).then_some((IpAddr::from(ip.get_destination().octets()), segment))?
        }
        Family::Ipv6 => {
            let ip = Ipv6Packet::new(packet)?;
            let is_ours = ip.get_version() == 6
                && ip.get_next_header() == TCP
                && ip.get_source().octets() == PROBE_SOURCE_IPV6.octets();
            let segment = packet.get(IPV6_HEADER..)?.get(..usize::from(ip.get_payload_length()))?;
            is_ours.then_some((IpAddr::from(ip.get_destination().octets()), segment))?
        }
    };
    let segment = TcpPacket::new(segment)?;
    let is_probe = (segment.get_source(), segment.get_destination()) == (PROBE_PORT, PROBE_PORT)
        && segment.get_data_offset() == 5
        && segment.get_flags() == TcpFlags::RST
        && checksum(&segment, address) == segment.get_checksum();
    is_probe.then(|| segment.payload().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FROM: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const TO: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn address(family: Family) -> IpAddr {
        match family {
            Family::Ipv4 => IpAddr::from([192, 0, 2, 11]),
            Family::Ipv6 => "fe80::11".parse().unwrap(),
        }
    }

    fn packet(family: Family, payload: &[u8]) -> Vec<u8> {
        write_probe(FROM, TO, address(family), payload).unwrap()[ETHERNET_HEADER..].to_vec()
    }

    /// The checksums are computed by hand, as RFC 791 and RFC 9293 §3.1 say.
    #[test]
    fn an_ipv4_probe_has_these_octets() {
        let expected: [&[u8]; 4] = [
            &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00],
            &[0x45, 0, 0, 42, 0, 0, 0, 0, 64, 6, 0, 0, 203, 0, 113, 1, 192, 0, 2, 11],
            &[0, 9, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x04, 0, 0, 0, 0, 0, 0],
            &[0xca, 0xfe],
        ];
        let mut expected = expected.concat();
        // 4500 + 002a + 4006 + cb00 + 7101 + c000 + 020b = 2833c; 833c + 2 = 833e; not: 7cc1.
        expected[24..26].copy_from_slice(&[0x7c, 0xc1]);
        // cb00 + 7101 + c000 + 020b + 0006 + 0016 + 0009 + 0009 + 5004 + cafe = 3193c; 193c + 3 = 193f; not:
        // e6c0.
        expected[50..52].copy_from_slice(&[0xe6, 0xc0]);
        assert_eq!(write_probe(FROM, TO, address(Family::Ipv4), &[0xca, 0xfe]).unwrap(), expected);
    }

    #[test]
    fn an_ipv6_probe_has_these_octets() {
        let octets = write_probe(FROM, TO, address(Family::Ipv6), &[0xca, 0xfe]).unwrap();
        assert_eq!(octets[12..14], [0x86, 0xdd]);
        assert_eq!(octets[14..22], [0x60, 0, 0, 0, 0, 22, 6, 64]);
        assert_eq!(octets[22..38], [0x20, 1, 0xd, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(octets[38..54], [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x11]);
        assert_eq!(octets[54..70], [0, 9, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x04, 0, 0]);
        // 2001 + 0db8 + ffff + 0001 + fe80 + 0011 + 0006 + 0016 + 0009 + 0009 + 5004 + cafe = 3477a;
        // 477a + 3 = 477d; not: b882.
        assert_eq!(octets[70..], [0xb8, 0x82, 0, 0, 0xca, 0xfe]);
    }

    #[test]
    fn what_is_written_is_read_also_behind_padding_and_nothing_longer_is_written() {
        for family in [Family::Ipv4, Family::Ipv6] {
            for length in [0, 1, 2, 77, LONGEST_PROBE] {
                let payload: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
                let mut octets = packet(family, &payload);
                assert_eq!(read_probe(family, &octets), Some(payload.clone()));
                octets.extend([0; 46]);
                assert_eq!(read_probe(family, &octets), Some(payload));
            }
            assert_eq!(write_probe(FROM, TO, address(family), &[0; LONGEST_PROBE + 1]), None);
        }
    }

    /// Every octet matters, but for those that a router may change and those that nobody reads.
    #[test]
    fn what_is_damaged_or_something_else_is_not_read() {
        for family in [Family::Ipv4, Family::Ipv6] {
            let whole = packet(family, b"payload");
            for length in 0..whole.len() {
                assert_eq!(read_probe(family, &whole[..length]), None, "{family:?} {length}");
            }
            let unread: &[usize] = match family {
                Family::Ipv4 => &[],
                // Traffic class, flow label, hop limit.
                Family::Ipv6 => &[1, 2, 3, 7],
            };
            for at in (0..whole.len()).filter(|at| !unread.contains(at)) {
                let mut damaged = whole.clone();
                damaged[at] ^= 0x10;
                assert_eq!(read_probe(family, &damaged), None, "{family:?} {at}");
            }
        }
        assert_eq!(read_probe(Family::Ipv6, &packet(Family::Ipv4, b"payload")), None);
        assert_eq!(read_probe(Family::Ipv4, &packet(Family::Ipv6, b"payload")), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_octets_make_reading_panic(
            octets in prop::collection::vec(any::<u8>(), 0..120),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            length in any::<prop::sample::Index>(),
        ) {
            for family in [Family::Ipv4, Family::Ipv6] {
                let _ = read_probe(family, &octets);
                let mut near = packet(family, &octets);
                for (at, octet) in &changes {
                    let at = at.index(near.len());
                    near[at] = *octet;
                }
                near.truncate(length.index(near.len() + 1));
                let _ = read_probe(family, &near);
            }
        }
    }
}
