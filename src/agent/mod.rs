//! The vocabulary that `control`, `runtime` and `telemetry` share, so that none of them has to name
//! another.
//!
//! It stands above the configuration and Linux, and below the three. It has the requests to the
//! agent and their replies ([`request`]), the agent's events ([`event`]) and the log of the latest
//! of them ([`event_log`]), the state of checks and hooks ([`status`]), the names of other nodes
//! ([`node_names`]), and the text of errors ([`error`]). It decides nothing: the floors that ask and answer do.

pub mod channel_status;
pub mod error;
pub mod event;
pub mod event_log;
mod named;
pub mod node_names;
pub mod request;
pub mod severity;
pub mod status;

pub use channel_status::{ChannelState, ChannelStatus};
#[cfg(any(test, feature = "schema"))]
pub(crate) use event::HOOK_OUTCOMES;
pub use event::{AgentEvent, AgentEventKind, HookOutcome, ResultChange};
pub use event_log::{EventFilter, EventLog, EventRecord, Follower};
pub(crate) use named::named;
pub use node_names::NodeNames;
pub use request::{
    AgentHandle, AgentSnapshot, CommandReply, ReloadMode, ReloadOutcome, ReloadReply, ReloadRequest, Request,
};
pub use severity::{Severity, SeverityError};
pub use status::{
    CheckRule, CheckRun, CheckStatus, FailureKind, HookActivity, HookRun, HookStatus, ProgramFailure,
    ProgramOutcome,
};
