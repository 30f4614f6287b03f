//! Log lines on standard error.
//!
//! Owns the set-up of `tracing` and the line of an event. A level says how soon a person must act;
//! [`Severity`] says it of events: ERROR, now; WARN, during working hours. INFO explains what
//! happened. DEBUG and TRACE are for people who debug the daemon. No thread waits for the reader of
//! the lines, because the [`Printer`] does.

use super::printer::{Printer, Stream};
use crate::agent::error::panic_message;
use crate::agent::{EventRecord, Severity};
use crate::words::{EventDetails, EventDoc, Word};
use lines::ForPeople;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;
use std::panic::{self, PanicHookInfo};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

mod levels;
mod lines;

pub use levels::{LEVEL_VARIABLE, LevelError, levels};

/// The target of the lines of events.
const EVENT_TARGET: &str = "vrrpd::event";

/// The form of log lines, which `--log-format` sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LogFormat {
    /// Each line is text for people, with values as `key=value`.
    #[default]
    Text,
    /// Each line is a JSON object.
    Json,
}

/// The error about a text that does not name a form.
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

/// Starts the printer for standard error. Its lines about lost lines have the form of all others.
///
/// # Errors
/// If the thread of the printer cannot be started.
pub fn printer(format: LogFormat) -> io::Result<Printer> {
    let style = LineStyle::of(format);
    Printer::start("vrrpd-log", Stream::of(io::stderr())?, Box::new(move |lost| apology(style, lost)))
}

/// Starts logging at these levels. Panics are logged too, because the standard library would wait
/// for the reader of standard error.
///
/// # Errors
/// If logging was started before.
pub fn init(format: LogFormat, levels: Targets, printer: &Printer) -> Result<(), SetGlobalDefaultError> {
    tracing::subscriber::set_global_default(subscriber(LineStyle::of(format), levels, printer.clone()))?;
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum LineStyle {
    Terminal,
    Journal,
    Json,
}

impl LineStyle {
    fn of(format: LogFormat) -> Self {
        match format {
            LogFormat::Json => Self::Json,
            LogFormat::Text if under_journal() => Self::Journal,
            LogFormat::Text => Self::Terminal,
        }
    }
}

fn subscriber<W>(style: LineStyle, levels: Targets, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer);
    let levels = tracing_subscriber::registry().with(levels);
    match style {
        LineStyle::Terminal => Box::new(levels.with(lines.event_format(ForPeople::Terminal))),
        LineStyle::Journal => Box::new(levels.with(lines.event_format(ForPeople::Journal))),
        LineStyle::Json => Box::new(levels.with(lines.json().flatten_event(true))),
    }
}

/// The line that is written in place of lost lines.
fn apology(style: LineStyle, lost: u64) -> Vec<u8> {
    let line = LineBuffer::default();
    let levels = Targets::new().with_default(LevelFilter::WARN);
    let writer = line.clone();
    tracing::subscriber::with_default(subscriber(style, levels, move || writer.clone()), || {
        tracing::warn!(target: EVENT_TARGET, lost, "{lost} log lines were lost: nobody read them in time; the service went on");
    });
    std::mem::take(&mut *line.lock())
}

/// The buffer in which one line is built.
#[derive(Clone, Default)]
struct LineBuffer(Arc<Mutex<Vec<u8>>>);

impl LineBuffer {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for LineBuffer {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.lock().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Logs a panic with the text of the standard library, and with a backtrace if `RUST_BACKTRACE`
/// asks for one.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let (thread, place) = (thread.name(), panic.location().map(tracing::field::display));
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| tracing::field::display(&backtrace));
    tracing::error!(thread, place, backtrace, "{}", panic_message(panic.payload()));
}

/// Writes the line of one event: its text, and its values as fields.
pub fn log_event(record: &EventRecord) {
    log_doc(Severity::of(&record.event.kind), &EventDoc::new(record));
}

fn log_doc(severity: Severity, doc: &EventDoc) {
    match severity {
        Severity::Info => info_line(doc),
        Severity::Warning => warning_line(doc),
        Severity::Error => error_line(doc),
    }
}

/// Writes one event at a level that is known at compile time, because `tracing` wants the level and
/// the names of all fields then. A field without a value is left out of the line. A new field of an
/// event does not compile before it is logged.
macro_rules! line {
    ($level:expr, $doc:expr) => {{
        let EventDoc { seq, time: _, severity: _, kind, name, interface, family, vrid, details, text } = $doc;
        let EventDetails {
            from,
            to,
            cause,
            priority_before,
            priority,
            peer,
            peer_node,
            peer_priority,
            peer_age_ms,
            lasted_ms,
            fault,
            concern,
            mac_before,
            mac,
            after_ms,
            released,
            by,
            reason,
            check,
            health,
            weights,
            count,
            error,
            suspicion,
            addresses,
            silent_ms,
            learned_ms,
            lasts_ms,
            reset,
            late_ms,
            checksum,
            hook,
            state,
            outcome,
            took_ms,
            node,
            reasons,
            setting,
        } = details;
        tracing::event!(
            target: EVENT_TARGET,
            $level,
            seq,
            kind = &**kind,
            router = name.as_deref(),
            interface = interface.as_deref(),
            family = family.as_deref(),
            vrid,
            from = from.as_deref(),
            to = to.as_deref(),
            cause = cause.as_deref(),
            priority_before,
            priority,
            peer = peer.map(tracing::field::display),
            peer_node = peer_node.as_deref(),
            peer_priority,
            peer_age_ms,
            lasted_ms,
            fault = fault.as_deref(),
            concern = concern.as_deref(),
            mac_before = mac_before.map(tracing::field::display),
            mac = mac.map(tracing::field::display),
            after_ms,
            released,
            by = by.as_deref(),
            reason = reason.as_deref(),
            check = check.as_deref(),
            health = health.as_deref(),
            weights = weights.as_ref().map(weighed),
            count,
            error = error.as_deref(),
            suspicion = suspicion.as_deref(),
            addresses = addresses.as_deref().map(listed),
            silent_ms,
            learned_ms,
            lasts_ms,
            reset,
            late_ms,
            checksum = checksum.as_deref(),
            hook = hook.as_deref(),
            state = state.as_deref(),
            outcome = outcome.as_deref(),
            took_ms,
            node = node.as_deref(),
            reasons = reasons.as_ref().map(explained),
            setting = setting.as_deref(),
            "{text}"
        );
    }};
}

/// The weights as one value, because a field has only one: `nginx=-60 haproxy=-10`.
fn weighed(weights: &BTreeMap<Word, i32>) -> String {
    weights.iter().map(|(check, change)| format!("{check}={change}")).collect::<Vec<_>>().join(" ")
}

/// The nodes and their reasons as one value: `fe1: check nginx fails; fe2: …`.
fn explained(reasons: &BTreeMap<String, String>) -> String {
    reasons.iter().map(|(node, why)| format!("{node}: {why}")).collect::<Vec<_>>().join("; ")
}

/// The addresses as one value, written as for hooks.
fn listed(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn info_line(doc: &EventDoc) {
    line!(Level::INFO, doc);
}

fn warning_line(doc: &EventDoc) {
    line!(Level::WARN, doc);
}

fn error_line(doc: &EventDoc) {
    line!(Level::ERROR, doc);
}

/// Whether standard error goes to systemd's journal, which dates lines itself (systemd.exec(5)).
fn under_journal() -> bool {
    use nix::sys::stat::fstat;
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else { return false };
    fstat(std::io::stderr()).is_ok_and(|s| stream.to_str() == Some(&format!("{}:{}", s.st_dev, s.st_ino)))
}

#[cfg(test)]
mod tests;
