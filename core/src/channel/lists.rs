//! Lists of open connections on their way to the node that is Active.
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
pub(super) struct Lists {
    waiting: VecDeque<(ChannelLink, ConnectionChunk)>,
    /// The end of the pause after the last burst.
    next: Option<MonoTime>,
}

impl Lists {
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
