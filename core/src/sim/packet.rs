//! A packet on the simulated LAN: the fields of its IP header, and the real octets of its message.

use super::rng::Rng;
use crate::types::Family;
use crate::wire::{self, Advertisement, Carrier, Draft, EmitError, Reject};
use std::net::IpAddr;

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Packet {
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    message: Vec<u8>,
}

impl Packet {
    /// The packet that a router sends for one advertisement, with TTL 255.
    ///
    /// # Errors
    /// [`EmitError`], as [`wire::emit`].
    pub fn advertise(draft: &Draft, addresses: impl Iterator<Item = IpAddr>) -> Result<Self, EmitError> {
        let mut message = Vec::new();
        wire::emit(draft, addresses, &mut message)?;
        Ok(Self { source: draft.source, destination: draft.destination, ttl: 255, message })
    }

    /// The same packet with another TTL or Hop Limit.
    #[must_use]
    pub fn with_ttl(self, ttl: u8) -> Self {
        Self { ttl, ..self }
    }

    /// The IP header of the packet, as the receive checks see it.
    #[must_use]
    pub const fn carrier(&self) -> Carrier {
        Carrier { source: self.source, destination: self.destination, ttl: self.ttl }
    }

    /// The address family of the packet.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.source)
    }

    /// Parses the packet, as a node does.
    ///
    /// # Errors
    /// [`Reject`], as [`wire::parse`].
    pub fn parse(&self) -> Result<Advertisement<'_>, Reject> {
        wire::parse(&self.carrier(), &self.message)
    }

    /// A damaged copy: a few bits are flipped, the end is missing, or a router forwarded it.
    #[must_use]
    pub fn damaged(&self, rng: &mut Rng) -> Self {
        let mut copy = self.clone();
        match rng.below(4) {
            0 => copy.ttl = u8::try_from(rng.below(255)).unwrap_or(0),
            1 => copy.message.truncate(rng.index(self.message.len())),
            _ => {
                for _ in 0..=rng.below(3) {
                    let at = rng.index(copy.message.len());
                    if let Some(octet) = copy.message.get_mut(at) {
                        *octet ^= 1 << rng.below(8);
                    }
                }
            }
        }
        copy
    }

    /// The whole IP packet, for a capture.
    #[must_use]
    pub fn to_ip(&self) -> Vec<u8> {
        let mut packet = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let len = u16::try_from(20 + self.message.len()).unwrap_or(u16::MAX).to_be_bytes();
                let mut header =
                    vec![0x45, 0xc0, len[0], len[1], 0, 0, 0x40, 0, self.ttl, wire::IP_PROTOCOL, 0, 0];
                header.extend(source.octets());
                header.extend(destination.octets());
                let sum = internet_checksum(&header).to_be_bytes();
                header.splice(10..12, sum);
                header
            }
            (source, destination) => {
                let len = u16::try_from(self.message.len()).unwrap_or(u16::MAX).to_be_bytes();
                let mut header = vec![0x6c, 0, 0, 0, len[0], len[1], wire::IP_PROTOCOL, self.ttl];
                for address in [source, destination] {
                    if let IpAddr::V6(address) = address {
                        header.extend(address.octets());
                    }
                }
                header
            }
        };
        packet.extend(&self.message);
        packet
    }
}

fn internet_checksum(header: &[u8]) -> u16 {
    let words =
        header.chunks(2).map(|pair| pair.iter().fold(0_u32, |word, octet| word << 8 | u32::from(*octet)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}
