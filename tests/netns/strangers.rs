//! Other routers on the LAN are named in the table, in the JSON and in events, with what to do.

use super::support::inject::{Forgery, Injector};
use super::support::lab::ip;
use super::support::{Config, Daemon, Lab, Node, Router, SOON, ms, wait_for};
use super::{Pair, WEB, web};
use serde_json::Value;
use vrrpd::types::MacAddr;

fn kinds(daemon: &Daemon, family: &str) -> Vec<String> {
    let warnings = daemon.instance("web", family)["warnings"].clone();
    warnings.as_array().unwrap().iter().map(|warning| warning["kind"].as_str().unwrap().to_owned()).collect()
}

fn event(daemon: &Daemon, suspicion: &str) -> Value {
    daemon.wait_event(suspicion, |event| event["kind"] == "suspicious" && event["suspicion"] == suspicion)
}

/// In an earlier version, a demoted node named a dead router as Active for ever.
#[test]
fn a_demoted_node_reports_that_no_router_serves_and_how_to_serve() {
    let mut pair = Pair::new();
    assert_eq!(pair.fe0.ctl(&["demote", "web"]).code, 0);
    assert_eq!(pair.fe0.instance("web", "ipv4")["active"]["address"], "192.0.2.11");
    // If fe1 died at once, the demoted router would take over again.
    wait_for(SOON, "fe1 has served for a while", || pair.lab.capture().adverts_of("fe1", ms(0)).len() > 6);
    pair.fe1.kill();
    let lost = pair.fe0.wait_event("nobody_serves", |event| event["kind"] == "nobody_serves");
    assert_eq!((&lost["severity"], &lost["peer"]), (&"error".into(), &"192.0.2.11".into()), "{lost}");
    let text = lost["text"].as_str().unwrap();
    assert!(text.contains(WEB) && text.ends_with("vrrpctl promote web"), "{text}");
    let instance = pair.fe0.instance("web", "ipv4");
    assert!(instance["active"].is_null(), "{instance}");
    assert_eq!(kinds(&pair.fe0, "ipv4"), ["nobody_serves"]);
    let table = pair.fe0.ctl_text(&["status"]);
    assert!(table.contains("\n! web: NOBODY SERVES 192.0.2.50"), "{table}");
    pair.fe1.start_again();
    pair.fe0.wait_event("served_again", |event| event["kind"] == "served_again");
    assert_eq!(kinds(&pair.fe0, "ipv4"), [""; 0]);
}

/// A firewall on one node drops the advertisements that the node should receive.
#[test]
fn a_split_brain_that_lasts_is_an_error_until_it_is_over() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(200)));
    fe0.wait_state("web", "active");
    let rival = Forgery::new(ip("192.0.2.11"), 51, 100, 10).addresses(&[WEB]).frame();
    Injector::new(lab.node("fe1")).flood(&rival, 10, ms(1500));
    let begun = event(&fe0, "also_active");
    assert_eq!((&begun["severity"], &begun["peer"]), (&"error".into(), &"192.0.2.11".into()), "{begun}");
    fe0.wait_event("suspicion_over", |event| {
        event["kind"] == "suspicion_over" && event["suspicion"] == "also_active"
    });
}

/// keepalived has our VRID and another address, over IPv4 only. In an earlier version IPv6 was
/// given up with IPv4, and no router served it.
#[test]
fn a_stranger_with_our_vrid_in_one_family_does_not_take_the_other() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let router =
        Router::new("web").priority(100).addresses(&["192.0.2.50/24", "fe80::50/64", "2001:db8::50/64"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&router));
    fe0.wait_state("web", "active");
    let stranger = Forgery::new(ip("192.0.2.13"), 51, 200, 10).addresses(&["192.0.2.77"]).frame();
    Injector::new(lab.node("client")).flood(&stranger, 10, ms(1000));
    let lost = event(&fe0, "addresses_lost");
    assert_eq!((&lost["severity"], &lost["peer"]), (&"error".into(), &"192.0.2.13".into()), "{lost}");
    let six = fe0.instance("web", "ipv6");
    assert_eq!(
        (&six["state"], &six["counters"]["active_transitions"]),
        (&"active".into(), &1.into()),
        "{six}"
    );
    fe0.wait_state("web", "active");
}

/// Another machine has been given our address, or runs a router that we do not hear.
#[test]
fn a_machine_that_announces_our_address_is_named_and_hosts_come_back() {
    for (family, address) in [("ipv4", WEB), ("ipv6", "2001:db8::50")] {
        let lab = Lab::new(&["fe0", "fe1", "client"]);
        let router =
            Router::new("web").priority(100).addresses(&["192.0.2.50/24", "fe80::50/64", "2001:db8::50/64"]);
        let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&router));
        fe0.wait_state("web", "active");
        let (client, other) = (lab.node("client"), lab.node("fe1"));
        // A host does not change a neighbour entry twice in a second by default; this one does.
        client.ns.sysctl("ipv4/neigh/eth0/locktime", "0");
        // The neighbour entry of the host.
        let neighbour = || client.ns.run("ip", &["neighbour", "show", address, "dev", "eth0"]);
        let mac = |node: &Node| MacAddr(node.mac()).to_string();
        client.ns.run("ping", &["-c", "1", "-w", "5", address]);
        // Five rounds follow a takeover, the last of them a second later, and would correct the
        // host at once.
        let announcements = || fe0.instance("web", family)["counters"]["announcements"].as_u64().unwrap();
        wait_for(SOON, "the first announcements are over", || announcements() >= 5);
        assert!(neighbour().contains(&mac(lab.node("fe0"))), "{}", neighbour());
        let announce = vrrpd::wire::Announcement { address: ip(address), mac: MacAddr(other.mac()) }.frame();
        Injector::new(other).send(announce.as_bytes());
        wait_for(SOON, "the host is led astray", || neighbour().contains(&mac(other)));
        let told = event(&fe0, "address_conflict");
        assert_eq!(told["severity"], "error", "{told}");
        let text = told["text"].as_str().unwrap();
        assert!(text.contains(address) && text.contains(&mac(other)), "{text}");
        wait_for(SOON, "the host is back", || neighbour().contains(&mac(lab.node("fe0"))));
        assert_eq!(kinds(&fe0, family), ["address_conflict"]);
        fe0.wait_state("web", "active");
    }
}

#[test]
fn strangers_are_named_with_what_to_do() {
    let lab = Lab::new(&["fe0", "client"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    let injector = Injector::new(lab.node("client"));
    let word = |vrid, priority, change: &dyn Fn(&mut Forgery)| {
        let word = Forgery::new(ip("192.0.2.12"), vrid, priority, 10).addresses(&[WEB]);
        word.with(|forgery| change(forgery)).frame()
    };
    for (suspicion, frame, says) in [
        ("other_version", word(51, 200, &|f| f.version_type = 0x21), "vrrp_version 3"),
        ("other_vrid", word(53, 100, &|_| {}), "VRID 53"),
        ("same_priority", word(51, 100, &|_| {}), "same priority, 100"),
        ("address_list_differs", word(51, 90, &|f| f.addresses.push(ip("192.0.2.51"))), "+192.0.2.51"),
    ] {
        injector.send(&frame);
        let begun = event(&fe0, suspicion);
        assert_eq!(begun["peer"], "192.0.2.12", "{begun}");
        let text = begun["text"].as_str().unwrap();
        assert!(text.contains("192.0.2.12") && text.contains(says), "{text}");
    }
    injector.send(&word(51, 200, &|f| f.version_type = 0x21));
    wait_for(SOON, "a line under the table", || {
        fe0.ctl_text(&["status"]).lines().any(|line| line.starts_with("! web: 192.0.2.12 speaks VRRPv2"))
    });
}
