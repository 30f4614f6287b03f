//! The exploration is breadth first, so that a violation comes with a shortest history.

use crate::step::{Cluster, Event, StepResult};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

/// The limits of an exploration, and the faults that it may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many events may follow one another.
    pub(crate) depth: usize,
    /// How many packets may be lost.
    pub(crate) losses: u8,
    /// How many packets may arrive twice.
    pub(crate) duplicates: u8,
    /// How old a packet, a request or a due timer may become.
    pub(crate) patience: Duration,
}

impl Limits {
    /// A LAN and a kernel that take up to 3 ms, longer than a hand-over waits between two
    /// advertisements.
    pub(crate) const HEALTHY: Self =
        Self { depth: 0, losses: 0, duplicates: 0, patience: Duration::from_millis(5) };
}

/// What was explored.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) states: usize,
    pub(crate) leaves: usize,
}

/// A state, and how it was reached.
struct Found {
    cluster: Cluster,
    history: Vec<Event>,
}

/// Tries every event in every state, to the given depth. `safe` must hold in each state. From each
/// state after the last event the world must come to rest with one Active.
#[track_caller]
pub(crate) fn explore(start: &Cluster, limits: Limits, safe: impl Fn(&Cluster) -> StepResult) -> Outcome {
    let mut met = BTreeSet::from([fingerprint(start)]);
    let mut level = vec![Found { cluster: start.clone(), history: Vec::new() }];
    let mut leaves = Vec::new();
    for _ in 0..limits.depth {
        let mut next = Vec::new();
        for Found { cluster, history } in level {
            let events = cluster.events(limits);
            if events.is_empty() {
                leaves.push(Found { cluster, history });
                continue;
            }
            for event in events {
                let mut cluster = cluster.clone();
                let mut history = history.clone();
                history.push(event);
                let result = cluster.step(event).and_then(|()| safe(&cluster));
                if let Err(why) = result {
                    panic!("{why}\nafter:\n{}", described(start, &history));
                }
                if met.insert(fingerprint(&cluster)) {
                    next.push(Found { cluster, history });
                }
            }
        }
        level = next;
    }
    leaves.extend(level);
    let outcome = Outcome { states: met.len(), leaves: leaves.len() };
    for Found { mut cluster, history } in leaves {
        // A hand-over ends within 1.4 s, and two elections after it take 4 s each.
        let result = cluster.rest(Duration::from_secs(12)).and_then(|()| cluster.at_rest());
        if let Err(why) = result {
            panic!("{why}\nat rest after:\n{}", described(start, &history));
        }
    }
    outcome
}

/// The history in words: each event, and when it happened.
fn described(start: &Cluster, history: &[Event]) -> String {
    let mut cluster = start.clone();
    let mut text = String::new();
    for event in history {
        let before = cluster.clone();
        let _ = cluster.step(*event);
        let _ = writeln!(text, "{:?} {event:?}: {}", cluster.now, before.describe(*event));
    }
    text
}

/// The hash of everything that the state prints.
fn fingerprint(cluster: &Cluster) -> u64 {
    struct Sink(DefaultHasher);
    impl Write for Sink {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.write(text.as_bytes());
            Ok(())
        }
    }
    let mut sink = Sink(DefaultHasher::new());
    let _ = write!(sink, "{cluster:?}");
    sink.0.finish()
}
