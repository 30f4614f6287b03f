//! Routers whose nodes are listed, and senders that are: who is spoken to, and who is believed.

use super::*;
use crate::wire::{Reject, RejectReason};

const FIRST: &str = "192.0.2.1";
const SECOND: &str = "192.0.2.2";
const US_GLOBAL: &str = "2001:db8::64";

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn unicast(peers: &[&str]) -> RouterSpec {
    let peers = UnicastPeers { addresses: addresses(peers), min_ttl: NonZeroU8::MAX };
    RouterSpec { destinations: Destinations::Unicast(peers), ..spec() }
}

/// Where each advertisement since the last call was sent.
fn destinations(rig: &mut Rig) -> Vec<String> {
    let sent = std::mem::take(&mut rig.out);
    let to = |effect: Effect| match effect {
        Effect::Advertise { destination, .. } => Some(destination.to_string()),
        _ => None,
    };
    sent.into_iter().filter_map(to).collect()
}

/// Feeds an advertisement that arrived with this header.
fn arrives(rig: &mut Rig, header: (&str, &str, u8), priority: u8) {
    arrives_on(rig, interface(), header, priority);
}

fn arrives_on(rig: &mut Rig, interface: InterfaceName, header: (&str, &str, u8), priority: u8) {
    let (source, destination, ttl) = header;
    let carrier = Carrier { source: source.parse().unwrap(), destination: destination.parse().unwrap(), ttl };
    let advertisement = Advertisement {
        version: Version::V3,
        authentication: HeardAuthentication::Readable(Authentication::None),
        vrid: Vrid::new(51).unwrap(),
        priority: AdvertPriority::from_wire(priority),
        interval: interval(100),
        addresses: AddressList::new(Family::Ipv4, &[192, 0, 2, 254]),
        checksum: ChecksumFlavour::Rfc9568,
    };
    rig.feed(Input::Received { interface, carrier, advertisement });
}

fn rejected(rig: &Rig) -> Vec<(&'static str, u64)> {
    rig.instance(0).counters.rejected.iter().map(|(reason, count)| (reason.as_str(), *count)).collect()
}

fn faults(rig: &Rig) -> Vec<String> {
    rig.node.snapshot(rig.now).routers[0].faults.iter().map(ToString::to_string).collect()
}

#[test]
fn every_other_node_is_sent_each_advertisement_and_the_group_none() {
    let mut rig = Rig::active(unicast(&[FIRST, US, SECOND]));
    let before = rig.instance(0).counters.advertisement_sent;
    rig.run(Duration::from_secs(1));
    assert_eq!(destinations(&mut rig), [FIRST, SECOND]);
    assert_eq!(rig.instance(0).destinations, addresses(&[FIRST, SECOND]));
    assert_eq!(rig.instance(0).counters.advertisement_sent, before + 1, "it is one advertisement");
}

#[test]
fn a_node_that_is_alone_in_its_list_has_a_fault_and_says_nothing() {
    let mut rig = Rig::new(unicast(&[US]));
    assert_eq!(faults(&rig), ["interface eth0 no other ipv4 node"]);
    rig.run(Duration::from_secs(20));
    assert_eq!((rig.state(), destinations(&mut rig)), (StateName::Initialize, vec![]));
    rig.feed(Input::Configure(vec![unicast(&[US, FIRST])]));
    assert_eq!(faults(&rig), [""; 0]);
}

/// Nobody is sent anything, so nothing is counted.
#[test]
fn an_active_that_is_left_alone_in_its_list_leaves_and_says_nothing() {
    let mut rig = Rig::active(unicast(&[FIRST]));
    let sent = rig.instance(0).counters.advertisement_sent;
    rig.feed(Input::Configure(vec![unicast(&[US])]));
    rig.run(Duration::from_secs(2));
    assert_eq!((rig.state(), faults(&rig).len()), (StateName::Initialize, 1));
    assert_eq!(rig.instance(0).counters.advertisement_sent, sent);
}

/// The address may be on another interface, or not be a real one: then this is the same node all the same.
#[test]
fn every_address_of_this_node_is_left_out() {
    let mut rig = Rig::active(unicast(&[FIRST, SECOND]));
    let eth1 = || LinkFacts { ipv4: vec![SECOND.parse().unwrap()], ..link() };
    rig.feed(Input::Link("eth1".parse().unwrap(), Some(eth1())));
    rig.out.clear();
    rig.run(Duration::from_secs(1));
    assert_eq!(destinations(&mut rig), [FIRST], "at once");
    rig.feed(Input::Link("eth1".parse().unwrap(), None));
    rig.out.clear();
    rig.run(Duration::from_secs(1));
    assert_eq!(destinations(&mut rig), [FIRST, SECOND], "it went away");
    rig.feed(Input::Link("eth1".parse().unwrap(), Some(eth1())));
    rig.feed(Input::Configure(vec![unicast(&[FIRST, SECOND, "192.0.2.3"])]));
    rig.out.clear();
    rig.run(Duration::from_secs(1));
    assert_eq!(destinations(&mut rig), [FIRST, "192.0.2.3"]);
    let foreign = [(FIRST.parse().unwrap(), 24)].into();
    rig.feed(Input::Link("eth1".parse().unwrap(), Some(LinkFacts { foreign, ..link() })));
    rig.feed(Input::Configure(vec![unicast(&[FIRST, SECOND])]));
    rig.out.clear();
    rig.run(Duration::from_secs(1));
    assert_eq!(destinations(&mut rig), [SECOND]);
}

#[test]
fn an_advertisement_to_this_node_is_believed_if_its_sender_is_listed() {
    let listed = (FIRST, US, 255);
    for (header, priority, reason) in [
        ((SECOND, US, 255), 200, "unknown_senders"),
        ((FIRST, "224.0.0.18", 255), 200, "bad_destination"),
        ((FIRST, "192.0.2.101", 255), 200, "bad_destination"),
        ((FIRST, US, 254), 200, "ip_ttl_errors"),
    ] {
        let mut rig = Rig::active(unicast(&[FIRST]));
        arrives(&mut rig, header, priority);
        assert_eq!((rig.state(), rejected(&rig)), (StateName::Active, vec![(reason, 1)]), "{header:?}");
        assert!(rig.instance(0).peers.is_empty());
        arrives(&mut rig, listed, priority);
        assert_eq!(rig.state(), StateName::Backup);
    }
}

#[test]
fn peers_may_be_behind_a_router_if_the_configuration_says_so() {
    let mut spec = unicast(&[FIRST]);
    if let Destinations::Unicast(peers) = &mut spec.destinations {
        peers.min_ttl = NonZeroU8::new(250).unwrap();
    }
    let mut rig = Rig::active(spec);
    arrives(&mut rig, (FIRST, US, 249), 200);
    assert_eq!((rig.state(), rejected(&rig)), (StateName::Active, vec![("ip_ttl_errors", 1)]));
    arrives(&mut rig, (FIRST, US, 250), 200);
    assert_eq!(rig.state(), StateName::Backup);
}

/// A multicast router hears the group only, also if its sender has our address as well.
#[test]
fn a_multicast_router_does_not_believe_what_was_sent_to_this_node_alone() {
    let mut rig = Rig::active(spec());
    arrives(&mut rig, (FIRST, US, 255), 200);
    assert_eq!((rig.state(), rejected(&rig)), (StateName::Active, vec![("bad_destination", 1)]));
}

#[test]
fn the_ip_header_is_judged_before_what_it_carries() {
    let mut rig = Rig::active(unicast(&[FIRST]));
    let header = |destination: &str, ttl| {
        Some(Carrier { source: FIRST.parse().unwrap(), destination: destination.parse().unwrap(), ttl })
    };
    for version in [None, Some(Version::V2)] {
        let reject = Reject { reason: RejectReason::ChecksumErrors, vrid: Vrid::new(51).ok(), version };
        for carrier in [header("224.0.0.18", 255), header(US, 1), header(US, 255), None] {
            rig.feed(Input::Rejected { interface: interface(), family: Family::Ipv4, carrier, reject });
        }
    }
    let expected =
        [("ip_ttl_errors", 2), ("version_errors", 2), ("checksum_errors", 2), ("bad_destination", 2)];
    assert_eq!(rejected(&rig), expected);
}

/// What is for no router of this node is judged as those messages are that arrive the same way.
#[test]
fn a_wrong_vrid_is_told_from_a_wrong_way() {
    let other = |spec: RouterSpec| RouterSpec { vrid: Vrid::new(9).unwrap(), ..spec };
    let of_link = |rig: &Rig| {
        let links = rig.node.snapshot(rig.now).links;
        links.iter().flat_map(|(_, _, c)| c.rejected.keys()).map(|r| r.as_str()).collect::<Vec<_>>()
    };
    for (spec, destination, reason) in [
        (spec(), "224.0.0.18", "vrid_errors"),
        (spec(), US, "bad_destination"),
        (unicast(&[FIRST]), US, "vrid_errors"),
        (unicast(&[FIRST]), "224.0.0.18", "vrid_errors"),
        (unicast(&[FIRST]), "192.0.2.101", "bad_destination"),
    ] {
        let mut rig = Rig::new(other(spec));
        arrives(&mut rig, (FIRST, destination, 255), 200);
        assert_eq!(of_link(&rig), [reason], "{destination}");
    }
    // What another interface sends does not bear on it.
    let mut rig = Rig::new(other(unicast(&[FIRST])));
    let eth1: InterfaceName = "eth1".parse().unwrap();
    rig.feed(Input::Link(eth1, Some(link())));
    arrives_on(&mut rig, eth1, (FIRST, US, 255), 200);
    assert_eq!(of_link(&rig), ["bad_destination"]);
}

#[test]
fn accept_from_keeps_strangers_away_with_multicast_too() {
    let mut rig = Rig::active(RouterSpec { accept_from: addresses(&[FIRST]), ..spec() });
    rig.hear(advert(SECOND, 200));
    assert_eq!((rig.state(), rejected(&rig)), (StateName::Active, vec![("unknown_senders", 1)]));
    let told = |kind: &EventKind| {
        let rejected = PeerWarning::Rejected(RejectReason::UnknownSenders);
        matches!(kind, EventKind::PeerWarningRaised { what, .. } if *what == rejected)
    };
    assert!(rig.events().iter().any(told));
    rig.hear(advert(US, 100));
    assert_eq!(rig.instance(0).counters.rejected[&RejectReason::OwnPackets], 1, "we are no stranger");
    rig.hear(advert(FIRST, 200));
    assert_eq!(rig.state(), StateName::Backup);
}

fn ipv6(peers: &[&str]) -> RouterSpec {
    RouterSpec { instances: vec![instance(Family::Ipv6)], ..unicast(peers) }
}

fn source_of(spec: RouterSpec, facts: LinkFacts) -> Option<String> {
    let mut rig = Rig::new(spec);
    rig.feed(Input::Link(interface(), None));
    rig.feed(Input::Link(interface(), Some(facts)));
    rig.instance(0).source.map(|source| source.to_string())
}

#[test]
fn the_source_has_the_scope_of_the_peers_and_is_the_address_that_they_list() {
    let second = "2001:db8::65";
    let global = || vec![US_GLOBAL.parse().unwrap(), second.parse().unwrap()];
    let facts = || LinkFacts { ipv6_global: global(), ..link() };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(source_of(ipv6(&["fe80::1"]), facts()), some(US6));
    assert_eq!(source_of(ipv6(&["2001:db8::1"]), facts()), some(US_GLOBAL));
    assert_eq!(source_of(ipv6(&["2001:db8::1", second]), facts()), some(second));
    assert_eq!(source_of(ipv6(&["2001:db8::1"]), link()), None, "it has no such address yet");
    let chosen = RouterSpec { source_address: second.parse().ok(), ..ipv6(&["2001:db8::1"]) };
    assert_eq!(source_of(chosen, facts()), some(second));
    let two = || LinkFacts { ipv4: vec![US.parse().unwrap(), "192.0.2.5".parse().unwrap()], ..link() };
    assert_eq!(source_of(unicast(&[FIRST, "192.0.2.5"]), two()), some("192.0.2.5"));
    assert_eq!(source_of(unicast(&[FIRST, SECOND]), two()), some(US));
    assert_eq!(source_of(spec(), two()), some(US));
}

/// What the operator has to add is named: an address of the scope of the peers, or the configured one.
#[test]
fn a_source_that_is_missing_is_named_as_what_it_has_to_be() {
    let chosen = |spec: RouterSpec, source: &str| RouterSpec { source_address: source.parse().ok(), ..spec };
    let bare = LinkFacts { ipv4: Vec::new(), ipv6_link_local: Vec::new(), ..link() };
    for (spec, missing) in [
        (spec(), "IPv4 address"),
        (ipv6(&["fe80::1"]), "IPv6 link-local address"),
        (ipv6(&["2001:db8::1"]), "global IPv6 address"),
        (chosen(ipv6(&["2001:db8::1"]), "2001:db8::65"), "source address 2001:db8::65"),
        (chosen(unicast(&[FIRST]), "192.0.2.5"), "source address 192.0.2.5"),
        // It is of the other family.
        (chosen(unicast(&[FIRST]), "2001:db8::65"), "IPv4 address"),
    ] {
        let mut rig = Rig::new(spec);
        rig.feed(Input::Link(interface(), Some(bare.clone())));
        // A router that had an address waits for it at first.
        rig.run(Duration::from_secs(20));
        assert_eq!(faults(&rig), [format!("interface eth0 no {missing}")]);
    }
}

/// The list is what others know us by, so that an address in it replaces another.
#[test]
fn a_listed_address_that_appears_later_becomes_the_source() {
    let mut rig = Rig::new(unicast(&[FIRST, "192.0.2.5"]));
    assert_eq!(rig.instance(0).source, US.parse().ok());
    let ipv4 = vec![US.parse().unwrap(), "192.0.2.5".parse().unwrap()];
    rig.feed(Input::Link(interface(), Some(LinkFacts { ipv4, ..link() })));
    assert_eq!(rig.instance(0).source, "192.0.2.5".parse().ok());
}

/// Whoever serves in the owner's place is reached by the virtual addresses.
#[test]
fn an_owner_does_not_speak_from_a_virtual_address() {
    let owner = |spec: RouterSpec| RouterSpec { role: Role::Owner, ..spec };
    let ipv4 = vec!["192.0.2.254".parse().unwrap(), US.parse().unwrap()];
    let facts = || LinkFacts { ipv4: ipv4.clone(), ..link() };
    assert_eq!(source_of(owner(spec()), facts()).as_deref(), Some("192.0.2.254"));
    assert_eq!(source_of(owner(unicast(&[FIRST])), facts()).as_deref(), Some(US));
}

#[test]
fn an_address_that_is_missing_is_a_fault_that_clears_itself() {
    let source_address = "192.0.2.5".parse().ok();
    let mut rig = Rig::new(RouterSpec { source_address, ..unicast(&[FIRST]) });
    assert_eq!(faults(&rig), ["interface eth0 no source address 192.0.2.5"]);
    let ipv4 = vec![US.parse().unwrap(), "192.0.2.5".parse().unwrap()];
    rig.feed(Input::Link(interface(), Some(LinkFacts { ipv4, ..link() })));
    assert_eq!((faults(&rig), rig.state()), (vec![], StateName::Backup));
}

/// What goes to the group arrives without an address. What goes to this node does not, so that an Active
/// that lives may not have been heard (docs/failover.md).
#[test]
fn a_backup_whose_address_was_away_heard_nobody_and_listens_for_an_interval() {
    // The timer fires after 3.609 s: after the interruption, and in the middle of it.
    for lasts in [50, 400] {
        let mut rig = Rig::new(unicast(&[FIRST]));
        arrives(&mut rig, (FIRST, US, 255), 200);
        rig.run(ms(3500));
        rig.feed(Input::Link(interface(), Some(LinkFacts { ipv4: Vec::new(), ..link() })));
        rig.run(ms(lasts));
        rig.feed(Input::Link(interface(), Some(link())));
        assert_eq!(rig.until_state(StateName::Active), us(1_609_375), "after {lasts} ms");
    }
}

fn unsent(rig: &mut Rig, destination: &str) {
    let (key, priority) = (rig.instance(0).key, AdvertPriority::from_wire(100));
    let destination = destination.parse().unwrap();
    rig.feed(Input::AdvertisementUnsent { key, destination, priority, errno: Some(113) });
}

#[test]
fn what_one_node_is_not_sent_is_told_of_that_node_and_counts_as_sent_to_the_others() {
    let mut rig = Rig::active(unicast(&[FIRST, SECOND]));
    let sent = rig.instance(0).counters.advertisement_sent;
    let counted = |rig: &Rig| {
        let counters = rig.instance(0).counters;
        (counters.tx_errors, counters.advertisement_sent)
    };
    for _ in 0..2 {
        unsent(&mut rig, SECOND);
    }
    assert_eq!(counted(&rig), (2, sent), "the first node was sent both");
    let destination = SECOND.parse().unwrap();
    let concern = Unsent { interface: interface(), family: Family::Ipv4, destination, errno: 113 };
    assert_eq!(rig.events(), [EventKind::LocalWarningRaised(LocalWarning::Unsent(concern))]);
    for _ in 0..2 {
        unsent(&mut rig, FIRST);
        unsent(&mut rig, SECOND);
    }
    assert_eq!(counted(&rig), (6, sent - 2), "nobody was sent the last two");
    // One that only the second node was not sent, and the next that only the first was not.
    unsent(&mut rig, SECOND);
    unsent(&mut rig, FIRST);
    assert_eq!(counted(&rig), (8, sent - 2));
    // The first node was not sent this one, and the second not the next.
    unsent(&mut rig, FIRST);
    rig.run(Duration::from_secs(1));
    unsent(&mut rig, SECOND);
    assert_eq!(counted(&rig), (10, sent - 1), "one more was sent");
    rig.out.clear();
    let key = rig.instance(0).key;
    rig.feed(Input::AdvertisementSentAgain(key, destination));
    assert_eq!(rig.events(), [EventKind::LocalWarningCleared(LocalWarning::Unsent(concern))]);
}

#[test]
fn a_reload_of_the_list_keeps_the_state_and_takes_effect_at_once() {
    let mut rig = Rig::active(unicast(&[FIRST]));
    let since = rig.instance(0).since;
    rig.feed(Input::Configure(vec![unicast(&[SECOND])]));
    assert_eq!((rig.state(), rig.instance(0).since), (StateName::Active, since));
    rig.out.clear();
    rig.run(Duration::from_secs(1));
    assert_eq!(destinations(&mut rig), [SECOND]);
    arrives(&mut rig, (FIRST, US, 255), 200);
    assert_eq!(rejected(&rig), [("unknown_senders", 1)]);
}

/// With more than eight nodes all of them are remembered.
#[test]
fn every_listed_node_that_was_heard_is_remembered() {
    let peers: Vec<String> = (1..=12).map(|n| format!("192.0.2.{n}")).collect();
    let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
    let mut rig = Rig::new(unicast(&peers));
    for peer in &peers {
        arrives(&mut rig, (peer, US, 255), 200);
    }
    assert_eq!(rig.instance(0).peers.len(), 12);
}

fn peers_events(rig: &mut Rig) -> Vec<EventKind> {
    let of_peers =
        |kind: &EventKind| matches!(kind, EventKind::NoPeerHeard { .. } | EventKind::PeerHeard { .. });
    let events = rig.events().into_iter().filter(of_peers).collect();
    rig.out.clear();
    events
}

#[test]
fn that_no_node_was_ever_heard_is_told_once_and_so_is_its_end() {
    let mut rig = Rig::new(unicast(&[FIRST, US, SECOND]));
    rig.until_state(StateName::Active);
    // Active_Down_Interval with priority 100: three intervals and 156/256 of one.
    let down = rig.instance(0).timers.active_down_interval;
    rig.run(down * 3 - ms(1));
    assert_eq!(peers_events(&mut rig), []);
    rig.run(ms(1));
    let told = EventKind::NoPeerHeard { peers: addresses(&[FIRST, SECOND]), after: down * 3 };
    assert_eq!(peers_events(&mut rig), [told]);
    rig.run(down * 10);
    assert_eq!(peers_events(&mut rig), [], "it is told once");
    arrives(&mut rig, (SECOND, US, 255), 50);
    assert_eq!(peers_events(&mut rig), [EventKind::PeerHeard { peer: SECOND.parse().unwrap() }]);
    rig.run(down * 10);
    assert_eq!(peers_events(&mut rig), []);
}

#[test]
fn a_node_that_was_heard_before_may_be_silent_and_with_multicast_nobody_is_expected() {
    let mut heard = Rig::new(unicast(&[FIRST]));
    arrives(&mut heard, (FIRST, US, 255), 200);
    heard.until_state(StateName::Active);
    let mut multicast = Rig::new(spec());
    multicast.until_state(StateName::Active);
    for rig in [&mut heard, &mut multicast] {
        rig.run(Duration::from_secs(60));
        assert_eq!(peers_events(rig), []);
    }
    let mut stranger = Rig::active(unicast(&[FIRST]));
    arrives(&mut stranger, (SECOND, US, 255), 200);
    stranger.out.clear();
    stranger.run(Duration::from_secs(60));
    assert_eq!(peers_events(&mut stranger).len(), 0, "it was told before the stranger spoke");
}
