//! The vocabulary that `control`, `runtime` and `telemetry` share, so that none of them has to name another.
//!
//! It stands above the configuration and Linux, and below the three. Owns what is asked of the agent and what is
//! answered ([`request`]), what the agent tells ([`event`], and the log of the last of it, [`event_log`]), how checks and
//! hooks are doing ([`status`]), and how an error is told ([`error`]). It decides nothing: those who ask and those who
//! answer do.

pub mod error;
pub mod event;
pub mod event_log;
pub mod request;
pub mod severity;
pub mod status;

pub use event::{AgentEvent, AgentEventKind, HookOutcome, ResultChange};
pub use event_log::{EventFilter, EventLog, EventRecord, Follower};
pub use request::{
    AgentHandle, AgentSnapshot, CommandReply, ReloadMode, ReloadOutcome, ReloadReply, ReloadRequest, Request,
};
pub use severity::{Severity, SeverityError};
pub use status::{
    CheckRule, CheckRun, CheckStatus, FailureKind, HookActivity, HookRun, HookStatus, ProgramFailure,
    ProgramOutcome,
};
