//! One node asks another to hand over.

use super::lan::{Lan, address, web};
use super::pair;
use std::time::Duration;
use vrrpd_core::channel::{Afterwards, ChannelInput, TakeOutcome};
use vrrpd_core::sim::rng::Rng;
use vrrpd_core::types::Family;
use vrrpd_core::wire::channel::{ReportedState, TakeAnswer};

fn take(lan: &mut Lan, node: usize) {
    lan.input(node, ChannelInput::Take { id: 9, router: web(), by: "alice".to_owned() });
}

fn refused(lan: &Lan) -> &str {
    match &lan.ended[..] {
        [(1, 9, TakeOutcome::Refused(why))] => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_active_hands_over_once_and_answers() {
    let mut lan = pair();
    take(&mut lan, 1);
    lan.run(2_000);
    let (node, request, afterwards) = lan.handovers[0];
    assert_eq!((lan.handovers.len(), node), (1, 0), "it was asked again and again");
    assert_eq!(afterwards, Afterwards::LastResort, "fe0 preempts and has the higher priority");
    assert_eq!(lan.ended, []);
    let answer = TakeAnswer::HandedOver { micros: 12_000, demoted: true };
    lan.input(0, ChannelInput::HandedOver(request, answer));
    lan.run(100);
    let outcome = TakeOutcome::HandedOver {
        node: "fe0".to_owned(),
        address: address(0, Family::Ipv4),
        after: Duration::from_millis(12),
        afterwards: Afterwards::LastResort,
    };
    assert_eq!(lan.ended, [(1, 9, outcome)]);
    lan.run(60_000);
    assert_eq!(lan.handovers.len(), 1);
}

#[test]
fn a_node_that_would_not_preempt_is_backup_afterwards() {
    for (priority, preempts) in [(150, true), (200, false)] {
        let mut lan = pair();
        lan.change(0, |report| (report.priority, report.preempts) = (priority, preempts));
        lan.run(100);
        take(&mut lan, 1);
        lan.run(100);
        assert_eq!(lan.handovers.iter().map(|it| it.2).collect::<Vec<_>>(), [Afterwards::Backup]);
    }
}

#[test]
fn what_cannot_be_done_is_refused_before_anybody_is_asked() {
    let mut lan = pair();
    lan.change(1, |report| report.obstacle = Some("check nginx fails".to_owned()));
    take(&mut lan, 1);
    assert_eq!(refused(&lan), "this node could not serve it: check nginx fails");
    let mut lan = pair();
    lan.change(1, |report| report.state = ReportedState::Active);
    take(&mut lan, 1);
    assert_eq!(refused(&lan), "this node serves it already");
    let mut lan = pair();
    lan.nodes[0] = None;
    lan.run(5_000);
    take(&mut lan, 1);
    assert!(refused(&lan).starts_with("no node that shares the key"), "{}", refused(&lan));
    assert_eq!(lan.handovers, []);
}

#[test]
fn the_active_refuses_by_what_it_knows_itself() {
    let mut lan = pair();
    // fe0 has just become Backup, and fe1 has not heard of it.
    lan.local[0].links.values_mut().for_each(|link| link.routers[0].state = ReportedState::Backup);
    let local = lan.local[0].clone();
    take(&mut lan, 1);
    lan.input(0, ChannelInput::Local(local));
    lan.run(400);
    assert_eq!(refused(&lan), "fe0 refuses: it does not serve this virtual router any more");
    assert_eq!(lan.handovers, []);
}

#[test]
fn a_node_that_would_not_win_the_election_is_refused() {
    let mut lan = Lan::of(&[Family::Ipv4], 3);
    lan.run(5_000);
    lan.input(2, ChannelInput::Take { id: 9, router: web(), by: "alice".to_owned() });
    lan.run(100);
    let why = "fe0 refuses: fe1 would take over instead, because it comes first in the election";
    assert_eq!(lan.ended, [(2, 9, TakeOutcome::Refused(why.to_owned()))]);
    lan.ended.clear();
    // Of two with the same priority the one with the greater address wins.
    lan.change(2, |report| report.priority = 150);
    lan.run(100);
    for (node, hands_over) in [(1, 0), (2, 1)] {
        lan.input(node, ChannelInput::Take { id: 9, router: web(), by: "alice".to_owned() });
        lan.run(100);
        assert_eq!(lan.handovers.len(), hands_over, "fe{node}");
    }
}

#[test]
fn a_node_that_dies_while_it_is_asked_is_given_up() {
    let mut lan = pair();
    take(&mut lan, 1);
    lan.nodes[0] = None;
    lan.run(9_000);
    let waited = Duration::from_secs(8);
    assert_eq!(lan.ended, [(1, 9, TakeOutcome::NoAnswer { node: "fe0".to_owned(), waited })]);
}

#[test]
fn a_lossy_network_delays_a_request_and_does_not_double_it() {
    for seed in 0..50 {
        let mut lan = pair();
        (lan.rng, lan.loss) = (Rng::new(seed), 50);
        take(&mut lan, 1);
        lan.run(4_000);
        let Some((0, request, _)) = lan.handovers.first().copied() else { continue };
        assert_eq!(lan.handovers.len(), 1, "seed {seed}");
        lan.input(0, ChannelInput::HandedOver(request, TakeAnswer::refusal("nobody took over")));
        lan.run(6_000);
        assert_eq!(lan.ended.len(), 1, "seed {seed}: {:?}", lan.ended);
    }
}
