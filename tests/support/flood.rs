//! Random packets of protocol 112, and the accounting of their receivers: every packet that was
//! sent must be found in a counter of the daemon, or in the kernel's count of packets that did not
//! fit into the socket's queue.

use super::Daemon;
use super::inject::Forgery;
use super::lab::{Node, ip};
use serde_json::Value;

/// A priority too low to win against any router: these packets must have no effect, so none of them
/// may have an effective priority.
const PRIORITY: u8 = 50;
const VRID: u8 = 51;
/// Number of octets that fit behind an IPv4 header.
const LONGEST: usize = 1480;

/// An endless, reproducible stream of frames from one source.
pub(crate) struct Barrage {
    random: u64,
    template: Forgery,
}

impl Barrage {
    /// A stream from this IPv4 address. The same seed gives the same stream.
    pub(crate) fn new(source: &str, seed: u64) -> Self {
        let template = Forgery::new(ip(source), VRID, PRIORITY, 100).addresses(&["192.0.2.50"]);
        Self { random: seed | 1, template }
    }

    /// The next number of the generator xorshift64.
    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.draw() >> 16).expect("64 bits") % bound
    }

    fn octet(&mut self) -> u8 {
        self.draw().to_le_bytes()[3]
    }

    /// A message of random octets.
    fn noise(&mut self) -> Vec<u8> {
        let length = self.below(LONGEST + 1);
        (0..length).map(|_| self.octet()).collect()
    }

    /// A correct advertisement in which one to four octets are changed, and perhaps the length.
    fn mutant(&mut self) -> Vec<u8> {
        let mut message = self.template.message();
        for _ in 0..=self.below(4) {
            let at = self.below(message.len());
            message[at] = self.octet();
        }
        if self.below(4) == 0 {
            let length = self.below(64);
            message.resize(length, 0);
        }
        message
    }

    /// As [`Barrage::mutant`], with a correct checksum, so that later checks are reached. Its
    /// priority is not changed.
    fn plausible_mutant(&mut self) -> Vec<u8> {
        let mut message = self.mutant();
        if message.len() >= 8 {
            message[2] = PRIORITY;
            message[6..8].fill(0);
            let sum = !super::frame::ones_complement_sum(&[&message]);
            message[6..8].copy_from_slice(&sum.to_be_bytes());
        }
        message
    }

    /// Whether the message must not be obeyed. By chance a mutant can be a correct message of a
    /// router that wins or resigns.
    fn harmless(&self, message: &[u8]) -> bool {
        let right = super::frame::ones_complement_sum(&[message]) == 0xffff;
        let pseudo =
            super::frame::pseudo_header(self.template.source, self.template.destination, message.len());
        let legacy = super::frame::ones_complement_sum(&[&pseudo, message]) == 0xffff;
        message.len() < 8 || message[2] == PRIORITY || !(right || legacy)
    }
}

impl Iterator for Barrage {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let message = match self.below(3) {
                0 => self.noise(),
                1 => self.mutant(),
                _ => self.plausible_mutant(),
            };
            if self.harmless(&message) {
                let ttl = if self.below(8) == 0 { self.octet() } else { 255 };
                let carrier = self.template.clone().with(|forgery| forgery.ttl = ttl);
                return Some(carrier.frame_of(&message));
            }
        }
    }
}

/// Number of packets of one family that a daemon with one router has received, by its own counters:
/// those that it accepted and those that it rejected, for whatever reason and whether or not they
/// named a router.
pub(crate) fn counted(daemon: &Daemon, router: &str) -> u64 {
    let show = daemon.ctl(&["show", router]).json;
    let counters = &show["instances"][0]["counters"];
    let own = REASONS
        .iter()
        .chain(&["advertisement_rcvd"])
        .map(|name| counters[*name].as_u64().unwrap_or_else(|| panic!("no counter {name} in {show}")));
    let links = show["unattributed"].as_array().into_iter().flatten();
    let others = links.filter_map(|link| link["rejected"].as_object()).flat_map(|all| all.values());
    own.sum::<u64>() + others.filter_map(Value::as_u64).sum::<u64>()
}

/// The reasons for rejecting an IPv4 message. `address_list_errors` is not among them, because such
/// messages are accepted and counted as accepted too.
const REASONS: [&str; 12] = [
    "ip_ttl_errors",
    "packet_length_errors",
    "version_errors",
    "invalid_type_pkts_rcvd",
    "checksum_errors",
    "vrid_errors",
    "addr_count_errors",
    "interval_zero",
    "bad_destination",
    "bad_source",
    "unknown_senders",
    "own_packets",
];

/// Number of packets of protocol 112 that did not fit into a socket's queue on this node, as the
/// kernel counts them.
pub(crate) fn kernel_drops(node: &Node) -> u64 {
    let table =
        node.ns.enter(|| std::fs::read_to_string("/proc/thread-self/net/raw").expect("the raw sockets"));
    let sockets =
        table.lines().filter(|line| line.split_whitespace().nth(1).is_some_and(|it| it.ends_with(":0070")));
    sockets.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum()
}
