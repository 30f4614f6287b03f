//! What nodes can do for open connections, and the paths between them that probe frames prove.

use super::BOTH;
use super::lan::{Carrier, Datagram, Lan, address, link};
use std::collections::BTreeSet;
use std::net::IpAddr;
use vrrpd_core::channel::{Ability, ChannelInput, DrainAbilities};
use vrrpd_core::types::Family;
use vrrpd_core::wire::channel::ReportedState;

const DRAINS: DrainAbilities = DrainAbilities { drains: Ability::Able, forwards: Ability::Unable };
const FORWARDS: DrainAbilities = DrainAbilities { drains: Ability::Unable, forwards: Ability::Able };

fn of(nodes: &[usize]) -> BTreeSet<IpAddr> {
    nodes.iter().map(|node| address(*node, Family::Ipv4)).collect()
}

fn partners(lan: &Lan, node: usize) -> BTreeSet<IpAddr> {
    lan.drains(node).partners.remove(&(link(Family::Ipv4), 51)).unwrap_or_default()
}

fn relievable(lan: &Lan, node: usize) -> BTreeSet<IpAddr> {
    lan.drains(node).relievable.remove(&link(Family::Ipv4)).unwrap_or_default()
}

/// The probe frames that a node sent since the last call.
fn probes(lan: &mut Lan, node: usize) -> Vec<Datagram> {
    let is_probe =
        |one: &Datagram| one.carrier == Carrier::ProbeFrame && one.source == address(node, Family::Ipv4);
    std::mem::take(&mut lan.recorded).into_iter().filter(is_probe).collect()
}

/// Nodes in IPv4 that have heard one another, and can do this.
fn able(abilities: &[DrainAbilities]) -> Lan {
    let mut lan = Lan::of(&[Family::Ipv4], abilities.len());
    lan.run(5_000);
    for (node, abilities) in abilities.iter().enumerate() {
        lan.local[node].abilities = *abilities;
        lan.tell(node);
    }
    lan
}

#[test]
fn the_node_that_forwards_proves_the_path_to_the_node_that_drains() {
    let mut lan = able(&[DRAINS, FORWARDS]);
    lan.run(200);
    assert_eq!((partners(&lan, 0), relievable(&lan, 1)), (of(&[1]), of(&[0])), "within some milliseconds");
    assert_eq!((partners(&lan, 1), relievable(&lan, 0)), (of(&[]), of(&[])));
    let recorded = lan.recorded.clone();
    assert_eq!((probes(&mut lan, 0).len(), recorded.len() > 10), (0, true));
    lan.recorded = recorded;
    assert_eq!(probes(&mut lan, 1).len(), 1);
    assert_eq!(lan.outlook(0), Ok("fe1".to_owned()));
}

/// Of three nodes the first is Active, and the second is the better one of the others.
#[test]
fn a_backup_knows_how_many_would_win_the_election_against_it() {
    let mut lan = Lan::of(&[Family::Ipv4], 3);
    let ahead = |lan: &Lan| {
        let place = (link(Family::Ipv4), 51);
        [1, 2].map(|node| match &lan.nodes[node] {
            Some(_) => lan.drains(node).better_backups.get(&place).copied().unwrap_or_default(),
            None => 0,
        })
    };
    lan.run(5_000);
    assert_eq!(ahead(&lan), [0, 1], "the priority decides, and the Active is not one of them");
    lan.change(2, |report| report.priority = 150);
    lan.run(200);
    assert_eq!(ahead(&lan), [1, 0], "of equal priorities the address decides");
    lan.change(2, |report| report.obstacle = Some("check nginx fails".to_owned()));
    lan.run(200);
    assert_eq!(ahead(&lan), [0, 0], "it would not take over");
    lan.change(2, |report| report.obstacle = None);
    lan.run(200);
    assert_eq!(ahead(&lan), [1, 0]);
    lan.nodes[2] = None;
    lan.run(5_000);
    assert_eq!(ahead(&lan)[0], 0, "it is silent");
}

#[test]
fn nodes_that_can_do_nothing_say_nothing_about_it() {
    let mut lan = able(&[DrainAbilities::default(), DrainAbilities::default()]);
    lan.recorded.clear();
    lan.run(2_000);
    assert_eq!(lan.recorded.len(), 4, "two reports of each");
    let mut able = able(&[DRAINS, FORWARDS]);
    able.run(1_000);
    able.recorded.clear();
    able.local[1].abilities = DrainAbilities::default();
    able.tell(1);
    able.run(100);
    assert_eq!(partners(&able, 0), of(&[]), "it is said at once, and once");
    able.recorded.clear();
    able.run(4_000);
    let said = |node| able.recorded.iter().filter(|one| one.source == address(node, Family::Ipv4)).count();
    assert_eq!((said(0), said(1)), (8, 4));
}

#[test]
fn a_network_that_drops_foreign_addresses_makes_no_partners_and_the_outlook_says_why() {
    let mut lan = able(&[DRAINS, FORWARDS]);
    lan.guarded.insert(1);
    lan.start(1);
    lan.run(60_000);
    assert_eq!((partners(&lan, 0), relievable(&lan, 1)), (of(&[]), of(&[])));
    let why = "fe1 would take over, and no frame with a foreign source address has arrived from it on eth0 \
               in ipv4, so that the network may drop what it passes on (port security)";
    assert_eq!(lan.outlook(0), Err(why.to_owned()));
    let often = probes(&mut lan, 1).len();
    assert!((16..=18).contains(&often), "{often} in the first minute");
    lan.run(600_000);
    let seldom = probes(&mut lan, 1).len();
    assert!((9..=11).contains(&seldom), "{seldom} in ten minutes");
    // Somebody allows it.
    lan.guarded.clear();
    lan.run(61_000);
    assert_eq!((partners(&lan, 0), lan.outlook(0)), (of(&[1]), Ok("fe1".to_owned())));
}

#[test]
fn a_proof_is_one_of_a_session() {
    let mut lan = able(&[DRAINS, FORWARDS]);
    lan.run(1_000);
    lan.guarded.insert(1);
    lan.start(1);
    lan.run(1_000);
    assert_eq!(partners(&lan, 0), of(&[]), "the host may be another one now");
    lan.guarded.clear();
    lan.run(5_000);
    assert_eq!(partners(&lan, 0), of(&[1]));
    lan.start(0);
    lan.run(1_500);
    assert_eq!((partners(&lan, 0), relievable(&lan, 1)), (of(&[1]), of(&[0])), "it is probed at once");
}

#[test]
fn a_recorded_probe_proves_nothing() {
    let mut lan = able(&[DRAINS, FORWARDS]);
    lan.run(1_000);
    let probe = probes(&mut lan, 1).remove(0);
    lan.guarded.insert(1);
    // The session that it was for has ended.
    lan.start(0);
    lan.run(1_500);
    lan.deliver(&probe);
    lan.run(1_000);
    assert_eq!(partners(&lan, 0), of(&[]));
    // The session that wrote it has ended.
    let probe = probes(&mut lan, 1).remove(0);
    lan.start(1);
    lan.run(3_000);
    lan.deliver(&probe);
    lan.run(1_000);
    assert_eq!(partners(&lan, 0), of(&[]));
    // It never was in a frame of its own.
    let probe = probes(&mut lan, 1).remove(0);
    lan.deliver(&Datagram { carrier: Carrier::Datagram, ..probe.clone() });
    lan.run(1_000);
    assert_eq!(partners(&lan, 0), of(&[]));
    // On another link than the one that it was heard on, and from nobody.
    for octets in [&probe.octets[..], b"", b"VRC\x01", &probe.octets[..50]] {
        lan.input(0, ChannelInput::ProbeHeard { link: link(Family::Ipv6), octets });
        lan.input(
            0,
            ChannelInput::ProbeHeard { link: link(Family::Ipv4), octets: &octets[..octets.len() / 2] },
        );
    }
    lan.events.clear();
    lan.run(1_000);
    assert_eq!((partners(&lan, 0), lan.kinds()), (of(&[]), vec![]), "nothing is told of it");
    // An old datagram in a probe frame is a datagram in a wrong place.
    let is_report =
        |one: &&Datagram| one.carrier == Carrier::Datagram && one.source == address(1, Family::Ipv4);
    let report = lan.recorded.iter().rfind(is_report).unwrap().clone();
    lan.deliver(&Datagram { carrier: Carrier::ProbeFrame, to: Some(address(0, Family::Ipv4)), ..report });
    lan.run(100);
    assert_eq!(partners(&lan, 0), of(&[]));
    // The frame itself, for the first time.
    lan.deliver(&probe);
    lan.run(100);
    assert_eq!(partners(&lan, 0), of(&[1]));
}

#[test]
fn a_probe_counts_once_and_for_the_node_that_it_was_written_for() {
    let mut lan = able(&[DRAINS, FORWARDS, DRAINS]);
    lan.guarded.insert(1);
    lan.run(1_000);
    let (of_fe0, of_fe2): (Vec<_>, Vec<_>) =
        probes(&mut lan, 1).into_iter().partition(|probe| probe.to == Some(address(0, Family::Ipv4)));
    lan.input(0, ChannelInput::ProbeHeard { link: link(Family::Ipv4), octets: &of_fe2[0].octets });
    assert_eq!(partners(&lan, 0), of(&[]));
    lan.deliver(&of_fe0[0]);
    assert_eq!(partners(&lan, 0), of(&[1]));
    // What was proven on a link ends with the link.
    let before = std::mem::take(&mut lan.local[0].links);
    lan.tell(0);
    lan.local[0].links = before;
    lan.tell(0);
    lan.run(1_200);
    lan.deliver(&of_fe0[0]);
    assert_eq!(partners(&lan, 0), of(&[]), "it has been seen");
    let next = probes(&mut lan, 1).into_iter().rfind(|probe| probe.to == Some(address(0, Family::Ipv4)));
    lan.deliver(&next.unwrap());
    assert_eq!(partners(&lan, 0), of(&[1]));
}

#[test]
fn a_node_that_does_not_drain_any_more_is_not_taken_over_from() {
    let mut lan = able(&[DRAINS, FORWARDS]);
    lan.run(1_000);
    assert_eq!(relievable(&lan, 1), of(&[0]));
    lan.local[0].abilities = FORWARDS;
    lan.tell(0);
    lan.run(100);
    assert_eq!((relievable(&lan, 1), partners(&lan, 0)), (of(&[]), of(&[])));
    lan.recorded.clear();
    lan.run(3_600_000 / 60);
    assert_eq!(probes(&mut lan, 1).len(), 0);
}

#[test]
fn a_long_suspend_ends_no_proof() {
    let mut lan = able(&[DRAINS, FORWARDS]);
    lan.run(1_000);
    let mut paused: Vec<_> = lan.nodes.iter_mut().map(Option::take).collect();
    lan.run(3 * 3_600_000);
    lan.nodes[0] = paused[0].take();
    lan.input(0, ChannelInput::Deadline);
    assert_eq!(partners(&lan, 0), of(&[1]));
    lan.run(2_000);
    assert_eq!(partners(&lan, 0), of(&[1]));
    lan.nodes[1] = paused[1].take();
    lan.run(2_000);
    assert_eq!((partners(&lan, 0), relievable(&lan, 1)), (of(&[1]), of(&[0])));
}

#[test]
fn the_outlook_is_about_the_node_that_would_take_over() {
    let both = DrainAbilities { drains: Ability::Able, forwards: Ability::Able };
    let mut lan = Lan::of(&BOTH, 3);
    lan.run(5_000);
    let err = |lan: &Lan, node| lan.outlook(node).unwrap_err();
    assert_eq!(err(&lan, 0), "this node does not keep open connections when it gives the addresses away");
    assert_eq!(err(&lan, 1), "this node does not serve this virtual router");
    for (node, abilities) in [(0, both), (1, DRAINS), (2, both)] {
        lan.local[node].abilities = abilities;
        lan.tell(node);
    }
    lan.run(1_000);
    assert_eq!(err(&lan, 0), "fe1 would take over, and does not pass on packets of open connections");
    // The election decides, and whether a node can serve at all.
    lan.change(2, |report| report.priority = 160);
    lan.run(100);
    assert_eq!(lan.outlook(0), Ok("fe2".to_owned()));
    lan.change(2, |report| report.priority = 150);
    lan.run(100);
    assert_eq!(lan.outlook(0), Ok("fe2".to_owned()), "the greater address");
    lan.change(2, |report| report.obstacle = Some("check nginx fails".to_owned()));
    lan.run(100);
    assert!(err(&lan, 0).starts_with("fe1 would"));
    lan.local[2].links.get_mut(&link(Family::Ipv6)).unwrap().routers.clear();
    lan.change(2, |report| report.obstacle = None);
    lan.run(100);
    assert!(err(&lan, 0).starts_with("fe1 would"), "a node that could take over one family only");
    lan.change(1, |report| report.state = ReportedState::Initialize);
    lan.change(1, |report| report.obstacle = Some("check nginx fails".to_owned()));
    lan.run(100);
    assert_eq!(err(&lan, 0), "no other node that shares the key of this one would take over");
    lan.local[0].links.clear();
    lan.tell(0);
    assert_eq!(err(&lan, 0), "this node does not have this virtual router");
}
