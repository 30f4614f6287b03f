//! The netlink half of `vrrpd::kernel` on the real kernel, in namespaces of its own.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "in a test a panic is the report"
)]

#[path = "../support/mod.rs"]
mod support;

mod batches;
mod draining;
mod host;
mod keeper;
mod monitor;
mod neighbours;
mod scale;
mod strangers;
