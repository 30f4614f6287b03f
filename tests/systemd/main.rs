//! The package on Debian machines with systemd as init: systemd-nspawn containers on a bridge, and
//! a client that sends a thousand requests a second. `netns-scripts/test systemd` builds what it
//! needs, including the package, and runs it.
//!
//! Needs real root, systemd-container, debootstrap, and the package of `netns-scripts/package`. No
//! test is skipped: if something is missing, it fails.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

#[path = "../support/runner.rs"]
mod runner;
#[path = "../support/shown.rs"]
mod shown;
#[path = "../support/source_tree.rs"]
mod source_tree;
#[path = "../support/mod.rs"]
mod support;

mod application;
mod documents;
mod late;
mod machine;
mod package;
mod pair;
mod reboot;
mod root;
mod service;
mod upgrade;
