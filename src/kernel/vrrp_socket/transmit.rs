//! Sending: the octets of a message and its route become a packet.

use super::open_raw;
use crate::kernel::filter::NOTHING;
use crate::kernel::socket_error::{Context, SocketError};
use crate::kernel::sys::{self, AddressedMessage, SEND_MANY};
use crate::types::{Family, InterfaceName};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{SockAddr, Socket};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// Octets of the send buffer that is asked for: a queue that is stuck for a moment must not lose
/// the advertisements of 1,000 routers. Without CAP_NET_ADMIN the kernel grants at most
/// `net.core.wmem_max`.
const SEND_BUFFER: usize = 1 << 20;

/// TTL and Hop Limit: receivers discard packets with any other value.
// RFC9568-5.1.1.3-1, RFC9568-5.1.2.3-1
const TTL: u32 = 255;

/// DSCP CS6, internetwork control. RFC 9568 §2.5 asks for priority treatment; CS6 is what VRRP
/// routers send.
// RFC9568-2.5-1
const TRAFFIC_CLASS: u32 = 0xc0;

/// The same priority in the local queue: internetwork control (802.1Q 6), the highest without
/// CAP_NET_ADMIN.
const QUEUE_PRIORITY: u32 = 6;

/// From which address of this host to which address a message is sent; both of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// An address of this host.
    pub source: IpAddr,
    /// The group of the family, or one host.
    pub destination: IpAddr,
}

/// Messages to be sent together: their octets back to back in a buffer that is used again and
/// again.
#[derive(Debug, Default)]
pub struct OutgoingMessages {
    octets: Vec<u8>,
    /// The route of each message, and where its octets end.
    messages: Vec<(Route, usize)>,
}

impl OutgoingMessages {
    /// Adds a message.
    pub fn push(&mut self, route: Route, message: &[u8]) {
        self.octets.extend_from_slice(message);
        self.messages.push((route, self.octets.len()));
    }

    /// The message at a place, with its route.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<(Route, &[u8])> {
        let (route, end) = *self.messages.get(at)?;
        let before = at.checked_sub(1).and_then(|before| self.messages.get(before));
        let start = before.map_or(0, |(_, end)| *end);
        Some((route, self.octets.get(start..end)?))
    }

    /// The messages at this place and behind it.
    pub fn from(&self, at: usize) -> impl Iterator<Item = (Route, &[u8])> {
        (at..self.messages.len()).filter_map(|at| self.get(at))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Forgets the messages and keeps their room.
    pub fn clear(&mut self) {
        self.octets.clear();
        self.messages.clear();
    }
}

impl<'a> FromIterator<(Route, &'a [u8])> for OutgoingMessages {
    fn from_iter<T: IntoIterator<Item = (Route, &'a [u8])>>(messages: T) -> Self {
        let mut all = Self::default();
        messages.into_iter().for_each(|(route, message)| all.push(route, message));
        all
    }
}

/// Sends messages of one family on one interface. Never receives, never blocks.
#[derive(Debug)]
pub struct TransmitSocket {
    socket: Socket,
    family: Family,
    index: u32,
}

impl TransmitSocket {
    /// Opens the socket.
    ///
    /// # Errors
    /// [`SocketError`], with the step that failed.
    pub fn open(interface: InterfaceName, index: u32, family: Family) -> Result<Self, SocketError> {
        let context = Context { interface, index };
        let socket = open_raw(context, family, &NOTHING)?;
        context.step("enlarge the send buffer", grow_buffer(&socket))?;
        match family {
            Family::Ipv4 => prepare_ipv4(context, &socket)?,
            Family::Ipv6 => prepare_ipv6(context, &socket)?,
        }
        // After the traffic class, because that sets a queue priority of its own in IPv4.
        context.step("set the queue priority", socket.set_priority(QUEUE_PRIORITY))?;
        Ok(Self { socket, family, index })
    }

    /// Sends one message. Its source must be an address of this host.
    ///
    /// # Errors
    /// The kernel's error: `WouldBlock` if the queue is full; `NetworkUnreachable` (IPv4) or
    /// `InvalidInput` (IPv6) if the source is not, or no longer, ours or not yet usable;
    /// `NetworkDown` or `NetworkUnreachable` if the interface is down. The message was not sent.
    pub fn send(&self, route: Route, message: &[u8]) -> io::Result<()> {
        self.send_run(std::iter::once((route, message))).map(drop)
    }

    /// Sends many messages with few system calls, and returns how many were sent. Every message is
    /// tried; `failed` is told the place and the error of each that was not sent. Allocates
    /// nothing.
    pub fn send_batch(&self, messages: &OutgoingMessages, failed: &mut dyn FnMut(usize, io::Error)) -> usize {
        let mut sent = 0;
        let mut next = 0;
        while next < messages.len() {
            match self.send_run(messages.from(next)) {
                Ok(count) => {
                    sent += count;
                    next += count;
                }
                Err(error) => {
                    failed(next, error);
                    next += 1;
                }
            }
        }
        sent
    }

    /// Sends the longest prefix of `messages` that the kernel takes in one system call: at least one,
    /// or the error that the first one met. Each has its own route: those to several nodes are sent
    /// together as well.
    fn send_run<'a>(&self, messages: impl Iterator<Item = (Route, &'a [u8])>) -> io::Result<usize> {
        let mut routes = [const { None }; SEND_MANY];
        let of_family = |Route { source, destination }: Route| {
            Family::of(source) == self.family && Family::of(destination) == self.family
        };
        for (count, ((route, message), place)) in messages.zip(&mut routes).enumerate() {
            match (of_family(route), count) {
                (true, _) => *place = Some((KernelRoute::new(route, self.index), message)),
                (false, 0) => return Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
                (false, _) => break,
            }
        }
        let addressed = routes.iter().flatten().map(|(place, message)| AddressedMessage {
            destination: Some(&place.destination),
            control: place.control(),
            octets: message,
        });
        sys::send_many(&self.socket, addressed)
    }
}

impl AsFd for TransmitSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for TransmitSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn prepare_ipv4(context: Context, socket: &Socket) -> Result<(), SocketError> {
    context.step("set the TTL to 255", socket.set_multicast_ttl_v4(TTL))?;
    context.step("set the TTL of unicast to 255", socket.set_ttl_v4(TTL))?;
    // RFC9568-7.2-3
    context.step("stop our packets from looping back", socket.set_multicast_loop_v4(false))?;
    context.step("set the traffic class", socket.set_tos_v4(TRAFFIC_CLASS))
}

fn prepare_ipv6(context: Context, socket: &Socket) -> Result<(), SocketError> {
    context.step("set the hop limit to 255", socket.set_multicast_hops_v6(TTL))?;
    context.step("set the hop limit of unicast to 255", socket.set_unicast_hops_v6(TTL))?;
    // RFC9568-7.2-3
    context.step("stop our packets from looping back", socket.set_multicast_loop_v6(false))?;
    context.step("set the traffic class", socket.set_tclass_v6(TRAFFIC_CLASS))?;
    context.step("send to the interface", socket.set_multicast_if_v6(context.index))
}

/// A destination, as the kernel takes it. For the IPv4 group it is enough that the socket is bound
/// to the interface, without any route; for IPv6 the scope is given.
fn socket_address(destination: IpAddr, index: u32) -> SockAddr {
    SockAddr::from(match destination {
        IpAddr::V4(address) => SocketAddr::V4(SocketAddrV4::new(address, 0)),
        IpAddr::V6(address) => SocketAddr::V6(SocketAddrV6::new(address, 0, 0, index)),
    })
}

/// SO_SNDBUFFORCE ignores the limit of ordinary processes; without the capability the limit
/// applies.
fn grow_buffer(socket: &Socket) -> io::Result<()> {
    match setsockopt(socket, sockopt::SndBufForce, &SEND_BUFFER) {
        Ok(()) => Ok(()),
        Err(_) => socket.set_send_buffer_size(SEND_BUFFER),
    }
}

/// Octets of `struct cmsghdr`: a length as wide as a pointer, a level and a type.
const CONTROL_HEADER: usize = size_of::<usize>() + 8;

/// Room for the larger control message, `struct in6_pktinfo` of 20 octets, padded.
const CONTROL_ROOM: usize = CONTROL_HEADER + 24;

/// The route of one message, as the kernel takes it.
struct KernelRoute {
    destination: SockAddr,
    room: [u8; CONTROL_ROOM],
    length: usize,
}

impl KernelRoute {
    fn new(Route { source, destination }: Route, index: u32) -> Self {
        let mut room = [0; CONTROL_ROOM];
        let length = packet_info(&mut room, source, index).len();
        Self { destination: socket_address(destination, index), room, length }
    }

    fn control(&self) -> &[u8] {
        self.room.get(..self.length).unwrap_or_default()
    }
}

/// The control message that chooses a packet's source: IP_PKTINFO (ip(7): interface index, source,
/// destination) or IPV6_PKTINFO (RFC 3542 §6.2: source, interface index).
fn packet_info(room: &mut [u8; CONTROL_ROOM], source: IpAddr, index: u32) -> &[u8] {
    let index = index.to_ne_bytes();
    let (level, kind) = match source {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO),
    };
    let length = CONTROL_HEADER
        + match source {
            IpAddr::V4(source) => {
                put(room, CONTROL_HEADER, &index);
                put(room, CONTROL_HEADER + 4, &source.octets());
                12
            }
            IpAddr::V6(source) => {
                put(room, CONTROL_HEADER, &source.octets());
                put(room, CONTROL_HEADER + 16, &index);
                20
            }
        };
    put(room, 0, &length.to_ne_bytes());
    put(room, size_of::<usize>(), &level.to_ne_bytes());
    put(room, size_of::<usize>() + 4, &kind.to_ne_bytes());
    room.get(..length.next_multiple_of(size_of::<usize>())).unwrap_or_default()
}

fn put(room: &mut [u8], offset: usize, octets: &[u8]) {
    if let Some(place) = room.get_mut(offset..offset + octets.len()) {
        place.copy_from_slice(octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_their_order_and_their_octets() {
        let route =
            |source: &str| Route { source: source.parse().unwrap(), destination: Family::Ipv4.group() };
        let routes = [route("192.0.2.1"), route("192.0.2.2")];
        let all: Vec<(Route, &[u8])> = vec![(routes[0], &[1, 2]), (routes[1], &[]), (routes[0], &[3])];
        let mut messages: OutgoingMessages = all.iter().copied().collect();
        assert_eq!((messages.len(), messages.get(3)), (3, None));
        assert_eq!(messages.from(0).collect::<Vec<_>>(), all);
        assert_eq!(messages.from(2).collect::<Vec<_>>(), all[2..]);
        messages.clear();
        assert!(messages.is_empty() && messages.get(0).is_none());
        messages.push(routes[1], &[9]);
        assert_eq!(messages.get(0), Some((routes[1], &[9][..])));
    }
}
