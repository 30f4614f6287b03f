//! vrrpd with the distribution's keepalived and FRR on one LAN, in both roles and both families.
//!
//! Needs both installed and real root: `netns-scripts/test` runs it, plain `cargo test` does not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

#[path = "interop/moving.rs"]
mod moving;
mod support;
#[path = "interop/unicast.rs"]
mod unicast;
#[path = "../core/tests/vectors/mod.rs"]
mod vectors;
#[path = "interop/version2.rs"]
mod version2;

use std::time::Duration;
use support::frame::Checksum;
use support::inject::{Forgery, Injector};
use support::lab::ip;
use support::peers::{Frr, PeerRouter, keepalived};
use support::prober::Responder;
use support::process::Process;
use support::{Config, Daemon, Lab, Prober, Report, Router, SOON, ms, wait_for, wait_some};

const VIP4: &[&str] = &["192.0.2.50/24"];
/// The addresses as RFC 9568 demands them, with the link-local one first.
const VIP6: &[&str] = &["fe80::50/64", "2001:db8::50/64"];
/// The addresses as many keepalived configurations have them.
const VIP6_GLOBAL: &[&str] = &["2001:db8::50/64"];

/// Which implementation the peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Keepalived,
    KeepalivedNopreempt,
    Frr,
}

/// A running peer, which ends with its handle.
enum Peer {
    Keepalived(Process),
    Frr(Frr),
}

impl Kind {
    fn start(self, lab: &Lab, router: &PeerRouter) -> Peer {
        let node = lab.node("peer");
        match self {
            Self::Keepalived => Peer::Keepalived(keepalived(node, router)),
            Self::KeepalivedNopreempt => Peer::Keepalived(keepalived(node, &router.clone().nopreempt())),
            Self::Frr => Peer::Frr(Frr::start(node, router)),
        }
    }
}

impl Peer {
    fn terminate(&mut self) {
        match self {
            Self::Keepalived(process) => {
                process.terminate();
            }
            Self::Frr(frr) => frr.terminate(),
        }
    }
}

/// Our router, with the same addresses and interval as the peer.
fn ours(priority: u8, interval: &str, addresses: &[&str]) -> Router {
    let router = Router::new("web").priority(priority).interval(interval).addresses(addresses);
    // Like the peer, the router then has neither a link-local address of its own nor a computed
    // one.
    if addresses == VIP6_GLOBAL { router.key("link_local", "\"none\"") } else { router }
}

/// The address that the client sends requests to.
fn service(addresses: &[&str]) -> String {
    addresses.last().unwrap().split('/').next().unwrap().to_owned()
}

/// Waits until only `active` of the two has advertised for a while.
#[track_caller]
fn wait_alone(lab: &Lab, active: &str, other: &str) {
    wait_for(SOON * 2, format!("{active} alone is Active"), || {
        let capture = lab.capture();
        let adverts = capture.adverts(capture.now() - ms(3500));
        let spoke = |name: &str| adverts.iter().filter(|one| one.node == name && one.priority > 0).count();
        spoke(active) >= 3 && spoke(other) == 0
    });
}

/// Nothing was lost, except IPv6 requests that arrived at the peer after it had announced the
/// address and before its own kernel delivered to the address. keepalived and FRR do not wait for
/// that: on an idle machine nothing is lost, and the time that a busy machine needs for the route
/// is not our fault (measured here: up to 70 ms).
#[track_caller]
fn assert_nothing_lost(lab: &Lab, kind: Kind, addresses: &[&str], report: &Report) {
    let vip = service(addresses);
    let theirs = match family(addresses) {
        "ipv6" => report.announced_too_early(lab, lab.node("peer"), &vip),
        _ => 0,
    };
    if theirs > 0 {
        eprintln!("{kind:?} announced {vip} before its kernel delivered to it: {theirs} lost by that");
    }
    assert_eq!(report.lost, theirs, "{kind:?} {report:?}");
}

/// Runs a test for all kinds with all address lists that they support.
fn each(test: impl Fn(Kind, &'static [&'static str])) {
    for kind in [Kind::Keepalived, Kind::Frr] {
        for addresses in [VIP4, VIP6] {
            eprintln!("{kind:?} {addresses:?}");
            test(kind, addresses);
        }
    }
    eprintln!("keepalived without a link-local address");
    test(Kind::Keepalived, VIP6_GLOBAL);
}

#[test]
fn the_peers_by_themselves_elect_as_expected() {
    // The launchers of the peers work: what is asserted of us below is true of them.
    let lab = Lab::new(&["peer", "other"]);
    let _frr = Kind::Frr.start(&lab, &PeerRouter::new(100, 100, VIP4));
    wait_some(SOON, "FRR is Active", || lab.capture().adverts_of("peer", ms(0)).pop());
    let _other = keepalived(lab.node("other"), &PeerRouter::new(200, 100, VIP4));
    wait_alone(&lab, "other", "peer");
}

#[test]
fn as_active_we_keep_a_peer_in_backup_and_it_takes_over_when_we_vanish() {
    each(|kind, addresses| {
        let lab = Lab::new(&["us", "peer"]);
        let _peer = kind.start(&lab, &PeerRouter::new(100, 100, addresses));
        let us = Daemon::start(lab.node("us"), &Config::of(&ours(200, "100ms", addresses)));
        us.wait_state("web", "active");
        wait_alone(&lab, "us", "peer");
        lab.cut(lab.node("us"));
        lab.capture().wait_advert(SOON, "peer", lab.capture().now(), |advert| advert.priority == 100);
        lab.heal(lab.node("us"));
        wait_alone(&lab, "us", "peer");
    });
}

#[test]
fn as_backup_we_hear_a_peer_and_take_over_when_it_vanishes_and_yield_when_it_is_back() {
    each(|kind, addresses| {
        let lab = Lab::new(&["us", "peer"]);
        let _peer = kind.start(&lab, &PeerRouter::new(200, 100, addresses));
        // The first seconds of keepalived are irregular: it may pause while it installs addresses.
        wait_alone(&lab, "peer", "us");
        let us = Daemon::start(lab.node("us"), &Config::of(&ours(100, "100ms", addresses)));
        us.stays(ms(800), "web", "backup");
        assert!(lab.capture().adverts_of("us", ms(0)).is_empty(), "we spoke beside a live {kind:?}");

        lab.cut(lab.node("peer"));
        let first = lab.capture().wait_advert(SOON, "us", ms(0), |_| true);
        let heard = lab.capture().delivered_adverts("us").into_iter().filter(|advert| advert.at < first.at);
        let silence = first.at - heard.map(|advert| advert.at).max().expect("we heard it");
        let expected = Duration::from_micros(360_937);
        assert!(silence >= expected && silence < expected + ms(300), "{kind:?} {silence:?}");

        lab.heal(lab.node("peer"));
        us.wait_state("web", "backup");
        wait_alone(&lab, "peer", "us");
    });
}

#[test]
fn a_peer_that_resigns_is_followed_after_the_skew_time() {
    each(|kind, addresses| {
        let lab = Lab::new(&["us", "peer"]);
        let mut peer = kind.start(&lab, &PeerRouter::new(200, 1000, addresses));
        lab.capture().wait_advert(SOON, "peer", ms(0), |_| true);
        let us = Daemon::start(lab.node("us"), &Config::of(&ours(100, "1s", addresses)));
        us.wait_state("web", "backup");
        lab.capture().wait_advert(SOON, "peer", lab.capture().now(), |_| true);
        let stop = lab.capture().now();
        peer.terminate();
        let resigned = lab.capture().wait_advert(SOON, "peer", stop, |advert| advert.priority == 0);
        let first = lab.capture().wait_advert(SOON, "us", resigned.at, |_| true);
        let after = first.at - resigned.at;
        assert!(after >= Duration::from_micros(609_375) && after < ms(609 + 300), "{kind:?} {after:?}");
        us.wait_state("web", "active");
        assert_eq!(us.instance("web", family(addresses))["cause"], "peer_resigned");
    });
}

#[test]
fn the_checksum_follows_what_the_peer_shows() {
    for kind in [Kind::Keepalived, Kind::Frr] {
        let lab = Lab::new(&["us", "peer"]);
        let us = Daemon::start(lab.node("us"), &Config::of(&ours(200, "100ms", VIP4)));
        us.wait_state("web", "active");
        let alone = lab.capture().wait_advert(SOON, "us", ms(0), |_| true);
        assert_eq!(alone.checksum, Checksum::Message, "RFC 9568's, until told otherwise");
        // The peer cannot read our checksum, so it becomes Active; we receive its flavour and use
        // it; now it can.
        let _peer = kind.start(&lab, &PeerRouter::new(100, 100, VIP4));
        let shown = lab.capture().wait_advert(SOON, "peer", ms(0), |_| true);
        assert_eq!(shown.checksum, Checksum::PseudoHeader, "{kind:?} by default");
        wait_alone(&lab, "us", "peer");
        let now = lab.capture().wait_advert(SOON, "us", lab.capture().now(), |_| true);
        assert_eq!(now.checksum, Checksum::PseudoHeader);
        us.wait_event("checksum_follows", |event| event["kind"] == "checksum_follows");
    }
}

/// Messages of priority 1 with the other checksum, five a second. In an earlier version they made
/// this node use that checksum, and keepalived, which does not accept it, became Active beside it.
#[test]
fn a_router_that_we_outrank_does_not_change_the_checksum_that_keepalived_needs() {
    let lab = Lab::new(&["us", "peer", "client"]);
    let us = Daemon::start(lab.node("us"), &Config::of(&ours(200, "1s", VIP4)));
    us.wait_state("web", "active");
    let _peer = Kind::Keepalived.start(&lab, &PeerRouter::new(100, 1000, VIP4));
    lab.capture().wait_advert(SOON, "peer", ms(0), |_| true);
    wait_alone(&lab, "us", "peer");
    let from = lab.capture().now();
    let word = Forgery::new(ip("192.0.2.13"), 51, 1, 100).addresses(&[&service(VIP4)]).frame();
    Injector::new(lab.node("client")).flood(&word, 5, ms(6000));
    let spoken = lab.capture().adverts_of("us", from);
    assert!(spoken.iter().all(|advert| advert.checksum == Checksum::PseudoHeader), "{spoken:?}");
    assert!(lab.capture().adverts_of("peer", from).is_empty(), "keepalived hears us");
    us.wait_event("checksum_differs", |event| event["suspicion"] == "checksum_differs");
}

/// Demotes us in favour of a peer at the default interval of one second, while a client sends a
/// thousand requests a second; then promotes us again.
fn hand_over_to(kind: Kind, addresses: &'static [&'static str]) {
    let lab = Lab::new(&["us", "peer", "client"]);
    let vip = service(addresses);
    let _services = ["us", "peer"].map(|name| Responder::start(lab.node(name), &vip));
    let _peer = kind.start(&lab, &PeerRouter::new(100, 1000, addresses));
    // The peer shows its checksum flavour before we take over.
    lab.capture().wait_advert(SOON, "peer", ms(0), |_| true);
    let us = Daemon::start(lab.node("us"), &Config::of(&ours(200, "1s", addresses)));
    us.wait_state("web", "active");
    // The client starts when only we hold the address, so that it loses requests only through the
    // hand-over.
    wait_alone(&lab, "us", "peer");
    let prober = Prober::start(lab.node("client"), &vip, 1000);
    prober.wait_answer_of(lab.node("us"));
    prober.wait_some_answers();

    let answer = us.ctl(&["demote", "web"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(answer.json["results"][0]["outcome"], "handed_over");
    prober.wait_answer_of(lab.node("peer"));
    prober.wait_some_answers();
    let away = prober.finish();
    eprintln!(
        "{kind:?} {vip}: demoted in {} ms, {} lost",
        answer.json["results"][0]["handover_ms"], away.lost
    );
    assert_nothing_lost(&lab, kind, addresses, &away);
    assert_eq!(us.ctl(&["promote", "web"]).code, 0);
    us.wait_state("web", "active");
}

#[test]
fn a_demotion_hands_over_to_keepalived_without_a_lost_request() {
    for addresses in [VIP4, VIP6] {
        hand_over_to(Kind::Keepalived, addresses);
    }
}

#[test]
fn a_demotion_hands_over_to_a_keepalived_that_may_not_preempt_without_a_lost_request() {
    hand_over_to(Kind::KeepalivedNopreempt, VIP4);
}

#[test]
fn a_demotion_hands_over_to_frr_without_a_lost_request() {
    for addresses in [VIP4, VIP6] {
        hand_over_to(Kind::Frr, addresses);
    }
}

/// A frontend with keepalived or FRR comes back from maintenance: keepalived advertises before it
/// holds the address.
#[test]
fn a_peer_that_preempts_us_costs_no_request() {
    each(|kind, addresses| {
        let lab = Lab::new(&["us", "peer", "client"]);
        let vip = service(addresses);
        let _services = ["us", "peer"].map(|name| Responder::start(lab.node(name), &vip));
        let us = Daemon::start(lab.node("us"), &Config::of(&ours(100, "1s", addresses)));
        us.wait_state("web", "active");
        let prober = Prober::start(lab.node("client"), &vip, 1000);
        prober.wait_answer_of(lab.node("us"));
        let _peer = kind.start(&lab, &PeerRouter::new(200, 1000, addresses));
        prober.wait_answer_of(lab.node("peer"));
        prober.wait_some_answers();
        wait_alone(&lab, "peer", "us");
        let report = prober.finish();
        assert_nothing_lost(&lab, kind, addresses, &report);
    });
}

/// Both peers need the other checksum by default, and the clean-up does not know the peers.
#[test]
fn what_a_killed_daemon_left_is_handed_over_to_a_peer_of_either_kind_without_a_lost_request() {
    for kind in [Kind::Keepalived, Kind::Frr] {
        let lab = Lab::new(&["us", "peer", "client"]);
        let vip = service(VIP4);
        let _services = ["us", "peer"].map(|name| Responder::start(lab.node(name), &vip));
        let _peer = kind.start(&lab, &PeerRouter::new(100, 1000, VIP4));
        lab.capture().wait_advert(SOON, "peer", ms(0), |_| true);
        let mut us = Daemon::start(lab.node("us"), &Config::of(&ours(200, "1s", VIP4)));
        us.wait_state("web", "active");
        wait_alone(&lab, "us", "peer");
        let prober = Prober::start(lab.node("client"), &vip, 1000);
        prober.wait_answer_of(lab.node("us"));
        let killed = lab.capture().now();
        us.kill();
        let (code, out, err, took) = us.clean_up();
        assert_eq!(code, 0, "{kind:?} {out}{err}");
        let first = lab.capture().wait_advert(SOON, "peer", killed, |advert| advert.priority == 100);
        prober.wait_answer_of(lab.node("peer"));
        prober.wait_some_answers();
        let report = prober.finish();
        eprintln!("{kind:?}: took over {:?} after the kill, {took:?}, {out}", first.at - killed);
        assert!(first.at - killed < Duration::from_secs(2), "{kind:?}: sooner than by its own timer");
        assert_eq!(report.lost, 0, "{kind:?} {report:?}");
        assert!(!lab.node("us").has(&vip));
    }
}

fn family(addresses: &[&str]) -> &'static str {
    if addresses[0].contains(':') { "ipv6" } else { "ipv4" }
}
