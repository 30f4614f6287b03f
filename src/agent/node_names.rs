//! The names of the other nodes, by the addresses that they send from.
//!
//! VRRP tells nodes apart by their addresses only. Whoever learns the names elsewhere makes a
//! [`NodeNames`] of them; the texts and documents about other nodes look the names up in it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The names of the other nodes, as far as they are known. A clone shares the map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeNames(Arc<BTreeMap<IpAddr, String>>);

impl NodeNames {
    /// Returns the name of the node that sends from this address; `None`: it is not known.
    #[must_use]
    pub fn of(&self, address: IpAddr) -> Option<&str> {
        self.0.get(&address).map(String::as_str)
    }
}

/// An address that is given with two different names has none, because a wrong name misleads more
/// than an address without a name. That happens where two interfaces use the same addresses.
impl<N: Into<String>> FromIterator<(IpAddr, N)> for NodeNames {
    fn from_iter<I: IntoIterator<Item = (IpAddr, N)>>(names: I) -> Self {
        let mut found: BTreeMap<IpAddr, Option<String>> = BTreeMap::new();
        for (address, name) in names {
            let name = name.into();
            let known = found.entry(address).or_insert_with(|| Some(name.clone()));
            if known.as_ref().is_some_and(|known| *known != name) {
                *known = None;
            }
        }
        let known = found.into_iter().filter_map(|(address, name)| Some((address, name?)));
        Self(Arc::new(known.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn a_node_has_its_name_at_each_of_its_addresses() {
        let names: NodeNames =
            [(ip("192.0.2.11"), "fe1"), (ip("fe80::11"), "fe1"), (ip("192.0.2.12"), "fe2")]
                .into_iter()
                .collect();
        assert_eq!(names.of(ip("192.0.2.11")), Some("fe1"));
        assert_eq!(names.of(ip("fe80::11")), Some("fe1"));
        assert_eq!(names.of(ip("192.0.2.12")), Some("fe2"));
        assert_eq!(names.of(ip("192.0.2.13")), None);
        assert_eq!(NodeNames::default().of(ip("192.0.2.11")), None);
    }

    #[test]
    fn an_address_with_two_names_has_none() {
        let twice = |names: &[&str]| -> NodeNames {
            names.iter().map(|name| (ip("fe80::1"), (*name).to_owned())).collect()
        };
        assert_eq!(twice(&["fe1", "fe1"]).of(ip("fe80::1")), Some("fe1"));
        assert_eq!(twice(&["fe1", "fe2"]).of(ip("fe80::1")), None);
        assert_eq!(twice(&["fe1", "fe2", "fe1"]).of(ip("fe80::1")), None);
        assert_eq!(twice(&["fe1", "fe2"]), NodeNames::default());
    }
}
