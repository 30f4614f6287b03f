//! Floor 6: the command lines of both programs, as types.
//!
//! In the library and not in `src/bin`, so that man pages and completions are generated from the
//! same definitions that parse (`tests/generated`). Must not know: what a command does.

pub mod vrrpctl;
pub mod vrrpd;

use crate::config::report::Style;
use clap::Parser;
use clap::error::{ContextKind, ContextValue, Error};
use std::env::var_os;
use std::ffi::OsStr;
use std::io::IsTerminal;

/// The arguments of this process; ends it, with a usage error or with help, if they are none.
#[must_use]
pub fn arguments<P: Parser>() -> P {
    P::try_parse().unwrap_or_else(|error| without_wrong_tip(error).exit())
}

/// For an option that there is not, the parser suggests to pass it as a value; but no name of a router begins with a dash.
/// Its other suggestions are right.
fn without_wrong_tip(mut error: Error) -> Error {
    if let Some(ContextValue::StyledStrs(mut tips)) = error.remove(ContextKind::Suggested) {
        tips.retain(|tip| !tip.to_string().contains("as a value"));
        if !tips.is_empty() {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
        }
    }
    error
}

/// Colours for a terminal that shows them, unless its user wants none (<https://no-color.org>).
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
