//! Addresses are kept until hosts have switched to the router that serves now. The other router is
//! simulated: it advertises long before it holds the address, as keepalived does on a machine that
//! is short of processor time.

use super::support::inject::{Forgery, Injector};
use super::support::lab::ip;
use super::support::prober::Responder;
use super::support::wait::stays;
use super::support::{Config, Daemon, Lab, Node, Prober, SOON, ms, wait_for};
use super::{WEB, web};
use std::time::Duration;
use vrrpd::kernel::frame_socket::FrameSocket;
use vrrpd::types::MacAddr;

/// How much too early the other router advertises: much less than an Active waits for an
/// announcement.
const EARLY: Duration = ms(60);

pub(super) fn announce(node: &Node, address: &str) {
    node.ns.enter(|| {
        let index = nix::net::if_::if_nametoindex("eth0").unwrap();
        let socket = FrameSocket::open("eth0".parse().unwrap(), index).unwrap();
        socket.announce(MacAddr(node.mac()), &[ip(address)], 1);
    });
}

/// `fe0` serves, and the simulated router `fe1` is about to advertise. A client sends requests all
/// the time.
struct Stage {
    us: Daemon,
    prober: Prober,
    _services: [Responder; 2],
    lab: Lab,
}

impl Stage {
    fn new() -> Self {
        let lab = Lab::new(&["fe0", "fe1", "client"]);
        let services = ["fe0", "fe1"].map(|name| Responder::start(lab.node(name), WEB));
        let us = Daemon::start(lab.node("fe0"), &Config::of(&web(100).interval("1s")));
        us.wait_state("web", "active");
        let prober = Prober::start(lab.node("client"), WEB, 1000);
        prober.wait_answer_of(us.node());
        prober.wait_some_answers();
        Self { us, prober, _services: services, lab }
    }

    /// The other router advertises, holds the address later, and announces it then.
    fn speaks_too_early(&self, priority: u8) {
        let other = self.lab.node("fe1");
        let word = Forgery::new(other.v4(), 51, priority, 100).addresses(&[WEB]);
        Injector::new(other).send(&word.frame());
        stays(EARLY, "fe0 holds the address that nobody has announced", || self.us.node().has(WEB));
        other.ns.ip(&format!("address add {WEB}/24 dev eth0"));
        announce(other, WEB);
        wait_for(SOON, "fe0 lets go", || !self.us.node().has(WEB));
    }

    fn nothing_was_lost(self) {
        self.prober.wait_answer_of(self.lab.node("fe1"));
        self.prober.wait_some_answers();
        let report = self.prober.finish();
        assert_eq!(report.lost, 0, "{report:?}");
        assert_eq!(report.sequence, ["fe0", "fe1"], "{report:?}");
    }
}

#[test]
fn a_router_that_preempts_before_it_holds_the_address_costs_no_request() {
    let stage = Stage::new();
    stage.speaks_too_early(200);
    assert!(stage.us.is("web", "backup"));
    stage.nothing_was_lost();
}

#[test]
fn a_successor_that_advertises_long_before_it_holds_the_address_costs_no_request() {
    let stage = Stage::new();
    let begin = stage.lab.capture().now();
    let answer = std::thread::scope(|scope| {
        let demoting = scope.spawn(|| stage.us.ctl(&["demote", "web"]));
        stage.lab.capture().wait_advert(SOON, "fe0", begin, |advert| advert.priority == 0);
        stage.speaks_too_early(50);
        demoting.join().unwrap()
    });
    assert_eq!(answer.json["results"][0]["outcome"], "handed_over", "{answer:?}");
    stage.nothing_was_lost();
}
