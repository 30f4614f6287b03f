//! The kernel's addresses are kept as the state machine wants them.

use super::support::lab::ip;
use super::support::{Config, Daemon, Lab, SOON, ms, wait_for};
use super::{Pair, WEB, web};

#[test]
fn an_address_that_somebody_deletes_is_put_back_and_announced_without_a_change_of_state() {
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
    // The loopback's, the management address, and thirty.
    wait_for(SOON, "all thirty", || held() == 32);
    lab.node("fe0").ns.ip("address flush dev eth0 to 192.0.2.50/28");
    wait_for(SOON, "all thirty again", || held() == 32);
    assert!(fe0.is("web", "active"));
}

#[test]
fn the_primary_address_of_the_subnet_deleted_takes_nothing_with_it() {
    // Linux drops the secondaries of a subnet with their primary, unless told to promote one.
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

#[test]
fn a_second_burst_and_refreshes_follow_the_first_announcement() {
    let lab = Lab::new(&["fe0"]);
    let router =
        web(100).announce("repeat", "2").announce("delay", "\"400ms\"").announce("refresh", "\"1s\"");
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&router));
    fe0.wait_state("web", "active");
    let times = || -> Vec<_> { lab.capture().announcements(ms(0)).iter().map(|seen| seen.at).collect() };
    // Two at once, two 400 ms later, then one a second.
    wait_for(SOON, "both bursts and two refreshes", || times().len() >= 6);
    let times = times();
    let after: Vec<_> = times.iter().map(|at| (*at - times[0]).as_millis()).collect();
    assert!(after[1] < 350 && after[2] >= 395 && after[3] - after[2] < 350, "{after:?}");
    assert!(after[4] >= 900 && after[5] - after[4] >= 900, "{after:?}");
}
