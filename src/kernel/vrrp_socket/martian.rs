//! Receives what the kernel drops as "martian": advertisements whose source is also an address of
//! this host.
//!
//! An owner that comes back advertises from the very address that the Backup holds in its place,
//! and IPv4 drops every packet from an own address before any raw socket receives it. A packet
//! socket receives it below IP (docs/adr/0018). It is given the addresses and queues nothing else,
//! so that no packet is received twice. The kernel checks nothing at this level: [`crate::wire`]
//! verifies the header's checksum and refuses fragments, and the kernel's firewall does not apply.

use super::receive::{Remaining, grow_buffer};
use crate::kernel::filter::{self, NOTHING};
use crate::kernel::socket_error::{Context, SocketError};
use crate::kernel::sys;
use crate::types::InterfaceName;
use crate::wire::{Carrier, ETHERNET_HEADER, split_ipv4_frame};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

/// As many octets as the raw socket keeps of one packet, behind its Ethernet header.
const LONGEST: usize = ETHERNET_HEADER + 60 + 8 + 255 * 4 + 8;

/// Packets in one [`MartianSocket::receive`]: a flood must not keep the caller from its timers.
const BOUND: usize = 256;

/// Number of addresses that one socket can receive from, because a filter compares them one after
/// the other.
pub(super) const MOST: usize = 500;

/// Receives advertisements from addresses of this host on one interface.
#[derive(Debug)]
pub struct MartianSocket {
    socket: Socket,
    sources: BTreeSet<Ipv4Addr>,
}

impl MartianSocket {
    /// Opens the socket, which receives nothing until [`Self::listen_to`]. The raw socket of the
    /// interface joins the group.
    ///
    /// # Errors
    /// [`SocketError`], with the step that failed.
    pub fn open(interface: InterfaceName, index: u32) -> Result<Self, SocketError> {
        let context = Context { interface, index };
        let opened = Socket::new(Domain::PACKET, Type::RAW, None);
        let socket = context.step("open a packet socket for advertisements", opened)?;
        // Before the socket is bound, because from then on the kernel delivers packets to it.
        context.step("attach a filter to a packet socket", filter::attach(&socket, &NOTHING))?;
        let address = context.step("use the interface's index", sys::ipv4_address(index))?;
        context.step("bind a packet socket to the interface", socket.bind(&address))?;
        context.step("make a packet socket non-blocking", socket.set_nonblocking(true))?;
        context.step("enlarge the receive buffer for advertisements", grow_buffer(&socket))?;
        Ok(Self { socket, sources: BTreeSet::new() })
    }

    /// From now on, packets from these addresses are queued, and no others. If there are more than
    /// 500, the first ones count.
    ///
    /// # Errors
    /// The kernel's error; the addresses are then the same as before.
    pub fn listen_to(&mut self, sources: BTreeSet<Ipv4Addr>) -> io::Result<()> {
        let heard: BTreeSet<Ipv4Addr> = sources.into_iter().take(MOST).collect();
        if heard != self.sources {
            filter::attach(&self.socket, &filter::group_from(&heard))?;
            self.sources = heard;
        }
        Ok(())
    }

    /// Passes every queued message to `each`, in the order of arrival, for at most 256 packets.
    /// Damaged packets are dropped, as the kernel would.
    ///
    /// # Errors
    /// The kernel's error; never `WouldBlock`.
    pub fn receive(&self, each: &mut dyn FnMut(Carrier, &[u8])) -> io::Result<Remaining> {
        let mut frame = [0; LONGEST];
        for _ in 0..BOUND {
            match (&self.socket).read(&mut frame) {
                Ok(length) => {
                    if let Ok((carrier, message)) = split_ipv4_frame(frame.get(..length).unwrap_or_default())
                    {
                        each(carrier, message);
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

impl AsFd for MartianSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
