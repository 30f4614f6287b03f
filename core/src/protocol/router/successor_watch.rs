//! Whether the successor of a demoted router stays: a demotion must not end the service because the
//! successor died at once, or never was.
//!
//! The watch is passive. It listens until the successor has been heard a few times, and is over
//! then. Its patience is ours, because what the successor says of its interval may be as untrue as
//! the rest.

use crate::protocol::instance::longest_wait;
use crate::protocol::timing::OVERSLEPT;
use crate::types::{AdverInterval, AdvertPriority, MonoTime, Version};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU8;

/// The watch of one router, after it was demoted and let go.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SuccessorWatch {
    /// When it takes the successor for dead.
    silent_at: MonoTime,
    version: Version,
    interval: AdverInterval,
    down_adverts: NonZeroU8,
    /// Advertisements of the successor still to come.
    expected: u8,
}

/// What the watch has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SuccessorFinding {
    /// Nothing yet.
    TooEarly,
    /// The successor serves and stays.
    Confirmed,
    /// The successor is not heard any more.
    Silent,
}

impl SuccessorWatch {
    pub(super) fn new(
        now: MonoTime,
        version: Version,
        interval: AdverInterval,
        down_adverts: NonZeroU8,
    ) -> Self {
        let silent_at = now + longest_wait(version, down_adverts, interval);
        Self { silent_at, version, interval, down_adverts, expected: down_adverts.get() }
    }

    /// A router serves, and says that it advertises this often, as far as that is believed: it may
    /// advertise less often than we did. A router that leaves in turn (with the shortest interval,
    /// and priority 0) changes nothing: it goes when somebody takes over, or it falls silent.
    pub(super) fn on_advert(
        &mut self,
        now: MonoTime,
        priority: AdvertPriority,
        interval: AdverInterval,
    ) -> SuccessorFinding {
        if priority.is_resignation() {
            return SuccessorFinding::TooEarly;
        }
        let patience = longest_wait(self.version, self.down_adverts, self.interval.max(interval));
        self.silent_at = self.silent_at.max(now + patience);
        self.expected = self.expected.saturating_sub(1);
        if self.expected == 0 { SuccessorFinding::Confirmed } else { SuccessorFinding::TooEarly }
    }

    /// A deadline. If we were not run, we have not listened either, and listen once more.
    pub(super) fn on_deadline(&mut self, now: MonoTime) -> SuccessorFinding {
        if now.since(self.silent_at) > self.interval.period().max(OVERSLEPT) {
            self.silent_at = now + longest_wait(self.version, self.down_adverts, self.interval);
            SuccessorFinding::TooEarly
        } else if self.silent_at <= now {
            SuccessorFinding::Silent
        } else {
            SuccessorFinding::TooEarly
        }
    }

    pub(super) const fn silent_at(&self) -> MonoTime {
        self.silent_at
    }
}
