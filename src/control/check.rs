//! `check`: a configuration file is read and resolved, and nothing else happens. `vrrpctl check`
//! and `vrrpd --check` are the same.

use super::client::Exit;
use super::message::{CheckDoc, FindingDoc, VERSION};
use crate::config::report::{self, Style};
use crate::config::{Finding, Resolved};
use crate::runtime::candidate::{self, Candidate, Purpose};
use std::io;
use std::path::Path;

/// Where the configuration is unless told otherwise.
pub const DEFAULT_CONFIG: &str = "/etc/vrrpd/vrrpd.toml";

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// For programs.
    pub document: CheckDoc,
    /// For people: every finding with its line, then the verdict.
    pub text: String,
}

impl Checked {
    /// What the command exits with.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        if self.document.valid { Exit::Done } else { Exit::Usage }
    }
}

/// Checks the configuration file at `path`.
///
/// # Errors
/// If it cannot be read, or is no text of at most 16 MiB.
pub fn check(path: &Path, style: Style) -> io::Result<Checked> {
    let Candidate { text, judged } = candidate::load(path, Purpose::Check)?;
    let file = path.display().to_string();
    let (errors, warnings, verdict) = match judged {
        Ok(Resolved { config, warnings, programs: _ }) => {
            let (routers, checks) = (config.routers.len(), config.checks.len());
            (Vec::new(), warnings, format!("{file}: valid ({routers} virtual routers, {checks} checks)\n"))
        }
        Err(errors) => {
            let verdict = format!("{file}: {} found\n", counted(errors.len()));
            (errors, Vec::new(), verdict)
        }
    };
    let report = report::text(&text, &errors, &warnings, style);
    let document = CheckDoc {
        version: VERSION,
        file,
        valid: errors.is_empty(),
        errors: errors.iter().map(|error| finding(&error.0)).collect(),
        warnings: warnings.iter().map(|warning| finding(&warning.0)).collect(),
    };
    Ok(Checked { document, text: report + &verdict })
}

pub(super) fn finding(finding: &Finding) -> FindingDoc {
    FindingDoc {
        line: finding.place.line,
        column: finding.place.column,
        message: finding.message.clone(),
        help: finding.help.clone(),
    }
}

fn counted(errors: usize) -> String {
    if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") }
}
