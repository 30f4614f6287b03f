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

pub use message::{ClientPlace, ConnectionSocket, TcpState};

use super::netlink::{BATCH, KernelRefusal, Netlink, NetlinkError, refusal};
use super::netlink_socket;
use super::resources::address::can_drain;
use super::wait_limit::WaitLimit;
use crate::types::{Connection, Family};
use bytecode::MOST_ADDRESSES;
use message::DiagMessage;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage, NetlinkPayload,
};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use nix::errno::Errno;
use socket2::SockRef;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::time::Duration;

/// How many connections a list has at most, of all addresses together.
pub const MOST_CONNECTIONS: usize = 1_048_576;
/// How long one list may take. 10,000 connections take 20 ms, and 19,000 take 36 ms (2026, two
/// virtual CPUs).
pub const LIST_LIMIT: Duration = Duration::from_secs(5);
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
    /// The addresses of this host cannot be listed, so that it is not known which clients are here.
    #[error("cannot list the addresses of this host")]
    Addresses(#[source] NetlinkError),
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
    /// There are more than [`MOST_CONNECTIONS`]; the others are not on the list. Such a list must only
    /// be added to what is known, and must not replace it.
    Cut,
    /// The kernel was interrupted at each attempt: some connections may be missing. Such a list must
    /// only be added to what is known, and must not replace it.
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
    /// The connections of clients elsewhere, sorted and each of them once. These are what the successor
    /// has to forward.
    pub fn connections(&self) -> impl Iterator<Item = Connection> {
        let mut last = None;
        let connections = self.of_clients_elsewhere().map(|socket| socket.connection);
        connections.filter(move |connection| last.replace(*connection) != Some(*connection))
    }

    /// How many connections of clients elsewhere this node still has to serve: the drain ends when there
    /// are none.
    #[must_use]
    pub fn left(&self) -> usize {
        self.of_clients_elsewhere().filter(|socket| socket.state.keeps_drain_open()).count()
    }

    /// How many clients have sent SYN and have not acknowledged the answer yet. A drain without any
    /// connection goes on while there are some, because each of them is a connection a moment later.
    #[must_use]
    pub fn beginning(&self) -> usize {
        self.of_clients_elsewhere().filter(|socket| socket.state == TcpState::SynReceived).count()
    }

    /// Divides the list: each owner gets what belongs to its addresses, and one of which nothing is on
    /// the list gets an empty one. There may be a thousand owners, and a list of a million sockets is
    /// gone through once.
    #[must_use]
    pub fn divided<K: Ord + Copy>(&self, addresses: &BTreeMap<K, BTreeSet<IpAddr>>) -> BTreeMap<K, Self> {
        let mut owners: BTreeMap<IpAddr, Vec<K>> = BTreeMap::new();
        for (owner, addresses) in addresses {
            addresses.iter().for_each(|address| owners.entry(*address).or_default().push(*owner));
        }
        let empty = || Self { sockets: Vec::new(), extent: self.extent };
        let mut parts: BTreeMap<K, Self> = addresses.keys().map(|owner| (*owner, empty())).collect();
        for socket in &self.sockets {
            for owner in owners.get(&socket.connection.local.ip()).into_iter().flatten() {
                if let Some(part) = parts.get_mut(owner) {
                    part.sockets.push(*socket);
                }
            }
        }
        parts
    }

    /// A connection of this host to itself does not pass the successor, and does not need the address to
    /// drain: its packets go through `lo` as long as the address is there.
    fn of_clients_elsewhere(&self) -> impl Iterator<Item = &ConnectionSocket> {
        self.sockets.iter().filter(|socket| socket.client == ClientPlace::Elsewhere)
    }
}

/// Lists the connections whose local address is one of `addresses`, whichever interface has the
/// address, or none: a socket lives on without it. All addresses that drain are to be asked for at
/// once, because the kernel walks through all sockets of the host for each list (for each 256 addresses
/// of a list). [`ConnectionList::divided`] divides it.
///
/// Link-local addresses do not drain, so their connections are left out.
///
/// # Errors
/// [`ConnectionsError`], if a list cannot be made.
pub fn list(addresses: &BTreeSet<IpAddr>) -> Result<ConnectionList, ConnectionsError> {
    let addresses: Vec<IpAddr> = addresses.iter().copied().filter(|address| can_drain(*address)).collect();
    let mut list = list_sockets(&addresses)?;
    if !list.sockets.is_empty() {
        let ours = Netlink::open().and_then(|mut netlink| netlink.addresses());
        let ours = ours.map_err(ConnectionsError::Addresses)?;
        let ours: BTreeSet<IpAddr> = ours.iter().map(|address| address.net.addr()).collect();
        mark_local_clients(&mut list, &ours);
    }
    Ok(list)
}

/// The connections of this node to `addresses`, without those that have ended (TIME_WAIT): what the
/// successor must know as its own when it is armed ([`super::forwarding::Arming::own`]).
///
/// # Errors
/// [`ConnectionsError`], if a list cannot be made.
pub fn own(addresses: &BTreeSet<IpAddr>) -> Result<Vec<Connection>, ConnectionsError> {
    Ok(list(addresses)?.connections().collect())
}

fn mark_local_clients(list: &mut ConnectionList, ours: &BTreeSet<IpAddr>) {
    for socket in &mut list.sockets {
        let client = socket.connection.remote.ip();
        // All of 127.0.0.0/8 is this host.
        if client.is_loopback() || ours.contains(&client) {
            socket.client = ClientPlace::ThisHost;
        }
    }
}

fn list_sockets(addresses: &[IpAddr]) -> Result<ConnectionList, ConnectionsError> {
    let limit = WaitLimit::start(LIST_LIMIT).map_err(ConnectionsError::Timer)?;
    let mut list = ConnectionList { sockets: Vec::new(), extent: ListExtent::Whole };
    for some in addresses.chunks(MOST_ADDRESSES) {
        for family in [Family::Ipv4, Family::Ipv6] {
            let room = MOST_CONNECTIONS.saturating_sub(list.sockets.len());
            if let Some(request) = DiagMessage::list(family, some) {
                let dump = until_whole(|| {
                    let mut dump = SocketDump::new(room);
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
/// connections to an address of documentation, of which there are none, and the end of a listener that
/// this function opens for that.
///
/// # Errors
/// [`ConnectionsError`]: what is missing.
pub fn probe() -> Result<(), ConnectionsError> {
    list(&BTreeSet::from([IpAddr::from([192, 0, 2, 1])]))?;
    let local = Ipv4Addr::LOCALHOST;
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
        client: ClientPlace::Elsewhere,
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
        let socket = netlink_socket::open(NETLINK_SOCK_DIAG).map_err(ConnectionsError::Open)?;
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
    room: usize,
    list: ConnectionList,
}

impl SocketDump {
    fn new(room: usize) -> Self {
        let list = ConnectionList { sockets: Vec::new(), extent: ListExtent::Whole };
        Self { room, list }
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
        if self.list.sockets.len() >= self.room {
            self.list.extent = ListExtent::Cut;
            return ControlFlow::Break(());
        }
        self.list.sockets.push(socket);
        ControlFlow::Continue(())
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
mod tests;
