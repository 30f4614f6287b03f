//! Unicast with keepalived: in both families and both roles, and the hand-over to it.

use super::support::lab::ip;
use super::support::peers::{PeerRouter, keepalived_unicast};
use super::{SOON, VIP4, VIP6, ours, service, wait_alone};
use crate::support::prober::Responder;
use crate::support::{Config, Daemon, Lab, Prober, Router, ms, wait_for};

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
        let router = PeerRouter::new(200, 100, addresses);
        let mut peer = keepalived_unicast(lab.node("peer"), &router, &peer_address, &fe0_address);
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
        let router = PeerRouter::new(100, 100, addresses);
        let _peer = keepalived_unicast(lab.node("peer"), &router, &peer_address, &fe0_address);
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
