//! The addresses on the interface are kept as the state machine wants them.

use super::support::lab::ip;
use super::support::wait::stays;
use super::support::{Config, Daemon, Lab, SOON, ms, wait_for};
use super::{Pair, WEB, web};

#[test]
fn a_deleted_address_is_put_back_and_announced_without_a_change_of_state() {
    let pair = Pair::new();
    let fe0 = pair.lab.node("fe0");
    let before = pair.fe0.instance("web", "ipv4");
    let deleted = pair.lab.capture().now();
    fe0.ns.ip("address delete 192.0.2.50/24 dev eth0");
    wait_for(SOON, "the address is back", || fe0.has(WEB));
    pair.lab.capture().wait_announcement(SOON, "fe0", deleted, ip(WEB));
    let event = pair.fe0.wait_event("addresses_restored", |event| event["kind"] == "addresses_restored");
    assert_eq!(event["count"], 1);

    let after = pair.fe0.instance("web", "ipv4");
    assert_eq!((&after["state"], &after["since"]), (&before["state"], &before["since"]));
    let adverts = pair.lab.capture().adverts(deleted);
    assert!(adverts.iter().all(|advert| advert.node == "fe0" && advert.priority == 200), "{adverts:?}");
}

#[test]
fn all_addresses_flushed_come_back() {
    let lab = Lab::new(&["fe0"]);
    let many: Vec<String> = (50..80).map(|host| format!("192.0.2.{host}/24")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100).addresses(&many)));
    fe0.wait_state("web", "active");
    let held = || lab.node("fe0").addresses().iter().filter(|address| address.is_ipv4()).count();
    // The loopback's, the management address, and the thirty.
    wait_for(SOON, "all thirty", || held() == 32);
    lab.node("fe0").ns.ip("address flush dev eth0 to 192.0.2.50/28");
    wait_for(SOON, "all thirty again", || held() == 32);
    assert!(fe0.is("web", "active"));
}

#[test]
fn the_primary_address_of_the_subnet_deleted_takes_nothing_with_it() {
    // Linux removes the secondaries of a subnet with their primary, unless it is told to promote
    // one.
    let lab = Lab::new(&["fe0"]);
    let fe0 = lab.node("fe0");
    fe0.ns.sysctl("ipv4/conf/eth0/promote_secondaries", "0");
    let daemon = Daemon::start(fe0, &Config::of(&web(100)));
    daemon.wait_state("web", "active");
    wait_for(SOON, "the address", || fe0.has(WEB));
    fe0.ns.ip("address add 192.0.2.9/24 dev eth0");
    fe0.ns.ip(&format!("address delete {}/24 dev eth0", fe0.v4()));
    fe0.configure("eth0");
    daemon.wait_state("web", "active");
    wait_for(SOON, "the address is back", || fe0.has(WEB));
}

#[test]
fn excluded_addresses_are_held_and_not_advertised() {
    let lab = Lab::new(&["fe0"]);
    let router = web(100).key("excluded_addresses", "[\"192.0.2.70/24\"]");
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&router));
    fe0.wait_state("web", "active");
    wait_for(SOON, "both are held", || lab.node("fe0").has(WEB) && lab.node("fe0").has("192.0.2.70"));
    let advert = lab.capture().wait_advert(SOON, "fe0", ms(0), |_| true);
    assert_eq!(advert.addresses, [ip(WEB)]);
    lab.capture().wait_announcement(SOON, "fe0", ms(0), ip("192.0.2.70"));
}

/// The usual dual stack of keepalived: IPv4 is elected, and the IPv6 addresses move with it.
#[test]
fn excluded_addresses_of_the_other_family_go_along() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let router = |priority| web(priority).key("excluded_addresses", "[\"2001:db8::70/64\"]");
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&router(200)));
    fe0.wait_state("web", "active");
    let fe1 = Daemon::start(lab.node("fe1"), &Config::of(&router(100)));
    fe1.wait_state("web", "backup");
    let holds = |name: &str| [WEB, "2001:db8::70"].map(|address| lab.node(name).has(address));
    wait_for(SOON, "fe0 holds both", || holds("fe0") == [true, true] && holds("fe1") == [false, false]);
    lab.capture().wait_announcement(SOON, "fe0", ms(0), ip("2001:db8::70"));
    let adverts = lab.capture().adverts(ms(0));
    assert!(adverts.iter().all(|advert| advert.addresses == [ip(WEB)]), "{adverts:?}");

    let demoted = lab.capture().now();
    assert_eq!(fe0.ctl(&["demote", "web"]).code, 0);
    wait_for(SOON, "fe1 holds both", || holds("fe0") == [false, false] && holds("fe1") == [true, true]);
    lab.capture().wait_announcement(SOON, "fe1", demoted, ip("2001:db8::70"));
}

#[test]
fn a_second_burst_and_refreshes_follow_the_first_announcement() {
    let lab = Lab::new(&["fe0"]);
    let router =
        web(100).announce("repeat", "2").announce("delay", "\"400ms\"").announce("refresh", "\"1s\"");
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&router));
    fe0.wait_state("web", "active");
    let times = || -> Vec<_> { lab.capture().announcements(ms(0)).iter().map(|seen| seen.at).collect() };
    // Two rounds at once, two 400 ms later, then one each second.
    wait_for(SOON, "both bursts and two refreshes", || times().len() >= 6);
    let times = times();
    let after: Vec<_> = times.iter().map(|at| (*at - times[0]).as_millis()).collect();
    assert!(after[1] < 350 && after[2] >= 395 && after[3] - after[2] < 350, "{after:?}");
    assert!(after[4] >= 900 && after[5] - after[4] >= 900, "{after:?}");
}

/// An operator mistypes one digit, or lists the nodes' own addresses in place of virtual ones.
#[test]
fn the_machines_own_address_in_the_list_is_a_fault_and_stays_where_it_is() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let node = lab.node("fe0");
    let own = [format!("{}/24", node.v4()), format!("{}/32", node.v6())];
    for address in own {
        let slip = web(100).addresses(&[&address]);
        let mut fe0 = Daemon::start(node, &Config::of(&slip));
        let fault = format!("interface eth0 foreign address {}", address.replace("/32", "/64"));
        let family = if address.contains(':') { "ipv6" } else { "ipv4" };
        fe0.wait_faults("web", family, &[&fault]);
        let held = || node.has(&node.v4().to_string()) && node.has(&node.v6().to_string());
        stays(ms(300), "the machine has its addresses", held);
        assert!(fe0.terminate().success());
        assert!(held(), "after the end");
        let told = format!("ip address delete {} dev eth0", address.replace("/32", "/64"));
        assert!(fe0.log().contains(&told), "{}", fe0.log());
    }
}

/// The situation after a `kill -9` of keepalived, which leaves its addresses behind.
#[test]
fn addresses_left_by_another_program_are_a_fault_until_the_shown_command_removes_them() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    node.ns.ip("address add 192.0.2.50/32 dev eth0\naddress add 2001:db8::50/64 dev eth0 nodad");
    let both = web(100).addresses(&["192.0.2.50/24", "2001:db8::50/64"]);
    let mut fe0 = Daemon::start(node, &Config::of(&both));
    fe0.wait_faults("web", "ipv4", &["interface eth0 foreign address 192.0.2.50/32 and 1 more"]);
    node.ns.ip("address delete 192.0.2.50/32 dev eth0");
    fe0.wait_faults("web", "ipv4", &["interface eth0 foreign address 2001:db8::50/64"]);
    assert!(fe0.is("web", "initialize"));
    node.ns.ip("address delete 2001:db8::50/64 dev eth0");
    fe0.wait_state("web", "active");
    wait_for(SOON, "it holds both", || node.has(WEB) && node.has("2001:db8::50"));

    // While the router serves, another program adds the address once more: that is reported, and
    // the service goes on.
    node.ns.ip("address add 192.0.2.50/32 dev eth0");
    let concern = fe0.wait_event("a concern", |event| event["kind"] == "concern_raised");
    assert_eq!(concern["concern"], "interface eth0 foreign address 192.0.2.50/32");
    fe0.stays(ms(300), "web", "active");
    assert!(fe0.terminate().success());
    assert!(node.has(WEB), "what is not ours is not taken away");
    assert!(!node.has("2001:db8::50"), "what is ours is");
}

/// After a crash, too, only addresses with our mark are removed.
#[test]
fn a_clean_up_leaves_what_is_not_ours() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let mut fe0 = Daemon::start(node, &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    wait_for(SOON, "the address", || node.has(WEB));
    node.ns.ip("address add 192.0.2.50/32 dev eth0");
    fe0.kill();
    let (code, out, err, _) = fe0.clean_up();
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("removed 192.0.2.50/24"), "{out}");
    let shown = node.ns.run("ip", &["-4", "-o", "address", "show", "dev", "eth0"]);
    assert!(shown.contains("192.0.2.50/32") && !shown.contains("192.0.2.50/24"), "{shown}");
}
