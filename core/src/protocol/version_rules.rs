//! What one version of VRRP prescribes and another does not, as data. The state machine acts on these
//! values; [`VersionRules::of`] is the one place that asks which version it is.
//!
//! VRRPv3 is the only version so far. A second one is another [`VersionRules`], with a variant in each
//! enum here where it differs.

use crate::types::{AdverInterval, AdvertPriority, Version};
use std::num::NonZeroU8;
use std::time::Duration;

/// The rules of one version.
#[derive(Debug, PartialEq, Eq)]
pub struct VersionRules {
    interval: IntervalRule,
    skew: SkewRule,
    /// The interval that an Active says which leaves ([`LeaveLine::Shorten`]).
    shortened: AdverInterval,
    leave: LeaveScript,
    leave_after_crash: LeaveScript,
}

/// What a Backup makes of the interval in an advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IntervalRule {
    /// It learns the interval, and waits as long as the Active wants it to (RFC 9568 §6.4.2).
    Learned,
}

/// What Skew_Time is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SkewRule {
    /// Of Active_Adver_Interval (RFC 9568 §6.1).
    PartOfInterval,
}

/// What an Active says when it leaves, and when (docs/adr/0009).
#[derive(Debug, PartialEq, Eq)]
pub(in crate::protocol) struct LeaveScript {
    /// Milliseconds after the beginning, each greater than the one before, and what is said then.
    lines: &'static [(u64, LeaveLine)],
}

/// What one line of a leave script says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum LeaveLine {
    /// Our priority, with the interval that makes Backups take over soonest.
    Shorten,
    /// Priority 0.
    Resign,
}

/// RFC 9568.
///
/// Of the script for leaving: three shortened advertisements survive the loss of two. The second
/// resignation comes when every Backup that heard the first has fired. A Backup that learned nothing
/// (another version, another order of priorities) takes over within its own Skew_Time after the last
/// resignation.
///
/// The second round is for the case that all of the first was lost. It makes a successor step back
/// that was not heard yet, so it leaves time to those that are Active long before they speak: FRR
/// waits for its interface to come up, for which the kernel takes up to a second.
///
/// The other script finishes the hand-over of a crashed run. That run knew which checksum flavour the
/// peers accept, and we do not: the second round uses the other flavour. It is for peers that
/// understood nothing of the first round; a peer that understood the first takes no notice of the
/// second, or has been heard.
const V3: VersionRules = VersionRules {
    interval: IntervalRule::Learned,
    skew: SkewRule::PartOfInterval,
    shortened: AdverInterval::MIN,
    leave: LeaveScript {
        lines: &[
            (0, LeaveLine::Shorten),
            (2, LeaveLine::Shorten),
            (4, LeaveLine::Shorten),
            (6, LeaveLine::Resign),
            (36, LeaveLine::Resign),
            (96, LeaveLine::Resign),
            (256, LeaveLine::Resign),
            (1250, LeaveLine::Shorten),
            (1252, LeaveLine::Shorten),
            (1254, LeaveLine::Shorten),
            (1256, LeaveLine::Resign),
        ],
    },
    leave_after_crash: LeaveScript {
        lines: &[
            (0, LeaveLine::Shorten),
            (2, LeaveLine::Shorten),
            (4, LeaveLine::Shorten),
            (6, LeaveLine::Resign),
            (36, LeaveLine::Resign),
            (66, LeaveLine::Shorten),
            (68, LeaveLine::Shorten),
            (70, LeaveLine::Shorten),
            (72, LeaveLine::Resign),
            (102, LeaveLine::Resign),
            (256, LeaveLine::Resign),
        ],
    },
};

impl VersionRules {
    /// The rules of a version.
    #[must_use]
    pub const fn of(version: Version) -> &'static Self {
        match version {
            Version::V3 => &V3,
        }
    }

    /// The interval that an Active says which leaves.
    pub(in crate::protocol) const fn shortened(&self) -> AdverInterval {
        self.shortened
    }

    /// The script of an Active that leaves.
    pub(in crate::protocol) const fn leave(&self) -> &LeaveScript {
        &self.leave
    }

    /// The script that finishes the hand-over of a crashed run.
    pub(in crate::protocol) const fn leave_after_crash(&self) -> &LeaveScript {
        &self.leave_after_crash
    }

    /// As much of the interval that an advertisement says as a router with `ours` believes: at most
    /// ten times ours, or three seconds if that is longer.
    ///
    /// In RFC 9568 a Backup waits for three times the interval of the last message, which anybody can
    /// have sent: one forged message with 40.95 s would leave the addresses unserved for more than two
    /// minutes (docs/adr/0019). Ten times ours lets an operator change the nodes of a pair from one
    /// interval to another one after the other.
    pub(in crate::protocol) fn believed_interval(
        &self,
        ours: AdverInterval,
        said: AdverInterval,
    ) -> AdverInterval {
        match self.interval {
            IntervalRule::Learned => {
                let longest = ours.centiseconds().saturating_mul(10).max(300);
                said.min(AdverInterval::from_centiseconds(longest).unwrap_or(AdverInterval::MAX))
            }
        }
    }

    /// Skew_Time of a router with `priority` that has learned `active`:
    /// ((256 − Priority) × Active_Adver_Interval) / 256.
    ///
    /// The unit is nanoseconds, because in whole centiseconds every Skew_Time at 10 ms would be 0, and
    /// all Backups would take over at the same time.
    #[must_use]
    pub fn skew_time(&self, priority: AdvertPriority, active: AdverInterval) -> Duration {
        match self.skew {
            // RFC9568-6.1-3
            SkewRule::PartOfInterval => active.period() * (256 - u32::from(priority.get())) / 256,
        }
    }

    /// Active_Down_Interval of a router with `priority` that has learned `active`:
    /// 3 × Active_Adver_Interval + Skew_Time, where the 3 is configurable (`down_adverts`).
    #[must_use]
    pub fn active_down_interval(
        &self,
        down_adverts: NonZeroU8,
        priority: AdvertPriority,
        active: AdverInterval,
    ) -> Duration {
        // RFC9568-6.1-4
        active.period() * u32::from(down_adverts.get()) + self.skew_time(priority, active)
    }
}

impl LeaveScript {
    /// The lines, with their time after the beginning in milliseconds.
    pub(in crate::protocol) const fn lines(&self) -> &'static [(u64, LeaveLine)] {
        self.lines
    }

    /// When the first resignation is sent.
    pub(in crate::protocol) fn first_resignation(&self) -> Duration {
        self.times(LeaveLine::Resign).next().unwrap_or_default()
    }

    /// When the last resignation of the first round is sent.
    pub(in crate::protocol) fn first_round_ends(&self) -> Duration {
        let second = self.second_round_begins();
        let in_first = |at: &Duration| second.is_none_or(|second| *at < second);
        self.times(LeaveLine::Resign).take_while(in_first).last().unwrap_or_default()
    }

    /// When a second round begins, which shortens again.
    pub(in crate::protocol) fn second_round_begins(&self) -> Option<Duration> {
        let first = self.first_resignation();
        self.times(LeaveLine::Shorten).find(|at| *at > first)
    }

    /// When the last line is said.
    pub(in crate::protocol) fn ends(&self) -> Duration {
        self.lines.last().map_or(Duration::ZERO, |(at, _)| Duration::from_millis(*at))
    }

    fn times(&self, wanted: LeaveLine) -> impl Iterator<Item = Duration> {
        let lines = self.lines.iter().filter(move |(_, line)| *line == wanted);
        lines.map(|(at, _)| Duration::from_millis(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(centiseconds: u16) -> AdverInterval {
        AdverInterval::from_centiseconds(centiseconds).unwrap()
    }

    /// The worked examples of the specification: priority, then Skew_Time and Active_Down_Interval
    /// in µs at 1 s, 100 ms, 10 ms.
    #[test]
    fn rfc9568_6_1_3_skew_and_active_down_interval_of_the_worked_examples() {
        let three = NonZeroU8::new(3).unwrap();
        for (priority, at_1s, at_100ms, at_10ms) in [
            (50, (804_687, 3_804_687), (80_468, 380_468), (8_046, 38_046)),
            (100, (609_375, 3_609_375), (60_937, 360_937), (6_093, 36_093)),
            (200, (218_750, 3_218_750), (21_875, 321_875), (2_187, 32_187)),
            (254, (7_812, 3_007_812), (781, 300_781), (78, 30_078)),
            (255, (3_906, 3_003_906), (390, 300_390), (39, 30_039)),
        ] {
            let priority = AdvertPriority::from_wire(priority);
            for (cs, (skew, down)) in [(100, at_1s), (10, at_100ms), (1, at_10ms)] {
                assert_eq!(V3.skew_time(priority, interval(cs)).as_micros(), skew, "{priority} at {cs} cs");
                let computed = V3.active_down_interval(three, priority, interval(cs));
                assert_eq!(computed.as_micros(), down, "{priority} at {cs} cs"); // RFC9568-6.1-4
            }
        }
    }

    #[test]
    fn what_is_learned_has_a_bound() {
        for (ours, longest) in
            [(1, 300), (10, 300), (30, 300), (50, 500), (100, 1000), (410, 4095), (4095, 4095)]
        {
            assert_eq!(
                V3.believed_interval(interval(ours), AdverInterval::MAX),
                interval(longest),
                "{ours} cs"
            );
        }
    }

    #[test]
    fn the_longest_interval_does_not_overflow() {
        let lowest = AdvertPriority::from_wire(1);
        assert_eq!(V3.skew_time(lowest, interval(4095)).as_micros(), 40_790_039);
        let three = NonZeroU8::new(3).unwrap();
        assert_eq!(V3.active_down_interval(three, lowest, interval(4095)).as_millis(), 163_640);
    }

    #[test]
    fn the_times_by_which_others_plan_are_those_of_the_script() {
        let script = VersionRules::of(Version::V3).leave();
        let ms = Duration::from_millis;
        assert_eq!(script.first_resignation(), ms(6));
        assert_eq!(script.first_round_ends(), ms(256));
        assert_eq!(script.second_round_begins(), Some(ms(1250)));
        assert_eq!(script.ends(), ms(1256));
        let after_crash = VersionRules::of(Version::V3).leave_after_crash();
        assert!(after_crash.ends() <= script.ends(), "a hand-over after a crash has the patience of another");
        for script in [script, after_crash] {
            assert!(script.lines().is_sorted_by(|(one, _), (next, _)| one < next), "one line at a time");
        }
    }

    #[test]
    fn a_script_without_a_second_round_ends_with_its_first() {
        let lines = &[(0, LeaveLine::Resign), (1000, LeaveLine::Resign)];
        let script = LeaveScript { lines };
        assert_eq!(script.second_round_begins(), None);
        assert_eq!(script.first_resignation(), Duration::ZERO);
        assert_eq!(script.first_round_ends(), Duration::from_secs(1));
    }
}
