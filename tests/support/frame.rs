//! Frames as they are seen on the wire. This is a second, independent reader of the formats (pnet's
//! packets and RFC 9568 §5.2): the crate's own codec is under test and not used here.

use pnet::packet::Packet;
use pnet::packet::arp::{ArpOperations, ArpPacket};
use pnet::packet::ethernet::{EtherTypes, EthernetPacket};
use pnet::packet::icmpv6::ndp::NeighborAdvertPacket;
use pnet::packet::icmpv6::{Icmpv6Packet, Icmpv6Types};
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::packet::ipv4::Ipv4Packet;
use pnet::packet::ipv6::Ipv6Packet;
use pnet::packet::udp::UdpPacket;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// A frame as it entered the switch.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// The kernel's receive timestamp, since 1970.
    pub(crate) at: Duration,
    /// The node that sent it.
    pub(crate) node: String,
    pub(crate) bytes: Vec<u8>,
}

/// An advertisement (version 2 or 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advert {
    pub(crate) at: Duration,
    pub(crate) node: String,
    pub(crate) source_mac: [u8; 6],
    pub(crate) destination_mac: [u8; 6],
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ttl: u8,
    pub(crate) version: u8,
    pub(crate) vrid: u8,
    pub(crate) priority: u8,
    /// In centiseconds. Version 2 sends whole seconds.
    pub(crate) interval_cs: u16,
    pub(crate) checksum: Checksum,
    pub(crate) addresses: Vec<IpAddr>,
    /// The octets of the VRRP message.
    pub(crate) message: Vec<u8>,
}

/// What the checksum covers, judged by which of the two makes it correct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// The message only (RFC 9568 in IPv4; version 2).
    Message,
    /// The message and the pseudo-header (RFC 5798; IPv6).
    PseudoHeader,
    Wrong,
}

/// A gratuitous ARP or an unsolicited neighbour advertisement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) at: Duration,
    pub(crate) node: String,
    pub(crate) address: IpAddr,
    /// The link-layer address that it announces.
    pub(crate) mac: [u8; 6],
}

/// A UDP datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Datagram {
    pub(crate) at: Duration,
    /// The node that sent it.
    pub(crate) node: String,
    pub(crate) destination_mac: [u8; 6],
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The frame as an advertisement, if it is one.
    pub(crate) fn advert(&self) -> Option<Advert> {
        let ethernet = EthernetPacket::new(&self.bytes)?;
        let (source, destination, ttl, message) = carried(&ethernet, IpNextHeaderProtocols::Vrrp)?;
        let head: [u8; 8] = message.get(..8)?.try_into().ok()?;
        let size = if source.is_ipv4() { 4 } else { 16 };
        let addresses =
            message.get(8..8 + usize::from(head[3]) * size)?.chunks_exact(size).filter_map(address);
        Some(Advert {
            at: self.at,
            node: self.node.clone(),
            source_mac: ethernet.get_source().octets(),
            destination_mac: ethernet.get_destination().octets(),
            source,
            destination,
            ttl,
            version: head[0] >> 4,
            vrid: head[1],
            priority: head[2],
            interval_cs: match head[0] >> 4 {
                2 => u16::from(head[5]) * 100,
                _ => u16::from_be_bytes([head[4] & 0x0f, head[5]]),
            },
            checksum: judge(source, destination, &message),
            addresses: addresses.collect(),
            message: message.clone(),
        })
    }

    /// The frame as a datagram, if it is one.
    pub(crate) fn datagram(&self) -> Option<Datagram> {
        let ethernet = EthernetPacket::new(&self.bytes)?;
        let (source, destination, _, packet) = carried(&ethernet, IpNextHeaderProtocols::Udp)?;
        let udp = UdpPacket::new(&packet)?;
        Some(Datagram {
            at: self.at,
            node: self.node.clone(),
            destination_mac: ethernet.get_destination().octets(),
            source,
            destination,
            source_port: udp.get_source(),
            destination_port: udp.get_destination(),
            payload: udp.payload().to_vec(),
        })
    }

    /// The frame as an announcement, if it is one.
    pub(crate) fn announcement(&self) -> Option<Announcement> {
        let ethernet = EthernetPacket::new(&self.bytes)?;
        let (address, mac) = gratuitous_arp(&ethernet).or_else(|| unsolicited_na(&ethernet))?;
        Some(Announcement { at: self.at, node: self.node.clone(), address, mac })
    }
}

/// Source, destination, TTL and payload of the frame, if it carries this protocol over IP.
fn carried(
    ethernet: &EthernetPacket<'_>,
    protocol: IpNextHeaderProtocol,
) -> Option<(IpAddr, IpAddr, u8, Vec<u8>)> {
    if ethernet.get_ethertype() == EtherTypes::Ipv4 {
        let ip = Ipv4Packet::new(ethernet.payload())?;
        // pnet cuts the payload to the total length, so that Ethernet's padding is not part of it.
        (ip.get_next_level_protocol() == protocol).then(|| {
            let (source, destination) = (ip.get_source().octets(), ip.get_destination().octets());
            (source.into(), destination.into(), ip.get_ttl(), ip.payload().to_vec())
        })
    } else if ethernet.get_ethertype() == EtherTypes::Ipv6 {
        let ip = Ipv6Packet::new(ethernet.payload())?;
        (ip.get_next_header() == protocol).then(|| {
            let (source, destination) = (ip.get_source().octets(), ip.get_destination().octets());
            (source.into(), destination.into(), ip.get_hop_limit(), ip.payload().to_vec())
        })
    } else {
        None
    }
}

fn gratuitous_arp(ethernet: &EthernetPacket<'_>) -> Option<(IpAddr, [u8; 6])> {
    if ethernet.get_ethertype() != EtherTypes::Arp {
        return None;
    }
    let arp = ArpPacket::new(ethernet.payload())?;
    let gratuitous = arp.get_sender_proto_addr() == arp.get_target_proto_addr()
        && arp.get_operation() == ArpOperations::Request
        && ethernet.get_destination().is_broadcast();
    gratuitous.then(|| (arp.get_sender_proto_addr().octets().into(), arp.get_sender_hw_addr().octets()))
}

fn unsolicited_na(ethernet: &EthernetPacket<'_>) -> Option<(IpAddr, [u8; 6])> {
    if ethernet.get_ethertype() != EtherTypes::Ipv6 {
        return None;
    }
    let ip = Ipv6Packet::new(ethernet.payload())?;
    let icmp = Icmpv6Packet::new(ip.payload())?;
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    if ip.get_next_header() != IpNextHeaderProtocols::Icmpv6
        || icmp.get_icmpv6_type() != Icmpv6Types::NeighborAdvert
        || ip.get_destination().octets() != all_nodes.octets()
    {
        return None;
    }
    let na = NeighborAdvertPacket::new(ip.payload())?;
    // Option 2, target link-layer address: type, length 1 (times 8 octets), the address.
    let option = na.get_options_raw().get(..8)?;
    let mac = option.strip_prefix(&[2, 1])?.try_into().ok()?;
    Some((na.get_target_addr().octets().into(), mac))
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(|o| IpAddr::from(Ipv4Addr::from(o)));
    four.or_else(|_| <[u8; 16]>::try_from(octets).map(|o| Ipv6Addr::from(o).into())).ok()
}

fn judge(source: IpAddr, destination: IpAddr, message: &[u8]) -> Checksum {
    let valid = |sum: u16| sum == 0xffff;
    if valid(ones_complement_sum(&[message])) && source.is_ipv4() {
        Checksum::Message
    } else if valid(ones_complement_sum(&[&pseudo_header(source, destination, message.len()), message])) {
        Checksum::PseudoHeader
    } else {
        Checksum::Wrong
    }
}

/// {source, destination, zero, 112, length}, in the layout of the family.
pub(crate) fn pseudo_header(source: IpAddr, destination: IpAddr, length: usize) -> Vec<u8> {
    let mut header = Vec::new();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            header.extend(source.octets());
            header.extend(destination.octets());
            header.extend([0, 112]);
            header.extend(u16::try_from(length).expect("a short message").to_be_bytes());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            header.extend(source.octets());
            header.extend(destination.octets());
            header.extend(u32::try_from(length).expect("a short message").to_be_bytes());
            header.extend([0, 0, 0, 112]);
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
            unreachable!("one header has addresses of one family")
        }
    }
    header
}

/// The sum of RFC 1071, not inverted yet. Every part but the last must have an even length.
pub(crate) fn ones_complement_sum(parts: &[&[u8]]) -> u16 {
    let mut sum: u32 = 0;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).expect("folded")
}
