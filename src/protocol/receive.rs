//! The receive checks that need configuration (RFC 9568 §7.1), and the counters of all of them.
//!
//! A rejected packet touches no timer and no learned state (RFC9568-7.1-12).

use super::effect::Effects;
use super::event::{EventKind, Suspicion};
use super::group::{Again, Group, report};
use super::reception::{Heard, Outcome};
use super::spec::{ChecksumPolicy, LinkLocalRule};
use super::throttle::Topic;
use crate::types::{AdverInterval, AdvertPriority, Family, MonoTime, Role, VrKey};
use crate::wire::{AddressList, Advertisement, Carrier, ChecksumFlavour, RejectReason};
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
        let heard = Heard {
            source: carrier.source,
            priority: advertisement.priority,
            interval: advertisement.interval,
            checksum: advertisement.checksum,
        };
        if let Some(watch) = &mut self.watch {
            watch.on_advert(now, heard.priority, heard.interval);
        }
        self.compare_settings(now, key, &heard, &advertisement.addresses, out);
        self.follow_checksum(now, key, &heard, out);
        let tie = self.tie(key);
        let policy = self.policy;
        let Some(member) = self.members.iter_mut().find(|m| m.key == key) else { return Again::Nothing };
        match member.on_advert(now, &policy, &heard, tie, out) {
            Outcome::Nothing => {}
            Outcome::Moved(moved) => self.report_move(key, moved, out),
            Outcome::Rival => {
                if self.throttle.permits(now, Topic::Rival) {
                    let kind = EventKind::DualActive { peer: heard.source, priority: heard.priority };
                    out.push(report(&self.spec, Some(key), kind));
                }
            }
        }
        self.settle(now, out)
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
        if heard.interval != self.spec.interval {
            // RFC9568-7.1-8
            if let Some(counters) = self.counters_mut(key) {
                counters.interval_errors += 1;
            }
            // 10 ms is also what a router says that hands over: nothing to report.
            if heard.interval != AdverInterval::MIN {
                self.suspect(now, key, Some(heard.source), Suspicion::IntervalDiffers, out);
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

    /// `auto`: what we send follows what peers show (docs/adr/0005).
    fn follow_checksum(&mut self, now: MonoTime, key: VrKey, heard: &Heard, out: &mut Effects) {
        if key.family == Family::Ipv6 {
            return;
        }
        let Some(member) = self.members.iter_mut().find(|m| m.key == key) else { return };
        if heard.checksum == ChecksumFlavour::Rfc5798 {
            member.counters.checksum_legacy_accepted += 1;
        }
        let changed = std::mem::replace(&mut member.flavour, heard.checksum) != heard.checksum;
        if changed && self.spec.checksum == ChecksumPolicy::Auto && self.throttle.permits(now, Topic::Flavour)
        {
            out.push(report(&self.spec, Some(key), EventKind::ChecksumFollows(heard.checksum)));
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
fn same_addresses(heard: &AddressList<'_>, ours: &[ipnet::IpNet]) -> bool {
    if heard.len() != ours.len() {
        return false;
    }
    if heard.iter().eq(ours.iter().map(ipnet::IpNet::addr)) {
        return true;
    }
    let sorted = |addresses: &mut dyn Iterator<Item = IpAddr>| {
        let mut addresses: Vec<IpAddr> = addresses.collect();
        addresses.sort_unstable();
        addresses
    };
    sorted(&mut heard.iter()) == sorted(&mut ours.iter().map(ipnet::IpNet::addr))
}
