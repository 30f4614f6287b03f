//! Hears where other stations say that addresses are: gratuitous ARP and unsolicited Neighbor Advertisements.
//!
//! Owns the sockets and the reading of what arrives. Must not know why addresses matter. It queues nothing unless it is
//! told what to listen to: what somebody announced yesterday says nothing today.

use super::filter::{self, GRATUITOUS_ARP, Instruction, NOTHING, UNSOLICITED_ADVERTISEMENT};
use super::socket_error::{Context, SocketError};
use super::sys;
use super::vrrp_socket::{Remaining, grow_buffer};
use crate::types::{Family, InterfaceName, MacAddr};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd};

/// Room for an ARP packet, and for an advertisement with some options.
const LONGEST: usize = 128;

/// Packets per [`SightingSocket::receive`]: a flood must not keep the caller from its timers.
const BOUND: usize = 256;

/// Addresses that one socket can listen to: a filter compares one after the other.
const MOST: usize = 500;

/// What a socket hears.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Hearing {
    /// Nothing.
    #[default]
    Nothing,
    /// What announces one of these addresses, or speaks from it to all. Of more than 500, what announces any address.
    These(BTreeSet<IpAddr>),
    /// What announces any address.
    Everything,
}

/// One announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// Which address.
    pub address: IpAddr,
    /// Where it is said to be.
    pub mac: MacAddr,
}

/// Hears the announcements of one family on one interface.
#[derive(Debug)]
pub struct SightingSocket {
    socket: Socket,
    family: Family,
    hearing: Hearing,
}

impl SightingSocket {
    /// Opens the socket, which is deaf until [`Self::listen`].
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
        // Two thousand addresses are announced in one burst.
        context.step("enlarge the receive buffer for announcements", grow_buffer(&socket))?;
        Ok(Self { socket, family, hearing: Hearing::Nothing })
    }

    /// From now on this is queued. When that is nothing, what is queued is forgotten.
    ///
    /// # Errors
    /// The kernel's, then it hears what it heard before.
    pub fn listen(&mut self, hearing: Hearing) -> io::Result<()> {
        if hearing == self.hearing {
            return Ok(());
        }
        filter::attach(&self.socket, &program(self.family, &hearing))?;
        if hearing == Hearing::Nothing {
            while self.receive(&mut |_| {})? == Remaining::Possibly {}
        }
        self.hearing = hearing;
        Ok(())
    }

    /// Hands every queued announcement to `each`, in the order of arrival, for at most 256 packets. What cannot
    /// be read announces nothing.
    ///
    /// # Errors
    /// The kernel's error; never `WouldBlock`.
    pub fn receive(&self, each: &mut dyn FnMut(Sighting)) -> io::Result<Remaining> {
        let mut packet = [0; LONGEST];
        for _ in 0..BOUND {
            match (&self.socket).read(&mut packet) {
                Ok(length) => {
                    let packet = packet.get(..length).unwrap_or_default();
                    let seen = match self.family {
                        Family::Ipv4 => read_arp(packet),
                        Family::Ipv6 => read_advertisement(packet),
                    };
                    seen.into_iter().for_each(&mut *each);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Remaining::Nothing),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Remaining::Possibly)
    }
}

impl AsFd for SightingSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn program(family: Family, hearing: &Hearing) -> Vec<Instruction> {
    match (family, hearing) {
        (_, Hearing::Nothing) => NOTHING.to_vec(),
        (Family::Ipv4, Hearing::These(addresses)) if addresses.len() <= MOST => {
            let ipv4 = addresses.iter().filter_map(|address| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            });
            filter::arp_from(&ipv4.collect::<Vec<_>>())
        }
        (Family::Ipv6, Hearing::These(addresses)) if addresses.len() <= MOST => {
            let ipv6 = addresses.iter().filter_map(|address| match address {
                IpAddr::V4(_) => None,
                IpAddr::V6(address) => Some(*address),
            });
            filter::advertisement_of(&ipv6.collect::<Vec<_>>())
        }
        (Family::Ipv4, Hearing::These(_) | Hearing::Everything) => GRATUITOUS_ARP.to_vec(),
        (Family::Ipv6, Hearing::These(_) | Hearing::Everything) => UNSOLICITED_ADVERTISEMENT.to_vec(),
    }
}

/// It must have its filter before it is bound: from then on it is served.
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
    // The kernel binds to any number; only the way back, to a name, tells whether there is such an interface.
    let bound = bound.and_then(|()| socket.device());
    context.step("bind a raw socket for ICMPv6 to the interface", bound)?;
    Ok(socket)
}

fn read_arp(packet: &[u8]) -> Option<Sighting> {
    let address = Ipv4Addr::from(octets::<4>(packet, 14)?);
    Some(Sighting { address: address.into(), mac: MacAddr(octets(packet, 8)?) })
}

/// By hand: what arrives is anybody's, and must not make a parser panic or turn in circles. Without a Target
/// Link-Layer Address it does not say where.
fn read_advertisement(packet: &[u8]) -> Option<Sighting> {
    const TARGET_LINK_LAYER_ADDRESS: u8 = 2;
    let address = Ipv6Addr::from(octets::<16>(packet, 8)?);
    let mut options = packet.get(24..)?;
    while let [kind, eights, ..] = *options {
        if kind == TARGET_LINK_LAYER_ADDRESS {
            return Some(Sighting { address: address.into(), mac: MacAddr(octets(options, 2)?) });
        }
        // RFC 4861 §4.6: an option of no length ends it all.
        options = options.get(usize::from(eights.max(1)) * 8..).filter(|_| eights > 0)?;
    }
    None
}

fn octets<const N: usize>(packet: &[u8], at: usize) -> Option<[u8; N]> {
    packet.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::announce::Frame;
    use proptest::prelude::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0xaa, 0xbb, 0xcc]);

    /// What is behind the header that the kernel keeps for itself.
    fn payload(address: IpAddr) -> Vec<u8> {
        let frame = Frame::announcing(address, MAC);
        let header = if address.is_ipv4() { 14 } else { 14 + 40 };
        frame.as_bytes()[header..].to_vec()
    }

    #[test]
    fn what_we_announce_is_what_we_read() {
        let v4: IpAddr = "192.0.2.254".parse().unwrap();
        let v6: IpAddr = "2001:db8::fe".parse().unwrap();
        assert_eq!(read_arp(&payload(v4)), Some(Sighting { address: v4, mac: MAC }));
        assert_eq!(read_advertisement(&payload(v6)), Some(Sighting { address: v6, mac: MAC }));
    }

    #[test]
    fn the_target_link_layer_address_is_found_behind_other_options() {
        let address: IpAddr = "2001:db8::fe".parse().unwrap();
        let mut packet = payload(address);
        packet.splice(24..24, [14, 2].into_iter().chain([9; 14]));
        assert_eq!(read_advertisement(&packet), Some(Sighting { address, mac: MAC }));
        packet[25] = 0;
        assert_eq!(read_advertisement(&packet), None, "an option of no length");
        assert_eq!(read_advertisement(&packet[..24]), None, "no option at all");
    }

    proptest! {
        #[test]
        fn any_packet_is_read_to_its_end(packet in prop::collection::vec(any::<u8>(), 0..=LONGEST)) {
            let _ = (read_arp(&packet), read_advertisement(&packet));
        }
    }
}
