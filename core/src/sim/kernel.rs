//! A kernel that holds addresses: it answers late and in order, and it sometimes refuses.

use super::clock::TrueTime;
use crate::protocol::{DrainResult, HoldResult};
use crate::types::{InstanceKey, MonoTime};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// What the kernel is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedAddresses {
    /// The addresses are installed.
    Held,
    /// The addresses are not installed, and the connections to them are served until then at the
    /// latest.
    Draining(MonoTime),
    /// The addresses are not installed.
    Absent,
}

/// What the kernel has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelOutcome {
    /// The kernel installed the addresses, or refused them.
    Held(HoldResult),
    /// The kernel lets the addresses drain until then at the latest, or refused that.
    Draining {
        /// The answer.
        result: DrainResult,
        /// When the drain ends at the latest.
        until: MonoTime,
        /// Whether the addresses were installed until now.
        was_held: bool,
    },
    /// The addresses of this key were installed, and are removed.
    Absent(InstanceKey),
    /// The addresses of this key drained, and do not any more.
    Drained(InstanceKey),
    /// The kernel had nothing to do.
    Nothing,
}

/// How the kernel treats the next requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelBehaviour {
    /// Each request takes at least this long.
    pub least_delay: Duration,
    /// Each request takes at most this long.
    pub most_delay: Duration,
    /// This many installations will be refused.
    pub refusals: u8,
}

impl KernelBehaviour {
    /// The time of a few netlink messages.
    pub const HEALTHY: Self =
        Self { least_delay: Duration::from_micros(30), most_delay: Duration::from_micros(600), refusals: 0 };
}

#[derive(Debug, Clone)]
struct KernelRequest {
    key: InstanceKey,
    epoch: u64,
    wanted: WantedAddresses,
    granted: bool,
    done_at: TrueTime,
}

/// The addresses of one node.
#[derive(Debug, Clone)]
pub struct FakeKernel {
    requests: VecDeque<KernelRequest>,
    held: BTreeSet<InstanceKey>,
    /// What drains, and until when at the latest.
    draining: BTreeMap<InstanceKey, MonoTime>,
    /// This many drains will be refused.
    drain_refusals: u8,
    behaviour: KernelBehaviour,
}

impl Default for FakeKernel {
    fn default() -> Self {
        Self {
            requests: VecDeque::new(),
            held: BTreeSet::new(),
            draining: BTreeMap::new(),
            drain_refusals: 0,
            behaviour: KernelBehaviour::HEALTHY,
        }
    }
}

impl FakeKernel {
    /// Changes the behaviour of the kernel.
    pub const fn set_behaviour(&mut self, behaviour: KernelBehaviour) {
        self.behaviour = behaviour;
    }

    /// The behaviour of the kernel.
    #[must_use]
    pub const fn behaviour(&self) -> KernelBehaviour {
        self.behaviour
    }

    /// Whether this node really holds the addresses of `key`, whatever the node believes.
    #[must_use]
    pub fn holds(&self, key: InstanceKey) -> bool {
        self.held.contains(&key)
    }

    /// Whether the connections of `key` are served although the addresses are not held.
    #[must_use]
    pub fn drains(&self, key: InstanceKey) -> bool {
        self.draining.contains_key(&key)
    }

    /// Whether packets to the addresses of `key` are accepted.
    #[must_use]
    pub fn accepts(&self, key: InstanceKey) -> bool {
        self.holds(key) || self.drains(key)
    }

    /// What drains, and until when at the latest.
    pub(super) fn all_draining(&self) -> impl Iterator<Item = (InstanceKey, MonoTime)> {
        self.draining.iter().map(|(key, until)| (*key, *until))
    }

    /// The next drains are refused.
    pub const fn refuse_drains(&mut self, count: u8) {
        self.drain_refusals = count;
    }

    /// The lifetime of addresses that drain is over, unless it was changed meanwhile.
    pub(super) fn end_lifetime(&mut self, key: InstanceKey, until: MonoTime) {
        if self.draining.get(&key) == Some(&until) {
            self.draining.remove(&key);
        }
    }

    /// Whether no request is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.requests.is_empty()
    }

    /// Accepts a request that needs `delay`, after the requests before it. Returns when it will be
    /// done.
    pub fn request(
        &mut self,
        now: TrueTime,
        key: InstanceKey,
        epoch: u64,
        wanted: WantedAddresses,
        delay: Duration,
    ) -> TrueTime {
        let free_at = self.requests.back().map_or(now, |last| last.done_at.max(now));
        let done_at = free_at + delay;
        let granted = match wanted {
            WantedAddresses::Absent => true,
            WantedAddresses::Held => self.behaviour.refusals == 0,
            WantedAddresses::Draining(_) => self.drain_refusals == 0,
        };
        if !granted {
            match wanted {
                WantedAddresses::Absent => {}
                WantedAddresses::Held => self.behaviour.refusals -= 1,
                WantedAddresses::Draining(_) => self.drain_refusals -= 1,
            }
        }
        self.requests.push_back(KernelRequest { key, epoch, wanted, granted, done_at });
        done_at
    }

    /// Carries out the oldest request.
    pub fn carry_out(&mut self) -> KernelOutcome {
        let Some(KernelRequest { key, epoch, wanted, granted, .. }) = self.requests.pop_front() else {
            return KernelOutcome::Nothing;
        };
        match (wanted, granted) {
            (WantedAddresses::Held, true) => {
                self.draining.remove(&key);
                self.held.insert(key);
                KernelOutcome::Held(HoldResult { key, epoch, outcome: Ok(()) })
            }
            (WantedAddresses::Held, false) => {
                KernelOutcome::Held(HoldResult { key, epoch, outcome: Err("RTNETLINK: busy".to_owned()) })
            }
            (WantedAddresses::Draining(until), true) => {
                self.draining.insert(key, until);
                let was_held = self.held.remove(&key);
                KernelOutcome::Draining {
                    result: DrainResult { key, epoch, outcome: Ok(()) },
                    until,
                    was_held,
                }
            }
            // What drained already goes on to drain.
            (WantedAddresses::Draining(until), false) => {
                let outcome = Err("ARP cannot be guarded".to_owned());
                KernelOutcome::Draining {
                    result: DrainResult { key, epoch, outcome },
                    until,
                    was_held: false,
                }
            }
            (WantedAddresses::Absent, _) if self.draining.remove(&key).is_some() => {
                KernelOutcome::Drained(key)
            }
            (WantedAddresses::Absent, _) if self.held.remove(&key) => KernelOutcome::Absent(key),
            (WantedAddresses::Absent, _) => KernelOutcome::Nothing,
        }
    }

    /// Another program removed the addresses of `key`, and they cannot be put back.
    pub fn lose(&mut self, key: InstanceKey) {
        self.held.remove(&key);
    }

    /// Removes the addresses of every key that is not among these: the clean-up after a crash does
    /// not know who they belong to.
    pub fn keep(&mut self, keys: &BTreeSet<InstanceKey>) {
        self.held.retain(|key| keys.contains(key));
    }

    /// The process died: its requests that were not carried out yet are forgotten; the addresses
    /// that are held stay.
    pub fn forget_requests(&mut self) {
        self.requests.clear();
    }

    /// Removes all addresses that are held: a starting agent removes leftovers, except what drains.
    pub fn remove_leftovers(&mut self) {
        self.requests.clear();
        self.held.clear();
    }

    /// The machine died.
    pub fn clear(&mut self) {
        self.remove_leftovers();
        self.draining.clear();
    }
}
