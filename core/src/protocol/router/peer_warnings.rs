//! What is wrong with other routers now: reported when it begins and when it ends, and shown in
//! between.
//!
//! The list is bounded, whatever strangers send. It wakes nobody: an end is noticed when the router
//! is called for another reason, and a snapshot leaves out what is over.

use super::Router;
use super::throttle::Topic;
use crate::protocol::effect::Effects;
use crate::protocol::event::{EventKind, PeerWarning};
use crate::types::{InstanceKey, MonoTime};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// The most that stand against the peers of one router. A LAN has a handful of routers.
const MOST: usize = 16;

/// One warning that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingPeerWarning {
    /// The instance that it is about.
    pub key: InstanceKey,
    /// The router that it is about; `None`: its address could not be read.
    pub peer: Option<IpAddr>,
    /// What is wrong.
    pub what: PeerWarning,
    /// Since when.
    pub since: MonoTime,
}

/// How long something must be so before it is reported, and how long it stands after it was last
/// seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    pub(super) report_after: Duration,
    pub(super) lapse_after: Duration,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    warning: StandingPeerWarning,
    until: MonoTime,
    beginning: Beginning,
}

/// Whether the beginning of a warning was reported. If it was, its end will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Beginning {
    /// The warning has not lasted for long enough yet.
    TooEarly,
    /// The same was reported a short while ago.
    Withheld,
    Reported,
}

/// Everything that is wrong with the peers of one router.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct PeerWarnings(Vec<Entry>);

impl PeerWarnings {
    /// Notes a warning. Returns it when it has lasted for long enough to be reported, and was not.
    fn note(
        &mut self,
        now: MonoTime,
        warning: StandingPeerWarning,
        lifetime: Lifetime,
    ) -> Option<&mut Entry> {
        let same = |known: &Entry| {
            (known.warning.key, known.warning.peer) == (warning.key, warning.peer)
                && known.warning.what.is_alike(&warning.what)
        };
        let at = match self.0.iter().position(same) {
            Some(at) => at,
            None if self.0.len() >= MOST => return None,
            None => {
                let beginning = Beginning::TooEarly;
                self.0.push(Entry { warning: warning.clone(), until: now, beginning });
                self.0.len() - 1
            }
        };
        let entry = self.0.get_mut(at)?;
        entry.until = now + lifetime.lapse_after;
        entry.warning.what = warning.what;
        let lasts = now.since(entry.warning.since) >= lifetime.report_after;
        (lasts && entry.beginning != Beginning::Reported).then_some(entry)
    }

    /// The warnings that stand and have lasted.
    pub(super) fn standing(&self, now: MonoTime) -> Vec<StandingPeerWarning> {
        let stands = |entry: &&Entry| entry.until > now && entry.beginning != Beginning::TooEarly;
        self.0.iter().filter(stands).map(|entry| entry.warning.clone()).collect()
    }

    /// Removes what is over. Returns what of it was reported.
    fn expire(&mut self, now: MonoTime) -> Vec<Entry> {
        let over = self.0.extract_if(.., |entry| entry.until <= now);
        over.filter(|entry| entry.beginning == Beginning::Reported).collect()
    }

    /// If there is no room for `what`, the oldest discarded message makes room: anybody can send
    /// those, under any name.
    fn make_room(&mut self, now: MonoTime, what: &PeerWarning) {
        if self.0.len() >= MOST
            && !what.is_about_discarded()
            && let Some(oldest) = self.0.iter_mut().find(|entry| entry.warning.what.is_about_discarded())
        {
            oldest.until = now;
        }
    }
}

impl Router {
    /// Something is wrong with another router.
    pub(super) fn warn_of_peer(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        peer: Option<IpAddr>,
        what: PeerWarning,
        lifetime: Lifetime,
        out: &mut Effects,
    ) {
        self.peer_warnings.make_room(now, &what);
        self.expire_peer_warnings(now, out);
        let topic = Topic::PeerWarning(what.as_str().into());
        let warning = StandingPeerWarning { key, peer, what, since: now };
        let Some(entry) = self.peer_warnings.note(now, warning, lifetime) else { return };
        // RFC9568-7.1-11
        if self.throttle.permits(now, topic, peer) {
            entry.beginning = Beginning::Reported;
            let what = entry.warning.what.clone();
            self.report(Some(key), EventKind::PeerWarningRaised { peer, what }, out);
        } else {
            entry.beginning = Beginning::Withheld;
        }
    }

    /// Reports warnings that are over.
    pub(in crate::protocol) fn expire_peer_warnings(&mut self, now: MonoTime, out: &mut Effects) {
        for Entry { warning, until, .. } in self.peer_warnings.expire(now) {
            let StandingPeerWarning { key, peer, what, since } = warning;
            let after = until.since(since);
            self.report(Some(key), EventKind::PeerWarningCleared { peer, what, after }, out);
        }
    }
}
