//! Ethernet frames: the frame that is built in place, and its header.

use crate::types::MacAddr;
use pnet::packet::ethernet::{EtherType, MutableEthernetPacket};

/// The octets of an Ethernet header without a VLAN tag.
pub const ETHERNET_HEADER: usize = MutableEthernetPacket::minimum_packet_size();

/// The octets of the longest frame that this crate builds: an IPv6 packet with a Neighbor
/// Advertisement.
const LONGEST_FRAME: usize = ETHERNET_HEADER + super::ndp::IPV6_PACKET;

/// One Ethernet frame in an array of its own, so that building thousands of frames allocates
/// little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    octets: [u8; LONGEST_FRAME],
    length: usize,
}

impl Frame {
    /// Makes a frame with its header and a payload of zeros, which `write` fills. `payload` is at
    /// most as long as the longest frame has room for.
    pub(super) fn new(
        destination: MacAddr,
        source: MacAddr,
        kind: EtherType,
        payload: usize,
        write: impl FnOnce(&mut [u8]),
    ) -> Self {
        let mut frame = Self { octets: [0; LONGEST_FRAME], length: ETHERNET_HEADER + payload };
        let (header, rest) = frame.octets.split_at_mut(ETHERNET_HEADER);
        let Some(mut header) = MutableEthernetPacket::new(header) else {
            unreachable!("the frame has room for its header")
        };
        header.set_destination(destination.0.into());
        header.set_source(source.0.into());
        header.set_ethertype(kind);
        write(rest.get_mut(..payload).unwrap_or_default());
        frame
    }

    /// Returns the octets of the frame, without padding and check sequence.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    /// Returns the octets behind the Ethernet header.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.octets.get(ETHERNET_HEADER..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Announcement;

    #[test]
    fn the_longest_frame_fills_its_room() {
        let longest =
            Announcement { address: std::net::Ipv6Addr::LOCALHOST.into(), mac: MacAddr([0; 6]) }.frame();
        assert_eq!(longest.length, longest.octets.len());
    }
}
