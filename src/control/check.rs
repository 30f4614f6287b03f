//! `vrrpctl check`: what is told of a configuration file that was read and resolved, while nothing else happens.

use super::client::Exit;
use super::message::{CheckDoc, FindingDoc, VERSION};
use crate::config::report::{self, Style};
use crate::config::{ConfigError, Finding, Resolved};

/// Where the configuration is unless told otherwise.
pub const DEFAULT_CONFIG: &str = "/etc/vrrpd/vrrpd.toml";

/// Whether warnings count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rigour {
    /// No.
    Usual,
    /// Yes.
    Strict,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// For programs.
    pub document: CheckDoc,
    /// For people: every finding with its line, then a summary.
    pub text: String,
}

impl Checked {
    /// What the command exits with.
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

/// The result for a file of this name with this text, of which `resolved` is the meaning or everything that is wrong.
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
