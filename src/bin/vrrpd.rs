//! The program `vrrpd`: reads its arguments, starts the daemon, and says why it cannot start.

use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use vrrpd::agent::error::error_chain;
use vrrpd::cli::vrrpd::DaemonArguments;
use vrrpd::cli::{self, style};
use vrrpd::config::report;
use vrrpd::config::{Config, ConfigError, Resolved};
use vrrpd::daemon::clean_up::{self, DaemonPaths};
use vrrpd::daemon::{self, DaemonSettings};
use vrrpd::kernel::blocking::run_within;
use vrrpd::kernel::capabilities::{self, Powers};
use vrrpd::runtime::candidate::{self, Candidate, LoadPurpose};
use vrrpd::telemetry::log;
use vrrpd::telemetry::printer::{self, Printer, Stream};

/// The exit code when nothing failed.
const DONE: u8 = 0;
/// The exit code when something failed.
const FAILED: u8 = 1;
/// The exit code when the arguments or the configuration are wrong, and nothing was started.
const USAGE: u8 = 2;

/// How long a start waits for the configuration, whose disk may hang.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long the clean-up waits for the configuration. After that it removes the addresses without
/// handing over.
const CLEAN_UP_LIMIT: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let arguments: DaemonArguments = cli::arguments();
    if arguments.check {
        return check(&arguments);
    }
    // This happens before there is a second thread, because threads inherit the privileges too.
    let withheld = capabilities::shed_inheritance().and_then(|()| capabilities::withhold_from_programs());
    let printer = match log::printer(arguments.log_format) {
        Ok(printer) => printer,
        Err(error) => {
            eprintln!("vrrpd: cannot start logging: {error}");
            return ExitCode::from(FAILED);
        }
    };
    // From here on nothing waits for the reader of standard error.
    let stderr = Stderr(&printer);
    let code =
        if arguments.clean_up { clean_up(arguments, stderr) } else { serve(arguments, withheld, stderr) };
    printer.finish(printer::PATIENCE);
    ExitCode::from(code)
}

/// Checks the configuration for a person or a script. It has nothing else to do, so it waits for
/// its reader. The configuration may come from a pipe, because it is read once only.
fn check(arguments: &DaemonArguments) -> ExitCode {
    let loaded = load(&arguments.config, LoadPurpose::Check);
    // `eprint!` and `println!` panic when the reader has closed the pipe (`vrrpd --check 2>&1 |
    // head -1`). The exit code still tells the result.
    let _best_effort = io::stderr().write_all(loaded.report.as_bytes());
    match loaded.config {
        Ok(_) if arguments.strict && loaded.warnings > 0 => ExitCode::from(FAILED),
        Ok(_) => {
            let _best_effort = writeln!(io::stdout(), "{}: valid", arguments.config.display());
            ExitCode::SUCCESS
        }
        // The exit code is the same as that of `vrrpctl check`: it is not known whether the file is
        // right.
        Err(LoadFailure::Unreadable | LoadFailure::Late) => ExitCode::from(FAILED),
        Err(LoadFailure::Wrong) => ExitCode::from(USAGE),
    }
}

fn serve(arguments: DaemonArguments, withheld: io::Result<()>, stderr: Stderr<'_>) -> u8 {
    let levels = match log::levels() {
        Ok(levels) => levels,
        Err(error) => {
            stderr.text(&format!("vrrpd: {error}\n"));
            return USAGE;
        }
    };
    let loaded = match load_within(START_LIMIT, &arguments.config, LoadPurpose::Run) {
        Ok(loaded) => loaded,
        // The disk may answer at another start, so this is not the exit code of a wrong
        // configuration.
        Err(report) => {
            stderr.text(&report);
            return FAILED;
        }
    };
    stderr.text(&loaded.report);
    let config = match loaded.config {
        Ok(config) => config,
        // The disk of a program that root would run may answer at another start.
        Err(LoadFailure::Late) => return FAILED,
        // Both need an operator, so the service manager must not try again and again.
        Err(LoadFailure::Unreadable | LoadFailure::Wrong) => return USAGE,
    };
    if let Err(error) = log::init(arguments.log_format, levels, stderr.0) {
        return stderr.failed(&format!("cannot start logging: {error}"));
    }
    if let Err(error) = withheld {
        return stderr
            .failed(&format!("cannot withhold the privileges of vrrpd from checks and hooks: {error}"));
    }
    let printer = stderr.0.clone();
    let settings = DaemonSettings {
        config,
        powers: loaded.powers,
        config_file: arguments.config,
        socket: arguments.socket,
        state_dir: arguments.state_dir,
        log_lines_dropped: Box::new(move || printer.lost()),
    };
    match daemon::run(settings) {
        Ok(()) => DONE,
        Err(error) => stderr.failed(&error_chain(&error)),
    }
}

/// Removes what a crashed daemon left behind. Without a configuration no peer can be told, but the
/// addresses must still go.
fn clean_up(arguments: DaemonArguments, stderr: Stderr<'_>) -> u8 {
    let mut code = DONE;
    let config = || {
        let loaded = load_within(CLEAN_UP_LIMIT, &arguments.config, LoadPurpose::CleanUp);
        let loaded = loaded.unwrap_or_else(|report| Loaded::none(LoadFailure::Late, report));
        stderr.text(&loaded.report);
        code = match &loaded.config {
            Ok(_) => DONE,
            Err(LoadFailure::Late) => FAILED,
            Err(LoadFailure::Unreadable | LoadFailure::Wrong) => USAGE,
        };
        loaded.config.ok()
    };
    let lines = match clean_up::run(
        &DaemonPaths { socket: arguments.socket, state_dir: arguments.state_dir },
        clean_up::drains_after(std::env::var_os("SERVICE_RESULT").as_deref()),
        config,
    ) {
        Ok(lines) => lines,
        Err(error) => return stderr.failed(&error_chain(&error)),
    };
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if let Err(error) = print(&lines) {
        return stderr.failed(&format!("cannot print what was done: {error}"));
    }
    code
}

/// Prints on standard output. A reader that does not read in time is not waited for.
fn print(text: &str) -> io::Result<()> {
    let apology = |lost| format!("{lost} lines were lost\n").into_bytes();
    let printer = Printer::start("vrrpd-print", Stream::of(io::stdout())?, Box::new(apology))?;
    printer.print(text.as_bytes());
    printer.finish(printer::PATIENCE);
    Ok(())
}

/// Standard error, written to through the printer.
#[derive(Clone, Copy)]
struct Stderr<'p>(&'p Printer);

impl Stderr<'_> {
    fn text(self, text: &str) {
        self.0.print(text.as_bytes());
    }

    fn failed(self, why: &str) -> u8 {
        self.text(&format!("vrrpd: {why}\n"));
        FAILED
    }
}

/// The configuration, if there is one, and the report on the file.
struct Loaded {
    config: Result<Config, LoadFailure>,
    warnings: usize,
    report: String,
    powers: Powers,
}

/// Why there is no configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoadFailure {
    /// The file cannot be read, or is not text.
    Unreadable,
    /// A disk does not answer, so it is not known whether anything is wrong.
    Late,
    /// The file has errors.
    Wrong,
}

impl Loaded {
    const fn none(why: LoadFailure, report: String) -> Self {
        Self { config: Err(why), warnings: 0, report, powers: Powers::Needed }
    }
}

/// Does the same as [`load`], from a disk that may hang.
///
/// # Errors
/// The text to print if the disk does not answer within `limit`.
fn load_within(limit: Duration, file: &Path, purpose: LoadPurpose) -> Result<Loaded, String> {
    let path = file.to_owned();
    let loaded = run_within(limit, move || load(&path, purpose));
    loaded.map_err(|error| format!("vrrpd: cannot read the configuration {}: {error}\n", file.display()))
}

/// Reads the configuration, and reports everything that is wrong with it at once.
fn load(file: &Path, purpose: LoadPurpose) -> Loaded {
    let name = file.display().to_string();
    let Candidate { text, judged } = match candidate::load(file, purpose) {
        Ok(candidate) => candidate,
        Err(error) => {
            let missing = "Write one (man vrrpd.toml), or name another with --config FILE.\n";
            let advice = if error.kind() == ErrorKind::NotFound { missing } else { "" };
            let report = format!("vrrpd: cannot read the configuration {name}: {error}\n{advice}");
            let late = error.kind() == ErrorKind::TimedOut;
            return Loaded::none(if late { LoadFailure::Late } else { LoadFailure::Unreadable }, report);
        }
    };
    let style = style(&io::stderr());
    match judged {
        Ok(Resolved { config, warnings, programs, expectations: _ }) => {
            let report = report::text(&text, &[], &warnings, style);
            let powers = if candidate::needs_root(&programs) { Powers::All } else { Powers::Needed };
            Loaded { config: Ok(config), warnings: warnings.len(), report, powers }
        }
        Err(errors) => {
            let report = report::text(&text, &errors, &[], style);
            let consequence = match purpose {
                LoadPurpose::Run => "; nothing was started",
                LoadPurpose::Check | LoadPurpose::CleanUp => "",
            };
            let report = format!("{report}vrrpd: {}{consequence}\n", count(&errors));
            Loaded::none(LoadFailure::Wrong, report)
        }
    }
}

fn count(errors: &[ConfigError]) -> String {
    match errors.len() {
        1 => "1 error in the configuration".to_owned(),
        errors => format!("{errors} errors in the configuration"),
    }
}
