//! Every deadline of the core, in one list.
//!
//! A deadline is a function of state and is stored nowhere else: [`super::router::Router::due`]
//! says when each is due, `Router::on_deadline` what happens then. Both match this enum without a
//! wildcard, so that a deadline cannot have the one and lack the other.

use crate::types::MonoTime;
use std::time::Duration;

/// One deadline. There is at most one of each kind for an instance, or for a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Deadline {
    /// Of an instance that retains its addresses: hosts have switched to the new Active, and the
    /// addresses go.
    ReleaseRetained,
    /// Active_Down_Timer of a Backup (RFC 9568 §6.2).
    ActiveDown,
    /// Adver_Timer of an Active (RFC 9568 §6.2): its next advertisement, and while it leaves the
    /// next step of the hand-over script.
    Advertise,
    /// The next round of gratuitous ARP or unsolicited Neighbor Advertisements of an Active.
    Announce,
    /// An announcement of one of our addresses by somebody else was not explained by an
    /// advertisement: it is an address conflict.
    AddressConflict,
    /// An instance that has no timer after which it serves has heard nobody serve for so long that
    /// an operator must know.
    ServiceSilence,
    /// An instance whose nodes are listed serves for long, and has never heard any of them.
    PeersUnheard,
    /// The hand-over of a router ends: hosts have switched to the successor, or patience is over.
    HandoverEnd,
    /// The demotion of a router ends, because the operator gave it a time.
    DemotionEnd,
    /// The successor of a demoted router was not heard again: the router serves as the last resort.
    SuccessorSilent,
    /// An interruption of the link or the source address has lasted for so long that it counts as a
    /// fault.
    InterruptionEnd,
    /// The kernel refused the addresses of a router some time ago, and is asked again.
    RefusalRetry,
    /// The drain of an instance ends: what is left is reset, and then the addresses go.
    DrainEnd,
}

impl Deadline {
    /// Those that an instance keeps and acts on by itself, in the order in which they fire.
    pub(in crate::protocol) const OF_INSTANCE: [Self; 4] =
        [Self::ReleaseRetained, Self::ActiveDown, Self::Advertise, Self::Announce];

    /// Those on which the router acts, in the order in which they fire.
    pub(in crate::protocol) const OF_ROUTER: [Self; 9] = [
        Self::HandoverEnd,
        Self::AddressConflict,
        Self::DemotionEnd,
        Self::SuccessorSilent,
        Self::InterruptionEnd,
        Self::RefusalRetry,
        Self::DrainEnd,
        Self::ServiceSilence,
        Self::PeersUnheard,
    ];
}

/// When something is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) struct Due {
    /// It happens in any call from this moment on.
    pub(in crate::protocol) at: MonoTime,
    /// The core asks to be called at this moment at the latest. Later than `at` where many
    /// instances may share one system call.
    pub(in crate::protocol) latest: MonoTime,
}

impl Due {
    /// Due at this moment, and not later.
    pub(in crate::protocol) const fn exactly(at: MonoTime) -> Self {
        Self { at, latest: at }
    }

    /// Due at `at`, and `slack` later would do.
    pub(in crate::protocol) fn with_slack(at: MonoTime, slack: Duration) -> Self {
        Self { at, latest: at + slack }
    }
}
