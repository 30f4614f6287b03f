//! The other routers of one instance, as they were heard last.

use super::Received;
use crate::protocol::snapshot::PeerSnapshot;
use crate::protocol::version_rules::VersionRules;
use crate::types::{AdverInterval, MonoTime, Version};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The most that are remembered, unless more are configured; the one not heard for longest makes
/// room. A LAN has a handful, and forged sources must not grow our memory.
const MOST: usize = 8;

/// The peers of one instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Peers {
    version: Version,
    /// The last heard first.
    heard: Vec<PeerSnapshot>,
}

impl Peers {
    /// No peer was heard yet.
    pub(super) const fn new(version: Version) -> Self {
        Self { version, heard: Vec::new() }
    }

    pub(super) const fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    pub(super) fn note(&mut self, now: MonoTime, received: &Received, configured: usize) {
        let Received { source: address, priority, said_interval: interval, checksum, .. } = *received;
        let known = self.get(address).map(|peer| peer.standing);
        let standing = known.filter(|_| priority.is_resignation()).unwrap_or(priority);
        let latest = PeerSnapshot { address, heard: now, priority, standing, interval, checksum };
        match self.heard.iter().position(|peer| peer.address == address) {
            Some(at) => {
                if let Some(known) = self.heard.get_mut(..=at) {
                    known.rotate_right(1);
                }
            }
            None => {
                self.heard.truncate(MOST.max(configured) - 1);
                self.heard.insert(0, latest);
            }
        }
        if let Some(first) = self.heard.first_mut() {
            *first = latest;
        }
    }

    pub(super) fn get(&self, address: IpAddr) -> Option<&PeerSnapshot> {
        self.heard.iter().find(|peer| peer.address == address)
    }

    /// The peer that advertised last.
    pub(super) fn latest(&self) -> Option<&PeerSnapshot> {
        self.heard.first()
    }

    /// Whether any peer was heard serving so lately that its next advertisement is not overdue.
    pub(super) fn anybody_serves(&self, now: MonoTime, ours: AdverInterval) -> bool {
        self.heard.iter().any(|peer| self.serves(peer, now, ours))
    }

    /// Whether any peer but `address` was.
    pub(super) fn others_serve(&self, now: MonoTime, ours: AdverInterval, address: IpAddr) -> bool {
        self.heard.iter().any(|peer| peer.address != address && self.serves(peer, now, ours))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heard.is_empty()
    }

    pub(super) fn to_vec(&self) -> Vec<PeerSnapshot> {
        self.heard.clone()
    }

    fn serves(&self, peer: &PeerSnapshot, now: MonoTime, ours: AdverInterval) -> bool {
        let interval = VersionRules::of(self.version).believed_interval(ours, peer.interval);
        !peer.priority.is_resignation() && is_on_time(now, peer.heard, interval)
    }
}

/// Whether the next advertisement of a router that was heard at `heard` is not overdue: half an
/// interval late is still on time.
pub(super) fn is_on_time(now: MonoTime, heard: MonoTime, interval: AdverInterval) -> bool {
    now.since(heard) <= interval.period() * 3 / 2
}
