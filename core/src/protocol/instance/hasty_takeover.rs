//! Takeovers that were one forged word's work, and how they are not repeated (docs/adr/0019).
//!
//! A Backup believes what a message says of the Active: that it resigns, or speaks more often from now on. RFC 9568
//! has no way to tell who said it. The Active itself tells afterwards: it goes on, and so refutes the takeover. From
//! then on, for a while, a Backup doubts such words: it waits until the Active's next regular word is overdue. One
//! that really leaves goes on serving for longer than that, so that no planned move loses its service by it.

use crate::protocol::instance::peers::Peers;
use crate::protocol::instance::{Backup, Instance, Omen, Policy};
use crate::protocol::timing::skew_time;
use crate::types::{AdverInterval, MonoTime};
use std::net::IpAddr;
use std::time::Duration;

/// The first doubt lasts for so many of our intervals, and twice as long each time that it was justified.
const SPAN: u32 = 10;
const MOST_DOUBLINGS: u32 = 6;

/// What a regular word may be late, as a part of the interval and within these bounds. One that leaves serves for
/// 356 ms more than an interval (`handover`).
const LATE: (Duration, Duration) = (Duration::from_millis(30), Duration::from_millis(200));

/// Whether words that hasten a takeover are believed.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::protocol) struct Doubt {
    until: Option<MonoTime>,
    doublings: u32,
}

/// A takeover before the Active had missed what it used to say, because of something that was said in its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) struct Haste {
    /// The Active that was replaced.
    pub(in crate::protocol) replaced: IpAddr,
    /// How long it had been silent.
    pub(in crate::protocol) silent: Duration,
    /// What hastened it.
    pub(in crate::protocol) word: HastyMessage,
}

/// What hastened a takeover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HastyMessage {
    /// Priority 0.
    Resignation,
    /// An interval shorter than ours.
    Interval(AdverInterval),
}

impl Doubt {
    pub(in crate::protocol) fn is_on(&self, now: MonoTime) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// A hasty takeover was refuted. Returns for how long such words are doubted now.
    pub(in crate::protocol) fn justify(&mut self, now: MonoTime, ours: AdverInterval) -> Duration {
        let span = |doublings| ours.period() * (SPAN << doublings);
        let again = self.until.is_some_and(|until| now < until + span(self.doublings));
        self.doublings = if again { (self.doublings + 1).min(MOST_DOUBLINGS) } else { 0 };
        let lasts = span(self.doublings);
        self.until = Some(now + lasts);
        lasts
    }
}

impl Backup {
    /// When a takeover is due at the earliest that a doubtful word hastens: the Active's next word is overdue. Several
    /// Backups keep their order.
    pub(in crate::protocol) fn overdue(&self, policy: &Policy) -> MonoTime {
        let ours = policy.interval.period();
        let late = (ours / 4).clamp(LATE.0, LATE.1);
        self.regular + ours + late + skew_time(policy.priority, AdverInterval::MIN)
    }

    /// How hasty a takeover at `now` is.
    pub(in crate::protocol) fn haste(&self, now: MonoTime, policy: &Policy, peers: &Peers) -> Option<Haste> {
        let replaced = self.obeyed?;
        let word = match self.omen {
            Omen::Resigned => HastyMessage::Resignation,
            Omen::Silence if self.learned < policy.interval => HastyMessage::Interval(self.learned),
            Omen::Silence | Omen::Lower(..) => return None,
        };
        let silent = now.since(peers.get(replaced)?.heard);
        Some(Haste { replaced, silent, word })
    }
}

impl Instance {
    /// Whether this Active took `source`, which outranks it, for gone by mistake: it goes on as if nothing had happened.
    pub(in crate::protocol) fn refuted_by(
        &self,
        now: MonoTime,
        source: IpAddr,
        policy: &Policy,
    ) -> Option<Haste> {
        let within = policy.interval.period() * 5 / 4;
        self.haste.filter(|haste| haste.replaced == source && now.since(self.since) <= within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubt_lasts_longer_each_time_that_it_was_justified_and_is_forgotten() {
        let ours = AdverInterval::default();
        let mut doubt = Doubt::default();
        let mut now = MonoTime::from_nanos(1);
        assert!(!doubt.is_on(now));
        for expected in [10, 20, 40, 80, 160, 320, 640, 640] {
            assert_eq!(doubt.justify(now, ours).as_secs(), expected);
            now = now + Duration::from_secs(expected);
            assert!(doubt.is_on(now - Duration::from_nanos(1)) && !doubt.is_on(now));
        }
        assert_eq!(doubt.justify(now + Duration::from_secs(640), ours).as_secs(), 10);
    }
}
