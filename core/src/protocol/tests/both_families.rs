//! Two families of one router move together (docs/adr/0003).

use super::*;

fn both() -> RouterSpec {
    RouterSpec { instances: vec![instance(Family::Ipv4), instance(Family::Ipv6)], ..spec() }
}

fn states(rig: &Rig) -> [StateName; 2] {
    [rig.instance(0).state, rig.instance(1).state]
}

// RFC9568-6.4.1-3, RFC9568-6.4.2-12
#[test]
fn both_become_active_at_the_same_instant() {
    let mut rig = Rig::new(both());
    assert_eq!(rig.until_state(StateName::Active), us(3_609_375));
    assert_eq!(states(&rig), [StateName::Active; 2]);
    let said = rig.said();
    for each in ["hold", "say 100/100cs", "announce 1"] {
        assert_eq!(said.iter().filter(|word| *word == each).count(), 2, "{each} once a family");
    }
}

/// The first advertisement of either family makes a router that is leaving remove its addresses of
/// both families.
#[test]
fn the_first_advertisement_waits_for_the_addresses_of_both_families() {
    let mut rig = Rig::new(both());
    rig.kernel = Kernel::Silent;
    rig.run(Duration::from_secs(3));
    for from in ["192.0.2.1", "fe80::1"] {
        rig.hear(advert(from, 0));
    }
    rig.until_state(StateName::Active);
    let owned = |rig: &Rig| -> Vec<HoldResult> {
        let own = |effect: &Effect| match effect {
            Effect::HoldAddresses { key, epoch, .. } => {
                Some(HoldResult { key: *key, epoch: *epoch, outcome: Ok(()) })
            }
            _ => None,
        };
        rig.out.iter().filter_map(own).collect()
    };
    let [first, second] = owned(&rig).try_into().unwrap();
    assert_eq!(rig.said(), ["hold", "hold"]);
    rig.feed(Input::AddressesHeld(first));
    assert_eq!(rig.said(), [""; 0]);
    rig.feed(Input::AddressesHeld(second));
    assert_eq!(rig.spoken(), ["say 100/100cs", "say 100/100cs"]);
}

#[test]
fn while_one_family_is_obeyed_neither_takes_over() {
    let mut rig = Rig::new(both());
    for _ in 0..10 {
        rig.run(Duration::from_secs(1));
        rig.hear(advert("192.0.2.1", 200));
    }
    assert_eq!(states(&rig), [StateName::Backup; 2]);
    assert_eq!(rig.until_state(StateName::Active), us(3_609_375));
    assert_eq!(states(&rig), [StateName::Active; 2]);
}

// T48
#[test]
fn a_family_that_yields_makes_the_other_yield_too() {
    for (from, sibling) in [("192.0.2.1", 1), ("fe80::1", 0)] {
        let mut rig = Rig::active(both());
        rig.hear(advert(from, 200));
        assert_eq!(states(&rig), [StateName::Backup; 2]);
        assert_eq!(rig.instance(sibling).cause, Cause::Sibling);
        // Each family sends a last advertisement, because otherwise the winner would not announce
        // the addresses of the other family to the hosts.
        assert_eq!(rig.said(), ["say 100/100cs", "say 100/100cs"]);
        assert_eq!(rig.instance(sibling).active, None, "who is Active there was not heard yet");
        rig.hear_announced(Family::Ipv4);
        rig.run(ms(20));
        assert_eq!(rig.said(), ["release"], "hosts have switched in one family");
        rig.hear_announced(Family::Ipv6);
        rig.run(ms(80));
        assert_eq!(rig.said(), ["release"]);
    }
}

/// The order of two nodes' addresses can differ between the families: node A would yield because of
/// IPv6 and node B because of IPv4, so that no node would serve.
#[test]
fn ipv4_decides_a_tie() {
    let mut rig = Rig::active(both());
    rig.hear(advert("fe80::ffff", 100));
    assert_eq!(states(&rig), [StateName::Active; 2], "whichever family is heard first");
    rig.hear(advert("192.0.2.1", 100));
    rig.hear(advert("fe80::ffff", 100));
    assert_eq!(states(&rig), [StateName::Active; 2]);
    rig.hear(advert("192.0.2.250", 100));
    assert_eq!(states(&rig), [StateName::Backup; 2]);
}

#[test]
fn a_tie_lost_in_ipv6_alone_counts_once_it_has_stood_for_an_active_down_interval() {
    let mut rig = Rig::active(both());
    for _ in 0..4 {
        rig.hear(advert("fe80::ffff", 100));
        assert_eq!(states(&rig), [StateName::Active; 2]);
        rig.run(Duration::from_secs(1));
    }
    rig.hear(advert("fe80::ffff", 100));
    assert_eq!(states(&rig), [StateName::Backup; 2]);
}

#[test]
fn a_hand_over_ends_when_both_are_taken() {
    let mut rig = Rig::active(both());
    rig.demote(Force::No);
    rig.run(ms(10));
    rig.hear(advert("192.0.2.1", 50));
    assert_eq!(states(&rig), [StateName::Active; 2], "IPv6 has no successor yet");
    rig.run(ms(1));
    rig.hear(advert("fe80::1", 50));
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(21));
    assert_eq!(states(&rig), [StateName::Active; 2], "hosts have not switched in IPv6");
    rig.hear_announced(Family::Ipv6);
    rig.run(ms(80));
    assert_eq!(states(&rig), [StateName::Initialize; 2]);
    assert!(matches!(
        rig.outcomes()[..],
        [DemoteOutcome::HandedOver { .. }, DemoteOutcome::HandedOver { .. }]
    ));
}

#[test]
fn a_hand_over_with_one_family_taken_only_is_refused() {
    let mut rig = Rig::active(both());
    rig.demote(Force::No);
    rig.run(ms(10));
    rig.hear(advert("192.0.2.1", 50));
    rig.run(Duration::from_secs(2));
    assert_eq!(states(&rig), [StateName::Active; 2]);
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Refused { .. }, DemoteOutcome::Refused { .. }]));
}

/// Other nodes that run vrrpd take over in both families only, and therefore when their timer of
/// IPv6 fires, which this node cannot hasten without an IPv6 address.
#[test]
fn a_fault_of_one_family_is_a_fault_of_both_and_the_other_hands_over() {
    let mut rig = Rig::active(both());
    let without_ipv6 = LinkFacts { ipv6_link_local: Vec::new(), ..link() };
    rig.feed(Input::Link(interface(), Some(without_ipv6)));
    // The fault may be over in a moment, so IPv4 goes on advertising as before.
    rig.run(Duration::from_secs(3));
    let mut said = rig.spoken();
    said.retain(|word| word != "say 100/100cs");
    assert_eq!(said[..4], ["say 100/1cs", "say 100/1cs", "say 100/1cs", "say 0/100cs"], "in IPv4");
    rig.run(Duration::from_secs(2));
    assert_eq!(states(&rig), [StateName::Active; 2], "it serves until somebody else can");
    // After the second round of a hand-over, one advertisement of the successor is not proof
    // enough.
    for _ in 0..2 {
        rig.hear(advert("192.0.2.1", 50));
        rig.hear(advert("fe80::1", 50));
        rig.run(ms(13));
    }
    rig.hear_announced(Family::Ipv4);
    rig.hear_announced(Family::Ipv6);
    rig.run(ms(80));
    assert_eq!(states(&rig), [StateName::Initialize; 2]);
}

#[test]
fn a_fault_of_one_family_without_anybody_else_lets_go_after_an_active_down_interval() {
    for (centiseconds, at_least, at_most) in [(100, 3609, 3800), (10, 360, 500)] {
        let mut rig = Rig::active(RouterSpec { interval: interval(centiseconds), ..both() });
        let no_sockets = Input::Sockets(interface(), Family::Ipv6, Err("no room".to_owned()));
        rig.feed(no_sockets);
        let took = rig.until_state(StateName::Initialize);
        assert!((ms(at_least)..ms(at_most)).contains(&took), "{took:?}");
    }
}

#[test]
fn without_a_source_address_in_any_family_it_releases_without_resigning() {
    let mut rig = Rig::active(both());
    let without_addresses = LinkFacts { ipv4: Vec::new(), ipv6_link_local: Vec::new(), ..link() };
    rig.feed(Input::Link(interface(), Some(without_addresses)));
    rig.until_state(StateName::Initialize);
    assert_eq!(states(&rig), [StateName::Initialize; 2]);
    assert_eq!(rig.said(), ["release", "release"]);
}

/// The other Active advertises less often than an Active_Down_Interval of ours.
#[test]
fn a_tie_lost_in_ipv6_alone_counts_against_a_slow_active_too() {
    let mut rig = Rig::active(RouterSpec { interval: interval(10), ..both() });
    for _ in 0..2 {
        assert_eq!(states(&rig), [StateName::Active; 2]);
        rig.hear(advert("fe80::ffff", 100));
        rig.run(Duration::from_secs(1));
    }
    assert_eq!(states(&rig), [StateName::Backup; 2]);
}

/// A stranger has taken the VRID of IPv6, so that this family retains its addresses for a moment
/// while the hand-over of IPv4 is called off.
#[test]
fn a_hand_over_that_is_called_off_forgets_no_retained_addresses() {
    let mut rig = Rig::active(both());
    hear_stranger(&mut rig);
    rig.demote(Force::No);
    rig.run(ms(3));
    rig.said();
    rig.promote();
    assert_eq!(states(&rig), [StateName::Active, StateName::Backup]);
    rig.run(ms(250));
    let released = |effect: &&Effect| matches!(effect, Effect::ReleaseAddresses { .. });
    assert_eq!(rig.out.iter().filter(released).count(), 1, "the addresses of IPv6");
}

/// IPv4 hands over. Meanwhile a router of our pair takes the place of the stranger that had taken
/// the VRID of IPv6, so that IPv6 obeys a router of our pair and IPv4 does not yet.
fn handing_over_while_ipv6_has_yielded() -> Rig {
    let mut rig = Rig::active(both());
    hear_stranger(&mut rig);
    rig.run(ms(300)); // IPv6 has released its addresses.
    rig.demote(Force::No);
    rig.run(ms(3));
    rig.hear(advert("fe80::1", 200));
    assert_eq!(states(&rig), [StateName::Active, StateName::Backup], "the hand-over decides");
    rig.out.clear();
    rig
}

/// A router with our VRID that outranks us in IPv6, and has addresses of its own.
fn hear_stranger(rig: &mut Rig) {
    let foreign = [0xfe80_0000_0000_0000_u64.to_be_bytes(), 0x99_u64.to_be_bytes()].concat();
    rig.hear_octets(advert("fe80::99", 200), &foreign, ChecksumFlavour::Rfc9568);
    assert_eq!(states(rig), [StateName::Active, StateName::Backup]);
}

/// Fires deadlines until the demotion is answered.
fn run_until_answered(rig: &mut Rig) {
    rig.out.clear();
    while rig.outcomes().is_empty() {
        rig.out.clear();
        rig.now = rig.node.next_deadline().expect("the hand-over ends");
        rig.feed(Input::Deadline);
    }
}

/// The hosts may send to us: the addresses stay until they have switched, and the other router is
/// told that there were two.
fn follows_at_once(rig: &mut Rig) {
    assert_eq!(states(rig), [StateName::Backup; 2]);
    assert_eq!(rig.instance(0).cause, Cause::Sibling);
    let said = rig.said();
    assert_eq!(said.last().map(String::as_str), Some("say 100/100cs"), "{said:?}");
    assert!(!said.contains(&"release".to_owned()), "{said:?}");
    rig.run(ms(300));
    assert_eq!(rig.said(), ["release"]);
}

#[test]
fn after_a_refused_demotion_a_family_follows_the_other_at_once() {
    let mut rig = handing_over_while_ipv6_has_yielded();
    run_until_answered(&mut rig);
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Refused { .. }, DemoteOutcome::Refused { .. }]));
    follows_at_once(&mut rig);
}

#[test]
fn after_a_demotion_that_is_called_off_a_family_follows_the_other_at_once() {
    let mut rig = handing_over_while_ipv6_has_yielded();
    rig.promote();
    follows_at_once(&mut rig);
}

/// The router to which IPv6 yielded resigns again while IPv4 hands over: then nobody serves, and
/// nobody is followed.
#[test]
fn after_a_refused_demotion_no_family_follows_a_router_that_has_gone() {
    let mut rig = handing_over_while_ipv6_has_yielded();
    rig.run(ms(100));
    rig.hear(advert("fe80::1", 0));
    run_until_answered(&mut rig);
    assert_eq!(states(&rig), [StateName::Active; 2]);
}

/// Something else stops the router while it hands over: then the end of the demotion starts
/// nothing.
#[test]
fn after_a_demotion_that_is_called_off_a_faulty_router_takes_nothing_over() {
    let check = CheckName("nginx".into());
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(check.clone())], ..both() });
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
    rig.run(Duration::from_secs(20));
    hear_stranger(&mut rig);
    rig.run(Duration::from_secs(3));
    rig.demote(Force::No);
    rig.run(ms(1000));
    rig.feed(Input::CheckResult(check, CheckResult::Failing));
    rig.out.clear();
    rig.promote();
    assert!(!rig.said().contains(&"hold".to_owned()));
    rig.run(Duration::from_secs(2));
    assert_eq!(states(&rig), [StateName::Initialize; 2]);
}

/// The stranger falls silent while IPv4 hands over.
#[test]
fn after_a_refused_demotion_a_family_whose_timer_has_fired_takes_over_at_once() {
    let mut rig = Rig::active(both());
    hear_stranger(&mut rig);
    rig.run(Duration::from_secs(3));
    rig.demote(Force::No);
    rig.run(ms(1000));
    assert_eq!(states(&rig), [StateName::Active, StateName::Backup], "the hand-over decides");
    run_until_answered(&mut rig);
    assert_eq!(states(&rig), [StateName::Active; 2]);
}

#[test]
fn advertisements_are_of_version_3_and_go_to_the_group_of_their_family() {
    let mut rig = Rig::new(both());
    rig.until_state(StateName::Active);
    let sent: Vec<(Family, Version, String)> = rig
        .out
        .iter()
        .filter_map(|effect| match effect {
            Effect::Advertise { key, version, destination, .. } => {
                Some((key.family, *version, destination.to_string()))
            }
            _ => None,
        })
        .collect();
    let expected = [(Family::Ipv4, Version::V3, "224.0.0.18"), (Family::Ipv6, Version::V3, "ff02::12")];
    assert_eq!(sent, expected.map(|(family, version, group)| (family, version, group.to_owned())));
}
