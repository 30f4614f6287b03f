//! Floor 3: turns the text of a configuration into a checked [`Config`]. Only [`resolve()`] makes
//! one.
//!
//! `syntax` parses the text, `document` reads its tables key by key against the known keys of
//! `schema`, `value` turns single values into types, `raw` holds what the file says, and `resolve`
//! decides what it means. All of them report into `problem` and go on; [`report`] formats the
//! findings. [`to_toml()`] writes a configuration as text again. This module reads neither files,
//! nor host names, nor interfaces: its input is a text, its output are values. Limits that RFC 9568
//! sets are cited where they are checked (§5.2.3, §5.2.5, §5.2.9, §6.1).

mod address;
mod correction;
mod document;
mod duration;
mod encoding;
mod hook_kind;
mod json_schema;
mod keepalived;
pub mod plan;
mod problem;
mod raw;
pub mod report;
mod resolve;
mod schema;
mod syntax;
mod to_toml;
mod value;

#[cfg(test)]
mod tests;

pub use duration::{DurationError, parse as parse_duration};
pub use encoding::{NotUtf8, decode};
pub use hook_kind::HookKind;
pub use json_schema::json_schema;
pub use problem::{ConfigError, ConfigWarning, Finding, Place, Related};
pub use resolve::{Assumption, Expectation, Program, Resolved, Task, resolve};
pub use to_toml::to_toml;

use crate::protocol::{CheckName, RouterSpec};
use crate::types::RouterName;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A configuration. Every combination of values that it can have is legal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The settings of `[agent]`.
    pub agent: Agent,
    /// The checks, one for each `[[check]]`.
    pub checks: Vec<CheckSpec>,
    /// The routers, one for each `[[virtual_router]]`, with `[defaults]` applied.
    pub routers: Vec<RouterSpec>,
    /// The hooks of the routers that have hooks. They are not part of [`RouterSpec`], because the
    /// election does not depend on them.
    pub hooks: BTreeMap<RouterName, RouterHooks>,
}

/// The settings of `[agent]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The name that this node shows for itself; `None` for the host name.
    pub node_name: Option<String>,
    /// Whether the protocol thread asks for real-time scheduling.
    pub realtime: Realtime,
    /// The file with the key that the nodes share; `None`: the nodes exchange nothing but VRRP.
    pub peer_key_file: Option<PathBuf>,
    /// The UDP port on which the nodes talk to one another.
    pub peer_port: u16,
    /// The address and port of the endpoint for monitoring; `None`: there is none.
    pub metrics: Option<SocketAddr>,
}

impl Agent {
    /// The port where none is configured.
    pub const DEFAULT_PEER_PORT: u16 = 9651;
}

/// Whether the protocol thread asks for SCHED_FIFO and locked memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Realtime {
    /// The thread is scheduled like any other.
    #[default]
    Off,
    /// The thread asks for it. Without the privilege, the daemon warns and goes on.
    On,
}

/// One `[[check]]`: a command whose exit code is the result of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSpec {
    /// The name by which routers refer to the check; unique.
    pub name: CheckName,
    /// Program (absolute path) and arguments. The command is run without a shell.
    pub command: Vec<String>,
    /// Time from the start of one run to the start of the next.
    pub interval: Duration,
    /// Longest duration of a run. After that, the whole process group is killed, and the run counts
    /// as failed.
    pub timeout: Duration,
    /// Number of successful runs in a row after which the check counts as passing, 1..=255.
    pub rise: u8,
    /// Number of failed runs in a row after which the check counts as failing, 1..=255.
    pub fall: u8,
    /// The user that runs the command; `None` for the daemon's user.
    pub user: Option<String>,
}

impl CheckSpec {
    /// The interval where none is configured.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(2);
    /// The number of successful runs where none is configured.
    pub const DEFAULT_RISE: u8 = 2;
    /// The number of failed runs where none is configured.
    pub const DEFAULT_FALL: u8 = 3;

    /// The timeout where none is configured: the interval, but at most 10 seconds.
    #[must_use]
    pub fn default_timeout(interval: Duration) -> Duration {
        interval.min(Duration::from_secs(10))
    }
}

/// The hooks of one `[[virtual_router]]`: commands that are run when its state changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterHooks {
    /// Program (absolute path) and arguments of each hook, run without a shell. The map has the
    /// configured hooks only, and at least one.
    pub commands: BTreeMap<HookKind, Vec<String>>,
    /// Longest duration of a hook. After that, its whole process group is killed.
    pub timeout: Duration,
    /// As `timeout`, for `before_active`. It is also the longest time for which a takeover waits.
    pub before_active_timeout: Duration,
    /// The user that runs the hooks; `None` for the daemon's user.
    pub user: Option<String>,
}

/// No hooks.
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
    /// The timeout where none is configured.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
    /// The timeout of `before_active` where none is configured. At intervals of 500 ms and more,
    /// the first advertisement waits just as long for the addresses when a live Active is
    /// displaced.
    pub const DEFAULT_BEFORE_ACTIVE_TIMEOUT: Duration = Duration::from_millis(500);

    /// The longest duration of a hook of this kind.
    #[must_use]
    pub const fn timeout_of(&self, hook: HookKind) -> Duration {
        match hook {
            HookKind::BeforeActive => self.before_active_timeout,
            HookKind::OnTransition | HookKind::OnDrain | HookKind::AfterRelease => self.timeout,
        }
    }
}
