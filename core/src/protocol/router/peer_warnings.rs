//! What is wrong with other routers now: reported when it begins and when it ends, and shown in
//! between.
//!
//! Most of it ends when it was not seen for a while. A *refusal* does not: a peer whose messages are
//! discarded because of the configuration discards ours as well, and a keepalived that does so falls
//! silent and holds the addresses. So silence says nothing, and a refusal stands until that peer sends
//! something that fits (another peer that fits says nothing of it), until this router changes what
//! does not fit, or for an hour, because the peer may have been switched off. A refused router that
//! resigns holds nothing any more, and its silence counts like that of others.
//!
//! The list is bounded, whatever strangers send. It wakes nobody: an end is noticed when the router
//! is called for another reason, and a snapshot leaves out what is over.

use super::Router;
use super::carrier::accepts;
use super::throttle::Topic;
use crate::protocol::effect::Effects;
use crate::protocol::event::{EventKind, PeerWarning};
use crate::protocol::spec::RouterSpec;
use crate::types::{InstanceKey, MonoTime};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// The most that stand against the peers of one router. A LAN has a handful of routers.
const MOST: usize = 16;

/// A discarded message lapses after this time at the earliest.
pub(super) const DISCARDED_LAPSES_AFTER: Duration = Duration::from_secs(10);

/// A refusal stands for so long after the last message that was refused, if nothing ends it sooner.
pub(super) const REFUSAL_STANDS: Lifetime =
    Lifetime { report_after: Duration::ZERO, lapse_after: Duration::from_secs(3600) };

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

impl StandingPeerWarning {
    /// Whether it is about this router and instance.
    pub(super) fn is_of(&self, key: InstanceKey, peer: Option<IpAddr>) -> bool {
        (self.key, self.peer) == (key, peer)
    }
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
        let at = match self.place_of(&warning) {
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

    /// Where the same is known, whatever its values were.
    fn place_of(&self, warning: &StandingPeerWarning) -> Option<usize> {
        self.0.iter().position(|known| {
            known.warning.is_of(warning.key, warning.peer) && known.warning.what.is_alike(&warning.what)
        })
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

    /// If there is no room for `warning`, something that is about discarded messages makes room: anybody
    /// can send those, under any name. For another one of these that is a refusal of which nothing was
    /// heard of late.
    fn make_room(&mut self, now: MonoTime, warning: &StandingPeerWarning) {
        if self.0.len() < MOST || self.place_of(warning).is_some() {
            return;
        }
        let lately = now + (REFUSAL_STANDS.lapse_after - DISCARDED_LAPSES_AFTER);
        let makes_room = |entry: &&mut Entry| {
            let known = &entry.warning.what;
            if warning.what.is_about_discarded() {
                known.is_refusal() && entry.until <= lately
            } else {
                known.is_about_discarded()
            }
        };
        if let Some(oldest) = self.0.iter_mut().find(makes_room) {
            oldest.until = now;
        }
    }

    /// The refusals that `applies` chooses stand until then.
    fn limit_refusals(&mut self, until: MonoTime, applies: impl Fn(&StandingPeerWarning) -> bool) {
        let refusals = self.0.iter_mut().filter(|entry| entry.warning.what.is_refusal());
        for entry in refusals.filter(|entry| applies(&entry.warning)) {
            entry.until = until;
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
        let topic = Topic::PeerWarning(what.as_str().into());
        let warning = StandingPeerWarning { key, peer, what, since: now };
        self.peer_warnings.make_room(now, &warning);
        self.expire_peer_warnings(now, out);
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

    /// The refusals that `applies` chooses are over, which is reported with whatever else is over.
    pub(super) fn end_refusals(&mut self, now: MonoTime, applies: impl Fn(&StandingPeerWarning) -> bool) {
        self.peer_warnings.limit_refusals(now, applies);
    }

    /// A router whose messages are refused has resigned: it holds the addresses no more.
    pub(super) fn expect_silence_of_refused(&mut self, now: MonoTime, key: InstanceKey, peer: IpAddr) {
        let until = now + self.lifetime_of_discarded().lapse_after;
        self.peer_warnings.limit_refusals(until, |known| known.is_of(key, Some(peer)));
    }

    /// The specification has changed. A refusal is over if what does not fit has changed, because nobody
    /// knows whether the next message will fit; and if its sender is not listened to any more.
    pub(super) fn end_refusals_of_changed(&mut self, now: MonoTime, before: &RouterSpec, out: &mut Effects) {
        let Self { spec, peer_warnings, .. } = self;
        peer_warnings.limit_refusals(now, |known| {
            has_changed(known, before, spec) || known.peer.is_some_and(|peer| !accepts(spec, peer))
        });
        self.expire_peer_warnings(now, out);
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

/// Whether the two specifications differ in what a refusal is about.
fn has_changed(known: &StandingPeerWarning, before: &RouterSpec, after: &RouterSpec) -> bool {
    let mut families = before.instances.iter().zip(&after.instances);
    let Some((old, new)) = families.find(|(old, _)| old.family == known.key.family) else { return true };
    old.version != new.version
        || match known.what {
            PeerWarning::AuthenticationDiffers(_) => old.authentication != new.authentication,
            PeerWarning::IntervalRefused { .. } => before.interval != after.interval,
            PeerWarning::AddressListRefused { .. } => old.addresses != new.addresses,
            PeerWarning::OtherVersion { .. }
            | PeerWarning::Rejected(_)
            | PeerWarning::AddressListDiffers { .. }
            | PeerWarning::AddressesLost { .. }
            | PeerWarning::OtherVrid { .. }
            | PeerWarning::SamePriority(_)
            | PeerWarning::StaysActive(_)
            | PeerWarning::IntervalDiffers(_)
            | PeerWarning::IntervalTooLong { .. }
            | PeerWarning::ChecksumDiffers
            | PeerWarning::OwnerConflict
            | PeerWarning::AddressConflict { .. } => false,
        }
}
