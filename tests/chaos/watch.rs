//! Listens to the kernels of all members for addresses that come and go (rtnetlink). It decodes the
//! messages itself, because vrrpd's own decoder is under test.

use super::fault::{Member, all_held};
use super::timeline::{Change, Timeline, What};
use crate::support::{Lab, Worker};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt, socket,
    sockopt,
};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR`.
const ADDRESSES: u32 = 0x10 | 0x100;
/// `RTM_NEWADDR` and `RTM_DELADDR`.
const NEW: u16 = 20;
const DELETED: u16 = 21;
/// `IFA_ADDRESS` and `IFA_LOCAL`; IPv6 has only the former.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;

/// A watch of all members, which runs until it is dropped.
pub(crate) struct Watch {
    timeline: Arc<Mutex<Timeline>>,
    _worker: Worker,
}

impl Watch {
    /// To be started before any daemon, when no member holds a virtual address yet.
    pub(crate) fn start(lab: &Lab) -> Self {
        let sockets = Member::ALL.map(|member| (member, lab.node(member.name()).ns.enter(subscribe)));
        let timeline = Arc::new(Mutex::new(Timeline::default()));
        let worker = Worker::start({
            let timeline = Arc::clone(&timeline);
            move |stop| listen(&sockets, &timeline, stop)
        });
        Self { timeline, _worker: worker }
    }

    /// The changes so far.
    pub(crate) fn timeline(&self) -> std::sync::MutexGuard<'_, Timeline> {
        self.timeline.lock().unwrap()
    }
}

fn subscribe() -> OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute);
    let socket = socket.expect("a netlink socket");
    // Without privileges the kernel grants less, which is enough, because a member has a dozen
    // addresses.
    let _best_effort = setsockopt(&socket, sockopt::RcvBuf, &(4 << 20));
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, ADDRESSES)).expect("subscribing to addresses");
    socket
}

fn listen(sockets: &[(Member, OwnedFd)], timeline: &Mutex<Timeline>, stop: &AtomicBool) {
    let virtual_ones: BTreeSet<IpAddr> = all_held().map(|(_, address)| address).collect();
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        let mut ready: Vec<PollFd<'_>> =
            sockets.iter().map(|(_, socket)| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        let _interrupted = poll(&mut ready, PollTimeout::from(20_u8));
        for (member, socket) in sockets {
            // After an overflow (ENOBUFS), the notifications would differ from what the kernel
            // lists: `oracle::telling`.
            while let Ok(length) = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                let at = wall_clock();
                let mut timeline = timeline.lock().unwrap();
                for (what, address) in changes(&buffer[..length]) {
                    if virtual_ones.contains(&address) {
                        timeline.push(Change { at, member: *member, address, what });
                    }
                }
            }
        }
    }
}

fn wall_clock() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME).expect("the clock of the kernel").into()
}

/// A netlink header of 16 octets, a message header of 8, then attributes.
fn changes(mut messages: &[u8]) -> Vec<(What, IpAddr)> {
    let mut all = Vec::new();
    while let Some((head, _)) = messages.split_first_chunk::<16>() {
        let length = usize::try_from(u32::from_ne_bytes([head[0], head[1], head[2], head[3]])).unwrap();
        let what = match u16::from_ne_bytes([head[4], head[5]]) {
            NEW => Some(What::Came),
            DELETED => Some(What::Went),
            _ => None,
        };
        let address = messages.get(24..length).and_then(address);
        all.extend(what.zip(address));
        messages = messages.get(length.next_multiple_of(4).max(16)..).unwrap_or_default();
    }
    all
}

/// The node's own address, not its peer's: `IFA_LOCAL` if it is there.
fn address(mut attributes: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    while let Some((head, _)) = attributes.split_first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let value = attributes.get(4..length).unwrap_or_default();
        match u16::from_ne_bytes([head[2], head[3]]) {
            LOCAL => return literal(value),
            ADDRESS => found = literal(value),
            _ => {}
        }
        attributes = attributes.get(length.next_multiple_of(4).max(4)..).unwrap_or_default();
    }
    found
}

fn literal(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).into());
    four.or_else(|_| <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).into())).ok()
}
