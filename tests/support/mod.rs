//! What the tests on the real kernel are built on: a LAN of network namespaces, daemons in them, a
//! capture of all frames on the LAN, and a client that notices every lost request.
//!
//! Several test binaries share it (`mod support;`). They run under `netns-scripts/in-userns`
//! (cargo's runner): nothing here affects the host or outlives the test binary.
//!
//! Every wait is [`wait::wait_for`]: on an observed condition, with a deadline. Timing is asserted
//! against the kernel's timestamps in a [`capture::Capture`], never against the time at which a
//! test woke up.

#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test binary uses a part; in a test a panic is the report"
)]

pub(crate) mod capture;
pub(crate) mod config;
pub(crate) mod daemon;
pub(crate) mod flood;
pub(crate) mod frame;
pub(crate) mod guide_client;
pub(crate) mod inject;
pub(crate) mod lab;
pub(crate) mod manager;
pub(crate) mod namespace;
pub(crate) mod peers;
pub(crate) mod prober;
pub(crate) mod process;
pub(crate) mod tcp;
pub(crate) mod wait;
pub(crate) mod worker;

pub(crate) use capture::Capture;
pub(crate) use config::{Config, Router};
pub(crate) use daemon::{Ctl, Daemon};
pub(crate) use lab::{Lab, Node};
pub(crate) use manager::ServiceManager;
pub(crate) use namespace::Ns;
pub(crate) use prober::{Prober, Report, Responder};
pub(crate) use wait::{wait_for, wait_some};
pub(crate) use worker::Worker;

use std::time::Duration;

/// A duration of whole milliseconds.
pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The deadline for conditions that hold at once on an idle machine. It is generous, because this
/// machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(10);
