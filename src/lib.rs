//! vrrpd: a VRRP high-availability agent for Linux.
//!
//! The floors, lowest first; a floor may use those below it and nothing above
//! (`tests/architecture.rs` enforces it):
//!
//! | floor | module | what it is |
//! |---|---|---|
//! | 0 | [`types`] | the vocabulary of RFC 9568 as newtypes |
//! | 1 | [`wire`] | bytes to representations and back |
//! | 2 | [`protocol`] | the state machine, election, hand-over and deadlines: pure |
//! | 3 | [`config`] | text to a checked configuration |
//! | 4 | [`kernel`] | Linux: sockets, netlink |
//! | 5 | [`runtime`], [`control`], [`telemetry`] | threads, checks, the control socket, logs |
//! | 6 | [`cli`], `src/bin` | arguments and exit codes |
//!
//! Floors 0 to 2 know no socket, clock, thread, file or log. [`sim`] uses only them.

pub mod cli;
pub mod config;
pub mod control;
pub mod kernel;
pub mod runtime;
pub mod telemetry;

pub use vrrpd_core::{protocol, sim, types, wire};
