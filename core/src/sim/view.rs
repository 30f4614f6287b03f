//! What can be seen of a station from outside; our stations and foreign stations look the same.

use super::groups::Ports;
use super::lan::Port;
use crate::types::{AdvertPriority, Family, Preempt, Role};

/// A station, as the rules see it. Arrays are indexed by family, IPv4 first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StationView {
    /// The port that the station is plugged into.
    pub port: Port,
    /// The lowest port of the component of the station: the set of stations that hear each other.
    pub component: usize,
    /// The stations that the station hears.
    pub hears: Ports,
    /// Whether the station is one of ours.
    pub ours: bool,
    /// Whether the station runs and is scheduled.
    pub awake: bool,
    /// Whether the station is Active.
    pub active: [bool; 2],
    /// Whether the station is Backup.
    pub backup: [bool; 2],
    /// Whether the station really holds the addresses.
    pub holds: [bool; 2],
    /// Whether the station is handing over.
    pub leaving: bool,
    /// Whether nothing keeps the station from taking part.
    pub eligible: bool,
    /// The priority of the station.
    pub priority: AdvertPriority,
    /// Preempt_Mode of the station.
    pub preempt: Preempt,
}

impl StationView {
    /// Whether the station is Active in any family.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        let [v4, v6] = self.active;
        v4 || v6
    }

    /// Whether this station and another one hear each other.
    pub(super) const fn is_mutual(&self, other: &Self) -> bool {
        self.hears.contains(other.port) && other.hears.contains(self.port)
    }

    pub(super) const fn is_backup(&self) -> bool {
        let [v4, v6] = self.backup;
        v4 || v6
    }

    /// Whether the station would take over if asked.
    pub(super) const fn is_willing(&self) -> bool {
        self.awake && self.eligible && !self.leaving && (self.is_active() || self.is_backup())
    }
}

/// Preempt_Mode of a role: that of an owner is always True.
#[must_use]
pub const fn preempts(role: &Role) -> Preempt {
    match role {
        Role::Owner => Preempt::Allow,
        Role::Contender { preempt, .. } => *preempt,
    }
}

/// Of two values, of IPv4 and of IPv6, that of a family.
pub(super) const fn in_family<T: Copy>(values: [T; 2], family: Family) -> T {
    let [v4, v6] = values;
    match family {
        Family::Ipv4 => v4,
        Family::Ipv6 => v6,
    }
}
