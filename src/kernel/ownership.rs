//! Which addresses should be where, compared with those that are there: the difference as operations.
//! Pure.
//!
//! Owns the rules for adding and removing addresses (RFC 9568 §6.4.2: a Backup MUST NOT accept packets
//! for the addresses, and therefore holds none of them). Must not know netlink, names of interfaces, nor
//! routers.
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
//! `protocol::tracking` reports it. Whatever its prefix length, the address counts as present, because
//! the host answers for it. An address of ours with another prefix length is left from another
//! configuration and is replaced, so that a reload can change a prefix.

use super::address::{ObservedAddress, Origin, Rank};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

#[cfg(test)]
mod tests;

/// Whether an address must be on the interface now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wanted {
    /// The address must not be there.
    Released,
    /// The address must be there.
    Held,
}

/// Where an address is: the index of the interface, and the address.
pub type Place = (u32, IpAddr);

/// What the configuration and the elections together say about one address of one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    net: IpNet,
    wanted: Wanted,
}

/// All claims. Instances that list the same address on the same interface share one claim: the
/// address is held while one of them holds it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims(BTreeMap<Place, Claim>);

impl Claims {
    /// Adds what one instance says about one address. If there are two prefix lengths, the one of
    /// the first holder counts.
    pub fn add(&mut self, index: u32, net: IpNet, wanted: Wanted) {
        let new = Claim { net, wanted };
        let claim = self.0.entry((index, net.addr())).or_insert(new);
        if claim.wanted < wanted {
            claim.wanted = wanted;
            claim.net = net;
        }
    }

    /// The interfaces on which IPv4 addresses must be held.
    #[must_use]
    pub fn holding_ipv4(&self) -> BTreeSet<u32> {
        let held = self.0.iter().filter(|((_, a), claim)| a.is_ipv4() && claim.wanted == Wanted::Held);
        held.map(|((index, _), _)| *index).collect()
    }
}

/// One change of the kernel's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
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

impl Operation {
    /// The interface and the address of the operation.
    #[must_use]
    pub fn place(&self) -> Place {
        match self {
            Self::Remove(observed) => (observed.index, observed.net.addr()),
            Self::Add { index, net } => (*index, net.addr()),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remove(observed) => write!(f, "cannot remove {}", observed.net),
            Self::Add { net, .. } => write!(f, "cannot add {net}"),
        }
    }
}

/// The changes after which the `observed` addresses agree with the claims.
///
/// Removals come first, so that an address that moves between interfaces is never on both. Among
/// them secondaries come before primaries, the last listed first: then no removal sweeps another
/// address that the list removes, nor promotes one that is removed next.
#[must_use]
pub fn difference(claims: &Claims, observed: &[ObservedAddress]) -> Vec<Operation> {
    let mut missing: BTreeMap<Place, IpNet> =
        claims.0.iter().filter(|(_, c)| c.wanted == Wanted::Held).map(|(place, c)| (*place, c.net)).collect();
    let mut removals = Vec::new();
    for address in observed {
        let place = (address.index, address.net.addr());
        match verdict(claims.0.get(&place), address) {
            Verdict::Present => {
                missing.remove(&place);
            }
            Verdict::Remove => removals.push(*address),
            Verdict::Leave => {}
        }
    }
    removals.reverse();
    removals.sort_by_key(|address| address.rank == Rank::Primary);
    let adds = missing.into_iter().map(|((index, _), net)| Operation::Add { index, net });
    removals.into_iter().map(Operation::Remove).chain(adds).collect()
}

enum Verdict {
    Present,
    Remove,
    Leave,
}

/// The table in the documentation of this module.
fn verdict(claim: Option<&Claim>, address: &ObservedAddress) -> Verdict {
    match (address.origin, claim.map(|claim| claim.wanted)) {
        (Origin::Foreign, Some(Wanted::Held)) => Verdict::Present,
        (Origin::Foreign, Some(Wanted::Released) | None) => Verdict::Leave,
        (Origin::Ours, Some(Wanted::Held))
            if claim.is_some_and(|claim| claim.net.prefix_len() == address.net.prefix_len()) =>
        {
            Verdict::Present
        }
        // RFC9568-6.4.2-1, RFC9568-6.4.2-2, RFC9568-6.4.2-5: a node that does not hold an address
        // neither answers for it nor accepts packets to it.
        (Origin::Ours, Some(Wanted::Held | Wanted::Released) | None) => Verdict::Remove,
    }
}
