//! A million random packets of protocol 112 are sent to an Active and a Backup: what they do to
//! memory, to the states, and to the schedule of the Active's advertisements.
//!
//! The packets are random octets of random length, correct advertisements with octets changed, and
//! the same with a correct checksum. The numbers must add up: what was sent is what the daemon
//! accepted or rejected, plus what the kernel counted as "no room in the socket's queue".
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a bench a panic is the report")]

#[path = "measure/mod.rs"]
mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use measure::rivals::ours;
use measure::samples::signed_milliseconds;
use measure::usage::memory;
use measure::{Request, Table, machine};
use std::time::Duration;
use support::flood::{Barrage, counted, kernel_drops};
use support::inject::Injector;
use support::wait::{Ticker, now};
use support::{Config, Daemon, Lab, SOON, ms, wait_for};

const PACKETS: usize = 1_000_000;
const INTERVAL_MS: u32 = 100;
/// The address of the third node of the LAN.
const CLIENT: &str = "192.0.2.12";

/// The memory and the counters of a daemon at one moment.
#[derive(Debug, Clone, Copy)]
struct Books {
    counted: u64,
    dropped: u64,
    resident: u64,
    private: u64,
}

fn main() {
    let request = Request::from_arguments();
    machine::introduce();
    let packets = request.runs(PACKETS);
    let columns = [
        "rate          ",
        "at    ",
        "packets sent",
        "counted",
        "no room",
        "missing",
        "resident before (KiB)",
        "after",
        "private before (KiB)",
        "after",
        "transitions",
        "longest advert gap at 100 ms (ms)",
    ];
    let table = Table::new("Random packets on protocol 112", &columns);
    for rate in [Some(20_000), None] {
        let label = rate.map_or("as fast as possible".to_owned(), |rate| format!("{rate}/s"));
        if request.wants(&label) {
            measure(&table, &label, rate, packets);
        }
    }
}

fn measure(table: &Table, label: &str, rate: Option<u32>, packets: usize) {
    let source = "192.0.2.10".parse().expect("an address");
    let lab = Lab::watching(source, &["active", "backup", "client"]);
    let active = Daemon::start(lab.node("active"), &Config::of(&ours(200, INTERVAL_MS)));
    active.wait_state("web", "active");
    let backup = Daemon::start(lab.node("backup"), &Config::of(&ours(100, INTERVAL_MS)));
    backup.wait_state("web", "backup");
    let injector = Injector::new(lab.node("client"));
    // Memory that the first packets need once (for log lines, a table of neighbours) is not a leak.
    Barrage::new(CLIENT, 1).take(packets / 100).for_each(|frame| injector.send(&frame));
    settle(&lab);

    let daemons = [&active, &backup];
    let from = lab.capture().now();
    let before = daemons.map(Books::read);
    let start = now();
    let mut ticker = rate.map(|rate| Ticker::new(Duration::from_secs(1) / rate));
    for frame in Barrage::new(CLIENT, 2).take(packets) {
        if let Some(ticker) = &mut ticker {
            ticker.tick();
        }
        injector.send(&frame);
    }
    let took = start.elapsed();
    settle(&lab);
    let after = daemons.map(Books::read);
    let adverts = lab.capture().adverts_of("active", from);
    let gap = adverts.windows(2).map(|pair| signed_milliseconds(pair[1].at, pair[0].at)).fold(0.0, f64::max);
    let gaps = [format!("{gap:.1}"), "–".to_owned()];
    // The Backup receives the advertisements of the Active as well.
    let heard = [0, u64::try_from(adverts.len()).expect("a number of adverts")];
    println!("{label}: {:.0} packets a second", packets as f64 / took.as_secs_f64());
    for (at, role) in ["active", "backup"].into_iter().enumerate() {
        let (books, old) = (after[at], before[at]);
        let instance = daemons[at].instance("web", "ipv4");
        assert_eq!(instance["state"], role, "{instance}");
        let transitions = instance["counters"]["active_transitions"].as_u64().expect("a counter");
        let sent = u64::try_from(packets).expect("a number of packets") + heard[at];
        let (counted, dropped) = (books.counted - old.counted, books.dropped - old.dropped);
        let missing = i128::from(sent) - i128::from(counted) - i128::from(dropped);
        table.row(&[
            label.to_owned(),
            role.to_owned(),
            sent.to_string(),
            counted.to_string(),
            dropped.to_string(),
            missing.to_string(),
            old.resident.to_string(),
            books.resident.to_string(),
            old.private.to_string(),
            books.private.to_string(),
            // The first transition of the Active is its election.
            (transitions - u64::from(role == "active")).to_string(),
            gaps[at].clone(),
        ]);
    }
}

impl Books {
    fn read(daemon: &Daemon) -> Self {
        let memory = memory(daemon.pid());
        Self {
            counted: counted(daemon, "web"),
            dropped: kernel_drops(daemon.node()),
            resident: memory.resident,
            private: memory.private,
        }
    }
}

/// Waits until the Active has advertised a few times more: by then every queue has been read.
fn settle(lab: &Lab) {
    let from = lab.capture().now();
    wait_for(SOON, "five more advertisements", || {
        lab.capture().adverts_of("active", from + ms(1)).len() >= 5
    });
}
