//! Measures which connections of clients survive planned moves of their addresses, and what that costs.
//!
//! Clients open 1,000 connections a second, half of them over IPv4 and half over IPv6. Each is open
//! for 30 ms before it asks for something. Beside them there are 24 long connections: two downloads,
//! uploads, keep-alive connections to nginx and to haproxy, echoes and streams of events over each
//! family. One half of them is opened before the first move, and the other half after it, at the other
//! node. The addresses move there and back, a move every four seconds. *Lost* is a request whose
//! connection was refused, reset or not answered within 8 s. A SYN that is lost is sent again after a
//! second by the client's kernel, and such a request is slow, and not lost: *answered after* is the
//! time that it took without those 30 ms. *Cut* is a long connection that was reset, got something
//! else than it should, or nothing for 4 s; another one takes its place after the move.
//! What became of the connections of each kind is on the standard error. *Hand-over* is what
//! `vrrpctl demote` reports.
//!
//! Two more measurements follow: 20,000 connections that say nothing during a move, and one octet each
//! after it; and what the rules and the lists cost.
//!
//! A row with draining in which something is lost or cut is a failure. So is one without draining in
//! which nothing is cut, because then the bench would not notice.
//!
//! `cargo bench --bench draining -- [--moves N] [--rate N] [WORD…]`
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a bench a panic is the report")]

#[path = "../measure/mod.rs"]
mod measure;
#[path = "../../tests/support/mod.rs"]
mod support;

mod cluster;
mod costs;
mod crowd;
mod frontend;
mod idle;
mod long;
mod traffic;

use cluster::{Cluster, OFF, RivalPair, lab};
use measure::machine;
use measure::rivals::Kind;
use measure::{Request, Table};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use support::{Lab, Node};
use traffic::{COLUMNS, Expectation, Tally};

const MOVES: usize = 50;
const RATE: usize = 1000;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    Draining,
    NotDraining,
    Keepalived,
    Frr,
    ThreeNodes,
    BehindRouter,
    Strict,
}

const SCENARIOS: [Scenario; 7] = [
    Scenario::Draining,
    Scenario::NotDraining,
    Scenario::Keepalived,
    Scenario::Frr,
    Scenario::ThreeNodes,
    Scenario::BehindRouter,
    Scenario::Strict,
];

const IDLE_ROW: &str = "idle connections";
const COSTS_ROW: &str = "costs of rules and lists";

fn main() -> ExitCode {
    if crowd::runs_as_part() {
        return ExitCode::SUCCESS;
    }
    let request = Request::from_arguments();
    machine::introduce();
    // A second of requests that hang is a thousand open files at each end.
    crowd::raise_limit_of_open_files();
    let (moves, rate) = (request.moves(MOVES), request.rate(RATE));
    let mut failures = Vec::new();
    let wanted: Vec<Scenario> =
        SCENARIOS.into_iter().filter(|scenario| request.wants(scenario.label())).collect();
    if !wanted.is_empty() {
        let title = format!("Planned moves with open connections, {rate} requests a second wanted");
        let table = Table::new(&title, &COLUMNS);
        for scenario in wanted {
            eprintln!("\n{}:", scenario.label());
            note(&mut failures, scenario.label(), || {
                let tally = scenario.measure(moves, rate);
                tally.print(&table, scenario.label());
                tally.complaints(scenario.expectation())
            });
        }
    }
    for (label, measure) in
        [(IDLE_ROW, idle::measure_idle as fn() -> Vec<String>), (COSTS_ROW, costs::measure_costs)]
    {
        if request.wants(label) {
            note(&mut failures, label, measure);
        }
    }
    println!("\nLoad of this machine: {}.", machine::load());
    if failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("FAILED:\n{}", failures.join("\n"));
    ExitCode::FAILURE
}

/// Measures something, and notes what is wrong with it.
fn note(failures: &mut Vec<String>, label: &str, measure: impl FnOnce() -> Vec<String>) {
    match catch_unwind(AssertUnwindSafe(measure)) {
        Ok(complaints) => failures.extend(complaints.iter().map(|what| format!("{label}: {what}"))),
        Err(_reported) => failures.push(format!("{label}: not measured to its end")),
    }
}

impl Scenario {
    const fn label(self) -> &'static str {
        match self {
            Self::Draining => "vrrpd with draining",
            Self::NotDraining => "vrrpd without (drain 0s)",
            Self::Keepalived => "keepalived",
            Self::Frr => "FRR",
            Self::ThreeNodes => "draining, three nodes in turn",
            Self::BehindRouter => "draining, the client is behind a router",
            Self::Strict => "draining, strict rp_filter, invalid is dropped",
        }
    }

    const fn expectation(self) -> Expectation {
        match self {
            Self::Draining | Self::ThreeNodes | Self::BehindRouter | Self::Strict => {
                Expectation::NothingIsCut
            }
            Self::NotDraining | Self::Keepalived | Self::Frr => Expectation::ConnectionsAreCut,
        }
    }

    fn measure(self, moves: usize, rate: usize) -> Tally {
        let pair = ["fe0", "fe1"];
        match self {
            Self::Draining => Cluster::start(&pair, "60s").measure(moves, rate),
            Self::NotDraining => Cluster::start(&pair, OFF).measure(moves, rate),
            Self::Keepalived => RivalPair::start(Kind::Keepalived).measure(moves, rate),
            Self::Frr => RivalPair::start(Kind::Frr).measure(moves, rate),
            Self::ThreeNodes => Cluster::start(&["fe0", "fe1", "fe2"], "60s").measure(moves, rate),
            Self::BehindRouter => {
                let lab = lab(&["fe0", "fe1", "router"]);
                put_behind_router(&lab, &pair);
                Cluster::on(lab, &pair, "60s").measure(moves, rate)
            }
            Self::Strict => {
                let lab = lab(&pair);
                pair.iter().for_each(|name| make_strict(lab.node(name)));
                Cluster::on(lab, &pair, "60s").measure(moves, rate)
            }
        }
    }
}

/// The client gets a network of its own, behind `router`, and addresses of that network.
fn put_behind_router(lab: &Lab, frontends: &[&str]) {
    let (client, router) = (lab.node("client"), lab.node("router"));
    client.ns.ip("link set eth0 down");
    router.ns.cable("inner", &client.ns, "outer");
    router.ns.sysctl("ipv4/ip_forward", "1");
    router.ns.sysctl("ipv6/conf/all/forwarding", "1");
    router.ns.ip("link set inner up\naddress add 198.51.100.1/24 dev inner\n\
         address add 2001:db8:1::1/64 dev inner nodad");
    client.ns.ip("link set outer up\naddress add 198.51.100.2/24 dev outer\n\
         address add 2001:db8:1::2/64 dev outer nodad\n\
         route add default via 198.51.100.1\nroute add ::/0 via 2001:db8:1::1");
    for name in frontends {
        let lines = format!(
            "route add 198.51.100.0/24 via {}\nroute add 2001:db8:1::/64 via {}",
            router.v4(),
            router.v6()
        );
        lab.node(name).ns.ip(&lines);
    }
}

/// The kernel drops what comes from an unexpected interface, and the firewall what belongs to no
/// connection that it knows.
fn make_strict(node: &Node) {
    for interface in ["all", "default", "eth0", "lo"] {
        node.ns.sysctl(&format!("ipv4/conf/{interface}/rp_filter"), "1");
    }
    // Without this the first packet that is seen of a connection may begin it.
    node.ns.nft(
        "table inet filter {\nchain input {\ntype filter hook input priority 0\npolicy accept\n\
         ct state invalid drop\ntcp flags & (syn | ack | rst) == ack ct state new drop\n}\n}\n",
    );
}
