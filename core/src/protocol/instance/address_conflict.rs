//! Addresses that somebody else announces while we serve them (RFC 5227 §2.4).
//!
//! A machine that has one of them as its own takes hosts away from us without a word of VRRP, and so does a router that
//! we do not hear. It is told, and hosts are told again where the address is.

use crate::protocol::effect::Effects;
use crate::protocol::event::PeerWarning;
use crate::protocol::instance::{Active, Instance, Policy, State, Tenure};
use crate::protocol::router::Router;
use crate::protocol::router::peer_warnings::Patience;
use crate::types::{MacAddr, MonoTime};
use std::net::IpAddr;
use std::time::Duration;

/// Some routers that have just been heard give way after they have announced.
const HEARD_BEFORE: Duration = Duration::from_millis(250);

/// RFC 5227 §2.4 (DEFEND_INTERVAL): hosts are told again no more often, so that two who both do it do not flood the LAN.
const BETWEEN_DEFENCES: Duration = Duration::from_secs(10);

/// A machine announces an address when it gets it, and later only with requests of its own.
const STANDS: Patience = Patience { tell_after: Duration::ZERO, lapse: Duration::from_secs(300) };

/// What one virtual router has seen announced by others while it serves.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::protocol) struct Conflict {
    /// The first announcement that is not explained yet.
    seen: Option<Announced>,
    defended: Option<MonoTime>,
}

/// One announcement.
#[derive(Debug, Clone, Copy)]
struct Announced {
    address: IpAddr,
    mac: MacAddr,
    at: MonoTime,
}

impl Conflict {
    /// A new tenure begins: what was announced before it was somebody else's right.
    pub(in crate::protocol) const fn begin(&mut self) {
        self.seen = None;
    }

    fn may_defend(&mut self, now: MonoTime) -> bool {
        let may = self.defended.is_none_or(|last| now.since(last) >= BETWEEN_DEFENCES);
        if may {
            self.defended = Some(now);
        }
        may
    }
}

/// Some routers announce addresses long before they are heard by VRRP: FRR over IPv6 speaks an interval later, and does
/// not announce again if hosts were told otherwise meanwhile. Who rightly takes over is heard by then.
fn unexplained(policy: &Policy) -> Duration {
    policy.interval.period() * u32::from(policy.down_adverts.get())
}

impl Instance {
    /// Another station announced one of our addresses, which we may be serving.
    pub(in crate::protocol) fn note_conflict(&mut self, now: MonoTime, address: IpAddr, mac: MacAddr) {
        let serving = self.serving().is_some_and(|active| now >= active.displaced_until);
        if serving && self.conflict.seen.is_none() {
            self.conflict.seen = Some(Announced { address, mac, at: now });
        }
    }

    /// When it is to be judged.
    pub(in crate::protocol) fn conflict_at(&self, policy: &Policy) -> Option<MonoTime> {
        self.serving()?;
        self.conflict.seen.map(|seen| seen.at + unexplained(policy))
    }

    /// An announcement that no advertisement has explained: which address, and who said to have it.
    fn judge_conflict(&mut self, now: MonoTime, policy: &Policy) -> Option<(IpAddr, MacAddr)> {
        self.conflict_at(policy).filter(|at| *at <= now)?;
        let seen = self.conflict.seen.take()?;
        // A router that is heard is answered, and told as a rival if it goes on.
        let explains = |heard: MonoTime| heard + HEARD_BEFORE >= seen.at;
        let explained = self.peers.latest().is_some_and(|peer| explains(peer.heard));
        (!explained).then_some((seen.address, seen.mac))
    }

    /// Who is leaving, or asks first whether somebody else is Active, claims nothing.
    const fn serving(&self) -> Option<&Active> {
        match &self.state {
            State::Active(active) if matches!(active.tenure, Tenure::Serving) => Some(active),
            State::Active(_) | State::Backup(_) | State::Initialize => None,
        }
    }
}

impl Router {
    /// At a deadline: tells of conflicts, and defends the addresses.
    pub(in crate::protocol) fn judge_conflicts(&mut self, now: MonoTime, out: &mut Effects) {
        for at in 0..self.instances.len() {
            let Some(instance) = self.instances.get_mut(at) else { continue };
            let Some((address, mac)) = instance.judge_conflict(now, &self.policy) else { continue };
            if instance.conflict.may_defend(now) {
                instance.contest(now, out);
            }
            let key = instance.key;
            self.suspect(now, key, None, PeerWarning::AddressConflict { address, mac }, STANDS, out);
        }
    }
}
