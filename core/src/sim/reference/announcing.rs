//! When an Active tells the hosts where the addresses are (docs/adr/0004, 0016, 0025).

use crate::protocol::AnnounceSpec;
use crate::sim::documents::{CONTESTED_ONCE_MORE, between_contested, round};
use crate::types::MonoTime;

/// What is announced, and when, since the kernel holds the addresses.
#[derive(Debug, Clone)]
pub(super) struct Announcing {
    /// When the last burst began, how many of its rounds were sent, and how many rounds it has.
    burst: (MonoTime, u32, u32),
    second_burst: Option<MonoTime>,
    refresh: Option<MonoTime>,
    contested: Option<MonoTime>,
    contested_once_more: Option<MonoTime>,
    last: MonoTime,
}

impl Announcing {
    /// Begins the announcement: the first round is sent now.
    pub(super) fn begin(now: MonoTime, spec: AnnounceSpec) -> Self {
        let planned = |is_planned: bool, at| is_planned.then_some(at);
        Self {
            burst: (now, 1, u32::from(spec.repeat.get())),
            second_burst: planned(!spec.delay.is_zero(), now + spec.delay),
            refresh: planned(!spec.refresh.is_zero(), now + spec.refresh + spec.delay),
            contested: None,
            contested_once_more: None,
            last: now,
        }
    }

    fn next_round(&self) -> Option<MonoTime> {
        let (began, sent, rounds) = self.burst;
        (sent < rounds).then(|| began + round(sent))
    }

    /// The time of the earliest round that is planned.
    pub(super) fn next(&self) -> Option<MonoTime> {
        [self.second_burst, self.next_round(), self.contested, self.refresh].into_iter().flatten().min()
    }

    /// Removes one round that is due from the plan. Returns whether there was one.
    pub(super) fn take_due(&mut self, now: MonoTime, spec: AnnounceSpec) -> bool {
        let due = |at: Option<MonoTime>| at.is_some_and(|at| at <= now);
        if due(self.second_burst) {
            self.second_burst = None;
            self.burst = (now, 1, u32::from(spec.repeat.get()));
        } else if due(self.next_round()) {
            self.burst.1 += 1;
        } else if due(self.contested) {
            self.contested = self.contested_once_more.take();
        } else if due(self.refresh) {
            self.refresh = (!spec.refresh.is_zero()).then(|| now + spec.refresh);
        } else {
            return false;
        }
        self.last = now;
        true
    }

    /// Another router may have drawn hosts to itself. Returns whether a round is sent now.
    pub(super) fn contest(&mut self, now: MonoTime, addresses: usize) -> bool {
        let gap = between_contested(addresses);
        self.contested_once_more = Some(now + CONTESTED_ONCE_MORE.max(gap * 2));
        let allowed = self.last + gap;
        if allowed > now {
            self.contested = Some(self.contested.map_or(allowed, |at| at.min(allowed)));
            return false;
        }
        self.contested = Some(now + gap);
        self.last = now;
        true
    }
}
