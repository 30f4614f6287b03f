//! Log lines on standard error.
//!
//! Owns the set-up of `tracing` and the line of an event. Levels say who acts: ERROR, the service
//! here is bad; WARN, somebody should look; INFO, explains what happened; DEBUG and TRACE, for
//! those who debug the daemon. Writing may block: never call this on the protocol thread.

use super::event_doc::{EventDoc, Severity, severity};
use super::events::EventRecord;
use std::fmt;
use std::str::FromStr;
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

/// The environment variable that sets levels: `debug`, or `info,vrrpd::control=debug`. A value that
/// is neither counts as absent.
pub const LEVEL_VARIABLE: &str = "VRRPD_LOG";

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LogFormat {
    /// A line for people, with values as `key=value`.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Not a log format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a log format is \"text\" or \"json\"")]
pub struct LogFormatError;

impl FromStr for LogFormat {
    type Err = LogFormatError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogFormatError),
        }
    }
}

/// Starts logging to standard error, at INFO unless [`LEVEL_VARIABLE`] says otherwise.
///
/// # Errors
/// If logging was started before.
pub fn init(format: LogFormat) -> Result<(), SetGlobalDefaultError> {
    let levels = std::env::var(LEVEL_VARIABLE).ok().and_then(|levels| levels.parse().ok());
    let levels = levels.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let style = match format {
        LogFormat::Json => Style::Json,
        LogFormat::Text if under_journal() => Style::Journal,
        LogFormat::Text => Style::Terminal,
    };
    tracing::subscriber::set_global_default(subscriber(style, levels, std::io::stderr))
}

enum Style {
    Terminal,
    Journal,
    Json,
}

fn subscriber<W>(style: Style, levels: Targets, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
    let levels = tracing_subscriber::registry().with(levels);
    match style {
        Style::Terminal => Box::new(levels.with(lines)),
        Style::Journal => {
            let format = Format::default().with_ansi(false).without_time();
            Box::new(levels.with(lines.event_format(ForJournal(format))))
        }
        Style::Json => Box::new(levels.with(lines.json().flatten_event(true))),
    }
}

/// Writes the line of one event: its text, and its values as fields.
pub fn log_event(record: &EventRecord) {
    let doc = EventDoc::new(record);
    match severity(&record.event.kind) {
        Severity::Info => info_line(&doc),
        Severity::Warning => warning_line(&doc),
    }
}

/// `tracing` wants the level and the names of all fields at compile time. A field without a value
/// is left out of the line.
macro_rules! line {
    ($level:expr, $doc:expr) => {{
        let EventDoc { seq, time: _, severity: _, kind, name, interface, family, vrid, details, text } = $doc;
        tracing::event!(
            target: "vrrpd::event",
            $level,
            seq,
            kind = &**kind,
            router = name.as_deref(),
            interface = interface.as_deref(),
            family = family.as_deref(),
            vrid,
            from = details.from.as_deref(),
            to = details.to.as_deref(),
            cause = details.cause.as_deref(),
            priority_before = details.priority_before,
            priority = details.priority,
            peer = details.peer.map(tracing::field::display),
            peer_priority = details.peer_priority,
            fault = details.fault.as_deref(),
            after_ms = details.after_ms,
            released = details.released,
            by = details.by.as_deref(),
            reason = details.reason.as_deref(),
            count = details.count,
            error = details.error.as_deref(),
            suspicion = details.suspicion.as_deref(),
            late_ms = details.late_ms,
            checksum = details.checksum.as_deref(),
            hook = details.hook.as_deref(),
            state = details.state.as_deref(),
            outcome = details.outcome.as_deref(),
            took_ms = details.took_ms,
            "{text}"
        );
    }};
}

fn info_line(doc: &EventDoc) {
    line!(Level::INFO, doc);
}

fn warning_line(doc: &EventDoc) {
    line!(Level::WARN, doc);
}

/// Whether standard error goes to systemd's journal, which dates lines itself (systemd.exec(5)).
fn under_journal() -> bool {
    use nix::sys::stat::fstat;
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else { return false };
    fstat(std::io::stderr()).is_ok_and(|s| stream.to_str() == Some(&format!("{}:{}", s.st_dev, s.st_ino)))
}

/// Begins each line with its syslog level, `<4>`, so that `journalctl -p warning` works (sd-daemon(3)).
struct ForJournal(Format<Full, ()>);

impl<S, N> FormatEvent<S, N> for ForJournal
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
        let level = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{level}>")?;
        self.0.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests;
