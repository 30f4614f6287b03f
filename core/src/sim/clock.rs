//! Time: the time of an observer outside, and what the clock of each node shows.

use crate::types::MonoTime;
use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// The time of the observer, in nanoseconds since the world began. Nodes never see it: a node sees
/// the [`MonoTime`] of its [`Clock`], and the two types cannot be mixed up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TrueTime(u64);

impl TrueTime {
    /// The beginning of the world.
    pub const ZERO: Self = Self(0);

    /// Nanoseconds since the world began.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time since `earlier`, or zero if `earlier` is in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for TrueTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for TrueTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        write!(f, "{seconds}.{nanos:09}")
    }
}

/// Parts per million by which a clock runs fast (or slow, if the number is negative).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ppm(pub i16);

/// The monotonic clock of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    offset: MonoTime,
    rate: Ppm,
}

const MILLION: i128 = 1_000_000;

impl Clock {
    /// The clock of the observer.
    pub const EXACT: Self = Self { offset: MonoTime::ZERO, rate: Ppm(0) };

    /// A clock that showed `offset` when the world began.
    #[must_use]
    pub const fn new(offset: MonoTime, rate: Ppm) -> Self {
        Self { offset, rate }
    }

    /// What the clock shows at this time.
    #[must_use]
    pub fn read(&self, at: TrueTime) -> MonoTime {
        let elapsed = i128::from(at.0) * (MILLION + i128::from(self.rate.0)) / MILLION;
        self.offset + Duration::from_nanos(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// The first moment at which the clock shows `shown` or more.
    #[must_use]
    pub fn when(&self, shown: MonoTime) -> TrueTime {
        let rate = MILLION + i128::from(self.rate.0);
        let elapsed = i128::try_from(shown.since(self.offset).as_nanos()).unwrap_or(i128::MAX / MILLION);
        let at = (elapsed * MILLION + rate - 1) / rate;
        TrueTime(u64::try_from(at).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_a_time_at_the_first_moment_it_shows_it() {
        for rate in [-1000, -37, 0, 1, 1000] {
            let clock = Clock::new(MonoTime::from_nanos(77), Ppm(rate));
            for nanos in [78, 1_000_000_077, 86_400_000_000_001] {
                let shown = MonoTime::from_nanos(nanos);
                let at = clock.when(shown);
                assert!(clock.read(at) >= shown, "{rate} ppm, {nanos}");
                assert!(clock.read(TrueTime(at.0 - 1)) < shown, "{rate} ppm, {nanos}");
            }
        }
    }
}
