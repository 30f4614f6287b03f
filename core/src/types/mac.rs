//! Ethernet addresses.

use super::{Family, Vrid};
use std::fmt;
use std::str::FromStr;

/// A 48-bit Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// The Ethernet broadcast address, ff:ff:ff:ff:ff:ff.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// The Virtual Router MAC Address: 00-00-5E-00-01-{VRID} for IPv4, 00-00-5E-00-02-{VRID} for
    /// IPv6 (RFC 9568 §7.3).
    ///
    /// ```
    /// use vrrpd_core::types::{Family, MacAddr, Vrid};
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

/// A text that is not a MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a MAC address is six pairs of hexadecimal digits: 00:00:5e:00:01:33")]
pub struct MacAddrError;

impl FromStr for MacAddr {
    type Err = MacAddrError;

    /// Reads the form that is displayed, and capital letters as well.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pairs = text.split(':');
        let mut octets = [0; 6];
        for octet in &mut octets {
            let pair = pairs.next().filter(|pair| pair.len() == 2 && !pair.starts_with('+'));
            *octet = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or(MacAddrError)?;
        }
        if pairs.next().is_none() { Ok(Self(octets)) } else { Err(MacAddrError) }
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

super::text_form::serialize_as_text!(MacAddr);
