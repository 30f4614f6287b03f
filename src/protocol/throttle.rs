//! Limits how often the same thing is reported: the RFC asks for logs "subject to rate-limiting",
//! and a hostile LAN must not fill a disk.

use super::event::Suspicion;
use crate::types::MonoTime;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is limited, each on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Suspicion(Suspicion),
    Rival,
    Impersonated,
    Flavour,
}

/// Once a minute each; the counters tell how often it really happened.
const PERIOD: Duration = Duration::from_secs(60);

/// Bounded by the number of topics.
#[derive(Debug, Clone, Default)]
pub(super) struct Throttle(BTreeMap<Topic, MonoTime>);

impl Throttle {
    /// Whether `topic` may be reported now.
    pub(super) fn permits(&mut self, now: MonoTime, topic: Topic) -> bool {
        match self.0.get(&topic) {
            Some(last) if now.since(*last) < PERIOD => false,
            Some(_) | None => {
                self.0.insert(topic, now);
                true
            }
        }
    }
}
