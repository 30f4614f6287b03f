//! Events on the machine of a node: sockets fail, another program removes addresses, advertisements
//! cannot be sent, checks are not run any more, and an agent dies.

use crate::lab::{BOTH, Lab, V4, every, ms, node, secs, watching};
use vrrpd_core::protocol::{CheckResult, Fault, LocalWarning, StateName, Track};
use vrrpd_core::sim::Port;
use vrrpd_core::sim::node::Removal;
use vrrpd_core::sim::script::{Act, Leftovers, Sockets, Transmission};
use vrrpd_core::types::Family;

const V4_OF_0: (Port, Family) = (Port(0), Family::Ipv4);

#[test]
fn sockets_that_fail_are_a_fault_and_the_router_is_back_when_they_are_open() {
    for families in [V4, BOTH] {
        let mut lab = Lab::settled(families, vec![every(10, node(200)), every(10, node(100))]);
        lab.act(Act::FaultsBegin);
        lab.act(Act::Sockets(V4_OF_0.0, V4_OF_0.1, Sockets::Closed));
        lab.run(secs(2));
        assert!(matches!(lab.router(0).faults[..], [Fault::Sockets(_, Family::Ipv4, _)]));
        assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
        lab.act(Act::Sockets(V4_OF_0.0, V4_OF_0.1, Sockets::Open));
        lab.faults_end();
        lab.settle();
        assert_eq!(lab.actives(), [0]);
    }
}

#[test]
fn addresses_that_are_put_back_are_announced_and_nothing_else_happens() {
    for removal in [Removal::PutBack, Removal::Reinstalled] {
        let mut lab = Lab::settled(V4, vec![node(200), node(100)]);
        let before = lab.instance(0).counters;
        lab.act(Act::Removal(V4_OF_0.0, V4_OF_0.1, removal));
        let after = lab.instance(0).counters;
        assert_eq!(after.announcements, before.announcements + 1, "{removal:?}");
        assert_eq!((lab.state(0), after.advertisement_sent), (StateName::Active, before.advertisement_sent));
    }
}

#[test]
fn addresses_that_the_kernel_does_not_take_back_are_a_fault_and_are_tried_again() {
    let mut lab = Lab::settled(V4, vec![every(10, node(200)), every(10, node(100))]);
    lab.act(Act::Removal(V4_OF_0.0, V4_OF_0.1, Removal::Refused));
    assert_eq!(lab.state(0), StateName::Initialize, "it serves nobody");
    assert!(matches!(lab.router(0).faults[..], [Fault::Addresses(_)]));
    // The router has resigned, so the other one takes over within its Skew_Time.
    lab.run(ms(70));
    assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
    lab.run(secs(9));
    assert_eq!(lab.actives(), [1], "not yet");
    lab.settle();
    assert_eq!(lab.actives(), [0]);
}

#[test]
fn an_active_whose_advertisements_are_not_sent_reports_it_and_stays() {
    let mut lab = Lab::settled(V4, vec![every(10, node(200)), every(10, node(100))]);
    lab.act(Act::FaultsBegin);
    lab.act(Act::Transmission(V4_OF_0.0, V4_OF_0.1, Transmission::Fails));
    lab.run(secs(2));
    let warnings = |lab: &Lab| lab.router(0).local_warnings.len();
    assert!(matches!(lab.router(0).local_warnings[..], [(LocalWarning::Unsent(_), _)]));
    assert_eq!(lab.actives(), [0, 1], "it serves on, and the other cannot know");
    lab.act(Act::Transmission(V4_OF_0.0, V4_OF_0.1, Transmission::Works));
    lab.faults_end();
    lab.settle();
    assert_eq!((lab.actives(), warnings(&lab)), (vec![0], 0));
}

#[test]
fn a_check_that_is_not_run_any_more_has_no_result() {
    let mut lab = Lab::settled(V4, vec![watching(node(200), Track::fault), node(100)]);
    lab.act(Act::CheckRemoved(Port(0)));
    assert!(matches!(lab.router(0).faults[..], [Fault::CheckPending(_)]));
    lab.act(Act::Check(Port(0), CheckResult::Passing));
    lab.settle();
    assert_eq!(lab.actives(), [0]);
}

#[test]
fn a_positive_weight_counts_while_the_check_passes() {
    let mut lab = Lab::settled(V4, vec![watching(node(90), |name| Track::weighted(name, 60)), node(100)]);
    assert_eq!((lab.router(0).effective.get(), lab.actives()), (150, vec![0]));
    lab.act(Act::Check(Port(0), CheckResult::Failing));
    assert_eq!(lab.router(0).effective.get(), 90);
    lab.settle();
    assert_eq!(lab.actives(), [1]);
}

/// docs/adr/0014: the clean-up hands over the addresses of a killed agent, without a gap.
#[test]
fn the_clean_up_after_a_crash_hands_over() {
    for families in [V4, BOTH] {
        let mut lab = Lab::settled(families, vec![node(200), node(100)]);
        lab.act(Act::FaultsBegin);
        lab.act(Act::Crash(Port(0), Leftovers::Addresses));
        lab.run(ms(40));
        assert_eq!(lab.holders(), [0], "the kernel serves on");
        lab.act(Act::FinishCrashedRun(Port(0)));
        let mut waited = 0;
        while lab.holders() != [1] {
            lab.run(ms(1));
            waited += 1;
            assert!(!lab.holders().is_empty() && waited < 400, "after {waited} ms: {:?}", lab.holders());
        }
        lab.act(Act::Start(Port(0)));
        lab.faults_end();
        lab.settle();
        assert_eq!(lab.actives(), [0]);
    }
}
