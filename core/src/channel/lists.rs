//! WaitingLists of open connections on their way to the node that is Active.
//!
//! A list of 100,000 connections has some 550 messages. If they left at once, the socket of the
//! recipient would overflow, each time at the same place, so that the end of the list would never
//! arrive. They leave in bursts, and what is lost nevertheless comes again with the next list.

use super::values::ChannelLink;
use crate::types::MonoTime;
use crate::wire::channel::ConnectionChunk;
use std::collections::VecDeque;
use std::time::Duration;

/// The messages of one burst. A socket takes twice as many, and a window of counters has 64 places.
const BURST: usize = 32;
/// The time between two bursts: 1,600 messages in a second.
const BURST_EVERY: Duration = Duration::from_millis(20);
/// The most messages that wait: two lists of 262,144 IPv6 connections. What does not fit is left
/// out; the next list says it again.
const MOST: usize = 8_704;

/// The messages that wait.
#[derive(Debug, Default)]
pub(super) struct WaitingLists {
    waiting: VecDeque<(ChannelLink, ConnectionChunk)>,
    /// The end of the pause after the last burst.
    next: Option<MonoTime>,
}

impl WaitingLists {
    pub(super) fn add(&mut self, link: ChannelLink, chunks: Vec<ConnectionChunk>) {
        let room = MOST.saturating_sub(self.waiting.len());
        self.waiting.extend(chunks.into_iter().take(room).map(|chunk| (link, chunk)));
    }

    /// The messages that leave now.
    pub(super) fn due(&mut self, now: MonoTime) -> Vec<(ChannelLink, ConnectionChunk)> {
        if self.waiting.is_empty() || self.next.is_some_and(|next| now < next) {
            return Vec::new();
        }
        self.next = Some(now + BURST_EVERY);
        self.waiting.drain(..self.waiting.len().min(BURST)).collect()
    }

    pub(super) fn wakes_at(&self) -> Option<MonoTime> {
        if self.waiting.is_empty() { None } else { self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Connection, Family};
    use crate::wire::channel::connection_chunks;

    const LINK: &str = "eth0";

    /// As many chunks, each with an end of its own.
    fn chunks(count: u16) -> Vec<ConnectionChunk> {
        let local = |port| ([192, 0, 2, 50], port).into();
        let connections: Vec<_> =
            (1..=count).map(|port| Connection { local: local(port), remote: local(443) }).collect();
        connection_chunks(51, &connections)
    }

    #[test]
    fn what_waits_is_bounded_and_leaves_in_bursts() {
        let link = ChannelLink { interface: LINK.parse().unwrap(), family: Family::Ipv4 };
        let mut lists = WaitingLists::default();
        assert_eq!((lists.wakes_at(), lists.due(MonoTime::ZERO)), (None, vec![]));
        lists.add(link, chunks(8_000));
        lists.add(link, chunks(8_000));
        assert_eq!(lists.waiting.len(), MOST);
        let mut left = Vec::new();
        let mut now = MonoTime::ZERO;
        loop {
            let burst = lists.due(now);
            assert!(burst.len() == BURST || left.len() + burst.len() == MOST);
            left.extend(burst);
            assert_eq!(lists.due(now), [], "one burst at a time");
            match lists.wakes_at() {
                Some(next) => now = next,
                None => break,
            }
        }
        assert_eq!(now, MonoTime::ZERO + BURST_EVERY * 271);
        assert_eq!(left[..8_000], chunks(8_000).into_iter().map(|chunk| (link, chunk)).collect::<Vec<_>>());
    }
}
