//! The kernel filters in front of our raw sockets: classic BPF programs, as data.
//!
//! A raw socket of protocol 112 receives every such packet that the host accepts, on any address.
//! Only those sent to the VRRP group are meant for us (RFC 9568 §5.1.1.2, §5.1.2.2), or those sent
//! to this host alone where routers run whose nodes are listed; the others must not take room in
//! the queue. The filter is the only place where a packet may be dropped
//! uncounted, and therefore it checks nothing else: a packet with a wrong TTL, version, type,
//! length or checksum must reach the counters (RFC 8347), and so must a VRID that is not configured
//! here (`vrid-errors`).
//!
//! The sockets that receive announcements of other stations ([`super::announcement_socket`]) count
//! nothing: their programs accept announcements, of any address or of a set of addresses, and
//! nothing else. The octets at the offsets below are those that [`crate::wire`] reads; a program can
//! only name them by their place.
//!
//! A raw socket needs no filter for the protocol (it receives only 112) and for fragments (the
//! kernel delivers whole datagrams only; those that it reassembled are recognized when they are
//! received).

use crate::types::Family;
use crate::wire::{PROBE_PORT, PROBE_SOURCE_IPV4, PROBE_SOURCE_IPV6};
use socket2::SockFilter;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// One instruction: `code`, the jumps if true and if false (instructions to skip), and the operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    operand: u32,
}

/// Load the 32-bit word at an offset.
const LOAD_WORD: u16 = 0x20;
/// Load the 16-bit word at an offset.
const LOAD_HALF: u16 = 0x28;
/// Load the octet at an offset.
const LOAD_OCTET: u16 = 0x30;
/// Keep the loaded value for [`JUMP_EQUAL_KEPT`].
const KEEP: u16 = 0x07;
/// Compare the loaded value with the operand and jump.
const JUMP_EQUAL: u16 = 0x15;
/// Compare the loaded value with the operand, and jump if it is not less.
const JUMP_AT_LEAST: u16 = 0x35;
/// Compare the loaded value with the one that was kept and jump.
const JUMP_EQUAL_KEPT: u16 = 0x1d;
/// Jump if the loaded value has any bit of the operand.
const JUMP_ANY_BIT: u16 = 0x45;
/// Accept as many octets as the operand says; 0 drops the packet.
const RETURN: u16 = 0x06;
/// Offsets from here count from the network header, wherever the packet's data starts (the kernel's
/// `SKF_NET_OFF`, -0x100000).
const NETWORK: u32 = 0xfff0_0000;
/// Whether the packet was sent to this host, to all or to a group (the kernel's `SKF_AD_OFF` +
/// `SKF_AD_PKTTYPE`).
const PACKET_TYPE: u32 = 0xffff_f004;
/// The packet was sent to this host (the kernel's `PACKET_HOST`).
const TO_HOST: u32 = 0;
/// The packet was sent to all stations (the kernel's `PACKET_BROADCAST`).
const TO_ALL: u32 = 1;
/// The packet was sent to a group of stations (the kernel's `PACKET_MULTICAST`).
const TO_GROUP: u32 = 2;
/// The VLAN tag that the kernel has removed from the packet, 0 if there was none (`SKF_AD_OFF` +
/// `SKF_AD_VLAN_TAG`).
const VLAN_TAG: u32 = 0xffff_f02c;
/// The bits of the VLAN number in the tag. Number 0 is a priority on our own LAN.
const VLAN_NUMBER: u32 = 0x0fff;
/// The return value that accepts the whole packet.
const WHOLE: u32 = 0xffff_ffff;

/// For sockets that only send: accepts no packet.
pub const NOTHING: [Instruction; 1] = [ret(0)];

/// What a receiving socket of VRRP accepts: packets that any of these parts accepts.
pub fn advertisements(family: Family, parts: &[AcceptedPart]) -> Vec<Instruction> {
    let mut program = match family {
        Family::Ipv4 => Vec::new(),
        Family::Ipv6 => IPV6_MESSAGE.to_vec(),
    };
    for part in parts {
        program.extend_from_slice(match (family, part) {
            (Family::Ipv4, AcceptedPart::Host) => &IPV4_HOST,
            (Family::Ipv4, AcceptedPart::Group) => &IPV4_GROUP,
            (Family::Ipv6, AcceptedPart::Host) => &IPV6_HOST,
            (Family::Ipv6, AcceptedPart::Group) => &IPV6_GROUP,
        });
    }
    program.push(ret(0));
    program
}

/// A part of [`advertisements`]. It accepts a packet, or goes on behind its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptedPart {
    /// The destination address is no group. As only what is sent to this host arrives at all, it is an
    /// address of this host, or the IPv4 address of all hosts of a network, which is counted.
    Host,
    /// The destination address is that of VRRP's group.
    Group,
}

/// The packet's data starts at its IP header.
const IPV4_GROUP: [Instruction; 3] = [
    load(LOAD_WORD, 16), // destination address
    equal(0xe000_0012, 0, 1),
    ret(WHOLE),
];

const IPV4_HOST: [Instruction; 3] = [
    load(LOAD_WORD, 16), // destination address
    Instruction { code: JUMP_AT_LEAST, if_true: 1, if_false: 0, operand: 0xe000_0000 },
    ret(WHOLE),
];

/// IPv6: drops what does not follow the IPv6 header directly. RFC 9568 §5.1.2 does not provide for
/// extension headers in front of an ADVERTISEMENT.
///
/// The packet's data starts behind the IPv6 header, hence the offsets from the network header.
const IPV6_MESSAGE: [Instruction; 3] = [
    load(LOAD_OCTET, NETWORK + 6), // next header
    equal(112, 1, 0),
    ret(0),
];

const IPV6_HOST: [Instruction; 3] = [
    load(LOAD_OCTET, NETWORK + 24), // destination address, first octet
    equal(0xff, 1, 0),
    ret(WHOLE),
];

const IPV6_GROUP: [Instruction; 9] = [
    load(LOAD_WORD, NETWORK + 24), // destination address, first of four words
    equal(0xff02_0000, 0, 7),
    load(LOAD_WORD, NETWORK + 28),
    equal(0, 0, 5),
    load(LOAD_WORD, NETWORK + 32),
    equal(0, 0, 3),
    load(LOAD_WORD, NETWORK + 36),
    equal(0x12, 0, 1),
    ret(WHOLE),
];

/// Gratuitous ARP of another station, request or reply: the sender's address is the target's. Our
/// hosts learn from it only if it was sent to all of them and on their LAN; but a packet socket
/// also receives packets that are sent to one station, or that have the tag of another VLAN.
///
/// The packet's data starts at the ARP header, as in every packet socket of type `SOCK_DGRAM`.
pub const GRATUITOUS_ARP: [Instruction; 15] = [
    load(LOAD_WORD, PACKET_TYPE),
    equal(TO_ALL, 1, 0),
    equal(TO_GROUP, 0, 11),
    load(LOAD_WORD, VLAN_TAG),
    Instruction { code: JUMP_ANY_BIT, if_true: 9, if_false: 0, operand: VLAN_NUMBER },
    load(LOAD_WORD, 0), // hardware Ethernet, protocol IPv4
    equal(0x0001_0800, 0, 7),
    load(LOAD_HALF, 4), // lengths of their addresses
    equal(0x0604, 0, 5),
    load(LOAD_WORD, 14), // sender's protocol address
    Instruction { code: KEEP, if_true: 0, if_false: 0, operand: 0 },
    load(LOAD_WORD, 24), // target's protocol address
    Instruction { code: JUMP_EQUAL_KEPT, if_true: 0, if_false: 1, operand: 0 },
    ret(WHOLE),
    ret(0),
];

/// Unsolicited Neighbor Advertisements from the same link (RFC 4861 §7.1.2).
///
/// The packet's data starts behind the IPv6 header, as in every raw socket.
pub const UNSOLICITED_ADVERTISEMENT: [Instruction; 8] = [
    load(LOAD_OCTET, 0), // type
    equal(136, 0, 5),
    load(LOAD_OCTET, NETWORK + 7), // hop limit
    equal(255, 0, 3),
    load(LOAD_OCTET, 4),                                                        // flags
    Instruction { code: JUMP_ANY_BIT, if_true: 1, if_false: 0, operand: 0x40 }, // Solicited
    ret(WHOLE),
    ret(0),
];

/// IPv4 probes that were sent to this host on our LAN: TCP from [`PROBE_SOURCE_IPV4`], both ports 9,
/// RST and no other flag, without options and not in fragments.
pub const PROBE_IPV4: [Instruction; 18] = [
    load(LOAD_WORD, PACKET_TYPE),
    equal(TO_HOST, 0, 15),
    load(LOAD_WORD, VLAN_TAG),
    Instruction { code: JUMP_ANY_BIT, if_true: 13, if_false: 0, operand: VLAN_NUMBER },
    load(LOAD_OCTET, NETWORK), // version and length of the header
    equal(0x45, 0, 11),
    load(LOAD_HALF, NETWORK + 6), // more fragments, and the offset of this one
    Instruction { code: JUMP_ANY_BIT, if_true: 9, if_false: 0, operand: 0x3fff },
    load(LOAD_OCTET, NETWORK + 9), // protocol
    equal(6, 0, 7),
    load(LOAD_WORD, NETWORK + 12), // source address
    equal(PROBE_SOURCE_IPV4.to_bits(), 0, 5),
    load(LOAD_WORD, NETWORK + 20), // both ports
    equal(PROBE_PORTS, 0, 3),
    load(LOAD_HALF, NETWORK + 32), // length of the header of TCP, and flags
    equal(RST_ONLY, 0, 1),
    ret(WHOLE),
    ret(0),
];

/// IPv6 probes that were sent to this host on our LAN: as [`PROBE_IPV4`], from [`PROBE_SOURCE_IPV6`].
pub const PROBE_IPV6: [Instruction; 20] = [
    load(LOAD_WORD, PACKET_TYPE),
    equal(TO_HOST, 0, 17),
    load(LOAD_WORD, VLAN_TAG),
    Instruction { code: JUMP_ANY_BIT, if_true: 15, if_false: 0, operand: VLAN_NUMBER },
    load(LOAD_OCTET, NETWORK + 6), // next header
    equal(6, 0, 13),
    load(LOAD_WORD, NETWORK + 8), // source address, first of four words
    equal(PROBE_WORDS[0], 0, 11),
    load(LOAD_WORD, NETWORK + 12),
    equal(PROBE_WORDS[1], 0, 9),
    load(LOAD_WORD, NETWORK + 16),
    equal(PROBE_WORDS[2], 0, 7),
    load(LOAD_WORD, NETWORK + 20),
    equal(PROBE_WORDS[3], 0, 5),
    load(LOAD_WORD, NETWORK + 40), // both ports
    equal(PROBE_PORTS, 0, 3),
    load(LOAD_HALF, NETWORK + 52), // length of the header of TCP, and flags
    equal(RST_ONLY, 0, 1),
    ret(WHOLE),
    ret(0),
];

/// Both ports of a probe, as one word.
const PROBE_PORTS: u32 = ((PROBE_PORT as u32) << 16) | PROBE_PORT as u32;
/// A header of TCP without options (5 words), and of the flags only RST.
const RST_ONLY: u32 = 0x5004;

/// The four words of the source of IPv6 probes.
const PROBE_WORDS: [u32; 4] = {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = PROBE_SOURCE_IPV6.octets();
    let words = [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]];
    [
        u32::from_be_bytes(words[0]),
        u32::from_be_bytes(words[1]),
        u32::from_be_bytes(words[2]),
        u32::from_be_bytes(words[3]),
    ]
};

/// ARP, request or reply, that another station has sent to the whole of our LAN from one of these
/// addresses. Hosts that know the address believe each such packet (RFC 5227 §2.4).
pub fn arp_from(addresses: &[Ipv4Addr]) -> Vec<Instruction> {
    let program = vec![
        load(LOAD_WORD, PACKET_TYPE),
        equal(TO_ALL, 2, 0),
        equal(TO_GROUP, 1, 0),
        ret(0),
        load(LOAD_WORD, VLAN_TAG),
        Instruction { code: JUMP_ANY_BIT, if_true: 0, if_false: 1, operand: VLAN_NUMBER },
        ret(0),
        load(LOAD_WORD, 0), // hardware Ethernet, protocol IPv4
        equal(0x0001_0800, 1, 0),
        ret(0),
        load(LOAD_HALF, 4), // lengths of their addresses
        equal(0x0604, 1, 0),
        ret(0),
        load(LOAD_WORD, 14), // sender's protocol address
    ];
    pass_any_of(program, addresses.iter().map(|address| u32::from(*address)))
}

/// Unsolicited Neighbor Advertisements from the same link for one of these addresses, or for an address
/// with the same last 32 bits.
pub fn advertisement_of(addresses: &[Ipv6Addr]) -> Vec<Instruction> {
    let program = vec![
        load(LOAD_OCTET, 0), // type
        equal(136, 1, 0),
        ret(0),
        load(LOAD_OCTET, NETWORK + 7), // hop limit
        equal(255, 1, 0),
        ret(0),
        load(LOAD_OCTET, 4),                                                        // flags
        Instruction { code: JUMP_ANY_BIT, if_true: 0, if_false: 1, operand: 0x40 }, // Solicited
        ret(0),
        load(LOAD_WORD, 20), // target address, last of four words
    ];
    let last = |address: &Ipv6Addr| {
        let [.., a, b, c, d] = address.octets();
        u32::from_be_bytes([a, b, c, d])
    };
    let ends: BTreeSet<u32> = addresses.iter().map(last).collect();
    pass_any_of(program, ends.into_iter())
}

/// The end of a program: accepts the packet if the last value loaded is one of these.
fn pass_any_of(mut program: Vec<Instruction>, values: impl Iterator<Item = u32>) -> Vec<Instruction> {
    for value in values {
        program.extend([equal(value, 0, 1), ret(WHOLE)]);
    }
    program.push(ret(0));
    program
}

/// IPv4, for a packet socket that receives whole frames: packets from one of these sources to
/// 224.0.0.18 that were sent on the link itself.
pub fn group_from(sources: &BTreeSet<Ipv4Addr>) -> Vec<Instruction> {
    if sources.is_empty() {
        return NOTHING.to_vec();
    }
    let program = vec![
        load(LOAD_WORD, PACKET_TYPE),
        equal(TO_GROUP, 1, 0),
        ret(0),
        load(LOAD_WORD, VLAN_TAG),
        Instruction { code: JUMP_ANY_BIT, if_true: 0, if_false: 1, operand: VLAN_NUMBER },
        ret(0),
        load(LOAD_OCTET, NETWORK + 9), // protocol
        equal(112, 1, 0),
        ret(0),
        load(LOAD_WORD, NETWORK + 16), // destination address
        equal(0xe000_0012, 1, 0),
        ret(0),
        load(LOAD_WORD, NETWORK + 12), // source address
    ];
    pass_any_of(program, sources.iter().map(|source| u32::from(*source)))
}

/// Attaches a program: from now on the socket queues only what the program accepts. For a moment it
/// may queue nothing, because two long programs, the old and the new one, do not fit into the
/// memory that older kernels give a socket (`optmem_max`).
pub(super) fn attach(socket: &socket2::Socket, program: &[Instruction]) -> std::io::Result<()> {
    let filter = |program: &[Instruction]| {
        let program: Vec<SockFilter> =
            program.iter().map(|i| SockFilter::new(i.code, i.if_true, i.if_false, i.operand)).collect();
        socket.attach_filter(&program)
    };
    match filter(program) {
        Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {
            filter(&NOTHING)?;
            filter(program)
        }
        outcome => outcome,
    }
}

const fn load(code: u16, offset: u32) -> Instruction {
    Instruction { code, if_true: 0, if_false: 0, operand: offset }
}

const fn equal(value: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction { code: JUMP_EQUAL, if_true, if_false, operand: value }
}

const fn ret(octets: u32) -> Instruction {
    Instruction { code: RETURN, if_true: 0, if_false: 0, operand: octets }
}
