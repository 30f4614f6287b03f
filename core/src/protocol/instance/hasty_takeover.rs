//! Takeovers that one forged message may have caused, and how they are not repeated
//! (docs/adr/0019).
//!
//! A Backup believes what a message says of the Active: that it resigns, or that it advertises more
//! often from now on. RFC 9568 has no way to tell who sent it. The Active itself tells afterwards:
//! it goes on advertising, and so refutes the takeover. From then on, for a while, the Backup
//! distrusts such messages: it waits until the next regular advertisement of the Active is overdue.
//! An Active that really leaves goes on serving for longer than that, so that no planned move loses
//! its service by it.

use crate::types::{AdverInterval, MonoTime};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// The first distrust lasts for so many of our intervals, and twice as long each time that it
/// proved right.
const SPAN: u32 = 10;
const MOST_DOUBLINGS: u32 = 6;

/// Whether messages that hasten a takeover are distrusted.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Distrust {
    until: Option<MonoTime>,
    doublings: u32,
}

/// A takeover before the Active had missed an advertisement that it used to send, because of
/// something that was said in its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::protocol) struct HastyTakeover {
    /// The Active that was replaced.
    pub(in crate::protocol) replaced: IpAddr,
    /// How long it had not been heard.
    pub(in crate::protocol) silent: Duration,
    /// What hastened the takeover.
    pub(in crate::protocol) message: HastyMessage,
}

/// What hastened a takeover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HastyMessage {
    /// A message with priority 0.
    Resignation,
    /// A message with an interval shorter than ours, which is this one.
    Interval(AdverInterval),
}

impl Distrust {
    pub(super) fn is_on(&self, now: MonoTime) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// A hasty takeover was refuted. Returns for how long such messages are distrusted now.
    pub(super) fn on_refuted(&mut self, now: MonoTime, ours: AdverInterval) -> Duration {
        let span = |doublings| ours.period() * (SPAN << doublings);
        let again = self.until.is_some_and(|until| now < until + span(self.doublings));
        self.doublings = if again { (self.doublings + 1).min(MOST_DOUBLINGS) } else { 0 };
        let lasts = span(self.doublings);
        self.until = Some(now + lasts);
        lasts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distrust_lasts_longer_each_time_that_it_was_justified_and_is_forgotten() {
        let ours = AdverInterval::default();
        let mut distrust = Distrust::default();
        let mut now = MonoTime::from_nanos(1);
        assert!(!distrust.is_on(now));
        for expected in [10, 20, 40, 80, 160, 320, 640, 640] {
            assert_eq!(distrust.on_refuted(now, ours).as_secs(), expected);
            now = now + Duration::from_secs(expected);
            assert!(distrust.is_on(now - Duration::from_nanos(1)) && !distrust.is_on(now));
        }
        assert_eq!(distrust.on_refuted(now + Duration::from_secs(640), ours).as_secs(), 10);
    }
}
