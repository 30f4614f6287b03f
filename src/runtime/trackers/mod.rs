//! What is watched on behalf of virtual routers, beside the network: today health checks.
//!
//! Trackers run on the ordinary runtime, never on the protocol thread, and tell the core nothing
//! but values ([`Verdict`]); what a failing check means is decided there.

mod check;
mod hysteresis;

pub use crate::runtime::process::{Failure, FailureKind, Outcome};
pub use check::{CheckBoard, CheckStatus, Checks, LastRun, Rule, Verdict};
pub use hysteresis::Hysteresis;
