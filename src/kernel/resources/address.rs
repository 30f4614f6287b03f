//! Addresses: which should be where, compared with those that are there. Pure.
//!
//! This module owns the rules for adding and removing addresses (RFC 9568 §6.4.2: a Backup MUST NOT
//! accept packets for the addresses, and therefore holds none of them; those that drain are the
//! stated exception). It must not know netlink, names of interfaces, nor routers.
//!
//! | the address is on the interface | held | draining | released | not configured |
//! |---|---|---|---|---|
//! | missing | add | – | – | – |
//! | ours | keep | remove, when it is on `lo` | remove | remove: stale |
//! | ours, other prefix length | replace | remove, when it is on `lo` | remove | remove: stale |
//! | foreign | leave | leave | leave | leave |
//!
//! | the address is on `lo` | draining on an interface | otherwise |
//! |---|---|---|
//! | missing | add | – |
//! | ours | keep | remove, when it is where it is held |
//! | ours, other prefix length | replace | the same |
//! | ours, lasts too long or too short | set the lifetime | the same |
//! | foreign | leave: it serves as well | leave |
//!
//! **An address without our mark is never removed** (docs/adr/0017): it may be the address through
//! which the operator is logged in. While such an address is there, a contender does not take part;
//! `protocol::tracking` reports it. Whatever its prefix length, the address counts as present,
//! because the host answers for it. An address of ours with another prefix length is left from
//! another configuration and is replaced, so that a reload can change a prefix.
//!
//! **An address that another program has on the interface does not drain**: the host would go on
//! answering for it there. That is refused.
//!
//! **An address on `lo` lasts as long as its drain** ([`loopback_lifetime`]), so that the kernel removes
//! it by itself if this agent never comes back.
//!
//! **A link-local address does not drain**, and is released instead: the kernel delivers packets to
//! it only through the interface that has it.

use super::{Desired, Resource, ResourceDifference};
use crate::kernel::address::{AddressLifetime, AddressRank, ArpNote, LOOPBACK, ObservedAddress, Origin};
use crate::kernel::sysctl::ArpValues;
use ipnet::IpNet;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

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
/// it, and drains while one of the others drains it. A claim to drain on `lo` means that the address
/// must be there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressClaims(BTreeMap<(u32, IpAddr), Claim>);

impl AddressClaims {
    /// Adds what one instance says about one address. If there are two prefix lengths, the one of
    /// the first holder counts.
    pub fn add(&mut self, index: u32, net: IpNet, desired: Desired) {
        let desired = match desired {
            Desired::Draining if !can_drain(net.addr()) => Desired::Released,
            Desired::Released | Desired::Draining | Desired::Held => desired,
        };
        let new = Claim { net, desired };
        let claim = self.0.entry((index, net.addr())).or_insert(new);
        if claim.desired < desired {
            claim.desired = desired;
            claim.net = net;
        }
    }

    /// Adds an address that drains while its interface does not exist.
    pub fn add_draining(&mut self, address: IpAddr) {
        self.add(LOOPBACK, IpNet::from(address), Desired::Draining);
    }

    /// The interfaces on which IPv4 addresses must be held, or those on which they must drain.
    #[must_use]
    pub fn on_interfaces_ipv4(&self, desired: Desired) -> BTreeSet<u32> {
        let of_ipv4 =
            self.0.iter().filter(|((_, address), claim)| address.is_ipv4() && claim.desired == desired);
        let interfaces = of_ipv4.map(|((index, _), _)| *index);
        interfaces.filter(|index| desired == Desired::Held || *index != LOOPBACK).collect()
    }

    /// What is wanted of an address on an interface.
    #[must_use]
    pub fn desired(&self, index: u32, address: IpAddr) -> Option<Desired> {
        self.0.get(&(index, address)).map(|claim| claim.desired)
    }

    /// Whether an address must be held on any interface.
    #[must_use]
    pub fn is_held(&self, address: IpAddr) -> bool {
        self.0.iter().any(|((_, other), claim)| *other == address && claim.desired == Desired::Held)
    }

    /// The addresses that must be on `lo`; one that drains on several interfaces several times.
    pub(super) fn draining(&self) -> impl Iterator<Item = IpAddr> {
        let draining = self.0.iter().filter(|(_, claim)| claim.desired == Desired::Draining);
        draining.map(|((_, address), _)| *address)
    }

    /// The addresses that drain on an interface.
    pub(super) fn draining_on(&self, index: u32) -> impl Iterator<Item = IpAddr> {
        let of_it = self.0.iter().filter(move |((other, _), _)| *other == index);
        of_it.filter(|(_, claim)| claim.desired == Desired::Draining).map(|((_, address), _)| *address)
    }

    /// The claims, with those to `lo` that follow from them.
    fn with_loopback(&self) -> Cow<'_, Self> {
        let mut claims = Cow::Borrowed(self);
        for address in self.draining() {
            claims.to_mut().add_draining(address);
        }
        claims
    }

    /// The note for an IPv4 address on `lo`: what an interface on which it drains had before.
    fn note(&self, address: IpAddr, found: &BTreeMap<u32, ArpValues>) -> Option<ArpNote> {
        if address.is_ipv6() {
            return None;
        }
        let drains = |index: u32| self.desired(index, address) == Some(Desired::Draining);
        let of_it = found.iter().find(|(index, _)| **index != LOOPBACK && drains(**index));
        of_it.map(|(index, found)| ArpNote { interface: *index, found: *found })
    }
}

/// Whether packets to an address are delivered while it is on `lo`.
#[must_use]
pub const fn can_drain(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => !address.is_unicast_link_local(),
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
    /// Put an address that drains on `lo`.
    AddToLoopback {
        /// The address.
        address: IpAddr,
        /// What its label says.
        note: Option<ArpNote>,
        /// How long it lasts there.
        lifetime: AddressLifetime,
    },
    /// Change how long an address that drains lasts on `lo`.
    SetLifetime {
        /// The address.
        address: IpAddr,
        /// What its label says.
        note: Option<ArpNote>,
        /// How long it lasts from now on.
        lifetime: AddressLifetime,
    },
}

impl AddressOperation {
    /// The address that the operation changes.
    #[must_use]
    pub fn resource(&self) -> Resource {
        match self {
            Self::Remove(observed) => resource(observed),
            Self::Add { index, net } => Resource::Address { index: *index, address: net.addr() },
            Self::AddToLoopback { address, .. } | Self::SetLifetime { address, .. } => {
                Resource::on_loopback(*address)
            }
        }
    }

    /// The address that the operation removes, if it removes one.
    #[must_use]
    pub const fn removed(&self) -> Option<&ObservedAddress> {
        match self {
            Self::Remove(observed) => Some(observed),
            Self::Add { .. } | Self::AddToLoopback { .. } | Self::SetLifetime { .. } => None,
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
            Self::Remove(observed) if observed.index == LOOPBACK => {
                write!(f, "cannot remove {} from lo", observed.net)
            }
            Self::Remove(observed) => write!(f, "cannot remove {}", observed.net),
            Self::Add { net, .. } => write!(f, "cannot add {net}"),
            Self::AddToLoopback { address, .. } => write!(f, "cannot add {address} to lo"),
            Self::SetLifetime { address, .. } => {
                write!(f, "cannot set how long {address} lasts on lo")
            }
        }
    }
}

/// By how much an address on `lo` may last longer than its drain. The agent ends a drain in time, and
/// the kernel only if there is no agent, so the kernel must be the later one; and it counts whole
/// seconds, so that what it says is up to a second more than what is left.
const LATEST_END: Duration = Duration::from_secs(4);
/// How much longer than its drain an address lasts on `lo`, in the eyes of the next run. Together with
/// the kernel's rounding this is in the middle of what [`lasts_as`] accepts.
const MARGIN: Duration = Duration::from_secs(2);

/// How long an address must last on `lo` if its drain has `left` to go.
fn loopback_lifetime(left: Option<&Duration>) -> AddressLifetime {
    left.map_or(AddressLifetime::Unlimited, |left| {
        AddressLifetime::Limited(left.saturating_add(Duration::from_secs(1)))
    })
}

/// Whether an address that lasts for `lifetime` on `lo` need not be changed if its drain has `left` to
/// go.
fn lasts_as(lifetime: AddressLifetime, left: Option<&Duration>) -> bool {
    match (lifetime, left) {
        (AddressLifetime::Unlimited, None) => true,
        (AddressLifetime::Limited(lasts), Some(left)) => {
            (*left..=left.saturating_add(LATEST_END)).contains(&lasts)
        }
        (AddressLifetime::Unlimited, Some(_)) | (AddressLifetime::Limited(_), None) => false,
    }
}

/// How much a drain has left to go whose address lasts for `lifetime` on `lo`. A drain that goes on with
/// this leaves the address as it is.
#[must_use]
pub fn left_of_drain(lifetime: AddressLifetime) -> Option<Duration> {
    match lifetime {
        AddressLifetime::Unlimited => None,
        AddressLifetime::Limited(lasts) => Some(lasts.saturating_sub(MARGIN)),
    }
}

/// The changes after which the `observed` addresses agree with the claims. `found` is what
/// interfaces had before their ARP guard was set, and `left` is what is left of drains.
///
/// Among the removals, secondaries come before primaries, the last listed first: then the kernel
/// removes no other address of the list together with one, and promotes none that is removed next.
#[must_use]
pub(super) fn difference(
    claims: &AddressClaims,
    observed: &[ObservedAddress],
    found: &BTreeMap<u32, ArpValues>,
    left: &BTreeMap<IpAddr, Duration>,
) -> ResourceDifference {
    let mut difference = ResourceDifference::default();
    let everywhere = claims.with_loopback();
    let wanted = everywhere.0.iter().filter(|((index, _), claim)| claim.must_be_on(*index));
    let mut missing: BTreeMap<(u32, IpAddr), Claim> = wanted.map(|(at, claim)| (*at, *claim)).collect();
    let mut removals = Vec::new();
    for address in observed {
        let at = (address.index, address.net.addr());
        match treatment(everywhere.0.get(&at), address) {
            Treatment::Present => {
                missing.remove(&at);
                let left = left.get(&at.1);
                let is_own_copy = address.index == LOOPBACK && address.origin == Origin::Ours;
                if is_own_copy && !lasts_as(address.lifetime, left) {
                    let lifetime = loopback_lifetime(left);
                    let change =
                        AddressOperation::SetLifetime { address: at.1, note: address.note, lifetime };
                    difference.loopback_additions.push(change.into());
                }
            }
            Treatment::Remove => removals.push(*address),
            Treatment::Leave if everywhere.desired(at.0, at.1) == Some(Desired::Draining) => {
                let why = "another program has the address on the interface, where the host answers for it";
                difference.impossible.insert(Resource::on_loopback(at.1), why.to_owned());
            }
            Treatment::Leave => {}
        }
    }
    removals.reverse();
    removals.sort_by_key(|address| address.rank == AddressRank::Primary);
    for removal in removals {
        let list = match removal.index {
            LOOPBACK => &mut difference.loopback_removals,
            _ => &mut difference.removals,
        };
        list.push(AddressOperation::Remove(removal).into());
    }
    for ((index, address), claim) in missing {
        match claim.desired {
            Desired::Draining => {
                let note = claims.note(address, found);
                let lifetime = loopback_lifetime(left.get(&address));
                let addition = AddressOperation::AddToLoopback { address, note, lifetime };
                difference.loopback_additions.push(addition.into());
            }
            Desired::Held | Desired::Released => {
                difference.additions.push(AddressOperation::Add { index, net: claim.net }.into());
            }
        }
    }
    difference
}

impl Claim {
    /// Whether the address must be on the interface that the claim is about.
    const fn must_be_on(&self, index: u32) -> bool {
        match self.desired {
            Desired::Held => true,
            Desired::Draining => index == LOOPBACK,
            Desired::Released => false,
        }
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

/// The tables in the documentation of this module.
fn treatment(claim: Option<&Claim>, address: &ObservedAddress) -> Treatment {
    let wanted = claim.filter(|claim| claim.must_be_on(address.index));
    match (address.origin, wanted) {
        (Origin::Foreign, Some(_)) => Treatment::Present,
        (Origin::Foreign, None) => Treatment::Leave,
        (Origin::Ours, Some(claim)) if claim.net.prefix_len() == address.net.prefix_len() => {
            Treatment::Present
        }
        // RFC9568-6.4.2-1, RFC9568-6.4.2-2, RFC9568-6.4.2-5: a node that does not hold an address
        // neither answers for it nor accepts packets to it, unless the address drains.
        (Origin::Ours, Some(_) | None) => Treatment::Remove,
    }
}
