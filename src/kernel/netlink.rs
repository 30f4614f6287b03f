//! A blocking rtnetlink socket for batches of address changes.
//!
//! Each send has at most [`BATCH`] messages, every message is acknowledged, an error has the
//! kernel's own text, and every wait has a limit. The socket is used on a thread of its own,
//! because netlink is synchronous in the kernel, and thousands of addresses take a tenth of a
//! second. This module must not know why an address is added or removed.
//!
//! It exists beside `rtnetlink` (see [`super::monitor`]) because netlink-proto hangs for ever when
//! the acknowledgements of a batch overflow the receive buffer, sends unacknowledged messages late,
//! and does not read extended acknowledgements.

use super::address::{ObservedAddress, installation, loopback_installation};
use super::netlink_socket;
use super::resources::Operation;
use super::resources::address::AddressOperation;
use netlink_packet_core::{
    ErrorMessage, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST,
    NetlinkBuffer, NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage as RouteRequest, RouteType};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use std::fmt;
use std::io;
use std::net::Ipv6Addr;
use std::ops::ControlFlow;
use std::os::fd::AsFd;

/// Number of messages in one send: their acknowledgements fit into any receive buffer.
pub const BATCH: usize = 64;
/// The kernel answers while `send` runs. The timeout is for the case that it does not answer at
/// all.
const TIMEOUT_SECONDS: i64 = 2;
/// Size of the receive buffer in octets that a socket asks for. Datagrams of a dump have at most 32
/// KiB.
const RECEIVE_BUFFER: usize = 1 << 20;
const DATAGRAM: usize = 64 << 10;
/// How often a dump is repeated that another change interrupted, before its result is used as it
/// is.
const DUMP_ATTEMPTS: u8 = 5;
/// A flag of netlink(7) that neither libc nor the netlink crates define.
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;
/// Length of a netlink header in octets.
const REQUEST_HEADER: usize = 16;

type RouteMessage = NetlinkMessage<RouteNetlinkMessage>;

/// Why the socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket could not be opened.
    #[error("cannot open a netlink socket")]
    Open(#[source] io::Error),
    /// A request could not be sent.
    #[error("cannot send a netlink request")]
    Send(#[source] io::Error),
    /// The answer did not arrive in time, or was dropped.
    #[error("the kernel did not answer a netlink request")]
    Receive(#[source] io::Error),
    /// The answer cannot be decoded; the text says why.
    #[error("cannot read the kernel's answer to a netlink request: {0}")]
    Decode(String),
    /// The kernel refused to list addresses.
    #[error("cannot list the addresses: {0}")]
    Dump(KernelRefusal),
}

/// Why the kernel refused one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelRefusal {
    /// The error number of the kernel.
    pub errno: Errno,
    /// The text of the kernel, if it sent one (extended acknowledgement).
    pub text: Option<String>,
}

/// Why an address that had to be installed again is there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restoration {
    /// This request installed it.
    Installed,
    /// It had not disappeared, or another program was faster.
    WasThere,
}

impl fmt::Display for KernelRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{text} ({})", self.errno),
            None => write!(f, "{}", self.errno),
        }
    }
}

/// The administrative state of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminState {
    /// IFF_UP is set.
    Up,
    /// IFF_UP is not set.
    Down,
    /// There is no interface with this index.
    Missing,
}

/// The socket, with its buffers.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl Netlink {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`NetlinkError::Open`].
    pub fn open() -> Result<Self, NetlinkError> {
        let open = || {
            let socket = netlink_socket::open(NETLINK_ROUTE)?;
            socket.set_netlink_get_strict_chk(true)?;
            grow_receive_buffer(&socket, RECEIVE_BUFFER)?;
            setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(TIMEOUT_SECONDS))?;
            Ok(socket)
        };
        Ok(Self {
            socket: open().map_err(NetlinkError::Open)?,
            // Far from the small sequence numbers of `rtnetlink` in this process: see
            // `Monitor::dump`.
            sequence: 1 << 31,
            outgoing: Vec::new(),
            incoming: Vec::with_capacity(DATAGRAM),
        })
    }

    /// Carries out `operations` in their order; the results have the same order. An address that is
    /// there already, or gone already, counts as success.
    ///
    /// # Errors
    /// [`NetlinkError`] when it is not known which operations were carried out.
    pub fn apply(
        &mut self,
        operations: &[Operation],
    ) -> Result<Vec<Result<(), KernelRefusal>>, NetlinkError> {
        let outcomes = self.transact(operations, request)?;
        let settle = |(operation, outcome): (&Operation, Result<(), KernelRefusal>)| {
            outcome.or_else(|refusal| forgive(operation, refusal))
        };
        Ok(operations.iter().zip(outcomes).map(settle).collect())
    }

    /// Installs addresses that are not ours as the messages say, unless they are there already; the
    /// results have the same order.
    ///
    /// # Errors
    /// [`NetlinkError`] when it is not known which addresses were installed.
    pub fn reinstall(
        &mut self,
        messages: &[AddressMessage],
    ) -> Result<Vec<Result<Restoration, KernelRefusal>>, NetlinkError> {
        let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        let outcomes =
            self.transact(messages, |message| (RouteNetlinkMessage::NewAddress(message.clone()), flags))?;
        let returned = |outcome: Result<(), KernelRefusal>| match outcome {
            Ok(()) => Ok(Restoration::Installed),
            Err(refusal) if refusal.errno == Errno::EEXIST => Ok(Restoration::WasThere),
            Err(refusal) => Err(refusal),
        };
        Ok(outcomes.into_iter().map(returned).collect())
    }

    /// Sends one request for each of `items`, in their order, and collects the results.
    fn transact<T>(
        &mut self,
        items: &[T],
        request: impl Fn(&T) -> (RouteNetlinkMessage, u16),
    ) -> Result<Vec<Result<(), KernelRefusal>>, NetlinkError> {
        let mut results = Vec::with_capacity(items.len());
        for batch in items.chunks(BATCH) {
            let first = self.sequence.wrapping_add(1);
            for item in batch {
                let (message, flags) = request(item);
                self.enqueue(message, flags);
            }
            self.flush()?;
            let mut outcomes: Vec<Option<Result<(), KernelRefusal>>> = vec![None; batch.len()];
            self.collect_acks(first, &mut outcomes)?;
            results.extend(outcomes.into_iter().flatten());
        }
        Ok(results)
    }

    /// The addresses of all interfaces, for each interface in the kernel's order.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn addresses(&mut self) -> Result<Vec<ObservedAddress>, NetlinkError> {
        Ok(self.address_messages()?.iter().filter_map(ObservedAddress::decode).collect())
    }

    /// As [`Self::addresses`], with all attributes that the kernel reports.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn address_messages(&mut self) -> Result<Vec<AddressMessage>, NetlinkError> {
        let mut dump = self.dump()?;
        for _ in 1..DUMP_ATTEMPTS {
            if dump.consistency == Consistency::Whole {
                break;
            }
            dump = self.dump()?;
        }
        Ok(dump.addresses)
    }

    /// The administrative state of an interface.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn link_state(&mut self, index: u32) -> Result<AdminState, NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        let sequence = self.enqueue(RouteNetlinkMessage::GetLink(message), NLM_F_REQUEST);
        self.flush()?;
        let mut state = AdminState::Missing;
        self.receive(|message| {
            if message.header.sequence_number != sequence {
                return Ok(ControlFlow::Continue(()));
            }
            if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) = message.payload {
                let up = link.header.flags.contains(LinkFlags::Up);
                state = if up { AdminState::Up } else { AdminState::Down };
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(state)
    }

    /// The name of the interface with this index, if there is one.
    ///
    /// # Errors
    /// [`NetlinkError`].
    #[expect(clippy::wildcard_enum_match_arm, reason = "not our enum; one attribute is asked for")]
    pub fn link_name(&mut self, index: u32) -> Result<Option<String>, NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        let sequence = self.enqueue(RouteNetlinkMessage::GetLink(message), NLM_F_REQUEST);
        self.flush()?;
        let mut name = None;
        self.receive(|message| {
            if message.header.sequence_number != sequence {
                return Ok(ControlFlow::Continue(()));
            }
            if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) = message.payload {
                name = link.attributes.into_iter().find_map(|attribute| match attribute {
                    LinkAttribute::IfName(name) => Some(name),
                    _ => None,
                });
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(name)
    }

    /// Whether packets to `address` are delivered here, which they are if the kernel has a local
    /// route to it.
    ///
    /// An IPv6 address is in the kernel's list as soon as its addition is acknowledged. It can be
    /// used a little later, when a worker of the kernel has made its route and joined its
    /// solicited-node group.
    ///
    /// # Errors
    /// [`NetlinkError`].
    pub fn is_delivered(&mut self, index: u32, address: Ipv6Addr) -> Result<bool, NetlinkError> {
        let mut get = RouteRequest::default();
        get.header.address_family = AddressFamily::Inet6;
        get.header.destination_prefix_length = 128;
        get.attributes.push(RouteAttribute::Destination(RouteAddress::Inet6(address)));
        get.attributes.push(RouteAttribute::Oif(index));
        let sequence = self.enqueue(RouteNetlinkMessage::GetRoute(get), NLM_F_REQUEST);
        self.flush()?;
        let mut delivered = false;
        self.receive(|message| {
            if message.header.sequence_number != sequence {
                return Ok(ControlFlow::Continue(()));
            }
            if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(route)) = message.payload {
                delivered = route.header.kind == RouteType::Local;
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(delivered)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "not our enum; nothing else belongs to a dump")]
    fn dump(&mut self) -> Result<Dump, NetlinkError> {
        let get = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let sequence = self.enqueue(get, NLM_F_REQUEST | NLM_F_DUMP);
        self.flush()?;
        let mut dump = Dump { addresses: Vec::new(), consistency: Consistency::Whole };
        self.receive(|message| {
            if message.header.sequence_number != sequence {
                return Ok(ControlFlow::Continue(()));
            }
            if message.header.flags & NLM_F_DUMP_INTR != 0 {
                dump.consistency = Consistency::Interrupted;
            }
            match message.payload {
                NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(address)) => {
                    dump.addresses.push(address);
                    Ok(ControlFlow::Continue(()))
                }
                NetlinkPayload::Error(error) => {
                    refusal(&error, message.header.flags).map_err(NetlinkError::Dump)?;
                    Ok(ControlFlow::Break(()))
                }
                NetlinkPayload::Done(done) if done.code < 0 => {
                    let errno = Errno::from_raw(done.code.saturating_neg());
                    Err(NetlinkError::Dump(KernelRefusal { errno, text: None }))
                }
                NetlinkPayload::Done(_) => Ok(ControlFlow::Break(())),
                _ => Ok(ControlFlow::Continue(())),
            }
        })?;
        Ok(dump)
    }

    /// Appends a request to the batch, and returns its sequence number.
    fn enqueue(&mut self, message: RouteNetlinkMessage, flags: u16) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = RouteMessage::from(message);
        message.header.flags = flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let at = self.outgoing.len();
        // Bodies of rtnetlink messages are multiples of 4 octets, so no padding is needed between
        // messages.
        self.outgoing.resize(at + message.buffer_len(), 0);
        if let Some(space) = self.outgoing.get_mut(at..) {
            message.serialize(space);
        }
        self.sequence
    }

    fn flush(&mut self) -> Result<(), NetlinkError> {
        let sent = self.socket.send(&self.outgoing, 0);
        self.outgoing.clear();
        sent.map(|_| ()).map_err(NetlinkError::Send)
    }

    /// Reads until all requests, numbered from `first`, are answered.
    fn collect_acks(
        &mut self,
        first: u32,
        outcomes: &mut [Option<Result<(), KernelRefusal>>],
    ) -> Result<(), NetlinkError> {
        let mut open = outcomes.len();
        if open == 0 {
            return Ok(());
        }
        self.receive(|message| {
            let NetlinkPayload::Error(error) = &message.payload else {
                return Ok(ControlFlow::Continue(()));
            };
            // Late answers to a request that timed out have a number outside the batch.
            let at =
                usize::try_from(message.header.sequence_number.wrapping_sub(first)).unwrap_or(usize::MAX);
            if let Some(outcome @ None) = outcomes.get_mut(at) {
                *outcome = Some(refusal(error, message.header.flags));
                open -= 1;
            }
            Ok(if open == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
    }

    /// Passes every message that arrives to `take`, until `take` asks to stop.
    fn receive(
        &mut self,
        mut take: impl FnMut(RouteMessage) -> Result<ControlFlow<()>, NetlinkError>,
    ) -> Result<(), NetlinkError> {
        let mut enough = false;
        while !enough {
            self.incoming.clear();
            match self.socket.recv(&mut self.incoming, 0) {
                Ok(_) => {}
                // With a timeout set, SA_RESTART has no effect, and a call is interrupted even
                // without a signal handler: by SIGSTOP and SIGCONT (signal(7)).
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(NetlinkError::Receive(error)),
            }
            let mut rest = self.incoming.as_slice();
            while !rest.is_empty() {
                let undecodable = |e: netlink_packet_core::DecodeError| NetlinkError::Decode(e.to_string());
                let len = NetlinkBuffer::new_checked(rest).map_err(undecodable)?.length();
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                let message = RouteMessage::deserialize(rest).map_err(undecodable)?;
                rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
                // The rest of the datagram must be processed even after `take` asked to stop,
                // because it cannot be read again.
                enough |= take(message)?.is_break();
            }
        }
        Ok(())
    }
}

/// Sets the size of the receive buffer: with SO_RCVBUFFORCE, or within `rmem_max` without
/// CAP_NET_ADMIN (which no process has for this purpose inside a user namespace).
///
/// # Errors
/// If even the size within `rmem_max` is refused.
pub fn grow_receive_buffer(socket: &impl AsFd, octets: usize) -> io::Result<()> {
    setsockopt(socket, sockopt::RcvBufForce, &octets)
        .or_else(|_| setsockopt(socket, sockopt::RcvBuf, &octets))
        .map_err(io::Error::from)
}

struct Dump {
    addresses: Vec<AddressMessage>,
    consistency: Consistency,
}

#[derive(PartialEq, Eq)]
enum Consistency {
    Whole,
    Interrupted,
}

fn request(operation: &Operation) -> (RouteNetlinkMessage, u16) {
    match operation {
        Operation::Address(operation) => address_request(operation),
    }
}

fn address_request(operation: &AddressOperation) -> (RouteNetlinkMessage, u16) {
    let new = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    match operation {
        AddressOperation::Add { index, net } => {
            (RouteNetlinkMessage::NewAddress(installation(*index, *net)), new)
        }
        AddressOperation::AddToLoopback { address, note, lifetime } => {
            (RouteNetlinkMessage::NewAddress(loopback_installation(*address, *note, *lifetime)), new)
        }
        AddressOperation::SetLifetime { address, note, lifetime } => {
            // The kernel adds the address if it has gone meanwhile, whatever the flags say.
            let message = loopback_installation(*address, *note, *lifetime);
            (RouteNetlinkMessage::NewAddress(message), NLM_F_REQUEST | NLM_F_ACK | NLM_F_REPLACE)
        }
        AddressOperation::Remove(address) => {
            (RouteNetlinkMessage::DelAddress(address.removal()), NLM_F_REQUEST | NLM_F_ACK)
        }
    }
}

/// Accepts a refusal if the desired state is reached already.
fn forgive(operation: &Operation, refusal: KernelRefusal) -> Result<(), KernelRefusal> {
    match operation {
        Operation::Address(operation) => forgive_address(operation, refusal),
    }
}

/// A removal also finds its address gone when the interface disappeared, or when the kernel removed
/// it together with a primary.
fn forgive_address(operation: &AddressOperation, refusal: KernelRefusal) -> Result<(), KernelRefusal> {
    match (operation, refusal.errno) {
        (AddressOperation::Add { .. } | AddressOperation::AddToLoopback { .. }, Errno::EEXIST)
        | (AddressOperation::Remove(_), Errno::EADDRNOTAVAIL | Errno::ENODEV) => Ok(()),
        (
            AddressOperation::Add { .. }
            | AddressOperation::AddToLoopback { .. }
            | AddressOperation::SetLifetime { .. }
            | AddressOperation::Remove(_),
            _,
        ) => Err(refusal),
    }
}

/// Reads an NLMSG_ERROR, where code 0 is the acknowledgement. The attributes of an extended
/// acknowledgement follow the header of the request; NETLINK_CAP_ACK leaves out the rest of the
/// request.
pub(super) fn refusal(error: &ErrorMessage, flags: u16) -> Result<(), KernelRefusal> {
    let Some(code) = error.code else {
        return Ok(());
    };
    let attributes = error.header.get(REQUEST_HEADER..).unwrap_or_default();
    let text = (flags & NLM_F_ACK_TLVS != 0)
        .then(|| NlasIterator::new(attributes).map_while(Result::ok))
        .and_then(|mut nlas| nlas.find(|nla| nla.kind() == NLMSGERR_ATTR_MSG))
        .map(|nla| String::from_utf8_lossy(nla.value()).trim_end_matches('\0').to_owned());
    Err(KernelRefusal { errno: Errno::from_raw(code.get().saturating_neg()), text })
}
