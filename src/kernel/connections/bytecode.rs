//! The filter that the kernel runs on every socket of a dump (INET_DIAG_REQ_BYTECODE of
//! `linux/inet_diag.h`): whether the local address of the socket is one of a set.
//!
//! This module is pure: addresses in, octets out. The program is a decision tree over prefixes, so
//! that a socket is compared eight or nine times if there are 255 addresses. A chain with one
//! comparison for each address is simpler, but it took 209 ms for 10,000 connections, and 255 dumps
//! with one address each took 2.7 s (the same machine without any filter: 38 ms).
//!
//! What the kernel demands of a program: every operation says by how many octets the next one is
//! away, if the answer is yes and if it is no; both are multiples of 4, and both go forward. Who
//! arrives exactly at the end is accepted, and who goes 4 octets beyond the end is refused. A jump
//! must lead to an operation that is also reached by answering yes everywhere, which is why the
//! operations follow one another without gaps.

use crate::types::Family;
use std::net::IpAddr;

/// How many addresses one program may have. The bound is the kernel's: it checks a program in a
/// time that grows with the square of its length, and an operation can jump over 65,535 octets at
/// most. One router has 255 addresses at most.
pub(super) const MOST_ADDRESSES: usize = 256;

const INET_DIAG_BC_JMP: u8 = 1;
const INET_DIAG_BC_S_COND: u8 = 7;
/// Length of an operation without its arguments.
const OPERATION: u8 = 4;
/// Length of `struct inet_diag_hostcond` without the address.
const HOST_CONDITION: u8 = 8;
/// How far beyond its end a program is left for a socket that does not match.
const REFUSED: usize = 4;

/// The program for the sockets of one family; `None` if none of the addresses can be the local
/// address of such a socket.
///
/// IPv6 sockets can have IPv4 connections too, if they were accepted by a listener for both
/// families. Their local address is the IPv4 address mapped into IPv6.
pub(super) fn program(family: Family, addresses: &[IpAddr]) -> Option<Vec<u8>> {
    debug_assert!(addresses.len() <= MOST_ADDRESSES, "{} addresses", addresses.len());
    let mut patterns: Vec<u128> = addresses.iter().filter_map(|address| pattern(family, *address)).collect();
    patterns.sort_unstable();
    patterns.dedup();
    let whole = tree_len(condition_len(family), patterns.len());
    let mut program = FilterProgram { family, whole, code: Vec::with_capacity(whole) };
    program.tree(&patterns);
    Some(program.code).filter(|code| !code.is_empty())
}

/// AF_INET or AF_INET6.
pub(super) const fn family_number(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 2,
        Family::Ipv6 => 10,
    }
}

/// The local address that a socket of this family has for a connection to `address`, from the
/// highest bit on.
fn pattern(family: Family, address: IpAddr) -> Option<u128> {
    match (family, address) {
        (Family::Ipv4, IpAddr::V4(address)) => Some(u128::from(address.to_bits()) << 96),
        (Family::Ipv4, IpAddr::V6(_)) => None,
        (Family::Ipv6, IpAddr::V4(address)) => Some(address.to_ipv6_mapped().to_bits()),
        (Family::Ipv6, IpAddr::V6(address)) => Some(address.to_bits()),
    }
}

/// Length of an operation that compares with an address of this family: 16 or 28.
const fn condition_len(family: Family) -> u8 {
    match family {
        Family::Ipv4 => OPERATION + HOST_CONDITION + 4,
        Family::Ipv6 => OPERATION + HOST_CONDITION + 16,
    }
}

/// Length of a tree: a comparison and a jump for each address, and a comparison for each place at
/// which the tree divides.
fn tree_len(condition: u8, addresses: usize) -> usize {
    let condition = usize::from(condition);
    addresses * (condition + usize::from(OPERATION)) + addresses.saturating_sub(1) * condition
}

struct FilterProgram {
    family: Family,
    /// Length of the finished program.
    whole: usize,
    code: Vec<u8>,
}

impl FilterProgram {
    /// Appends the tree for these addresses, which are sorted and all different.
    fn tree(&mut self, addresses: &[u128]) {
        let (Some(first), Some(last)) = (addresses.first(), addresses.last()) else {
            return;
        };
        let (condition, jump) = (condition_len(self.family), OPERATION);
        let shared = (first ^ last).leading_zeros();
        if shared == u128::BITS {
            let refused = self.whole - self.code.len() + REFUSED;
            self.compare(*first, self.family_bits(), refused);
            let accepted = self.whole - self.code.len();
            self.operation(INET_DIAG_BC_JMP, jump, accepted);
            return;
        }
        let bit = 1 << (u128::BITS - 1 - shared);
        let (lower, upper) = addresses.split_at(addresses.partition_point(|address| address & bit == 0));
        let over_the_upper = usize::from(condition) + tree_len(condition, upper.len());
        self.compare(*last, shared + 1, over_the_upper);
        self.tree(upper);
        self.tree(lower);
    }

    fn family_bits(&self) -> u32 {
        match self.family {
            Family::Ipv4 => u32::BITS,
            Family::Ipv6 => u128::BITS,
        }
    }

    /// Whether the first `bits` bits of the local address are those of `address`. If they are, the
    /// next operation follows.
    fn compare(&mut self, address: u128, bits: u32, otherwise: usize) {
        self.operation(INET_DIAG_BC_S_COND, condition_len(self.family), otherwise);
        let bits = u8::try_from(bits).unwrap_or(u8::MAX);
        self.code.extend([family_number(self.family), bits, 0, 0]);
        const ANY_PORT: i32 = -1;
        self.code.extend(ANY_PORT.to_ne_bytes());
        self.code.extend(address.to_be_bytes().iter().take(self.family.address_len()));
    }

    fn operation(&mut self, code: u8, yes: u8, no: usize) {
        self.code.extend([code, yes]);
        self.code.extend(u16::try_from(no).unwrap_or(u16::MAX).to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::net::{Ipv4Addr, Ipv6Addr};

    struct Operation<'a> {
        code: u8,
        yes: usize,
        no: usize,
        argument: &'a [u8],
    }

    fn operation(code: &[u8], at: usize) -> Operation<'_> {
        let no = u16::from_ne_bytes([code[at + 2], code[at + 3]]);
        let yes = code[at + 1].into();
        Operation { code: code[at], yes, no: no.into(), argument: &code[at + 4..at + yes] }
    }

    /// What the kernel checks before it accepts a program (`inet_diag_bc_audit`).
    fn audit(code: &[u8]) {
        let mut reached = BTreeSet::from([code.len(), code.len() + REFUSED]);
        let mut at = 0;
        while at < code.len() {
            reached.insert(at);
            at += operation(code, at).yes;
        }
        assert_eq!(at, code.len());
        for at in reached.iter().copied().filter(|at| *at < code.len()) {
            let operation = operation(code, at);
            assert!(operation.no >= operation.yes.min(4) && operation.no.is_multiple_of(4), "{at}");
            assert!(reached.contains(&(at + operation.no)), "{at} jumps to {}", at + operation.no);
        }
    }

    /// Runs a program as the kernel does (`inet_diag_bc_run`); returns whether the socket is
    /// accepted, and how often it was compared.
    fn run(code: &[u8], family: Family, local: u128) -> (bool, usize) {
        let (mut at, mut compared) = (0, 0);
        while at < code.len() {
            let operation = operation(code, at);
            let yes = match operation.code {
                INET_DIAG_BC_JMP => false,
                INET_DIAG_BC_S_COND => {
                    compared += 1;
                    let (expected_family, bits) = (operation.argument[0], u32::from(operation.argument[1]));
                    assert_eq!(expected_family, family_number(family));
                    assert_eq!(operation.argument[4..8], (-1_i32).to_ne_bytes());
                    let mut address = [0; 16];
                    address[..family.address_len()].copy_from_slice(&operation.argument[8..]);
                    (u128::from_be_bytes(address) ^ local).leading_zeros() >= bits
                }
                other => panic!("operation {other}"),
            };
            at += if yes { operation.yes } else { operation.no };
        }
        (at == code.len(), compared)
    }

    fn any_address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
            (0_u32..600).prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(0xc000_0200 + bits))),
            any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
            (0_u128..600).prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) + bits))),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_program_accepts_its_addresses_and_no_others(
            addresses in prop::collection::vec(any_address(), 0..=MOST_ADDRESSES),
            others in prop::collection::vec(any_address(), 0..50),
        ) {
            for family in [Family::Ipv4, Family::Ipv6] {
                let expected: BTreeSet<u128> = addresses.iter().filter_map(|a| pattern(family, *a)).collect();
                let code = program(family, &addresses);
                prop_assert_eq!(code.is_some(), !expected.is_empty());
                let Some(code) = code else { continue };
                audit(&code);
                for address in addresses.iter().chain(&others).filter_map(|a| pattern(family, *a)) {
                    prop_assert_eq!(run(&code, family, address).0, expected.contains(&address));
                }
            }
        }
    }

    #[test]
    fn the_program_for_one_ipv4_address_is_these_octets() {
        let address: IpAddr = "192.0.2.254".parse().unwrap();
        let no = |octets: u16| octets.to_ne_bytes();
        let expected = [
            [7, 16, no(24)[0], no(24)[1]],
            [family_number(Family::Ipv4), 32, 0, 0],
            [0xff; 4],
            [192, 0, 2, 254],
            [1, 4, no(4)[0], no(4)[1]],
        ];
        assert_eq!(program(Family::Ipv4, &[address]).unwrap(), expected.concat());
        assert_eq!(program(Family::Ipv4, &["2001:db8::1".parse().unwrap()]), None);
        assert_eq!(program(Family::Ipv6, &[]), None);
    }

    #[test]
    fn the_addresses_of_a_full_router_take_nine_comparisons() {
        let addresses: Vec<IpAddr> = (1..=255).map(|n| IpAddr::from([192, 0, 2, n])).collect();
        let code = program(Family::Ipv4, &addresses).unwrap();
        let most = (0..=255).map(|n| run(&code, Family::Ipv4, u128::from(0xc000_0200_u32 + n) << 96).1).max();
        assert_eq!(most, Some(9));
    }

    #[test]
    fn an_ipv6_socket_has_an_ipv4_connection_by_its_mapped_address() {
        let code = program(Family::Ipv6, &["192.0.2.254".parse().unwrap()]).unwrap();
        let mapped: Ipv6Addr = "::ffff:192.0.2.254".parse().unwrap();
        let compatible: Ipv6Addr = "::192.0.2.254".parse().unwrap();
        assert!(run(&code, Family::Ipv6, mapped.to_bits()).0);
        assert!(!run(&code, Family::Ipv6, compatible.to_bits()).0);
    }
}
