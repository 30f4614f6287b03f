//! Interfaces disappear and appear; each absence is a named fault that ends by itself.

use super::support::lab::ip;
use super::support::{Config, Daemon, Lab, Router, SOON, ms, wait_for};
use super::{Pair, WEB, web};

#[test]
fn a_missing_interface_at_start_is_a_fault_that_clears() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    node.ns.ip("link set eth0 down\nlink set eth0 name elsewhere");
    let fe0 = Daemon::start(node, &Config::of(&web(100)));
    fe0.wait_faults("web", "ipv4", &["interface eth0 missing"]);
    assert!(fe0.is("web", "initialize"));
    node.ns.ip("link set elsewhere name eth0\nlink set eth0 up");
    node.configure("eth0");
    fe0.wait_state("web", "active");
    fe0.wait_faults("web", "ipv4", &[]);
    wait_for(SOON, "it holds the address", || node.has(WEB));
}

#[test]
fn an_interface_set_down_is_a_fault_and_up_again_it_serves() {
    let pair = Pair::new();
    let fe0 = pair.lab.node("fe0");
    fe0.ns.ip("link set eth0 down");
    pair.fe0.wait_faults("web", "ipv4", &["interface eth0 down"]);
    assert!(pair.fe0.is("web", "initialize"));
    pair.fe1.wait_state("web", "active");
    wait_for(SOON, "fe0 lets the address go", || !fe0.has(WEB));
    fe0.ns.ip("link set eth0 up");
    fe0.configure("eth0");
    pair.fe0.wait_state("web", "active");
    pair.fe1.wait_state("web", "backup");
}

#[test]
fn a_lost_carrier_is_a_fault_and_its_return_ends_it() {
    let pair = Pair::new();
    pair.lab.carrier_down(pair.fe0.node());
    pair.fe0.wait_faults("web", "ipv4", &["interface eth0 no carrier"]);
    pair.fe1.wait_state("web", "active");
    wait_for(SOON, "fe0 lets the address go", || !pair.lab.node("fe0").has(WEB));
    let back = pair.lab.capture().now();
    pair.lab.carrier_up(pair.fe0.node());
    // After the fault, the router of highest priority listens first, too.
    pair.fe0.wait_event("backup after the fault", |event| {
        event["kind"] == "transition" && event["cause"] == "fault_cleared" && event["to"] == "backup"
    });
    pair.fe0.wait_state("web", "active");
    let first = pair.lab.capture().wait_advert(SOON, "fe0", back, |_| true);
    assert_eq!(first.priority, 200);
}

#[test]
fn a_renamed_interface_is_missing_until_its_name_is_back() {
    let pair = Pair::new();
    let fe0 = pair.lab.node("fe0");
    fe0.ns.ip("link set eth0 down\nlink set eth0 name renamed\nlink set renamed up");
    pair.fe0.wait_faults("web", "ipv4", &["interface eth0 missing"]);
    wait_for(SOON, "no address is left on it", || !fe0.has(WEB));
    pair.fe1.wait_state("web", "active");
    fe0.ns.ip("link set renamed down\nlink set renamed name eth0\nlink set eth0 up");
    fe0.configure("eth0");
    pair.fe0.wait_state("web", "active");
    wait_for(SOON, "the address is on it again", || fe0.has(WEB));
}

#[test]
fn a_recreated_interface_serves_like_the_old_one() {
    let pair = Pair::new();
    let fe0 = pair.lab.node("fe0");
    fe0.ns.ip("link delete eth0");
    pair.fe0.wait_faults("web", "ipv4", &["interface eth0 missing"]);
    pair.fe1.wait_state("web", "active");
    pair.lab.plug(fe0);
    pair.fe0.wait_state("web", "active");
    wait_for(SOON, "the address is on the new one", || fe0.has(WEB));
    // On the new interface the router receives as well as sends.
    pair.fe1.wait_state("web", "backup");
    pair.lab.cut(fe0);
    pair.fe1.wait_state("web", "active");
    pair.lab.heal(fe0);
    pair.fe1.wait_state("web", "backup");
}

#[test]
fn without_a_source_address_it_does_not_take_part() {
    let pair = Pair::new();
    let fe0 = pair.lab.node("fe0");
    fe0.ns.ip(&format!("address delete {}/24 dev eth0", fe0.v4()));
    pair.fe0.wait_faults("web", "ipv4", &["interface eth0 no IPv4 address"]);
    pair.fe1.wait_state("web", "active");
    wait_for(SOON, "fe0 lets the address go", || !fe0.has(WEB));
    fe0.configure("eth0");
    pair.fe0.wait_state("web", "active");
}

#[test]
fn a_tracked_interface_without_carrier_is_a_fault() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let node = lab.node("fe0");
    // The inside of a frontend: a cable between two interfaces of its own.
    node.ns.ip("link add inside type veth peer name outlet\nlink set outlet up\nlink set inside up");
    let tracked = web(200).key("track", "[{ interface = \"inside\" }]");
    let fe0 = Daemon::start(node, &Config::of(&tracked));
    let fe1 = Daemon::start(lab.node("fe1"), &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    node.ns.ip("link set outlet down");
    fe0.wait_faults("web", "ipv4", &["interface inside no carrier"]);
    fe1.wait_state("web", "active");
    node.ns.ip("link set outlet up");
    fe0.wait_state("web", "active");
}

#[test]
fn another_hardware_address_is_announced_at_once() {
    let pair = Pair::new();
    let fe0 = pair.lab.node("fe0");
    let prober = pair.client_of("fe0");
    let changed = pair.lab.capture().now();
    fe0.ns.ip("link set eth0 address 02:00:00:00:00:77");
    let told = pair.lab.capture().wait_announcement(SOON, "fe0", changed, ip(WEB));
    pair.fe0.wait_event("mac_changed", |event| event["kind"] == "mac_changed");
    prober.wait_some_answers();
    let report = prober.finish();
    println!(
        "{} of {} requests lost, longest gap {:?}; announced {:?} after it",
        report.lost,
        report.sent,
        report.longest_gap,
        told.at - changed
    );
    assert!(report.longest_gap < ms(1000), "{report:?}");
    assert!(pair.fe0.is("web", "active"));
}

#[test]
fn a_port_of_a_bridge_is_a_fault_and_the_peer_serves() {
    let pair = Pair::new();
    let fe0 = pair.lab.node("fe0");
    fe0.ns.ip(
        "link add br1 type bridge stp_state 0 forward_delay 0\nlink set br1 up\nlink set eth0 master br1",
    );
    pair.fe0.wait_faults("web", "ipv4", &["interface eth0 port of br1"]);
    pair.fe1.wait_state("web", "active");
    wait_for(SOON, "fe0 lets the address go", || !fe0.has(WEB));
    fe0.ns.ip("link set eth0 nomaster");
    pair.fe0.wait_state("web", "active");
    pair.fe1.wait_state("web", "backup");
}

#[test]
fn another_name_of_an_interface_is_a_fault_that_tells_the_name_to_write() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    node.ns.ip("link property add dev eth0 altname enp3s0");
    let fe0 = Daemon::start(node, &Config::of(&web(100).key("interface", "\"enp3s0\"")));
    fe0.wait_faults("web", "ipv4", &["interface enp3s0 other name of eth0"]);
    wait_for(SOON, "the log tells", || {
        fe0.log().contains("enp3s0 is another name of eth0: write interface = ")
    });
}

/// The kernel removes IPv6 addresses when the link goes down.
#[test]
fn addresses_that_go_with_the_link_do_not_count_as_removed() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let mut file = Config::of(&web(100).addresses(&["192.0.2.50/24", "2001:db8::50/64"]));
    for n in 1..8 {
        let addresses = [format!("192.0.2.{}/24", 60 + n), format!("2001:db8::{}/64", 60 + n)];
        let addresses = addresses.each_ref().map(String::as_str);
        file = file.with(&Router::new(&format!("r{n}")).vrid(60 + n).addresses(&addresses));
    }
    let fe0 = Daemon::start(node, &file);
    fe0.wait_state("web", "active");
    fe0.wait_state("r7", "active");
    for _ in 0..3 {
        node.ns.ip("link set eth0 down");
        fe0.wait_faults("web", "ipv4", &["interface eth0 down"]);
        node.ns.ip("link set eth0 up");
        node.configure("eth0");
        fe0.wait_state("web", "active");
        fe0.wait_state("r7", "active");
    }
    let events = fe0.ctl(&["events", "-n", "1000"]).json;
    let blamed =
        events["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "addresses_restored");
    assert_eq!(blamed.count(), 0, "{events}");
}

/// Renumbering: the first address of the network is removed, and the virtual one is the next.
#[test]
fn a_virtual_address_that_becomes_the_source_of_own_connections_is_reported() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let fe0 = Daemon::start(node, &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    wait_for(SOON, "the address", || node.has(WEB));
    node.ns.ip(&format!("address add 192.0.2.20/24 dev eth0\naddress delete {}/24 dev eth0", node.v4()));
    let source = || node.ns.run("ip", &["route", "get", "192.0.2.99"]);
    assert!(source().contains("src 192.0.2.50"), "{}", source());
    let begins = fe0.wait_event("a concern", |event| event["kind"] == "concern_raised");
    assert_eq!(begins["concern"], "interface eth0 source 192.0.2.50/24 of own connections");
    assert_eq!(fe0.ctl(&["demote", "web", "--force"]).code, 0);
    fe0.wait_event("its end", |event| event["kind"] == "concern_cleared");
    assert!(source().contains("src 192.0.2.20"), "{}", source());
}
