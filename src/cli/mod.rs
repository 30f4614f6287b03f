//! Floor 6: the command lines of both programs, as types.
//!
//! In the library and not in `src/bin`, so that man pages and completions are generated from the
//! same definitions that parse (`tests/generated`). Must not know: what a command does.

pub mod vrrpctl;
pub mod vrrpd;
