//! The frames that tell a LAN where an address now lives: gratuitous ARP and unsolicited Neighbor
//! Advertisement (RFC 9568 §6.4.1, §6.4.2; errata 7947 and 7949).
//!
//! Owns the octets, built with `pnet_packet`. Must not know when or how they are sent. The hardware address
//! is an argument: the interface's own, or the Virtual Router MAC Address (§7.3).

use crate::types::MacAddr;
use pnet::packet::Packet;
use pnet::packet::arp::{ArpHardwareTypes, ArpOperations, MutableArpPacket};
use pnet::packet::ethernet::{EtherTypes, MutableEthernetPacket};
use pnet::packet::icmpv6::ndp::{
    MutableNeighborAdvertPacket, NdpOption, NdpOptionTypes, NeighborAdvertFlags,
};
use pnet::packet::icmpv6::{self, Icmpv6Packet, Icmpv6Types};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv6::MutableIpv6Packet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ETHERNET: usize = 14;
const ARP: usize = 28;
const IPV6: usize = 40;
/// 24 octets and one option of 8.
const ADVERTISEMENT_LENGTH: u16 = 32;
const ADVERTISEMENT: usize = ADVERTISEMENT_LENGTH as usize;

/// The octets of the longer frame.
pub const LONGEST: usize = ETHERNET + IPV6 + ADVERTISEMENT;

/// All nodes on the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// ff02::1 as an Ethernet group address (RFC 2464 §7).
const ALL_NODES_MAC: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);

/// One Ethernet frame, held in place: building thousands allocates little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    octets: [u8; LONGEST],
    length: usize,
}

impl Frame {
    /// The frame that announces `address` at `mac`.
    #[must_use]
    pub fn announcing(address: IpAddr, mac: MacAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::gratuitous_arp(address, mac),
            IpAddr::V6(address) => Self::unsolicited_advertisement(address, mac),
        }
    }

    /// A gratuitous ARP request: broadcast, sender and target protocol address are `address`, both hardware
    /// addresses are `mac` (errata 7947 and 7949; receivers ignore the target's).
    // RFC9568-8.1.2-2
    #[must_use]
    pub fn gratuitous_arp(address: Ipv4Addr, mac: MacAddr) -> Self {
        let mut frame = Self { octets: [0; LONGEST], length: ETHERNET + ARP };
        let (ethernet, arp) = frame.octets.split_at_mut(ETHERNET);
        write_ethernet(ethernet, MacAddr::BROADCAST, mac, EtherTypes::Arp);
        let Some(mut arp) = MutableArpPacket::new(arp) else { unreachable!("the frame has room for ARP") };
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        // RFC9568-8.1.2-2
        arp.set_operation(ArpOperations::Request);
        arp.set_sender_hw_addr(mac.0.into());
        arp.set_sender_proto_addr(address);
        arp.set_target_hw_addr(mac.0.into());
        arp.set_target_proto_addr(address);
        frame
    }

    /// An unsolicited Neighbor Advertisement to all nodes, from `address` itself, with the flags Router and Override
    /// and without Solicited, and with the Target Link-Layer Address option (RFC 9568 §6.4.2, RFC 4861 §7.2.6).
    // RFC9568-8.2.2-1
    #[must_use]
    pub fn unsolicited_advertisement(address: Ipv6Addr, mac: MacAddr) -> Self {
        let mut frame = Self { octets: [0; LONGEST], length: ETHERNET + IPV6 + ADVERTISEMENT };
        let (ethernet, rest) = frame.octets.split_at_mut(ETHERNET);
        let (ipv6, advertisement) = rest.split_at_mut(IPV6);
        write_ethernet(ethernet, ALL_NODES_MAC, mac, EtherTypes::Ipv6);
        write_ipv6(ipv6, address);
        write_advertisement(advertisement, address, mac);
        frame
    }

    /// The octets, without padding and check sequence.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

fn write_ethernet(
    octets: &mut [u8],
    destination: MacAddr,
    source: MacAddr,
    kind: pnet::packet::ethernet::EtherType,
) {
    let Some(mut ethernet) = MutableEthernetPacket::new(octets) else {
        unreachable!("the frame has room for its header")
    };
    ethernet.set_destination(destination.0.into());
    ethernet.set_source(source.0.into());
    ethernet.set_ethertype(kind);
}

fn write_ipv6(octets: &mut [u8], source: Ipv6Addr) {
    let Some(mut ipv6) = MutableIpv6Packet::new(octets) else {
        unreachable!("the frame has room for the IPv6 header")
    };
    ipv6.set_version(6);
    ipv6.set_payload_length(ADVERTISEMENT_LENGTH);
    ipv6.set_next_header(IpNextHeaderProtocols::Icmpv6);
    // RFC 4861 §7.1.2: receivers discard any other.
    ipv6.set_hop_limit(255);
    ipv6.set_source(source);
    ipv6.set_destination(ALL_NODES);
}

fn write_advertisement(octets: &mut [u8], address: Ipv6Addr, mac: MacAddr) {
    let Some(mut advertisement) = MutableNeighborAdvertPacket::new(octets) else {
        unreachable!("the frame has room for the advertisement")
    };
    advertisement.set_icmpv6_type(Icmpv6Types::NeighborAdvert);
    advertisement.set_icmpv6_code(icmpv6::ndp::Icmpv6Codes::NoCode);
    // RFC9568-8.2.2-1
    advertisement.set_flags(NeighborAdvertFlags::Router | NeighborAdvertFlags::Override);
    advertisement.set_target_addr(address);
    advertisement.set_options(&[NdpOption {
        option_type: NdpOptionTypes::TargetLLAddr,
        length: 1,
        data: mac.0.to_vec(),
    }]);
    let Some(message) = Icmpv6Packet::new(advertisement.packet()) else {
        unreachable!("an advertisement is an ICMPv6 message")
    };
    let checksum = icmpv6::checksum(&message, &address, &ALL_NODES);
    advertisement.set_checksum(checksum);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Family, Vrid};

    /// The vectors of the conformance checklist, VRID 51.
    const G01: &str = "ffffffffffff00005e0001330806000108000604000100005e000133c00002fe00005e000133c00002fe";
    const N01: &str = "33330000000100005e00023386dd6000000000203aff20010db80051000000000000000000fe\
                       ff0200000000000000000000000000018800185ca000000020010db80051000000000000000000fe\
                       020100005e000233";

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn virtual_mac(family: Family) -> MacAddr {
        MacAddr::virtual_router(family, Vrid::new(51).unwrap())
    }

    // RFC9568-8.1.2-2
    #[test]
    fn gratuitous_arp_is_vector_g01() {
        let frame = Frame::announcing("192.0.2.254".parse().unwrap(), virtual_mac(Family::Ipv4));
        assert_eq!(hex(frame.as_bytes()), G01);
    }

    // RFC9568-8.2.2-1
    #[test]
    fn unsolicited_advertisement_is_vector_n01() {
        let frame = Frame::announcing("2001:db8:51::fe".parse().unwrap(), virtual_mac(Family::Ipv6));
        assert_eq!(hex(frame.as_bytes()), N01);
    }

    #[test]
    fn the_hardware_address_is_the_one_that_was_given() {
        let mac = MacAddr([2, 0, 0, 0xaa, 0xbb, 0xcc]);
        for address in ["192.0.2.254", "fe80::51"] {
            let frame = Frame::announcing(address.parse().unwrap(), mac);
            let appearances = frame.as_bytes().windows(6).filter(|w| *w == mac.0).count();
            // Ethernet source, and: sender and target of ARP, or the option of the advertisement.
            assert_eq!(appearances, if address.contains(':') { 2 } else { 3 }, "{address}");
        }
    }
}
