//! The form of a line for people: the time, the level, the sentence, and the values that the
//! sentence does not have.
//!
//! The sentence of an event (see `words`) has all its values, so its fields are written in the JSON
//! form only, which programs read. Text that others wrote is printed without control characters,
//! because a terminal obeys them.

use super::EVENT_TARGET;
use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Which side adds the time to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ForPeople {
    /// The line has the time.
    Terminal,
    /// The journal adds the time. The line begins with its syslog level, `<4>`, so that `journalctl
    /// -p warning` works (sd-daemon(3)).
    Journal,
}

impl<S, N> FormatEvent<S, N> for ForPeople
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        match self {
            Self::Terminal => {
                SystemTime.format_time(&mut writer)?;
                writer.write_char(' ')?;
            }
            Self::Journal => write!(writer, "<{}>", syslog(level))?,
        }
        write!(writer, "{level:>5} ")?;
        if event.metadata().target() == EVENT_TARGET {
            event.record(&mut Sentence(&mut writer));
        } else {
            context.format_fields(writer.by_ref(), event)?;
        }
        writer.write_char('\n')
    }
}

const fn syslog(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Writes the sentence of an event and none of its fields.
struct Sentence<'w, 'a>(&'w mut Writer<'a>);

impl Visit for Sentence<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // A value that cannot be written is left out, because that must not end the daemon.
            let _ = write!(Printable(self.0), "{value:?}");
        }
    }
}

/// Replaces control characters.
struct Printable<'w, 'a>(&'w mut Writer<'a>);

impl fmt::Write for Printable<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.0.write_char(if character.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                character
            })?;
        }
        Ok(())
    }
}
