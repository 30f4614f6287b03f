//! The program `vrrpctl`: reads its arguments, runs the command, and prints text or JSON.

use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use vrrpd::cli::vrrpctl::{Cli, ControlCommand, Which};
use vrrpd::cli::{self, style};
use vrrpd::control::check::{Rigour, checked};
use vrrpd::control::client::{
    Client, ClientError, DemoteRequest, EventSelection, Exit, Force, LOCAL_ERROR, LastResort, ReloadMode,
    Selection,
};
use vrrpd::control::health::{HEALTH_UNKNOWN, NodeHealth};
use vrrpd::control::message::{
    DemoteDoc, DemoteResultDoc, ErrorDetailDoc, ErrorDoc, EventsDoc, StatusDoc, VERSION,
};
use vrrpd::control::render::{self, Width, terminal};
use vrrpd::control::wait::{Waited, is_active, state_line};
use vrrpd::runtime::candidate::{self, Candidate, LoadPurpose};
use vrrpd::runtime::clock::{now, wall};

/// Why a command failed, with or without an answer of the daemon.
#[derive(Debug, thiserror::Error)]
enum CommandFailure {
    #[error(transparent)]
    Daemon(#[from] ClientError),
    #[error("cannot read {path}: {source}", path = .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// How often it is looked how far a drain is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutputFormat {
    Text,
    Json,
}

fn main() -> ExitCode {
    let cli: Cli = cli::arguments();
    let output = if cli.json { OutputFormat::Json } else { OutputFormat::Text };
    run(&cli, output).unwrap_or_else(|failure| report(&failure, output).into())
}

fn run(cli: &Cli, output: OutputFormat) -> Result<ExitCode, CommandFailure> {
    let connect = || Client::connect(&cli.socket);
    match &cli.command {
        ControlCommand::Status { name } => {
            let document = connect()?.status(name.as_deref())?;
            output.print(&document, |d| render::status(d, width()))?;
            Ok(Exit::Done.into())
        }
        ControlCommand::Show { name } => {
            output.print(&connect()?.show(name)?, render::show)?;
            Ok(Exit::Done.into())
        }
        ControlCommand::Demote { which, reason, span, last_resort, force, drain, no_wait } => {
            let last_resort = if *last_resort { LastResort::Yes } else { LastResort::No };
            let force = if *force { Force::Yes } else { Force::No };
            let order = DemoteRequest { reason, span: *span, last_resort, force, drain: *drain };
            if output == OutputFormat::Text && io::stderr().is_terminal() {
                tell_who_takes_over(&connect()?.status(None)?, which);
            }
            let begun = wall();
            let document = connect()?.demote(&selection(which), &order, tell_that_it_waits)?;
            warn(document.warning.as_deref());
            output.print(&document, render::demote)?;
            let exit = outcome(&document);
            // What has just been handed over says whether it drains; another router may do so already.
            let may_drain = |one: &DemoteResultDoc| one.outcome != "handed_over" || one.kept_ms.is_some();
            if *no_wait || !matches!(exit, Exit::Done) || !document.results.iter().any(may_drain) {
                return Ok(exit.into());
            }
            Ok(drains_end(connect()?, which, begun, output)?.into())
        }
        ControlCommand::Promote { which } => {
            let document = connect()?.promote(&selection(which))?;
            warn(document.warning.as_deref());
            output.print(&document, render::promote)?;
            Ok(Exit::Done.into())
        }
        ControlCommand::Take { name } => {
            let document = connect()?.take(name)?;
            output.print(&document, render::take)?;
            Ok(match &*document.outcome {
                "refused" => Exit::Refused,
                "no_answer" => Exit::TimedOut,
                _ => Exit::Done,
            }
            .into())
        }
        ControlCommand::Events { names, last, since, severity, follow: goes_on } => {
            let since = since.map(|since| since.time(wall()));
            let wanted = EventSelection { last: *last, names, severity: *severity, since };
            if *goes_on {
                return follow(connect()?, &wanted, output);
            }
            output.print(&connect()?.events(&wanted)?, render::events)?;
            Ok(Exit::Done.into())
        }
        ControlCommand::Health => Ok(health(cli, output)),
        ControlCommand::IsActive { name } => {
            let active = is_active(&connect()?.status(Some(name))?);
            Ok(if active { Exit::Done } else { Exit::Failed }.into())
        }
        ControlCommand::Wait { name, goal, timeout } => {
            let (document, exit) = match connect()?.wait(name, *goal, *timeout, now)? {
                Waited::Reached(document) => (document, Exit::Done),
                Waited::TimeIsOver(document) => {
                    let _best_effort =
                        writeln!(io::stderr(), "vrrpctl: {name} is not {goal} after {timeout:?}");
                    (document, Exit::TimedOut)
                }
            };
            output.print(&document, |document| state_line(document) + "\n")?;
            Ok(exit.into())
        }
        ControlCommand::Reload { dry_run } => {
            let intent = if *dry_run { ReloadMode::DryRun } else { ReloadMode::Apply };
            let document = connect()?.reload(intent)?;
            output.print(&document, render::reload)?;
            Ok(match (document.valid, document.refused.is_empty()) {
                (false, _) => Exit::Usage,
                (true, false) => Exit::Refused,
                (true, true) => Exit::Done,
            }
            .into())
        }
        ControlCommand::Check { file, strict } => {
            let style = style(&io::stdout());
            let Candidate { text, judged } = candidate::load(file, LoadPurpose::Check)
                .map_err(|source| CommandFailure::Unreadable { path: file.clone(), source })?;
            let checked = checked(file.display().to_string(), &text, judged, style);
            // The text has the colours of this program already, so it is not made safe again.
            output.write(&checked.document, |_| checked.text.clone())?;
            let rigour = if *strict { Rigour::Strict } else { Rigour::Usual };
            Ok(checked.exit(rigour).into())
        }
    }
}

/// Waits until what drains has ended, and tells how far it is.
fn drains_end(
    mut client: Client,
    which: &Which,
    begun: Timestamp,
    output: OutputFormat,
) -> Result<Exit, CommandFailure> {
    let selected = |name: &str| which.all || which.names.iter().any(|one| one == name);
    let say = |text: &str| match output {
        OutputFormat::Text => write(&terminal::lines(&format!("{text}\n"))).or_else(unless_the_reader_left),
        // Whoever reads JSON has got its document, and gets the exit code.
        OutputFormat::Json => Ok(()),
    };
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    let mut exit = Exit::Done;
    let mut is_first = true;
    loop {
        let lines: BTreeMap<String, String> =
            render::draining(&client.status(None)?, &selected).into_iter().collect();
        for name in said.keys().filter(|name| !lines.contains_key(*name)).cloned().collect::<Vec<_>>() {
            said.remove(&name);
            let names = [name.clone()];
            let wanted = EventSelection { last: 20, names: &names, severity: None, since: Some(begun) };
            let events = match client.events(&wanted) {
                Ok(document) => document.events,
                // It left the configuration meanwhile, and its events went with it.
                Err(ClientError::UnknownRouter { .. }) => Vec::new(),
                Err(error) => return Err(error.into()),
            };
            let (text, is_kept) = render::drained(&name, &events);
            say(&text)?;
            if !is_kept {
                exit = Exit::TimedOut;
            }
        }
        if lines.is_empty() && is_first {
            // What the kernel refused at once is not seen to drain.
            let wanted =
                EventSelection { last: 200, names: &which.names, severity: None, since: Some(begun) };
            for event in client.events(&wanted)?.events {
                if let Some(name) = event.name.clone().filter(|_| event.kind == "drain_refused") {
                    say(&render::drained(&name, &[event]).0)?;
                    exit = Exit::TimedOut;
                }
            }
        }
        if lines.is_empty() {
            return Ok(exit);
        }
        is_first = false;
        if said.is_empty() && io::stderr().is_terminal() {
            eprintln!("Waiting for the open connections to end (Ctrl-C ends the waiting, and nothing else)…");
        }
        for (name, line) in lines {
            if said.get(&name) != Some(&line) {
                say(&line)?;
                said.insert(name, line);
            }
        }
        client.pause(LOOK_EVERY)?;
    }
}

/// Judges this node for a monitoring system. Whatever goes wrong here makes the health unknown: the
/// codes of other commands mean something else to a monitoring system.
fn health(cli: &Cli, output: OutputFormat) -> ExitCode {
    let judged = || -> Result<ExitCode, CommandFailure> {
        let health = NodeHealth::of(&Client::connect(&cli.socket)?.status(None)?);
        output.print(&health.document, render::health)?;
        Ok(health.exit_code().into())
    };
    judged().unwrap_or_else(|failure| {
        match output {
            // A monitoring system reads standard output only.
            OutputFormat::Text => {
                let _best_effort = write(&render::health_unknown(&failure.to_string()));
            }
            OutputFormat::Json => {
                report(&failure, output);
            }
        }
        HEALTH_UNKNOWN.into()
    })
}

/// Prints events as they come: lines of text, or one JSON document a line.
fn follow(
    mut client: Client,
    wanted: &EventSelection<'_>,
    output: OutputFormat,
) -> Result<ExitCode, CommandFailure> {
    let mut written = Ok(());
    client.follow(wanted, |document: EventsDoc| {
        let text = match output {
            OutputFormat::Text => terminal::lines(&render::events(&document)),
            OutputFormat::Json => line(&document),
        };
        written = write(&text);
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written.or_else(unless_the_reader_left)?;
    Ok(Exit::Done.into())
}

fn selection(which: &Which) -> Selection {
    if which.all { Selection::All } else { Selection::Names(which.names.clone()) }
}

impl OutputFormat {
    /// Prints a document of the daemon, as text that is safe for a terminal or as JSON.
    fn print<T: Serialize>(self, document: &T, text: impl FnOnce(&T) -> String) -> io::Result<()> {
        self.write(document, |document| terminal::lines(&text(document)))
    }

    fn write<T: Serialize>(self, document: &T, text: impl FnOnce(&T) -> String) -> io::Result<()> {
        let written = match self {
            Self::Text => write(&text(document)),
            Self::Json => write(&pretty(document)),
        };
        written.or_else(unless_the_reader_left)
    }
}

/// Treats a reader that has closed the pipe (`vrrpctl status | head -1`) as success: it has what it
/// wanted.
fn unless_the_reader_left(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// The exit code of a demotion. One refusal makes the whole command refused, because the operator
/// has not got what was asked for.
fn outcome(document: &DemoteDoc) -> Exit {
    if document.results.iter().any(|result| result.outcome == "refused") { Exit::Refused } else { Exit::Done }
}

/// Prints a warning on standard error, also beside JSON. A program that does not read standard
/// error finds it in the document.
fn warn(warning: Option<&str>) {
    if let Some(warning) = warning {
        let _best_effort = writeln!(io::stderr(), "vrrpctl: WARNING: {}", terminal::lines(warning));
    }
}

/// Prints who will take over, as far as the nodes know one another.
fn tell_who_takes_over(status: &StatusDoc, which: &Which) {
    let selected = |name: &str| which.all || which.names.iter().any(|one| one == name);
    let text = render::successors(status, &selected);
    let _best_effort = write!(io::stderr(), "{}", terminal::lines(&text));
}

fn tell_that_it_waits() {
    if io::stderr().is_terminal() {
        eprintln!("Waiting for another router to take over…");
    }
}

/// Prints the failure on standard error, and as a document if JSON was asked for.
fn report(failure: &CommandFailure, output: OutputFormat) -> Exit {
    let (exit, document) = match failure {
        CommandFailure::Daemon(error) => (error.exit(), error.document()),
        CommandFailure::Unreadable { .. } | CommandFailure::Output(_) => {
            let error = ErrorDetailDoc { kind: LOCAL_ERROR.into(), message: failure.to_string() };
            (Exit::Failed, ErrorDoc { version: VERSION, error })
        }
    };
    // If neither can be written, the exit code is all that the caller gets.
    let _best_effort = writeln!(io::stderr(), "vrrpctl: {}", terminal::lines(&failure.to_string()));
    if output == OutputFormat::Json {
        let _best_effort = write(&pretty(&document));
    }
    exit
}

/// The width of the output. A terminal is as wide as `COLUMNS` says, else as the terminal says,
/// else 80; a program reads lines of any length.
fn width() -> Width {
    if !io::stdout().is_terminal() {
        return Width::Unlimited;
    }
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    Width::Columns(told.or_else(asked).filter(|columns| *columns > 0).unwrap_or(80))
}

fn pretty<T: Serialize>(document: &T) -> String {
    let text = serde_json::to_string_pretty(document);
    let text = text.unwrap_or_else(|error| unreachable!("documents have text as keys: {error}"));
    terminal::json(&text) + "\n"
}

fn line<T: Serialize>(document: &T) -> String {
    let text = serde_json::to_string(document);
    let text = text.unwrap_or_else(|error| unreachable!("documents have text as keys: {error}"));
    terminal::json(&text) + "\n"
}

/// Writes to standard output, because `println!` panics when the reader has closed the pipe.
fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
