//! `vrrpctl wait` and `vrrpctl is-active`: whether a router is where a script wants it.
//!
//! Pure: [`Client::wait`](super::client::Client::wait) asks again and again.

use super::message::{StatusDoc, VirtualRouterDoc};
use super::router_state::{FamilyActivity, activity_in_words, other_active};
use std::str::FromStr;

/// What a script waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitGoal {
    /// Every family of the router is Active here.
    Active,
    /// Every family of the router is Backup here.
    Backup,
    /// The router is not starting, hands nothing over, and an Active is known, here or elsewhere.
    Settled,
}

impl WaitGoal {
    /// All goals.
    pub const ALL: [Self; 3] = [Self::Active, Self::Backup, Self::Settled];

    /// The name of the goal on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Backup => "backup",
            Self::Settled => "settled",
        }
    }

    /// Whether the router of this document has reached the goal.
    #[must_use]
    pub fn is_reached(self, router: &StatusDoc) -> bool {
        let families = &router.virtual_routers;
        !families.is_empty() && families.iter().all(|family| self.is_reached_by(family))
    }

    fn is_reached_by(self, family: &VirtualRouterDoc) -> bool {
        let activity = FamilyActivity::of(family);
        match (self, activity) {
            (Self::Active, FamilyActivity::Active) | (Self::Backup, FamilyActivity::Backup) => true,
            (
                Self::Settled,
                FamilyActivity::Active | FamilyActivity::Backup | FamilyActivity::OutOfService,
            ) => family.active.is_some(),
            (Self::Settled, FamilyActivity::Starting | FamilyActivity::HandingOver)
            | (
                Self::Active,
                FamilyActivity::Starting
                | FamilyActivity::OutOfService
                | FamilyActivity::Backup
                | FamilyActivity::HandingOver,
            )
            | (
                Self::Backup,
                FamilyActivity::Starting
                | FamilyActivity::OutOfService
                | FamilyActivity::Active
                | FamilyActivity::HandingOver,
            ) => false,
        }
    }
}

impl std::fmt::Display for WaitGoal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for WaitGoal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|goal| goal.as_str() == text);
        found.ok_or_else(|| format!("it must be one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Waited {
    /// The router has reached the goal: its status then.
    Reached(StatusDoc),
    /// The time is over: the status of the router at the end.
    TimeIsOver(StatusDoc),
}

/// Whether every family of the router of this document is Active here. A router that is handing
/// over is: it serves until another one does.
#[must_use]
pub fn is_active(router: &StatusDoc) -> bool {
    let families = &router.virtual_routers;
    !families.is_empty() && families.iter().all(|family| &*family.state == "active")
}

/// The line of `wait`: `web: backup, fe0 is active`.
#[must_use]
pub fn state_line(router: &StatusDoc) -> String {
    let families = &router.virtual_routers;
    let name = families.first().map_or("", |first| &*first.name);
    let mut line = format!("{name}: {}", activity_in_words(families));
    let is_out = |family: &&VirtualRouterDoc| FamilyActivity::of(family) == FamilyActivity::OutOfService;
    if let Some(out) = families.iter().find(is_out) {
        line.push_str(&format!(" ({})", out.why));
    }
    if let Some(active) = other_active(families) {
        line.push_str(&format!(", {active} is active"));
    } else if families.iter().all(|family| family.active.is_none()) {
        line.push_str(", no active router is known");
    }
    line
}

#[cfg(test)]
mod tests;
