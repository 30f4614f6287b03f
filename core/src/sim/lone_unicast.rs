//! What the lone node is given of unicast: lists of nodes, senders that are believed, and messages that
//! arrive in the right way and in wrong ones (docs/adr/0042).

use super::node::Host;
use super::rng::{PerMille, Rng};
use crate::protocol::RouterSpec;
use crate::types::{Destinations, Family, UnicastPeers};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU8;

/// How often a router sends to listed nodes.
const LISTS: PerMille = PerMille::new(250);
/// How often a router names the senders that it believes.
const NAMES_SENDERS: PerMille = PerMille::new(100);

/// The number of the node itself; [`NEIGHBOURS`] are those of the others.
pub(super) const OURS: u8 = 100;
/// The numbers of the routers that the node hears, the most usual one first.
pub(super) const NEIGHBOURS: [u8; 3] = [50, 101, 200];

/// The global address of a router, beside its link-local one.
pub(super) const fn global(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 1, number as u16)
}

/// The scope of the IPv6 addresses of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListScope {
    LinkLocal,
    Global,
}

/// Draws for the lone node. It has a generator of its own, so that what else is drawn from a seed stays
/// the same.
#[derive(Debug)]
pub(super) struct UnicastDraw {
    rng: Rng,
}

impl UnicastDraw {
    pub(super) const fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed ^ 0x756e_6963_6173_7473) }
    }

    fn happens(&mut self, thousandths: u16) -> bool {
        self.rng.chance(PerMille::new(thousandths))
    }

    /// Where a router sends: mostly to the group.
    pub(super) fn destinations(&mut self) -> Destinations {
        if self.rng.chance(LISTS) { Destinations::Unicast(self.list()) } else { Destinations::Multicast }
    }

    /// A list in which some of the neighbours are missing, at times all of them.
    fn list(&mut self) -> UnicastPeers {
        let scope = self.rng.pick(&[ListScope::LinkLocal, ListScope::Global], ListScope::LinkLocal);
        let mut numbers: Vec<u8> = NEIGHBOURS.into_iter().filter(|_| self.happens(800)).collect();
        if numbers.is_empty() || self.happens(500) {
            numbers.insert(self.rng.index(numbers.len() + 1), OURS);
        }
        let v6 = |number: &u8| match scope {
            ListScope::LinkLocal => address(*number, Family::Ipv6),
            ListScope::Global => global(*number).into(),
        };
        let v4 = numbers.iter().map(|number| address(*number, Family::Ipv4));
        let addresses = v4.chain(numbers.iter().map(v6)).collect();
        UnicastPeers { addresses, min_ttl: self.min_ttl() }
    }

    fn min_ttl(&mut self) -> NonZeroU8 {
        NonZeroU8::new(self.rng.pick(&[255, 255, 255, 254, 64, 1], 255)).unwrap_or(NonZeroU8::MAX)
    }

    /// The senders that a router believes: mostly nobody is named, so all are.
    pub(super) fn accept_from(&mut self) -> Vec<IpAddr> {
        if !self.rng.chance(NAMES_SENDERS) {
            return Vec::new();
        }
        let named: Vec<u8> = NEIGHBOURS.into_iter().filter(|_| self.happens(700)).collect();
        let in_both = named.iter().flat_map(|number| {
            let [v4, v6] = [Family::Ipv4, Family::Ipv6].map(|family| address(*number, family));
            [v4, v6, global(*number).into()]
        });
        in_both.collect()
    }

    /// A reload of the list, of its `min_ttl`, or of the senders.
    pub(super) fn change(&mut self, spec: &mut RouterSpec) {
        let min_ttl = self.min_ttl();
        match (self.rng.below(3), &mut spec.destinations) {
            (0, _) => spec.accept_from = self.accept_from(),
            (1, Destinations::Unicast(peers)) => peers.min_ttl = min_ttl,
            (_, Destinations::Unicast(peers)) => *peers = self.list(),
            (_, Destinations::Multicast) => spec.destinations = self.destinations(),
        }
    }

    /// The source of a neighbour: the address that the list has, if there is one.
    pub(super) fn source_of(&mut self, number: u8, family: Family, spec: &RouterSpec) -> IpAddr {
        let known = |peers: &UnicastPeers| peers.addresses.contains(&global(number).into());
        let listed = family == Family::Ipv6 && spec.destinations.unicast().is_some_and(known);
        if listed != self.happens(30) && family == Family::Ipv6 {
            return global(number).into();
        }
        address(number, family)
    }

    /// Where a neighbour of this router sends: mostly where the router hears it.
    pub(super) fn arrives_at(&mut self, family: Family, spec: &RouterSpec) -> IpAddr {
        let ours = match (family, &spec.destinations) {
            (Family::Ipv6, Destinations::Unicast(peers)) if !peers.are_link_local() => global(OURS).into(),
            (Family::Ipv4 | Family::Ipv6, _) => address(OURS, family),
        };
        match (self.rng.below(20), &spec.destinations) {
            (0, _) => address(NEIGHBOURS[1], family),
            (1, Destinations::Unicast(_)) | (2.., Destinations::Multicast) => family.group(),
            (2.., Destinations::Unicast(_)) | (1, Destinations::Multicast) => ours,
        }
    }

    /// The TTL or Hop Limit of a message: mostly what routers send with.
    pub(super) fn ttl(&mut self) -> u8 {
        if self.happens(60) { self.rng.pick(&[254, 253, 64, 63, 1, 0], 0) } else { 255 }
    }

    /// One of those to whom this router sends.
    pub(super) fn recipient(&mut self, family: Family, spec: &RouterSpec) -> IpAddr {
        let all = spec.destinations.addresses(family, |one| one == address(OURS, family));
        self.rng.pick(&all, family.group())
    }
}

fn address(number: u8, family: Family) -> IpAddr {
    Host { v4: number, v6: u16::from(number) }.address(family)
}
