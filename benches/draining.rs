//! Measures which connections of clients survive planned moves of their addresses.
//!
//! Clients open 1,000 connections a second, half of them over IPv4 and half over IPv6. Each is open
//! for 30 ms before it asks for something. Beside them 24 long connections ask every 20 ms; half of
//! them are opened before the first move, and half after it, at the other node. The address moves
//! there and back, a move every four seconds. *Lost* is a request whose connection was refused,
//! reset or not answered within 8 s. A SYN that is lost is sent again after a second by the
//! client's kernel, and such a request is slow, and not lost: *answered after* is the time that it took
//! without those 30 ms. *Cut* is a long connection that was
//! reset, or not answered within 8 s; another one takes its place after the move. *Hand-over* is
//! what `vrrpctl demote` reports.
//!
//! The last row is another measurement: connections that say nothing during a move, and one octet
//! each after it.
//!
//! `cargo bench --bench draining -- [--moves N] [--rate N] [WORD…]`
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a bench a panic is the report")]

#[path = "measure/mod.rs"]
mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use measure::clients::{BusyClient, BusyService, LostRequest, RequestLog};
use measure::machine::{self, Noise};
use measure::samples::milliseconds;
use measure::{Request, Samples, Table};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use support::lab::ip;
use support::peers::keepalived_with;
use support::process::Process;
use support::tcp::{LongConnections, PORT};
use support::wait::{Ticker, now, wait_out};
use support::{Config, Daemon, Lab, Node, Router, SOON, ms, wait_for};

/// The virtual addresses, one of each family.
const ADDRESSES: [&str; 2] = ["192.0.2.50", "2001:db8::50"];
const MOVES: usize = 50;
const RATE: usize = 1000;
/// The time between the begins of two moves. A promotion at intervals of a second takes 3.4 s.
const MOVE_EVERY: Duration = ms(4000);
/// How long nodes take to prove the path between them, on a busy machine.
const PROVEN: Duration = Duration::from_secs(60);
/// How many long connections are opened to one address at a time.
const LONG: usize = 6;
/// How many connections say nothing during a move.
const IDLE: usize = 20_000;

/// How many files are open beside the ends of idle connections: those of requests under way, too.
const OTHER_FILES: usize = 4000;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    Draining,
    NotDraining,
    Keepalived,
    ThreeNodes,
    BehindRouter,
    Strict,
}

const SCENARIOS: [Scenario; 6] = [
    Scenario::Draining,
    Scenario::NotDraining,
    Scenario::Keepalived,
    Scenario::ThreeNodes,
    Scenario::BehindRouter,
    Scenario::Strict,
];

const COLUMNS: [&str; 14] = [
    "what                                            ",
    "moves",
    "requests",
    "of these a second",
    "lost",
    "answered after p50 (ms)",
    "p99",
    "max",
    "long connections",
    "cut",
    "hand-over p50 (ms)",
    "p99",
    "max",
    "machine late p99 (ms)",
];

const IDLE_ROW: &str = "idle connections";

fn main() -> ExitCode {
    let request = Request::from_arguments();
    machine::introduce();
    let idle = raise_limit_of_open_files();
    let (moves, rate) = (request.moves(MOVES), request.rate(RATE));
    let mut failed = Vec::new();
    let wanted: Vec<Scenario> =
        SCENARIOS.into_iter().filter(|scenario| request.wants(scenario.label())).collect();
    if !wanted.is_empty() {
        let title = format!("Planned moves with open connections, {rate} requests a second wanted");
        let table = Table::new(&title, &COLUMNS);
        for scenario in wanted {
            match catch_unwind(AssertUnwindSafe(|| scenario.measure(moves, rate))) {
                Ok(tally) => tally.print(&table, scenario.label()),
                Err(_reported) => failed.push(scenario.label()),
            }
        }
    }
    if request.wants(IDLE_ROW) && catch_unwind(|| measure_idle(idle)).is_err() {
        failed.push(IDLE_ROW);
    }
    println!("\nLoad of this machine: {}.", machine::load());
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("FAILED, and not in the table: {}", failed.join("; "));
    ExitCode::FAILURE
}

impl Scenario {
    const fn label(self) -> &'static str {
        match self {
            Self::Draining => "vrrpd with draining",
            Self::NotDraining => "vrrpd without (drain 0s)",
            Self::Keepalived => "keepalived",
            Self::ThreeNodes => "draining, three nodes in turn",
            Self::BehindRouter => "draining, the client is behind a router",
            Self::Strict => "draining, strict rp_filter, invalid is dropped",
        }
    }

    fn measure(self, moves: usize, rate: usize) -> Tally {
        let pair = ["fe0", "fe1"];
        match self {
            Self::Draining => Cluster::start(&pair, "60s").measure(moves, rate),
            Self::NotDraining => Cluster::start(&pair, "0s").measure(moves, rate),
            Self::Keepalived => KeepalivedPair::start().measure(moves, rate),
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

/// A LAN with these nodes and a client. No frame is captured, because that costs time.
fn lab(names: &[&str]) -> Lab {
    Lab::unwatched(&[names, &["client"]].concat())
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

/// Nodes with vrrpd and a service on each, and a client. The first one is preferred, and serves.
struct Cluster {
    daemons: Vec<Daemon>,
    _services: Vec<BusyService>,
    lab: Lab,
}

impl Cluster {
    fn start(names: &[&str], drain: &str) -> Self {
        Self::on(lab(names), names, drain)
    }

    fn on(lab: Lab, names: &[&str], drain: &str) -> Self {
        let services =
            (0..).zip(names).map(|(number, name)| BusyService::start(lab.node(name), number)).collect();
        let daemons = daemons(&lab, names, drain);
        Self { daemons, _services: services, lab }
    }

    fn measure(self, moves: usize, rate: usize) -> Tally {
        let noise = Noise::start();
        let mut traffic = Traffic::start(self.lab.node("client"), rate);
        let last = self.daemons.len() - 1;
        let mut handover = Samples::default();
        let (mut at, mut ticker) = (0, Ticker::new(MOVE_EVERY));
        for _ in 0..moves {
            ticker.tick();
            traffic.moved.push(now());
            let next = if at == last { 0 } else { at + 1 };
            if at == last {
                // Those that come back serve nothing until the first one does.
                for back in &self.daemons[..last] {
                    assert_eq!(back.ctl(&["promote", "web"]).code, 0, "a promotion");
                }
            } else {
                let answer = self.daemons[at].ctl(&["demote", "web", "--no-wait"]);
                assert_eq!(answer.json["results"][0]["outcome"], "handed_over", "{answer:?}");
                handover.push(answer.json["results"][0]["handover_ms"].as_f64().expect("a duration"));
            }
            self.daemons[next].wait_state("web", "active");
            at = next;
            traffic.go_on_after_move();
        }
        traffic.finish(moves, handover, noise)
    }
}

/// Starts the daemons, and waits until each could leave its connections to each other one.
fn daemons(lab: &Lab, names: &[&str], drain: &str) -> Vec<Daemon> {
    let daemons: Vec<Daemon> = names
        .iter()
        .zip([200, 150, 100])
        .map(|(name, priority)| {
            let node = lab.node(name);
            let key = node.dir().join("peer.key");
            std::fs::write(&key, [b'k'; 32]).expect("writing a key");
            std::fs::set_permissions(&key, Permissions::from_mode(0o640)).expect("its permissions");
            let key = key.to_str().expect("a readable path");
            let router =
                Router::new("web").priority(priority).interval("1s").key("drain", &format!("{drain:?}"));
            let router = router.addresses(&["192.0.2.50/24", "2001:db8::50/64"]);
            Daemon::start(
                node,
                &Config::new().agent(&[("node_name", name), ("peer_key_file", key)]).with(&router),
            )
        })
        .collect();
    daemons[0].wait_state("web", "active");
    daemons[1..].iter().for_each(|daemon| daemon.wait_state("web", "backup"));
    wait_for(PROVEN, "the nodes know each other", || daemons[0].instance("web", "ipv4")["redundant"] == true);
    if drain != "0s" {
        wait_for(PROVEN, "the paths between the nodes are proven", || {
            daemons.iter().all(|daemon| {
                ["ipv4", "ipv6"].iter().all(|family| {
                    let partners = daemon.instance("web", family)["drain_partners"].as_array().map(Vec::len);
                    partners == Some(names.len() - 1)
                })
            })
        });
    }
    daemons
}

/// Two nodes with keepalived, which can leave only by its end.
struct KeepalivedPair {
    first: Option<Process>,
    _second: Process,
    _services: [BusyService; 2],
    lab: Lab,
}

impl KeepalivedPair {
    fn start() -> Self {
        let lab = lab(&["fe0", "fe1"]);
        let services = [BusyService::start(lab.node("fe0"), 0), BusyService::start(lab.node("fe1"), 1)];
        let first = Some(start_keepalived(lab.node("fe0"), 200));
        wait_holds(lab.node("fe0"));
        let second = start_keepalived(lab.node("fe1"), 100);
        Self { first, _second: second, _services: services, lab }
    }

    fn measure(mut self, moves: usize, rate: usize) -> Tally {
        let noise = Noise::start();
        let mut traffic = Traffic::start(self.lab.node("client"), rate);
        let mut ticker = Ticker::new(MOVE_EVERY);
        for _ in 0..moves {
            ticker.tick();
            traffic.moved.push(now());
            match self.first.take() {
                Some(mut leaver) => {
                    leaver.terminate();
                    wait_holds(self.lab.node("fe1"));
                }
                None => {
                    self.first = Some(start_keepalived(self.lab.node("fe0"), 200));
                    wait_holds(self.lab.node("fe0"));
                }
            }
            traffic.go_on_after_move();
        }
        traffic.finish(moves, Samples::default(), noise)
    }
}

fn start_keepalived(node: &Node, priority: u8) -> Process {
    let instance = |name: &str, addresses: &str| {
        format!(
            "vrrp_instance {name} {{\n  state BACKUP\n  interface eth0\n  virtual_router_id 51\n  \
             priority {priority}\n  advert_int 1\n  virtual_ipaddress {{\n    {addresses}\n  }}\n}}\n"
        )
    };
    let (v4, v6) = (instance("v4", "192.0.2.50/24"), instance("v6", "fe80::50/64\n    2001:db8::50/64"));
    keepalived_with(node, &format!("global_defs {{\n  vrrp_version 3\n}}\n{v4}{v6}"))
}

fn wait_holds(node: &Node) {
    wait_for(SOON, "the node holds both addresses", || ADDRESSES.iter().all(|address| node.has(address)));
}

/// Clients of both addresses.
struct Traffic<'l> {
    client: &'l Node,
    requests: [BusyClient; 2],
    /// Long connections, and the address to which they are open.
    long: Vec<(&'static str, LongConnections)>,
    opened: usize,
    cut: usize,
    began: Instant,
    /// When each move began.
    moved: Vec<Instant>,
}

impl<'l> Traffic<'l> {
    fn start(client: &'l Node, rate: usize) -> Self {
        // Without these, a client that closes 1,000 connections a second soon has no port left.
        client.ns.sysctl("ipv4/ip_local_port_range", "1024 65000");
        client.ns.sysctl("ipv4/tcp_tw_reuse", "1");
        let rate = u32::try_from(rate.div_ceil(2)).expect("a rate");
        let requests =
            ADDRESSES.map(|address| BusyClient::start(client, SocketAddr::new(ip(address), PORT), rate));
        let mut traffic =
            Self { client, requests, long: Vec::new(), opened: 0, cut: 0, began: now(), moved: Vec::new() };
        traffic.requests.iter().for_each(BusyClient::wait_some_answers);
        ADDRESSES.iter().for_each(|address| traffic.open(address));
        traffic.long.iter().for_each(|(_, long)| long.wait_some_answers());
        traffic
    }

    fn open(&mut self, address: &'static str) {
        self.long.push((address, LongConnections::open(self.client, address, LONG)));
        self.opened += LONG;
    }

    /// Waits until everybody was answered after a move, and replaces the connections that were cut.
    fn go_on_after_move(&mut self) {
        let answered = catch_unwind(AssertUnwindSafe(|| {
            self.requests.iter().for_each(BusyClient::wait_some_answers);
        }));
        if let Err(why) = answered {
            eprintln!("the client's neighbours:\n{}", self.client.ns.run("ip", &["neighbour"]));
            resume_unwind(why);
        }
        self.long.iter().for_each(|(_, long)| long.wait_some_answers());
        let (broken, whole): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.long).into_iter().partition(|(_, long)| long.broken().count() > 0);
        self.long = whole;
        for (address, long) in broken {
            let broken = long.close();
            eprintln!("{address}: long connections at move {}: {:?}", self.moved.len(), broken.why);
            self.cut += broken.count();
        }
        // After the first move this opens the second half, at the other node.
        for address in ADDRESSES {
            while self.long.iter().filter(|(to, _)| *to == address).count() < 2 {
                self.open(address);
            }
        }
    }

    fn finish(self, moves: usize, handover: Samples, noise: Noise) -> Tally {
        let Self { requests, long, opened, mut cut, began, moved, .. } = self;
        cut += long.into_iter().map(|(_, long)| long.close().count()).sum::<usize>();
        let lasted = began.elapsed();
        let logs = requests.map(BusyClient::finish);
        for (address, log) in ADDRESSES.iter().zip(&logs) {
            explain(address, &log.lost, &moved);
        }
        let sent = logs.iter().map(|log| log.sent).sum();
        let lost = logs.iter().map(|log| log.lost.len()).sum();
        let took = RequestLog::samples(&logs);
        Tally { moves, sent, lasted, lost, took, opened, cut, handover, late: noise.finish() }
    }
}

/// Says when requests were lost, beside the move before it.
fn explain(address: &str, lost: &[LostRequest], moved: &[Instant]) {
    let mut by_move = BTreeMap::<(usize, &str), Vec<f64>>::new();
    for one in lost {
        let number = moved.iter().filter(|at| **at <= one.ended).count();
        let since = moved.get(number.wrapping_sub(1)).unwrap_or(&one.began);
        let opened = match one.began.checked_duration_since(*since) {
            Some(after) => milliseconds(after),
            None => -milliseconds(since.duration_since(one.began)),
        };
        by_move.entry((number, &one.why)).or_default().push(opened);
    }
    for ((number, why), opened) in by_move {
        let (count, opened) = (opened.len(), Samples::from(opened));
        let (first, last) = (opened.quantile(0), opened.quantile(100));
        eprintln!(
            "{address}: {count} lost at move {number} ({why}), opened {first:.0} to {last:.0} ms after its begin"
        );
    }
}

/// The figures of one row.
struct Tally {
    moves: usize,
    sent: usize,
    lasted: Duration,
    lost: usize,
    took: Samples,
    opened: usize,
    cut: usize,
    handover: Samples,
    late: Samples,
}

impl Tally {
    fn print(&self, table: &Table, label: &str) {
        let [p50, p99, max] =
            if self.handover.count() == 0 { ["–"; 3].map(str::to_owned) } else { self.handover.cells() };
        let [took_p50, took_p99, took_max] = self.took.cells();
        let [_, late, _] = self.late.cells();
        let a_second = u128::try_from(self.sent).unwrap() * 1000 / self.lasted.as_millis().max(1);
        table.row(&[
            label.to_owned(),
            self.moves.to_string(),
            self.sent.to_string(),
            a_second.to_string(),
            self.lost.to_string(),
            took_p50,
            took_p99,
            took_max,
            self.opened.to_string(),
            self.cut.to_string(),
            p50,
            p99,
            max,
            late,
        ]);
    }
}

/// Both ends of all connections are open files of this process, and other programs inherit no more.
/// Returns how many idle connections there may be: [`IDLE`] where the machine allows it.
fn raise_limit_of_open_files() -> usize {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of open files");
    let needed = u64::try_from(2 * IDLE + OTHER_FILES).expect("a limit");
    // Only who may raise the hard limit gets more than it.
    let limit = if setrlimit(Resource::RLIMIT_NOFILE, needed, most.max(needed)).is_ok() {
        needed
    } else {
        setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("raising the limit of open files");
        most
    };
    IDLE.min(usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(OTHER_FILES) / 2)
}

/// Opens idle connections, moves the address once, and then says one octet on each.
fn measure_idle(idle: usize) {
    let names = ["fe0", "fe1"];
    let lab = lab(&names);
    let _services = [BusyService::start(lab.node("fe0"), 0), BusyService::start(lab.node("fe1"), 1)];
    let daemons = daemons(&lab, &names, "60s");
    let client = lab.node("client");
    client.ns.sysctl("ipv4/ip_local_port_range", "1024 65000");
    let began = now();
    let mut streams = client.ns.enter(|| {
        let open = |number: usize| {
            let server = SocketAddr::new(ip(ADDRESSES[number % 2]), PORT);
            TcpStream::connect_timeout(&server, SOON).expect("a connection")
        };
        (0..idle).map(open).collect::<Vec<_>>()
    });
    let opened_in = began.elapsed();
    // The leaver hears of them at its next look at the kernel's connections.
    wait_out(ms(2000));
    let answer = daemons[0].ctl(&["demote", "web", "--no-wait"]);
    assert_eq!(answer.json["results"][0]["outcome"], "handed_over", "{answer:?}");
    let handover = answer.json["results"][0]["handover_ms"].as_f64().expect("a duration");
    let began = now();
    let mut broken = BTreeMap::<String, usize>::new();
    let mut hung = 0;
    let asked: Vec<_> = streams.iter_mut().map(|stream| stream.write_all(b"x")).collect();
    for (stream, asked) in streams.iter_mut().zip(asked) {
        // All are answered at about the same time: who has waited long for some waits for no more.
        let patience = if hung < 3 { SOON } else { ms(10) };
        stream.set_read_timeout(Some(patience)).expect("a receive timeout");
        if let Err(error) = asked.and_then(|()| stream.read_exact(&mut [0])) {
            hung += usize::from(error.kind() == ErrorKind::WouldBlock);
            *broken.entry(error.kind().to_string()).or_default() += 1;
        }
    }
    let answered_in = began.elapsed();
    // The figures of status are those of the last second.
    wait_out(ms(2500));
    let listed: Vec<String> = ["ipv4", "ipv6"]
        .iter()
        .map(|family| daemons[1].instance("web", family)["forwarding"][0]["listed"].to_string())
        .collect();
    let columns = [
        "idle connections",
        "opened in (s)",
        "hand-over (ms)",
        "all answered in (s)",
        "broken",
        "listed at the end",
    ];
    let table =
        Table::new("Connections that say nothing during a move, and one octet each after it", &columns);
    table.row(&[
        idle.to_string(),
        format!("{:.1}", opened_in.as_secs_f64()),
        format!("{handover:.1}"),
        format!("{:.1}", answered_in.as_secs_f64()),
        broken.values().sum::<usize>().to_string(),
        listed.join(" + "),
    ]);
    if !broken.is_empty() {
        eprintln!("{broken:?}");
    }
}
