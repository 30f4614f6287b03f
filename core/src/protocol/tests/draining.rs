//! Connections that outlive a planned move: when a router drains, and how that ends.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

const PEER: &str = "192.0.2.200";
const OTHER: &str = "192.0.2.201";
const TEN_MINUTES: Duration = Duration::from_secs(600);

fn key() -> InstanceKey {
    spec().key(Family::Ipv4)
}

fn draining_spec() -> RouterSpec {
    RouterSpec { drain: TEN_MINUTES, ..spec() }
}

fn partners(addresses: &[&str]) -> Input<'static> {
    let addresses: BTreeSet<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Input::DrainPartners(BTreeMap::from([(key(), addresses)]))
}

/// An Active to whose successor connections can be left.
fn active(spec: RouterSpec) -> Rig {
    let mut rig = Rig::active(spec);
    rig.feed(partners(&[PEER]));
    rig
}

impl Rig {
    /// The kernel's answer to the newest `DrainAddresses`.
    fn answer_drain(&mut self, outcome: Result<(), String>) {
        let asked = self.out.iter().rev().find_map(|effect| match effect {
            Effect::DrainAddresses { key, epoch, .. } => Some((*key, *epoch)),
            _ => None,
        });
        let (key, epoch) = asked.expect("the addresses are to drain");
        self.feed(Input::AddressesDraining(DrainResult { key, epoch, outcome }));
    }

    fn demote_draining(&mut self, drain: Option<Duration>) {
        let demotion = demotion(LastResort::No, None);
        let command = Command::Demote { router: "web".parse().unwrap(), demotion, force: Force::No, drain };
        self.feed(Input::Command(CommandId(7), command));
    }

    /// It is demoted, the successor takes over, and the kernel answers.
    fn drain_to_peer(&mut self, drain: Option<Duration>) {
        self.demote_draining(drain);
        self.hand_over_to(PEER);
        self.answer_drain(Ok(()));
    }

    /// Time passes, and the successor advertises.
    fn run_beside_peer(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.run(end.since(self.now).min(Duration::from_secs(1)));
            self.hear(advert(PEER, 50));
        }
    }

    /// The other router announces the addresses, and hosts obey.
    fn switch_hosts(&mut self) {
        self.hear_announced(Family::Ipv4);
        self.run(ms(20));
    }

    fn draining(&self) -> Option<DrainSnapshot> {
        self.instance(0).draining
    }

    /// The drain that is under way.
    fn drain_id(&self) -> DrainId {
        DrainId { key: key(), since: self.draining().expect("it drains").since }
    }

    /// No connection is left; so many were reset.
    fn end_connections(&mut self, reset: usize) {
        self.feed(Input::ConnectionsEnded { drain: self.drain_id(), reset });
    }

    fn asks_for_reset(&self) -> bool {
        self.out.iter().any(|effect| matches!(effect, Effect::ResetConnections(..)))
    }

    /// How the drain ended, and how many connections were reset.
    fn drain_end(&self) -> Option<(DrainEnd, Option<usize>)> {
        self.events().into_iter().find_map(|kind| match kind {
            EventKind::DrainEnded { why, reset, .. } => Some((why, reset)),
            _ => None,
        })
    }
}

#[test]
fn a_planned_hand_over_keeps_connections_until_the_last_has_ended() {
    let mut rig = active(draining_spec());
    rig.drain_to_peer(None);
    assert!(!rig.released(), "{:?}", rig.out);
    let drain = rig.draining().expect("it drains");
    assert_eq!((drain.to, drain.until.since(drain.since)), (Some(PEER.parse().unwrap()), TEN_MINUTES));
    let begun = rig.events().into_iter().any(|kind| matches!(kind, EventKind::DrainBegun { .. }));
    assert!(begun, "{:?}", rig.events());
    rig.out.clear();
    rig.run_beside_peer(Duration::from_secs(60));
    assert!(!rig.released());
    rig.end_connections(0);
    assert!(rig.released());
    assert!(!rig.asks_for_reset(), "nothing is left to reset");
    assert_eq!(rig.drain_end(), Some((DrainEnd::Free, Some(0))));
    assert_eq!(rig.draining(), None);
}

#[test]
fn what_is_left_at_the_deadline_is_reset_before_the_addresses_go() {
    let mut rig = active(draining_spec());
    rig.drain_to_peer(None);
    let until = rig.draining().unwrap().until;
    rig.out.clear();
    rig.run_beside_peer(until.since(rig.now) - ms(1));
    assert!(!rig.asks_for_reset());
    rig.run(ms(1));
    assert!(rig.asks_for_reset() && !rig.released(), "{:?}", rig.out);
    rig.end_connections(3);
    assert!(rig.released());
    assert_eq!(rig.drain_end(), Some((DrainEnd::Deadline, Some(3))));
}

#[test]
fn a_kernel_that_does_not_answer_cannot_keep_the_addresses() {
    let mut rig = active(draining_spec());
    rig.drain_to_peer(Some(Duration::from_secs(1)));
    rig.out.clear();
    let drain = rig.drain_id();
    rig.run_beside_peer(Duration::from_secs(14));
    assert!(rig.asks_for_reset() && rig.released());
    assert_eq!(rig.drain_end(), Some((DrainEnd::Deadline, None)), "the number is not known");
    rig.feed(Input::ConnectionsEnded { drain, reset: 3 });
    assert_eq!(rig.draining(), None, "an answer that is late means nothing");
}

#[test]
fn what_is_said_of_an_earlier_drain_does_not_end_the_next_one() {
    let mut rig = active(draining_spec());
    rig.drain_to_peer(None);
    let earlier = rig.drain_id();
    rig.promote();
    rig.feed(Input::ConnectionsEnded { drain: earlier, reset: 0 });
    rig.run_beside_peer(ms(1));
    rig.run(Duration::from_secs(5));
    assert_eq!(rig.state(), StateName::Active, "the other one is gone");
    rig.out.clear();
    rig.drain_to_peer(None);
    rig.out.clear();
    rig.feed(Input::ConnectionsEnded { drain: earlier, reset: 3 });
    rig.feed(Input::ForwardingLost(earlier));
    assert!(!rig.released() && !rig.asks_for_reset(), "{:?}", rig.out);
    assert!(rig.draining().is_some());
}

#[test]
fn nothing_drains_to_a_router_to_which_connections_cannot_be_left() {
    let mut rig = Rig::active(draining_spec());
    rig.feed(partners(&[OTHER]));
    rig.demote_draining(None);
    rig.hand_over_to(PEER);
    assert!(rig.released());
    assert_eq!(rig.draining(), None);
}

#[test]
fn nothing_drains_unless_it_is_asked_for() {
    let mut rig = active(spec());
    rig.demote_draining(None);
    rig.hand_over_to(PEER);
    assert!(rig.released());
    let mut rig = active(draining_spec());
    rig.demote_draining(Some(Duration::ZERO));
    rig.hand_over_to(PEER);
    assert!(rig.released(), "the command says so");
    let mut rig = active(spec());
    rig.drain_to_peer(Some(ms(5000)));
    let drain = rig.draining().unwrap();
    assert_eq!(drain.until.since(drain.since), ms(5000));
}

#[test]
fn a_fault_does_not_drain() {
    let check = CheckName("nginx".into());
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(check.clone())], ..draining_spec() });
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
    rig.run(Duration::from_secs(20));
    rig.feed(partners(&[PEER]));
    rig.out.clear();
    rig.feed(Input::CheckResult(check, CheckResult::Failing));
    rig.run(ms(12));
    rig.hear(advert(PEER, 50));
    rig.switch_hosts();
    assert!(rig.released(), "the service here is bad");
    assert_eq!(rig.draining(), None);
}

#[test]
fn a_router_that_is_demoted_and_has_a_fault_before_it_has_left_does_not_drain() {
    let check = CheckName("nginx".into());
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(check.clone())], ..draining_spec() });
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
    rig.run(Duration::from_secs(20));
    rig.feed(partners(&[PEER]));
    rig.out.clear();
    rig.demote_draining(Some(TEN_MINUTES));
    rig.feed(Input::CheckResult(check, CheckResult::Failing));
    rig.hand_over_to(PEER);
    assert!(rig.released(), "the service here is bad");
    assert_eq!(rig.draining(), None);
}

#[test]
fn a_router_that_yields_and_is_not_wanted_any_more_does_not_drain() {
    let mut rig = active(draining_spec());
    rig.hear(advert(PEER, 200));
    assert_eq!(rig.state(), StateName::Backup);
    rig.feed(Input::Configure(Vec::new()));
    rig.switch_hosts();
    assert!(rig.released(), "a router that replaces it would wait");
    assert!(rig.node.snapshot(rig.now).routers.is_empty());

    let mut rig = active(draining_spec());
    rig.hear(advert(PEER, 200));
    rig.feed(Input::Configure(Vec::new()));
    rig.feed(Input::Configure(vec![draining_spec()]));
    rig.switch_hosts();
    assert!(rig.draining().is_some() && !rig.released(), "it is wanted again");
}

#[test]
fn a_second_demotion_without_a_time_leaves_the_time_of_the_first() {
    let mut rig = active(draining_spec());
    rig.demote_draining(Some(ms(5000)));
    rig.demote_draining(None);
    rig.run(ms(12));
    rig.hear(advert(PEER, 50));
    rig.switch_hosts();
    assert_eq!(rig.outcomes().len(), 2, "both are answered");
    let drain = rig.draining().unwrap();
    assert_eq!(drain.until.since(drain.since), ms(5000));
}

#[test]
fn a_router_that_yields_drains_when_hosts_have_switched() {
    let mut rig = active(draining_spec());
    rig.hear(advert(PEER, 200));
    assert_eq!(rig.state(), StateName::Backup);
    assert_eq!(rig.draining(), None, "hosts still send to us");
    rig.switch_hosts();
    rig.answer_drain(Ok(()));
    assert!(rig.draining().is_some() && !rig.released());
    rig.out.clear();
    // The Active dies, and we serve again, with the connections that we still have.
    rig.run(Duration::from_secs(5));
    assert_eq!(rig.state(), StateName::Active);
    assert_eq!(rig.draining(), None);
    assert_eq!(rig.drain_end(), Some((DrainEnd::ActiveAgain, Some(0))));
    assert!(!rig.released() && !rig.asks_for_reset());
}

#[test]
fn another_demotion_changes_the_deadline_and_a_promotion_leaves_it() {
    let mut rig = active(draining_spec());
    rig.drain_to_peer(None);
    rig.out.clear();
    rig.demote_draining(Some(ms(3000)));
    let drain = rig.draining().unwrap();
    assert_eq!(drain.until.since(rig.now), ms(3000));
    assert!(rig.said().contains(&"drain".to_owned()), "the kernel must know the new end");
    rig.promote();
    assert!(rig.draining().is_some());
    rig.demote_draining(None);
    assert_eq!(rig.draining(), Some(drain), "without a time it is as before");
    rig.out.clear();
    rig.demote_draining(Some(Duration::ZERO));
    assert!(rig.asks_for_reset());
    rig.end_connections(2);
    assert!(rig.released());
}

#[test]
fn connections_are_reset_if_nobody_forwards() {
    let mut rig = active(draining_spec());
    rig.drain_to_peer(None);
    rig.out.clear();
    rig.feed(Input::ForwardingLost(rig.drain_id()));
    assert!(rig.asks_for_reset() && !rig.released());
    rig.end_connections(1);
    assert_eq!(rig.drain_end(), Some((DrainEnd::ForwardingLost, Some(1))));
}

#[test]
fn a_drain_that_the_kernel_refuses_ends_at_once() {
    let mut rig = active(draining_spec());
    rig.demote_draining(None);
    rig.hand_over_to(PEER);
    rig.answer_drain(Err("ARP cannot be guarded".to_owned()));
    assert!(rig.released(), "whatever the kernel has done with them");
    assert_eq!(rig.draining(), None);
    let refused = EventKind::DrainRefused { why: "ARP cannot be guarded".to_owned() };
    assert!(rig.events().contains(&refused));
}

#[test]
fn a_drain_goes_on_although_the_kernel_refuses_another_end() {
    let mut rig = active(draining_spec());
    rig.drain_to_peer(None);
    rig.out.clear();
    rig.demote_draining(Some(ms(300_000)));
    rig.answer_drain(Err("no memory".to_owned()));
    assert!(!rig.released() && !rig.asks_for_reset(), "the address thread tries again: {:?}", rig.out);
    assert!(rig.draining().is_some());
    let refused = EventKind::DrainNotRenewed { why: "no memory".to_owned() };
    assert_eq!(rig.events().last(), Some(&refused));
    rig.out.clear();
    rig.run_beside_peer(Duration::from_secs(300));
    assert!(rig.asks_for_reset() && !rig.released());
}

#[test]
fn an_answer_to_an_older_decision_means_nothing() {
    let mut rig = active(draining_spec());
    rig.demote_draining(None);
    rig.hand_over_to(PEER);
    let old = rig.instance(0);
    rig.feed(Input::AddressesDraining(DrainResult { key: key(), epoch: 1, outcome: Err("busy".to_owned()) }));
    assert_eq!(rig.instance(0), old);
}

#[test]
fn a_stop_leaves_a_drain_to_the_next_run_which_goes_on_with_it() {
    let mut rig = active(draining_spec());
    rig.drain_to_peer(None);
    let until = rig.draining().unwrap().until;
    rig.out.clear();
    rig.feed(Input::Shutdown);
    assert_eq!(rig.said(), ["stopped"], "the addresses go on to drain");

    let mut next = Rig { node: Node::new(), now: rig.now, out: Effects::new(), kernel: Kernel::Prompt };
    next.feed(Input::Link(interface(), Some(link())));
    next.feed(Input::SavedDemotion("web".parse().unwrap(), demotion(LastResort::No, None)));
    next.feed(Input::DrainOfEarlierRun { key: key(), until });
    next.feed(Input::Configure(vec![draining_spec()]));
    next.answer_drain(Ok(()));
    let told = next.events().into_iter().any(|kind| matches!(kind, EventKind::DrainBegun { .. }));
    assert!(!told, "the beginning was told by the earlier run");
    let lasts = until.since(next.now);
    assert!(next.events().contains(&EventKind::DrainResumed { lasts }), "{:?}", next.events());
    assert_eq!(next.state(), StateName::Initialize, "it is demoted");
    assert_eq!(next.draining().unwrap().until, until);
    next.end_connections(0);
    assert!(next.released());
}

#[test]
fn a_router_that_leaves_the_configuration_resets_and_is_gone() {
    let mut rig = active(draining_spec());
    rig.drain_to_peer(None);
    rig.out.clear();
    rig.feed(Input::Configure(Vec::new()));
    assert!(rig.asks_for_reset() && !rig.released());
    rig.end_connections(4);
    assert!(rig.released());
    assert!(rig.node.snapshot(rig.now).routers.is_empty());
}

#[test]
fn other_addresses_end_a_drain() {
    let mut rig = active(draining_spec());
    rig.drain_to_peer(None);
    rig.out.clear();
    let mut changed = draining_spec();
    changed.instances[0].addresses.push("192.0.2.253/24".parse().unwrap());
    rig.feed(Input::Configure(vec![changed]));
    assert!(rig.asks_for_reset());
}

#[test]
fn a_takeover_names_the_living_router_that_it_relieves() {
    let relieved = |rig: &Rig| {
        rig.out.iter().rev().find_map(|effect| match effect {
            Effect::HoldAddresses { relieved, .. } => Some(*relieved),
            _ => None,
        })
    };
    let peer: IpAddr = PEER.parse().unwrap();
    let backup = |priority| {
        let mut rig = Rig::new(draining_spec());
        rig.run(ms(100));
        rig.hear(advert(PEER, priority));
        assert_eq!(rig.state(), StateName::Backup);
        rig
    };
    let mut resigned = backup(150);
    resigned.hear(advert(PEER, 0));
    resigned.until_state(StateName::Active);
    assert_eq!(relieved(&resigned), Some(Some(peer)), "it resigned");

    // One that begins to listen when the other is leaving has obeyed nobody.
    let mut late = Rig::new(draining_spec());
    late.run(ms(100));
    late.hear(advert(PEER, 0));
    late.until_state(StateName::Active);
    assert_eq!(relieved(&late), Some(Some(peer)), "all that was heard of it is that it resigned");

    // Its resignation is lost, or late.
    let mut shortened = backup(150);
    shortened.hear(Advert { from: PEER, priority: 150, centiseconds: 1 });
    shortened.until_state(StateName::Active);
    assert_eq!(relieved(&shortened), Some(Some(peer)), "it has said that it leaves");

    let mut preempted = backup(50);
    for _ in 0..6 {
        preempted.run(ms(900));
        preempted.hear(advert(PEER, 50));
    }
    assert_eq!(preempted.state(), StateName::Active);
    assert_eq!(relieved(&preempted), Some(Some(peer)), "it has the lower priority");

    let mut dead = backup(150);
    dead.until_state(StateName::Active);
    assert_eq!(relieved(&dead), Some(None), "it is silent");

    let mut keeps_none = Rig::new(spec());
    keeps_none.run(ms(100));
    keeps_none.hear(advert(PEER, 0));
    keeps_none.until_state(StateName::Active);
    assert_eq!(relieved(&keeps_none), Some(None), "no rules are to be waited for");
}

/// Skew_Times of 10 ms differ by less than a machine may be late.
#[test]
fn in_a_hand_over_a_backup_lets_better_ones_go_first() {
    let waits = |ahead: u8, said: &[Advert]| {
        let mut rig = Rig::new(draining_spec());
        rig.feed(Input::BetterBackups(BTreeMap::from([(key(), ahead)])));
        rig.run(ms(100));
        rig.hear(advert(PEER, 150));
        for advert in said {
            rig.hear(*advert);
        }
        let before = rig.now;
        rig.until_state(StateName::Active);
        rig.now.since(before)
    };
    let shortened = Advert { from: PEER, priority: 150, centiseconds: 1 };
    let leaves = [shortened, advert(PEER, 0)];
    for said in [&leaves[..], &leaves[..1]] {
        let alone = waits(0, said);
        assert_eq!(waits(1, said), alone + ms(80));
        assert_eq!(waits(2, said), alone + ms(160));
        assert_eq!(waits(9, said), alone + ms(240), "the Active serves for 356 ms");
    }
    // When the Active dies, or leaves at its usual pace, the times are those of the RFC.
    for said in [&[][..], &[advert(PEER, 0)]] {
        assert_eq!(waits(3, said), waits(0, said));
    }
}
