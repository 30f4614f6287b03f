//! The state of RFC 9568 §6.4, with the timers that exist in it.

use super::active::Active;
use super::backup::Backup;
use crate::protocol::event::StateName;
use serde::{Deserialize, Serialize};

/// The state of one instance:
///
/// ```text
///            startup                Active_Down_Timer
/// Initialize ────────────▶ Backup ────────────────────▶ Active
///     ▲  ▲                  │  ▲                          │ │
///     │  └──── shutdown ────┘  └── higher priority, tie ──┘ │
///     └──────────────── shutdown: priority 0 ───────────────┘
/// ```
///
/// The owner of the addresses goes from Initialize to Active at once. Whether the node holds the
/// addresses is a second dimension: [`super::addresses`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum State {
    Initialize,
    Backup(Backup),
    Active(Active),
}

impl State {
    pub(super) const fn name(&self) -> StateName {
        match self {
            Self::Initialize => StateName::Initialize,
            Self::Backup(_) => StateName::Backup,
            Self::Active(_) => StateName::Active,
        }
    }
}
