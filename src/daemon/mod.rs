//! The composition root: joins the control socket, the threads and tasks of `runtime`, and the log, none of which knows
//! another.
//!
//! Owns what is started in which order, what the main thread does with what it hears, and how the agent ends
//! ([`supervisor`]); and `vrrpd --clean-up` ([`clean_up`]).

pub mod clean_up;
mod notices;
mod shutdown;
mod signals;
pub mod supervisor;
