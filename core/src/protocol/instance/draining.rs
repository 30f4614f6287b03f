//! The drain of an instance: another router has its addresses, and this node serves on the
//! connections that it has until they end (docs/adr/0040).
//!
//! ```text
//!            kernel answers          no connection left
//! Beginning ───────────────▶ Serving ──────────────────▶ released
//!     │                         │ deadline, or nobody forwards
//!     └──────────▶ Resetting ◀──┘
//!                      └── all reset, or patience is over ──▶ released
//! ```
//!
//! Connections are reset while their addresses are still here: without an address, the kernel
//! cannot tell the clients, and they would hang.

use super::Instance;
use crate::protocol::effect::{Effect, Effects};
use crate::protocol::event::DrainEnd;
use crate::protocol::input::DrainId;
use crate::protocol::snapshot::DrainSnapshot;
use crate::types::MonoTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// How long resetting may take: 10,000 connections take 120 ms.
const RESETTING_LIMIT: Duration = Duration::from_secs(12);

/// A drain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::protocol) struct Drain {
    since: MonoTime,
    until: MonoTime,
    to: Option<IpAddr>,
    origin: DrainOrigin,
    phase: DrainPhase,
}

/// Which run began a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::protocol) enum DrainOrigin {
    ThisRun,
    /// Its beginning was told then.
    EarlierRun,
}

/// What an answer of the kernel says of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum DrainAnswer {
    /// The drain has begun, or cannot begin.
    First,
    /// It had begun before: the answer is to another end.
    Later,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum DrainPhase {
    /// The kernel was asked.
    Beginning,
    /// Connections are served.
    Serving,
    /// Connections are being reset, for this reason.
    Resetting { why: DrainEnd, give_up_at: MonoTime },
}

impl Drain {
    /// The kernel is asked to let the addresses drain. `to`: the router that has them now.
    pub(super) fn begin(now: MonoTime, lasts: Duration, to: Option<IpAddr>) -> Self {
        let (origin, phase) = (DrainOrigin::ThisRun, DrainPhase::Beginning);
        Self { since: now, until: now + lasts, to, origin, phase }
    }

    /// The drain of an earlier run goes on until then. Since when it lasts is not known any more.
    pub(super) fn resume(now: MonoTime, until: MonoTime) -> Self {
        let (origin, phase) = (DrainOrigin::EarlierRun, DrainPhase::Beginning);
        Self { since: now, until, to: None, origin, phase }
    }

    pub(in crate::protocol) const fn origin(&self) -> DrainOrigin {
        self.origin
    }

    pub(in crate::protocol) const fn since(&self) -> MonoTime {
        self.since
    }

    pub(in crate::protocol) const fn to(&self) -> Option<IpAddr> {
        self.to
    }

    pub(in crate::protocol) const fn until(&self) -> MonoTime {
        self.until
    }

    /// The kernel lets the addresses drain.
    fn confirm(&mut self) -> DrainAnswer {
        match self.phase {
            DrainPhase::Beginning => {
                self.phase = DrainPhase::Serving;
                DrainAnswer::First
            }
            DrainPhase::Serving | DrainPhase::Resetting { .. } => DrainAnswer::Later,
        }
    }

    /// The drain lasts until then, counted from now. Returns whether the connections are still
    /// served.
    pub(super) fn set_end(&mut self, until: MonoTime) -> bool {
        match self.phase {
            DrainPhase::Beginning | DrainPhase::Serving => {
                self.until = until;
                true
            }
            DrainPhase::Resetting { .. } => false,
        }
    }

    /// What is left is reset. Returns whether that begins now.
    pub(super) fn reset(&mut self, now: MonoTime, why: DrainEnd) -> bool {
        match self.phase {
            DrainPhase::Beginning | DrainPhase::Serving => {
                self.phase = DrainPhase::Resetting { why, give_up_at: now + RESETTING_LIMIT };
                true
            }
            DrainPhase::Resetting { .. } => false,
        }
    }

    /// Why connections are being reset, if they are.
    pub(in crate::protocol) const fn resets_for(&self) -> Option<DrainEnd> {
        match self.phase {
            DrainPhase::Resetting { why, .. } => Some(why),
            DrainPhase::Beginning | DrainPhase::Serving => None,
        }
    }

    /// When something is due: the deadline, and then the end of our patience with the kernel.
    pub(in crate::protocol) const fn due(&self) -> MonoTime {
        match self.phase {
            DrainPhase::Beginning | DrainPhase::Serving => self.until,
            DrainPhase::Resetting { give_up_at, .. } => give_up_at,
        }
    }

    pub(super) fn snapshot(&self) -> DrainSnapshot {
        let Self { since, until, to, origin: _, phase } = *self;
        DrainSnapshot { since, until, to, is_serving: phase != DrainPhase::Beginning }
    }
}

impl Instance {
    /// The drain that is under way.
    pub(in crate::protocol) const fn drain(&self) -> Option<&Drain> {
        self.addresses.drain()
    }

    /// Connections can be left to these routers.
    pub(in crate::protocol) fn set_drain_partners(&mut self, partners: BTreeSet<IpAddr>) {
        self.addresses.set_partners(partners);
    }

    /// An earlier run was draining.
    pub(in crate::protocol) fn resume_drain(&mut self, now: MonoTime, until: MonoTime, out: &mut Effects) {
        self.addresses.drain_addresses(Drain::resume(now, until), out);
    }

    /// The kernel lets the addresses drain. Returns the drain if that was waited for.
    pub(in crate::protocol) fn on_draining(&mut self) -> Option<&Drain> {
        let answer = self.addresses.drain_mut().map(Drain::confirm);
        self.drain().filter(|_| answer == Some(DrainAnswer::First))
    }

    /// The kernel does not let the addresses drain. If it never did, they are released. If it is only
    /// another end that the kernel refuses, the connections are served on. `None`: nothing drains.
    pub(in crate::protocol) fn refuse_drain(&mut self, out: &mut Effects) -> Option<DrainAnswer> {
        match self.drain()?.phase {
            DrainPhase::Beginning => {
                self.release_drained(out);
                Some(DrainAnswer::First)
            }
            DrainPhase::Serving | DrainPhase::Resetting { .. } => Some(DrainAnswer::Later),
        }
    }

    /// The drain that is under way ends at `until`, or now.
    pub(in crate::protocol) fn set_drain_end(&mut self, now: MonoTime, until: MonoTime, out: &mut Effects) {
        if until <= now {
            self.reset_drain(now, DrainEnd::Deadline, out);
        } else if self.addresses.drain_mut().is_some_and(|drain| drain.set_end(until)) {
            // The kernel knows the end, too, in case that this process does not live to see it.
            self.addresses.renew_drain(out);
        }
    }

    /// The connections that are left are reset, and then the addresses go.
    pub(in crate::protocol) fn reset_drain(&mut self, now: MonoTime, why: DrainEnd, out: &mut Effects) {
        let key = self.key;
        if let Some(drain) = self.addresses.drain_mut()
            && drain.reset(now, why)
        {
            out.push(Effect::ResetConnections(DrainId { key, since: drain.since() }));
        }
    }

    /// No connection is left.
    pub(in crate::protocol) fn release_drained(&mut self, out: &mut Effects) {
        if self.drain().is_some() {
            self.addresses.release(out);
        }
    }
}
