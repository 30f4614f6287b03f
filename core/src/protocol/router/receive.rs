//! The checks of a received message that need configuration (RFC 9568 §7.1), and the counters of
//! all checks.
//!
//! A rejected message touches no timer and no learned state (RFC9568-7.1-12).

use super::carrier::accepts;
use super::peer_warnings::{DISCARDED_LAPSES_AFTER, Lifetime, REFUSAL_STANDS};
use super::successor_watch::SuccessorFinding;
use super::throttle::Topic;
use super::{FollowUp, Router};
use crate::protocol::effect::Effects;
use crate::protocol::event::{AuthenticationMismatch, EventKind, PeerWarning};
use crate::protocol::instance::{
    AddressConflict, ChecksumLesson, HastyTakeover, Impersonation, Lists, Outcome, Received, ServedAgain,
};
use crate::protocol::spec::LinkLocalRule;
use crate::protocol::version_rules::VersionRules;
use crate::types::{AdverInterval, AdvertPriority, Family, InstanceKey, MonoTime, Role};
use crate::wire::{AddressList, Advertisement, Carrier, Reject, RejectReason};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

impl Router {
    /// An advertisement for one of our instances, from another router.
    pub(in crate::protocol) fn on_advert(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        carrier: Carrier,
        advertisement: &Advertisement<'_>,
        out: &mut Effects,
    ) -> FollowUp {
        if !accepts(&self.spec, carrier.source) {
            self.on_rejected(now, key, Some(carrier.source), RejectReason::UnknownSenders, out);
            return FollowUp::Nothing;
        }
        let foreign_first = key.family == Family::Ipv6 && !advertisement.addresses.first_is_link_local();
        if foreign_first && self.spec.link_local == LinkLocalRule::Require {
            // RFC9568-5.2.9-3 (errata 8300)
            self.on_rejected(now, key, Some(carrier.source), RejectReason::AddressListErrors, out);
            return FollowUp::Nothing;
        }
        if self.is_broadcast(carrier.source) {
            self.on_rejected(now, key, Some(carrier.source), RejectReason::BadSource, out);
            return FollowUp::Nothing;
        }
        if let Some((reason, what)) = self.refusal(key, advertisement) {
            self.discard(now, key, Some(carrier.source), reason, what, out);
            if advertisement.priority.is_resignation() {
                self.expect_silence_of_refused(now, key, carrier.source);
            }
            return FollowUp::Nothing;
        }
        self.end_refusals(now, |known| known.is_of(key, Some(carrier.source)));
        let received = self.received(carrier.source, advertisement);
        let (policy, tie) = (self.policy, self.tie(key));
        let served = self.instance_mut(key).map(|instance| instance.note_service(now, &policy, &received));
        if served == Some(ServedAgain::Yes) {
            self.report(Some(key), EventKind::ServedAgain { by: Some(received.source) }, out);
        }
        if let Some(watch) = self.successor_watch.as_mut().filter(|_| received.lists == Lists::Ours)
            && watch.on_advert(now, received.priority, received.interval) == SuccessorFinding::Confirmed
        {
            self.successor_watch = None;
        }
        self.compare_settings(now, key, &received, &advertisement.addresses, out);
        let Some(instance) = self.instance_mut(key) else { return FollowUp::Nothing };
        let lesson = instance.learn_checksum(now, &policy, &received);
        match instance.on_advert(now, &policy, &received, tie, out) {
            Outcome::Nothing => {}
            Outcome::Moved(moved) => self.report_transition(key, moved, out),
            Outcome::Refuted(moved, hasty, lasts) => {
                self.report_transition(key, moved, out);
                let HastyTakeover { silent, message, .. } = hasty;
                let kind = EventKind::TakeoverRefuted { by: received.source, silent, message, lasts };
                self.report(Some(key), kind, out);
            }
            Outcome::DualActive => self.report_dual_active(now, key, &received, out),
        }
        self.report_lesson(now, key, &received, lesson, out);
        self.settle(now, out)
    }

    /// A message from our own address: a bridge has reflected it, or another machine sends in our
    /// name.
    pub(in crate::protocol) fn on_own_address_heard(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        source: IpAddr,
        advertisement: &Advertisement<'_>,
        out: &mut Effects,
    ) {
        let received = self.received(source, advertisement);
        let policy = self.policy;
        let Some(instance) = self.instance_mut(key) else { return };
        let impersonation = instance.on_own_address_heard(now, &policy, &received, out);
        if impersonation == Impersonation::Yes && self.throttle.permits(now, Topic::Impersonated, None) {
            let (priority, interval) = (received.priority, received.said_interval);
            self.report(Some(key), EventKind::Impersonated { priority, interval }, out);
        }
        // RFC9568-7.1-15
        self.on_rejected(now, key, Some(source), RejectReason::OwnPackets, out);
    }

    /// The socket refused an advertisement to `destination`.
    pub(in crate::protocol) fn on_unsent(
        &mut self,
        key: InstanceKey,
        destination: IpAddr,
        priority: AdvertPriority,
    ) {
        if let Some(instance) = self.instance_mut(key) {
            instance.on_unsent(destination, priority);
        }
    }

    /// A message that could not be read, and named one of our instances. The version is checked first
    /// (RFC 9568 §7.1): what is wrong with a message of another version is not ours to judge.
    pub(in crate::protocol) fn on_unreadable(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        peer: Option<IpAddr>,
        reject: Reject,
        out: &mut Effects,
    ) {
        let ours = self.version(key.family);
        match reject.version {
            Some(theirs) if theirs != ours => {
                let what = PeerWarning::OtherVersion { theirs, ours };
                self.discard(now, key, peer, RejectReason::VersionErrors, what, out);
            }
            Some(_) | None => self.on_rejected(now, key, peer, reject.reason, out),
        }
    }

    /// A message that was discarded, and named one of our instances.
    pub(in crate::protocol) fn on_rejected(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        peer: Option<IpAddr>,
        reason: RejectReason,
        out: &mut Effects,
    ) {
        self.discard(now, key, peer, reason, PeerWarning::Rejected(reason), out);
    }

    /// Counts a message that was discarded, and warns of its sender.
    fn discard(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        peer: Option<IpAddr>,
        reason: RejectReason,
        what: PeerWarning,
        out: &mut Effects,
    ) {
        if let Some(counters) = self.counters_mut(key) {
            *counters.rejected.entry(reason).or_default() += 1;
            match reason {
                RejectReason::AddressListErrors => counters.address_list_errors += 1,
                RejectReason::IntervalErrors => counters.interval_errors += 1,
                RejectReason::IpTtlErrors
                | RejectReason::PacketLengthErrors
                | RejectReason::VersionErrors
                | RejectReason::InvalidTypePktsRcvd
                | RejectReason::ChecksumErrors
                | RejectReason::VridErrors
                | RejectReason::AddrCountErrors
                | RejectReason::IntervalZero
                | RejectReason::InvalidAuthType
                | RejectReason::AuthTypeMismatch
                | RejectReason::AuthFailures
                | RejectReason::BadDestination
                | RejectReason::BadSource
                | RejectReason::UnknownSenders
                | RejectReason::OwnPackets => {}
            }
        }
        let lifetime = if what.is_refusal() { REFUSAL_STANDS } else { self.lifetime_of_discarded() };
        if what.is_refusal() {
            // The last message of a router says what is wrong with it now.
            self.end_refusals(now, |known| known.is_of(key, peer) && !known.what.is_alike(&what));
        }
        self.warn_of_peer(now, key, peer, what, lifetime, out);
    }

    /// A discarded message does not say when the next one is due: it is taken to be as often as ours,
    /// and not more often than [`DISCARDED_LAPSES_AFTER`].
    pub(super) fn lifetime_of_discarded(&self) -> Lifetime {
        let lifetime = until_overdue(self.spec.interval, Duration::ZERO);
        Lifetime { lapse_after: lifetime.lapse_after.max(DISCARDED_LAPSES_AFTER), ..lifetime }
    }

    /// Whether a message for one of our instances is discarded because of what is configured here: the
    /// checks of RFC 3768 §7.1 that VRRPv3 does not have, in the order of the text, and the version.
    fn refusal(
        &self,
        key: InstanceKey,
        advertisement: &Advertisement<'_>,
    ) -> Option<(RejectReason, PeerWarning)> {
        let spec = self.spec.instances.iter().find(|instance| instance.family == key.family)?;
        let rules = VersionRules::of(spec.version);
        // RFC9568-7.1-2, RFC3768-7.1-5
        if advertisement.version != spec.version {
            let (theirs, ours) = (advertisement.version, spec.version);
            return Some((RejectReason::VersionErrors, PeerWarning::OtherVersion { theirs, ours }));
        }
        // RFC3768-7.1-1
        if let Some(mismatch) = AuthenticationMismatch::of(spec.authentication, advertisement.authentication)
        {
            let reason = match mismatch {
                AuthenticationMismatch::OtherPassword => RejectReason::AuthFailures,
                AuthenticationMismatch::OnlyHere
                | AuthenticationMismatch::OnlyThere
                | AuthenticationMismatch::IpsecThere => RejectReason::AuthTypeMismatch,
            };
            return Some((reason, PeerWarning::AuthenticationDiffers(mismatch)));
        }
        let (theirs, ours) = (advertisement.interval, self.spec.interval);
        // RFC3768-7.1-2
        if !rules.obeys_interval(ours, theirs) {
            return Some((RejectReason::IntervalErrors, PeerWarning::IntervalRefused { theirs, ours }));
        }
        // RFC3768-7.1-3
        if !rules.obeys_other_list(advertisement.priority)
            && !self.is_our_list(key.family, &advertisement.addresses)
        {
            let (more, less) = self.list_difference(key.family, &advertisement.addresses);
            let what = PeerWarning::AddressListRefused { more, less };
            return Some((RejectReason::AddressListErrors, what));
        }
        None
    }

    /// A router advertises addresses under a VRID that is not configured here. If one of them is
    /// ours, that is wrong.
    pub(in crate::protocol) fn on_other_vrid(
        &mut self,
        now: MonoTime,
        carrier: Carrier,
        advertisement: &Advertisement<'_>,
        out: &mut Effects,
    ) {
        // The link-local address of a virtual MAC is that of its VRID.
        let shared = |address: &IpAddr| self.advertised.contains(address);
        let Some(address) = advertisement.addresses.iter().take(MOST_NAMED * 4).find(shared) else { return };
        let received = self.received(carrier.source, advertisement);
        let what = PeerWarning::OtherVrid { address, theirs: advertisement.vrid };
        let lifetime = until_overdue(received.interval, Duration::ZERO);
        let key = self.spec.key(Family::of(carrier.source));
        self.warn_of_peer(now, key, Some(carrier.source), what, lifetime, out);
    }

    /// Whether `address` is that of all hosts of a network in which one of our addresses is.
    fn is_broadcast(&self, address: IpAddr) -> bool {
        let mut nets = self.spec.instances.iter().flat_map(|instance| instance.addresses.iter());
        nets.any(|net| match net {
            IpNet::V4(net) => net.prefix_len() < 31 && IpAddr::V4(net.broadcast()) == address,
            IpNet::V6(_) => false,
        })
    }

    fn received(&self, source: IpAddr, advertisement: &Advertisement<'_>) -> Received {
        let shared = advertisement.addresses.iter().any(|address| self.advertised.contains(&address));
        Received {
            source,
            priority: advertisement.priority,
            said_interval: advertisement.interval,
            interval: VersionRules::of(self.version(Family::of(source)))
                .believed_interval(self.spec.interval, advertisement.interval),
            checksum: advertisement.checksum,
            lists: if shared { Lists::Ours } else { Lists::Foreign },
        }
    }

    /// What differs from our settings is counted and reported, and obeyed all the same (RFC 9568
    /// §7.1).
    fn compare_settings(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        received: &Received,
        addresses: &AddressList<'_>,
        out: &mut Effects,
    ) {
        let lifetime = until_overdue(received.interval, Duration::ZERO);
        let peer = Some(received.source);
        if self.spec.role == Role::Owner && received.priority == AdvertPriority::OWNER {
            // RFC9568-7.1-7 (errata 8298): logged, and processed.
            if let Some(counters) = self.counters_mut(key) {
                counters.owner_conflicts += 1;
            }
            // RFC9568-8.3.2-1
            self.warn_of_peer(now, key, peer, PeerWarning::OwnerConflict, lifetime, out);
        } else if received.priority == self.policy.priority {
            self.warn_of_peer(now, key, peer, PeerWarning::SamePriority(received.priority), lifetime, out);
        }
        if received.said_interval != self.spec.interval {
            // RFC9568-7.1-8
            if let Some(counters) = self.counters_mut(key) {
                counters.interval_errors += 1;
            }
            let (said, obeyed) = (received.said_interval, received.interval);
            let what = if said > obeyed {
                PeerWarning::IntervalTooLong { said, obeyed }
            } else {
                PeerWarning::IntervalDiffers(said)
            };
            // A router that hands over says a short interval as well: that is not worth a report.
            let shortened = VersionRules::of(self.version(key.family)).shortened();
            if Some(said) != shortened {
                self.warn_of_peer(now, key, peer, what, lifetime, out);
            }
        }
        if !self.is_our_list(key.family, addresses) {
            // RFC9568-7.1-9
            if let Some(counters) = self.counters_mut(key) {
                counters.address_list_errors += 1;
            }
            // A router that resigns is gone.
            if !received.priority.is_resignation() {
                let what = self.other_list(now, key, received, addresses);
                self.warn_of_peer(now, key, peer, what, lifetime, out);
            }
        }
    }

    /// Whether a list has the addresses that we advertise, in any order. The equal order is the
    /// usual case, and costs one pass and no memory.
    fn is_our_list(&self, family: Family, heard: &AddressList<'_>) -> bool {
        let Some(ours) = self.spec.instances.iter().find(|instance| instance.family == family) else {
            return true;
        };
        let ours = &ours.addresses;
        heard.len() == ours.len()
            && (heard.iter().eq(ours.iter().map(IpNet::addr))
                || heard.iter().collect::<BTreeSet<_>>() == ours.iter().map(IpNet::addr).collect())
    }

    /// What it means that a router advertises another list than ours.
    fn other_list(
        &self,
        now: MonoTime,
        key: InstanceKey,
        received: &Received,
        addresses: &AddressList<'_>,
    ) -> PeerWarning {
        let ours = self.advertised_addresses(key.family);
        let mut instances = self.instances.iter().filter(|instance| instance.key() == key);
        let lost = instances.any(|instance| instance.loses_to(now, &self.policy, received));
        match received.lists {
            Lists::Foreign if lost => PeerWarning::AddressesLost {
                priority: received.priority,
                lists: addresses.iter().take(MOST_NAMED).collect(),
                ours: ours.into_iter().take(MOST_NAMED).collect(),
            },
            Lists::Foreign | Lists::Ours => {
                let (more, less) = self.list_difference(key.family, addresses);
                PeerWarning::AddressListDiffers { more, less }
            }
        }
    }

    /// Some of the addresses that only the other list has, and some that only ours has.
    fn list_difference(&self, family: Family, heard: &AddressList<'_>) -> (Vec<IpAddr>, Vec<IpAddr>) {
        let theirs: BTreeSet<IpAddr> = heard.iter().collect();
        let ours: BTreeSet<IpAddr> = self.advertised_addresses(family).into_iter().collect();
        let named =
            |these: &BTreeSet<IpAddr>, others| these.difference(others).take(MOST_NAMED).copied().collect();
        (named(&theirs, &ours), named(&ours, &theirs))
    }

    fn report_lesson(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        received: &Received,
        lesson: ChecksumLesson,
        out: &mut Effects,
    ) {
        match lesson {
            ChecksumLesson::Nothing => {}
            ChecksumLesson::Followed => {
                if self.throttle.permits(now, Topic::Checksum, None) {
                    self.report(Some(key), EventKind::ChecksumFollows(received.checksum), out);
                }
            }
            ChecksumLesson::Declined => {
                let lifetime = until_overdue(received.interval, Duration::ZERO);
                let peer = Some(received.source);
                self.warn_of_peer(now, key, peer, PeerWarning::ChecksumDiffers, lifetime, out);
            }
        }
    }

    /// Another router is Active beside us. That happens for a moment. When it lasts, the LAN is
    /// split in one direction, or the other router does not yield.
    fn report_dual_active(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        received: &Received,
        out: &mut Effects,
    ) {
        let (peer, priority) = (received.source, received.priority);
        if self.throttle.permits(now, Topic::DualActive, Some(peer)) {
            self.report(Some(key), EventKind::DualActive { peer, priority }, out);
        }
        let interval = self.policy.interval.max(received.interval);
        let lasts = self.policy.active_down_interval(self.version(key.family), interval);
        let lifetime = until_overdue(received.interval, lasts);
        self.warn_of_peer(now, key, Some(peer), PeerWarning::StaysActive(priority), lifetime, out);
    }

    /// At a deadline: reports address conflicts.
    pub(super) fn judge_conflicts(&mut self, now: MonoTime, out: &mut Effects) {
        for at in 0..self.instances.len() {
            let Some(instance) = self.instances.get_mut(at) else { continue };
            let key = instance.key();
            if let Some(conflict) = instance.judge_conflict(now, &self.policy, out) {
                let AddressConflict { address, mac } = conflict;
                let what = PeerWarning::AddressConflict { address, mac };
                self.warn_of_peer(now, key, None, what, CONFLICT_STANDS, out);
            }
        }
    }
}

/// So many addresses are named in an event.
const MOST_NAMED: usize = 4;

/// A machine announces an address when it gets it, and later only with requests of its own.
const CONFLICT_STANDS: Lifetime =
    Lifetime { report_after: Duration::ZERO, lapse_after: Duration::from_secs(300) };

/// What an advertisement shows stands until the next ones are overdue.
fn until_overdue(interval: AdverInterval, report_after: Duration) -> Lifetime {
    Lifetime { report_after, lapse_after: interval.period() * 4 + Duration::from_secs(1) }
}
