//! Quantiles of repeated measurements. No measurement is left out, and none are averaged.

use std::time::Duration;

/// One figure that was measured again and again, in milliseconds; negative if it came early.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(Vec<f64>);

impl From<Vec<f64>> for Samples {
    fn from(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_by(f64::total_cmp);
        Self(milliseconds)
    }
}

impl Samples {
    pub(crate) fn push(&mut self, milliseconds: f64) {
        self.0.push(milliseconds);
        self.0.sort_by(f64::total_cmp);
    }

    pub(crate) fn push_duration(&mut self, duration: Duration) {
        self.push(milliseconds(duration));
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The quantile by the nearest rank, which is a value that was measured. With fewer than 100
    /// samples the 99th percentile is the maximum.
    pub(crate) fn quantile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or(f64::NAN)
    }

    /// `p50`, `p99` and the maximum, as cells of a table.
    pub(crate) fn cells(&self) -> [String; 3] {
        [self.quantile(50), self.quantile(99), self.quantile(100)].map(|value| format!("{value:.1}"))
    }
}

/// A duration in milliseconds, with fractions.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// `later - earlier` in milliseconds, which may be negative.
pub(crate) fn signed_milliseconds(later: Duration, earlier: Duration) -> f64 {
    (later.as_secs_f64() - earlier.as_secs_f64()) * 1e3
}
