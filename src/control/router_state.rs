//! What a router does now, read from the families that the status document lists for it.
//!
//! Owns the difference between a router that is starting and one that is out of service, which the
//! state `initialize` of RFC 9568 does not tell. `health`, `is-active` and `wait` share it. Pure.

use super::message::VirtualRouterDoc;

/// What one family of a router does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FamilyActivity {
    /// The family has not begun to take part, and nothing keeps it from that but the first results
    /// of checks.
    Starting,
    /// A fault or a demotion keeps the family out.
    OutOfService,
    /// The family is Backup.
    Backup,
    /// The family is Active.
    Active,
    /// A hand-over to another router is under way.
    HandingOver,
}

impl FamilyActivity {
    /// Reads it from the document. A state that only a later release knows counts as a start,
    /// because nothing can be claimed of it.
    pub(super) fn of(family: &VirtualRouterDoc) -> Self {
        match &*family.state {
            _ if family.handing_over => Self::HandingOver,
            "active" => Self::Active,
            "backup" => Self::Backup,
            _ if family.demoted.is_some() || is_faulty(family) => Self::OutOfService,
            _ => Self::Starting,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::OutOfService => "out of service",
            Self::Backup => "backup",
            Self::Active => "active",
            Self::HandingOver => "handing over",
        }
    }
}

/// Whether the router has a fault. A check that waits for its first result is none, because every
/// start begins in this way.
pub(super) fn is_faulty(family: &VirtualRouterDoc) -> bool {
    family.faults.iter().any(|fault| !is_pending(fault))
}

fn is_pending(fault: &str) -> bool {
    let check = fault.strip_prefix("check ").and_then(|rest| rest.strip_suffix(" pending"));
    check.is_some_and(|name| !name.is_empty() && !name.contains(' '))
}

/// The words for all families of a router: `active`, or `active (ipv4), starting (ipv6)` where they
/// differ.
pub(super) fn activity_in_words(families: &[VirtualRouterDoc]) -> String {
    let told = |family: &VirtualRouterDoc| FamilyActivity::of(family);
    match families.split_first() {
        None => "without addresses".to_owned(),
        Some((first, others)) if others.iter().all(|other| told(other) == told(first)) => {
            told(first).as_str().to_owned()
        }
        Some(_) => {
            let each = families.iter().map(|one| format!("{} ({})", told(one).as_str(), one.family));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

/// The other node that is Active, by its name or else by its address; `None`: this node is Active,
/// or knows of none.
pub(super) fn other_active(families: &[VirtualRouterDoc]) -> Option<String> {
    let active = families.iter().find_map(|family| family.active.as_ref())?;
    (!active.local).then(|| active.node.clone().unwrap_or_else(|| active.address.to_string()))
}
