//! The kernel filters in front of our raw sockets: classic BPF programs, as data.
//!
//! A raw socket of protocol 112 is handed every such packet that the host accepts, on any address. Of
//! these only what was sent to the VRRP group is for us (RFC 9568 §5.1.1.2, §5.1.2.2); the rest must not
//! take room in the queue. The filter is the only place where a packet may vanish uncounted, so it
//! looks at nothing else: a wrong TTL, version, type, length or checksum must reach the counters
//! (RFC 8347), and so must a VRID that is not configured here (`vrid-errors`).
//!
//! The sockets that hear the announcements of others ([`super::announcement_socket`]) have nothing to count: their
//! programs pass what announces an address, or one of those that matter, and nothing else. The octets at the offsets
//! below are those that [`crate::wire`] reads; a program can only name them by their place.
//!
//! Not here, because a raw socket makes it superfluous: the protocol (the socket only gets 112), and
//! fragments (the kernel delivers whole datagrams only; those it put together from fragments are
//! recognised when they are received).

use socket2::SockFilter;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// One instruction: `code`, the jumps if true and if false (instructions to skip), the operand.
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
/// Compare the loaded value with the one that was kept and jump.
const JUMP_EQUAL_KEPT: u16 = 0x1d;
/// Jump if the loaded value has any bit of the operand.
const JUMP_ANY_BIT: u16 = 0x45;
/// Accept as many octets as the operand says; 0 drops the packet.
const RETURN: u16 = 0x06;
/// Offsets from here count from the network header, wherever the packet's data starts (the kernel's
/// `SKF_NET_OFF`, -0x100000).
const NETWORK: u32 = 0xfff0_0000;
/// Who sent the packet to whom (the kernel's `SKF_AD_OFF` + `SKF_AD_PKTTYPE`).
const PACKET_TYPE: u32 = 0xffff_f004;
/// It was sent to all stations (the kernel's `PACKET_BROADCAST`).
const TO_ALL: u32 = 1;
/// It was sent to a group of stations (the kernel's `PACKET_MULTICAST`).
const TO_GROUP: u32 = 2;
/// The VLAN tag that the kernel has taken off, 0 if there was none (`SKF_AD_OFF` + `SKF_AD_VLAN_TAG`).
const VLAN_TAG: u32 = 0xffff_f02c;
/// The number of the VLAN in it. Number 0 is a priority on our own LAN.
const VLAN_NUMBER: u32 = 0x0fff;
/// All of the packet.
const WHOLE: u32 = 0xffff_ffff;

/// For sockets that only send: queue nothing.
pub const NOTHING: [Instruction; 1] = [ret(0)];

/// IPv4: the destination address is 224.0.0.18. The packet's data starts at its IP header.
pub const IPV4_GROUP: [Instruction; 4] = [
    load(LOAD_WORD, 16), // destination address
    equal(0xe000_0012, 0, 1),
    ret(WHOLE),
    ret(0),
];

/// IPv6: the destination address is ff02::12, and the IPv6 header is directly followed by the message.
///
/// The packet's data starts behind the IPv6 header, hence the offsets from the network header.
/// Extension headers in front of an ADVERTISEMENT are nothing that RFC 9568 §5.1.2 knows.
pub const IPV6_GROUP: [Instruction; 12] = [
    load(LOAD_OCTET, NETWORK + 6), // next header
    equal(112, 0, 9),
    load(LOAD_WORD, NETWORK + 24), // destination address, first of four words
    equal(0xff02_0000, 0, 7),
    load(LOAD_WORD, NETWORK + 28),
    equal(0, 0, 5),
    load(LOAD_WORD, NETWORK + 32),
    equal(0, 0, 3),
    load(LOAD_WORD, NETWORK + 36),
    equal(0x12, 0, 1),
    ret(WHOLE),
    ret(0),
];

/// Gratuitous ARP, request or reply, of another station: the sender's address is the target's. It tells our hosts
/// something only if it was sent to all of them and on their LAN: what one station is told, or what carries the tag
/// of another VLAN, a packet socket is shown as well.
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

/// ARP, request or reply, that any other station has sent to all of our LAN from one of these addresses: hosts that know
/// the address believe each of them (RFC 5227 §2.4).
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

/// Unsolicited Neighbor Advertisements from the same link for one of these addresses, or for one that ends like it.
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

/// The end of a program: passes what was loaded last if it is one of these.
fn pass_any_of(mut program: Vec<Instruction>, values: impl Iterator<Item = u32>) -> Vec<Instruction> {
    for value in values {
        program.extend([equal(value, 0, 1), ret(WHOLE)]);
    }
    program.push(ret(0));
    program
}

/// IPv4, for a packet socket that sees whole frames: what one of these sources sends to 224.0.0.18 on the link itself.
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

/// Attaches a program; from now on the socket queues only what it accepts. For a moment it may queue nothing: a long
/// program and the long one that it replaces do not fit into the memory that older kernels give a socket (`optmem_max`).
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
