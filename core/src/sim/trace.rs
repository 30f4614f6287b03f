//! What happened in a run, for the developer who must find out why: the last steps in words, and a
//! capture.
//!
//! A run without a trace formats nothing. Runs are deterministic, so a seed that failed is simply
//! run again with a trace.

use super::clock::TrueTime;
use super::packet::Packet;
use std::collections::VecDeque;

/// How many steps are remembered; older steps are forgotten, because a violation is close to its
/// cause.
const STEPS: usize = 20_000;
/// How many packets are remembered; older packets are forgotten.
const PACKETS: usize = 4_000;

/// Whether the trace remembers anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The trace remembers nothing.
    Off,
    /// The trace remembers the last steps and packets.
    On,
}

/// The record of a run.
#[derive(Debug, Clone)]
pub struct Trace {
    detail: Detail,
    steps: VecDeque<(TrueTime, String)>,
    packets: VecDeque<(TrueTime, Vec<u8>)>,
}

impl Trace {
    /// A trace that remembers as much as `detail` asks for.
    #[must_use]
    pub const fn new(detail: Detail) -> Self {
        Self { detail, steps: VecDeque::new(), packets: VecDeque::new() }
    }

    /// Records one step. The step is put into words only if the trace remembers it.
    pub fn note(&mut self, at: TrueTime, words: impl FnOnce() -> String) {
        if self.detail == Detail::On {
            if self.steps.len() == STEPS {
                self.steps.pop_front();
            }
            self.steps.push_back((at, words()));
        }
    }

    /// Records one packet, as it was sent.
    pub fn packet(&mut self, at: TrueTime, packet: &Packet) {
        if self.detail == Detail::On {
            if self.packets.len() == PACKETS {
                self.packets.pop_front();
            }
            self.packets.push_back((at, packet.to_ip()));
        }
    }

    /// The last `count` steps, one step a line.
    #[must_use]
    pub fn text(&self, count: usize) -> String {
        let skipped = self.steps.len().saturating_sub(count);
        self.steps.iter().skip(skipped).map(|(at, words)| format!("{at:?} {words}\n")).collect()
    }

    /// The packets as a classic capture file (nanoseconds, LINKTYPE_RAW: IP headers first).
    #[must_use]
    pub fn pcap(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 101] {
            file.extend(word.to_le_bytes());
        }
        for (at, packet) in &self.packets {
            let seconds = u32::try_from(at.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX);
            let nanos = u32::try_from(at.as_nanos() % 1_000_000_000).unwrap_or(0);
            let len = u32::try_from(packet.len()).unwrap_or(u32::MAX);
            for word in [seconds, nanos, len, len] {
                file.extend(word.to_le_bytes());
            }
            file.extend(packet);
        }
        file
    }
}
