//! The UDP sockets of the channel between nodes: one for each interface and family.
//!
//! Owns the kernel's side: a socket hears one interface only, is a member of VRRP's group there if it
//! is told to be, sends with TTL or Hop Limit 255, and says with which one a datagram has arrived. Must
//! not know what is inside a datagram, nor from where one may come.

use super::membership::{self, GroupMembership};
use super::socket_error::{Context, SocketError};
use crate::types::{Family, InterfaceName};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::NonZeroU32;
use std::os::fd::AsRawFd;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// TTL and Hop Limit of what is sent: a router lowers it (RFC 5082).
const TTL: u32 = 255;
/// Datagrams in one call of [`ChannelSocket::receive`]: a flood must not keep the caller from its
/// other work.
const AT_ONCE: usize = 32;
/// Room for a datagram that is longer than any of ours, so that it is noticed.
const ROOM: usize = 2048;

/// A datagram that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelDatagram {
    /// Its source address.
    pub source: IpAddr,
    /// Its TTL or Hop Limit: below 255, it was routed.
    pub ttl: u8,
    /// Its octets.
    pub octets: Vec<u8>,
}

/// Sends and receives the datagrams of the channel on one interface in one family.
#[derive(Debug)]
pub struct ChannelSocket {
    socket: UdpSocket,
    context: Context,
    family: Family,
    port: u16,
}

impl ChannelSocket {
    /// Opens the socket, as a member of VRRP's group or not. To be called in a tokio runtime.
    ///
    /// # Errors
    /// [`SocketError`], with the step that failed; `AddrInUse`: another program has the port.
    pub fn open(
        interface: InterfaceName,
        index: u32,
        family: Family,
        port: u16,
        group: GroupMembership,
    ) -> Result<Self, SocketError> {
        let context = Context { interface, index };
        let domain = match family {
            Family::Ipv4 => Domain::IPV4,
            Family::Ipv6 => Domain::IPV6,
        };
        let opened = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP));
        let socket = context.step("open a UDP socket", opened)?;
        context.step("make a UDP socket non-blocking", socket.set_nonblocking(true))?;
        // Before the port: sockets of different interfaces may have the same one.
        let device = NonZeroU32::new(index);
        let bound = match family {
            Family::Ipv4 => socket.bind_device_by_index_v4(device),
            Family::Ipv6 => socket.bind_device_by_index_v6(device),
        };
        context.step("bind a UDP socket to the interface", bound.and_then(|()| socket.device()))?;
        let any = match family {
            Family::Ipv4 => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
            Family::Ipv6 => {
                context.step("keep IPv4 out of an IPv6 socket", socket.set_only_v6(true))?;
                SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))
            }
        };
        let prepared = match family {
            Family::Ipv4 => prepare_ipv4(&socket),
            Family::Ipv6 => prepare_ipv6(&socket, index),
        };
        context.step("prepare a UDP socket", prepared)?;
        match group {
            GroupMembership::Joined => membership::change(&socket, context, family, group)?,
            GroupMembership::None => {}
        }
        // Last: from here on datagrams are queued, and each must have its TTL with it.
        context.step("bind a UDP socket to its port", socket.bind(&any.into()))?;
        let socket = context.step("watch a UDP socket", UdpSocket::from_std(socket.into()))?;
        Ok(Self { socket, context, family, port })
    }

    /// Waits until [`Self::receive`] may have something.
    ///
    /// # Errors
    /// The runtime ends.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// The index of the interface. An interface that is created again has another one.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.context.index
    }

    /// Joins the group, or leaves it. The socket is not what it is told to become.
    ///
    /// # Errors
    /// [`SocketError`]; the socket stays what it was.
    pub fn change_membership(&self, wanted: GroupMembership) -> Result<(), SocketError> {
        membership::change(&SockRef::from(&self.socket), self.context, self.family, wanted)
    }

    /// Sends a datagram from this address, to one node or to the group.
    ///
    /// # Errors
    /// The kernel's error; the datagram was not sent.
    pub fn send(&self, source: IpAddr, to: IpAddr, octets: &[u8]) -> io::Result<()> {
        let destination = match to {
            IpAddr::V4(to) => SocketAddr::V4(SocketAddrV4::new(to, self.port)),
            IpAddr::V6(to) => SocketAddr::V6(SocketAddrV6::new(to, self.port, 0, self.index())),
        };
        let index = i32::try_from(self.index()).map_err(io::Error::other)?;
        let ipv4;
        let ipv6;
        let control = match source {
            IpAddr::V4(source) => {
                ipv4 = libc::in_pktinfo {
                    ipi_ifindex: index,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(source.octets()) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                ControlMessage::Ipv4PacketInfo(&ipv4)
            }
            IpAddr::V6(source) => {
                ipv6 = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: source.octets() },
                    ipi6_ifindex: self.index(),
                };
                ControlMessage::Ipv6PacketInfo(&ipv6)
            }
        };
        let destination = SockaddrStorage::from(destination);
        let pieces = [IoSlice::new(octets)];
        sendmsg(self.socket.as_raw_fd(), &pieces, &[control], MsgFlags::MSG_DONTWAIT, Some(&destination))?;
        Ok(())
    }

    /// Takes what is queued, at most 32 datagrams. Those that are longer than any of ours are left out.
    ///
    /// # Errors
    /// The kernel's error, `WouldBlock` if nothing is queued.
    pub fn receive(&self) -> io::Result<Vec<ChannelDatagram>> {
        let mut taken = Vec::new();
        for round in 0..AT_ONCE {
            match self.socket.try_io(Interest::READABLE, || self.receive_one()) {
                Ok(datagram) => taken.extend(datagram),
                Err(error) if round == 0 => return Err(error),
                // It comes again at the next call.
                Err(_) => break,
            }
        }
        Ok(taken)
    }

    fn receive_one(&self) -> io::Result<Option<ChannelDatagram>> {
        let mut room = [0; ROOM];
        let mut control = nix::cmsg_space!(libc::c_int);
        let mut pieces = [IoSliceMut::new(&mut room)];
        let descriptor = self.socket.as_raw_fd();
        let received =
            recvmsg::<SockaddrStorage>(descriptor, &mut pieces, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
        let mut ttl = None;
        for control in received.cmsgs()? {
            if let ControlMessageOwned::Ipv4Ttl(told) | ControlMessageOwned::Ipv6HopLimit(told) = control {
                ttl = Some(told);
            }
        }
        let source = received.address.as_ref().and_then(address);
        let (length, cut) = (received.bytes, received.flags.contains(MsgFlags::MSG_TRUNC));
        let octets = room.get(..length).filter(|_| !cut);
        let parts = source.zip(ttl.and_then(|ttl| u8::try_from(ttl).ok())).zip(octets);
        Ok(parts.map(|((source, ttl), octets)| ChannelDatagram { source, ttl, octets: octets.to_vec() }))
    }
}

fn prepare_ipv4(socket: &Socket) -> io::Result<()> {
    socket.set_multicast_all_v4(false)?;
    socket.set_multicast_ttl_v4(TTL)?;
    socket.set_ttl_v4(TTL)?;
    socket.set_multicast_loop_v4(false)?;
    Ok(setsockopt(socket, sockopt::Ipv4RecvTtl, &true)?)
}

fn prepare_ipv6(socket: &Socket, index: u32) -> io::Result<()> {
    socket.set_multicast_all_v6(false)?;
    socket.set_multicast_hops_v6(TTL)?;
    socket.set_unicast_hops_v6(TTL)?;
    socket.set_multicast_loop_v6(false)?;
    socket.set_multicast_if_v6(index)?;
    Ok(setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true)?)
}

fn address(storage: &SockaddrStorage) -> Option<IpAddr> {
    let ipv4 = storage.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    ipv4.or_else(|| storage.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}
