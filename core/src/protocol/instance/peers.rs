//! Other routers of one virtual router, as last heard.

use crate::protocol::instance::reception::Heard;
use crate::protocol::snapshot::PeerSnapshot;
use crate::protocol::timing::longest_learned;
use crate::types::{AdverInterval, MonoTime};
use std::net::IpAddr;

/// The most that are remembered; the one not heard for longest makes room. A LAN has a handful, and
/// forged sources must not grow our memory.
const MOST: usize = 8;

/// The last heard first.
#[derive(Debug, Clone, Default)]
pub(in crate::protocol) struct Peers(Vec<PeerSnapshot>);

impl Peers {
    pub(in crate::protocol) fn note(&mut self, now: MonoTime, heard: &Heard) {
        let Heard { source: address, priority, said, checksum, .. } = *heard;
        let known = self.get(address).map(|peer| peer.standing);
        let standing = known.filter(|_| priority.is_resignation()).unwrap_or(priority);
        let heard = PeerSnapshot { address, heard: now, priority, standing, interval: said, checksum };
        match self.0.iter().position(|peer| peer.address == address) {
            Some(at) => {
                if let Some(known) = self.0.get_mut(..=at) {
                    known.rotate_right(1);
                }
            }
            None => {
                self.0.truncate(MOST - 1);
                self.0.insert(0, heard);
            }
        }
        if let Some(first) = self.0.first_mut() {
            *first = heard;
        }
    }

    pub(in crate::protocol) fn get(&self, address: IpAddr) -> Option<&PeerSnapshot> {
        self.0.iter().find(|peer| peer.address == address)
    }

    /// Whoever spoke last.
    pub(in crate::protocol) fn latest(&self) -> Option<&PeerSnapshot> {
        self.0.first()
    }

    /// Whether somebody was heard serving so lately that its next word is not overdue.
    pub(in crate::protocol) fn anybody_serves(&self, now: MonoTime, ours: AdverInterval) -> bool {
        self.0.iter().any(|peer| serves(peer, now, ours))
    }

    /// Whether somebody else than `address` was.
    pub(in crate::protocol) fn others_serve(
        &self,
        now: MonoTime,
        ours: AdverInterval,
        address: IpAddr,
    ) -> bool {
        self.0.iter().any(|peer| peer.address != address && serves(peer, now, ours))
    }

    pub(in crate::protocol) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::protocol) fn to_vec(&self) -> Vec<PeerSnapshot> {
        self.0.clone()
    }
}

fn serves(peer: &PeerSnapshot, now: MonoTime, ours: AdverInterval) -> bool {
    let interval = peer.interval.min(longest_learned(ours));
    !peer.priority.is_resignation() && now.since(peer.heard) <= interval.period() * 3 / 2
}
