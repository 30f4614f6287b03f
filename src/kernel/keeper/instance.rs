//! One instance in the ledger: which addresses it wants, which it has, and what was reported about
//! it. The code is pure.

use super::budget::RepairBudget;
use super::message::{DrainsAtStop, KeeperEvent};
use crate::kernel::netlink::AdminState;
use crate::kernel::resources::address::can_drain;
use crate::kernel::resources::{Claims, Desired, Refusals, Resource};
use crate::types::{InstanceKey, InterfaceName, MacAddr, MonoTime};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// One declared instance.
#[derive(Debug)]
pub(super) struct KeptInstance {
    /// The interface on which the addresses are installed and announced.
    pub(super) address_interface: InterfaceName,
    pub(super) addresses: Vec<IpNet>,
    /// What was declared while the addresses drain. It counts when they do not any more: until
    /// then the connections of the earlier addresses need these.
    declared_later: Option<DeclaredAddresses>,
    pub(super) declaration: Declaration,
    pub(super) desired: Desired,
    /// When a drain ends by itself. Matters only while the addresses drain.
    pub(super) drains_until: MonoTime,
    /// Whether the addresses have left the interface, to drain. A drain that the kernel refuses before
    /// that is given up, because another node has the addresses; after that it is tried again.
    drained: HasDrained,
    pub(super) epoch: u64,
    pub(super) answer: AnswerState,
    /// What was in the kernel after the last pass, and the index of the interface that it was on.
    pub(super) in_place: BTreeSet<Resource>,
    pub(super) index: Option<u32>,
    pub(super) budget: RepairBudget,
    /// The problem that was reported last and has not ended.
    pub(super) reported: Option<ReportedProblem>,
}

/// Addresses and the interface that they belong on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DeclaredAddresses {
    pub(super) interface: InterfaceName,
    pub(super) addresses: Vec<IpNet>,
}

/// Whether an instance is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Declaration {
    Declared,
    /// The instance is dropped when the removal of its addresses has been reported.
    Forgotten,
}

/// Whether addresses have left the interface, to drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HasDrained {
    NotYet,
    Yes,
}

/// Whether the newest epoch has been answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerState {
    Pending,
    Given,
}

/// A problem that has been reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReportedProblem {
    Contested,
    Refused(String),
}

/// An interface that routers are configured on.
#[derive(Debug)]
pub(super) struct KeptLink {
    pub(super) index: u32,
    pub(super) mac: Option<MacAddr>,
    pub(super) state: AdminState,
    /// Whether the interface was down since the last pass that saw it up: the kernel removes IPv6
    /// addresses then.
    pub(super) continuity: LinkContinuity,
}

/// Whether a link was up all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkContinuity {
    Continuous,
    Interrupted,
}

/// What an instance wants after a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settlement {
    /// The same as before.
    AsWanted,
    /// No addresses, because they cannot drain.
    NoAddresses,
}

/// What happened to the resources of one instance since the last pass.
#[derive(Debug, Default)]
pub(super) struct Repair {
    /// What another program removed.
    pub(super) removed: BTreeSet<Resource>,
    /// What disappeared with the link.
    pub(super) gone: BTreeSet<Resource>,
    /// When the next repair may be made, if the budget is spent.
    pub(super) wait: Option<MonoTime>,
}

impl KeptInstance {
    /// Begins with an instance that was just declared and holds nothing.
    pub(super) fn new(now: MonoTime, address_interface: InterfaceName) -> Self {
        Self {
            address_interface,
            addresses: Vec::new(),
            declared_later: None,
            declaration: Declaration::Declared,
            desired: Desired::Released,
            drains_until: now,
            drained: HasDrained::NotYet,
            epoch: 0,
            answer: AnswerState::Given,
            in_place: BTreeSet::new(),
            index: None,
            budget: RepairBudget::full(now),
            reported: None,
        }
    }

    /// Whether the core waits for the report that the addresses are gone.
    pub(super) fn awaits_release(&self) -> bool {
        self.desired == Desired::Released && self.answer == AnswerState::Pending
    }

    /// Takes a command of this epoch.
    pub(super) fn want(&mut self, epoch: u64, desired: Desired) {
        match (self.desired, desired) {
            (Desired::Held, Desired::Draining) => self.drained = HasDrained::NotYet,
            (Desired::Released, Desired::Draining) => self.drained = HasDrained::Yes,
            (Desired::Draining, Desired::Draining) | (_, Desired::Held | Desired::Released) => {}
        }
        self.desired = desired;
        self.epoch = epoch;
        self.answer = AnswerState::Pending;
        self.after_drain();
    }

    /// Takes other addresses, at once or after the drain that is under way.
    pub(super) fn declare(&mut self, declared: DeclaredAddresses) {
        self.declaration = Declaration::Declared;
        self.declared_later = Some(declared);
        self.after_drain();
    }

    /// What was declared counts, unless addresses drain.
    fn after_drain(&mut self) {
        if self.drains() {
            return;
        }
        let Some(DeclaredAddresses { interface, addresses }) = self.declared_later.take() else { return };
        if self.address_interface != interface {
            // What was installed on the other interface is not claimed any more, so the next pass
            // removes it. Here nothing is installed yet.
            self.address_interface = interface;
            self.in_place.clear();
            self.index = None;
        }
        self.addresses = addresses;
        self.retain_declared();
    }

    /// Ends a drain whose lifetime is over. One that has not been answered yet is tried once.
    pub(super) fn expire(&mut self, now: MonoTime) {
        if self.drains() && self.answer == AnswerState::Given && self.drains_until <= now {
            self.desired = Desired::Released;
            self.in_place.clear();
            self.reported = None;
            self.after_drain();
        }
    }

    pub(super) fn drains(&self) -> bool {
        self.desired == Desired::Draining
    }

    /// From now on nothing is wanted, and no command waits for an answer; a drain that has succeeded
    /// goes on if `drains` says so.
    pub(super) fn stop(&mut self, drains: DrainsAtStop) {
        let has_succeeded = self.desired == Desired::Draining
            && self.answer == AnswerState::Given
            && !matches!(self.reported, Some(ReportedProblem::Refused(_)));
        match drains {
            DrainsAtStop::Keep if has_succeeded => {}
            DrainsAtStop::Keep | DrainsAtStop::End => self.desired = Desired::Released,
        }
        self.answer = AnswerState::Given;
    }

    /// What this instance was declared with, and whether that must be there. All fields are named,
    /// so that a new kind of resource is not forgotten here.
    fn kept(&self) -> (&[IpNet], Desired) {
        let Self {
            addresses,
            desired,
            drains_until: _,
            drained: _,
            declared_later: _,
            address_interface: _,
            declaration: _,
            epoch: _,
            answer: _,
            in_place: _,
            index: _,
            budget: _,
            reported: _,
        } = self;
        (addresses, *desired)
    }

    /// Everything whose failure matters to this instance, on the interface with this index.
    pub(super) fn resources(&self, index: Option<u32>) -> impl Iterator<Item = Resource> {
        let (addresses, desired) = self.kept();
        let on_interface = move |address| index.map(|index| Resource::Address { index, address });
        let on_loopback = move |address| match desired {
            Desired::Held => None,
            Desired::Draining | Desired::Released => Some(Resource::on_loopback(address)),
        };
        let guard = index.filter(|_| self.has_ipv4()).map(|index| Resource::ArpGuard { index });
        let of_addresses = addresses.iter().map(IpNet::addr);
        let addresses = of_addresses.flat_map(move |it| on_interface(it).into_iter().chain(on_loopback(it)));
        let guard = match desired {
            Desired::Held => None,
            Desired::Draining | Desired::Released => guard,
        };
        guard.into_iter().chain(addresses)
    }

    pub(super) fn has_ipv4(&self) -> bool {
        self.addresses.iter().any(|net| net.addr().is_ipv4())
    }

    /// The addresses that must be there, on the interface with this index or on `lo`.
    fn wanted(&self, index: Option<u32>) -> impl Iterator<Item = Resource> {
        let (addresses, desired) = self.kept();
        addresses.iter().map(IpNet::addr).filter_map(move |address| match desired {
            Desired::Held => index.map(|index| Resource::Address { index, address }),
            Desired::Draining => can_drain(address).then_some(Resource::on_loopback(address)),
            Desired::Released => None,
        })
    }

    /// The addresses that are installed and can be announced, on the interface with this index.
    pub(super) fn announceable(&self, index: u32) -> impl Iterator<Item = IpAddr> {
        let addresses = self.addresses.iter().map(IpNet::addr);
        addresses
            .filter(move |address| self.in_place.contains(&Resource::Address { index, address: *address }))
    }

    /// Adds what this instance wants. While the interface does not exist, only what drains can be
    /// there.
    pub(super) fn claim(&self, now: MonoTime, index: Option<u32>, claims: &mut Claims) {
        let (addresses, desired) = self.kept();
        for net in addresses {
            if self.drains() {
                claims.limit_drain(net.addr(), self.drains_until.since(now));
            }
            match (index, desired) {
                (Some(index), _) => claims.add_address(index, *net, desired),
                (None, Desired::Draining) => claims.add_draining(net.addr()),
                (None, Desired::Held | Desired::Released) => {}
            }
        }
    }

    /// Forgets what was in place of addresses that are not declared any more.
    fn retain_declared(&mut self) {
        let declared: BTreeSet<IpAddr> = self.addresses.iter().map(IpNet::addr).collect();
        self.in_place
            .retain(|resource| resource.address().is_some_and(|address| declared.contains(&address)));
    }

    /// Compares what was there after the last pass with what is present now.
    pub(super) fn losses(&self, link: Option<&KeptLink>, present: &BTreeSet<Resource>) -> Repair {
        let now = |resource: &Resource| link.map_or(*resource, |link| resource.on(link.index));
        let lost = self.in_place.iter().map(now).filter(|resource| !present.contains(resource)).collect();
        let is_same =
            |link: &KeptLink| self.index == Some(link.index) && link.continuity == LinkContinuity::Continuous;
        let stayed = match self.desired {
            // `lo` does not go away.
            Desired::Draining => true,
            Desired::Held | Desired::Released => link.is_some_and(is_same),
        };
        if stayed {
            Repair { removed: lost, ..Repair::default() }
        } else {
            Repair { gone: lost, ..Repair::default() }
        }
    }

    /// Returns whether the plan of the next pass is another one, because addresses that cannot drain
    /// have to go.
    pub(super) fn settle(
        &mut self,
        key: InstanceKey,
        index: Option<u32>,
        repair: &Repair,
        refused: &Refusals,
        events: &mut Vec<KeeperEvent>,
    ) -> Settlement {
        if index.is_none() && self.desired == Desired::Held {
            // The installed addresses disappeared with the interface. They are remembered until the
            // interface is back.
            let outcome = Err(format!("interface {} does not exist", self.address_interface));
            events.extend(self.answer(key, outcome));
            return Settlement::AsWanted;
        }
        let mut errors: Vec<&String> = Vec::new();
        for resource in self.resources(index) {
            // What depends on another resource is refused for the same reason.
            errors.extend(refused.get(&resource).filter(|why| errors.last() != Some(why)));
        }
        let outcome = match errors.as_slice() {
            [] => Ok(()),
            [why] => Err((*why).clone()),
            [why, more @ ..] => Err(format!("{why} (and {} more)", more.len())),
        };
        match self.desired {
            // What is refused now, but was there before, still counts as missing.
            Desired::Held | Desired::Draining => {
                let now = |resource: &Resource| index.map_or(*resource, |index| resource.on(index));
                let before: BTreeSet<_> = self.in_place.iter().map(now).collect();
                let stays =
                    |resource: &Resource| !refused.contains_key(resource) || before.contains(resource);
                self.in_place = self.wanted(index).filter(stays).collect();
                self.index = index;
            }
            Desired::Released if outcome.is_ok() => self.in_place.clear(),
            Desired::Released => {}
        }
        let before = self.desired;
        match self.answer(key, outcome.clone()) {
            Some(answer) => events.push(answer),
            None => self.report(key, repair, outcome, refused, events),
        }
        if self.desired == before { Settlement::AsWanted } else { Settlement::NoAddresses }
    }

    /// Returns the answer to the newest epoch, if it has not been given yet.
    pub(super) fn answer(&mut self, key: InstanceKey, outcome: Result<(), String>) -> Option<KeeperEvent> {
        if self.answer == AnswerState::Given {
            return None;
        }
        self.answer = AnswerState::Given;
        self.reported = outcome.clone().err().map(ReportedProblem::Refused);
        Some(match self.desired {
            Desired::Held => KeeperEvent::Held { key, epoch: self.epoch, outcome },
            Desired::Draining => {
                if outcome.is_ok() {
                    self.drained = HasDrained::Yes;
                } else if self.drained == HasDrained::NotYet {
                    // Another node has the addresses. What has moved to `lo` already goes, too.
                    self.desired = Desired::Released;
                    self.in_place.clear();
                    self.after_drain();
                }
                KeeperEvent::Draining { key, epoch: self.epoch, outcome }
            }
            Desired::Released => KeeperEvent::Released { key, epoch: self.epoch, outcome },
        })
    }

    /// Reports events that do not answer a command. The same problem is reported once.
    fn report(
        &mut self,
        key: InstanceKey,
        repair: &Repair,
        outcome: Result<(), String>,
        refused: &Refusals,
        events: &mut Vec<KeeperEvent>,
    ) {
        let count = |lost: &BTreeSet<Resource>| lost.iter().filter(|it| !refused.contains_key(it)).count();
        let (restored, reinstalled) = (count(&repair.removed), count(&repair.gone));
        if reinstalled > 0 {
            events.push(KeeperEvent::Reinstalled { key, count: reinstalled });
        }
        let reported = match (outcome, repair.wait) {
            (Err(why), _) => Some(ReportedProblem::Refused(why)),
            (Ok(()), Some(_)) => Some(ReportedProblem::Contested),
            (Ok(()), None) => None,
        };
        if repair.wait.is_none() && restored > 0 {
            events.push(KeeperEvent::Restored { key, count: restored });
        }
        if reported != self.reported {
            events.extend(reported.as_ref().map(|reported| match reported {
                ReportedProblem::Contested => KeeperEvent::Contested { key, count: repair.removed.len() },
                ReportedProblem::Refused(why) => KeeperEvent::NotRestored { key, why: why.clone() },
            }));
            self.reported = reported;
        }
    }
}
