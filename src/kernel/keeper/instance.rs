//! One instance in the ledger: which addresses it wants, which it has, and what was reported about
//! it. The code is pure.

use super::budget::RepairBudget;
use super::ledger::Refusals;
use super::message::KeeperEvent;
use crate::kernel::netlink::LinkState;
use crate::kernel::ownership::{Place, Wanted};
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
    pub(super) declaration: Declaration,
    pub(super) wanted: Wanted,
    pub(super) epoch: u64,
    pub(super) answer: AnswerState,
    /// The addresses that were installed after the last pass, and the index of their interface.
    pub(super) in_place: BTreeSet<IpAddr>,
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
    Owed,
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
    pub(super) state: LinkState,
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

/// What happened to the addresses of one instance since the last pass.
#[derive(Debug, Default)]
pub(super) struct Repair {
    /// Addresses that another program removed.
    pub(super) removed: BTreeSet<IpAddr>,
    /// Addresses that disappeared with the link.
    pub(super) gone: BTreeSet<IpAddr>,
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
            wanted: Wanted::Released,
            epoch: 0,
            answer: AnswerState::Given,
            in_place: BTreeSet::new(),
            index: None,
            budget: RepairBudget::full(now),
            reported: None,
        }
    }

    /// Whether the core waits for the report that the addresses are gone.
    pub(super) fn owes_release(&self) -> bool {
        self.wanted == Wanted::Released && self.answer == AnswerState::Owed
    }

    pub(super) fn losses(&self, link: &KeptLink, present: &BTreeSet<Place>) -> Repair {
        let lost = self.in_place.iter().copied().filter(|a| !present.contains(&(link.index, *a))).collect();
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
            let outcome = match self.wanted {
                Wanted::Held => Err(format!("interface {} does not exist", self.address_interface)),
                Wanted::Released => {
                    self.in_place.clear();
                    Ok(())
                }
            };
            events.extend(self.answer(key, outcome));
            return;
        };
        let refusal = |a: &IpAddr| refused.get(&(index, *a));
        let why = self.addresses.iter().find_map(|net| refusal(&net.addr())).cloned();
        let failed = self.addresses.iter().filter(|net| refusal(&net.addr()).is_some()).count();
        let outcome = match why {
            None => Ok(()),
            Some(why) if failed == 1 => Err(why),
            Some(why) => Err(format!("{why} (and {} more)", failed - 1)),
        };
        match self.wanted {
            // An address that is refused now, but was there before, still counts as missing.
            Wanted::Held => {
                let addresses = self.addresses.iter().map(IpNet::addr);
                self.in_place =
                    addresses.filter(|a| refusal(a).is_none() || self.in_place.contains(a)).collect();
                self.index = Some(index);
            }
            Wanted::Released if outcome.is_ok() => self.in_place.clear(),
            Wanted::Released => {}
        }
        match self.answer(key, outcome.clone()) {
            Some(answer) => events.push(answer),
            None => self.report(key, repair, outcome, |a| refusal(a).is_some(), events),
        }
    }

    /// Returns the answer to the newest epoch, if it has not been given yet.
    pub(super) fn answer(&mut self, key: InstanceKey, outcome: Result<(), String>) -> Option<KeeperEvent> {
        if self.answer == AnswerState::Given {
            return None;
        }
        self.answer = AnswerState::Given;
        self.reported = outcome.clone().err().map(ReportedProblem::Refused);
        Some(match self.wanted {
            Wanted::Held => KeeperEvent::Owned { key, epoch: self.epoch, outcome },
            Wanted::Released => KeeperEvent::Released { key, epoch: self.epoch, outcome },
        })
    }

    /// Reports events that do not answer a command. The same problem is reported once.
    fn report(
        &mut self,
        key: InstanceKey,
        repair: &Repair,
        outcome: Result<(), String>,
        refused: impl Fn(&IpAddr) -> bool,
        events: &mut Vec<KeeperEvent>,
    ) {
        let count = |lost: &BTreeSet<IpAddr>| lost.iter().filter(|a| !refused(a)).count();
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
                ReportedProblem::Refused(why) => KeeperEvent::Unrestored { key, why: why.clone() },
            }));
            self.reported = reported;
        }
    }
}
