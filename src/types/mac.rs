//! Ethernet addresses.

use super::{Family, Vrid};
use std::fmt;

/// A 48-bit Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// ff:ff:ff:ff:ff:ff.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// The Virtual Router MAC Address: 00-00-5E-00-01-{VRID} for IPv4, 00-00-5E-00-02-{VRID} for
    /// IPv6 (RFC 9568 §7.3).
    ///
    /// ```
    /// use vrrpd::types::{Family, MacAddr, Vrid};
    /// let mac = MacAddr::virtual_router(Family::Ipv6, Vrid::new(51).unwrap());
    /// assert_eq!(mac.to_string(), "00:00:5e:00:02:33");
    /// ```
    #[must_use]
    pub const fn virtual_router(family: Family, vrid: Vrid) -> Self {
        // RFC9568-7.3-1
        let block = match family {
            Family::Ipv4 => 1,
            Family::Ipv6 => 2,
        };
        Self([0x00, 0x00, 0x5e, 0x00, block, vrid.get()])
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
