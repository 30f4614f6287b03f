//! How long things may take, derived from the configuration: these are the numbers of the
//! invariants.
//!
//! `I` is the longest Advertisement_Interval on the LAN, since any router may have learned it. `n`
//! is the largest number of missed advertisements. Clocks run slow by up to 1000 ppm, so every
//! timer may take 0.1 % longer than it was set to.

use super::documents;
use super::kernel::KernelBehaviour;
use super::lan::Conditions;
use super::router::RouterNumber;
use super::world::{StationSetup, WorldSetup};
use crate::types::{AdverInterval, Family, Version};
use std::time::Duration;

/// How long an Active waits at most for hosts to switch to another router that was heard. Either
/// nothing is announced, or the last address is announced in the last moment.
fn hosts_switch() -> Duration {
    documents::NOT_ANNOUNCED + documents::hosts_have_switched(Family::Ipv6)
}

/// One doubtful advertisement is confirmed by another question. This happens twice, because the
/// second advertisement may be doubtful too.
fn confirmations() -> Duration {
    documents::GOES_ON_ADVERTISING * 2
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
    /// How many routers of a node share its kernel.
    routers: u32,
    /// VRRPv2 if any station speaks it.
    slowest: Version,
}

impl Bounds {
    /// The bounds of one virtual router of a world.
    #[must_use]
    pub fn new(setup: &WorldSetup, number: RouterNumber) -> Self {
        let interval = |station: &StationSetup| match station {
            StationSetup::Ours(node) => node.interval_of(number).period(),
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
            routers: if setup.has_second_router() { 2 } else { 1 },
            slowest: if setup.speaks_version_2() { Version::V2 } else { Version::V3 },
        }
    }

    /// `I`.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// Whether any station speaks VRRPv2.
    #[must_use]
    pub const fn speaks_version_2(&self) -> bool {
        match self.slowest {
            Version::V2 => true,
            Version::V3 => false,
        }
    }

    /// Whether a leaving router waits for the Skew_Time of any Backup: the leaving router computes
    /// with its own interval.
    #[must_use]
    pub fn one_interval_for_all(&self) -> bool {
        self.interval == self.shortest
    }

    /// From a decision to its effect everywhere: the time to notice, the kernel and the LAN.
    ///
    /// A request to hold addresses may wait for one request to release them that is before it in
    /// the queue of the kernel, and for those of the other routers of the node.
    #[must_use]
    pub fn reaction(&self) -> Duration {
        self.lateness
            + KernelBehaviour::HEALTHY.most_delay * 2 * self.routers
            + Conditions::HEALTHY.most_delay
    }

    /// The longest Active_Down_Interval: `n·I + Skew_Time`, where Skew_Time < `I`.
    #[must_use]
    pub fn active_down(&self) -> Duration {
        slow(self.interval * (self.down_adverts + 1)) + self.reaction()
    }

    /// The longest time that a router may be leaving: its script, the longest Skew_Time of a
    /// successor that did not learn the short interval, and the margin.
    #[must_use]
    pub fn handover(&self) -> Duration {
        // Where one family speaks VRRPv2, another may speak version 3.
        let waits = |version| documents::longest_wait_for_successor(version, self.interval);
        slow(waits(self.slowest).max(waits(Version::V3)) + hosts_switch()) + self.reaction()
    }

    /// The longest time that an Active that yielded keeps the addresses.
    #[must_use]
    pub fn retained(&self) -> Duration {
        hosts_switch() + self.lateness
    }

    /// The longest time that two routers that are not leaving may both be Active on a healthy LAN.
    ///
    /// The router that must yield does so when it hears the other router: at the latest at its next
    /// advertisement, `I` away. Before its first advertisement a router may wait for the kernel.
    /// With two families, a tie lost in one family does not count while the other family has won a
    /// short time ago; then the other router yields when it hears ours, after one more `I`.
    #[must_use]
    pub fn dual_active(&self) -> Duration {
        let first_advertisement =
            documents::first_advertisement_waits(documents::TakenFrom::Resigned, AdverInterval::MIN);
        slow(self.interval * 2) + first_advertisement + confirmations() + self.reaction() * 3
    }

    /// The time from the last fault until there is exactly one Active that stays.
    ///
    /// 1. What was in flight arrives: delays are at most `I`.
    /// 2. A hand-over that is under way ends.
    /// 3. An overslept Backup listens again for `I + Skew_Time`, an overslept Active for
    ///    `I`: `2·I`.
    /// 4. The last timer that was armed before the end of the faults fires: one
    ///    Active_Down_Interval. The timer may be armed as late as the end of `preempt_delay`,
    ///    because lower priorities are obeyed until then.
    /// 5. If that Active is outranked by a router whose own timer was armed by the previous Active:
    ///    one more Active_Down_Interval.
    /// 6. If two routers became Active together: the time above.
    #[must_use]
    pub fn settle(&self) -> Duration {
        slow(self.interval * 3 + self.preempt_delay)
            + self.handover()
            + self.active_down() * 2
            + self.dual_active()
    }

    /// The same when the kernel refused a request: the retry comes first.
    #[must_use]
    pub fn settle_after_refusal(&self) -> Duration {
        slow(documents::REFUSED_AGAIN) + self.settle()
    }
}

/// How long a duration takes by the slowest clock.
fn slow(duration: Duration) -> Duration {
    duration + duration / 900
}
