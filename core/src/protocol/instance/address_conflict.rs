//! Addresses that somebody else announces while we serve them (RFC 5227 §2.4, docs/adr/0025).
//!
//! A machine that has one of them as its own takes hosts away from us and does not advertise at
//! all, and a router that we do not hear does the same. An operator is told, and hosts are told
//! again where the address is.

use super::state::State;
use super::{Instance, Policy};
use crate::types::{MacAddr, MonoTime};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// Some routers that have just been heard give way after they have announced.
const HEARD_BEFORE: Duration = Duration::from_millis(250);

/// RFC 5227 §2.4 (DEFEND_INTERVAL): hosts are told again no more often, so that two machines that
/// both do it do not flood the LAN.
const BETWEEN_DEFENCES: Duration = Duration::from_secs(10);

/// What an instance has seen announced by others while it serves.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct ConflictWatch {
    /// The first announcement that is not explained yet.
    unexplained: Option<UnexplainedAnnouncement>,
    /// When the addresses were last defended.
    defended: Option<MonoTime>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct UnexplainedAnnouncement {
    address: IpAddr,
    mac: MacAddr,
    at: MonoTime,
}

/// Another station has an address that we serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::protocol) struct AddressConflict {
    pub(in crate::protocol) address: IpAddr,
    pub(in crate::protocol) mac: MacAddr,
}

impl ConflictWatch {
    /// The instance becomes Active: what was announced before was the right of somebody else.
    pub(super) const fn reset(&mut self) {
        self.unexplained = None;
    }

    /// Whether the addresses may be defended now. If so, they are.
    fn may_defend(&mut self, now: MonoTime) -> bool {
        let may = self.defended.is_none_or(|last| now.since(last) >= BETWEEN_DEFENCES);
        if may {
            self.defended = Some(now);
        }
        may
    }
}

/// How long an announcement may stay without an advertisement that explains it. Some routers
/// announce addresses long before they are heard by VRRP: FRR over IPv6 advertises an interval
/// later, and does not announce again if hosts were told otherwise meanwhile. A router that rightly
/// takes over is heard by then.
fn explained_within(policy: &Policy) -> Duration {
    policy.interval.period() * u32::from(policy.down_adverts.get())
}

impl Instance {
    /// Another station announced one of our addresses, which we may be serving.
    pub(super) fn note_announcement(&mut self, now: MonoTime, address: IpAddr, mac: MacAddr) {
        let serving = match &self.state {
            State::Active(active) => active.is_serving() && !active.expects_displaced(now),
            State::Backup(_) | State::Initialize => false,
        };
        if serving && self.conflict.unexplained.is_none() {
            self.conflict.unexplained = Some(UnexplainedAnnouncement { address, mac, at: now });
        }
    }

    /// When an announcement is to be judged. An instance that is leaving, or asks first whether
    /// somebody else is Active, claims nothing.
    pub(in crate::protocol) fn conflict_at(&self, policy: &Policy) -> Option<MonoTime> {
        let State::Active(active) = &self.state else { return None };
        let seen = self.conflict.unexplained.filter(|_| active.is_serving())?;
        Some(seen.at + explained_within(policy))
    }

    /// Judges an announcement that is due. If no advertisement has explained it, it is a conflict:
    /// hosts are told again where the address is.
    pub(in crate::protocol) fn judge_conflict(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        out: &mut crate::protocol::effect::Effects,
    ) -> Option<AddressConflict> {
        self.conflict_at(policy).filter(|at| *at <= now)?;
        let seen = self.conflict.unexplained.take()?;
        // A router that is heard is answered, and reported as a second Active if it goes on.
        let explained = self.peers.latest().is_some_and(|peer| peer.heard + HEARD_BEFORE >= seen.at);
        if explained {
            return None;
        }
        if self.conflict.may_defend(now) {
            self.announce_again(now, out);
        }
        Some(AddressConflict { address: seen.address, mac: seen.mac })
    }
}
