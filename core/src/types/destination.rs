//! Where advertisements are sent.

use super::Family;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::num::NonZeroU8;

/// Where the advertisements of a router are sent, which also says how those of the other nodes must
/// arrive.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Destinations {
    /// To the multicast group of the family (RFC 9568 §5.1.1.2, §5.1.2.2).
    #[default]
    Multicast,
    /// To each of these nodes by itself. RFC 9568 does not know this.
    Unicast(UnicastPeers),
}

/// The nodes between which a router is moved without a multicast group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UnicastPeers {
    /// Their addresses, of either family, in the order of the configuration. This node may be among
    /// them, so that all nodes can have the same list.
    pub addresses: Vec<IpAddr>,
    /// The least TTL or Hop Limit that their advertisements may arrive with. Less than 255: they may
    /// be behind a router.
    pub min_ttl: NonZeroU8,
}

impl Destinations {
    /// The destination addresses of an advertisement of `family`, without this node's own. Empty if
    /// there is no other node.
    pub fn addresses(&self, family: Family, is_own: impl Fn(IpAddr) -> bool) -> Vec<IpAddr> {
        match self {
            Self::Multicast => vec![family.group()],
            Self::Unicast(peers) => peers.of(family).filter(|address| !is_own(*address)).collect(),
        }
    }

    /// The nodes, if they are listed.
    #[must_use]
    pub const fn unicast(&self) -> Option<&UnicastPeers> {
        match self {
            Self::Multicast => None,
            Self::Unicast(peers) => Some(peers),
        }
    }
}

impl UnicastPeers {
    /// The addresses of one family.
    pub fn of(&self, family: Family) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().copied().filter(move |address| Family::of(*address) == family)
    }

    /// Whether all addresses of IPv6 are link-local, so that this node's source must be as well.
    #[must_use]
    pub fn are_link_local(&self) -> bool {
        self.of(Family::Ipv6).all(|address| match address {
            IpAddr::V6(address) => address.is_unicast_link_local(),
            IpAddr::V4(_) => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertisement_goes_to_every_other_node_of_its_family_and_never_to_the_group_besides() {
        let addresses = ["192.0.2.1", "2001:db8::1", "192.0.2.2", "192.0.2.3"];
        let addresses: Vec<IpAddr> = addresses.map(|text| text.parse().unwrap()).into();
        let own = addresses[0];
        let peers = UnicastPeers { addresses: addresses.clone(), min_ttl: NonZeroU8::MAX };
        let unicast = Destinations::Unicast(peers);
        assert_eq!(unicast.addresses(Family::Ipv4, |address| address == own), addresses[2..]);
        assert_eq!(unicast.addresses(Family::Ipv6, |address| address == own), [addresses[1]]);
        assert!(unicast.addresses(Family::Ipv4, |_| true).is_empty(), "not even then");
        assert_eq!(Destinations::Multicast.addresses(Family::Ipv6, |_| true), [Family::Ipv6.group()]);
    }
}
