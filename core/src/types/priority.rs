//! Priorities: the configured one, and the one in an advertisement.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU8;

/// A contender's priority, 1..=254, default 100 (RFC 9568 §5.2.4, §6.1).
///
/// ```
/// use vrrpd_core::types::Priority;
/// assert_eq!(Priority::default().get(), 100);
/// assert!(Priority::new(255).is_err(), "255 is the owner's: Role::Owner");
/// assert_eq!(Priority::clamped(-40).get(), 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Priority(NonZeroU8);

/// A priority outside 1..=254.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a priority is 1 to 254 (or \"owner\", which is 255)")]
pub struct PriorityError;

impl Priority {
    /// The lowest priority of a contender, which a router has as the last resort.
    pub const MIN: Self = Self(NonZeroU8::MIN);

    /// The priority of a number.
    ///
    /// # Errors
    /// [`PriorityError`] for 0 (a resignation) and 255 (the owner's).
    pub const fn new(priority: u8) -> Result<Self, PriorityError> {
        // RFC9568-5.2.4-2
        match NonZeroU8::new(priority) {
            Some(p) if priority < 255 => Ok(Self(p)),
            Some(_) | None => Err(PriorityError),
        }
    }

    /// The nearest legal priority, because the sum of tracking weights can be any number.
    #[must_use]
    pub fn clamped(priority: i32) -> Self {
        let clamped = u8::try_from(priority.clamp(1, 254)).unwrap_or(254);
        Self::new(clamped).unwrap_or(Self::MIN)
    }

    /// The number that the Priority field carries.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::clamped(100)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Preempt_Mode (RFC 9568 §6.1): whether a Backup may displace an Active of lower priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Preempt {
    /// Preempt_Mode is True, the default.
    #[default]
    Allow,
    /// Preempt_Mode is False.
    Forbid,
}

/// Whether this node owns the addresses of a router, or contends for them.
///
/// For the owner, neither a priority nor a Preempt_Mode can be configured: they are 255 and
/// "always" (RFC 9568 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// The addresses are this node's own interface addresses.
    Owner,
    /// The node competes with others for the addresses.
    Contender {
        /// The configured priority, before tracking.
        priority: Priority,
        /// Whether the node may displace an Active of lower priority.
        preempt: Preempt,
    },
}

impl Default for Role {
    fn default() -> Self {
        Self::Contender { priority: Priority::default(), preempt: Preempt::default() }
    }
}

/// The Priority field of an advertisement: any octet (RFC 9568 §5.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AdvertPriority(u8);

impl AdvertPriority {
    // RFC9568-5.2.4-3
    /// 0, with which the Active resigns.
    pub const RESIGN: Self = Self(0);
    /// 255, the priority of the address owner.
    pub const OWNER: Self = Self(255);
    /// 1, the lowest priority of a Backup.
    pub const LOWEST: Self = Self(1);

    /// The content of a Priority field, where every octet has a meaning.
    #[must_use]
    pub const fn from_wire(priority: u8) -> Self {
        Self(priority)
    }

    /// The octet in the Priority field.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether the sender resigns.
    #[must_use]
    pub const fn is_resignation(self) -> bool {
        self.0 == 0
    }
}

impl From<Priority> for AdvertPriority {
    fn from(priority: Priority) -> Self {
        Self(priority.get())
    }
}

impl fmt::Display for AdvertPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
