//! Transitions as they are told: from where to where, why, and because of whom.

use crate::protocol::effect::Effects;
use crate::protocol::event::{Cause, EventKind, LastHeard, StateName, TransitionDetails};
use crate::protocol::instance::{Instance, State};
use crate::protocol::router::{Router, report};
use crate::types::{InstanceKey, MonoTime};

/// A transition, for the group to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) struct Moved {
    pub(in crate::protocol) from: StateName,
    pub(in crate::protocol) to: StateName,
    pub(in crate::protocol) cause: Cause,
}

impl Instance {
    pub(in crate::protocol) fn enter(&mut self, now: MonoTime, state: State, cause: Cause) -> Moved {
        let from = self.state_name();
        let (peer, lasted) = (self.decided_by(now, cause), now.since(self.since));
        self.state = state;
        self.since = now;
        self.cause = cause;
        self.grounds = TransitionDetails { peer, lasted, ..TransitionDetails::default() };
        Moved { from, to: self.state_name(), cause }
    }

    /// Whose words, or whose silence, a transition is due to.
    fn decided_by(&self, now: MonoTime, cause: Cause) -> Option<LastHeard> {
        let peer = match cause {
            // Who armed the timer; of nobody whom we obeyed, whoever was heard last.
            Cause::ActiveDownTimer => {
                let obeyed = match &self.state {
                    State::Backup(backup) => backup.obeyed,
                    State::Initialize | State::Active(_) => None,
                };
                obeyed.and_then(|obeyed| self.peers.get(obeyed)).or_else(|| self.peers.latest())
            }
            Cause::PeerResigned | Cause::Preempted => self.peers.latest(),
            // Whoever serves now.
            Cause::HandedOver | Cause::HigherPriority | Cause::TieBreak | Cause::Stalled => {
                self.active.and_then(|active| self.peers.get(active))
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

impl Router {
    pub(in crate::protocol) fn report_move(&mut self, key: InstanceKey, moved: Moved, out: &mut Effects) {
        let Moved { from, to, cause } = moved;
        let (faults, demotion) = match cause {
            Cause::Fault => (self.faults.iter().cloned().collect(), None),
            Cause::FaultCleared => (self.cleared.clone(), None),
            Cause::Demoted | Cause::HandedOver => {
                let under_way = self.handover.as_ref().and_then(|handover| handover.demotion.as_ref());
                (Vec::new(), under_way.or(self.demoted.as_ref()).cloned())
            }
            Cause::Startup
            | Cause::OwnerStartup
            | Cause::ActiveDownTimer
            | Cause::PeerResigned
            | Cause::Preempted
            | Cause::HigherPriority
            | Cause::TieBreak
            | Cause::Promoted
            | Cause::DemotionExpired
            | Cause::Sibling
            | Cause::Stalled
            | Cause::Configuration
            | Cause::Shutdown => (Vec::new(), None),
        };
        let Some(instance) = self.instances.iter_mut().find(|instance| instance.key == key) else { return };
        (instance.grounds.faults, instance.grounds.demotion) = (faults, demotion);
        let (priority, grounds) = (self.policy.priority, instance.grounds.clone());
        let kind = EventKind::Transition { from, to, cause, priority, grounds };
        out.push(report(&self.spec, Some(key), kind));
    }
}
