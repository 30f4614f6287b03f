//! One TCP connection, as both of its ends call it: by two addresses and two ports.
//!
//! What the kernel knows beside this about the socket of a connection is in `kernel::connections`.

use std::net::SocketAddr;

/// One TCP connection, seen from the node that serves it. An IPv4 connection has IPv4 addresses
/// here, even where the socket is an IPv6 socket and the kernel calls them `::ffff:192.0.2.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection {
    /// Address and port on the node that serves.
    pub local: SocketAddr,
    /// Address and port of the client.
    pub remote: SocketAddr,
}
