//! Unicast with keepalived: in both families, both roles and both versions, the hand-over to it, and
//! three nodes.

use super::support::lab::ip;
use super::support::peers::{PeerRouter, keepalived};
use super::version2::{KEEPALIVED, SECRET, Terms, TermsSentTo, they_leave_and_return, we_leave_and_return};
use super::{Kind, SOON, VIP4, VIP6, ours, service, wait_alone};
use crate::support::prober::Responder;
use crate::support::{Config, Daemon, Lab, Prober, Router, ms, wait_for};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The addresses of `fe0` and of `peer`, by family.
fn nodes(lab: &Lab, addresses: &[&str]) -> [String; 2] {
    let is_ipv4 = ip(&service(addresses)).is_ipv4();
    ["fe0", "peer"].map(|name| {
        let node = lab.node(name);
        if is_ipv4 { node.v4().to_string() } else { node.v6().to_string() }
    })
}

fn unicast(lab: &Lab, priority: u8, addresses: &[&str]) -> Router {
    ours(priority, "100ms", addresses).key("unicast_peers", &format!("{:?}", nodes(lab, addresses)))
}

fn each(test: impl Fn(&'static [&'static str])) {
    for addresses in [VIP4, VIP6] {
        eprintln!("{addresses:?}");
        test(addresses);
    }
}

/// Nobody has spoken to the group.
#[track_caller]
fn assert_unicast(lab: &Lab) {
    let adverts = lab.capture().adverts(ms(0));
    assert!(
        !adverts.is_empty() && adverts.iter().all(|advert| !advert.destination.is_multicast()),
        "{adverts:?}"
    );
}

#[test]
fn a_keepalived_of_higher_priority_is_obeyed_and_replaced_when_it_stops() {
    each(|addresses| {
        let lab = Lab::new(&["fe0", "peer"]);
        let [fe0_address, peer_address] = nodes(&lab, addresses);
        let router = PeerRouter::new(200, 100, addresses).unicast(&peer_address, &[&fe0_address]);
        let mut peer = keepalived(lab.node("peer"), &router);
        let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&unicast(&lab, 100, addresses)));
        wait_alone(&lab, "peer", "fe0");
        assert!(fe0.is("web", "backup"));
        peer.terminate();
        fe0.wait_state("web", "active");
        assert_unicast(&lab);
    });
}

#[test]
fn a_keepalived_of_lower_priority_obeys_and_takes_over_without_a_lost_request() {
    each(|addresses| {
        let lab = Lab::new(&["fe0", "peer", "client"]);
        let vip = service(addresses);
        let _services = ["fe0", "peer"].map(|name| Responder::start(lab.node(name), &vip));
        let [fe0_address, peer_address] = nodes(&lab, addresses);
        let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&unicast(&lab, 200, addresses)));
        fe0.wait_state("web", "active");
        let router = PeerRouter::new(100, 100, addresses).unicast(&peer_address, &[&fe0_address]);
        let _peer = keepalived(lab.node("peer"), &router);
        wait_alone(&lab, "fe0", "peer");
        let prober = Prober::start(lab.node("client"), &vip, 1000);
        prober.wait_answer_of(lab.node("fe0"));
        prober.wait_some_answers();
        let answer = fe0.ctl(&["demote", "web"]);
        assert_eq!(answer.code, 0, "{answer:?}");
        assert_eq!(answer.json["results"][0]["taken_over_by"], peer_address.as_str(), "{answer:?}");
        prober.wait_answer_of(lab.node("peer"));
        assert_eq!(fe0.ctl(&["promote", "web"]).code, 0);
        wait_for(SOON * 2, "fe0 serves again", || fe0.is("web", "active"));
        prober.wait_answer_of(lab.node("fe0"));
        prober.wait_some_answers();
        super::assert_nothing_lost(&lab, super::Kind::Keepalived, addresses, &prober.finish());
        assert_unicast(&lab);
    });
}

const fn listed(password: Option<&'static str>) -> Terms {
    Terms { password, sent_to: TermsSentTo::Nodes }
}

#[test]
fn in_version_2_keepalived_without_a_password_takes_over_and_gives_back_without_a_lost_request() {
    we_leave_and_return(KEEPALIVED, listed(None));
}

#[test]
fn in_version_2_keepalived_with_a_password_takes_over_and_gives_back_without_a_lost_request() {
    we_leave_and_return(KEEPALIVED, listed(SECRET));
}

#[test]
fn in_version_2_we_take_over_from_keepalived_without_a_password_and_give_back() {
    they_leave_and_return(Kind::Keepalived, listed(None));
}

#[test]
fn in_version_2_we_take_over_from_keepalived_with_a_password_and_give_back() {
    they_leave_and_return(Kind::Keepalived, listed(SECRET));
}

/// Two vrrpd and, between them by priority, a keepalived.
const THREE: [&str; 3] = ["192.0.2.10", "192.0.2.11", "192.0.2.12"];
const THREE_NODES: [&str; 3] = ["fe0", "peer", "fe1"];

/// Waits until `active` alone has advertised for a while, to both others.
#[track_caller]
fn wait_alone_of_three(lab: &Lab, active: &str) {
    wait_for(SOON * 2, format!("{active} alone is Active"), || {
        let capture = lab.capture();
        let adverts = capture.adverts(capture.now() - ms(1500));
        let serving: BTreeSet<_> =
            adverts.iter().filter(|one| one.priority > 0).map(|one| (&*one.node, one.destination)).collect();
        let others = THREE_NODES.iter().zip(THREE).filter(|(name, _)| **name != active);
        serving == others.map(|(_, address)| (active, ip(address))).collect()
    });
}

/// A client counts what `change` costs, which moves the address from one node to another one.
fn count(lab: &Lab, [from, to]: [&str; 2], change: impl FnOnce()) -> usize {
    let prober = Prober::start(lab.node("client"), "192.0.2.50", 1000);
    prober.wait_answer_of(lab.node(from));
    prober.wait_some_answers();
    change();
    prober.wait_answer_of(lab.node(to));
    wait_alone_of_three(lab, to);
    prober.wait_some_answers();
    let report = prober.finish();
    eprintln!("{from} to {to}: {} of {} requests lost", report.lost, report.sent);
    assert_eq!(report.sequence, [from, to], "{report:?}");
    report.lost
}

/// Each of three is Active in turn: by a demotion, a stop, a promotion, a return, and a crash.
#[test]
fn of_three_listed_nodes_each_is_active_in_turn_and_nobody_speaks_to_the_group() {
    let lab = Lab::new(&["fe0", "peer", "fe1", "client"]);
    let _services = THREE_NODES.map(|name| Responder::start(lab.node(name), "192.0.2.50"));
    let theirs = PeerRouter::new(150, 100, VIP4).unicast(THREE[1], &[THREE[0], THREE[2]]);
    let mut peer = keepalived(lab.node("peer"), &theirs);
    wait_alone_of_three(&lab, "peer");
    // The same file on both, apart from the priority.
    let start = |name: &str, priority: u8| {
        let router = ours(priority, "100ms", VIP4).key("unicast_peers", &format!("{THREE:?}"));
        Daemon::start(lab.node(name), &Config::of(&router))
    };
    let fe1 = start("fe1", 100);
    fe1.wait_state("web", "backup");
    let mut fe0 = None;
    assert_eq!(count(&lab, ["peer", "fe0"], || fe0 = Some(start("fe0", 200))), 0, "fe0 preempts");
    let mut fe0 = fe0.expect("it was started");
    let demoted = lab.capture().now();
    let lost = count(&lab, ["fe0", "peer"], || {
        let answer = fe0.ctl(&["demote", "web"]);
        assert_eq!(answer.json["results"][0]["taken_over_by"], THREE[1], "{answer:?}");
    });
    assert_eq!(lost, 0, "keepalived has taken over");
    assert!(lab.capture().adverts_of("fe1", demoted).is_empty(), "the last one kept still");
    // keepalived resigns and gives the addresses away before anybody has taken over.
    count(&lab, ["peer", "fe1"], || {
        peer.terminate();
    });
    assert_eq!(fe1.instance("web", "ipv4")["cause"], "peer_resigned");
    let lost = count(&lab, ["fe1", "fe0"], || assert_eq!(fe0.ctl(&["promote", "web"]).code, 0));
    assert_eq!(lost, 0, "fe0 has preempted fe1");
    let backups = || peer.log().matches("Entering BACKUP STATE").count();
    // The next run appends to the same log.
    let earlier = backups();
    let _again = keepalived(lab.node("peer"), &theirs);
    wait_for(SOON, "keepalived runs", || backups() > earlier);
    fe0.kill();
    wait_alone_of_three(&lab, "peer");
    fe1.wait_state("web", "backup");
    let adverts = lab.capture().adverts(ms(0));
    for (name, address) in THREE_NODES.into_iter().zip(THREE) {
        let of_it = adverts.iter().filter(|one| one.node == name);
        let routes: BTreeSet<(IpAddr, IpAddr)> = of_it.map(|one| (one.source, one.destination)).collect();
        let others = THREE.into_iter().filter(|other| *other != address);
        assert_eq!(routes, others.map(|other| (ip(address), ip(other))).collect(), "{name}");
    }
    assert_unicast(&lab);
    assert!(adverts.iter().all(|advert| advert.ttl == 255));
}
