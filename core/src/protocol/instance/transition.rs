//! Transitions of one instance: from which state to which, why, and because of which router.

use super::Instance;
use super::state::State;
use crate::protocol::event::{Cause, LastHeard, StateName, TransitionDetails};
use crate::types::MonoTime;

/// A transition, for the router to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(in crate::protocol) struct Moved {
    pub(in crate::protocol) from: StateName,
    pub(in crate::protocol) to: StateName,
    pub(in crate::protocol) cause: Cause,
}

impl Instance {
    /// Enters a state.
    pub(super) fn enter(&mut self, now: MonoTime, state: State, cause: Cause) -> Moved {
        let from = self.state.name();
        let (peer, lasted) = (self.decided_by(now, cause), now.since(self.since));
        self.state = state;
        self.since = now;
        self.cause = cause;
        self.details = TransitionDetails { peer, lasted, ..TransitionDetails::default() };
        Moved { from, to: self.state.name(), cause }
    }

    /// The router whose advertisement, or whose silence, a transition is due to.
    fn decided_by(&self, now: MonoTime, cause: Cause) -> Option<LastHeard> {
        let peer = match cause {
            // The router that set the timer; if none did, the router that was heard last.
            Cause::ActiveDownTimer => {
                let obeyed = match &self.state {
                    State::Backup(backup) => backup.obeyed(),
                    State::Initialize | State::Active(_) => None,
                };
                obeyed.and_then(|obeyed| self.peers.get(obeyed)).or_else(|| self.peers.latest())
            }
            Cause::PeerResigned | Cause::Preempted => self.peers.latest(),
            // The router that serves now.
            Cause::HandedOver | Cause::HigherPriority | Cause::TieBreak | Cause::Stalled => {
                self.active_router.and_then(|active| self.peers.get(active))
            }
            Cause::Startup
            | Cause::OwnerStartup
            | Cause::Fault
            | Cause::FaultCleared
            | Cause::Demoted
            | Cause::Promoted
            | Cause::DemotionExpired
            | Cause::Sibling
            | Cause::Configuration
            | Cause::Shutdown => None,
        }?;
        Some(LastHeard { address: peer.address, priority: peer.standing, ago: now.since(peer.heard) })
    }
}
