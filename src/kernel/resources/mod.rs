//! What the agent keeps in the kernel: what should be there, compared with what is there. The
//! difference is a list of operations. Pure.
//!
//! This module owns the identity of whatever is kept ([`Resource`]) and the order of operations
//! between kinds. What a kind is, when it is added and when it is removed is in the file of the
//! kind ([`address`], [`arp_guard`]). It must not know netlink, names of interfaces, nor routers.
//!
//! A further kind (a route, a rule, a link, a filter set) is a file, a variant of [`Resource`] and
//! of [`Operation`], and a field of [`Claims`], of [`Observed`] and of the instance in the ledger of
//! the address thread (docs/adr/0033). The compiler then lists the places that match the enums or
//! take these structs apart. It does not list the places that are about addresses only: they call
//! [`Operation::address`], often as `filter_map(Operation::address)`, or read the field `addresses`.
//!
//! **Order.** The steps of a difference are carried out one after the other, so that an address that
//! begins or ends to drain is missing at no moment, and is answered for at no wrong one
//! (docs/adr/0037):
//!
//! 1. guards are set on interfaces;
//! 2. draining addresses are added to `lo`, and last as long as their drain;
//! 3. addresses are removed from interfaces, and then added to interfaces, so that nothing that moves
//!    between interfaces is there twice;
//! 4. addresses are removed from `lo`;
//! 5. guards are restored.
//!
//! What depends on an earlier step that failed is not done, and counts as refused for the same
//! reason. A kind that needs another one (a route needs its source address, an address needs its
//! link) is removed before it and added after it.

pub mod address;
pub mod arp_guard;

use super::address::{LOOPBACK, ObservedAddress, Origin};
use super::sysctl::{ArpState, ArpValues};
use address::{AddressClaims, AddressOperation};
use arp_guard::GuardOperation;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// What must be in the kernel now. If several instances want different things of one address, the
/// greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Desired {
    /// The address must not be there.
    Released,
    /// The address must be on `lo` and not on the interface: packets that still come are delivered,
    /// and nobody is told that the address is here.
    Draining,
    /// The address must be on the interface.
    Held,
}

/// What was not done, and why.
pub type Refusals = BTreeMap<Resource, String>;

/// The identity of one thing that the agent keeps in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// An address of an interface, whatever its prefix length.
    Address {
        /// Index of the interface.
        index: u32,
        /// The address.
        address: IpAddr,
    },
    /// The ARP guard of an interface.
    ArpGuard {
        /// Index of the interface.
        index: u32,
    },
}

impl Resource {
    /// A draining address on `lo`.
    #[must_use]
    pub const fn on_loopback(address: IpAddr) -> Self {
        Self::Address { index: LOOPBACK, address }
    }

    /// The same resource on the interface with this index: an interface that is created again has a
    /// new index. What is on `lo` stays there.
    #[must_use]
    pub const fn on(self, index: u32) -> Self {
        match self {
            Self::Address { index: LOOPBACK, address } => Self::on_loopback(address),
            Self::Address { index: _, address } => Self::Address { index, address },
            Self::ArpGuard { index: _ } => Self::ArpGuard { index },
        }
    }

    /// The address, if this is one.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address { index: _, address } => Some(*address),
            Self::ArpGuard { index: _ } => None,
        }
    }
}

/// Everything that the configuration and the elections want together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    addresses: AddressClaims,
    /// What interfaces had before their ARP guard was set, as far as this run remembers.
    found: BTreeMap<u32, ArpValues>,
    /// What is left of the drains of addresses. Where nothing is said, a drain is not limited.
    left: BTreeMap<IpAddr, Duration>,
}

impl Claims {
    /// Adds what one instance says about one address.
    pub fn add_address(&mut self, index: u32, net: IpNet, desired: Desired) {
        self.addresses.add(index, net, desired);
    }

    /// Adds an address that drains while its interface does not exist.
    pub fn add_draining(&mut self, address: IpAddr) {
        self.addresses.add_draining(address);
    }

    /// Adds how long an address still drains. The longest counts.
    pub fn limit_drain(&mut self, address: IpAddr, left: Duration) {
        let longest = self.left.entry(address).or_insert(left);
        *longest = left.max(*longest);
    }

    /// The longest of all drains.
    #[must_use]
    pub fn longest_drain(&self) -> Option<Duration> {
        self.left.values().max().copied()
    }

    /// Adds what the labels of our addresses on `lo` say: as long as an address drains, the interface
    /// that its label names must have its guard, also while nobody has said what the interface is
    /// called now. A label that names an interface which does not exist any more says nothing.
    pub fn add_noted(&mut self, observed: &Observed) {
        let draining: BTreeSet<IpAddr> = self.addresses.draining().collect();
        for address in &observed.addresses {
            let Some(note) = address.note else { continue };
            let drains = draining.contains(&address.net.addr());
            if drains && observed.arp.contains_key(&note.interface) {
                self.addresses.add(note.interface, address.net, Desired::Draining);
            }
        }
    }

    /// Adds what interfaces had before their ARP guard was set.
    pub fn remember(&mut self, found: &BTreeMap<u32, ArpValues>) {
        self.found.extend(found);
    }

    /// The interfaces on which IPv4 addresses must be held.
    #[must_use]
    pub fn holding_ipv4(&self) -> BTreeSet<u32> {
        self.addresses.on_interfaces_ipv4(Desired::Held)
    }

    /// The interfaces that must have an ARP guard.
    #[must_use]
    pub fn guarded(&self) -> BTreeSet<u32> {
        self.addresses.on_interfaces_ipv4(Desired::Draining)
    }

    /// The addresses that must drain on an interface.
    pub fn draining_on(&self, index: u32) -> impl Iterator<Item = IpAddr> {
        self.addresses.draining_on(index)
    }

    /// What is wanted of an address on an interface.
    #[must_use]
    pub fn desired(&self, index: u32, address: IpAddr) -> Option<Desired> {
        self.addresses.desired(index, address)
    }

    /// Whether an address must be held on any interface.
    #[must_use]
    pub fn is_held(&self, address: IpAddr) -> bool {
        self.addresses.is_held(address)
    }
}

/// Whether packets to the addresses of `lo` are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoopbackState {
    /// `lo` is up.
    #[default]
    Up,
    /// `lo` is down: its addresses do not work.
    Down,
}

/// What is in the kernel now, ours or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// All addresses, in the order in which the kernel lists them.
    pub addresses: Vec<ObservedAddress>,
    /// Whether `lo` is up. It matters only while something drains.
    pub loopback: LoopbackState,
    /// The ARP parameters of the interfaces that have a guard or need one, or why they cannot be
    /// read.
    pub arp: BTreeMap<u32, Result<ArpState, String>>,
}

impl Observed {
    /// The identities of everything that is there. A guard is not listed: whether it is there also
    /// depends on what is claimed.
    #[must_use]
    pub fn resources(&self) -> BTreeSet<Resource> {
        let Self { addresses, loopback: _, arp: _ } = self;
        addresses.iter().map(address::resource).collect()
    }

    /// The part that this agent, or an earlier run of it, put there.
    #[must_use]
    pub fn ours(&self) -> Self {
        let Self { addresses, loopback, arp } = self;
        let ours = addresses.iter().filter(|address| address.origin == Origin::Ours);
        Self { addresses: ours.copied().collect(), loopback: *loopback, arp: arp.clone() }
    }

    /// What the labels of our addresses on `lo` say about guards.
    #[must_use]
    pub fn notes(&self) -> BTreeMap<u32, ArpValues> {
        let notes = self.addresses.iter().filter_map(|address| address.note);
        notes.map(|note| (note.interface, note.found)).collect()
    }
}

/// One change of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A change of an address.
    Address(AddressOperation),
}

impl Operation {
    /// The resource that the operation changes.
    #[must_use]
    pub fn resource(&self) -> Resource {
        match self {
            Self::Address(operation) => operation.resource(),
        }
    }

    /// The change of an address, if this is one.
    #[must_use]
    pub const fn address(&self) -> Option<&AddressOperation> {
        match self {
            Self::Address(operation) => Some(operation),
        }
    }
}

impl From<AddressOperation> for Operation {
    fn from(operation: AddressOperation) -> Self {
        Self::Address(operation)
    }
}

/// What could not be done.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(operation) => operation.fmt(f),
        }
    }
}

/// The changes after which the kernel has what it should have: one list for each step, in the order
/// in which they are made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourceDifference {
    /// Guards that are missing.
    pub guards: Vec<GuardOperation>,
    /// Interfaces that must have a guard and whose parameters cannot be read, and why.
    pub unreadable: BTreeMap<u32, String>,
    /// Draining addresses that are missing on `lo`.
    pub loopback_additions: Vec<Operation>,
    /// Addresses of ours that have to go from interfaces.
    pub removals: Vec<Operation>,
    /// Addresses that are missing on interfaces.
    pub additions: Vec<Operation>,
    /// Addresses of ours that have to go from `lo`.
    pub loopback_removals: Vec<Operation>,
    /// Guards that are not needed any more.
    pub guard_removals: Vec<GuardOperation>,
    /// What cannot be reached whatever is done.
    pub impossible: Refusals,
    /// What interfaces had before their guard, to be remembered as long as the guard is needed.
    pub found: BTreeMap<u32, ArpValues>,
}

impl ResourceDifference {
    /// Leaves out changes of these resources.
    pub fn defer(&mut self, deferred: &BTreeSet<Resource>) {
        let Self {
            guards: _,
            unreadable: _,
            loopback_additions,
            removals,
            additions,
            loopback_removals,
            guard_removals: _,
            impossible: _,
            found: _,
        } = self;
        for list in [loopback_additions, removals, additions, loopback_removals] {
            list.retain(|operation| !deferred.contains(&operation.resource()));
        }
    }

    /// The additions to `lo` that can be made: an address of an interface without its guard would be
    /// answered for.
    #[must_use]
    pub fn due_loopback_additions(&self, claims: &Claims, refused: &mut Refusals) -> Vec<Operation> {
        let unguarded: Vec<(u32, String)> = refused.iter().filter_map(unguarded).collect();
        due(&self.loopback_additions, refused, |operation, _| {
            let address = operation.resource().address().filter(IpAddr::is_ipv4)?;
            let drains = |index: u32| claims.desired(index, address) == Some(Desired::Draining);
            unguarded.iter().find(|(index, _)| drains(*index)).map(|(_, why)| why.clone())
        })
    }

    /// The removals from interfaces that can be made, and then the additions to them. An address
    /// that drains stays on its interface until it is on `lo`.
    #[must_use]
    pub fn due_changes_of_interfaces(&self, claims: &Claims, refused: &mut Refusals) -> Vec<Operation> {
        let mut operations = due(&self.removals, refused, |operation, refused| {
            let Resource::Address { index, address } = operation.resource() else { return None };
            if claims.desired(index, address) != Some(Desired::Draining) {
                return None;
            }
            let guard = address.is_ipv4().then_some(Resource::ArpGuard { index });
            let needed = [Some(Resource::on_loopback(address)), guard];
            needed.into_iter().flatten().find_map(|resource| refused.get(&resource).cloned())
        });
        operations.extend(&self.additions);
        operations
    }

    /// The removals from `lo` that can be made. An address that does not drain any more stays on
    /// `lo` until it is on its interface again.
    #[must_use]
    pub fn due_loopback_removals(&self, claims: &Claims, refused: &mut Refusals) -> Vec<Operation> {
        due(&self.loopback_removals, refused, |operation, refused| {
            let address = operation.resource().address()?;
            let is_not_there_yet = |resource: &Resource| match resource {
                Resource::Address { index, address: other } => {
                    *other == address && claims.desired(*index, address) == Some(Desired::Held)
                }
                Resource::ArpGuard { .. } => false,
            };
            refused.iter().find(|(resource, _)| is_not_there_yet(resource)).map(|(_, why)| why.clone())
        })
    }

    /// The guards that can be restored: none while an address that should not be on `lo` is there.
    #[must_use]
    pub fn due_guard_removals(&self, refused: &mut Refusals) -> Vec<GuardOperation> {
        let Some(why) = self.left_on_loopback(refused) else { return self.guard_removals.clone() };
        refused.extend(self.guard_removals.iter().map(|it| (it.resource(), why.clone())));
        Vec::new()
    }
}

impl ResourceDifference {
    /// Why an address that should not be on `lo` is still there, if one is.
    #[must_use]
    pub fn left_on_loopback(&self, refused: &Refusals) -> Option<String> {
        self.loopback_removals.iter().find_map(|operation| refused.get(&operation.resource())).cloned()
    }
}

fn unguarded((resource, why): (&Resource, &String)) -> Option<(u32, String)> {
    match resource {
        Resource::ArpGuard { index } => Some((*index, why.clone())),
        Resource::Address { .. } => None,
    }
}

/// The operations for which `obstacle` finds nothing. The others are refused, for the reason that it
/// returns.
fn due(
    operations: &[Operation],
    refused: &mut Refusals,
    obstacle: impl Fn(&Operation, &Refusals) -> Option<String>,
) -> Vec<Operation> {
    let mut due = Vec::with_capacity(operations.len());
    let mut blocked = Refusals::new();
    for operation in operations {
        let known = refused.get(&operation.resource()).cloned();
        match known.or_else(|| obstacle(operation, refused)) {
            None => due.push(*operation),
            Some(why) => drop(blocked.insert(operation.resource(), why)),
        }
    }
    refused.extend(blocked);
    due
}

/// Compares what should be there with what is there.
#[must_use]
pub fn difference(claims: &Claims, observed: &Observed) -> ResourceDifference {
    let Claims { addresses: claimed, found, left } = claims;
    let Observed { addresses: present, loopback, arp } = observed;
    let mut known = observed.notes();
    known.extend(found);
    let guards = arp_guard::difference(&claims.guarded(), known, arp);
    let mut difference = address::difference(claimed, present, &guards.found, left);
    if *loopback == LoopbackState::Down {
        let draining = claimed.draining().map(Resource::on_loopback);
        difference
            .impossible
            .extend(draining.map(|resource| (resource, "the interface lo is down".to_owned())));
    }
    difference.impossible.extend(guards.impossible);
    difference.guards = guards.additions;
    difference.unreadable = guards.unreadable;
    difference.guard_removals = guards.removals;
    difference.found = guards.found;
    difference
}

/// Compares at the start of the agent: what an earlier run left behind and no instance wants. What
/// an instance wants in another place is left to the first pass, which moves it without a gap.
#[must_use]
pub fn stale(claims: &Claims, observed: &Observed) -> ResourceDifference {
    let all = difference(claims, &observed.ours());
    let drains = |operation: &Operation| match operation.resource() {
        Resource::Address { index, address } => claims.desired(index, address) == Some(Desired::Draining),
        Resource::ArpGuard { .. } => false,
    };
    let is_held =
        |operation: &Operation| operation.resource().address().is_some_and(|address| claims.is_held(address));
    let comes_back = all.loopback_removals.iter().any(is_held);
    ResourceDifference {
        removals: all.removals.into_iter().filter(|operation| !drains(operation)).collect(),
        loopback_removals: all.loopback_removals.into_iter().filter(|it| !is_held(it)).collect(),
        guard_removals: if comes_back { Vec::new() } else { all.guard_removals },
        ..ResourceDifference::default()
    }
}
