//! When each router wants to be called, the earliest first.

use super::RouterId;
use crate::types::MonoTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// At most one moment for each router.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Schedule {
    /// Sorted. A vector and not a tree: a tree allocates when a moment moves from one of its nodes
    /// to another, and moments move with each advertisement. What is moved in memory instead is 16
    /// octets a router at most.
    by_time: Vec<(MonoTime, RouterId)>,
    by_router: BTreeMap<RouterId, MonoTime>,
}

impl Schedule {
    /// The router wants to be called then, or not at all, and not at the moment that was set
    /// before.
    pub(super) fn set(&mut self, router: RouterId, at: Option<MonoTime>) {
        let before = self.by_router.get(&router).copied();
        if before == at {
            return;
        }
        if let Some(before) = before
            && let Ok(place) = self.by_time.binary_search(&(before, router))
        {
            self.by_time.remove(place);
        }
        match at {
            Some(at) => {
                self.by_router.insert(router, at);
                let (Ok(place) | Err(place)) = self.by_time.binary_search(&(at, router));
                self.by_time.insert(place, (at, router));
            }
            None => drop(self.by_router.remove(&router)),
        }
    }

    /// The first moment.
    pub(super) fn first(&self) -> Option<MonoTime> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// A router whose moment has come.
    pub(super) fn due(&self, now: MonoTime) -> Option<RouterId> {
        self.by_time.first().filter(|(at, _)| *at <= now).map(|(_, router)| *router)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_first_and_a_router_has_one_moment() {
        let (a, b) = (RouterId(1), RouterId(2));
        let at = MonoTime::from_nanos;
        let mut schedule = Schedule::default();
        schedule.set(a, Some(at(20)));
        schedule.set(b, Some(at(10)));
        assert_eq!(
            (schedule.first(), schedule.due(at(9)), schedule.due(at(10))),
            (Some(at(10)), None, Some(b))
        );
        schedule.set(b, Some(at(30)));
        assert_eq!((schedule.first(), schedule.due(at(25))), (Some(at(20)), Some(a)));
        schedule.set(a, None);
        schedule.set(b, None);
        assert_eq!(schedule.first(), None);
    }
}
