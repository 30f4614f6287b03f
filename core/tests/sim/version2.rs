//! VRRPv2 (RFC 3768): our nodes, routers of other implementations, and LANs on which not all understand
//! one another (docs/vrrpv2.md).

use crate::lab::{BOTH, Lab, V4, every, ms, node, owner, secs, watching};
use std::time::Duration;
use vrrpd_core::protocol::{CheckResult, DemoteOutcome, StateName, Track};
use vrrpd_core::sim::Port;
use vrrpd_core::sim::audience::Audience;
use vrrpd_core::sim::lan::Path;
use vrrpd_core::sim::node::{Host, NodeSetup};
use vrrpd_core::sim::peer::{PeerSetup, PeerVariant};
use vrrpd_core::sim::script::{Act, Leftovers, SpecChange};
use vrrpd_core::sim::speech::Speech;
use vrrpd_core::sim::world::StationSetup;
use vrrpd_core::types::{AdverInterval, AdvertPriority, Authentication, Family, Preempt, Version};
use vrrpd_core::wire::ChecksumFlavour;

/// Skew_Time of priority 100: (256 − 100) / 256 seconds (RFC 3768 §6.1).
const SKEW_OF_100: Duration = Duration::from_micros(609_375);
/// What the kernel and the LAN take on top.
const SOON: Duration = Duration::from_millis(30);

fn with_password(text: &str) -> Speech {
    Speech { version: Version::V2, authentication: Authentication::Password(text.parse().unwrap()) }
}

fn speaking(speech: Speech, setup: NodeSetup) -> NodeSetup {
    NodeSetup { speech, ..setup }
}

fn v2(setup: NodeSetup) -> NodeSetup {
    speaking(Speech::V2, setup)
}

fn handed_over(lab: &Lab, at: usize) -> Duration {
    match lab.outcome(at) {
        Some(DemoteOutcome::HandedOver { after, .. }) => after,
        other => panic!("{other:?}\n{}", lab.world.trace().text(60)),
    }
}

/// Lets time pass, and looks at every millisecond whether somebody holds the addresses.
fn run_without_a_gap(lab: &mut Lab, millis: u64) {
    for at in 0..millis {
        lab.run(ms(1));
        assert!(!lab.holders().is_empty(), "after {at} ms\n{}", lab.world.trace().text(60));
    }
}

/// A router of another implementation at the second place, beside one of ours.
fn beside_a_peer(ours: NodeSetup, priority: u8, authentication: Authentication) -> Lab {
    let host = Host { v4: 2, v6: 2 };
    let peer = PeerSetup {
        source: host.address(Family::Ipv4),
        priority: AdvertPriority::from_wire(priority),
        preempt: Preempt::Allow,
        interval: AdverInterval::default(),
        variant: PeerVariant::Rfc3768(authentication),
        audience: Audience::Group,
        checksum: ChecksumFlavour::Rfc9568,
    };
    let ours = NodeSetup { host: Host { v4: 1, v6: 1 }, ..ours };
    let mut lab = Lab::of(V4, vec![StationSetup::Ours(ours), StationSetup::Foreign(host, peer)]);
    (0..2).for_each(|at| lab.act(Act::Start(Port(at))));
    lab.faults_end();
    lab.settle();
    lab
}

/// RFC3768-6.1-1: the Skew_Time of the successor, whatever the interval and the password are.
#[test]
fn a_demotion_takes_the_skew_time_of_the_successor_and_loses_nothing() {
    for families in [V4, BOTH] {
        for speech in [Speech::V2, with_password("secret")] {
            for seconds in [1, 2] {
                let pair = [200, 100].map(|priority| every(seconds * 100, speaking(speech, node(priority))));
                let mut lab = Lab::settled(families, pair.to_vec());
                lab.demote(0);
                run_without_a_gap(&mut lab, 700);
                let after = handed_over(&lab, 0);
                assert!(after >= SKEW_OF_100 && after < SKEW_OF_100 + SOON, "{seconds} s: {after:?}");
                assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
                lab.settle();
            }
        }
    }
}

/// The third resignation comes after 30 ms, and its Skew_Time begins with it.
#[test]
fn a_router_of_another_make_takes_over_from_a_demoted_one() {
    for speech in [Speech::V2, with_password("secret")] {
        let mut lab = beside_a_peer(speaking(speech, node(200)), 100, speech.authentication);
        assert_eq!(lab.actives(), [0]);
        lab.demote(0);
        run_without_a_gap(&mut lab, 800);
        let after = handed_over(&lab, 0);
        let takeover = ms(30) + SKEW_OF_100;
        assert!(after >= takeover && after < takeover + SOON, "{after:?}");
        assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
    }
}

/// It removes its addresses at once, as keepalived does: the gap is our Skew_Time.
#[test]
fn ours_takes_over_from_a_router_of_another_make_one_skew_time_after_it_resigned() {
    let secret = with_password("secret");
    let mut lab = beside_a_peer(speaking(secret, node(100)), 200, secret.authentication);
    assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
    lab.act(Act::Stop(Port(1)));
    lab.run(SKEW_OF_100);
    assert_eq!(lab.holders(), [0_usize; 0], "not before");
    lab.run(SOON);
    assert_eq!((lab.actives(), lab.holders()), (vec![0], vec![0]));
}

/// RFC 3768 §6.4.3: such a router discards what loses and does not answer; the regular advertisement of
/// the winner ends it. Ours answers, so that it ends at once.
#[test]
fn two_actives_of_two_makes_find_out() {
    for (ours, theirs, winner, most) in [(100, 200, 1, ms(1100)), (200, 100, 0, ms(1100))] {
        let mut lab = beside_a_peer(v2(node(ours)), theirs, Authentication::None);
        lab.act(Act::FaultsBegin);
        lab.act(Act::Path(Port(0), Port(1), Path::Blocked));
        lab.act(Act::Path(Port(1), Port(0), Path::Blocked));
        lab.run(secs(5));
        assert_eq!(lab.actives(), [0, 1]);
        lab.act(Act::Path(Port(0), Port(1), Path::Open));
        lab.act(Act::Path(Port(1), Port(0), Path::Open));
        lab.run(most);
        assert_eq!(lab.actives(), [winner]);
        lab.faults_end();
        lab.settle();
    }
}

#[test]
fn without_a_successor_a_demotion_is_refused_after_the_second_round() {
    let mut lab = Lab::settled(V4, vec![v2(node(200))]);
    lab.demote(0);
    lab.run(ms(2409));
    assert_eq!(lab.outcome(0), None);
    lab.run(ms(1));
    assert!(matches!(lab.outcome(0), Some(DemoteOutcome::Refused { .. })), "{:?}", lab.outcome(0));
    assert_eq!((lab.actives(), lab.holders()), (vec![0], vec![0]));
}

#[test]
fn a_backup_that_heard_only_the_second_round_takes_over_in_time() {
    let mut lab = Lab::settled(V4, vec![v2(node(200)), v2(node(100))]);
    lab.act(Act::FaultsBegin);
    lab.act(Act::Path(Port(0), Port(1), Path::Blocked));
    lab.demote(0);
    run_without_a_gap(&mut lab, 1150);
    lab.act(Act::Path(Port(0), Port(1), Path::Open));
    run_without_a_gap(&mut lab, 800);
    let after = handed_over(&lab, 0);
    assert!(after >= ms(1200) + SKEW_OF_100 && after < ms(1200) + SKEW_OF_100 + SOON, "{after:?}");
}

/// docs/adr/0043: until the successor is there nobody else serves.
#[test]
fn a_failing_check_serves_on_until_the_successor_is_there() {
    for families in [V4, BOTH] {
        let mut lab = Lab::settled(families, vec![v2(watching(node(200), Track::fault)), v2(node(100))]);
        lab.act(Act::Check(Port(0), CheckResult::Failing));
        run_without_a_gap(&mut lab, 700);
        assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]));
        lab.act(Act::Check(Port(0), CheckResult::Passing));
        lab.settle();
        assert_eq!(lab.actives(), [0]);
    }
    let mut lab = beside_a_peer(v2(watching(node(200), Track::fault)), 1, Authentication::None);
    lab.act(Act::Check(Port(0), CheckResult::Failing));
    run_without_a_gap(&mut lab, 1130);
    assert_eq!((lab.actives(), lab.holders()), (vec![1], vec![1]), "the slowest that there is");
}

#[test]
fn the_clean_up_after_a_crash_hands_over_in_version_2() {
    let mut lab = Lab::settled(V4, vec![v2(node(200)), v2(node(100))]);
    lab.act(Act::FaultsBegin);
    lab.act(Act::Crash(Port(0), Leftovers::Addresses));
    lab.run(ms(40));
    lab.act(Act::FinishCrashedRun(Port(0)));
    run_without_a_gap(&mut lab, 700);
    assert_eq!(lab.holders(), [1]);
}

/// RFC3768-7.1-4
#[test]
fn the_owner_serves_at_once_and_others_yield() {
    let mut lab = Lab::settled(V4, vec![v2(node(200)), v2(owner())]);
    assert_eq!(lab.actives(), [1]);
    lab.demote(1);
    run_without_a_gap(&mut lab, 300);
    assert_eq!((lab.actives(), lab.holders()), (vec![0], vec![0]));
    lab.act(Act::Promote(Port(1)));
    lab.settle();
    assert_eq!(lab.actives(), [1]);
}

/// They do not hear one another, so each group has an Active: that is what RFC 3768 §7.1 demands.
#[test]
fn groups_that_do_not_understand_one_another_have_an_active_each() {
    let secret = with_password("secret");
    let strangers = [
        (node(150), "other_version"),
        (speaking(secret, node(150)), "authentication_differs"),
        (speaking(with_password("Secret"), node(150)), "authentication_differs"),
        (every(200, v2(node(150))), "interval_refused"),
    ];
    for (stranger, warning) in strangers {
        let pair = if stranger.speech == secret { Speech::V2 } else { secret };
        let pair = if stranger.speech == Speech::V2 { Speech::V2 } else { pair };
        let nodes = vec![speaking(pair, node(200)), speaking(pair, node(100)), stranger.clone()];
        let mut lab = Lab::settled(V4, nodes);
        assert_eq!(lab.actives(), [0, 2], "{stranger:?}");
        assert!(lab.instance(2).peers.is_empty() && lab.instance(0).peers.is_empty());
        for at in 0..3 {
            let warned = lab.router(at).peer_warnings;
            assert!(warned.iter().any(|known| known.what.as_str() == warning), "{at}: {warned:?}");
        }
        lab.demote(0);
        lab.run(secs(3));
        assert_eq!(lab.actives(), [1, 2], "{stranger:?}: the pair hands over within itself");
        lab.act(Act::Crash(Port(2), Leftovers::Nothing));
        lab.run(secs(10));
        assert_eq!(lab.actives(), [1], "nobody misses the stranger");
    }
}

/// The four steps of docs/vrrpv2.md, there and back. At no millisecond are two Active, and none without
/// a holder.
#[test]
fn a_pair_moves_to_version_3_and_back_without_a_gap_and_without_two_owners() {
    fn step(lab: &mut Lab, act: Act) {
        lab.act(act);
        for _ in 0..6000 {
            lab.run(ms(1));
            assert_eq!((lab.actives(), lab.holders()), (vec![0], vec![0]));
        }
    }
    fn move_to(lab: &mut Lab, speech: Speech) {
        step(lab, Act::Demote(Port(1), vrrpd_core::protocol::Force::No));
        step(lab, Act::Reconfigure(Port(1), SpecChange::Speech(speech)));
        step(lab, Act::Reconfigure(Port(0), SpecChange::Speech(speech)));
        step(lab, Act::Promote(Port(1)));
        assert_eq!(lab.state(1), StateName::Backup);
    }
    let secret = with_password("secret");
    for families in [V4, BOTH] {
        let mut lab = Lab::settled(families, vec![speaking(secret, node(200)), speaking(secret, node(100))]);
        move_to(&mut lab, Speech::default());
        lab.demote(0);
        lab.run(ms(100));
        assert!(handed_over(&lab, 0) < ms(20), "as in version 3");
        lab.act(Act::Promote(Port(0)));
        lab.settle();
        assert_eq!(lab.actives(), [0]);
        move_to(&mut lab, secret);
        lab.demote(0);
        lab.run(ms(1000));
        assert!(handed_over(&lab, 0) >= SKEW_OF_100, "as in version 2");
    }
}

/// What the first of the four steps is for.
#[test]
fn without_the_demotion_a_pair_that_is_moved_has_two_actives_for_a_while() {
    let mut lab = Lab::settled(V4, vec![v2(node(200)), v2(node(100))]);
    lab.act(Act::Reconfigure(Port(0), SpecChange::Speech(Speech::default())));
    lab.run(secs(5));
    assert_eq!(lab.actives(), [0, 1]);
    lab.act(Act::Reconfigure(Port(1), SpecChange::Speech(Speech::default())));
    lab.settle();
    assert_eq!(lab.actives(), [0]);
}
