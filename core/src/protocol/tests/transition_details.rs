//! What a transition reports as its reasons: which router was replaced, which facts failed, what
//! the operator said.

use super::*;

/// The last transition: from, to, cause, and its details.
fn last_move(rig: &Rig) -> (StateName, StateName, Cause, TransitionDetails) {
    let moves = rig.events().into_iter().filter_map(|kind| match kind {
        EventKind::Transition { from, to, cause, priority: _, details } => Some((from, to, cause, details)),
        _ => None,
    });
    moves.last().expect("a transition")
}

fn last_heard(address: &str, priority: u8, ago: Duration) -> Option<LastHeard> {
    let priority = AdvertPriority::from_wire(priority);
    Some(LastHeard { address: address.parse().unwrap(), priority, ago })
}

#[test]
fn the_survivor_says_whom_it_replaced_and_when_it_was_last_heard() {
    let mut rig = Rig::new(spec());
    for _ in 0..3 {
        rig.run(ms(1000));
        rig.hear(advert("192.0.2.10", 150));
    }
    let patience = rig.until_state(StateName::Active);
    let (.., cause, details) = last_move(&rig);
    assert_eq!(cause, Cause::ActiveDownTimer);
    assert_eq!(details.peer, last_heard("192.0.2.10", 150, patience));
    assert_eq!(details.lasted, ms(3000) + patience);
    assert!(details.was_heard_meanwhile());
    assert_eq!(rig.instance(0).details, details, "status says what the event said");
}

#[test]
fn at_the_first_election_nobody_fell_silent() {
    let mut rig = Rig::new(spec());
    let patience = rig.until_state(StateName::Active);
    let (.., details) = last_move(&rig);
    assert_eq!((details.peer, details.lasted), (None, patience));
    assert!(!details.was_heard_meanwhile());
}

#[test]
fn who_resigned_is_named_with_the_priority_that_it_had() {
    let mut rig = Rig::new(spec());
    rig.hear(advert("192.0.2.10", 150));
    rig.run(ms(300));
    rig.hear(advert("192.0.2.10", 0));
    let skew = rig.until_state(StateName::Active);
    let (.., cause, details) = last_move(&rig);
    assert_eq!((cause, details.peer), (Cause::PeerResigned, last_heard("192.0.2.10", 150, skew)));
}

#[test]
fn preemption_names_both_sides() {
    let mut rig = Rig::new(spec());
    rig.hear(advert("192.0.2.10", 50));
    let (.., before) = last_move(&rig);
    assert_eq!(before.peer, None, "a start is nobody's doing");
    rig.run(ms(3000));
    rig.hear(advert("192.0.2.10", 50));
    let left = rig.until_state(StateName::Active);
    let (.., cause, details) = last_move(&rig);
    assert_eq!((cause, details.peer), (Cause::Preempted, last_heard("192.0.2.10", 50, left)));
    rig.run(ms(5000));
    rig.hear(advert("192.0.2.11", 200));
    let (.., cause, details) = last_move(&rig);
    let expected = last_heard("192.0.2.11", 200, Duration::ZERO);
    assert_eq!((cause, details.peer), (Cause::HigherPriority, expected));
}

#[test]
fn a_fault_and_its_end_are_named_by_the_transitions_that_they_cause() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Link(interface(), Some(LinkFacts { carrier: false, ..link() })));
    rig.run(ms(3000)); // An interruption that ends sooner is not a fault.
    let (_, to, cause, details) = last_move(&rig);
    let lost = vec![Fault::NoCarrier(interface())];
    assert_eq!((to, cause, &details.faults), (StateName::Initialize, Cause::Fault, &lost));
    rig.feed(Input::Link(interface(), Some(link())));
    let (_, to, cause, details) = last_move(&rig);
    assert_eq!((to, cause, details.faults), (StateName::Backup, Cause::FaultCleared, lost));
}

#[test]
fn a_demotion_says_who_and_why_and_its_end_by_itself_is_no_promotion() {
    let mut rig = Rig::new(spec());
    let until = Until { at: rig.now + ms(60_000), text: "soon".into() };
    let demotion = demotion(LastResort::No, Some(until));
    let router = "web".parse().unwrap();
    let order = Command::Demote { router, demotion: demotion.clone(), force: Force::No, drain: None };
    rig.feed(Input::Command(CommandId(7), order));
    let (.., cause, details) = last_move(&rig);
    assert_eq!((cause, details.demotion), (Cause::Demoted, Some(demotion)));
    rig.run(ms(60_001));
    let (from, to, cause, _) = last_move(&rig);
    let expected = (StateName::Initialize, StateName::Backup, Cause::DemotionExpired);
    assert_eq!((from, to, cause), expected, "nobody promoted it");
}

/// The demotion is recorded when its hand-over succeeds, which is after the transition.
#[test]
fn a_demotion_that_hands_over_says_who_and_why() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.hand_over_to("192.0.2.1");
    let (from, to, cause, details) = last_move(&rig);
    assert_eq!((from, to, cause), (StateName::Active, StateName::Initialize, Cause::HandedOver));
    assert_eq!(details.demotion, Some(demotion(LastResort::No, None)));
}

/// A router of lower priority that does not hear the Active advertises beside it, and is not the
/// one that died.
#[test]
fn the_survivor_names_whom_it_obeyed() {
    let mut rig = Rig::new(spec());
    for _ in 0..3 {
        rig.hear(advert("192.0.2.1", 200));
        rig.run(ms(500));
        rig.hear(advert("192.0.2.2", 50));
        rig.run(ms(500));
    }
    for _ in 0..3 {
        rig.run(ms(500));
        rig.hear(advert("192.0.2.2", 50));
        rig.run(ms(500));
    }
    rig.until_state(StateName::Active);
    let (.., cause, details) = last_move(&rig);
    let peer = details.peer.unwrap();
    assert_eq!((cause, peer.address.to_string()), (Cause::ActiveDownTimer, "192.0.2.1".to_owned()));
}
