//! What the facts about this node mean for one router: named faults, warnings, the effective
//! priority, source addresses.
//!
//! These are functions of facts, so that nothing can drift: there are no counters and no bits.

use crate::protocol::input::{CheckResult, Fault};
use crate::protocol::local_warning::{ForeignAddresses, LocalWarning, Unsent};
use crate::protocol::spec::{CheckName, Consequence, InstanceSpec, RouterSpec, Track, Watched};
use crate::types::{
    AdvertPriority, Destinations, Family, InstanceKey, InterfaceName, LinkFacts, Priority, Role,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What this node knows of its interfaces and checks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::protocol) struct Facts {
    pub(in crate::protocol) links: BTreeMap<InterfaceName, LinkFacts>,
    pub(in crate::protocol) checks: BTreeMap<CheckName, CheckResult>,
    /// For names that no interface has as its own: the interface of which it is another name.
    pub(in crate::protocol) other_names: BTreeMap<InterfaceName, InterfaceName>,
    /// Why the sockets of an interface and a family are not open.
    pub(in crate::protocol) socket_errors: BTreeMap<(InterfaceName, Family), String>,
    /// How many advertisements in a row were not sent to a destination, and the last error number.
    pub(in crate::protocol) unsent: BTreeMap<(InstanceKey, IpAddr), (u32, i32)>,
}

/// So many advertisements in a row that are not sent are not an accident. That a link goes down is
/// reported by itself.
pub(in crate::protocol) const UNSENT_IN_A_ROW: u32 = 2;

impl Facts {
    /// Whether `address` is one of our own on this interface: then a packet from it is our echo.
    pub(in crate::protocol) fn is_own(&self, interface: InterfaceName, address: IpAddr) -> bool {
        self.links.get(&interface).is_some_and(|link| link.has(address))
    }

    /// Whether `address` is one of this machine's own, on any interface.
    fn is_of_this_node(&self, address: IpAddr) -> bool {
        self.links.values().any(|link| link.has(address) || link.foreign.contains_key(&address))
    }
}

/// Every reason for which `spec` cannot take part now.
pub(super) fn faults(spec: &RouterSpec, facts: &Facts) -> BTreeSet<Fault> {
    let mut faults = BTreeSet::new();
    // RFC9568-6.4.1-6
    match link_fault(spec.interface, facts) {
        Some(fault) => drop(faults.insert(fault)),
        // Without the link there are no addresses either; one reason is enough.
        None => faults.extend(spec.instances.iter().filter_map(|InstanceSpec { family, .. }| {
            // RFC9568-5.1.1.1-2
            if source(spec, *family, facts, None).is_none() {
                return Some(Fault::NoSourceAddress(spec.interface, spec.wanted_source(*family)));
            }
            let alone = destinations(spec, *family, facts).is_empty();
            alone.then_some(Fault::NoUnicastPeer(spec.interface, *family))
        })),
    }
    let controller = facts.links.get(&spec.interface).and_then(|link| link.port_of);
    faults.extend(controller.map(|controller| Fault::Port(spec.interface, controller)));
    // RFC9568-6.4.2-1, RFC9568-6.4.2-2, RFC9568-6.4.2-5: no Backup has the addresses.
    faults.extend(foreign_addresses(spec, facts).map(Fault::ForeignAddresses));
    faults.extend(spec.instances.iter().filter_map(|instance| {
        let why = facts.socket_errors.get(&(spec.interface, instance.family))?;
        Some(Fault::Sockets(spec.interface, instance.family, why.clone()))
    }));
    faults.extend(spec.tracks.iter().filter_map(|track| match track.consequence {
        Consequence::Fault => health(&track.watched, facts).fault(),
        Consequence::Weight(_) => None,
    }));
    faults
}

/// How something is that is watched for routers, with the fault that it is for a router which
/// tracks it without a weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Passing,
    /// It does not work.
    Failing(Fault),
    /// It is not known yet whether it works.
    Pending(Fault),
}

impl Health {
    fn fault(self) -> Option<Fault> {
        match self {
            Self::Passing => None,
            Self::Failing(fault) | Self::Pending(fault) => Some(fault),
        }
    }
}

/// The one place that says what the health of each kind of thing follows from.
pub(in crate::protocol) fn health(watched: &Watched, facts: &Facts) -> Health {
    match watched {
        Watched::Check(name) => match facts.checks.get(name) {
            Some(CheckResult::Passing) => Health::Passing,
            Some(CheckResult::Failing) => Health::Failing(Fault::Check(name.clone())),
            None => Health::Pending(Fault::CheckPending(name.clone())),
        },
        Watched::Interface(name) => link_fault(*name, facts).map_or(Health::Passing, Health::Failing),
    }
}

/// Everything that is wrong with what `spec` serves, and is not a reason to let go of it.
pub(super) fn local_warnings(spec: &RouterSpec, facts: &Facts) -> BTreeSet<LocalWarning> {
    let linked = spec.instances.iter().filter(|_| link_fault(spec.interface, facts).is_none());
    let unsent = linked.flat_map(|InstanceSpec { family, .. }| {
        let (interface, key) = (spec.interface, spec.key(*family));
        let of_instance = facts.unsent.iter().filter(move |((of, _), _)| *of == key);
        of_instance.filter_map(move |((_, destination), (count, errno))| {
            let unsent = Unsent { interface, family: *family, destination: *destination, errno: *errno };
            (*count >= UNSENT_IN_A_ROW).then_some(LocalWarning::Unsent(unsent))
        })
    });
    let mut warnings: BTreeSet<_> = foreign_addresses(spec, facts)
        .map(LocalWarning::ForeignAddresses)
        .into_iter()
        .chain(unsent)
        .collect();
    if let Some(link) = facts.links.get(&spec.interface) {
        warnings.extend(
            spec.instances.iter().filter_map(|instance| mtu_too_small(spec.interface, instance, link)),
        );
    }
    if let Some(link) = facts.links.get(&spec.address_interface) {
        let listed = spec.instances.iter().flat_map(|instance| instance.held());
        let chosen = listed.filter(|net| link.chosen.get(&net.addr()) == Some(&net.prefix_len()));
        warnings.extend(chosen.map(|net| LocalWarning::Chosen(spec.address_interface, *net)));
    }
    warnings
}

/// Whether `fault` only follows from the fact that the machine's own addresses are listed as
/// virtual ones: then that is reported, and this is not.
pub(super) fn follows_from_foreign_addresses(spec: &RouterSpec, facts: &Facts, fault: &Fault) -> bool {
    let Fault::NoSourceAddress(name, missing) = fault else { return false };
    // Addresses on another interface do not explain what this one lacks.
    if *name != spec.address_interface {
        return false;
    }
    facts.links.get(name).is_some_and(|link| {
        let of_family = |address: &IpAddr| Family::of(*address) == missing.family();
        let ipv4 = link.ipv4.iter().copied().map(IpAddr::V4);
        let mut own = ipv4.chain(link.ipv6_link_local.iter().copied().map(IpAddr::V6)).filter(of_family);
        foreign_addresses(spec, facts).is_some() && own.next().is_some()
    })
}

/// What a fault prevents a router from doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Impact {
    /// Nothing can be sent or received on the router's interface.
    pub(super) link: LinkState,
    /// In which families nothing can be sent.
    sending: Affected,
    /// In which families nothing can be received.
    receiving: Affected,
    pub(super) persistence: Persistence,
}

/// Whether the router's interface carries packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkState {
    Works,
    Dead,
}

/// Whether a fault may be over in a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persistence {
    MayPass,
    Stays,
}

/// The families that a fault affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Affected {
    None,
    One(Family),
    All,
}

impl Affected {
    fn includes(self, family: Family) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => one == family,
            Self::All => true,
        }
    }
}

impl Impact {
    /// The one place that says what each kind of fault means.
    pub(super) fn of(spec: &RouterSpec, fault: &Fault) -> Self {
        let none = Self {
            link: LinkState::Works,
            sending: Affected::None,
            receiving: Affected::None,
            persistence: Persistence::Stays,
        };
        let dead = Self { link: LinkState::Dead, sending: Affected::All, receiving: Affected::All, ..none };
        match fault {
            // The addresses of an interface went with it: that does not pass.
            Fault::InterfaceMissing(name) | Fault::OtherName(name, _) if *name == spec.interface => dead,
            Fault::InterfaceDown(name) | Fault::NoCarrier(name) if *name == spec.interface => {
                Self { persistence: Persistence::MayPass, ..dead }
            }
            Fault::NoSourceAddress(_, missing) => {
                let affected = Affected::One(missing.family());
                // Messages to the group arrive without an address; those to this node do not.
                let receiving = match &spec.destinations {
                    Destinations::Multicast => Affected::None,
                    Destinations::Unicast(_) => affected,
                };
                Self { sending: affected, receiving, persistence: Persistence::MayPass, ..none }
            }
            Fault::Sockets(_, family, _) => {
                Self { sending: Affected::One(*family), receiving: Affected::One(*family), ..none }
            }
            Fault::Port(..) => Self { receiving: Affected::All, ..none },
            // Another interface that is tracked, and what has nothing to do with packets, or with
            // nobody to send them to.
            Fault::InterfaceMissing(_)
            | Fault::OtherName(..)
            | Fault::NoUnicastPeer(..)
            | Fault::InterfaceDown(_)
            | Fault::NoCarrier(_)
            | Fault::ForeignAddresses(_)
            | Fault::Check(_)
            | Fault::CheckPending(_)
            | Fault::Addresses(_) => none,
        }
    }

    pub(super) fn prevents_sending(self, family: Family) -> bool {
        self.sending.includes(family)
    }

    /// Whether there is a family in which nothing can be received.
    pub(super) fn prevents_hearing(self) -> bool {
        self.receiving != Affected::None
    }

    pub(super) fn prevents_receiving(self, family: Family) -> bool {
        self.receiving.includes(family)
    }
}

/// Whether nothing can be sent or received because of `fault`.
pub(super) fn is_dead_link(spec: &RouterSpec, fault: &Fault) -> bool {
    Impact::of(spec, fault).link == LinkState::Dead
}

/// Whether a router takes part with its own priority, or with the lowest as the last resort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Participation {
    Full,
    LastResort,
}

/// The priority that is advertised: weights added, clamped to 1..=254; trackers cannot change the
/// owner's.
pub(super) fn effective_priority(
    spec: &RouterSpec,
    facts: &Facts,
    participation: Participation,
) -> AdvertPriority {
    match participation {
        Participation::LastResort => return Priority::MIN.into(),
        Participation::Full => {}
    }
    match spec.role {
        // RFC9568-5.2.4-1
        Role::Owner => AdvertPriority::OWNER,
        Role::Contender { priority, .. } => {
            // RFC9568-6.1-8
            let weights: i32 = spec.tracks.iter().map(|track| weight(track, facts)).sum();
            Priority::clamped(i32::from(priority.get()) + weights).into()
        }
    }
}

/// Where the advertisements of one family are sent: to the group, or to the nodes that are listed,
/// without this one. Empty if this node is the only one.
pub(super) fn destinations(spec: &RouterSpec, family: Family, facts: &Facts) -> Vec<IpAddr> {
    spec.destinations.addresses(family, |address| facts.is_of_this_node(address))
}

/// The source address of advertisements: the configured one if the interface has it, else the
/// first real address of the interface; never a virtual one, unless we own it (RFC 9568 §5.1.1.1,
/// §5.1.2.1). `current` stays while it can: a tie must not change hands because an address was
/// added.
///
/// With unicast, the others know this node by the address under which it is listed, if it is listed.
/// An owner does not speak from a virtual address there: whoever serves it in its place is reached
/// by it.
pub(super) fn source(
    spec: &RouterSpec,
    family: Family,
    facts: &Facts,
    current: Option<IpAddr>,
) -> Option<IpAddr> {
    let link = facts.links.get(&spec.interface)?;
    let peers = spec.destinations.unicast();
    let real = |address: &IpAddr| match (spec.role, peers) {
        (Role::Owner, None) => true,
        (Role::Owner, Some(_)) | (Role::Contender { .. }, _) => {
            !spec.instances.iter().flat_map(|instance| instance.held()).any(|net| net.addr() == *address)
        }
    };
    let wanted = |address: &IpAddr| match spec.source_address {
        Some(source) if Family::of(source) == family => source == *address,
        Some(_) | None => true,
    };
    let usable = |address: &IpAddr| real(address) && wanted(address);
    let listed = |address: &IpAddr| peers.is_some_and(|peers| peers.addresses.contains(address));
    let first = |candidates: &mut dyn Iterator<Item = IpAddr>| {
        // The best is listed, then the current one, then the first.
        let rank = |address: &IpAddr| (!listed(address), Some(*address) != current);
        candidates.filter(usable).min_by_key(rank)
    };
    match family {
        Family::Ipv4 => first(&mut link.ipv4.iter().copied().map(IpAddr::V4)), // RFC9568-5.1.1.1-1
        Family::Ipv6 => {
            let of_scope = match peers.filter(|peers| !peers.are_link_local()) {
                None => &link.ipv6_link_local, // RFC9568-5.1.2.1-1
                Some(_) => &link.ipv6_global,
            };
            first(&mut of_scope.iter().copied().map(IpAddr::V6))
        }
    }
}

/// Addresses of `spec` that are on the interface of its addresses and not ours. Those of an owner
/// are the machine's own, and have to be there.
fn foreign_addresses(spec: &RouterSpec, facts: &Facts) -> Option<ForeignAddresses> {
    match spec.role {
        Role::Owner => return None,
        Role::Contender { .. } => {}
    }
    let link = facts.links.get(&spec.address_interface)?;
    let ours = spec.instances.iter().flat_map(|instance| instance.held());
    let mut foreign = ours.filter_map(|net| {
        let prefix_len = link.foreign.get(&net.addr())?;
        IpNet::new(net.addr(), *prefix_len).ok()
    });
    let first = foreign.next()?;
    Some(ForeignAddresses { interface: spec.address_interface, first, others: foreign.count() })
}

fn mtu_too_small(
    interface: InterfaceName,
    instance: &InstanceSpec,
    link: &LinkFacts,
) -> Option<LocalWarning> {
    let (family, addresses) = (instance.family, instance.addresses.len());
    // IP header, VRRP header, addresses (RFC 9568 §5.1, §5.2).
    let needed = match family {
        Family::Ipv4 => 20 + 8 + 4 * addresses,
        Family::Ipv6 => 40 + 8 + 16 * addresses,
    };
    let fits = usize::try_from(link.mtu).is_ok_and(|mtu| needed <= mtu);
    (!fits).then_some(LocalWarning::MtuTooSmall { interface, family, addresses, needed, mtu: link.mtu })
}

/// What each thing that is tracked with a weight adds to the priority now.
pub(super) fn weights(spec: &RouterSpec, facts: &Facts) -> BTreeMap<Watched, i32> {
    let mut weights = BTreeMap::new();
    for track in spec.tracks.iter().filter(|track| track.weight().is_some()) {
        *weights.entry(track.watched.clone()).or_insert(0) += weight(track, facts);
    }
    weights
}

pub(in crate::protocol) fn link_fault(name: InterfaceName, facts: &Facts) -> Option<Fault> {
    match facts.links.get(&name) {
        None => Some(match facts.other_names.get(&name) {
            Some(real) => Fault::OtherName(name, *real),
            None => Fault::InterfaceMissing(name),
        }),
        Some(link) if !link.up => Some(Fault::InterfaceDown(name)),
        Some(link) if !link.carrier => Some(Fault::NoCarrier(name)),
        Some(_) => None,
    }
}

/// A negative weight counts while what is watched fails, a positive one while it passes. Neither
/// counts before its health is known.
fn weight(track: &Track, facts: &Facts) -> i32 {
    let Some(weight) = track.weight() else { return 0 };
    match health(&track.watched, facts) {
        Health::Failing(_) => i32::from(weight.min(0)),
        Health::Passing => i32::from(weight.max(0)),
        Health::Pending(_) => 0,
    }
}
