//! Edges that mutation testing found unguarded: each test states the right value on both sides.

use super::*;

const PEER: &str = "192.0.2.9";
const GREATER: &str = "192.0.2.200";

fn hear_foreign_list(rig: &mut Rig, from: &'static str, priority: u8) {
    rig.hear_octets(advert(from, priority), &[198, 51, 100, 1], ChecksumFlavour::Rfc9568);
}

/// A stranger with our VRID takes the addresses from everybody only if we obey it, and nobody else
/// serves them.
#[test]
fn the_addresses_are_lost_to_a_stranger_that_is_obeyed_while_nobody_serves() {
    for (ours, preempt, theirs, served, expected) in [
        (100, Preempt::Allow, 100, false, "addresses_lost"),
        (100, Preempt::Allow, 99, false, "address_list_differs"),
        (100, Preempt::Forbid, 99, false, "addresses_lost"),
        (100, Preempt::Allow, 100, true, "address_list_differs"),
    ] {
        let mut rig = Rig::new(RouterSpec { role: contender(ours, preempt), ..spec() });
        if served {
            rig.hear(advert(PEER, 200));
        }
        hear_foreign_list(&mut rig, GREATER, theirs);
        assert!(rig.warned().contains(&expected), "{theirs}, served {served}: {:?}", rig.warned());
    }
}

#[test]
fn an_active_loses_its_addresses_to_a_higher_priority_only() {
    for (theirs, expected) in [(101, "addresses_lost"), (100, "address_list_differs")] {
        let mut rig = Rig::active(spec());
        hear_foreign_list(&mut rig, PEER, theirs);
        assert!(rig.warned().contains(&expected), "{theirs}: {:?}", rig.warned());
    }
}

/// A source address that appears does not make a router Active that is not.
#[test]
fn a_source_address_that_appears_names_no_active_router() {
    let mut rig = Rig::new(spec());
    rig.feed(Input::Link(interface(), Some(LinkFacts { ipv4: Vec::new(), ..link() })));
    rig.run(Duration::from_secs(4));
    assert_eq!((rig.state(), rig.instance(0).active), (StateName::Initialize, None));
    rig.feed(Input::Link(interface(), Some(link())));
    assert_eq!((rig.state(), rig.instance(0).active), (StateName::Backup, None));
}

/// While we leave, the first advertisement of a router that was Active before may be older than our
/// resignation: it is asked with another resignation. That of a router that was not is the
/// takeover.
#[test]
fn who_was_active_before_is_asked_again_and_who_was_not_has_taken_over() {
    for (priority, millis_ago, asked) in [
        (50, 1900, true),  // Within two of its intervals: it was Active.
        (50, 2100, false), // Longer ago: it was not any more.
        (0, 1000, false),  // It had resigned.
    ] {
        let mut rig = Rig::active(spec());
        rig.hear(advert(PEER, priority));
        rig.run(ms(millis_ago));
        rig.feed(Input::Shutdown);
        rig.run(ms(10));
        rig.said();
        rig.hear(advert(PEER, 90));
        rig.run(ms(20));
        let asks = rig.spoken() == ["say 0/100cs"];
        assert_eq!(asks, asked, "priority {priority}, {millis_ago} ms before");
    }
}

#[test]
fn a_resignation_is_counted_and_only_its_sender_is_not_the_active_any_more() {
    let mut rig = Rig::new(spec());
    rig.hear(advert(GREATER, 200));
    rig.hear(advert(PEER, 0));
    let active = rig.instance(0).active.map(|active| active.address.to_string());
    assert_eq!((active.as_deref(), rig.instance(0).counters.priority_zero_pkts_rcvd), (Some(GREATER), 1));
    rig.hear(advert(GREATER, 0));
    assert_eq!((rig.instance(0).active, rig.instance(0).counters.priority_zero_pkts_rcvd), (None, 2));
    assert_eq!(rig.instance(0).counters.advertisement_rcvd, 3);
}

/// Another router may be shown with an address that was ours a moment ago, and the other way round.
#[test]
fn the_active_router_is_this_one_only_while_it_is_active_at_its_own_source() {
    let is_local = |rig: &Rig| rig.instance(0).active.map(|active| active.local);
    let mut rig = Rig::active(spec());
    assert_eq!(is_local(&rig), Some(true));
    rig.hear(advert(PEER, 200));
    assert_eq!((rig.state(), is_local(&rig)), (StateName::Backup, Some(false)));
    let mut other = Rig::new(spec());
    other.hear(advert(PEER, 200));
    other.feed(Input::Link(interface(), Some(LinkFacts { ipv4: vec![PEER.parse().unwrap()], ..link() })));
    assert_eq!((other.state(), is_local(&other)), (StateName::Backup, Some(false)));
}

/// Readers outside the core keep what they derive from it until this number changes.
#[test]
fn the_generation_changes_with_what_runs_and_with_nothing_else() {
    let mut rig = Rig::new(spec());
    let begun = rig.node.generation();
    assert_ne!(begun, Node::new().generation());
    rig.run(Duration::from_secs(20));
    rig.hear(advert(PEER, 50));
    assert_eq!(rig.node.generation(), begun);
    rig.feed(Input::Configure(vec![spec()]));
    let configured = rig.node.generation();
    assert_ne!(configured, begun);
    rig.feed(Input::Configure(vec![RouterSpec { vrid: Vrid::new(52).unwrap(), ..spec() }]));
    assert_ne!(rig.node.generation(), configured);
    let mut after_a_crash = Node::new();
    after_a_crash.handle(rig.now, Input::FinishCrashedRun(vec![spec()]), &mut Effects::new());
    assert_ne!(after_a_crash.generation(), Node::new().generation());
}

/// What others announce concerns a router that leaves, or serves; a Backup does nothing with it.
#[test]
fn a_backup_does_not_care_who_announces_its_addresses() {
    let mut rig = Rig::new(spec());
    rig.hear(advert(PEER, 200));
    rig.said();
    rig.hear_announced(Family::Ipv4);
    assert_eq!(rig.out, []);
    let mut serving = Rig::active(spec());
    serving.hear_announced(Family::Ipv4);
    serving.run(Duration::from_secs(4));
    assert!(serving.warned().contains(&"address_conflict"), "{:?}", serving.events());
}

/// A Backup that was not run for longer than an interval listens once more. One that is late by an
/// interval, or by 50 ms if that is longer, takes over.
#[test]
fn a_backup_that_is_late_by_one_interval_takes_over_and_one_that_is_later_listens() {
    for (centiseconds, late) in [(100, Duration::from_secs(1)), (1, ms(50))] {
        for (more, expected) in [(0, StateName::Active), (1, StateName::Backup)] {
            let mut rig = Rig::new(RouterSpec { interval: interval(centiseconds), ..spec() });
            rig.now = rig.node.next_deadline().unwrap() + late + Duration::from_nanos(more);
            rig.feed(Input::Deadline);
            assert_eq!(rig.state(), expected, "{centiseconds} cs, {more} ns more");
        }
    }
}

/// An Active that we were about to preempt is obeyed when our priority falls to its own, or below.
#[test]
fn an_active_of_the_priority_that_we_have_fallen_to_is_obeyed() {
    for (theirs, waits) in [(41, true), (40, true), (39, false)] {
        let check = CheckName("nginx".into());
        let mut rig = Rig::new(RouterSpec { tracks: vec![Track::weighted(check.clone(), -60)], ..spec() });
        rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
        rig.run(Duration::from_secs(3));
        rig.hear(advert(PEER, theirs));
        let before = rig.node.next_deadline();
        rig.feed(Input::CheckResult(check, CheckResult::Failing));
        assert_eq!(rig.node.next_deadline() > before, waits, "priority {theirs}");
    }
}

/// What the router that we preempted says until it hears us is not reported.
#[test]
fn a_displaced_active_may_speak_for_one_interval() {
    for (later, reported) in
        [(Duration::from_secs(1) - Duration::from_nanos(1), 0), (Duration::from_secs(1), 1)]
    {
        let mut rig = Rig::new(spec());
        for _ in 0..3 {
            rig.run(ms(1000));
            rig.hear(advert(PEER, 50));
        }
        rig.until_state(StateName::Active);
        rig.said();
        rig.run(ms(3));
        assert_eq!(rig.spoken(), ["say 100/100cs"]);
        rig.run(later);
        rig.hear(advert(PEER, 50));
        assert_eq!(rig.instance(0).counters.dual_active, reported, "{later:?}");
    }
}

/// An Active that must not preempt listens first when others rightly believe that it is gone.
#[test]
fn a_pause_is_too_long_when_it_is_longer_than_others_wait() {
    let others_wait = us(3_609_375);
    for (more, listens) in [(0, false), (1, true)] {
        let mut rig = Rig::active(RouterSpec { role: contender(100, Preempt::Forbid), ..spec() });
        // An answer to priority 0 begins an interval now.
        rig.hear(advert(PEER, 0));
        rig.said();
        rig.stall(Duration::from_secs(1) + others_wait + Duration::from_nanos(more));
        rig.feed(Input::Deadline);
        assert_eq!(rig.spoken().is_empty(), listens, "{more} ns more");
    }
}

#[test]
fn an_active_that_is_late_by_exactly_one_interval_advertises_once() {
    let mut rig = Rig::active(spec());
    rig.hear(advert(PEER, 0)); // The answer begins an interval.
    rig.said();
    rig.stall(Duration::from_secs(2));
    rig.feed(Input::Deadline);
    assert_eq!(rig.spoken(), ["say 100/100cs"]);
}

/// Another Active may hear our regular advertisement first, and may not send a last one. So long as
/// its own next advertisement is not overdue, hosts are told with ours, and once more a second
/// later.
#[test]
fn addresses_are_announced_with_each_advertisement_while_another_active_is_heard() {
    let second = Duration::from_secs(1);
    for (before, expected) in [(ms(300), [true, true, true, false]), (ms(500), [true, true, false, false])] {
        let mut rig = Rig::active(spec());
        while rig.spoken().is_empty() {
            rig.run(rig.node.next_deadline().unwrap().since(rig.now));
        }
        rig.run(second - before);
        rig.hear(advert(PEER, 50));
        rig.run(before - us(1));
        let announces = [(); 4].map(|()| {
            rig.said();
            rig.run(us(1));
            let said = rig.said();
            assert!(said.contains(&"say 100/100cs".to_owned()), "{said:?}");
            rig.run(second - us(1));
            said.contains(&"announce 1".to_owned())
        });
        assert_eq!(announces, expected, "heard {before:?} before");
    }
}

/// What waited in the socket during a pause is handled before the deadline that has passed.
#[test]
fn an_active_that_must_not_preempt_notices_its_pause_when_it_hears_another() {
    for (preempt, expected) in [(Preempt::Forbid, StateName::Backup), (Preempt::Allow, StateName::Active)] {
        let mut rig = Rig::active(RouterSpec { role: contender(100, preempt), ..spec() });
        rig.stall(Duration::from_secs(10));
        rig.hear(advert(PEER, 50));
        assert_eq!(rig.state(), expected);
    }
}

/// A takeover because of a message in the Active's name is a mistake if the Active goes on.
#[test]
fn a_takeover_is_refuted_by_the_router_that_it_replaced_and_soon() {
    for (source, later, refuted) in
        [(GREATER, us(1_250_000), true), (GREATER, us(1_250_001), false), (PEER, ms(500), false)]
    {
        let mut rig = Rig::new(spec());
        rig.hear(advert(GREATER, 200));
        rig.run(ms(500));
        rig.hear(advert(GREATER, 0));
        rig.until_state(StateName::Active);
        rig.run(later);
        rig.hear(advert(source, 200));
        let found = rig.events().iter().any(|kind| matches!(kind, EventKind::TakeoverRefuted { .. }));
        assert_eq!(found, refuted, "{source} after {later:?}");
    }
}

#[test]
fn answers_that_are_not_sent_are_counted() {
    let suppressed = |rig: &Rig| rig.instance(0).counters.immediate_adverts_suppressed;
    let mut rig = Rig::active(spec());
    for expected in [0, 1] {
        rig.hear(advert(PEER, 0));
        assert_eq!(suppressed(&rig), expected, "of answers to priority 0");
    }
    let mut rig = Rig::active(spec());
    for (after, expected) in [(Duration::ZERO, 0), (us(249_999), 1), (us(1), 1)] {
        rig.run(after);
        rig.hear(advert(PEER, 50));
        assert_eq!(suppressed(&rig), expected, "of answers to a lower priority");
    }
}

/// Who hears the shortened interval only cannot know yet that we leave.
#[test]
fn a_lower_priority_before_the_resignation_is_not_a_successor_even_for_a_stop() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Shutdown);
    rig.run(ms(3));
    rig.hear(advert(PEER, 50));
    rig.run(Duration::from_secs(3));
    let nobody = |kind: &EventKind| matches!(kind, EventKind::NobodyTookOver { .. });
    assert!(rig.events().iter().any(nobody), "{:?}", rig.events());
}

/// It displaces an Active that serves, so that it can wait for its own addresses.
#[test]
fn a_hand_over_that_is_called_off_before_the_addresses_are_held_waits_for_them_again() {
    let mut rig = Rig::new(spec());
    rig.kernel = Kernel::Silent;
    for _ in 0..3 {
        rig.run(ms(1000));
        rig.hear(advert(PEER, 50));
    }
    rig.until_state(StateName::Active);
    rig.demote(Force::No);
    rig.promote();
    rig.run(us(499_999));
    assert_eq!(rig.spoken(), [""; 0]);
    rig.run(us(1));
    assert_eq!(rig.spoken(), ["say 100/100cs"]);
}

/// A successor that was Active before, behind a partition, has announced nothing lately: our last
/// resignation makes it tell the hosts.
#[test]
fn hosts_that_nobody_told_are_told_when_the_successor_hears_us_once_more() {
    for (announces, expected) in [(false, vec!["say 0/100cs", "release", "stopped"]), (true, vec![])] {
        let mut rig = Rig::active(spec());
        rig.feed(Input::Shutdown);
        rig.run(ms(10));
        rig.hear(advert(PEER, 50));
        if announces {
            rig.hear_announced(Family::Ipv4);
        }
        rig.run(us(249_999));
        rig.said();
        rig.run(us(1));
        assert_eq!(rig.said(), expected);
    }
}

/// An announcement of ours after the successor's would turn the hosts back to us.
#[test]
fn another_hardware_address_is_not_announced_by_who_leaves() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(8));
    rig.out.clear();
    rig.feed(Input::Link(interface(), Some(LinkFacts { mac: Some(STRANGER_MAC), ..link() })));
    assert_eq!(rig.out, []);
}

/// What others announced before we became Active was their right.
#[test]
fn an_announcement_before_a_fault_is_not_a_conflict_after_it() {
    let mut rig = Rig::active(spec());
    rig.hear_announced(Family::Ipv4);
    rig.feed(Input::Link(interface(), None));
    rig.feed(Input::Link(interface(), Some(link())));
    rig.until_state(StateName::Active);
    rig.run(Duration::from_secs(5));
    assert!(!rig.warned().contains(&"address_conflict"), "{:?}", rig.events());
}

/// Some routers that were just heard give way after they have announced.
#[test]
fn an_announcement_is_explained_by_a_router_that_was_heard_just_before_it() {
    for (before, conflict) in [(ms(250), false), (ms(251), true)] {
        let mut rig = Rig::active(spec());
        rig.hear(advert(PEER, 50));
        rig.run(before);
        rig.hear_announced(Family::Ipv4);
        rig.run(Duration::from_secs(5));
        assert_eq!(rig.warned().contains(&"address_conflict"), conflict, "{before:?}");
    }
}

/// Another router must not be able to make us flood the LAN: 2 ms for each address.
#[test]
fn many_addresses_are_announced_again_less_often() {
    let addresses: Vec<_> = (1..=50).map(|last| format!("192.0.2.{last}/24").parse().unwrap()).collect();
    let instance = InstanceSpec { addresses, ..instance(Family::Ipv4) };
    let mut rig = Rig::active(RouterSpec { instances: vec![instance], ..spec() });
    for (after, announces) in [(Duration::ZERO, true), (us(99_999), false), (us(1), true)] {
        rig.run(after);
        rig.hear_octets(advert(GREATER, 50), &[192, 0, 2, 1], ChecksumFlavour::Rfc9568);
        assert_eq!(rig.said().contains(&"announce 1".to_owned()), announces, "after {after:?} more");
    }
}

/// A Backup that distrusts what hastens a takeover waits until the Active is late by a quarter of an
/// interval, and by 200 ms at most.
#[test]
fn a_distrusted_resignation_waits_for_an_active_that_is_late() {
    for (centiseconds, expected) in [(40, 306_093_750), (100, 1_006_093_750)] {
        let alive = Advert { centiseconds, ..advert(GREATER, 200) };
        let resigned = Advert { centiseconds, ..advert(GREATER, 0) };
        let mut rig = Rig::new(RouterSpec { interval: interval(centiseconds), ..spec() });
        rig.hear(alive);
        rig.run(ms(100));
        rig.hear(resigned);
        rig.until_state(StateName::Active);
        rig.hear(alive);
        rig.run(ms(300));
        rig.hear(alive);
        rig.run(ms(200));
        rig.hear(resigned);
        let waited = rig.until_state(StateName::Active);
        // An interval, 100 or 200 ms, and the Skew_Time at 10 ms; of that, 200 ms have passed.
        assert_eq!(waited.as_nanos(), expected, "{centiseconds} cs");
    }
}

/// Who is silent and who is preempted: the Active that was obeyed, by its last nonzero priority.
#[test]
fn an_active_is_preempted_only_if_we_outrank_the_one_that_we_obeyed() {
    for (obeyed, then, beside, expected) in
        [(100, None, Some(50), Cause::ActiveDownTimer), (200, Some(50), None, Cause::Preempted)]
    {
        let mut rig = Rig::new(spec());
        rig.hear(advert(GREATER, obeyed));
        while rig.state() == StateName::Backup {
            rig.run(ms(500));
            if let Some(lower) = then {
                rig.hear(advert(GREATER, lower));
            }
            if let Some(lower) = beside {
                rig.hear(advert(PEER, lower));
            }
        }
        assert_eq!(rig.instance(0).cause, expected, "obeyed {obeyed}");
    }
}

/// The checksum in which we send first when we become Active.
fn first_checksum(heard: &[(&'static str, u8, ChecksumFlavour)]) -> Option<ChecksumFlavour> {
    let mut rig = Rig::new(spec());
    for (from, priority, flavour) in heard {
        rig.hear_octets(advert(from, *priority), &[192, 0, 2, 254], *flavour);
        rig.run(ms(100));
    }
    rig.out.clear();
    rig.until_state(StateName::Active);
    rig.run(ms(500));
    rig.flavours().first().copied()
}

#[test]
fn a_backup_learns_the_checksum_of_those_that_it_will_speak_to() {
    use ChecksumFlavour::{Rfc5798, Rfc9568};
    for (heard, expected) in [
        // The Active changes its own.
        (vec![(PEER, 200, Rfc5798), (PEER, 200, Rfc9568)], Rfc9568),
        // Another Active that we obey.
        (vec![(PEER, 200, Rfc5798), (GREATER, 200, Rfc9568)], Rfc9568),
        // The only other router, which we outrank.
        (vec![(PEER, 50, Rfc5798), (PEER, 50, Rfc9568)], Rfc9568),
        // One of two that we outrank.
        (vec![(PEER, 50, Rfc5798), (GREATER, 50, Rfc9568)], Rfc5798),
        (vec![(PEER, 50, Rfc5798), (GREATER, 50, Rfc9568), (GREATER, 50, Rfc9568)], Rfc5798),
        // A resignation may be anybody's.
        (vec![(PEER, 200, Rfc5798), (PEER, 0, Rfc9568)], Rfc5798),
    ] {
        assert_eq!(first_checksum(&heard), Some(expected), "{heard:?}");
    }
}

#[test]
fn another_checksum_that_we_follow_is_reported() {
    let mut rig = Rig::new(spec());
    for flavour in [ChecksumFlavour::Rfc9568, ChecksumFlavour::Rfc5798] {
        rig.out.clear();
        rig.hear_octets(advert(PEER, 200), &[192, 0, 2, 254], flavour);
    }
    assert!(rig.events().contains(&EventKind::ChecksumFollows(ChecksumFlavour::Rfc5798)), "{:?}", rig.out);
}

/// Backups have learned the shortest interval, whether the kernel holds our addresses or not.
#[test]
fn a_hand_over_that_is_called_off_after_its_first_message_takes_the_interval_back_at_once() {
    let mut rig = Rig::new(spec());
    rig.kernel = Kernel::Silent;
    rig.until_state(StateName::Active);
    rig.demote(Force::No);
    assert_eq!(rig.spoken(), ["say 100/100cs", "say 100/1cs"]);
    rig.promote();
    assert_eq!(rig.spoken(), ["say 100/100cs"]);
}

/// Two routers that say one message each prove nothing together.
#[test]
fn a_message_of_another_router_does_not_confirm_a_successor() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(8));
    rig.hear(advert(PEER, 50));
    rig.run(ms(13));
    rig.hear(advert(GREATER, 50));
    rig.run(Duration::from_secs(3));
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Refused { .. }]), "{:?}", rig.outcomes());
}

#[test]
fn only_the_resignation_of_the_successor_makes_a_router_look_for_another() {
    for (from, handed_over) in [(PEER, false), (GREATER, true)] {
        let mut rig = Rig::active(spec());
        rig.feed(Input::Shutdown);
        rig.run(ms(10));
        rig.hear(advert(PEER, 50));
        rig.run(ms(5));
        rig.hear(advert(from, 0));
        rig.run(Duration::from_secs(3));
        let found = rig.events().iter().any(|kind| matches!(kind, EventKind::HandedOver { .. }));
        assert_eq!(found, handed_over, "{from}");
    }
}

#[test]
fn resignations_that_are_sent_are_counted() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(40));
    assert_eq!(rig.said().iter().filter(|word| *word == "say 0/100cs").count(), 2);
    assert_eq!(rig.instance(0).counters.priority_zero_pkts_sent, 2);
}

/// The same of a demoted router whose successor is awaited.
#[test]
fn a_node_that_is_late_by_one_interval_serves_as_the_last_resort_and_one_that_is_later_listens() {
    for (more, serves) in [(0, true), (1, false)] {
        let mut rig = Rig::active(spec());
        rig.demote(Force::No);
        rig.hand_over_to(PEER);
        rig.out.clear();
        // The first deadline is that of the watch for the successor.
        rig.now = rig.node.next_deadline().unwrap() + Duration::from_secs(1) + Duration::from_nanos(more);
        rig.feed(Input::Deadline);
        let silent = rig.events().contains(&EventKind::SuccessorSilent);
        assert_eq!(silent, serves, "{more} ns more");
    }
}

/// A node that was not run for longer than an interval did not listen either.
#[test]
fn a_node_that_is_late_by_one_interval_tells_that_nobody_serves_and_one_that_is_later_listens() {
    for (more, told) in [(0, true), (1, false)] {
        let mut rig = Rig::new(spec());
        rig.demote(Force::No);
        rig.out.clear();
        rig.now = rig.node.next_deadline().unwrap() + Duration::from_secs(1) + Duration::from_nanos(more);
        rig.feed(Input::Deadline);
        let found = rig.events().iter().any(|kind| matches!(kind, EventKind::NobodyServes { .. }));
        assert_eq!(found, told, "{more} ns more");
    }
}
