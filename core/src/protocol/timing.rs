//! The derived timers of RFC 9568 §6.1, in nanoseconds.

use crate::types::{AdverInterval, AdvertPriority};
use std::num::NonZeroU8;
use std::time::Duration;

/// A process that wakes this late (or a whole interval late, if that is longer) has not received
/// anything in the meantime either. It listens once more before it decides anything.
pub(super) const OVERSLEPT: Duration = Duration::from_millis(50);

/// Skew_Time = ((256 − Priority) × Active_Adver_Interval) / 256.
///
/// The unit is nanoseconds, because in whole centiseconds every Skew_Time at 10 ms would be 0, and
/// all Backups would take over at the same time.
#[must_use]
pub fn skew_time(priority: AdvertPriority, active: AdverInterval) -> Duration {
    // RFC9568-6.1-3
    active.period() * (256 - u32::from(priority.get())) / 256
}

/// Active_Down_Interval = 3 × Active_Adver_Interval + Skew_Time, where the 3 is configurable.
#[must_use]
pub fn active_down_interval(
    down_adverts: NonZeroU8,
    priority: AdvertPriority,
    active: AdverInterval,
) -> Duration {
    // RFC9568-6.1-4
    active.period() * u32::from(down_adverts.get()) + skew_time(priority, active)
}

/// The longest Active_Adver_Interval that is learned: ten times ours, but at least three seconds.
///
/// In RFC 9568 a Backup waits for three times the interval of the last message, which anybody can
/// have sent: one forged message with 40.95 s would leave the addresses unserved for more than two
/// minutes (docs/adr/0019). Ten times ours lets an operator change the nodes of a pair from one
/// interval to another one after the other.
#[must_use]
pub fn longest_learned(ours: AdverInterval) -> AdverInterval {
    let bound = ours.centiseconds().saturating_mul(10).max(300);
    AdverInterval::from_centiseconds(bound).unwrap_or(AdverInterval::MAX)
}

/// The shortest time between two advertisements that answer one of lower priority. RFC 9568 §6.4.3
/// asks for an answer at once; read literally, one reflected packet would start a storm.
#[must_use]
pub fn immediate_gap(interval: AdverInterval) -> Duration {
    (interval.period() / 4).max(Duration::from_millis(10))
}

/// How long the first advertisement may wait for the kernel to install the addresses.
///
/// After the death of an Active it does not wait: no router holds the addresses, and the timers of
/// other Backups are about to fire. A router that resigned or is displaced may still serve, and
/// every address that it removes before we have installed ours is a gap.
#[must_use]
pub fn claim_grace(interval: AdverInterval, taking: Taking) -> Duration {
    match taking {
        Taking::FromNobody => Duration::ZERO,
        Taking::FromLeaving => Duration::from_millis(20),
        Taking::FromLive => interval.period().min(Duration::from_millis(500)),
    }
}

/// From whom the addresses are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// The Active died, or there was none.
    FromNobody,
    /// The Active resigned. An Active that hands over as vrrpd does goes on serving until it hears
    /// us, for 30 ms at least (`handover`).
    FromLeaving,
    /// An Active of lower priority is still heard.
    FromLive,
}

/// How late an advertisement may be sent, so that those of many instances leave in one system call.
/// Peers wait three intervals: a sixty-fourth of one does not matter to them.
#[must_use]
pub fn coalescing_slack(interval: AdverInterval) -> Duration {
    (interval.period() / 64).min(Duration::from_millis(1))
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
                assert_eq!(skew_time(priority, interval(cs)).as_micros(), skew, "{priority} at {cs} cs");
                let computed = active_down_interval(three, priority, interval(cs));
                assert_eq!(computed.as_micros(), down, "{priority} at {cs} cs"); // RFC9568-6.1-4
            }
        }
    }

    #[test]
    fn what_is_learned_has_a_bound() {
        for (ours, longest) in
            [(1, 300), (10, 300), (30, 300), (50, 500), (100, 1000), (410, 4095), (4095, 4095)]
        {
            assert_eq!(longest_learned(interval(ours)), interval(longest), "{ours} cs");
        }
    }

    #[test]
    fn the_longest_interval_does_not_overflow() {
        let lowest = AdvertPriority::from_wire(1);
        assert_eq!(skew_time(lowest, interval(4095)).as_micros(), 40_790_039);
        let three = NonZeroU8::new(3).unwrap();
        assert_eq!(active_down_interval(three, lowest, interval(4095)).as_millis(), 163_640);
    }
}
