//! How long things may take, derived from the configuration: the numbers of the invariants.
//!
//! `I` is the longest Advertisement_Interval on the LAN, since any router may have learned it; `n`
//! the largest number of missed advertisements. Clocks run slow by up to 1000 ppm, so that every
//! timer may take 0.1 % longer than it says.

use super::documents;
use super::kernel::KernelBehaviour;
use super::lan::Conditions;
use super::world::{StationSetup, WorldSetup};
use crate::types::{AdverInterval, Family};
use std::time::Duration;

/// What hosts may take to turn to another router that was heard, as far as an Active waits for it: nothing is
/// announced, or the last address in the last moment.
fn hosts_turn() -> Duration {
    documents::NOT_ANNOUNCED + documents::hosts_have_turned(Family::Ipv6)
}

/// One doubtful word is asked about again; twice, because the second may be doubtful.
fn confirmations() -> Duration {
    documents::GOES_ON_SPEAKING * 2
}

/// The bounds of one world.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// `I`.
    interval: Duration,
    shortest: Duration,
    /// `n`.
    down_adverts: u32,
    preempt_delay: Duration,
    lateness: Duration,
}

impl Bounds {
    /// Of a world.
    #[must_use]
    pub fn new(setup: &WorldSetup) -> Self {
        let interval = |station: &StationSetup| match station {
            StationSetup::Ours(node) => node.interval.period(),
            StationSetup::Foreign(_, peer) => peer.interval.period(),
        };
        let down_adverts = |station: &StationSetup| match station {
            StationSetup::Ours(node) => u32::from(node.down_adverts.get()),
            StationSetup::Foreign(..) => 3,
        };
        let preempt_delay = |station: &StationSetup| match station {
            StationSetup::Ours(node) => node.preempt_delay,
            StationSetup::Foreign(..) => Duration::ZERO,
        };
        Self {
            interval: setup.stations.iter().map(interval).max().unwrap_or_default(),
            shortest: setup.stations.iter().map(interval).min().unwrap_or_default(),
            down_adverts: setup.stations.iter().map(down_adverts).max().unwrap_or(3),
            preempt_delay: setup.stations.iter().map(preempt_delay).max().unwrap_or_default(),
            lateness: setup.lateness,
        }
    }

    /// `I`.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// Whether a leave waits for the Skew_Time of any Backup: it reckons with its own interval.
    #[must_use]
    pub fn one_interval_for_all(&self) -> bool {
        self.interval == self.shortest
    }

    /// From a decision to its effect everywhere: noticing, the kernel, the way.
    ///
    /// An `Own` may wait for one `Disown` before it in the kernel's queue.
    #[must_use]
    pub fn reaction(&self) -> Duration {
        self.lateness + KernelBehaviour::HEALTHY.most_delay * 2 + Conditions::HEALTHY.most_delay
    }

    /// The longest Active_Down_Interval: `n·I + Skew_Time`, Skew_Time < `I`.
    #[must_use]
    pub fn active_down(&self) -> Duration {
        slow(self.interval * (self.down_adverts + 1)) + self.reaction()
    }

    /// The longest a router may be leaving: its script, the longest Skew_Time of a taker that did
    /// not learn the short interval, and the margin.
    #[must_use]
    pub fn handover(&self) -> Duration {
        slow(documents::longest_wait_for_taker(self.interval) + hosts_turn()) + self.reaction()
    }

    /// The longest an Active that yielded keeps the addresses.
    #[must_use]
    pub fn retained(&self) -> Duration {
        hosts_turn() + self.lateness
    }

    /// The longest two routers that do not leave may both be Active on a healthy LAN.
    ///
    /// The one that must yield does so when it hears the other: at the latest its next
    /// advertisement, `I` away. Before its first advertisement it may wait for the kernel. With two
    /// families a tie lost in one is not counted while the first family's victory is fresh; the
    /// other side then yields at ours: one more `I`.
    #[must_use]
    pub fn dual_active(&self) -> Duration {
        let first_word = documents::first_word_waits(documents::TakenFrom::Resigned, AdverInterval::MIN);
        slow(self.interval * 2) + first_word + confirmations() + self.reaction() * 3
    }

    /// From the last fault to exactly one Active that stays.
    ///
    /// 1. What was in flight arrives: delays are at most `I`.
    /// 2. A hand-over under way ends.
    /// 3. An overslept Backup listens again for `I + Skew_Time`, an overslept Active for `I`: `2·I`.
    /// 4. The last timer armed before the end of the faults fires: one Active_Down_Interval. It may
    ///    be armed as late as the end of `preempt_delay`, during which lower priorities are obeyed.
    /// 5. If that Active is outranked, by a router whose own timer was armed by the one before: one
    ///    more Active_Down_Interval.
    /// 6. Two that became Active together: as above.
    #[must_use]
    pub fn settle(&self) -> Duration {
        slow(self.interval * 3 + self.preempt_delay)
            + self.handover()
            + self.active_down() * 2
            + self.dual_active()
    }

    /// The same when the kernel refused something: the retry comes first.
    #[must_use]
    pub fn settle_after_refusal(&self) -> Duration {
        slow(documents::REFUSED_AGAIN) + self.settle()
    }
}

/// By the slowest clock.
fn slow(duration: Duration) -> Duration {
    duration + duration / 900
}
