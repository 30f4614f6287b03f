//! The sockets that receive the announcements of other stations: gratuitous ARP and unsolicited
//! Neighbor Advertisements.
//!
//! This module owns the sockets and their filters; [`crate::wire`] reads the packets. It must not
//! know why addresses matter. A socket queues nothing until it is told what to listen to, because
//! an old announcement does not describe the present.

use super::filter::{self, GRATUITOUS_ARP, Instruction, NOTHING, UNSOLICITED_ADVERTISEMENT};
use super::socket_error::{Context, SocketError};
use super::sys;
use super::vrrp_socket::{Remaining, grow_buffer};
use crate::types::{Family, InterfaceName};
use crate::wire::{Announcement, LONGEST_ANNOUNCEMENT};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd};

/// Number of packets per [`AnnouncementSocket::receive`]: a flood must not keep the caller from its
/// timers.
const BOUND: usize = 256;

/// Number of addresses that one socket can listen to: its filter compares one after the other.
const MOST: usize = 500;

/// Which announcements a socket queues.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AnnouncementFilter {
    /// The socket queues no announcements.
    #[default]
    Nothing,
    /// The announcements of these addresses, and for IPv4 every ARP packet that one of them sends
    /// to all stations. With more than 500 addresses the socket queues the announcements of every
    /// address.
    Addresses(BTreeSet<IpAddr>),
    /// The announcements of every address.
    Everything,
}

/// Receives the announcements of one family on one interface.
#[derive(Debug)]
pub struct AnnouncementSocket {
    socket: Socket,
    family: Family,
    watched: AnnouncementFilter,
}

impl AnnouncementSocket {
    /// Opens the socket, which queues nothing until [`Self::watch`].
    ///
    /// # Errors
    /// [`SocketError`], with the step that failed.
    pub fn open(interface: InterfaceName, index: u32, family: Family) -> Result<Self, SocketError> {
        let context = Context { interface, index };
        let socket = match family {
            Family::Ipv4 => open_arp(context)?,
            Family::Ipv6 => open_icmpv6(context)?,
        };
        context.step("make a socket for announcements non-blocking", socket.set_nonblocking(true))?;
        // The buffer is enlarged because two thousand addresses are announced in one burst.
        context.step("enlarge the receive buffer for announcements", grow_buffer(&socket))?;
        Ok(Self { socket, family, watched: AnnouncementFilter::Nothing })
    }

    /// Queues these announcements from now on. Watching nothing also empties the queue.
    ///
    /// # Errors
    /// The kernel's error; the socket then queues what it queued before.
    pub fn watch(&mut self, watched: AnnouncementFilter) -> io::Result<()> {
        if watched == self.watched {
            return Ok(());
        }
        filter::attach(&self.socket, &program(self.family, &watched))?;
        if watched == AnnouncementFilter::Nothing {
            while self.receive(&mut |_| {})? == Remaining::Possibly {}
        }
        self.watched = watched;
        Ok(())
    }

    /// Gives every queued announcement to `each`, in the order of arrival, for at most 256 packets.
    /// A packet that cannot be read is skipped.
    ///
    /// # Errors
    /// The kernel's error; never `WouldBlock`.
    pub fn receive(&self, each: &mut dyn FnMut(Announcement)) -> io::Result<Remaining> {
        let mut packet = [0; LONGEST_ANNOUNCEMENT];
        for _ in 0..BOUND {
            match (&self.socket).read(&mut packet) {
                Ok(length) => {
                    let packet = packet.get(..length).unwrap_or_default();
                    if let Some(announcement) = Announcement::read(self.family, packet) {
                        each(announcement);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Remaining::Nothing),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Remaining::Possibly)
    }
}

impl AsFd for AnnouncementSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn program(family: Family, watched: &AnnouncementFilter) -> Vec<Instruction> {
    match (family, watched) {
        (_, AnnouncementFilter::Nothing) => NOTHING.to_vec(),
        (Family::Ipv4, AnnouncementFilter::Addresses(addresses)) if addresses.len() <= MOST => {
            let ipv4 = addresses.iter().filter_map(|address| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            });
            filter::arp_from(&ipv4.collect::<Vec<_>>())
        }
        (Family::Ipv6, AnnouncementFilter::Addresses(addresses)) if addresses.len() <= MOST => {
            let ipv6 = addresses.iter().filter_map(|address| match address {
                IpAddr::V4(_) => None,
                IpAddr::V6(address) => Some(*address),
            });
            filter::advertisement_of(&ipv6.collect::<Vec<_>>())
        }
        (Family::Ipv4, AnnouncementFilter::Addresses(_) | AnnouncementFilter::Everything) => {
            GRATUITOUS_ARP.to_vec()
        }
        (Family::Ipv6, AnnouncementFilter::Addresses(_) | AnnouncementFilter::Everything) => {
            UNSOLICITED_ADVERTISEMENT.to_vec()
        }
    }
}

/// The filter is attached before the socket is bound, because a bound socket queues packets.
fn open_arp(context: Context) -> Result<Socket, SocketError> {
    let opened = Socket::new(Domain::PACKET, Type::DGRAM, None);
    let socket = context.step("open a packet socket for ARP", opened)?;
    context.step("attach a filter to a packet socket", filter::attach(&socket, &NOTHING))?;
    let address = context.step("use the interface's index", sys::arp_address(context.index))?;
    context.step("bind a packet socket to the interface", socket.bind(&address))?;
    Ok(socket)
}

fn open_icmpv6(context: Context) -> Result<Socket, SocketError> {
    let opened = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6));
    let socket = context.step("open a raw socket for ICMPv6", opened)?;
    context.step("attach a filter to a raw socket", filter::attach(&socket, &NOTHING))?;
    let bound = socket.bind_device_by_index_v6(NonZeroU32::new(context.index));
    // The kernel binds to any number. Only a query of the name shows whether there is such an
    // interface.
    let bound = bound.and_then(|()| socket.device());
    context.step("bind a raw socket for ICMPv6 to the interface", bound)?;
    Ok(socket)
}
