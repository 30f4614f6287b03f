//! The receive checks that need configuration (RFC 9568 §7.1), and the counters of all of them.
//!
//! A rejected packet touches no timer and no learned state (RFC9568-7.1-12).

use crate::protocol::effect::Effects;
use crate::protocol::event::{EventKind, PeerWarning, StateName};
use crate::protocol::instance::checksum::Lesson;
use crate::protocol::instance::hasty_takeover::Haste;
use crate::protocol::instance::reception::{Heard, List, Outcome};
use crate::protocol::instance::{Instance, Policy};
use crate::protocol::router::peer_warnings::Patience;
use crate::protocol::router::throttle::Topic;
use crate::protocol::router::{Again, Router, report};
use crate::protocol::spec::LinkLocalRule;
use crate::protocol::timing::{active_down_interval, longest_learned};
use crate::types::{AdverInterval, AdvertPriority, Family, InstanceKey, MonoTime, Preempt, Role};
use crate::wire::{AddressList, Advertisement, Carrier, RejectReason};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

impl Router {
    /// An advertisement for one of our virtual routers.
    pub(in crate::protocol) fn on_heard(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        carrier: Carrier,
        advertisement: &Advertisement<'_>,
        out: &mut Effects,
    ) -> Again {
        let foreign_first = key.family == Family::Ipv6 && !advertisement.addresses.first_is_link_local();
        if foreign_first && self.spec.link_local == LinkLocalRule::Require {
            // RFC9568-5.2.9-3 (errata 8300)
            self.on_rejected(now, key, Some(carrier.source), RejectReason::AddressListErrors, out);
            return Again::Nothing;
        }
        if self.is_broadcast(carrier.source) {
            self.on_rejected(now, key, Some(carrier.source), RejectReason::BadSource, out);
            return Again::Nothing;
        }
        let heard = self.heard(carrier.source, advertisement);
        let policy = self.policy;
        if self.instances.iter_mut().any(|m| m.key == key && m.hear_service(now, &policy, &heard)) {
            let kind = EventKind::ServedAgain { by: Some(heard.source) };
            out.push(report(&self.spec, Some(key), kind));
        }
        if let Some(watch) = self.watch.as_mut().filter(|_| heard.list == List::Ours) {
            watch.on_advert(now, heard.priority, heard.interval);
        }
        self.compare_settings(now, key, &heard, &advertisement.addresses, out);
        let tie = self.tie(key);
        let Some(instance) = self.instances.iter_mut().find(|m| m.key == key) else { return Again::Nothing };
        let lesson = instance.learn_checksum(now, &policy, &heard);
        let outcome = instance.on_advert(now, &policy, &heard, tie, out);
        match outcome {
            Outcome::Nothing => {}
            Outcome::Moved(moved) => self.report_move(key, moved, out),
            Outcome::Refuted(moved, haste, lasts) => {
                self.report_move(key, moved, out);
                let Haste { silent, word, .. } = haste;
                let kind = EventKind::TakeoverRefuted { by: heard.source, silent, word, lasts };
                out.push(report(&self.spec, Some(key), kind));
            }
            Outcome::Rival => self.report_rival(now, key, &heard, out),
        }
        self.report_lesson(now, key, &heard, lesson, out);
        self.settle(now, out)
    }

    /// Whether `address` is that of all hosts of a network in which one of our addresses is.
    fn is_broadcast(&self, address: IpAddr) -> bool {
        let mut nets = self.spec.instances.iter().flat_map(|instance| instance.addresses.iter());
        nets.any(|net| match net {
            IpNet::V4(net) => net.prefix_len() < 31 && IpAddr::V4(net.broadcast()) == address,
            IpNet::V6(_) => false,
        })
    }

    /// A message from our own address: what a bridge reflects, or what somebody says in our name.
    pub(in crate::protocol) fn on_own(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        source: IpAddr,
        advertisement: &Advertisement<'_>,
        out: &mut Effects,
    ) {
        let heard = self.heard(source, advertisement);
        let policy = self.policy;
        let Some(instance) = self.instances.iter_mut().find(|m| m.key == key) else { return };
        if instance.on_own(now, &policy, &heard, out) && self.throttle.permits(now, Topic::Impersonated, None)
        {
            let kind = EventKind::Impersonated { priority: heard.priority, interval: heard.said };
            out.push(report(&self.spec, Some(key), kind));
        }
        // RFC9568-7.1-15
        self.on_rejected(now, key, Some(source), RejectReason::OwnPackets, out);
    }

    fn heard(&self, source: IpAddr, advertisement: &Advertisement<'_>) -> Heard {
        let ours = self.spec.instances.iter().filter(|instance| instance.family == Family::of(source));
        let ours = || ours.clone().flat_map(|instance| instance.addresses.iter().map(IpNet::addr));
        // The first are compared first: that is the usual case.
        let shared = advertisement.addresses.iter().any(|address| ours().any(|one| one == address));
        Heard {
            source,
            priority: advertisement.priority,
            said: advertisement.interval,
            interval: advertisement.interval.min(longest_learned(self.spec.interval)),
            checksum: advertisement.checksum,
            list: if shared { List::Ours } else { List::Foreign },
        }
    }

    /// A message that was discarded, and named one of our virtual routers.
    pub(in crate::protocol) fn on_rejected(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        peer: Option<IpAddr>,
        reason: RejectReason,
        out: &mut Effects,
    ) {
        if let Some(counters) = self.counters_mut(key) {
            *counters.rejected.entry(reason).or_default() += 1;
            if reason == RejectReason::AddressListErrors {
                counters.address_list_errors += 1;
            }
        }
        let patience = until_overdue(self.spec.interval, Duration::ZERO);
        let patience = Patience { lapse: patience.lapse.max(REJECTED), ..patience };
        self.suspect(now, key, peer, PeerWarning::Rejected(reason), patience, out);
    }

    /// What differs from ours is counted and reported, and obeyed all the same (RFC 9568 §7.1).
    fn compare_settings(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        heard: &Heard,
        addresses: &AddressList<'_>,
        out: &mut Effects,
    ) {
        let patience = until_overdue(heard.interval, Duration::ZERO);
        let peer = Some(heard.source);
        if self.spec.role == Role::Owner && heard.priority == AdvertPriority::OWNER {
            // RFC9568-7.1-7 (errata 8298): logged, and processed.
            if let Some(counters) = self.counters_mut(key) {
                counters.owner_conflicts += 1;
            }
            // RFC9568-8.3.2-1
            self.suspect(now, key, peer, PeerWarning::OwnerConflict, patience, out);
        } else if heard.priority == self.policy.priority {
            self.suspect(now, key, peer, PeerWarning::SamePriority(heard.priority), patience, out);
        }
        if heard.said != self.spec.interval {
            // RFC9568-7.1-8
            if let Some(counters) = self.counters_mut(key) {
                counters.interval_errors += 1;
            }
            let what = if heard.said > heard.interval {
                PeerWarning::IntervalTooLong { said: heard.said, obeyed: heard.interval }
            } else {
                PeerWarning::IntervalDiffers(heard.said)
            };
            // 10 ms is also what a router says that hands over: nothing to report.
            if heard.said != AdverInterval::MIN {
                self.suspect(now, key, peer, what, patience, out);
            }
        }
        let ours = self.spec.instances.iter().find(|instance| instance.family == key.family);
        if ours.is_some_and(|ours| !same_addresses(addresses, &ours.addresses)) {
            // RFC9568-7.1-9
            if let Some(counters) = self.counters_mut(key) {
                counters.address_list_errors += 1;
            }
            // Not of one that resigns: it is gone.
            if !heard.priority.is_resignation() {
                let what = self.other_list(now, key, heard, addresses);
                self.suspect(now, key, peer, what, patience, out);
            }
        }
    }

    /// What another list than ours means.
    fn other_list(
        &self,
        now: MonoTime,
        key: InstanceKey,
        heard: &Heard,
        addresses: &AddressList<'_>,
    ) -> PeerWarning {
        let ours = self.addresses(key.family);
        let Policy { priority, preempt, interval, .. } = self.policy;
        let lost = |m: &Instance| match m.state_name() {
            StateName::Initialize => false,
            StateName::Backup => {
                let obeyed = heard.priority >= priority || preempt == Preempt::Forbid;
                obeyed && !m.peers.others_serve(now, interval, heard.source)
            }
            StateName::Active => heard.priority > priority,
        };
        let lost = self.instances.iter().any(|m| m.key == key && lost(m));
        match heard.list {
            List::Foreign if lost => PeerWarning::AddressesLost {
                priority: heard.priority,
                lists: addresses.iter().take(MOST_NAMED).collect(),
                ours: ours.into_iter().take(MOST_NAMED).collect(),
            },
            List::Foreign | List::Ours => {
                let theirs: BTreeSet<IpAddr> = addresses.iter().collect();
                let ours: BTreeSet<IpAddr> = ours.into_iter().collect();
                PeerWarning::AddressListDiffers {
                    more: theirs.difference(&ours).take(MOST_NAMED).copied().collect(),
                    less: ours.difference(&theirs).take(MOST_NAMED).copied().collect(),
                }
            }
        }
    }

    fn report_lesson(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        heard: &Heard,
        lesson: Lesson,
        out: &mut Effects,
    ) {
        match lesson {
            Lesson::Nothing => {}
            Lesson::Followed => {
                if self.throttle.permits(now, Topic::Flavour, None) {
                    out.push(report(&self.spec, Some(key), EventKind::ChecksumFollows(heard.checksum)));
                }
            }
            Lesson::Declined => {
                let patience = until_overdue(heard.interval, Duration::ZERO);
                self.suspect(now, key, Some(heard.source), PeerWarning::ChecksumDiffers, patience, out);
            }
        }
    }

    /// Somebody else is Active beside us. That happens for a moment; when it lasts, the LAN is split in one direction or
    /// the other does not give way.
    fn report_rival(&mut self, now: MonoTime, key: InstanceKey, heard: &Heard, out: &mut Effects) {
        if self.throttle.permits(now, Topic::Rival, Some(heard.source)) {
            let kind = EventKind::DualActive { peer: heard.source, priority: heard.priority };
            out.push(report(&self.spec, Some(key), kind));
        }
        let Policy { down_adverts, priority, interval, .. } = self.policy;
        let lasts = active_down_interval(down_adverts, priority, interval.max(heard.interval));
        let what = PeerWarning::StaysActive(heard.priority);
        self.suspect(now, key, Some(heard.source), what, until_overdue(heard.interval, lasts), out);
    }

    /// Somebody advertises addresses under a VRID that is not configured here. Whether one of them is ours.
    pub(in crate::protocol) fn on_other_vrid(
        &mut self,
        now: MonoTime,
        carrier: Carrier,
        advertisement: &Advertisement<'_>,
        out: &mut Effects,
    ) {
        let family = Family::of(carrier.source);
        let ours = self.addresses(family);
        // The link-local address of a virtual MAC is that of its VRID.
        let shared = |address: &IpAddr| ours.contains(address);
        let Some(address) = advertisement.addresses.iter().take(MOST_NAMED * 4).find(shared) else { return };
        let heard = self.heard(carrier.source, advertisement);
        let what = PeerWarning::OtherVrid { address, theirs: advertisement.vrid };
        let patience = until_overdue(heard.interval, Duration::ZERO);
        self.suspect(now, self.spec.key(family), Some(carrier.source), what, patience, out);
    }
}

/// So many addresses are named in an event.
const MOST_NAMED: usize = 4;

/// What was discarded says nothing of when the next is due: as often as ours, and no more often than this.
const REJECTED: Duration = Duration::from_secs(10);

/// Of what an advertisement shows: until the next ones are overdue.
fn until_overdue(interval: AdverInterval, tell_after: Duration) -> Patience {
    Patience { tell_after, lapse: interval.period() * 4 + Duration::from_secs(1) }
}

/// Same addresses in any order; equal order, the usual case, costs one pass and no memory.
fn same_addresses(heard: &AddressList<'_>, ours: &[IpNet]) -> bool {
    if heard.len() != ours.len() {
        return false;
    }
    if heard.iter().eq(ours.iter().map(IpNet::addr)) {
        return true;
    }
    let sorted = |addresses: &mut dyn Iterator<Item = IpAddr>| {
        let mut addresses: Vec<IpAddr> = addresses.collect();
        addresses.sort_unstable();
        addresses
    };
    sorted(&mut heard.iter()) == sorted(&mut ours.iter().map(IpNet::addr))
}
