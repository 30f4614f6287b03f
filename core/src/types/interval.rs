//! Advertisement intervals.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

/// An advertisement interval: 1..=4095 centiseconds, the 12-bit Max Advertise Interval of VRRPv3 (RFC
/// 9568 §5.2.7, errata 8301), or 1..=255 whole seconds, the Adver Int of VRRPv2 (RFC 3768 §5.3.7).
///
/// ```
/// use std::time::Duration;
/// use vrrpd_core::types::AdverInterval;
/// let second = AdverInterval::from_duration(Duration::from_secs(1)).unwrap();
/// assert_eq!(second, AdverInterval::default());
/// assert_eq!(second.centiseconds(), 100);
/// assert!(AdverInterval::from_centiseconds(0).is_err());
/// assert!(AdverInterval::from_duration(Duration::from_millis(15)).is_err());
/// assert_eq!(AdverInterval::from_seconds(200).unwrap().period(), Duration::from_secs(200));
/// assert!(AdverInterval::from_seconds(0).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AdverInterval(NonZeroU16);

/// An interval that does not fit into an advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an advertisement interval is 10ms to 40.95s in steps of 10ms, or up to 255s in whole seconds")]
pub struct AdverIntervalError;

impl AdverInterval {
    /// 10 ms, the shortest interval.
    pub const MIN: Self = Self(NonZeroU16::MIN);
    /// 40.95 s, the longest interval of VRRPv3.
    pub const MAX: Self = Self(NonZeroU16::MIN.saturating_add(4094));

    /// The interval of a number of centiseconds, in VRRPv3.
    ///
    /// # Errors
    /// [`AdverIntervalError`] outside 1..=4095.
    pub const fn from_centiseconds(centiseconds: u16) -> Result<Self, AdverIntervalError> {
        // RFC9568-5.2.7-1, RFC9568-6.1-1
        match NonZeroU16::new(centiseconds) {
            Some(cs) if centiseconds <= 4095 => Ok(Self(cs)),
            Some(_) | None => Err(AdverIntervalError),
        }
    }

    /// The interval of a number of whole seconds, in VRRPv2.
    ///
    /// # Errors
    /// [`AdverIntervalError`] for 0.
    pub const fn from_seconds(seconds: u8) -> Result<Self, AdverIntervalError> {
        match NonZeroU16::new(seconds as u16 * 100) {
            Some(cs) => Ok(Self(cs)),
            None => Err(AdverIntervalError),
        }
    }

    /// The interval of a duration.
    ///
    /// # Errors
    /// [`AdverIntervalError`] if neither version has such an interval: outside 10 ms..=40.95 s or
    /// between two centiseconds, and not 1 s..=255 s in whole seconds.
    pub fn from_duration(duration: Duration) -> Result<Self, AdverIntervalError> {
        if duration.subsec_nanos() == 0
            && let Ok(seconds) = u8::try_from(duration.as_secs())
        {
            return Self::from_seconds(seconds);
        }
        if !duration.as_nanos().is_multiple_of(10_000_000) {
            return Err(AdverIntervalError);
        }
        let centiseconds = u16::try_from(duration.as_millis() / 10).map_err(|_| AdverIntervalError)?;
        Self::from_centiseconds(centiseconds)
    }

    /// The interval in centiseconds: in VRRPv3 the number in the Max Advertise Interval field.
    #[must_use]
    pub const fn centiseconds(self) -> u16 {
        self.0.get()
    }

    /// The number in the Adver Int field of VRRPv2, if the interval is a number of whole seconds.
    #[must_use]
    pub fn whole_seconds(self) -> Option<u8> {
        let cs = self.centiseconds();
        u8::try_from(cs / 100).ok().filter(|_| cs.is_multiple_of(100))
    }

    /// The interval as a duration.
    #[must_use]
    pub const fn period(self) -> Duration {
        Duration::from_millis(self.0.get() as u64 * 10)
    }
}

impl Default for AdverInterval {
    /// The default interval, 1 s (RFC 9568 §6.1).
    fn default() -> Self {
        Self(NonZeroU16::MIN.saturating_add(99))
    }
}

impl fmt::Display for AdverInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.period())
    }
}
