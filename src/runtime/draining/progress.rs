//! How far a drain is: how many connections are left, and whether it is over. Pure.

use crate::kernel::connections::{ConnectionList, ListExtent};
use crate::types::{Connection, MonoTime};
use std::collections::BTreeMap;
use std::time::Duration;

/// The most connections whose age is remembered.
const MOST_AGES: usize = 16_384;
/// A drain lasts so long at least, past the second burst of announcements: hosts that have missed the
/// first one still send to this node.
const LEAST: Duration = Duration::from_secs(6);
/// Empty lists in a row after which a drain is over: a connection that begins is in no list for a
/// moment, while its request becomes a socket.
const EMPTY_LISTS: u8 = 2;

/// What a list says of one instance.
#[derive(Debug)]
pub(super) struct OpenConnections {
    /// The connections of clients elsewhere.
    pub(super) connections: Vec<Connection>,
    /// How many of them this node still has to serve.
    pub(super) left: usize,
    /// Whether a connection may be missing, or begins at this moment.
    may_lack_some: bool,
}

impl From<&ConnectionList> for OpenConnections {
    fn from(list: &ConnectionList) -> Self {
        Self {
            connections: list.connections().collect(),
            left: list.left(),
            may_lack_some: list.extent != ListExtent::Whole || list.beginning() != 0,
        }
    }
}

/// The progress of one drain.
#[derive(Debug, Default)]
pub(super) struct DrainProgress {
    left: usize,
    empty: u8,
    /// When each connection was first listed: the kernel does not know how old it is.
    first_listed: BTreeMap<Connection, MonoTime>,
}

impl DrainProgress {
    pub(super) fn on_list(&mut self, now: MonoTime, list: &OpenConnections) {
        self.left = list.left;
        let is_empty = self.left == 0 && !list.may_lack_some;
        self.empty = if is_empty { self.empty.saturating_add(1) } else { 0 };
        let before = std::mem::take(&mut self.first_listed);
        let ages = list.connections.iter().take(MOST_AGES);
        self.first_listed = ages.map(|one| (*one, before.get(one).copied().unwrap_or(now))).collect();
    }

    /// Whether no connection is left, and none can begin here any more. `lasted`: how long the drain
    /// has lasted.
    pub(super) fn is_over(&self, lasted: Duration) -> bool {
        self.empty >= EMPTY_LISTS && lasted >= LEAST
    }

    /// How many connections are left.
    pub(super) fn left(&self) -> u32 {
        u32::try_from(self.left).unwrap_or(u32::MAX)
    }

    /// For how long the oldest of them has been known here.
    pub(super) fn oldest(&self, now: MonoTime) -> Option<Duration> {
        self.first_listed.values().min().map(|since| now.since(*since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(extent: ListExtent) -> OpenConnections {
        (&ConnectionList { sockets: Vec::new(), extent }).into()
    }

    #[test]
    fn two_empty_lists_end_a_drain_when_hosts_have_switched() {
        let now = MonoTime::from_nanos(1);
        let mut progress = DrainProgress::default();
        progress.on_list(now, &list(ListExtent::Whole));
        assert!(!progress.is_over(Duration::from_secs(60)), "one may lack what begins");
        progress.on_list(now, &list(ListExtent::Interrupted));
        progress.on_list(now, &list(ListExtent::Whole));
        assert!(!progress.is_over(Duration::from_secs(60)), "an interrupted list says nothing");
        progress.on_list(now, &list(ListExtent::Whole));
        assert!(progress.is_over(LEAST));
        assert!(!progress.is_over(Duration::from_secs(5)), "hosts may still send here");
    }
}
