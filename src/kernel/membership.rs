//! Joining VRRP's multicast group on an interface, and leaving it.

use super::socket_error::{Context, SocketError};
use crate::types::Family;
use socket2::{InterfaceIndexOrAddress, Socket};
use std::net::IpAddr;

/// Whether a socket is a member of the group of its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupMembership {
    /// What is sent to the group reaches the socket.
    Joined,
    /// It does not, and the interface need not receive it.
    None,
}

/// Makes a socket a member of the group that it is not a member of, or the other way round.
///
/// # Errors
/// [`SocketError`], with the step that failed; nothing has changed.
pub(super) fn change(
    socket: &Socket,
    context: Context,
    family: Family,
    wanted: GroupMembership,
) -> Result<(), SocketError> {
    let interface = InterfaceIndexOrAddress::Index(context.index);
    // RFC9568-7.2-5
    match (family.group(), wanted) {
        (IpAddr::V4(group), GroupMembership::Joined) => {
            context.step("join 224.0.0.18", socket.join_multicast_v4_n(&group, &interface))
        }
        (IpAddr::V4(group), GroupMembership::None) => {
            context.step("leave 224.0.0.18", socket.leave_multicast_v4_n(&group, &interface))
        }
        (IpAddr::V6(group), GroupMembership::Joined) => {
            context.step("join ff02::12", socket.join_multicast_v6(&group, context.index))
        }
        (IpAddr::V6(group), GroupMembership::None) => {
            context.step("leave ff02::12", socket.leave_multicast_v6(&group, context.index))
        }
    }
}
