//! One input of one node and its consequences, in as much detail as the rules need.

use super::clock::TrueTime;
use super::lan::Port;
use super::node::NodeView;
use crate::protocol::{Effect, Effects, Event, EventKind, Input, PeerWarning};
use crate::types::{InstanceKey, MonoTime};

/// The kind of the input, as far as the rules distinguish it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InputKind {
    /// A deadline.
    Deadline,
    /// A configuration.
    Configure,
    /// A configuration with other addresses, families or checks, or another name.
    Replace,
    /// The configuration that runs already, again.
    Unchanged,
    /// An advertisement of priority 0.
    Resignation,
    /// Any other advertisement.
    Heard,
    /// A rejected packet.
    Rejected,
    /// Anything else.
    Other,
}

impl InputKind {
    pub(super) const fn of(input: &Input<'_>) -> Self {
        match input {
            Input::Deadline => Self::Deadline,
            Input::Configure(_) => Self::Configure,
            Input::Received { advertisement, .. } if advertisement.priority.is_resignation() => {
                Self::Resignation
            }
            Input::Received { .. } => Self::Heard,
            Input::Rejected { .. } => Self::Rejected,
            Input::Link(..)
            | Input::AnnouncementHeard { .. }
            | Input::AddressesHeld(_)
            | Input::AddressesDraining(_)
            | Input::BetterBackups(_)
            | Input::DrainPartners(_)
            | Input::DrainOfEarlierRun { .. }
            | Input::ConnectionsEnded { .. }
            | Input::ForwardingLost(..)
            | Input::AddressesRestored { .. }
            | Input::AddressesReinstalled { .. }
            | Input::OtherName(..)
            | Input::AddressesNotRestored { .. }
            | Input::Sockets(..)
            | Input::AdvertisementUnsent { .. }
            | Input::AdvertisementSentAgain(..)
            | Input::SavedDemotion(..)
            | Input::CheckResult(..)
            | Input::CheckRemoved(_)
            | Input::Command(..)
            | Input::FinishCrashedRun(_)
            | Input::Shutdown => Self::Other,
        }
    }
}

/// One input of one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct InputContext<'a> {
    pub(super) now: TrueTime,
    pub(super) port: Port,
    /// The time that the clock of the node shows.
    pub(super) local: MonoTime,
    pub(super) kind: InputKind,
    /// The node before the input.
    pub(super) before: &'a NodeView,
}

/// Whether the effect reports that another station announces our address.
pub(super) const fn is_conflict(effect: &Effect) -> bool {
    let Effect::Report(Event { kind: EventKind::PeerWarningRaised { what, .. }, .. }) = effect else {
        return false;
    };
    matches!(what, PeerWarning::AddressConflict { .. })
}

/// Whether the effect asks for addresses or lets them go.
pub(super) const fn is_decision(effect: &Effect) -> bool {
    matches!(effect, Effect::HoldAddresses { .. } | Effect::ReleaseAddresses { .. })
}

/// Whether `effect` comes before the addresses of `key` are released, or are about to be released.
pub(super) fn before_release(effects: &Effects, effect: &Effect, key: InstanceKey) -> bool {
    let place = |wanted: &dyn Fn(&Effect) -> bool| effects.iter().position(wanted);
    let retained = |e: &Effect| matches!(e, Effect::ReleaseAddresses { key: whose, .. } | Effect::WatchAnnouncements { key: whose } if *whose == key);
    let gone = place(&retained);
    gone.is_some_and(|gone| place(&|e| std::ptr::eq(e, effect)).is_some_and(|said| said < gone))
}

/// Whether `effect` is a further copy of an advertisement: it goes to another node than the first of this
/// input, and is the same advertisement to those who count them.
pub(super) fn is_copy(effects: &Effects, effect: &Effect) -> bool {
    let destination = |one: &Effect| {
        let Effect::Advertise { key, destination, .. } = one else { return None };
        Some((*key, *destination))
    };
    let Some((key, to)) = destination(effect) else { return false };
    let first = effects.iter().filter_map(destination).find(|(of, _)| *of == key);
    first.is_some_and(|(_, first)| first != to)
}
