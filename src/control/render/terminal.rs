//! Makes the text of the daemon safe for a terminal: no character of it moves a cursor, changes a
//! title or reverses the direction of text, whichever process answers on the socket. Only printed
//! text is changed, and documents are not.

use std::fmt::Write as _;

/// Makes one line safe.
#[must_use]
pub(super) fn line(text: &str) -> String {
    text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Makes lines safe for people to read, and keeps the ends of the lines.
#[must_use]
pub fn lines(text: &str) -> String {
    text.chars().map(|c| if steers(c) && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Makes the text of a JSON document safe. The result is the same document, with escapes for
/// characters that JSON allows unescaped. Such characters occur inside strings only.
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

/// Whether a character controls a terminal (C0 and C1), or changes the direction of the text around
/// it (Unicode UAX #9).
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
