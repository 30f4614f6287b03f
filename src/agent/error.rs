//! The text of errors: an error with everything that led to it, on one line, and the message of a
//! panic.

use std::any::Any;
use std::error::Error;

/// An error followed by its sources, joined with `: `, for a line of a log or of standard error.
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line.push_str(": ");
        line.push_str(&error.to_string());
        source = error.source();
    }
    line
}

/// The message of a panic, with the request to report it.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("this is a bug, please report it: {}", text.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot start the event loop")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot make a timer")]
    struct Middle(#[source] io::Error);

    #[test]
    fn an_error_is_told_with_every_source_on_one_line() {
        let error = Outer(Middle(io::Error::other("no memory")));
        assert_eq!(error_chain(&error), "cannot start the event loop: cannot make a timer: no memory");
        assert_eq!(error_chain(&io::Error::other("alone")), "alone");
    }

    #[test]
    fn a_panic_is_told_whether_its_message_was_formatted_or_not() {
        for panic in [Box::new("at line 3") as Box<dyn Any + Send>, Box::new("at line 3".to_owned())] {
            assert_eq!(panic_message(&*panic), "this is a bug, please report it: at line 3");
        }
        assert_eq!(panic_message(&7_u8), "this is a bug, please report it: ");
    }
}
