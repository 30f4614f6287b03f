//! Which router becomes Active.

use super::support::{Config, Daemon, Lab, Router, SOON, ms, wait_for};
use super::{Pair, WEB, web};

#[test]
fn the_higher_priority_becomes_active_and_holds_the_address() {
    let lab = Lab::new(&["fe0", "fe1"]);
    // The router of lower priority starts first, and must not keep the address.
    let fe1 = Daemon::start(lab.node("fe1"), &Config::of(&web(100)));
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(200)));
    fe0.wait_state("web", "active");
    fe1.wait_state("web", "backup");
    wait_for(SOON, "only fe0 holds the address", || lab.node("fe0").has(WEB) && !lab.node("fe1").has(WEB));

    let settled = lab.capture().now();
    fe0.stays(ms(1000), "web", "active");
    assert!(fe1.is("web", "backup"));
    let adverts = lab.capture().adverts(settled);
    assert!(adverts.len() >= 5 && adverts.iter().all(|advert| advert.node == "fe0"), "{adverts:?}");
    assert_eq!(fe1.instance("web", "ipv4")["active"]["address"], lab.node("fe0").v4().to_string());
    assert_eq!(fe0.instance("web", "ipv4")["active"]["local"], true);
}

#[test]
fn the_new_active_tells_the_lan_where_the_address_is() {
    let pair = Pair::new();
    let announced = pair.lab.capture().announcements(ms(0));
    let of_web: Vec<_> = announced.iter().filter(|seen| seen.address.to_string() == WEB).collect();
    let first = pair.lab.capture().wait_advert(SOON, "fe0", ms(0), |_| true);
    assert!(
        of_web.iter().all(|seen| seen.node == "fe0" && seen.mac == pair.lab.node("fe0").mac()),
        "{of_web:?}"
    );
    let at_once = of_web.iter().any(|seen| seen.at.abs_diff(first.at) < ms(250));
    assert!(at_once, "announced with the first advertisement at {:?}: {of_web:?}", first.at);
}

#[test]
fn of_equal_priorities_the_greater_address_wins_the_tie() {
    let lab = Lab::new(&["fe0", "fe1"]);
    // While they cannot hear each other, both become Active; then they must agree.
    lab.cut(lab.node("fe0"));
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    let fe1 = Daemon::start(lab.node("fe1"), &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    fe1.wait_state("web", "active");
    assert!(lab.node("fe1").v4() > lab.node("fe0").v4());
    lab.heal(lab.node("fe0"));
    fe0.wait_state("web", "backup");
    assert_eq!(fe0.instance("web", "ipv4")["cause"], "tie_break");
    wait_for(SOON, "fe0 lets the address go", || !lab.node("fe0").has(WEB));
    fe1.stays(ms(500), "web", "active");
}

#[test]
fn equal_priority_does_not_displace_a_live_active() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    // The address of fe1 is greater, which matters between two Actives only.
    let fe1 = Daemon::start(lab.node("fe1"), &Config::of(&web(100)));
    fe1.stays(ms(1000), "web", "backup");
    assert!(fe0.is("web", "active"));
}

#[test]
fn with_preemption_forbidden_the_higher_priority_waits() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let mut fe1 = Daemon::start(lab.node("fe1"), &Config::of(&web(100)));
    fe1.wait_state("web", "active");
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(200).key("preempt", "false")));
    fe0.stays(ms(1000), "web", "backup");
    assert!(fe1.is("web", "active"));
    // Preempt_Mode False does not forbid the takeover from a dead Active.
    fe1.kill();
    fe0.wait_state("web", "active");
}

#[test]
fn of_three_routers_the_next_in_priority_follows_each_time() {
    let lab = Lab::new(&["fe0", "fe1", "fe2"]);
    // The priorities differ by 20 ms of Skew_Time and more at 100 ms, so that the order does not
    // depend on chance.
    let mut fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(250)));
    let mut fe1 = Daemon::start(lab.node("fe1"), &Config::of(&web(180)));
    let fe2 = Daemon::start(lab.node("fe2"), &Config::of(&web(60)));
    fe0.wait_state("web", "active");
    fe1.wait_state("web", "backup");
    fe2.wait_state("web", "backup");

    let crash = lab.capture().now();
    fe0.kill();
    lab.cut(lab.node("fe0"));
    fe1.wait_state("web", "active");
    fe2.stays(ms(500), "web", "backup");
    let third = lab.capture().adverts_of("fe2", crash);
    assert!(third.is_empty(), "the third router must not have spoken: {third:?}");

    fe1.kill();
    lab.cut(lab.node("fe1"));
    fe2.wait_state("web", "active");
    wait_for(SOON, "fe2 holds the address", || lab.node("fe2").has(WEB));
}

#[test]
fn two_frontends_share_the_load_and_each_takes_the_others_part() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let even = |priority| Router::new("even").vrid(51).priority(priority).addresses(&["192.0.2.50/24"]);
    let odd = |priority| Router::new("odd").vrid(52).priority(priority).addresses(&["192.0.2.51/24"]);
    let mut fe0 = Daemon::start(lab.node("fe0"), &Config::of(&even(200)).with(&odd(100)));
    let fe1 = Daemon::start(lab.node("fe1"), &Config::of(&even(100)).with(&odd(200)));
    let shared = |fe0: &Daemon, fe1: &Daemon| {
        for (daemon, router, state) in
            [(fe0, "even", "active"), (fe0, "odd", "backup"), (fe1, "even", "backup"), (fe1, "odd", "active")]
        {
            daemon.wait_state(router, state);
        }
        let holds = |name: &str| [WEB, "192.0.2.51"].map(|address| lab.node(name).has(address));
        wait_for(SOON, "each holds its own address", || {
            holds("fe0") == [true, false] && holds("fe1") == [false, true]
        });
    };
    shared(&fe0, &fe1);

    fe0.terminate();
    fe1.wait_state("even", "active");
    wait_for(SOON, "fe1 holds both", || lab.node("fe1").has(WEB) && lab.node("fe1").has("192.0.2.51"));
    fe0.start_again();
    shared(&fe0, &fe1);
}
