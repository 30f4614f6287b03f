//! What nodes tell one another beside VRRP: several ends of the channel on a LAN with faults, and
//! with somebody who records and replays.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

mod drains;
mod format;
mod hostile;
mod lan;
mod paths;
mod takes;

use lan::{Lan, address, key_of, link, report, web};
use std::net::IpAddr;
use std::time::Duration;
use vrrpd_core::channel::{Channel, ChannelEvent, ChannelInput, NodePresence, SettingDifference};
use vrrpd_core::sim::rng::Rng;
use vrrpd_core::types::Family;
use vrrpd_core::wire::channel::{ChannelReject, ReportedState, SessionId, TakeAnswer};

const BOTH: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// Two nodes that have heard each other.
pub(crate) fn pair() -> Lan {
    let mut lan = Lan::of(&BOTH, 2);
    lan.run(5_000);
    lan.events.clear();
    lan
}

#[test]
fn nodes_that_share_a_key_hear_each_other_within_a_second_and_a_half() {
    let mut lan = Lan::of(&BOTH, 3);
    lan.run(1_500);
    for node in 0..3 {
        let names: Vec<_> = lan.view(node).nodes.into_iter().map(|node| node.name).collect();
        let others: Vec<_> = (0..3).filter(|other| *other != node).map(|n| format!("fe{n}")).collect();
        assert_eq!(names, others);
        assert_eq!(lan.is_redundant(node), None, "others may report yet");
    }
    let mut kinds = lan.kinds();
    kinds.sort_unstable();
    assert_eq!(kinds, [0, 0, 1, 1, 2, 2].map(|node| (node, "heard")));
    lan.run(4_000);
    assert_eq!((0..3).map(|node| lan.is_redundant(node)).collect::<Vec<_>>(), [Some(true); 3]);
    let standbys = lan.redundancy(0).unwrap().standbys;
    let first = standbys.first().unwrap();
    assert_eq!((&*first.node, first.priority, first.address), ("fe1", 150, address(1, Family::Ipv4)));
    assert_eq!(lan.kinds(), []);
}

#[test]
fn a_node_alone_says_after_a_while_that_nobody_would_take_over() {
    let mut lan = Lan::of(&[Family::Ipv4], 1);
    lan.run(5_900);
    assert_eq!((lan.kinds(), lan.is_redundant(0)), (vec![], Some(false)));
    lan.run(200);
    assert_eq!(lan.news(), [(0, ChannelEvent::RedundancyLost { router: web(), why: vec![] })]);
    lan.run(60_000);
    assert_eq!(lan.kinds(), [], "once");
}

#[test]
fn a_backup_that_dies_is_missed_and_one_that_comes_back_is_welcome() {
    let mut lan = pair();
    lan.nodes[1] = None;
    lan.run(7_500);
    let news = lan.news();
    assert!(matches!(&news[0], (0, ChannelEvent::NodeSilent { node, .. }) if node == "fe1"), "{news:?}");
    let why = vec![("fe1".to_owned(), "it has not been heard for 6 s".to_owned())];
    assert_eq!(news[1..], [(0, ChannelEvent::RedundancyLost { router: web(), why })]);
    assert_eq!(lan.is_redundant(0), Some(false));
    lan.start(1);
    lan.run(5_000);
    let back = ChannelEvent::RedundancyBack { router: web(), node: "fe1".to_owned() };
    let news = lan.news();
    assert_eq!(news.iter().filter(|(node, _)| *node == 0).nth(1), Some(&(0, back)), "{news:?}");
}

#[test]
fn a_backup_with_an_obstacle_is_no_redundancy_and_its_reason_is_told() {
    let mut lan = pair();
    lan.change(1, |report| {
        report.state = ReportedState::Initialize;
        report.obstacle = Some("check nginx fails".to_owned());
    });
    lan.run(1_900);
    assert_eq!((lan.kinds(), lan.is_redundant(0)), (vec![], Some(false)));
    lan.run(200);
    let why = vec![("fe1".to_owned(), "check nginx fails".to_owned())];
    assert_eq!(lan.news(), [(0, ChannelEvent::RedundancyLost { router: web(), why })]);
    assert_eq!(lan.is_redundant(1), Some(false), "fe1 knows it as well");
    lan.change(1, |state| *state = report(ReportedState::Backup, 150));
    lan.run(100);
    assert_eq!(lan.kinds(), [(0, "back")], "at once, and not with the report of the next second");
}

#[test]
fn a_router_that_moves_is_redundant_all_the_time() {
    let mut lan = pair();
    lan.change(1, |report| report.state = ReportedState::Active);
    assert_eq!(lan.is_redundant(1), Some(true), "fe0 has not reported its new state yet");
    lan.run(20);
    lan.change(0, |report| report.state = ReportedState::Backup);
    lan.run(5_000);
    assert_eq!((lan.kinds(), lan.is_redundant(0), lan.is_redundant(1)), (vec![], Some(true), Some(true)));
}

#[test]
fn a_node_that_has_only_one_of_two_families_would_not_take_over() {
    let mut lan = pair();
    lan.local[1].links.remove(&link(Family::Ipv6));
    lan.tell(1);
    lan.run(10_000);
    assert_eq!(lan.is_redundant(0), Some(false));
    let why = "it does not have this virtual router in ipv6".to_owned();
    assert_eq!(lan.redundancy(0).unwrap().standbys[0].obstacle, Some(why));
}

#[test]
fn a_node_that_stops_says_so_and_nothing_after_it() {
    let mut lan = pair();
    lan.input(1, ChannelInput::Farewell);
    lan.run(100);
    assert!(matches!(&lan.news()[..], [(0, ChannelEvent::NodeLeft { node, .. })] if node == "fe1"));
    let sent = lan.sent;
    lan.tell(1);
    lan.input(1, ChannelInput::Deadline);
    assert_eq!((lan.sent, lan.nodes[1].as_ref().unwrap().wakes_at()), (sent, None));
    lan.nodes[1] = None;
    lan.run(3_000);
    let why =
        vec![("fe1".to_owned(), "it has left: vrrpd was stopped there, or has another key now".to_owned())];
    assert_eq!(lan.news(), [(0, ChannelEvent::RedundancyLost { router: web(), why })]);
}

/// The machine is suspended, or the process stopped: what the others said waits in the sockets.
#[test]
fn a_node_that_was_paused_does_not_take_the_others_for_silent() {
    let mut lan = pair();
    let paused = lan.nodes[0].take();
    lan.run(10_000);
    lan.events.clear();
    lan.nodes[0] = paused;
    lan.input(0, ChannelInput::Deadline);
    assert_eq!(lan.kinds(), []);
    lan.run(3_000);
    let of_fe0: Vec<_> = lan.kinds().into_iter().filter(|(node, _)| *node == 0).collect();
    assert_eq!((of_fe0, lan.is_redundant(0)), (vec![], Some(true)));
}

#[test]
fn a_node_that_starts_again_is_one_node_and_not_two() {
    let mut lan = pair();
    for _ in 0..3 {
        lan.start(1);
        lan.run(6_000);
    }
    assert_eq!(lan.view(0).nodes.len(), 1);
    let of_fe0: Vec<_> = lan.kinds().into_iter().filter(|(node, _)| *node == 0).collect();
    assert_eq!(of_fe0, [(0, "heard"); 3]);
}

#[test]
fn two_nodes_of_one_name_are_told_once() {
    let mut lan = Lan::of(&[Family::Ipv4], 3);
    lan.local[2].name = "fe1".to_owned();
    lan.tell(2);
    lan.run(30_000);
    let shared = |lan: &mut Lan| {
        lan.news().into_iter().filter(|(_, event)| matches!(event, ChannelEvent::NameShared { .. })).count()
    };
    assert!((3..=4).contains(&shared(&mut lan)), "fe0 of both, and both of each other");
    lan.run(30_000);
    assert_eq!(shared(&mut lan), 0);
}

#[test]
fn what_differs_is_said_once_on_both_sides_and_again_when_it_is_mended() {
    let mut lan = pair();
    lan.change(1, |report| {
        report.settings.interval_ms = 500;
        report.settings.addresses = vec!["192.0.2.51".parse().unwrap()];
        report.settings.address_digest = 8;
        report.settings.checks = vec!["haproxy".to_owned()];
    });
    lan.run(10_000);
    let news = lan.news();
    let of = |seen_by: usize| -> Vec<SettingDifference> {
        let mut of = Vec::new();
        for (node, event) in &news {
            if let ChannelEvent::Differs { router: Some(router), what, .. } = event
                && *node == seen_by
            {
                assert_eq!(*router, web());
                of.push(what.clone());
            }
        }
        of.sort();
        of.dedup();
        of
    };
    let (a, b) = ("192.0.2.50".parse().unwrap(), "192.0.2.51".parse().unwrap());
    assert_eq!(
        of(0),
        [
            SettingDifference::Addresses { only_here: vec![a], only_there: vec![b] },
            SettingDifference::Interval { here: Duration::from_secs(1), there: Duration::from_millis(500) },
            SettingDifference::Checks {
                only_here: vec!["nginx".to_owned()],
                only_there: vec!["haproxy".to_owned()]
            },
        ]
    );
    assert_eq!(of(1).len(), 3);
    assert_eq!(news.len(), 6, "the two families differ in the same way: {news:?}");
    lan.start(1);
    lan.run(10_000);
    let kinds: Vec<_> = lan.kinds().into_iter().filter(|(node, _)| *node == 0).collect();
    assert_eq!(kinds, [(0, "heard")], "a restart does not repeat them");
    lan.change(1, |state| *state = report(ReportedState::Backup, 150));
    lan.run(100);
    assert_eq!(lan.kinds().iter().filter(|kind| **kind == (0, "differs no more")).count(), 3);
    assert_eq!(lan.view(0).differences, []);
}

#[test]
fn a_name_with_two_vrids_and_two_versions_of_vrrpd_are_told() {
    let mut lan = pair();
    lan.local[1].software = "0.2.0".to_owned();
    lan.change(1, |report| report.vrid = 52);
    lan.run(100);
    let news = lan.news();
    let differs = |router, what| (0, ChannelEvent::Differs { router, node: "fe1".to_owned(), what });
    assert!(
        news.contains(&differs(Some(web()), SettingDifference::Vrid { here: 51, there: 52 })),
        "{news:?}"
    );
    let (here, there) = ("0.1.0".to_owned(), "0.2.0".to_owned());
    assert!(news.contains(&differs(None, SettingDifference::Software { here, there })), "{news:?}");
}

#[test]
fn another_key_is_told_once_and_tells_nothing() {
    let mut lan = Lan::of(&[Family::Ipv4], 2);
    let other = key_of(8);
    lan.nodes[1] = Some(Channel::new(SessionId([77; 16]), other));
    lan.under_way.clear();
    lan.tell(1);
    lan.run(30_000);
    assert_eq!(lan.view(0).nodes, []);
    let news = lan.news();
    let why = ChannelReject::Key;
    let expected = ChannelEvent::NotUnderstood { address: address(1, Family::Ipv4), why };
    assert_eq!(news.iter().filter(|(node, event)| *node == 0 && *event == expected).count(), 1, "{news:?}");
    assert_eq!(lan.is_redundant(0), Some(false));
}

#[test]
fn a_flood_of_strangers_is_told_a_few_times() {
    let mut lan = pair();
    for n in 0..=255_u8 {
        for octets in [&b"x"[..], b"VRC\x02", &[0; 1500]] {
            let source = IpAddr::from([198, 51, 100, n]);
            lan.input(0, ChannelInput::Received { link: link(Family::Ipv4), source, octets });
        }
    }
    let told = lan.kinds();
    assert!(told.len() <= 16 * 3, "{} events", told.len());
}

/// Somebody records everything that is sent and sends it again later: to everybody, any number of
/// times, also after nodes have started again. He does not have the key.
#[test]
fn replayed_messages_move_nothing_and_bring_nobody_back() {
    for seed in 0..40 {
        let mut lan = Lan::of(&BOTH, 3);
        lan.rng = Rng::new(seed);
        lan.loss = lan.rng.below(30);
        lan.run(6_000);
        lan.input(1, ChannelInput::Take { id: 9, router: web(), by: "alice".to_owned() });
        lan.run(3_000);
        let Some((_, request, _)) = lan.handovers.first().copied() else { continue };
        lan.input(0, ChannelInput::HandedOver(request, TakeAnswer::refusal("nobody took over")));
        lan.run(9_000);
        // fe2 is gone for good; fe0 may be another run.
        lan.nodes[2] = None;
        if lan.rng.below(2) == 0 {
            lan.start(0);
        }
        lan.run(70_000);
        let (handovers, recorded) = (lan.handovers.len(), lan.recorded.clone());
        lan.events.clear();
        for _ in 0..2_000 {
            let at = usize::try_from(lan.rng.below(recorded.len() as u64)).unwrap();
            let mut replayed = recorded[at].clone();
            if lan.rng.below(2) == 0 {
                replayed.to = None;
                replayed.source = "192.0.2.99".parse().unwrap();
            }
            lan.send(replayed);
            lan.run(5);
        }
        assert_eq!(lan.handovers.len(), handovers, "seed {seed}");
        for node in 0..2 {
            let view = lan.view(node);
            let fe2 = view.nodes.iter().find(|node| node.name == "fe2");
            assert!(fe2.is_none_or(|fe2| fe2.presence != NodePresence::Present), "seed {seed}");
            assert_eq!(lan.is_redundant(node), Some(true), "seed {seed}");
        }
        assert!(lan.events.is_empty(), "seed {seed}: {:?}", lan.events);
    }
}

/// Whatever is lost, started, stopped and changed: when it ends, everybody knows the truth within
/// a few seconds.
#[test]
fn after_any_disorder_the_nodes_agree_on_what_is_there() {
    for seed in 0..100 {
        let mut lan = Lan::of(&BOTH, 3);
        lan.rng = Rng::new(1_000 + seed);
        for _ in 0..30 {
            lan.loss = lan.rng.below(90);
            let node = usize::try_from(lan.rng.below(3)).unwrap();
            match lan.rng.below(6) {
                0 => lan.nodes[node] = None,
                1 => lan.start(node),
                2 => lan.change(node, |report| report.obstacle = Some("check nginx fails".to_owned())),
                3 => lan.change(node, |report| report.obstacle = None),
                4 => lan.input(node, ChannelInput::Take { id: 1, router: web(), by: "alice".to_owned() }),
                _ => {}
            }
            let ms = lan.rng.below(4_000);
            lan.run(ms);
        }
        lan.loss = 0;
        lan.run(10_000);
        for node in (0..3).filter(|node| lan.nodes[*node].is_some()) {
            let there: Vec<String> = (0..3)
                .filter(|other| *other != node && lan.nodes[*other].is_some())
                .map(|other| format!("fe{other}"))
                .collect();
            let view = lan.view(node);
            let seen: Vec<String> = view
                .nodes
                .iter()
                .filter(|seen| seen.presence == NodePresence::Present)
                .map(|seen| seen.name.clone())
                .collect();
            assert_eq!(seen, there, "seed {seed}, node {node}");
            for standby in &view.routers[&web()].standbys {
                let other: usize = standby.node.trim_start_matches("fe").parse().unwrap();
                let link = &lan.local[other].links[&link(Family::Ipv4)];
                assert_eq!(standby.obstacle, link.routers[0].obstacle, "seed {seed}");
            }
        }
    }
}
