//! Who hears whom: the stations of a world form groups, in each of which everybody hears everybody, or
//! they do not. Which rules hold follows from it.
//!
//! A station hears another one if packets arrive (`lan`), if it understands them ([`super::speech`]),
//! and if each is in the audience of the other ([`super::audience`]).

use super::lan::Port;
use super::node::SimNode;
use super::router::RouterNumber;
use super::speech::Dialect;
use super::station::Station;
use super::world::World;
use crate::types::Family;

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

impl World {
    /// Whether any of our nodes was set up to send to the stations of a list.
    #[must_use]
    pub fn lists_stations(&self) -> bool {
        let ports = (0..self.stations.len()).map(Port);
        ports.filter_map(|port| self.node(port)).any(SimNode::lists_stations)
    }

    /// Whether some stations that are not separated do not hear one another, or in one direction only.
    #[must_use]
    pub fn has_strangers(&self) -> bool {
        self.checkers.of(RouterNumber::First).strangers() != Strangers::Apart
    }

    /// Finds who hears whom after every change of the LAN, or of what stations speak and to whom.
    pub(super) fn find_components(&mut self) {
        let dialects: Vec<Option<Dialect>> = self.stations.iter().map(Station::dialect).collect();
        let has_v4 = self.families.contains(&Family::Ipv4);
        let mut hears = vec![Ports::default(); self.stations.len()];
        for (at, heard) in hears.iter_mut().enumerate() {
            let Some(hearer) = self.stations.get(at) else { continue };
            for (from, sender) in self.stations.iter().enumerate().filter(|(from, _)| *from != at) {
                let understood = !has_v4 || dialects.get(from) == dialects.get(at);
                let arrives = self.lan.reaches(Port(from), Port(at));
                if arrives && understood && sender.is_believed_by(hearer, &self.families) {
                    heard.insert(Port(from));
                }
            }
        }
        let components = components(&hears);
        let reach = |a: usize, b: usize| self.lan.reaches(Port(a), Port(b));
        let near = |a: usize, b: usize| a != b && (reach(a, b) || reach(b, a));
        let are_near = |(a, of_a): (usize, &usize)| {
            components.iter().enumerate().any(|(b, of_b)| near(a, b) && *of_a != *of_b)
        };
        let strangers = if !are_groups(&hears, &components) {
            Strangers::Tangled
        } else if components.iter().enumerate().any(are_near) {
            Strangers::OnTheLan
        } else {
            Strangers::Apart
        };
        self.components = components.into_iter().zip(hears).collect();
        self.checkers.each().for_each(|checker| checker.set_strangers(strangers));
    }
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
}
