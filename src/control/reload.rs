//! `reload`: what the server asks of the daemon, and the document of the answer.
//!
//! Must not know how a configuration is carried out.

use super::check::finding;
use super::message::{AgentChangeDoc, ChangeDoc, PlannedCheckDoc, PlannedRouterDoc, ReloadDoc, VERSION};
use crate::config::plan::{
    AgentChange, Change, CheckPlan, CheckStep, Difference, Effective, Plan, RouterPlan, RouterStep,
};
use crate::config::{ConfigError, ConfigWarning};
use tokio::sync::oneshot;

/// Reads the configuration anew. One at a time: the next waits until this one is answered.
#[derive(Debug)]
pub struct ReloadRequest {
    /// What is to come of it.
    pub intent: Intent,
    /// Who asks.
    pub by: String,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Reloaded>,
}

/// What a reload is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Intent {
    /// Carry it out.
    Apply,
    /// Tell what would change, and change nothing.
    DryRun,
}

impl Intent {
    /// As logs have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::DryRun => "dry run",
        }
    }
}

/// What came of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// The file that was read.
    pub file: String,
    /// What was in it.
    pub outcome: Outcome,
}

/// What was in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A configuration. Carried out, if that was asked for.
    Accepted {
        /// What it changes.
        plan: Plan,
        /// Legal, but probably not meant.
        warnings: Vec<ConfigWarning>,
        /// The warnings for people.
        report: String,
    },
    /// A configuration that would harm this machine: nothing was changed.
    Refused {
        /// What it would have changed.
        plan: Plan,
        /// Why, each with its remedy.
        reasons: Vec<String>,
        /// Legal, but probably not meant.
        warnings: Vec<ConfigWarning>,
        /// The warnings for people.
        report: String,
    },
    /// None: nothing was changed.
    Wrong {
        /// Why.
        errors: Vec<ConfigError>,
        /// The same for people.
        report: String,
    },
    /// It could not be read: nothing was changed.
    Unreadable(String),
}

impl Reloaded {
    /// The document of the answer.
    ///
    /// # Errors
    /// Why the file could not be read.
    pub fn document(&self, node: String, intent: Intent) -> Result<ReloadDoc, &str> {
        let blank = ReloadDoc {
            version: VERSION,
            node,
            file: self.file.clone(),
            dry_run: intent == Intent::DryRun,
            valid: false,
            applied: false,
            refused: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            report: String::new(),
            virtual_routers: Vec::new(),
            checks: Vec::new(),
            agent: Vec::new(),
        };
        match &self.outcome {
            Outcome::Accepted { plan, warnings, report } => {
                Ok(ReloadDoc { applied: intent == Intent::Apply, ..blank.of(plan, warnings, report) })
            }
            Outcome::Refused { plan, reasons, warnings, report } => {
                Ok(ReloadDoc { refused: reasons.clone(), ..blank.of(plan, warnings, report) })
            }
            Outcome::Wrong { errors, report } => Ok(ReloadDoc {
                errors: errors.iter().map(|error| finding(&error.0)).collect(),
                report: report.clone(),
                ..blank
            }),
            Outcome::Unreadable(why) => Err(why),
        }
    }
}

impl ReloadDoc {
    /// Filled in for a file that is a configuration.
    fn of(self, plan: &Plan, warnings: &[ConfigWarning], report: &str) -> Self {
        Self {
            valid: true,
            warnings: warnings.iter().map(|warning| finding(&warning.0)).collect(),
            report: report.to_owned(),
            virtual_routers: plan.routers.iter().map(router).collect(),
            checks: plan.checks.iter().map(check).collect(),
            agent: plan.agent.iter().map(agent).collect(),
            ..self
        }
    }
}

fn router(plan: &RouterPlan) -> PlannedRouterDoc {
    let (action, changes) = match &plan.step {
        RouterStep::Add => ("add", &[][..]),
        RouterStep::Remove => ("remove", &[][..]),
        RouterStep::Retune(changes) => ("retune", &changes[..]),
        RouterStep::Rebuild(changes) => ("rebuild", &changes[..]),
        RouterStep::Unchanged => ("unchanged", &[][..]),
    };
    PlannedRouterDoc {
        name: plan.name.to_string().into(),
        interface: plan.interface.to_string().into(),
        vrid: plan.vrid.get(),
        action: action.into(),
        changes: changes.iter().map(change).collect(),
    }
}

fn check(plan: &CheckPlan) -> PlannedCheckDoc {
    let (action, changes) = match &plan.step {
        CheckStep::Add => ("add", &[][..]),
        CheckStep::Remove => ("remove", &[][..]),
        CheckStep::Restart(changes) => ("restart", &changes[..]),
        CheckStep::Unchanged => ("unchanged", &[][..]),
    };
    PlannedCheckDoc {
        name: plan.name.0.to_string().into(),
        action: action.into(),
        changes: changes.iter().map(change).collect(),
    }
}

fn agent(plan: &AgentChange) -> AgentChangeDoc {
    let takes_effect = match plan.effective {
        Effective::Now => "now",
        Effective::Restart => "restart",
    };
    AgentChangeDoc { change: change(&plan.change), takes_effect: takes_effect.into() }
}

fn change(change: &Change) -> ChangeDoc {
    let key = change.key.into();
    match &change.difference {
        Difference::Value { from, to } => {
            ChangeDoc { key, from: Some(from.clone()), to: Some(to.clone()), added: None, removed: None }
        }
        Difference::List { added, removed } => {
            let (added, removed) = (Some(added.clone()), Some(removed.clone()));
            ChangeDoc { key, from: None, to: None, added, removed }
        }
    }
}
