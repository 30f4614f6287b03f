//! Neighbor Discovery (RFC 4861): unsolicited Neighbor Advertisements are written and read.

use super::{Announcement, Frame};
use crate::types::MacAddr;
use pnet::packet::Packet;
use pnet::packet::ethernet::EtherTypes;
use pnet::packet::icmpv6::ndp::{
    Icmpv6Codes, MutableNdpOptionPacket, MutableNeighborAdvertPacket, NdpOptionPacket, NdpOptionTypes,
    NeighborAdvertFlags, NeighborAdvertPacket,
};
use pnet::packet::icmpv6::{self, Icmpv6Packet, Icmpv6Types};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv6::MutableIpv6Packet;
use std::net::{IpAddr, Ipv6Addr};

/// The octets of a Target Link-Layer Address option with an Ethernet address.
const OPTION: usize = 8;
/// The octets of an advertisement with that option.
const ADVERTISEMENT_LENGTH: u16 = 32;
const ADVERTISEMENT: usize = ADVERTISEMENT_LENGTH as usize;
const _: () = assert!(ADVERTISEMENT == MutableNeighborAdvertPacket::minimum_packet_size() + OPTION);
/// The octets of the IPv6 packet with that advertisement.
pub(super) const IPV6_PACKET: usize = MutableIpv6Packet::minimum_packet_size() + ADVERTISEMENT;

/// The multicast address of all nodes on the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// The Ethernet group address of ff02::1 (RFC 2464 §7).
const ALL_NODES_MAC: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);

/// An unsolicited Neighbor Advertisement to all nodes, from `address` itself, with the flags Router
/// and Override and without Solicited, and with the Target Link-Layer Address option (RFC 9568
/// §6.4.2, RFC 4861 §7.2.6).
// RFC9568-8.2.2-1
pub(super) fn unsolicited_advertisement(address: Ipv6Addr, mac: MacAddr) -> Frame {
    Frame::new(ALL_NODES_MAC, mac, EtherTypes::Ipv6, IPV6_PACKET, |octets| {
        let (ipv6, advertisement) = octets.split_at_mut(IPV6_PACKET - ADVERTISEMENT);
        write_ipv6(ipv6, address);
        write_advertisement(advertisement, address, mac);
    })
}

/// Reads the target of an unsolicited advertisement and its Target Link-Layer Address. An
/// advertisement without that option does not say at which hardware address the target is. The
/// filter of the socket checks that the Hop Limit is 255, because the Hop Limit is in the IPv6
/// header.
///
/// The options are read here and not by pnet's iterator, because that iterator computes their
/// length in one octet, which overflows for lengths of 32 and more.
pub(super) fn read(packet: &[u8]) -> Option<Announcement> {
    let advertisement = NeighborAdvertPacket::new(packet)?;
    if advertisement.get_icmpv6_type() != Icmpv6Types::NeighborAdvert
        || advertisement.get_flags() & NeighborAdvertFlags::Solicited != 0
    {
        return None;
    }
    let address = IpAddr::from(advertisement.get_target_addr().octets());
    let mut options = advertisement.get_options_raw();
    while let Some(option) = NdpOptionPacket::new(options) {
        let length = usize::from(option.get_length()) * OPTION;
        // RFC 4861 §4.6: nodes discard a packet with an option of length 0.
        let option_octets = options.get(..length).filter(|octets| !octets.is_empty())?;
        if option.get_option_type() == NdpOptionTypes::TargetLLAddr {
            return Some(Announcement { address, mac: link_layer_address(option_octets)? });
        }
        options = options.get(length..)?;
    }
    None
}

/// Returns the Ethernet address in an option. An option of another length does not contain an
/// Ethernet address.
fn link_layer_address(option: &[u8]) -> Option<MacAddr> {
    let option = <[u8; OPTION]>::try_from(option).ok()?;
    let [_, _, mac @ ..] = option;
    Some(MacAddr(mac))
}

fn write_ipv6(octets: &mut [u8], source: Ipv6Addr) {
    let Some(mut ipv6) = MutableIpv6Packet::new(octets) else {
        unreachable!("the packet has room for the IPv6 header")
    };
    ipv6.set_version(6);
    ipv6.set_payload_length(ADVERTISEMENT_LENGTH);
    ipv6.set_next_header(IpNextHeaderProtocols::Icmpv6);
    // RFC 4861 §7.1.2: receivers discard a packet with any other Hop Limit.
    ipv6.set_hop_limit(255);
    ipv6.set_source(source.octets().into());
    ipv6.set_destination(ALL_NODES.octets().into());
}

fn write_advertisement(octets: &mut [u8], address: Ipv6Addr, mac: MacAddr) {
    let Some(mut advertisement) = MutableNeighborAdvertPacket::new(octets) else {
        unreachable!("the packet has room for the advertisement")
    };
    advertisement.set_icmpv6_type(Icmpv6Types::NeighborAdvert);
    advertisement.set_icmpv6_code(Icmpv6Codes::NoCode);
    // RFC9568-8.2.2-1
    advertisement.set_flags(NeighborAdvertFlags::Router | NeighborAdvertFlags::Override);
    advertisement.set_target_addr(address.octets().into());
    let Some(mut option) = MutableNdpOptionPacket::new(advertisement.get_options_raw_mut()) else {
        unreachable!("the advertisement has room for one option")
    };
    option.set_option_type(NdpOptionTypes::TargetLLAddr);
    // The length counts units of 8 octets.
    option.set_length(1);
    option.set_data(&mac.0);
    let Some(message) = Icmpv6Packet::new(advertisement.packet()) else {
        unreachable!("an advertisement is an ICMPv6 message")
    };
    let checksum = icmpv6::checksum(&message, &address.octets().into(), &ALL_NODES.octets().into());
    advertisement.set_checksum(checksum);
}
