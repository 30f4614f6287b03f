//! After yielding, a router keeps its addresses until hosts have switched to the new Active.

use super::*;

fn heard(rig: &mut Rig, address: &str) {
    rig.feed(Input::AnnouncementHeard {
        interface: interface(),
        address: address.parse().unwrap(),
        mac: STRANGER_MAC,
    });
}

/// A router of higher priority advertises, perhaps before it has installed the address.
fn router_that_yielded() -> Rig {
    let mut rig = Rig::active(spec());
    rig.hear(advert("192.0.2.200", 200));
    assert_eq!(rig.state(), StateName::Backup);
    assert_eq!(rig.said(), ["say 100/100cs"]);
    rig
}

#[test]
fn who_yields_keeps_the_address_until_the_other_has_announced_it() {
    let mut rig = router_that_yielded();
    rig.run(ms(23));
    assert_eq!(rig.said(), [""; 0]);
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(19));
    assert_eq!(rig.said(), [""; 0]);
    rig.run(ms(1));
    assert_eq!(rig.said(), ["release"]);
    rig.run(Duration::from_secs(2));
    assert_eq!(rig.said(), [""; 0]);
}

#[test]
fn one_that_announces_nothing_is_waited_for_a_quarter_of_a_second() {
    let mut rig = router_that_yielded();
    rig.run(ms(249));
    assert_eq!(rig.said(), [""; 0]);
    rig.run(ms(1));
    assert_eq!(rig.said(), ["release"]);
}

#[test]
fn the_announcement_of_something_else_is_none() {
    let mut rig = router_that_yielded();
    heard(&mut rig, "192.0.2.253");
    let elsewhere = "eth1".parse().unwrap();
    let address = "192.0.2.254".parse().unwrap();
    rig.feed(Input::AnnouncementHeard { interface: elsewhere, address, mac: STRANGER_MAC });
    rig.run(ms(249));
    assert_eq!(rig.said(), [""; 0]);
}

#[test]
fn who_takes_over_again_meanwhile_asks_for_what_it_holds() {
    let mut rig = Rig::active(spec());
    rig.hear(Advert { centiseconds: 1, ..advert("192.0.2.200", 200) });
    rig.said();
    assert!(rig.until_state(StateName::Active) < ms(40));
    assert_eq!(rig.said(), ["hold", "say 100/100cs", "announce 1"]);
    rig.run(ms(500));
    assert!(!rig.said().contains(&"release".to_owned()));
}

#[test]
fn a_backup_that_stops_meanwhile_keeps_the_address_all_the_same() {
    let mut rig = router_that_yielded();
    rig.feed(Input::Shutdown);
    assert_eq!(rig.state(), StateName::Initialize);
    rig.run(ms(20));
    assert_eq!(rig.said(), [""; 0]);
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(20));
    assert_eq!(rig.said(), ["release", "stopped"]);
}

#[test]
fn one_that_is_promoted_meanwhile_goes_on_letting_go() {
    let mut rig = router_that_yielded();
    rig.demote(Force::No);
    assert_eq!(rig.state(), StateName::Initialize);
    rig.promote();
    assert_eq!(rig.state(), StateName::Backup);
    rig.run(ms(250));
    assert_eq!(rig.said(), ["release"]);
}

#[test]
fn on_a_dead_link_it_lets_go_at_once() {
    let mut rig = router_that_yielded();
    rig.feed(Input::Link(interface(), Some(LinkFacts { carrier: false, ..link() })));
    assert_eq!(rig.said(), ["release"]);
    rig.run(Duration::from_secs(1));
    assert_eq!(rig.said(), [""; 0]);
}

/// Hosts have never heard an announcement of this router, so they cannot send to it.
#[test]
fn a_router_that_yields_before_it_has_announced_anything_releases_at_once() {
    let mut rig = Rig::new(spec());
    rig.kernel = Kernel::Silent;
    rig.until_state(StateName::Active);
    rig.said();
    rig.hear(advert("192.0.2.200", 200));
    assert_eq!(rig.said().last().map(String::as_str), Some("release"));
}

/// Both routers became Active at the same moment. Which announcement hosts heard last is not known.
#[test]
fn an_announcement_that_may_have_crossed_ours_does_not_count() {
    let mut rig = Rig::new(spec());
    rig.until_state(StateName::Active);
    rig.run(ms(1));
    assert_eq!(rig.said(), ["hold", "say 100/100cs", "announce 1"]);
    rig.hear(advert("192.0.2.200", 200));
    // Our announcement may have left after it, because an effect waits for the address thread.
    rig.run(ms(17));
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(22));
    assert_eq!(rig.said(), ["say 100/100cs"], "only a last advertisement");
    // The winner repeats its announcement after 30 ms.
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(20));
    assert_eq!(rig.said(), ["release"]);
}

#[test]
fn it_listens_only_as_long_as_it_matters() {
    let listens = |rig: &mut Rig| {
        let balance = rig.out.iter().fold(0, |balance, effect| match effect {
            Effect::WatchAnnouncements { .. } => balance + 1,
            Effect::IgnoreAnnouncements { .. } => balance - 1,
            _ => balance,
        });
        rig.out.clear();
        balance
    };
    let mut rig = Rig::active(spec());
    assert_eq!(listens(&mut rig), 0);
    rig.demote(Force::No);
    assert_eq!(listens(&mut rig), 1);
    rig.run(Duration::from_secs(3));
    assert_eq!(listens(&mut rig), -1, "nobody took over");
    rig.hear(advert("192.0.2.200", 200));
    assert_eq!(listens(&mut rig), 1);
    rig.run(ms(250));
    assert_eq!(listens(&mut rig), -1);
}

#[test]
fn another_address_list_during_a_hand_over_does_not_end_the_wait() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::No);
    rig.run(ms(5));
    let mut other = instance(Family::Ipv4);
    other.addresses.push("192.0.2.253/24".parse().unwrap());
    rig.feed(Input::Configure(vec![RouterSpec { instances: vec![other], ..spec() }]));
    rig.run(ms(10));
    rig.hear(advert("192.0.2.1", 50));
    rig.run(ms(20));
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(20));
    assert!(!rig.said().contains(&"release".to_owned()), "the new one is not announced yet");
    heard(&mut rig, "192.0.2.253");
    rig.run(ms(20));
    assert_eq!(rig.said(), ["release"]);
}

/// Another router may rightly be Active by now, and would not announce the addresses again.
#[test]
fn an_active_that_overslept_and_must_not_preempt_announces_nothing_before_it_has_listened() {
    let mut rig = Rig::active(RouterSpec { role: contender(100, Preempt::Forbid), ..spec() });
    rig.stall(Duration::from_secs(100));
    rig.feed(Input::Deadline);
    rig.feed(Input::AddressesRestored { key: spec().keys().next().unwrap(), count: 1 });
    rig.run(ms(900));
    assert_eq!(rig.said(), [""; 0]);
    rig.run(ms(200));
    let said = rig.said();
    assert_eq!(said[0], "say 100/100cs", "nobody was there");
    assert!(said.contains(&"announce 1".to_owned()), "{said:?}");
}

/// The last advertisement of the router that was displaced answers our first one. It does not mean
/// that two routers are Active.
#[test]
fn a_router_that_preempts_does_not_report_the_last_advertisement_of_the_other() {
    let mut rig = Rig::new(RouterSpec { role: contender(200, Preempt::Allow), ..spec() });
    while rig.state() == StateName::Backup {
        rig.hear(advert("192.0.2.1", 100));
        rig.run(ms(500));
    }
    assert_eq!(rig.instance(0).cause, Cause::Preempted);
    rig.out.clear();
    rig.hear(advert("192.0.2.1", 100));
    assert_eq!(rig.events(), []);
    assert_eq!(rig.instance(0).counters.dual_active, 0);
    assert_eq!(rig.said()[0], "say 200/100cs", "but it is answered");
    rig.run(Duration::from_secs(1));
    rig.hear(advert("192.0.2.1", 100));
    assert!(matches!(rig.events()[..], [EventKind::DualActive { .. }]), "{:?}", rig.events());
}

#[test]
fn the_active_that_is_shown_follows_our_own_address() {
    let mut rig = Rig::active(spec());
    let renumbered = vec!["192.0.2.33".parse().unwrap()];
    rig.feed(Input::Link(interface(), Some(LinkFacts { ipv4: renumbered, ..link() })));
    let active = rig.instance(0).active.unwrap();
    assert_eq!((active.address.to_string().as_str(), active.local), ("192.0.2.33", true));
}
