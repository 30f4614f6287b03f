//! The log lines of the daemon, and who prints them.
//!
//! Nothing here runs on the protocol thread, which hands over its events and goes on. Must not know the control socket or
//! the threads of `runtime`.

pub mod log;
pub mod printer;
