//! What is wrong with this node and yet is not a reason to let go of the service: reported when it
//! begins and when it ends.
//!
//! Like faults, local warnings are a set that is evaluated from facts. What is a fault while this
//! node does not serve may be a warning while it serves: nobody gains by giving up a service for
//! it.

use crate::types::{Family, InterfaceName};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LocalWarning {
    /// Addresses that this node serves are there by somebody else's doing too: they will stay when
    /// it lets go.
    ForeignAddresses(ForeignAddresses),
    /// The advertisement of a family does not fit: it goes in fragments, and receivers refuse
    /// those.
    MtuTooSmall {
        /// Where.
        interface: InterfaceName,
        /// Which family.
        family: Family,
        /// How many addresses it lists.
        addresses: usize,
        /// Octets that this takes.
        needed: usize,
        /// Octets that there are.
        mtu: u32,
    },
    /// Connections of this machine itself leave from a virtual address, and break when it moves.
    Chosen(InterfaceName, IpNet),
    /// What this node says does not leave the machine: others do not hear it, and take over beside
    /// it.
    Unsent(Unsent),
}

impl LocalWarning {
    /// As in the JSON contract.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::ForeignAddresses(_) => "foreign_addresses",
            Self::MtuTooSmall { .. } => "mtu_too_small",
            Self::Chosen(..) => "source_of_own_connections",
            Self::Unsent(_) => "not_sent",
        }
    }

    /// Which family of the router it is about.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::ForeignAddresses(ForeignAddresses { first: net, .. }) | Self::Chosen(_, net) => {
                Family::of(net.addr())
            }
            Self::MtuTooSmall { family, .. } | Self::Unsent(Unsent { family, .. }) => *family,
        }
    }
}

/// Advertisements that the kernel does not send, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Unsent {
    /// Where.
    pub interface: InterfaceName,
    /// Of which family.
    pub family: Family,
    /// To whom: the group, or one node.
    pub destination: IpAddr,
    /// The kernel's error number.
    pub errno: i32,
}

/// Addresses of a router that somebody else than this agent put on its interface: the machine's
/// own, or what another program left behind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ForeignAddresses {
    /// Where.
    pub interface: InterfaceName,
    /// The first of them, in the order of the configuration, as it is there.
    pub first: IpNet,
    /// How many there are besides.
    pub others: usize,
}

impl fmt::Display for LocalWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignAddresses(foreign) => foreign.fmt(f),
            Self::MtuTooSmall { interface, family, needed, mtu, .. } => {
                write!(f, "interface {interface} {family} advertisement {needed} octets, MTU {mtu}")
            }
            Self::Chosen(interface, net) => {
                write!(f, "interface {interface} source {net} of own connections")
            }
            Self::Unsent(Unsent { interface, family, destination, errno }) => {
                let to =
                    if *destination == family.group() { String::new() } else { format!(" to {destination}") };
                write!(f, "interface {interface} {family} advertisements{to} not sent: errno {errno}")
            }
        }
    }
}

impl fmt::Display for ForeignAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, first, others } = self;
        write!(f, "interface {interface} foreign address {first}")?;
        if *others > 0 { write!(f, " and {others} more") } else { Ok(()) }
    }
}
