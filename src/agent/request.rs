//! What is asked of the agent, and what it answers.
//!
//! Whoever asks holds an [`AgentHandle`]; the requests travel through bounded queues, in which senders wait for room. An
//! answer that is dropped without a value means that the agent ends.

use super::event_log::EventLog;
use super::status::{CheckStatus, HookStatus};
use crate::config::plan::Plan;
use crate::config::{ConfigError, ConfigWarning};
use crate::protocol::{Answer, CheckName, Command, Snapshot};
use crate::types::RouterName;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// A question or an order.
#[derive(Debug)]
pub enum Request {
    /// The state of everything.
    Snapshot {
        /// Where the answer goes.
        reply: oneshot::Sender<AgentSnapshot>,
    },
    /// A command of an operator; its answer may take seconds.
    Command {
        /// What to do.
        command: Command,
        /// Where the answer goes.
        reply: oneshot::Sender<CommandReply>,
    },
}

/// The answer to a command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandReply {
    /// The core's answer.
    pub answer: Answer,
    /// Whether what must survive a restart is on the disk; `Err`: why not.
    pub saved: Result<(), String>,
}

/// The state of the agent: the core's snapshot, with what the core does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSnapshot {
    /// What the node calls itself.
    pub node: String,
    /// The wall clock at `snapshot.at`.
    pub wall: Timestamp,
    /// The state of the core.
    pub snapshot: Snapshot,
    /// How the hooks are doing, by router; only routers that have hooks.
    pub hooks: BTreeMap<RouterName, Vec<HookStatus>>,
    /// How the checks are doing.
    pub checks: BTreeMap<CheckName, CheckStatus>,
}

/// The way to the agent for whoever asks it.
#[derive(Debug, Clone)]
pub struct AgentHandle {
    /// Takes requests. A small bound is enough: a full queue makes askers wait, and nothing else.
    pub requests: mpsc::Sender<Request>,
    /// Takes reloads, which are carried out one after the other; a full queue makes askers wait as well.
    pub reloads: mpsc::Sender<ReloadRequest>,
    /// The last events, and those to come.
    pub events: Arc<EventLog>,
}

/// The order to read the configuration again. One at a time: the next waits until this one is answered.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Whether the configuration is carried out.
    pub mode: ReloadMode,
    /// Who asks.
    pub by: String,
    /// Where the answer goes.
    pub reply: oneshot::Sender<ReloadReply>,
}

/// Whether a reload changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReloadMode {
    /// The configuration is carried out.
    Apply,
    /// What would change is told, and nothing changes.
    DryRun,
}

impl ReloadMode {
    /// The words of the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::DryRun => "dry run",
        }
    }
}

/// The answer to a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadReply {
    /// The file that was read.
    pub file: String,
    /// What the file held, and what followed from it.
    pub outcome: ReloadOutcome,
}

/// What a reload found in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// A configuration. It was carried out, if that was asked for.
    Accepted {
        /// What it changes.
        plan: Plan,
        /// What is legal, but probably not meant.
        warnings: Vec<ConfigWarning>,
        /// The warnings for people.
        report: String,
    },
    /// A configuration that would harm this machine: nothing was changed.
    Refused {
        /// What it would have changed.
        plan: Plan,
        /// Why it was refused, each reason with its remedy.
        reasons: Vec<String>,
        /// What is legal, but probably not meant.
        warnings: Vec<ConfigWarning>,
        /// The warnings for people.
        report: String,
    },
    /// A text that is not a configuration: nothing was changed.
    Invalid {
        /// Its errors.
        errors: Vec<ConfigError>,
        /// The errors for people.
        report: String,
    },
    /// The file could not be read, for this reason: nothing was changed.
    Unreadable(String),
}
