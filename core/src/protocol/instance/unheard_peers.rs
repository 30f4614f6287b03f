//! Whether any of the nodes that are listed was ever heard.
//!
//! A firewall, or the rules of a cloud, may drop what goes to a node although what it sends arrives.
//! Nobody notices as long as this node serves: a Backup is silent. So that an Active has never heard
//! anybody proves nothing; but it is what a cut looks like, and is said once (docs/adr/0042).

use super::state::State;
use super::{Instance, Policy};
use crate::types::MonoTime;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// So many times Active_Down_Interval an instance serves before it says that it has heard nobody: by
/// then any other node that does not hear it would be Active as well, and be heard.
const PATIENCE: u32 = 3;

/// What is known of the nodes that are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum PeersFinding {
    /// Nobody was heard so far.
    #[default]
    Nobody,
    /// Nobody was heard, and that was reported.
    Reported,
    /// Somebody was heard.
    Heard,
}

/// What has become of it since we last looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::protocol) enum PeersChange {
    /// Nothing.
    None,
    /// Nobody was heard for so long although these nodes are listed.
    NeverHeard(Vec<IpAddr>, Duration),
    /// After that was reported, this node was heard.
    HeardAtLast(IpAddr),
}

impl Instance {
    /// When it is said that nobody was heard, if that stays so.
    pub(super) fn unheard_at(&self, policy: &Policy) -> Option<MonoTime> {
        let listed = self.sender.destinations().iter().any(|destination| !destination.is_multicast());
        let waits = self.unheard == PeersFinding::Nobody && listed;
        let patience = policy.active_down_interval(self.version, policy.interval) * PATIENCE;
        match self.state {
            State::Active(_) if waits => Some(self.since + patience),
            State::Active(_) | State::Initialize | State::Backup(_) => None,
        }
    }

    /// To be called after each input.
    pub(in crate::protocol) fn watch_peers(&mut self, now: MonoTime, policy: &Policy) -> PeersChange {
        if let Some(latest) = self.peers.latest() {
            let by = latest.address;
            return match std::mem::replace(&mut self.unheard, PeersFinding::Heard) {
                PeersFinding::Reported => PeersChange::HeardAtLast(by),
                PeersFinding::Nobody | PeersFinding::Heard => PeersChange::None,
            };
        }
        if self.unheard_at(policy).is_some_and(|at| at <= now) {
            self.unheard = PeersFinding::Reported;
            let peers = self.sender.destinations().to_vec();
            return PeersChange::NeverHeard(peers, now.since(self.since));
        }
        PeersChange::None
    }
}
