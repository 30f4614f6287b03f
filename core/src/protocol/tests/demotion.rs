//! A demotion is a lasting fact: it persists, it ends, and it never ends the service.

use super::*;

const SUCCESSOR: &str = "192.0.2.1";

/// A router that was demoted and handed over to a router of priority 50.
fn handed_over(last_resort: LastResort) -> Rig {
    let mut rig = Rig::active(spec());
    rig.demote_as(Force::No, last_resort);
    rig.hand_over_to(SUCCESSOR);
    rig
}

fn remembered(rig: &Rig) -> Vec<Option<LastResort>> {
    rig.out
        .iter()
        .filter_map(|effect| match effect {
            Effect::SaveDemotion { demotion, .. } => {
                Some(demotion.as_ref().map(|demotion| demotion.last_resort))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn a_demotion_is_remembered_until_it_ends() {
    let mut rig = handed_over(LastResort::No);
    assert_eq!(remembered(&rig), [Some(LastResort::No)]);
    rig.out.clear();
    rig.promote();
    assert_eq!(remembered(&rig), [None]);
}

#[test]
fn a_refused_demotion_is_not_remembered() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(Duration::from_secs(2));
    assert_eq!(remembered(&rig), []);
}

#[test]
fn a_node_that_starts_demoted_does_not_touch_the_addresses() {
    let mut rig = Rig { node: Node::new(), now: MonoTime::ZERO, out: Effects::new(), kernel: Kernel::Prompt };
    rig.feed(Input::Link(interface(), Some(link())));
    rig.feed(Input::SavedDemotion("web".parse().unwrap(), demotion(LastResort::No, None)));
    rig.feed(Input::Configure(vec![RouterSpec { role: Role::Owner, ..spec() }]));
    rig.run(Duration::from_secs(60));
    assert_eq!((rig.state(), rig.said()), (StateName::Initialize, vec![]));
}

#[test]
fn a_demotion_stays_with_a_router_that_moves_or_goes_and_comes_back() {
    let elsewhere = RouterSpec { vrid: Vrid::new(99).unwrap(), ..spec() };
    for change in [vec![elsewhere], vec![]] {
        let mut rig = handed_over(LastResort::No);
        rig.out.clear();
        rig.feed(Input::Configure(change));
        rig.feed(Input::Configure(vec![spec()]));
        rig.run(Duration::from_secs(60));
        assert_eq!((rig.state(), rig.said()), (StateName::Initialize, vec![]));
        assert_eq!(remembered(&rig), [], "and it is still written down");
    }
}

#[test]
fn a_demotion_ends_by_itself() {
    let mut rig = Rig::new(spec());
    let until = Until { at: rig.now + Duration::from_secs(1800), text: "then".into() };
    let router = "web".parse().unwrap();
    let demotion = demotion(LastResort::No, Some(until));
    rig.feed(Input::Command(
        CommandId(7),
        Command::Demote { router, demotion, force: Force::No, drain: None },
    ));
    rig.out.clear();
    rig.run(Duration::from_secs(1799));
    assert_eq!(rig.state(), StateName::Initialize);
    rig.run(Duration::from_secs(1));
    assert_eq!(rig.state(), StateName::Backup);
    assert_eq!(remembered(&rig), [None]);
}

#[test]
fn a_successor_that_dies_at_once_is_replaced_by_the_demoted_router() {
    let mut rig = handed_over(LastResort::No);
    rig.out.clear();
    rig.run(Duration::from_secs(1));
    rig.hear(advert(SUCCESSOR, 50));
    assert_eq!(rig.until_state(StateName::Active), Duration::from_nanos(3_996_093_750));
    assert_eq!(rig.said(), ["hold", "say 1/100cs", "announce 1"]);
    // As the last resort, the router yields to any router that can serve.
    rig.hear(advert(SUCCESSOR, 50));
    assert_eq!(rig.state(), StateName::Backup);
}

#[test]
fn a_successor_that_was_heard_three_times_is_not_watched_any_more() {
    let mut rig = handed_over(LastResort::No);
    for _ in 0..3 {
        rig.run(Duration::from_secs(1));
        rig.hear(advert(SUCCESSOR, 50));
    }
    rig.run(Duration::from_secs(60));
    assert_eq!(rig.state(), StateName::Initialize);
}

/// The demotion of the successor must be refused. It must not be granted because a demoted router
/// takes over again.
#[test]
fn a_successor_that_is_demoted_in_turn_finds_no_successor() {
    let mut rig = handed_over(LastResort::No);
    rig.run(ms(300));
    for _ in 0..3 {
        rig.hear(Advert { centiseconds: 1, ..advert(SUCCESSOR, 50) });
        rig.run(ms(2));
    }
    rig.hear(advert(SUCCESSOR, 0));
    rig.run(Duration::from_secs(2));
    assert_eq!(rig.state(), StateName::Initialize);
}

#[test]
fn the_last_resort_stays_backup_at_priority_1() {
    let mut rig = handed_over(LastResort::Yes);
    assert_eq!(rig.state(), StateName::Backup);
    rig.out.clear();
    assert_eq!(rig.until_state(StateName::Active).as_micros(), 3_996_093);
    assert_eq!(rig.said()[1], "say 1/100cs");
    rig.promote();
    rig.out.clear();
    rig.run(ms(1002));
    assert_eq!(rig.spoken(), ["say 100/100cs"]);
}

#[test]
fn without_a_successor_the_last_resort_serves_on_at_priority_1() {
    let mut rig = Rig::active(spec());
    rig.demote_as(Force::No, LastResort::Yes);
    rig.run(Duration::from_secs(3));
    assert_eq!(rig.state(), StateName::Active);
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::LastResort { .. }]));
    assert_eq!(rig.spoken().last().map(String::as_str), Some("say 1/100cs"));
    rig.hear(advert(SUCCESSOR, 50));
    assert_eq!(rig.state(), StateName::Backup);
}

#[test]
fn a_second_demotion_replaces_the_reason_and_the_end() {
    let mut rig = Rig::new(spec());
    rig.demote(Force::No);
    rig.out.clear();
    rig.demote_as(Force::No, LastResort::Yes);
    assert_eq!(rig.outcomes(), [DemoteOutcome::AlreadyDemoted]);
    assert_eq!(remembered(&rig), [Some(LastResort::Yes)]);
    assert_eq!(rig.state(), StateName::Backup);
}

/// An owner that started as Active would displace the router that serves, and would yield to it at
/// once.
#[test]
fn an_owner_that_starts_as_the_last_resort_waits_like_any_backup() {
    let mut rig = Rig::new(RouterSpec { role: Role::Owner, ..spec() });
    rig.until_state(StateName::Active);
    // Wait long enough that the successor's announcement cannot have crossed our own.
    rig.run(ms(100));
    rig.demote_as(Force::No, LastResort::Yes);
    rig.run(ms(12));
    rig.hear(advert(SUCCESSOR, 50));
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(20));
    rig.said();
    assert_eq!(rig.state(), StateName::Backup, "as the last resort");
    for _ in 0..5 {
        rig.hear(advert(SUCCESSOR, 50));
        rig.run(Duration::from_secs(1));
    }
    assert_eq!(rig.said(), [""; 0]);
    let silence = rig.until_state(StateName::Active);
    assert!(silence > Duration::from_secs(2), "{silence:?}");
    assert_eq!(rig.spoken(), ["say 1/100cs"]);
}

/// A paused machine received nothing, from which nothing follows about the successor.
#[test]
fn a_demoted_router_that_was_paused_listens_once_more() {
    let mut rig = handed_over(LastResort::No);
    rig.run(Duration::from_secs(1));
    rig.stall(Duration::from_secs(20));
    rig.feed(Input::Deadline);
    assert_eq!(rig.state(), StateName::Initialize);
    for _ in 0..3 {
        rig.run(Duration::from_secs(1));
        rig.hear(advert(SUCCESSOR, 50));
    }
    rig.run(Duration::from_secs(60));
    assert_eq!(rig.state(), StateName::Initialize);
    assert_eq!(remembered(&rig), [Some(LastResort::No)]);
}

/// The cable is pulled, which is why the router was demoted. Without a link, hearing nothing does
/// not show that the successor is gone.
#[test]
fn a_demoted_router_without_a_link_judges_nobody() {
    let mut rig = handed_over(LastResort::No);
    rig.feed(Input::Link(interface(), Some(LinkFacts { carrier: false, ..link() })));
    rig.run(Duration::from_secs(60));
    rig.feed(Input::Link(interface(), Some(link())));
    rig.run(Duration::from_secs(60));
    assert_eq!(rig.state(), StateName::Initialize);
    assert_eq!(remembered(&rig), [Some(LastResort::No)]);
}

#[test]
fn a_promotion_withdraws_a_demotion_that_joined_a_stop() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Shutdown);
    rig.run(ms(20));
    rig.demote(Force::No);
    rig.promote();
    let withdrawn = Effect::Answer { id: CommandId(8), answer: Answer::Promoted { was_demoted: true } };
    assert!(rig.out.contains(&withdrawn), "{:?}", rig.out);
    rig.run(Duration::from_secs(3));
    assert_eq!(rig.outcomes().len(), 1, "the demotion is answered");
    assert_eq!(remembered(&rig), [], "and not recorded");
}

/// A router that serves as the last resort and is demoted again may be handing over at the moment
/// at which its earlier demotion ends.
#[test]
fn a_demotion_does_not_end_in_the_middle_of_a_hand_over() {
    let mut rig = Rig::active(spec());
    let until = Until { at: rig.now + Duration::from_secs(60), text: "soon".into() };
    let router: RouterName = "web".parse().unwrap();
    let lasting = demotion(LastResort::Yes, Some(until));
    let command = Command::Demote { router, demotion: lasting, force: Force::No, drain: None };
    rig.feed(Input::Command(CommandId(7), command));
    rig.run(ms(59_990));
    assert_eq!(rig.state(), StateName::Active, "nobody took over");
    rig.out.clear();
    rig.demote(Force::No);
    rig.run(Duration::from_secs(5));
    let ends =
        |kind: &EventKind| matches!(kind, EventKind::NobodyTookOver { .. } | EventKind::DemotionExpired);
    let ends: Vec<_> = rig.events().into_iter().filter(ends).collect();
    assert!(
        matches!(ends[..], [EventKind::NobodyTookOver { .. }, EventKind::DemotionExpired]),
        "{:?}",
        rig.events()
    );
}
