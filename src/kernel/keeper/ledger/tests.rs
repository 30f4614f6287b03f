//! Tests of the ledger with a kernel of a few lines: epochs, answers, repairs and their pace.

mod draining;

use super::*;
use crate::kernel::address::{AddressLifetime, LOOPBACK, ObservedAddress, Origin};
use crate::kernel::keeper::earlier_drains::earlier_drains_among;
use crate::kernel::resources::LoopbackState;
use crate::kernel::resources::arp_guard::{GUARD, GuardOperation};
use crate::kernel::sysctl::ArpState;
use crate::types::{Family, Vrid};
use std::net::IpAddr;

const ETH0: u32 = 2;
const ETH1: u32 = 3;

/// The ledger, and the addresses of the kernel as it would find them.
struct Bench {
    ledger: Ledger,
    now: MonoTime,
    kernel: Vec<ObservedAddress>,
    refuse: BTreeSet<IpAddr>,
    loopback: LoopbackState,
    /// The ARP parameters that were set, and why they cannot be set.
    arp: BTreeMap<u32, ArpValues>,
    read_only: Option<&'static str>,
}

/// How long addresses drain where nothing else is said.
const LIFETIME: Duration = Duration::from_secs(600);

/// What an interface has as long as nobody sets it.
const NO_GUARD: ArpValues = ArpValues { ignore: 0, announce: 0 };

impl Bench {
    /// A ledger with eth0 up and one contender for 192.0.2.50/24 and .51, which was told to hold
    /// them.
    fn holding() -> Self {
        let mut bench = Self::new();
        bench.say(KeeperCommand::Hold { key: key(51), epoch: 1 });
        assert_eq!(bench.pass(), [hold_answer(1, Ok(()))]);
        bench
    }

    fn new() -> Self {
        let mut bench = Self {
            ledger: Ledger::default(),
            now: MonoTime::ZERO,
            kernel: Vec::new(),
            refuse: BTreeSet::new(),
            loopback: LoopbackState::Up,
            arp: BTreeMap::new(),
            read_only: None,
        };
        bench.say(KeeperCommand::Link(eth0(), Some(Box::new(facts(ETH0, true)))));
        bench.declare(51, &["192.0.2.50/24", "192.0.2.51/24"]);
        assert_eq!(bench.pass(), []);
        bench
    }

    fn declare(&mut self, vrid: u8, nets: &[&str]) {
        self.declare_on(eth0(), vrid, nets);
    }

    fn declare_on(&mut self, address_interface: InterfaceName, vrid: u8, nets: &[&str]) {
        let addresses = nets.iter().map(|net| net.parse().unwrap()).collect();
        self.say(KeeperCommand::Declare { key: key(vrid), address_interface, addresses });
    }

    fn say(&mut self, command: KeeperCommand) {
        assert_eq!(self.ledger.accept(self.now, command), None);
    }

    /// Whole seconds, because the kernel counts lifetimes in them.
    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        for address in &mut self.kernel {
            if let AddressLifetime::Limited(left) = &mut address.lifetime {
                *left = left.saturating_sub(time);
            }
        }
        self.kernel.retain(|address| address.lifetime != AddressLifetime::Limited(Duration::ZERO));
    }

    /// Makes one pass as the keeper does, unless no pass is due.
    fn pass(&mut self) -> Vec<KeeperEvent> {
        let mut events = Vec::new();
        if self.ledger.wants_pass(self.now) {
            let plan = self.ledger.plan(self.now, Pace::Limited, &self.observed());
            let refused = self.carry_out(&plan);
            let _ = self.ledger.settle(self.now, &plan, &refused, &mut events);
        }
        events
    }

    fn observed(&self) -> Observed {
        let interfaces = self.ledger.arp_interfaces(&self.kernel).into_iter();
        let state = |index| Ok(ArpState { own: self.arp_of(index), all: NO_GUARD });
        let arp = interfaces.map(|index| (index, state(index))).collect();
        Observed { addresses: self.kernel.clone(), loopback: self.loopback, arp }
    }

    fn arp_of(&self, index: u32) -> ArpValues {
        self.arp.get(&index).copied().unwrap_or(NO_GUARD)
    }

    /// Carries out the steps in their order.
    fn carry_out(&mut self, plan: &PassPlan) -> Refusals {
        let (difference, claims) = (&plan.difference, &plan.claims);
        let mut refused = difference.impossible.clone();
        let unreadable = difference.unreadable.iter();
        refused.extend(unreadable.map(|(index, why)| (Resource::ArpGuard { index: *index }, why.clone())));
        self.set_guards(&difference.guards, &mut refused);
        let additions = difference.due_loopback_additions(claims, &mut refused);
        self.change(&additions, &mut refused);
        let changes = difference.due_changes_of_interfaces(claims, &mut refused);
        self.change(&changes, &mut refused);
        let removals = difference.due_loopback_removals(claims, &mut refused);
        self.change(&removals, &mut refused);
        let guards = difference.due_guard_removals(&mut refused);
        self.set_guards(&guards, &mut refused);
        refused
    }

    fn set_guards(&mut self, guards: &[GuardOperation], refused: &mut Refusals) {
        for guard in guards {
            match self.read_only {
                Some(why) => drop(refused.insert(guard.resource(), why.to_owned())),
                None => drop(self.arp.insert(guard.index, guard.values)),
            }
        }
    }

    fn change(&mut self, operations: &[Operation], refused: &mut Refusals) {
        for operation in operations {
            let address = operation.resource().address().unwrap();
            match operation {
                _ if self.refuse.contains(&address) => {
                    refused.insert(operation.resource(), format!("{operation}: no"));
                }
                Operation::Address(AddressOperation::Remove(address)) => {
                    self.kernel.retain(|a| a != address);
                }
                Operation::Address(AddressOperation::Add { index, net }) => {
                    self.kernel.push(seen(*index, *net, Origin::Ours));
                }
                Operation::Address(AddressOperation::AddToLoopback { address, note, lifetime }) => {
                    let copy = seen(LOOPBACK, IpNet::from(*address), Origin::Ours);
                    self.kernel.push(ObservedAddress { note: *note, lifetime: *lifetime, ..copy });
                }
                Operation::Address(AddressOperation::SetLifetime { address, note, lifetime }) => {
                    let on_lo = |it: &&mut ObservedAddress| it.index == LOOPBACK && it.net.addr() == *address;
                    let there = self.kernel.iter_mut().find(on_lo).expect("it is there");
                    assert_eq!(there.note, *note);
                    there.lifetime = *lifetime;
                }
            }
        }
    }

    fn drain(&mut self, vrid: u8, epoch: u64) {
        self.drain_for(vrid, epoch, LIFETIME);
    }

    fn drain_for(&mut self, vrid: u8, epoch: u64, lifetime: Duration) {
        self.say(KeeperCommand::Drain { key: key(vrid), epoch, lifetime });
    }

    /// The whole seconds that addresses still last.
    fn lifetimes(&self) -> Vec<u64> {
        let seconds = |it: &ObservedAddress| match it.lifetime {
            AddressLifetime::Unlimited => 0,
            AddressLifetime::Limited(left) => left.as_secs(),
        };
        self.kernel.iter().map(seconds).collect()
    }

    /// A ledger as [`Self::holding`], whose addresses drain since.
    fn draining() -> Self {
        let mut bench = Self::holding();
        bench.drain(51, 2);
        assert_eq!(bench.pass(), [drain_answer(2, Ok(()))]);
        bench
    }

    /// The daemon is killed, and the next run knows what it was doing.
    fn restart(&mut self, known: &[KeeperCommand]) {
        let link = KeeperCommand::Link(eth0(), Some(Box::new(facts(ETH0, true))));
        self.restart_without_link(&[&[link], known].concat());
    }

    /// The next run does not know its interface yet.
    fn restart_without_link(&mut self, known: &[KeeperCommand]) {
        self.ledger = Ledger::default();
        self.declare(51, &["192.0.2.50/24", "192.0.2.51/24"]);
        for command in known {
            self.say(command.clone());
        }
        let mut stale = self.ledger.stale(self.now, &self.observed());
        let mut refused = Refusals::new();
        stale.removals.append(&mut stale.loopback_removals);
        self.change(&stale.removals, &mut refused);
        self.set_guards(&stale.guard_removals, &mut refused);
    }

    /// The addresses with their interfaces, and whether eth0 is guarded.
    fn places(&self) -> (Vec<String>, bool) {
        let name = |index: u32| match index {
            LOOPBACK => "lo",
            ETH1 => "eth1",
            _ => "eth0",
        };
        let mut places: Vec<_> =
            self.kernel.iter().map(|a| format!("{} {}", a.net.addr(), name(a.index))).collect();
        places.sort();
        (places, self.arp_of(ETH0) == GUARD)
    }

    /// Another program removes an address, and the monitor reports it.
    fn strike(&mut self, address: &str) {
        let address: IpAddr = address.parse().unwrap();
        assert!(self.kernel.iter().any(|a| a.net.addr() == address), "{address} is not there");
        self.kernel.retain(|a| a.net.addr() != address);
        self.say(KeeperCommand::Reconcile);
    }

    fn held(&self) -> Vec<String> {
        let mut held: Vec<_> = self.kernel.iter().map(|a| a.net.to_string()).collect();
        held.sort();
        held
    }
}

fn seen(index: u32, net: IpNet, origin: Origin) -> ObservedAddress {
    ObservedAddress::ready(index, &net.to_string(), origin)
}

fn eth0() -> InterfaceName {
    "eth0".parse().unwrap()
}

fn eth1() -> InterfaceName {
    "eth1".parse().unwrap()
}

fn key(vrid: u8) -> InstanceKey {
    InstanceKey { interface: eth0(), family: Family::Ipv4, vrid: Vrid::new(vrid).unwrap() }
}

fn facts(index: u32, up: bool) -> LinkFacts {
    LinkFacts {
        index,
        mac: Some(crate::types::MacAddr([2, 0, 0, 0, 0, 1])),
        mtu: 1500,
        up,
        carrier: up,
        ipv4: Vec::new(),
        ipv6_link_local: Vec::new(),
        ..LinkFacts::default()
    }
}

fn hold_answer(epoch: u64, outcome: Result<(), String>) -> KeeperEvent {
    KeeperEvent::Held { key: key(51), epoch, outcome }
}

fn release_answer(epoch: u64) -> KeeperEvent {
    KeeperEvent::Released { key: key(51), epoch, outcome: Ok(()) }
}

fn drain_answer(epoch: u64, outcome: Result<(), String>) -> KeeperEvent {
    KeeperEvent::Draining { key: key(51), epoch, outcome }
}

fn on_eth0() -> (Vec<String>, bool) {
    (["192.0.2.50 eth0", "192.0.2.51 eth0"].map(str::to_owned).into(), false)
}

fn on_lo() -> (Vec<String>, bool) {
    (["192.0.2.50 lo", "192.0.2.51 lo"].map(str::to_owned).into(), true)
}

fn nowhere() -> (Vec<String>, bool) {
    (Vec::new(), false)
}

fn restored(count: usize) -> KeeperEvent {
    KeeperEvent::Restored { key: key(51), count }
}

#[test]
fn of_several_wishes_in_one_turn_the_newest_is_carried_out_and_answered() {
    let mut bench = Bench::new();
    for (epoch, wish) in
        [(1, Desired::Draining), (2, Desired::Released), (3, Desired::Held), (2, Desired::Draining)]
    {
        bench.say(match wish {
            Desired::Held => KeeperCommand::Hold { key: key(51), epoch },
            Desired::Draining => KeeperCommand::Drain { key: key(51), epoch, lifetime: LIFETIME },
            Desired::Released => KeeperCommand::Release { key: key(51), epoch },
        });
    }
    assert_eq!(bench.pass(), [hold_answer(3, Ok(()))]);
    assert_eq!(bench.held(), ["192.0.2.50/24", "192.0.2.51/24"]);
    bench.say(KeeperCommand::Release { key: key(51), epoch: 2 });
    assert_eq!(bench.pass(), []);
    bench.say(KeeperCommand::Release { key: key(51), epoch: 4 });
    assert_eq!(bench.pass(), [release_answer(4)]);
    assert_eq!(bench.held(), Vec::<String>::new());
}

#[test]
fn what_is_not_declared_is_answered_at_once() {
    let mut bench = Bench::new();
    let outcome = Err("eth0/52/ipv4 is not declared".to_owned());
    let answer = bench.ledger.accept(bench.now, KeeperCommand::Hold { key: key(52), epoch: 1 });
    assert_eq!(answer, Some(KeeperEvent::Held { key: key(52), epoch: 1, outcome }));
    let outcome = Err("eth0/52/ipv4 is not declared".to_owned());
    let answer =
        bench.ledger.accept(bench.now, KeeperCommand::Drain { key: key(52), epoch: 1, lifetime: LIFETIME });
    assert_eq!(answer, Some(KeeperEvent::Draining { key: key(52), epoch: 1, outcome }));
    let answer = bench.ledger.accept(bench.now, KeeperCommand::Release { key: key(52), epoch: 2 });
    assert_eq!(answer, Some(KeeperEvent::Released { key: key(52), epoch: 2, outcome: Ok(()) }));
}

#[test]
fn what_the_kernel_refuses_is_answered_and_tried_again_until_it_works() {
    let mut bench = Bench::new();
    bench.refuse = ["192.0.2.50", "192.0.2.51"].map(|a| a.parse().unwrap()).into();
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 1 });
    let why = "cannot add 192.0.2.50/24: no (and 1 more)".to_owned();
    assert_eq!(bench.pass(), [hold_answer(1, Err(why))]);
    assert_eq!(bench.ledger.retry_at(), Some(bench.now + RETRY));
    bench.wait(RETRY / 2);
    assert_eq!(bench.pass(), [], "not due");
    bench.wait(RETRY / 2);
    assert_eq!(bench.pass(), [], "the same problem is reported once");
    bench.refuse.clear();
    bench.wait(RETRY);
    assert_eq!(bench.pass(), [], "nobody removed them, nothing is restored");
    assert_eq!(bench.held(), ["192.0.2.50/24", "192.0.2.51/24"]);
    assert_eq!(bench.ledger.retry_at(), None);
}

#[test]
fn a_pass_that_fails_as_a_whole_is_answered_and_tried_again() {
    let mut bench = Bench::new();
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 1 });
    let mut events = Vec::new();
    let _ = bench.ledger.fail(bench.now, "the kernel did not answer a netlink request", &mut events);
    assert_eq!(events, [hold_answer(1, Err("the kernel did not answer a netlink request".to_owned()))]);
    assert!(!bench.ledger.wants_pass(bench.now));
    bench.wait(RETRY);
    assert_eq!(bench.pass(), []);
    assert_eq!(bench.held(), ["192.0.2.50/24", "192.0.2.51/24"]);
}

#[test]
fn addresses_that_another_program_removes_are_restored_and_counted() {
    let mut bench = Bench::holding();
    bench.strike("192.0.2.50");
    assert_eq!(bench.pass(), [restored(1)]);
    bench.strike("192.0.2.50");
    bench.strike("192.0.2.51");
    assert_eq!(bench.pass(), [restored(2)]);
    bench.say(KeeperCommand::Reconcile);
    assert_eq!(bench.pass(), []);
}

#[test]
fn what_cannot_be_restored_is_said_once_and_restored_later() {
    let mut bench = Bench::holding();
    bench.refuse.insert("192.0.2.50".parse().unwrap());
    bench.strike("192.0.2.50");
    let why = "cannot add 192.0.2.50/24: no".to_owned();
    assert_eq!(bench.pass(), [KeeperEvent::NotRestored { key: key(51), why }]);
    bench.wait(RETRY);
    assert_eq!(bench.pass(), []);
    bench.refuse.clear();
    bench.wait(RETRY);
    assert_eq!(bench.pass(), [restored(1)]);
}

#[test]
fn repairs_have_a_budget_and_the_wait_is_said_once() {
    let mut bench = Bench::holding();
    for _ in 0..10 {
        bench.strike("192.0.2.50");
        assert_eq!(bench.pass(), [restored(1)]);
    }
    bench.strike("192.0.2.50");
    assert_eq!(bench.pass(), [KeeperEvent::Contested { key: key(51), count: 1 }]);
    assert_eq!(bench.held(), ["192.0.2.51/24"]);
    bench.say(KeeperCommand::Reconcile);
    assert_eq!(bench.pass(), []);
    let due = bench.ledger.retry_at().expect("a retry");
    bench.wait(due.since(bench.now));
    assert_eq!(bench.pass(), [restored(1)]);
    assert_eq!(bench.ledger.retry_at(), None);
}

#[test]
fn an_answer_does_not_wait_for_the_budget() {
    let mut bench = Bench::holding();
    bench.declare(52, &["192.0.2.50/24"]);
    for _ in 0..10 {
        bench.strike("192.0.2.50");
        assert_eq!(bench.pass(), [restored(1)]);
    }
    bench.strike("192.0.2.50");
    bench.say(KeeperCommand::Hold { key: key(52), epoch: 1 });
    let told = bench.pass();
    assert!(told.contains(&KeeperEvent::Held { key: key(52), epoch: 1, outcome: Ok(()) }), "{told:?}");
    assert_eq!(bench.held(), ["192.0.2.50/24", "192.0.2.51/24"]);
}

#[test]
fn addresses_of_another_program_stay_whatever_is_wanted() {
    let mut bench = Bench::new();
    bench.kernel.push(seen(ETH0, "192.0.2.50/24".parse().unwrap(), Origin::Foreign));
    bench.say(KeeperCommand::Reconcile);
    assert_eq!(bench.pass(), []);
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 1 });
    assert_eq!(bench.pass(), [hold_answer(1, Ok(()))]);
    assert_eq!(bench.held(), ["192.0.2.50/24", "192.0.2.51/24"], "no second copy, and no mark of ours on it");
    bench.say(KeeperCommand::Release { key: key(51), epoch: 2 });
    assert_eq!(bench.pass(), [release_answer(2)]);
    bench.say(KeeperCommand::Forget { key: key(51) });
    bench.ledger.release_all(DrainsAtStop::Keep);
    assert_eq!(bench.pass(), []);
    assert_eq!(bench.held(), ["192.0.2.50/24"]);
}

#[test]
fn when_the_copy_of_another_program_is_removed_from_an_active_ours_replaces_it() {
    let mut bench = Bench::new();
    bench.kernel.push(seen(ETH0, "192.0.2.50/24".parse().unwrap(), Origin::Foreign));
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 1 });
    assert_eq!(bench.pass(), [hold_answer(1, Ok(()))]);
    bench.strike("192.0.2.50");
    assert_eq!(bench.pass(), [restored(1)]);
    assert!(bench.kernel.iter().all(|address| address.origin == Origin::Ours));
}

#[test]
fn addresses_that_disappeared_with_their_link_are_not_reported_as_removed() {
    let reinstalled = |count| [KeeperEvent::Reinstalled { key: key(51), count }];
    // The interface goes down and up again.
    let mut bench = Bench::holding();
    bench.say(KeeperCommand::Link(eth0(), Some(Box::new(facts(ETH0, false)))));
    bench.say(KeeperCommand::Link(eth0(), Some(Box::new(facts(ETH0, true)))));
    bench.strike("192.0.2.50");
    assert_eq!(bench.pass(), reinstalled(1));
    bench.strike("192.0.2.50");
    assert_eq!(bench.pass(), [restored(1)], "that was long ago");
    // Removed and created again.
    bench.say(KeeperCommand::Link(eth0(), None));
    bench.kernel.clear();
    assert_eq!(bench.pass(), []);
    bench.say(KeeperCommand::Link(eth0(), Some(Box::new(facts(7, true)))));
    assert_eq!(bench.pass(), reinstalled(2));
    assert!(bench.kernel.iter().all(|a| a.index == 7));
    // The interface is down, but only the kernel knows it yet.
    bench.kernel.clear();
    bench.say(KeeperCommand::Reconcile);
    assert_eq!(bench.ledger.interfaces_to_check(&bench.observed()), BTreeSet::from([7]));
    bench.ledger.on_state(7, AdminState::Down);
    assert_eq!(bench.pass(), reinstalled(2));
    // The interface is gone, but only the kernel knows it yet.
    bench.kernel.clear();
    bench.say(KeeperCommand::Link(eth0(), Some(Box::new(facts(7, true)))));
    bench.ledger.on_state(7, AdminState::Missing);
    assert_eq!(bench.pass(), []);
    assert_eq!(bench.held(), Vec::<String>::new());
}

#[test]
fn facts_that_do_not_matter_here_cause_no_pass() {
    let mut bench = Bench::holding();
    bench.say(KeeperCommand::Link(eth0(), Some(Box::new(LinkFacts { mtu: 1400, ..facts(ETH0, true) }))));
    assert!(!bench.ledger.wants_pass(bench.now));
}

#[test]
fn only_what_is_in_place_is_announced() {
    let mut bench = Bench::new();
    bench.refuse.insert("192.0.2.51".parse().unwrap());
    bench.say(KeeperCommand::Announce { key: key(51), rounds: 3 });
    assert_eq!(bench.ledger.announcements(), []);
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 1 });
    bench.say(KeeperCommand::Announce { key: key(51), rounds: 3 });
    bench.pass();
    let announced = bench.ledger.announcements();
    assert_eq!(announced.len(), 1);
    assert_eq!(announced[0].addresses, ["192.0.2.50".parse::<IpAddr>().unwrap()]);
    assert_eq!(bench.ledger.announcements(), [], "once");
}

#[test]
fn a_forgotten_instance_releases_answers_and_is_dropped() {
    let mut bench = Bench::holding();
    bench.say(KeeperCommand::Release { key: key(51), epoch: 2 });
    bench.say(KeeperCommand::Forget { key: key(51) });
    assert_eq!(bench.pass(), [release_answer(2)]);
    assert!(bench.kernel.is_empty() && bench.ledger.routers.is_empty());
    // A router that is configured again starts with nothing.
    bench.declare(51, &["192.0.2.50/24"]);
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 3 });
    assert_eq!(bench.pass(), [hold_answer(3, Ok(()))]);
}

#[test]
fn a_router_that_is_declared_again_before_it_is_gone_stays() {
    let mut bench = Bench::holding();
    bench.say(KeeperCommand::Release { key: key(51), epoch: 2 });
    bench.say(KeeperCommand::Forget { key: key(51) });
    bench.declare(51, &["192.0.2.50/24"]);
    assert_eq!(bench.pass(), [release_answer(2)]);
    assert_eq!(bench.ledger.routers.len(), 1);
}

#[test]
fn an_interface_promotes_secondaries_for_ipv4_addresses_of_any_router() {
    let mut bench = Bench::new();
    let ipv6 = InstanceKey { family: Family::Ipv6, ..key(51) };
    bench.say(KeeperCommand::Forget { key: key(51) });
    for (nets, promotes) in
        [(&["2001:db8::50/64", "192.0.2.50/24"][..], true), (&["2001:db8::50/64"], false), (&[], false)]
    {
        let addresses = nets.iter().map(|net| net.parse().unwrap()).collect();
        bench.say(KeeperCommand::Declare { key: ipv6, address_interface: eth0(), addresses });
        bench.pass();
        assert_eq!(bench.ledger.ipv4_links().contains_key(&eth0()), promotes, "{nets:?}");
    }
}

/// A ledger that keeps the addresses of a router of eth0 on eth1, where they are installed.
fn holding_elsewhere() -> Bench {
    let mut bench = Bench::new();
    bench.say(KeeperCommand::Link(eth1(), Some(Box::new(facts(ETH1, true)))));
    bench.declare_on(eth1(), 51, &["192.0.2.50/24"]);
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 1 });
    assert_eq!(bench.pass(), [hold_answer(1, Ok(()))]);
    bench
}

#[test]
fn addresses_are_installed_and_announced_on_their_own_interface() {
    let mut bench = holding_elsewhere();
    assert_eq!(bench.kernel, [seen(ETH1, "192.0.2.50/24".parse().unwrap(), Origin::Ours)]);
    bench.say(KeeperCommand::Announce { key: key(51), rounds: 1 });
    let announced = bench.ledger.announcements();
    assert_eq!(announced.len(), 1);
    assert_eq!((announced[0].interface, announced[0].index), (eth1(), ETH1));
    assert_eq!(bench.ledger.ipv4_links(), BTreeMap::from([(eth1(), ETH1)]));
}

#[test]
fn addresses_are_restored_on_their_own_interface_and_lost_with_it_only() {
    let mut bench = holding_elsewhere();
    bench.strike("192.0.2.50");
    assert_eq!(bench.pass(), [restored(1)]);
    assert!(bench.kernel.iter().all(|address| address.index == ETH1));
    // The interface of the router goes: the addresses stay where they are.
    bench.say(KeeperCommand::Link(eth0(), None));
    assert_eq!(bench.pass(), []);
    bench.strike("192.0.2.50");
    assert_eq!(bench.pass(), [restored(1)], "another program removed it, not the loss of a link");
    // Their own interface goes.
    bench.say(KeeperCommand::Link(eth1(), None));
    bench.kernel.clear();
    assert_eq!(bench.pass(), []);
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 2 });
    assert_eq!(bench.pass(), [hold_answer(2, Err("interface eth1 does not exist".to_owned()))]);
    bench.say(KeeperCommand::Link(eth1(), Some(Box::new(facts(7, true)))));
    assert_eq!(bench.pass(), [KeeperEvent::Reinstalled { key: key(51), count: 1 }]);
    assert!(bench.kernel.iter().all(|address| address.index == 7));
}

/// Whoever declares another interface has released the addresses first. Even if that was forgotten,
/// they are not on two interfaces afterwards, and their move is not taken for a removal by others.
#[test]
fn addresses_that_move_to_another_interface_leave_the_old_one() {
    for wanted in [Desired::Held, Desired::Released] {
        let mut bench = holding_elsewhere();
        let mut expected = vec![];
        if wanted == Desired::Released {
            bench.say(KeeperCommand::Release { key: key(51), epoch: 2 });
            expected.push(release_answer(2));
        }
        bench.declare(51, &["192.0.2.50/24"]);
        assert_eq!(bench.pass(), expected);
        let present: Vec<_> = bench.kernel.iter().map(|address| address.index).collect();
        assert_eq!(present, if wanted == Desired::Held { vec![ETH0] } else { vec![] });
        bench.say(KeeperCommand::Reconcile);
        assert_eq!(bench.pass(), []);
    }
}
