//! A kernel that holds addresses: late, in order, and not always willing.

use super::clock::TrueTime;
use crate::protocol::HoldResult;
use crate::types::InstanceKey;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// What is wanted of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The addresses are installed.
    Held,
    /// They are not.
    Absent,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// Addresses were installed, or refused.
    Held(HoldResult),
    /// Those of this key were here, and are gone.
    Absent(InstanceKey),
    /// There was nothing to do.
    Nothing,
}

/// How the kernel treats the next requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mood {
    /// It takes at least this long.
    pub least_delay: Duration,
    /// It takes at most this long.
    pub most_delay: Duration,
    /// This many installations will be refused.
    pub refusals: u8,
}

impl Mood {
    /// A few netlink messages.
    pub const WILLING: Self =
        Self { least_delay: Duration::from_micros(30), most_delay: Duration::from_micros(600), refusals: 0 };
}

#[derive(Debug, Clone)]
struct Request {
    key: InstanceKey,
    epoch: u64,
    wanted: Wanted,
    granted: bool,
    done_at: TrueTime,
}

/// The addresses of one node.
#[derive(Debug, Clone)]
pub struct FakeKernel {
    requests: VecDeque<Request>,
    held: BTreeSet<InstanceKey>,
    mood: Mood,
}

impl Default for FakeKernel {
    fn default() -> Self {
        Self { requests: VecDeque::new(), held: BTreeSet::new(), mood: Mood::WILLING }
    }
}

impl FakeKernel {
    /// Changes its mood.
    pub const fn set_mood(&mut self, mood: Mood) {
        self.mood = mood;
    }

    /// Its mood.
    #[must_use]
    pub const fn mood(&self) -> Mood {
        self.mood
    }

    /// What this node really holds, whatever it believes.
    #[must_use]
    pub fn holds(&self, key: InstanceKey) -> bool {
        self.held.contains(&key)
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.requests.is_empty()
    }

    /// Takes a request that needs `delay`, after those before it. Returns when it will be done.
    pub fn request(
        &mut self,
        now: TrueTime,
        key: InstanceKey,
        epoch: u64,
        wanted: Wanted,
        delay: Duration,
    ) -> TrueTime {
        let free_at = self.requests.back().map_or(now, |last| last.done_at.max(now));
        let done_at = free_at + delay;
        let granted = match wanted {
            Wanted::Absent => true,
            Wanted::Held => self.mood.refusals == 0,
        };
        if !granted {
            self.mood.refusals -= 1;
        }
        self.requests.push_back(Request { key, epoch, wanted, granted, done_at });
        done_at
    }

    /// Carries out the oldest request.
    pub fn carry_out(&mut self) -> Done {
        let Some(Request { key, epoch, wanted, granted, .. }) = self.requests.pop_front() else {
            return Done::Nothing;
        };
        match (wanted, granted) {
            (Wanted::Held, true) => {
                self.held.insert(key);
                Done::Held(HoldResult { key, epoch, outcome: Ok(()) })
            }
            (Wanted::Held, false) => {
                Done::Held(HoldResult { key, epoch, outcome: Err("RTNETLINK: busy".to_owned()) })
            }
            (Wanted::Absent, _) if self.held.remove(&key) => Done::Absent(key),
            (Wanted::Absent, _) => Done::Nothing,
        }
    }

    /// The process died: what it asked for and was not yet done is forgotten; what is held stays.
    pub fn forget_requests(&mut self) {
        self.requests.clear();
    }

    /// Nothing is held any more: the machine died, or a starting agent removed leftovers.
    pub fn clear(&mut self) {
        self.requests.clear();
        self.held.clear();
    }
}
