//! When to tell the LAN where the addresses are (RFC 9568 §6.4.2, §8.1.2, §8.2.2).
//!
//! This decides only when. `wire` builds the frames, `kernel` sends them.

use crate::protocol::spec::AnnounceSpec;
use crate::types::MonoTime;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When another Active is heard, addresses are announced again at most this often, and once more
/// this much later: the other's own announcements may still be on their way. An Active that could
/// not be heard, and is heard again, has its hosts back after this at the latest.
const CONTESTED_GAP: Duration = Duration::from_millis(30);
/// And once more this long after the other Active was heard last.
const CONTESTED_AGAIN: Duration = Duration::from_secs(1);
/// What each address adds to the distance of two such rounds: with two thousand addresses, another
/// router must not be able to make us flood the LAN. Such rounds are at most 500 frames a second.
const CONTESTED_FRAME: Duration = Duration::from_millis(2);

/// The rounds of a burst are spread: frames that leave together are lost together, and a host that
/// asked while the previous router still answered is corrected by the next round.
const SPREAD: [Duration; 4] = [
    Duration::from_millis(30),
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
];

/// The announcements of an Active. The schedule begins when the kernel holds the addresses.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AnnouncementSchedule {
    second_at: Option<MonoTime>,
    refresh_at: Option<MonoTime>,
    /// Another Active was heard, and hosts may believe it: the next round for that.
    contested_at: Option<MonoTime>,
    /// And the one after it.
    contested_again: Option<MonoTime>,
    last: MonoTime,
    burst: Option<Burst>,
}

/// What is left of a burst.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Burst {
    began: MonoTime,
    /// Rounds sent.
    sent: u8,
    /// Rounds that it has: those that were configured when it began.
    rounds: u8,
}

impl Burst {
    /// The first round is sent now.
    const fn begin(now: MonoTime, spec: AnnounceSpec) -> Self {
        Self { began: now, sent: 1, rounds: spec.repeat.get() }
    }

    /// When the next round is due, if one is left.
    fn next(self) -> Option<MonoTime> {
        if self.sent >= self.rounds {
            return None;
        }
        let place = usize::from(self.sent).saturating_sub(1);
        let last = Duration::from_secs(1);
        // Beyond the table, one a second.
        let beyond = u32::from(self.sent).saturating_sub(4);
        Some(self.began + SPREAD.get(place).copied().unwrap_or(last + last * beyond))
    }
}

impl AnnouncementSchedule {
    /// The addresses are installed: the first round is due now.
    pub(super) fn begin(now: MonoTime, spec: AnnounceSpec) -> (Self, u8) {
        let after = |period: Duration| (!period.is_zero()).then(|| now + period);
        let refresh_at = after(spec.refresh).map(|at| at + spec.delay);
        let burst = Some(Burst::begin(now, spec));
        let second_at = after(spec.delay);
        let begun =
            Self { second_at, refresh_at, contested_at: None, contested_again: None, last: now, burst };
        (begun, 1)
    }

    /// Rounds due at `now`.
    pub(super) fn due(&mut self, now: MonoTime, spec: AnnounceSpec) -> Option<u8> {
        if self.second_at.is_some_and(|at| at <= now) {
            self.second_at = None;
            self.last = now;
            self.burst = Some(Burst::begin(now, spec));
            return Some(1);
        }
        if let Some(burst) = &mut self.burst {
            match burst.next() {
                Some(at) if at <= now => {
                    burst.sent += 1;
                    self.last = now;
                    return Some(1);
                }
                Some(_) => {}
                None => self.burst = None,
            }
        }
        if self.contested_at.is_some_and(|at| at <= now) {
            self.contested_at = self.contested_again.take();
            self.last = now;
            return Some(1);
        }
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.refresh_at = (!spec.refresh.is_zero()).then(|| now + spec.refresh);
            self.last = now;
            return Some(1);
        }
        None
    }

    /// Another Active was heard, so hosts may believe it: a round of all `count` addresses now, or
    /// as soon as the limited rate allows, whatever was planned for later, and others after it.
    pub(super) fn contested(&mut self, now: MonoTime, count: usize) -> Option<u8> {
        let gap = contested_gap(count);
        let allowed = self.last + gap;
        self.contested_again = Some(now + CONTESTED_AGAIN.max(gap * 2));
        if now < allowed {
            self.contested_at = Some(self.contested_at.map_or(allowed, |at| at.min(allowed)));
            return None;
        }
        self.contested_at = Some(now + gap);
        self.last = now;
        Some(1)
    }

    pub(super) fn next(&self) -> Option<MonoTime> {
        let round = self.burst.and_then(Burst::next);
        self.second_at.into_iter().chain(round).chain(self.refresh_at).chain(self.contested_at).min()
    }
}

/// The shortest time between two rounds for contested addresses.
fn contested_gap(count: usize) -> Duration {
    CONTESTED_GAP.max(CONTESTED_FRAME * u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: MonoTime = MonoTime::from_nanos(7);

    /// Milliseconds at which a round is due, until `seconds` have passed.
    fn rounds(schedule: &mut AnnouncementSchedule, spec: AnnounceSpec, seconds: u64) -> Vec<u128> {
        let mut seen = Vec::new();
        while let Some(at) = schedule.next().filter(|at| at.since(START).as_secs() < seconds) {
            assert_eq!(schedule.due(at - Duration::from_nanos(1), spec), None);
            assert_eq!(schedule.due(at, spec), Some(1));
            seen.push(at.since(START).as_millis());
        }
        seen
    }

    #[test]
    fn two_spread_bursts_and_then_one_round_each_refresh() {
        let spec = AnnounceSpec::default();
        let (mut schedule, now) = AnnouncementSchedule::begin(START, spec);
        assert_eq!(now, 1);
        let expected = [30, 100, 300, 1000, 5000, 5030, 5100, 5300, 6000, 65_000, 125_000];
        assert_eq!(rounds(&mut schedule, spec, 130), expected);
    }

    #[test]
    fn many_repeats_go_on_once_a_second_and_one_repeat_is_one() {
        let repeat = |n| AnnounceSpec {
            repeat: std::num::NonZeroU8::new(n).unwrap(),
            delay: Duration::ZERO,
            refresh: Duration::ZERO,
        };
        let (mut schedule, _) = AnnouncementSchedule::begin(START, repeat(8));
        assert_eq!(rounds(&mut schedule, repeat(8), 60), [30, 100, 300, 1000, 2000, 3000, 4000]);
        let (mut schedule, _) = AnnouncementSchedule::begin(START, repeat(1));
        assert_eq!(rounds(&mut schedule, repeat(1), 60), [0_u128; 0]);
    }

    /// A reload that asks for more rounds counts from the next burst: rounds of a burst that is
    /// over are not sent after it.
    #[test]
    fn a_burst_has_the_rounds_that_were_configured_when_it_began() {
        let repeat =
            |n| AnnounceSpec { repeat: std::num::NonZeroU8::new(n).unwrap(), ..AnnounceSpec::default() };
        let (mut schedule, _) = AnnouncementSchedule::begin(START, repeat(1));
        assert_eq!(schedule.due(START + Duration::from_millis(400), repeat(8)), None);
        assert_eq!(schedule.next(), Some(START + Duration::from_secs(5)), "the second burst");
    }

    fn one_round() -> AnnounceSpec {
        AnnounceSpec { repeat: std::num::NonZeroU8::MIN, ..AnnounceSpec::default() }
    }

    #[test]
    fn another_active_right_after_an_announcement_is_answered_later_not_never() {
        let spec = one_round();
        let (mut schedule, _) = AnnouncementSchedule::begin(START, spec);
        let heard = START + Duration::from_millis(10);
        assert_eq!(schedule.contested(heard, 1), None);
        assert_eq!(schedule.next(), Some(START + CONTESTED_GAP));
        assert_eq!(schedule.due(START + CONTESTED_GAP, spec), Some(1));
        let again = START + CONTESTED_GAP * 2;
        assert_eq!(schedule.contested(again, 1), Some(1));
        assert_eq!(schedule.due(again + CONTESTED_GAP, spec), Some(1));
        assert_eq!(schedule.next(), Some(again + CONTESTED_AGAIN));
    }

    /// What is planned for a second later keeps nothing earlier from being planned.
    #[test]
    fn another_active_that_is_heard_again_is_answered_within_the_gap_whatever_is_planned() {
        let spec = one_round();
        for millis in 31..1000 {
            let (mut schedule, _) = AnnouncementSchedule::begin(START, spec);
            let first = START + Duration::from_millis(100);
            assert_eq!(schedule.contested(first, 1), Some(1));
            assert_eq!(schedule.due(first + CONTESTED_GAP, spec), Some(1));
            let heard = first + Duration::from_millis(millis);
            let answered = match schedule.contested(heard, 1) {
                Some(_) => heard,
                None => schedule.next().unwrap(),
            };
            assert!(answered.since(heard) <= CONTESTED_GAP, "{millis} ms: {answered:?}");
        }
    }

    #[test]
    fn contested_rounds_of_many_addresses_are_limited_by_frames() {
        let spec = one_round();
        for (width, frames_a_second) in [(1, 34), (15, 500), (254, 508), (2001, 500)] {
            let (mut schedule, _) = AnnouncementSchedule::begin(START, spec);
            let mut rounds = 0;
            // Another Active advertises every millisecond for a minute.
            for millis in 0..60_000 {
                let now = START + Duration::from_millis(millis);
                rounds += schedule.due(now, spec).map_or(0, usize::from);
                rounds += schedule.contested(now, width).map_or(0, usize::from);
            }
            assert!(rounds * width <= frames_a_second * 60 + 2 * width, "{width}: {rounds} rounds");
            assert!(rounds > 10, "{width}: {rounds} rounds");
        }
    }
}
