//! Which router becomes Active, when it does, and which router yields (RFC 9568 §6.4).

use crate::lab::{BOTH, DELAY, Lab, V4, every, ms, node, owner, patient, secs};
use std::time::Duration;
use vrrpd_core::protocol::{Cause, StateName};
use vrrpd_core::sim::Port;
use vrrpd_core::sim::lan::{Conditions, Echo, Path};
use vrrpd_core::sim::script::{Act, Leftovers};
use vrrpd_core::types::{Preempt, Priority, Role};

#[test]
fn a_lone_router_waits_one_active_down_interval() {
    let mut lab = Lab::new(V4, vec![node(100)]);
    lab.act(Act::Start(Port(0)));
    lab.faults_end();
    lab.run(Duration::from_nanos(3_609_374_999));
    assert_eq!((lab.state(0), lab.holders()), (StateName::Backup, vec![]));
    lab.run(Duration::from_nanos(1));
    assert_eq!(lab.state(0), StateName::Active);
    lab.run(ms(2));
    assert_eq!(lab.holders(), [0]);
}

#[test]
fn of_three_routers_the_highest_priority_serves() {
    let lab = Lab::settled(V4, vec![node(100), node(200), node(150)]);
    assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
}

#[test]
fn a_backup_takes_over_exactly_one_active_down_interval_after_the_last_advertisement() {
    for (centiseconds, micros) in [(100, 3_609_375), (10, 360_937), (1, 36_093)] {
        let mut lab = Lab::settled(V4, vec![every(centiseconds, node(200)), every(centiseconds, node(100))]);
        lab.act(Act::Crash(Port(0), Leftovers::Nothing));
        lab.settle();
        let successor = lab.instance(1);
        assert_eq!(successor.state, StateName::Active);
        assert_eq!(successor.since.since(successor.peers[0].heard).as_micros(), micros);
    }
}

#[test]
fn when_the_active_dies_the_second_takes_over_and_the_third_stays() {
    let mut lab = Lab::settled(V4, vec![every(10, node(200)), every(10, node(150)), every(10, node(100))]);
    lab.act(Act::Crash(Port(0), Leftovers::Nothing));
    lab.settle();
    assert_eq!(lab.actives(), [1]);
    assert_eq!(lab.instance(2).counters.active_transitions, 0);
}

#[test]
fn a_higher_priority_preempts_without_a_gap() {
    let mut lab = Lab::new(V4, vec![node(100), node(200)]);
    lab.act(Act::Start(Port(0)));
    lab.run(secs(10));
    assert_eq!(lab.actives(), [0]);
    lab.faults_end();
    lab.act(Act::Start(Port(1)));
    // The checker watches the addresses at every step.
    lab.settle();
    lab.settle();
    assert_eq!((lab.actives(), lab.instance(1).cause), (vec![1], Cause::Preempted));
    assert_eq!(lab.instance(0).cause, Cause::HigherPriority);
}

#[test]
fn with_preempt_false_a_higher_priority_waits_for_the_active_to_die() {
    let mut lab = Lab::new(V4, vec![node(100), patient(200)]);
    lab.act(Act::Start(Port(0)));
    lab.run(secs(10));
    lab.faults_end();
    lab.act(Act::Start(Port(1)));
    lab.run(secs(60));
    assert_eq!(lab.actives(), [0]);
    lab.act(Act::Crash(Port(0), Leftovers::Nothing));
    lab.settle();
    assert_eq!(lab.actives(), [1]);
}

#[test]
fn the_owner_serves_at_once_and_displaces_anybody() {
    let mut lab = Lab::new(V4, vec![patient(254), owner()]);
    lab.act(Act::Start(Port(0)));
    lab.run(secs(10));
    assert_eq!(lab.actives(), [0]);
    lab.faults_end();
    lab.act(Act::Start(Port(1)));
    lab.run(ms(20));
    assert_eq!(lab.actives(), [1]);
    // The hosts switch first.
    lab.run(ms(50));
    assert_eq!(lab.holders(), [1]);
}

#[test]
fn on_a_tie_the_greater_address_serves_in_the_end() {
    let lab = Lab::settled(V4, vec![node(100), node(100), node(100)]);
    assert_eq!(lab.actives(), [2]);
}

#[test]
fn an_equal_priority_never_displaces_a_serving_router() {
    let mut lab = Lab::new(V4, vec![node(100), node(100)]);
    lab.act(Act::Start(Port(0)));
    lab.run(secs(10));
    lab.faults_end();
    lab.act(Act::Start(Port(1)));
    lab.run(secs(60));
    assert_eq!(lab.actives(), [0]);
}

#[test]
fn both_families_of_a_router_fail_over_together() {
    let mut lab = Lab::settled(BOTH, vec![node(200), node(100)]);
    assert_eq!(lab.actives(), [0]);
    lab.act(Act::Crash(Port(0), Leftovers::Nothing));
    lab.settle();
    assert_eq!(lab.actives(), [1]);
    assert!(lab.router(1).instances.iter().all(|instance| instance.state == StateName::Active));
}

#[test]
fn both_sides_of_a_partition_serve_and_one_yields_when_it_heals() {
    let mut lab = Lab::settled(V4, vec![node(200), node(100), node(50)]);
    lab.act(Act::FaultsBegin);
    for (a, b) in [(0, 1), (0, 2)] {
        lab.act(Act::Path(Port(a), Port(b), Path::Blocked));
        lab.act(Act::Path(Port(b), Port(a), Path::Blocked));
    }
    lab.faults_end();
    lab.settle();
    assert_eq!(lab.actives(), [0, 1]);
    for (a, b) in [(0, 1), (0, 2)] {
        lab.act(Act::Path(Port(a), Port(b), Path::Open));
        lab.act(Act::Path(Port(b), Port(a), Path::Open));
    }
    lab.run(secs(1) + DELAY * 2 + ms(1));
    assert_eq!((lab.actives(), lab.holders()), (vec![0], vec![0]));
}

#[test]
fn an_active_that_nobody_hears_is_replaced_and_yields_to_nobody_lower() {
    let mut lab = Lab::settled(V4, vec![node(200), node(100)]);
    lab.act(Act::FaultsBegin);
    lab.act(Act::Path(Port(0), Port(1), Path::Blocked));
    lab.run(secs(10));
    assert_eq!(lab.actives(), [0, 1], "one way only: neither can be sure of the other");
    let answers = lab.instance(0).counters.immediate_adverts_sent;
    assert!((1..=40).contains(&answers), "the losing advertisements are answered: {answers}");
    lab.act(Act::Path(Port(0), Port(1), Path::Open));
    lab.faults_end();
    lab.settle();
    assert_eq!(lab.actives(), [0]);
}

#[test]
fn reflected_copies_change_nothing() {
    let mut lab = Lab::settled(BOTH, vec![every(10, node(200)), every(10, node(100))]);
    lab.act(Act::Echo(Port(0), Echo::Reflects));
    let before = lab.instance(0).counters;
    lab.run(secs(10));
    let after = lab.instance(0).counters;
    assert_eq!(lab.actives(), [0]);
    assert_eq!(after.immediate_adverts_sent, before.immediate_adverts_sent);
    assert_eq!(after.advertisement_rcvd, before.advertisement_rcvd);
    let sent = after.advertisement_sent - before.advertisement_sent;
    assert!((98..=101).contains(&sent), "{sent} advertisements in 10 s");
    assert_eq!(after.rejected.values().sum::<u64>(), sent, "each echo is counted");
}

/// Two advertisements are lost between heard ones that are three intervals apart, and the third
/// would be too late: the Active_Down_Interval of priority 100 is 3.609 s.
#[test]
fn two_lost_advertisements_are_survived_and_four_are_not() {
    for (lost, takeovers) in [(2, 0), (4, 1)] {
        let mut lab = Lab::settled(V4, vec![node(200), node(100)]);
        lab.act(Act::FaultsBegin);
        let heard = lab.instance(1).peers[0].heard;
        while lab.instance(1).peers[0].heard == heard {
            lab.run(ms(1));
        }
        lab.act(Act::Path(Port(0), Port(1), Path::Blocked));
        lab.run(secs(lost) + ms(500));
        lab.act(Act::Path(Port(0), Port(1), Path::Open));
        lab.run(secs(2));
        assert_eq!(lab.instance(1).counters.active_transitions, takeovers, "{lost} lost");
        assert_eq!(lab.actives(), [0]);
    }
}

#[test]
fn a_backup_learns_the_interval_of_a_slower_active() {
    let mut lab = Lab::settled(V4, vec![every(300, node(200)), every(10, node(100))]);
    assert_eq!(lab.actives(), [0]);
    assert_eq!(lab.instance(1).timers.active_down_interval.as_millis(), 10_828);
    lab.run(secs(60));
    assert_eq!(lab.actives(), [0]);
}

#[test]
fn a_reload_below_the_peer_lets_it_preempt_and_nobody_restarts() {
    let mut lab = Lab::settled(V4, vec![node(200), node(100)]);
    let lower = Role::Contender { priority: Priority::new(50).unwrap(), preempt: Preempt::Allow };
    lab.act(Act::ChangeRole(Port(0), lower));
    assert_eq!(lab.state(0), StateName::Active);
    lab.settle();
    assert_eq!(lab.actives(), [1]);
    assert_eq!(lab.instance(0).counters.active_transitions, 1);
}

#[test]
fn duplicated_and_reordered_packets_change_nothing() {
    let mut lab = Lab::settled(V4, vec![every(10, node(200)), every(10, node(100))]);
    lab.act(Act::Conditions(Conditions {
        duplication: vrrpd_core::sim::rng::PerMille::ALWAYS,
        most_delay: ms(40),
        ..Conditions::HEALTHY
    }));
    lab.run(secs(30));
    assert_eq!(lab.actives(), [0]);
    assert_eq!(lab.instance(1).counters.active_transitions, 0);
}
