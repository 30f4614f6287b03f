//! Opens sockets to the kernel's netlink families.
//!
//! This module owns what all of them have in common: the kernel is the only one that they hear, an
//! error has the kernel's own text, and an acknowledgement does not repeat the request. It must not
//! know what is asked.

use netlink_sys::{Socket, SocketAddr};
use std::io;

/// Opens a socket of a netlink protocol in the network namespace of the calling thread.
///
/// # Errors
/// The kernel's error: `EPROTONOSUPPORT` if it does not have the protocol.
pub(super) fn open(protocol: isize) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    // Connected to the kernel, a socket receives nothing from other processes.
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_ext_ack(true)?;
    socket.set_cap_ack(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_sys::protocols::{NETLINK_ROUTE, NETLINK_SOCK_DIAG};

    #[test]
    fn a_socket_has_an_address_of_its_own_and_speaks_to_the_kernel_only() {
        for protocol in [NETLINK_ROUTE, NETLINK_SOCK_DIAG] {
            let (first, second) = (open(protocol).unwrap(), open(protocol).unwrap());
            let mut own = SocketAddr::new(0, 0);
            first.get_address(&mut own).unwrap();
            assert_ne!(own.port_number(), 0);
            // Another process, played by an unconnected socket, is not heard.
            let mut other = Socket::new(protocol).unwrap();
            other.bind_auto().unwrap();
            let _refused_or_dropped = other.send_to(b"0123456789abcdef", &own, 0);
            first.set_non_blocking(true).unwrap();
            let heard = first.recv(&mut Vec::with_capacity(64), 0).unwrap_err();
            assert_eq!(heard.kind(), io::ErrorKind::WouldBlock);
            assert!(second.set_non_blocking(true).is_ok());
        }
    }

    #[test]
    fn a_protocol_that_the_kernel_does_not_have_is_refused() {
        assert_eq!(open(31).unwrap_err().raw_os_error(), Some(libc::EPROTONOSUPPORT));
    }
}
