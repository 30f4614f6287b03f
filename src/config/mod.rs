//! Floor 3: text to a checked configuration. [`resolve()`] is the only road to a [`Config`].
//!
//! `syntax` parses the text, `document` reads its tables key by key against the known keys of
//! `schema`, `value` turns single values into types, `raw` is what the file says, and `resolve` is
//! what it means. All of them report into `problem` and go on; [`report`]
//! shows it. Nothing here reads a file, a host name or an interface: a text in, values out. Limits
//! that RFC 9568 sets are cited where they are checked (§5.2.3, §5.2.5, §5.2.9, §6.1).

mod address;
mod document;
mod duration;
mod encoding;
mod hook_kind;
mod json_schema;
mod keepalived;
mod meant;
pub mod plan;
mod problem;
mod raw;
pub mod report;
mod resolve;
mod schema;
mod syntax;
mod value;

#[cfg(test)]
mod tests;

pub use duration::{DurationError, parse as parse_duration};
pub use encoding::{NotUtf8, decode};
pub use hook_kind::HookKind;
pub use json_schema::json_schema;
pub use problem::{ConfigError, ConfigWarning, Finding, Place, Related};
pub use resolve::{Expectation, Expected, Program, Resolved, Task, resolve};

use crate::protocol::{CheckName, RouterSpec};
use crate::types::RouterName;
use std::collections::BTreeMap;
use std::time::Duration;

/// A configuration whose every combination is legal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `[agent]`.
    pub agent: Agent,
    /// `[[check]]`.
    pub checks: Vec<CheckSpec>,
    /// `[[virtual_router]]`, with `[defaults]` applied.
    pub routers: Vec<RouterSpec>,
    /// The hooks of the routers that have any. Not in their [`RouterSpec`]: the election knows none.
    pub hooks: BTreeMap<RouterName, RouterHooks>,
}

/// `[agent]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// What this node calls itself; `None`: the host name.
    pub node_name: Option<String>,
    /// Real-time scheduling of the protocol thread.
    pub realtime: Realtime,
}

/// Whether the protocol thread asks for SCHED_FIFO and locked memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Realtime {
    /// No.
    #[default]
    Off,
    /// Yes; without the privilege it warns and goes on.
    On,
}

/// One `[[check]]`: a command whose exit code is the verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSpec {
    /// Unique.
    pub name: CheckName,
    /// Program (absolute path) and arguments; no shell.
    pub command: Vec<String>,
    /// From one start to the next.
    pub interval: Duration,
    /// After this the whole process group is killed, and the run has failed.
    pub timeout: Duration,
    /// Runs that must pass in a row before it counts as passing, 1..=255.
    pub rise: u8,
    /// Runs that must fail in a row before it counts as failing, 1..=255.
    pub fall: u8,
    /// The user it runs as; `None`: the daemon's.
    pub user: Option<String>,
}

impl CheckSpec {
    /// Where no timeout is configured, it is the interval, but at most this.
    pub const LONGEST_DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
}

/// The hooks of one `[[virtual_router]]`: commands at its turning points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterHooks {
    /// Program (absolute path) and arguments, no shell; only those that are configured, at least one.
    pub commands: BTreeMap<HookKind, Vec<String>>,
    /// After this the whole process group of a hook is killed.
    pub timeout: Duration,
    /// The same for `before_active`, and the longest that a takeover waits for it.
    pub before_active_timeout: Duration,
    /// The user they run as; `None`: the daemon's.
    pub user: Option<String>,
}

/// None.
impl Default for RouterHooks {
    fn default() -> Self {
        Self {
            commands: BTreeMap::new(),
            timeout: Self::DEFAULT_TIMEOUT,
            before_active_timeout: Self::DEFAULT_BEFORE_ACTIVE_TIMEOUT,
            user: None,
        }
    }
}

impl RouterHooks {
    /// Where none is configured.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
    /// Where none is configured. As long as the first advertisement waits for the addresses when a
    /// live Active is displaced, at intervals of 500 ms and more.
    pub const DEFAULT_BEFORE_ACTIVE_TIMEOUT: Duration = Duration::from_millis(500);

    /// How long a hook of this kind may run.
    #[must_use]
    pub const fn timeout_of(&self, hook: HookKind) -> Duration {
        match hook {
            HookKind::BeforeActive => self.before_active_timeout,
            HookKind::OnTransition | HookKind::AfterRelease => self.timeout,
        }
    }
}
