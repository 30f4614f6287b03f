//! Edges that mutation testing found unguarded: each test states the right value on both sides.

use super::*;

const PEER: &str = "192.0.2.9";
const GREATER: &str = "192.0.2.200";

fn warned(rig: &Rig) -> Vec<&'static str> {
    let begun = |kind| match kind {
        EventKind::PeerWarningRaised { what, .. } => Some(what.as_str()),
        _ => None,
    };
    rig.events().into_iter().filter_map(begun).collect()
}

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
        assert!(warned(&rig).contains(&expected), "{theirs}, served {served}: {:?}", warned(&rig));
    }
}

#[test]
fn an_active_loses_its_addresses_to_a_higher_priority_only() {
    for (theirs, expected) in [(101, "addresses_lost"), (100, "address_list_differs")] {
        let mut rig = Rig::active(spec());
        hear_foreign_list(&mut rig, PEER, theirs);
        assert!(warned(&rig).contains(&expected), "{theirs}: {:?}", warned(&rig));
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
    rig.run(Duration::from_secs(20));
    rig.hear(advert(PEER, 50));
    assert_eq!(rig.node.generation(), begun);
    rig.feed(Input::Configure(vec![spec()]));
    let configured = rig.node.generation();
    assert_ne!(configured, begun);
    rig.feed(Input::Configure(vec![RouterSpec { vrid: Vrid::new(52).unwrap(), ..spec() }]));
    assert_ne!(rig.node.generation(), configured);
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
    assert!(warned(&serving).contains(&"address_conflict"), "{:?}", serving.events());
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
