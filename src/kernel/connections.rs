//! The TCP connections of this network namespace that belong to given addresses, by sock_diag(7).
//!
//! A node that gave addresses away, and still serves the connections to them, lists those
//! connections for its successor, counts those that it waits for, and resets the rest at the
//! deadline. This module must not know why it is asked, nor for how long the node drains.
//!
//! What it depends on in the kernel:
//!
//! - The filter runs in the kernel ([`bytecode`]), because a host may have 100,000 connections to
//!   other addresses.
//! - IPv6 sockets can have IPv4 connections: those of a listener for both families. IPv4 addresses
//!   are therefore looked for among the sockets of both families.
//! - Clients that have sent SYN, and whose acknowledgement has not arrived yet, are on the list:
//!   that acknowledgement has to come here too, and the program has never heard of them so far.
//!   The kernel keeps them as request sockets, which it lists in the state SYN_RECV.
//! - A list takes several system calls, and connections come and go meanwhile. A connection that
//!   is there all the time is listed, unless it is in the same hash chain as one that ended at
//!   that moment. The next list has it. A connection may be listed twice; one of the two is
//!   removed here.
//! - A socket is ended by its cookie. Without it, the kernel would end the *listener* instead of a
//!   connection that has gone meanwhile.
//! - The kernel does not know how old a connection is: no attribute of sock_diag and no field of
//!   `tcp_info` says when it began. Whoever wants the age of the oldest one has to remember when it
//!   was first listed.
//!
//! Every function opens sockets of its own, in the network namespace of the calling thread, so that
//! the unread rest of one answer cannot be mistaken for another answer. The functions block: the
//! kernel carries out a request while `send` runs, and for an answer they wait [`LIST_LIMIT`] or
//! [`DESTROY_LIMIT`] at most. The caller has a thread for that.

mod bytecode;
mod message;

pub use message::{ConnectionSocket, TcpState};

use super::netlink::{BATCH, KernelRefusal, refusal};
use super::wait_limit::WaitLimit;
use crate::types::{Connection, Family};
use bytecode::MOST_ADDRESSES;
use message::DiagMessage;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage, NetlinkPayload,
};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as NetlinkAddress};
use nix::errno::Errno;
use socket2::SockRef;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::time::Duration;

/// How many connections a list has at most.
pub const MOST_CONNECTIONS: usize = 262_144;
/// How long one list may take. 10,000 connections take 20 ms, and 19,000 take 36 ms (2026, two
/// virtual CPUs).
pub const LIST_LIMIT: Duration = Duration::from_secs(3);
/// How long it may take to end connections. Each takes about 12 µs, so that the most there can be
/// take 3.2 s.
pub const DESTROY_LIMIT: Duration = Duration::from_secs(10);
/// Datagrams of a dump have at most 32 KiB.
const DATAGRAM: usize = 64 << 10;
/// How often a dump is repeated that another change interrupted, or of which a part was lost.
const DUMP_ATTEMPTS: u8 = 5;
/// A flag of netlink(7) that neither libc nor the netlink crates define.
const NLM_F_DUMP_INTR: u16 = 0x10;

/// Why connections can be neither listed nor reset.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionsError {
    /// The netlink socket could not be opened.
    #[error("cannot open a netlink socket for connections (NETLINK_SOCK_DIAG)")]
    Open(#[source] io::Error),
    /// The process cannot have a timer.
    #[error("cannot limit the time for listing connections")]
    Timer(#[source] io::Error),
    /// A request could not be sent.
    #[error("cannot ask the kernel about connections")]
    Send(#[source] io::Error),
    /// An answer was lost, cannot be received, or did not arrive in time.
    #[error("cannot receive what the kernel says about connections")]
    Receive(#[source] io::Error),
    /// The answer cannot be decoded; the text says why.
    #[error("cannot read what the kernel says about connections: {0}")]
    Decode(String),
    /// There is no socket to make the attempt with.
    #[error(
        "cannot listen on 127.0.0.1 to find out whether connections can be reset; does the interface lo have it?"
    )]
    Attempt(#[source] io::Error),
    /// The kernel did not find the socket of the attempt.
    #[error("the kernel does not find a socket of this process by its address and port")]
    NotFound,
    /// The kernel lacks what a list needs.
    #[error(
        "this kernel does not list TCP connections: it has no module tcp_diag (CONFIG_INET_TCP_DIAG). \
         Run \"modprobe tcp_diag\""
    )]
    NoDiagnosis,
    /// The process lacks a capability.
    #[error("connections cannot be reset: permission denied; this needs CAP_NET_ADMIN")]
    NotPermitted,
    /// The kernel lacks what a reset needs.
    #[error("this kernel cannot reset connections: it was built without CONFIG_INET_DIAG_DESTROY")]
    NoDestroy,
    /// The kernel refused for another reason.
    #[error("the kernel refuses to {0}: {1}")]
    Refused(&'static str, KernelRefusal),
}

/// Whether a list has all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListExtent {
    /// The list has all connections.
    Whole,
    /// There are more than [`MOST_CONNECTIONS`]; the others are not on the list.
    Cut,
    /// The kernel was interrupted at each attempt: some connections may be missing.
    Interrupted,
}

/// The connections that belong to some addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionList {
    /// The sockets, sorted by their connections; each socket is there once.
    pub sockets: Vec<ConnectionSocket>,
    /// Whether there are more.
    pub extent: ListExtent,
}

impl ConnectionList {
    /// The connections, sorted and each of them once. These are what the successor has to forward.
    pub fn connections(&self) -> impl Iterator<Item = Connection> {
        let mut last = None;
        let connections = self.sockets.iter().map(|socket| socket.connection);
        connections.filter(move |connection| last.replace(*connection) != Some(*connection))
    }

    /// How many connections this node still has to serve: the drain ends when there are none.
    #[must_use]
    pub fn left(&self) -> usize {
        self.sockets.iter().filter(|socket| socket.state.keeps_drain_open()).count()
    }
}

/// Lists the connections whose local address is one of `addresses`, whichever interface has the
/// address, or none: a socket lives on without it.
///
/// Of link-local addresses, those connections are listed that came through the interface with this
/// index. Another interface can have the same address, for another virtual router.
///
/// # Errors
/// [`ConnectionsError`], if a list cannot be made.
pub fn list(addresses: &[IpAddr], interface: u32) -> Result<ConnectionList, ConnectionsError> {
    let limit = WaitLimit::start(LIST_LIMIT).map_err(ConnectionsError::Timer)?;
    // Each address once, so that no socket is counted in two dumps.
    let addresses: Vec<IpAddr> = BTreeSet::from_iter(addresses).into_iter().copied().collect();
    let mut list = ConnectionList { sockets: Vec::new(), extent: ListExtent::Whole };
    for some in addresses.chunks(MOST_ADDRESSES) {
        for family in [Family::Ipv4, Family::Ipv6] {
            let room = MOST_CONNECTIONS.saturating_sub(list.sockets.len());
            if let Some(request) = DiagMessage::list(family, some) {
                let dump = until_whole(|| {
                    let mut dump = SocketDump::new(interface, room);
                    DiagChannel::open(&limit)?.dump(&request, &mut dump)?;
                    Ok(dump.list)
                })?;
                list.sockets.extend(dump.sockets);
                if dump.extent != ListExtent::Whole {
                    list.extent = dump.extent;
                }
            }
            if list.extent == ListExtent::Cut {
                return Ok(sorted(list));
            }
        }
    }
    Ok(sorted(list))
}

/// Ends these sockets, and returns how many of them there still were.
///
/// The client of a connection in ESTABLISHED, CLOSE_WAIT, FIN_WAIT1 or FIN_WAIT2 gets a RST, and
/// the program gets ECONNABORTED. In SYN_RECV, CLOSING and LAST_ACK the kernel forgets the
/// connection without a word; a client in SYN_RECV gets its RST when it sends something. The same
/// is true of a connection in FIN_WAIT2 that no program has open any more.
///
/// Kernels before 6.12 (but for those that have the correction bac76cf89816) do not end a socket in
/// FIN_WAIT1, CLOSING or LAST_ACK that no program has open any more, and report success: a list
/// that is made after this need not be empty.
///
/// # Errors
/// [`ConnectionsError`], if the others were not ended, or it is not known whether they were. It is
/// safe to call this again.
pub fn destroy(sockets: &[ConnectionSocket]) -> Result<usize, ConnectionsError> {
    let limit = WaitLimit::start(DESTROY_LIMIT).map_err(ConnectionsError::Timer)?;
    let mut channel = DiagChannel::open(&limit)?;
    let mut ended = 0;
    for batch in sockets.chunks(BATCH) {
        ended += channel.destroy(batch)?;
    }
    Ok(ended)
}

/// Finds out whether connections can be listed and reset here, by doing both: the list of the
/// connections to 127.0.0.1, and the end of a listener that this function opens for that.
///
/// # Errors
/// [`ConnectionsError`]: what is missing.
pub fn probe() -> Result<(), ConnectionsError> {
    let local = Ipv4Addr::LOCALHOST;
    list(&[local.into()], 0)?;
    let listener = TcpListener::bind((local, 0)).map_err(ConnectionsError::Attempt)?;
    // The kernel finds a listener for the local address and port of a connection that it does not
    // know. It looks at the privilege of the caller only after it has found a socket.
    let socket = ConnectionSocket {
        connection: Connection {
            local: listener.local_addr().map_err(ConnectionsError::Attempt)?,
            remote: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        },
        state: TcpState::Established,
        family: Family::Ipv4,
        interface: 0,
        cookie: SockRef::from(&listener).cookie().map_err(ConnectionsError::Attempt)?,
    };
    match destroy(&[socket])? {
        0 => Err(ConnectionsError::NotFound),
        _ => Ok(()),
    }
}

/// Sorts a list, and leaves each socket on it once.
fn sorted(mut list: ConnectionList) -> ConnectionList {
    list.sockets.sort_unstable_by_key(|socket| (socket.connection, socket.cookie));
    list.sockets.dedup_by_key(|socket| socket.cookie);
    list
}

/// Makes a list, and makes it again if it was interrupted, [`DUMP_ATTEMPTS`] times at most.
fn until_whole(
    mut attempt: impl FnMut() -> Result<ConnectionList, ConnectionsError>,
) -> Result<ConnectionList, ConnectionsError> {
    let mut list = attempt()?;
    for _ in 1..DUMP_ATTEMPTS {
        if list.extent != ListExtent::Interrupted {
            break;
        }
        list = attempt()?;
    }
    Ok(list)
}

/// A netlink socket, for one dump or for several batches of requests.
struct DiagChannel<'a> {
    socket: Socket,
    limit: &'a WaitLimit,
    sequence: u32,
    incoming: Vec<u8>,
}

/// What a received datagram may be.
enum DiagReception {
    /// A datagram with this length.
    Datagram(usize),
    /// The kernel had no room for an answer (ENOBUFS).
    Lost,
}

impl<'a> DiagChannel<'a> {
    fn open(limit: &'a WaitLimit) -> Result<Self, ConnectionsError> {
        let open = || {
            let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
            socket.bind_auto()?;
            // Connected to the kernel, a socket receives nothing from other processes.
            socket.connect(&NetlinkAddress::new(0, 0))?;
            socket.set_ext_ack(true)?;
            socket.set_cap_ack(true)?;
            Ok(socket)
        };
        let socket = open().map_err(ConnectionsError::Open)?;
        Ok(Self { socket, limit, sequence: 0, incoming: vec![0; DATAGRAM] })
    }

    fn dump(&mut self, request: &DiagMessage, dump: &mut SocketDump) -> Result<(), ConnectionsError> {
        self.send([request.clone()], NLM_F_REQUEST | NLM_F_DUMP)?;
        loop {
            let DiagReception::Datagram(length) = self.receive()? else {
                dump.list.extent = ListExtent::Interrupted;
                return Ok(());
            };
            if dump.read(self.incoming.get(..length).unwrap_or_default())?.is_break() {
                return Ok(());
            }
        }
    }

    /// Ends sockets, and returns how many of them there were. Their acknowledgements fit into any
    /// receive buffer, so that none can be lost.
    fn destroy(&mut self, batch: &[ConnectionSocket]) -> Result<usize, ConnectionsError> {
        let first = self.sequence.wrapping_add(1);
        self.send(batch.iter().copied().map(DiagMessage::Destroy), NLM_F_REQUEST | NLM_F_ACK)?;
        let mut answers = DestroyAnswers { first, batch, answered: 0, ended: 0 };
        while answers.answered < batch.len() {
            let DiagReception::Datagram(length) = self.receive()? else {
                return Err(ConnectionsError::Receive(Errno::ENOBUFS.into()));
            };
            answers.read(self.incoming.get(..length).unwrap_or_default())?;
        }
        Ok(answers.ended)
    }

    fn send(
        &mut self,
        messages: impl IntoIterator<Item = DiagMessage>,
        flags: u16,
    ) -> Result<(), ConnectionsError> {
        let mut outgoing = Vec::new();
        for message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            let mut message = NetlinkMessage::from(message);
            message.header.flags = flags;
            message.header.sequence_number = self.sequence;
            message.finalize();
            let at = outgoing.len();
            // All lengths are multiples of 4, so that no padding is needed between messages.
            outgoing.resize(at + message.buffer_len(), 0);
            if let Some(space) = outgoing.get_mut(at..) {
                message.serialize(space);
            }
        }
        self.socket.send(&outgoing, 0).map(drop).map_err(ConnectionsError::Send)
    }

    fn receive(&mut self) -> Result<DiagReception, ConnectionsError> {
        match self.limit.receive(&self.socket, &mut self.incoming) {
            Ok(length) => Ok(DiagReception::Datagram(length)),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(DiagReception::Lost),
            Err(error) => Err(ConnectionsError::Receive(error)),
        }
    }
}

/// Passes each message of a datagram to `take`, until `take` asks to stop.
fn each_message(
    datagram: &[u8],
    mut take: impl FnMut(NetlinkMessage<DiagMessage>) -> Result<ControlFlow<()>, ConnectionsError>,
) -> Result<ControlFlow<()>, ConnectionsError> {
    let undecodable = |error: netlink_packet_core::DecodeError| ConnectionsError::Decode(error.to_string());
    let mut rest = datagram;
    while !rest.is_empty() {
        let length = NetlinkBuffer::new_checked(rest).map_err(undecodable)?.length();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let message = NetlinkMessage::deserialize(rest).map_err(undecodable)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        if take(message)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The answers to a request for a list. Knows no socket.
struct SocketDump {
    interface: u32,
    room: usize,
    list: ConnectionList,
}

impl SocketDump {
    fn new(interface: u32, room: usize) -> Self {
        let list = ConnectionList { sockets: Vec::new(), extent: ListExtent::Whole };
        Self { interface, room, list }
    }

    /// Reads a datagram, and says whether it was the last.
    #[expect(clippy::wildcard_enum_match_arm, reason = "not our enum; nothing else belongs to a dump")]
    fn read(&mut self, datagram: &[u8]) -> Result<ControlFlow<()>, ConnectionsError> {
        const PURPOSE: &str = "list connections";
        each_message(datagram, |message| {
            if message.header.flags & NLM_F_DUMP_INTR != 0 {
                self.list.extent = ListExtent::Interrupted;
            }
            match message.payload {
                NetlinkPayload::InnerMessage(DiagMessage::Socket(socket)) => Ok(self.take(socket)),
                NetlinkPayload::Error(error) => {
                    refusal(&error, message.header.flags).map_err(|refusal| refused(PURPOSE, refusal))?;
                    Ok(ControlFlow::Break(()))
                }
                NetlinkPayload::Done(done) if done.code < 0 => {
                    let errno = Errno::from_raw(done.code.saturating_neg());
                    Err(refused(PURPOSE, KernelRefusal { errno, text: None }))
                }
                NetlinkPayload::Done(_) => Ok(ControlFlow::Break(())),
                _ => Ok(ControlFlow::Continue(())),
            }
        })
    }

    fn take(&mut self, socket: ConnectionSocket) -> ControlFlow<()> {
        let elsewhere = is_link_local(socket.connection.local.ip())
            && socket.interface != 0
            && socket.interface != self.interface;
        if elsewhere {
            return ControlFlow::Continue(());
        }
        if self.list.sockets.len() >= self.room {
            self.list.extent = ListExtent::Cut;
            return ControlFlow::Break(());
        }
        self.list.sockets.push(socket);
        ControlFlow::Continue(())
    }
}

/// IPv4 link-local addresses are not meant: the kernel does not bind their sockets to an interface.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The answers to a batch of requests to end sockets. Knows no netlink socket.
struct DestroyAnswers<'a> {
    /// The sequence number of the first request.
    first: u32,
    batch: &'a [ConnectionSocket],
    answered: usize,
    ended: usize,
}

impl DestroyAnswers<'_> {
    fn read(&mut self, datagram: &[u8]) -> Result<(), ConnectionsError> {
        each_message(datagram, |message| {
            let NetlinkPayload::Error(error) = &message.payload else {
                return Ok(ControlFlow::Continue(()));
            };
            let at = message.header.sequence_number.wrapping_sub(self.first);
            let asked = usize::try_from(at).ok().and_then(|at| self.batch.get(at));
            let Some(socket) = asked else { return Ok(ControlFlow::Continue(())) };
            self.answered += 1;
            match refusal(error, message.header.flags) {
                Ok(()) => self.ended += 1,
                Err(refusal) => forgive(socket.state, refusal)?,
            }
            Ok(ControlFlow::Continue(()))
        })
        .map(drop)
    }
}

/// Accepts a refusal if there is nothing left to end.
fn forgive(state: TcpState, refusal: KernelRefusal) -> Result<(), ConnectionsError> {
    match (refusal.errno, state) {
        // The socket has gone, or has closed by itself.
        (Errno::ENOENT, _) => Ok(()),
        // Before Linux 6.0 the kernel cannot end what it keeps of a connection in FIN_WAIT2 that no
        // program has open any more. It forgets that within a minute.
        (Errno::EOPNOTSUPP, TcpState::FinWait2) => Ok(()),
        (Errno::EOPNOTSUPP, _) => Err(ConnectionsError::NoDestroy),
        (Errno::EPERM, _) => Err(ConnectionsError::NotPermitted),
        (_, _) => Err(refused("reset connections", refusal)),
    }
}

fn refused(purpose: &'static str, refusal: KernelRefusal) -> ConnectionsError {
    // There is nobody who answers for TCP.
    if refusal.errno == Errno::ENOENT {
        ConnectionsError::NoDiagnosis
    } else {
        ConnectionsError::Refused(purpose, refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A message of netlink: a header and a body.
    fn message(message_type: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + body.len()).unwrap();
        let mut octets = length.to_ne_bytes().to_vec();
        octets.extend(message_type.to_ne_bytes());
        octets.extend(flags.to_ne_bytes());
        octets.extend(sequence.to_ne_bytes());
        octets.extend([0; 4]);
        octets.extend(body);
        octets.resize(octets.len().next_multiple_of(4), 0);
        octets
    }

    const SOCKET: u16 = 20;
    const ERROR: u16 = 2;
    const DONE: u16 = 3;

    /// What the kernel says about a socket in ESTABLISHED with this local address.
    fn listed(local: &str, interface: u32, cookie: u32) -> Vec<u8> {
        let local: IpAddr = local.parse().unwrap();
        let (family, octets) = match local {
            IpAddr::V4(address) => (2, [&address.octets()[..], &[0; 12]].concat()),
            IpAddr::V6(address) => (10, address.octets().to_vec()),
        };
        let mut body = vec![family, 1, 0, 0, 0, 80, 0x9c, 0x40];
        body.extend(octets);
        body.extend([0; 16]);
        body.extend(interface.to_ne_bytes());
        body.extend(cookie.to_ne_bytes());
        body.resize(72, 0);
        message(SOCKET, 2, 1, &body)
    }

    /// An error of the kernel; 0 is an acknowledgement.
    fn answer(sequence: u32, errno: i32) -> Vec<u8> {
        let body = [&(-errno).to_ne_bytes()[..], &[0; 16]].concat();
        message(ERROR, 0, sequence, &body)
    }

    fn read(dump: &mut SocketDump, datagram: &[u8]) -> ControlFlow<()> {
        dump.read(datagram).unwrap()
    }

    #[test]
    fn a_dump_ends_with_its_last_message() {
        let mut dump = SocketDump::new(0, 10);
        let datagram = [listed("192.0.2.254", 0, 1), listed("2001:db8::254", 0, 2)].concat();
        assert!(read(&mut dump, &datagram).is_continue());
        let end = [listed("192.0.2.254", 0, 3), message(DONE, 2, 1, &[0; 4])].concat();
        assert!(read(&mut dump, &end).is_break());
        assert_eq!((dump.list.sockets.len(), dump.list.extent), (3, ListExtent::Whole));
    }

    #[test]
    fn a_list_that_is_too_long_is_cut_and_says_so() {
        let datagram = [listed("192.0.2.254", 0, 1), listed("192.0.2.254", 0, 2)].concat();
        let mut exact = SocketDump::new(0, 2);
        assert!(read(&mut exact, &datagram).is_continue());
        assert_eq!(exact.list.extent, ListExtent::Whole);
        let mut dump = SocketDump::new(0, 1);
        assert!(read(&mut dump, &datagram).is_break());
        assert_eq!((dump.list.sockets.len(), dump.list.extent), (1, ListExtent::Cut));
    }

    #[test]
    fn an_interrupted_dump_says_so() {
        for flagged in [message(DONE, NLM_F_DUMP_INTR, 1, &[0; 4]), message(99, NLM_F_DUMP_INTR, 1, &[])] {
            let mut dump = SocketDump::new(0, 10);
            let _ = read(&mut dump, &[listed("192.0.2.254", 0, 1), flagged].concat());
            assert_eq!(dump.list.extent, ListExtent::Interrupted);
        }
    }

    #[test]
    fn an_interrupted_list_is_made_again_a_few_times() {
        let attempts = |interrupted: usize| {
            let mut made = 0;
            let list = until_whole(|| {
                made += 1;
                let whole = made > interrupted;
                let extent = if whole { ListExtent::Whole } else { ListExtent::Interrupted };
                Ok(ConnectionList { sockets: Vec::new(), extent })
            });
            (made, list.unwrap().extent)
        };
        assert_eq!(attempts(0), (1, ListExtent::Whole));
        assert_eq!(attempts(2), (3, ListExtent::Whole));
        assert_eq!(attempts(9), (5, ListExtent::Interrupted));
    }

    #[test]
    fn a_link_local_address_is_that_of_one_interface() {
        let mut dump = SocketDump::new(7, 10);
        for (address, interface) in
            [("fe80::1", 7), ("fe80::1", 8), ("fe80::1", 0), ("2001:db8::1", 8), ("192.0.2.1", 8)]
        {
            assert!(read(&mut dump, &listed(address, interface, interface)).is_continue());
        }
        let kept = dump.list.sockets.iter().map(|socket| socket.connection.local.ip().to_string());
        assert_eq!(kept.collect::<Vec<_>>(), ["fe80::1", "fe80::1", "2001:db8::1", "192.0.2.1"]);
    }

    #[test]
    fn a_socket_that_is_listed_twice_is_kept_once() {
        let mut dump = SocketDump::new(0, 10);
        let sockets = [("192.0.2.2", 4), ("192.0.2.1", 9), ("192.0.2.2", 4), ("192.0.2.2", 3)];
        for (address, cookie) in sockets {
            assert!(read(&mut dump, &listed(address, 0, cookie)).is_continue());
        }
        let list = sorted(dump.list);
        assert_eq!(list.sockets.iter().map(|socket| socket.cookie).collect::<Vec<_>>(), [9, 3, 4]);
        assert_eq!((list.connections().count(), list.left()), (2, 3));
    }

    #[test]
    fn why_a_list_is_refused_is_said_in_words() {
        let said = |octets: &[u8]| SocketDump::new(0, 10).read(octets).unwrap_err().to_string();
        assert!(said(&answer(1, libc::ENOENT)).contains("CONFIG_INET_TCP_DIAG"));
        assert_eq!(
            said(&answer(1, libc::EPERM)),
            "the kernel refuses to list connections: EPERM: Operation not permitted"
        );
        let failed = message(DONE, 2, 1, &(-libc::ENOMEM).to_ne_bytes());
        assert!(said(&failed).contains("ENOMEM"), "{}", said(&failed));
    }

    /// What the answers to requests for sockets in these states mean.
    fn ended(states: &[TcpState], errnos: &[i32]) -> Result<(usize, usize), String> {
        let mut dump = SocketDump::new(0, 10);
        let _ = read(&mut dump, &listed("192.0.2.254", 0, 1));
        let batch: Vec<_> =
            states.iter().map(|state| ConnectionSocket { state: *state, ..dump.list.sockets[0] }).collect();
        let mut answers = DestroyAnswers { first: 5, batch: &batch, answered: 0, ended: 0 };
        let datagram: Vec<u8> = (5..).zip(errnos).flat_map(|(at, errno)| answer(at, *errno)).collect();
        answers.read(&datagram).map_err(|error| error.to_string())?;
        Ok((answers.answered, answers.ended))
    }

    #[test]
    fn a_socket_that_has_gone_counts_as_answered_and_not_as_ended() {
        let two = [TcpState::Established, TcpState::SynReceived];
        assert_eq!(ended(&two, &[0, 0]), Ok((2, 2)));
        assert_eq!(ended(&two, &[libc::ENOENT, 0]), Ok((2, 1)));
        assert_eq!(ended(&two, &[0]), Ok((1, 1)));
        // The third answer belongs to no request.
        assert_eq!(ended(&two, &[0, 0, 0]), Ok((2, 2)));
        assert_eq!(ended(&[TcpState::FinWait2], &[libc::EOPNOTSUPP]), Ok((1, 0)));
    }

    #[test]
    fn why_a_reset_is_refused_is_said_in_words() {
        let said = |errno| ended(&[TcpState::Established], &[errno]).unwrap_err();
        assert!(said(libc::EOPNOTSUPP).contains("CONFIG_INET_DIAG_DESTROY"));
        assert!(said(libc::EPERM).contains("CAP_NET_ADMIN"));
        assert_eq!(said(libc::EINVAL), "the kernel refuses to reset connections: EINVAL: Invalid argument");
    }

    #[test]
    fn a_kernel_that_does_not_answer_is_given_up() {
        let limit = WaitLimit::start(Duration::from_millis(10)).unwrap();
        let given_up = DiagChannel::open(&limit).unwrap().receive();
        let Err(ConnectionsError::Receive(error)) = given_up else { panic!("there is no answer") };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_datagram_makes_reading_panic(
            whole in prop::collection::vec(0_usize..5, 0..6),
            noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            kept in any::<prop::sample::Index>(),
        ) {
            let parts = [
                listed("192.0.2.254", 0, 1),
                listed("2001:db8::1", 7, 2),
                answer(5, libc::ENOENT),
                message(DONE, 2, 1, &[0; 4]),
                message(99, NLM_F_DUMP_INTR, 1, &[1, 2, 3]),
            ];
            let mut datagram: Vec<u8> = whole.iter().flat_map(|at| parts[*at].clone()).collect();
            for (at, octet) in noise {
                if !datagram.is_empty() {
                    let at = at.index(datagram.len());
                    datagram[at] = octet;
                }
            }
            datagram.truncate(kept.index(datagram.len() + 1));
            let mut dump = SocketDump::new(0, 3);
            let _ = dump.read(&datagram);
            let batch = dump.list.sockets;
            let _ = DestroyAnswers { first: 5, batch: &batch, answered: 0, ended: 0 }.read(&datagram);
        }
    }
}
