//! The warnings under the table of `status` and on the page of `show`.

use super::printable;
use super::table::{WIDEST, Width};
use crate::control::message::{StatusDoc, WarningDoc};

/// The beginning of each further line of a sentence.
const INDENT: &str = "  ";

/// The lines under the table, `! web-a: …` for each warning, in lines that fit the width. A warning
/// that both families of a router have is printed once.
#[must_use]
pub(super) fn under_table(document: &StatusDoc, width: Width) -> String {
    status_warnings(document).iter().map(|sentence| wrapped(&format!("! {sentence}"), width)).collect()
}

/// One sentence for each warning, with the name of the router or of the node before it.
pub(in crate::control) fn status_warnings(document: &StatusDoc) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for router in &document.virtual_routers {
        for warning in &router.warnings {
            let sentence = format!("{}: {}", router.name, printable(&warning.message));
            if !said.contains(&sentence) {
                said.push(sentence);
            }
        }
    }
    for warning in &document.warnings {
        said.push(format!("{}: {}", document.node, printable(&warning.message)));
    }
    said
}

/// The same sentence without the name of the router.
pub(super) fn on_page(warning: &WarningDoc) -> String {
    format!("since {}: {}", warning.since, warning.message)
}

/// Breaks a sentence between words. A word that is longer than a line is cut.
fn wrapped(sentence: &str, width: Width) -> String {
    let columns = match width {
        Width::Unlimited => WIDEST,
        Width::Columns(columns) => columns.clamp(20, WIDEST),
    };
    let mut text = String::new();
    let mut line = String::new();
    for word in sentence.split(' ') {
        let word: String = word.chars().take(columns - INDENT.len()).collect();
        let full = line.chars().count() + 1 + word.chars().count() > columns;
        if full && !line.trim().is_empty() {
            text.push_str(&line);
            text.push('\n');
            INDENT.clone_into(&mut line);
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    text.push_str(&line);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_broken_between_words_and_a_long_word_is_cut() {
        let sentence = "! web: nobody serves 192.0.2.50 and a-word-that-is-longer-than-the-line";
        let expected = "! web: nobody serves\n  192.0.2.50 and\n  a-word-that-is-lon\n";
        assert_eq!(wrapped(sentence, Width::Columns(20)), expected);
        assert_eq!(wrapped("! web: short", Width::Columns(20)), "! web: short\n");
        assert_eq!(wrapped(sentence, Width::Unlimited), format!("{sentence}\n"));
    }
}
