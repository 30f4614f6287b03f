//! Counts of what happened to routers since the daemon started, for what the core does not count
//! itself: its transitions by cause, and how long its hand-overs took.
//!
//! The main thread counts each event before it logs it, whether the endpoint is on or off. So the
//! counts do not start when somebody asks for them first.

use super::exposition::DurationHistogram;
use crate::agent::{AgentEvent, AgentEventKind};
use crate::protocol::{Cause, EventKind, StateName};
use crate::types::{InstanceKey, RouterName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// How many different counts are kept. 255 routers with both families that change their states for
/// every cause have fewer. Above that, routers came and went with reloads while nobody asked; then
/// all counts start at 0 again, which Prometheus takes for a restart.
const MOST: usize = 16_384;

/// Counts events. Clones share their counts.
#[derive(Debug, Clone, Default)]
pub struct EventCounter(Arc<Mutex<EventCounts>>);

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EventCounts {
    /// The transitions of each instance, by the new state and its cause.
    pub(super) transitions: BTreeMap<(RouterName, InstanceKey, StateName, Cause), u64>,
    /// The hand-overs of each router that ended with another router serving.
    pub(super) handovers: BTreeMap<RouterName, DurationHistogram>,
}

impl EventCounter {
    /// Counts one event.
    pub fn count(&self, event: &AgentEvent) {
        let (AgentEventKind::Protocol(kind), Some(router)) = (&event.kind, &event.router) else { return };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.transitions.len() + counts.handovers.len() >= MOST {
            *counts = EventCounts::default();
        }
        if let (EventKind::Transition { to, cause, .. }, Some(key)) = (kind, event.key) {
            *counts.transitions.entry((router.clone(), key, *to, *cause)).or_default() += 1;
        }
        if let EventKind::HandedOver { after, .. } = kind {
            counts.handovers.entry(router.clone()).or_default().observe(*after);
        }
    }

    /// What was counted of these routers. Others have left the configuration, and their counts are
    /// forgotten.
    pub(super) fn of(&self, configured: &BTreeSet<RouterName>) -> EventCounts {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.transitions.retain(|(router, ..), _| configured.contains(router));
        counts.handovers.retain(|router, _| configured.contains(router));
        counts.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::NodeNames;
    use crate::protocol::TransitionDetails;
    use crate::types::{AdvertPriority, Family, Vrid};
    use std::time::Duration;

    fn event(router: &str, kind: EventKind) -> AgentEvent {
        let (interface, vrid) = ("eth0".parse().unwrap(), Vrid::new(51).unwrap());
        let key = InstanceKey { interface, family: Family::Ipv4, vrid };
        AgentEvent {
            router: Some(router.parse().unwrap()),
            key: Some(key),
            kind: kind.into(),
            names: NodeNames::default(),
        }
    }

    fn transition(to: StateName, cause: Cause) -> EventKind {
        let (from, priority, details) =
            (StateName::Backup, AdvertPriority::from_wire(100), TransitionDetails::default());
        EventKind::Transition { from, to, cause, priority, details }
    }

    #[test]
    fn transitions_are_counted_by_state_and_cause_and_hand_overs_by_their_length() {
        let counter = EventCounter::default();
        for cause in [Cause::ActiveDownTimer, Cause::ActiveDownTimer, Cause::Promoted] {
            counter.count(&event("web", transition(StateName::Active, cause)));
        }
        let after = Duration::from_millis(13);
        counter.count(&event("web", EventKind::HandedOver { to: "192.0.2.11".parse().unwrap(), after }));
        counter.count(&event("web", EventKind::Promoted));
        let counts = counter.of(&["web".parse().unwrap()].into());
        let found: Vec<_> =
            counts.transitions.iter().map(|((_, _, to, cause), count)| (*to, *cause, *count)).collect();
        let active = StateName::Active;
        assert_eq!(found, [(active, Cause::ActiveDownTimer, 2), (active, Cause::Promoted, 1)]);
        let mut once = DurationHistogram::default();
        once.observe(after);
        assert_eq!(counts.handovers, [("web".parse().unwrap(), once)].into());
    }

    #[test]
    fn counts_of_a_router_that_left_the_configuration_are_forgotten() {
        let counter = EventCounter::default();
        counter.count(&event("web", transition(StateName::Active, Cause::Promoted)));
        assert_eq!(counter.of(&BTreeSet::new()), EventCounts::default());
        assert_eq!(counter.of(&["web".parse().unwrap()].into()), EventCounts::default());
    }

    #[test]
    fn routers_that_come_and_go_while_nobody_asks_take_no_more_memory_than_the_limit() {
        let counter = EventCounter::default();
        let mut names = BTreeSet::new();
        for number in 0..MOST + 10 {
            let name = format!("r{number}");
            counter.count(&event(&name, transition(StateName::Active, Cause::Promoted)));
            names.insert(name.parse().unwrap());
        }
        assert_eq!(counter.of(&names).transitions.len(), 10);
    }
}
