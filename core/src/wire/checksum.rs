//! The Internet checksum (RFC 1071), with the pseudo-headers that VRRP uses (RFC 9568 §5.2.8).
//!
//! A received message is intact if the sum of all its words, *including* its checksum field, is
//! 0xFFFF. To compute the checksum and compare it would be wrong: 0x0000 and 0xFFFF are the same
//! number in one's complement, and senders use both.

use super::IP_PROTOCOL;
use std::net::IpAddr;

/// A one's-complement sum of 16-bit words, in progress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum(u64);

impl Sum {
    /// Begins a sum with no words in it.
    pub(super) const fn new() -> Self {
        Self(0)
    }

    /// Adds octets as big-endian words; an odd last octet counts as if a zero followed.
    pub(super) fn octets(self, octets: &[u8]) -> Self {
        let mut words = octets.chunks_exact(2);
        let sum = words.by_ref().map(word_of).sum::<u64>();
        let last = words.remainder().first().map_or(0, |octet| u64::from(*octet) << 8);
        Self(self.0 + sum + last)
    }

    /// Adds a pseudo-header. The pseudo-header of IPv4 (source, destination, zero, protocol, 16-bit
    /// length) and the one of RFC 8200 §8.1 (source, destination, 32-bit length, zero, next header)
    /// have the same sum.
    pub(super) fn pseudo_header(self, source: IpAddr, destination: IpAddr, length: usize) -> Self {
        let length = (length >> 16 & 0xffff) as u64 + (length & 0xffff) as u64;
        let sum = self.address(source).address(destination);
        Self(sum.0 + length + u64::from(IP_PROTOCOL))
    }

    /// Whether a received message, summed with its checksum, is intact.
    pub(super) const fn verifies(self) -> bool {
        // RFC9568-5.2.8-3
        self.folded() == 0xffff
    }

    /// Returns the checksum to send. A checksum of 0x0000 is sent as 0x0000: RFC 1071 gives it no
    /// other meaning, and FRR 8.4 does not accept 0xFFFF in its place.
    pub(super) const fn checksum(self) -> u16 {
        !self.folded()
    }

    fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.octets(&address.octets()),
            IpAddr::V6(address) => self.octets(&address.octets()),
        }
    }

    const fn folded(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let [.., high, low] = sum.to_be_bytes();
        u16::from_be_bytes([high, low])
    }
}

fn word_of(word: &[u8]) -> u64 {
    word.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1071 §3.
    const OCTETS: [u8; 8] = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];

    #[test]
    fn the_example_of_rfc_1071_sums_to_its_result() {
        assert_eq!(Sum::new().octets(&OCTETS).folded(), 0xddf2);
        assert_eq!(Sum::new().octets(&OCTETS).checksum(), 0x220d);
    }

    #[test]
    fn a_sum_may_be_taken_in_even_pieces() {
        let (a, b) = OCTETS.split_at(2);
        assert_eq!(Sum::new().octets(b).octets(a).folded(), 0xddf2);
    }

    #[test]
    fn an_odd_octet_is_the_high_half_of_a_word() {
        assert_eq!(Sum::new().octets(&[0x12, 0x34, 0x56]).folded(), 0x1234 + 0x5600);
    }

    #[test]
    fn a_message_verifies_with_its_checksum_and_with_no_other() {
        let good = Sum::new().octets(&OCTETS).checksum();
        for checksum in 0..=u16::MAX {
            let sum = Sum::new().octets(&OCTETS).octets(&checksum.to_be_bytes());
            assert_eq!(sum.verifies(), checksum == good, "{checksum:04x}");
        }
    }

    // RFC9568-5.2.8-3
    #[test]
    fn both_aliases_of_zero_verify_and_zero_is_sent() {
        let zero = Sum::new().octets(&[0xff, 0xff]);
        assert_eq!(zero.checksum(), 0);
        assert!(zero.octets(&[0x00, 0x00]).verifies());
        assert!(zero.octets(&[0xff, 0xff]).verifies());
    }

    #[test]
    fn pseudo_headers_sum_like_their_layouts_in_the_rfcs() {
        let v4 = Sum::new().pseudo_header([192, 0, 2, 1].into(), [224, 0, 0, 18].into(), 12);
        let layout = [192, 0, 2, 1, 224, 0, 0, 18, 0, 112, 0, 12];
        assert_eq!(v4.folded(), Sum::new().octets(&layout).folded());

        let (source, group) =
            (IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 0xa]), IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 0x12]));
        let v6 = Sum::new().pseudo_header(source, group, 0x1_0028);
        let layout: Vec<u8> = [source, group]
            .iter()
            .flat_map(|a| match a {
                IpAddr::V4(_) => unreachable!("both are IPv6"),
                IpAddr::V6(a) => a.octets(),
            })
            .chain([0, 1, 0, 0x28, 0, 0, 0, 112])
            .collect();
        assert_eq!(v6.folded(), Sum::new().octets(&layout).folded());
    }
}
