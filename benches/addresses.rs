//! One router with 2,000 IPv4 addresses (255 advertised, the rest excluded) becomes Active: how
//! long it takes until all are installed, and until all are announced once.
//!
//! The measurement begins with the first visible sign of the decision: the first advertisement at
//! the switch (the kernel's timestamp) or the first address at the node, whichever is earlier.
//! Addresses are observed through netlink notifications, which get a timestamp when they are read.
//! An address counts as announced when the switch has seen its first gratuitous ARP.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a bench a panic is the report")]

#[path = "measure/mod.rs"]
mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use measure::rivals::{Kind, start_large};
use measure::samples::signed_milliseconds;
use measure::{Request, Samples, Table, machine};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use support::{Lab, Node, SOON, ms, wait_for};

const COUNT: usize = 2000;
const ADVERTISED: usize = 255;

fn main() {
    let request = Request::from_arguments();
    machine::introduce();
    let columns = [
        "agent     ",
        "runs",
        "installed p50 (ms)",
        "p99",
        "max",
        "announced p50 (ms)",
        "p99",
        "max",
        "longest advert gap at 100 ms (ms)",
    ];
    let table = Table::new("2,000 addresses: from the decision until all are there", &columns);
    for kind in [Kind::Vrrpd, Kind::Keepalived] {
        if request.wants(&kind.to_string()) {
            let mut tally = Tally::default();
            for _ in 0..request.runs(20) {
                tally.measure(kind);
            }
            let head = [kind.to_string(), tally.installed.count().to_string()];
            let gap = [format!("{:.1}", tally.gaps.quantile(100))];
            table.row(&[&head[..], &tally.installed.cells(), &tally.announced.cells(), &gap].concat());
        }
    }
}

#[derive(Default)]
struct Tally {
    installed: Samples,
    announced: Samples,
    gaps: Samples,
}

impl Tally {
    fn measure(&mut self, kind: Kind) {
        let lab = Lab::new(&["node"]);
        let monitor = Monitor::start(lab.node("node"));
        let all = addresses();
        let (advertised, excluded) = all.split_at(ADVERTISED);
        let _agent = start_large(kind, lab.node("node"), advertised, excluded);
        let announced = || {
            let mut first: BTreeMap<IpAddr, Duration> = BTreeMap::new();
            for one in lab.capture().announcements(ms(0)) {
                first.entry(one.address).or_insert(one.at);
            }
            first
        };
        // The condition is evaluated rarely, and its cheap part first, so that waiting does not
        // take processor time from the daemon.
        wait_for(SOON * 3, "all are installed and announced", || {
            monitor.count() >= COUNT && lab.capture().count() >= COUNT && announced().len() >= COUNT
        });
        let (seen, first) = (monitor.seen(), announced());
        assert_eq!((seen.len(), first.len()), (COUNT, COUNT), "each once, and nothing else");
        let adverts: Vec<Duration> =
            lab.capture().adverts(ms(0)).into_iter().map(|advert| advert.at).collect();
        let earliest = |times: &[Duration]| times.iter().min().copied().expect("it happened");
        let latest = |times: &[Duration]| times.iter().max().copied().expect("it happened");
        let decision = earliest(&adverts).min(earliest(&seen));
        let first: Vec<Duration> = first.into_values().collect();
        self.installed.push(signed_milliseconds(latest(&seen), decision));
        self.announced.push(signed_milliseconds(latest(&first), decision));
        let gap = adverts.windows(2).map(|pair| signed_milliseconds(pair[1], pair[0])).fold(0.0, f64::max);
        self.gaps.push(gap);
    }
}

fn addresses() -> Vec<String> {
    (0..COUNT).map(|n| format!("10.1.{}.{}/16", n / 250, n % 250 + 1)).collect()
}

/// Watches the addresses of a node.
struct Monitor {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<BTreeMap<Ipv4Addr, Duration>>>,
    reader: Option<JoinHandle<()>>,
}

impl Monitor {
    fn start(node: &Node) -> Self {
        let socket = node.ns.enter(subscribe);
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeMap::new())));
        let reader = thread::spawn({
            let (stop, seen) = (Arc::clone(&stop), Arc::clone(&seen));
            move || {
                let mut buffer = vec![0; 1 << 16];
                while !stop.load(Ordering::Relaxed) {
                    let Ok(length) = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) else {
                        continue;
                    };
                    let at = machine::wall_clock();
                    let mut seen = seen.lock().unwrap();
                    for address in new_addresses(&buffer[..length]) {
                        seen.entry(address).or_insert(at);
                    }
                }
            }
        });
        Self { stop, seen, reader: Some(reader) }
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// When each address appeared.
    fn seen(&self) -> Vec<Duration> {
        self.seen.lock().unwrap().values().copied().collect()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ended: thread::Result<()> = reader.join();
        }
    }
}

/// A netlink socket that receives a notification for every IPv4 address that is added or removed.
fn subscribe() -> OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute);
    let socket = socket.expect("a netlink socket");
    setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20)).expect("room for all notifications");
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(0, 20_000)).expect("a receive timeout");
    // RTMGRP_IPV4_IFADDR
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0x10)).expect("subscribing to addresses");
    socket
}

/// The addresses of all `RTM_NEWADDR` messages: a netlink header of 16 octets, a message header of
/// 8, then attributes.
fn new_addresses(mut messages: &[u8]) -> Vec<Ipv4Addr> {
    let mut all = Vec::new();
    while let Some((head, _)) = messages.split_first_chunk::<16>() {
        let length = usize::try_from(u32::from_ne_bytes([head[0], head[1], head[2], head[3]])).unwrap();
        if u16::from_ne_bytes([head[4], head[5]]) == 20 {
            all.extend(local_address(messages.get(24..length).unwrap_or_default()));
        }
        messages = messages.get(length.next_multiple_of(4).max(16)..).unwrap_or_default();
    }
    all
}

/// The attribute `IFA_LOCAL` (2).
fn local_address(mut attributes: &[u8]) -> Option<Ipv4Addr> {
    while let Some((head, _)) = attributes.split_first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        if u16::from_ne_bytes([head[2], head[3]]) == 2 {
            return Some(Ipv4Addr::from(<[u8; 4]>::try_from(attributes.get(4..8)?).ok()?));
        }
        attributes = attributes.get(length.next_multiple_of(4).max(4)..).unwrap_or_default();
    }
    None
}
