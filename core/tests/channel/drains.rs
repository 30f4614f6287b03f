//! Draining: who hears of it, where the lists go, and when what was heard ends.

use super::BOTH;
use super::lan::{Datagram, Lan, MS, address, key_of, link, report};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;
use vrrpd_core::channel::{Ability, ChannelInput, ForwardedBy, HeardLeaver, LocalDrain};
use vrrpd_core::sim::rng::Rng;
use vrrpd_core::types::{Connection, Family, MonoTime};
use vrrpd_core::wire::channel::{ChannelMessage, Envelope, ReportedState};

const V4: Family = Family::Ipv4;

fn connections(count: u32) -> Vec<Connection> {
    let local: SocketAddr = "192.0.2.50:443".parse().unwrap();
    let remote = |n: u32| SocketAddr::from((n.to_be_bytes(), 40_000));
    (0..count).map(|n| Connection { local, remote: remote(0xc633_6400 + n) }).collect()
}

/// The router moves: this node is Active now.
fn move_to(lan: &mut Lan, active: usize) {
    for node in 0..lan.local.len() {
        let state = if node == active { ReportedState::Active } else { ReportedState::Backup };
        lan.change(node, |report| report.state = state);
    }
}

fn list(lan: &mut Lan, node: usize, count: u32) {
    let connections = connections(count);
    lan.input(node, ChannelInput::Connections { link: link(V4), vrid: 51, connections: &connections });
}

fn leavers(lan: &Lan, node: usize) -> Vec<HeardLeaver> {
    lan.drains(node).leavers.remove(&(link(V4), 51)).unwrap_or_default()
}

fn names(lan: &Lan, node: usize) -> Vec<String> {
    leavers(lan, node).into_iter().map(|leaver| leaver.node).collect()
}

fn forwarded_by(lan: &Lan, node: usize) -> Option<ForwardedBy> {
    lan.drains(node).forwarded_by.remove(&(link(V4), 51))
}

/// How many connections a node was told that fe0 serves.
fn listed(lan: &Lan, node: usize) -> usize {
    lan.listed.get(&(node, link(V4), 51, address(0, V4))).map_or(0, BTreeSet::len)
}

/// Lets time pass in which fe0 lists its connections, and each node forwards for whom it hears.
fn pass(lan: &mut Lan, ms: u64) {
    for _ in 0..ms / 250 {
        list(lan, 0, 1_000);
        for node in 0..lan.nodes.len() {
            if lan.nodes[node].is_some() {
                lan.forward(node);
            }
        }
        lan.run(250);
    }
}

/// fe0 has given the addresses to fe1 and drains.
fn moved(count: usize) -> Lan {
    let mut lan = Lan::of(&[V4], count);
    lan.all_drain();
    lan.run(5_000);
    lan.events.clear();
    move_to(&mut lan, 1);
    lan.drain(0, &[V4], 1_000);
    lan
}

fn is(datagram: &Datagram, what: fn(&ChannelMessage) -> bool) -> bool {
    Envelope::open(&key_of(7), &datagram.octets).is_ok_and(|envelope| what(&envelope.message))
}

#[test]
fn everybody_hears_of_a_drain_and_only_the_active_is_sent_the_list() {
    let mut lan = moved(3);
    lan.run(100);
    for node in [1, 2] {
        let [leaver] = &leavers(&lan, node)[..] else { panic!("{:?}", leavers(&lan, node)) };
        assert_eq!((&*leaver.node, leaver.address, leaver.left), ("fe0", address(0, V4), 1_000));
        assert_eq!((leaver.oldest, leaver.proven), (None, true));
        let apart = |a: MonoTime, b: u64| a.since(MonoTime::from_nanos(b)) + MonoTime::from_nanos(b).since(a);
        assert!(apart(leaver.since, 0) < Duration::from_millis(10), "{leaver:?}");
        assert!(apart(leaver.until, 600_000 * MS) < Duration::from_millis(10), "{leaver:?}");
    }
    assert_eq!(leavers(&lan, 0), []);
    pass(&mut lan, 2_000);
    assert_eq!((listed(&lan, 1), listed(&lan, 2)), (1_000, 0));
    let all: BTreeSet<_> = connections(1_000).into_iter().collect();
    assert_eq!(lan.listed[&(1, link(V4), 51, address(0, V4))], all);
    let by = ForwardedBy { node: "fe1".to_owned(), address: address(1, V4), listed: 1_000, packets: 7 };
    assert_eq!(forwarded_by(&lan, 0), Some(by));
    assert_eq!(lan.forwarding_lost, []);
}

#[test]
fn when_a_third_node_takes_over_it_is_sent_the_lists_of_all_leavers() {
    let mut lan = moved(3);
    lan.run(100);
    pass(&mut lan, 1_000);
    move_to(&mut lan, 2);
    lan.drain(1, &[V4], 5);
    lan.run(100);
    pass(&mut lan, 1_000);
    assert_eq!(listed(&lan, 2), 1_000);
    assert_eq!(names(&lan, 2), ["fe0", "fe1"]);
    assert_eq!(forwarded_by(&lan, 0).unwrap().node, "fe2");
    lan.listed.clear();
    pass(&mut lan, 5_000);
    assert_eq!(listed(&lan, 1), 0);
    // Nobody is Active: there is nobody to tell.
    lan.change(2, |report| report.state = ReportedState::Backup);
    lan.run(100);
    lan.recorded.clear();
    list(&mut lan, 0, 1_000);
    let is_list = |one: &Datagram| is(one, |message| matches!(message, ChannelMessage::Connections(_)));
    assert!(!lan.recorded.iter().any(is_list));
}

#[test]
fn of_two_nodes_that_say_they_are_active_the_later_one_is_sent_the_list() {
    for (earlier, later) in [(1, 2), (2, 1)] {
        let mut lan = moved(3);
        for node in [earlier, later] {
            move_to(&mut lan, node);
            lan.run(1_500);
        }
        lan.change(earlier, |report| report.state = ReportedState::Active);
        lan.change(later, |report| report.state = ReportedState::Backup);
        lan.run(100);
        lan.change(later, |report| report.state = ReportedState::Active);
        lan.run(100);
        list(&mut lan, 0, 10);
        lan.run(100);
        assert_eq!((listed(&lan, earlier), listed(&lan, later)), (0, 10), "fe{later}");
    }
}

#[test]
fn a_node_that_starts_hears_of_a_drain_before_a_second_is_over() {
    let mut lan = moved(3);
    lan.run(5_000);
    for _ in 0..10 {
        lan.start(1);
        lan.run(1_100);
        assert_eq!(names(&lan, 1), ["fe0"]);
    }
}

#[test]
fn a_list_is_taken_from_a_leaver_and_from_who_was_active_a_moment_ago() {
    let mut lan = Lan::of(&[V4], 3);
    lan.all_drain();
    lan.run(5_000);
    list(&mut lan, 2, 10);
    lan.run(100);
    assert_eq!(lan.listed, BTreeMap::new(), "fe2 has not been Active");
    // The list overtakes everything that fe0 says about its drain.
    move_to(&mut lan, 1);
    lan.run(100);
    list(&mut lan, 0, 10);
    lan.run(100);
    assert_eq!(listed(&lan, 1), 10);
    lan.listed.clear();
    lan.run(10_000);
    list(&mut lan, 0, 10);
    lan.run(100);
    assert_eq!(listed(&lan, 1), 0);
    lan.drain(0, &[V4], 10);
    lan.run(100);
    list(&mut lan, 0, 10);
    lan.run(100);
    assert_eq!(listed(&lan, 1), 10);
    // This node cannot forward any more.
    lan.listed.clear();
    let abilities = lan.local[1].abilities;
    lan.local[1].abilities.forwards = Ability::Unable;
    lan.tell(1);
    list(&mut lan, 0, 10);
    lan.run(100);
    assert_eq!(listed(&lan, 1), 0);
    lan.local[1].abilities = abilities;
    lan.tell(1);
    // Of a family that the link does not have, and of a router that this node does not have.
    lan.listed.clear();
    let local = "[2001:db8::50]:443".parse().unwrap();
    let alien = [Connection { local, remote: local }];
    lan.input(0, ChannelInput::Connections { link: link(V4), vrid: 51, connections: &alien });
    lan.change(1, |report| report.vrid = 52);
    list(&mut lan, 0, 10);
    lan.run(100);
    assert_eq!((listed(&lan, 1), leavers(&lan, 1)), (0, vec![]));
}

#[test]
fn a_leaver_that_is_silent_or_says_farewell_is_gone_after_three_seconds() {
    for says_farewell in [false, true] {
        let mut lan = moved(2);
        lan.run(900);
        if says_farewell {
            lan.input(0, ChannelInput::Farewell);
        }
        lan.nodes[0] = None;
        lan.run(2_000);
        assert_eq!(names(&lan, 1), ["fe0"], "farewell: {says_farewell}");
        lan.run(1_100);
        assert_eq!(names(&lan, 1), [""; 0], "farewell: {says_farewell}");
        lan.run(60_000);
        assert_eq!(names(&lan, 1), [""; 0]);
    }
}

#[test]
fn a_drain_that_has_ended_is_gone_at_once_and_its_end_is_said_three_times() {
    let mut lan = moved(2);
    lan.run(1_000);
    lan.recorded.clear();
    lan.drain(0, &[], 0);
    lan.run(10);
    assert_eq!(names(&lan, 1), [""; 0]);
    lan.run(10_000);
    let is_end =
        |one: &&Datagram| is(one, |message| matches!(message, ChannelMessage::DrainEnded { vrid: 51 }));
    assert_eq!(lan.recorded.iter().filter(is_end).count(), 3);
    // Its first messages are lost.
    lan.drain(0, &[V4], 3);
    lan.run(1_000);
    lan.loss = 100;
    lan.drain(0, &[], 0);
    lan.run(500);
    lan.loss = 0;
    assert_eq!(names(&lan, 1), ["fe0"]);
    lan.run(600);
    assert_eq!(names(&lan, 1), [""; 0]);
    // It drains again before all have been said.
    lan.drain(0, &[V4], 4);
    for _ in 0..50 {
        lan.run(100);
        assert_eq!(names(&lan, 1), ["fe0"]);
    }
}

#[test]
fn an_older_message_that_was_overtaken_brings_no_drain_back() {
    let mut lan = moved(2);
    lan.run(1_000);
    lan.recorded.clear();
    lan.loss = 100;
    lan.drain(0, &[V4], 7);
    list(&mut lan, 0, 10);
    lan.run(60);
    lan.drain(0, &[], 0);
    lan.run(100);
    let sent = std::mem::take(&mut lan.recorded);
    lan.loss = 0;
    sent.iter().rev().for_each(|datagram| lan.deliver(datagram));
    assert!(
        sent.iter().any(|one| is(one, |message| matches!(message, ChannelMessage::Draining { left: 7, .. })))
    );
    assert!(sent.iter().any(|one| is(one, |message| matches!(message, ChannelMessage::Connections(_)))));
    assert_eq!((names(&lan, 1), listed(&lan, 1)), (vec![], 0));
}

#[test]
fn a_leaver_that_starts_again_goes_on_where_it_was() {
    let mut lan = moved(2);
    lan.run(1_000);
    lan.input(0, ChannelInput::Farewell);
    lan.run(1_000);
    lan.start(0);
    lan.drain(0, &[V4], 900);
    for _ in 0..100 {
        assert_eq!(names(&lan, 1), ["fe0"]);
        lan.run(50);
    }
    assert_eq!((leavers(&lan, 1)[0].left, leavers(&lan, 1)[0].proven), (900, true));
    list(&mut lan, 0, 10);
    lan.forward(1);
    lan.run(100);
    assert_eq!((listed(&lan, 1), forwarded_by(&lan, 0).unwrap().node), (10, "fe1".to_owned()));
}

#[test]
fn a_change_of_the_number_is_said_at_once_and_the_age_with_the_next_second() {
    let mut lan = moved(2);
    lan.run(1_000);
    lan.drain(0, &[V4], 7);
    lan.run(60);
    assert_eq!(leavers(&lan, 1)[0].left, 7);
    let drain = LocalDrain {
        since: MonoTime::ZERO,
        until: MonoTime::from_nanos(600_000 * MS),
        left: 7,
        oldest: Some(Duration::from_millis(1_234)),
    };
    lan.recorded.clear();
    lan.input(0, ChannelInput::Draining([((link(V4), 51), drain)].into()));
    lan.run(1_100);
    assert_eq!(leavers(&lan, 1)[0].oldest, drain.oldest);
    // Many changes make some messages.
    lan.recorded.clear();
    for left in (0..1_000).rev() {
        lan.drain(0, &[V4], left);
        lan.run(1);
    }
    let is_draining = |one: &&Datagram| is(one, |message| matches!(message, ChannelMessage::Draining { .. }));
    let said = lan.recorded.iter().filter(is_draining).count();
    assert!((15..=22).contains(&said), "{said} in a second");
    // A shorter deadline is told, and a little jitter changes nothing.
    let before = leavers(&lan, 1);
    lan.run(5_000);
    assert_eq!(leavers(&lan, 1)[0].until, before[0].until);
    let until = MonoTime::from_nanos(lan.now + 30_000 * MS);
    lan.input(0, ChannelInput::Draining([((link(V4), 51), LocalDrain { until, ..drain })].into()));
    lan.run(100);
    assert!(leavers(&lan, 1)[0].until.since(until) < Duration::from_millis(10));
}

#[test]
fn an_active_that_does_not_forward_is_told_once() {
    let mut lan = moved(3);
    lan.run(2_900);
    assert_eq!(lan.forwarding_lost, []);
    lan.run(1_200);
    let lost = |node: &str| (0, link(V4), 51, Some(node.to_owned()));
    assert_eq!(lan.forwarding_lost, [lost("fe1")]);
    lan.run(60_000);
    assert_eq!(lan.forwarding_lost, [lost("fe1")], "once");
    // It forwards, and stops.
    lan.forward(1);
    lan.run(10_000);
    lan.input(1, ChannelInput::Forwarding(BTreeMap::new()));
    lan.run(2_500);
    assert_eq!(lan.forwarding_lost.len(), 1);
    lan.run(2_000);
    assert_eq!(lan.forwarding_lost, [lost("fe1"), lost("fe1")]);
    // The next one does not forward either; that the first one does says nothing.
    lan.forward(1);
    lan.run(3_000);
    move_to(&mut lan, 2);
    lan.run(2_900);
    assert_eq!(lan.forwarding_lost.len(), 2);
    lan.run(1_300);
    assert_eq!(lan.forwarding_lost[2..], [lost("fe2")]);
    assert_eq!(forwarded_by(&lan, 0).unwrap().node, "fe1");
}

#[test]
fn an_active_that_dies_is_not_one_that_does_not_forward() {
    let mut lan = moved(2);
    lan.run(100);
    pass(&mut lan, 2_000);
    lan.nodes[1] = None;
    lan.run(3_100);
    assert_eq!(forwarded_by(&lan, 0), None);
    lan.run(26_000);
    assert_eq!(lan.forwarding_lost, [], "somebody will take over, and forward");
    // It comes back after a pause, and needs a moment.
    lan.start(1);
    lan.run(1_000);
    pass(&mut lan, 10_000);
    assert_eq!((lan.forwarding_lost.clone(), forwarded_by(&lan, 0).is_some()), (vec![], true));
}

/// A keepalived, say, or a node with another key.
#[test]
fn an_active_that_is_not_in_the_channel_does_not_forward() {
    let mut lan = moved(2);
    lan.run(100);
    pass(&mut lan, 2_000);
    lan.nodes[1] = None;
    lan.run(32_000);
    assert_eq!(lan.forwarding_lost, []);
    lan.run(10_000);
    assert_eq!(lan.forwarding_lost, [(0, link(V4), 51, None)]);
    lan.run(60_000);
    assert_eq!(lan.forwarding_lost.len(), 1, "once");
}

#[test]
fn an_active_that_was_paused_gets_a_moment() {
    for ms in [1_600, 2_500, 3_200, 3_900, 6_000] {
        let mut lan = moved(2);
        lan.run(100);
        pass(&mut lan, 2_000);
        let paused = lan.nodes[1].take();
        lan.run(ms);
        lan.nodes[1] = paused;
        // Its reports come first.
        lan.input(1, ChannelInput::Forwarding(BTreeMap::new()));
        lan.run(1_000);
        assert_eq!(lan.forwarding_lost, [], "after {ms} ms");
        pass(&mut lan, 5_000);
        assert_eq!(lan.forwarding_lost, [], "after {ms} ms");
    }
}

/// The machine is suspended, or the process stopped: what the others said waits in the sockets.
#[test]
fn a_node_that_was_paused_ends_nothing() {
    for node in [0, 1] {
        for has_forwarded in [false, true] {
            let mut lan = moved(2);
            lan.run(100);
            if has_forwarded {
                pass(&mut lan, 1_000);
            }
            let paused = lan.nodes[node].take();
            lan.run(2_000);
            let before = (names(&lan, 1 - node).len(), forwarded_by(&lan, 1 - node).is_some());
            assert_eq!(before, if node == 1 { (0, has_forwarded) } else { (1, false) });
            // When no node is Active for longer, nobody is expected to forward any more.
            lan.run(if node == 0 { 600_000 } else { 20_000 });
            lan.nodes[node] = paused;
            lan.input(node, ChannelInput::Deadline);
            assert_eq!(names(&lan, node), if node == 1 { vec!["fe0"] } else { vec![] });
            assert_eq!(forwarded_by(&lan, node).is_some(), node == 0 && has_forwarded);
            lan.run(2_000);
            assert_eq!(lan.forwarding_lost, [], "fe{node} was paused");
            lan.forward(1);
            lan.run(5_000);
            assert_eq!((names(&lan, 1), forwarded_by(&lan, 0).is_some()), (vec!["fe0".to_owned()], true));
            assert_eq!(lan.forwarding_lost, [], "fe{node} was paused");
        }
    }
}

#[test]
fn a_long_list_leaves_in_bursts_and_arrives() {
    let mut lan = moved(2);
    lan.run(1_000);
    list(&mut lan, 0, 30_000);
    lan.recorded.clear();
    let mut most = 0;
    for _ in 0..10 {
        lan.run(20);
        most = most.max(std::mem::take(&mut lan.recorded).len());
    }
    assert!((32..=40).contains(&most), "{most} datagrams in 20 ms");
    assert_eq!(listed(&lan, 1), 30_000);
}
#[test]
fn a_router_has_eight_leavers_at_most_and_an_end_makes_room() {
    let mut lan = Lan::of(&[V4], 11);
    lan.all_drain();
    lan.run(5_000);
    for node in 0..9 {
        lan.drain(node, &[V4], 1);
        lan.run(100);
    }
    lan.run(5_000);
    let eight: Vec<_> = (0..8).map(|node| format!("fe{node}")).collect();
    assert_eq!(names(&lan, 10), eight);
    lan.drain(3, &[], 0);
    lan.run(1_500);
    assert_eq!((names(&lan, 10).len(), names(&lan, 10).contains(&"fe8".to_owned())), (8, true));
}

/// Somebody records everything and sends it again. He does not have the key.
#[test]
fn recorded_messages_add_nothing() {
    for seed in 0..4 {
        let mut lan = moved(3);
        lan.rng = Rng::new(seed);
        lan.run(100);
        pass(&mut lan, 3_000);
        lan.drain(0, &[], 0);
        lan.run(20_000);
        if seed % 2 == 0 {
            lan.start(1);
            lan.run(5_000);
        }
        let recorded = std::mem::take(&mut lan.recorded);
        lan.listed.clear();
        let before = lan.drains(2);
        for _ in 0..600 {
            let at = usize::try_from(lan.rng.below(recorded.len() as u64)).unwrap();
            lan.send(recorded[at].clone());
            lan.run(5);
            for node in 0..3 {
                assert_eq!((leavers(&lan, node), forwarded_by(&lan, node)), (vec![], None), "seed {seed}");
            }
        }
        assert_eq!((&lan.listed, lan.drains(2)), (&BTreeMap::new(), before), "seed {seed}");
        assert_eq!(lan.forwarding_lost, []);
    }
}

/// A third of all datagrams is lost, and the rest overtake one another: nothing ends that goes on.
#[test]
fn a_bad_network_delays_lists_and_loses_none() {
    for seed in 0..5 {
        let mut lan = moved(3);
        lan.run(500);
        lan.rng = Rng::new(seed);
        lan.loss = 30;
        pass(&mut lan, 3_000);
        assert_eq!(listed(&lan, 1), 1_000, "seed {seed}");
        lan.loss = 0;
        pass(&mut lan, 1_250);
        assert_eq!((names(&lan, 1), forwarded_by(&lan, 0).is_some()), (vec!["fe0".to_owned()], true));
    }
}

/// Whatever is lost, started, stopped and changed: when it ends, everybody knows the truth within
/// a few seconds.
#[test]
fn after_any_disorder_the_nodes_agree_on_who_drains_and_who_may_forward() {
    for seed in 0..10 {
        let mut lan = Lan::of(&BOTH, 3);
        lan.all_drain();
        lan.rng = Rng::new(2_000 + seed);
        let mut draining = [false; 3];
        for _ in 0..25 {
            lan.loss = lan.rng.below(80);
            let node = usize::try_from(lan.rng.below(3)).unwrap();
            match lan.rng.below(8) {
                0 => lan.nodes[node] = None,
                1 => {
                    lan.start(node);
                    draining[node] = false;
                }
                2 => move_to(&mut lan, node),
                3 | 4 => {
                    draining[node] = !draining[node];
                    let families: &[Family] = if draining[node] { &BOTH } else { &[] };
                    lan.drain(node, families, 9);
                }
                5 if !lan.guarded.remove(&node) => {
                    lan.guarded.insert(node);
                }
                6 if lan.nodes[node].is_some() => lan.forward(node),
                _ => list(&mut lan, node, 200),
            }
            let ms = lan.rng.below(3_000);
            lan.run(ms);
        }
        lan.loss = 0;
        // A probe that was lost is repeated after a minute at last.
        lan.run(65_000);
        let there: Vec<usize> = (0..3).filter(|node| lan.nodes[*node].is_some()).collect();
        for node in there.clone() {
            let others = || there.iter().copied().filter(|other| *other != node);
            let view = lan.drains(node);
            for family in BOTH {
                let place = (link(family), report(ReportedState::Backup, 1).vrid);
                let leavers = view.leavers.get(&place).cloned().unwrap_or_default();
                let heard: Vec<_> = leavers.iter().map(|leaver| leaver.node.clone()).collect();
                let drain: Vec<_> =
                    others().filter(|other| draining[*other]).map(|other| format!("fe{other}")).collect();
                assert_eq!(heard, drain, "seed {seed}, node {node}");
                // A path that was proven before the network was changed counts for two hours.
                let partners = view.partners.get(&place).cloned().unwrap_or_default();
                for other in others() {
                    let is_partner = partners.contains(&address(other, family));
                    assert!(is_partner || lan.guarded.contains(&other), "seed {seed}, node {node}");
                }
                assert!(partners.len() <= others().count(), "seed {seed}, node {node}");
            }
        }
    }
}
