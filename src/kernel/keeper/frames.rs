//! Sends announcements through packet sockets, one for each interface, opened when it is first
//! needed.

use super::message::{AnnouncementRequest, Announcer};
use crate::kernel::frame_socket::FrameSocket;
use crate::types::InterfaceName;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;

/// Returns the function that sends the keeper's announcements. A socket is bound to an index: an
/// interface that is created again has a new index, and a socket that failed is opened again.
#[must_use]
pub fn frame_announcer() -> Announcer {
    let mut sockets: BTreeMap<InterfaceName, (u32, FrameSocket)> = BTreeMap::new();
    Box::new(move |announcement| {
        let interface = announcement.interface;
        if sockets.get(&interface).is_some_and(|(index, _)| *index != announcement.index) {
            sockets.remove(&interface);
        }
        let result = send(&mut sockets, announcement);
        if result.is_err() {
            sockets.remove(&interface);
        }
        result
    })
}

fn send(
    sockets: &mut BTreeMap<InterfaceName, (u32, FrameSocket)>,
    announcement: &AnnouncementRequest,
) -> io::Result<()> {
    let (interface, index) = (announcement.interface, announcement.index);
    let (_, socket) = match sockets.entry(interface) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => {
            entry.insert((index, FrameSocket::open(interface, index).map_err(io::Error::other)?))
        }
    };
    let announced = socket.announce(announcement.mac, &announcement.addresses, announcement.rounds);
    match announced.error {
        None => Ok(()),
        Some(error) => Err(io::Error::new(
            error.kind(),
            format!("{} of {} frames not sent: {error}", announced.failed, announced.failed + announced.sent),
        )),
    }
}
