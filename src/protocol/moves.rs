//! Transitions as they are told: from where to where, why, and because of whom.

use super::event::{Cause, LastHeard, StateName};
use super::virtual_router::{State, VirtualRouter};
use crate::types::MonoTime;
use std::time::Duration;

/// A transition, for the group to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) from: StateName,
    pub(super) to: StateName,
    pub(super) cause: Cause,
    pub(super) peer: Option<LastHeard>,
    /// How long it was in `from`.
    pub(super) after: Duration,
}

impl VirtualRouter {
    pub(super) fn enter(&mut self, now: MonoTime, state: State, cause: Cause) -> Moved {
        let (from, after, peer) = (self.state_name(), now.since(self.since), self.decided_by(now, cause));
        self.state = state;
        self.since = now;
        self.cause = cause;
        Moved { from, to: self.state_name(), cause, peer, after }
    }

    /// Whose words, or whose silence, a transition is due to.
    fn decided_by(&self, now: MonoTime, cause: Cause) -> Option<LastHeard> {
        let peer = match cause {
            // The Active so far, or whoever serves now: nobody spoke after it.
            Cause::ActiveDownTimer | Cause::PeerResigned | Cause::Preempted | Cause::HandedOver => {
                self.peers.latest()
            }
            Cause::HigherPriority | Cause::TieBreak | Cause::Stalled => {
                self.active.and_then(|active| self.peers.get(active))
            }
            Cause::Startup
            | Cause::OwnerStartup
            | Cause::Fault
            | Cause::FaultCleared
            | Cause::Demoted
            | Cause::Promoted
            | Cause::Sibling
            | Cause::Configuration
            | Cause::Shutdown => None,
        }?;
        Some(LastHeard { address: peer.address, priority: peer.standing, ago: now.since(peer.heard) })
    }
}
