//! Which addresses should be where, against which are: the difference as operations. Pure.
//!
//! Owns the rules of what may be added and removed (RFC 9568 §6.4.2: a Backup MUST NOT accept
//! packets for the addresses, hence holds none of them). Must not know netlink, names of
//! interfaces, nor virtual routers.
//!
//! | the address is | wanted | not wanted, configured | not configured |
//! |---|---|---|---|
//! | missing | add | – | – |
//! | ours | keep | remove | remove: stale |
//! | ours, other prefix length | replace | remove | remove: stale |
//! | foreign, contender | keep (adopt) | remove: squatter | not our business |
//! | foreign, owner | keep | keep: it belongs to the host | not our business |
//!
//! A foreign address under another prefix length counts as present: the host answers for it, and
//! a second copy would only be one more to remove. Under our own tag it is a leftover of another
//! configuration and is replaced, so that a reload can change a prefix. A foreign IPv6 address that
//! failed Duplicate Address Detection is never going to answer: a contender replaces it.

use super::address::{ObservedAddress, Origin, Rank, Readiness};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

#[cfg(test)]
mod tests;

/// Whose the addresses of a virtual router are when nobody is Active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holding {
    /// Nobody's: they go with the Active.
    Contender,
    /// This host's own (the address owner, RFC 9568 §1.8): what the host installed is never removed.
    Owner,
}

/// Whether an address should be on the interface now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wanted {
    /// No.
    Released,
    /// Yes.
    Held,
}

/// Where an address is: the index of the interface, and the address.
pub type Place = (u32, IpAddr);

/// What the configuration and the elections together say about one address of one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    net: IpNet,
    holding: Holding,
    wanted: Wanted,
}

/// All claims. Virtual routers that list the same address on the same interface share one claim: it
/// is held while any of them holds it, and the host's own if any of them is the owner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims(BTreeMap<Place, Claim>);

impl Claims {
    /// Adds what one virtual router says about one address. Of two prefix lengths, that of the first
    /// holder counts.
    pub fn add(&mut self, index: u32, net: IpNet, holding: Holding, wanted: Wanted) {
        let new = Claim { net, holding, wanted };
        let claim = self.0.entry((index, net.addr())).or_insert(new);
        if claim.wanted < wanted {
            claim.wanted = wanted;
            claim.net = net;
        }
        claim.holding = claim.holding.max(holding);
    }

    /// The interfaces on which IPv4 addresses are to be held.
    #[must_use]
    pub fn holding_ipv4(&self) -> BTreeSet<u32> {
        let held = self.0.iter().filter(|((_, a), claim)| a.is_ipv4() && claim.wanted == Wanted::Held);
        held.map(|((index, _), _)| *index).collect()
    }
}

/// One change of the kernel's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Take an address away.
    Remove(ObservedAddress),
    /// Install an address of ours.
    Add {
        /// On which interface.
        index: u32,
        /// Which, and its prefix.
        net: IpNet,
    },
}

impl Operation {
    /// The interface and the address that it is about.
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

/// What must change so that what is `observed` agrees with what is claimed.
///
/// Removals come first: an address that moves between interfaces is never on both. Among them
/// secondaries precede primaries, last listed first: no removal then sweeps another address that
/// the list removes, nor promotes one only for it to be removed next.
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

/// The table of the module's head.
fn verdict(claim: Option<&Claim>, address: &ObservedAddress) -> Verdict {
    let Some(claim) = claim else {
        return match address.origin {
            Origin::Ours => Verdict::Remove,
            Origin::Foreign => Verdict::Leave,
        };
    };
    match (claim.wanted, address.origin, claim.holding) {
        (Wanted::Held, Origin::Ours, _) if address.net.prefix_len() != claim.net.prefix_len() => {
            Verdict::Remove
        }
        (Wanted::Held, Origin::Foreign, Holding::Contender) if address.readiness == Readiness::Duplicate => {
            Verdict::Remove
        }
        (Wanted::Held, Origin::Ours | Origin::Foreign, _) => Verdict::Present,
        (Wanted::Released, Origin::Foreign, Holding::Owner) => Verdict::Leave,
        // RFC9568-6.4.2-1, RFC9568-6.4.2-2, RFC9568-6.4.2-5: who does not hold an address neither
        // answers for it nor accepts packets to it.
        (Wanted::Released, Origin::Ours | Origin::Foreign, _) => Verdict::Remove,
    }
}
