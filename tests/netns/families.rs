//! IPv6 alone, and both families of one router.

use super::support::lab::ip;
use super::support::prober::Responder;
use super::support::{Config, Daemon, Lab, Prober, Router, SOON, ms, wait_for};
use super::{WEB, web};

/// The link-local address of the virtual MAC of VRID 51: 00:00:5e:00:02:33 as modified EUI-64.
const VIRTUAL_LINK_LOCAL: &str = "fe80::200:5eff:fe00:233";
const WEB6: &str = "2001:db8::50";

fn web6(priority: u8) -> Router {
    Router::new("web").priority(priority).addresses(&["2001:db8::50/64"])
}

fn both(priority: u8) -> Router {
    web(priority).addresses(&["192.0.2.50/24", "2001:db8::50/64"])
}

#[test]
fn ipv6_alone_elects_announces_and_fails_over() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let _services = ["fe0", "fe1"].map(|name| Responder::start(lab.node(name), WEB6));
    let mut fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web6(200)));
    fe0.wait_state("web", "active");
    let fe1 = Daemon::start(lab.node("fe1"), &Config::of(&web6(100)));
    fe1.wait_state("web", "backup");

    let advert = lab.capture().wait_advert(SOON, "fe0", ms(0), |_| true);
    assert_eq!(advert.source, ip(&lab.node("fe0").link_local().to_string()));
    assert_eq!(advert.addresses, [ip(VIRTUAL_LINK_LOCAL), ip(WEB6)], "the link-local one first");
    for address in [VIRTUAL_LINK_LOCAL, WEB6] {
        let seen = lab.capture().wait_announcement(SOON, "fe0", ms(0), ip(address));
        assert_eq!(seen.mac, lab.node("fe0").mac());
    }
    wait_for(SOON, "fe0 holds both", || lab.node("fe0").has(WEB6) && lab.node("fe0").has(VIRTUAL_LINK_LOCAL));
    assert!(!lab.node("fe1").has(WEB6) && !lab.node("fe1").has(VIRTUAL_LINK_LOCAL));

    let prober = Prober::start(lab.node("client"), WEB6, 1000);
    prober.wait_answer_of(lab.node("fe0"));
    prober.wait_some_answers();
    fe0.terminate();
    prober.wait_answer_of(lab.node("fe1"));
    fe0.start_again();
    prober.wait_answer_of(lab.node("fe0"));
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!(report.lost, 0, "{report:?}");
}

#[test]
fn both_families_of_a_router_are_held_and_demoted_together() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&both(200)));
    let fe1 = Daemon::start(lab.node("fe1"), &Config::of(&both(100)));
    fe0.wait_state("web", "active");
    fe1.wait_state("web", "backup");
    assert_eq!(fe0.states("web").len(), 2);
    let holds = |name: &str| [WEB, WEB6].map(|address| lab.node(name).has(address));
    wait_for(SOON, "fe0 holds both", || holds("fe0") == [true, true] && holds("fe1") == [false, false]);

    let answer = fe0.ctl(&["demote", "web"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let outcomes: Vec<_> =
        answer.json["results"].as_array().into_iter().flatten().map(|one| &one["outcome"]).collect();
    assert!(!outcomes.is_empty() && outcomes.iter().all(|outcome| *outcome == "handed_over"), "{answer:?}");
    fe1.wait_state("web", "active");
    wait_for(SOON, "fe1 holds both", || holds("fe0") == [false, false] && holds("fe1") == [true, true]);
}

#[test]
fn a_fault_of_one_family_moves_both() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&both(200)));
    let fe1 = Daemon::start(lab.node("fe1"), &Config::of(&both(100)));
    fe0.wait_state("web", "active");
    fe1.wait_state("web", "backup");
    let node = lab.node("fe0");
    node.ns.ip(&format!("address delete {}/24 dev eth0", node.v4()));
    fe1.wait_state("web", "active");
    fe0.wait_state("web", "initialize");
    wait_for(SOON, "fe0 holds neither", || !node.has(WEB) && !node.has(WEB6));
    node.configure("eth0");
    fe0.wait_state("web", "active");
    fe1.wait_state("web", "backup");
}
