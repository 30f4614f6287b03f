//! The only place that reads a clock.

use crate::types::MonoTime;
use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Returns the time on `CLOCK_BOOTTIME`. This clock never steps, and it counts the time in which
/// the machine was suspended, so that a resumed Active knows that it was away (docs/adr/0010).
#[must_use]
pub fn now() -> MonoTime {
    // The call fails only for a clock that does not exist; this one exists since Linux 2.6.39.
    // RFC9568-6.2-5
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(MonoTime::ZERO, |time| {
        let nanos = Duration::from(time).as_nanos();
        MonoTime::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    })
}

/// Returns the time on `CLOCK_MONOTONIC`, the service manager's clock. It is sent to the service
/// manager and used for nothing else.
#[must_use]
pub(super) fn monotonic() -> Duration {
    // The call cannot fail, because this clock exists.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

/// Returns the wall clock, for people who read logs. No decision depends on it.
#[must_use]
pub fn wall() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the kernel's own count, in hundredths of a second; it includes the time of a
    /// suspend.
    fn uptime() -> f64 {
        let text = std::fs::read_to_string("/proc/uptime").unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    }

    // RFC9568-6.2-5
    #[test]
    fn the_clock_is_the_kernels_uptime_and_never_steps_back() {
        let before = uptime();
        let (first, second) = (now(), now());
        let after = uptime();
        assert!(first <= second);
        let seconds = Duration::from_nanos(first.as_nanos()).as_secs_f64();
        assert!((before - 0.01..=after + 0.01).contains(&seconds), "{before} <= {seconds} <= {after}");
    }
}
