//! Whom a station speaks to, and whom it believes: all stations of its group, or those of a list
//! (docs/adr/0042).

use super::node::Host;
use crate::types::{Destinations, Family, UnicastPeers};
use std::net::IpAddr;
use std::num::NonZeroU8;

/// The most stations that a list has.
const MOST: usize = 6;

/// To whom a station sends, which is also whom it believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Audience {
    /// The multicast group.
    #[default]
    Group,
    /// Each station of a list, and no other.
    Listed(StationList),
}

/// The stations of a list, in its order. The station itself may be one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StationList {
    hosts: [Option<Host>; MOST],
}

impl StationList {
    /// A list of these stations, of which there are at most six.
    pub fn new(hosts: impl IntoIterator<Item = Host>) -> Self {
        let mut list = Self::default();
        list.hosts.iter_mut().zip(hosts).for_each(|(slot, host)| *slot = Some(host));
        list
    }

    /// The same list without one station.
    #[must_use]
    pub fn without(self, host: Host) -> Self {
        Self::new(self.hosts().filter(|other| *other != host))
    }

    /// The stations of the list.
    pub fn hosts(self) -> impl Iterator<Item = Host> {
        self.hosts.into_iter().flatten()
    }
}

impl Audience {
    /// The same as the configuration of a router has it.
    #[must_use]
    pub fn destinations(self) -> Destinations {
        match self {
            Self::Group => Destinations::Multicast,
            Self::Listed(list) => {
                let of = |family: Family| list.hosts().map(move |host| host.address(family));
                let addresses = of(Family::Ipv4).chain(of(Family::Ipv6)).collect();
                Destinations::Unicast(UnicastPeers { addresses, min_ttl: NonZeroU8::MAX })
            }
        }
    }

    /// To whom a station with the address `own` sends in the family of that address.
    #[must_use]
    pub fn recipients(self, own: IpAddr) -> Vec<IpAddr> {
        self.destinations().addresses(Family::of(own), |address| address == own)
    }

    /// Whether a station with the address `own` believes what came from `source` and was sent to
    /// `destination`.
    #[must_use]
    pub fn believes(self, own: IpAddr, source: IpAddr, destination: IpAddr) -> bool {
        match self {
            Self::Group => destination == Family::of(own).group(),
            Self::Listed(_) => destination == own && self.recipients(own).contains(&source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_may_name_the_station_itself_which_is_not_sent_to() {
        let hosts = [1, 2, 3].map(|number| Host { v4: number, v6: u16::from(number) });
        let audience = Audience::Listed(StationList::new(hosts));
        for family in [Family::Ipv4, Family::Ipv6] {
            let [own, second, third] = hosts.map(|host| host.address(family));
            assert_eq!(audience.recipients(own), [second, third]);
            assert!(audience.believes(own, second, own));
            assert!(!audience.believes(own, own, own), "its own message, reflected");
            assert!(!audience.believes(own, second, third));
            assert!(!audience.believes(own, second, family.group()));
            assert!(!Audience::Group.believes(own, second, own));
            let without = Audience::Listed(StationList::new(hosts).without(hosts[1]));
            assert!(!without.believes(own, second, own));
        }
    }
}
