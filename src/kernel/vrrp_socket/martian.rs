//! Receiving what the kernel drops as "martian": advertisements whose source is an address of this host, too.
//!
//! An owner that comes back speaks from the very address that the Backup holds in its place, and IPv4 refuses every
//! packet from an own address before any raw socket sees it. A packet socket hears it below IP (docs/adr/0018). It is
//! told from which addresses, and queues nothing else, so that nothing is heard twice. The kernel checks nothing
//! here: [`crate::wire`] verifies the header's checksum and refuses fragments, and the firewall is not asked.

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

/// As much as the raw socket keeps of one packet, behind its Ethernet header.
const LONGEST: usize = ETHERNET_HEADER + 60 + 8 + 255 * 4 + 8;

/// Packets per [`MartianSocket::receive`]: a flood must not keep the caller from its timers.
const BOUND: usize = 256;

/// Addresses that one socket can listen for: a filter is compared with one after the other.
pub(super) const MOST: usize = 500;

/// Hears advertisements from addresses of this host on one interface.
#[derive(Debug)]
pub struct MartianSocket {
    socket: Socket,
    sources: BTreeSet<Ipv4Addr>,
}

impl MartianSocket {
    /// Opens the socket, which is deaf until [`Self::listen_to`]. The group is joined by the raw socket of the interface.
    ///
    /// # Errors
    /// [`SocketError`], with the step that failed.
    pub fn open(interface: InterfaceName, index: u32) -> Result<Self, SocketError> {
        let context = Context { interface, index };
        let opened = Socket::new(Domain::PACKET, Type::RAW, None);
        let socket = context.step("open a packet socket for advertisements", opened)?;
        // Before it is bound: from then on it is served.
        context.step("attach a filter to a packet socket", filter::attach(&socket, &NOTHING))?;
        let address = context.step("use the interface's index", sys::ipv4_address(index))?;
        context.step("bind a packet socket to the interface", socket.bind(&address))?;
        context.step("make a packet socket non-blocking", socket.set_nonblocking(true))?;
        context.step("enlarge the receive buffer for advertisements", grow_buffer(&socket))?;
        Ok(Self { socket, sources: BTreeSet::new() })
    }

    /// From now on what these say is queued, and nothing else. Of more than 500 the first count.
    ///
    /// # Errors
    /// The kernel's, then it hears whom it heard before.
    pub fn listen_to(&mut self, sources: BTreeSet<Ipv4Addr>) -> io::Result<()> {
        let heard: BTreeSet<Ipv4Addr> = sources.into_iter().take(MOST).collect();
        if heard != self.sources {
            filter::attach(&self.socket, &filter::group_from(&heard))?;
            self.sources = heard;
        }
        Ok(())
    }

    /// Hands every queued message to `each`, in the order of arrival, for at most 256 packets. What is damaged is dropped,
    /// as the kernel would.
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
