//! The names that programs read: they are contract, and written down once more here. The texts of
//! events and documents are made of them.

use super::*;
use crate::wire::RejectReason;
use std::collections::BTreeSet;

#[test]
fn every_cause_has_its_name() {
    let names = [
        (Cause::Startup, "startup"),
        (Cause::OwnerStartup, "owner_startup"),
        (Cause::ActiveDownTimer, "active_down_timer"),
        (Cause::PeerResigned, "peer_resigned"),
        (Cause::Preempted, "preempted"),
        (Cause::HigherPriority, "higher_priority"),
        (Cause::TieBreak, "tie_break"),
        (Cause::HandedOver, "handed_over"),
        (Cause::Fault, "fault"),
        (Cause::FaultCleared, "fault_cleared"),
        (Cause::Demoted, "demoted"),
        (Cause::Promoted, "promoted"),
        (Cause::DemotionExpired, "demotion_expired"),
        (Cause::Sibling, "sibling"),
        (Cause::Stalled, "stalled"),
        (Cause::Configuration, "configuration"),
        (Cause::Shutdown, "shutdown"),
    ];
    for (cause, name) in names {
        assert_eq!((cause.as_str(), format!("{cause:>3}").as_str()), (name, name));
    }
    let names = [
        (HandoverCause::Demote, "demote"),
        (HandoverCause::Shutdown, "shutdown"),
        (HandoverCause::Fault, "fault"),
        (HandoverCause::Configuration, "configuration"),
    ];
    assert!(names.into_iter().all(|(cause, name)| cause.as_str() == name));
}

#[test]
fn every_warning_of_a_peer_has_its_name() {
    let (address, mac) = (IpAddr::from([192, 0, 2, 254]), STRANGER_MAC);
    let priority = AdvertPriority::from_wire(100);
    let (said, obeyed) = (interval(4000), interval(1000));
    let warnings = [
        (PeerWarning::Rejected(RejectReason::ChecksumErrors), "checksum_errors"),
        (PeerWarning::AddressListDiffers { more: vec![address], less: vec![] }, "address_list_differs"),
        (PeerWarning::AddressesLost { priority, lists: vec![], ours: vec![address] }, "addresses_lost"),
        (PeerWarning::OtherVrid { address, theirs: Vrid::new(9).unwrap() }, "other_vrid"),
        (PeerWarning::SamePriority(priority), "same_priority"),
        (PeerWarning::StaysActive(priority), "also_active"),
        (PeerWarning::IntervalDiffers(said), "interval_differs"),
        (PeerWarning::IntervalTooLong { said, obeyed }, "interval_too_long"),
        (PeerWarning::ChecksumDiffers, "checksum_differs"),
        (PeerWarning::OwnerConflict, "owner_conflict"),
        (PeerWarning::AddressConflict { address, mac }, "address_conflict"),
    ];
    for (warning, name) in &warnings {
        assert_eq!((warning.as_str(), warning.to_string().as_str()), (*name, *name));
        let is_known_by_mac = matches!(warning, PeerWarning::AddressConflict { .. });
        assert_eq!(warning.mac(), is_known_by_mac.then_some(mac), "{name}");
        let alike = warnings.iter().filter(|(other, _)| warning.is_alike(other));
        assert_eq!(alike.count(), 1, "{name}");
    }
}

#[test]
fn every_warning_of_this_node_has_its_name_its_family_and_its_text() {
    let interface = interface();
    let net = |text: &str| text.parse::<ipnet::IpNet>().unwrap();
    let foreign = |others| ForeignAddresses { interface, first: net("192.0.2.254/32"), others };
    let family = Family::Ipv6;
    let warnings = [
        (
            LocalWarning::ForeignAddresses(foreign(0)),
            "foreign_addresses",
            Family::Ipv4,
            "interface eth0 foreign address 192.0.2.254/32",
        ),
        (
            LocalWarning::ForeignAddresses(foreign(2)),
            "foreign_addresses",
            Family::Ipv4,
            "interface eth0 foreign address 192.0.2.254/32 and 2 more",
        ),
        (
            LocalWarning::MtuTooSmall { interface, family, addresses: 90, needed: 1488, mtu: 1400 },
            "mtu_too_small",
            family,
            "interface eth0 ipv6 advertisement 1488 octets, MTU 1400",
        ),
        (
            LocalWarning::Chosen(interface, net("fe80::51/64")),
            "source_of_own_connections",
            family,
            "interface eth0 source fe80::51/64 of own connections",
        ),
        (
            LocalWarning::Unsent(Unsent { interface, family, destination: family.group(), errno: 101 }),
            "not_sent",
            family,
            "interface eth0 ipv6 advertisements not sent: errno 101",
        ),
    ];
    for (warning, name, family, text) in &warnings {
        assert_eq!((warning.as_str(), warning.family()), (*name, *family));
        assert_eq!(warning.to_string(), *text);
    }
}

#[test]
fn every_fault_has_a_name_of_its_own_and_a_text() {
    let (eth0, eth1) = (interface(), "eth1".parse().unwrap());
    let nginx = CheckName("nginx".into());
    let first = "192.0.2.254/32".parse().unwrap();
    let faults = [
        Fault::InterfaceMissing(eth0),
        Fault::InterfaceDown(eth0),
        Fault::NoCarrier(eth0),
        Fault::Port(eth0, eth1),
        Fault::OtherName(eth0, eth1),
        Fault::NoSourceAddress(eth0, MissingSource::Ipv4),
        Fault::NoSourceAddress(eth0, MissingSource::LinkLocal),
        Fault::NoSourceAddress(eth0, MissingSource::Global),
        Fault::NoSourceAddress(eth0, MissingSource::Configured("192.0.2.9".parse().unwrap())),
        Fault::ForeignAddresses(ForeignAddresses { interface: eth0, first, others: 0 }),
        Fault::Sockets(eth0, Family::Ipv4, "EPERM".to_owned()),
        Fault::Check(nginx.clone()),
        Fault::CheckPending(nginx),
        Fault::Addresses("EPERM".to_owned()),
    ];
    let texts: BTreeSet<String> = faults.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(texts.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn what_is_watched_is_named_as_in_the_configuration() {
    let watched = [Watched::from(CheckName("nginx".into())), Watched::from(interface())];
    assert_eq!(watched.each_ref().map(Watched::kind_and_name), [("check", "nginx"), ("interface", "eth0")]);
    assert_eq!(watched.map(|watched| watched.to_string()), ["check nginx", "interface eth0"]);
}
