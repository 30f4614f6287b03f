//! The socket for transactions.
//!
//! The kernel carries out a transaction while `send` runs, and its answers are in the receive buffer
//! before `send` returns. So nothing here waits.

use super::attribute::{find, text};
use super::refusal::{NftablesRefusal, RefusedSubject, subject};
use super::transaction::{NETFILTER_HEADER, NETLINK_HEADER, TableFamily, Transaction, rules_request};
use crate::kernel::netlink::grow_receive_buffer;
use crate::kernel::netlink_socket;
use netlink_packet_core::NetlinkBuffer;
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_NETFILTER;
use nix::errno::Errno;
use std::fmt;
use std::io;

/// The most octets that a transaction should have. Every socket can send so much, whatever the machine's
/// limits are (`net.core.wmem_default` is 212,992), and other programs that change rules do not wait
/// long for such a transaction.
pub const BATCH_SIZE: usize = 128 << 10;
/// A datagram of a list has at most 32 KiB.
const DATAGRAM: usize = 64 << 10;
/// The receive buffer that the socket asks for, in octets: a transaction of many messages may have
/// an error for each of them.
const RECEIVE_BUFFER: usize = 1 << 20;
/// How often a list is read again that a transaction of another program interrupted.
const DUMP_ATTEMPTS: u8 = 5;
/// Flags of netlink(7) that neither libc nor the netlink crates define.
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSGERR_ATTR_MSG: u16 = 1;
const NLMSGERR_ATTR_OFFS: u16 = 2;

/// Why a transaction was not carried out, or a list not read.
#[derive(Debug, thiserror::Error)]
pub enum NftablesError {
    /// The socket could not be opened.
    #[error("cannot open a netfilter netlink socket")]
    Open(#[source] io::Error),
    /// The transaction could not be sent.
    #[error("cannot send a transaction to nf_tables")]
    Send(#[source] io::Error),
    /// The answer could not be read. It is not known whether the transaction was carried out.
    #[error("cannot read the answer of nf_tables")]
    Receive(#[source] io::Error),
    /// The answer makes no sense. It is not known whether the transaction was carried out.
    #[error("cannot read the answer of nf_tables: {0}")]
    Decode(String),
    /// The kernel refused it.
    #[error("the kernel refused {0}")]
    Refused(NftablesRefusal),
}

impl NftablesError {
    /// Whether the kernel has no packet filter at all, so that there can be no table.
    #[must_use]
    pub fn has_no_packet_filter(&self) -> bool {
        match self {
            Self::Open(error) => error.raw_os_error() == Some(libc::EPROTONOSUPPORT),
            // The kernel refuses the begin of a transaction for a subsystem that it does not have.
            Self::Refused(refusal) => {
                let missing =
                    matches!(refusal.errno, Errno::EOPNOTSUPP | Errno::EINVAL | Errno::EAFNOSUPPORT);
                let of_all = match &refusal.subject {
                    RefusedSubject::Transaction | RefusedSubject::Table => true,
                    RefusedSubject::Chain(_)
                    | RefusedSubject::Rule { .. }
                    | RefusedSubject::Set(_)
                    | RefusedSubject::Element(_) => false,
                };
                missing && of_all
            }
            Self::Send(_) | Self::Receive(_) | Self::Decode(_) => false,
        }
    }
}

/// A netlink socket to nf_tables in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct NftablesSocket {
    socket: Socket,
    sequence: u32,
    incoming: Vec<u8>,
}

/// What carries out transactions: a socket, or something in its place in a test.
pub trait Nftables: fmt::Debug + Send {
    /// As [`NftablesSocket::commit`].
    ///
    /// # Errors
    /// [`NftablesError`].
    fn commit(&mut self, transaction: Transaction<'_>) -> Result<(), NftablesError>;

    /// As [`NftablesSocket::rules`].
    ///
    /// # Errors
    /// [`NftablesError`].
    fn rules(&mut self, family: TableFamily, table: &str) -> Result<Vec<Vec<u8>>, NftablesError>;
}

impl Nftables for NftablesSocket {
    fn commit(&mut self, transaction: Transaction<'_>) -> Result<(), NftablesError> {
        NftablesSocket::commit(self, transaction)
    }

    fn rules(&mut self, family: TableFamily, table: &str) -> Result<Vec<Vec<u8>>, NftablesError> {
        NftablesSocket::rules(self, family, table)
    }
}

/// One answer of the kernel.
struct KernelAnswer {
    number: u32,
    kind: u16,
    flags: u16,
    payload: Vec<u8>,
}

impl NftablesSocket {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`NftablesError::Open`].
    pub fn open() -> Result<Self, NftablesError> {
        let open = || {
            let socket = netlink_socket::open(NETLINK_NETFILTER)?;
            // Without CAP_NET_ADMIN in the first user namespace the size has a limit; it suffices.
            grow_receive_buffer(&socket, RECEIVE_BUFFER)?;
            Ok(socket)
        };
        let socket = open().map_err(NftablesError::Open)?;
        Ok(Self { socket, sequence: 1, incoming: Vec::with_capacity(DATAGRAM) })
    }

    /// Carries out all of a transaction or nothing.
    ///
    /// # Errors
    /// [`NftablesError::Refused`] if nothing was carried out.
    pub fn commit(&mut self, transaction: Transaction<'_>) -> Result<(), NftablesError> {
        let first = self.sequence;
        let (octets, last) = transaction.finish(first);
        self.sequence = last.wrapping_add(2);
        self.send(&octets)?;
        let mut acknowledged = false;
        let mut refusal = None;
        self.receive_all(|answer| {
            // Late answers to something else are not of interest.
            let of_this = answer.number.wrapping_sub(first) <= last.wrapping_sub(first);
            if answer.kind != NLMSG_ERROR || !of_this {
                return Ok(());
            }
            let code = answer.payload.first_chunk().copied().map_or(0, i32::from_ne_bytes);
            if code == 0 {
                acknowledged |= answer.number == last;
            } else if refusal.is_none() {
                refusal = Some(explain(&octets, answer, code));
            }
            Ok(())
        })?;
        match refusal {
            Some(refusal) => Err(NftablesError::Refused(refusal)),
            None if acknowledged => Ok(()),
            None => Err(NftablesError::Decode("the transaction is not acknowledged".to_owned())),
        }
    }

    /// The rules of a table, each as the attributes of its message.
    ///
    /// # Errors
    /// [`NftablesError`].
    pub fn rules(&mut self, family: TableFamily, table: &str) -> Result<Vec<Vec<u8>>, NftablesError> {
        self.list(|number| rules_request(family, table, number))
    }

    fn list(&mut self, request: impl Fn(u32) -> Vec<u8>) -> Result<Vec<Vec<u8>>, NftablesError> {
        for _ in 1..DUMP_ATTEMPTS {
            if let Some(list) = self.list_once(&request)? {
                return Ok(list);
            }
        }
        self.list_once(&request)?.ok_or_else(|| {
            NftablesError::Decode(format!("other programs changed the rules {DUMP_ATTEMPTS} times meanwhile"))
        })
    }

    /// A list, or nothing if a transaction interrupted it.
    fn list_once(&mut self, request: impl Fn(u32) -> Vec<u8>) -> Result<Option<Vec<Vec<u8>>>, NftablesError> {
        let number = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        let request = request(number);
        self.send(&request)?;
        let (mut list, mut interrupted, mut finished) = (Vec::new(), false, false);
        while !finished {
            let mut heard = false;
            self.receive_all(|answer| {
                heard = true;
                if answer.number != number {
                    return Ok(());
                }
                interrupted |= answer.flags & NLM_F_DUMP_INTR != 0;
                match answer.kind {
                    NLMSG_ERROR | NLMSG_DONE => {
                        finished = true;
                        let code = answer.payload.first_chunk().copied().map_or(0, i32::from_ne_bytes);
                        if code == -libc::EINTR || code == -libc::EAGAIN {
                            interrupted = true;
                        } else if code != 0 {
                            return Err(NftablesError::Refused(explain(&request, answer, code)));
                        }
                    }
                    _ => list.push(answer.payload.get(NETFILTER_HEADER..).unwrap_or_default().to_vec()),
                }
                Ok(())
            })?;
            if !heard {
                return Err(NftablesError::Decode("the list does not end".to_owned()));
            }
        }
        Ok((!interrupted).then_some(list))
    }

    fn send(&mut self, octets: &[u8]) -> Result<(), NftablesError> {
        loop {
            match self.socket.send(octets, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(NftablesError::Send(error)),
            }
        }
    }

    /// Passes every answer to `take` that is there. All are read, even after `take` failed: none may
    /// be left for the next request.
    fn receive_all(
        &mut self,
        mut take: impl FnMut(&KernelAnswer) -> Result<(), NftablesError>,
    ) -> Result<(), NftablesError> {
        let mut outcome = Ok(());
        loop {
            self.incoming.clear();
            match self.socket.recv(&mut self.incoming, libc::MSG_DONTWAIT) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return outcome,
                // Answers were dropped because the receive buffer was full. What is in it is read.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    outcome = outcome.and(Err(NftablesError::Receive(error)));
                    continue;
                }
                Err(error) => return Err(NftablesError::Receive(error)),
            }
            let mut rest = self.incoming.as_slice();
            while !rest.is_empty() {
                let header = match NetlinkBuffer::new_checked(rest) {
                    Ok(header) => header,
                    Err(error) => {
                        outcome = outcome.and(Err(NftablesError::Decode(error.to_string())));
                        break;
                    }
                };
                let length = usize::try_from(header.length()).unwrap_or(usize::MAX);
                let answer = KernelAnswer {
                    number: header.sequence_number(),
                    kind: header.message_type(),
                    flags: header.flags(),
                    payload: rest.get(NETLINK_HEADER..length).unwrap_or_default().to_vec(),
                };
                if outcome.is_ok() {
                    outcome = take(&answer);
                }
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }
}

/// What an error message says about the messages that were sent. Behind its code it has the header
/// of the refused message, and with NLM_F_ACK_TLVS attributes.
fn explain(sent: &[u8], answer: &KernelAnswer, code: i32) -> NftablesRefusal {
    let attributes = answer.payload.get(4 + NETLINK_HEADER..).unwrap_or_default();
    let attribute = |kind| (answer.flags & NLM_F_ACK_TLVS != 0).then(|| find(attributes, kind)).flatten();
    let offset = attribute(NLMSGERR_ATTR_OFFS).and_then(|value| value.try_into().ok());
    let offset = offset.and_then(|value| usize::try_from(u32::from_ne_bytes(value)).ok());
    NftablesRefusal {
        errno: Errno::from_raw(code.saturating_neg()),
        subject: subject(sent, answer.number, offset),
        text: attribute(NLMSGERR_ATTR_MSG).map(text),
    }
}
