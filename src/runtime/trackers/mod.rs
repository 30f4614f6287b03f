//! The things besides the network that are watched for virtual routers: today health checks.
//!
//! Trackers run on the ordinary runtime, never on the protocol thread, and send the core only
//! values ([`CheckReport`]); the core decides what a failing check means.

mod check;
mod hysteresis;

pub(crate) use check::{CheckBoard, CheckReport, Checks};
