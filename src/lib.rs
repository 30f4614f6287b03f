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
//! | 2 | [`channel`] | what nodes tell one another beside VRRP: pure |
//! | 3 | [`config`] | text to a checked configuration |
//! | 4 | [`kernel`] | Linux: sockets, netlink |
//! | 5 | [`agent`] | what is asked of the agent, what it answers and tells |
//! | 6 | [`words`] | events, causes and faults in words, and as JSON |
//! | 7 | [`runtime`], [`control`], [`telemetry`] | threads, checks, the control socket, logs; none names another |
//! | 8 | [`daemon`] | joins them: what is started in which order, and how it ends |
//! | 9 | [`cli`], `src/bin` | arguments and exit codes |
//!
//! Floors 0 to 2 know no socket, clock, thread, file or log. [`sim`] uses only them.

pub mod agent;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod kernel;
pub mod runtime;
pub mod telemetry;
pub mod words;

pub use vrrpd_core::{channel, protocol, sim, types, wire};
