//! What is watched on behalf of virtual routers, beside the network: today health checks.
//!
//! Trackers run on the ordinary runtime, never on the protocol thread, and tell the core nothing
//! but values ([`CheckReport`]); what a failing check means is decided there.

mod check;
mod hysteresis;

pub(crate) use check::{CheckBoard, CheckReport, Checks};
