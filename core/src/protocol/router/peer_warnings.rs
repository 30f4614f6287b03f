//! What stands against other routers now: told when it begins and when it ends, and shown in between.
//!
//! Bounded, whatever strangers say. It wakes nobody: an end is noticed when the router is called for another reason,
//! and a snapshot leaves out what is over.

use crate::protocol::effect::Effects;
use crate::protocol::event::{EventKind, PeerWarning};
use crate::protocol::router::throttle::Topic;
use crate::protocol::router::{Router, report};
use crate::types::{InstanceKey, MonoTime};
use std::net::IpAddr;
use std::time::Duration;

/// The most that stand against the neighbours of one router. A LAN has a handful of routers.
const MOST: usize = 16;

/// One thing that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingPeerWarning {
    /// The instance that it is about.
    pub key: InstanceKey,
    /// Against whom; `None`: its address was not to be read.
    pub peer: Option<IpAddr>,
    /// What.
    pub what: PeerWarning,
    /// Since when.
    pub since: MonoTime,
}

/// How long something must be so before it is told, and how long it stands after it was last seen.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct Patience {
    pub(in crate::protocol) tell_after: Duration,
    pub(in crate::protocol) lapse: Duration,
}

#[derive(Debug, Clone)]
struct Standing {
    remark: StandingPeerWarning,
    until: MonoTime,
    told: Told,
}

/// Whether its beginning was told; then its end will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It has not lasted yet.
    NotYet,
    /// The same was told a short while ago.
    Withheld,
    Yes,
}

/// Everything that stands against the neighbours of one router.
#[derive(Debug, Clone, Default)]
pub(in crate::protocol) struct PeerWarnings(Vec<Standing>);

impl PeerWarnings {
    /// Returns it when it has lasted for long enough to be told, and was not.
    fn note(
        &mut self,
        now: MonoTime,
        remark: StandingPeerWarning,
        patience: Patience,
    ) -> Option<&mut Standing> {
        let same = |one: &Standing| {
            (one.remark.key, one.remark.peer) == (remark.key, remark.peer)
                && one.remark.what.is_alike(&remark.what)
        };
        let at = match self.0.iter().position(same) {
            Some(at) => at,
            None if self.0.len() >= MOST => return None,
            None => {
                self.0.push(Standing { remark: remark.clone(), until: now, told: Told::NotYet });
                self.0.len() - 1
            }
        };
        let standing = self.0.get_mut(at)?;
        standing.until = now + patience.lapse;
        standing.remark.what = remark.what;
        let lasts = now.since(standing.remark.since) >= patience.tell_after;
        (lasts && standing.told != Told::Yes).then_some(standing)
    }

    /// What stands and has lasted.
    pub(in crate::protocol) fn standing(&self, now: MonoTime) -> Vec<StandingPeerWarning> {
        let stands = |one: &&Standing| one.until > now && one.told != Told::NotYet;
        self.0.iter().filter(stands).map(|one| one.remark.clone()).collect()
    }

    /// Removes what is over; returns what of it was told.
    fn expire(&mut self, now: MonoTime) -> Vec<Standing> {
        let over = self.0.extract_if(.., |one| one.until <= now);
        over.filter(|one| one.told == Told::Yes).collect()
    }

    /// If there is no room for `what`, the oldest discarded message makes room: anybody can send those, under any name.
    fn make_room(&mut self, now: MonoTime, what: &PeerWarning) {
        let discarded = |what: &PeerWarning| matches!(what, PeerWarning::Rejected(_));
        if self.0.len() >= MOST
            && !discarded(what)
            && let Some(oldest) = self.0.iter_mut().find(|one| discarded(&one.remark.what))
        {
            oldest.until = now;
        }
    }
}

impl Router {
    /// Something stands against a neighbour.
    pub(in crate::protocol) fn suspect(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        peer: Option<IpAddr>,
        what: PeerWarning,
        patience: Patience,
        out: &mut Effects,
    ) {
        self.remarks.make_room(now, &what);
        self.lay_remarks(now, out);
        let topic = Topic::PeerWarning(what.as_str());
        let remark = StandingPeerWarning { key, peer, what, since: now };
        let Some(standing) = self.remarks.note(now, remark, patience) else { return };
        // RFC9568-7.1-11
        standing.told = if self.throttle.permits(now, topic, peer) { Told::Yes } else { Told::Withheld };
        if standing.told == Told::Yes {
            let kind = EventKind::PeerWarningRaised { peer, what: standing.remark.what.clone() };
            out.push(report(&self.spec, Some(key), kind));
        }
    }

    /// Tells what stands no more.
    pub(in crate::protocol) fn lay_remarks(&mut self, now: MonoTime, out: &mut Effects) {
        for Standing { remark: StandingPeerWarning { key, peer, what, since }, until, .. } in
            self.remarks.expire(now)
        {
            let kind = EventKind::PeerWarningCleared { peer, what, after: until.since(since) };
            out.push(report(&self.spec, Some(key), kind));
        }
    }
}
