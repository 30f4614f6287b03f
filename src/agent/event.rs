//! The events of the agent: those of the core, and those that the core does not know of, because it
//! runs no check and no hook and reads no configuration.

use super::named::named;
use super::node_names::NodeNames;
use crate::channel::ChannelEvent;
use crate::protocol::{CheckName, CheckResult, Event, EventKind, StateName};
use crate::types::{InstanceKey, RouterName};
use std::time::Duration;

/// One event of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentEvent {
    /// The router that the event is about; `None`: the whole node.
    pub router: Option<RouterName>,
    /// The instance, if the event is about one family only.
    pub key: Option<InstanceKey>,
    /// The kind of the event, with its values.
    pub kind: AgentEventKind,
    /// The names of other nodes that were known when the event happened. Constructors leave them
    /// empty, because those who report events do not know names; the dispatcher fills them in.
    pub names: NodeNames,
}

impl AgentEvent {
    /// An event about the whole node.
    #[must_use]
    pub fn of_node(kind: AgentEventKind) -> Self {
        Self { router: None, key: None, kind, names: NodeNames::default() }
    }

    /// An event about a router, whatever its families.
    #[must_use]
    pub fn of_router(router: RouterName, kind: AgentEventKind) -> Self {
        Self { router: Some(router), key: None, kind, names: NodeNames::default() }
    }
}

impl From<Event> for AgentEvent {
    fn from(Event { router, key, kind }: Event) -> Self {
        Self { router, key, kind: kind.into(), names: NodeNames::default() }
    }
}

/// The kinds of events, each with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentEventKind {
    /// An event of the core.
    Protocol(EventKind),
    /// A health check has its first result, or another result than before.
    Check {
        /// The name of the check.
        check: CheckName,
        /// The result of the check, after rise and fall.
        result: CheckResult,
        /// Whether the check had another result before.
        change: ResultChange,
        /// How many runs in a row gave this result.
        in_a_row: u32,
        /// How the last of these runs failed, in words.
        failure: Option<String>,
    },
    /// A hook of the router ended, or will not run.
    Hook {
        /// The kind of the hook.
        hook: crate::config::HookKind,
        /// The state that the hook was told.
        state: StateName,
        /// The outcome of the run, or why there was none.
        outcome: HookOutcome,
        /// How long the hook ran.
        took: Duration,
    },
    /// What the nodes know of one another has changed.
    Channel(ChannelEvent),
    /// The configuration was read again and is carried out.
    ConfigurationReloaded {
        /// The name of the operator, or `SIGHUP`.
        by: String,
        /// How many routers, checks and keys of `[agent]` differ.
        changes: usize,
    },
}

impl From<EventKind> for AgentEventKind {
    fn from(kind: EventKind) -> Self {
        Self::Protocol(kind)
    }
}

/// Whether a result is the first of its check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResultChange {
    /// The check had no result before.
    First,
    /// Another result stood before.
    Changed,
}

/// The outcome of a hook's run, or why it did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookOutcome {
    /// The hook ended with exit code 0.
    Passed,
    /// The hook ended with another exit code or by a signal, or it could not be run. The text says
    /// which.
    Failed(String),
    /// The hook did not end in time and was killed. The text says after how long.
    TimedOut(String),
    /// The hook was killed, or never started, because the takeover that it was to prepare was
    /// called off.
    Cancelled,
    /// The hook never started, because the state changed again while it waited for its turn.
    Superseded,
}

impl HookOutcome {
    /// The name of the outcome in the JSON contract.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        outcome_name(self)
    }

    /// Why the hook failed, in words; `None` for the outcomes that explain themselves.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Failed(why) | Self::TimedOut(why) => Some(why),
            Self::Passed | Self::Cancelled | Self::Superseded => None,
        }
    }
}

named! {
    /// The names of all outcomes in the JSON contract.
    pub(crate) const HOOK_OUTCOMES;
    fn outcome_name(HookOutcome);
    HookOutcome::Passed => "passed",
    HookOutcome::Failed(_) => "failed",
    HookOutcome::TimedOut(_) => "timed_out",
    HookOutcome::Cancelled => "cancelled",
    HookOutcome::Superseded => "superseded",
}
