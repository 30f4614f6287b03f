//! The text format of Prometheus, version 0.0.4: families of samples, each with labels.
//!
//! Owns quoting and the order of the lines. Must not know what is measured.

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

/// The media type of the text.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a value of a family means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetricType {
    /// The value goes up and down.
    Gauge,
    /// The value only grows, until it starts at 0 again.
    Counter,
    /// The values are counts of durations, by their length.
    Histogram,
}

impl MetricType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// Labels that are ready to be written, without their braces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Labels(String);

impl Labels {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The same labels and one more.
    #[must_use]
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut text = String::with_capacity(self.0.len() + name.len() + value.len() + 4);
        text.push_str(&self.0);
        if !text.is_empty() {
            text.push(',');
        }
        let _infallible = write!(text, "{name}=\"{}\"", Quoted(value));
        Self(text)
    }
}

/// The value of a label, in which three characters are written in another way.
struct Quoted<'v>(&'v str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// How many durations were how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DurationHistogram {
    /// For each bound, how many durations were not longer.
    up_to: [u64; Self::BOUNDS.len()],
    count: u64,
    sum: Duration,
}

impl DurationHistogram {
    /// The bounds in seconds. A hand-over between two vrrpd takes 13 ms, and the longest that is
    /// waited for takes seconds.
    const BOUNDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

    pub(super) fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        for (bound, count) in Self::BOUNDS.iter().zip(&mut self.up_to) {
            *count += u64::from(seconds <= *bound);
        }
        self.count += 1;
        self.sum += duration;
    }
}

/// The text of one family.
#[derive(Debug)]
pub(super) struct Samples<'t> {
    name: &'static str,
    text: &'t mut String,
}

impl Samples<'_> {
    /// Adds one sample.
    pub(super) fn add(&mut self, labels: &Labels, value: impl Display) {
        self.line("", labels, value);
    }

    /// Adds all samples of a histogram.
    pub(super) fn add_histogram(&mut self, labels: &Labels, histogram: &DurationHistogram) {
        for (bound, count) in DurationHistogram::BOUNDS.iter().zip(histogram.up_to) {
            self.line("_bucket", &labels.with("le", &bound.to_string()), count);
        }
        self.line("_bucket", &labels.with("le", "+Inf"), histogram.count);
        self.line("_sum", labels, histogram.sum.as_secs_f64());
        self.line("_count", labels, histogram.count);
    }

    fn line(&mut self, suffix: &str, Labels(labels): &Labels, value: impl Display) {
        let name = self.name;
        let _infallible = if labels.is_empty() {
            writeln!(self.text, "{name}{suffix} {value}")
        } else {
            writeln!(self.text, "{name}{suffix}{{{labels}}} {value}")
        };
    }
}

/// Appends a family: its description, and the samples that `fill` adds. A family without samples is
/// left out.
pub(super) fn append(
    text: &mut String,
    name: &'static str,
    kind: MetricType,
    help: &'static str,
    fill: impl FnOnce(&mut Samples<'_>),
) {
    let start = text.len();
    let _infallible = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
    let described = text.len();
    fill(&mut Samples { name, text });
    if text.len() == described {
        text.truncate(start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_quoted_and_kept_in_their_order() {
        let labels = Labels::new().with("name", "a\\b\"c\nd").with("vrid", "51");
        let mut text = String::new();
        append(&mut text, "x_total", MetricType::Counter, "Things.", |samples| samples.add(&labels, 7));
        assert_eq!(
            text,
            "# HELP x_total Things.\n# TYPE x_total counter\nx_total{name=\"a\\\\b\\\"c\\nd\",vrid=\"51\"} 7\n"
        );
    }

    #[test]
    fn a_family_without_samples_is_left_out_and_one_without_labels_has_no_braces() {
        let mut text = String::new();
        append(&mut text, "empty", MetricType::Gauge, "Nothing.", |_| {});
        append(&mut text, "full", MetricType::Gauge, "Something.", |samples| samples.add(&Labels::new(), 1));
        assert_eq!(text, "# HELP full Something.\n# TYPE full gauge\nfull 1\n");
    }

    #[test]
    fn the_buckets_of_a_histogram_are_cumulative_and_include_their_bound() {
        let mut histogram = DurationHistogram::default();
        for millis in [5, 13, 13, 9000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let mut text = String::new();
        append(&mut text, "h", MetricType::Histogram, "Long.", |samples| {
            samples.add_histogram(&Labels::new().with("name", "web"), &histogram);
        });
        for line in [
            "h_bucket{name=\"web\",le=\"0.005\"} 1",
            "h_bucket{name=\"web\",le=\"0.01\"} 1",
            "h_bucket{name=\"web\",le=\"0.025\"} 3",
            "h_bucket{name=\"web\",le=\"5\"} 3",
            "h_bucket{name=\"web\",le=\"+Inf\"} 4",
            "h_sum{name=\"web\"} 9.031",
            "h_count{name=\"web\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
