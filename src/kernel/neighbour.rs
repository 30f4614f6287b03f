//! The MAC address that the kernel knows for a neighbour, by rtnetlink(7).
//!
//! A node that forwards packets to another has to recognise the packets of that other, which it
//! must not send back. This module must not know why it is asked. It sends nothing itself: the
//! kernel resolves the address (ARP, or Neighbor Discovery) when it is told that somebody wants to
//! use the neighbour (NTF_USE).
//!
//! Each function opens a socket of its own, in the network namespace of the calling thread, and
//! blocks for a limited time.

use super::netlink::{KernelRefusal, NetlinkError, refusal};
use super::netlink_socket;
use super::wait_limit::WaitLimit;
use crate::types::MacAddr;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::errno::Errno;
use std::io;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

/// The multicast group for changes of neighbours (`linux/rtnetlink.h`).
const RTNLGRP_NEIGH: u32 = 3;
/// How long the kernel may take to answer a request.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);
/// Notifications are shorter; a datagram may have several.
const DATAGRAM: usize = 64 << 10;

/// Why the MAC address of a neighbour is not known.
#[derive(Debug, thiserror::Error)]
pub enum NeighbourError {
    /// The kernel cannot be asked.
    #[error("cannot ask for the MAC address of {0}")]
    Netlink(IpAddr, #[source] NetlinkError),
    /// The kernel refused to resolve the address.
    #[error("the kernel refuses to look for the MAC address of {0}: {1}")]
    Refused(IpAddr, KernelRefusal),
    /// Nobody answered for the address.
    #[error("no host on the link answers for {0}")]
    NoAnswer(IpAddr),
}

/// The MAC address that the kernel knows for `address` on the interface with this index. `None`:
/// it knows none, or is still looking for it.
///
/// An address that has not been used for a while may be out of date; the kernel checks that when
/// it uses the address again.
///
/// # Errors
/// [`NeighbourError::Netlink`], if the kernel cannot be asked.
pub fn known(index: u32, address: IpAddr) -> Result<Option<MacAddr>, NeighbourError> {
    let mut channel = NeighbourChannel::open(index, address)?;
    channel.look_up()?;
    Ok(channel.entry.mac())
}

/// The MAC address of `address` on the interface with this index. If the kernel does not know it,
/// it is made to look for it, which takes CAP_NET_ADMIN.
///
/// # Errors
/// [`NeighbourError`]; [`NeighbourError::NoAnswer`] when the kernel has given up, or after `within`.
pub fn resolve(index: u32, address: IpAddr, within: Duration) -> Result<MacAddr, NeighbourError> {
    let mut channel = NeighbourChannel::open(index, address)?;
    // Before the first look, so that no change after it is missed.
    channel.subscribe()?;
    channel.look_up()?;
    if channel.entry.mac().is_none() {
        channel.provoke()?;
    }
    let limit = channel.limit(within)?;
    loop {
        match channel.entry {
            NeighbourEntry::Known(mac) => return Ok(mac),
            NeighbourEntry::Failed => return Err(NeighbourError::NoAnswer(address)),
            NeighbourEntry::Unknown => channel.wait(&limit)?,
        }
    }
}

/// What the kernel has said about the neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NeighbourEntry {
    /// Nothing yet, or that it is looking for it.
    Unknown,
    /// The MAC address.
    Known(MacAddr),
    /// That it has looked for it without success.
    Failed,
}

impl NeighbourEntry {
    fn mac(self) -> Option<MacAddr> {
        match self {
            Self::Known(mac) => Some(mac),
            Self::Unknown | Self::Failed => None,
        }
    }

    /// Reads what a message says about the neighbour; `None` if it is about another.
    #[expect(clippy::wildcard_enum_match_arm, reason = "not our enums; the other attributes are of no use")]
    fn decode(message: &NeighbourMessage, index: u32, address: IpAddr) -> Option<Self> {
        let mut destination = None;
        let mut mac = None;
        for attribute in &message.attributes {
            match attribute {
                NeighbourAttribute::Destination(NeighbourAddress::Inet(a)) => destination = Some((*a).into()),
                NeighbourAttribute::Destination(NeighbourAddress::Inet6(a)) => {
                    destination = Some((*a).into())
                }
                NeighbourAttribute::LinkLayerAddress(octets) => {
                    mac = octets.as_slice().try_into().ok().map(MacAddr);
                }
                _ => {}
            }
        }
        if message.header.ifindex != index || destination != Some(address) {
            return None;
        }
        Some(match message.header.state {
            NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Noarp
            | NeighbourState::Permanent => mac.map_or(Self::Unknown, Self::Known),
            NeighbourState::Failed => Self::Failed,
            _ => Self::Unknown,
        })
    }
}

struct NeighbourChannel {
    socket: Socket,
    index: u32,
    address: IpAddr,
    sequence: u32,
    entry: NeighbourEntry,
    incoming: Vec<u8>,
}

impl NeighbourChannel {
    fn open(index: u32, address: IpAddr) -> Result<Self, NeighbourError> {
        let socket = netlink_socket::open(NETLINK_ROUTE);
        let socket = socket.map_err(|error| NeighbourError::Netlink(address, NetlinkError::Open(error)))?;
        let incoming = vec![0; DATAGRAM];
        Ok(Self { socket, index, address, sequence: 0, entry: NeighbourEntry::Unknown, incoming })
    }

    fn error(&self, error: NetlinkError) -> NeighbourError {
        NeighbourError::Netlink(self.address, error)
    }

    fn limit(&self, within: Duration) -> Result<WaitLimit, NeighbourError> {
        WaitLimit::start(within).map_err(|error| self.error(NetlinkError::Receive(error)))
    }

    fn subscribe(&mut self) -> Result<(), NeighbourError> {
        self.socket.add_membership(RTNLGRP_NEIGH).map_err(|error| self.error(NetlinkError::Open(error)))
    }

    /// Asks what the kernel knows.
    fn look_up(&mut self) -> Result<(), NeighbourError> {
        let message = RouteNetlinkMessage::GetNeighbour(self.message());
        match self.transact(message, NLM_F_REQUEST | NLM_F_ACK)? {
            Ok(()) => Ok(()),
            Err(refusal) if refusal.errno == Errno::ENOENT => Ok(()),
            Err(refusal) => Err(NeighbourError::Refused(self.address, refusal)),
        }
    }

    /// Has the kernel look for the neighbour, as if there were a packet for it.
    fn provoke(&mut self) -> Result<(), NeighbourError> {
        let mut message = self.message();
        message.header.flags = NeighbourFlags::Use;
        let message = RouteNetlinkMessage::NewNeighbour(message);
        self.transact(message, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE)?
            .map_err(|refusal| NeighbourError::Refused(self.address, refusal))?;
        // An earlier attempt failed; that one has begun again.
        if self.entry == NeighbourEntry::Failed {
            self.entry = NeighbourEntry::Unknown;
        }
        Ok(())
    }

    fn message(&self) -> NeighbourMessage {
        let mut message = NeighbourMessage::default();
        message.header.ifindex = self.index;
        let (family, destination) = match self.address {
            IpAddr::V4(address) => (AddressFamily::Inet, NeighbourAddress::Inet(address)),
            IpAddr::V6(address) => (AddressFamily::Inet6, NeighbourAddress::Inet6(address)),
        };
        message.header.family = family;
        message.attributes.push(NeighbourAttribute::Destination(destination));
        message
    }

    /// Sends a request, and reads until it is acknowledged.
    fn transact(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Result<(), KernelRefusal>, NeighbourError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::from(message);
        message.header.flags = flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut outgoing = vec![0; message.buffer_len()];
        message.serialize(&mut outgoing);
        self.socket.send(&outgoing, 0).map_err(|error| self.error(NetlinkError::Send(error)))?;
        let limit = self.limit(REQUEST_LIMIT)?;
        loop {
            let length = limit
                .receive(&self.socket, &mut self.incoming)
                .map_err(|error| self.error(NetlinkError::Receive(error)))?;
            if let ControlFlow::Break(outcome) = self.read(length)? {
                return Ok(outcome);
            }
        }
    }

    /// Waits until something changes.
    fn wait(&mut self, limit: &WaitLimit) -> Result<(), NeighbourError> {
        match limit.receive(&self.socket, &mut self.incoming) {
            Ok(length) => self.read(length).map(|_| ()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(NeighbourError::NoAnswer(self.address))
            }
            // Notifications were lost, perhaps the one that is waited for.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => self.look_up(),
            Err(error) => Err(self.error(NetlinkError::Receive(error))),
        }
    }

    /// Reads a datagram; `Break` if it has the answer to the last request.
    fn read(&mut self, length: usize) -> Result<ControlFlow<Result<(), KernelRefusal>>, NeighbourError> {
        let datagram = self.incoming.get(..length).unwrap_or_default();
        let reading = (self.index, self.address, self.sequence);
        let reading = read(datagram, reading, &mut self.entry);
        reading.map_err(|error| self.error(error))
    }
}

/// Reads the messages of a datagram into `entry`, and says whether the request with this sequence
/// number is answered.
fn read(
    datagram: &[u8],
    (index, address, sequence): (u32, IpAddr, u32),
    entry: &mut NeighbourEntry,
) -> Result<ControlFlow<Result<(), KernelRefusal>>, NetlinkError> {
    let undecodable = |error: netlink_packet_core::DecodeError| NetlinkError::Decode(error.to_string());
    let mut answer = ControlFlow::Continue(());
    let mut rest = datagram;
    while !rest.is_empty() {
        let buffer = NetlinkBuffer::new_checked(rest).map_err(undecodable)?;
        let length = usize::try_from(buffer.length()).unwrap_or(usize::MAX);
        let is_answer = buffer.sequence_number() == sequence;
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        let message = match message {
            Ok(message) => message,
            Err(error) if is_answer => return Err(undecodable(error)),
            // A notification about somebody else may have anything in it.
            Err(_) => continue,
        };
        if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(neighbour)) = &message.payload {
            *entry = NeighbourEntry::decode(neighbour, index, address).unwrap_or(*entry);
        } else if let NetlinkPayload::Error(error) = &message.payload
            && is_answer
        {
            answer = ControlFlow::Break(refusal(error, message.header.flags));
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x11]);

    fn entry(state: NeighbourState, mac: &[u8]) -> Vec<u8> {
        let mut message = NeighbourMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.ifindex = 3;
        message.header.state = state;
        message
            .attributes
            .push(NeighbourAttribute::Destination(NeighbourAddress::Inet([192, 0, 2, 11].into())));
        message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
        let mut message = NetlinkMessage::from(RouteNetlinkMessage::NewNeighbour(message));
        message.finalize();
        let mut octets = vec![0; message.buffer_len()];
        message.serialize(&mut octets);
        octets.resize(octets.len().next_multiple_of(4), 0);
        octets
    }

    fn after(index: u32, address: &str, datagram: &[u8]) -> NeighbourEntry {
        let mut entry = NeighbourEntry::Unknown;
        let answer = read(datagram, (index, address.parse().unwrap(), 1), &mut entry).unwrap();
        assert!(answer.is_continue());
        entry
    }

    #[test]
    fn an_entry_is_known_in_all_states_in_which_the_kernel_would_send_to_it() {
        let expected = [
            (NeighbourState::None, NeighbourEntry::Unknown),
            (NeighbourState::Incomplete, NeighbourEntry::Unknown),
            (NeighbourState::Failed, NeighbourEntry::Failed),
            (NeighbourState::Reachable, NeighbourEntry::Known(MAC)),
            (NeighbourState::Stale, NeighbourEntry::Known(MAC)),
            (NeighbourState::Delay, NeighbourEntry::Known(MAC)),
            (NeighbourState::Probe, NeighbourEntry::Known(MAC)),
            (NeighbourState::Permanent, NeighbourEntry::Known(MAC)),
            (NeighbourState::Noarp, NeighbourEntry::Known(MAC)),
        ];
        for (state, expected) in expected {
            assert_eq!(after(3, "192.0.2.11", &entry(state, &MAC.0)), expected, "{state:?}");
        }
        assert_eq!(
            after(3, "192.0.2.11", &entry(NeighbourState::Reachable, &[1, 2])),
            NeighbourEntry::Unknown
        );
    }

    #[test]
    fn the_last_word_counts_and_others_do_not() {
        let known = entry(NeighbourState::Reachable, &MAC.0);
        assert_eq!(after(4, "192.0.2.11", &known), NeighbourEntry::Unknown);
        assert_eq!(after(3, "192.0.2.12", &known), NeighbourEntry::Unknown);
        let lost = [known.clone(), entry(NeighbourState::Failed, &[])].concat();
        assert_eq!(after(3, "192.0.2.11", &lost), NeighbourEntry::Failed);
        let found = [entry(NeighbourState::Incomplete, &[]), known].concat();
        assert_eq!(after(3, "192.0.2.11", &found), NeighbourEntry::Known(MAC));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_datagram_makes_reading_panic(
            noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            kept in any::<prop::sample::Index>(),
        ) {
            let known = entry(NeighbourState::Reachable, &MAC.0);
            let mut datagram = [known.clone(), known].concat();
            for (at, octet) in noise {
                let at = at.index(datagram.len());
                datagram[at] = octet;
            }
            datagram.truncate(kept.index(datagram.len() + 1));
            let mut entry = NeighbourEntry::Unknown;
            let _ = read(&datagram, (3, [192, 0, 2, 11].into(), 0), &mut entry);
        }
    }
}
