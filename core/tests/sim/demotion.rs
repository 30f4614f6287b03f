//! Planned work: the addresses are never without a holder (docs/adr/0009). The checker watches what
//! is really held, at every step; these tests check what else must be true.

use crate::lab::{BOTH, Lab, SLOW_KERNEL, V4, every, ms, node, owner, patient, secs};
use std::time::Duration;
use vrrpd_core::protocol::{DemoteOutcome, Force, StateName};
use vrrpd_core::sim::Port;
use vrrpd_core::sim::audience::Audience;
use vrrpd_core::sim::lan::Conditions;
use vrrpd_core::sim::node::{Host, NodeSetup};
use vrrpd_core::sim::peer::{PeerSetup, PeerVariant};
use vrrpd_core::sim::rng::PerMille;
use vrrpd_core::sim::script::{Act, Leftovers};
use vrrpd_core::sim::world::StationSetup;
use vrrpd_core::types::{AdverInterval, AdvertPriority, Family, Preempt};
use vrrpd_core::wire::ChecksumFlavour;

#[track_caller]
fn handed_over(lab: &Lab, at: usize) -> Duration {
    match lab.outcome(at) {
        Some(DemoteOutcome::HandedOver { after, .. }) => after,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_demotion_is_handed_over_in_milliseconds_whatever_the_interval() {
    for centiseconds in [1, 10, 100, 4095] {
        let nodes = vec![every(centiseconds, node(200)), every(centiseconds, node(100))];
        let mut lab = Lab::settled(V4, nodes);
        lab.demote(0);
        lab.run(ms(100));
        let after = handed_over(&lab, 0);
        // The router resigned after 6 ms; Skew_Time is 6.1 ms, the kernel takes 0.6 ms, and the LAN
        // 0.1 ms each way. At 10 ms intervals an advertisement of the successor is doubted once,
        // and confirmed 12 ms later.
        assert!(after < ms(if centiseconds == 1 { 30 } else { 14 }), "{centiseconds} cs: {after:?}");
        assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
        assert_eq!(lab.state(0), StateName::Initialize);
        lab.settle();
    }
}

#[test]
fn both_families_are_handed_over_together() {
    let mut lab = Lab::settled(BOTH, vec![node(200), node(100)]);
    lab.demote(0);
    lab.run(ms(100));
    assert!(handed_over(&lab, 0) < ms(20));
    assert_eq!(lab.actives(), [1]);
    lab.settle();
}

#[test]
fn a_backup_that_does_not_preempt_takes_over_as_well() {
    let mut lab = Lab::settled(V4, vec![node(100), patient(200)]);
    lab.act(Act::FaultsBegin);
    lab.faults_end();
    if lab.actives() == [1] {
        lab.demote(1);
        lab.run(ms(100));
        lab.act(Act::Promote(Port(1)));
        lab.settle();
    }
    assert_eq!(lab.actives(), [0]);
    lab.demote(0);
    lab.run(ms(100));
    assert!(handed_over(&lab, 0) < ms(14));
    assert_eq!(lab.actives(), [1]);
}

#[test]
fn a_demotion_without_a_successor_is_refused_and_nothing_is_let_go() {
    let mut lab = Lab::settled(V4, vec![node(200)]);
    lab.demote(0);
    lab.run(secs(3));
    assert!(matches!(lab.outcome(0), Some(DemoteOutcome::Refused { .. })), "{:?}", lab.outcome(0));
    assert_eq!((lab.state(0), lab.holds(0)), (StateName::Active, true));
    assert!(lab.router(0).demoted.is_none());
}

#[test]
fn a_forced_demotion_without_a_successor_lets_go() {
    let mut lab = Lab::settled(V4, vec![node(200)]);
    lab.act(Act::Demote(Port(0), Force::Yes));
    lab.run(secs(3));
    assert!(matches!(lab.outcome(0), Some(DemoteOutcome::Forced { .. })));
    assert_eq!((lab.state(0), lab.holds(0)), (StateName::Initialize, false));
}

#[test]
fn a_refused_demotion_leaves_no_short_interval_behind() {
    let mut lab = Lab::settled(V4, vec![node(200), node(100)]);
    lab.demote(1);
    lab.run(ms(10));
    lab.demote(0);
    lab.run(secs(3));
    assert!(matches!(lab.outcome(0), Some(DemoteOutcome::Refused { .. })));
    lab.act(Act::Promote(Port(1)));
    lab.run(secs(60));
    assert_eq!(lab.actives(), [0]);
    assert_eq!(lab.instance(1).timers.active_adver_interval, AdverInterval::default());
    assert_eq!(lab.instance(1).counters.active_transitions, 0);
}

#[test]
fn a_demotion_succeeds_though_a_third_of_all_packets_is_lost() {
    let mut handed = 0;
    for at in 0..20 {
        let mut lab = Lab::settled(V4, vec![every(10, node(200)), every(10, node(100))]);
        lab.run(ms(at * 7));
        lab.act(Act::Conditions(Conditions { loss: PerMille::new(330), ..Conditions::HEALTHY }));
        lab.demote(0);
        lab.run(secs(1));
        // Whatever was lost, the addresses have a holder, whichever router it must be.
        assert!(!lab.holders().is_empty());
        handed += usize::from(matches!(lab.outcome(0), Some(DemoteOutcome::HandedOver { .. })));
    }
    assert!(handed >= 18, "{handed} of 20");
}

#[test]
fn of_two_demoted_at_the_same_moment_one_serves() {
    for apart in [0, 1, 3, 6, 8, 12, 13, 20, 50] {
        let mut lab = Lab::settled(V4, vec![every(10, node(200)), every(10, node(100))]);
        lab.demote(0);
        lab.run(ms(apart));
        lab.demote(1);
        lab.run(secs(2));
        assert_eq!(lab.holders().len(), 1, "{apart} ms apart");
        assert!(lab.outcome(0).is_some() && lab.outcome(1).is_some(), "both are answered");
    }
}

#[test]
fn the_successor_dies_right_after_and_the_third_serves() {
    let mut lab = Lab::settled(V4, vec![every(10, node(200)), every(10, node(150)), every(10, node(100))]);
    lab.demote(0);
    while lab.outcome(0).is_none() {
        lab.run(ms(1));
    }
    lab.act(Act::Crash(Port(1), Leftovers::Nothing));
    lab.settle();
    assert_eq!(lab.actives(), [2]);
}

#[test]
fn the_successor_dies_before_its_first_advertisement_and_another_is_found() {
    let mut lab = Lab::settled(V4, vec![node(200), node(150), node(100)]);
    lab.demote(0);
    lab.run(ms(5));
    lab.act(Act::Crash(Port(1), Leftovers::Nothing));
    lab.run(ms(300));
    assert!(handed_over(&lab, 0) < ms(100));
    assert_eq!(lab.actives(), [2]);
}

#[test]
fn a_promotion_takes_the_addresses_back_without_a_gap() {
    let mut lab = Lab::settled(BOTH, vec![node(200), node(100)]);
    lab.demote(0);
    lab.settle();
    assert_eq!(lab.actives(), [1]);
    lab.act(Act::Promote(Port(0)));
    lab.settle();
    assert_eq!(lab.actives(), [0]);
}

#[test]
fn a_demotion_survives_a_restart() {
    let mut lab = Lab::settled(V4, vec![node(200), node(100)]);
    lab.demote(0);
    lab.settle();
    lab.act(Act::Stop(Port(0)));
    lab.run(secs(1));
    lab.act(Act::Start(Port(0)));
    lab.settle();
    assert_eq!((lab.actives(), lab.state(0)), (vec![1], StateName::Initialize));
}

#[test]
fn a_stop_is_handed_over_and_a_restart_comes_back_without_a_gap() {
    let mut lab = Lab::settled(BOTH, vec![node(200), node(100)]);
    lab.act(Act::Stop(Port(0)));
    lab.run(ms(100));
    assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
    lab.act(Act::Start(Port(0)));
    lab.settle();
    assert_eq!(lab.actives(), [0]);
}

#[test]
fn an_owner_can_be_demoted_too() {
    let mut lab = Lab::settled(V4, vec![owner(), node(100)]);
    lab.demote(0);
    lab.run(ms(100));
    assert!(handed_over(&lab, 0) < ms(14));
    lab.act(Act::Promote(Port(0)));
    lab.run(ms(100));
    assert_eq!((lab.actives(), lab.holders()), (vec![0], vec![0]));
}

#[test]
fn a_successor_with_a_slow_kernel_advertises_before_it_holds_but_serves_in_the_end() {
    let mut lab = Lab::settled(V4, vec![node(200), node(100)]);
    // The kernel takes 5 to 50 ms for an address, which is more than the grace. The gap is not
    // longer than that.
    lab.act(Act::FaultsBegin);
    lab.act(Act::Kernel(Port(1), SLOW_KERNEL));
    lab.demote(0);
    let mut gap = Duration::ZERO;
    while lab.holders() != [1] {
        lab.run(ms(1));
        gap += if lab.holders().is_empty() { ms(1) } else { Duration::ZERO };
        assert!(gap <= ms(50));
    }
}

/// Successors of other implementations, with an interval of one second. What they need differs; the
/// addresses are held all the time.
#[test]
fn every_kind_of_foreign_router_takes_over_from_a_demoted_one() {
    for (variant, preempt, most) in [
        (PeerVariant::Rfc9568, Preempt::Allow, ms(14)),
        (PeerVariant::Rfc9568, Preempt::Forbid, ms(14)),
        // The Skew_Time of this successor comes from its own interval: 609 ms after a resignation,
        // and a repeated resignation does not restart it.
        (PeerVariant::OwnInterval, Preempt::Allow, ms(256 + 610 + 14)),
        (PeerVariant::WholeCentiseconds, Preempt::Allow, ms(8)),
    ] {
        let host = Host { v4: 2, v6: 2 };
        let peer = PeerSetup {
            source: host.address(Family::Ipv4),
            priority: AdvertPriority::from_wire(100),
            preempt,
            interval: AdverInterval::default(),
            variant,
            audience: Audience::Group,
            checksum: ChecksumFlavour::Rfc5798,
        };
        let ours = NodeSetup { host: Host { v4: 1, v6: 1 }, ..node(200) };
        let mut lab = Lab::of(V4, vec![StationSetup::Ours(ours), StationSetup::Foreign(host, peer)]);
        lab.act(Act::Start(Port(0)));
        lab.act(Act::Start(Port(1)));
        lab.run(secs(10));
        assert_eq!(lab.actives(), [0]);
        lab.faults_end();
        lab.settle();
        lab.demote(0);
        lab.run(secs(2));
        let after = handed_over(&lab, 0);
        assert!(after < most, "{variant:?} {preempt:?}: {after:?}");
        assert_eq!(lab.actives(), [1]);
    }
}
