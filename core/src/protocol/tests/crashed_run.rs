//! Handing over the service of a run that crashed.

use super::*;

const SUCCESSOR: &str = "192.0.2.1";

/// A node that found the addresses of a crashed run, and hands them over before it ends.
fn node_after_a_crash(spec: RouterSpec, link: LinkFacts) -> Rig {
    let start = MonoTime::from_nanos(5_000_000_000);
    let mut rig = Rig { node: Node::new(), now: start, out: Effects::new(), kernel: Kernel::Prompt };
    rig.feed(Input::Link(interface(), Some(link)));
    rig.feed(Input::FinishCrashedRun(vec![spec]));
    rig.feed(Input::Shutdown);
    rig.feed(Input::Deadline);
    rig
}

#[test]
fn backups_take_over_as_in_any_hand_over_and_the_addresses_stay_until_then() {
    let mut rig = node_after_a_crash(spec(), link());
    assert_eq!(rig.said(), ["say 0/100cs"], "is somebody there?");
    rig.run(ms(29));
    assert_eq!(rig.said(), [""; 0], "time to answer");
    rig.run(ms(8));
    assert_eq!(rig.said(), ["say 100/1cs", "say 100/1cs", "say 100/1cs", "say 0/100cs"]);
    rig.hear(advert(SUCCESSOR, 50));
    rig.run(ms(5));
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(19));
    assert_eq!(rig.said(), [""; 0], "hosts are still switching to the successor");
    rig.run(ms(1));
    assert!(
        matches!(rig.events()[..], [.., EventKind::HandedOver { to, .. }] if to.to_string() == SUCCESSOR)
    );
    assert_eq!(rig.said(), ["release", "stopped"], "nothing is claimed, announced or said");
}

#[test]
fn somebody_who_serves_already_is_not_made_to_yield() {
    let mut rig = node_after_a_crash(spec(), link());
    rig.run(ms(2));
    rig.hear(advert(SUCCESSOR, 50));
    rig.run(Duration::from_secs(3));
    assert_eq!(rig.said(), ["say 0/100cs", "release", "stopped"]);
}

#[test]
fn without_anybody_it_lets_go_at_the_end_of_its_patience() {
    let mut rig = node_after_a_crash(spec(), link());
    rig.run(ms(30 + 256 + 1000 + 99));
    assert_eq!(rig.state(), StateName::Active);
    rig.out.clear();
    rig.run(ms(1));
    assert!(matches!(rig.events()[..], [.., EventKind::NobodyTookOver { released: true, .. }]));
    assert_eq!(rig.said(), ["say 0/100cs", "release", "stopped"]);
}

#[test]
fn both_families_wait_for_one_another() {
    let both = RouterSpec { instances: vec![instance(Family::Ipv4), instance(Family::Ipv6)], ..spec() };
    let mut rig = node_after_a_crash(both, link());
    rig.run(ms(2));
    rig.hear(advert(SUCCESSOR, 50));
    rig.run(ms(60));
    assert!(!rig.said().contains(&"release".to_owned()));
    rig.hear(advert("fe80::1", 50));
    rig.run(ms(300));
    assert_eq!(rig.said(), ["release", "release", "stopped"]);
}

#[test]
fn without_a_link_it_releases_without_resigning() {
    let mut rig = node_after_a_crash(spec(), LinkFacts { carrier: false, ..link() });
    assert_eq!(rig.said(), ["release", "stopped"]);
}

#[test]
fn the_second_round_speaks_to_those_who_understood_nothing_of_the_first() {
    use ChecksumFlavour::{Rfc5798, Rfc9568};
    let mut rig = node_after_a_crash(spec(), link());
    rig.run(Duration::from_secs(2));
    assert_eq!(rig.flavours(), [&[Rfc9568; 6][..], &[Rfc5798; 7]].concat());

    let fixed = RouterSpec { checksum: ChecksumPolicy::Rfc9568, ..spec() };
    let mut rig = node_after_a_crash(fixed, link());
    rig.run(Duration::from_secs(2));
    assert_eq!(rig.flavours(), [Rfc9568; 13], "as configured");

    let mut rig = node_after_a_crash(spec(), link());
    // The peer resigns itself: it is not a successor, but its checksum flavour is known from now
    // on.
    rig.run(ms(1));
    rig.hear(advert(SUCCESSOR, 0));
    rig.run(Duration::from_secs(2));
    assert_eq!(rig.flavours(), [Rfc9568; 13], "as the peer speaks");
}
