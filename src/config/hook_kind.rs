//! The points at which an operator's commands run.

use std::fmt;

/// A point at which an operator's command runs, in the order in which a router passes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookKind {
    /// Before the addresses are installed.
    BeforeActive,
    /// After a transition.
    OnTransition,
    /// When other nodes serve the addresses, and open connections are still served here.
    OnDrain,
    /// After the addresses are gone, with all connections.
    AfterRelease,
}

impl HookKind {
    /// The name in the configuration and in the JSON contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeActive => "before_active",
            Self::OnTransition => "on_transition",
            Self::OnDrain => "on_drain",
            Self::AfterRelease => "after_release",
        }
    }
}

impl fmt::Display for HookKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
