//! The `vrrpctl` side of the control socket: one call, its replies, and what they mean for the
//! exit code.
//!
//! Uses plain blocking I/O, because a command waits for one thing only. Every wait has a limit,
//! except that of a command that follows events.

use super::message::{
    DemoteDoc, ErrorDetailDoc, ErrorDoc, EventsDoc, PromoteDoc, ReloadDoc, ShowDoc, StatusDoc, TakeDoc,
    VERSION,
};
use super::varlink::{Call, FrameBuffer, Reply, encode_call};
use super::wait::{WaitGoal, Waited};
use crate::agent::{Severity, named};
use crate::types::MonoTime;
use jiff::Timestamp;
use nix::sys::socket::{getsockopt, sockopt};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The limit of the connection, and of answers that only read. A healthy daemon answers within
/// milliseconds, and an operator whose daemon hangs must learn it soon.
const PATIENCE: Duration = Duration::from_secs(2);
/// The limit of hand-overs and reloads, longer than the limit of the server.
const COMMAND_PATIENCE: Duration = Duration::from_secs(130);
/// The time after which a command that is still under way says so.
const PROMPT: Duration = Duration::from_millis(300);
/// How long [`Client::wait`] waits before it asks again.
const PAUSE: Duration = Duration::from_millis(100);
/// The largest reply in bytes: that of some 10,000 routers.
const REPLY_MAX: usize = 32 * 1024 * 1024;

/// The exit codes of `vrrpctl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command did what it was asked.
    Done = 0,
    /// The command failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The daemon is not reachable.
    Unreachable = 3,
    /// The daemon refused, because the change would harm the service.
    Refused = 4,
    /// The daemon did not answer in time.
    TimedOut = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No daemon listens on the socket.
    #[error("cannot reach vrrpd at {path}: {source}\nIs it running? See: systemctl status vrrpd", path = .path.display())]
    Unreachable {
        /// The path of the socket.
        path: PathBuf,
        /// The error of the connection.
        source: io::Error,
    },
    /// The mode of the socket does not allow this user to connect.
    #[error("not allowed to use {path}: become root, or a member of the group vrrpd", path = .path.display())]
    Forbidden {
        /// The path of the socket.
        path: PathBuf,
    },
    /// The daemon did not answer in time.
    #[error("{}", silent(.path, *.pid, *.waited))]
    TimedOut {
        /// The path of the socket.
        path: PathBuf,
        /// The process that listens there, if it let us connect.
        pid: Option<i32>,
        /// How long the client waited.
        waited: Duration,
    },
    /// The daemon ended the connection without an answer.
    #[error("vrrpd at {path} closed the connection without an answer; did it stop?", path = .path.display())]
    Closed {
        /// The path of the socket.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("the connection to vrrpd at {path} broke: {source}", path = .path.display())]
    Broken {
        /// The path of the socket.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The process that listens there is not a vrrpd, or is of a release with another protocol.
    #[error("cannot understand the answer of {path}: {detail}", path = .path.display())]
    NotUnderstood {
        /// The path of the socket.
        path: PathBuf,
        /// The part that was not understood.
        detail: String,
    },
    /// The daemon has no router of this name.
    #[error("{}", unknown_router(.name, .known))]
    UnknownRouter {
        /// The name that was asked for.
        name: String,
        /// The names of the routers that exist.
        known: Vec<String>,
    },
    /// The daemon cannot read its configuration.
    #[error("vrrpd cannot read {file}: {reason}; nothing was changed")]
    UnreadableConfiguration {
        /// The path of the file.
        file: String,
        /// The error that the daemon met.
        reason: String,
    },
    /// The daemon is stopping.
    #[error("vrrpd is stopping and accepts no more commands; a hook or a script may ignore this")]
    Stopping,
    /// The daemon waited for the end of the command, and its limit passed.
    #[error("vrrpd did not finish in time; see: vrrpctl status")]
    NotFinished,
    /// The daemon refused the call for another reason.
    #[error("vrrpd refused the call: {error} {parameters}")]
    Refused {
        /// The name of the varlink error.
        error: String,
        /// The parameters of the varlink error.
        parameters: Value,
    },
}

/// The routers that a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The routers of these names.
    Names(Vec<String>),
    /// All routers of the node.
    All,
}

/// The demotion that an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoteRequest<'a> {
    /// The operator's reason; it may be empty.
    pub reason: &'a str,
    /// How long the demotion lasts; `None`: until the router is promoted.
    pub span: Option<Duration>,
    /// Whether the router still serves when no other router does.
    pub last_resort: LastResort,
    /// Whether to release addresses that no other router takes over.
    pub force: Force,
    /// How long open connections are kept; `None`: as the router is configured.
    pub drain: Option<Duration>,
}

/// The events that an operator wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSelection<'a> {
    /// How many of the latest events are wanted.
    pub last: usize,
    /// Only events of these routers are wanted; if there are no names, those of all routers and of
    /// the node.
    pub names: &'a [String],
    /// Only events of at least this severity are wanted.
    pub severity: Option<Severity>,
    /// Only events at this time or later are wanted.
    pub since: Option<Timestamp>,
}

impl EventSelection<'_> {
    fn parameters(&self) -> Value {
        json!({
            "last": self.last,
            "names": self.names,
            "severity": self.severity.map(Severity::as_str),
            "since": self.since,
        })
    }
}

pub use crate::agent::ReloadMode;
pub use crate::protocol::{Force, LastResort};

/// A connection to the daemon.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    frames: FrameBuffer,
    path: PathBuf,
    /// How long the client waits for the present reply.
    patience: Duration,
}

impl Client {
    /// Connects to the daemon at `path`.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], [`ClientError::Forbidden`] or [`ClientError::TimedOut`].
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream = connect(path).map_err(|source| unreachable(path.to_owned(), source))?;
        Ok(Self { stream, frames: FrameBuffer::new(REPLY_MAX), path: path.to_owned(), patience: PATIENCE })
    }

    /// Asks for the status of all routers, or of one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn status(&mut self, name: Option<&str>) -> Result<StatusDoc, ClientError> {
        self.call("Status", json!({ "name": name }), PATIENCE)
    }

    /// Asks for everything about one router.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn show(&mut self, name: &str) -> Result<ShowDoc, ClientError> {
        self.call("Show", json!({ "name": name }), PATIENCE)
    }

    /// Takes routers out of service. Calls `waiting` once if that does not end at once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn demote(
        &mut self,
        selection: &Selection,
        order: &DemoteRequest<'_>,
        waiting: impl FnOnce(),
    ) -> Result<DemoteDoc, ClientError> {
        let DemoteRequest { reason, span, last_resort, force, drain } = *order;
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let (span, drain) = (span.map(millis), drain.map(millis));
        let mut parameters = selected(selection);
        parameters.insert("reason".to_owned(), reason.into());
        parameters.insert("for_ms".to_owned(), span.into());
        parameters.insert("last_resort".to_owned(), (last_resort == LastResort::Yes).into());
        parameters.insert("force".to_owned(), (force == Force::Yes).into());
        if drain.is_some() {
            parameters.insert("drain_ms".to_owned(), drain.into());
        }
        self.send("Demote", Value::Object(parameters), Replies::One)?;
        let reply = match self.reply(PROMPT) {
            Err(ClientError::TimedOut { .. }) => {
                waiting();
                self.reply(COMMAND_PATIENCE)?
            }
            reply => reply?,
        };
        self.understand(reply)
    }

    /// Ends the demotions of routers.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn promote(&mut self, selection: &Selection) -> Result<PromoteDoc, ClientError> {
        self.call("Promote", Value::Object(selected(selection)), COMMAND_PATIENCE)
    }

    /// Has the Active hand over to this node.
    ///
    /// # Errors
    /// [`ClientError`]. A refusal is not a failure of the call: the document has the reason.
    pub fn take(&mut self, name: &str) -> Result<TakeDoc, ClientError> {
        self.call("Take", json!({ "name": name }), COMMAND_PATIENCE)
    }

    /// Has the daemon read its configuration again.
    ///
    /// # Errors
    /// [`ClientError`]. A file with errors is not a failure of the call: the document has the
    /// errors.
    pub fn reload(&mut self, intent: ReloadMode) -> Result<ReloadDoc, ClientError> {
        self.call("Reload", json!({ "dry_run": intent == ReloadMode::DryRun }), COMMAND_PATIENCE)
    }

    /// Asks for the latest events of those that are wanted.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn events(&mut self, wanted: &EventSelection<'_>) -> Result<EventsDoc, ClientError> {
        self.call("Events", wanted.parameters(), PATIENCE)
    }

    /// Asks for the latest events of those that are wanted, and then for new ones, until `each`
    /// breaks.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Closed`] when the daemon ends.
    pub fn follow(
        &mut self,
        wanted: &EventSelection<'_>,
        mut each: impl FnMut(EventsDoc) -> ControlFlow<()>,
    ) -> Result<(), ClientError> {
        self.send("Events", wanted.parameters(), Replies::Many)?;
        let mut reply = self.reply(PATIENCE)?;
        loop {
            let continues = reply.continues;
            if each(self.understand(reply)?).is_break() || !continues {
                return Ok(());
            }
            self.stream.set_read_timeout(None).map_err(|source| self.broken(source))?;
            reply = self.read_reply()?;
        }
    }

    /// Waits until a router has reached a goal, or until the time is over. `now` reads a clock that
    /// never steps.
    ///
    /// Asks for the status every 100 ms, and does not follow the events: that an Active elsewhere
    /// was heard, or that a hand-over ended, is not always an event, and a question needs no care
    /// for what happened before the first event came.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn wait(
        &mut self,
        name: &str,
        goal: WaitGoal,
        timeout: Duration,
        now: impl Fn() -> MonoTime,
    ) -> Result<Waited, ClientError> {
        let begun = now();
        loop {
            let status = self.status(Some(name))?;
            if goal.is_reached(&status) {
                return Ok(Waited::Reached(status));
            }
            let left = timeout.saturating_sub(now().since(begun));
            if left.is_zero() {
                return Ok(Waited::TimeIsOver(status));
            }
            self.pause(left.min(PAUSE))?;
        }
    }

    /// Lets time pass, and notices at once that the daemon ends.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn pause(&mut self, span: Duration) -> Result<(), ClientError> {
        match self.reply(span) {
            Err(ClientError::TimedOut { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(ClientError::NotUnderstood {
                path: self.path.clone(),
                detail: "it answers a question that was not asked".to_owned(),
            }),
        }
    }

    fn call<T: DeserializeOwned>(
        &mut self,
        method: &str,
        parameters: Value,
        patience: Duration,
    ) -> Result<T, ClientError> {
        self.send(method, parameters, Replies::One)?;
        let reply = self.reply(patience)?;
        self.understand(reply)
    }

    fn send(&mut self, method: &str, parameters: Value, replies: Replies) -> Result<(), ClientError> {
        let call = Call {
            method: format!("org.vrrpd.Control.{method}"),
            parameters: object(parameters),
            more: replies == Replies::Many,
            oneway: false,
        };
        match self.stream.write_all(&encode_call(&call)) {
            Ok(()) => Ok(()),
            // The daemon may have written the reason before it closed the connection, so the reply
            // is read.
            Err(source) if source.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(source) => Err(self.broken(source)),
        }
    }

    fn reply(&mut self, patience: Duration) -> Result<Reply, ClientError> {
        self.patience = patience;
        self.stream.set_read_timeout(Some(patience)).map_err(|source| self.broken(source))?;
        self.read_reply()
    }

    fn read_reply(&mut self) -> Result<Reply, ClientError> {
        let mut piece = [0; 8192];
        loop {
            let frame = self.frames.next_frame().map_err(|error| self.not_understood(&error))?;
            if let Some(frame) = frame {
                let reply = serde_json::from_slice(&frame);
                return reply.map_err(|error| self.not_understood(&error));
            }
            let read = match self.stream.read(&mut piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.map_err(|source| self.broken(source))?,
            };
            match piece.get(..read) {
                Some([]) | None => return Err(ClientError::Closed { path: self.path.clone() }),
                Some(bytes) => self.frames.extend(bytes),
            }
        }
    }

    fn understand<T: DeserializeOwned>(&self, reply: Reply) -> Result<T, ClientError> {
        match reply.error {
            None => serde_json::from_value(reply.parameters).map_err(|error| self.not_understood(&error)),
            Some(error) => Err(remote(error, reply.parameters)),
        }
    }

    fn broken(&self, source: io::Error) -> ClientError {
        let path = self.path.clone();
        if matches!(source.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            let pid = getsockopt(&self.stream, sockopt::PeerCredentials).map(|peer| peer.pid());
            let pid = pid.ok().filter(|pid| *pid > 0);
            ClientError::TimedOut { path, pid, waited: self.patience }
        } else if source.kind() == ErrorKind::ConnectionReset {
            ClientError::Closed { path }
        } else {
            ClientError::Broken { path, source }
        }
    }

    fn not_understood(&self, error: &dyn std::error::Error) -> ClientError {
        ClientError::NotUnderstood { path: self.path.clone(), detail: error.to_string() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replies {
    One,
    Many,
}

impl ClientError {
    /// The exit code of `vrrpctl` for this error.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            // A daemon that stops counts as unreachable, so that a script gets the same exit code a
            // moment before the socket goes and a moment after.
            Self::Unreachable { .. } | Self::Forbidden { .. } | Self::Stopping => Exit::Unreachable,
            Self::TimedOut { .. } | Self::NotFinished => Exit::TimedOut,
            Self::Closed { .. }
            | Self::Broken { .. }
            | Self::NotUnderstood { .. }
            | Self::UnknownRouter { .. }
            | Self::UnreadableConfiguration { .. }
            | Self::Refused { .. } => Exit::Failed,
        }
    }

    /// Builds the document of the failure for `--json`.
    #[must_use]
    pub fn document(&self) -> ErrorDoc {
        let kind = error_kind(self);
        ErrorDoc { version: VERSION, error: ErrorDetailDoc { kind: kind.into(), message: self.to_string() } }
    }
}

/// The kind of an error that was met without the daemon: a file or the output of the command.
pub const LOCAL_ERROR: &str = "io";

named! {
    /// The fixed names of all kinds of errors but [`LOCAL_ERROR`].
    pub(super) const ERROR_KINDS;
    /// The fixed name of an error's kind.
    fn error_kind(ClientError);
    ClientError::Unreachable { .. } => "unreachable",
    ClientError::Forbidden { .. } => "forbidden",
    ClientError::TimedOut { .. } | ClientError::NotFinished => "timed_out",
    ClientError::Closed { .. } | ClientError::Broken { .. } => "connection_lost",
    ClientError::NotUnderstood { .. } => "not_understood",
    ClientError::UnknownRouter { .. } => "unknown_router",
    ClientError::UnreadableConfiguration { .. } => "unreadable_configuration",
    ClientError::Stopping => "stopping",
    ClientError::Refused { .. } => "refused_call",
}

/// The parameters as an object. Parameters that are not an object become an empty one.
fn object(parameters: Value) -> Map<String, Value> {
    match parameters {
        Value::Object(parameters) => parameters,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// Connects without blocking, because `UnixStream::connect` would wait without a limit for a daemon
/// that hangs with a full backlog.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}

fn unreachable(path: PathBuf, source: io::Error) -> ClientError {
    if source.kind() == ErrorKind::PermissionDenied {
        ClientError::Forbidden { path }
    } else if source.kind() == ErrorKind::WouldBlock {
        // A socket that does not block gets this answer of the kernel when the backlog is full.
        ClientError::TimedOut { path, pid: None, waited: PATIENCE }
    } else {
        ClientError::Unreachable { path, source }
    }
}

fn selected(selection: &Selection) -> Map<String, Value> {
    match selection {
        Selection::Names(names) => Map::from_iter([("names".to_owned(), names.clone().into())]),
        Selection::All => Map::from_iter([("all".to_owned(), true.into())]),
    }
}

fn remote(error: String, parameters: Value) -> ClientError {
    match error.as_str() {
        "org.vrrpd.Control.UnknownRouter" => {
            let name = parameters.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let known = parameters.get("known").and_then(Value::as_array);
            let known = known.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            ClientError::UnknownRouter { name, known }
        }
        "org.vrrpd.Control.UnreadableConfiguration" => {
            let text = |key| parameters.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            ClientError::UnreadableConfiguration { file: text("file"), reason: text("reason") }
        }
        "org.vrrpd.Control.Stopping" => ClientError::Stopping,
        "org.vrrpd.Control.TimedOut" => ClientError::NotFinished,
        _ => ClientError::Refused { error, parameters },
    }
}

/// The sentence about a daemon that does not answer. It runs, which is another problem than a
/// daemon that does not.
fn silent(path: &Path, pid: Option<i32>, waited: Duration) -> String {
    let who = pid.map_or_else(|| "vrrpd".to_owned(), |pid| format!("vrrpd (process {pid})"));
    format!(
        "{who} is there, at {}, and did not answer within {waited:?}: it hangs, or the machine is overloaded\n\
         Its log may tell why: journalctl -u vrrpd",
        path.display()
    )
}

/// The sentence about an unknown router. It names the routers that exist; if there are many, it
/// names the most similar ones first.
fn unknown_router(name: &str, known: &[String]) -> String {
    const NAMED: usize = 12;
    if known.is_empty() {
        return format!("no virtual router is called \"{name}\": none is configured");
    }
    let mut nearest: Vec<&str> = known.iter().map(String::as_str).collect();
    if nearest.len() > NAMED {
        nearest.sort_by_cached_key(|candidate| strsim::damerau_levenshtein(candidate, name));
    }
    let named: Vec<_> = nearest.iter().take(NAMED).copied().collect();
    let rest = match nearest.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("no virtual router is called \"{name}\"; there are: {}{rest}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: ErrorKind) -> ClientError {
        unreachable("/run/vrrpd/control.sock".into(), kind.into())
    }

    #[test]
    fn a_socket_for_others_names_the_group_that_may() {
        let error = failed(ErrorKind::PermissionDenied);
        assert_eq!((error.exit(), &*error.document().error.kind), (Exit::Unreachable, "forbidden"));
        assert!(error.to_string().contains("/run/vrrpd/control.sock"), "{error}");
        assert!(error.to_string().contains("the group vrrpd"), "{error}");
    }

    #[test]
    fn a_backlog_that_stays_full_is_a_time_out() {
        assert_eq!(failed(ErrorKind::WouldBlock).exit(), Exit::TimedOut);
        assert_eq!(failed(ErrorKind::ConnectionRefused).exit(), Exit::Unreachable);
    }

    #[test]
    fn of_many_routers_the_nearest_names_are_told() {
        let known: Vec<_> = (100..400).map(|n| format!("router-{n}")).collect();
        let message = unknown_router("router-3999", &known);
        assert!(message.starts_with("no virtual router is called \"router-3999\"; there are: router-399, "));
        assert!(message.ends_with(" and 288 more"), "{message}");
    }
}
