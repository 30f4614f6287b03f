//! The command line of `vrrpctl`.
//!
//! What it says about itself is its man page too (`docs/man`), and what it accepts its completions:
//! they are generated from these types. Must not know: what a command does.

use crate::config::parse_duration;
use crate::control::check::DEFAULT_CONFIG;
use crate::control::{DEFAULT_SOCKET, DEMOTION_SPAN};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// See and steer the virtual routers of this node.
///
/// Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 daemon not reachable,
/// 4 refused because it would harm the service, 5 timed out.
#[derive(Debug, Parser)]
#[command(name = "vrrpctl", version, max_term_width = 80)]
pub struct Cli {
    /// The daemon's control socket
    #[arg(long, global = true, value_name = "PATH", env = "VRRPD_SOCKET", default_value = DEFAULT_SOCKET)]
    pub socket: PathBuf,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A table of all virtual routers, or of one
    Status {
        /// A virtual router
        name: Option<String>,
    },
    /// Everything about one virtual router
    Show {
        /// A virtual router
        name: String,
    },
    /// Take virtual routers out of service on this node, until they are promoted
    ///
    /// Hands over, waits, and tells who took over. Where nobody does, the router stays active and
    /// the exit code is 4. A demotion survives restarts of the daemon and of the machine.
    Demote {
        /// Of which virtual routers.
        #[command(flatten)]
        which: Which,
        /// Why: shown by status, show and events
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
        /// How long, such as 90s, 30m or 1d12h; then it takes part again by itself
        #[arg(long = "for", value_name = "DURATION", value_parser = demotion_span)]
        span: Option<Duration>,
        /// Stay a Backup at priority 1: it serves if, and as long as, nobody else does
        #[arg(long)]
        last_resort: bool,
        /// Release the addresses even if nobody takes over: they are then served by nobody
        #[arg(long, conflicts_with = "last_resort")]
        force: bool,
    },
    /// End demotions: the virtual routers take part again
    Promote {
        /// Of which virtual routers.
        #[command(flatten)]
        which: Which,
    },
    /// Transitions and other notable happenings, each with its cause
    Events {
        /// How many of the last
        #[arg(short = 'n', value_name = "N", default_value_t = 20)]
        last: usize,
        /// Go on with those to come
        #[arg(long, short)]
        follow: bool,
    },
    /// Have the daemon read its configuration anew
    ///
    /// Prints what changes. All or nothing: a file with an error changes nothing, and the exit code
    /// is 2. Virtual routers that are not concerned do not notice.
    Reload {
        /// Print what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Validate a configuration, without a daemon
    Check {
        /// The configuration
        #[arg(default_value = DEFAULT_CONFIG)]
        file: PathBuf,
    },
}

/// Which virtual routers a command is about: names, or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// Virtual routers
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// All virtual routers of this node
    #[arg(long)]
    pub all: bool,
}

/// How long a demotion may last.
fn demotion_span(text: &str) -> Result<Duration, String> {
    let span = parse_duration(text).map_err(|error| format!("{error}; write it like 90s, 30m or 1d12h"))?;
    if DEMOTION_SPAN.contains(&span) { Ok(span) } else { Err("it must be from 1s to 366d".to_owned()) }
}
