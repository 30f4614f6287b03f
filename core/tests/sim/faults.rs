//! Faults: checks, cables, stalls, kernels that refuse, and what a killed agent leaves behind.

use crate::lab::{BOTH, Lab, V4, every, ms, node, patient, secs, watching};
use vrrpd_core::protocol::{Cause, CheckResult, Fault, StateName, Track};
use vrrpd_core::sim::Port;
use vrrpd_core::sim::kernel::KernelBehaviour;
use vrrpd_core::sim::lan::{Cable, Conditions};
use vrrpd_core::sim::node::Packets;
use vrrpd_core::sim::rng::PerMille;
use vrrpd_core::sim::script::{Act, CarrierSignal, Leftovers};

#[test]
fn a_failing_check_hands_over_without_a_gap_and_a_passing_one_returns() {
    let mut lab = Lab::settled(BOTH, vec![watching(node(200), Track::fault), node(100)]);
    lab.act(Act::Check(Port(0), CheckResult::Failing));
    lab.run(ms(100));
    assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
    assert!(matches!(lab.router(0).faults[..], [Fault::Check(_)]));
    lab.act(Act::Check(Port(0), CheckResult::Passing));
    lab.settle();
    assert_eq!(lab.actives(), [0]);
}

#[test]
fn a_fault_does_not_wait_for_a_successor() {
    let mut lab = Lab::settled(V4, vec![watching(node(200), Track::fault)]);
    lab.act(Act::Check(Port(0), CheckResult::Failing));
    lab.run(ms(40));
    assert_eq!((lab.state(0), lab.holds(0)), (StateName::Initialize, false));
}

#[test]
fn a_weighted_check_moves_the_addresses_by_priority() {
    let weighted = |name| Track::weighted(name, -150);
    let mut lab = Lab::settled(V4, vec![watching(node(200), weighted), node(100)]);
    lab.act(Act::Check(Port(0), CheckResult::Failing));
    assert_eq!(lab.state(0), StateName::Active, "until the other preempts");
    lab.settle();
    assert_eq!((lab.actives(), lab.instance(1).cause), (vec![1], Cause::Preempted));
    lab.act(Act::Check(Port(0), CheckResult::Passing));
    lab.settle();
    assert_eq!(lab.actives(), [0]);
}

#[test]
fn a_lost_carrier_lets_go_before_the_other_takes_over() {
    let mut lab = Lab::settled(V4, vec![every(10, node(200)), every(10, node(100))]);
    lab.act(Act::Cable(Port(0), Cable::Cut, CarrierSignal::Lost));
    lab.run(ms(300));
    assert_eq!((lab.state(0), lab.holds(0)), (StateName::Initialize, false));
    lab.run(ms(400));
    assert_eq!(lab.actives(), [1]);
    lab.act(Act::Cable(Port(0), Cable::Plugged, CarrierSignal::Lost));
    lab.settle();
    assert_eq!(lab.actives(), [0]);
}

#[test]
fn a_cut_between_switches_is_a_partition_that_heals() {
    let mut lab = Lab::settled(V4, vec![every(10, node(200)), every(10, node(100))]);
    lab.act(Act::Cable(Port(0), Cable::Cut, CarrierSignal::Kept));
    lab.run(secs(1));
    assert_eq!(lab.actives(), [0, 1]);
    lab.act(Act::Cable(Port(0), Cable::Plugged, CarrierSignal::Kept));
    lab.run(ms(150));
    assert_eq!(lab.actives(), [0]);
}

/// *What has arrived is received before anything is decided*: packets that waited in the socket are
/// read before anything is sent.
#[test]
fn an_active_that_was_not_scheduled_yields_before_it_advertises() {
    for (families, nodes, cause) in [
        // The successor outranks the router, whatever the Preempt_Mode of the router is.
        (V4, vec![every(10, node(100)), every(10, node(100))], Cause::TieBreak),
        // The successor does not outrank the router, but with Preempt_Mode False the router does
        // not displace it.
        (V4, vec![every(10, patient(200)), every(10, patient(100))], Cause::Stalled),
        (BOTH, vec![every(10, patient(200)), every(10, patient(100))], Cause::Stalled),
    ] {
        let mut lab = Lab::new(families, nodes);
        lab.act(Act::Start(Port(0)));
        lab.run(secs(2));
        lab.act(Act::Start(Port(1)));
        lab.run(secs(2));
        assert_eq!(lab.actives(), [0]);
        lab.faults_end();
        lab.act(Act::Stall(Port(0), Packets::Wait));
        lab.run(secs(2));
        assert_eq!(lab.state(1), StateName::Active);
        let said = lab.instance(0).counters.advertisement_sent;
        lab.act(Act::Wake(Port(0)));
        lab.run(ms(1));
        assert_eq!((lab.state(0), lab.instance(0).cause), (StateName::Backup, cause));
        // The last advertisement of a loser tells the winner that there were two; a sleeper that
        // would win sends none.
        let last_advertisement = u64::from(cause == Cause::TieBreak);
        assert_eq!(lab.instance(0).counters.advertisement_sent, said + last_advertisement);
        lab.settle();
        assert_eq!(lab.actives(), [1]);
    }
}

#[test]
fn a_paused_machine_whose_packets_vanished_listens_before_it_displaces_anybody() {
    let mut lab = Lab::new(V4, vec![every(10, patient(200)), every(10, patient(100))]);
    lab.act(Act::Start(Port(0)));
    lab.run(secs(2));
    lab.act(Act::Start(Port(1)));
    lab.run(secs(2));
    assert_eq!(lab.actives(), [0]);
    lab.faults_end();
    lab.act(Act::Stall(Port(0), Packets::Vanish));
    lab.run(secs(5));
    assert_eq!(lab.state(1), StateName::Active);
    lab.act(Act::Wake(Port(0)));
    lab.run(ms(120));
    assert_eq!((lab.actives(), lab.instance(0).cause), (vec![1], Cause::Stalled));
    lab.settle();
    assert_eq!(lab.actives(), [1]);
}

#[test]
fn a_paused_backup_whose_packets_vanished_does_not_take_over_from_a_living_active() {
    let mut lab = Lab::settled(V4, vec![every(10, node(200)), every(10, node(100))]);
    lab.act(Act::Stall(Port(1), Packets::Vanish));
    lab.run(secs(5));
    lab.act(Act::Wake(Port(1)));
    lab.run(secs(1));
    assert_eq!(lab.actives(), [0]);
    assert_eq!(lab.instance(1).counters.active_transitions, 0);
}

#[test]
fn a_refusing_kernel_is_a_fault_and_the_next_router_serves() {
    let mut lab = Lab::new(BOTH, vec![node(200), node(100)]);
    lab.act(Act::Kernel(Port(0), KernelBehaviour { refusals: 1, ..KernelBehaviour::HEALTHY }));
    lab.act(Act::Start(Port(0)));
    lab.act(Act::Start(Port(1)));
    lab.run(secs(6));
    assert_eq!(lab.actives(), [1]);
    assert!(matches!(lab.router(0).faults[..], [Fault::Addresses(_)]));
    lab.faults_end();
    lab.settle();
    assert_eq!(lab.actives(), [0], "it is tried again");
}

#[test]
fn a_killed_agent_that_kept_its_addresses_is_clean_after_its_restart() {
    let mut lab = Lab::settled(V4, vec![every(10, node(100)), every(10, node(200))]);
    lab.act(Act::Crash(Port(1), Leftovers::Addresses));
    lab.run(secs(1));
    assert_eq!(lab.holders(), [0, 1], "nobody is there to remove them");
    lab.act(Act::Start(Port(1)));
    assert_eq!(lab.holders(), [0]);
    lab.settle();
    assert_eq!(lab.actives(), [1]);
}

#[test]
fn damaged_packets_are_counted_and_obeyed_by_nobody() {
    let mut lab = Lab::settled(BOTH, vec![every(10, node(200)), every(10, node(100))]);
    lab.act(Act::FaultsBegin);
    let heard = lab.instance(1).counters.advertisement_rcvd;
    lab.act(Act::Conditions(Conditions { corruption: PerMille::ALWAYS, ..Conditions::HEALTHY }));
    lab.run(ms(250));
    assert_eq!(lab.actives(), [0]);
    let counters = lab.instance(1).counters;
    assert_eq!(counters.advertisement_rcvd, heard);
    assert!(!counters.rejected.is_empty());
    lab.run(secs(1));
    assert_eq!(lab.actives(), [0, 1], "silence, as far as it can tell");
}

/// What one family advertises makes the other router drop the addresses of both families, so the
/// instance waits until the kernel holds both.
#[test]
fn a_preemption_advertises_when_both_families_are_installed() {
    let mut lab = Lab::new(BOTH, vec![node(100), node(200)]);
    lab.act(Act::Start(Port(0)));
    lab.run(secs(10));
    lab.faults_end();
    lab.settle();
    let slow = ms(3);
    lab.act(Act::Kernel(Port(1), KernelBehaviour { least_delay: slow, most_delay: slow, refusals: 0 }));
    lab.act(Act::Start(Port(1)));
    // The checker finds a gap of any length.
    lab.settle();
    lab.settle();
    assert_eq!((lab.actives(), lab.instance(1).cause), (vec![1], Cause::Preempted));
}
