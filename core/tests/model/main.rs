//! An exhaustive small model: it drives the real core with every order of events, to a stated
//! depth.
//!
//! The simulation draws orders at random; the model leaves no order out. A state is two or three
//! cores, what their kernels hold and are asked for, and the packets in flight. From each state,
//! every possible next event is tried: any packet arrives (in any order, so that packets overtake
//! one another), is lost or arrives twice, any kernel answers, any timer that is due fires. Time
//! passes only with timers, and not past the age that packets, kernels and schedulers are allowed.
//!
//! A state that was met before is not explored again. Two states are equal if they print the same
//! text, counters included: this keeps some states apart that behave alike, but never merges two
//! that do not.
//!
//! The depths are for an unoptimised build; `MODEL_DEEPER=4 cargo test --release --test model` adds
//! to each depth.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod space;
mod step;

use space::{Limits, Outcome, explore};
use step::{Announcements, Cluster, Contender};
use vrrpd_core::types::{Family, Preempt};

const V4: &[Family] = &[Family::Ipv4];
const BOTH: &[Family] = &[Family::Ipv4, Family::Ipv6];

fn contender(priority: u8) -> Contender {
    Contender { priority, preempt: Preempt::Allow, v4: priority, v6: 1 }
}

/// Equal routers, which their addresses rank differently in each family.
fn equals() -> Vec<Contender> {
    let node = |v4, v6| Contender { priority: 100, preempt: Preempt::Allow, v4, v6 };
    vec![node(1, 3), node(2, 2), node(3, 1)]
}

fn deep(depth: usize) -> usize {
    let deeper = std::env::var("MODEL_DEEPER").ok().and_then(|more| more.parse::<usize>().ok());
    depth + deeper.unwrap_or(0)
}

#[track_caller]
fn report(what: &str, outcome: &Outcome) {
    println!("{what}: {} states, {} of them at the last step", outcome.states, outcome.leaves);
}

/// No router is Active at first, and the LAN loses, repeats and reorders packets: whatever
/// happened, one router serves when the LAN is healthy again.
#[test]
fn every_start_of_two_routers_ends_with_one_active() {
    let limits = Limits { depth: deep(18), losses: 3, duplicates: 1, ..Limits::HEALTHY };
    for nodes in [vec![contender(200), contender(100)], equals()[..2].to_vec()] {
        let outcome = explore(&Cluster::started(V4, &nodes), limits, |_| Ok(()));
        report("start of two, one family", &outcome);
        assert!(outcome.states > 50, "{outcome:?}");
    }
}

#[test]
fn every_start_of_two_routers_of_both_families_ends_with_one_active() {
    let limits = Limits { depth: deep(12), losses: 2, duplicates: 0, ..Limits::HEALTHY };
    let outcome = explore(&Cluster::started(BOTH, &equals()[..2]), limits, |_| Ok(()));
    report("start of two, both families", &outcome);
    assert!(outcome.states > 50, "{outcome:?}");
}

/// No order of packets, kernels and timers leaves the addresses without a holder.
#[test]
fn every_demotion_of_the_active_keeps_the_addresses_held() {
    let limits = Limits { depth: deep(40), ..Limits::HEALTHY };
    for nodes in [vec![contender(200), contender(100)], equals()[..2].to_vec()] {
        let mut cluster = Cluster::settled(V4, &nodes);
        let active = cluster.active().unwrap();
        cluster.demote(active).unwrap();
        let outcome = explore(&cluster, limits, Cluster::is_held);
        report("demotion, one family", &outcome);
        assert!(outcome.states > 50, "{outcome:?}");
    }
}

/// The successor may send announcements that we cannot hear.
#[test]
fn a_demotion_beside_a_successor_that_is_not_heard_to_announce_keeps_the_addresses_held() {
    let limits = Limits { depth: deep(40), ..Limits::HEALTHY };
    let mut cluster = Cluster::settled(V4, &[contender(200), contender(100)]);
    cluster.announcements = Announcements::NeverHeard;
    cluster.demote(0).unwrap();
    let outcome = explore(&cluster, limits, Cluster::is_held);
    report("demotion, announcements unheard", &outcome);
    assert!(outcome.states > 50, "{outcome:?}");
}

#[test]
fn every_demotion_of_both_families_keeps_the_addresses_held() {
    let limits = Limits { depth: deep(24), ..Limits::HEALTHY };
    let mut cluster = Cluster::settled(BOTH, &[contender(200), contender(100)]);
    cluster.demote(0).unwrap();
    let outcome = explore(&cluster, limits, Cluster::is_held);
    report("demotion, both families", &outcome);
    assert!(outcome.states > 50, "{outcome:?}");
}

/// The successors are equal: both take over, and one yields, before or after the leaving router
/// lets go.
#[test]
fn every_demotion_with_two_equal_successors_keeps_the_addresses_held() {
    let limits = Limits { depth: deep(24), ..Limits::HEALTHY };
    let mut cluster = Cluster::settled(V4, &equals());
    let active = cluster.active().unwrap();
    cluster.demote(active).unwrap();
    let outcome = explore(&cluster, limits, Cluster::is_held);
    report("demotion, two equal successors", &outcome);
    assert!(outcome.states > 50, "{outcome:?}");
}

#[test]
fn two_demotions_at_once_keep_the_addresses_held_in_every_order() {
    let limits = Limits { depth: deep(30), ..Limits::HEALTHY };
    let mut cluster = Cluster::settled(V4, &[contender(200), contender(100)]);
    cluster.demote_later(1);
    cluster.demote(0).unwrap();
    let outcome = explore(&cluster, limits, Cluster::is_held);
    report("two demotions", &outcome);
    assert!(outcome.states > 50, "{outcome:?}");
}

#[test]
fn a_demotion_keeps_the_addresses_held_whichever_packets_are_lost() {
    let limits = Limits { depth: deep(24), losses: 3, ..Limits::HEALTHY };
    let mut cluster = Cluster::settled(V4, &[contender(200), contender(100)]);
    cluster.demote(0).unwrap();
    let outcome = explore(&cluster, limits, Cluster::is_held);
    report("demotion, three losses", &outcome);
    assert!(outcome.states > 50, "{outcome:?}");
}

#[test]
fn a_demotion_of_both_families_keeps_the_addresses_held_whichever_packets_are_lost() {
    let limits = Limits { depth: deep(12), losses: 2, duplicates: 1, ..Limits::HEALTHY };
    let mut cluster = Cluster::settled(BOTH, &[contender(200), contender(100)]);
    cluster.demote(0).unwrap();
    let outcome = explore(&cluster, limits, Cluster::is_held);
    report("demotion, both families, two losses", &outcome);
    assert!(outcome.states > 1_000, "{outcome:?}");
}

/// The addresses rank the successors differently in each family: the routers must not all yield.
#[test]
fn every_demotion_with_two_equal_successors_of_both_families_keeps_the_addresses_held() {
    let limits = Limits { depth: deep(6), ..Limits::HEALTHY };
    let mut cluster = Cluster::settled(BOTH, &equals());
    let active = cluster.active().unwrap();
    cluster.demote(active).unwrap();
    let outcome = explore(&cluster, limits, Cluster::is_held);
    report("demotion, two equal successors of both families", &outcome);
    assert!(outcome.states > 500, "{outcome:?}");
}
