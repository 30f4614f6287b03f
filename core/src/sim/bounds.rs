//! How long things may take, derived from the configuration: the numbers of the invariants.
//!
//! `I` is the longest Advertisement_Interval on the LAN, since any router may have learned it; `n`
//! the largest number of missed advertisements. Clocks run slow by up to 1000 ppm, so that every
//! timer may take 0.1 % longer than it says.

use super::kernel::Mood;
use super::lan::Conditions;
use super::world::{StationSetup, WorldSetup};
use std::time::Duration;

/// A group tries again this long after the kernel refused it addresses.
const REFUSED_RETRY: Duration = Duration::from_secs(10);
/// What hosts may take to turn to another router that was heard, as far as an Active waits for it (docs/adr/0016).
const TURNING: Duration = Duration::from_millis(250 + 80);
/// The first round of a hand-over (the second delays nothing), and the margin after the longest Skew_Time
/// (docs/adr/0009). The taker may be heard in the last moment.
const HANDOVER: Duration = Duration::from_millis(256 + 100);
/// What a second round that was begun may take at least, with the same margin.
const SECOND_ROUND: Duration = Duration::from_millis(1256 + 100);
/// A first advertisement waits this long for the kernel, when nobody serves.
const CLAIM_GRACE: Duration = Duration::from_millis(10);
/// One doubtful word is asked about again after 12 ms; twice, because the second may be doubtful.
const CONFIRMATIONS: Duration = Duration::from_millis(24);

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
        self.lateness + Mood::WILLING.most_delay * 2 + Conditions::HEALTHY.most_delay
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
        slow((HANDOVER + self.interval).max(SECOND_ROUND) + TURNING) + self.reaction()
    }

    /// The longest an Active that yielded keeps the addresses.
    #[must_use]
    pub fn parting(&self) -> Duration {
        TURNING + self.lateness
    }

    /// The longest two routers that do not leave may both be Active on a healthy LAN.
    ///
    /// The one that must yield does so when it hears the other: at the latest its next
    /// advertisement, `I` away. Before its first advertisement it may wait for the kernel. With two
    /// families a tie lost in one is not counted while the first family's victory is fresh; the
    /// other side then yields at ours: one more `I`.
    #[must_use]
    pub fn dual_active(&self) -> Duration {
        slow(self.interval * 2) + CLAIM_GRACE + CONFIRMATIONS + self.reaction() * 3
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
        slow(REFUSED_RETRY) + self.settle()
    }
}

/// By the slowest clock.
fn slow(duration: Duration) -> Duration {
    duration + duration / 900
}
