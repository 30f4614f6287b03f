//! Whether the thread of the forwarder runs, and when it was last seen to do so. Nothing of this waits.

use crate::types::MonoTime;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The thread takes a turn each second at least. It may be held up by the kernel for a moment.
const SILENT_AFTER: Duration = Duration::from_secs(3);
/// A thread that has ended is not started again earlier than this: its end is a bug, which may be
/// there at once again.
const PAUSE: Duration = Duration::from_secs(10);

/// The pulse of the thread. Those who wait for its reports are not woken by it.
#[derive(Debug, Clone, Default)]
pub(super) struct ForwarderPulse {
    /// The time of its last turn; 0 while it does not run.
    last_turn: Arc<AtomicU64>,
    /// When it was last started; 0: never.
    started: Arc<AtomicU64>,
}

impl ForwarderPulse {
    /// The thread is started, unless it was a moment ago. Returns whether it is to be.
    pub(super) fn may_start(&self, now: MonoTime) -> bool {
        let started = self.started.load(Ordering::Relaxed);
        let may_start = started == 0 || now.since(MonoTime::from_nanos(started)) >= PAUSE;
        if may_start {
            self.started.store(now.as_nanos(), Ordering::Relaxed);
        }
        may_start
    }

    /// The thread takes a turn.
    pub(super) fn beat(&self, now: MonoTime) {
        self.last_turn.store(now.as_nanos().max(1), Ordering::Relaxed);
    }

    /// The thread has ended.
    pub(super) fn end(&self) {
        self.last_turn.store(0, Ordering::Relaxed);
    }

    /// As if the last start were long ago.
    #[cfg(test)]
    pub(super) fn forget_start(&self) {
        self.started.store(0, Ordering::Relaxed);
    }

    pub(super) fn is_running(&self) -> bool {
        self.last_turn.load(Ordering::Relaxed) != 0
    }

    /// Since when the thread does not answer although it runs.
    pub(super) fn silent_since(&self, now: MonoTime) -> Option<MonoTime> {
        let last_turn = MonoTime::from_nanos(self.last_turn.load(Ordering::Relaxed));
        (self.is_running() && now.since(last_turn) > SILENT_AFTER).then_some(last_turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonoTime {
        MonoTime::from_nanos(1_000_000_000_000) + Duration::from_millis(millis)
    }

    #[test]
    fn a_thread_is_silent_when_it_has_taken_no_turn_for_three_seconds() {
        let pulse = ForwarderPulse::default();
        assert!(!pulse.is_running());
        assert_eq!(pulse.silent_since(at(0)), None, "it has not been started");
        pulse.beat(at(0));
        assert_eq!((pulse.is_running(), pulse.silent_since(at(3_000))), (true, None));
        assert_eq!(pulse.silent_since(at(3_001)), Some(at(0)));
        pulse.beat(at(3_002));
        assert_eq!(pulse.silent_since(at(3_002)), None);
        pulse.end();
        assert_eq!((pulse.is_running(), pulse.silent_since(at(60_000))), (false, None));
    }

    #[test]
    fn a_thread_that_ends_at_once_again_is_not_started_all_the_time() {
        let pulse = ForwarderPulse::default();
        assert!(pulse.may_start(at(0)));
        assert!(!pulse.may_start(at(9_999)));
        assert!(pulse.may_start(at(10_000)));
    }
}
