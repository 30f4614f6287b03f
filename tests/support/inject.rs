//! A hostile or broken neighbour, which sends any frame octet by octet.

use super::frame::{ones_complement_sum, pseudo_header};
use super::lab::Node;
use super::wait::Ticker;
use nix::sys::socket::{LinkAddr, MsgFlags, sendto};
use socket2::{Domain, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// The groups of RFC 9568 §5.1.1.2 and §5.1.2.2.
pub(crate) const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
pub(crate) const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// A packet socket on an interface of a node.
pub(crate) struct Injector {
    socket: Socket,
    interface: LinkAddr,
}

impl Injector {
    pub(crate) fn new(node: &Node) -> Self {
        Self::on(node, "eth0")
    }

    pub(crate) fn on(node: &Node, interface: &str) -> Self {
        node.ns.enter(|| {
            let socket = Socket::new(Domain::PACKET, Type::RAW, None).expect("a packet socket");
            let mut all = nix::ifaddrs::getifaddrs().expect("the interfaces");
            let link = all.find_map(|one| {
                let link = one.address.and_then(|address| address.as_link_addr().copied());
                link.filter(|_| one.interface_name == interface)
            });
            Self { socket, interface: link.expect("the interface to inject on") }
        })
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        let sent = sendto(self.socket.as_raw_fd(), frame, &self.interface, MsgFlags::empty());
        assert_eq!(sent, Ok(frame.len()), "injecting a frame");
    }

    /// Sends `frame` again and again for `time`, `rate` times a second, and returns how often.
    pub(crate) fn flood(&self, frame: &[u8], rate: u32, time: Duration) -> u32 {
        let period = Duration::from_secs(1) / rate;
        let count = u32::try_from(time.as_nanos() / period.as_nanos()).expect("a short flood");
        let mut ticker = Ticker::new(period);
        for _ in 0..count {
            ticker.tick();
            self.send(frame);
        }
        count
    }
}

/// An advertisement to be sent, correct or with deliberate errors.
#[derive(Debug, Clone)]
pub(crate) struct Forgery {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ttl: u8,
    pub(crate) options: Vec<u8>,
    /// Flags and fragment offset of the IPv4 header.
    pub(crate) fragment: u16,
    pub(crate) version_type: u8,
    pub(crate) vrid: u8,
    pub(crate) priority: u8,
    /// The number of addresses in the message; `None`: the actual number.
    pub(crate) count: Option<u8>,
    /// The reserved bits and the interval.
    pub(crate) interval: u16,
    pub(crate) addresses: Vec<IpAddr>,
    /// Octets after the last address, inside of the IP length.
    pub(crate) trailer: Vec<u8>,
    pub(crate) sum: Sum,
    /// Number of octets after the IP packet, like Ethernet's padding.
    pub(crate) padding: usize,
}

/// How the checksum field is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sum {
    /// As RFC 9568 demands.
    Right,
    /// With the pseudo-header in IPv4 too (RFC 5798).
    PseudoHeader,
    /// Without the pseudo-header in IPv6 too.
    MessageOnly,
    /// With one bit wrong.
    Wrong,
    /// With this value.
    Literal(u16),
}

impl Forgery {
    /// A correct VRRPv3 advertisement over the family of `source`.
    pub(crate) fn new(source: impl Into<IpAddr>, vrid: u8, priority: u8, interval_cs: u16) -> Self {
        let source = source.into();
        let destination = if source.is_ipv4() { IpAddr::V4(GROUP_V4) } else { IpAddr::V6(GROUP_V6) };
        Self {
            source,
            destination,
            ttl: 255,
            options: Vec::new(),
            fragment: 0,
            version_type: 0x31,
            vrid,
            priority,
            count: None,
            interval: interval_cs,
            addresses: Vec::new(),
            trailer: Vec::new(),
            sum: Sum::Right,
            padding: 0,
        }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn addresses(mut self, addresses: &[&str]) -> Self {
        self.addresses = addresses.iter().map(|text| super::lab::ip(text)).collect();
        self
    }

    /// The whole frame.
    pub(crate) fn frame(&self) -> Vec<u8> {
        self.frame_of(&self.message())
    }

    /// The whole frame around any payload of protocol 112.
    pub(crate) fn frame_of(&self, message: &[u8]) -> Vec<u8> {
        let mut frame = match self.source {
            IpAddr::V4(source) => {
                let mut frame = vec![0x01, 0x00, 0x5e, 0, 0, 0x12, 0, 0, 0x5e, 0, 1, self.vrid, 0x08, 0x00];
                frame.extend(self.ipv4_header(source, message.len()));
                frame
            }
            IpAddr::V6(source) => {
                let mut frame = vec![0x33, 0x33, 0, 0, 0, 0x12, 0, 0, 0x5e, 0, 2, self.vrid, 0x86, 0xdd];
                frame.extend([0x6c, 0, 0, 0]);
                frame.extend(u16::try_from(message.len()).expect("a short message").to_be_bytes());
                frame.extend([112, self.ttl]);
                frame.extend(source.octets());
                let IpAddr::V6(destination) = self.destination else { unreachable!("families agree") };
                frame.extend(destination.octets());
                frame
            }
        };
        frame.extend(message);
        frame.extend(vec![0; self.padding]);
        frame
    }

    /// The VRRP message.
    pub(crate) fn message(&self) -> Vec<u8> {
        let count = self.count.unwrap_or_else(|| u8::try_from(self.addresses.len()).expect("few addresses"));
        let mut message = vec![self.version_type, self.vrid, self.priority, count];
        message.extend(self.interval.to_be_bytes());
        message.extend([0, 0]);
        for address in &self.addresses {
            match address {
                IpAddr::V4(address) => message.extend(address.octets()),
                IpAddr::V6(address) => message.extend(address.octets()),
            }
        }
        message.extend(&self.trailer);
        let sum = self.checksum(&message);
        message[6..8].copy_from_slice(&sum.to_be_bytes());
        message
    }

    fn checksum(&self, message: &[u8]) -> u16 {
        let plain = !ones_complement_sum(&[message]);
        let pseudo = pseudo_header(self.source, self.destination, message.len());
        let with_pseudo = !ones_complement_sum(&[&pseudo, message]);
        match self.sum {
            Sum::Right if self.source.is_ipv4() => plain,
            Sum::Right | Sum::PseudoHeader => with_pseudo,
            Sum::MessageOnly => plain,
            Sum::Wrong => self.clone().with(|right| right.sum = Sum::Right).checksum(message) ^ 1,
            Sum::Literal(sum) => sum,
        }
    }

    fn ipv4_header(&self, source: Ipv4Addr, payload: usize) -> Vec<u8> {
        let words = u8::try_from(5 + self.options.len() / 4).expect("few options");
        let total = u16::try_from(usize::from(words) * 4 + payload).expect("a short message");
        let mut header = vec![0x40 | words, 0xc0];
        header.extend(total.to_be_bytes());
        header.extend([0, 1]);
        header.extend(self.fragment.to_be_bytes());
        header.extend([self.ttl, 112, 0, 0]);
        header.extend(source.octets());
        let IpAddr::V4(destination) = self.destination else { unreachable!("families agree") };
        header.extend(destination.octets());
        header.extend(&self.options);
        let sum = !ones_complement_sum(&[&header]);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header
    }
}
