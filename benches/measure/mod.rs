//! The parts that the measurements share: quantiles, tables, and figures of a process from `/proc`.
//!
//! A bench prints tables in Markdown, ready for `docs/measurements.md`. `cargo bench --bench NAME
//! -- [--runs N] [--jobs N] [WORD…]` measures only the rows whose label contains all the words, N
//! times each. The bench of draining has `--moves N` and `--rate N` in their place.

#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    reason = "each bench uses a part; in a bench a panic is the report"
)]

pub(crate) mod clients;
pub(crate) mod machine;
pub(crate) mod rivals;
pub(crate) mod samples;
pub(crate) mod table;
pub(crate) mod usage;

pub(crate) use samples::Samples;
pub(crate) use table::Table;

/// The arguments of the command line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    runs: Option<usize>,
    jobs: Option<usize>,
    moves: Option<usize>,
    rate: Option<usize>,
    words: Vec<String>,
}

impl Request {
    /// Reads the arguments; those that cargo adds itself are ignored.
    pub(crate) fn from_arguments() -> Self {
        let mut request = Self::default();
        let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--runs" => request.runs = Some(number(&argument, arguments.next())),
                "--jobs" => request.jobs = Some(number(&argument, arguments.next())),
                "--moves" => request.moves = Some(number(&argument, arguments.next())),
                "--rate" => request.rate = Some(number(&argument, arguments.next())),
                unknown if unknown.starts_with('-') => {
                    panic!("{unknown}: there are --runs N, --jobs N, --moves N and --rate N")
                }
                _ => request.words.push(argument),
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

    /// How many moves to make in each row.
    pub(crate) fn moves(&self, usual: usize) -> usize {
        self.moves.unwrap_or(usual)
    }

    /// How many requests to send each second.
    pub(crate) fn rate(&self, usual: usize) -> usize {
        self.rate.unwrap_or(usual)
    }

    /// How many independent measurements run at a time.
    pub(crate) fn jobs(&self, usual: usize) -> usize {
        self.jobs.unwrap_or(usual)
    }
}

/// The value of an option, which must be at least one.
fn number(option: &str, value: Option<String>) -> usize {
    let number = value.and_then(|value| value.parse().ok()).filter(|number| *number > 0);
    number.unwrap_or_else(|| panic!("{option} N, a number from 1"))
}
