//! The raw sockets of protocol 112: one to receive and one to send, for each interface and family.
//!
//! Owns the kernel's side of RFC 9568 §5.1: the group, TTL or Hop Limit 255, the choice of the
//! source address. Must not know what is inside a message: checks, counters and routers are above.
//!
//! For IPv4 a third socket receives what the kernel keeps from the first: advertisements from our
//! own addresses ([`martian`]).
//!
//! There are two sockets because they need opposite things: the receiver is filtered to the group,
//! or to what is sent to this host, and asks for ancillary data; the sender must never queue a
//! packet that nobody reads. Both are bound to an interface by index: an interface that is created
//! again has a new index, and its sockets must be opened again.

mod martian;
mod receive;
mod transmit;

pub use martian::MartianSocket;
pub(super) use receive::grow_buffer;
pub use receive::{Addressee, ReceiveReport, ReceiveSocket, Remaining};
pub use transmit::{OutgoingMessages, Route, TransmitSocket};

use super::filter::{self, Instruction};
use super::socket_error::{Context, SocketError};
use crate::types::Family;
use socket2::{Domain, Protocol, Socket, Type};
use std::num::NonZeroU32;

/// IANA's protocol number for VRRP.
// RFC9568-5.1.1.4-1, RFC9568-5.1.2.4-1
const VRRP: i32 = 112;

/// A non-blocking, close-on-exec raw socket that is bound to the interface and accepts what
/// `program` accepts.
///
/// The kernel delivers to a raw socket from the moment it exists, so the filter is attached first,
/// before anything else can be queued.
fn open_raw(context: Context, family: Family, program: &[Instruction]) -> Result<Socket, SocketError> {
    let domain = match family {
        Family::Ipv4 => Domain::IPV4,
        Family::Ipv6 => Domain::IPV6,
    };
    // `Socket::new` sets close-on-exec.
    let opened = Socket::new(domain, Type::RAW, Some(Protocol::from(VRRP)));
    let socket = context.step("open a raw socket for protocol 112", opened)?;
    context.step("attach a filter to a raw socket", filter::attach(&socket, program))?;
    context.step("make a raw socket non-blocking", socket.set_nonblocking(true))?;
    let index = NonZeroU32::new(context.index);
    let bound = match family {
        Family::Ipv4 => socket.bind_device_by_index_v4(index),
        Family::Ipv6 => socket.bind_device_by_index_v6(index),
    };
    // The kernel binds to any number; only the translation back to a name shows whether there is
    // such an interface.
    let bound = bound.and_then(|()| socket.device());
    context.step("bind a raw socket to the interface", bound)?;
    Ok(socket)
}
