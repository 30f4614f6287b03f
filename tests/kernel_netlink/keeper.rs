//! The keeper: start, owning and releasing addresses, and what happens when an interface changes.

use crate::host::{Agent, ETH0, Host, key};
use crate::support::{SOON, wait_for};
use std::collections::BTreeSet;
use vrrpd::kernel::keeper::{DrainsAtStop, KeeperCommand, KeeperEvent, frame_announcer};
use vrrpd::kernel::resources::Operation;
use vrrpd::kernel::resources::address::AddressOperation;
use vrrpd::types::Family::{Ipv4, Ipv6};

const NOTHING: [String; 0] = [];

#[test]
fn what_a_previous_run_left_behind_is_removed_at_start_wherever_it_is() {
    let host = Host::new();
    host.ns.ip("link add spare type veth\nlink set spare up\naddress add 203.0.113.1/24 dev spare");
    let left = [(ETH0, "192.0.2.50/24"), (ETH0, "2001:db8::50/64"), ("spare", "203.0.113.50/24")];
    let adds = left.map(|(on, net)| {
        let (index, net) = (host.index(on), net.parse().unwrap());
        Operation::from(AddressOperation::Add { index, net })
    });
    host.netlink().apply(&adds).unwrap();
    assert_eq!(host.ours().len(), 3);

    let agent = Agent::start(&host);
    let mut told = agent.told_so_far();
    told.sort_by_key(|event| format!("{event:?}"));
    let stale = |on: &str, nets: &[&str]| KeeperEvent::StaleRemoved {
        interface: on.to_owned(),
        addresses: nets.iter().map(|net| net.parse().unwrap()).collect(),
    };
    assert_eq!(
        told,
        [stale(ETH0, &["192.0.2.50/24", "2001:db8::50/64"]), stale("spare", &["203.0.113.50/24"])]
    );
    assert_eq!(host.ours(), NOTHING);
    assert_eq!(host.foreign(), ["192.0.2.10/24", "203.0.113.1/24"]);
}

#[test]
fn owning_installs_releasing_removes_and_every_newest_epoch_is_answered_once() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let (v4, v6) = (key(Ipv4, 51), key(Ipv6, 51));
    agent.declare(v4, &["192.0.2.50/24", "192.0.2.51/24"]);
    agent.declare(v6, &["fe80::50/64", "2001:db8::50/64"]);
    agent.known(&host);
    agent.hold(v4, 1);
    assert_eq!(host.ours(), ["192.0.2.50/24", "192.0.2.51/24"]);
    agent.hold(v6, 1);
    assert_eq!(host.ours(), ["192.0.2.50/24", "192.0.2.51/24", "2001:db8::50/64", "fe80::50/64"]);
    agent.release(v4, 2);
    assert_eq!(host.ours(), ["2001:db8::50/64", "fe80::50/64"]);
    // A stale epoch changes nothing and is not answered.
    agent.send(KeeperCommand::Hold { key: v4, epoch: 1 });
    agent.send(KeeperCommand::Release { key: v6, epoch: 0 });
    assert_eq!(agent.told_so_far(), []);
    assert_eq!(host.ours(), ["2001:db8::50/64", "fe80::50/64"]);
    agent.release(v6, 2);
    assert_eq!(host.ours(), NOTHING);
    assert_eq!(host.foreign(), ["192.0.2.10/24"]);
}

/// The first advertisement follows this answer, and it makes the other router remove the address.
// RFC9568-7.2-4
#[test]
fn an_ipv6_address_is_owned_only_when_the_kernel_delivers_to_it() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let v6 = key(Ipv6, 51);
    agent.declare(v6, &["fe80::50/64", "2001:db8::50/64"]);
    agent.known(&host);
    let mut netlink = host.netlink();
    let (index, address) = (host.index(ETH0), "2001:db8::50".parse().unwrap());
    assert!(!netlink.is_delivered(index, address).unwrap());
    for epoch in [1, 3, 5, 7, 9] {
        agent.hold(v6, epoch);
        assert!(netlink.is_delivered(index, address).unwrap(), "epoch {epoch}");
        agent.release(v6, epoch + 1);
        assert!(!netlink.is_delivered(index, address).unwrap());
    }
}

#[test]
fn an_address_that_two_routers_own_goes_with_the_last_of_them() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let (one, other) = (key(Ipv4, 51), key(Ipv4, 52));
    agent.declare(one, &["192.0.2.50/24"]);
    agent.declare(other, &["192.0.2.50/24", "192.0.2.52/24"]);
    agent.known(&host);
    agent.hold(one, 1);
    agent.hold(other, 1);
    assert_eq!(host.ours(), ["192.0.2.50/24", "192.0.2.52/24"]);
    agent.release(one, 2);
    assert_eq!(host.ours(), ["192.0.2.50/24", "192.0.2.52/24"]);
    agent.release(other, 2);
    assert_eq!(host.ours(), NOTHING);
    assert_eq!(agent.told_so_far(), []);
}

#[test]
fn a_reload_that_changes_addresses_changes_what_is_installed() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let v4 = key(Ipv4, 51);
    agent.declare(v4, &["192.0.2.50/32", "192.0.2.51/24"]);
    agent.known(&host);
    agent.hold(v4, 1);
    agent.declare(v4, &["192.0.2.50/24", "192.0.2.52/24"]);
    assert_eq!(agent.told_so_far(), []);
    assert_eq!(host.ours(), ["192.0.2.50/24", "192.0.2.52/24"]);
    agent.send(KeeperCommand::Forget { key: v4 });
    assert_eq!(agent.told_so_far(), []);
    assert_eq!(host.ours(), NOTHING);
}

// RFC9568-8.2.2-2
#[test]
fn only_what_is_held_is_announced() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let v4 = key(Ipv4, 51);
    agent.declare(v4, &["192.0.2.51/24", "192.0.2.50/24"]);
    agent.known(&host);
    agent.send(KeeperCommand::Announce { key: v4, rounds: 5 });
    assert_eq!(agent.told_so_far(), []);
    assert_eq!(*agent.announced.lock().unwrap(), []);
    agent.send(KeeperCommand::Hold { key: v4, epoch: 1 });
    agent.send(KeeperCommand::Announce { key: v4, rounds: 5 });
    agent.told_so_far();
    agent.send(KeeperCommand::Release { key: v4, epoch: 2 });
    agent.send(KeeperCommand::Announce { key: v4, rounds: 5 });
    agent.told_so_far();
    let announced = agent.announced.lock().unwrap();
    assert_eq!(announced.len(), 1, "{announced:?}");
    assert_eq!(announced[0].index, host.index(ETH0));
    assert_eq!(announced[0].rounds, 5);
    let expected: [std::net::IpAddr; 2] = ["192.0.2.51".parse().unwrap(), "192.0.2.50".parse().unwrap()];
    assert_eq!(announced[0].addresses, expected, "in the configured order");
    let shown = host.ns.run("ip", &["-o", "link", "show", ETH0]);
    assert!(shown.contains(&format!("link/ether {} ", announced[0].mac)), "{shown}");
}

#[test]
fn an_announcement_tells_the_neighbours_where_an_address_is() {
    let host = Host::new();
    host.far.ip("address add 192.0.2.99/24 dev eth0\naddress add 2001:db8::99/64 dev eth0 nodad");
    host.far.ip("neighbour add 192.0.2.50 lladdr 02:00:00:00:00:99 dev eth0 nud stale");
    host.far.ip("neighbour add 2001:db8::50 lladdr 02:00:00:00:00:99 dev eth0 nud stale");
    let agent = Agent::start_with(&host, frame_announcer());
    let (v4, v6) = (key(Ipv4, 51), key(Ipv6, 51));
    agent.declare(v4, &["192.0.2.50/24"]);
    agent.declare(v6, &["2001:db8::50/64"]);
    agent.known(&host);
    for key in [v4, v6] {
        agent.hold(key, 1);
        agent.send(KeeperCommand::Announce { key, rounds: 1 });
    }
    wait_for(SOON, "the neighbour knows where the addresses are", || {
        let known = host.far.run("ip", &["neighbour", "show", "dev", ETH0]);
        known.contains("192.0.2.50") && known.contains("2001:db8::50") && !known.contains("02:00:00:00:00:99")
    });
    assert_eq!(agent.told_so_far(), []);
}

#[test]
fn without_its_interface_owning_fails_and_releasing_succeeds() {
    let host = Host::new();
    let agent = Agent::start(&host);
    agent.known(&host);
    host.ns.ip("link delete eth0");
    agent.gone();
    let v4 = key(Ipv4, 51);
    agent.declare(v4, &["192.0.2.50/24"]);
    agent.send(KeeperCommand::Hold { key: v4, epoch: 1 });
    let outcome = Err("interface eth0 does not exist".to_owned());
    agent.wait_event(&KeeperEvent::Held { key: v4, epoch: 1, outcome });
    agent.release(v4, 2);
    let nobody = key(Ipv4, 52);
    agent.send(KeeperCommand::Hold { key: nobody, epoch: 1 });
    let outcome = Err("eth0/52/ipv4 is not declared".to_owned());
    agent.wait_event(&KeeperEvent::Held { key: nobody, epoch: 1, outcome });
}

#[test]
fn ipv6_addresses_that_went_with_the_link_come_back_and_do_not_count_as_removed() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let v6 = key(Ipv6, 51);
    agent.declare(v6, &["fe80::50/64", "2001:db8::50/64"]);
    agent.known(&host);
    agent.hold(v6, 1);
    host.ns.ip("link set eth0 down");
    host.ns.ip("link set eth0 up");
    agent.wait("the addresses are back", |event| match event {
        KeeperEvent::Reinstalled { key, .. } if *key == v6 => Some(()),
        KeeperEvent::Restored { .. } => panic!("{event:?}"),
        _ => None,
    });
    wait_for(SOON, "both addresses", || host.ours() == ["2001:db8::50/64", "fe80::50/64"]);
    let routes = host.ns.run("ip", &["-6", "route", "show", "2001:db8::/64", "dev", ETH0]);
    assert!(routes.contains("2001:db8::/64"), "{routes}");
}

#[test]
fn addresses_follow_an_interface_that_is_deleted_and_created_again() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let (v4, v6) = (key(Ipv4, 51), key(Ipv6, 51));
    agent.declare(v4, &["192.0.2.50/24"]);
    agent.declare(v6, &["2001:db8::50/64"]);
    agent.known(&host);
    agent.hold(v4, 1);
    agent.hold(v6, 1);
    host.ns.ip("link delete eth0");
    host.plug_in();
    for key in [v4, v6] {
        agent.wait_event(&KeeperEvent::Reinstalled { key, count: 1 });
    }
    assert_eq!(host.ours(), ["192.0.2.50/24", "2001:db8::50/64"]);
    agent.release(v4, 2);
    agent.release(v6, 2);
    assert_eq!(host.ours(), NOTHING);
}

#[test]
fn addresses_do_not_follow_an_interface_that_is_renamed() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let v4 = key(Ipv4, 51);
    agent.declare(v4, &["192.0.2.50/24"]);
    agent.known(&host);
    agent.hold(v4, 1);
    host.ns.ip("link set eth0 name lan0");
    wait_for(SOON, "lan0 holds nothing of ours", || host.ours() == NOTHING);
    host.ns.ip("link set lan0 name eth0");
    agent.wait("back on eth0", |event| match event {
        KeeperEvent::Reinstalled { .. } | KeeperEvent::Restored { .. } => Some(()),
        _ => None,
    });
    assert_eq!(host.ours(), ["192.0.2.50/24"]);
}

#[test]
fn stopping_removes_everything_and_says_so() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let (v4, v6) = (key(Ipv4, 51), key(Ipv6, 51));
    agent.declare(v4, &["192.0.2.50/24"]);
    agent.declare(v6, &["2001:db8::50/64"]);
    agent.known(&host);
    agent.hold(v4, 1);
    agent.hold(v6, 1);
    agent.send(KeeperCommand::Stop(DrainsAtStop::Keep));
    agent.wait_event(&KeeperEvent::Stopped { outcome: Ok(()), draining: BTreeSet::new() });
    assert_eq!(host.ours(), NOTHING);
    assert_eq!(host.foreign(), ["192.0.2.10/24"]);
}

#[test]
fn a_keeper_that_is_dropped_leaves_nothing_behind() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let v4 = key(Ipv4, 51);
    agent.declare(v4, &["192.0.2.50/24"]);
    agent.known(&host);
    agent.hold(v4, 1);
    agent.stop();
    assert_eq!(host.ours(), NOTHING);
}

#[test]
fn removing_the_first_address_of_a_subnet_spares_the_others() {
    let host = Host::new();
    host.ns.sysctl("ipv4/conf/eth0/promote_secondaries", "0");
    let agent = Agent::start(&host);
    let (one, other) = (key(Ipv4, 51), key(Ipv4, 52));
    agent.declare(one, &["198.51.100.50/24"]);
    agent.declare(other, &["198.51.100.52/24"]);
    agent.known(&host);
    agent.hold(one, 1);
    agent.hold(other, 1);
    host.ns.ip("address add 198.51.100.10/24 dev eth0");
    agent.release(one, 2);
    assert_eq!(host.ours(), ["198.51.100.52/24"]);
    assert_eq!(host.foreign(), ["192.0.2.10/24", "198.51.100.10/24"]);
    assert_eq!(agent.told_so_far(), []);
}

/// In a container that may not set the sysctl, with an address that a DHCP client added after ours.
#[test]
fn what_the_kernel_removes_with_ours_comes_back_as_it_was() {
    let host = Host::new();
    let agent = Agent::start_without_promotion(&host);
    let (one, other) = (key(Ipv4, 51), key(Ipv4, 52));
    agent.declare(one, &["198.51.100.50/24"]);
    agent.declare(other, &["198.51.100.52/24"]);
    let why = "Read-only file system (os error 30)".to_owned();
    agent.wait_event(&KeeperEvent::PromotionNotSet { interface: "eth0".parse().unwrap(), why });
    agent.known(&host);
    agent.hold(one, 1);
    agent.hold(other, 1);
    // Without any other IPv4 address the interface would lose its routes as well.
    host.ns.ip(
        "address delete 192.0.2.10/24 dev eth0\n\
         address add 198.51.100.10/24 dev eth0 label eth0:dhcp broadcast 198.51.100.255 metric 7 valid_lft 9000 preferred_lft 8000\n\
         address add 198.51.100.11/24 dev eth0\n\
         route add 203.0.113.0/24 via 198.51.100.1\n\
         route add 203.0.114.0/24 via 198.51.100.1 src 198.51.100.10",
    );
    agent.send(KeeperCommand::Release { key: one, epoch: 2 });
    for net in ["198.51.100.10/24", "198.51.100.11/24"] {
        let (interface, address) = ("eth0".to_owned(), net.parse().unwrap());
        agent.wait_event(&KeeperEvent::ForeignReinstalled { interface, address, outcome: Ok(()) });
    }
    agent.wait_event(&KeeperEvent::Released { key: one, epoch: 2, outcome: Ok(()) });
    assert_eq!(
        (host.ours(), host.foreign()),
        (
            vec!["198.51.100.52/24".to_owned()],
            vec!["198.51.100.10/24".to_owned(), "198.51.100.11/24".to_owned()]
        )
    );
    let shown = host.ns.run("ip", &["-4", "-o", "address", "show", "dev", ETH0]);
    let line = shown.lines().find(|line| line.contains("198.51.100.10/24")).unwrap();
    for detail in ["metric 7", "brd 198.51.100.255", "eth0:dhcp"] {
        assert!(line.contains(detail), "{detail}: {line}");
    }
    for (lifetime, whole) in [("valid_lft", 9000), ("preferred_lft", 8000)] {
        let (_, rest) = line.split_once(lifetime).unwrap();
        let left: u32 = rest.trim_start().split_once("sec").unwrap().0.parse().unwrap();
        assert!((whole - 60..=whole).contains(&left), "{lifetime}: {line}");
    }
    let routes = host.ns.run("ip", &["-4", "route", "show", "dev", ETH0]);
    for route in [
        "203.0.113.0/24 via 198.51.100.1",
        "203.0.114.0/24 via 198.51.100.1 src 198.51.100.10",
        "198.51.100.0/24 proto kernel scope link src 198.51.100.10 metric 7",
    ] {
        assert!(routes.contains(route), "{route}: {routes}");
    }
    agent.send(KeeperCommand::Stop(DrainsAtStop::Keep));
    agent.wait_event(&KeeperEvent::Stopped { outcome: Ok(()), draining: BTreeSet::new() });
    assert_eq!((host.ours(), host.foreign().len()), (vec![], 2));
}

#[test]
fn the_sysctl_that_was_set_is_given_back_at_the_end() {
    let host = Host::new();
    host.ns.sysctl("ipv4/conf/eth0/promote_secondaries", "0");
    let value =
        || host.ns.run("cat", &["/proc/sys/net/ipv4/conf/eth0/promote_secondaries"]).trim().to_owned();
    let agent = Agent::start(&host);
    agent.declare(key(Ipv4, 51), &["198.51.100.50/24"]);
    agent.known(&host);
    assert_eq!(value(), "1", "as soon as there may be something to remove");
    agent.send(KeeperCommand::Stop(DrainsAtStop::Keep));
    agent.wait_event(&KeeperEvent::Stopped { outcome: Ok(()), draining: BTreeSet::new() });
    assert_eq!(value(), "0");
}
