//! What the daemon said, made fit for a terminal: whoever answers on the socket, no character of it moves a
//! cursor, changes a title or turns text around. Documents stay what they are: this is for what is printed.

use std::fmt::Write as _;

/// One line.
#[must_use]
pub(super) fn line(text: &str) -> String {
    text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Lines for people; their ends stay.
#[must_use]
pub fn lines(text: &str) -> String {
    text.chars().map(|c| if steers(c) && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The text of a JSON document: the same document, with escapes for what JSON allows to stand for itself. Outside of
/// its strings there is nothing of that kind.
#[must_use]
pub fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) && c != '\n' {
            let _infallible = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Control characters (of C0 and C1), and those that change the direction of what is around them (Unicode UAX #9).
fn steers(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}]0;title\u{7}\u{9b}2J\r\u{202e}dne\u{7f}é\n";

    #[test]
    fn people_see_where_something_was_and_nothing_else_happens() {
        assert_eq!(lines(HOSTILE), "a�]0;title��2J��dne�é\n");
        assert_eq!(line("a\nb"), "a�b");
    }

    #[test]
    fn a_document_means_the_same_and_is_plain() {
        let document = serde_json::json!({ "reason": HOSTILE });
        let text = json(&serde_json::to_string_pretty(&document).unwrap());
        assert!(!text.chars().any(|c| steers(c) && c != '\n'), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), document);
    }
}
