//! Open connections in octets, in pieces that each fit into a datagram.

use super::BODY_MAX;
use super::message::ChannelMessage;
use crate::types::Connection;
use minicbor::{CborLen, Decode, Encode};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Octets of a port.
const PORT: usize = 2;
/// Octets of an IPv4 address with a port, and of an IPv6 one.
const IPV4_END: usize = 4 + PORT;
const IPV6_END: usize = 16 + PORT;

/// Some open connections of a virtual router. All of them have the same end at the node that serves
/// them, which is therefore written once: a server has few ports and many clients.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct ConnectionChunk {
    /// The VRID, on the link that the message arrives on.
    #[n(0)]
    vrid: u8,
    /// Address and port on the node that serves the connections.
    #[n(1)]
    local: SocketAddr,
    /// Address and port of each client, in the order of the network: 6 octets in IPv4, 18 in IPv6.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    remotes: Vec<u8>,
}

impl ConnectionChunk {
    /// The VRID of the virtual router.
    #[must_use]
    pub const fn vrid(&self) -> u8 {
        self.vrid
    }

    /// The connections.
    pub fn connections(&self) -> impl Iterator<Item = Connection> {
        let local = self.local;
        let ends = self.remotes.chunks_exact(end_length(local.ip()));
        ends.filter_map(move |end| Some(Connection { local, remote: end_of(end)? }))
    }

    pub(super) fn is_sound(&self) -> bool {
        let fills_whole_ends = self.remotes.len().is_multiple_of(end_length(self.local.ip()));
        self.vrid > 0 && fills_whole_ends && !self.remotes.is_empty()
    }
}

/// Splits connections into chunks that each fit into a datagram. The scope of an IPv6 address is
/// left out, because it is a number that only this node knows. A connection whose two addresses
/// are of two families does not exist, and is left out as well.
#[must_use]
pub fn connection_chunks(vrid: u8, connections: &[Connection]) -> Vec<ConnectionChunk> {
    let mut by_local: BTreeMap<SocketAddr, Vec<SocketAddr>> = BTreeMap::new();
    for Connection { local, remote } in connections {
        if local.is_ipv4() == remote.is_ipv4() {
            by_local.entry(without_scope(*local)).or_default().push(*remote);
        }
    }
    let mut chunks = Vec::new();
    for (local, remotes) in by_local {
        let head = ConnectionChunk { vrid, local, remotes: Vec::new() };
        // The head of octets that fit into a datagram takes three octets; that of no octets, which
        // is in the length already, takes one.
        let room = BODY_MAX.saturating_sub(minicbor::len(ChannelMessage::Connections(head.clone())) + 2);
        for some in remotes.chunks((room / end_length(local.ip())).max(1)) {
            let remotes = some.iter().flat_map(|remote| end_octets(*remote)).collect();
            chunks.push(ConnectionChunk { remotes, ..head.clone() });
        }
    }
    chunks
}

const fn end_length(address: IpAddr) -> usize {
    match address {
        IpAddr::V4(_) => IPV4_END,
        IpAddr::V6(_) => IPV6_END,
    }
}

fn end_octets(end: SocketAddr) -> Vec<u8> {
    let mut octets = match end.ip() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    octets.extend(end.port().to_be_bytes());
    octets
}

fn end_of(octets: &[u8]) -> Option<SocketAddr> {
    let (address, port) = octets.split_last_chunk::<PORT>()?;
    let address = match address.len() {
        4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?)),
        _ => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?)),
    };
    Some(SocketAddr::new(address, u16::from_be_bytes(*port)))
}

fn without_scope(end: SocketAddr) -> SocketAddr {
    SocketAddr::new(end.ip(), end.port())
}
