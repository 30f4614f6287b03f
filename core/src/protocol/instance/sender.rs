//! What an instance sends: its source address, its destinations, the checksum flavour, and the
//! memory of what it sent.
//!
//! The checksum of VRRPv3 over IPv4 is computed in two ways in the field (docs/adr/0005). Where the
//! configuration leaves it open, we send as our peers do (docs/adr/0019). A strict peer drops what
//! it cannot verify and takes us for dead. So the router that teaches us is the first that is
//! heard, and after that only an Active that we obey or yield to: no router that we outrank can
//! make us unintelligible to those who understand us.

use crate::protocol::counters::Counters;
use crate::protocol::effect::{Effect, Effects};
use crate::protocol::spec::{ChecksumPolicy, InstanceSpec};
use crate::types::{AdverInterval, AdvertPriority, Authentication, InstanceKey, Version};
use crate::wire::ChecksumFlavour;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How many different advertisements are remembered. An instance does not have more: its own, the
/// one with the shortest interval, its resignation, and one before a reload or a change of
/// priority.
const REMEMBERED: usize = 6;

/// The sending side of one instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AdvertSender {
    key: InstanceKey,
    version: Version,
    authentication: Authentication,
    /// The group, or the other nodes; empty if there is none, and never the group instead.
    destinations: Vec<IpAddr>,
    /// Of the advertisement that the socket answers for: the copies that were refused so far, and
    /// the place of the last of them.
    refused: (usize, Option<usize>),
    /// Our primary address, which is the source of our advertisements.
    source: Option<IpAddr>,
    /// The source address before it went away, while there is none: what we sent from it may come
    /// back, and it still decides ties.
    former_source: Option<IpAddr>,
    /// The checksum flavour that peers have shown.
    learned: Option<ChecksumFlavour>,
    sent: SentAdvertisements,
}

/// One advertisement to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AdvertContent {
    pub(super) priority: AdvertPriority,
    pub(super) interval: AdverInterval,
    pub(super) checksum: ChecksumFlavour,
}

/// The advertisements that were sent of late: each pair of priority and interval once, the last
/// first.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct SentAdvertisements([Option<(AdvertPriority, AdverInterval)>; REMEMBERED]);

impl SentAdvertisements {
    fn note(&mut self, priority: AdvertPriority, interval: AdverInterval) {
        let sent = Some((priority, interval));
        let at = self.0.iter().position(|known| *known == sent).unwrap_or(REMEMBERED - 1);
        if let Some(newer) = self.0.get_mut(..=at) {
            newer.rotate_right(1);
        }
        if let Some(first) = self.0.first_mut() {
            *first = sent;
        }
    }

    fn contains(&self, priority: AdvertPriority, interval: AdverInterval) -> bool {
        self.0.contains(&Some((priority, interval)))
    }
}

impl AdvertSender {
    pub(super) fn new(key: InstanceKey, spec: &InstanceSpec) -> Self {
        Self {
            key,
            version: spec.version,
            authentication: spec.authentication,
            destinations: Vec::new(),
            refused: (0, None),
            source: None,
            former_source: None,
            learned: None,
            sent: SentAdvertisements::default(),
        }
    }

    pub(super) fn set_destinations(&mut self, destinations: Vec<IpAddr>) {
        self.destinations = destinations;
    }

    pub(super) fn destinations(&self) -> &[IpAddr] {
        &self.destinations
    }

    pub(super) const fn set_version(&mut self, version: Version, authentication: Authentication) {
        (self.version, self.authentication) = (version, authentication);
    }

    pub(super) const fn authentication(&self) -> Authentication {
        self.authentication
    }

    pub(super) const fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// The address that decides ties: the source, or the one that went away a moment ago.
    pub(super) fn address_for_ties(&self) -> Option<IpAddr> {
        self.source.or(self.former_source)
    }

    pub(super) fn set_source(&mut self, source: Option<IpAddr>) {
        self.former_source = match source {
            Some(_) => None,
            None => self.source.or(self.former_source),
        };
        self.source = source;
    }

    /// Whether `address` was our source until it went away.
    pub(super) fn was_source(&self, address: IpAddr) -> bool {
        self.former_source == Some(address)
    }

    /// Whether we sent such an advertisement of late.
    pub(super) fn has_sent(&self, priority: AdvertPriority, interval: AdverInterval) -> bool {
        self.sent.contains(priority, interval)
    }

    /// Sends one advertisement to every destination, and counts it once. Without a source address,
    /// or without a destination, nothing can be sent: the router has a fault for that.
    pub(super) fn send(&mut self, draft: AdvertContent, counters: &mut Counters, out: &mut Effects) {
        let Some(source) = self.source.filter(|_| !self.destinations.is_empty()) else { return };
        let AdvertContent { priority, interval, checksum } = draft;
        counters.advertisement_sent += 1;
        if priority.is_resignation() {
            counters.priority_zero_pkts_sent += 1;
        }
        self.sent.note(priority, interval);
        self.refused = (0, None);
        // RFC9568-7.2-1
        let Self { key, version, authentication, .. } = *self;
        out.extend(self.destinations.iter().map(|destination| Effect::Advertise {
            key,
            version,
            source,
            destination: *destination,
            priority,
            interval,
            authentication,
            checksum,
        }));
    }

    /// The socket refused the copy of an advertisement that was for `destination`. The advertisement
    /// was counted as sent when it was decided; if no copy was sent, it is not. Of several advertisements
    /// that were decided together, copies are refused in the order of the destinations, so that a place
    /// that is not behind the last one begins another advertisement.
    pub(super) fn on_unsent(
        &mut self,
        destination: IpAddr,
        priority: AdvertPriority,
        counters: &mut Counters,
    ) {
        counters.tx_errors += 1;
        let place = self.destinations.iter().position(|known| *known == destination);
        let (count, last) = self.refused;
        let count = if place > last { count + 1 } else { 1 };
        self.refused = (count, place);
        if count == self.destinations.len() {
            counters.on_unsent(priority);
        }
    }

    /// The flavour of a peer from which we learn.
    pub(super) const fn learn(&mut self, flavour: ChecksumFlavour) {
        self.learned = Some(flavour);
    }

    /// The flavour that peers have shown.
    pub(super) const fn learned(&self) -> Option<ChecksumFlavour> {
        self.learned
    }

    /// The flavour in which we send. `open` is the one where the configuration leaves it open.
    // RFC9568-5.2.8-4
    pub(super) const fn flavour(policy: ChecksumPolicy, open: ChecksumFlavour) -> ChecksumFlavour {
        match policy {
            ChecksumPolicy::Auto => open,
            ChecksumPolicy::Rfc9568 => ChecksumFlavour::Rfc9568,
            ChecksumPolicy::Rfc5798 => ChecksumFlavour::Rfc5798,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_known_until_six_others_were() {
        let mut sent = SentAdvertisements::default();
        let priority = AdvertPriority::from_wire;
        for one in [1, 2, 3, 1, 4, 5, 6] {
            sent.note(priority(one), AdverInterval::default());
        }
        assert!((1..=6).all(|one| sent.contains(priority(one), AdverInterval::default())));
        sent.note(priority(7), AdverInterval::default());
        assert!(!sent.contains(priority(2), AdverInterval::default()), "the oldest makes room");
        assert!(!sent.contains(priority(1), AdverInterval::MIN));
    }
}
