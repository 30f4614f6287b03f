//! ARP for IPv4 over Ethernet (RFC 826): gratuitous requests are written, and the sender's
//! addresses are read from any ARP packet.

use super::{Announcement, Frame};
use crate::types::MacAddr;
use pnet::packet::arp::{ArpHardwareTypes, ArpOperations, ArpPacket, MutableArpPacket};
use pnet::packet::ethernet::EtherTypes;
use std::net::Ipv4Addr;

/// The lengths of an Ethernet address and of an IPv4 address, as ARP states them.
const ADDRESS_LENGTHS: (u8, u8) = (6, 4);

/// A gratuitous ARP request: broadcast, sender and target protocol address are `address`, and both
/// hardware addresses are `mac` (errata 7947 and 7949; receivers ignore the target's).
// RFC9568-8.1.2-2
pub(super) fn gratuitous_request(address: Ipv4Addr, mac: MacAddr) -> Frame {
    let length = MutableArpPacket::minimum_packet_size();
    Frame::new(MacAddr::BROADCAST, mac, EtherTypes::Arp, length, |octets| {
        let Some(mut arp) = MutableArpPacket::new(octets) else {
            unreachable!("the payload has the length of an ARP packet")
        };
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(ADDRESS_LENGTHS.0);
        arp.set_proto_addr_len(ADDRESS_LENGTHS.1);
        // RFC9568-8.1.2-2
        arp.set_operation(ArpOperations::Request);
        arp.set_sender_hw_addr(mac.0.into());
        arp.set_sender_proto_addr(address.octets().into());
        arp.set_target_hw_addr(mac.0.into());
        arp.set_target_proto_addr(address.octets().into());
    })
}

/// Reads the sender's addresses of a request or a reply: hosts that know the address believe both
/// (RFC 5227 §2.4). The packet does not tell whether it was sent to all hosts.
pub(super) fn read(packet: &[u8]) -> Option<Announcement> {
    let arp = ArpPacket::new(packet)?;
    let over_ethernet = arp.get_hardware_type() == ArpHardwareTypes::Ethernet
        && arp.get_protocol_type() == EtherTypes::Ipv4
        && (arp.get_hw_addr_len(), arp.get_proto_addr_len()) == ADDRESS_LENGTHS;
    over_ethernet.then(|| Announcement {
        address: arp.get_sender_proto_addr().octets().into(),
        mac: MacAddr(arp.get_sender_hw_addr().octets()),
    })
}
