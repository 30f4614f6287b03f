//! TCP and ICMP packets octet by octet, and a reader of them that is independent of the crate.

use crate::support::frame::{Frame, ones_complement_sum};
use pnet::packet::Packet;
use pnet::packet::ethernet::{EtherTypes, EthernetPacket};
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::packet::ipv4::Ipv4Packet;
use pnet::packet::ipv6::Ipv6Packet;
use pnet::packet::tcp::TcpPacket;
use std::net::{IpAddr, SocketAddr};

pub(crate) const TTL: u8 = 64;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const ACK: u8 = 0x10;
const TCP: u8 = 6;

/// A frame on the wire, as far as it is of interest here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) destination_mac: [u8; 6],
    pub(crate) source_mac: [u8; 6],
    pub(crate) ttl: u8,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// Of a TCP packet: ports and flags.
    pub(crate) tcp: Option<(u16, u16, u8)>,
    pub(crate) payload: Vec<u8>,
}

impl Seen {
    /// The frame as an IP packet, if it is one.
    pub(crate) fn read(frame: &Frame) -> Option<Self> {
        let ethernet = EthernetPacket::new(&frame.bytes)?;
        let (source, destination, ttl, protocol, payload): (IpAddr, IpAddr, u8, IpNextHeaderProtocol, _) =
            if ethernet.get_ethertype() == EtherTypes::Ipv4 {
                let ip = Ipv4Packet::new(ethernet.payload())?;
                let sum = ones_complement_sum(&[&ethernet.payload()[..20]]);
                assert_eq!(sum, 0xffff, "the checksum of the IPv4 header is wrong");
                let (source, destination) = (ip.get_source().octets(), ip.get_destination().octets());
                (
                    source.into(),
                    destination.into(),
                    ip.get_ttl(),
                    ip.get_next_level_protocol(),
                    ip.payload().to_vec(),
                )
            } else if ethernet.get_ethertype() == EtherTypes::Ipv6 {
                let ip = Ipv6Packet::new(ethernet.payload())?;
                let (source, destination) = (ip.get_source().octets(), ip.get_destination().octets());
                (
                    source.into(),
                    destination.into(),
                    ip.get_hop_limit(),
                    ip.get_next_header(),
                    ip.payload().to_vec(),
                )
            } else {
                return None;
            };
        let tcp = TcpPacket::new(&payload).filter(|_| protocol == IpNextHeaderProtocols::Tcp);
        Some(Self {
            destination_mac: ethernet.get_destination().octets(),
            source_mac: ethernet.get_source().octets(),
            ttl,
            source,
            destination,
            tcp: tcp.map(|tcp| (tcp.get_source(), tcp.get_destination(), tcp.get_flags())),
            payload,
        })
    }
}

/// The pseudo-header of a transport protocol.
fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> Vec<u8> {
    let mut header = Vec::new();
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => header.extend(address.octets()),
            IpAddr::V6(address) => header.extend(address.octets()),
        }
    }
    header.extend(u32::try_from(length).unwrap().to_be_bytes());
    header.extend([0, 0, 0, protocol]);
    header
}

/// A TCP segment without payload.
pub(crate) fn segment(from: SocketAddr, to: SocketAddr, flags: u8) -> Vec<u8> {
    let mut tcp = Vec::new();
    tcp.extend(from.port().to_be_bytes());
    tcp.extend(to.port().to_be_bytes());
    tcp.extend(1_u32.to_be_bytes());
    tcp.extend(if flags & ACK == 0 { 0_u32 } else { 1 }.to_be_bytes());
    tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    let sum = !ones_complement_sum(&[&pseudo_header(from.ip(), to.ip(), TCP, tcp.len()), &tcp]);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    tcp
}

/// An IP packet.
pub(crate) fn packet(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            packet.extend([0x45, 0]);
            packet.extend(u16::try_from(20 + payload.len()).unwrap().to_be_bytes());
            packet.extend([0, 1, 0x40, 0, TTL, protocol, 0, 0]);
            packet.extend(source.octets());
            packet.extend(destination.octets());
            let sum = !ones_complement_sum(&[&packet]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
            packet.extend([protocol, TTL]);
            packet.extend(source.octets());
            packet.extend(destination.octets());
        }
        _ => unreachable!("a packet has one family"),
    }
    packet.extend(payload);
    packet
}

/// An Ethernet frame.
pub(crate) fn frame(from: [u8; 6], to: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let kind: u16 = if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
    [to.as_slice(), &from, &kind.to_be_bytes(), packet].concat()
}

/// An ICMP error of this type about the packet that `address` has sent to `client`, from a router.
pub(crate) fn icmp_error(
    kind: u8,
    router: IpAddr,
    address: SocketAddr,
    client: SocketAddr,
    quoted_protocol: u8,
) -> Vec<u8> {
    let quoted = packet(address.ip(), client.ip(), quoted_protocol, &segment(address, client, ACK));
    let mut icmp = vec![kind, 0, 0, 0, 0, 0, 5, 0];
    icmp.extend(quoted);
    let (protocol, pseudo) = match router {
        IpAddr::V4(_) => (1, Vec::new()),
        IpAddr::V6(_) => (58, pseudo_header(router, address.ip(), 58, icmp.len())),
    };
    let sum = !ones_complement_sum(&[&pseudo, &icmp]);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    packet(router, address.ip(), protocol, &icmp)
}
