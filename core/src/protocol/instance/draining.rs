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
    phase: DrainPhase,
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
        Self { since: now, until: now + lasts, to, phase: DrainPhase::Beginning }
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

    /// The kernel answered. Returns whether it was waited for.
    pub(super) fn confirm(&mut self) -> bool {
        let awaited = self.phase == DrainPhase::Beginning;
        if awaited {
            self.phase = DrainPhase::Serving;
        }
        awaited
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
        let Self { since, until, to, phase } = *self;
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
        self.addresses.drain_addresses(now, until.since(now), None, out);
    }

    /// The kernel lets the addresses drain. Returns the drain if that was waited for.
    pub(in crate::protocol) fn on_draining(&mut self) -> Option<&Drain> {
        let awaited = self.addresses.drain_mut().is_some_and(Drain::confirm);
        self.drain().filter(|_| awaited)
    }

    /// The kernel does not let the addresses drain, and may hold them: they are released. Returns
    /// whether they were to drain.
    pub(in crate::protocol) fn refuse_drain(&mut self, out: &mut Effects) -> bool {
        let drains = self.drain().is_some();
        self.release_drained(out);
        drains
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
        if self.addresses.drain_mut().is_some_and(|drain| drain.reset(now, why)) {
            out.push(Effect::ResetConnections { key: self.key });
        }
    }

    /// No connection is left.
    pub(in crate::protocol) fn release_drained(&mut self, out: &mut Effects) {
        if self.drain().is_some() {
            self.addresses.release(out);
        }
    }
}
