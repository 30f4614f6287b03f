//! The sockets of one interface and family, what is heard through them, and what waits to be sent.

use crate::kernel::announcement_socket::{AnnouncementSocket, Watched};
use crate::kernel::socket_error::SocketError;
use crate::kernel::vrrp_socket::{MartianSocket, ReceiveSocket, Received, Remaining, TransmitSocket};
use crate::protocol::Effect;
use crate::types::{AdvertPriority, Family, InstanceKey, InterfaceName};
use crate::wire::{self, Announcement, Carrier, Draft};
use ipnet::IpNet;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

/// What epoll says of the first endpoint; smaller tokens are the reactor's own.
const FIRST: u64 = 2;

/// How often a message is tried again that a full queue refused.
const RETRIES: usize = 3;

/// What became of a message, where that is worth a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// One of this priority was not sent; the kernel's error number, if it was asked.
    Unsent(AdvertPriority, Option<i32>),
    /// One was, after others were not.
    SentAgain,
}

/// What is ready of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ear {
    Advertisements,
    /// Those that come from our own addresses, as far as the kernel believes.
    Martians,
    Announcements,
}

impl Ear {
    /// How many there are.
    pub(super) const COUNT: usize = 3;

    /// What epoll says of the endpoint at a place.
    const fn token(self, at: u64) -> u64 {
        let ear = match self {
            Self::Advertisements => 0,
            Self::Martians => 1,
            Self::Announcements => 2,
        };
        FIRST + Self::COUNT as u64 * at + ear
    }

    /// And back.
    pub(super) fn of(token: u64) -> (usize, Self) {
        let place = token.saturating_sub(FIRST);
        let ear = match place % Self::COUNT as u64 {
            0 => Self::Advertisements,
            1 => Self::Martians,
            _ => Self::Announcements,
        };
        (usize::try_from(place / Self::COUNT as u64).unwrap_or(usize::MAX), ear)
    }
}

/// One socket to receive, one to transmit and one to hear announcements, shared by all virtual routers of the
/// interface and family.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) interface: InterfaceName,
    pub(super) family: Family,
    sockets: Option<Sockets>,
    /// Addresses of this host that others may speak from, or announce: its own ones, and those that it holds.
    own: Vec<Ipv4Addr>,
    held: BTreeMap<InstanceKey, Vec<IpAddr>>,
    /// Those who wait for others to announce their addresses.
    listeners: BTreeSet<InstanceKey>,
    /// Whether what is to be heard has changed since [`Self::tune`].
    tuning: Tuning,
    /// Whose last message was not sent.
    failing: BTreeSet<InstanceKey>,
    /// Messages of this turn, back to back in `octets`.
    waiting: Vec<Waiting>,
    octets: Vec<u8>,
    message: Vec<u8>,
}

#[derive(Debug)]
struct Sockets {
    index: u32,
    receive: ReceiveSocket,
    transmit: TransmitSocket,
    announcements: AnnouncementSocket,
    /// IPv6 has no martians.
    martian: Option<MartianSocket>,
}

/// Whether the sockets hear what they should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tuning {
    Right,
    Changed,
}

#[derive(Debug)]
struct Waiting {
    key: InstanceKey,
    source: IpAddr,
    priority: AdvertPriority,
    end: usize,
}

impl Endpoint {
    pub(super) const fn new(interface: InterfaceName, family: Family) -> Self {
        Self {
            interface,
            family,
            sockets: None,
            own: Vec::new(),
            held: BTreeMap::new(),
            listeners: BTreeSet::new(),
            tuning: Tuning::Right,
            failing: BTreeSet::new(),
            waiting: Vec::new(),
            octets: Vec::new(),
            message: Vec::new(),
        }
    }

    /// Whether sockets are open for this index of the interface.
    pub(super) fn serves(&self, index: u32) -> bool {
        self.sockets.as_ref().is_some_and(|sockets| sockets.index == index)
    }

    pub(super) fn close(&mut self) {
        self.sockets = None;
    }

    /// Opens the sockets for the interface as it is now; epoll will say of them what [`Ear`] makes of the place `at`.
    pub(super) fn open(&mut self, index: u32, epoll: &Epoll, at: u64) -> io::Result<()> {
        self.close();
        let receive = ReceiveSocket::open(self.interface, index, self.family).map_err(in_full)?;
        let transmit = TransmitSocket::open(self.interface, index, self.family).map_err(in_full)?;
        let announcements = AnnouncementSocket::open(self.interface, index, self.family).map_err(in_full)?;
        let martian = match self.family {
            Family::Ipv4 => Some(MartianSocket::open(self.interface, index).map_err(in_full)?),
            Family::Ipv6 => None,
        };
        let ready = |ear: Ear| EpollEvent::new(EpollFlags::EPOLLIN, ear.token(at));
        epoll.add(&receive, ready(Ear::Advertisements))?;
        epoll.add(&announcements, ready(Ear::Announcements))?;
        if let Some(martian) = &martian {
            epoll.add(martian, ready(Ear::Martians))?;
        }
        self.sockets = Some(Sockets { index, receive, transmit, announcements, martian });
        self.hear();
        Ok(())
    }

    /// The interface's own addresses, from which nobody else should speak.
    pub(super) fn owns(&mut self, own: &[Ipv4Addr]) {
        if self.own != own {
            self.own = own.to_vec();
            self.tuning = Tuning::Changed;
        }
    }

    /// `key` holds addresses: their owner may come back, and somebody else may have them as well. Of a moment in which the
    /// kernel does not hold them yet some is heard twice, which changes nothing.
    pub(super) fn holds(&mut self, key: InstanceKey, addresses: impl Iterator<Item = IpAddr>) {
        self.held.insert(key, addresses.collect());
        self.tuning = Tuning::Changed;
    }

    /// It does not any more.
    pub(super) fn holds_not(&mut self, key: InstanceKey) {
        if self.held.remove(&key).is_some() {
            self.tuning = Tuning::Changed;
        }
    }

    /// At the end of a turn, when everything that is urgent was done: the kernel is told what is to be heard, if that has
    /// changed.
    pub(super) fn tune(&mut self) {
        if self.tuning == Tuning::Changed {
            self.hear();
        }
    }

    /// If the kernel refuses, the sockets hear what they heard before; the next change tries again. The core waits for
    /// announcements for a bounded time, and ignores those that do not matter.
    fn hear(&mut self) {
        self.tuning = Tuning::Right;
        let Some(sockets) = &mut self.sockets else { return };
        let held = self.held.values().flatten().copied();
        let watched = if !self.listeners.is_empty() {
            Watched::Everything
        } else if self.held.is_empty() {
            Watched::Nothing
        } else {
            Watched::Addresses(held.clone().collect())
        };
        let _ = sockets.announcements.watch(watched);
        let Some(martian) = &mut sockets.martian else { return };
        let ipv4 = held.filter_map(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        let _ = martian.listen_to(self.own.iter().copied().chain(ipv4).collect());
    }

    /// Hands on what has arrived from addresses of this host, up to the socket's bound.
    pub(super) fn receive_martians(&self, each: &mut dyn FnMut(Carrier, &[u8])) -> io::Result<Remaining> {
        match self.sockets.as_ref().and_then(|sockets| sockets.martian.as_ref()) {
            Some(martian) => martian.receive(each),
            None => Ok(Remaining::Nothing),
        }
    }

    /// `key` waits for others to announce its addresses, at once: they may answer what is said in this turn.
    pub(super) fn listen(&mut self, key: InstanceKey) {
        let first = self.listeners.is_empty();
        self.listeners.insert(key);
        // What one waits for, all are told: nothing changes when more of them leave in the same turn.
        if first {
            self.hear();
        }
    }

    /// It does not any more.
    pub(super) fn unlisten(&mut self, key: InstanceKey) {
        if self.listeners.remove(&key) {
            self.tuning = Tuning::Changed;
        }
    }

    /// Hands on which announcements have arrived, up to the socket's bound.
    pub(super) fn sight(&self, each: &mut dyn FnMut(Announcement)) -> io::Result<Remaining> {
        match &self.sockets {
            Some(sockets) => sockets.announcements.receive(each),
            None => Ok(Remaining::Nothing),
        }
    }

    /// Hands on what has arrived, up to the socket's bound.
    pub(super) fn receive(&mut self, each: &mut dyn FnMut(Carrier, &[u8])) -> io::Result<Received> {
        match &mut self.sockets {
            Some(sockets) => sockets.receive.receive(each),
            None => Ok(Received::default()),
        }
    }

    /// Builds a message to be sent with the next [`Self::flush`].
    pub(super) fn enqueue(&mut self, effect: &Effect, addresses: &[IpNet]) {
        let Effect::Advertise { key, source, priority, interval, checksum } = *effect else { return };
        let draft = Draft { source, vrid: key.vrid, priority, interval, checksum };
        match wire::emit(&draft, addresses.iter().map(IpNet::addr), &mut self.message) {
            Ok(()) => {
                self.octets.extend_from_slice(&self.message);
                self.waiting.push(Waiting { key, source, priority, end: self.octets.len() });
            }
            Err(error) => unreachable!("config refuses what cannot be advertised: {error}"),
        }
    }

    /// Sends what waits, in as few system calls as the kernel allows; `tell` is told what was not sent, and who is heard
    /// again. A queue that is full is tried again at once.
    pub(super) fn flush(&mut self, tell: &mut dyn FnMut(InstanceKey, Fate)) {
        if self.waiting.is_empty() {
            return;
        }
        let mut messages: Vec<(IpAddr, &[u8])> = Vec::with_capacity(self.waiting.len());
        let mut start = 0;
        for waiting in &self.waiting {
            messages.push((waiting.source, self.octets.get(start..waiting.end).unwrap_or_default()));
            start = waiting.end;
        }
        let mut refused: BTreeMap<usize, Option<i32>> = BTreeMap::new();
        match &self.sockets {
            Some(sockets) => {
                sockets.transmit.send_batch(&messages, &mut |at, error| {
                    refused.insert(at, error.raw_os_error());
                });
                let send =
                    |(source, message): &(IpAddr, &[u8])| sockets.transmit.send(*source, message).is_ok();
                refused.retain(|at, errno| {
                    let again = messages.get(*at).filter(|_| is_full(*errno));
                    !again.is_some_and(|message| (0..RETRIES).any(|_| send(message)))
                });
            }
            None => refused.extend((0..messages.len()).map(|at| (at, None))),
        }
        for (at, waiting) in self.waiting.iter().enumerate() {
            match refused.get(&at) {
                Some(errno) => {
                    self.failing.insert(waiting.key);
                    tell(waiting.key, Fate::Unsent(waiting.priority, *errno));
                }
                None if self.failing.remove(&waiting.key) => tell(waiting.key, Fate::SentAgain),
                None => {}
            }
        }
        self.waiting.clear();
        self.octets.clear();
    }
}

/// Whether an error says that a queue is full at the moment.
fn is_full(errno: Option<i32>) -> bool {
    errno.is_some_and(|errno| errno == libc::ENOBUFS || errno == libc::EAGAIN)
}

/// The step that failed with the kernel's answer, on one line.
fn in_full(error: SocketError) -> io::Error {
    match error.source() {
        Some(source) => io::Error::other(format!("{error}: {source}")),
        None => io::Error::other(error),
    }
}
