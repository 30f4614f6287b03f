//! Receiving what the kernel drops as "martian": advertisements whose source is an address of this host, too.
//!
//! An owner that comes back speaks from the very address that the Backup holds in its place, and IPv4 refuses every
//! packet from an own address before any raw socket sees it. A packet socket hears it below IP (docs/adr/0018). It is
//! told from which addresses, and queues nothing else, so that nothing is heard twice. The kernel checks nothing
//! here: the header's checksum and fragments are looked at by hand, and its firewall is not asked.

use super::receive::{Remaining, grow_buffer};
use crate::kernel::filter::{self, NOTHING};
use crate::kernel::socket_error::{Context, SocketError};
use crate::kernel::sys;
use crate::types::InterfaceName;
use crate::wire::{Carrier, split_ipv4};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

/// Octets of an Ethernet header; a tag of a VLAN is not in it.
const ETHERNET: usize = 14;

/// As much as the raw socket keeps of one packet, behind its Ethernet header.
const LONGEST: usize = ETHERNET + 60 + 8 + 255 * 4 + 8;

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
                    if let Some((carrier, message)) = read(frame.get(..length).unwrap_or_default()) {
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

fn read(frame: &[u8]) -> Option<(Carrier, &[u8])> {
    let packet = frame.get(ETHERNET..)?;
    let header = packet.get(..usize::from(packet.first()? & 0x0f) * 4)?;
    if internet_checksum(header) != 0 {
        return None;
    }
    let (carrier, message) = split_ipv4(packet).ok()?;
    Some((carrier, message))
}

/// RFC 1071; 0 over a header that holds its own checksum.
fn internet_checksum(octets: &[u8]) -> u16 {
    let mut sum = octets.chunks_exact(2).fold(0_u32, |sum, pair| match *pair {
        [high, low] => sum + u32::from(u16::from_be_bytes([high, low])),
        _ => sum,
    });
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An owner's advertisement from 192.0.2.10, VRID 51, as it leaves its interface.
    fn frame() -> Vec<u8> {
        let mut frame = vec![1, 0, 0x5e, 0, 0, 0x12, 2, 0, 0, 0, 0, 0x0a, 8, 0];
        let mut header = vec![0x45, 0xc0, 0, 32, 0, 0, 0x40, 0, 255, 112, 0, 0, 192, 0, 2, 10, 224, 0, 0, 18];
        let sum = internet_checksum(&header).to_be_bytes();
        header[10..12].copy_from_slice(&sum);
        frame.extend(header);
        frame.extend([0x31, 51, 255, 1, 0, 100, 0, 0, 192, 0, 2, 10]);
        frame
    }

    #[test]
    fn a_frame_is_its_carrier_and_its_message() {
        let frame = frame();
        let (carrier, message) = read(&frame).unwrap();
        assert_eq!(carrier.source, Ipv4Addr::new(192, 0, 2, 10));
        assert_eq!((carrier.destination, carrier.ttl), (Ipv4Addr::new(224, 0, 0, 18).into(), 255));
        assert_eq!(message, &frame[34..]);
    }

    #[test]
    fn what_the_kernel_would_drop_is_dropped() {
        for damaged in [14, 16, 22, 24, 26, 30] {
            let mut frame = frame();
            frame[damaged] ^= 1;
            assert!(read(&frame).is_none(), "octet {damaged}");
        }
        let frame = frame();
        for length in 0..frame.len() {
            assert!(read(&frame[..length]).is_none(), "cut at {length}");
        }
    }
}
