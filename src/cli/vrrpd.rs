//! The command line of `vrrpd`.
//!
//! The man page (`docs/man`) is generated from these types.

use crate::control::DEFAULT_SOCKET;
use crate::control::check::DEFAULT_CONFIG;
use crate::telemetry::log::LogFormat;
use clap::Parser;
use std::path::PathBuf;

/// A VRRP high-availability agent: holds virtual addresses on the frontend that is fit to serve.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 80)]
pub struct DaemonArguments {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Check the configuration, say what is wrong with it, and exit: 0 valid, 1 it cannot be read,
    /// 2 it is wrong.
    #[arg(long)]
    pub check: bool,
    /// With --check: let warnings count as failures (exit code 1), also those about this machine.
    #[arg(long, requires = "check")]
    pub strict: bool,
    /// After a crash: hand over and remove the addresses that a killed daemon left behind, and
    /// exit.
    ///
    /// For ExecStopPost= in a unit. Does nothing while a daemon runs or if nothing is left: 0 done
    /// or nothing to do, 1 failed, 2 the configuration is wrong (the addresses are removed all the
    /// same).
    #[arg(long, conflicts_with = "check")]
    pub clean_up: bool,
    /// The control socket.
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    pub socket: PathBuf,
    /// Demotions are kept here over a restart.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/vrrpd")]
    pub state_dir: PathBuf,
    /// The form of log lines on standard error: text or json.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}
