//! Where advertisements are sent.

use super::Family;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Where the advertisements of a router are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Destinations {
    /// To the multicast group of the family (RFC 9568 §5.1.1.2, §5.1.2.2).
    #[default]
    Multicast,
}

impl Destinations {
    /// The destination address of each copy of an advertisement of `family`.
    pub fn addresses(self, family: Family) -> impl Iterator<Item = IpAddr> {
        match self {
            Self::Multicast => std::iter::once(family.group()),
        }
    }
}
