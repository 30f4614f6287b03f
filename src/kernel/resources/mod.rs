//! What the agent keeps in the kernel: what should be there, compared with what is there. The
//! difference is a list of operations. Pure.
//!
//! This module owns the identity of whatever is kept ([`Resource`]) and the order of operations
//! between kinds. What a kind is, when it is added and when it is removed is in the file of the
//! kind ([`address`]). It must not know netlink, names of interfaces, nor routers.
//!
//! There is one kind today. Another one (a route, a rule, a link, a filter set) is a file, a
//! variant of [`Resource`] and of [`Operation`], and a field of [`Claims`], of [`Observed`] and of
//! the instance in the ledger of the address thread (docs/adr/0033). The compiler then lists the
//! places that match the enums or take these structs apart. It does not list the places that are
//! about addresses only: they call [`Operation::address`], often as
//! `filter_map(Operation::address)`, or read the field `addresses`.
//!
//! **Order.** All removals come before all additions, so that nothing that moves is there twice. A
//! kind that needs another one (a route needs its source address, an address needs its link) is
//! removed before it and added after it.

pub mod address;

use super::address::{ObservedAddress, Origin};
use address::{AddressClaims, AddressOperation};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

/// Whether a resource must be in the kernel now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Desired {
    /// The resource must not be there.
    Released,
    /// The resource must be there.
    Held,
}

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
}

impl Resource {
    /// The same resource on the interface with this index: an interface that is created again has a
    /// new index.
    #[must_use]
    pub const fn on(self, index: u32) -> Self {
        match self {
            Self::Address { index: _, address } => Self::Address { index, address },
        }
    }
}

/// Everything that the configuration and the elections want together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    addresses: AddressClaims,
}

impl Claims {
    /// Adds what one instance says about one address.
    pub fn add_address(&mut self, index: u32, net: IpNet, desired: Desired) {
        self.addresses.add(index, net, desired);
    }

    /// The interfaces on which IPv4 addresses must be held.
    #[must_use]
    pub fn holding_ipv4(&self) -> BTreeSet<u32> {
        self.addresses.holding_ipv4()
    }
}

/// What is in the kernel now, ours or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// All addresses, in the order in which the kernel lists them.
    pub addresses: Vec<ObservedAddress>,
}

impl Observed {
    /// The identities of everything that is there.
    #[must_use]
    pub fn resources(&self) -> BTreeSet<Resource> {
        let Self { addresses } = self;
        addresses.iter().map(address::resource).collect()
    }

    /// The part that this agent, or an earlier run of it, put there.
    #[must_use]
    pub fn ours(&self) -> Self {
        let Self { addresses } = self;
        let ours = addresses.iter().filter(|address| address.origin == Origin::Ours);
        Self { addresses: ours.copied().collect() }
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

/// The changes after which the kernel has what it should have, in the order in which they are made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourceDifference {
    /// Resources of ours that have to go.
    pub removals: Vec<Operation>,
    /// Resources that are missing.
    pub additions: Vec<Operation>,
}

impl ResourceDifference {
    /// All changes in their order.
    pub fn into_operations(self) -> impl Iterator<Item = Operation> {
        self.removals.into_iter().chain(self.additions)
    }
}

/// Compares what should be there with what is there. The order between kinds is that of the
/// documentation of this module.
#[must_use]
pub fn difference(claims: &Claims, observed: &Observed) -> ResourceDifference {
    let Claims { addresses: claimed } = claims;
    let Observed { addresses: present } = observed;
    address::difference(claimed, present)
}
