//! Connections that say nothing during a move, and one octet each after it.

use crate::cluster::{daemons, demote, lab};
use crate::crowd::{Crowd, CrowdServers};
use crate::measure::Table;
use crate::support::wait::now;
use crate::support::{Daemon, SOON, wait_for};

/// How many connections say nothing during a move.
const IDLE: usize = 20_000;

/// Opens idle connections, moves the addresses once, and then says one octet on each. Returns what was
/// not as it was expected to be.
pub(crate) fn measure_idle() -> Vec<String> {
    let names = ["fe0", "fe1"];
    let lab = lab(&names);
    let _servers =
        [0, 1].map(|number: u8| CrowdServers::start(lab.node(names[usize::from(number)]), number, IDLE));
    let daemons = daemons(&lab, &names, "60s");
    let began = now();
    let mut crowd = Crowd::open(lab.node("client"), IDLE);
    let opened_in = began.elapsed();
    let handover = demote(&daemons[0]);
    let began = now();
    let broken = crowd.say_something();
    let answered_in = began.elapsed();
    let count: usize = broken.values().sum();
    if count == 0 {
        wait_for(SOON, "all connections are listed", || {
            listed(&daemons[1]).iter().sum::<u64>() >= IDLE as u64
        });
    }
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
        IDLE.to_string(),
        format!("{:.1}", opened_in.as_secs_f64()),
        format!("{handover:.1}"),
        format!("{:.1}", answered_in.as_secs_f64()),
        count.to_string(),
        listed(&daemons[1]).map(|count| count.to_string()).join(" + "),
    ]);
    if count == 0 { Vec::new() } else { vec![format!("{count} broken: {broken:?}")] }
}

/// How many connections of each family the successor passes on.
fn listed(successor: &Daemon) -> [u64; 2] {
    ["ipv4", "ipv6"].map(|family| {
        successor.instance("web", family)["forwarding"][0]["listed"].as_u64().unwrap_or_default()
    })
}
