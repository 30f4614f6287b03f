//! Floor 1: translates octets to representations and back: VRRP (RFC 9568 §5), the packets that
//! carry it, the announcements of addresses by ARP and Neighbor Discovery, the messages that nodes
//! exchange beside VRRP ([`channel`]), and the frames by which they probe the link.
//!
//! This module is pure, and nothing from the network can make it panic. Rejections are values. The
//! formats other than VRRP are read and written with pnet's packet types
//! (docs/adr/0029-the-wire-in-one-place.md).

mod advert;
mod announcement;
mod arp;
pub mod channel;
mod checksum;
mod codec;
mod ethernet;
mod ipv4;
mod ndp;
mod probe;
mod v2;
mod v3;

#[cfg(test)]
mod announcement_tests;
#[cfg(test)]
mod tests;

pub use advert::{
    AddressList, Advertisement, Carrier, ChecksumFlavour, Draft, EmitError, HeardAuthentication, Reject,
    RejectReason,
};
pub use announcement::{Announcement, LONGEST_ANNOUNCEMENT};
pub use codec::{emit, parse};
pub use ethernet::{ETHERNET_HEADER, Frame};
pub use ipv4::{split_ipv4, split_ipv4_frame};
pub use probe::{LONGEST_PROBE, PROBE_PORT, PROBE_SOURCE_IPV4, PROBE_SOURCE_IPV6, read_probe, write_probe};

/// The IP protocol number, and Next Header, of VRRP (RFC 9568 §5.1.1.4, §5.1.2.4).
pub const IP_PROTOCOL: u8 = 112;
