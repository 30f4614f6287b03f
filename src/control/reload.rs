//! The document of `reload`, built from the agent's answer.
//!
//! Must not know how a configuration is carried out.

use super::check::finding;
use super::message::{AgentChangeDoc, ChangeDoc, PlannedCheckDoc, PlannedRouterDoc, ReloadDoc, VERSION};
use crate::agent::{ReloadMode, ReloadOutcome, ReloadReply, named};
use crate::config::ConfigWarning;
use crate::config::plan::{
    AgentChange, Change, CheckPlan, CheckStep, Difference, Effective, Plan, RouterPlan, RouterStep,
};

impl ReloadReply {
    /// Builds the document of the answer.
    ///
    /// # Errors
    /// If the file could not be read: the reason.
    pub fn document(&self, node: String, mode: ReloadMode) -> Result<ReloadDoc, &str> {
        let blank = ReloadDoc {
            version: VERSION,
            node,
            file: self.file.clone(),
            dry_run: mode == ReloadMode::DryRun,
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
            ReloadOutcome::Accepted { plan, warnings, report } => {
                Ok(ReloadDoc { applied: mode == ReloadMode::Apply, ..blank.of(plan, warnings, report) })
            }
            ReloadOutcome::Refused { plan, reasons, warnings, report } => {
                Ok(ReloadDoc { refused: reasons.clone(), ..blank.of(plan, warnings, report) })
            }
            ReloadOutcome::Invalid { errors, report } => Ok(ReloadDoc {
                errors: errors.iter().map(|error| finding(&error.0)).collect(),
                report: report.clone(),
                ..blank
            }),
            ReloadOutcome::Unreadable(why) => Err(why),
        }
    }
}

impl ReloadDoc {
    /// Builds the part of the document that only a valid file has.
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
    let changes = match &plan.step {
        RouterStep::Retune(changes) | RouterStep::Rebuild(changes) => &changes[..],
        RouterStep::Add | RouterStep::Remove | RouterStep::Unchanged => &[],
    };
    PlannedRouterDoc {
        name: plan.name.to_string().into(),
        interface: plan.interface.to_string().into(),
        vrid: plan.vrid.get(),
        action: router_action(&plan.step).into(),
        changes: changes.iter().map(change).collect(),
    }
}

fn check(plan: &CheckPlan) -> PlannedCheckDoc {
    let changes = match &plan.step {
        CheckStep::Restart(changes) => &changes[..],
        CheckStep::Add | CheckStep::Remove | CheckStep::Unchanged => &[],
    };
    PlannedCheckDoc {
        name: plan.name.0.to_string().into(),
        action: check_action(&plan.step).into(),
        changes: changes.iter().map(change).collect(),
    }
}

fn agent(plan: &AgentChange) -> AgentChangeDoc {
    AgentChangeDoc { change: change(&plan.change), takes_effect: takes_effect(&plan.effective).into() }
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

named! {
    /// The names of everything that a reload can do to a router.
    pub(super) const ROUTER_ACTIONS;
    fn router_action(RouterStep);
    RouterStep::Add => "add",
    RouterStep::Remove => "remove",
    RouterStep::Retune(_) => "retune",
    RouterStep::Rebuild(_) => "rebuild",
    RouterStep::Unchanged => "unchanged",
}

named! {
    /// The names of everything that a reload can do to a check.
    pub(super) const CHECK_ACTIONS;
    fn check_action(CheckStep);
    CheckStep::Add => "add",
    CheckStep::Remove => "remove",
    CheckStep::Restart(_) => "restart",
    CheckStep::Unchanged => "unchanged",
}

named! {
    /// The names of the moments at which a setting of the agent can take effect.
    pub(super) const EFFECTS;
    fn takes_effect(Effective);
    Effective::Now => "now",
    Effective::Restart => "restart",
}
