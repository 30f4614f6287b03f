//! Explains texts that are not TOML to an operator who does not know TOML.

mod line;

use super::keepalived;
use super::problem::{Problems, shown};
use line::Line;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, Error};

/// A file with so many lines that are not TOML is written in another language.
const MOST_ERRORS: usize = 20;

/// Parses a text. If it is not TOML, reports that and returns `None`, because what a parser guesses
/// after a syntax error would lead to errors that are not in the text.
pub(super) fn parse<'t>(text: &'t str, problems: &mut Problems) -> Option<Spanned<DeTable<'t>>> {
    let (root, mut errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(root);
    }
    if let Some((span, message, help)) = something_else(text) {
        problems.error(span, message, help);
        return None;
    }
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    let (mut reported_to, mut reported) = (None, 0);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        let same_line = reported_to.and_then(|to| text.get(to..at)).is_some_and(|gap| !gap.contains('\n'));
        if !same_line {
            report(error, text, problems);
            (reported_to, reported) = (Some(at), reported + 1);
        }
        // After an unclosed bracket, or in a file that is not TOML at all, further errors mean
        // nothing.
        if loses_structure(error.message()) || reported == MOST_ERRORS {
            break;
        }
    }
    None
}

/// If the text is recognizably in another language: where that shows, what it is, and what to do.
/// One error is reported for the whole file.
fn something_else(text: &str) -> Option<(Range<usize>, &'static str, &'static str)> {
    if let Some(span) = keepalived::whole_file(text) {
        let help = "vrrpd reads TOML and cannot read this file. Write a new one: man vrrpd.toml shows both side \
                    by side under FROM KEEPALIVED";
        return Some((span, "this looks like keepalived.conf", help));
    }
    let start = text.len() - text.trim_start().len();
    if text.trim_start().starts_with('{') && text.trim_end().ends_with('}') {
        let help = "vrrpd reads TOML: man vrrpd.toml. Examples are in /usr/share/doc/vrrpd/examples";
        return Some((start..start + 1, "this looks like JSON", help));
    }
    None
}

fn loses_structure(message: &str) -> bool {
    ["array", "table", "unclosed"].iter().any(|word| message.contains(word))
}

fn report(error: &Error, text: &str, problems: &mut Problems) {
    let span = error.span().unwrap_or(0..0);
    let (what, expected) = match error.message().split_once(", expected ") {
        Some((what, expected)) => (what, Some(expected)),
        None => (error.message(), None),
    };
    let line = Line::at(text, span.start);
    if let Some((character, message, help)) = line.foreign_character(&span) {
        problems.error(character, message, help);
        return;
    }
    if let Some(help) = line.foreign_comment() {
        problems.error(span, "a comment begins with #", help);
        return;
    }
    match what {
        "duplicate key" => twice(&line, span, text, problems),
        "string values must be quoted"
        | "invalid boolean"
        | "invalid float"
        | "invalid integer"
        | "invalid date-time"
        | "unexpected leading zero" => {
            problems.error(span, "this value cannot be read", line.repaired());
        }
        "unexpected key or value" => {
            problems.error(span, "there is more on this line after its value", line.repaired());
        }
        "key with no value" | "extra `=`" => {
            problems.error(span, "this is not `key = value`", line.as_assignment());
        }
        "invalid unquoted key" if line.lacks_equals() => {
            problems.error(span, "this is not `key = value`", line.as_assignment());
        }
        "unclosed table" | "unclosed array table" => {
            problems.error(span, shown(what), line.as_header());
        }
        other => {
            let help = expected.map_or("compare this line with man vrrpd.toml".to_owned(), |expected| {
                format!("expected {expected}")
            });
            problems.error(span, shown(other), help);
        }
    }
}

/// Reports a key or a table that is defined a second time.
fn twice(line: &Line<'_>, span: Range<usize>, text: &str, problems: &mut Problems) {
    let before = text.get(..line.start()).unwrap_or_default();
    let Some(name) = text.get(span.clone()) else { return };
    if !line.is_header() {
        let message = format!("`{}` is set twice in this table", shown(name));
        let problem = problems.error(span, message, "remove one of the two");
        if let Some(first) = line::last_assignment(before, name) {
            problem.related(first, "first here");
        }
        return;
    }
    let inner = |header: &str| header.strip_prefix('[').is_some_and(|h| h.starts_with(&format!("{name}.")));
    let list = |header: &str| header.starts_with(&format!("[[{name}]]"));
    let headers = || line::headers(before);
    if let Some((first, header)) = headers().find(|(_, header)| inner(header)) {
        // The keys of a table stand above its header.
        let message = format!("{} is above the [[{}]] that it belongs to", shown(header), shown(name));
        let help = "move it below that one; a table like this belongs to the last one above it";
        problems.error(first, message, help);
    } else if let Some((first, _)) = headers().find(|(_, header)| list(header)) {
        let help =
            format!("write [[{}]]; two brackets on each side, because there may be several", shown(name));
        problems.error(span, "one bracket here, and two above", help).related(first, "first here");
    } else {
        let message = format!("[{}] is written twice", shown(name));
        let problem = problems.error(span, message, "move these keys to the first one, and remove this line");
        if let Some((first, _)) = headers().find(|(_, header)| header.starts_with(&format!("[{name}]"))) {
            problem.related(first, "first here");
        }
    }
}
