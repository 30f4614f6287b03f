//! `vrrpctl health`: judges the status of a node for a monitoring system, in one word, one line and
//! a list of findings.
//!
//! A pure function of the status document, so that it needs no method of its own in the daemon.

use super::message::{HealthDoc, HealthFindingDoc, StatusDoc, VERSION, VirtualRouterDoc, WarningDoc};
use super::router_state::{activity_in_words, is_faulty, other_active};
use crate::agent::named;

/// How many routers or findings the line names. Monitoring systems cut longer lines, and the worst
/// findings come first.
const NAMED: usize = 8;
/// How the message of `not_redundant` begins. The event shouts it in a log of many lines; here the
/// level says it.
const SHOUTED: &str = "NOT REDUNDANT: ";

/// How well a node is, in the levels of monitoring systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthLevel {
    /// Nothing is wrong.
    Ok,
    /// Somebody should look during working hours.
    Warning,
    /// Somebody should look now.
    Critical,
}

named! {
    /// The names of all levels.
    pub(super) const HEALTH_LEVELS;
    fn level_name(HealthLevel);
    HealthLevel::Ok => "ok",
    HealthLevel::Warning => "warning",
    HealthLevel::Critical => "critical",
}

/// The exit code of `health` when the health is not known, because the daemon did not answer.
pub const HEALTH_UNKNOWN: u8 = 3;

/// How well a node is, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeHealth {
    /// The level of the worst finding.
    pub level: HealthLevel,
    /// The document of `--json`.
    pub document: HealthDoc,
}

impl NodeHealth {
    /// Judges the status of a node.
    #[must_use]
    pub fn of(status: &StatusDoc) -> Self {
        let mut findings: Vec<HealthFinding> = Vec::new();
        let routers = status.virtual_routers.iter().flat_map(findings_of);
        let node = status.warnings.iter().map(|warning| HealthFinding::of_warning(None, warning));
        for finding in routers.chain(node) {
            // Both families of a router mostly say the same.
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        // The order is stable: findings of one level stay in the order of the routers.
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        let level = findings.first().map_or(HealthLevel::Ok, |worst| worst.level);
        let summary = match level {
            HealthLevel::Ok => all_is_well(status),
            HealthLevel::Warning | HealthLevel::Critical => {
                let subject =
                    |finding: &HealthFinding| finding.name.clone().unwrap_or_else(|| status.node.clone());
                some_of(findings.iter().map(|one| format!("{}: {}", subject(one), one.message)).collect())
            }
        };
        let findings = findings.into_iter().map(HealthFinding::document).collect();
        let node = status.node.clone();
        let document =
            HealthDoc { version: VERSION, node, level: level_name(&level).into(), summary, findings };
        Self { level, document }
    }

    /// The exit code of `health`, which is that of a monitoring plug-in.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self.level {
            HealthLevel::Ok => 0,
            HealthLevel::Warning => 1,
            HealthLevel::Critical => 2,
        }
    }
}

/// Something that is wrong with a router, or with the node.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HealthFinding {
    level: HealthLevel,
    /// The name of the router; `None`: this is about the node.
    name: Option<String>,
    message: String,
}

impl HealthFinding {
    fn of_warning(name: Option<String>, warning: &WarningDoc) -> Self {
        let level = if &*warning.severity == "error" { HealthLevel::Critical } else { HealthLevel::Warning };
        let message = warning.message.strip_prefix(SHOUTED).unwrap_or(&warning.message).to_owned();
        Self { level, name, message }
    }

    fn document(self) -> HealthFindingDoc {
        let Self { level, name, message } = self;
        HealthFindingDoc { name, level: level_name(&level).into(), message }
    }
}

fn findings_of(family: &VirtualRouterDoc) -> Vec<HealthFinding> {
    let name = Some(family.name.to_string());
    let found = |level, message: String| HealthFinding { level, name: name.clone(), message };
    let mut findings: Vec<HealthFinding> =
        family.warnings.iter().map(|warning| HealthFinding::of_warning(name.clone(), warning)).collect();
    if is_faulty(family) {
        // WHY tells of a demotion before it tells of faults.
        let why = if family.demoted.is_some() { family.faults.join("; ") } else { family.why.clone() };
        findings.push(found(HealthLevel::Critical, why));
    }
    if family.demoted.is_some() {
        findings.push(found(HealthLevel::Warning, family.why.clone()));
    }
    let is_told = family.warnings.iter().any(|warning| &*warning.kind == "not_redundant");
    if &*family.state == "active" && family.redundant == Some(false) && !is_told {
        findings.push(found(HealthLevel::Warning, nobody_would_take_over(family)));
    }
    findings
}

/// The sentence of the warning `not_redundant`, made from the standbys.
fn nobody_would_take_over(family: &VirtualRouterDoc) -> String {
    let why = family.standbys.iter().filter_map(|standby| {
        let obstacle = standby.obstacle.as_ref()?;
        Some(format!("{}: {obstacle}", standby.node))
    });
    let why: Vec<_> = why.collect();
    if why.is_empty() {
        "nobody would take over".to_owned()
    } else {
        format!("nobody would take over ({})", why.join("; "))
    }
}

fn all_is_well(status: &StatusDoc) -> String {
    let routers = status.virtual_routers.chunk_by(|a, b| a.name == b.name);
    let told: Vec<String> = routers.filter_map(well).collect();
    if told.is_empty() { "no virtual routers are configured".to_owned() } else { some_of(told) }
}

/// The words for a router with which nothing is wrong: `web active, redundant (fe1 would take
/// over)`.
fn well(families: &[VirtualRouterDoc]) -> Option<String> {
    let first = families.first()?;
    let mut text = format!("{} {}", first.name, activity_in_words(families));
    if let Some(active) = other_active(families) {
        text.push_str(&format!(", {active} is active"));
    } else if &*first.state == "active" && first.redundant == Some(true) {
        text.push_str(", redundant");
        let ready = first.standbys.iter().find(|standby| standby.obstacle.is_none() && !standby.active);
        if let Some(ready) = ready {
            text.push_str(&format!(" ({} would take over)", ready.node));
        }
    }
    Some(text)
}

fn some_of(mut told: Vec<String>) -> String {
    let more = told.len().saturating_sub(NAMED);
    told.truncate(NAMED);
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told.join("; ")
}

#[cfg(test)]
mod tests;
