//! The command line of `vrrpctl`.
//!
//! The man page (`docs/man`) and the completions are generated from these types. Must not know what
//! a command does.

use crate::agent::Severity;
use crate::config::parse_duration;
use crate::control::check::DEFAULT_CONFIG;
use crate::control::wait::WaitGoal;
use crate::control::{DEFAULT_SOCKET, DEMOTION_SPAN, DRAIN_MOST};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// See and steer the virtual routers of this node.
///
/// Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 daemon not reachable,
/// 4 refused because it would harm the service, 5 timed out. The command health has codes of its own.
#[derive(Debug, Parser)]
#[command(name = "vrrpctl", version, max_term_width = 80)]
pub struct Cli {
    /// The daemon's control socket
    #[arg(long, global = true, value_name = "PATH", env = "VRRPD_SOCKET", default_value = DEFAULT_SOCKET)]
    pub socket: PathBuf,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
    /// The command.
    #[command(subcommand)]
    pub command: ControlCommand,
}

/// The commands of `vrrpctl`.
#[derive(Debug, Subcommand)]
pub enum ControlCommand {
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
    /// Hands over, waits, and tells which router took over. If none does, this one stays Active and
    /// the exit code is 4. If open connections are kept (--drain, or drain in the configuration), waits
    /// until the last of them has ended; Ctrl-C ends the waiting, and nothing else. A demotion survives
    /// restarts of the daemon and of the machine.
    Demote {
        /// The virtual routers that the command is about.
        #[command(flatten)]
        which: Which,
        /// Why: shown by status, show and events
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
        /// How long, such as 90s, 30m or 1d12h; the demotion then ends by itself
        #[arg(long = "for", value_name = "DURATION", value_parser = demotion_span)]
        span: Option<Duration>,
        /// Stay a Backup at priority 1: it serves if, and as long as, nobody else does
        #[arg(long)]
        last_resort: bool,
        /// Keep open connections for so long, such as 90s, 10m or 1h, while the other node serves new
        /// ones; what is left then is reset (exit code 5). 0s: do not keep them. Default: as configured
        ///
        /// For a router that drains already, this is counted from now.
        #[arg(long, value_name = "DURATION", value_parser = drain_span)]
        drain: Option<Duration>,
        /// Do not wait until the last open connection has ended
        #[arg(long)]
        no_wait: bool,
        /// Release the addresses even if nobody takes over: they are then served by nobody
        #[arg(long, conflicts_with = "last_resort")]
        force: bool,
    },
    /// Put demoted virtual routers back into service on this node
    ///
    /// Ends a demotion and does nothing else: a Backup that is not demoted stays Backup, and the
    /// answer says why. To move a virtual router here, take it, or demote it where it is Active.
    Promote {
        /// The virtual routers that the command is about.
        #[command(flatten)]
        which: Which,
    },
    /// Become Active here: ask the node that is Active to hand over
    ///
    /// Needs `peer_key_file` in `[agent]` on both nodes. The Active hands over without a gap, or refuses
    /// and says why (exit code 4). If it has the higher priority and preempts, it stays Backup at
    /// priority 1 afterwards, until it is promoted there.
    Take {
        /// A virtual router
        name: String,
    },
    /// What happened, and why
    ///
    /// Severities: error, somebody should look now (nobody serves an address, two routers do);
    /// warning, somebody should look during working hours (an unplanned failover, a node that
    /// cannot serve); info, expected.
    Events {
        /// Only events of these virtual routers
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Show the last N
        #[arg(short = 'n', value_name = "N", default_value_t = 20)]
        last: usize,
        /// Only events since then: a time such as 2026-11-28T03:00:00Z, or an age such as 90s, 30m
        /// or 1d12h
        #[arg(long, value_name = "TIME")]
        since: Option<Since>,
        /// Only events of this severity or a greater one: error, warning or info
        #[arg(long, value_name = "SEVERITY")]
        severity: Option<Severity>,
        /// Keep printing new events
        #[arg(long, short)]
        follow: bool,
    },
    /// Tell in one line how well this node is, for monitoring
    ///
    /// Exit codes, as monitoring plug-ins have them: 0 OK, 1 WARNING (a router is demoted, nobody would
    /// take over a router that is Active here, or status has a warning), 2 CRITICAL (a router has a
    /// fault, or status has an error), 3 UNKNOWN (the daemon cannot be asked). A router that is starting
    /// is OK.
    Health,
    /// Tell by the exit code alone whether a virtual router is Active here
    ///
    /// Prints nothing. Exit codes: 0 every family of it is Active here; 1 not.
    IsActive {
        /// A virtual router
        name: String,
    },
    /// Wait until a virtual router has settled, and print its state
    ///
    /// With --json this prints the document of status. If the time is over before that, the exit
    /// code is 5.
    Wait {
        /// A virtual router
        name: String,
        /// What to wait for: that it is Active here, that it is Backup here, or that it is not starting,
        /// hands nothing over, and knows an Active, here or elsewhere
        #[arg(long = "for", value_name = "STATE", default_value = "settled", hide_possible_values = true, value_parser = goal())]
        goal: WaitGoal,
        /// How long to wait, such as 500ms, 30s or 5m
        #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = wait_span)]
        timeout: Duration,
    },
    /// Have the daemon read its configuration again
    ///
    /// Prints what changes. All or nothing: a file with an error changes nothing, and the exit code
    /// is 2. Virtual routers that are not concerned do not notice.
    Reload {
        /// Print what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Check a configuration file, without a daemon
    Check {
        /// The configuration
        #[arg(default_value = DEFAULT_CONFIG)]
        file: PathBuf,
        /// Let warnings count as failures, also those about this machine: exit code 1 if there is one
        #[arg(long)]
        strict: bool,
    },
}

/// The routers that a command is about: names, or all.
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

/// The time from which events are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Events since this time.
    At(Timestamp),
    /// Events since this long ago.
    Ago(Duration),
}

impl Since {
    /// The instant at which the wanted events begin.
    #[must_use]
    pub fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(age) => now.checked_sub(age).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        parse_duration(text).map(Self::Ago).map_err(|_| {
            "write a time with its offset from UTC, such as 2026-11-28T03:00:00Z, or an age such as 30m"
                .to_owned()
        })
    }
}

/// Parses what a script waits for. The shells complete its names.
fn goal() -> impl TypedValueParser<Value = WaitGoal> {
    PossibleValuesParser::new(WaitGoal::ALL.map(WaitGoal::as_str)).try_map(|name| name.parse::<WaitGoal>())
}

/// Parses how long a script waits.
fn wait_span(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| format!("{error}; write it like 500ms, 30s or 5m"))
}

/// Parses how long open connections are kept.
fn drain_span(text: &str) -> Result<Duration, String> {
    let span = parse_duration(text).map_err(|error| format!("{error}; write it like 90s, 10m or 1h"))?;
    if span <= DRAIN_MOST { Ok(span) } else { Err("it must be 24h at most".to_owned()) }
}

/// Parses how long a demotion lasts.
fn demotion_span(text: &str) -> Result<Duration, String> {
    let span = parse_duration(text).map_err(|error| format!("{error}; write it like 90s, 30m or 1d12h"))?;
    if DEMOTION_SPAN.contains(&span) { Ok(span) } else { Err("it must be from 1s to 366d".to_owned()) }
}
