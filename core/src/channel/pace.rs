//! When something is said that is said each second, and soon after it has changed.

use super::{REPORT_EVERY, REPORT_PAUSE};
use crate::types::MonoTime;

/// When something was said, and when it is to be said again.
#[derive(Debug, Default)]
pub(super) struct ReportPace {
    said: Option<MonoTime>,
    due: Option<MonoTime>,
}

impl ReportPace {
    /// Makes the next time now, or after the pause that is kept however often something changes.
    pub(super) fn soon(&mut self, now: MonoTime) {
        let earliest = self.said.map_or(now, |said| (said + REPORT_PAUSE).max(now));
        self.due = Some(self.due.map_or(earliest, |due| due.min(earliest)));
    }

    /// There is nothing to say any more.
    pub(super) const fn rest(&mut self) {
        self.due = None;
    }

    /// Whether it is time. If it is, it is said now, and again after a second.
    pub(super) fn is_due(&mut self, now: MonoTime) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            (self.said, self.due) = (Some(now), Some(now + REPORT_EVERY));
        }
        is_due
    }

    pub(super) const fn wakes_at(&self) -> Option<MonoTime> {
        self.due
    }
}
