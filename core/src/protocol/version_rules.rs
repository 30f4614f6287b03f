//! What one version of VRRP prescribes and another does not, as data. The state machine acts on these
//! values; [`VersionRules::of`] is the one place that asks which version it is.

use crate::types::{AdverInterval, AdvertPriority, Version};
use std::num::NonZeroU8;
use std::time::Duration;

/// The rules of one version.
#[derive(Debug, PartialEq, Eq)]
pub struct VersionRules {
    interval: IntervalRule,
    list: ListRule,
    owner: OwnerRule,
    skew: SkewRule,
    /// The interval that an Active says which leaves ([`LeaveLine::Shorten`]), if Backups learn it.
    shortened: Option<AdverInterval>,
    leave: LeaveScript,
    leave_after_crash: LeaveScript,
}

/// What a Backup makes of the interval in an advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IntervalRule {
    /// It learns the interval, and waits as long as the Active wants it to (RFC 9568 §6.4.2).
    Learned,
    /// It has its own interval, and discards messages with another (RFC 3768 §7.1).
    MustMatch,
}

/// What becomes of an advertisement with another address list than ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListRule {
    /// It is obeyed all the same (RFC 9568 §7.1).
    MayDiffer,
    /// It is discarded, unless it is the owner's (RFC 3768 §7.1).
    MustMatchUnlessOwners,
}

/// What an owner that serves makes of the advertisements of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OwnerRule {
    /// It gives them to its state machine (RFC 9568 §7.1, errata 8298).
    Listens,
    /// It discards them (RFC 3768 §7.1).
    Ignores,
}

/// What Skew_Time is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SkewRule {
    /// Of Active_Adver_Interval (RFC 9568 §6.1).
    PartOfInterval,
    /// Of one second, whatever the interval is (RFC 3768 §6.1).
    PartOfSecond,
}

/// What an Active says when it leaves, and when (docs/adr/0009).
#[derive(Debug, PartialEq, Eq)]
pub(in crate::protocol) struct LeaveScript {
    /// Milliseconds after the beginning, each greater than the one before, and what is said then.
    lines: &'static [(u64, LeaveLine)],
    /// Where in `lines` the second round begins, for Backups that heard nothing of the first; without
    /// one, behind the last line.
    second_round: usize,
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
    list: ListRule::MayDiffer,
    owner: OwnerRule::Listens,
    skew: SkewRule::PartOfInterval,
    shortened: Some(AdverInterval::MIN),
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
        second_round: 7,
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
        second_round: 5,
    },
};

/// RFC 3768.
///
/// Nothing can be shortened: a Backup that hears the resignation takes over its Skew_Time later, which
/// is up to one second and the same for every interval. Three resignations survive the loss of two. They
/// are close to one another, because a Backup of another make begins its Skew_Time anew with each.
///
/// The second round comes when the slowest Backup that heard the first has fired. A successor that was
/// not heard answers it at once (RFC 3768 §6.4.3), and a Backup that heard nothing of the first round
/// gets its Skew_Time once more.
const V2: VersionRules = VersionRules {
    interval: IntervalRule::MustMatch,
    list: ListRule::MustMatchUnlessOwners,
    owner: OwnerRule::Ignores,
    skew: SkewRule::PartOfSecond,
    shortened: None,
    leave: V2_LEAVE,
    leave_after_crash: V2_LEAVE,
};

const V2_LEAVE: LeaveScript = LeaveScript {
    lines: &[
        (0, LeaveLine::Resign),
        (10, LeaveLine::Resign),
        (30, LeaveLine::Resign),
        (1200, LeaveLine::Resign),
        (1210, LeaveLine::Resign),
    ],
    second_round: 3,
};

impl VersionRules {
    /// The rules of a version.
    #[must_use]
    pub const fn of(version: Version) -> &'static Self {
        match version {
            Version::V2 => &V2,
            Version::V3 => &V3,
        }
    }

    /// Whether a router with `ours` obeys advertisements that say another interval.
    pub(in crate::protocol) fn obeys_interval(&self, ours: AdverInterval, said: AdverInterval) -> bool {
        match self.interval {
            IntervalRule::Learned => true,
            IntervalRule::MustMatch => said == ours,
        }
    }

    /// Whether an advertisement of this priority is obeyed although it lists other addresses than ours.
    pub(in crate::protocol) fn obeys_other_list(&self, priority: AdvertPriority) -> bool {
        match self.list {
            ListRule::MayDiffer => true,
            ListRule::MustMatchUnlessOwners => priority == AdvertPriority::OWNER,
        }
    }

    /// Whether a router of this priority that serves discards what others advertise.
    pub(in crate::protocol) fn ignores_others(&self, priority: AdvertPriority) -> bool {
        match self.owner {
            OwnerRule::Listens => false,
            OwnerRule::Ignores => priority == AdvertPriority::OWNER,
        }
    }

    /// The interval that an Active says which leaves, if Backups learn it.
    pub(in crate::protocol) const fn shortened(&self) -> Option<AdverInterval> {
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
        let longest = ours.centiseconds().saturating_mul(10).max(300);
        let longest = AdverInterval::from_centiseconds(longest).unwrap_or(AdverInterval::MAX);
        self.learned_interval(ours, said.min(longest))
    }

    /// What a router with `ours` makes of the interval `theirs`, which it believes, or which its other
    /// family has learned.
    pub(in crate::protocol) const fn learned_interval(
        &self,
        ours: AdverInterval,
        theirs: AdverInterval,
    ) -> AdverInterval {
        match self.interval {
            IntervalRule::Learned => theirs,
            // RFC3768-7.1-2, RFC3768-6.4.2-1
            IntervalRule::MustMatch => ours,
        }
    }

    /// Skew_Time of a router with `priority` that has learned `active`:
    /// ((256 − Priority) × Active_Adver_Interval) / 256, and in VRRPv2 (256 − Priority) / 256 seconds.
    ///
    /// The unit is nanoseconds, because in whole centiseconds every Skew_Time at 10 ms would be 0, and
    /// all Backups would take over at the same time.
    #[must_use]
    pub fn skew_time(&self, priority: AdvertPriority, active: AdverInterval) -> Duration {
        match self.skew {
            // RFC9568-6.1-3
            SkewRule::PartOfInterval => active.period() * (256 - u32::from(priority.get())) / 256,
            // RFC3768-6.1-1
            SkewRule::PartOfSecond => Duration::from_secs(1) * (256 - u32::from(priority.get())) / 256,
        }
    }

    /// Skew_Time of a Backup with `priority` in a hand-over, with our own interval where nothing shorter
    /// is said.
    #[must_use]
    pub fn skew_in_handover(&self, priority: AdvertPriority, ours: AdverInterval) -> Duration {
        self.skew_time(priority, self.shortened.unwrap_or(ours))
    }

    /// How much longer than the script it takes until the slowest Backup takes over that has heard all
    /// of it.
    ///
    /// With a shortened interval that is a few milliseconds, which those who wait have to spare. Where
    /// nothing can be shortened it is the longest Skew_Time, and a tenth of a second until the successor
    /// has advertised.
    #[must_use]
    pub const fn takeover_lasts(&self) -> Duration {
        match self.skew {
            SkewRule::PartOfInterval => Duration::ZERO,
            SkewRule::PartOfSecond => Duration::from_millis(1100),
        }
    }

    /// As [`Self::takeover_lasts`], of the slowest Backup that has heard a resignation and nothing else:
    /// it has learned no shorter interval than `interval`, which is ours.
    pub(in crate::protocol) fn takeover_after_resignation(&self, interval: AdverInterval) -> Duration {
        match self.skew {
            SkewRule::PartOfInterval => interval.period(),
            SkewRule::PartOfSecond => self.takeover_lasts(),
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
        // RFC9568-6.1-4, RFC3768-6.1-2
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
        let first = self.lines.get(..self.second_round).unwrap_or_default();
        first.last().map_or(Duration::ZERO, |(at, _)| Duration::from_millis(*at))
    }

    /// When a second round begins.
    pub(in crate::protocol) fn second_round_begins(&self) -> Option<Duration> {
        self.lines.get(self.second_round).map(|(at, _)| Duration::from_millis(*at))
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

    /// The worked examples of the specification for an interval of 1 s: priority, then Skew_Time and
    /// Master_Down_Interval in µs.
    #[test]
    fn rfc3768_6_1_1_skew_time_does_not_depend_on_the_interval() {
        for (value, skew, down) in [
            (50, 804_687, 3_804_687),
            (100, 609_375, 3_609_375),
            (200, 218_750, 3_218_750),
            (254, 7_812, 3_007_812),
            (255, 3_906, 3_003_906),
        ] {
            let priority = AdvertPriority::from_wire(value);
            for (seconds, more) in [(1, 0), (5, 12_000_000), (200, 597_000_000)] {
                let interval = AdverInterval::from_seconds(seconds).unwrap();
                assert_eq!(V2.skew_time(priority, interval).as_micros(), skew, "{value} at {seconds} s");
                let three = NonZeroU8::new(3).unwrap();
                let computed = V2.active_down_interval(three, priority, interval);
                assert_eq!(computed.as_micros(), down + more, "{value} at {seconds} s"); // RFC3768-6.1-2
            }
        }
    }

    #[test]
    fn a_router_of_version_2_obeys_its_own_interval_and_list_only_and_an_owner_nobody() {
        let second = interval(100);
        assert!(V2.obeys_interval(second, second) && !V2.obeys_interval(second, interval(200)));
        assert!(V3.obeys_interval(second, interval(200)));
        // RFC3768-6.4.2-1
        assert_eq!(V2.believed_interval(second, interval(200)), second, "nothing is learned");
        let [backup, owner] = [254, 255].map(AdvertPriority::from_wire);
        assert!(V2.obeys_other_list(owner) && !V2.obeys_other_list(backup) && V3.obeys_other_list(backup));
        assert!(V2.ignores_others(owner) && !V2.ignores_others(backup) && !V3.ignores_others(owner));
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
        let script_of_v2 = VersionRules::of(Version::V2).leave();
        assert_eq!(script_of_v2.first_resignation(), ms(0));
        assert_eq!(script_of_v2.first_round_ends(), ms(30));
        assert_eq!(script_of_v2.second_round_begins(), Some(ms(1200)));
        assert_eq!(script_of_v2.ends(), ms(1210));
        let after_crash = VersionRules::of(Version::V3).leave_after_crash();
        assert!(after_crash.ends() <= script.ends(), "a hand-over after a crash has the patience of another");
        for script in [script, after_crash, script_of_v2] {
            assert!(script.lines().is_sorted_by(|(one, _), (next, _)| one < next), "one line at a time");
        }
    }

    #[test]
    fn a_script_without_a_second_round_ends_with_its_first() {
        let lines = &[(0, LeaveLine::Resign), (1000, LeaveLine::Resign)];
        let script = LeaveScript { lines, second_round: 2 };
        assert_eq!(script.second_round_begins(), None);
        assert_eq!(script.first_resignation(), Duration::ZERO);
        assert_eq!(script.first_round_ends(), Duration::from_secs(1));
    }
}
