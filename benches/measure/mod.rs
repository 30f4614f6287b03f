//! What the measurements share: quantiles, tables, and what `/proc` tells about a process.
//!
//! A bench prints tables in Markdown, ready for `docs/measurements.md`. `cargo bench --bench NAME --
//! [--runs N] [WORD…]` measures only the rows whose label contains all the words, N times each.

#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    reason = "each bench uses a part; in a bench a panic is the report"
)]

pub(crate) mod machine;
pub(crate) mod rivals;
pub(crate) mod samples;
pub(crate) mod table;
pub(crate) mod usage;

pub(crate) use samples::Samples;
pub(crate) use table::Table;

/// What was asked for on the command line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    runs: Option<usize>,
    words: Vec<String>,
}

impl Request {
    /// Reads the arguments; those that cargo adds itself are ignored.
    pub(crate) fn from_arguments() -> Self {
        let mut request = Self::default();
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            if argument == "--runs" {
                let runs = arguments.next().and_then(|runs| runs.parse().ok());
                request.runs = Some(runs.expect("--runs N"));
            } else {
                request.words.push(argument);
            }
        }
        request
    }

    /// Whether a row is wanted.
    pub(crate) fn wants(&self, label: &str) -> bool {
        self.words.iter().all(|word| label.contains(word.as_str()))
    }

    /// How often to measure.
    pub(crate) fn runs(&self, usual: usize) -> usize {
        self.runs.unwrap_or(usual)
    }
}
