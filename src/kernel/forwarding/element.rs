//! A connection as a value of a set in the kernel.

use crate::types::Connection;
use std::net::SocketAddr;

/// Length in octets of an IPv4 and of an IPv6 connection.
const IPV4: usize = 16;
const IPV6: usize = 40;
/// What is around the value in a message, in octets.
const HEADERS: usize = 12;

/// A connection as its packets to us have it: source address, source port, destination address and
/// destination port. A port is followed by two octets of padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionKey {
    octets: [u8; IPV6],
    length: usize,
}

impl ConnectionKey {
    /// Nothing if the ends have different families.
    pub(super) fn new(connection: &Connection) -> Option<Self> {
        let mut octets = [0; IPV6];
        let length = match (connection.remote, connection.local) {
            (SocketAddr::V4(_), SocketAddr::V4(_)) => IPV4,
            (SocketAddr::V6(_), SocketAddr::V6(_)) => IPV6,
            (SocketAddr::V4(_), SocketAddr::V6(_)) | (SocketAddr::V6(_), SocketAddr::V4(_)) => return None,
        };
        let (source, destination) = octets.get_mut(..length)?.split_at_mut(length / 2);
        write_end(source, connection.remote);
        write_end(destination, connection.local);
        Some(Self { octets, length })
    }

    /// How many octets an element with a value of this length has in a message.
    pub(super) fn size_of_element(&self) -> usize {
        HEADERS + self.length
    }
}

impl AsRef<[u8]> for ConnectionKey {
    fn as_ref(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

fn write_end(octets: &mut [u8], end: SocketAddr) {
    let [high, low] = end.port().to_be_bytes();
    match end {
        SocketAddr::V4(end) => write_all(octets, &end.ip().octets(), [high, low, 0, 0]),
        SocketAddr::V6(end) => write_all(octets, &end.ip().octets(), [high, low, 0, 0]),
    }
}

fn write_all(octets: &mut [u8], address: &[u8], port: [u8; 4]) {
    octets.iter_mut().zip(address.iter().chain(&port)).for_each(|(to, from)| *to = *from);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(remote: &str, local: &str) -> Connection {
        Connection { local: local.parse().unwrap(), remote: remote.parse().unwrap() }
    }

    #[test]
    fn a_value_is_the_client_and_then_the_address_each_with_its_port() {
        let key = ConnectionKey::new(&connection("10.1.2.3:1234", "10.0.0.1:80")).unwrap();
        // As `nft add element … { 10.1.2.3 . 1234 . 10.0.0.1 . 80 }` sends it.
        assert_eq!(key.as_ref(), [10, 1, 2, 3, 4, 0xd2, 0, 0, 10, 0, 0, 1, 0, 80, 0, 0]);

        let key = ConnectionKey::new(&connection("[2001:db8::2]:1234", "[2001:db8::1]:80")).unwrap();
        let mut expected = [0; 40];
        expected[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        expected[15..18].copy_from_slice(&[2, 4, 0xd2]);
        expected[20..24].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        expected[35..38].copy_from_slice(&[1, 0, 80]);
        assert_eq!(key.as_ref(), expected);
        assert_eq!(key.size_of_element(), 52);
    }

    #[test]
    fn a_connection_has_one_family() {
        assert_eq!(ConnectionKey::new(&connection("10.1.2.3:1", "[2001:db8::1]:80")), None);
        assert_eq!(ConnectionKey::new(&connection("[2001:db8::1]:1", "10.1.2.3:80")), None);
    }
}
