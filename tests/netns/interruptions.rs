//! Interruptions of milliseconds on the Active: its own address is replaced, or its link is set
//! down and up. A client sends a thousand requests a second, at an interval of a second. For the
//! address it loses less than a tenth of an interval of them; for the link, as many as the link
//! needs to be up again.

use super::support::prober::Responder;
use super::support::wait::stays;
use super::support::{Config, Daemon, Lab, Prober, SOON, ms, wait_for};
use super::{Pair, WEB, web};
use std::time::Duration;

const SLOW: &str = "1s";

/// Whether another router waits to take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Company {
    Alone,
    Peer,
}

/// Runs `interrupt` on fe0 while a client sends requests, and returns how many are lost. The
/// address must not move.
fn lost(company: Company, what: &str, interrupt: impl FnOnce(&Daemon)) -> usize {
    let slow = |priority| Config::of(&web(priority).interval(SLOW));
    let (pair, alone);
    let (lab, fe0): (&Lab, &Daemon) = match company {
        Company::Peer => {
            pair = Pair::with(&slow(200), &slow(100));
            (&pair.lab, &pair.fe0)
        }
        Company::Alone => {
            let lab = Lab::new(&["fe0", "client"]);
            let service = Responder::start(lab.node("fe0"), WEB);
            let fe0 = Daemon::start(lab.node("fe0"), &slow(200));
            fe0.wait_state("web", "active");
            alone = (fe0, service, lab);
            (&alone.2, &alone.0)
        }
    };
    let prober = Prober::start(lab.node("client"), WEB, 1000);
    prober.wait_answer_of(fe0.node());
    prober.wait_some_answers();
    let before = lab.capture().now();
    interrupt(fe0);
    prober.wait_some_answers();
    // fe0 advertises at once, and announces its addresses to the hosts.
    lab.capture().wait_advert(SOON, "fe0", before, |advert| advert.priority == 200);
    lab.capture().wait_announcement(SOON, "fe0", before, super::support::lab::ip(WEB));
    // Longer than any router waits for an Active that it does not hear.
    stays(ms(4000), "fe0 serves on", || fe0.node().has(WEB));
    let report = prober.finish();
    assert!(fe0.is("web", "active"));
    assert_eq!(fe0.counter("web", "ipv4", "active_transitions"), 1, "it never let go");
    assert_eq!(report.sequence, ["fe0"], "{report:?}");
    println!(
        "{what}, {company:?}: {} of {} lost, longest gap {:?}",
        report.lost, report.sent, report.longest_gap
    );
    report.lost
}

fn replace_the_address(fe0: &Daemon, away: Duration) {
    let node = fe0.node();
    let own = format!("{}/24", node.v4());
    if away.is_zero() {
        node.ns.ip(&format!("address delete {own} dev eth0\naddress add {own} dev eth0"));
        return;
    }
    node.ns.ip(&format!("address delete {own} dev eth0"));
    stays(away, "the virtual address stays", || node.has(WEB));
    node.ns.ip(&format!("address add {own} dev eth0"));
}

fn flap_the_link(fe0: &Daemon) {
    fe0.node().ns.ip("link set eth0 down\nlink set eth0 up");
}

#[test]
fn an_own_address_that_is_replaced_costs_next_to_nothing() {
    for company in [Company::Peer, Company::Alone] {
        let lost = lost(company, "address replaced", |fe0| replace_the_address(fe0, ms(0)));
        assert!(lost < 100, "{company:?}: {lost}");
    }
}

#[test]
fn an_own_address_that_is_away_for_a_moment_costs_next_to_nothing() {
    let lost = lost(Company::Peer, "address away for 50 ms", |fe0| replace_the_address(fe0, ms(50)));
    assert!(lost < 100, "{lost}");
}

#[test]
fn a_link_that_is_set_down_and_up_costs_less_than_an_interval() {
    for company in [Company::Peer, Company::Alone] {
        let lost = lost(company, "link down and up", flap_the_link);
        assert!(lost < 700, "{company:?}: {lost}");
    }
}

/// When the link goes down, the kernel removes the IPv6 addresses, its own and ours.
#[test]
fn both_families_are_served_on_after_a_link_that_was_down_for_a_moment() {
    let both = |priority| {
        let router = web(priority).interval(SLOW);
        Config::of(&router.addresses(&["192.0.2.50/24", "fe80::50/64", "2001:db8::50/64"]))
    };
    let pair = Pair::with(&both(200), &both(100));
    let fe0 = pair.fe0.node();
    flap_the_link(&pair.fe0);
    fe0.configure("eth0");
    for address in [WEB, "fe80::50", "2001:db8::50"] {
        wait_for(SOON, format!("{address} is there again"), || fe0.has(address));
    }
    stays(ms(4000), "fe0 serves on", || fe0.has("2001:db8::50"));
    assert!(pair.fe0.is("web", "active") && pair.fe1.is("web", "backup"));
    for family in ["ipv4", "ipv6"] {
        assert_eq!(pair.fe1.counter("web", family, "active_transitions"), 0);
    }
}
