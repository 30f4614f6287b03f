//! The control of the daemon by people and their tools: a varlink service on a Unix socket, its
//! JSON documents, the `vrrpctl` side of both, and the endpoint for monitoring over HTTP.
//!
//! The servers reach the rest of the daemon through an [`AgentHandle`](crate::agent::AgentHandle),
//! never through its data. The same types write and read the documents. Must not know the threads
//! of `runtime` or the log.

mod call;
mod change_log;
pub mod check;
pub mod client;
mod connection;
mod document;
pub mod health;
pub mod message;
pub mod metrics;
mod reload;
pub mod render;
mod router_state;
#[cfg(any(test, feature = "schema"))]
pub mod schema;
mod server;
mod service;
mod snapshot_broker;
mod socket;
mod varlink;
pub mod wait;

pub use server::{Limits, Server};
pub use service::{DEMOTION_SPAN, DRAIN_MOST, INTERFACE_DESCRIPTION};
pub use snapshot_broker::SnapshotSource;
pub use socket::{BindError, DEFAULT_SOCKET, GROUP, Vacancy, vacancy};
pub use varlink::{FrameBuffer, FrameTooLong};
