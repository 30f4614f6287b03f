//! The other routers of one instance, as they were heard last.

use super::Received;
use crate::protocol::snapshot::PeerSnapshot;
use crate::protocol::timing::longest_learned;
use crate::types::{AdverInterval, MonoTime};
use std::net::IpAddr;

/// The most that are remembered; the one not heard for longest makes room. A LAN has a handful, and
/// forged sources must not grow our memory.
const MOST: usize = 8;

/// The peers, the last heard first.
#[derive(Debug, Clone, Default)]
pub(super) struct Peers(Vec<PeerSnapshot>);

impl Peers {
    pub(super) fn note(&mut self, now: MonoTime, received: &Received) {
        let Received { source: address, priority, said_interval: interval, checksum, .. } = *received;
        let known = self.get(address).map(|peer| peer.standing);
        let standing = known.filter(|_| priority.is_resignation()).unwrap_or(priority);
        let latest = PeerSnapshot { address, heard: now, priority, standing, interval, checksum };
        match self.0.iter().position(|peer| peer.address == address) {
            Some(at) => {
                if let Some(known) = self.0.get_mut(..=at) {
                    known.rotate_right(1);
                }
            }
            None => {
                self.0.truncate(MOST - 1);
                self.0.insert(0, latest);
            }
        }
        if let Some(first) = self.0.first_mut() {
            *first = latest;
        }
    }

    pub(super) fn get(&self, address: IpAddr) -> Option<&PeerSnapshot> {
        self.0.iter().find(|peer| peer.address == address)
    }

    /// The peer that advertised last.
    pub(super) fn latest(&self) -> Option<&PeerSnapshot> {
        self.0.first()
    }

    /// Whether any peer was heard serving so lately that its next advertisement is not overdue.
    pub(super) fn anybody_serves(&self, now: MonoTime, ours: AdverInterval) -> bool {
        self.0.iter().any(|peer| serves(peer, now, ours))
    }

    /// Whether any peer but `address` was.
    pub(super) fn others_serve(&self, now: MonoTime, ours: AdverInterval, address: IpAddr) -> bool {
        self.0.iter().any(|peer| peer.address != address && serves(peer, now, ours))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn to_vec(&self) -> Vec<PeerSnapshot> {
        self.0.clone()
    }
}

fn serves(peer: &PeerSnapshot, now: MonoTime, ours: AdverInterval) -> bool {
    let interval = peer.interval.min(longest_learned(ours));
    !peer.priority.is_resignation() && is_on_time(now, peer.heard, interval)
}

/// Whether the next advertisement of a router that was heard at `heard` is not overdue: half an
/// interval late is still on time.
pub(super) fn is_on_time(now: MonoTime, heard: MonoTime, interval: AdverInterval) -> bool {
    now.since(heard) <= interval.period() * 3 / 2
}
