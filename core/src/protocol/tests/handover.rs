//! Hand-over: leaving without a gap in the service.

use super::*;

const SUCCESSOR: &str = "192.0.2.1";

// RFC9568-6.4.3-18
#[test]
fn a_demotion_shortens_resigns_and_holds_until_another_router_is_heard() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(7));
    assert_eq!(rig.said(), ["say 100/1cs", "say 100/1cs", "say 100/1cs", "say 0/100cs"]);
    rig.run(ms(8));
    assert!(!rig.released(), "make before break");
    rig.hear(advert(SUCCESSOR, 50));
    rig.run(ms(20));
    assert!(!rig.released(), "it may have spoken before it holds the address");
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(19));
    assert!(!rig.released(), "hosts are still switching to the successor");
    rig.run(ms(1));
    assert_eq!(rig.state(), StateName::Initialize);
    assert!(rig.released());
    let [DemoteOutcome::HandedOver { to, after, kept: None }] = rig.outcomes()[..] else {
        panic!("{:?}", rig.outcomes())
    };
    assert_eq!((to.to_string().as_str(), after), (SUCCESSOR, ms(15)));
    rig.out.clear();
    rig.run(Duration::from_secs(3));
    assert_eq!(rig.said(), [""; 0], "a demoted router takes part in nothing");
}

// RFC9568-6.4.3-18
#[test]
fn without_a_successor_a_demotion_is_refused_and_the_interval_is_taken_back_at_once() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(Duration::from_secs(2));
    assert_eq!(rig.state(), StateName::Active);
    assert!(!rig.released());
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Refused { .. }]));
    let said = rig.said();
    let last_resignation = said.iter().rposition(|word| word == "say 0/100cs").unwrap();
    assert_eq!(said[last_resignation + 1], "say 100/100cs");
    rig.run(Duration::from_secs(1));
    assert_eq!(rig.spoken(), ["say 100/100cs"], "it serves as before");
}

#[test]
fn force_releases_without_a_successor() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::Yes);
    rig.run(Duration::from_secs(2));
    assert_eq!(rig.state(), StateName::Initialize);
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Forced { .. }]));
}

#[test]
fn an_advertisement_from_before_the_resignation_is_not_a_successor() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(3));
    rig.hear(advert(SUCCESSOR, 50));
    rig.run(ms(20));
    assert!(!rig.released());
}

#[test]
fn a_router_that_leaves_as_well_is_not_a_successor() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(7));
    for _ in 0..3 {
        rig.hear(Advert { centiseconds: 1, ..advert(SUCCESSOR, 200) });
        rig.run(ms(2));
    }
    rig.hear(Advert { centiseconds: 1, ..advert(SUCCESSOR, 0) });
    rig.run(Duration::from_secs(2));
    assert_eq!(rig.state(), StateName::Active);
    assert!(!rig.released());
}

#[test]
fn a_successor_whose_own_interval_is_10_ms_is_believed_when_it_goes_on() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(10));
    rig.hear(Advert { centiseconds: 1, ..advert(SUCCESSOR, 50) });
    rig.run(ms(10));
    rig.hear(Advert { centiseconds: 1, ..advert(SUCCESSOR, 50) });
    assert!(!rig.released());
    rig.run(ms(10));
    rig.hear(Advert { centiseconds: 1, ..advert(SUCCESSOR, 50) });
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(20));
    assert!(rig.released());
}

/// Two advertisements within the time that it takes to shorten the interval and to resign may both
/// have been sent before the resignation.
#[test]
fn a_doubtful_advertisement_repeated_at_once_and_then_silence_is_not_a_successor() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(7));
    for _ in 0..3 {
        rig.hear(Advert { centiseconds: 1, ..advert(SUCCESSOR, 50) });
        rig.run(ms(4));
    }
    rig.run(Duration::from_secs(2));
    assert!(!rig.released());
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Refused { .. }]));
}

/// FRR becomes Active at once, but sends its first advertisement up to a second later, when its
/// interface is up. An advertisement of ours with our own priority would make it yield just before
/// that.
#[test]
fn a_successor_that_is_active_long_before_it_advertises_is_not_made_to_yield() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(1100));
    let said = rig.said();
    assert_eq!(said[..3], ["say 100/1cs"; 3]);
    assert_eq!(said[3..], ["say 0/100cs"; 4]);
    rig.hear(advert(SUCCESSOR, 50));
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(20));
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::HandedOver { .. }]));
}

#[test]
fn when_all_of_the_first_round_was_lost_there_is_a_second_one() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(1200));
    rig.said();
    rig.run(ms(60));
    assert_eq!(rig.said(), ["say 100/1cs", "say 100/1cs", "say 100/1cs", "say 0/100cs"]);
    // An advertisement at this point may come from a router that has just been made to yield. It
    // counts only if the router goes on advertising.
    rig.hear(advert(SUCCESSOR, 50));
    rig.run(ms(13));
    rig.hear(advert(SUCCESSOR, 50));
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(20));
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::HandedOver { .. }]));
}

/// For no interval does the hand-over give up between the second shortening of the interval and the
/// resignation that follows it.
#[test]
fn a_second_round_that_is_begun_is_brought_to_an_end() {
    for centiseconds in 80..=110 {
        let mut rig = Rig::active(RouterSpec { interval: interval(centiseconds), ..spec() });
        rig.demote(Force::No);
        rig.run(Duration::from_secs(2));
        let said = rig.said();
        let short = said.iter().filter(|word| word.ends_with("/1cs")).count();
        let resigned = said.iter().filter(|word| word.starts_with("say 0/")).count();
        assert!(matches!((short, resigned), (3, 4) | (6, 5)), "{centiseconds} cs: {said:?}");
        assert!(matches!(rig.outcomes()[..], [] | [DemoteOutcome::Refused { .. }]));
    }
}

#[test]
fn patience_that_runs_out_while_we_wait_for_hosts_changes_nothing() {
    let check = CheckName("nginx".into());
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(check.clone())], ..spec() });
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
    rig.until_state(StateName::Active);
    rig.feed(Input::CheckResult(check, CheckResult::Failing));
    rig.run(ms(30));
    rig.hear(advert(SUCCESSOR, 50));
    rig.run(ms(249));
    assert!(!rig.released());
    rig.run(ms(1));
    assert!(rig.released());
}

#[test]
fn a_leaving_router_announces_nothing_until_it_withdraws_its_resignation() {
    let mut rig = Rig::new(spec());
    rig.until_state(StateName::Active);
    rig.said();
    rig.demote(Force::No);
    rig.run(ms(1300));
    assert!(!rig.said().iter().any(|word| word.starts_with("announce")));
    rig.run(Duration::from_secs(1));
    let said = rig.said();
    assert_eq!(said[..2], ["say 100/100cs", "announce 1"]);
}

#[test]
fn a_successor_that_leaves_while_we_wait_for_hosts_does_not_count() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(12));
    rig.hear(advert(SUCCESSOR, 50));
    rig.run(ms(10));
    rig.hear(advert(SUCCESSOR, 0));
    rig.run(Duration::from_secs(2));
    assert_eq!(rig.state(), StateName::Active);
    assert!(!rig.released());
}

#[test]
fn a_second_resignation_finds_a_successor_whose_first_advertisement_was_lost() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(40));
    assert_eq!(rig.said().iter().filter(|word| *word == "say 0/100cs").count(), 2);
}

#[test]
fn a_backup_is_demoted_at_once_and_a_second_demotion_changes_nothing() {
    let mut rig = Rig::new(spec());
    rig.demote(Force::No);
    assert_eq!(rig.outcomes(), [DemoteOutcome::WasBackup]);
    assert_eq!(rig.state(), StateName::Initialize);
    rig.out.clear();
    rig.demote(Force::No);
    assert_eq!(rig.outcomes(), [DemoteOutcome::AlreadyDemoted]);
}

#[test]
fn a_promotion_ends_a_demotion_and_takes_part_again() {
    let mut rig = Rig::new(spec());
    rig.demote(Force::No);
    rig.out.clear();
    rig.promote();
    let answered = |effect: &Effect| {
        *effect == Effect::Answer { id: CommandId(8), answer: Answer::Promoted { was_demoted: true } }
    };
    assert!(rig.out.iter().any(answered));
    assert_eq!(rig.until_state(StateName::Active), us(3_609_375));
}

#[test]
fn a_promotion_during_the_hand_over_takes_it_back() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(8));
    rig.out.clear();
    rig.promote();
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Refused { .. }]));
    assert_eq!(rig.said(), ["say 100/100cs", "announce 1"]);
    assert_eq!(rig.state(), StateName::Active);
}

#[test]
fn an_unknown_name_is_answered() {
    let mut rig = Rig::new(spec());
    let router: RouterName = "wbe".parse().unwrap();
    rig.feed(Input::Command(CommandId(1), Command::Promote { router: router.clone() }));
    assert_eq!(
        rig.out.last(),
        Some(&Effect::Answer { id: CommandId(1), answer: Answer::UnknownRouter(router) })
    );
}

/// T29.
#[test]
fn rfc9568_6_4_3_8_a_stop_hands_over_resigns_and_lets_go_even_without_a_successor() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Shutdown);
    rig.run(ms(10));
    rig.hear(advert(SUCCESSOR, 50));
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(20));
    let said = rig.said();
    assert_eq!(said[3..], ["say 0/100cs", "release", "stopped"]);

    let mut rig = Rig::active(spec());
    rig.feed(Input::Shutdown);
    rig.run(Duration::from_secs(3));
    assert_eq!(rig.state(), StateName::Initialize);
    assert_eq!(rig.said().last().map(String::as_str), Some("stopped"));
    rig.run(Duration::from_secs(60));
    assert_eq!(rig.said(), [""; 0]);
}

#[test]
fn a_failing_check_costs_less_than_50_ms_even_without_a_successor() {
    let check = CheckName("nginx".into());
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(check.clone())], ..spec() });
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
    rig.until_state(StateName::Active);
    rig.feed(Input::CheckResult(check, CheckResult::Failing));
    assert!(rig.until_state(StateName::Initialize) < ms(50));
    assert_eq!(rig.instance(0).cause, Cause::Fault);
    assert!(rig.released());
}

#[test]
fn a_fault_during_a_demotion_shortens_the_patience() {
    let check = CheckName("nginx".into());
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(check.clone())], ..spec() });
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
    rig.until_state(StateName::Active);
    rig.demote(Force::No);
    rig.feed(Input::CheckResult(check, CheckResult::Failing));
    assert!(rig.until_state(StateName::Initialize) < ms(50));
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Forced { .. }]));
}

#[test]
fn a_stalled_hand_over_does_not_burst() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.stall(ms(500));
    rig.feed(Input::Deadline);
    rig.said();
    rig.run(ms(1));
    assert_eq!(rig.said(), [""; 0], "the gap between two words stays");
}

#[test]
fn a_router_that_stalled_while_shortening_resigns_and_does_not_make_a_successor_yield() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    assert_eq!(rig.said(), ["say 100/1cs"]);
    // By now every router that heard the shortened interval may be Active, even if we have not
    // heard it yet.
    rig.stall(ms(34));
    rig.feed(Input::Deadline);
    assert_eq!(rig.said(), ["say 0/100cs"]);
    rig.run(ms(29));
    assert_eq!(rig.said(), [""; 0], "the gap to the next resignation stays");
    rig.run(ms(1));
    assert_eq!(rig.said(), ["say 0/100cs"]);
}

/// Without this rule no router would serve for the time that a Backup waits.
#[test]
fn a_fault_that_goes_while_nobody_takes_over_costs_no_service() {
    let check = CheckName("nginx".into());
    let faulty = || {
        let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(check.clone())], ..spec() });
        rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
        rig.until_state(StateName::Active);
        rig.run(ms(400));
        rig.feed(Input::CheckResult(check.clone(), CheckResult::Failing));
        rig.run(ms(10));
        rig.out.clear();
        rig
    };
    let mut rig = faulty();
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
    rig.run(Duration::from_secs(2));
    assert_eq!(rig.state(), StateName::Active);
    assert!(!rig.said().contains(&"release".to_owned()));
    // If the fault comes back, the router releases the addresses as it would have without the
    // interval.
    let mut rig = faulty();
    for health in [CheckResult::Passing, CheckResult::Failing] {
        rig.feed(Input::CheckResult(check.clone(), health));
    }
    rig.run(Duration::from_secs(2));
    assert_eq!(
        (rig.state(), rig.said().last().map(String::as_str)),
        (StateName::Initialize, Some("release"))
    );
    // If a successor has taken over, the router yields to it in the usual way.
    let mut rig = faulty();
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
    rig.hear(advert("192.0.2.1", 50));
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(21));
    assert_eq!(rig.state(), StateName::Backup, "{:?}", rig.out);
}

/// The fault that comes back is no reason to begin the hand-over anew.
#[test]
fn a_fault_that_comes_back_while_the_router_leaves_does_not_prolong_the_hand_over() {
    let check = CheckName("nginx".into());
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(check.clone())], ..spec() });
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
    rig.until_state(StateName::Active);
    for health in [CheckResult::Failing, CheckResult::Passing, CheckResult::Failing] {
        rig.feed(Input::CheckResult(check.clone(), health));
    }
    assert!(rig.until_state(StateName::Initialize) < ms(50));
}

/// A demotion that finds no successor is refused; a router that stops lets go all the same.
#[test]
fn a_stop_during_a_demotion_ends_it_even_without_a_successor() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(10));
    rig.feed(Input::Shutdown);
    rig.run(Duration::from_secs(3));
    assert_eq!(rig.said().last().map(String::as_str), Some("stopped"));
}

/// A demotion wants proof of its successor. A router that releases in any case waits for one message.
#[test]
fn what_is_believed_changes_with_the_reason_for_which_a_router_leaves() {
    let handed_over =
        |rig: &Rig| rig.events().iter().any(|event| matches!(event, EventKind::HandedOver { .. }));
    for (stops, believed) in [(true, true), (false, false)] {
        let mut rig = Rig::active(spec());
        rig.demote(Force::No);
        rig.run(ms(8));
        if stops {
            rig.feed(Input::Shutdown);
        }
        rig.hear(advert(SUCCESSOR, 50));
        rig.run(Duration::from_secs(3));
        assert_eq!(handed_over(&rig), believed, "stops: {stops}, {:?}", rig.events());
    }
    // The fault goes while the router leaves for it: it will stay if nobody takes over.
    for (goes, believed) in [(false, true), (true, false)] {
        let check = CheckName("nginx".into());
        let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(check.clone())], ..spec() });
        rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
        rig.until_state(StateName::Active);
        rig.feed(Input::CheckResult(check.clone(), CheckResult::Failing));
        rig.run(ms(8));
        if goes {
            rig.feed(Input::CheckResult(check, CheckResult::Passing));
        }
        rig.hear(advert(SUCCESSOR, 50));
        rig.run(Duration::from_secs(3));
        assert_eq!(handed_over(&rig), believed, "goes: {goes}, {:?}", rig.events());
    }
}

/// Below 0.9 s every Backup that heard the first round has taken over before a second would begin.
#[test]
fn at_a_short_interval_a_demotion_without_a_successor_is_refused_after_the_first_round() {
    let mut rig = Rig::active(RouterSpec { interval: interval(10), ..spec() });
    rig.demote(Force::No);
    rig.run(ms(455));
    assert_eq!(rig.outcomes(), []);
    rig.run(ms(1));
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Refused { .. }]), "{:?}", rig.outcomes());
}

/// docs/adr/0009
#[test]
fn a_stop_without_a_successor_ends_after_three_seconds_at_the_longest_interval() {
    let mut rig = Rig::new(RouterSpec { interval: AdverInterval::MAX, ..spec() });
    rig.until_state(StateName::Active);
    rig.run(ms(500));
    rig.feed(Input::Shutdown);
    rig.run(ms(2999));
    assert!(!rig.released());
    rig.run(ms(1));
    assert!(rig.released());
}
