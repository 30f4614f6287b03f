//! One interface and family, as the protocol thread sees it: whether its sockets are open, what
//! they are to hear, and the messages of a turn that wait to be sent.
//!
//! The sockets themselves are behind [`EndpointSockets`]: those of the kernel ([`super::sockets`]),
//! and scripted ones in tests.

use crate::kernel::announcement_socket::AnnouncementFilter;
use crate::kernel::vrrp_socket::{Addressee, OutgoingMessages, ReceiveReport, Remaining, Route};
use crate::protocol::Effect;
use crate::types::{AdvertPriority, Family, InstanceKey, InterfaceName};
use crate::wire::{self, Announcement, Carrier, Draft};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr};

/// How often a message is tried again that a full queue refused.
const RETRIES: usize = 3;

/// What the sockets of an endpoint are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SocketPurpose {
    /// Instances that run on another interface have their addresses on this one. The announcements
    /// of others are heard here, and nothing else.
    Announcements,
    /// Instances run on this interface: advertisements are sent and received, and announcements are
    /// heard as well.
    Advertisements(Addressee),
}

impl SocketPurpose {
    /// The purpose that serves both.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Advertisements(one), Self::Advertisements(other)) => Self::Advertisements(one.and(other)),
            (Self::Advertisements(one), Self::Announcements)
            | (Self::Announcements, Self::Advertisements(one)) => Self::Advertisements(one),
            (Self::Announcements, Self::Announcements) => Self::Announcements,
        }
    }
}

/// What the sockets of an endpoint can do.
pub(super) trait EndpointSockets {
    /// The index of the interface for which they are open.
    fn index(&self) -> u32;
    /// The purpose for which they are open.
    fn purpose(&self) -> SocketPurpose;
    /// From now on they are for this purpose, without a gap in what is heard, or stay as they are.
    fn adapt(&mut self, purpose: SocketPurpose) -> Adapted;
    /// Hands on the advertisements that have arrived, up to a bound.
    fn receive(&mut self, each: &mut dyn FnMut(Carrier, &[u8])) -> io::Result<ReceiveReport>;
    /// Hands on the advertisements that came from addresses of this host, up to a bound.
    fn receive_from_own_addresses(&mut self, each: &mut dyn FnMut(Carrier, &[u8])) -> io::Result<Remaining>;
    /// Hands on the announcements that have arrived, up to a bound.
    fn receive_announcements(&mut self, each: &mut dyn FnMut(Announcement)) -> io::Result<Remaining>;
    /// From now on these announcements are heard, and no others.
    fn filter_announcements(&mut self, watched: AnnouncementFilter);
    /// From now on advertisements from these addresses of this host are heard, and from no others.
    fn filter_own_addresses(&mut self, sources: BTreeSet<Ipv4Addr>);
    /// Tries every message; `failed` is told the place and the error of each that was not sent.
    fn send_batch(&mut self, messages: &OutgoingMessages, failed: &mut dyn FnMut(usize, io::Error));
    /// Sends one message.
    fn send(&mut self, route: Route, message: &[u8]) -> io::Result<()>;
}

/// A socket of an endpoint that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SocketKind {
    /// Advertisements of other routers.
    Advertisements,
    /// Advertisements that come from our own addresses, as far as the kernel believes.
    OwnAddresses,
    /// Gratuitous ARP and unsolicited Neighbor Advertisements.
    Announcements,
}

impl SocketKind {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Advertisements, Self::OwnAddresses, Self::Announcements];
}

/// Whether sockets serve another purpose now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Adapted {
    Yes,
    /// Others have to be opened.
    No,
}

/// What became of an advertisement, where the core has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendResult {
    /// An advertisement of this priority was not sent; the kernel's error number, if the kernel was
    /// asked.
    Unsent(AdvertPriority, Option<i32>),
    /// An advertisement was sent after the one before was not.
    SentAgain,
}

/// The sockets of one interface and family, shared by all instances that run on it.
#[derive(Debug)]
pub(super) struct Endpoint<S> {
    interface: InterfaceName,
    family: Family,
    sockets: Option<S>,
    /// The interface's own IPv4 addresses, from which nobody else should speak.
    own: Vec<Ipv4Addr>,
    /// The addresses that instances hold: their owner may come back, and somebody else may have
    /// them as well.
    held: BTreeMap<InstanceKey, Vec<IpAddr>>,
    /// Instances that wait for others to announce their addresses.
    watchers: BTreeSet<InstanceKey>,
    filters: Filters,
    /// Instances whose last advertisement was not sent, and to whom.
    failing: BTreeSet<(InstanceKey, IpAddr)>,
    /// The advertisements of this turn, and whose they are.
    messages: OutgoingMessages,
    senders: Vec<(InstanceKey, IpAddr, AdvertPriority)>,
    /// Room for the message that is being built.
    draft: Vec<u8>,
}

/// Whether the sockets hear what they should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filters {
    Current,
    Outdated,
}

impl<S: EndpointSockets> Endpoint<S> {
    pub(super) fn new(interface: InterfaceName, family: Family) -> Self {
        Self {
            interface,
            family,
            sockets: None,
            own: Vec::new(),
            held: BTreeMap::new(),
            watchers: BTreeSet::new(),
            filters: Filters::Current,
            failing: BTreeSet::new(),
            messages: OutgoingMessages::default(),
            senders: Vec::new(),
            draft: Vec::new(),
        }
    }

    pub(super) const fn interface(&self) -> InterfaceName {
        self.interface
    }

    pub(super) const fn family(&self) -> Family {
        self.family
    }

    /// Whether the sockets are open for this index of the interface and this purpose.
    pub(super) fn is_open_for(&self, index: u32, purpose: SocketPurpose) -> bool {
        let fit = |sockets: &S| sockets.index() == index && sockets.purpose() == purpose;
        self.sockets.as_ref().is_some_and(fit)
    }

    /// Whether sockets that are open for this index serve this purpose from now on.
    pub(super) fn adapt(&mut self, index: u32, purpose: SocketPurpose) -> Adapted {
        match &mut self.sockets {
            Some(sockets) if sockets.index() == index => sockets.adapt(purpose),
            Some(_) | None => Adapted::No,
        }
    }

    pub(super) fn close(&mut self) {
        self.sockets = None;
    }

    /// Uses these sockets from now on. They hear what the ones before should have heard.
    pub(super) fn open(&mut self, sockets: S) {
        self.sockets = Some(sockets);
        self.set_filters();
    }

    /// The interface has these addresses of its own.
    pub(super) fn set_own_addresses(&mut self, own: &[Ipv4Addr]) {
        if self.own != own {
            self.own = own.to_vec();
            self.filters = Filters::Outdated;
        }
    }

    /// `key` holds these addresses. For a moment the kernel does not have them yet; what is heard
    /// twice in that moment changes nothing.
    pub(super) fn hold(&mut self, key: InstanceKey, addresses: impl Iterator<Item = IpAddr>) {
        self.held.insert(key, addresses.collect());
        self.filters = Filters::Outdated;
    }

    /// `key` holds no addresses any more.
    pub(super) fn release(&mut self, key: InstanceKey) {
        if self.held.remove(&key).is_some() {
            self.filters = Filters::Outdated;
        }
    }

    /// `key` waits for others to announce its addresses. The sockets hear announcements at once:
    /// others may answer what is said in this turn.
    pub(super) fn watch_announcements(&mut self, key: InstanceKey) {
        let first = self.watchers.is_empty();
        self.watchers.insert(key);
        // With one watcher the sockets hear all announcements: more watchers change nothing.
        if first {
            self.set_filters();
        }
    }

    /// `key` does not wait for announcements any more.
    pub(super) fn ignore_announcements(&mut self, key: InstanceKey) {
        if self.watchers.remove(&key) {
            self.filters = Filters::Outdated;
        }
    }

    /// Tells the kernel what is to be heard, if that has changed. To be called at the end of a
    /// turn, when everything urgent is done.
    pub(super) fn update_filters(&mut self) {
        match self.filters {
            Filters::Current => {}
            Filters::Outdated => self.set_filters(),
        }
    }

    fn set_filters(&mut self) {
        self.filters = Filters::Current;
        let Some(sockets) = &mut self.sockets else { return };
        let held = self.held.values().flatten().copied();
        sockets.filter_announcements(if !self.watchers.is_empty() {
            AnnouncementFilter::Everything
        } else if self.held.is_empty() {
            AnnouncementFilter::Nothing
        } else {
            AnnouncementFilter::Addresses(held.clone().collect())
        });
        let held = held.filter_map(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        sockets.filter_own_addresses(self.own.iter().copied().chain(held).collect());
    }

    /// Hands on the advertisements that have arrived, up to the socket's bound.
    pub(super) fn receive(&mut self, each: &mut dyn FnMut(Carrier, &[u8])) -> io::Result<ReceiveReport> {
        self.sockets.as_mut().map_or_else(|| Ok(ReceiveReport::default()), |sockets| sockets.receive(each))
    }

    /// Hands on the advertisements that came from addresses of this host, up to the socket's bound.
    pub(super) fn receive_from_own_addresses(
        &mut self,
        each: &mut dyn FnMut(Carrier, &[u8]),
    ) -> io::Result<Remaining> {
        let sockets = self.sockets.as_mut();
        sockets.map_or(Ok(Remaining::Nothing), |sockets| sockets.receive_from_own_addresses(each))
    }

    /// Hands on the announcements that have arrived, up to the socket's bound.
    pub(super) fn receive_announcements(
        &mut self,
        each: &mut dyn FnMut(Announcement),
    ) -> io::Result<Remaining> {
        let sockets = self.sockets.as_mut();
        sockets.map_or(Ok(Remaining::Nothing), |sockets| sockets.receive_announcements(each))
    }

    /// Builds an advertisement, to be sent with the next [`Self::flush`].
    pub(super) fn enqueue(&mut self, effect: &Effect, addresses: &[IpNet]) {
        let Effect::Advertise {
            key,
            version,
            source,
            destination,
            priority,
            interval,
            authentication,
            checksum,
        } = *effect
        else {
            return;
        };
        let vrid = key.vrid;
        let draft =
            Draft { version, source, destination, vrid, priority, interval, authentication, checksum };
        match wire::emit(&draft, addresses.iter().map(IpNet::addr), &mut self.draft) {
            Ok(()) => {
                self.messages.push(Route { source, destination }, &self.draft);
                self.senders.push((key, destination, priority));
            }
            // `config` refuses what cannot be advertised. A mistake of ours in the core fails the tests;
            // in service it costs this one message, and not the service.
            Err(error) if cfg!(debug_assertions) => {
                unreachable!("config refuses what cannot be advertised: {error}")
            }
            Err(_) => {}
        }
    }

    /// Sends the advertisements that wait, in as few system calls as the kernel allows. `report` is
    /// told what the core has to know. A message that a full queue refused is tried again at once;
    /// one that is refused for one node keeps none from the others.
    /// Allocates nothing while all are sent.
    pub(super) fn flush(&mut self, report: &mut dyn FnMut(InstanceKey, IpAddr, SendResult)) {
        if self.messages.is_empty() {
            return;
        }
        let mut refused: BTreeMap<usize, Option<i32>> = BTreeMap::new();
        match &mut self.sockets {
            Some(sockets) => {
                sockets.send_batch(&self.messages, &mut |at, error| {
                    refused.insert(at, error.raw_os_error());
                });
                refused.retain(|at, errno| {
                    let again = self.messages.get(*at).filter(|_| is_full(*errno));
                    !again.is_some_and(|(route, message)| {
                        (0..RETRIES).any(|_| sockets.send(route, message).is_ok())
                    })
                });
            }
            None => refused.extend((0..self.messages.len()).map(|at| (at, None))),
        }
        for (at, (key, to, priority)) in self.senders.iter().enumerate() {
            match refused.get(&at) {
                Some(errno) => {
                    self.failing.insert((*key, *to));
                    report(*key, *to, SendResult::Unsent(*priority, *errno));
                }
                None if self.failing.remove(&(*key, *to)) => report(*key, *to, SendResult::SentAgain),
                None => {}
            }
        }
        self.messages.clear();
        self.senders.clear();
    }
}

/// Whether an error says that a queue is full at the moment.
fn is_full(errno: Option<i32>) -> bool {
    errno.is_some_and(|errno| errno == libc::ENOBUFS || errno == libc::EAGAIN)
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
