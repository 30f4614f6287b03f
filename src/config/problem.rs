//! What is wrong with a configuration: where, what, and what to write instead.
//!
//! All code that reads a configuration adds its findings to [`Problems`] and goes on, so that one
//! run reports all of them. This module does not know how findings are shown; `report` does.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A position in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as the operator named it.
    pub file: Arc<str>,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One error of a configuration, or one warning about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where the wrong text starts.
    pub place: Place,
    /// The octets of the wrong text. Both ends are on character boundaries; the range is empty at
    /// the end of the text.
    pub span: Range<usize>,
    /// What is wrong: one sentence without a full stop.
    pub message: String,
    /// What to write instead, or what to do.
    pub help: String,
    /// Another place that belongs to the finding, such as the first of two equal names.
    pub related: Option<Related>,
}

/// A second place that explains a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Where the second text starts.
    pub place: Place,
    /// The octets of the second text.
    pub span: Range<usize>,
    /// What is at the second place.
    pub label: String,
}

/// Why a text is not a valid configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", .0.place, .0.message)]
pub struct ConfigError(pub Finding);

/// Something that is legal but probably not what the operator means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigWarning(pub Finding);

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.place, self.0.message)
    }
}

/// A finding whose line and column are not computed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    span: Range<usize>,
    message: String,
    help: String,
    related: Option<(Range<usize>, String)>,
}

impl Problem {
    /// Adds a second place to the finding.
    pub(super) fn related(&mut self, span: Range<usize>, label: impl Into<String>) {
        self.related = Some((span, label.into()));
    }
}

/// The findings so far, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Problems {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Problems {
    pub(super) fn errors_so_far(&self) -> usize {
        self.errors.len()
    }

    /// Adds a finding that makes the configuration unusable.
    pub(super) fn error(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> &mut Problem {
        push(&mut self.errors, span, message.into(), help.into())
    }

    /// Adds a finding that leaves the configuration usable.
    pub(super) fn warning(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> &mut Problem {
        push(&mut self.warnings, span, message.into(), help.into())
    }

    pub(super) fn error_count(&self) -> usize {
        self.errors.len()
    }

    /// The findings, in the order of the text, with their lines and columns.
    pub(super) fn conclude(self, lines: &Lines<'_>) -> (Vec<ConfigError>, Vec<ConfigWarning>) {
        let errors = lines.locate(self.errors).map(ConfigError).collect();
        let warnings = lines.locate(self.warnings).map(ConfigWarning).collect();
        (errors, warnings)
    }
}

fn push(list: &mut Vec<Problem>, span: Range<usize>, message: String, help: String) -> &mut Problem {
    list.push(Problem { span, message, help, related: None });
    list.last_mut().unwrap_or_else(|| unreachable!("an element was pushed just now"))
}

/// A text of the operator made fit for a message: escaped, and shortened when long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// Converts octet positions to lines and columns.
pub(super) struct Lines<'t> {
    text: &'t str,
    file: Arc<str>,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str, file: &str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, file: file.into(), starts }
    }

    pub(super) fn place(&self, at: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|before| self.starts.get(before)).copied().unwrap_or(0);
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count()) + 1;
        Place { file: Arc::clone(&self.file), line, column }
    }

    /// The nearest valid span of the text, because a parser may point past its end.
    pub(super) fn fit(&self, span: &Range<usize>) -> Range<usize> {
        let floor =
            |at: usize| (0..=at.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at));
        let start = floor(span.start).unwrap_or(0);
        start..floor(span.end).unwrap_or(0).max(start)
    }

    fn locate(&self, mut problems: Vec<Problem>) -> impl Iterator<Item = Finding> {
        // Without this, one finding about a default would be reported once for each router.
        problems.sort_by(|a, b| (a.span.start, &a.message).cmp(&(b.span.start, &b.message)));
        problems.dedup();
        problems.into_iter().map(|problem| {
            let span = self.fit(&problem.span);
            Finding {
                place: self.place(span.start),
                related: problem.related.map(|(span, label)| {
                    let span = self.fit(&span);
                    Related { place: self.place(span.start), span, label }
                }),
                message: problem.message,
                help: problem.help,
                span,
            }
        })
    }
}
