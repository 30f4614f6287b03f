//! The event log: the last events of this node, in memory, for `vrrpctl events` and `show`.
//!
//! Owns the ring of events, and the clients that follow it. There is one buffer only: a follower
//! reads the ring at its own pace, by sequence number. A follower that falls behind by more than
//! the ring learns how many events it lost; it can neither use more memory nor delay the writer.
//! Must not know sockets.

use super::event::{AgentEvent, AgentEventKind};
use super::severity::Severity;
use crate::protocol::CheckName;
use crate::types::RouterName;
use jiff::Timestamp;
use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// One event, numbered and dated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// The number of the event: 1 for the first event since the daemon started, without gaps.
    pub seq: u64,
    /// The wall-clock time of the event.
    pub time: Timestamp,
    /// The event itself.
    pub event: AgentEvent,
}

/// The events that a client wants to see. The default is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only events of these routers are wanted; if there are none, those of all routers and of the
    /// node.
    pub routers: BTreeSet<RouterName>,
    /// Events of these checks are wanted as well.
    pub checks: BTreeSet<CheckName>,
    /// Only events of at least this severity are wanted.
    pub least: Option<Severity>,
    /// Only events at this time or later are wanted.
    pub since: Option<Timestamp>,
}

impl EventFilter {
    /// Whether an event is wanted.
    #[must_use]
    pub fn admits(&self, record: &EventRecord) -> bool {
        let router = record.event.router.as_ref();
        let kind = &record.event.kind;
        let watched = matches!(kind, AgentEventKind::Check { check, .. } if self.checks.contains(check));
        let named = self.routers.is_empty() || router.is_some_and(|router| self.routers.contains(router));
        let grave = self.least.is_none_or(|least| Severity::of(kind) >= least);
        (named || watched) && grave && self.since.is_none_or(|since| record.time >= since)
    }
}

/// A bounded ring of [`EventRecord`]s. A new event replaces the oldest one, because an operator
/// looks for what happened recently, and the log has the rest.
#[derive(Debug)]
pub struct EventLog {
    capacity: NonZeroUsize,
    ring: Mutex<Ring>,
    /// The newest sequence number. A change of it wakes the followers.
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    newest: u64,
    records: VecDeque<Arc<EventRecord>>,
}

/// Events that a follower has not seen, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// How many events the follower missed before the first of `records`, because it was too slow.
    pub lost: u64,
    /// The events: at most [`Follower::BATCH`], and at least one unless `lost` is more than 0.
    pub records: Vec<Arc<EventRecord>>,
}

/// Reads an [`EventLog`] as it grows.
#[derive(Debug)]
pub struct Follower {
    log: Arc<EventLog>,
    wanted: EventFilter,
    wake: watch::Receiver<u64>,
    /// The sequence number of the next event that the follower reads.
    next: u64,
}

impl EventLog {
    /// How many events are kept; a full log takes about 200 KiB. Two routers that change their
    /// states all the time write some ten events a minute, so the log has the last hour of the
    /// worst day.
    pub const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

    /// Creates an empty log of [`Self::CAPACITY`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(Self::CAPACITY)
    }

    /// Creates an empty log that keeps `capacity` events. It takes memory as events arrive.
    #[must_use]
    pub fn with_capacity(capacity: NonZeroUsize) -> Self {
        Self { capacity, ring: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Appends an event and wakes the followers. It never waits for them.
    pub fn push(&self, time: Timestamp, event: AgentEvent) -> Arc<EventRecord> {
        let mut ring = self.ring();
        ring.newest += 1;
        let record = Arc::new(EventRecord { seq: ring.newest, time, event });
        if ring.records.len() == self.capacity.get() {
            ring.records.pop_front();
        }
        ring.records.push_back(Arc::clone(&record));
        self.newest.send_replace(record.seq);
        record
    }

    /// Returns the last `count` events that are wanted, oldest first.
    #[must_use]
    pub fn last_of(&self, count: usize, wanted: &EventFilter) -> Vec<Arc<EventRecord>> {
        self.ring().last_of(count, wanted)
    }

    /// Returns the last `count` events that are wanted, and a follower that continues exactly
    /// there.
    #[must_use]
    pub fn follow(self: &Arc<Self>, count: usize, wanted: EventFilter) -> (Vec<Arc<EventRecord>>, Follower) {
        let ring = self.ring();
        let past = ring.last_of(count, &wanted);
        let (log, wake) = (Arc::clone(self), self.newest.subscribe());
        (past, Follower { log, wanted, wake, next: ring.newest + 1 })
    }

    /// Locks the ring. A panic while the lock was held cannot have left the ring half written, so a
    /// poisoned lock is used.
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for EventLog {
    fn default() -> Self {
        Self::new()
    }
}

impl Ring {
    fn last_of(&self, count: usize, wanted: &EventFilter) -> Vec<Arc<EventRecord>> {
        let newest_first = self.records.iter().rev().filter(|record| wanted.admits(record)).take(count);
        let mut found: Vec<_> = newest_first.cloned().collect();
        found.reverse();
        found
    }
}

impl Follower {
    /// The most events that one [`Batch`] holds, so that a reply built from it stays small.
    pub const BATCH: usize = 64;

    /// Waits for events that are wanted and were not returned yet. Cancel-safe: it takes nothing
    /// before it returns.
    pub async fn next(&mut self) -> Batch {
        loop {
            while *self.wake.borrow_and_update() < self.next {
                // The channel cannot be closed: the log holds the sender, and `self` holds the log.
                let _open = self.wake.changed().await;
            }
            let batch = self.read();
            if batch.lost > 0 || !batch.records.is_empty() {
                return batch;
            }
        }
    }

    /// Reads the new events. Events that were missed are counted whether they were wanted or not,
    /// because they are gone.
    fn read(&mut self) -> Batch {
        let ring = self.log.ring();
        let unseen = ring.records.iter().filter(|r| r.seq >= self.next).take(Self::BATCH);
        let unseen: Vec<_> = unseen.cloned().collect();
        let lost = unseen.first().map_or(self.next, |r| r.seq) - self.next;
        self.next = unseen.last().map_or(self.next, |r| r.seq + 1);
        Batch { lost, records: unseen.into_iter().filter(|record| self.wanted.admits(record)).collect() }
    }
}

#[cfg(test)]
mod tests;
