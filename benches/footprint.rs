//! Memory and processor time: of one router, and of many on one interface, compared with keepalived;
//! and of unicast to four other nodes, compared with multicast among the same five nodes.
//!
//! The figures are those of the process and its children (keepalived has two processes), from
//! `/proc`: resident and private memory from `smaps_rollup`, user and system time from `stat`, in
//! per cent of one core. No frames are captured in the meantime.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a bench a panic is the report")]

#[path = "measure/mod.rs"]
mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use measure::rivals::{self, Dialect, Kind, ManyRouters, Opponent, Rival};
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
const PAIR: [&str; 2] = ["active", "backup"];
const FIVE: [&str; 5] = ["active", "backup", "third", "fourth", "fifth"];

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
        "agent              ",
        "nodes",
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
    let pairs =
        [(1, 1000), (255, 1000), (255, 100), (255, 20)].map(|load| (load, Dialect::Version3, &PAIR[..]));
    let fives = [(1, 10), (50, 100), (255, 20)]
        .into_iter()
        .flat_map(|load| [Dialect::Version3, Dialect::Unicast].map(|dialect| (load, dialect, &FIVE[..])));
    for ((count, interval_ms), dialect, names) in pairs.into_iter().chain(fives) {
        for kind in [Kind::Vrrpd, Kind::Keepalived] {
            let opponent = Opponent { kind, dialect };
            let nodes = names.len();
            if request.wants(&format!("{opponent} {nodes} nodes {count} {interval_ms}ms")) {
                let [active, backup] = measure(ManyRouters { opponent, count, interval_ms }, names);
                let mut row = vec![opponent.to_string(), nodes.to_string(), count.to_string()];
                row.push(format!("{interval_ms} ms"));
                row.extend([&active, &backup].map(|used| format!("{:.2}", used.processor)));
                row.extend([&active, &backup].map(|used| used.memory.resident.to_string()));
                row.extend([&active, &backup].map(|used| used.memory.private.to_string()));
                table.row(&row);
            }
        }
    }
}

/// Runs some nodes, the first of which is Active, and measures it and one Backup at the same time.
fn measure(routers: ManyRouters, names: &[&str]) -> [Used; 2] {
    let lab = Lab::unwatched(names);
    let nodes: Vec<&Node> = names.iter().map(|name| lab.node(name)).collect();
    let active = routers.start(nodes[0], &nodes, ACTIVE);
    wait_for(SETTLING * 2, "all are Active", || held(nodes[0]) == usize::from(routers.count));
    let backups: Vec<Rival> = nodes[1..].iter().map(|node| routers.start(node, &nodes, BACKUP)).collect();
    let backup = &backups[0];
    wait_for_time(SETTLING);
    let (start, before) = (now(), [&active, backup].map(time));
    wait_for_time(WATCHED);
    let (elapsed, after) = (start.elapsed(), [&active, backup].map(time));
    assert_eq!(held(nodes[0]), usize::from(routers.count), "the Active has every address");
    assert!(nodes[1..].iter().all(|node| held(node) == 0), "the Backups have none");
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
