//! One instance in the ledger: which addresses it wants, which it has, and what was reported about
//! it. The code is pure.

use super::budget::RepairBudget;
use super::ledger::Refusals;
use super::message::KeeperEvent;
use crate::kernel::netlink::AdminState;
use crate::kernel::resources::{Claims, Desired, Resource};
use crate::types::{InstanceKey, InterfaceName, MacAddr, MonoTime};
use ipnet::IpNet;
use std::collections::BTreeSet;

/// One declared instance.
#[derive(Debug)]
pub(super) struct KeptInstance {
    /// The interface on which the addresses are installed and announced.
    pub(super) address_interface: InterfaceName,
    pub(super) addresses: Vec<IpNet>,
    pub(super) declaration: Declaration,
    pub(super) desired: Desired,
    pub(super) epoch: u64,
    pub(super) answer: AnswerState,
    /// What was in the kernel after the last pass, and the index of the interface that it was on.
    pub(super) in_place: BTreeSet<Resource>,
    pub(super) index: Option<u32>,
    pub(super) budget: RepairBudget,
    /// The problem that was reported last and has not ended.
    pub(super) reported: Option<ReportedProblem>,
}

/// Whether an instance is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Declaration {
    Declared,
    /// The instance is dropped when the removal of its addresses has been reported.
    Forgotten,
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
            declaration: Declaration::Declared,
            desired: Desired::Released,
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

    /// What this instance was declared with, and whether that must be there. All fields are named,
    /// so that a new kind of resource is not forgotten here.
    fn kept(&self) -> (&[IpNet], Desired) {
        let Self {
            addresses,
            desired,
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

    /// Everything that this instance keeps, on the interface with this index.
    pub(super) fn resources(&self, index: u32) -> impl Iterator<Item = Resource> {
        let (addresses, _) = self.kept();
        addresses.iter().map(move |net| Resource::Address { index, address: net.addr() })
    }

    /// Adds what this instance wants, on the interface with this index.
    pub(super) fn claim(&self, index: u32, claims: &mut Claims) {
        let (addresses, desired) = self.kept();
        for net in addresses {
            claims.add_address(index, *net, desired);
        }
    }

    /// Compares what was there after the last pass with what is present now.
    pub(super) fn losses(&self, link: &KeptLink, present: &BTreeSet<Resource>) -> Repair {
        let in_place = self.in_place.iter().map(|resource| resource.on(link.index));
        let lost = in_place.filter(|resource| !present.contains(resource)).collect();
        let stayed = self.index == Some(link.index) && link.continuity == LinkContinuity::Continuous;
        if stayed {
            Repair { removed: lost, ..Repair::default() }
        } else {
            Repair { gone: lost, ..Repair::default() }
        }
    }

    pub(super) fn settle(
        &mut self,
        key: InstanceKey,
        index: Option<u32>,
        repair: &Repair,
        refused: &Refusals,
        events: &mut Vec<KeeperEvent>,
    ) {
        let Some(index) = index else {
            // The installed addresses disappeared with the interface. They are remembered until the
            // interface is back.
            let outcome = match self.desired {
                Desired::Held => Err(format!("interface {} does not exist", self.address_interface)),
                Desired::Released => {
                    self.in_place.clear();
                    Ok(())
                }
            };
            events.extend(self.answer(key, outcome));
            return;
        };
        let errors: Vec<&String> =
            self.resources(index).filter_map(|resource| refused.get(&resource)).collect();
        let outcome = match errors.as_slice() {
            [] => Ok(()),
            [why] => Err((*why).clone()),
            [why, more @ ..] => Err(format!("{why} (and {} more)", more.len())),
        };
        match self.desired {
            // What is refused now, but was there before, still counts as missing.
            Desired::Held => {
                let before: BTreeSet<_> = self.in_place.iter().map(|resource| resource.on(index)).collect();
                let stays =
                    |resource: &Resource| !refused.contains_key(resource) || before.contains(resource);
                self.in_place = self.resources(index).filter(stays).collect();
                self.index = Some(index);
            }
            Desired::Released if outcome.is_ok() => self.in_place.clear(),
            Desired::Released => {}
        }
        match self.answer(key, outcome.clone()) {
            Some(answer) => events.push(answer),
            None => self.report(key, repair, outcome, refused, events),
        }
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
