//! The kernel's sockets of one interface and family.

use super::endpoint::{EndpointSockets, SocketKind};
use crate::kernel::announcement_socket::{AnnouncementSocket, Watched};
use crate::kernel::socket_error::SocketError;
use crate::kernel::vrrp_socket::{
    MartianSocket, OutgoingMessages, ReceiveSocket, Received, Remaining, Route, TransmitSocket,
};
use crate::types::{Family, InterfaceName};
use crate::wire::{Announcement, Carrier};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use std::collections::BTreeSet;
use std::error::Error as _;
use std::io;
use std::net::Ipv4Addr;

/// One socket to receive, one to transmit, one to hear announcements, and one for what the kernel takes for our own.
#[derive(Debug)]
pub(super) struct KernelSockets {
    index: u32,
    receive: ReceiveSocket,
    transmit: TransmitSocket,
    announcements: AnnouncementSocket,
    /// For packets from our own addresses, which the IPv4 kernel drops as martians; the IPv6 kernel delivers them.
    own_addresses: Option<MartianSocket>,
}

impl KernelSockets {
    /// Opens the sockets for an interface with this index. Epoll tells of them with the tokens that `token` gives.
    ///
    /// # Errors
    /// The step that failed, with the kernel's answer, on one line.
    pub(super) fn open(
        (interface, index): (InterfaceName, u32),
        family: Family,
        epoll: &Epoll,
        token: impl Fn(SocketKind) -> u64,
    ) -> Result<Self, String> {
        let receive = ReceiveSocket::open(interface, index, family).map_err(step_and_answer)?;
        let transmit = TransmitSocket::open(interface, index, family).map_err(step_and_answer)?;
        let announcements = AnnouncementSocket::open(interface, index, family).map_err(step_and_answer)?;
        let own_addresses = match family {
            Family::Ipv4 => Some(MartianSocket::open(interface, index).map_err(step_and_answer)?),
            Family::Ipv6 => None,
        };
        let readable = |kind| EpollEvent::new(EpollFlags::EPOLLIN, token(kind));
        let refused = |error: nix::errno::Errno| io::Error::from(error).to_string();
        epoll.add(&receive, readable(SocketKind::Advertisements)).map_err(refused)?;
        epoll.add(&announcements, readable(SocketKind::Announcements)).map_err(refused)?;
        if let Some(own_addresses) = &own_addresses {
            epoll.add(own_addresses, readable(SocketKind::OwnAddresses)).map_err(refused)?;
        }
        Ok(Self { index, receive, transmit, announcements, own_addresses })
    }
}

impl EndpointSockets for KernelSockets {
    fn index(&self) -> u32 {
        self.index
    }

    fn receive(&mut self, each: &mut dyn FnMut(Carrier, &[u8])) -> io::Result<Received> {
        self.receive.receive(each)
    }

    fn receive_from_own_addresses(&mut self, each: &mut dyn FnMut(Carrier, &[u8])) -> io::Result<Remaining> {
        self.own_addresses.as_ref().map_or(Ok(Remaining::Nothing), |socket| socket.receive(each))
    }

    fn receive_announcements(&mut self, each: &mut dyn FnMut(Announcement)) -> io::Result<Remaining> {
        self.announcements.receive(each)
    }

    fn filter_announcements(&mut self, watched: Watched) {
        // If the kernel refuses, the socket hears what it heard before; the next change tries again. The core waits for
        // announcements for a bounded time, and ignores those that do not matter.
        let _ = self.announcements.watch(watched);
    }

    fn filter_own_addresses(&mut self, sources: BTreeSet<Ipv4Addr>) {
        if let Some(socket) = &mut self.own_addresses {
            // As above.
            let _ = socket.listen_to(sources);
        }
    }

    fn send_batch(&mut self, messages: &OutgoingMessages, failed: &mut dyn FnMut(usize, io::Error)) {
        self.transmit.send_batch(messages, failed);
    }

    fn send(&mut self, route: Route, message: &[u8]) -> io::Result<()> {
        self.transmit.send(route, message)
    }
}

fn step_and_answer(error: SocketError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
