//! Whom a station speaks to, and whom it believes: all stations of its group, or those of a list
//! (docs/adr/0042); and which stations hear one another because of it.

use super::lan::Port;
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
    Listed(HostList),
}

/// The stations of a list, in its order. The station itself may be one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostList {
    hosts: [Option<Host>; MOST],
}

impl HostList {
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

/// Some of the stations of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ports(u32);

impl Ports {
    /// Adds a station.
    pub const fn insert(&mut self, port: Port) {
        self.0 |= 1 << port.0;
    }

    /// Whether a station is among them.
    #[must_use]
    pub const fn contains(self, port: Port) -> bool {
        self.0 & 1 << port.0 != 0
    }
}

/// Whether the stations of a LAN form groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strangers {
    /// They do, and no two groups reach one another.
    Apart,
    /// They do, and groups that do not understand or believe one another are on one LAN, where each has
    /// an Active of its own and hosts hear both.
    OnTheLan,
    /// They do not: a station hears another one that does not hear it, or two that do not hear each
    /// other.
    Tangled,
}

/// Who hears whom: for each station those that it hears. Gives for each station the lowest port of its
/// component: of those that hear each other, directly or by way of others.
pub(super) fn components(hears: &[Ports]) -> Vec<usize> {
    let mutual = |a: usize, b: usize| {
        let of = |at: usize| hears.get(at).copied().unwrap_or_default();
        of(a).contains(Port(b)) && of(b).contains(Port(a))
    };
    let mut components: Vec<usize> = (0..hears.len()).collect();
    for _ in 0..hears.len() {
        for at in 0..hears.len() {
            let near = (0..hears.len()).filter(|other| mutual(at, *other));
            let lowest = near.filter_map(|other| components.get(other).copied()).min();
            if let Some(component) = components.get_mut(at) {
                *component = lowest.map_or(*component, |lowest| lowest.min(*component));
            }
        }
    }
    components
}

/// Whether every station hears exactly those of its component.
pub(super) fn are_groups(hears: &[Ports], components: &[usize]) -> bool {
    hears.iter().zip(components).enumerate().all(|(at, (heard, home))| {
        let others = components.iter().enumerate().filter(|(other, _)| *other != at);
        others.into_iter().all(|(other, component)| heard.contains(Port(other)) == (component == home))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For each station the ports that it hears.
    fn hearing(heard: &[&[usize]]) -> Vec<Ports> {
        let set = |ports: &&[usize]| {
            let mut set = Ports::default();
            ports.iter().for_each(|port| set.insert(Port(*port)));
            set
        };
        heard.iter().map(set).collect()
    }

    #[test]
    fn two_pairs_are_groups() {
        let hears = hearing(&[&[2], &[3], &[0], &[1]]);
        let components = components(&hears);
        assert_eq!(components, [0, 1, 0, 1]);
        assert!(are_groups(&hears, &components));
    }

    #[test]
    fn a_chain_is_one_component_and_no_group() {
        let hears = hearing(&[&[2], &[2], &[0, 1]]);
        let components = components(&hears);
        assert_eq!(components, [0, 0, 0]);
        assert!(!are_groups(&hears, &components));
    }

    #[test]
    fn who_is_not_heard_by_those_it_hears_is_alone_and_the_whole_is_no_group() {
        let hears = hearing(&[&[1], &[]]);
        let components = components(&hears);
        assert_eq!(components, [0, 1]);
        assert!(!are_groups(&hears, &components));
    }

    #[test]
    fn a_list_may_name_the_station_itself_which_is_not_sent_to() {
        let hosts = [1, 2, 3].map(|number| Host { v4: number, v6: u16::from(number) });
        let audience = Audience::Listed(HostList::new(hosts));
        for family in [Family::Ipv4, Family::Ipv6] {
            let [own, second, third] = hosts.map(|host| host.address(family));
            assert_eq!(audience.recipients(own), [second, third]);
            assert!(audience.believes(own, second, own));
            assert!(!audience.believes(own, own, own), "its own message, reflected");
            assert!(!audience.believes(own, second, third));
            assert!(!audience.believes(own, second, family.group()));
            assert!(!Audience::Group.believes(own, second, own));
            let without = Audience::Listed(HostList::new(hosts).without(hosts[1]));
            assert!(!without.believes(own, second, own));
        }
    }
}
