//! Announcements: the frames that tell every host of a LAN at which MAC address an IP address now
//! is.
//!
//! IPv4 addresses are announced by gratuitous ARP ([`super::arp`]) and IPv6 addresses by
//! unsolicited Neighbor Advertisements ([`super::ndp`]) (RFC 9568 §6.4.1, §6.4.2; errata 7947 and
//! 7949). The protocol decides when they are sent, and what follows from the announcements of other
//! stations.

use super::{Frame, arp, ndp};
use crate::types::{Family, MacAddr};
use std::net::IpAddr;

/// How many octets of a packet [`Announcement::read`] needs at most: those of an ARP packet, or of
/// a Neighbor Advertisement with some options before the one that is read.
pub const LONGEST_ANNOUNCEMENT: usize = 128;

/// The content of an announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// The address that is announced.
    pub address: IpAddr,
    /// The hardware address that the announcement gives for it: in our own frames the interface's
    /// address, or the Virtual Router MAC Address (RFC 9568 §7.3).
    pub mac: MacAddr,
}

impl Announcement {
    /// The frame that makes this announcement.
    ///
    /// ```
    /// use vrrpd_core::types::{Family, MacAddr};
    /// use vrrpd_core::wire::Announcement;
    /// let said = Announcement {
    ///     address: "192.0.2.254".parse().unwrap(),
    ///     mac: MacAddr([2, 0, 0, 0, 0, 0x0a]),
    /// };
    /// assert_eq!(Announcement::read(Family::Ipv4, said.frame().payload()), Some(said));
    /// ```
    #[must_use]
    pub fn frame(self) -> Frame {
        match self.address {
            IpAddr::V4(address) => arp::gratuitous_request(address, self.mac),
            IpAddr::V6(address) => ndp::unsolicited_advertisement(address, self.mac),
        }
    }

    /// Reads what a socket for announcements of `family` delivers: an ARP packet without its
    /// Ethernet header, or an ICMPv6 message without its IPv6 header. `None` if the packet cannot
    /// be read or announces nothing.
    #[must_use]
    pub fn read(family: Family, packet: &[u8]) -> Option<Self> {
        match family {
            Family::Ipv4 => arp::read(packet),
            Family::Ipv6 => ndp::read(packet),
        }
    }
}
