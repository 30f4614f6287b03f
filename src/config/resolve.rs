//! Makes a [`Config`] from the keys of the file: it applies defaults, and checks everything that
//! concerns two keys at once. No other code makes a [`Config`]. All errors of a text are reported
//! together.

mod addresses;
mod advice;
mod expectations;
mod hooks;
mod peers;
mod programs;
mod router;
mod tracks;
mod unique;
mod versions;

use super::document::Key;
use super::problem::{ConfigError, ConfigWarning, Lines, Problems};
use super::raw::{self, RawCheck, RawConfig};
use super::{Agent, CheckSpec, Config, Realtime, syntax};
use std::num::NonZeroU8;
use std::ops::Range;
use toml::Spanned;
use unique::Unique;

pub use expectations::{Assumption, Expectation};
pub use programs::{Program, Task};

/// A configuration, and what was found while reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The checked configuration.
    pub config: Config,
    /// Legal settings that the operator probably does not mean, in the order of the text.
    pub warnings: Vec<ConfigWarning>,
    /// The programs that the configuration runs, for checks of their owners and permissions.
    pub programs: Vec<Program>,
    /// What the configuration assumes about the machine.
    pub expectations: Vec<Expectation>,
}

/// Reads the text of a configuration; `file` is its name in messages.
///
/// # Errors
/// All errors of the text, in the order of the text. If the text is not TOML, only the errors of syntax
/// are reported.
pub fn resolve(text: &str, file: &str) -> Result<Resolved, Vec<ConfigError>> {
    let mut problems = Problems::default();
    let lines = Lines::new(text, file);
    let read = syntax::parse(text, &mut problems).and_then(|root| {
        let raw = raw::read(&root, &mut problems);
        let config = config(&raw, &mut problems)?;
        Some((config, programs::list(&raw, &lines), expectations::list(&raw, &lines)))
    });
    let (errors, warnings) = problems.conclude(&lines);
    match read {
        Some((config, programs, expectations)) if errors.is_empty() => {
            Ok(Resolved { config, warnings, programs, expectations })
        }
        Some(_) | None => Err(errors),
    }
}

fn config(raw: &RawConfig, problems: &mut Problems) -> Option<Config> {
    let mut unique = Unique::default();
    let agent = agent(raw, problems);
    let checks: Vec<_> = raw.checks.iter().map(|raw| check(raw, &mut unique, problems)).collect();
    let routers: Vec<_> =
        raw.routers.iter().map(|own| router::resolve(own, raw, &mut unique, problems)).collect();
    tracks::advise_on_unused(raw, problems);
    let (routers, hooks): (Vec<_>, Vec<_>) =
        routers.into_iter().collect::<Option<Vec<_>>>()?.into_iter().unzip();
    let hooks = routers.iter().map(|router| router.name.clone()).zip(hooks);
    Some(Config {
        agent: agent?,
        checks: checks.into_iter().collect::<Option<_>>()?,
        hooks: hooks.filter_map(|(name, hooks)| Some((name, hooks?))).collect(),
        routers,
    })
}

fn agent(raw: &RawConfig, problems: &mut Problems) -> Option<Agent> {
    if let (Key::Absent, Some(port)) = (&raw.peer_key_file, raw.peer_port.spanned()) {
        let message =
            "`peer_port` has no effect without `peer_key_file`: the nodes do not talk to one another";
        problems.warning(port.span(), message, "add peer_key_file = \"/etc/vrrpd/peer.key\"");
    }
    advise_on_metrics(raw, problems);
    Some(Agent {
        node_name: raw.node_name.optional()?,
        realtime: raw.realtime.or_default(Realtime::default())?,
        peer_key_file: raw.peer_key_file.optional()?,
        peer_port: raw.peer_port.or_default(Agent::DEFAULT_PEER_PORT)?,
        metrics: raw.metrics.optional()?,
    })
}

/// Warns about an endpoint for monitoring that clients of the virtual addresses reach, and about
/// one that can only be opened while this node serves.
fn advise_on_metrics(raw: &RawConfig, problems: &mut Problems) {
    let Some(metrics) = raw.metrics.spanned() else { return };
    let (ip, port) = (metrics.get_ref().ip(), metrics.get_ref().port());
    if ip.is_unspecified() {
        let message =
            "`metrics` answers on every address, the virtual ones too, and asks nobody for a password";
        let help =
            format!("write an address of this node that only monitoring reaches, or \"127.0.0.1:{port}\"");
        problems.warning(metrics.span(), message, help);
    }
    let lists = raw.routers.iter().filter_map(|router| router.addresses.spanned());
    if lists.flat_map(|list| &list.get_ref().read).any(|net| net.get_ref().addr() == ip) {
        let message = format!("`metrics` is to listen on {ip}, which a node has only while it serves");
        problems.warning(metrics.span(), message, "write an address that this node always has");
    }
}

fn check(raw: &RawCheck, unique: &mut Unique, problems: &mut Problems) -> Option<CheckSpec> {
    let name = required(&raw.name, "name", "for example name = \"nginx\"", &raw.span, problems);
    if let Some(name) = &name {
        unique.check(name, problems);
    }
    let example = "for example command = [\"/usr/bin/systemctl\", \"is-active\", \"--quiet\", \"nginx\"]";
    let command = required(&raw.command, "command", example, &raw.span, problems);
    let interval = raw.interval.or_default(CheckSpec::DEFAULT_INTERVAL);
    let timeout = raw.timeout.or_default(CheckSpec::default_timeout(interval?));
    if let (Some(interval), Some(timeout), Some(set)) = (interval, timeout, raw.timeout.spanned())
        && timeout > interval
    {
        let message = "`timeout` is longer than `interval`: a command that hangs delays the next run";
        problems.warning(set.span(), message, "write a timeout up to the interval (runs never overlap)");
    }
    Some(CheckSpec {
        name: name?.into_inner(),
        command: command?.into_inner(),
        interval: interval?,
        timeout: timeout?,
        rise: raw.rise.optional()?.map_or(CheckSpec::DEFAULT_RISE, NonZeroU8::get),
        fall: raw.fall.optional()?.map_or(CheckSpec::DEFAULT_FALL, NonZeroU8::get),
        user: raw.user.optional()?,
    })
}

/// The value of a key that must be there; its absence is reported.
fn required<T: Clone>(
    key: &Key<T>,
    name: &str,
    example: &str,
    table: &Range<usize>,
    problems: &mut Problems,
) -> Option<Spanned<T>> {
    if matches!(key, Key::Absent) {
        problems.error(table.clone(), format!("`{name}` is missing here"), format!("add {example}"));
    }
    key.spanned().cloned()
}
