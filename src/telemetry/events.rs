//! The event log: the last events of this node, in memory, for `vrrpctl events` and `show`.
//!
//! Owns the ring and those who follow it. There is one buffer only: a follower reads the ring, at
//! its own pace, by sequence number. One that falls behind by more than the ring learns how many
//! events it lost; it can neither grow memory nor hold up the writer. Must not know sockets.

use crate::protocol::Event;
use jiff::Timestamp;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// One event, numbered and dated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// 1 for the first event since the daemon started; no gaps.
    pub seq: u64,
    /// Wall-clock time.
    pub time: Timestamp,
    /// What happened.
    pub event: Event,
}

/// A bounded ring of [`EventRecord`]s. The oldest is dropped for the newest: what an operator
/// debugs is recent, and the log has the rest.
#[derive(Debug)]
pub struct EventLog {
    capacity: NonZeroUsize,
    ring: Mutex<Ring>,
    /// The newest sequence number; wakes followers.
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
    /// How many it missed before the first of `records`, because it was too slow.
    pub lost: u64,
    /// At most [`Follower::BATCH`], at least one.
    pub records: Vec<Arc<EventRecord>>,
}

/// Reads an [`EventLog`] as it grows.
#[derive(Debug)]
pub struct Follower {
    log: Arc<EventLog>,
    wake: watch::Receiver<u64>,
    /// The sequence number it waits for.
    next: u64,
}

impl EventLog {
    /// How many events are kept, about 200 KiB when full: a flapping pair writes some ten a
    /// minute, so this is the last hour of the worst day.
    pub const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

    /// An empty log of [`Self::CAPACITY`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(Self::CAPACITY)
    }

    /// An empty log that keeps `capacity` events. Memory is taken as events arrive.
    #[must_use]
    pub fn with_capacity(capacity: NonZeroUsize) -> Self {
        Self { capacity, ring: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Appends an event and wakes the followers. Never waits for them.
    pub fn push(&self, time: Timestamp, event: Event) -> Arc<EventRecord> {
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

    /// The last `count` events, oldest first.
    #[must_use]
    pub fn last(&self, count: usize) -> Vec<Arc<EventRecord>> {
        self.ring().last(count)
    }

    /// The last `count` events for which `wanted` holds, oldest first.
    #[must_use]
    pub fn last_where(&self, count: usize, wanted: impl Fn(&Event) -> bool) -> Vec<Arc<EventRecord>> {
        let ring = self.ring();
        let newest_first = ring.records.iter().rev().filter(|r| wanted(&r.event)).take(count);
        let mut found: Vec<_> = newest_first.cloned().collect();
        found.reverse();
        found
    }

    /// The last `count` events, and a follower that continues exactly there.
    #[must_use]
    pub fn follow(self: &Arc<Self>, count: usize) -> (Vec<Arc<EventRecord>>, Follower) {
        let ring = self.ring();
        let follower =
            Follower { log: Arc::clone(self), wake: self.newest.subscribe(), next: ring.newest + 1 };
        (ring.last(count), follower)
    }

    /// A panic while the lock was held cannot leave the ring half written: use it all the same.
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
    fn last(&self, count: usize) -> Vec<Arc<EventRecord>> {
        self.records.iter().skip(self.records.len().saturating_sub(count)).cloned().collect()
    }
}

impl Follower {
    /// The most that one [`Batch`] holds, so that a reply built from it stays small.
    pub const BATCH: usize = 64;

    /// Waits for events that were not returned yet. Cancel-safe: nothing is taken before it returns.
    pub async fn next(&mut self) -> Batch {
        while *self.wake.borrow_and_update() < self.next {
            // The log holds the sender and `self` holds the log: it cannot be closed.
            let _open = self.wake.changed().await;
        }
        let ring = self.log.ring();
        let unseen = ring.records.iter().filter(|r| r.seq >= self.next).take(Self::BATCH);
        let records: Vec<_> = unseen.cloned().collect();
        let first = records.first().map_or(self.next, |r| r.seq);
        let lost = first - self.next;
        self.next = records.last().map_or(self.next, |r| r.seq + 1);
        Batch { lost, records }
    }
}

#[cfg(test)]
mod tests;
