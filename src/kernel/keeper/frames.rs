//! Announcements through packet sockets, one an interface, opened when first needed.

use super::message::{Announcement, Announcer};
use crate::kernel::frame_socket::FrameSocket;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;

/// Sends what the keeper announces. A socket is bound to an index: an interface that is created
/// again has a new one, and a socket that failed is opened anew.
#[must_use]
pub fn frame_announcer() -> Announcer {
    let mut sockets: BTreeMap<u32, FrameSocket> = BTreeMap::new();
    Box::new(move |announcement| {
        let result = send(&mut sockets, announcement);
        if result.is_err() {
            sockets.remove(&announcement.index);
        }
        result
    })
}

fn send(sockets: &mut BTreeMap<u32, FrameSocket>, announcement: &Announcement) -> io::Result<()> {
    let socket = match sockets.entry(announcement.index) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => entry.insert(
            FrameSocket::open(announcement.key.interface, announcement.index).map_err(io::Error::other)?,
        ),
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
