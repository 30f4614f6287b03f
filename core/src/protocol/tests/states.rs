//! The state machine of RFC 9568 §6.4, rule by rule.

use super::*;

#[test]
fn rfc9568_6_4_1_4_a_contender_starts_as_backup_and_says_nothing() {
    let mut rig = Rig::new(spec());
    assert_eq!(rig.state(), StateName::Backup);
    rig.run(us(3_609_374));
    assert_eq!(rig.said(), [""; 0]); // RFC9568-6.4.2-15
}

// RFC9568-6.2-1, RFC9568-6.2-2
/// T01, T03: Active after Active_Down_Interval, then advertisements at our own period.
#[test]
fn rfc9568_6_4_2_7_silence_makes_a_backup_active_after_active_down_interval() {
    for (priority, cs, expected) in
        [(100, 100, us(3_609_375)), (200, 10, us(321_875)), (254, 1, Duration::from_nanos(30_078_125))]
    {
        let mut rig = Rig::new(RouterSpec {
            role: contender(priority, Preempt::Allow),
            interval: interval(cs),
            ..spec()
        });
        assert_eq!(rig.until_state(StateName::Active), expected);
        let word = format!("say {priority}/{cs}cs");
        // RFC9568-6.4.2-11: install the addresses first, then advertise, then announce.
        // RFC9568-7.2-4
        assert_eq!(rig.said(), ["hold", word.as_str(), "announce 1"]);
        assert_eq!(rig.instance(0).cause, Cause::ActiveDownTimer);
        let period = interval(cs).period();
        rig.run(period - us(1));
        assert_eq!(rig.spoken(), [""; 0]);
        rig.run(us(1) + period / 64);
        assert_eq!(rig.spoken(), [word.as_str()]); // RFC9568-6.4.3-9
    }
}

// RFC9568-6.2-3
#[test]
fn the_period_does_not_drift_when_every_wake_is_late() {
    let mut rig = Rig::active(spec());
    let first = rig.node.next_deadline().unwrap();
    for _ in 0..50 {
        rig.now = rig.node.next_deadline().unwrap() + us(400);
        rig.feed(Input::Deadline);
    }
    let drift = rig.node.next_deadline().unwrap().since(first);
    assert!(drift <= Duration::from_secs(50), "{drift:?}");
}

/// T02.
#[test]
fn rfc9568_6_4_1_1_an_owner_is_active_at_once() {
    let mut rig = Rig::new(RouterSpec { role: Role::Owner, ..spec() });
    assert_eq!(rig.said(), ["hold", "say 255/100cs", "announce 1"]); // RFC9568-6.4.1-2, RFC9568-5.2.4-1
    assert_eq!(rig.instance(0).cause, Cause::OwnerStartup);
}

// RFC9568-7.2-4, RFC9568-8.1.2-3
// RFC9568-8.2.2-2
/// What the router sends while the kernel has not answered.
#[test]
fn the_first_advertisement_waits_for_the_kernel_only_where_somebody_may_still_serve() {
    let silent = |heard: Option<u8>| {
        let mut rig = Rig::new(spec());
        rig.kernel = Kernel::Silent;
        if let Some(priority) = heard {
            rig.run(Duration::from_secs(3));
            rig.hear(advert("192.0.2.1", priority));
        }
        rig.until_state(StateName::Active);
        rig
    };
    let mut dead = silent(None);
    assert_eq!(dead.said(), ["hold", "say 100/100cs"]);
    for (heard, grace) in [(0, 20), (50, 500)] {
        let mut rig = silent(Some(heard));
        assert_eq!(rig.said(), ["hold"]);
        rig.run(ms(grace - 1));
        assert_eq!(rig.said(), [""; 0]);
        rig.run(ms(1));
        assert_eq!(rig.said(), ["say 100/100cs"]);
    }
}

#[test]
fn hosts_are_told_before_the_active_that_is_displaced() {
    let mut rig = Rig::new(spec());
    rig.run(Duration::from_secs(3));
    rig.hear(advert("192.0.2.1", 50));
    rig.until_state(StateName::Active);
    assert_eq!(rig.said(), ["hold", "announce 1"]);
    rig.run(ms(3));
    assert_eq!(rig.said(), ["say 100/100cs"]);
}

/// T08, T09, T10, T11: the Active is obeyed, its interval is learned (up to a limit: see `proof`),
/// and our own interval is used once we are Active.
#[test]
fn rfc9568_6_4_2_9_a_backup_obeys_and_learns_the_interval() {
    for (cs, expected) in [(100, us(3_609_375)), (10, us(360_937)), (1000, us(36_093_750))] {
        let mut rig = Rig::new(spec());
        rig.hear(Advert { centiseconds: cs, ..advert("192.0.2.1", 200) });
        assert_eq!(rig.instance(0).timers.active_adver_interval, interval(cs)); // RFC9568-6.1-2
        assert_eq!(rig.until_state(StateName::Active).as_micros(), expected.as_micros());
        assert_eq!(rig.said()[1], "say 100/100cs");
    }
}

/// T12, T13, T14.
#[test]
fn rfc9568_6_4_2_8_priority_zero_arms_skew_time() {
    for (preempt, cs, expected) in [
        (Preempt::Allow, 100, us(609_375)),
        (Preempt::Allow, 10, us(60_937)),
        (Preempt::Forbid, 100, us(609_375)),
    ] {
        let mut rig = Rig::new(RouterSpec { role: contender(100, preempt), ..spec() });
        rig.hear(Advert { centiseconds: cs, ..advert("192.0.2.1", 200) });
        rig.hear(advert("192.0.2.1", 0));
        assert_eq!(rig.until_state(StateName::Active).as_micros(), expected.as_micros());
        assert_eq!(rig.instance(0).cause, Cause::PeerResigned);
    }
}

#[test]
fn rfc9568_6_4_2_14_repeated_resignations_do_not_postpone_the_takeover() {
    let mut rig = Rig::new(spec());
    rig.hear(advert("192.0.2.1", 200));
    for _ in 0..60 {
        rig.hear(advert("192.0.2.1", 0));
        rig.run(ms(10));
    }
    assert_eq!(rig.until_state(StateName::Active), us(9_375));
}

// T16: and with Preempt_Mode False it is obeyed.
/// T15: a lower priority is not obeyed, so its Active is displaced; T16: unless Preempt_Mode is
/// False.
#[test]
fn rfc9568_6_4_2_10_a_lower_priority_is_discarded_when_preempting() {
    let mut rig = Rig::new(spec());
    for _ in 0..3 {
        rig.run(Duration::from_secs(1));
        rig.hear(Advert { centiseconds: 50, ..advert("192.0.2.1", 50) });
    }
    assert_eq!(rig.instance(0).timers.active_adver_interval, interval(100), "nothing is learned");
    rig.out.clear();
    assert_eq!(rig.until_state(StateName::Active), us(609_375));
    assert_eq!(rig.instance(0).cause, Cause::Preempted);

    let mut rig = Rig::new(RouterSpec { role: contender(100, Preempt::Forbid), ..spec() });
    for _ in 0..30 {
        rig.run(Duration::from_secs(1));
        rig.hear(advert("192.0.2.1", 50));
    }
    assert_eq!(rig.state(), StateName::Backup);
    assert_eq!(rig.until_state(StateName::Active), us(3_609_375));
}

/// T17.
#[test]
fn rfc9568_6_4_2_13_a_backup_obeys_an_equal_priority_from_any_address() {
    for from in ["192.0.2.1", "192.0.2.200"] {
        let mut rig = Rig::new(spec());
        for _ in 0..10 {
            rig.run(Duration::from_secs(1));
            rig.hear(advert(from, 100));
        }
        assert_eq!(rig.state(), StateName::Backup);
    }
}

#[test]
fn rfc9568_6_4_2_16_preempt_delay_delays_a_preemption_but_no_takeover() {
    let delayed = || RouterSpec { preempt_delay: Duration::from_secs(30), ..spec() };
    let mut rig = Rig::new(delayed());
    let start = rig.now;
    while rig.state() == StateName::Backup {
        rig.run(Duration::from_secs(1));
        rig.hear(advert("192.0.2.1", 50));
    }
    assert!((30..36).contains(&rig.now.since(start).as_secs()), "{:?}", rig.now.since(start));

    let mut rig = Rig::new(delayed());
    rig.hear(advert("192.0.2.1", 50));
    assert_eq!(rig.until_state(StateName::Active), us(3_609_375));
}

/// T18, T19, T20, T21, T22, T25: which router wins against an Active of priority 100 at .100.
#[test]
fn rfc9568_6_4_3_11_an_active_yields_to_higher_priority_and_to_greater_addresses() {
    for (from, priority, expected) in [
        ("192.0.2.1", 200, StateName::Backup),
        ("192.0.2.1", 255, StateName::Backup),
        ("192.0.2.200", 100, StateName::Backup), // RFC9568-6.4.3-12
        ("192.0.2.1", 100, StateName::Active),
        ("10.0.0.1", 100, StateName::Active),
        ("223.0.0.1", 100, StateName::Backup),
        ("192.0.2.1", 99, StateName::Active),
    ] {
        for preempt in [Preempt::Allow, Preempt::Forbid] {
            // RFC9568-6.4.3-16
            let mut rig = Rig::active(RouterSpec { role: contender(100, preempt), ..spec() });
            rig.run(ms(100));
            rig.hear(Advert { centiseconds: 10, ..advert(from, priority) });
            assert_eq!(rig.state(), expected, "{priority} from {from}");
            match expected {
                // RFC9568-6.4.3-17: a last advertisement, and no announcement.
                StateName::Backup => {
                    assert_eq!(rig.said(), ["say 100/10cs"]);
                    assert_eq!(rig.until_state(StateName::Active).as_micros(), 360_937);
                }
                StateName::Active | StateName::Initialize => {
                    assert_eq!(rig.said()[0], "say 100/100cs"); // RFC9568-6.4.3-13
                }
            }
        }
    }
}

#[test]
fn ipv6_ties_compare_as_unsigned_integers() {
    for (from, expected) in [("fe80::63", StateName::Active), ("fe80::8000:0:0:1", StateName::Backup)] {
        let mut rig = Rig::active(RouterSpec { instances: vec![instance(Family::Ipv6)], ..spec() });
        rig.hear(advert(from, 100));
        assert_eq!(rig.state(), expected); // RFC9568-6.4.3-12
    }
}

/// T23.
#[test]
fn rfc9568_6_4_3_14_answers_to_losing_advertisements_are_limited() {
    let mut rig = Rig::active(spec());
    let due = rig.node.next_deadline().unwrap();
    let start = rig.now;
    for _ in 0..1000 {
        rig.hear(advert("192.0.2.1", 50));
        rig.run(ms(1));
    }
    let counters = rig.instance(0).counters;
    assert!((3..=5).contains(&counters.immediate_adverts_sent), "{counters:?}");
    assert_eq!(counters.immediate_adverts_sent + counters.immediate_adverts_suppressed, 1000);
    // RFC9568-6.4.3-15: the schedule is the same as before.
    rig.out.clear();
    while rig.spoken().is_empty() {
        rig.now = rig.node.next_deadline().unwrap();
        rig.feed(Input::Deadline);
    }
    let advanced = rig.now.since(due);
    assert_eq!(advanced.as_nanos() % 1_000_000_000, 0, "{advanced:?} after {:?}", rig.now.since(start));
}

/// T24.
#[test]
fn rfc9568_6_4_3_10_priority_zero_is_answered_at_once() {
    let mut rig = Rig::active(spec());
    rig.run(ms(300));
    rig.said();
    rig.hear(advert("192.0.2.1", 0));
    // Hosts beside the leaving router may have been cut off when we announced the addresses.
    assert_eq!(rig.said(), ["say 100/100cs", "announce 1"]);
    rig.run(ms(999));
    assert_eq!(rig.spoken(), [""; 0]);
    rig.run(ms(2));
    assert_eq!(rig.spoken(), ["say 100/100cs"]);
}

/// 1000 forged resignations a second are answered a hundred times, the last of them too, and the
/// schedule then goes on from the last answer.
#[test]
fn rfc9568_6_4_3_19_a_flood_of_priority_zero_is_answered_at_a_limited_rate() {
    let mut rig = Rig::active(spec());
    rig.said();
    let announcements = |rig: &Rig| rig.instance(0).counters.announcements;
    let before = announcements(&rig);
    for _ in 0..1000 {
        rig.hear(advert("192.0.2.1", 0));
        rig.run(ms(1));
    }
    rig.run(ms(10));
    let answers = rig.spoken().len();
    assert!((99..=102).contains(&answers), "{answers} answers");
    let announced = announcements(&rig) - before;
    // One announcement each 30 ms for a second, and a last one.
    assert!((30..=36).contains(&announced), "{announced} announcements");
    assert_eq!(rig.state(), StateName::Active);
    rig.run(ms(980));
    assert_eq!(rig.spoken(), [""; 0]);
    rig.run(ms(20));
    assert_eq!(rig.spoken(), ["say 100/100cs"]);
}

// RFC9568-8.3.2-1
/// T26, T27.
#[test]
fn rfc9568_7_1_7_an_owner_stays_and_a_second_owner_is_reported_and_obeyed_by_address() {
    let mut rig = Rig::active(RouterSpec { role: Role::Owner, ..spec() });
    rig.hear(advert("192.0.2.200", 200));
    assert_eq!(rig.state(), StateName::Active);
    rig.hear(advert("192.0.2.1", 255));
    assert_eq!(rig.state(), StateName::Active);
    rig.hear(advert("192.0.2.200", 255));
    assert_eq!(rig.state(), StateName::Backup);
    assert_eq!(rig.instance(0).counters.owner_conflicts, 2);
    let conflict = |kind: &EventKind| {
        matches!(kind, EventKind::PeerWarningRaised { what: PeerWarning::OwnerConflict, .. })
    };
    rig.hear(advert("192.0.2.200", 255));
    assert_eq!(rig.events().iter().filter(|kind| conflict(kind)).count(), 2, "once for each");
}

// RFC9568-6.1-5
/// T28.
#[test]
fn an_owner_starts_active_while_another_router_serves() {
    let mut rig = Rig::new(RouterSpec { role: Role::Owner, ..spec() });
    rig.hear(advert("192.0.2.1", 200));
    assert_eq!(rig.state(), StateName::Active);
}

/// T30.
#[test]
fn rfc9568_6_4_2_6_a_backup_that_stops_says_nothing() {
    let mut rig = Rig::new(spec());
    rig.feed(Input::Shutdown);
    assert_eq!(rig.said(), ["stopped"]);
    rig.run(Duration::from_secs(60));
    assert_eq!(rig.said(), [""; 0]);
}

#[test]
fn another_active_is_reported_and_the_addresses_are_announced_again() {
    let mut rig = Rig::active(spec());
    rig.hear(advert("192.0.2.1", 50));
    let is_dual = |kind: &EventKind| matches!(kind, EventKind::DualActive { .. });
    assert!(rig.events().iter().any(is_dual));
    assert_eq!(rig.said(), ["say 100/100cs", "announce 1"]);
}

// RFC9568-6.2-4
/// T66: an Active that was stopped for long advertises at once if it may preempt, and listens first
/// if it may not.
#[test]
fn an_active_that_overslept_listens_before_it_speaks_unless_it_may_preempt() {
    let mut rig = Rig::active(spec());
    rig.stall(Duration::from_secs(10));
    rig.feed(Input::Deadline);
    assert!(rig.events().iter().any(|kind| matches!(kind, EventKind::Stalled { .. })));
    assert_eq!(rig.said()[0], "say 100/100cs");

    let mut rig = Rig::active(RouterSpec { role: contender(100, Preempt::Forbid), ..spec() });
    rig.stall(Duration::from_secs(10));
    rig.feed(Input::Deadline);
    assert!(!rig.said().iter().any(|word| word.starts_with("say")));
    rig.hear(advert("192.0.2.1", 50));
    assert_eq!(rig.state(), StateName::Backup);
    assert_eq!(rig.instance(0).cause, Cause::Stalled);
}

// RFC9568-6.2-4
#[test]
fn a_backup_that_overslept_listens_for_another_interval() {
    let mut rig = Rig::new(spec());
    rig.hear(advert("192.0.2.1", 200));
    rig.stall(Duration::from_secs(10));
    rig.feed(Input::Deadline);
    assert_eq!(rig.state(), StateName::Backup);
    assert_eq!(rig.until_state(StateName::Active), us(1_609_375));
}

#[test]
fn rfc9568_6_1_9_a_reload_that_keeps_the_router_keeps_state_and_timers() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Configure(vec![RouterSpec {
        role: contender(150, Preempt::Forbid),
        interval: interval(50),
        ..spec()
    }]));
    assert_eq!(rig.state(), StateName::Active);
    assert_eq!(rig.said(), [""; 0]);
    rig.run(ms(502));
    assert_eq!(rig.said(), ["say 150/50cs"]); // RFC9568-7.2-1
}

#[test]
fn another_vrid_is_a_new_router_and_the_old_one_resigns() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Configure(vec![RouterSpec { vrid: Vrid::new(52).unwrap(), ..spec() }]));
    rig.run(Duration::from_secs(3));
    let said = rig.said();
    assert!(said.contains(&"say 0/100cs".into()) && said.contains(&"release".into()), "{said:?}");
    assert_eq!(rig.instance(0).key.vrid.get(), 52);
    assert_eq!(rig.state(), StateName::Backup);
}
