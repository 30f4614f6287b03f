//! The daemon's threads, and everything that joins the pure core with Linux.
//!
//! - `vrrp-protocol` ([`protocol_thread`]): sockets, timers and the core; never blocks.
//! - `vrrp-addresses` (`kernel::keeper`): netlink batches and announcements.
//! - `vrrpd-forward` ([`draining`]): the rules by which packets of other nodes' connections are passed
//!   on.
//! - the main thread (`daemon`): a tokio runtime with the netlink monitor, health checks, hooks, the
//!   control socket, logs and signals; [`state`]: the file of demotions; [`notify`]: the service
//!   manager.

mod account;
pub mod candidate;
pub(crate) mod channel;
pub mod clock;
pub(crate) mod draining;
mod foreign;
pub(crate) mod hooks;
pub(crate) mod notify;
pub(crate) mod process;
pub(crate) mod protocol_thread;
pub(crate) mod reload;
pub(crate) mod spare_memory;
pub(crate) mod state;
pub(crate) mod trackers;
