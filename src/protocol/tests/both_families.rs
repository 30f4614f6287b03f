//! Two families of one router move together (docs/adr/0003).

use super::*;

fn both() -> RouterSpec {
    RouterSpec { members: vec![member(Family::Ipv4), member(Family::Ipv6)], ..spec() }
}

fn states(rig: &Rig) -> [StateName; 2] {
    [rig.member(0).state, rig.member(1).state]
}

// RFC9568-6.4.1-3, RFC9568-6.4.2-12
#[test]
fn both_become_active_at_the_same_instant() {
    let mut rig = Rig::new(both());
    assert_eq!(rig.until_state(StateName::Active), us(3_609_375));
    assert_eq!(states(&rig), [StateName::Active; 2]);
    let said = rig.said();
    for each in ["own", "say 100/100cs", "announce 1"] {
        assert_eq!(said.iter().filter(|word| *word == each).count(), 2, "{each} once a family");
    }
}

/// What one family says makes a leaver drop the addresses of both.
#[test]
fn the_first_word_waits_for_the_addresses_of_both_families() {
    let mut rig = Rig::new(both());
    rig.kernel = Kernel::Silent;
    rig.run(Duration::from_secs(3));
    for from in ["192.0.2.1", "fe80::1"] {
        rig.hear(advert(from, 0));
    }
    rig.until_state(StateName::Active);
    let owned = |rig: &Rig| -> Vec<Owned> {
        let own = |effect: &Effect| match effect {
            Effect::Own { key, epoch } => Some(Owned { key: *key, epoch: *epoch, outcome: Ok(()) }),
            _ => None,
        };
        rig.out.iter().filter_map(own).collect()
    };
    let [first, second] = owned(&rig).try_into().unwrap();
    assert_eq!(rig.said(), ["own", "own"]);
    rig.feed(Input::Owned(first));
    assert_eq!(rig.said(), [""; 0]);
    rig.feed(Input::Owned(second));
    assert_eq!(rig.spoken(), ["say 100/100cs", "say 100/100cs"]);
}

#[test]
fn while_one_family_is_obeyed_neither_claims() {
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
fn the_one_that_yields_takes_the_other_along() {
    for (from, sibling) in [("192.0.2.1", 1), ("fe80::1", 0)] {
        let mut rig = Rig::active(both());
        rig.hear(advert(from, 200));
        assert_eq!(states(&rig), [StateName::Backup; 2]);
        assert_eq!(rig.member(sibling).cause, Cause::Sibling);
        assert_eq!(rig.said(), ["say 100/100cs", "disown", "disown"]);
    }
}

/// Addresses order differently in each family: A would yield for IPv6, B for IPv4, and nobody would serve.
#[test]
fn a_tie_is_ipv4s_to_decide() {
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
    assert_eq!(states(&rig), [StateName::Active; 2], "IPv6 has no taker yet");
    rig.run(ms(1));
    rig.hear(advert("fe80::1", 50));
    rig.run(ms(50));
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

#[test]
fn a_fault_of_one_family_is_a_fault_of_both() {
    let mut rig = Rig::active(both());
    rig.feed(Input::Link(interface(), Some(LinkFacts { ipv6_link_local: Vec::new(), ..link() })));
    assert_eq!(states(&rig), [StateName::Initialize; 2]);
}
