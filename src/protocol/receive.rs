//! The receive checks that need configuration (RFC 9568 §7.1), and the counters of all of them.
//!
//! A rejected packet touches no timer and no learned state (RFC9568-7.1-12).

use super::checksum::Lesson;
use super::doubt::Haste;
use super::effect::Effects;
use super::event::{EventKind, Suspicion};
use super::group::{Again, Group, report};
use super::reception::{Heard, Outcome};
use super::spec::LinkLocalRule;
use super::throttle::Topic;
use super::timing::longest_learned;
use crate::types::{AdverInterval, AdvertPriority, Family, MonoTime, Role, VrKey};
use crate::wire::{AddressList, Advertisement, Carrier, RejectReason};
use ipnet::IpNet;
use std::net::IpAddr;

impl Group {
    /// An advertisement for one of our virtual routers.
    pub(super) fn on_heard(
        &mut self,
        now: MonoTime,
        key: VrKey,
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
        if let Some(watch) = &mut self.watch {
            watch.on_advert(now, heard.priority);
        }
        self.compare_settings(now, key, &heard, &advertisement.addresses, out);
        let tie = self.tie(key);
        let policy = self.policy;
        let Some(member) = self.members.iter_mut().find(|m| m.key == key) else { return Again::Nothing };
        let lesson = member.learn_checksum(now, &policy, &heard);
        let outcome = member.on_advert(now, &policy, &heard, tie, out);
        match outcome {
            Outcome::Nothing => {}
            Outcome::Moved(moved) => self.report_move(key, moved, out),
            Outcome::Refuted(moved, haste, lasts) => {
                self.report_move(key, moved, out);
                let Haste { silent, word, .. } = haste;
                let kind = EventKind::TakeoverRefuted { by: heard.source, silent, word, lasts };
                out.push(report(&self.spec, Some(key), kind));
            }
            Outcome::Rival => {
                if self.throttle.permits(now, Topic::Rival) {
                    let kind = EventKind::DualActive { peer: heard.source, priority: heard.priority };
                    out.push(report(&self.spec, Some(key), kind));
                }
            }
        }
        self.report_lesson(now, key, &heard, lesson, out);
        self.settle(now, out)
    }

    /// Whether `address` is that of all hosts of a network in which one of our addresses is.
    fn is_broadcast(&self, address: IpAddr) -> bool {
        let mut nets = self.spec.members.iter().flat_map(|member| member.addresses.iter());
        nets.any(|net| match net {
            IpNet::V4(net) => net.prefix_len() < 31 && IpAddr::V4(net.broadcast()) == address,
            IpNet::V6(_) => false,
        })
    }

    /// A message from our own address: what a bridge reflects, or what somebody says in our name.
    pub(super) fn on_own(
        &mut self,
        now: MonoTime,
        key: VrKey,
        source: IpAddr,
        advertisement: &Advertisement<'_>,
        out: &mut Effects,
    ) {
        let heard = self.heard(source, advertisement);
        let policy = self.policy;
        let Some(member) = self.members.iter_mut().find(|m| m.key == key) else { return };
        if member.on_own(now, &policy, &heard, out) && self.throttle.permits(now, Topic::Impersonated) {
            let kind = EventKind::Impersonated { priority: heard.priority, interval: heard.said };
            out.push(report(&self.spec, Some(key), kind));
        }
        // RFC9568-7.1-15
        self.on_rejected(now, key, Some(source), RejectReason::OwnPackets, out);
    }

    fn heard(&self, source: IpAddr, advertisement: &Advertisement<'_>) -> Heard {
        Heard {
            source,
            priority: advertisement.priority,
            said: advertisement.interval,
            interval: advertisement.interval.min(longest_learned(self.spec.interval)),
            checksum: advertisement.checksum,
        }
    }

    /// A message that was discarded, and named one of our virtual routers.
    pub(super) fn on_rejected(
        &mut self,
        now: MonoTime,
        key: VrKey,
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
        self.suspect(now, key, peer, Suspicion::Rejected(reason), out);
    }

    /// What differs from ours is counted and reported, and obeyed all the same (RFC 9568 §7.1).
    fn compare_settings(
        &mut self,
        now: MonoTime,
        key: VrKey,
        heard: &Heard,
        addresses: &AddressList<'_>,
        out: &mut Effects,
    ) {
        if self.spec.role == Role::Owner && heard.priority == AdvertPriority::OWNER {
            // RFC9568-7.1-7 (errata 8298): logged, and processed.
            if let Some(counters) = self.counters_mut(key) {
                counters.owner_conflicts += 1;
            }
            // RFC9568-8.3.2-1
            self.suspect(now, key, Some(heard.source), Suspicion::OwnerConflict, out);
        }
        if heard.said != self.spec.interval {
            // RFC9568-7.1-8
            if let Some(counters) = self.counters_mut(key) {
                counters.interval_errors += 1;
            }
            let what = if heard.said > heard.interval {
                Suspicion::IntervalTooLong
            } else {
                Suspicion::IntervalDiffers
            };
            // 10 ms is also what a router says that hands over: nothing to report.
            if heard.said != AdverInterval::MIN {
                self.suspect(now, key, Some(heard.source), what, out);
            }
        }
        let ours = self.spec.members.iter().find(|member| member.family == key.family);
        if ours.is_some_and(|ours| !same_addresses(addresses, &ours.addresses)) {
            // RFC9568-7.1-9
            if let Some(counters) = self.counters_mut(key) {
                counters.address_list_errors += 1;
            }
            self.suspect(now, key, Some(heard.source), Suspicion::AddressListDiffers, out);
        }
    }

    fn report_lesson(&mut self, now: MonoTime, key: VrKey, heard: &Heard, lesson: Lesson, out: &mut Effects) {
        match lesson {
            Lesson::Nothing => {}
            Lesson::Followed => {
                if self.throttle.permits(now, Topic::Flavour) {
                    out.push(report(&self.spec, Some(key), EventKind::ChecksumFollows(heard.checksum)));
                }
            }
            Lesson::Declined => {
                self.suspect(now, key, Some(heard.source), Suspicion::ChecksumDiffers, out);
            }
        }
    }

    fn suspect(
        &mut self,
        now: MonoTime,
        key: VrKey,
        peer: Option<IpAddr>,
        what: Suspicion,
        out: &mut Effects,
    ) {
        // RFC9568-7.1-11
        if self.throttle.permits(now, Topic::Suspicion(what)) {
            out.push(report(&self.spec, Some(key), EventKind::Suspicious { peer, what }));
        }
    }
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
