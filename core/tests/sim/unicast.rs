//! Nodes that are listed (docs/operations.md, "Without multicast"): whole meshes, in which nothing is lost
//! that is not lost with multicast, and meshes in which a direction is cut or a node is missing in a list.

use crate::lab::{BOTH, DELAY, Lab, V4, every, ms, node, patient, secs, watching};
use std::time::Duration;
use vrrpd_core::protocol::{CheckResult, DemoteOutcome, Fault, Force, StateName, Track};
use vrrpd_core::sim::Port;
use vrrpd_core::sim::audience::{Audience, StationList};
use vrrpd_core::sim::connections::{ConnectionSetup, Partners, Strictness};
use vrrpd_core::sim::lan::Path;
use vrrpd_core::sim::node::{Host, NodeSetup};
use vrrpd_core::sim::peer::{PeerSetup, PeerVariant};
use vrrpd_core::sim::script::{Act, Leftovers, Source, SpecChange};
use vrrpd_core::sim::speech::Speech;
use vrrpd_core::sim::world::StationSetup;
use vrrpd_core::types::{AdverInterval, AdvertPriority, Authentication, Family, Preempt};
use vrrpd_core::wire::ChecksumFlavour;

const V6: &[Family] = &[Family::Ipv6];
/// Skew_Time of priority 100 in VRRPv2: (256 − 100) / 256 seconds (RFC 3768 §6.1).
const SKEW_OF_100: Duration = Duration::from_micros(609_375);
/// Active_Down_Interval of priority 100: three intervals and 156/256 of one (RFC 9568 §6.1).
const DOWN_OF_100: Duration = Duration::from_micros(3_609_375);
/// What the kernel and the LAN take on top.
const SOON: Duration = Duration::from_millis(30);

/// The addresses that [`Lab::new`] gives to the station at this place.
fn host(at: usize) -> Host {
    let number = u8::try_from(at + 1).unwrap();
    Host { v4: number, v6: u16::from(number) }
}

/// The list of the stations at these places.
fn list(places: impl IntoIterator<Item = usize>) -> Audience {
    Audience::Listed(StationList::new(places.into_iter().map(host)))
}

/// The same list for all of these nodes, with their own address in it.
fn mesh(nodes: &[NodeSetup]) -> Vec<NodeSetup> {
    let audience = list(0..nodes.len());
    nodes.iter().map(|setup| NodeSetup { audience, ..setup.clone() }).collect()
}

fn settled(families: &[Family], nodes: &[NodeSetup]) -> Lab {
    Lab::settled(families, mesh(nodes))
}

/// Lets time pass, and looks at every millisecond whether somebody holds the addresses.
fn run_without_a_gap(lab: &mut Lab, millis: u64) {
    for at in 0..millis {
        lab.run(ms(1));
        assert!(!lab.holders().is_empty(), "after {at} ms\n{}", lab.world.trace().text(60));
    }
}

fn handed_over(lab: &Lab, at: usize) -> Duration {
    match lab.outcome(at) {
        Some(DemoteOutcome::HandedOver { after, .. }) => after,
        other => panic!("{other:?}\n{}", lab.world.trace().text(60)),
    }
}

fn send_to(lab: &mut Lab, at: usize, audience: Audience) {
    lab.act(Act::Reconfigure(Port(at), SpecChange::Audience(audience)));
}

/// Whether a node has said that it has heard nobody, or still lists somebody as never heard.
fn has_never_heard(lab: &Lab, at: usize, other: usize) -> bool {
    let peer = host(other).address(lab.world.families()[0]);
    let instance = lab.instance(at);
    instance.destinations.contains(&peer) && !instance.peers.iter().any(|known| known.address == peer)
}

const PRIORITIES: [u8; 4] = [200, 150, 100, 50];

/// What is asked of it follows a multicast pair: the successor is the same, and as quick.
#[test]
fn a_demotion_and_the_return_lose_nothing_in_a_mesh_of_two_three_and_four() {
    for families in [V4, V6, BOTH] {
        for count in 2..=4 {
            let nodes: Vec<NodeSetup> = PRIORITIES[..count].iter().map(|priority| node(*priority)).collect();
            let mut lab = settled(families, &nodes);
            assert_eq!(lab.actives(), [0]);
            lab.demote(0);
            run_without_a_gap(&mut lab, 100);
            assert!(handed_over(&lab, 0) < ms(20), "{count}: {:?}", handed_over(&lab, 0));
            assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
            lab.act(Act::Promote(Port(0)));
            run_without_a_gap(&mut lab, 8000);
            assert_eq!((lab.actives(), lab.holders()), (vec![0], vec![0]), "it preempts");
            lab.settle();
        }
    }
}

/// RFC3768-6.1-1: the Skew_Time of the successor.
#[test]
fn a_demotion_in_version_2_takes_the_skew_time_of_the_successor() {
    for families in [V4, BOTH] {
        let v2 = |priority| NodeSetup { speech: Speech::V2, ..node(priority) };
        let mut lab = settled(families, &[v2(200), v2(100), v2(50)]);
        lab.demote(0);
        run_without_a_gap(&mut lab, 700);
        let after = handed_over(&lab, 0);
        assert!(after >= SKEW_OF_100 && after < SKEW_OF_100 + SOON, "{after:?}");
        assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
        lab.settle();
    }
}

#[test]
fn a_stop_a_failing_check_and_a_start_lose_nothing() {
    for count in 2..=4 {
        let nodes = PRIORITIES[..count].iter().map(|priority| watching(node(*priority), Track::fault));
        let mut lab = settled(BOTH, &nodes.collect::<Vec<_>>());
        lab.act(Act::Stop(Port(0)));
        run_without_a_gap(&mut lab, 200);
        assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
        lab.act(Act::Start(Port(0)));
        run_without_a_gap(&mut lab, 8000);
        assert_eq!((lab.actives(), lab.holders()), (vec![0], vec![0]));
        lab.act(Act::Check(Port(0), CheckResult::Failing));
        run_without_a_gap(&mut lab, 500);
        assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
        lab.settle();
    }
}

/// RFC 9568 §6.4.2: the best of those that are left takes over after its Active_Down_Interval.
#[test]
fn after_a_crash_the_best_takes_over_in_its_own_time() {
    for count in 2..=4 {
        let mut nodes = vec![node(200), node(100)];
        nodes.resize(count, node(50));
        let mut lab = settled(V4, &nodes);
        lab.act(Act::Crash(Port(0), Leftovers::Nothing));
        lab.run(DOWN_OF_100 - secs(1));
        assert_eq!(lab.actives(), [0_usize; 0], "not before");
        lab.run(secs(1) + SOON);
        assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
        lab.settle();
    }
}

#[test]
fn one_that_does_not_preempt_comes_back_as_backup() {
    let mut lab = settled(BOTH, &[patient(200), node(150), node(100)]);
    lab.demote(0);
    lab.run(secs(1));
    lab.act(Act::Promote(Port(0)));
    run_without_a_gap(&mut lab, 8000);
    assert_eq!((lab.actives(), lab.state(0)), (vec![1], StateName::Backup));
}

/// A router of another make that sends to its list and drops what comes from others, as keepalived does
/// with `check_unicast_src`.
#[test]
fn a_router_of_another_make_takes_over_and_gives_back() {
    for (variant, most) in [
        // Its own Skew_Time, after the second round.
        (PeerVariant::OwnInterval, ms(900)),
        (PeerVariant::Rfc3768(Authentication::None), ms(700)),
        (PeerVariant::Rfc9568, ms(40)),
    ] {
        let speech = match variant {
            PeerVariant::Rfc3768(_) => Speech::V2,
            PeerVariant::Rfc9568 | PeerVariant::OwnInterval | PeerVariant::WholeCentiseconds => {
                Speech::default()
            }
        };
        let audience = list(0..2);
        let ours = NodeSetup { host: host(0), audience, speech, ..node(200) };
        let peer = PeerSetup {
            source: host(1).address(Family::Ipv4),
            priority: AdvertPriority::from_wire(100),
            preempt: Preempt::Allow,
            interval: AdverInterval::default(),
            variant,
            checksum: ChecksumFlavour::Rfc9568,
            audience,
        };
        let mut lab = Lab::of(V4, vec![StationSetup::Ours(ours), StationSetup::Foreign(host(1), peer)]);
        (0..2).for_each(|at| lab.act(Act::Start(Port(at))));
        lab.faults_end();
        lab.settle();
        assert_eq!(lab.actives(), [0]);
        lab.demote(0);
        run_without_a_gap(&mut lab, 1000);
        assert!(handed_over(&lab, 0) < most, "{variant:?}: {:?}", handed_over(&lab, 0));
        assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]), "{variant:?}");
        lab.act(Act::Promote(Port(0)));
        lab.settle();
        assert_eq!((lab.actives(), lab.holders()), (vec![0], vec![0]), "{variant:?}");
    }
}

/// What the Active sends arrives, and what the other one would say does not: as long as this one serves
/// nobody notices, and it refuses to hand over, because it does not hear the successor.
#[test]
fn with_a_cut_towards_the_active_it_says_that_it_hears_nobody_and_a_demotion_is_refused() {
    let mut lab = Lab::new(V4, mesh(&[node(200), node(100)]));
    lab.act(Act::Path(Port(1), Port(0), Path::Blocked));
    (0..2).for_each(|at| lab.act(Act::Start(Port(at))));
    lab.run(secs(30));
    assert_eq!((lab.actives(), lab.holders()), (vec![0], vec![0]));
    assert!(has_never_heard(&lab, 0, 1) && !has_never_heard(&lab, 1, 0));
    assert!(lab.world.trace().text(usize::MAX).contains("NoPeerHeard"));
    lab.demote(0);
    run_without_a_gap(&mut lab, 20_000);
    assert!(matches!(lab.outcome(0), Some(DemoteOutcome::Refused { .. })), "{:?}", lab.outcome(0));
    lab.act(Act::Promote(Port(0)));
    lab.act(Act::Path(Port(1), Port(0), Path::Open));
    lab.faults_end();
    lab.settle();
    assert_eq!(lab.actives(), [0]);
    lab.demote(0);
    run_without_a_gap(&mut lab, 100);
    assert!(lab.world.trace().text(usize::MAX).contains("PeerHeard {"), "it is heard now");
    assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
}

/// The Backup hears nobody, so both serve; each of the others that hears both obeys the better one. When
/// the cut is over one is left, at once.
#[test]
fn with_a_cut_away_from_the_active_both_serve_until_it_is_over() {
    for count in 2..=4 {
        let nodes: Vec<NodeSetup> = PRIORITIES[..count].iter().map(|priority| node(*priority)).collect();
        let mut lab = settled(BOTH, &nodes);
        lab.act(Act::FaultsBegin);
        lab.act(Act::Path(Port(0), Port(1), Path::Blocked));
        lab.run(secs(10));
        assert_eq!(lab.actives(), [0, 1], "{count}");
        lab.faults_end();
        lab.settle();
        assert_eq!(lab.actives(), [0, 1], "{count}: the others obey");
        lab.act(Act::FaultsBegin);
        lab.act(Act::Path(Port(0), Port(1), Path::Open));
        lab.run(secs(1) + DELAY * 10);
        assert_eq!(lab.actives(), [0], "{count}: at the next advertisement");
        lab.faults_end();
        lab.settle();
        assert_eq!(lab.holders(), [0], "{count}");
    }
}

/// The first two do not hear each other, whoever of them lacks the other in its list: the one that is
/// listed drops what the other says, and is not sent anything.
#[test]
fn where_a_list_lacks_a_node_both_serve_and_both_say_why_until_it_is_mended() {
    for careless in [0, 1] {
        for count in 2..=4 {
            let nodes: Vec<NodeSetup> = PRIORITIES[..count].iter().map(|priority| node(*priority)).collect();
            let mut nodes = mesh(&nodes);
            nodes[careless].audience = list((0..count).filter(|at| *at != 1 - careless));
            let mut lab = Lab::new(V4, nodes);
            (0..count).for_each(|at| lab.act(Act::Start(Port(at))));
            lab.faults_end();
            lab.settle();
            let (fault, told) = (lab.router(careless).faults, lab.world.trace().text(usize::MAX));
            if count == 2 {
                // With nobody else in the list that is a fault, and this node does not serve.
                assert!(matches!(fault[..], [Fault::NoUnicastPeer(..)]), "{fault:?}");
                assert_eq!(lab.actives(), [1 - careless]);
            } else {
                assert_eq!(lab.actives(), [0, 1], "{careless} of {count}");
                assert!(told.contains("UnknownSenders"), "{told}");
            }
            assert!(told.contains("NoPeerHeard"), "{told}");
            send_to(&mut lab, careless, list(0..count));
            lab.settle();
            assert_eq!((lab.actives(), lab.holders()), (vec![0], vec![0]), "{careless} of {count}");
        }
    }
}

/// docs/operations.md: change all nodes together, because a node with a list and one without do not hear
/// each other. Meanwhile each serves, and nobody is without the service.
#[test]
fn a_pair_moves_to_lists_one_node_after_the_other_and_back() {
    for families in [V4, BOTH] {
        for first in [0, 1] {
            let mut lab = Lab::settled(families, vec![every(20, node(200)), every(20, node(100))]);
            for audience in [list(0..2), Audience::Group] {
                send_to(&mut lab, first, audience);
                run_without_a_gap(&mut lab, 2000);
                assert_eq!(lab.actives(), [0, 1], "they do not hear each other");
                send_to(&mut lab, 1 - first, audience);
                run_without_a_gap(&mut lab, 250);
                assert_eq!((lab.actives(), lab.holders()), (vec![0], vec![0]), "one interval later");
                let transitions = lab.instance(0).counters.active_transitions;
                assert_eq!(transitions, 1, "a reload keeps the state");
            }
        }
    }
}

/// With the other node demoted first, as docs/vrrpv2.md says for another version, no moment has two.
#[test]
fn with_a_demotion_before_it_the_move_to_lists_never_has_two_actives() {
    let mut lab = Lab::settled(BOTH, vec![every(20, node(200)), every(20, node(100))]);
    for act in [
        Act::Demote(Port(1), Force::No),
        Act::Reconfigure(Port(1), SpecChange::Audience(list(0..2))),
        Act::Reconfigure(Port(0), SpecChange::Audience(list(0..2))),
        Act::Promote(Port(1)),
    ] {
        lab.act(act);
        for _ in 0..1500 {
            lab.run(ms(1));
            assert_eq!((lab.actives(), lab.holders()), (vec![0], vec![0]));
        }
    }
    assert_eq!(lab.state(1), StateName::Backup);
}

/// Without its address nothing reaches a node that is listed. When the address is back it listens before
/// it takes over, as after a link that was away (docs/failover.md).
#[test]
fn a_backup_whose_address_was_away_for_a_moment_does_not_take_over() {
    for families in [V4, V6, BOTH] {
        for (phase, away) in [(0, 1500), (0, 2990), (300, 2990), (600, 2990), (900, 2990), (950, 2500)] {
            let mut lab = settled(families, &[node(200), node(150)]);
            lab.act(Act::FaultsBegin);
            let sent = lab.instance(0).counters.advertisement_sent;
            while lab.instance(0).counters.advertisement_sent == sent {
                lab.run(ms(1));
            }
            lab.run(ms(phase));
            lab.act(Act::Source(Port(1), Source::Absent));
            lab.run(ms(away));
            lab.act(Act::Source(Port(1), Source::Present));
            lab.run(secs(5));
            let taken_over = lab.instance(1).counters.active_transitions;
            assert_eq!(taken_over, 0, "{families:?}: {away} ms, {phase} ms after an advertisement");
        }
    }
}

/// docs/operations.md: draining is the same as with multicast.
#[test]
fn open_connections_outlive_a_demotion_and_the_way_back() {
    let planned = ConnectionSetup {
        partners: Partners::All,
        strictness: Strictness::NothingIsReset,
        least_pause: ms(20),
        most_pause: ms(120),
    };
    let drains = |priority| NodeSetup { drain: secs(600), ..node(priority) };
    let mut lab = Lab::new(BOTH, mesh(&[drains(200), drains(150), drains(100)]));
    lab.world.simulate_connections(planned);
    (0..3).for_each(|at| lab.act(Act::Start(Port(at))));
    lab.faults_end();
    lab.settle();
    for _ in 0..3 {
        lab.demote(0);
        lab.run(secs(4));
        assert_eq!(lab.actives(), [1]);
        lab.act(Act::Promote(Port(0)));
        lab.run(secs(8));
        assert_eq!(lab.actives(), [0]);
    }
    let totals = lab.world.connection_totals();
    assert_eq!((totals.reset, totals.reset_by_drain), (0, 0), "{totals:?}");
    assert!(totals.drains >= 6 && totals.ended > 50, "{totals:?}");
}
