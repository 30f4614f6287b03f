//! Warnings that stand against other routers, and what a stranger with our VRID cannot do.

use super::*;
use crate::wire::{Reject, RejectReason};

const STRANGER: &str = "192.0.2.13";
const FOREIGN: [u8; 4] = [192, 0, 2, 77];

fn both() -> RouterSpec {
    RouterSpec { instances: vec![instance(Family::Ipv4), instance(Family::Ipv6)], ..spec() }
}

fn states(rig: &Rig) -> [StateName; 2] {
    [rig.instance(0).state, rig.instance(1).state]
}

fn stranger(rig: &mut Rig, priority: u8) {
    rig.hear_octets(advert(STRANGER, priority), &FOREIGN, ChecksumFlavour::Rfc9568);
}

fn over(rig: &Rig) -> Vec<&'static str> {
    let over = |kind| match kind {
        EventKind::PeerWarningCleared { what, .. } => Some(what.as_str()),
        _ => None,
    };
    rig.events().into_iter().filter_map(over).collect()
}

fn standing(rig: &Rig) -> Vec<&'static str> {
    rig.node.snapshot(rig.now).routers[0].peer_warnings.iter().map(|warning| warning.what.as_str()).collect()
}

#[test]
fn one_family_is_not_given_up_because_of_a_stranger_in_the_other() {
    let mut rig = Rig::active(both());
    for _ in 0..10 {
        stranger(&mut rig, 200);
        rig.run(ms(1000));
        assert_eq!(states(&rig), [StateName::Backup, StateName::Active]);
    }
    assert_eq!(rig.warned(), ["addresses_lost"]);
    // The stranger leaves, and both families are together again.
    rig.run(Duration::from_secs(5));
    assert_eq!(states(&rig), [StateName::Active; 2]);
    assert_eq!(over(&rig), ["addresses_lost"]);
}

#[test]
fn a_stranger_in_one_family_does_not_keep_the_other_from_taking_over() {
    let mut rig = Rig::new(both());
    for _ in 0..6 {
        stranger(&mut rig, 200);
        rig.run(ms(1000));
    }
    assert_eq!(states(&rig), [StateName::Backup, StateName::Active]);
}

/// A router that lists our addresses in one family is our peer, and takes both families.
#[test]
fn a_peer_takes_both_families_though_a_stranger_has_one() {
    let mut rig = Rig::active(both());
    stranger(&mut rig, 200);
    rig.hear(advert("192.0.2.1", 210));
    assert_eq!(states(&rig), [StateName::Backup; 2]);
}

#[test]
fn the_family_that_is_left_is_handed_over_alone() {
    let mut rig = Rig::active(both());
    stranger(&mut rig, 200);
    rig.run(ms(400));
    rig.out.clear();
    rig.demote(Force::No);
    rig.run(ms(10));
    rig.hear(advert("fe80::1", 50));
    rig.hear_announced(Family::Ipv6);
    rig.run(ms(80));
    assert_eq!(states(&rig), [StateName::Initialize; 2]);
    assert!(
        matches!(rig.outcomes()[..], [DemoteOutcome::WasBackup, DemoteOutcome::HandedOver { .. }]),
        "{:?}",
        rig.outcomes()
    );
}

#[test]
fn a_split_brain_that_lasts_stands_until_it_is_over() {
    let mut rig = Rig::active(spec());
    rig.hear(advert(STRANGER, 50));
    assert_eq!(rig.warned(), [""; 0], "for a moment there are two");
    for _ in 0..4 {
        rig.run(ms(1000));
        rig.hear(advert(STRANGER, 50));
    }
    assert_eq!((rig.warned(), standing(&rig)), (vec!["also_active"], vec!["also_active"]));
    rig.run(Duration::from_secs(6));
    assert_eq!((over(&rig), standing(&rig)), (vec!["also_active"], vec![]));
}

#[test]
fn other_lists_are_reported_with_what_they_have_more_and_less() {
    let mut spec = spec();
    spec.instances[0].addresses = vec!["192.0.2.253/24".parse().unwrap(), "192.0.2.254/24".parse().unwrap()];
    let mut rig = Rig::new(spec);
    let octets = [192, 0, 2, 252, 192, 0, 2, 253];
    rig.hear_octets(advert("192.0.2.1", 200), &octets, ChecksumFlavour::Rfc9568);
    let differs = |kind| match kind {
        EventKind::PeerWarningRaised { what: PeerWarning::AddressListDiffers { more, less }, .. } => {
            Some((more, less))
        }
        _ => None,
    };
    let differs: Vec<_> = rig.events().into_iter().filter_map(differs).collect();
    let one = |text: &str| vec![text.parse::<IpAddr>().unwrap()];
    assert_eq!(differs, [(one("192.0.2.252"), one("192.0.2.254"))]);
}

#[test]
fn equal_priorities_and_our_address_under_another_vrid_are_reported() {
    let mut rig = Rig::new(spec());
    rig.hear(advert("192.0.2.1", 100));
    assert_eq!(rig.warned(), ["same_priority"]);
    let mut rig = Rig::new(RouterSpec { vrid: Vrid::new(9).unwrap(), ..spec() });
    rig.hear(advert(STRANGER, 200));
    assert_eq!(rig.warned(), ["other_vrid"]);
    let mut rig = Rig::new(RouterSpec { vrid: Vrid::new(9).unwrap(), ..spec() });
    stranger(&mut rig, 200);
    assert_eq!(rig.warned(), [""; 0], "other virtual routers on a LAN are normal");
}

/// Advertisements of other virtual routers are many, and comparing them costs time: one in 50 ms is
/// compared.
#[test]
fn our_address_under_another_vrid_is_looked_for_every_fifty_milliseconds() {
    for (later, expected) in [(0, vec![]), (49, vec![]), (50, vec!["other_vrid"])] {
        let mut rig = Rig::new(RouterSpec { vrid: Vrid::new(9).unwrap(), ..spec() });
        stranger(&mut rig, 200);
        rig.run(ms(later));
        rig.hear(advert(STRANGER, 200));
        assert_eq!(rig.warned(), expected, "{later} ms later");
    }
}

/// Comparing costs time, so that only the first sixteen addresses of a foreign VRID are looked at.
#[test]
fn our_address_is_found_among_the_first_sixteen_of_another_vrid() {
    for (others, expected) in [(15, vec!["other_vrid"]), (16, vec![])] {
        let mut list: Vec<u8> = (1..=others).flat_map(|last| [198, 51, 100, last]).collect();
        list.extend([192, 0, 2, 254]);
        let mut rig = Rig::new(RouterSpec { vrid: Vrid::new(9).unwrap(), ..spec() });
        rig.hear_octets(advert(STRANGER, 200), &list, ChecksumFlavour::Rfc9568);
        assert_eq!(rig.warned(), expected, "after {others} others");
    }
}

/// Four intervals of its sender, and a second.
#[test]
fn what_an_advertisement_shows_stands_until_the_next_ones_are_overdue() {
    let mut rig = Rig::active(spec());
    stranger(&mut rig, 50);
    rig.run(ms(4999));
    assert_eq!((standing(&rig), over(&rig)), (vec!["address_list_differs"], vec![]));
    rig.run(ms(1));
    assert_eq!(standing(&rig), [""; 0]);
    rig.run(ms(1100));
    assert_eq!(over(&rig), ["address_list_differs"]);
}

/// Two thousand forged source addresses neither use more memory nor fill the event log.
#[test]
fn any_number_of_strangers_makes_a_limited_number_of_events() {
    for list in [[192, 0, 2, 254], FOREIGN] {
        let mut rig = Rig::active(spec());
        for n in 0..2000_u16 {
            let from: &'static str = Box::leak(format!("10.0.{}.{}", n / 250, n % 250 + 1).into_boxed_str());
            rig.hear_octets(advert(from, 50), &list, ChecksumFlavour::Rfc9568);
            rig.run(ms(5));
        }
        assert!(standing(&rig).len() <= 16);
        let events = rig.events().len();
        assert!(events < 120, "{events} events in ten seconds");
    }
}

/// A stranger serves none of our addresses: a router that let go for it would leave them
/// nobody_serving.
#[test]
fn a_demotion_is_not_handed_over_to_a_stranger() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(7));
    for _ in 0..3 {
        stranger(&mut rig, 50);
        rig.run(ms(20));
    }
    rig.run(Duration::from_secs(5));
    assert_eq!(rig.state(), StateName::Active);
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Refused { .. }]), "{:?}", rig.outcomes());
}

/// Advertisements of a stranger are not a sign that the successor goes on serving.
#[test]
fn a_stranger_does_not_hide_that_nobody_serves() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(7));
    rig.hear(advert("192.0.2.1", 50));
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(25));
    assert_eq!(rig.state(), StateName::Initialize);
    for _ in 0..5 {
        stranger(&mut rig, 50);
        rig.run(ms(1000));
    }
    assert!(rig.events().contains(&EventKind::SuccessorSilent), "{:?}", rig.events());
    assert!(standing(&rig).contains(&"addresses_lost"), "{:?}", standing(&rig));
}

#[test]
fn a_split_brain_that_begins_again_is_reported_again_when_it_lasts() {
    let mut rig = Rig::active(spec());
    let lasts = |rig: &mut Rig, seconds: u32| {
        for _ in 0..seconds {
            rig.hear(advert(STRANGER, 50));
            rig.run(ms(1000));
        }
    };
    lasts(&mut rig, 6);
    rig.run(ms(6000));
    assert_eq!((rig.warned().len(), over(&rig).len()), (1, 1));
    lasts(&mut rig, 30);
    assert_eq!((rig.warned().len(), standing(&rig)), (1, vec!["also_active"]), "once a minute");
    lasts(&mut rig, 30);
    assert_eq!((rig.warned().len(), over(&rig).len()), (2, 1));
}

/// Any station can send messages that are discarded, in any name.
#[test]
fn discarded_messages_neither_hide_a_split_brain_nor_stay_for_ever() {
    let mut rig = Rig::active(spec());
    let discarded = |rig: &mut Rig, n: u8| {
        let carrier = Some(to_group(IpAddr::from([10, 0, 0, n])));
        let reject = Reject {
            reason: RejectReason::ChecksumErrors,
            vrid: Some(Vrid::new(51).unwrap()),
            version: None,
        };
        rig.feed(Input::Rejected { interface: interface(), family: Family::Ipv4, carrier, reject });
    };
    for n in 0..16 {
        discarded(&mut rig, n);
    }
    for _ in 0..6 {
        rig.hear(advert(STRANGER, 50));
        rig.run(ms(1000));
    }
    assert!(standing(&rig).contains(&"also_active"), "{:?}", standing(&rig));
    // A node that takes no part in elections receives such messages only.
    let mut rig = Rig::new(spec());
    rig.demote(Force::No);
    discarded(&mut rig, 0);
    rig.stall(Duration::from_secs(3600));
    discarded(&mut rig, 1);
    let ended = |kind| match kind {
        EventKind::PeerWarningCleared { after, .. } => Some(after),
        _ => None,
    };
    let ended: Vec<_> = rig.events().into_iter().filter_map(ended).collect();
    assert_eq!((ended, standing(&rig).len()), (vec![Duration::from_secs(10)], 1));
}

/// A stranger that has gone leaves nothing behind: both families act as a pair again.
#[test]
fn families_are_a_pair_again_when_the_stranger_has_gone() {
    let mut rig = Rig::active(both());
    for _ in 0..3 {
        stranger(&mut rig, 200);
        rig.run(ms(1000));
    }
    rig.run(Duration::from_secs(5));
    assert_eq!(states(&rig), [StateName::Active; 2]);
    // A peer takes IPv6, and IPv4 yields too, as in a pair: it waits for an advertisement of the
    // peer in its own family, and keeps IPv6 from taking over until then.
    rig.hear(advert("fe80::1", 200));
    assert_eq!(states(&rig), [StateName::Backup; 2]);
    for _ in 0..8 {
        rig.hear(advert("fe80::1", 200));
        rig.run(ms(1000));
    }
    assert_eq!(states(&rig), [StateName::Backup; 2]);
}
