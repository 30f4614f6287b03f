//! What the kernel says about an interface.

use super::{InterfaceName, MacAddr};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The facts about one existing interface that the protocol needs. A missing interface has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkFacts {
    /// The kernel's index; a recreated interface has a new one.
    pub index: u32,
    /// Hardware address; `None` on links without Ethernet addresses.
    pub mac: Option<MacAddr>,
    /// Octets.
    pub mtu: u32,
    /// Administratively up (IFF_UP).
    pub up: bool,
    /// The link below is up (IFF_RUNNING).
    pub carrier: bool,
    /// IPv4 addresses that may be a source: not installed by us. In the kernel's order.
    pub ipv4: Vec<Ipv4Addr>,
    /// IPv6 link-local addresses that may be a source: neither tentative nor installed by us.
    pub ipv6_link_local: Vec<Ipv6Addr>,
    /// Every address that somebody else than this agent put there, usable or not, with its prefix length (of
    /// several the shortest).
    pub foreign: BTreeMap<IpAddr, u8>,
    /// IPv4 addresses of ours that the kernel gives to connections of this machine itself, although it has another
    /// address in their network: they are the first of it. With their prefix length.
    pub chosen: BTreeMap<IpAddr, u8>,
    /// The bridge or bond that this interface is a port of: what arrives is that one's, and nothing is heard here.
    pub port_of: Option<InterfaceName>,
}
