//! The daemon: arguments, exit codes, and what is said when it cannot start.

use clap::Parser;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use vrrpd::cli::vrrpd::Arguments;
use vrrpd::config::report::{self, Style};
use vrrpd::config::{ConfigError, Resolved, resolve};
use vrrpd::kernel::capabilities;
use vrrpd::runtime::clean_up::{self, Place};
use vrrpd::runtime::supervisor::{self, Settings};
use vrrpd::telemetry::log;

/// Something failed.
const FAILED: u8 = 1;
/// The arguments or the configuration are wrong: nothing was started.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.clean_up {
        return clean_up(arguments);
    }
    let resolved = match load(&arguments.config) {
        Ok(resolved) => resolved,
        Err(code) => return code,
    };
    if arguments.check {
        println!("{}: valid", arguments.config.display());
        return ExitCode::SUCCESS;
    }
    if let Err(error) = log::init(arguments.log_format) {
        eprintln!("vrrpd: cannot start logging: {error}");
        return ExitCode::from(FAILED);
    }
    // Before there is a second thread: threads inherit this too.
    if let Err(error) = capabilities::withhold_from_programs() {
        eprintln!("vrrpd: cannot keep its capabilities from checks and hooks: {error}");
        return ExitCode::from(FAILED);
    }
    let settings = Settings {
        config: resolved.config,
        config_file: arguments.config,
        socket: arguments.socket,
        state_dir: arguments.state_dir,
    };
    match supervisor::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vrrpd: {:#}", anyhow::Error::from(error));
            ExitCode::from(FAILED)
        }
    }
}

/// Without a configuration nobody can be told, but what was left behind must go.
fn clean_up(arguments: Arguments) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let config = || match load(&arguments.config) {
        Ok(resolved) => Some(resolved.config),
        Err(wrong) => {
            code = wrong;
            None
        }
    };
    match clean_up::run(&Place { socket: arguments.socket, state_dir: arguments.state_dir }, config) {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            code
        }
        Err(error) => {
            eprintln!("vrrpd: {:#}", anyhow::Error::from(error));
            ExitCode::from(FAILED)
        }
    }
}

/// Reads the configuration; what is wrong with it goes to standard error, all at once.
fn load(file: &Path) -> Result<Resolved, ExitCode> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        eprintln!("vrrpd: cannot read the configuration {name}: {error}");
        eprintln!("Write one (man vrrpd.toml), or name another with --config FILE.");
        ExitCode::from(USAGE)
    })?;
    let style = if std::io::stderr().is_terminal() { Style::Colour } else { Style::Plain };
    match resolve(&text, &name) {
        Ok(resolved) => {
            eprint!("{}", report::text(&text, &[], &resolved.warnings, style));
            Ok(resolved)
        }
        Err(errors) => {
            eprint!("{}", report::text(&text, &errors, &[], style));
            eprintln!("vrrpd: {}; nothing was started", count(&errors));
            Err(ExitCode::from(USAGE))
        }
    }
}

fn count(errors: &[ConfigError]) -> String {
    match errors.len() {
        1 => "one error in the configuration".to_owned(),
        errors => format!("{errors} errors in the configuration"),
    }
}
