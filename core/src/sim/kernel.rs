//! A kernel that holds addresses: it answers late and in order, and it sometimes refuses.

use super::clock::TrueTime;
use crate::protocol::HoldResult;
use crate::types::InstanceKey;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// What the kernel is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedAddresses {
    /// The addresses are installed.
    Held,
    /// The addresses are not installed.
    Absent,
}

/// What the kernel has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelOutcome {
    /// The kernel installed the addresses, or refused them.
    Held(HoldResult),
    /// The addresses of this key were installed, and are removed.
    Absent(InstanceKey),
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
    behaviour: KernelBehaviour,
}

impl Default for FakeKernel {
    fn default() -> Self {
        Self { requests: VecDeque::new(), held: BTreeSet::new(), behaviour: KernelBehaviour::HEALTHY }
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
        };
        if !granted {
            self.behaviour.refusals -= 1;
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
                self.held.insert(key);
                KernelOutcome::Held(HoldResult { key, epoch, outcome: Ok(()) })
            }
            (WantedAddresses::Held, false) => {
                KernelOutcome::Held(HoldResult { key, epoch, outcome: Err("RTNETLINK: busy".to_owned()) })
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

    /// Removes all addresses: the machine died, or a starting agent removed leftovers.
    pub fn clear(&mut self) {
        self.requests.clear();
        self.held.clear();
    }
}
