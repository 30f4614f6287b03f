//! What can be seen of a station from outside, the same for ours and for foreign ones.

use super::lan::Port;
use crate::types::{AdvertPriority, Family, Preempt, Role};

/// A station, as the rules see it. Arrays are by family, IPv4 first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StationView {
    /// Where it is.
    pub port: Port,
    /// The lowest port of its component: those that hear each other.
    pub component: usize,
    /// Whether it is ours.
    pub ours: bool,
    /// Whether it runs and is scheduled.
    pub awake: bool,
    /// Whether it is Active.
    pub active: [bool; 2],
    /// Whether it is Backup.
    pub backup: [bool; 2],
    /// Whether it really holds the addresses.
    pub holds: [bool; 2],
    /// Whether it is handing over.
    pub leaving: bool,
    /// Whether nothing keeps it from taking part.
    pub eligible: bool,
    /// Its priority.
    pub priority: AdvertPriority,
    /// Its Preempt_Mode.
    pub preempt: Preempt,
}

impl StationView {
    /// Whether it is Active in any family.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        let [v4, v6] = self.active;
        v4 || v6
    }

    pub(super) const fn is_backup(&self) -> bool {
        let [v4, v6] = self.backup;
        v4 || v6
    }

    /// Whether it would take over if asked.
    pub(super) const fn is_willing(&self) -> bool {
        self.awake && self.eligible && !self.leaving && (self.is_active() || self.is_backup())
    }
}

/// Preempt_Mode of a role: the owner's is always True.
#[must_use]
pub const fn preempts(role: &Role) -> Preempt {
    match role {
        Role::Owner => Preempt::Allow,
        Role::Contender { preempt, .. } => *preempt,
    }
}

pub(super) const fn in_family(flags: [bool; 2], family: Family) -> bool {
    let [v4, v6] = flags;
    match family {
        Family::Ipv4 => v4,
        Family::Ipv6 => v6,
    }
}
