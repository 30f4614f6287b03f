//! Receiving: a packet becomes a [`Carrier`] and the octets of a message.

use super::open_raw;
use crate::kernel::filter::{self, AcceptedPart, Instruction};
use crate::kernel::membership::{self, GroupMembership};
use crate::kernel::socket_error::{Context, SocketError};
use crate::kernel::sys::{self, Headers};
use crate::types::{Family, InterfaceName};
use crate::wire::{Carrier, split_ipv4};
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, RecvMsg, SockaddrIn6, SockaddrLike, recvmmsg, setsockopt, sockopt,
};
use socket2::Socket;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// Octets of the receive buffer that is asked for. The kernel doubles it and counts about 768
/// octets for a small packet: room for some 2,700 packets, 100 ms of 255 routers that advertise
/// every 10 ms. Without CAP_NET_ADMIN the kernel grants at most `net.core.rmem_max`.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Packets in one system call.
const BATCH: usize = 16;

/// System calls in one [`ReceiveSocket::receive`]: a flood must not keep the caller from its
/// timers.
const BATCHES: usize = 16;

/// Octets kept of one packet. The largest ADVERTISEMENT has 255 addresses; a longer packet is
/// truncated and counted.
const fn capacity(family: Family) -> usize {
    match family {
        // An IPv4 header with options, 8 octets, 255 addresses; VRRPv2 adds 8 of authentication
        // data.
        Family::Ipv4 => 60 + 8 + 255 * 4 + 8,
        Family::Ipv6 => 8 + 255 * 16,
    }
}

/// What happened in one call of [`ReceiveSocket::receive`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceiveReport {
    /// Messages that were passed on.
    pub delivered: u32,
    /// Packets whose IP header could not be read, which are length errors.
    pub unreadable: u32,
    /// Packets longer than any ADVERTISEMENT, which are length errors.
    pub truncated: u32,
    /// Packets that arrived as fragments. No ADVERTISEMENT needs to be fragmented, and the TTL of a
    /// fragment is not that of the whole packet.
    pub fragmented: u32,
    /// Whether the caller must call again soon.
    pub remaining: Remaining,
}

/// Whether packets are left in the kernel's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Remaining {
    /// The queue was empty at the end of the call.
    #[default]
    Nothing,
    /// The limit of a call was reached: handle the timers, then call again.
    Possibly,
}

/// To whom packets must be sent so that a socket receives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressee {
    /// To the group, which is joined.
    Group,
    /// To this host alone.
    Host,
    /// To either.
    Both,
}

impl Addressee {
    /// What serves both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Both }
    }

    fn program(self, family: Family) -> Vec<Instruction> {
        let parts: &[AcceptedPart] = match self {
            Self::Group => &[AcceptedPart::Group],
            Self::Host => &[AcceptedPart::Host],
            Self::Both => &[AcceptedPart::Host, AcceptedPart::Group],
        };
        filter::advertisements(family, parts)
    }

    const fn membership(self) -> GroupMembership {
        match self {
            Self::Group | Self::Both => GroupMembership::Joined,
            Self::Host => GroupMembership::None,
        }
    }
}

/// Receives the packets of one family on one interface.
#[derive(Debug)]
pub struct ReceiveSocket {
    socket: Socket,
    context: Context,
    family: Family,
    membership: GroupMembership,
    buffer: Box<[u8]>,
    ancillary: Ancillary,
}

/// The message headers. IPv4 needs neither the socket address nor control messages, because the
/// packet contains its header.
#[derive(Debug)]
enum Ancillary {
    Ipv4(Headers<()>),
    Ipv6(Headers<SockaddrIn6>),
}

impl ReceiveSocket {
    /// Opens the socket and, if it is to hear the group (224.0.0.18 or ff02::12), joins it.
    ///
    /// Joining sends an IGMP or MLD report, so that snooping switches forward the group (RFC 9568
    /// §5.1).
    ///
    /// # Errors
    /// [`SocketError`], with the step that failed.
    pub fn open(
        interface: InterfaceName,
        index: u32,
        family: Family,
        addressee: Addressee,
    ) -> Result<Self, SocketError> {
        let context = Context { interface, index };
        let socket = open_raw(context, family, &addressee.program(family))?;
        let grown = grow_buffer(&socket);
        context.step("enlarge the receive buffer", grown)?;
        let ancillary = match family {
            Family::Ipv4 => Self::prepare_ipv4(context, &socket)?,
            Family::Ipv6 => Self::prepare_ipv6(context, &socket)?,
        };
        let buffer = vec![0; BATCH * capacity(family)].into_boxed_slice();
        let membership = GroupMembership::None;
        let mut opened = Self { socket, context, family, membership, buffer, ancillary };
        opened.join_or_leave(addressee.membership())?;
        Ok(opened)
    }

    /// From now on hears what is sent to others. What is heard before and after is not interrupted.
    ///
    /// # Errors
    /// [`SocketError`], with the step that failed; the socket may hear less than before.
    pub fn hear(&mut self, addressee: Addressee) -> Result<(), SocketError> {
        let attached = filter::attach(&self.socket, &addressee.program(self.family));
        self.context.step("attach a filter to a raw socket", attached)?;
        self.join_or_leave(addressee.membership())
    }

    fn join_or_leave(&mut self, wanted: GroupMembership) -> Result<(), SocketError> {
        if wanted == self.membership {
            return Ok(());
        }
        membership::change(&self.socket, self.context, self.family, wanted)?;
        self.membership = wanted;
        Ok(())
    }

    /// Passes every queued message to `each`, in the order of arrival, for at most 256 packets.
    ///
    /// Packets that cannot be passed on are counted in the result. Allocates nothing.
    ///
    /// # Errors
    /// The kernel's error, if nothing was received before it; never `WouldBlock`.
    pub fn receive(&mut self, each: &mut dyn FnMut(Carrier, &[u8])) -> io::Result<ReceiveReport> {
        let mut received = ReceiveReport::default();
        for round in 0..BATCHES {
            match self.receive_batch(each, &mut received) {
                Ok(BATCH) => {}
                Ok(_) | Err(Errno::EAGAIN) => return Ok(received),
                // Nothing was taken from the queue; the next call goes on.
                Err(Errno::EINTR) => {}
                Err(error) if round == 0 => return Err(error.into()),
                Err(_) => break,
            }
        }
        received.remaining = Remaining::Possibly;
        Ok(received)
    }

    /// Makes one system call; returns how many packets it took from the queue.
    fn receive_batch(
        &mut self,
        each: &mut dyn FnMut(Carrier, &[u8]),
        received: &mut ReceiveReport,
    ) -> nix::Result<usize> {
        let fd = self.socket.as_raw_fd();
        match &mut self.ancillary {
            Ancillary::Ipv4(headers) => {
                batch(fd, &mut self.buffer, capacity(Family::Ipv4), headers, &mut |packet, octets| {
                    sort(packet, octets, received, each, |_, octets| split_ipv4(octets).ok());
                })
            }
            Ancillary::Ipv6(headers) => {
                batch(fd, &mut self.buffer, capacity(Family::Ipv6), headers, &mut |packet, octets| {
                    sort(packet, octets, received, each, |packet, octets| {
                        Some((ipv6_carrier(packet)?, octets))
                    });
                })
            }
        }
    }

    fn prepare_ipv4(context: Context, socket: &Socket) -> Result<Ancillary, SocketError> {
        let only_joined = socket.set_multicast_all_v4(false);
        context.step("restrict a raw socket to the groups it joined", only_joined)?;
        let told = sys::set_int_option(socket, libc::IPPROTO_IP, libc::IP_RECVFRAGSIZE, 1);
        context.step("ask for the size of fragments", told)?;
        discard_queued(socket);
        Ok(Ancillary::Ipv4(Headers::new(BATCH, None)))
    }

    fn prepare_ipv6(context: Context, socket: &Socket) -> Result<Ancillary, SocketError> {
        // IPV6_CHECKSUM stays off, because the kernel would drop packets with a bad checksum before
        // they could be counted.
        let only_joined = socket.set_multicast_all_v6(false);
        context.step("restrict a raw socket to the groups it joined", only_joined)?;
        let told = setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true).map_err(io::Error::from);
        context.step("ask for destination addresses", told)?;
        let told = setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true).map_err(io::Error::from);
        context.step("ask for hop limits", told)?;
        let told = sys::set_int_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVFRAGSIZE, 1);
        context.step("ask for the size of fragments", told)?;
        discard_queued(socket);
        let control = nix::cmsg_space!(libc::in6_pktinfo, libc::c_int);
        Ok(Ancillary::Ipv6(Headers::new(BATCH, Some(control))))
    }
}

impl AsFd for ReceiveSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for ReceiveSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// SO_RCVBUFFORCE ignores the limit of ordinary processes; without the capability the limit
/// applies.
pub(in crate::kernel) fn grow_buffer(socket: &Socket) -> io::Result<()> {
    match setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER) {
        Ok(()) => Ok(()),
        Err(_) => socket.set_recv_buffer_size(RECEIVE_BUFFER),
    }
}

/// Discards what was queued in the microseconds before the filter and the binding were in place.
/// Among it there can be no packet of the group on our interface that a later packet does not
/// repeat.
fn discard_queued(socket: &Socket) {
    let mut one_octet = [std::mem::MaybeUninit::uninit()];
    for _ in 0..BATCH * BATCHES {
        if socket.recv(&mut one_octet).is_err() {
            return;
        }
    }
}

/// One recvmmsg call over slices of `buffer`; `each` gets every packet.
fn batch<S: SockaddrLike + Copy>(
    fd: RawFd,
    buffer: &mut [u8],
    capacity: usize,
    headers: &mut Headers<S>,
    each: &mut dyn FnMut(&RecvMsg<'_, '_, S>, &[u8]),
) -> nix::Result<usize> {
    let mut rest = buffer.chunks_exact_mut(capacity);
    let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
        std::array::from_fn(|_| [IoSliceMut::new(rest.next().unwrap_or_default())]);
    let mut count = 0;
    for packet in recvmmsg(fd, &mut headers.0, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)? {
        each(&packet, packet.iovs().next().unwrap_or_default());
        count += 1;
    }
    Ok(count)
}

/// Passes a packet on, or counts why it cannot be passed on.
fn sort<S>(
    packet: &RecvMsg<'_, '_, S>,
    octets: &[u8],
    received: &mut ReceiveReport,
    each: &mut dyn FnMut(Carrier, &[u8]),
    split: impl for<'p> Fn(&RecvMsg<'_, '_, S>, &'p [u8]) -> Option<(Carrier, &'p [u8])>,
) {
    if packet.flags.contains(MsgFlags::MSG_CTRUNC) {
        // The control messages that every packet has fill their room exactly. A message that did
        // not fit is the size of the largest fragment, which only a reassembled packet has.
        // RFC9568-7.1-16
        received.fragmented += 1;
    } else if packet.flags.contains(MsgFlags::MSG_TRUNC) {
        received.truncated += 1;
    } else if let Some((carrier, message)) = split(packet, octets) {
        received.delivered += 1;
        each(carrier, message);
    } else {
        received.unreadable += 1;
    }
}

/// The facts of an IPv6 header, which the kernel reports beside the packet.
fn ipv6_carrier(packet: &RecvMsg<'_, '_, SockaddrIn6>) -> Option<Carrier> {
    let mut destination = None;
    let mut hop_limit = None;
    for control in packet.cmsgs().ok()? {
        if let ControlMessageOwned::Ipv6PacketInfo(info) = control {
            destination = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
        } else if let ControlMessageOwned::Ipv6HopLimit(limit) = control {
            hop_limit = u8::try_from(limit).ok();
        }
    }
    let source = IpAddr::V6(packet.address?.ip());
    Some(Carrier { source, destination: destination?, ttl: hop_limit? })
}
