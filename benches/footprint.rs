//! Memory and processor time: of one router, and of 255 on one interface, compared with keepalived.
//!
//! The figures are those of the process and its children (keepalived has two processes), from
//! `/proc`: resident and private memory from `smaps_rollup`, user and system time from `stat`, in
//! per cent of one core. No frames are captured in the meantime.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a bench a panic is the report")]

#[path = "measure/mod.rs"]
mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use measure::rivals::{self, Kind, Rival, start_many};
use measure::usage::{Memory, memory, processor_time};
use measure::{Request, Table, machine};
use std::time::Duration;
use support::wait::now;
use support::{Lab, Node, wait_for};

/// The time from the start until only permanent work is left: the Active is elected, and the
/// address was announced twice (5 s apart).
const SETTLING: Duration = Duration::from_secs(12);
const WATCHED: Duration = Duration::from_secs(30);
const ACTIVE: u8 = 200;
const BACKUP: u8 = 100;

/// The memory and the processor time of one agent.
struct Used {
    /// Processor time in per cent of a core.
    processor: f64,
    memory: Memory,
}

fn main() {
    let request = Request::from_arguments();
    machine::introduce();
    let columns = [
        "agent     ",
        "virtual routers",
        "interval",
        "CPU as Active (%)",
        "as Backup (%)",
        "resident as Active (KiB)",
        "as Backup (KiB)",
        "private as Active (KiB)",
        "as Backup (KiB)",
    ];
    let table = Table::new("Footprint", &columns);
    for (count, interval_ms) in [(1, 1000), (255, 1000), (255, 100), (255, 20)] {
        for kind in [Kind::Vrrpd, Kind::Keepalived] {
            if request.wants(&format!("{kind} {count} {interval_ms}ms")) {
                let [active, backup] = measure(kind, count, interval_ms);
                let mut row = vec![kind.to_string(), count.to_string(), format!("{interval_ms} ms")];
                row.extend([&active, &backup].map(|used| format!("{:.2}", used.processor)));
                row.extend([&active, &backup].map(|used| used.memory.resident.to_string()));
                row.extend([&active, &backup].map(|used| used.memory.private.to_string()));
                table.row(&row);
            }
        }
    }
}

/// Runs a pair, and measures both nodes at the same time.
fn measure(kind: Kind, count: u8, interval_ms: u32) -> [Used; 2] {
    let lab = Lab::unwatched(&["active", "backup"]);
    let active = start_many(kind, lab.node("active"), count, ACTIVE, interval_ms);
    wait_for(SETTLING * 2, "all are Active", || held(lab.node("active")) == usize::from(count));
    let backup = start_many(kind, lab.node("backup"), count, BACKUP, interval_ms);
    wait_for_time(SETTLING);
    let (start, before) = (now(), [&active, &backup].map(time));
    wait_for_time(WATCHED);
    let (elapsed, after) = (start.elapsed(), [&active, &backup].map(time));
    assert_eq!(held(lab.node("active")), usize::from(count), "the Active has every address");
    assert_eq!(held(lab.node("backup")), 0, "the Backup has none");
    let share = |at: usize| (after[at] - before[at]).as_secs_f64() / elapsed.as_secs_f64() * 100.0;
    [
        Used { processor: share(0), memory: memory(active.pid()) },
        Used { processor: share(1), memory: memory(backup.pid()) },
    ]
}

fn time(agent: &Rival) -> Duration {
    processor_time(agent.pid())
}

/// The number of virtual addresses that the node holds.
fn held(node: &Node) -> usize {
    node.addresses().iter().filter(|address| rivals::is_one_of_many(**address)).count()
}

/// Lets time pass: the bench measures what that time costs.
fn wait_for_time(time: Duration) {
    let start = now();
    wait_for(time * 2, "time passes", || start.elapsed() >= time);
}
