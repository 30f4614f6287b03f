//! What is wrong with a configuration: where, what, and what to write instead.
//!
//! Everything that reads a configuration puts its findings into [`Problems`] and goes on, so that
//! one run reports all of them. Knows nothing about how they are shown (`report`).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A place in a file, both counted from 1; the column counts characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// As the operator named it.
    pub file: Arc<str>,
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One thing found in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where it starts.
    pub place: Place,
    /// Its octets in the text; on character boundaries, empty at the end of the text.
    pub span: Range<usize>,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub help: String,
    /// Another place that belongs to it, such as the first of two equal names.
    pub related: Option<Related>,
}

/// A second place that explains a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Where it starts.
    pub place: Place,
    /// Its octets in the text.
    pub span: Range<usize>,
    /// What is there.
    pub label: String,
}

/// Why a text is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", .0.place, .0.message)]
pub struct ConfigError(pub Finding);

/// Something legal that is probably not what the operator means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigWarning(pub Finding);

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.place, self.0.message)
    }
}

/// A finding that does not know its line yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    span: Range<usize>,
    message: String,
    help: String,
    related: Option<(Range<usize>, String)>,
}

impl Problem {
    /// Points at another place as well.
    pub(super) fn related(&mut self, span: Range<usize>, label: impl Into<String>) {
        self.related = Some((span, label.into()));
    }
}

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Problems {
    pub(super) fn errors_so_far(&self) -> usize {
        self.errors.len()
    }

    /// The configuration cannot be used.
    pub(super) fn error(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> &mut Problem {
        push(&mut self.errors, span, message.into(), help.into())
    }

    /// The configuration can be used, but hear this.
    pub(super) fn warning(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> &mut Problem {
        push(&mut self.warnings, span, message.into(), help.into())
    }

    /// Errors so far.
    pub(super) fn error_count(&self) -> usize {
        self.errors.len()
    }

    /// The verdict: the findings, in the order of the text.
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

/// Text of the operator's, made fit for a message: escaped, and cut when long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// Turns octets into lines and columns.
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

    /// The nearest span that a slice of the text can have: a parser may point past the end.
    pub(super) fn fit(&self, span: &Range<usize>) -> Range<usize> {
        let floor =
            |at: usize| (0..=at.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at));
        let start = floor(span.start).unwrap_or(0);
        start..floor(span.end).unwrap_or(0).max(start)
    }

    fn locate(&self, mut problems: Vec<Problem>) -> impl Iterator<Item = Finding> {
        // One finding about a default would else be told once for each router.
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
