//! Faults are a set of named reasons, which is computed again from the facts at each change.

use super::*;
use ipnet::IpNet;

fn faults(rig: &Rig) -> Vec<String> {
    rig.node.snapshot(rig.now).routers[0].faults.iter().map(ToString::to_string).collect()
}

#[test]
fn rfc9568_6_4_1_6_each_missing_thing_is_a_named_fault_that_clears_itself() {
    let mut rig = Rig::new(spec());
    let without = |change: fn(&mut LinkFacts)| {
        let mut facts = link();
        change(&mut facts);
        Some(facts)
    };
    for (facts, expected) in [
        (None, "interface eth0 missing"),
        (without(|facts| facts.up = false), "interface eth0 down"),
        (without(|facts| facts.carrier = false), "interface eth0 no carrier"),
        (without(|facts| facts.ipv4.clear()), "interface eth0 no IPv4 address"), // RFC9568-5.1.1.1-2
    ] {
        rig.feed(Input::Link(interface(), facts));
        rig.run(Duration::from_secs(3));
        assert_eq!(faults(&rig), [expected]);
        assert_eq!(rig.state(), StateName::Initialize);
        rig.feed(Input::Link(interface(), Some(link())));
        assert_eq!(faults(&rig), [""; 0]);
        assert_eq!(rig.state(), StateName::Backup);
        assert_eq!(rig.instance(0).cause, Cause::FaultCleared);
    }
}

fn with_foreign(nets: &[&str]) -> Option<LinkFacts> {
    let nets = nets.iter().map(|net| net.parse::<IpNet>().unwrap());
    Some(LinkFacts { foreign: nets.map(|net| (net.addr(), net.prefix_len())).collect(), ..link() })
}

fn concerns(rig: &Rig) -> Vec<String> {
    rig.node.snapshot(rig.now).routers[0]
        .local_warnings
        .iter()
        .map(|(concern, _)| concern.to_string())
        .collect()
}

// RFC9568-6.4.2-1, RFC9568-6.4.2-2, RFC9568-6.4.2-5
/// As Backup, the router could not remove these addresses, and hosts would find two holders.
#[test]
fn addresses_that_the_machine_has_of_its_own_keep_a_contender_out_until_they_are_gone() {
    let excluded = vec!["192.0.2.51/24".parse().unwrap()];
    let instances = vec![InstanceSpec { excluded, ..instance(Family::Ipv4) }];
    let mut rig = Rig::new(RouterSpec { instances, ..spec() });
    for (foreign, expected) in [
        (&["192.0.2.254/24"][..], "interface eth0 foreign address 192.0.2.254/24"),
        (&["192.0.2.254/32", "192.0.2.77/24"], "interface eth0 foreign address 192.0.2.254/32"),
        (&["192.0.2.254/25", "192.0.2.51/24"], "interface eth0 foreign address 192.0.2.254/25 and 1 more"),
    ] {
        rig.feed(Input::Link(interface(), with_foreign(foreign)));
        assert_eq!(faults(&rig), [expected]);
        assert_eq!((rig.state(), concerns(&rig)), (StateName::Initialize, vec![]));
        assert_eq!(rig.said(), [""; 0]);
        rig.feed(Input::Link(interface(), with_foreign(&["192.0.2.77/24"])));
        assert_eq!((rig.state(), faults(&rig)), (StateName::Backup, vec![]));
    }
}

/// The addresses are on eth1, and the router runs on eth0.
fn addresses_elsewhere() -> (RouterSpec, InterfaceName) {
    let eth1 = "eth1".parse().unwrap();
    (RouterSpec { address_interface: eth1, ..spec() }, eth1)
}

#[test]
fn addresses_of_the_machine_are_foreign_on_the_interface_of_the_addresses_only() {
    let (spec, eth1) = addresses_elsewhere();
    let mut rig = Rig::new(spec);
    rig.feed(Input::Link(eth1, Some(link())));
    rig.feed(Input::Link(interface(), with_foreign(&["192.0.2.254/24"])));
    assert_eq!((rig.state(), faults(&rig)), (StateName::Backup, vec![]));
    rig.feed(Input::Link(eth1, with_foreign(&["192.0.2.254/24"])));
    assert_eq!(faults(&rig), ["interface eth1 foreign address 192.0.2.254/24"]);
    assert_eq!(rig.state(), StateName::Initialize);
    rig.feed(Input::Link(eth1, Some(link())));
    assert_eq!((rig.state(), faults(&rig)), (StateName::Backup, vec![]));
    // An Active keeps its addresses, and warns.
    rig.run(Duration::from_secs(20));
    let chosen = ("192.0.2.254".parse().unwrap(), 24);
    rig.feed(Input::Link(eth1, Some(LinkFacts { chosen: [chosen].into(), ..link() })));
    assert_eq!(concerns(&rig), ["interface eth1 source 192.0.2.254/24 of own connections"]);
}

/// A foreign address on another interface does not explain why this one has no source address: both
/// are reported.
#[test]
fn a_missing_source_address_is_reported_beside_a_foreign_address_on_another_interface() {
    let (spec, eth1) = addresses_elsewhere();
    let mut rig = Rig::new(spec);
    rig.feed(Input::Link(eth1, with_foreign(&["192.0.2.254/24"])));
    let virtual_only = Some(LinkFacts { ipv4: vec!["192.0.2.254".parse().unwrap()], ..link() });
    rig.feed(Input::Link(interface(), virtual_only));
    assert_eq!(
        faults(&rig),
        ["interface eth0 no IPv4 address", "interface eth1 foreign address 192.0.2.254/24"]
    );
}

#[test]
fn the_link_of_the_addresses_is_not_that_of_the_router() {
    let (spec, eth1) = addresses_elsewhere();
    let mut rig = Rig::active(spec);
    for facts in [Some(LinkFacts { carrier: false, ..link() }), None, Some(link())] {
        rig.feed(Input::Link(eth1, facts));
        assert_eq!((rig.state(), faults(&rig), rig.said()), (StateName::Active, vec![], vec![]));
    }
    // Hosts send to the hardware address of the interface that has the addresses.
    let other_mac = || Some(LinkFacts { mac: Some(MacAddr([2, 0, 0, 0, 0, 9])), ..link() });
    rig.feed(Input::Link(interface(), other_mac()));
    assert_eq!(rig.said(), [""; 0]);
    rig.feed(Input::Link(eth1, other_mac()));
    assert!(rig.said().iter().any(|word| word.starts_with("announce")));
}

#[test]
fn who_serves_does_not_stop_because_somebody_adds_its_address_too() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Link(interface(), with_foreign(&["192.0.2.254/32"])));
    assert_eq!((rig.said(), faults(&rig)), (vec![], vec![]));
    let concern = "interface eth0 foreign address 192.0.2.254/32";
    assert_eq!((rig.state(), concerns(&rig)), (StateName::Active, vec![concern.to_owned()]));
    rig.feed(Input::Link(interface(), Some(link())));
    assert_eq!(concerns(&rig), [""; 0]);
    // The router yields while the address is still installed. From then on the address is a fault.
    rig.feed(Input::Link(interface(), with_foreign(&["192.0.2.254/32"])));
    rig.hear(advert("192.0.2.1", 200));
    assert_eq!((rig.state(), concerns(&rig)), (StateName::Initialize, vec![]));
    assert_eq!(faults(&rig), [concern]);
}

#[test]
fn a_fault_makes_a_warning_another_fault() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Link(interface(), with_foreign(&["192.0.2.254/32"])));
    let dead = with_foreign(&["192.0.2.254/32"]).map(|facts| LinkFacts { carrier: false, ..facts });
    rig.feed(Input::Link(interface(), dead));
    rig.until_state(StateName::Initialize);
    assert_eq!((rig.state(), concerns(&rig)), (StateName::Initialize, vec![]));
    assert_eq!(faults(&rig), ["interface eth0 no carrier", "interface eth0 foreign address 192.0.2.254/32"]);
}

#[test]
fn an_owner_needs_the_machines_own_addresses() {
    let mut rig = Rig::new(RouterSpec { role: Role::Owner, ..spec() });
    rig.feed(Input::Link(interface(), with_foreign(&["192.0.2.254/24"])));
    assert_eq!((faults(&rig), concerns(&rig)), (vec![], vec![]));
}

/// The only address of the interface is listed as a virtual one. That is reported, but not the
/// missing source address that follows from it.
#[test]
fn listing_the_only_address_of_the_interface_is_one_fault() {
    let us = format!("{US}/24");
    let addresses = vec![us.parse().unwrap()];
    let instance = InstanceSpec {
        family: Family::Ipv4,
        version: Version::V3,
        authentication: Authentication::None,
        addresses,
        excluded: Vec::new(),
    };
    let mut rig = Rig::new(RouterSpec { instances: vec![instance], ..spec() });
    rig.feed(Input::Link(interface(), with_foreign(&[&us])));
    assert_eq!(faults(&rig), [format!("interface eth0 foreign address {us}")]);
    // The addresses of the other family explain nothing.
    let without_ipv6 = with_foreign(&[&us]).map(|facts| LinkFacts { ipv6_link_local: Vec::new(), ..facts });
    rig.feed(Input::Link(interface(), without_ipv6));
    assert_eq!(faults(&rig), [format!("interface eth0 foreign address {us}")]);
}

fn with(change: fn(&mut LinkFacts)) -> Option<LinkFacts> {
    let mut facts = link();
    change(&mut facts);
    Some(facts)
}

/// As a port of a bridge, the interface would not receive a successor's advertisements. The router
/// resigns and removes its addresses at once.
#[test]
fn an_active_whose_interface_becomes_a_port_of_a_bridge_resigns_at_once() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Link(interface(), with(|facts| facts.port_of = "br1".parse().ok())));
    assert_eq!(faults(&rig), ["interface eth0 port of br1"]);
    assert_eq!(rig.state(), StateName::Initialize);
    let said = rig.said();
    assert!(said.iter().any(|said| said.starts_with("say 0/")), "{said:?}");
    rig.feed(Input::Link(interface(), Some(link())));
    assert_eq!((rig.state(), faults(&rig)), (StateName::Backup, vec![]));
}

#[test]
fn another_name_of_an_interface_is_told_as_that() {
    let mut rig = Rig::new(spec());
    rig.feed(Input::OtherName(interface(), "lan0".parse().unwrap()));
    rig.feed(Input::Link(interface(), None));
    assert_eq!(faults(&rig), ["interface eth0 other name of lan0"]);
    rig.feed(Input::Link(interface(), Some(link())));
    rig.feed(Input::Link(interface(), None));
    assert_eq!(faults(&rig), ["interface eth0 missing"]);
}

/// Hosts send to the old hardware address until their neighbour entry expires, which takes 40 s and
/// more.
#[test]
fn another_hardware_address_is_announced_at_once_by_who_serves() {
    let changed = with(|facts| facts.mac = Some(MacAddr([2, 0, 0, 0, 0, 0x77])));
    let mut rig = Rig::active(spec());
    rig.run(ms(20_000));
    rig.said();
    rig.feed(Input::Link(interface(), changed.clone()));
    let (from, to) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 0x77]));
    assert_eq!(rig.events(), [EventKind::MacChanged { interface: interface(), from, to }]);
    assert_eq!(rig.said(), ["announce 1"]);
    rig.feed(Input::Link(interface(), changed.clone()));
    assert_eq!(rig.said(), [""; 0], "nothing changed");
    rig.run(ms(950));
    let rounds = rig.said().iter().filter(|said| said.starts_with("announce")).count();
    assert_eq!(rounds, 3, "a whole burst");
    let mut backup = Rig::new(spec());
    backup.out.clear();
    backup.feed(Input::Link(interface(), changed));
    assert_eq!(backup.out, []);
}

#[test]
fn addresses_that_come_back_with_their_link_are_announced_and_nobody_is_blamed() {
    let mut rig = Rig::active(spec());
    let key = rig.instance(0).key;
    rig.said();
    rig.feed(Input::AddressesReinstalled { key });
    assert_eq!(rig.said(), ["announce 1"]);
}

#[test]
fn what_does_not_fit_and_what_is_chosen_are_concerns_of_who_serves() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Link(interface(), with(|facts| facts.mtu = 31)));
    assert_eq!(concerns(&rig), ["interface eth0 ipv4 advertisement 32 octets, MTU 31"]);
    rig.feed(Input::Link(interface(), with(|facts| facts.mtu = 32)));
    assert_eq!(concerns(&rig), [""; 0]);
    let chosen = with(|facts| facts.chosen = [("192.0.2.254".parse().unwrap(), 24)].into());
    rig.feed(Input::Link(interface(), chosen));
    assert_eq!(concerns(&rig), ["interface eth0 source 192.0.2.254/24 of own connections"]);
    assert_eq!((rig.state(), faults(&rig)), (StateName::Active, vec![]));
    let addresses = vec!["192.0.2.253/24".parse().unwrap(), "192.0.2.254/24".parse().unwrap()];
    let two = InstanceSpec { addresses, ..instance(Family::Ipv4) };
    let mut rig = Rig::active(RouterSpec { instances: vec![two], ..spec() });
    rig.feed(Input::Link(interface(), with(|facts| facts.mtu = 35)));
    assert_eq!(concerns(&rig), ["interface eth0 ipv4 advertisement 36 octets, MTU 35"]);
    let mut rig = Rig::active(RouterSpec { instances: vec![instance(Family::Ipv6)], ..spec() });
    rig.feed(Input::Link(interface(), with(|facts| facts.mtu = 79)));
    assert_eq!(concerns(&rig), ["interface eth0 ipv6 advertisement 80 octets, MTU 79"]);
    rig.feed(Input::Link(interface(), with(|facts| facts.mtu = 80)));
    assert_eq!(concerns(&rig), [""; 0]);
    // A Backup sends nothing, so the warning about the MTU begins when it takes over.
    let mut rig = Rig::new(spec());
    rig.feed(Input::Link(interface(), with(|facts| facts.mtu = 31)));
    assert_eq!((rig.state(), concerns(&rig)), (StateName::Backup, vec![]));
    // It has not advertised yet: it preempts, and waits for the kernel.
    rig.kernel = Kernel::Silent;
    rig.run(ms(3000));
    rig.hear(advert("192.0.2.1", 50));
    rig.until_state(StateName::Active);
    assert_eq!(concerns(&rig).len(), 1);
}

// RFC9568-6.4.1-6
/// T32.
#[test]
fn a_dead_link_releases_without_resigning() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Link(interface(), Some(LinkFacts { ipv4: Vec::new(), carrier: false, ..link() })));
    rig.run(Duration::from_secs(3));
    assert_eq!(rig.said(), ["release"]);
    assert_eq!(rig.state(), StateName::Initialize);
}

/// A router that is asked to stop while it cannot send does not wait until it can send again.
#[test]
fn a_stop_during_an_interruption_does_not_wait() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Link(interface(), Some(LinkFacts { carrier: false, ..link() })));
    assert_eq!(rig.said(), [""; 0], "it may be over in a moment");
    rig.feed(Input::Shutdown);
    assert_eq!(rig.said(), ["release", "stopped"]);
}

#[test]
fn an_interruption_ends_with_an_advertisement_and_an_announcement() {
    for facts in [
        LinkFacts { carrier: false, ..link() },
        LinkFacts { up: false, carrier: false, ..link() },
        LinkFacts { ipv4: Vec::new(), ..link() },
    ] {
        let mut rig = Rig::active(spec());
        rig.run(ms(400));
        rig.said();
        let without = |rig: &mut Rig| {
            rig.feed(Input::Link(interface(), Some(facts.clone())));
            rig.feed(Input::Link(interface(), Some(link())));
        };
        without(&mut rig);
        assert_eq!(rig.said(), ["say 100/100cs", "announce 1"]);
        assert_eq!(rig.events(), []);
        // Repeated interruptions are followed by advertisements at a limited rate.
        for _ in 0..100 {
            rig.run(ms(1));
            without(&mut rig);
        }
        let said = rig.said();
        assert!(said.len() <= 5, "{said:?}");
    }
}

#[test]
fn an_interruption_that_lasts_counts_before_a_backup_can_have_taken_over() {
    let mut rig = Rig::active(spec());
    // The last advertisement was sent a little less than an interval ago, and Backups wait for
    // three intervals.
    let next = rig.instance(0).timers.next.unwrap();
    rig.run(next.since(rig.now) - ms(10));
    rig.feed(Input::Link(interface(), Some(LinkFacts { ipv4: Vec::new(), ..link() })));
    let waited = rig.until_state(StateName::Initialize);
    assert!(waited > ms(1900) && waited <= ms(2010), "{waited:?}");
    assert_eq!(faults(&rig), ["interface eth0 no IPv4 address"]);
}

fn refused(key: InstanceKey, errno: i32) -> Input<'static> {
    let (destination, priority) = (key.family.group(), AdvertPriority::from_wire(100));
    Input::AdvertisementUnsent { key, destination, priority, errno: Some(errno) }
}

/// One that is not sent may be an accident; two in a row are told, and so is the end.
#[test]
fn what_cannot_be_sent_is_a_concern_and_is_not_counted_as_sent() {
    let mut rig = Rig::active(spec());
    let key = rig.instance(0).key;
    let sent = rig.instance(0).counters.advertisement_sent;
    let eperm = 1;
    rig.feed(refused(key, eperm));
    assert_eq!((rig.events(), concerns(&rig)), (vec![], vec![]));
    rig.feed(refused(key, eperm));
    let unsent = Unsent {
        interface: interface(),
        family: Family::Ipv4,
        destination: Family::Ipv4.group(),
        errno: eperm,
    };
    assert_eq!(rig.events(), [EventKind::LocalWarningRaised(LocalWarning::Unsent(unsent))]);
    assert_eq!((rig.state(), concerns(&rig).len()), (StateName::Active, 1));
    rig.out.clear();
    rig.feed(refused(key, eperm));
    assert_eq!(rig.events(), [], "it is told once");
    let counters = rig.instance(0).counters;
    assert_eq!((counters.tx_errors, counters.advertisement_sent), (3, sent - 3));
    rig.feed(Input::AdvertisementSentAgain(key, key.family.group()));
    assert_eq!(rig.events(), [EventKind::LocalWarningCleared(LocalWarning::Unsent(unsent))]);
}

/// The number of the kernel's error tells the operator what to do.
#[test]
fn another_reason_for_which_nothing_is_sent_is_told_at_once() {
    let mut rig = Rig::active(spec());
    let key = rig.instance(0).key;
    for errno in [1, 1, 105] {
        rig.feed(refused(key, errno));
    }
    assert_eq!(concerns(&rig), ["interface eth0 ipv4 advertisements not sent: errno 105"]);
}

/// Advertisements that are not sent follow each other at the distance of the interval.
#[test]
fn what_is_not_sent_an_interval_later_is_the_second_in_a_row() {
    let mut rig = Rig::active(spec());
    let key = rig.instance(0).key;
    rig.feed(refused(key, 1));
    rig.run(ms(1000));
    rig.feed(refused(key, 1));
    assert_eq!(concerns(&rig).len(), 1);
}

#[test]
fn in_initialize_advertisements_only_tell_who_is_active() {
    let mut rig = Rig::new(spec());
    rig.demote(Force::No);
    rig.said();
    rig.hear(advert("192.0.2.1", 200));
    rig.hear(advert("192.0.2.1", 0));
    rig.hear(advert("192.0.2.9", 50));
    assert_eq!(rig.said(), [""; 0]); // RFC9568-6.4.1-5
    // The only deadline is the one for reporting that no router serves, if none has been heard by
    // then.
    let next = rig.node.next_deadline().map(|at| at.since(rig.now));
    assert_eq!(next, Some(Duration::from_nanos(4_096_093_750)));
    assert_eq!(rig.instance(0).active.unwrap().address.to_string(), "192.0.2.9");
}

#[test]
fn a_check_without_a_result_holds_the_router_back() {
    let nginx = CheckName("nginx".into());
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(nginx.clone())], ..spec() });
    assert_eq!(faults(&rig), ["check nginx pending"]);
    rig.feed(Input::CheckResult(nginx.clone(), CheckResult::Passing));
    assert_eq!(rig.state(), StateName::Backup);
    rig.feed(Input::CheckResult(nginx, CheckResult::Failing));
    assert_eq!(faults(&rig), ["check nginx"]);
}

#[test]
fn rfc9568_6_1_8_weights_change_what_is_advertised_and_the_timers() {
    let haproxy = CheckName("haproxy".into());
    let mut rig = Rig::active(RouterSpec { tracks: vec![Track::weighted(haproxy.clone(), -60)], ..spec() });
    rig.feed(Input::CheckResult(haproxy.clone(), CheckResult::Failing));
    let priority = AdvertPriority::from_wire;
    let weights = vec![(haproxy.clone().into(), -60)];
    let lowered = EventKind::PriorityChanged { from: priority(100), to: priority(40), weights };
    assert_eq!(rig.events(), [lowered], "the event names the check");
    assert_eq!(rig.instance(0).timers.skew_time, us(843_750));
    rig.run(ms(1002));
    assert_eq!(rig.said(), ["say 40/100cs"]);
    rig.feed(Input::CheckResult(haproxy.clone(), CheckResult::Passing));
    let weights = vec![(haproxy.into(), 60)];
    let raised = EventKind::PriorityChanged { from: priority(40), to: priority(100), weights };
    assert_eq!(rig.events(), [raised]);
    rig.run(ms(1002));
    assert_eq!(rig.said(), ["say 100/100cs"]);
}

#[test]
fn nothing_changes_the_priority_of_the_owner() {
    let haproxy = CheckName("haproxy".into());
    let tracks = vec![Track::weighted(haproxy.clone(), -60)];
    let mut rig = Rig::active(RouterSpec { role: Role::Owner, tracks, ..spec() });
    rig.feed(Input::CheckResult(haproxy, CheckResult::Failing));
    rig.run(ms(1002));
    assert_eq!(rig.said().last().map(String::as_str), Some("say 255/100cs"));
}

#[test]
fn an_interface_with_a_weight_changes_the_priority_and_is_not_a_fault() {
    let uplink: InterfaceName = "eth1".parse().unwrap();
    let priority = AdvertPriority::from_wire;
    let changed = |from, to, weight| {
        let weights = vec![(uplink.into(), weight)];
        Some(EventKind::PriorityChanged { from: priority(from), to: priority(to), weights })
    };
    for (weight, [down, up]) in [(-60, [40, 100]), (30, [100, 130])] {
        let mut rig = Rig::active(RouterSpec { tracks: vec![Track::weighted(uplink, weight)], ..spec() });
        let health = |rig: &Rig| rig.node.snapshot(rig.now).watched;
        let missing = Health::Failing(Fault::InterfaceMissing(uplink));
        assert_eq!(health(&rig), [(uplink.into(), missing)], "and the router serves all the same");
        rig.run(ms(1002));
        assert_eq!(rig.said().last(), Some(&format!("say {down}/100cs")));
        rig.feed(Input::Link(uplink, Some(link())));
        assert_eq!(rig.events().pop(), changed(down, up, weight.abs().into()));
        assert_eq!(health(&rig), [(uplink.into(), Health::Passing)]);
        rig.feed(Input::Link(uplink, Some(LinkFacts { carrier: false, ..link() })));
        assert_eq!(rig.events().pop(), changed(up, down, -i32::from(weight.abs())));
        rig.run(ms(1002));
        assert_eq!(rig.said().last(), Some(&format!("say {down}/100cs")));
        assert_eq!((rig.state(), faults(&rig)), (StateName::Active, Vec::<String>::new()));
    }
}

#[test]
fn a_tracked_interface_is_a_fault_while_it_is_down() {
    let uplink: InterfaceName = "eth1".parse().unwrap();
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(uplink)], ..spec() });
    assert_eq!(faults(&rig), ["interface eth1 missing"]);
    rig.feed(Input::Link(uplink, Some(link())));
    assert_eq!(rig.state(), StateName::Backup);
    rig.feed(Input::Link(uplink, Some(LinkFacts { carrier: false, ..link() })));
    assert_eq!(faults(&rig), ["interface eth1 no carrier"]);
}

/// Other routers still hear an Active that has lost an uplink, so it hands over.
#[test]
fn a_tracked_interface_that_is_lost_is_not_a_dead_link() {
    let uplink: InterfaceName = "eth1".parse().unwrap();
    for lost in [None, with(|facts| facts.carrier = false)] {
        let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(uplink)], ..spec() });
        rig.feed(Input::Link(uplink, Some(link())));
        rig.until_state(StateName::Active);
        rig.said();
        rig.feed(Input::Link(uplink, lost));
        assert_eq!(rig.said(), ["say 100/1cs"]);
    }
}

#[test]
fn two_faults_that_overlap_clear_when_the_last_one_does() {
    let (eth1, eth2): (InterfaceName, InterfaceName) = ("eth1".parse().unwrap(), "eth2".parse().unwrap());
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(eth1), Track::fault(eth2)], ..spec() });
    rig.feed(Input::Link(eth1, Some(link())));
    assert_eq!((rig.state(), faults(&rig)), (StateName::Initialize, vec!["interface eth2 missing".into()]));
    rig.feed(Input::Link(eth2, Some(link())));
    assert_eq!(rig.state(), StateName::Backup);
}

#[test]
fn addresses_that_the_kernel_refuses_are_a_fault_and_are_tried_again() {
    let mut rig = Rig::new(spec());
    rig.kernel = Kernel::Silent;
    rig.until_state(StateName::Active);
    let refuse = |rig: &mut Rig| {
        let key = rig.instance(0).key;
        let epoch = rig.out.iter().rev().find_map(|effect| match effect {
            Effect::HoldAddresses { epoch, .. } => Some(*epoch),
            _ => None,
        });
        let owned = HoldResult { key, epoch: epoch.unwrap(), outcome: Err("no space left".into()) };
        rig.feed(Input::AddressesHeld(owned));
    };
    refuse(&mut rig);
    assert_eq!(faults(&rig), ["addresses: no space left"]);
    assert_eq!(rig.said(), ["hold", "say 100/100cs", "say 0/100cs", "release"]);
    rig.run(Duration::from_secs(10));
    assert_eq!(rig.state(), StateName::Backup);
}

/// The kernel refused with "No such device", because the interface was deleted while its addresses
/// were installed again.
#[test]
fn what_the_kernel_refused_on_an_interface_that_went_is_forgotten_with_it() {
    let mut rig = Rig::active(spec());
    let key = rig.instance(0).key;
    rig.feed(Input::AddressesNotRestored { key, why: "no such device".into() });
    assert_eq!(faults(&rig), ["addresses: no such device"]);
    rig.feed(Input::Link(interface(), None));
    assert_eq!(faults(&rig), ["interface eth0 missing"]);
    rig.feed(Input::Link(interface(), Some(link())));
    assert_eq!((rig.state(), faults(&rig)), (StateName::Backup, Vec::<String>::new()));
}

#[test]
fn an_answer_of_the_kernel_to_an_older_decision_is_ignored() {
    let mut rig = Rig::new(spec());
    rig.kernel = Kernel::Silent;
    rig.until_state(StateName::Active);
    rig.hear(advert("192.0.2.1", 200));
    rig.said();
    let key = rig.instance(0).key;
    rig.feed(Input::AddressesHeld(HoldResult { key, epoch: 1, outcome: Ok(()) }));
    assert_eq!(rig.said(), [""; 0]);
}

#[test]
fn addresses_put_back_are_announced_without_a_transition() {
    let mut rig = Rig::active(spec());
    let key = rig.instance(0).key;
    rig.feed(Input::AddressesRestored { key, count: 1 });
    assert_eq!(rig.events(), [EventKind::AddressesRestored { count: 1 }]);
    assert_eq!(rig.said(), ["announce 1"]);
}

#[test]
fn rfc9568_5_1_1_1_1_the_source_is_a_real_address_and_never_a_virtual_one() {
    let mut facts = link();
    facts.ipv4 = vec!["192.0.2.254".parse().unwrap(), US.parse().unwrap()];
    let mut rig = Rig::new(spec());
    rig.feed(Input::Link(interface(), Some(facts.clone())));
    assert_eq!(rig.instance(0).source, Some(US.parse().unwrap()));

    let other = Some("192.0.2.9".parse().unwrap());
    let mut rig = Rig::new(RouterSpec { source_address: other, ..spec() });
    assert_eq!(faults(&rig), ["interface eth0 no source address 192.0.2.9"]);
    facts.ipv4.push("192.0.2.9".parse().unwrap());
    rig.feed(Input::Link(interface(), Some(facts)));
    assert_eq!(rig.instance(0).source, other);

    // It is the source in its own family.
    let instances = vec![instance(Family::Ipv4), instance(Family::Ipv6)];
    let rig = Rig::new(RouterSpec { source_address: Some(US.parse().unwrap()), instances, ..spec() });
    assert_eq!([0, 1].map(|at| rig.instance(at).source), [US, US6].map(|source| source.parse().ok()));

    let mut rig = Rig::new(RouterSpec { instances: vec![instance(Family::Ipv6)], ..spec() });
    assert_eq!(rig.instance(0).source, Some(US6.parse().unwrap())); // RFC9568-5.1.2.1-1
    let mut facts = link();
    facts.ipv6_link_local.insert(0, "fe80::1".parse().unwrap());
    rig.feed(Input::Link(interface(), Some(facts)));
    assert_eq!(rig.instance(0).source, Some(US6.parse().unwrap()), "it stays while it can");
}

/// A Backup that hears an Active of priority 80, and a check that takes `weight` from its priority
/// of 100.
fn nine_ms_before_it_preempts(weight: i16) -> (Rig, CheckName) {
    let haproxy = CheckName("haproxy".into());
    let tracks = vec![Track::weighted(haproxy.clone(), weight)];
    let mut rig = Rig::new(RouterSpec { tracks, ..spec() });
    for _ in 0..4 {
        rig.hear(advert("192.0.2.1", 80));
        rig.run(ms(900));
    }
    assert_eq!(rig.state(), StateName::Backup);
    (rig, haproxy)
}

#[test]
fn a_backup_whose_priority_falls_before_it_preempts_obeys_the_active_after_all() {
    let (mut rig, haproxy) = nine_ms_before_it_preempts(-60);
    rig.feed(Input::CheckResult(haproxy, CheckResult::Failing));
    rig.run(ms(3000 + 843 - 900));
    assert_eq!(rig.state(), StateName::Backup);
    rig.run(ms(1));
    assert_eq!(rig.state(), StateName::Active, "the Active fell silent when it was heard for the last time");
}

#[test]
fn a_backup_whose_priority_falls_and_is_still_higher_preempts_when_it_would_have() {
    let (mut rig, haproxy) = nine_ms_before_it_preempts(-10);
    rig.feed(Input::CheckResult(haproxy, CheckResult::Failing));
    rig.run(ms(10));
    assert_eq!(rig.state(), StateName::Active);
}

/// That the link is down has been reported already, and what is not sent cannot fail.
#[test]
fn what_is_not_sent_on_a_dead_link_or_before_a_demotion_is_forgotten() {
    let unsent = |rig: &mut Rig| {
        let key = rig.instance(0).key;
        for _ in 0..2 {
            rig.feed(refused(key, 1));
        }
    };
    let mut rig = Rig::active(spec());
    rig.feed(Input::Link(interface(), with(|facts| facts.carrier = false)));
    unsent(&mut rig);
    rig.feed(Input::Link(interface(), with(|_| {})));
    assert_eq!((rig.state(), concerns(&rig)), (StateName::Active, vec![]));
    unsent(&mut rig);
    assert_eq!(concerns(&rig).len(), 1);
    rig.demote(Force::Yes);
    rig.run(Duration::from_secs(5));
    rig.promote();
    rig.until_state(StateName::Active);
    assert_eq!(concerns(&rig), [""; 0], "until it has tried");
}

#[test]
fn an_owner_tells_its_concerns_when_it_starts() {
    let mut rig = Rig::new(RouterSpec { role: Role::Owner, ..spec() });
    rig.feed(Input::Link(interface(), None));
    rig.feed(Input::Link(interface(), with(|facts| facts.mtu = 31)));
    assert_eq!((rig.state(), concerns(&rig).len()), (StateName::Active, 1));
}
