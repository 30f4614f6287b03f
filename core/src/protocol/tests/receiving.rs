//! Receive checks that need the configuration, and which advertisements count as which kind.

use super::*;
use crate::wire::{Reject, RejectReason};

#[test]
fn rfc9568_7_1_12_a_rejected_packet_moves_no_timer() {
    for reason in RejectReason::ALL {
        let mut rig = Rig::new(spec());
        rig.hear(advert("192.0.2.1", 200));
        rig.run(ms(700));
        let before = rig.node.next_deadline();
        for _ in 0..20 {
            let reject = Reject { reason, vrid: Some(Vrid::new(51).unwrap()), version: None };
            let carrier = Some(to_group("192.0.2.1".parse().unwrap()));
            rig.feed(Input::Rejected { interface: interface(), family: Family::Ipv4, carrier, reject });
        }
        assert_eq!(rig.node.next_deadline(), before);
        let counters = rig.instance(0).counters;
        assert_eq!(counters.rejected[&reason], 20);
        let of_lists = if reason == RejectReason::AddressListErrors { 20 } else { 0 };
        assert_eq!(counters.address_list_errors, of_lists, "{reason:?}");
        let suspicious = |kind: &&EventKind| matches!(kind, EventKind::PeerWarningRaised { .. });
        assert_eq!(rig.events().iter().filter(suspicious).count(), 1, "at a limited rate"); // RFC9568-7.1-11
    }
}

/// T40.
#[test]
fn rfc9568_7_1_6_an_unknown_vrid_is_counted_for_the_interface() {
    let mut rig = Rig::new(RouterSpec { vrid: Vrid::new(9).unwrap(), ..spec() });
    rig.out.clear();
    rig.hear(advert("192.0.2.1", 200));
    let snapshot = rig.node.snapshot(rig.now);
    assert_eq!(snapshot.links[0].2.rejected[&RejectReason::VridErrors], 1);
    let suspicious = |kind: &EventKind| matches!(kind, EventKind::PeerWarningRaised { .. });
    assert!(rig.events().iter().any(suspicious), "it lists our address");
}

/// T52, T53: a bridge that reflects our advertisements.
#[test]
fn rfc9568_7_1_15_our_own_echo_is_no_peer() {
    let mut rig = Rig::active(spec());
    for _ in 0..3 {
        rig.hear(advert(US, 100));
    }
    assert_eq!(rig.state(), StateName::Active);
    assert!(!rig.said().iter().any(|word| word.starts_with("say")));
    assert_eq!(rig.instance(0).counters.rejected[&RejectReason::OwnPackets], 3);
    assert!(rig.instance(0).peers.is_empty());
    assert_eq!(rig.events(), []);
}

/// In a network of two addresses each is that of a router (RFC 3021).
#[test]
fn a_network_of_two_addresses_has_no_broadcast_address() {
    for (net, accepted) in [("192.0.2.254/31", 1), ("192.0.2.254/30", 0)] {
        let addresses = vec![net.parse().unwrap()];
        let instance = InstanceSpec { addresses, ..instance(Family::Ipv4) };
        let mut rig = Rig::new(RouterSpec { instances: vec![instance], ..spec() });
        rig.hear(advert("192.0.2.255", 200));
        assert_eq!(rig.instance(0).counters.advertisement_rcvd, accepted, "{net}");
    }
}

/// T41, T42: differences are counted, reported once, and the advertisement is obeyed nevertheless.
#[test]
fn rfc9568_7_1_8_another_interval_and_rfc9568_7_1_9_another_list_are_accepted() {
    let mut rig = Rig::new(spec());
    for _ in 0..3 {
        rig.hear_octets(
            Advert { centiseconds: 10, ..advert("192.0.2.1", 200) },
            &[192, 0, 2, 253],
            ChecksumFlavour::Rfc9568,
        );
    }
    let counters = rig.instance(0).counters;
    assert_eq!(
        (counters.interval_errors, counters.address_list_errors, counters.advertisement_rcvd),
        (3, 3, 3)
    );
    let suspicious = |kind: &EventKind| matches!(kind, EventKind::PeerWarningRaised { .. });
    assert_eq!(rig.events().iter().filter(|kind| suspicious(kind)).count(), 2);
    assert_eq!(rig.until_state(StateName::Active), Duration::from_nanos(360_937_500));
}

#[test]
fn rfc9568_7_1_9_the_order_of_the_list_does_not_matter() {
    let mut spec = spec();
    spec.instances[0].addresses = vec!["192.0.2.253/24".parse().unwrap(), "192.0.2.254/24".parse().unwrap()];
    let mut rig = Rig::new(spec);
    rig.hear_octets(advert("192.0.2.1", 200), &[192, 0, 2, 254, 192, 0, 2, 253], ChecksumFlavour::Rfc9568);
    assert_eq!(rig.instance(0).counters.address_list_errors, 0);
}

/// T49.
#[test]
fn rfc9568_5_2_9_3_a_first_address_that_is_not_link_local_is_discarded_unless_configured() {
    let global: Vec<u8> = "2001:db8:51::fe".parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec();
    for (rule, expected) in [(LinkLocalRule::Require, 0), (LinkLocalRule::Lenient, 1)] {
        let mut rig =
            Rig::new(RouterSpec { instances: vec![instance(Family::Ipv6)], link_local: rule, ..spec() });
        rig.hear_octets(advert("fe80::a", 200), &global, ChecksumFlavour::Rfc9568);
        assert_eq!(rig.instance(0).counters.advertisement_rcvd, expected);
    }
}

/// T43: the flavour that we send follows the flavour that peers send.
#[test]
fn rfc9568_5_2_8_4_auto_follows_the_flavour_of_the_peer() {
    for (policy, expected) in [
        (ChecksumPolicy::Auto, ChecksumFlavour::Rfc5798),
        (ChecksumPolicy::Rfc9568, ChecksumFlavour::Rfc9568),
        (ChecksumPolicy::Rfc5798, ChecksumFlavour::Rfc5798),
    ] {
        let mut rig = Rig::active(RouterSpec { checksum: policy, ..spec() });
        rig.hear_octets(advert("192.0.2.1", 50), &[192, 0, 2, 254], ChecksumFlavour::Rfc5798);
        assert_eq!(rig.flavours().last(), Some(&expected));
        assert_eq!(rig.instance(0).counters.checksum_legacy_accepted, 1);
    }
}

#[test]
fn forged_sources_do_not_grow_the_list_of_peers() {
    let mut rig = Rig::new(spec());
    for last in ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"] {
        let from: &'static str = Box::leak(format!("192.0.2.{last}").into_boxed_str());
        rig.hear(advert(from, 200));
    }
    let peers = rig.instance(0).peers;
    assert_eq!((peers.len(), peers[0].address.to_string().as_str()), (8, "192.0.2.11"));
}
