//! The requests to the agent, and its replies.
//!
//! A caller holds an [`AgentHandle`]. The requests travel through bounded queues, in which senders
//! wait for room. If a reply is dropped without a value, the agent is stopping.

use super::channel_status::ChannelStatus;
use super::event_log::EventLog;
use super::node_names::NodeNames;
use super::status::{CheckStatus, HookStatus};
use crate::channel::TakeOutcome;
use crate::config::plan::Plan;
use crate::config::{ConfigError, ConfigWarning};
use crate::protocol::{Answer, CheckName, Command, Snapshot};
use crate::types::RouterName;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// A question to the agent, or a command for it.
#[derive(Debug)]
pub enum Request {
    /// Asks for the state of everything.
    Snapshot {
        /// The channel for the answer.
        reply: oneshot::Sender<AgentSnapshot>,
    },
    /// Gives a command of an operator. Its answer may take seconds.
    Command {
        /// The command itself.
        command: Command,
        /// The channel for the answer.
        reply: oneshot::Sender<CommandReply>,
    },
    /// Asks whether the connections of a router could be left to the node that would take over.
    DrainOutlook {
        /// The router.
        router: RouterName,
        /// The channel for the answer: the name of that node, or why they could not.
        reply: oneshot::Sender<Result<String, String>>,
    },
    /// Asks the node that is Active to hand over to this one. The answer may take seconds.
    Take {
        /// The router.
        router: RouterName,
        /// The name of the operator.
        by: String,
        /// The channel for the answer.
        reply: oneshot::Sender<TakeOutcome>,
    },
}

/// The answer to a command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandReply {
    /// The answer of the core.
    pub answer: Answer,
    /// Whether everything that must survive a restart is on the disk; `Err`: why it is not.
    pub saved: Result<(), String>,
}

/// The state of the agent: the core's snapshot, and what the core does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSnapshot {
    /// The name that the node gives itself.
    pub node: String,
    /// The names of the other nodes, as far as they are known.
    pub names: NodeNames,
    /// The wall clock at `snapshot.at`.
    pub wall: Timestamp,
    /// The state of the core.
    pub snapshot: Snapshot,
    /// The state of the hooks, by router. Routers without hooks are absent.
    pub hooks: BTreeMap<RouterName, Vec<HookStatus>>,
    /// The state of the checks.
    pub checks: BTreeMap<CheckName, CheckStatus>,
    /// What is known about the other nodes.
    pub channel: ChannelStatus,
    /// Why the endpoint for monitoring does not listen although it is configured, in words.
    pub metrics_problem: Option<String>,
}

/// What a caller needs to reach the agent.
#[derive(Debug, Clone)]
pub struct AgentHandle {
    /// Takes requests. A small bound is enough, because a full queue only makes callers wait.
    pub requests: mpsc::Sender<Request>,
    /// Takes reloads, which are carried out one after the other. A full queue makes callers wait as
    /// well.
    pub reloads: mpsc::Sender<ReloadRequest>,
    /// The latest events, and a way to follow the next ones.
    pub events: Arc<EventLog>,
}

/// The order to read the configuration again. Reloads are carried out one at a time: the next one
/// waits until this one is answered.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Whether the configuration is carried out.
    pub mode: ReloadMode,
    /// The name of the operator, or `SIGHUP`.
    pub by: String,
    /// The channel for the answer.
    pub reply: oneshot::Sender<ReloadReply>,
}

/// Whether a reload changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReloadMode {
    /// The configuration is carried out.
    Apply,
    /// The plan is made and told, and nothing changes.
    DryRun,
}

impl ReloadMode {
    /// The word for the mode in the log.
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
    /// The path of the file that was read.
    pub file: String,
    /// The contents of the file, and what was done.
    pub outcome: ReloadOutcome,
}

/// The contents of the file, and what was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// The file is a configuration. It was carried out, if that was asked for.
    Accepted {
        /// The changes against the running configuration.
        plan: Plan,
        /// The warnings: what is legal, but probably not meant.
        warnings: Vec<ConfigWarning>,
        /// The warnings as text for people.
        report: String,
    },
    /// The file is a configuration that would harm this machine, so nothing was changed.
    Refused {
        /// The changes that it would have made.
        plan: Plan,
        /// The reasons of the refusal, each with its remedy.
        reasons: Vec<String>,
        /// The warnings: what is legal, but probably not meant.
        warnings: Vec<ConfigWarning>,
        /// The warnings as text for people.
        report: String,
    },
    /// The file is not a configuration, so nothing was changed.
    Invalid {
        /// The errors in the file.
        errors: Vec<ConfigError>,
        /// The errors as text for people.
        report: String,
    },
    /// The file could not be read, for this reason, so nothing was changed.
    Unreadable(String),
}
