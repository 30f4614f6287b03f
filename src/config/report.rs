//! Formats findings for people and for programs.

use super::problem::{ConfigError, ConfigWarning, Finding, Related};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;
use std::ops::Range;

/// Number of columns that every line must fit into.
const WIDTH: usize = 80;

/// Number of findings of each kind that are formatted. Nobody corrects more at a time, and a file
/// can have tens of thousands.
pub const MOST: usize = 50;

/// Largest distance in octets of two places that are shown in one excerpt, because the whole
/// excerpt is searched.
const NEAR: usize = 16 * 1024;

/// Whether the reader's terminal shows colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Style {
    /// The reader has no terminal, or one without colours.
    #[default]
    Plain,
    /// The reader's terminal understands ANSI escapes.
    Colour,
}

/// Formats errors, then warnings, each with its line of `text`, as rustc does: the first [`MOST`]
/// of each, and the number of those left out.
#[must_use]
pub fn text(text: &str, errors: &[ConfigError], warnings: &[ConfigWarning], style: Style) -> String {
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Colour => Renderer::styled(),
    }
    .term_width(WIDTH);
    let mut out = String::new();
    let mut list = |level: Level<'static>, name, findings: &mut dyn ExactSizeIterator<Item = &Finding>| {
        for finding in (&mut *findings).take(MOST) {
            out.push_str(&one(&renderer, level.clone(), name, finding, text));
            out.push_str("\n\n");
        }
        if findings.len() > 0 {
            out.push_str(&format!("and {} more {name}s\n\n", grouped(findings.len())));
        }
    };
    list(Level::ERROR, "error", &mut errors.iter().map(|error| &error.0));
    list(Level::WARNING, "warning", &mut warnings.iter().map(|warning| &warning.0));
    out
}

/// A number with separators between thousands: `17,950`.
#[must_use]
pub fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The findings for programs, as a list of `{severity, file, line, column, message, help}`.
#[must_use]
pub fn json(errors: &[ConfigError], warnings: &[ConfigWarning]) -> String {
    let errors = errors.iter().map(|error| ("error", &error.0));
    let warnings = warnings.iter().map(|warning| ("warning", &warning.0));
    let rows: Vec<_> =
        errors.chain(warnings).map(|(severity, finding)| Row::new(severity, finding)).collect();
    serde_json::to_string_pretty(&rows)
        .unwrap_or_else(|error| unreachable!("texts and numbers are always JSON: {error}"))
}

#[derive(Serialize)]
struct Row<'f> {
    severity: &'static str,
    file: &'f str,
    line: usize,
    column: usize,
    message: &'f str,
    help: &'f str,
}

impl<'f> Row<'f> {
    fn new(severity: &'static str, finding: &'f Finding) -> Self {
        let place = &finding.place;
        let (line, column) = (place.line, place.column);
        Self { severity, file: &place.file, line, column, message: &finding.message, help: &finding.help }
    }
}

fn one(renderer: &Renderer, level: Level<'_>, name: &str, finding: &Finding, text: &str) -> String {
    let gutter = finding.place.line.to_string().len();
    let title = wrapped(&finding.message, WIDTH - name.len() - 2);
    let help = wrapped(&finding.help, WIDTH - gutter - "   = help: ".len());
    let (excerpt, from, line) = excerpt(text, finding);
    let within = |span: &Range<usize>| span.start.saturating_sub(from)..span.end.saturating_sub(from);
    let mut snippet = Snippet::source(excerpt)
        .line_start(line)
        .path(&*finding.place.file)
        .annotation(AnnotationKind::Primary.span(within(&finding.span)));
    let mut note = None;
    match &finding.related {
        None => {}
        // The two places are too far apart on one line to be on the screen together.
        Some(Related { place, label, span })
            if place.line == finding.place.line
                && finding.span.end.saturating_sub(span.start) > WIDTH - 20 =>
        {
            note = Some(Level::NOTE.message(format!("{label}: column {}", place.column)));
        }
        Some(related @ Related { place, label, .. }) if !is_near(finding, related) => {
            note =
                Some(Level::NOTE.message(format!("{label}: line {}, column {}", place.line, place.column)));
        }
        Some(Related { label, span, .. }) => {
            snippet = snippet.annotation(AnnotationKind::Context.span(within(span)).label(&**label));
        }
    }
    let group = level.primary_title(title).element(snippet).elements(note).element(Level::HELP.message(help));
    renderer.render(&[group])
}

/// Whether both places fit into one excerpt.
fn is_near(finding: &Finding, related: &Related) -> bool {
    related.span.start.abs_diff(finding.span.start) < NEAR
}

/// The lines that a finding is about, the octet at which they begin, and the number of the first
/// line. Searching the whole text for each of thousands of findings would take minutes.
fn excerpt<'t>(text: &'t str, finding: &Finding) -> (&'t str, usize, usize) {
    let related = finding.related.as_ref().filter(|related| is_near(finding, related));
    let first = related.map_or(finding.span.start, |related| related.span.start.min(finding.span.start));
    let last = related.map_or(finding.span.end, |related| related.span.end.max(finding.span.end));
    let line = related.map_or(finding.place.line, |related| related.place.line.min(finding.place.line));
    let from = text.get(..first).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let to = text.get(last..).and_then(|rest| rest.find('\n')).map_or(text.len(), |newline| last + newline);
    (text.get(from..to).unwrap_or_default(), from, line)
}

/// Breaks lines at spaces. A word that is too long is not broken.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines.join("\n")
}
