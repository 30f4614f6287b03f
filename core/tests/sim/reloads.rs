//! Reloads of everything that a configuration can change, including in the middle of a hand-over.

use crate::lab::{BOTH, Lab, V4, every, ms, node, secs};
use vrrpd_core::protocol::{CheckName, Fault, StateName, Track};
use vrrpd_core::sim::Port;
use vrrpd_core::sim::node::key;
use vrrpd_core::sim::script::{Act, SpecChange};
use vrrpd_core::types::{AdverInterval, Family, Preempt};

fn change(lab: &mut Lab, at: usize, change: SpecChange) {
    lab.act(Act::Reconfigure(Port(at), change));
}

fn holds(lab: &Lab, at: usize) -> [bool; 2] {
    [Family::Ipv4, Family::Ipv6].map(|family| lab.world.node(Port(at)).unwrap().holds(key(family)))
}

#[test]
fn another_interval_counts_at_once_and_the_backup_learns_it() {
    let mut lab = Lab::settled(V4, vec![node(200), node(100)]);
    let interval = AdverInterval::from_centiseconds(10).unwrap();
    change(&mut lab, 0, SpecChange::Interval(interval));
    let said = lab.instance(0).counters.advertisement_sent;
    lab.run(secs(1));
    assert!((9..=11).contains(&(lab.instance(0).counters.advertisement_sent - said)));
    assert_eq!(lab.instance(1).timers.active_adver_interval, interval);
    assert_eq!(lab.instance(0).counters.active_transitions, 1);
}

#[test]
fn a_router_of_one_family_becomes_one_of_both_and_then_of_the_other() {
    let mut lab = Lab::settled(BOTH, vec![every(10, node(200))]);
    assert_eq!(holds(&lab, 0), [true, true]);
    lab.act(Act::FaultsBegin);
    for (families, expected) in [
        (vec![Family::Ipv4], [true, false]),
        (vec![Family::Ipv4, Family::Ipv6], [true, true]),
        (vec![Family::Ipv6], [false, true]),
    ] {
        change(&mut lab, 0, SpecChange::Families(families));
        lab.run(secs(3));
        assert_eq!(holds(&lab, 0), expected);
    }
    change(&mut lab, 0, SpecChange::Back);
    lab.faults_end();
    lab.settle();
    assert_eq!(holds(&lab, 0), [true, true]);
}

#[test]
fn an_active_with_more_addresses_holds_them_without_a_transition() {
    let mut lab = Lab::settled(BOTH, vec![node(200), node(100)]);
    let before = lab.instance(0).counters;
    change(&mut lab, 0, SpecChange::MoreAddresses);
    lab.run(ms(2));
    let after = lab.instance(0).counters;
    assert_eq!((lab.state(0), after.active_transitions), (StateName::Active, before.active_transitions));
    assert!(after.announcements > before.announcements, "hosts are told of the new ones");
    lab.run(secs(3));
    assert_eq!(lab.actives(), [0]);
}

#[test]
fn a_router_of_another_name_is_another_router() {
    let mut lab = Lab::settled(V4, vec![every(10, node(200)), every(10, node(100))]);
    change(&mut lab, 0, SpecChange::Name("other".parse().unwrap()));
    // The router leaves as in any hand-over, and the router that replaces it returns.
    lab.run(ms(100));
    assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
    assert_eq!(lab.router(0).spec.name.as_str(), "other");
    lab.settle();
    assert_eq!(lab.actives(), [0]);
}

#[test]
fn a_check_that_a_reload_adds_is_waited_for_by_a_router_that_serves() {
    let mut lab = Lab::settled(V4, vec![node(200), node(100)]);
    let tracks = vec![Track::fault(CheckName("new".into()))];
    change(&mut lab, 0, SpecChange::Tracks(tracks));
    lab.run(secs(5));
    assert_eq!((lab.actives(), lab.router(0).faults), (vec![0], vec![]));
    change(&mut lab, 1, SpecChange::Tracks(vec![Track::fault(CheckName("new".into()))]));
    assert_eq!(lab.state(1), StateName::Backup, "so does who stands by");
    assert!(!lab.router(1).faults.iter().any(|fault| matches!(fault, Fault::CheckPending(_))));
}

#[test]
fn whether_it_preempts_is_what_was_configured_last() {
    let mut lab = Lab::settled(V4, vec![node(200), node(100)]);
    change(&mut lab, 0, SpecChange::Preempt(Preempt::Forbid));
    lab.demote(0);
    lab.run(ms(300));
    lab.act(Act::Promote(Port(0)));
    lab.run(secs(10));
    assert_eq!(lab.actives(), [1], "it waits");
    change(&mut lab, 0, SpecChange::Preempt(Preempt::Allow));
    lab.run(secs(10));
    assert_eq!(lab.actives(), [0]);
}

#[test]
fn a_running_preempt_delay_survives_a_reload() {
    let mut lab = Lab::settled(V4, vec![every(10, node(200)), every(10, node(100))]);
    change(&mut lab, 0, SpecChange::PreemptDelay(secs(5)));
    lab.demote(0);
    lab.run(ms(300));
    lab.act(Act::Promote(Port(0)));
    lab.run(secs(2));
    change(&mut lab, 0, SpecChange::Interval(AdverInterval::from_centiseconds(20).unwrap()));
    lab.run(ms(2900));
    assert_eq!(lab.actives(), [1]);
    lab.run(secs(2));
    assert_eq!(lab.actives(), [0]);
}

/// Whatever a reload changes while the router leaves, the addresses have a holder, and one router
/// serves in the end.
#[test]
fn a_reload_in_the_middle_of_a_hand_over_loses_nothing() {
    let changes = [
        SpecChange::Interval(AdverInterval::from_centiseconds(1).unwrap()),
        SpecChange::Preempt(Preempt::Forbid),
        SpecChange::PreemptDelay(secs(1)),
        SpecChange::MoreAddresses,
        SpecChange::Families(vec![Family::Ipv4]),
        SpecChange::Name("other".parse().unwrap()),
        SpecChange::Tracks(vec![Track::fault(CheckName("new".into()))]),
    ];
    for what in changes {
        for millis in [0, 1, 5, 7, 10, 15, 30] {
            let mut lab = Lab::settled(V4, vec![every(10, node(200)), every(10, node(100))]);
            lab.demote(0);
            lab.run(ms(millis));
            change(&mut lab, 0, what.clone());
            for _ in 0..500 {
                lab.run(ms(1));
                assert!(!lab.holders().is_empty(), "{what:?} after {millis} ms");
            }
            lab.act(Act::Promote(Port(0)));
            change(&mut lab, 0, SpecChange::Back);
            lab.settle();
            assert_eq!(lab.actives().len(), 1, "{what:?} after {millis} ms");
        }
    }
}
