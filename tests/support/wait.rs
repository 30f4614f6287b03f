//! The only module of the tests that sleeps or reads a clock.

#![allow(clippy::disallowed_methods, reason = "tests live in real time; this file is their clock")]

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// Time between two looks at a condition.
const POLL: Duration = Duration::from_millis(5);

/// Waits until `condition` holds; panics with `what` if it does not within `limit`.
#[track_caller]
pub(crate) fn wait_for(limit: Duration, what: impl Display, mut condition: impl FnMut() -> bool) {
    wait_some(limit, what, || condition().then_some(()));
}

/// Waits until `look` finds something, and returns it.
#[track_caller]
pub(crate) fn wait_some<T>(limit: Duration, what: impl Display, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        // The condition is looked at once more after the deadline, because on a busy machine the
        // look itself may have taken so long.
        let late = start.elapsed() > limit;
        if let Some(found) = look() {
            return found;
        }
        assert!(!late, "not within {limit:?}: {what}");
        thread::sleep(POLL);
    }
}

/// Checks for `time` that `condition` holds; panics with `what` as soon as it does not.
#[track_caller]
pub(crate) fn stays(time: Duration, what: impl Display, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < time {
        assert!(condition(), "did not stay so for {time:?}: {what}");
        thread::sleep(POLL);
    }
}

/// An absolute schedule: one tick in each `period`, without drift. Late ticks are not skipped.
pub(crate) struct Ticker {
    next: Instant,
    period: Duration,
}

impl Ticker {
    pub(crate) fn new(period: Duration) -> Self {
        Self { next: Instant::now(), period }
    }

    /// Blocks until the next tick is due.
    pub(crate) fn tick(&mut self) {
        if let Some(early) = self.next.checked_duration_since(Instant::now()) {
            thread::sleep(early);
        }
        self.next += self.period;
    }
}

/// Lets `time` pass, for actions that have a duration, like cutting a cable. A test must not use
/// this in place of a condition.
pub(crate) fn wait_out(time: Duration) {
    thread::sleep(time);
}

/// The present time, for logs.
pub(crate) fn now() -> Instant {
    Instant::now()
}
