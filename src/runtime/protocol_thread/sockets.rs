//! The kernel's sockets of one interface and family.

use super::endpoint::{Adapted, EndpointSockets, SocketKind, SocketPurpose};
use crate::kernel::announcement_socket::{AnnouncementFilter, AnnouncementSocket};
use crate::kernel::socket_error::SocketError;
use crate::kernel::vrrp_socket::{
    Addressee, MartianSocket, OutgoingMessages, ReceiveReport, ReceiveSocket, Remaining, Route,
    TransmitSocket,
};
use crate::types::{Family, InterfaceName};
use crate::wire::{Announcement, Carrier};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use std::collections::BTreeSet;
use std::error::Error as _;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

/// The sockets of one endpoint. All of them hear announcements; those of an interface on which
/// instances run also send and receive advertisements.
#[derive(Debug)]
pub(super) struct KernelSockets {
    index: u32,
    announcements: AnnouncementSocket,
    /// `None` where no instance runs ([`SocketPurpose::Announcements`]).
    advertisements: Option<AdvertisementSockets>,
}

/// One socket to receive advertisements, one to transmit them, and one for what the kernel takes
/// for our own.
#[derive(Debug)]
struct AdvertisementSockets {
    addressee: Addressee,
    receive: ReceiveSocket,
    transmit: TransmitSocket,
    /// For packets from our own addresses, which the IPv4 kernel drops as martians; the IPv6 kernel
    /// delivers them.
    own_addresses: Option<MartianSocket>,
}

impl KernelSockets {
    /// Opens the sockets for an interface with this index. Epoll tells of them with the tokens that
    /// `token` gives.
    ///
    /// # Errors
    /// The step that failed, with the kernel's answer, on one line.
    pub(super) fn open(
        (interface, index): (InterfaceName, u32),
        family: Family,
        purpose: SocketPurpose,
        epoll: &Epoll,
        token: impl Fn(SocketKind) -> u64,
    ) -> Result<Self, String> {
        let advertisements = match purpose {
            SocketPurpose::Advertisements(addressee) => {
                Some(AdvertisementSockets::open((interface, index), family, addressee, epoll, &token)?)
            }
            SocketPurpose::Announcements => None,
        };
        let announcements = AnnouncementSocket::open(interface, index, family).map_err(step_and_answer)?;
        watch(epoll, &announcements, token(SocketKind::Announcements))?;
        Ok(Self { index, announcements, advertisements })
    }
}

impl AdvertisementSockets {
    fn open(
        (interface, index): (InterfaceName, u32),
        family: Family,
        addressee: Addressee,
        epoll: &Epoll,
        token: impl Fn(SocketKind) -> u64,
    ) -> Result<Self, String> {
        let receive = ReceiveSocket::open(interface, index, family, addressee).map_err(step_and_answer)?;
        let transmit = TransmitSocket::open(interface, index, family).map_err(step_and_answer)?;
        let own_addresses = match family {
            Family::Ipv4 => Some(MartianSocket::open(interface, index).map_err(step_and_answer)?),
            Family::Ipv6 => None,
        };
        watch(epoll, &receive, token(SocketKind::Advertisements))?;
        if let Some(own_addresses) = &own_addresses {
            watch(epoll, own_addresses, token(SocketKind::OwnAddresses))?;
        }
        Ok(Self { addressee, receive, transmit, own_addresses })
    }
}

/// Makes epoll report, with this token, that a socket can be read.
fn watch(epoll: &Epoll, socket: impl AsFd, token: u64) -> Result<(), String> {
    let added = epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, token));
    added.map_err(|error| io::Error::from(error).to_string())
}

impl EndpointSockets for KernelSockets {
    fn index(&self) -> u32 {
        self.index
    }

    fn purpose(&self) -> SocketPurpose {
        match &self.advertisements {
            Some(sockets) => SocketPurpose::Advertisements(sockets.addressee),
            None => SocketPurpose::Announcements,
        }
    }

    fn adapt(&mut self, purpose: SocketPurpose) -> Adapted {
        match (&mut self.advertisements, purpose) {
            (Some(sockets), SocketPurpose::Advertisements(addressee)) => {
                // If the kernel refuses, it says why when others are opened.
                if sockets.receive.hear(addressee).is_err() {
                    return Adapted::No;
                }
                sockets.addressee = addressee;
                Adapted::Yes
            }
            (Some(_) | None, _) => Adapted::No,
        }
    }

    fn receive(&mut self, each: &mut dyn FnMut(Carrier, &[u8])) -> io::Result<ReceiveReport> {
        let sockets = self.advertisements.as_mut();
        sockets.map_or_else(|| Ok(ReceiveReport::default()), |sockets| sockets.receive.receive(each))
    }

    fn receive_from_own_addresses(&mut self, each: &mut dyn FnMut(Carrier, &[u8])) -> io::Result<Remaining> {
        let socket = self.advertisements.as_ref().and_then(|sockets| sockets.own_addresses.as_ref());
        socket.map_or(Ok(Remaining::Nothing), |socket| socket.receive(each))
    }

    fn receive_announcements(&mut self, each: &mut dyn FnMut(Announcement)) -> io::Result<Remaining> {
        self.announcements.receive(each)
    }

    fn filter_announcements(&mut self, watched: AnnouncementFilter) {
        // If the kernel refuses, the socket hears what it heard before; the next change tries
        // again. The core waits for announcements for a bounded time, and ignores those that do not
        // matter.
        let _ = self.announcements.watch(watched);
    }

    fn filter_own_addresses(&mut self, sources: BTreeSet<Ipv4Addr>) {
        let sockets = self.advertisements.as_mut();
        if let Some(socket) = sockets.and_then(|sockets| sockets.own_addresses.as_mut()) {
            // As above.
            let _ = socket.listen_to(sources);
        }
    }

    fn send_batch(&mut self, messages: &OutgoingMessages, failed: &mut dyn FnMut(usize, io::Error)) {
        match &mut self.advertisements {
            Some(sockets) => {
                sockets.transmit.send_batch(messages, failed);
            }
            None => (0..messages.len()).for_each(|at| failed(at, io::ErrorKind::NotConnected.into())),
        }
    }

    fn send(&mut self, route: Route, message: &[u8]) -> io::Result<()> {
        match &mut self.advertisements {
            Some(sockets) => sockets.transmit.send(route, message),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

fn step_and_answer(error: SocketError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
