//! What a node knows of its surroundings, and what follows for one router: the reasons not to take
//! part, the priority, the source address (docs/failover.md, docs/configuration.md).

use crate::protocol::{CheckName, CheckResult, Consequence, Fault, RouterSpec, Watched};
use crate::sim::documents;
use crate::types::{AdvertPriority, Destinations, Family, InterfaceName, LinkFacts, Role};
use crate::wire::Carrier;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) links: BTreeMap<InterfaceName, LinkFacts>,
    pub(super) checks: BTreeMap<CheckName, CheckResult>,
    /// The sockets that are not open, and why.
    pub(super) closed_sockets: BTreeMap<(InterfaceName, Family), String>,
}

impl Facts {
    /// Whether a packet from `address` is our own packet, reflected.
    pub(super) fn is_own(&self, interface: InterfaceName, address: IpAddr) -> bool {
        let Some(link) = self.links.get(&interface) else { return false };
        match address {
            IpAddr::V4(address) => link.ipv4.contains(&address),
            IpAddr::V6(address) => {
                link.ipv6_link_local.contains(&address) || link.ipv6_global.contains(&address)
            }
        }
    }

    /// Whether the IP header of a message is one that the router may believe: to the group from the
    /// link itself or, between nodes that list one another, to an address of this node from no
    /// farther than configured.
    pub(super) fn arrived_well(&self, spec: &RouterSpec, carrier: &Carrier) -> bool {
        let far = 255 - i32::from(carrier.ttl);
        match &spec.destinations {
            Destinations::Multicast => {
                let unicast_source = match carrier.source {
                    IpAddr::V4(source) => !source.is_multicast() && !source.is_loopback(),
                    IpAddr::V6(source) => source.is_unicast_link_local(),
                };
                carrier.destination.is_multicast() && unicast_source && far == 0
            }
            Destinations::Unicast(peers) => {
                self.is_own(spec.interface, carrier.destination)
                    && far <= 255 - i32::from(peers.min_ttl.get())
            }
        }
    }

    /// The other nodes in the list of a router, in its order; the group for one without a list.
    pub(super) fn recipients(&self, spec: &RouterSpec, family: Family) -> Vec<IpAddr> {
        let Destinations::Unicast(peers) = &spec.destinations else { return vec![documents::group(family)] };
        let of_family = peers.addresses.iter().filter(|peer| Family::of(**peer) == family);
        let others = of_family.filter(|peer| self.links.keys().all(|link| !self.is_own(*link, **peer)));
        others.copied().collect()
    }

    fn link_fault(&self, interface: InterfaceName) -> Option<Fault> {
        match self.links.get(&interface) {
            None => Some(Fault::InterfaceMissing(interface)),
            Some(link) if !link.up => Some(Fault::InterfaceDown(interface)),
            Some(link) if !link.carrier => Some(Fault::NoCarrier(interface)),
            Some(_) => None,
        }
    }

    /// Every reason not to take part that follows from facts alone.
    pub(super) fn faults(&self, spec: &RouterSpec) -> BTreeSet<Fault> {
        let mut faults = BTreeSet::new();
        let families = || spec.instances.iter().map(|instance| instance.family);
        if let Some(fault) = self.link_fault(spec.interface) {
            faults.insert(fault);
        } else {
            for family in families() {
                if self.source(spec, family, None).is_none() {
                    faults.insert(Fault::NoSourceAddress(spec.interface, spec.wanted_source(family)));
                } else if self.recipients(spec, family).is_empty() {
                    faults.insert(Fault::NoUnicastPeer(spec.interface, family));
                }
            }
        }
        if let Some(controller) = self.links.get(&spec.interface).and_then(|link| link.port_of) {
            faults.insert(Fault::Port(spec.interface, controller));
        }
        for family in families() {
            if let Some(why) = self.closed_sockets.get(&(spec.interface, family)) {
                faults.insert(Fault::Sockets(spec.interface, family, why.clone()));
            }
        }
        for track in &spec.tracks {
            if track.consequence != Consequence::Fault {
                continue;
            }
            faults.extend(match &track.watched {
                Watched::Check(name) => match self.checks.get(name) {
                    None => Some(Fault::CheckPending(name.clone())),
                    Some(CheckResult::Failing) => Some(Fault::Check(name.clone())),
                    Some(CheckResult::Passing) => None,
                },
                Watched::Interface(interface) => self.link_fault(*interface),
            });
        }
        faults
    }

    /// A negative weight counts while its check fails or its interface is down, a positive weight
    /// while its check passes or its interface is up.
    /// The sum stays within 1..=254, and the priority of an owner does not change.
    pub(super) fn priority(&self, spec: &RouterSpec) -> AdvertPriority {
        let Role::Contender { priority, .. } = spec.role else { return AdvertPriority::OWNER };
        let mut sum = i32::from(priority.get());
        for track in &spec.tracks {
            let Consequence::Weight(weight) = track.consequence else { continue };
            let result = match &track.watched {
                Watched::Check(name) => self.checks.get(name).copied(),
                Watched::Interface(interface) => Some(match self.link_fault(*interface) {
                    Some(_) => CheckResult::Failing,
                    None => CheckResult::Passing,
                }),
            };
            sum += match result {
                Some(CheckResult::Failing) => i32::from(weight.min(0)),
                Some(CheckResult::Passing) => i32::from(weight.max(0)),
                None => 0,
            };
        }
        AdvertPriority::from_wire(u8::try_from(sum.clamp(1, 254)).unwrap_or(254))
    }

    /// Our source address in one family: the current one while the interface has it, else the first
    /// address that is not virtual (RFC 9568 §5.1.1.1, §5.1.2.1). With a list of nodes, an address
    /// in it comes before all others.
    pub(super) fn source(
        &self,
        spec: &RouterSpec,
        family: Family,
        current: Option<IpAddr>,
    ) -> Option<IpAddr> {
        let link = self.links.get(&spec.interface)?;
        let list = match &spec.destinations {
            Destinations::Multicast => &[][..],
            Destinations::Unicast(peers) => &peers.addresses,
        };
        let global =
            list.iter().any(|peer| matches!(peer, IpAddr::V6(peer) if !peer.is_unicast_link_local()));
        let mut candidates: Vec<IpAddr> = match family {
            Family::Ipv4 => link.ipv4.iter().copied().map(IpAddr::V4).collect(),
            Family::Ipv6 if global => link.ipv6_global.iter().copied().map(IpAddr::V6).collect(),
            Family::Ipv6 => link.ipv6_link_local.iter().copied().map(IpAddr::V6).collect(),
        };
        let is_virtual = |address: &IpAddr| {
            (spec.role != Role::Owner || !list.is_empty())
                && spec.instances.iter().any(|instance| instance.held().any(|net| net.addr() == *address))
        };
        let configured = spec.source_address.filter(|source| Family::of(*source) == family);
        let usable =
            |address: &&IpAddr| !is_virtual(address) && configured.is_none_or(|one| one == **address);
        if candidates.iter().any(|address| usable(&address) && list.contains(address)) {
            candidates.retain(|address| list.contains(address));
        }
        let kept = candidates.iter().filter(usable).find(|address| Some(**address) == current);
        kept.or_else(|| candidates.iter().find(usable)).copied()
    }
}

/// Whether the configuration lets us listen to this router.
pub(super) fn is_expected(spec: &RouterSpec, sender: IpAddr) -> bool {
    let strange = |list: &[IpAddr]| !list.is_empty() && !list.contains(&sender);
    match &spec.destinations {
        Destinations::Multicast => !strange(&spec.accept_from),
        // An empty list believes nobody.
        Destinations::Unicast(peers) => peers.addresses.contains(&sender) && !strange(&spec.accept_from),
    }
}

/// Whether the fault means that nothing can be sent or received on the interface of the router.
pub(super) fn cuts_off(spec: &RouterSpec, fault: &Fault) -> bool {
    match fault {
        Fault::InterfaceMissing(name)
        | Fault::InterfaceDown(name)
        | Fault::NoCarrier(name)
        | Fault::OtherName(name, _) => *name == spec.interface,
        Fault::Port(..)
        | Fault::NoSourceAddress(..)
        | Fault::NoUnicastPeer(..)
        | Fault::ForeignAddresses(_)
        | Fault::Sockets(..)
        | Fault::Check(_)
        | Fault::CheckPending(_)
        | Fault::Addresses(_) => false,
    }
}

/// Whether the fault may be over in a moment, so that the router waits for its end
/// (docs/failover.md).
pub(super) fn may_pass(spec: &RouterSpec, fault: &Fault) -> bool {
    match fault {
        Fault::InterfaceDown(name) | Fault::NoCarrier(name) | Fault::NoSourceAddress(name, _) => {
            *name == spec.interface
        }
        Fault::InterfaceMissing(_)
        | Fault::OtherName(..)
        | Fault::NoUnicastPeer(..)
        | Fault::Port(..)
        | Fault::ForeignAddresses(_)
        | Fault::Sockets(..)
        | Fault::Check(_)
        | Fault::CheckPending(_)
        | Fault::Addresses(_) => false,
    }
}

/// Whether the fault means that nothing can be sent in `family`.
pub(super) fn prevents_sending(spec: &RouterSpec, fault: &Fault, family: Family) -> bool {
    match fault {
        Fault::NoSourceAddress(_, missing) => missing.family() == family,
        Fault::Sockets(_, of, _) => *of == family,
        Fault::InterfaceMissing(_)
        | Fault::InterfaceDown(_)
        | Fault::NoCarrier(_)
        | Fault::OtherName(..)
        | Fault::NoUnicastPeer(..)
        | Fault::Port(..)
        | Fault::ForeignAddresses(_)
        | Fault::Check(_)
        | Fault::CheckPending(_)
        | Fault::Addresses(_) => cuts_off(spec, fault),
    }
}

/// Whether the fault means that nothing can be received in `family`.
pub(super) fn prevents_receiving(spec: &RouterSpec, fault: &Fault, family: Family) -> bool {
    match fault {
        Fault::Sockets(_, of, _) => *of == family,
        // What is sent to this node alone does not arrive without its address.
        Fault::NoSourceAddress(_, missing) => {
            missing.family() == family && spec.destinations != Destinations::Multicast
        }
        Fault::Port(name, _) => *name == spec.interface,
        Fault::InterfaceMissing(_)
        | Fault::InterfaceDown(_)
        | Fault::NoCarrier(_)
        | Fault::OtherName(..)
        | Fault::NoUnicastPeer(..)
        | Fault::ForeignAddresses(_)
        | Fault::Check(_)
        | Fault::CheckPending(_)
        | Fault::Addresses(_) => cuts_off(spec, fault),
    }
}
