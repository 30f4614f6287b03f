//! Many nodes on one LAN, and many routers on one interface.

use super::support::{Config, Daemon, Lab, Router, SOON, ms, wait_for};
use super::{DUT, VIP, v4};
use std::collections::BTreeMap;

// T67
#[test]
fn of_three_the_second_always_takes_over_and_never_the_third() {
    let lab = Lab::new(&["one", "two", "three"]);
    let web = |priority| Config::of(&v4().interval("100ms").priority(priority));
    let mut one = Daemon::start(lab.node("one"), &web(250));
    let two = Daemon::start(lab.node("two"), &web(150));
    let three = Daemon::start(lab.node("three"), &web(50));
    let from = lab.capture().now();
    // The simulation does this a hundred times and more; this test does it with real daemons.
    for _ in 0..5 {
        one.wait_state("v4", "active");
        wait_for(SOON, "the others follow", || two.is("v4", "backup") && three.is("v4", "backup"));
        one.kill();
        two.wait_state("v4", "active");
        one.start_again();
    }
    let third = lab.capture().adverts_of("three", from);
    assert!(third.is_empty(), "the third spoke: {third:?}");
}

// T68
#[test]
fn two_hundred_and_fifty_five_virtual_routers_on_one_interface_are_independent() {
    let lab = Lab::new(&[DUT]);
    let config = (1..=255_u8).fold(Config::new(), |config, vrid| {
        let address = format!("198.51.100.{vrid}/32");
        config.with(
            &Router::new(&format!("r{vrid}")).vrid(vrid).interval("1s").priority(254).addresses(&[&address]),
        )
    });
    let dut = Daemon::start(lab.node(DUT), &config);
    let all_active = || {
        let status = dut.ctl(&["status"]).json;
        let routers = status["virtual_routers"].as_array().cloned().unwrap_or_default();
        routers.len() == 255 && routers.iter().all(|one| one["state"] == "active")
    };
    wait_for(SOON, "all are Active", all_active);
    let from = lab.capture().now();
    lab.capture().wait_advert(SOON, DUT, from + ms(3100), |_| true);
    let mut heard: BTreeMap<u8, usize> = BTreeMap::new();
    for advert in lab.capture().adverts_of(DUT, from).iter().filter(|advert| advert.at < from + ms(3100)) {
        assert_eq!(advert.addresses, [super::ip(&format!("198.51.100.{}", advert.vrid))]);
        *heard.entry(advert.vrid).or_default() += 1;
    }
    assert_eq!(heard.len(), 255);
    assert!(heard.values().all(|count| (2..=4).contains(count)), "one a second each: {heard:?}");
    assert!(!lab.node(DUT).has(VIP));
}
