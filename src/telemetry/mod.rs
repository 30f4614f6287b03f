//! The log lines of the daemon, and the thread that prints them.
//!
//! Nothing here runs on the protocol thread, which hands its events over and continues. Must not
//! know the control socket or the threads of `runtime`.

pub mod log;
pub mod printer;
