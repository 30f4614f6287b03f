//! What clients do while addresses move, and what became of it.

use crate::long::{KindTally, LongClient, LongKind};
use crate::measure::clients::{BusyClient, LostRequest, RequestLog};
use crate::measure::machine::Noise;
use crate::measure::samples::milliseconds;
use crate::measure::{Samples, Table};
use crate::support::Node;
use crate::support::lab::ip;
use crate::support::tcp::PORT;
use crate::support::wait::now;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// The virtual addresses, one of each family.
pub(crate) const ADDRESSES: [&str; 2] = ["192.0.2.50", "2001:db8::50"];
/// The part of the wanted requests that must have been sent, in per cent. With fewer, a row would be
/// of another load than its title says.
const LEAST_SENT: u128 = 80;

/// How many ports of clients are told of those whose requests were lost: enough for a search in a capture.
const PORTS_TOLD: usize = 20;

pub(crate) const COLUMNS: [&str; 14] = [
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

/// Clients of both addresses.
pub(crate) struct Traffic<'l> {
    client: &'l Node,
    requests: [BusyClient; 2],
    rate: usize,
    long: LongClient,
    noise: Noise,
    began: Instant,
    /// When each move began.
    moved: Vec<Instant>,
    handover: Samples,
}

impl<'l> Traffic<'l> {
    /// Starts all clients, and opens the first half of the long connections.
    pub(crate) fn start(client: &'l Node, rate: usize) -> Self {
        // Without these, a client that closes 1,000 connections a second soon has no port left.
        client.ns.sysctl("ipv4/ip_local_port_range", "1024 65000");
        client.ns.sysctl("ipv4/tcp_tw_reuse", "1");
        let each = u32::try_from(rate.div_ceil(2)).expect("a rate");
        let requests =
            ADDRESSES.map(|address| BusyClient::start(client, SocketAddr::new(ip(address), PORT), each));
        let mut traffic = Self {
            client,
            requests,
            rate,
            long: LongClient::start(client),
            noise: Noise::start(),
            began: now(),
            moved: Vec::new(),
            handover: Samples::default(),
        };
        traffic.requests.iter().for_each(BusyClient::wait_some_answers);
        traffic.open_half();
        traffic
    }

    /// Opens a connection of each kind to each address.
    fn open_half(&mut self) {
        ADDRESSES.iter().for_each(|address| self.long.open_each(address));
        self.long.wait_some_answers();
    }

    /// Notes that a move begins.
    pub(crate) fn begin_move(&mut self) {
        self.moved.push(now());
        // The logs of the daemons name the time of day.
        eprintln!("move {} at {}", self.moved.len(), jiff::Timestamp::now());
    }

    /// Notes how long a move took, as reported.
    pub(crate) fn note_handover(&mut self, milliseconds: f64) {
        self.handover.push(milliseconds);
    }

    /// Waits until everybody was answered after a move, and replaces the connections that were cut.
    pub(crate) fn go_on_after_move(&mut self) {
        let answered = catch_unwind(AssertUnwindSafe(|| {
            self.requests.iter().for_each(BusyClient::wait_some_answers);
            self.long.wait_some_answers();
        }));
        if let Err(why) = answered {
            eprintln!("the client's neighbours:\n{}", self.client.ns.run("ip", &["neighbour"]));
            resume_unwind(why);
        }
        self.long.replace_cut(&format!("at move {}", self.moved.len()));
        // The second half begins at the other node.
        if self.moved.len() == 1 {
            self.open_half();
        }
    }

    /// Ends all clients, and tells what became of their connections.
    pub(crate) fn finish(self) -> Tally {
        let Self { requests, rate, long, noise, began, moved, handover, .. } = self;
        let long = long.finish();
        let lasted = began.elapsed();
        let logs = requests.map(BusyClient::finish);
        for (address, log) in ADDRESSES.iter().zip(&logs) {
            explain(address, &log.lost, &moved);
        }
        let sent = logs.iter().map(|log| log.sent).sum();
        let lost = logs.iter().map(|log| log.lost.len()).sum();
        let took = RequestLog::samples(&logs);
        Tally { moves: moved.len(), rate, sent, lasted, lost, took, long, handover, late: noise.finish() }
    }
}

/// Says when requests were lost, beside the move before it.
fn explain(address: &str, lost: &[LostRequest], moved: &[Instant]) {
    let mut by_move = BTreeMap::<(usize, &str), (Vec<f64>, Vec<String>)>::new();
    for one in lost {
        let number = moved.iter().filter(|at| **at <= one.ended).count();
        let since = moved.get(number.wrapping_sub(1)).unwrap_or(&one.began);
        let opened = match one.began.checked_duration_since(*since) {
            Some(after) => milliseconds(after),
            None => -milliseconds(since.duration_since(one.began)),
        };
        let (times, ports) = by_move.entry((number, &one.why)).or_default();
        times.push(opened);
        ports.push(one.port.map_or_else(|| "none".to_owned(), |port| port.to_string()));
    }
    for ((number, why), (opened, mut ports)) in by_move {
        let (count, opened) = (opened.len(), Samples::from(opened));
        let (first, last) = (opened.quantile(0), opened.quantile(100));
        ports.truncate(PORTS_TOLD);
        eprintln!(
            "{address}: {count} lost at move {number} ({why}), opened {first:.0} to {last:.0} ms after its \
             begin; ports of clients: {}",
            ports.join(" ")
        );
    }
}

/// What a row must show. A bench that cannot fail would prove nothing: neither that connections were
/// kept, nor that the load is one that notices when they are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expectation {
    /// Not one request is lost, and not one connection is cut.
    NothingIsCut,
    /// Connections are cut, because nothing keeps them.
    ConnectionsAreCut,
}

/// The figures of one row.
pub(crate) struct Tally {
    moves: usize,
    /// How many requests a second were wanted.
    rate: usize,
    sent: usize,
    lasted: Duration,
    lost: usize,
    took: Samples,
    long: BTreeMap<LongKind, KindTally>,
    handover: Samples,
    late: Samples,
}

impl Tally {
    fn cut(&self) -> usize {
        self.long.values().map(|kind| kind.cut).sum()
    }

    /// Whether nothing was lost and nothing was cut.
    pub(crate) fn is_whole(&self) -> bool {
        self.lost + self.cut() == 0
    }

    /// What makes this row other than it was expected to be; nothing if it is as expected.
    pub(crate) fn complaints(&self, expectation: Expectation) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.sent_a_second() < u128::try_from(self.rate).unwrap() * LEAST_SENT / 100 {
            complaints.push(format!("only {} requests a second", self.sent_a_second()));
        }
        match expectation {
            Expectation::NothingIsCut if !self.is_whole() => {
                complaints.push(format!("{} requests lost, {} connections cut", self.lost, self.cut()));
            }
            Expectation::ConnectionsAreCut if self.cut() == 0 => {
                complaints.push("nothing was cut: is the bench able to see it?".to_owned());
            }
            Expectation::NothingIsCut | Expectation::ConnectionsAreCut => {}
        }
        complaints
    }

    fn sent_a_second(&self) -> u128 {
        u128::try_from(self.sent).unwrap() * 1000 / self.lasted.as_millis().max(1)
    }

    pub(crate) fn print(&self, table: &Table, label: &str) {
        let [p50, p99, max] =
            if self.handover.count() == 0 { ["–"; 3].map(str::to_owned) } else { self.handover.cells() };
        let [took_p50, took_p99, took_max] = self.took.cells();
        let [_, late, _] = self.late.cells();
        table.row(&[
            label.to_owned(),
            self.moves.to_string(),
            self.sent.to_string(),
            self.sent_a_second().to_string(),
            self.lost.to_string(),
            took_p50,
            took_p99,
            took_max,
            self.long.values().map(|kind| kind.opened).sum::<usize>().to_string(),
            self.cut().to_string(),
            p50,
            p99,
            max,
            late,
        ]);
    }
}
