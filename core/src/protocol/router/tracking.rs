//! From facts to what they mean for one router: named faults, effective priority, source addresses.
//!
//! Functions of facts, so that nothing can drift: no counters, no bits.

use crate::protocol::input::{CheckResult, Fault};
use crate::protocol::local_warning::{ForeignAddresses, LocalWarning, Unsent};
use crate::protocol::spec::{CheckName, InstanceSpec, RouterSpec, Track};
use crate::types::{AdvertPriority, Family, InstanceKey, InterfaceName, LinkFacts, Priority, Role};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What this node knows of its surroundings.
#[derive(Debug, Clone, Default)]
pub(in crate::protocol) struct Facts {
    pub(in crate::protocol) links: BTreeMap<InterfaceName, LinkFacts>,
    pub(in crate::protocol) checks: BTreeMap<CheckName, CheckResult>,
    /// Of names that no interface has as its own: whose other names they are.
    pub(in crate::protocol) other_names: BTreeMap<InterfaceName, InterfaceName>,
    /// Why the sockets of an interface and family are not open.
    pub(in crate::protocol) deaf: BTreeMap<(InterfaceName, Family), String>,
    /// How many advertisements in a row were not sent, and the last error.
    pub(in crate::protocol) unsent: BTreeMap<InstanceKey, (u32, i32)>,
}

/// So many advertisements in a row that are not sent are no accident: a link that goes down is told by itself.
pub(in crate::protocol) const MUTE: u32 = 2;

impl Facts {
    /// Whether `address` is one of our own on this interface: then a packet from it is our echo.
    pub(in crate::protocol) fn is_own(&self, interface: InterfaceName, address: IpAddr) -> bool {
        self.links.get(&interface).is_some_and(|link| match address {
            IpAddr::V4(address) => link.ipv4.contains(&address),
            IpAddr::V6(address) => link.ipv6_link_local.contains(&address),
        })
    }
}

/// Every reason for which `spec` cannot take part now.
pub(in crate::protocol) fn faults(spec: &RouterSpec, facts: &Facts) -> BTreeSet<Fault> {
    let mut faults = BTreeSet::new();
    // RFC9568-6.4.1-6
    match link_fault(spec.interface, facts) {
        Some(fault) => drop(faults.insert(fault)),
        // Without the link there are no addresses either; one reason is enough.
        None => faults.extend(
            spec.instances
                .iter()
                // RFC9568-5.1.1.1-2
                .filter(|instance| source(spec, instance.family, facts, None).is_none())
                .map(|instance| Fault::NoSourceAddress(spec.interface, instance.family)),
        ),
    }
    let controller = facts.links.get(&spec.interface).and_then(|link| link.port_of);
    faults.extend(controller.map(|controller| Fault::Port(spec.interface, controller)));
    // RFC9568-6.4.2-1, RFC9568-6.4.2-2, RFC9568-6.4.2-5: there is no Backup that has the addresses.
    faults.extend(foreign_addresses(spec, facts).map(Fault::ForeignAddresses));
    faults.extend(spec.instances.iter().filter_map(|instance| {
        let why = facts.deaf.get(&(spec.interface, instance.family))?;
        Some(Fault::Sockets(spec.interface, instance.family, why.clone()))
    }));
    faults.extend(spec.tracks.iter().filter_map(|track| match track {
        Track::Check(name) => match facts.checks.get(name) {
            Some(CheckResult::Passing) => None,
            Some(CheckResult::Failing) => Some(Fault::Check(name.clone())),
            None => Some(Fault::CheckPending(name.clone())),
        },
        Track::WeightedCheck(..) => None,
        Track::Interface(name) => link_fault(*name, facts),
    }));
    faults
}

/// Everything that is wrong with what `spec` serves, and no reason to let go of it.
pub(in crate::protocol) fn concerns(spec: &RouterSpec, facts: &Facts) -> BTreeSet<LocalWarning> {
    let muted = spec.instances.iter().filter(|_| link_fault(spec.interface, facts).is_none());
    let unsent = muted.filter_map(|instance| {
        let (count, errno) = facts.unsent.get(&spec.key(instance.family)).copied()?;
        let unsent = Unsent { interface: spec.interface, family: instance.family, errno };
        (count >= MUTE).then_some(LocalWarning::Unsent(unsent))
    });
    let mut concerns: BTreeSet<_> = foreign_addresses(spec, facts)
        .map(LocalWarning::ForeignAddresses)
        .into_iter()
        .chain(unsent)
        .collect();
    if let Some(link) = facts.links.get(&spec.interface) {
        concerns.extend(
            spec.instances.iter().filter_map(|instance| mtu_too_small(spec.interface, instance, link)),
        );
        let listed = spec.instances.iter().flat_map(|instance| instance.held());
        let chosen = listed.filter(|net| link.chosen.get(&net.addr()) == Some(&net.prefix_len()));
        concerns.extend(chosen.map(|net| LocalWarning::Chosen(spec.interface, *net)));
    }
    concerns
}

/// Whether `fault` only follows from the fact that the machine's own addresses are listed as virtual ones: then that is
/// said, and this is not.
pub(in crate::protocol) fn is_explained(spec: &RouterSpec, facts: &Facts, fault: &Fault) -> bool {
    match fault {
        Fault::NoSourceAddress(name, family) => facts.links.get(name).is_some_and(|link| {
            let of_family = |address: &IpAddr| Family::of(*address) == *family;
            let ipv4 = link.ipv4.iter().copied().map(IpAddr::V4);
            let mut own = ipv4.chain(link.ipv6_link_local.iter().copied().map(IpAddr::V6)).filter(of_family);
            foreign_addresses(spec, facts).is_some() && own.next().is_some()
        }),
        Fault::InterfaceMissing(_)
        | Fault::InterfaceDown(_)
        | Fault::NoCarrier(_)
        | Fault::Port(..)
        | Fault::OtherName(..)
        | Fault::ForeignAddresses(_)
        | Fault::Sockets(..)
        | Fault::Check(_)
        | Fault::CheckPending(_)
        | Fault::Addresses(_) => false,
    }
}

/// Whether nothing can be said or heard because of `fault`.
pub(in crate::protocol) fn is_dead_link(spec: &RouterSpec, fault: &Fault) -> bool {
    match fault {
        Fault::InterfaceMissing(name)
        | Fault::OtherName(name, _)
        | Fault::InterfaceDown(name)
        | Fault::NoCarrier(name) => *name == spec.interface,
        Fault::NoSourceAddress(..)
        | Fault::Port(..)
        | Fault::ForeignAddresses(_)
        | Fault::Sockets(..)
        | Fault::Check(_)
        | Fault::CheckPending(_)
        | Fault::Addresses(_) => false,
    }
}

/// Whether `fault` may be over in a moment. An interface that is missing is not: its addresses went with it.
pub(in crate::protocol) fn may_pass(spec: &RouterSpec, fault: &Fault) -> bool {
    match fault {
        Fault::InterfaceDown(name) | Fault::NoCarrier(name) | Fault::NoSourceAddress(name, _) => {
            *name == spec.interface
        }
        Fault::InterfaceMissing(_)
        | Fault::Port(..)
        | Fault::OtherName(..)
        | Fault::ForeignAddresses(_)
        | Fault::Sockets(..)
        | Fault::Check(_)
        | Fault::CheckPending(_)
        | Fault::Addresses(_) => false,
    }
}

/// Whether nothing can be said in `family` because of `fault`.
pub(in crate::protocol) fn mutes(spec: &RouterSpec, fault: &Fault, family: Family) -> bool {
    match fault {
        Fault::NoSourceAddress(_, of) | Fault::Sockets(_, of, _) => *of == family,
        Fault::InterfaceMissing(_)
        | Fault::InterfaceDown(_)
        | Fault::NoCarrier(_)
        | Fault::Port(..)
        | Fault::OtherName(..)
        | Fault::ForeignAddresses(_)
        | Fault::Check(_)
        | Fault::CheckPending(_)
        | Fault::Addresses(_) => is_dead_link(spec, fault),
    }
}

/// Whether nothing can be heard in `family` because of `fault`.
pub(in crate::protocol) fn deafens(spec: &RouterSpec, fault: &Fault, family: Family) -> bool {
    match fault {
        Fault::Sockets(_, of, _) => *of == family,
        Fault::Port(name, _) => *name == spec.interface,
        Fault::NoSourceAddress(..)
        | Fault::InterfaceMissing(_)
        | Fault::InterfaceDown(_)
        | Fault::NoCarrier(_)
        | Fault::OtherName(..)
        | Fault::Check(_)
        | Fault::CheckPending(_)
        | Fault::ForeignAddresses(_)
        | Fault::Addresses(_) => is_dead_link(spec, fault),
    }
}

/// Whether a router stands with its own priority, or as the last resort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Standing {
    Full,
    LastResort,
}

/// The priority that is advertised: weights added, clamped to 1..=254; trackers cannot change the owner's.
pub(in crate::protocol) fn effective_priority(
    spec: &RouterSpec,
    facts: &Facts,
    standing: Standing,
) -> AdvertPriority {
    match standing {
        Standing::LastResort => return Priority::MIN.into(),
        Standing::Full => {}
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

/// The source address of advertisements: the configured one if the interface has it, else the
/// first real address of the interface; never a virtual one, unless we own it (RFC 9568 §5.1.1.1,
/// §5.1.2.1). `current` stays while it can: a tie must not change hands because an address was added.
pub(in crate::protocol) fn source(
    spec: &RouterSpec,
    family: Family,
    facts: &Facts,
    current: Option<IpAddr>,
) -> Option<IpAddr> {
    let link = facts.links.get(&spec.interface)?;
    let real = |address: &IpAddr| match spec.role {
        Role::Owner => true,
        Role::Contender { .. } => {
            !spec.instances.iter().flat_map(|instance| instance.held()).any(|net| net.addr() == *address)
        }
    };
    let wanted = |address: &IpAddr| match spec.source_address {
        Some(source) if Family::of(source) == family => source == *address,
        Some(_) | None => true,
    };
    let usable = |address: &IpAddr| real(address) && wanted(address);
    let first = |candidates: &mut dyn Iterator<Item = IpAddr>| {
        let mut best = None;
        for candidate in candidates.filter(usable) {
            if Some(candidate) == current {
                return current;
            }
            best = best.or(Some(candidate));
        }
        best
    };
    match family {
        Family::Ipv4 => first(&mut link.ipv4.iter().copied().map(IpAddr::V4)), // RFC9568-5.1.1.1-1
        Family::Ipv6 => first(&mut link.ipv6_link_local.iter().copied().map(IpAddr::V6)), // RFC9568-5.1.2.1-1
    }
}

/// Addresses of `spec` that are on its interface and not ours. Those of an owner are the machine's own, and have to be there.
fn foreign_addresses(spec: &RouterSpec, facts: &Facts) -> Option<ForeignAddresses> {
    match spec.role {
        Role::Owner => return None,
        Role::Contender { .. } => {}
    }
    let link = facts.links.get(&spec.interface)?;
    let ours = spec.instances.iter().flat_map(|instance| instance.held());
    let mut foreign = ours.filter_map(|net| {
        let prefix_len = link.foreign.get(&net.addr())?;
        IpNet::new(net.addr(), *prefix_len).ok()
    });
    let first = foreign.next()?;
    Some(ForeignAddresses { interface: spec.interface, first, others: foreign.count() })
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

/// What each weighted check adds to the priority now.
pub(in crate::protocol) fn weights(spec: &RouterSpec, facts: &Facts) -> BTreeMap<CheckName, i32> {
    let mut weights = BTreeMap::new();
    for track in &spec.tracks {
        match track {
            Track::WeightedCheck(name, _) => {
                *weights.entry(name.clone()).or_insert(0) += weight(track, facts)
            }
            Track::Check(_) | Track::Interface(_) => {}
        }
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

/// A negative weight counts while the check fails, a positive one while it passes; neither before
/// its first verdict.
fn weight(track: &Track, facts: &Facts) -> i32 {
    match track {
        Track::WeightedCheck(name, weight) => match facts.checks.get(name) {
            Some(CheckResult::Failing) if *weight < 0 => i32::from(*weight),
            Some(CheckResult::Passing) if *weight > 0 => i32::from(*weight),
            Some(CheckResult::Failing | CheckResult::Passing) | None => 0,
        },
        Track::Check(_) | Track::Interface(_) => 0,
    }
}
