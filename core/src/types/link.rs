//! The facts that the kernel reports about an interface.

use super::{InterfaceName, MacAddr};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The facts about one existing interface that the protocol needs. For a missing interface there is
/// no such value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkFacts {
    /// The kernel's index. An interface that is created again has a new one.
    pub index: u32,
    /// Hardware address; `None` on links without Ethernet addresses.
    pub mac: Option<MacAddr>,
    /// Largest IP packet in octets.
    pub mtu: u32,
    /// Whether the interface is administratively up (IFF_UP).
    pub up: bool,
    /// Whether the link below is up (IFF_RUNNING).
    pub carrier: bool,
    /// IPv4 addresses that may be a source of advertisements, because we did not install them, in
    /// the kernel's order.
    pub ipv4: Vec<Ipv4Addr>,
    /// IPv6 link-local addresses that may be a source of advertisements: neither tentative nor
    /// installed by us.
    pub ipv6_link_local: Vec<Ipv6Addr>,
    /// Other IPv6 addresses that may be a source of unicast advertisements: neither tentative nor
    /// installed by us.
    pub ipv6_global: Vec<Ipv6Addr>,
    /// Every address that was not installed by this agent, usable or not, with its prefix length
    /// (the shortest, if there are several).
    pub foreign: BTreeMap<IpAddr, u8>,
    /// IPv4 addresses of ours that the kernel chooses as source for connections of this machine,
    /// although the interface has another address in the same network. The kernel chooses the first
    /// one of a network. With their prefix length.
    pub chosen: BTreeMap<IpAddr, u8>,
    /// The bridge or bond that this interface is a port of. Packets that arrive here are passed to
    /// that interface, so that no socket on this one receives them.
    pub port_of: Option<InterfaceName>,
}

impl LinkFacts {
    /// Whether `address` is one of this interface's own, from which this node may speak.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.ipv4.contains(&address),
            IpAddr::V6(address) => {
                self.ipv6_link_local.contains(&address) || self.ipv6_global.contains(&address)
            }
        }
    }
}
