//! The command lines of both programs, as types.
//!
//! They are part of the library, so that man pages and completions are generated from the
//! definitions that parse (`cargo xtask docs`). Must not know what a command does.

pub mod vrrpctl;
pub mod vrrpd;

use crate::config::report::Style;
use clap::Parser;
use clap::error::{ContextKind, ContextValue, Error};
use std::env::var_os;
use std::ffi::OsStr;
use std::io::IsTerminal;

/// Parses the arguments of this process. If they are wrong or ask for help, it prints that and ends
/// the process.
#[must_use]
pub fn arguments<P: Parser>() -> P {
    P::try_parse().unwrap_or_else(|error| without_wrong_tip(error).exit())
}

/// Removes a suggestion that is wrong here. For an unknown option, the parser suggests to pass it
/// as a value; but a router's name cannot begin with a dash. The parser's other suggestions are
/// right.
fn without_wrong_tip(mut error: Error) -> Error {
    if let Some(ContextValue::StyledStrs(mut tips)) = error.remove(ContextKind::Suggested) {
        tips.retain(|tip| !tip.to_string().contains("as a value"));
        if !tips.is_empty() {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
        }
    }
    error
}

/// Whether the output has colours: only for a terminal whose user does not refuse them
/// (<https://no-color.org>).
#[must_use]
pub fn style(stream: &impl IsTerminal) -> Style {
    if stream.is_terminal() {
        style_of(var_os("NO_COLOR").as_deref(), var_os("TERM").as_deref())
    } else {
        Style::Plain
    }
}

fn style_of(no_color: Option<&OsStr>, term: Option<&OsStr>) -> Style {
    let unwanted = no_color.is_some_and(|value| !value.is_empty());
    if unwanted || term.is_some_and(|term| term == "dumb") { Style::Plain } else { Style::Colour }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_and_a_dumb_terminal_are_obeyed() {
        for (no_color, term, expected) in [
            (None, Some("xterm-256color"), Style::Colour),
            (None, None, Style::Colour),
            (Some(""), Some("xterm"), Style::Colour),
            (Some("1"), Some("xterm"), Style::Plain),
            (None, Some("dumb"), Style::Plain),
        ] {
            let found = style_of(no_color.map(OsStr::new), term.map(OsStr::new));
            assert_eq!(found, expected, "NO_COLOR={no_color:?} TERM={term:?}");
        }
    }
}
