//! Texts that are not TOML, explained to somebody who does not want to learn TOML today.

use super::problem::{Problems, shown};
use toml::Spanned;
use toml::de::{DeTable, Error};

/// A file with so many lines that are no TOML is a picture, or a keepalived.conf.
const MOST_ERRORS: usize = 20;

/// Parses a text; reports and gives up if it is not TOML, because what a parser guesses behind a
/// syntax error would lead to errors that are none.
pub(super) fn parse<'t>(text: &'t str, problems: &mut Problems) -> Option<Spanned<DeTable<'t>>> {
    let (root, mut errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(root);
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
        // An open bracket turns all that follows into noise; a file that is no TOML at all is noise.
        if loses_structure(error.message()) || reported == MOST_ERRORS {
            break;
        }
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
    let (message, help) = match what {
        "string values must be quoted"
        | "invalid boolean"
        | "invalid float"
        | "invalid integer"
        | "invalid date-time" => ("this value cannot be read".to_owned(), unquoted(text, span.start)),
        "duplicate key" => (
            "this name is used twice".to_owned(),
            "remove one of the two; several routers are several [[virtual_router]]".to_owned(),
        ),
        "key with no value" => {
            ("this is not `key = value`".to_owned(), "write `key = value`, or # before a comment".to_owned())
        }
        other => {
            (shown(other), expected.map_or("see https://toml.io".to_owned(), |e| format!("expected {e}")))
        }
    };
    problems.error(span, message, help);
}

/// Shows how the value of this line would be written as text.
fn unquoted(text: &str, at: usize) -> String {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let advice = "text, addresses and durations stand in quotes";
    match line.split_once('=') {
        Some((key, value)) => {
            let value = value.split('#').next().unwrap_or_default().trim();
            let bare = value.chars().all(|c| c.is_ascii_alphanumeric() || "./:-_".contains(c));
            if bare && !value.is_empty() {
                format!("{advice}: {} = \"{}\"", shown(key.trim()), shown(value))
            } else if value.is_empty() {
                format!("write a value behind `{} =`", shown(key.trim()))
            } else {
                advice.to_owned()
            }
        }
        None => advice.to_owned(),
    }
}
