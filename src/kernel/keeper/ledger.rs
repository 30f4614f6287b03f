//! What the keeper knows to be in the kernel, and what is wanted there. The code is pure:
//! commands and observations are its input, a plan is its output; the result of the plan is its
//! input again, and events are its output.
//!
//! This module owns epochs, unanswered commands, the resources that were installed after the last
//! pass (and so those that other programs removed since then), and the pace of repairs. It must not
//! know netlink or threads, nor how a resource of some kind is compared
//! ([`crate::kernel::resources`]).

use super::instance::{
    AnswerState, Declaration, DeclaredAddresses, KeptInstance, KeptLink, LinkContinuity, Repair, Settlement,
};
use super::message::{AnnouncementRequest, DrainsAtStop, KeeperCommand, KeeperEvent};
use crate::kernel::address::{AddressRank, ObservedAddress};
use crate::kernel::netlink::AdminState;
use crate::kernel::resources::address::AddressOperation;
use crate::kernel::resources::{
    Claims, Desired, Observed, Operation, Refusals, Resource, ResourceDifference, difference, stale,
};
use crate::kernel::sysctl::ArpValues;
use crate::types::{InstanceKey, InterfaceName, LinkFacts, MonoTime};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Time after which a request that the kernel refused is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// The shortest time for which addresses drain.
const SHORTEST_DRAIN: Duration = Duration::from_secs(1);

/// Whether repairs have to wait for their budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Repairs wait.
    Limited,
    /// Repairs do not wait, because this is the last pass.
    Unlimited,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    routers: BTreeMap<InstanceKey, KeptInstance>,
    links: BTreeMap<InterfaceName, KeptLink>,
    /// Due announcements, at most one for each command of one turn, so the queue of commands bounds
    /// them.
    announcements: Vec<(InstanceKey, u8)>,
    /// What interfaces had before their ARP guard was set.
    found: BTreeMap<u32, ArpValues>,
    need: Need,
    retry_at: Option<MonoTime>,
}

/// Whether something changed since the last pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Need {
    #[default]
    Nothing,
    Pass,
}

/// The changes of one pass.
#[derive(Debug)]
pub(super) struct PassPlan {
    pub(super) difference: ResourceDifference,
    pub(super) claims: Claims,
    repairs: BTreeMap<InstanceKey, Repair>,
    /// What cannot be repaired yet.
    deferred: BTreeSet<Resource>,
}

impl Ledger {
    /// Takes a command; some are answered at once.
    pub(super) fn accept(&mut self, now: MonoTime, command: KeeperCommand) -> Option<KeeperEvent> {
        match command {
            KeeperCommand::Declare { key, address_interface, addresses } => {
                self.declare(now, key, address_interface, addresses);
            }
            KeeperCommand::Forget { key } => {
                match self.routers.get_mut(&key) {
                    Some(router) if router.awaits_release() => router.declaration = Declaration::Forgotten,
                    Some(_) | None => drop(self.routers.remove(&key)),
                }
                self.need = Need::Pass;
            }
            KeeperCommand::Hold { key, epoch } => {
                if !self.want(key, epoch, Desired::Held, now) {
                    let outcome = Err(format!("{key} is not declared"));
                    return Some(KeeperEvent::Held { key, epoch, outcome });
                }
            }
            KeeperCommand::Drain { key, epoch, lifetime } => {
                let until = now + lifetime.max(SHORTEST_DRAIN);
                if !self.want(key, epoch, Desired::Draining, until) {
                    let outcome = Err(format!("{key} is not declared"));
                    return Some(KeeperEvent::Draining { key, epoch, outcome });
                }
            }
            KeeperCommand::Release { key, epoch } => {
                if !self.want(key, epoch, Desired::Released, now) {
                    return Some(KeeperEvent::Released { key, epoch, outcome: Ok(()) });
                }
            }
            KeeperCommand::Announce { key, rounds } => self.announcements.push((key, rounds)),
            KeeperCommand::Link(interface, facts) => self.link(interface, facts.as_deref()),
            KeeperCommand::Reconcile => self.need = Need::Pass,
            KeeperCommand::Stop(_) => {} // ends the thread, which then calls `release_all`
        }
        None
    }

    /// The removals of what an earlier run left behind and no router wants.
    pub(super) fn stale(&self, now: MonoTime, observed: &Observed) -> ResourceDifference {
        stale(&self.claims(now, observed), observed)
    }

    /// The interfaces whose ARP parameters matter: those that must have a guard, and those that an
    /// earlier pass, or an earlier run, gave one.
    pub(super) fn arp_interfaces(&self, addresses: &[ObservedAddress]) -> BTreeSet<u32> {
        let noted = addresses.iter().filter_map(|address| address.note).map(|note| note.interface);
        let draining = self.routers.values().filter(|router| router.drains() && router.has_ipv4());
        let claimed = draining.filter_map(|router| self.links.get(&router.address_interface));
        claimed.map(|link| link.index).chain(self.found.keys().copied()).chain(noted).collect()
    }

    /// Whether addresses drain.
    pub(super) fn drains(&self) -> bool {
        self.routers.values().any(KeptInstance::drains)
    }

    /// The instances whose addresses drain.
    pub(super) fn draining(&self) -> BTreeSet<InstanceKey> {
        let draining = self.routers.iter().filter(|(_, router)| router.drains());
        draining.map(|(key, _)| *key).collect()
    }

    pub(super) fn wants_pass(&self, now: MonoTime) -> bool {
        self.need == Need::Pass || self.retry_at.is_some_and(|at| at <= now)
    }

    pub(super) fn retry_at(&self) -> Option<MonoTime> {
        self.retry_at
    }

    /// From now on no addresses are wanted, except those that drain if `drains` says so, and no
    /// command waits for an answer.
    pub(super) fn release_all(&mut self, drains: DrainsAtStop) {
        for router in self.routers.values_mut() {
            router.stop(drains);
        }
    }

    /// The interfaces that count as up and yet miss addresses: their known state may be out of
    /// date.
    pub(super) fn interfaces_to_check(&self, observed: &Observed) -> BTreeSet<u32> {
        let present = observed.resources();
        self.held()
            .filter(|(router, link)| router.index == Some(link.index) && link.state == AdminState::Up)
            .filter(|(router, _)| !router.in_place.is_subset(&present))
            .map(|(_, link)| link.index)
            .collect()
    }

    /// The state that the kernel reports for a suspected interface.
    pub(super) fn on_state(&mut self, index: u32, state: AdminState) {
        match state {
            AdminState::Up => {}
            AdminState::Down => {
                for link in self.links.values_mut().filter(|link| link.index == index) {
                    link.state = state;
                    link.continuity = LinkContinuity::Interrupted;
                }
            }
            AdminState::Missing => self.links.retain(|_, link| link.index != index),
        }
    }

    /// The difference, without what must wait.
    pub(super) fn plan(&mut self, now: MonoTime, pace: Pace, observed: &Observed) -> PassPlan {
        self.routers.values_mut().for_each(|router| router.expire(now));
        let claims = self.claims(now, observed);
        let mut difference = difference(&claims, observed);
        self.found.clone_from(&difference.found);
        let mut repairs = self.repairs(observed);
        let mut deferred = BTreeSet::new();
        let mut urgent = BTreeSet::new();
        for (key, router) in &mut self.routers {
            let index = self.links.get(&router.address_interface).map(|link| link.index);
            if let Some(repair) = repairs.get_mut(key).filter(|repair| !repair.removed.is_empty()) {
                let contested = repair.removed.iter().copied();
                match (pace, router.budget.spend(now)) {
                    (Pace::Limited, Err(at)) => {
                        deferred.extend(contested);
                        repair.wait = Some(at);
                    }
                    (Pace::Limited, Ok(())) | (Pace::Unlimited, Ok(()) | Err(_)) => urgent.extend(contested),
                }
            }
            if router.answer == AnswerState::Pending {
                urgent.extend(router.resources(index));
            }
        }
        // Instances may share a resource, which is installed if one of them need not wait.
        deferred.retain(|resource| !urgent.contains(resource));
        difference.defer(&deferred);
        PassPlan { difference, claims, repairs, deferred }
    }

    /// Determines the events after a plan was carried out. Returns `Err` if something is not as
    /// desired.
    pub(super) fn settle(
        &mut self,
        now: MonoTime,
        plan: &PassPlan,
        refused: &Refusals,
        events: &mut Vec<KeeperEvent>,
    ) -> Result<(), String> {
        let nothing = Repair::default();
        self.need = Need::Nothing;
        for (key, router) in &mut self.routers {
            let index = self.links.get(&router.address_interface).map(|link| link.index);
            let repair = plan.repairs.get(key).unwrap_or(&nothing);
            match router.settle(*key, index, repair, refused, events) {
                Settlement::AsWanted => {}
                Settlement::NoAddresses => self.need = Need::Pass,
            }
        }
        // A guard that could not be restored is tried again.
        let guarded = plan.claims.guarded();
        self.found.retain(|index, _| {
            guarded.contains(index) || refused.contains_key(&Resource::ArpGuard { index: *index })
        });
        self.routers
            .retain(|_, router| router.declaration == Declaration::Declared || router.awaits_release());
        for link in self.links.values_mut().filter(|link| link.state == AdminState::Up) {
            link.continuity = LinkContinuity::Continuous;
        }
        let wait = plan.repairs.values().filter_map(|repair| repair.wait).min();
        let retry = (!refused.is_empty()).then_some(now + RETRY);
        let draining = self.routers.values().filter(|router| router.drains());
        let over = draining.map(|router| router.drains_until).min();
        self.retry_at = [wait, retry, over].into_iter().flatten().min();
        refused.values().next().map_or(Ok(()), |why| Err(why.clone()))
    }

    /// Determines the events after a pass that failed as a whole.
    pub(super) fn fail(
        &mut self,
        now: MonoTime,
        why: &str,
        events: &mut Vec<KeeperEvent>,
    ) -> Result<(), String> {
        // The next pass waits, because the cause of the failure may last. But addresses that cannot
        // drain, and may have moved in part, have to go at once; that pass is the only one that
        // does not wait.
        self.need = Need::Nothing;
        for (key, router) in &mut self.routers {
            let before = router.desired;
            events.extend(router.answer(*key, Err(why.to_owned())));
            if router.desired != before {
                self.need = Need::Pass;
            }
        }
        self.retry_at = Some(now + RETRY);
        Err(why.to_owned())
    }

    /// The announcements that are due now.
    pub(super) fn announcements(&mut self) -> Vec<AnnouncementRequest> {
        let wanted = std::mem::take(&mut self.announcements);
        wanted.into_iter().filter_map(|(key, rounds)| self.announcement(key, rounds)).collect()
    }

    fn announcement(&self, key: InstanceKey, rounds: u8) -> Option<AnnouncementRequest> {
        let router = self.routers.get(&key).filter(|router| router.desired == Desired::Held)?;
        let link =
            self.links.get(&router.address_interface).filter(|link| router.index == Some(link.index))?;
        let addresses: Vec<_> = router.announceable(link.index).collect();
        (!addresses.is_empty()).then_some(AnnouncementRequest {
            key,
            interface: router.address_interface,
            index: link.index,
            mac: link.mac?,
            addresses,
            rounds,
        })
    }

    fn declare(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        address_interface: InterfaceName,
        addresses: Vec<IpNet>,
    ) {
        let router = self.routers.entry(key).or_insert_with(|| KeptInstance::new(now, address_interface));
        router.declare(DeclaredAddresses { interface: address_interface, addresses });
        self.need = Need::Pass;
    }

    /// Sets what an instance wants, and until when if that is to drain. Returns whether the instance is declared. An old epoch changes
    /// nothing.
    fn want(&mut self, key: InstanceKey, epoch: u64, desired: Desired, until: MonoTime) -> bool {
        let Some(router) = self.routers.get_mut(&key) else {
            return false;
        };
        if epoch >= router.epoch {
            router.want(epoch, desired);
            router.drains_until = until;
            self.need = Need::Pass;
        }
        true
    }

    fn link(&mut self, interface: InterfaceName, facts: Option<&LinkFacts>) {
        let Some(facts) = facts else {
            self.links.remove(&interface);
            self.need = Need::Pass;
            return;
        };
        let state = if facts.up { AdminState::Up } else { AdminState::Down };
        let old = self.links.get(&interface).filter(|link| link.index == facts.index);
        let was_interrupted = old.is_some_and(|link| link.continuity == LinkContinuity::Interrupted);
        if old.is_none_or(|link| link.state != state) {
            self.need = Need::Pass;
        }
        let continuity = if state == AdminState::Up && !was_interrupted {
            LinkContinuity::Continuous
        } else {
            LinkContinuity::Interrupted
        };
        self.links.insert(interface, KeptLink { index: facts.index, mac: facts.mac, state, continuity });
    }

    /// The interfaces that exist and on which a router with IPv4 addresses is declared. An IPv6
    /// instance may have IPv4 addresses that it does not advertise.
    pub(super) fn ipv4_links(&self) -> BTreeMap<InterfaceName, u32> {
        let routers = self.routers.values().filter(|router| router.has_ipv4());
        let interfaces = routers.map(|router| router.address_interface);
        interfaces.filter_map(|interface| Some((interface, self.links.get(&interface)?.index))).collect()
    }

    fn claims(&self, now: MonoTime, observed: &Observed) -> Claims {
        let mut claims = Claims::default();
        for router in self.routers.values() {
            let index = self.links.get(&router.address_interface).map(|link| link.index);
            router.claim(now, index, &mut claims);
        }
        claims.add_noted(observed);
        claims.remember(&self.found);
        claims
    }

    /// Virtual routers whose addresses should have been there since an earlier pass.
    fn held(&self) -> impl Iterator<Item = (&KeptInstance, &KeptLink)> {
        self.routers
            .values()
            .filter(|router| router.desired == Desired::Held && router.answer == AnswerState::Given)
            .filter_map(|router| Some((router, self.links.get(&router.address_interface)?)))
    }

    /// Returns what other programs removed from instances whose addresses are held or drain.
    fn repairs(&self, observed: &Observed) -> BTreeMap<InstanceKey, Repair> {
        let present = observed.resources();
        let mut repairs = BTreeMap::new();
        for (key, router) in &self.routers {
            let link = self.links.get(&router.address_interface);
            let is_settled = router.answer == AnswerState::Given
                && match router.desired {
                    Desired::Held => link.is_some(),
                    Desired::Draining => true,
                    Desired::Released => false,
                };
            if is_settled {
                repairs.insert(*key, router.losses(link, &present));
            }
        }
        repairs
    }
}

impl PassPlan {
    /// Whether the plan removes an IPv4 primary address while other addresses of ours stay: if
    /// `promote_secondaries` cannot be set, the kernel also removes those of the same subnet.
    pub(super) fn may_remove_others(&self) -> bool {
        let holding = self.claims.holding_ipv4();
        let changed = self.difference.removals.iter().filter_map(Operation::address);
        changed.filter_map(AddressOperation::removed).any(|address| {
            let is_primary = address.net.addr().is_ipv4() && address.rank == AddressRank::Primary;
            is_primary && holding.contains(&address.index)
        })
    }

    /// The changes that remain after the plan was carried out.
    pub(super) fn second_look(&self, observed: &Observed) -> ResourceDifference {
        let mut rest = difference(&self.claims, observed);
        rest.defer(&self.deferred);
        rest
    }
}
