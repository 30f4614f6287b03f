//! The version of VRRP that an instance speaks.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A version of the protocol.
///
/// The version is asked for in two places: `protocol::VersionRules` has what one version prescribes
/// and another does not, and `wire` has a file for the octets of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Version {
    /// VRRPv2 (RFC 3768), over IPv4 only.
    V2,
    /// VRRPv3 (RFC 9568), over IPv4 and IPv6.
    #[default]
    V3,
}

impl Version {
    /// The number in the Version field.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }

    /// The version with this number in the Version field.
    #[must_use]
    pub const fn of_number(number: u8) -> Option<Self> {
        match number {
            2 => Some(Self::V2),
            3 => Some(Self::V3),
            _ => None,
        }
    }
}

/// `VRRPv2`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VRRPv{}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_version_is_that_of_its_field() {
        for version in [Version::V2, Version::V3] {
            assert_eq!(Version::of_number(version.number()), Some(version));
        }
        assert_eq!([0, 1, 4, 15].map(Version::of_number), [None; 4]);
        assert_eq!(Version::V2.to_string(), "VRRPv2");
    }
}
