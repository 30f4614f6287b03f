//! The messages of sock_diag (`linux/sock_diag.h`, `linux/inet_diag.h`): requests to octets, and
//! octets to sockets.
//!
//! This module is pure: it must not know netlink sockets. Their headers, acknowledgements and
//! errors are those of `netlink-packet-core`.

use super::bytecode::{self, family_number};
use crate::types::{Connection, Family};
use netlink_packet_core::{
    DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkPayload, NetlinkSerializable,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const INET_DIAG_REQ_BYTECODE: u16 = 1;
/// Length of `struct inet_diag_req_v2`.
const REQUEST: usize = 56;
/// Length of the header of an attribute.
const ATTRIBUTE_HEADER: usize = 4;
const TCP: u8 = 6;

/// The states of a TCP connection (RFC 9293 §3.3.2), without those in which there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TcpState {
    /// Both ends can send.
    Established,
    /// A program on this node connects to somewhere else from the address.
    SynSent,
    /// A client has sent SYN, and has not yet acknowledged our answer.
    SynReceived,
    /// The program on this node has closed, and the client has not yet acknowledged that.
    FinWait1,
    /// The program on this node has closed, and the client has acknowledged that. The client has
    /// not closed.
    FinWait2,
    /// The client has closed, and the program on this node has not.
    CloseWait,
    /// Both ends have closed, the client first, and it has not yet acknowledged our end.
    LastAck,
    /// Both ends have closed at the same time.
    Closing,
}

impl TcpState {
    const ALL: [Self; 8] = [
        Self::Established,
        Self::SynSent,
        Self::SynReceived,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::LastAck,
        Self::Closing,
    ];

    /// The kernel's number for the state (`net/tcp_states.h`).
    const fn number(self) -> u8 {
        match self {
            Self::Established => 1,
            Self::SynSent => 2,
            Self::SynReceived => 3,
            Self::FinWait1 => 4,
            Self::FinWait2 => 5,
            Self::CloseWait => 8,
            Self::LastAck => 9,
            Self::Closing => 11,
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }

    /// Whether something of the connection has still to be done here, so that this node is not
    /// free. In FIN_WAIT2 only the client can still do something: the program has closed, and all
    /// that it sent has arrived.
    #[must_use]
    pub const fn keeps_drain_open(self) -> bool {
        match self {
            Self::Established | Self::FinWait1 | Self::CloseWait | Self::LastAck | Self::Closing => true,
            Self::SynSent | Self::SynReceived | Self::FinWait2 => false,
        }
    }
}

/// Where the client of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientPlace {
    /// On another host.
    Elsewhere,
    /// On this host: its packets do not pass the successor.
    ThisHost,
}

/// The socket of a connection, as the kernel listed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionSocket {
    /// The two ends.
    pub connection: Connection,
    /// The state at the time of the list.
    pub state: TcpState,
    /// Where the client is.
    pub client: ClientPlace,
    /// The family of the socket. An IPv6 socket can have an IPv4 connection.
    pub(super) family: Family,
    /// Index of the interface that the socket is bound to, or 0. The kernel binds every connection
    /// between link-local addresses.
    pub(super) interface: u32,
    /// The kernel's number of the socket, which it never uses again.
    pub(super) cookie: u64,
}

#[cfg(test)]
impl ConnectionSocket {
    /// The socket of an established IPv4 connection of a client elsewhere.
    pub(crate) fn established(connection: Connection, cookie: u64) -> Self {
        let (state, client) = (TcpState::Established, ClientPlace::Elsewhere);
        Self { connection, state, client, family: Family::Ipv4, interface: 0, cookie }
    }
}

/// A message, as `netlink-packet-core` puts it behind a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DiagMessage {
    /// A request for all sockets of a family whose local address passes a filter.
    List { family: Family, bytecode: Vec<u8> },
    /// A request to end one socket.
    Destroy(ConnectionSocket),
    /// An answer: one socket.
    Socket(ConnectionSocket),
    /// An answer that is not about a connection: another state, protocol or message.
    Other,
}

impl DiagMessage {
    /// The request for the sockets of a family that have one of these local addresses; `None` if
    /// there can be none.
    pub(super) fn list(family: Family, addresses: &[IpAddr]) -> Option<Self> {
        bytecode::program(family, addresses).map(|bytecode| Self::List { family, bytecode })
    }
}

impl From<DiagMessage> for NetlinkPayload<DiagMessage> {
    fn from(message: DiagMessage) -> Self {
        Self::InnerMessage(message)
    }
}

impl NetlinkSerializable for DiagMessage {
    fn message_type(&self) -> u16 {
        match self {
            Self::List { .. } | Self::Socket(_) | Self::Other => SOCK_DIAG_BY_FAMILY,
            Self::Destroy(_) => SOCK_DESTROY,
        }
    }

    fn buffer_len(&self) -> usize {
        match self {
            Self::List { bytecode, .. } => REQUEST + ATTRIBUTE_HEADER + bytecode.len(),
            Self::Destroy(_) => REQUEST,
            Self::Socket(_) | Self::Other => 0,
        }
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let octets = match self {
            Self::List { family, bytecode } => list_request(*family, bytecode),
            Self::Destroy(socket) => destroy_request(socket),
            Self::Socket(_) | Self::Other => Vec::new(),
        };
        for (to, octet) in buffer.iter_mut().zip(octets) {
            *to = octet;
        }
    }
}

impl NetlinkDeserializable for DiagMessage {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        if header.message_type != SOCK_DIAG_BY_FAMILY {
            return Ok(Self::Other);
        }
        let socket = socket(payload)
            .ok_or_else(|| DecodeError::from(format!("a socket in {} octets", payload.len())))?;
        Ok(socket.map_or(Self::Other, Self::Socket))
    }
}

/// The states of a list, as a set of bits. An answer to SYN for which the client's
/// acknowledgement has not arrived is not a socket of its own in the kernel, but a request socket,
/// with an internal state that has another bit. Kernels translate the public bit into that one.
fn listed_states() -> u32 {
    TcpState::ALL.into_iter().map(|state| 1 << state.number()).sum()
}

fn list_request(family: Family, bytecode: &[u8]) -> Vec<u8> {
    let mut octets = request_head(family, listed_states());
    // Neither ports nor addresses here: they would have to match exactly.
    octets.resize(REQUEST, 0);
    let length = u16::try_from(ATTRIBUTE_HEADER + bytecode.len()).unwrap_or(u16::MAX);
    octets.extend(length.to_ne_bytes());
    octets.extend(INET_DIAG_REQ_BYTECODE.to_ne_bytes());
    octets.extend(bytecode);
    octets
}

/// The cookie must be that of the socket. The kernel looks for a socket to which a packet with
/// these addresses and ports would go, and if the connection has ended meanwhile, it finds the
/// *listener*. Without a cookie it would end that one, and the service with it.
fn destroy_request(socket: &ConnectionSocket) -> Vec<u8> {
    let mut octets = request_head(socket.family, 0);
    let Connection { local, remote } = socket.connection;
    octets.extend(local.port().to_be_bytes());
    octets.extend(remote.port().to_be_bytes());
    octets.extend(address_octets(socket.family, local.ip()));
    octets.extend(address_octets(socket.family, remote.ip()));
    octets.extend(socket.interface.to_ne_bytes());
    octets.extend(socket.cookie.to_ne_bytes());
    octets
}

/// The first 8 octets of `struct inet_diag_req_v2`.
fn request_head(family: Family, states: u32) -> Vec<u8> {
    let mut octets = Vec::with_capacity(REQUEST);
    octets.extend([family_number(family), TCP, 0, 0]);
    octets.extend(states.to_ne_bytes());
    octets
}

/// An address as it stands in a message about a socket of this family.
fn address_octets(family: Family, address: IpAddr) -> [u8; 16] {
    match (family, address) {
        (Family::Ipv4, IpAddr::V4(address)) => (u128::from(address.to_bits()) << 96).to_be_bytes(),
        (Family::Ipv6, IpAddr::V4(address)) => address.to_ipv6_mapped().octets(),
        (Family::Ipv4 | Family::Ipv6, IpAddr::V6(address)) => address.octets(),
    }
}

/// Reads `struct inet_diag_msg`, as far as it is of use. `None`: it is too short. `Some(None)`:
/// it is a socket of another kind.
fn socket(payload: &[u8]) -> Option<Option<ConnectionSocket>> {
    let mut rest = payload;
    let [family, state, _timer, _retransmissions] = take(&mut rest)?;
    let local_port = u16::from_be_bytes(take(&mut rest)?);
    let remote_port = u16::from_be_bytes(take(&mut rest)?);
    let local: [u8; 16] = take(&mut rest)?;
    let remote: [u8; 16] = take(&mut rest)?;
    let interface = u32::from_ne_bytes(take(&mut rest)?);
    let cookie = u64::from_ne_bytes(take(&mut rest)?);
    let _expires_queues_user_and_inode: [u8; 20] = take(&mut rest)?;
    let family = [Family::Ipv4, Family::Ipv6].into_iter().find(|known| family_number(*known) == family);
    let (Some(family), Some(state)) = (family, TcpState::of_number(state)) else {
        return Some(None);
    };
    let connection = Connection {
        local: SocketAddr::new(address(family, local), local_port),
        remote: SocketAddr::new(address(family, remote), remote_port),
    };
    // The caller knows the addresses of this host.
    let client = ClientPlace::Elsewhere;
    Some(Some(ConnectionSocket { connection, state, client, family, interface, cookie }))
}

fn address(family: Family, octets: [u8; 16]) -> IpAddr {
    match family {
        Family::Ipv4 => {
            let [a, b, c, d, ..] = octets;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(octets)).to_canonical(),
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_core::NetlinkMessage;
    use proptest::prelude::*;

    /// `struct inet_diag_msg` of a connection of a dual-stack listener, as Linux 6.18 sent it
    /// (x86-64), without its attributes.
    #[cfg(target_endian = "little")]
    const MAPPED: [&[u8]; 9] = [
        &[10, 1, 0, 0],
        &[0x1f, 0x90],
        &[0x9c, 0x40],
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 254],
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 20],
        &[0, 0, 0, 0],
        &[0x12, 0x34, 0, 0],
        &[0, 0, 0, 0],
        &[0; 20],
    ];

    fn deserialize(message_type: u16, payload: &[u8]) -> Result<DiagMessage, DecodeError> {
        let mut header = NetlinkHeader::default();
        header.message_type = message_type;
        DiagMessage::deserialize(&header, payload)
    }

    #[cfg(target_endian = "little")]
    fn mapped() -> ConnectionSocket {
        ConnectionSocket {
            connection: Connection {
                local: "192.0.2.254:8080".parse().unwrap(),
                remote: "192.0.2.20:40000".parse().unwrap(),
            },
            state: TcpState::Established,
            client: ClientPlace::Elsewhere,
            family: Family::Ipv6,
            interface: 0,
            cookie: 0x3412,
        }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn an_ipv4_connection_of_an_ipv6_socket_has_ipv4_addresses() {
        let decoded = deserialize(SOCK_DIAG_BY_FAMILY, &MAPPED.concat()).unwrap();
        assert_eq!(decoded, DiagMessage::Socket(mapped()));
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_request_to_destroy_names_the_socket_as_the_kernel_did() {
        let message = DiagMessage::Destroy(mapped());
        let mut octets = vec![0xee; message.buffer_len()];
        message.serialize(&mut octets);
        assert_eq!((octets.len(), message.message_type()), (REQUEST, SOCK_DESTROY));
        assert_eq!(octets[..8], [10, TCP, 0, 0, 0, 0, 0, 0]);
        assert_eq!(octets[8..], MAPPED.concat()[4..52]);
    }

    #[test]
    fn a_request_for_a_list_has_states_and_a_filter() {
        let address = "192.0.2.254".parse().unwrap();
        let message = DiagMessage::list(Family::Ipv4, &[address]).unwrap();
        let mut octets = vec![0xee; message.buffer_len()];
        message.serialize(&mut octets);
        assert_eq!(octets[..4], [2, TCP, 0, 0]);
        // All but LISTEN (10), CLOSE (7) and TIME_WAIT (6).
        assert_eq!(octets[4..8], 0b1011_0011_1110_u32.to_ne_bytes());
        assert_eq!(octets[8..REQUEST], [0; 48]);
        let program = bytecode::program(Family::Ipv4, &[address]).unwrap();
        assert_eq!(octets[REQUEST..REQUEST + 2], u16::try_from(4 + program.len()).unwrap().to_ne_bytes());
        assert_eq!(octets[REQUEST + 2..REQUEST + 4], 1_u16.to_ne_bytes());
        assert_eq!(octets[REQUEST + 4..], program);
        assert_eq!(DiagMessage::list(Family::Ipv4, &["2001:db8::1".parse().unwrap()]), None);
    }

    #[test]
    fn what_is_not_a_connection_is_another_message_and_what_is_cut_off_is_an_error() {
        let mut octets = [0; 72];
        let decoded = |octets: &[u8]| deserialize(SOCK_DIAG_BY_FAMILY, octets);
        for (family, state) in [(1, 1), (2, 10), (2, 7), (10, 6), (2, 12), (2, 255)] {
            octets[..2].copy_from_slice(&[family, state]);
            assert_eq!(decoded(&octets).unwrap(), DiagMessage::Other, "{family} {state}");
        }
        octets[..2].copy_from_slice(&[2, 1]);
        assert!(matches!(decoded(&octets), Ok(DiagMessage::Socket(_))));
        assert!(matches!(deserialize(99, &octets), Ok(DiagMessage::Other)));
        for length in 0..octets.len() {
            assert!(decoded(&octets[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn the_drain_waits_for_connections_that_have_something_to_do() {
        let open = TcpState::ALL.into_iter().filter(|state| state.keeps_drain_open());
        let numbers: Vec<u8> = open.map(TcpState::number).collect();
        // ESTABLISHED, FIN_WAIT1, CLOSE_WAIT, LAST_ACK, CLOSING
        assert_eq!(numbers, [1, 4, 8, 9, 11]);
    }

    fn any_socket() -> impl Strategy<Value = ConnectionSocket> {
        let end = (any::<std::net::Ipv4Addr>(), any::<std::net::Ipv6Addr>(), any::<u16>());
        let state = prop::sample::select(TcpState::ALL.to_vec());
        (end.clone(), end, 0..3_usize, state, any::<u32>(), any::<u64>()).prop_map(
            |(local, remote, kind, state, interface, cookie)| {
                let (family, is_ipv4) =
                    [(Family::Ipv4, true), (Family::Ipv6, true), (Family::Ipv6, false)][kind];
                let end = |(v4, v6, port): (Ipv4Addr, Ipv6Addr, u16)| {
                    let address = if is_ipv4 { IpAddr::V4(v4) } else { IpAddr::V6(v6) };
                    SocketAddr::new(address, port)
                };
                let connection = Connection { local: end(local), remote: end(remote) };
                let client = ClientPlace::Elsewhere;
                ConnectionSocket { connection, state, client, family, interface, cookie }
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_socket_is_named_as_it_was_listed(socket in any_socket()) {
            // The kernel's answer has the same 48 octets of identity, after a head of 4 octets in place of 8.
            let request = destroy_request(&socket);
            let mut answer = vec![request[0], socket.state.number(), 0, 0];
            answer.extend(&request[8..]);
            answer.resize(72, 0);
            let decoded = deserialize(SOCK_DIAG_BY_FAMILY, &answer).unwrap();
            // An IPv6 address that is a mapped IPv4 address is read as that IPv4 address.
            let Connection { local, remote } = socket.connection;
            let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
            let connection = Connection { local: canonical(local), remote: canonical(remote) };
            prop_assert_eq!(decoded, DiagMessage::Socket(ConnectionSocket { connection, ..socket }));
        }

        #[test]
        fn no_octets_make_decoding_panic(octets in prop::collection::vec(any::<u8>(), 0..200), kind in 0_u16..30) {
            let _ = deserialize(kind, &octets);
            let _ = NetlinkMessage::<DiagMessage>::deserialize(&octets);
        }
    }
}
