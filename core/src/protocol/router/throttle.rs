//! Limits how often the same thing is reported: the RFC asks for logs "subject to rate-limiting",
//! and a hostile LAN must not fill a disk.

use crate::types::MonoTime;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// What is limited.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Topic {
    /// A warning, by its name.
    PeerWarning(Cow<'static, str>),
    DualActive,
    Impersonated,
    Checksum,
}

/// Once a minute for each topic and peer; the counters tell how often it really happened.
const PERIOD: Duration = Duration::from_secs(60);

/// So many in all within that time: forged sources must neither grow our memory nor fill the event
/// log.
const MOST: usize = 32;

/// When each was reported last.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Throttle(BTreeMap<(Topic, Option<IpAddr>), MonoTime>);

impl Throttle {
    /// Whether `topic` may be reported of `peer` now.
    pub(super) fn permits(&mut self, now: MonoTime, topic: Topic, peer: Option<IpAddr>) -> bool {
        let recent = |last: &MonoTime| now.since(*last) < PERIOD;
        let key = (topic, peer);
        if self.0.get(&key).is_some_and(recent) {
            return false;
        }
        if self.0.len() >= MOST {
            self.0.retain(|_, last| recent(last));
        }
        let room = self.0.len() < MOST;
        if room {
            self.0.insert(key, now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn each_peer_and_topic_has_its_minute_and_all_of_them_a_bound() {
        let mut throttle = Throttle::default();
        let peer = |last: u8| Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        let start = MonoTime::from_nanos(1);
        assert!(throttle.permits(start, Topic::DualActive, peer(1)));
        assert!(!throttle.permits(start, Topic::DualActive, peer(1)));
        assert!(throttle.permits(start, Topic::Checksum, peer(1)), "another topic");
        let told = (0..=255).filter(|last| throttle.permits(start, Topic::DualActive, peer(*last))).count();
        assert_eq!(told, MOST - 2);
        assert!(throttle.permits(start + PERIOD, Topic::DualActive, peer(200)));
    }
}
