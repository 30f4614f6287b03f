//! The `vrrpctl` side of the control socket: one call, its replies, and what they mean for the
//! exit code.
//!
//! Plain blocking I/O: a command has one thing to wait for. No wait is without an end except that
//! of a follower.

use super::message::{
    DemoteDoc, ErrorDetailDoc, ErrorDoc, EventsDoc, PromoteDoc, ReloadDoc, ShowDoc, StatusDoc, VERSION,
};
use super::varlink::{Call, FrameBuffer, Reply, encode_call};
use crate::agent::Severity;
use jiff::Timestamp;
use nix::sys::socket::{getsockopt, sockopt};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For the connection and for answers that only read. A daemon that is well answers within milliseconds, and whoever
/// asks one that is not wants to know.
const PATIENCE: Duration = Duration::from_secs(2);
/// For hand-overs and reloads: longer than the server's own patience.
const COMMAND_PATIENCE: Duration = Duration::from_secs(130);
/// When a command that is not done deserves a word.
const PROMPT: Duration = Duration::from_millis(300);
/// Bytes of a reply: some 10,000 routers.
const REPLY_MAX: usize = 32 * 1024 * 1024;

/// The exit codes of `vrrpctl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong usage, or a wrong configuration.
    Usage = 2,
    /// The daemon is not reachable.
    Unreachable = 3,
    /// Refused, because it would harm the service.
    Refused = 4,
    /// Timed out.
    TimedOut = 5,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("cannot reach vrrpd at {path}: {source}\nIs it running? See: systemctl status vrrpd", path = .path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The socket's mode forbids it.
    #[error("not allowed to use {path}: become root, or a member of the group vrrpd", path = .path.display())]
    Forbidden {
        /// The socket.
        path: PathBuf,
    },
    /// The daemon did not answer in time.
    #[error("{}", silent(.path, *.pid, *.waited))]
    TimedOut {
        /// The socket.
        path: PathBuf,
        /// The process that listens there, if it let us connect.
        pid: Option<i32>,
        /// For so long.
        waited: Duration,
    },
    /// The connection ended without an answer.
    #[error("vrrpd at {path} closed the connection without an answer; did it stop?", path = .path.display())]
    Closed {
        /// The socket.
        path: PathBuf,
    },
    /// The connection broke.
    #[error("the connection to vrrpd at {path} broke: {source}", path = .path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// How.
        source: io::Error,
    },
    /// What listens there is no vrrpd, or too different a release.
    #[error("cannot understand the answer of {path}: {detail}", path = .path.display())]
    NotUnderstood {
        /// The socket.
        path: PathBuf,
        /// What was wrong.
        detail: String,
    },
    /// No such router.
    #[error("{}", unknown_router(.name, .known))]
    UnknownRouter {
        /// The name.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// The daemon cannot read its configuration.
    #[error("vrrpd cannot read {file}: {reason}; nothing was changed")]
    UnreadableConfiguration {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// The daemon ends.
    #[error("vrrpd is stopping and carries out nothing any more; a hook or a script may ignore this")]
    Stopping,
    /// The daemon's own wait ended.
    #[error("vrrpd did not finish in time; see: vrrpctl status")]
    NotFinished,
    /// The daemon refused the call.
    #[error("vrrpd refused the call: {error} {parameters}")]
    Refused {
        /// The varlink error.
        error: String,
        /// Its parameters.
        parameters: Value,
    },
}

/// Which routers a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// These.
    Names(Vec<String>),
    /// All of this node.
    All,
}

/// What a demotion is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoteRequest<'a> {
    /// The operator's words, may be empty.
    pub reason: &'a str,
    /// How long it lasts; `None`: until it is promoted.
    pub span: Option<Duration>,
    /// Whether it still serves when nobody else does.
    pub last_resort: LastResort,
    /// Whether to release addresses that nobody takes over.
    pub force: Force,
}

/// Which events somebody wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSelection<'a> {
    /// The last so many.
    pub last: usize,
    /// Of these routers; none: of all, and of the node.
    pub names: &'a [String],
    /// Of this severity or a greater one.
    pub severity: Option<Severity>,
    /// At this time or later.
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
    /// For the reply that is waited for.
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

    /// The status of all routers, or of one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn status(&mut self, name: Option<&str>) -> Result<StatusDoc, ClientError> {
        self.call("Status", json!({ "name": name }), PATIENCE)
    }

    /// Everything about one router.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn show(&mut self, name: &str) -> Result<ShowDoc, ClientError> {
        self.call("Show", json!({ "name": name }), PATIENCE)
    }

    /// Takes routers out of service; calls `waiting` once if that does not end at once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn demote(
        &mut self,
        selection: &Selection,
        order: &DemoteRequest<'_>,
        waiting: impl FnOnce(),
    ) -> Result<DemoteDoc, ClientError> {
        let DemoteRequest { reason, span, last_resort, force } = *order;
        let span = span.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        let mut parameters = selected(selection);
        parameters.insert("reason".to_owned(), reason.into());
        parameters.insert("for_ms".to_owned(), span.into());
        parameters.insert("last_resort".to_owned(), (last_resort == LastResort::Yes).into());
        parameters.insert("force".to_owned(), (force == Force::Yes).into());
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

    /// Ends demotions.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn promote(&mut self, selection: &Selection) -> Result<PromoteDoc, ClientError> {
        self.call("Promote", Value::Object(selected(selection)), COMMAND_PATIENCE)
    }

    /// Has the daemon read its configuration anew.
    ///
    /// # Errors
    /// [`ClientError`]. A file with errors is none: the document has them.
    pub fn reload(&mut self, intent: ReloadMode) -> Result<ReloadDoc, ClientError> {
        self.call("Reload", json!({ "dry_run": intent == ReloadMode::DryRun }), COMMAND_PATIENCE)
    }

    /// The last events that are wanted.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn events(&mut self, wanted: &EventSelection<'_>) -> Result<EventsDoc, ClientError> {
        self.call("Events", wanted.parameters(), PATIENCE)
    }

    /// The last events that are wanted, and then those to come, until `each` breaks.
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
            // It may have told us why before it closed: read that.
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
    /// What `vrrpctl` exits with.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            // The same whether a script asks a moment before the socket goes or a moment after.
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

    /// The document of the failure.
    #[must_use]
    pub fn document(&self) -> ErrorDoc {
        let kind = match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Forbidden { .. } => "forbidden",
            Self::TimedOut { .. } | Self::NotFinished => "timed_out",
            Self::Closed { .. } | Self::Broken { .. } => "connection_lost",
            Self::NotUnderstood { .. } => "not_understood",
            Self::UnknownRouter { .. } => "unknown_router",
            Self::UnreadableConfiguration { .. } => "unreadable_configuration",
            Self::Stopping => "stopping",
            Self::Refused { .. } => "refused_call",
        };
        ErrorDoc { version: VERSION, error: ErrorDetailDoc { kind: kind.into(), message: self.to_string() } }
    }
}

/// Parameters are an object always.
fn object(parameters: Value) -> Map<String, Value> {
    match parameters {
        Value::Object(parameters) => parameters,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// `UnixStream::connect` would wait for ever for a daemon that hangs with a full backlog.
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
        // The kernel's answer when the backlog stays full.
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

/// It is there: that is something else than a daemon that does not run.
fn silent(path: &Path, pid: Option<i32>, waited: Duration) -> String {
    let who = pid.map_or_else(|| "vrrpd".to_owned(), |pid| format!("vrrpd (process {pid})"));
    format!(
        "{who} is there, at {}, and did not answer within {waited:?}: it hangs, or the machine is overloaded\n\
         Its log may tell why: journalctl -u vrrpd",
        path.display()
    )
}

/// Names what exists, nearest first if that is a lot.
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
