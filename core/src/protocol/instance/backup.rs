//! The Backup state (RFC 9568 §6.4.2): it obeys an Active, and takes over when it hears none.
//!
//! | event | what a Backup does |
//! |---|---|
//! | advertisement of our priority or more, or preemption forbidden | obeys: learns the interval, Active_Down_Timer = Active_Down_Interval |
//! | advertisement of a lower priority, preemption allowed | discards it: Active_Down_Timer runs on, and its end is the preemption |
//! | advertisement of priority 0 | Active_Down_Timer = Skew_Time, unless it ends sooner |
//! | Active_Down_Timer | is ready to take over, as soon as the router's other family is |

use super::hasty_takeover::{HastyMessage, HastyTakeover};
use super::peers::{Peers, is_on_time};
use super::{Policy, Received};
use crate::protocol::event::Cause;
use crate::protocol::snapshot::PeerSnapshot;
use crate::protocol::timing::{OVERSLEPT, Taking};
use crate::types::{AdverInterval, AdvertPriority, MonoTime, Preempt, Version};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// How late a regular advertisement may be, as a quarter of the interval and within these bounds,
/// before a distrusted message is believed. An Active that leaves serves for 356 ms more than an
/// interval (`router::handover`).
const LATE: (Duration, Duration) = (Duration::from_millis(30), Duration::from_millis(200));

/// An instance in the Backup state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Backup {
    version: Version,
    // RFC9568-6.2-1: exists in Backup only
    timer: ActiveDownTimer,
    /// Active_Adver_Interval.
    learned: AdverInterval,
    /// Why this Backup would become Active when Active_Down_Timer fires.
    reason: TakeoverReason,
    /// The Active that set the timer last, and when.
    obeyed: Option<IpAddr>,
    obeyed_at: MonoTime,
}

/// Active_Down_Timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum ActiveDownTimer {
    FiresAt(MonoTime),
    /// It fired; that of the router's other family has not yet.
    Fired,
}

/// Why a Backup would become Active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum TakeoverReason {
    /// The Active has not been heard.
    ActiveSilent,
    /// The Active resigned: this router.
    ActiveResigned(IpAddr),
    /// The Active has a lower priority than we have. It was heard last at this time, with this
    /// interval.
    OutranksActive { heard: MonoTime, interval: AdverInterval },
}

/// What a Backup made of an advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaction {
    /// It obeys the sender.
    Obeyed,
    /// It noted that the sender resigned.
    NotedResignation,
    /// It will preempt the sender.
    Discarded,
}

/// Whether a message that hastens a takeover is believed at once, or only when the next regular
/// advertisement of the Active is overdue ([`super::hasty_takeover`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    Full,
    Distrust,
}

impl Backup {
    /// A Backup that waits for one Active_Down_Interval. `obeyed` is the Active, if one is known.
    pub(super) fn new(
        now: MonoTime,
        version: Version,
        policy: &Policy,
        learned: AdverInterval,
        obeyed: Option<IpAddr>,
    ) -> Self {
        let wait = policy.active_down_interval(version, learned);
        Self {
            version,
            timer: ActiveDownTimer::FiresAt(now + wait),
            learned,
            reason: TakeoverReason::ActiveSilent,
            obeyed,
            obeyed_at: now,
        }
    }

    pub(super) const fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Active_Adver_Interval.
    pub(super) const fn learned(&self) -> AdverInterval {
        self.learned
    }

    /// The Active that set the timer last.
    pub(super) const fn obeyed(&self) -> Option<IpAddr> {
        self.obeyed
    }

    /// The router whose resignation it acts on. It need not be one that was obeyed: we may have
    /// started when it was leaving already.
    pub(super) const fn resigned(&self) -> Option<IpAddr> {
        match self.reason {
            TakeoverReason::ActiveResigned(by) => Some(by),
            TakeoverReason::ActiveSilent | TakeoverReason::OutranksActive { .. } => None,
        }
    }

    /// The Active, if it has said that it leaves.
    pub(super) fn leaving(&self, policy: &Policy) -> Option<IpAddr> {
        self.obeyed.filter(|_| policy.is_of_leaving(self.version, self.learned))
    }

    /// Whether Active_Down_Timer has fired.
    pub(super) fn is_ready_to_take_over(&self) -> bool {
        self.timer == ActiveDownTimer::Fired
    }

    /// When Active_Down_Timer fires.
    pub(super) const fn fires_at(&self) -> Option<MonoTime> {
        match self.timer {
            ActiveDownTimer::FiresAt(at) => Some(at),
            ActiveDownTimer::Fired => None,
        }
    }

    /// An advertisement (RFC 9568 §6.4.2). The address of its sender is not compared here: an equal
    /// priority is obeyed.
    pub(super) fn on_advert(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        received: &Received,
        trust: Trust,
    ) -> Reaction {
        if received.priority.is_resignation() {
            // RFC9568-6.4.2-8, RFC9568-6.4.2-14: Skew_Time, and never longer than the timer still
            // runs, so that repeated or forged resignations cannot postpone a takeover.
            if let ActiveDownTimer::FiresAt(at) = self.timer {
                let soon = now + policy.skew_time(self.version, self.learned);
                let due = match trust {
                    Trust::Full => soon,
                    Trust::Distrust => soon.max(self.overdue_at(policy)),
                };
                self.timer = ActiveDownTimer::FiresAt(at.min(due));
            }
            self.reason = TakeoverReason::ActiveResigned(received.source);
            return Reaction::NotedResignation;
        }
        let lower = received.priority < policy.priority;
        if lower && policy.preempt == Preempt::Allow && now >= policy.preempt_after {
            // RFC9568-6.4.2-10: discarded. The timer runs on, and its end is the preemption.
            self.reason = TakeoverReason::OutranksActive { heard: now, interval: received.interval };
            return Reaction::Discarded;
        }
        // RFC9568-6.4.2-9, RFC9568-6.4.2-13
        // RFC9568-6.1-2
        self.obeyed = Some(received.source);
        self.obeyed_at = now;
        self.reason = TakeoverReason::ActiveSilent;
        let (learned, fires_at) = match trust {
            Trust::Distrust if received.interval < policy.interval => {
                (policy.interval, self.overdue_at(policy))
            }
            Trust::Full | Trust::Distrust => {
                let wait = policy.active_down_interval(self.version, received.interval);
                (received.interval, now + wait)
            }
        };
        self.learned = learned;
        self.timer = ActiveDownTimer::FiresAt(fires_at);
        Reaction::Obeyed
    }

    /// Active_Down_Timer may have fired. Returns how long we were not run, if that is longer than
    /// others wait: then we did not listen either, and listen once more.
    pub(super) fn on_timer(&mut self, now: MonoTime, policy: &Policy) -> Option<Duration> {
        let at = self.fires_at().filter(|at| *at <= now)?;
        let late = now.since(at);
        // RFC9568-6.2-4
        if late > self.learned.period().max(OVERSLEPT) {
            // A paused machine loses its packets. A living Active is heard within one interval.
            self.timer = ActiveDownTimer::FiresAt(self.hears_a_living_active_by(now, policy));
            return Some(late);
        }
        self.timer = ActiveDownTimer::Fired; // RFC9568-6.4.2-7
        None
    }

    /// Our priority may have fallen. An Active that we were about to preempt may outrank us now: its
    /// last advertisement, which was discarded, is obeyed after all.
    pub(super) fn on_priority_evaluated(&mut self, policy: &Policy, active: Option<&PeerSnapshot>) {
        let TakeoverReason::OutranksActive { heard, interval } = self.reason else { return };
        if active.is_none_or(|active| active.priority < policy.priority) {
            return;
        }
        let at = heard + policy.active_down_interval(self.version, interval);
        self.timer = match self.timer {
            ActiveDownTimer::FiresAt(earlier) => ActiveDownTimer::FiresAt(earlier.max(at)),
            ActiveDownTimer::Fired => ActiveDownTimer::FiresAt(at),
        };
        self.learned = interval;
        self.reason = TakeoverReason::ActiveSilent;
    }

    /// Nothing could be sent for a moment, so that nothing came of the timer: it fires again.
    pub(super) fn fire_again(&mut self, now: MonoTime) {
        if self.is_ready_to_take_over() {
            self.timer = ActiveDownTimer::FiresAt(now);
        }
    }

    /// Nothing could be heard for a moment: a living Active is heard within one interval.
    pub(super) fn listen_again(&mut self, now: MonoTime, policy: &Policy) {
        let soon = self.hears_a_living_active_by(now, policy);
        self.timer = match self.timer {
            ActiveDownTimer::FiresAt(at) => ActiveDownTimer::FiresAt(at.max(soon)),
            ActiveDownTimer::Fired => ActiveDownTimer::FiresAt(soon),
        };
    }

    fn hears_a_living_active_by(&self, now: MonoTime, policy: &Policy) -> MonoTime {
        now + self.learned.period() + policy.skew_time(self.version, self.learned)
    }

    /// When a takeover that a distrusted message hastens is due at the earliest: the next regular
    /// advertisement of the Active is overdue. Several Backups keep their order.
    fn overdue_at(&self, policy: &Policy) -> MonoTime {
        let ours = policy.interval.period();
        let late = (ours / 4).clamp(LATE.0, LATE.1);
        self.obeyed_at + ours + late + policy.skew_time(self.version, AdverInterval::MIN)
    }

    /// Whether a takeover at `now` is hasty: sooner than the Active's own pace would have it.
    pub(super) fn hasty_takeover(
        &self,
        now: MonoTime,
        policy: &Policy,
        peers: &Peers,
    ) -> Option<HastyTakeover> {
        let replaced = self.obeyed?;
        let message = match self.reason {
            TakeoverReason::ActiveResigned(_) => HastyMessage::Resignation,
            TakeoverReason::ActiveSilent if self.learned < policy.interval => {
                HastyMessage::Interval(self.learned)
            }
            TakeoverReason::ActiveSilent | TakeoverReason::OutranksActive { .. } => return None,
        };
        let silent = now.since(peers.get(replaced)?.heard);
        Some(HastyTakeover { replaced, silent, message })
    }

    /// From whom a takeover at `now` takes the addresses.
    pub(super) fn takes_from(&self, now: MonoTime, policy: &Policy, peers: &Peers) -> Taking {
        match self.reason {
            TakeoverReason::ActiveResigned(_) => Taking::FromLeaving,
            // The Active that is preempted, or a router that was heard before we started, with an
            // interval longer than ours.
            TakeoverReason::ActiveSilent | TakeoverReason::OutranksActive { .. }
                if peers.anybody_serves(now, policy.interval) =>
            {
                Taking::FromLive
            }
            TakeoverReason::ActiveSilent | TakeoverReason::OutranksActive { .. } => Taking::FromNobody,
        }
    }

    /// Why this Backup becomes Active at `now`. A router of lower priority may advertise beside an
    /// Active that was obeyed, and has died.
    pub(super) fn takeover_cause(&self, now: MonoTime, ours: AdvertPriority, peers: &Peers) -> Cause {
        let obeyed = self.obeyed.and_then(|obeyed| peers.get(obeyed));
        match self.reason {
            TakeoverReason::ActiveSilent => Cause::ActiveDownTimer,
            TakeoverReason::ActiveResigned(_) => Cause::PeerResigned,
            TakeoverReason::OutranksActive { heard, interval } => {
                let outranked = obeyed.is_none_or(|peer| peer.standing < ours);
                if outranked && is_on_time(now, heard, interval) {
                    Cause::Preempted
                } else {
                    Cause::ActiveDownTimer
                }
            }
        }
    }
}
