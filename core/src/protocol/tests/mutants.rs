//! Values and edges that mutation testing has found to be stated by no test
//! (docs/mutation-testing.md).

use super::*;

const OTHER: &str = "192.0.2.1";

fn preempt_delay(seconds: u64) -> RouterSpec {
    RouterSpec { preempt_delay: Duration::from_secs(seconds), ..spec() }
}

fn down_adverts(count: u8) -> RouterSpec {
    RouterSpec { down_adverts: NonZeroU8::new(count).unwrap(), ..spec() }
}

fn effective(rig: &Rig) -> u8 {
    rig.node.snapshot(rig.now).routers[0].effective.get()
}

/// The kernel answers the last decision to hold the addresses, which it was silent about.
fn hold(rig: &mut Rig) {
    let asked = rig.out.iter().rev().find_map(|effect| match effect {
        Effect::HoldAddresses { key, epoch, .. } => Some((*key, *epoch)),
        _ => None,
    });
    let (key, epoch) = asked.unwrap();
    rig.feed(Input::AddressesHeld(HoldResult { key, epoch, outcome: Ok(()) }));
}

/// Demoted, and another router of priority 50 has taken over.
fn demoted() -> Rig {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.hand_over_to(OTHER);
    rig.out.clear();
    rig
}

// RFC9568-6.1-8
#[test]
fn a_positive_weight_counts_while_the_check_passes_only() {
    let check = CheckName("uplink".into());
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::weighted(check.clone(), 30)], ..spec() });
    assert_eq!(effective(&rig), 100, "no result yet");
    for (result, priority) in
        [(CheckResult::Passing, 130), (CheckResult::Failing, 100), (CheckResult::Passing, 130)]
    {
        rig.feed(Input::CheckResult(check.clone(), result));
        assert_eq!(effective(&rig), priority, "{result:?}");
    }
}

#[test]
fn an_active_whose_addresses_cannot_be_put_back_resigns() {
    let mut rig = Rig::active(spec());
    let key = rig.instance(0).key;
    rig.feed(Input::AddressesNotRestored { key, why: "no space left".into() });
    assert_eq!(rig.state(), StateName::Initialize);
    assert_eq!(rig.said(), ["say 0/100cs", "release"]);
}

// RFC9568-6.4.2-16
#[test]
fn a_reload_does_not_end_the_delay_of_a_preemption() {
    let mut rig = Rig::new(preempt_delay(10));
    let mut waited = Duration::ZERO;
    while rig.state() != StateName::Active {
        assert!(waited < Duration::from_secs(20), "it never preempts");
        rig.hear(advert(OTHER, 50));
        rig.run(ms(500));
        waited += ms(500);
        if waited == Duration::from_secs(5) {
            let role = contender(120, Preempt::Allow);
            rig.feed(Input::Configure(vec![RouterSpec { role, ..preempt_delay(10) }]));
        }
    }
    assert!(waited > Duration::from_secs(12), "it preempted after {waited:?}");
}

/// The Active that is preempted resigns before our first advertisement: nobody serves any more.
#[test]
fn a_resignation_that_is_heard_before_the_first_advertisement_makes_that_urgent() {
    let mut rig = Rig::new(spec());
    rig.kernel = Kernel::Silent;
    rig.run(Duration::from_secs(3));
    rig.hear(advert(OTHER, 50));
    rig.until_state(StateName::Active);
    assert_eq!(rig.said(), ["hold"]);
    rig.hear(advert(OTHER, 0));
    rig.run(ms(19));
    assert_eq!(rig.said(), [""; 0]);
    rig.run(ms(1));
    assert_eq!(rig.said(), ["say 100/100cs"]);
}

/// The addresses were installed while the hand-over waited for the kernel.
#[test]
fn a_hand_over_that_is_called_off_before_its_first_message_announces_what_is_held() {
    let mut rig = Rig::new(spec());
    rig.kernel = Kernel::Silent;
    rig.run(Duration::from_secs(3));
    rig.hear(advert(OTHER, 50));
    rig.until_state(StateName::Active);
    rig.demote(Force::No);
    hold(&mut rig);
    assert_eq!(rig.said(), ["hold"]);
    rig.promote();
    assert_eq!(rig.said(), ["say 100/100cs", "announce 1"]);
}

/// A whole Active_Down_Interval, and not less: within it no other router can have taken over.
// RFC9568-6.2-4
#[test]
fn an_active_that_must_not_preempt_goes_on_after_a_pause_that_no_backup_noticed() {
    let paused = |late: Duration| {
        let mut rig = Rig::active(RouterSpec { role: contender(100, Preempt::Forbid), ..spec() });
        rig.now = rig.node.next_deadline().unwrap() - ms(1);
        rig.run(ms(1));
        let due = rig.node.next_deadline().unwrap();
        rig.said();
        rig.stall(due.since(rig.now) + late);
        rig.feed(Input::Deadline);
        rig.spoken()
    };
    assert_eq!(paused(us(3_607_000)), ["say 100/100cs"]);
    assert_eq!(paused(us(3_611_000)), [""; 0]);
}

/// With fewer missed advertisements than usual, the Active was heard not long ago, and is dead all
/// the same.
#[test]
fn a_takeover_from_a_dead_active_does_not_wait_for_the_kernel() {
    for count in [2, 3] {
        let mut rig = Rig::new(down_adverts(count));
        rig.kernel = Kernel::Silent;
        rig.hear(advert(OTHER, 200));
        rig.until_state(StateName::Active);
        assert_eq!(rig.said(), ["hold", "say 100/100cs"], "down_adverts = {count}");
    }
}

/// An Active of lower priority that has died before it was preempted: half an interval late is on
/// time.
#[test]
fn an_active_that_is_half_an_interval_late_is_still_alive_and_not_later() {
    for (heard_before, said) in [(1490, vec!["hold"]), (1510, vec!["hold", "say 100/100cs"])] {
        let mut rig = Rig::new(spec());
        rig.kernel = Kernel::Silent;
        let fires_in = us(3_609_375);
        rig.run(fires_in - ms(heard_before));
        rig.hear(advert(OTHER, 50));
        assert_eq!(rig.until_state(StateName::Active), ms(heard_before));
        assert_eq!(rig.said(), said, "heard {heard_before} ms before");
    }
}

/// The second round makes a successor step back that was not heard. Its message may be older than
/// that.
#[test]
fn a_successor_that_is_heard_after_the_second_round_must_go_on() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(1260));
    rig.said();
    rig.hear(advert(OTHER, 50));
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(25));
    assert_eq!(rig.state(), StateName::Active);
    assert!(!rig.said().contains(&"release".to_owned()));
    assert_eq!(rig.outcomes(), []);
}

/// A successor that advertises less often than we did is waited for as it asks for.
#[test]
fn the_watch_has_the_patience_of_a_slow_successor() {
    let mut rig = demoted();
    rig.hear(Advert { centiseconds: 400, ..advert(OTHER, 50) });
    assert_eq!(rig.until_state(StateName::Active), us(15_984_375), "priority 1 at 4 s");
}

#[test]
fn a_message_with_a_shorter_interval_does_not_end_the_watch_early() {
    let mut rig = demoted();
    rig.hear(Advert { centiseconds: 400, ..advert(OTHER, 50) });
    rig.run(Duration::from_secs(1));
    rig.hear(Advert { centiseconds: 100, ..advert(OTHER, 50) });
    assert_eq!(rig.until_state(StateName::Active), us(14_984_375), "priority 1 at 4 s, less the second");
}

// RFC9568-6.1-2
#[test]
fn a_backup_that_obeys_after_its_priority_fell_has_learned_the_interval() {
    let check = CheckName("haproxy".into());
    let tracks = vec![Track::weighted(check.clone(), -60)];
    let mut rig = Rig::new(RouterSpec { tracks, ..spec() });
    rig.hear(Advert { centiseconds: 200, ..advert(OTHER, 80) });
    rig.feed(Input::CheckResult(check, CheckResult::Failing));
    let timers = rig.instance(0).timers;
    assert_eq!(timers.skew_time, us(1_687_500), "priority 40 at 2 s");
    rig.hear(advert(OTHER, 0));
    assert_eq!(rig.until_state(StateName::Active), us(1_687_500), "Skew_Time");
}

/// Linux delivers to a new IPv6 address some 70 ms after it was added.
#[test]
fn an_ipv6_address_stays_for_eighty_milliseconds_after_its_announcement() {
    let mut rig = Rig::active(RouterSpec { instances: vec![instance(Family::Ipv6)], ..spec() });
    rig.hear(advert("fe80::200", 200));
    assert_eq!(rig.state(), StateName::Backup);
    rig.run(ms(25));
    rig.hear_announced(Family::Ipv6);
    rig.said();
    rig.run(ms(79));
    assert_eq!(rig.said(), [""; 0]);
    rig.run(ms(1));
    assert_eq!(rig.said(), ["release"]);
}

#[test]
fn another_active_is_reported_once_a_minute() {
    let mut rig = Rig::active(spec());
    let mut reports = Vec::new();
    for second in 0..=120_u64 {
        rig.out.clear();
        rig.hear(advert(OTHER, 50));
        if rig.events().iter().any(|kind| matches!(kind, EventKind::DualActive { .. })) {
            reports.push(second);
        }
        rig.run(Duration::from_secs(1));
    }
    assert_eq!(reports, [0, 60, 120]);
}
