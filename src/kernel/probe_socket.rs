//! The sockets for probe frames ([`crate::wire::write_probe`]): one that sends whole frames, and one
//! that receives probes and nothing else.
//!
//! This module owns the kernel's side: the filter passes exactly the probes that are sent to this host
//! on one interface, so that the frames of a busy server are not even copied. It must not know what is
//! inside a probe, nor what it proves. No kernel answers a probe, with or without these sockets.

use super::filter;
use super::socket_error::{Context, SocketError};
use super::sys;
use crate::types::{Family, InterfaceName, MacAddr};
use crate::wire::{read_probe, write_probe};
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::IpAddr;
use tokio::net::UdpSocket;

/// Probes in one call of [`ProbeSocket::receive`]: a flood must not keep the caller from its other
/// work.
const AT_ONCE: usize = 32;
/// Room for a packet that is longer than any probe, which is cut off and then not read.
const ROOM: usize = 2048;
/// The receive buffer in octets. Probes come once in seconds at most; of a flood, the newest are dropped.
const BUFFER: usize = 64 << 10;

/// Sends and receives the probes of one family on one interface.
#[derive(Debug)]
pub struct ProbeSocket {
    /// A packet socket. Tokio knows packet sockets only by this name; of its operations, `recv` is used,
    /// which is the same for all sockets.
    receiver: UdpSocket,
    sender: Socket,
    family: Family,
    index: u32,
}

impl ProbeSocket {
    /// Opens the sockets. To be called in a tokio runtime.
    ///
    /// # Errors
    /// [`SocketError`], with the step that failed.
    pub fn open(interface: InterfaceName, index: u32, family: Family) -> Result<Self, SocketError> {
        let context = Context { interface, index };
        let receiver = open_receiver(context, family)?;
        let receiver = context.step("watch a packet socket", UdpSocket::from_std(receiver.into()))?;
        // With protocol 0 the kernel never gives this socket a packet (packet(7)).
        let sender = Socket::new(Domain::PACKET, Type::RAW, None);
        let sender = context.step("open a packet socket for probes", sender)?;
        let address = context.step("use the interface's index", sys::transmit_only_address(index))?;
        context.step("bind a packet socket to the interface", sender.bind(&address))?;
        context.step("make a packet socket non-blocking", sender.set_nonblocking(true))?;
        Ok(Self { receiver, sender, family, index })
    }

    /// Waits until [`Self::receive`] may have something.
    ///
    /// # Errors
    /// The runtime ends.
    pub async fn readable(&self) -> io::Result<()> {
        self.receiver.readable().await
    }

    /// The index of the interface. An interface that is created again has another one.
    #[must_use]
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Sends a probe from this MAC to a node on the link: to its MAC and its own address.
    ///
    /// # Errors
    /// The kernel's error, or `InvalidInput` for an address of the other family or a payload that is too
    /// long; the probe was not sent.
    pub fn send(&self, from: MacAddr, to: MacAddr, address: IpAddr, payload: &[u8]) -> io::Result<()> {
        let frame = (Family::of(address) == self.family).then(|| write_probe(from, to, address, payload));
        let frame = frame.flatten().ok_or(io::ErrorKind::InvalidInput)?;
        self.sender.send(&frame).map(drop)
    }

    /// Takes the payloads of the probes that are queued, at most 32. What only looks like a probe is left
    /// out.
    ///
    /// # Errors
    /// The kernel's error, `WouldBlock` if nothing is queued.
    pub fn receive(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut taken = Vec::new();
        for round in 0..AT_ONCE {
            match self.receive_one() {
                Ok(payload) => taken.extend(payload),
                Err(error) if round == 0 => return Err(error),
                // It comes again at the next call.
                Err(_) => break,
            }
        }
        Ok(taken)
    }

    fn receive_one(&self) -> io::Result<Option<Vec<u8>>> {
        let mut room = [0; ROOM];
        let length = self.receiver.try_recv(&mut room)?;
        Ok(room.get(..length).and_then(|packet| read_probe(self.family, packet)))
    }
}

/// The filter is attached before the socket is bound, because a bound socket queues packets.
fn open_receiver(context: Context, family: Family) -> Result<Socket, SocketError> {
    let opened = Socket::new(Domain::PACKET, Type::DGRAM, None);
    let socket = context.step("open a packet socket for probes", opened)?;
    let (program, address) = match family {
        Family::Ipv4 => (filter::PROBE_IPV4.as_slice(), sys::ipv4_address(context.index)),
        Family::Ipv6 => (filter::PROBE_IPV6.as_slice(), sys::ipv6_address(context.index)),
    };
    context.step("attach a filter to a packet socket", filter::attach(&socket, program))?;
    let address = context.step("use the interface's index", address)?;
    context.step("limit the buffer of a packet socket", socket.set_recv_buffer_size(BUFFER))?;
    context.step("make a packet socket non-blocking", socket.set_nonblocking(true))?;
    context.step("bind a packet socket to the interface", socket.bind(&address))?;
    Ok(socket)
}
