//! One line that is not TOML, and what it would be in TOML.

use crate::config::problem::shown;
use crate::config::schema::{self, Shape};
use crate::config::{correction, keepalived};
use std::ops::Range;

/// A line of the text, and where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'t> {
    start: usize,
    text: &'t str,
}

/// Quotation marks that show that a text was copied from a word processor or a web page, whose
/// spaces and comments may differ from TOML's too.
const QUOTES: &str = "“”„‟‘’‚‛«»`´";
const COMMENTS: [&str; 5] = ["//", "/*", ";", "--", "!"];

const ADVICE: &str = "write text, addresses and durations in straight quotes: \"…\"";

impl<'t> Line<'t> {
    /// The line that contains the octet at `at`.
    pub(super) fn at(text: &'t str, at: usize) -> Self {
        let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        let text = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        Self { start, text }
    }

    /// The octet in the text at which the line begins.
    pub(super) const fn start(&self) -> usize {
        self.start
    }

    /// Whether the line is the header of a table.
    pub(super) fn is_header(&self) -> bool {
        self.text.trim_start().starts_with('[')
    }

    /// Whether the line is neither a header nor an assignment.
    pub(super) fn lacks_equals(&self) -> bool {
        !self.is_header() && !self.text.contains('=')
    }

    /// The first character that looks like one of TOML's but is another, at or behind the place
    /// that the parser reported.
    pub(super) fn foreign_character(&self, span: &Range<usize>) -> Option<(Range<usize>, String, String)> {
        let disliked = span.start.saturating_sub(self.start)..span.end.saturating_sub(self.start).max(1);
        let disliked = |at: &usize| disliked.contains(at);
        let (at, found) =
            self.text.char_indices().filter(|(at, _)| disliked(at)).find(|(_, c)| foreign(*c))?;
        let span = self.start + at..self.start + at + found.len_utf8();
        let straight: String = self.text.chars().filter_map(straightened).collect();
        let straight = Line { start: 0, text: straight.trim() };
        let written = straight.rewritten().unwrap_or_else(|| shown_line(straight.text));
        let message = match found {
            '\u{a0}' => "there is a no-break space here (U+00A0)".to_owned(),
            c if c.is_whitespace() => {
                format!("there is a space of another kind here (U+{:04X})", u32::from(c))
            }
            c if QUOTES.contains(c) => format!("{c} is not the quote of TOML"),
            c => format!("there is an invisible character here (U+{:04X})", u32::from(c)),
        };
        Some((span, message, format!("write {written}")))
    }

    /// The same line with a TOML comment, if its comment is written as in another language.
    pub(super) fn foreign_comment(&self) -> Option<String> {
        let text = self.text.trim();
        if let Some(sign) = COMMENTS.iter().find(|sign| text.starts_with(**sign)) {
            let comment = text.trim_start_matches(sign).trim_end_matches("*/").trim();
            return Some(format!("write # {}", shown_line(comment)));
        }
        let (key, value) = text.split_once('=')?;
        let outside = value.find(" //").or_else(|| value.find(" -- ")).or_else(|| value.find(" ; "))?;
        let (value, comment) = value.split_at(outside);
        if value.trim().is_empty() {
            return None;
        }
        let comment = comment.trim().trim_start_matches(['/', '-', ';']).trim();
        let value = self.value(key.trim(), value).unwrap_or_else(|| value.trim().to_owned());
        Some(format!("write {} = {} # {}", key.trim(), shown_line(&value), shown_line(comment)))
    }

    /// The assignment with its value in the form that the key accepts.
    pub(super) fn repaired(&self) -> String {
        let Some((key, value)) = self.text.split_once('=') else { return ADVICE.to_owned() };
        let key = key.trim();
        let value = value.split('#').next().unwrap_or_default().trim();
        if value.is_empty() {
            return format!("write a value after `{} =`", shown(key));
        }
        self.rewritten().map_or_else(|| ADVICE.to_owned(), |line| format!("write {line}"))
    }

    fn rewritten(&self) -> Option<String> {
        let (key, value) = self.text.split_once('=')?;
        let value = self.value(key.trim(), value.split('#').next().unwrap_or_default())?;
        Some(format!("{} = {value}", shown(key.trim())))
    }

    /// A line without an equals sign, rewritten as an assignment: `priority 150`, `priority: 150`,
    /// `nopreempt`.
    pub(super) fn as_assignment(&self) -> String {
        let text = self.text.split('#').next().unwrap_or_default().trim();
        let end = text.find([' ', '\t', ':', '=', '{']).unwrap_or(text.len());
        let (key, value) = text.split_at(end);
        let value = value.trim_start_matches([' ', '\t', ':', '=']).trim();
        if let Some(help) = keepalived::help(key, Some(value)) {
            return help;
        }
        let own = schema::shape(key).and_then(|shape| correction::rewritten(shape, value));
        match own {
            Some(value) => format!("write {} = {value}", shown(key)),
            None => "write `key = value`, or # before a comment".to_owned(),
        }
    }

    /// The header of a table with its missing bracket, or without the space in its name.
    pub(super) fn as_header(&self) -> String {
        let text = self.text.split('#').next().unwrap_or_default().trim();
        let name = text.trim_matches(['[', ']']).trim().replace([' ', '-'], "_");
        match schema::ROOT.key(&name).and_then(|known| known.support.shape()) {
            Some(Shape::Tables(_)) => format!("write [[{name}]]"),
            Some(_) => format!("write [{name}]"),
            None if text.starts_with("[[") => "expected `]]` at the end".to_owned(),
            None => "expected `]` at the end".to_owned(),
        }
    }

    /// The value in the form that the key accepts. For an unknown key, the value as text, if it can
    /// be text.
    fn value(&self, key: &str, value: &str) -> Option<String> {
        let value = value.trim().trim_end_matches([';', ',']);
        match schema::shape(key) {
            Some(shape) => correction::rewritten(shape, value),
            None => {
                let bare = |c: char| c.is_ascii_alphanumeric() || "./:-_".contains(c);
                (value.len() <= 64 && value.chars().all(bare)).then(|| correction::quoted(value))
            }
        }
    }
}

/// Where the same table last assigns to `key`.
pub(super) fn last_assignment(before: &str, key: &str) -> Option<Range<usize>> {
    let mut found = None;
    for (start, line) in lines(before) {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim_start();
        if line.starts_with('[') {
            found = None;
        }
        if line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('=')) {
            found = Some(start + indent..start + indent + key.len());
        }
    }
    found
}

/// The headers of tables, with their places.
pub(super) fn headers(before: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    lines(before).filter_map(|(start, line)| {
        let indent = line.len() - line.trim_start().len();
        let line = line.split('#').next().unwrap_or_default().trim();
        line.starts_with('[').then(|| (start + indent..start + indent + line.len(), line))
    })
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, line)
    })
}

fn foreign(c: char) -> bool {
    QUOTES.contains(c) || !c.is_ascii() && c.is_whitespace() || invisible(c)
}

const fn invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' | '\u{202a}'..='\u{202e}')
}

fn straightened(c: char) -> Option<char> {
    match c {
        c if QUOTES.contains(c) => Some('"'),
        c if invisible(c) => None,
        c if c.is_whitespace() => Some(' '),
        c => Some(c),
    }
}

/// A line of the operator for a message, shortened if it is too long.
fn shown_line(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut out: String = text.chars().take(LONGEST).filter(|c| !c.is_control() && !invisible(*c)).collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}
