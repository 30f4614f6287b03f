//! Floor 5: the daemon's threads, and everything that joins the pure core with Linux.
//!
//! - `vrrp-protocol` ([`reactor`]): sockets, timers and the core; never blocks.
//! - `vrrp-addresses` (`kernel::keeper`): netlink batches and announcements.
//! - the main thread ([`supervisor`]): a tokio runtime with the netlink monitor, health checks, hooks, the
//!   control socket, logs and signals; [`state`]: the file of demotions; [`clean_up`]: what a killed daemon left; [`notify`]: the service manager.

mod account;
pub mod candidate;
pub mod clean_up;
pub mod clock;
mod endpoint;
mod foreign;
pub mod hooks;
mod mailbox;
mod notices;
mod notify;
pub mod patience;
mod process;
mod reactor;
mod reload;
mod shutdown;
mod signals;
mod state;
pub mod supervisor;
pub mod trackers;
mod turn;

pub use process::{Failure, FailureKind, Outcome};
