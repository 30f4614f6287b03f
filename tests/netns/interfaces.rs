//! Interfaces come and go; each absence is a named fault that clears itself.

use super::support::{Config, Daemon, Lab, SOON, wait_for};
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
    // It listens first, however sure it is of itself.
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
    // Received as well as sent on the new one.
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
    // The inside of a frontend: a pair of cable ends of its own.
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
