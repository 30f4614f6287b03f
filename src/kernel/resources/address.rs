//! Addresses: which should be where, compared with those that are there. Pure.
//!
//! This module owns the rules for adding and removing addresses (RFC 9568 §6.4.2: a Backup MUST NOT
//! accept packets for the addresses, and therefore holds none of them). It must not know netlink,
//! names of interfaces, nor routers.
//!
//! | the address is | wanted | not wanted, configured | not configured |
//! |---|---|---|---|
//! | missing | add | – | – |
//! | ours | keep | remove | remove: stale |
//! | ours, other prefix length | replace | remove | remove: stale |
//! | foreign | leave | leave | leave |
//!
//! **An address without our mark is never removed** (docs/adr/0017): it may be the address through
//! which the operator is logged in. While such an address is there, a contender does not take part;
//! `protocol::tracking` reports it. Whatever its prefix length, the address counts as present,
//! because the host answers for it. An address of ours with another prefix length is left from
//! another configuration and is replaced, so that a reload can change a prefix.

use super::{Desired, Operation, Resource, ResourceDifference};
use crate::kernel::address::{AddressRank, ObservedAddress, Origin};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

#[cfg(test)]
mod tests;

/// What the configuration and the elections together say about one address of one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    net: IpNet,
    desired: Desired,
}

/// All claims to addresses, by the index of the interface and the address. Instances that list the
/// same address on the same interface share one claim: the address is held while one of them holds
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressClaims(BTreeMap<(u32, IpAddr), Claim>);

impl AddressClaims {
    /// Adds what one instance says about one address. If there are two prefix lengths, the one of
    /// the first holder counts.
    pub fn add(&mut self, index: u32, net: IpNet, desired: Desired) {
        let new = Claim { net, desired };
        let claim = self.0.entry((index, net.addr())).or_insert(new);
        if claim.desired < desired {
            claim.desired = desired;
            claim.net = net;
        }
    }

    /// The interfaces on which IPv4 addresses must be held.
    #[must_use]
    pub fn holding_ipv4(&self) -> BTreeSet<u32> {
        let held = self.0.iter().filter(|((_, a), claim)| a.is_ipv4() && claim.desired == Desired::Held);
        held.map(|((index, _), _)| *index).collect()
    }
}

/// One change of the kernel's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressOperation {
    /// Remove an address of ours.
    Remove(ObservedAddress),
    /// Install an address of ours.
    Add {
        /// Index of the interface.
        index: u32,
        /// The address and the length of its prefix.
        net: IpNet,
    },
}

impl AddressOperation {
    /// The address that the operation changes.
    #[must_use]
    pub fn resource(&self) -> Resource {
        match self {
            Self::Remove(observed) => resource(observed),
            Self::Add { index, net } => Resource::Address { index: *index, address: net.addr() },
        }
    }

    /// The address that the operation removes, if it removes one.
    #[must_use]
    pub const fn removed(&self) -> Option<&ObservedAddress> {
        match self {
            Self::Remove(observed) => Some(observed),
            Self::Add { .. } => None,
        }
    }
}

/// The identity of an address that is there.
#[must_use]
pub fn resource(observed: &ObservedAddress) -> Resource {
    Resource::Address { index: observed.index, address: observed.net.addr() }
}

/// What could not be done.
impl fmt::Display for AddressOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remove(observed) => write!(f, "cannot remove {}", observed.net),
            Self::Add { net, .. } => write!(f, "cannot add {net}"),
        }
    }
}

/// The changes after which the `observed` addresses agree with the claims.
///
/// Among the removals, secondaries come before primaries, the last listed first: then the kernel
/// removes no other address of the list together with one, and promotes none that is removed next.
#[must_use]
pub(super) fn difference(claims: &AddressClaims, observed: &[ObservedAddress]) -> ResourceDifference {
    let held = claims.0.iter().filter(|(_, claim)| claim.desired == Desired::Held);
    let mut missing: BTreeMap<(u32, IpAddr), IpNet> = held.map(|(at, claim)| (*at, claim.net)).collect();
    let mut removals = Vec::new();
    for address in observed {
        let at = (address.index, address.net.addr());
        match treatment(claims.0.get(&at), address) {
            Treatment::Present => {
                missing.remove(&at);
            }
            Treatment::Remove => removals.push(*address),
            Treatment::Leave => {}
        }
    }
    removals.reverse();
    removals.sort_by_key(|address| address.rank == AddressRank::Primary);
    let additions = missing.into_iter().map(|((index, _), net)| AddressOperation::Add { index, net });
    ResourceDifference {
        removals: removals.into_iter().map(AddressOperation::Remove).map(Operation::from).collect(),
        additions: additions.map(Operation::from).collect(),
    }
}

/// What is done about an address that is there.
enum Treatment {
    /// The address is the one that is wanted.
    Present,
    /// The address is removed.
    Remove,
    /// The address is not ours, and is left alone.
    Leave,
}

/// The table in the documentation of this module.
fn treatment(claim: Option<&Claim>, address: &ObservedAddress) -> Treatment {
    match (address.origin, claim.map(|claim| claim.desired)) {
        (Origin::Foreign, Some(Desired::Held)) => Treatment::Present,
        (Origin::Foreign, Some(Desired::Released) | None) => Treatment::Leave,
        (Origin::Ours, Some(Desired::Held))
            if claim.is_some_and(|claim| claim.net.prefix_len() == address.net.prefix_len()) =>
        {
            Treatment::Present
        }
        // RFC9568-6.4.2-1, RFC9568-6.4.2-2, RFC9568-6.4.2-5: a node that does not hold an address
        // neither answers for it nor accepts packets to it.
        (Origin::Ours, Some(Desired::Held | Desired::Released) | None) => Treatment::Remove,
    }
}
