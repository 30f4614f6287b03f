//! The exploration is breadth first, so that a violation comes with a shortest history.

use crate::step::{Event, Fleet, Verdict};
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
    fleet: Fleet,
    history: Vec<Event>,
}

/// Tries every event in every state, to the given depth. `safe` must hold in each state. From each
/// state after the last event the world must come to rest with one Active.
#[track_caller]
pub(crate) fn explore(start: &Fleet, limits: Limits, safe: impl Fn(&Fleet) -> Verdict) -> Outcome {
    let mut met = BTreeSet::from([fingerprint(start)]);
    let mut level = vec![Found { fleet: start.clone(), history: Vec::new() }];
    let mut leaves = Vec::new();
    for _ in 0..limits.depth {
        let mut next = Vec::new();
        for Found { fleet, history } in level {
            let events = fleet.events(limits);
            if events.is_empty() {
                leaves.push(Found { fleet, history });
                continue;
            }
            for event in events {
                let mut fleet = fleet.clone();
                let mut history = history.clone();
                history.push(event);
                let verdict = fleet.step(event).and_then(|()| safe(&fleet));
                if let Err(why) = verdict {
                    panic!("{why}\nafter:\n{}", retold(start, &history));
                }
                if met.insert(fingerprint(&fleet)) {
                    next.push(Found { fleet, history });
                }
            }
        }
        level = next;
    }
    leaves.extend(level);
    let outcome = Outcome { states: met.len(), leaves: leaves.len() };
    for Found { mut fleet, history } in leaves {
        // A hand-over ends within 1.4 s, and two elections after it take 4 s each.
        let verdict = fleet.rest(Duration::from_secs(12)).and_then(|()| fleet.at_rest());
        if let Err(why) = verdict {
            panic!("{why}\nat rest after:\n{}", retold(start, &history));
        }
    }
    outcome
}

/// The history in words: each event, and when it happened.
fn retold(start: &Fleet, history: &[Event]) -> String {
    let mut fleet = start.clone();
    let mut words = String::new();
    for event in history {
        let before = fleet.clone();
        let _ = fleet.step(*event);
        let _ = writeln!(words, "{:?} {event:?}: {}", fleet.now, before.told(*event));
    }
    words
}

/// The hash of everything that the state prints.
fn fingerprint(fleet: &Fleet) -> u64 {
    struct Sink(DefaultHasher);
    impl Write for Sink {
        fn write_str(&mut self, words: &str) -> std::fmt::Result {
            self.0.write(words.as_bytes());
            Ok(())
        }
    }
    let mut sink = Sink(DefaultHasher::new());
    let _ = write!(sink, "{fleet:?}");
    sink.0.finish()
}
