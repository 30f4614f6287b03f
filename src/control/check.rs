//! `vrrpctl check`: the report on a configuration file that was read and resolved. Nothing is
//! changed.

use super::client::Exit;
use super::message::{CheckDoc, FindingDoc, VERSION};
use crate::config::report::{self, Style};
use crate::config::{ConfigError, Finding, Resolved};

/// The configuration file of a machine whose operator names no other.
pub const DEFAULT_CONFIG: &str = "/etc/vrrpd/vrrpd.toml";

/// Whether a warning makes the command fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rigour {
    /// A file with warnings passes.
    Usual,
    /// A file with warnings fails.
    Strict,
}

/// The result of checking one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The document of `--json`.
    pub document: CheckDoc,
    /// The text for people: every finding with its line, then a summary.
    pub text: String,
}

impl Checked {
    /// The exit code of the command.
    #[must_use]
    pub fn exit(&self, rigour: Rigour) -> Exit {
        let (valid, warned) = (self.document.valid, !self.document.warnings.is_empty());
        match rigour {
            Rigour::Usual | Rigour::Strict if !valid => Exit::Usage,
            Rigour::Strict if warned => Exit::Failed,
            Rigour::Usual | Rigour::Strict => Exit::Done,
        }
    }
}

/// Builds the result for the file `file` with this `text`; `resolved` is the configuration that it
/// describes, or everything that is wrong with it.
#[must_use]
pub fn checked(
    file: String,
    text: &str,
    resolved: Result<Resolved, Vec<ConfigError>>,
    style: Style,
) -> Checked {
    let (errors, warnings, summary) = match resolved {
        Ok(Resolved { config, warnings, programs: _, expectations: _ }) => {
            let (routers, checks) = (config.routers.len(), config.checks.len());
            (
                Vec::new(),
                warnings,
                format!(
                    "{file}: valid ({}, {})\n",
                    counted(routers, "virtual router"),
                    counted(checks, "check")
                ),
            )
        }
        Err(errors) => {
            let summary = format!("{file}: {}\n", counted(errors.len(), "error"));
            (errors, Vec::new(), summary)
        }
    };
    let report = report::text(text, &errors, &warnings, style);
    let document = CheckDoc {
        version: VERSION,
        file,
        valid: errors.is_empty(),
        errors: errors.iter().map(|error| finding(&error.0)).collect(),
        warnings: warnings.iter().map(|warning| finding(&warning.0)).collect(),
    };
    Checked { document, text: report + &summary }
}

pub(super) fn finding(finding: &Finding) -> FindingDoc {
    FindingDoc {
        line: finding.place.line,
        column: finding.place.column,
        message: finding.message.clone(),
        help: finding.help.clone(),
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
