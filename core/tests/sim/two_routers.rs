//! Nodes with two routers: what happens to a node meets both at once, and each obeys its own rules.

use crate::lab::{BOTH, Lab, ms, node, secs};
use vrrpd_core::protocol::{CheckName, CheckResult, Force, Track};
use vrrpd_core::sim::Port;
use vrrpd_core::sim::node::{NodeSetup, Packets};
use vrrpd_core::sim::router::{RouterNumber, SecondRouter};
use vrrpd_core::sim::script::{Act, Leftovers, SpecChange};
use vrrpd_core::types::{AdverInterval, MonoTime, Preempt, Priority, Role};

/// A node with these priorities in its first and in its second router.
fn pair(first: u8, second: u8) -> NodeSetup {
    let role = Role::Contender { priority: Priority::new(second).unwrap(), preempt: Preempt::Allow };
    let second = SecondRouter { role, interval: AdverInterval::default(), tracks: Vec::new() };
    NodeSetup { second: Some(second), ..node(first) }
}

/// Two nodes that share the load: the first is preferred for the first router, the second for the
/// second one.
fn sharing() -> Lab {
    let lab = Lab::settled(BOTH, vec![pair(200, 100), pair(100, 200)]);
    assert_eq!(actives(&lab), [vec![0], vec![1]]);
    lab
}

fn actives(lab: &Lab) -> [Vec<usize>; 2] {
    [RouterNumber::First, RouterNumber::Second].map(|number| lab.actives_of(number))
}

/// Since when the second router of a node is in its state, in each family.
fn second_since(lab: &Lab, at: usize) -> Vec<MonoTime> {
    let second = lab.router_of(at, RouterNumber::Second);
    second.instances.iter().map(|instance| instance.since).collect()
}

#[test]
fn a_demotion_of_both_routers_hands_over_the_one_that_is_active() {
    let mut lab = sharing();
    lab.act(Act::Demote(Port(0), Force::No));
    lab.run(secs(1));
    assert_eq!(actives(&lab), [vec![1], vec![1]]);
    lab.act(Act::Promote(Port(0)));
    lab.settle();
    assert_eq!(actives(&lab), [vec![0], vec![1]]);
}

#[test]
fn the_other_node_serves_both_after_a_crash() {
    let mut lab = sharing();
    lab.act(Act::Crash(Port(0), Leftovers::Nothing));
    lab.settle();
    assert_eq!(actives(&lab), [vec![1], vec![1]]);
}

#[test]
fn the_clean_up_after_a_crash_hands_over_what_was_active() {
    let mut lab = sharing();
    lab.act(Act::Crash(Port(1), Leftovers::Addresses));
    lab.act(Act::FinishCrashedRun(Port(1)));
    lab.run(ms(500));
    assert_eq!(actives(&lab), [vec![0], vec![0]]);
}

#[test]
fn a_stall_loses_the_router_that_was_active_and_disturbs_the_other_not_at_all() {
    let mut lab = sharing();
    let before = second_since(&lab, 1);
    lab.act(Act::Stall(Port(0), Packets::Wait));
    lab.run(secs(5));
    assert_eq!(actives(&lab), [vec![1], vec![1]], "the other node took over the first router");
    assert_eq!(second_since(&lab, 1), before, "the second router went on");
    lab.act(Act::Wake(Port(0)));
    lab.settle();
    assert_eq!(actives(&lab), [vec![0], vec![1]]);
    assert_eq!(second_since(&lab, 1), before, "the second router went on");
}

#[test]
fn a_check_of_one_router_moves_that_router_alone() {
    let check = || CheckName("nginx".into());
    let watched = |setup: NodeSetup| NodeSetup { tracks: vec![Track::fault(check())], ..setup };
    let mut lab = Lab::settled(BOTH, vec![watched(pair(200, 200)), pair(100, 100)]);
    assert_eq!(actives(&lab), [vec![0], vec![0]]);
    lab.act(Act::Check(Port(0), CheckResult::Failing));
    lab.run(secs(1));
    assert_eq!(actives(&lab), [vec![1], vec![0]]);
}

/// The checker compares all that can be seen of the second router before and after the reload.
#[test]
fn another_name_of_the_first_router_is_not_noticed_by_the_second() {
    let mut lab = sharing();
    let before = [0, 1].map(|at| second_since(&lab, at));
    for at in [0, 1] {
        lab.act(Act::Reconfigure(Port(at), SpecChange::Name("shop".parse().unwrap())));
        lab.settle();
        assert_eq!(lab.router(at).spec.name.as_str(), "shop");
    }
    assert_eq!([0, 1].map(|at| second_since(&lab, at)), before);
    assert_eq!(actives(&lab), [vec![0], vec![1]]);
}
