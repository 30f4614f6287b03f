//! How soon a person must act on an event. This file alone decides that; the level of a log line,
//! the column of `vrrpctl events` and the field of the JSON follow it.

use super::event::{AgentEventKind, HookOutcome};
use crate::channel::{ChannelEvent, SettingDifference};
use crate::protocol::{Cause, CheckResult, DrainEnd, EventKind, Fault, PeerWarning, StateName};
use std::str::FromStr;

/// How much an event matters. A greater value matters more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The event was expected: an operator's command, an ordinary start or stop, a planned move, a
    /// recovery.
    Info,
    /// A person should look during working hours: an unplanned failover, a node that cannot serve,
    /// a fault that could become an outage.
    Warning,
    /// A person should look now: no node serves an address, or two routers do and neither gives
    /// way.
    Error,
}

impl Severity {
    /// The name of the severity in the JSON contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The severity of an event.
    #[must_use]
    pub fn of(kind: &AgentEventKind) -> Self {
        match kind {
            AgentEventKind::Protocol(kind) => Self::of_protocol(kind),
            AgentEventKind::Channel(event) => Self::of_channel(event),
            AgentEventKind::Check { result: CheckResult::Passing, .. }
            | AgentEventKind::ConfigurationReloaded { .. }
            | AgentEventKind::Hook {
                outcome: HookOutcome::Passed | HookOutcome::Cancelled | HookOutcome::Superseded,
                ..
            } => Self::Info,
            AgentEventKind::Check { result: CheckResult::Failing, .. }
            | AgentEventKind::Hook { outcome: HookOutcome::Failed(_) | HookOutcome::TimedOut(_), .. } => {
                Self::Warning
            }
        }
    }

    /// The severity of an event of the channel between nodes.
    #[must_use]
    pub fn of_channel(event: &ChannelEvent) -> Self {
        match event {
            ChannelEvent::NodeHeard { .. }
            | ChannelEvent::NodeLeft { .. }
            | ChannelEvent::RedundancyBack { .. }
            | ChannelEvent::DiffersNoMore { .. }
            // During an upgrade of one node after the other this is so for a while.
            | ChannelEvent::Differs { what: SettingDifference::Software { .. }, .. } => Self::Info,
            ChannelEvent::NodeSilent { .. }
            | ChannelEvent::RedundancyLost { .. }
            | ChannelEvent::Differs {
                what:
                    SettingDifference::Addresses { .. }
                    | SettingDifference::Vrid { .. }
                    | SettingDifference::Interval { .. }
                    | SettingDifference::Version { .. }
                    | SettingDifference::Checks { .. },
                ..
            }
            | ChannelEvent::NameShared { .. }
            | ChannelEvent::NotUnderstood { .. } => Self::Warning,
        }
    }

    /// The severity of an event of the core.
    #[must_use]
    pub fn of_protocol(kind: &EventKind) -> Self {
        match kind {
            // This is a failover and not a first election: the other router was Active, it was
            // heard while this node was Backup, and no operator took it out.
            EventKind::Transition {
                to: StateName::Active, cause: Cause::ActiveDownTimer, details, ..
            } if details.was_heard_meanwhile() => Self::Warning,
            EventKind::Transition { .. }
            | EventKind::FaultRaised(Fault::CheckPending(_))
            | EventKind::FaultCleared(_)
            | EventKind::LocalWarningCleared(_)
            | EventKind::MacChanged { .. }
            | EventKind::PriorityChanged { .. }
            | EventKind::HandoverStarted(_)
            | EventKind::HandedOver { .. }
            | EventKind::DrainBegun { .. }
            | EventKind::DrainResumed { .. }
            | EventKind::DrainEnded { why: DrainEnd::Free | DrainEnd::ActiveAgain, .. }
            | EventKind::DrainEnded { why: DrainEnd::Deadline, reset: Some(0), .. }
            | EventKind::Demoted { .. }
            | EventKind::Promoted
            | EventKind::DemotionExpired
            | EventKind::ChecksumFollows(_)
            | EventKind::PeerWarningCleared { .. }
            | EventKind::ServedAgain { .. }
            | EventKind::PeerHeard { .. } => Self::Info,
            EventKind::FaultRaised(
                Fault::InterfaceMissing(_)
                | Fault::InterfaceDown(_)
                | Fault::NoCarrier(_)
                | Fault::NoSourceAddress(..)
                | Fault::NoUnicastPeer(..)
                | Fault::Port(..)
                | Fault::OtherName(..)
                | Fault::ForeignAddresses(_)
                | Fault::Sockets(..)
                | Fault::Check(_)
                | Fault::Addresses(_),
            )
            | EventKind::LocalWarningRaised(_)
            | EventKind::NoPeerHeard { .. }
            // The demotion was refused, so this node goes on serving.
            | EventKind::NobodyTookOver { released: false, .. }
            | EventKind::SuccessorSilent
            | EventKind::DrainEnded { why: DrainEnd::Deadline | DrainEnd::ForwardingLost, .. }
            | EventKind::DrainRefused { .. }
            | EventKind::DrainNotRenewed { .. }
            | EventKind::AddressesRestored { .. }
            | EventKind::AddressesRefused { .. }
            | EventKind::DualActive { .. }
            | EventKind::TakeoverRefuted { .. }
            | EventKind::Impersonated { .. }
            | EventKind::PeerWarningRaised {
                what:
                    PeerWarning::Rejected(_)
                    | PeerWarning::OtherVersion { .. }
                    | PeerWarning::AuthenticationDiffers(_)
                    | PeerWarning::IntervalRefused { .. }
                    | PeerWarning::AddressListRefused { .. }
                    | PeerWarning::AddressListDiffers { .. }
                    | PeerWarning::OtherVrid { .. }
                    | PeerWarning::SamePriority(_)
                    | PeerWarning::IntervalDiffers(_)
                    | PeerWarning::IntervalTooLong { .. }
                    | PeerWarning::ChecksumDiffers
                    | PeerWarning::OwnerConflict,
                ..
            }
            | EventKind::Stalled { .. } => Self::Warning,
            EventKind::NobodyTookOver { released: true, .. }
            | EventKind::NobodyServes { .. }
            | EventKind::PeerWarningRaised {
                what:
                    PeerWarning::AddressesLost { .. }
                    | PeerWarning::StaysActive(_)
                    | PeerWarning::AddressConflict { .. },
                ..
            } => Self::Error,
        }
    }
}

/// The error about a text that does not name a severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a severity is \"error\", \"warning\" or \"info\"")]
pub struct SeverityError;

impl FromStr for Severity {
    type Err = SeverityError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let all = [Self::Info, Self::Warning, Self::Error];
        all.into_iter().find(|severity| severity.as_str() == name).ok_or(SeverityError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{CheckName, LastHeard, TransitionDetails};
    use crate::types::AdvertPriority;
    use std::time::Duration;

    /// Builds a transition to Active, with a peer that was last heard this long before.
    fn becomes_active(cause: Cause, heard: Option<u64>) -> EventKind {
        let priority = AdvertPriority::from_wire(150);
        let peer = heard.map(|ago| LastHeard {
            address: "192.0.2.10".parse().unwrap(),
            priority,
            ago: Duration::from_millis(ago),
        });
        let (from, to) = (StateName::Backup, StateName::Active);
        let details =
            TransitionDetails { peer, lasted: Duration::from_secs(60), ..TransitionDetails::default() };
        EventKind::Transition { from, to, cause, priority, details }
    }

    #[test]
    fn an_unplanned_failover_is_a_warning_and_a_planned_one_is_not() {
        for (cause, heard, expected) in [
            (Cause::ActiveDownTimer, Some(3_600), Severity::Warning),
            // The peer was last heard before this node took part, so its end was reported at that
            // time.
            (Cause::ActiveDownTimer, Some(60_001), Severity::Info),
            (Cause::ActiveDownTimer, None, Severity::Info),
            (Cause::PeerResigned, Some(40), Severity::Info),
            (Cause::Preempted, Some(400), Severity::Info),
        ] {
            assert_eq!(Severity::of_protocol(&becomes_active(cause, heard)), expected, "{cause} {heard:?}");
        }
    }

    #[test]
    fn what_an_ordinary_start_tells_is_no_warning() {
        let check = || CheckName("nginx".into());
        let pending = EventKind::FaultRaised(Fault::CheckPending(check()));
        assert_eq!(Severity::of_protocol(&pending), Severity::Info);
        assert_eq!(Severity::of_protocol(&EventKind::FaultRaised(Fault::Check(check()))), Severity::Warning);
    }

    #[test]
    fn nobody_that_serves_is_an_error_and_a_refused_demotion_is_not() {
        for (released, expected) in [(true, Severity::Error), (false, Severity::Warning)] {
            let kind = EventKind::NobodyTookOver { after: Duration::from_secs(1), released };
            assert_eq!(Severity::of_protocol(&kind), expected);
        }
    }

    #[test]
    fn severities_have_three_names_and_an_order() {
        for severity in [Severity::Info, Severity::Warning, Severity::Error] {
            assert_eq!(severity.as_str().parse(), Ok(severity));
        }
        assert_eq!("fatal".parse::<Severity>(), Err(SeverityError));
        assert!(Severity::Info < Severity::Warning && Severity::Warning < Severity::Error);
    }
}
