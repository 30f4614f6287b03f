//! One message of a stranger proves nothing (docs/adr/0019).

use super::*;
use crate::wire::{Reject, RejectReason};

/// The address of a router that the node under test has never heard.
const STRANGER: &str = "192.0.2.200";
const PEER: &str = "192.0.2.1";

fn suspected(rig: &Rig) -> Vec<(Option<IpAddr>, PeerWarning)> {
    let suspicion = |kind| match kind {
        EventKind::PeerWarningRaised { peer, what } => Some((peer, what)),
        _ => None,
    };
    rig.events().into_iter().filter_map(suspicion).collect()
}

#[test]
fn a_forged_interval_keeps_a_backup_for_ten_of_ours_at_most() {
    for (ours, expected) in [(100, us(33_906_250)), (10, us(10_171_875))] {
        let mut rig =
            Rig::new(RouterSpec { interval: interval(ours), role: contender(156, Preempt::Allow), ..spec() });
        rig.hear(Advert { centiseconds: 4095, ..advert(STRANGER, 255) });
        let obeyed = interval(if ours == 100 { 1000 } else { 300 });
        let what = PeerWarning::IntervalTooLong { said: interval(4095), obeyed };
        assert_eq!(suspected(&rig), [(Some(STRANGER.parse().unwrap()), what)]);
        assert_eq!(rig.instance(0).peers[0].interval, interval(4095), "shown as it was said");
        assert_eq!(rig.until_state(StateName::Active), expected, "{ours} cs");
    }
}

#[test]
fn an_active_that_yields_to_a_forged_interval_is_back_after_ten_of_its_own() {
    let mut rig = Rig::active(spec());
    rig.hear(Advert { centiseconds: 4095, ..advert(STRANGER, 255) });
    assert_eq!(rig.state(), StateName::Backup);
    assert_eq!(rig.until_state(StateName::Active), us(36_093_750));
}

/// The operator changes the nodes of a pair from one interval to another one after the other, so
/// that they differ for a while.
#[test]
fn ten_times_our_interval_is_learned_as_it_is() {
    let mut rig = Rig::new(RouterSpec { interval: interval(10), ..spec() });
    rig.hear(Advert { centiseconds: 100, ..advert(PEER, 200) });
    assert_eq!(suspected(&rig)[0].1, PeerWarning::IntervalDiffers(interval(100)));
    assert_eq!(rig.until_state(StateName::Active), us(3_609_375));
}

#[test]
fn a_demotion_does_not_believe_one_message_of_a_stranger() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(7));
    rig.hear(Advert { centiseconds: 4095, ..advert(STRANGER, 254) });
    rig.run(Duration::from_secs(3));
    assert!(!rig.released(), "it would serve nobody");
    assert_eq!(rig.state(), StateName::Active);
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Refused { .. }]), "{:?}", rig.outcomes());
}

#[test]
fn a_second_message_is_believed_and_asked_for() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(8));
    rig.said();
    rig.hear(advert(PEER, 50));
    rig.run(ms(12));
    assert_eq!(rig.spoken(), ["say 0/100cs"], "who serves answers it at once");
    rig.hear(advert(PEER, 50));
    rig.run(ms(250));
    let [DemoteOutcome::HandedOver { after, .. }] = rig.outcomes()[..] else {
        panic!("{:?}", rig.outcomes())
    };
    assert_eq!(after, ms(8), "it served from its first word on");
}

#[test]
fn an_announcement_of_one_address_of_two_is_no_proof() {
    let two = vec!["192.0.2.253/24".parse().unwrap(), "192.0.2.254/24".parse().unwrap()];
    let instance = InstanceSpec { addresses: two, ..instance(Family::Ipv4) };
    let mut rig = Rig::active(RouterSpec { instances: vec![instance], ..spec() });
    rig.demote(Force::No);
    rig.run(ms(7));
    rig.hear(advert(STRANGER, 254));
    rig.hear_announced(Family::Ipv4);
    rig.run(Duration::from_secs(3));
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Refused { .. }]), "{:?}", rig.outcomes());
}

/// A stop and a fault release the addresses whether or not a successor is proven, and so they need
/// one advertisement only and end as fast as before.
#[test]
fn a_router_that_releases_in_any_case_waits_for_one_message_only() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Shutdown);
    rig.run(ms(10));
    rig.hear(advert(PEER, 50));
    rig.run(ms(249));
    assert!(!rig.released(), "hosts are still switching");
    rig.run(ms(1));
    assert!(rig.released());
}

/// The wait for a successor that was heard and then stopped advertising uses our own interval, not
/// the 40 s that the successor announced.
#[test]
fn the_wait_for_a_successor_that_fell_silent_uses_our_interval() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(7));
    for _ in 0..2 {
        rig.hear(Advert { centiseconds: 4095, ..advert(STRANGER, 254) });
        rig.run(ms(13));
    }
    rig.run(ms(250));
    assert_eq!(rig.state(), StateName::Initialize);
    assert!(rig.until_state(StateName::Active) < Duration::from_secs(4));
}

#[test]
fn an_active_follows_the_checksum_of_nobody_whom_it_outranks() {
    let list = [192, 0, 2, 254];
    let mut rig = Rig::new(spec());
    rig.hear_octets(advert(PEER, 50), &list, ChecksumFlavour::Rfc5798);
    rig.run(Duration::from_secs(20));
    rig.out.clear();
    for _ in 0..20 {
        rig.hear_octets(advert(STRANGER, 1), &list, ChecksumFlavour::Rfc9568);
        rig.hear_octets(advert(STRANGER, 0), &list, ChecksumFlavour::Rfc9568);
        rig.run(ms(250));
    }
    let said = rig.flavours();
    assert!(said.len() > 5 && said.iter().all(|flavour| *flavour == ChecksumFlavour::Rfc5798), "{said:?}");
    let differs = (Some(STRANGER.parse().unwrap()), PeerWarning::ChecksumDiffers);
    assert_eq!(suspected(&rig)[0], differs);
    // A router that makes this one yield decides the checksum flavour of the last advertisement.
    rig.out.clear();
    rig.hear_octets(advert(STRANGER, 200), &list, ChecksumFlavour::Rfc9568);
    assert_eq!((rig.state(), rig.flavours()), (StateName::Backup, vec![ChecksumFlavour::Rfc9568]));
}

#[test]
fn a_backup_follows_the_checksum_of_the_active_that_it_obeys() {
    let list = [192, 0, 2, 254];
    let mut rig = Rig::new(spec());
    for _ in 0..5 {
        rig.hear_octets(advert(PEER, 200), &list, ChecksumFlavour::Rfc5798);
        rig.run(ms(500));
        rig.hear_octets(advert(STRANGER, 1), &list, ChecksumFlavour::Rfc9568);
        rig.run(ms(500));
    }
    rig.out.clear();
    rig.until_state(StateName::Active);
    assert_eq!(rig.flavours(), [ChecksumFlavour::Rfc5798]);
}

#[test]
fn the_sender_of_a_rejected_message_is_named() {
    let mut rig = Rig::new(spec());
    let source: IpAddr = STRANGER.parse().unwrap();
    let reject =
        Reject { reason: RejectReason::ChecksumErrors, vrid: Some(Vrid::new(51).unwrap()), version: None };
    let carrier = Some(to_group(source));
    rig.feed(Input::Rejected { interface: interface(), family: Family::Ipv4, carrier, reject });
    assert_eq!(suspected(&rig), [(Some(source), PeerWarning::Rejected(RejectReason::ChecksumErrors))]);
}

#[test]
fn the_broadcast_address_of_the_network_is_no_router() {
    let mut rig = Rig::active(spec());
    rig.hear(advert("192.0.2.255", 254));
    assert_eq!(rig.state(), StateName::Active);
    assert_eq!(rig.instance(0).counters.rejected[&RejectReason::BadSource], 1);
}

/// Sends forged advertisements in the Active's name, twenty a second, while the Active itself goes
/// on. Returns how many takeovers they caused.
fn forge(rig: &mut Rig, seconds: u32, forged: Advert) -> usize {
    let before = rig.instance(0).counters.active_transitions;
    for tick in 0..seconds * 20 {
        rig.hear(forged);
        rig.run(ms(10));
        // The Active hears the router that took over, and answers at once.
        if tick % 20 == 0 || rig.state() == StateName::Active {
            rig.hear(advert(PEER, 200));
        }
        rig.run(ms(40));
        if rig.state() == StateName::Active {
            rig.hear(advert(PEER, 200));
        }
    }
    (rig.instance(0).counters.active_transitions - before).try_into().unwrap()
}

#[test]
fn a_message_in_the_actives_name_makes_two_actives_once_and_not_again() {
    let short = Advert { centiseconds: 1, ..advert(PEER, 200) };
    for forged in [short, advert(PEER, 0)] {
        let mut rig = Rig::new(spec());
        rig.hear(advert(PEER, 200));
        assert_eq!(forge(&mut rig, 9, forged), 1, "in the first nine seconds");
        let refuted = |kind| match kind {
            EventKind::TakeoverRefuted { silent, message, lasts, .. } => Some((silent, message, lasts)),
            _ => None,
        };
        let refuted: Vec<_> = rig.events().into_iter().filter_map(refuted).collect();
        let [(silent, word, lasts)] = refuted[..] else { panic!("{refuted:?}") };
        assert!(silent < ms(700) && lasts == Duration::from_secs(10), "{silent:?} {lasts:?}");
        match forged.priority {
            0 => assert_eq!(word, HastyMessage::Resignation),
            _ => assert_eq!((word, silent.as_millis()), (HastyMessage::Interval(interval(1)), 36)),
        }
        // The next attempt costs one takeover as well, and is followed by twice as long a time of
        // distrust.
        assert!(forge(&mut rig, 60, forged) <= 3);
    }
}

#[test]
fn a_backup_that_distrusts_takes_over_when_the_active_leaves_or_dies() {
    let doubting = || {
        let mut rig = Rig::new(spec());
        rig.hear(advert(PEER, 200));
        forge(&mut rig, 2, Advert { centiseconds: 1, ..advert(PEER, 200) });
        rig.hear(advert(PEER, 200));
        rig.run(ms(500));
        rig
    };
    // A hand-over of vrrpd: the leaving Active serves for 356 ms more than an interval.
    let mut rig = doubting();
    for _ in 0..3 {
        rig.hear(Advert { centiseconds: 1, ..advert(PEER, 200) });
        rig.run(ms(2));
    }
    rig.hear(advert(PEER, 0));
    let after = rig.until_state(StateName::Active);
    assert!(after > ms(1000) && after < ms(1250), "{after:?}");
    // A resignation of keepalived, which stops at once.
    let mut rig = doubting();
    rig.hear(advert(PEER, 0));
    let after = rig.until_state(StateName::Active);
    assert!(after > ms(500) && after < ms(750), "{after:?}");
    // The Active dies.
    let mut rig = doubting();
    assert_eq!(rig.until_state(StateName::Active), us(3_109_375));
}

#[test]
fn a_router_that_was_silent_and_comes_back_is_not_a_reason_for_distrust() {
    let mut rig = Rig::new(spec());
    rig.hear(advert(PEER, 200));
    rig.until_state(StateName::Active);
    rig.run(ms(300));
    rig.out.clear();
    rig.hear(advert(PEER, 200));
    assert_eq!(rig.state(), StateName::Backup);
    assert!(!rig.events().iter().any(|kind| matches!(kind, EventKind::TakeoverRefuted { .. })));
}

/// A router that the forged message made take over, or is about to make take over, must hear us
/// before it does.
#[test]
fn a_message_in_our_name_is_answered_at_once_and_reported() {
    for forged in [Advert { centiseconds: 1, ..advert(US, 100) }, advert(US, 0), advert(US, 200)] {
        let mut rig = Rig::active(spec());
        rig.hear(forged);
        assert_eq!(rig.spoken(), ["say 100/100cs"]);
        for _ in 0..100 {
            rig.hear(forged);
            rig.run(ms(1));
        }
        assert!((9..=11).contains(&rig.spoken().len()), "at a limited rate");
        assert_eq!(rig.state(), StateName::Active);
        assert_eq!(rig.instance(0).counters.rejected[&RejectReason::OwnPackets], 101);
    }
    let mut rig = Rig::active(spec());
    rig.hear(Advert { centiseconds: 1, ..advert(US, 100) });
    let expected =
        EventKind::Impersonated { priority: AdvertPriority::from_wire(100), interval: interval(1) };
    for _ in 0..10 {
        assert_eq!(rig.events().iter().filter(|event| **event == expected).count(), 1, "told once");
        rig.hear(Advert { centiseconds: 1, ..advert(US, 100) });
    }
}

/// After the Active has died, one packet does not decide the checksum flavour.
#[test]
fn a_backup_does_not_follow_the_checksum_of_one_message_of_the_lowest() {
    let list = [192, 0, 2, 254];
    for priority in [0, 1] {
        let mut rig = Rig::new(spec());
        for _ in 0..3 {
            rig.hear_octets(advert(PEER, 200), &list, ChecksumFlavour::Rfc5798);
            rig.run(ms(1000));
        }
        rig.run(ms(1500));
        rig.hear_octets(advert(STRANGER, priority), &list, ChecksumFlavour::Rfc9568);
        rig.out.clear();
        rig.run(ms(1200));
        assert_eq!(rig.flavours().first(), Some(&ChecksumFlavour::Rfc5798), "priority {priority}");
    }
}
