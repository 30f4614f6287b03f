//! Netlink messages combined into a table of links and addresses. Pure.

use crate::kernel::address::{AddressRank, ObservedAddress, Origin, Readiness};
use crate::types::{InterfaceName, LinkFacts, MacAddr};
use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressScope;
use netlink_packet_route::link::{
    InfoPortKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[cfg(test)]
mod tests;

/// All interfaces by their index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LinkTable {
    links: BTreeMap<u32, LinkEntry>,
    addresses: BTreeMap<u32, InterfaceAddresses>,
}

/// What a message changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableChange {
    /// Nothing that matters to routers.
    Nothing,
    /// The facts of a link.
    Link,
    /// The link that had this name has disappeared. A link that comes back, even with the same
    /// index, is another one: sockets have lost their group.
    Gone(InterfaceName),
    /// The addresses of the interface with this index, in a way that the keeper may want to undo:
    /// an address was removed, or one that is not ours appeared.
    Addresses(u32, Origin),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct LinkEntry {
    name: Option<InterfaceName>,
    mac: Option<MacAddr>,
    mtu: u32,
    flags: LinkFlags,
    /// The index of the interface that this one is a port of.
    controller: Option<u32>,
}

/// The addresses of one interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct InterfaceAddresses {
    /// Addresses that may be a source: neither ours nor unusable.
    ipv4: Vec<Ipv4Source>,
    /// As `ipv4`. The sets are sorted, so that the same addresses are the same facts whatever came
    /// before.
    ipv6_link_local: BTreeSet<Ipv6Addr>,
    ipv6_global: BTreeSet<Ipv6Addr>,
    /// All addresses that are not ours.
    foreign: BTreeSet<IpNet>,
    /// The addresses of ours that are the first of their IPv4 network.
    first: BTreeSet<IpNet>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ipv4Source {
    address: Ipv4Addr,
    prefix_len: u8,
    rank: AddressRank,
    scope: u8,
}

impl LinkTable {
    #[expect(clippy::wildcard_enum_match_arm, reason = "not our enum; only links and addresses matter")]
    pub(super) fn fold(&mut self, message: &RouteNetlinkMessage) -> TableChange {
        match message {
            // A bridge reports its ports in its own address family; "deleted" then means that a
            // port left the bridge.
            RouteNetlinkMessage::NewLink(link) if link.header.interface_family == AddressFamily::Unspec => {
                self.links.entry(link.header.index).or_insert_with(LinkEntry::unknown).update(link);
                TableChange::Link
            }
            RouteNetlinkMessage::DelLink(link) if link.header.interface_family == AddressFamily::Unspec => {
                self.addresses.remove(&link.header.index);
                let gone = self.links.remove(&link.header.index);
                gone.and_then(|link| link.name).map_or(TableChange::Link, TableChange::Gone)
            }
            RouteNetlinkMessage::NewAddress(address) => {
                let Some(address) = ObservedAddress::decode(address) else {
                    return TableChange::Nothing;
                };
                self.addresses.entry(address.index).or_default().insert(&address);
                match address.origin {
                    Origin::Ours => TableChange::Nothing,
                    Origin::Foreign => TableChange::Addresses(address.index, Origin::Foreign),
                }
            }
            RouteNetlinkMessage::DelAddress(address) => {
                let Some(address) = ObservedAddress::decode(address) else {
                    return TableChange::Nothing;
                };
                if let Some(addresses) = self.addresses.get_mut(&address.index) {
                    addresses.remove(&address);
                }
                TableChange::Addresses(address.index, address.origin)
            }
            _ => TableChange::Nothing,
        }
    }

    pub(super) fn name(&self, index: u32) -> Option<InterfaceName> {
        self.links.get(&index)?.name
    }

    pub(super) fn facts(&self, name: InterfaceName) -> Option<LinkFacts> {
        let (index, link) = self.links.iter().find(|(_, link)| link.name == Some(name))?;
        let addresses = self.addresses.get(index).cloned().unwrap_or_default();
        Some(LinkFacts {
            index: *index,
            mac: link.mac,
            mtu: link.mtu,
            up: link.flags.contains(LinkFlags::Up),
            carrier: link.flags.contains(LinkFlags::Running),
            ipv4: addresses.ipv4.iter().map(|source| source.address).collect(),
            ipv6_link_local: addresses.ipv6_link_local.iter().copied().collect(),
            ipv6_global: addresses.ipv6_global.iter().copied().collect(),
            chosen: addresses.chosen(),
            port_of: link.controller.and_then(|controller| self.name(controller)),
            // The shortest prefix comes last, so that it is the one that stays in the map.
            foreign: addresses.foreign.iter().rev().map(|net| (net.addr(), net.prefix_len())).collect(),
        })
    }
}

impl LinkEntry {
    fn unknown() -> Self {
        Self { name: None, mac: None, mtu: 0, flags: LinkFlags::empty(), controller: None }
    }

    /// Takes over the attributes of a message, because some notifications have only some of them.
    #[expect(clippy::wildcard_enum_match_arm, reason = "not our enum; the other attributes are of no use")]
    fn update(&mut self, message: &LinkMessage) {
        self.flags = message.header.flags;
        // A message with the MTU has all attributes: one that is missing in it has its default.
        if message.attributes.iter().any(|attribute| matches!(attribute, LinkAttribute::Mtu(_))) {
            self.controller = controller(message);
        }
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => self.name = name.parse().ok(),
                LinkAttribute::Mtu(mtu) => self.mtu = *mtu,
                LinkAttribute::Address(octets) if message.header.link_layer_type == LinkLayerType::Ether => {
                    self.mac = <[u8; 6]>::try_from(octets.as_slice()).ok().map(MacAddr);
                }
                _ => {}
            }
        }
    }
}

/// The index of the interface that this one is a port of. A member of a VRF does not count, because
/// it receives what arrives.
#[expect(clippy::wildcard_enum_match_arm, reason = "not our enum; the other attributes are of no use")]
fn controller(message: &LinkMessage) -> Option<u32> {
    let mut controller = None;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Controller(index) => controller = Some(*index),
            LinkAttribute::LinkInfo(infos) if infos.contains(&LinkInfo::PortKind(InfoPortKind::Vrf)) => {
                return None;
            }
            _ => {}
        }
    }
    controller.filter(|index| *index != 0)
}

impl InterfaceAddresses {
    /// The addresses of ours that the kernel chooses as a source. For a connection it chooses the
    /// first address of the destination's network; a host route (/32) has no other destinations. An
    /// address is only listed if the machine has another address in that network, because otherwise
    /// the kernel has no choice.
    fn chosen(&self) -> BTreeMap<IpAddr, u8> {
        let near = |net: &&IpNet| {
            self.foreign.iter().any(|own| own.contains(&net.addr()) || net.contains(&own.addr()))
        };
        let wide = self.first.iter().filter(|net| net.prefix_len() < 31);
        wide.filter(near).map(|net| (net.addr(), net.prefix_len())).collect()
    }

    /// Adds an address, or replaces it if it is known already.
    fn insert(&mut self, address: &ObservedAddress) {
        match address.origin {
            Origin::Ours => self.foreign.remove(&address.net),
            Origin::Foreign => self.foreign.insert(address.net),
        };
        if address.origin == Origin::Ours
            && address.net.addr().is_ipv4()
            && address.rank == AddressRank::Primary
        {
            self.first.insert(address.net);
        } else {
            self.first.remove(&address.net);
        }
        let may_be_source = address.origin == Origin::Foreign
            && address.readiness == Readiness::Ready
            && address.scope != AddressScope::Host;
        match address.net.addr() {
            IpAddr::V4(v4) => {
                let source = Ipv4Source {
                    address: v4,
                    prefix_len: address.net.prefix_len(),
                    rank: address.rank,
                    scope: address.scope.into(),
                };
                if self.ipv4.contains(&source) && may_be_source {
                    return; // lifetimes changed; the position did not
                }
                self.remove_source(address);
                if may_be_source {
                    self.ipv4.insert(self.place_of(source), source);
                }
            }
            IpAddr::V6(v6) => {
                let of_scope = self.of_scope(v6);
                if may_be_source {
                    of_scope.insert(v6);
                } else {
                    of_scope.remove(&v6);
                }
            }
        }
    }

    fn remove(&mut self, address: &ObservedAddress) {
        self.foreign.remove(&address.net);
        self.first.remove(&address.net);
        self.remove_source(address);
    }

    fn remove_source(&mut self, address: &ObservedAddress) {
        match address.net.addr() {
            IpAddr::V4(v4) => {
                let prefix_len = address.net.prefix_len();
                self.ipv4.retain(|source| (source.address, source.prefix_len) != (v4, prefix_len));
            }
            IpAddr::V6(v6) => {
                self.of_scope(v6).remove(&v6);
            }
        }
    }

    /// The sources among which an address is, or would be.
    const fn of_scope(&mut self, address: Ipv6Addr) -> &mut BTreeSet<Ipv6Addr> {
        if address.is_unicast_link_local() { &mut self.ipv6_link_local } else { &mut self.ipv6_global }
    }

    /// The position at which the kernel lists a new address: a secondary comes last; a primary
    /// comes behind the primaries of its own scope and of narrower scopes. A narrower scope is a
    /// greater number.
    fn place_of(&self, new: Ipv4Source) -> usize {
        match new.rank {
            AddressRank::Secondary => self.ipv4.len(),
            AddressRank::Primary => self
                .ipv4
                .iter()
                .rposition(|source| source.rank == AddressRank::Primary && source.scope >= new.scope)
                .map_or(0, |last| last + 1),
        }
    }
}
