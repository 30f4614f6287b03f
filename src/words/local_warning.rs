//! The sentences about faults of this node, and about the addresses that the machine has of its
//! own, each with its remedy.

use crate::protocol::{ForeignAddresses, LocalWarning, Unsent};
use crate::types::{Family, InterfaceName};
use ipnet::IpNet;
use std::net::IpAddr;

/// The sentence when a warning about this node begins.
#[must_use]
pub fn begins(concern: &LocalWarning) -> String {
    match concern {
        LocalWarning::ForeignAddresses(foreign) => {
            let ForeignAddresses { interface, first, others } = foreign;
            format!(
                "{} configured on {interface} by something else than vrrpd as well; this node continues to serve, but when \
                 vrrpd removes its addresses, this one stays: ip address delete {first} dev {interface}",
                named(first, *others)
            )
        }
        LocalWarning::MtuTooSmall { interface, family, addresses, needed, mtu } => {
            octets(*family, *addresses, *needed, *mtu, *interface)
        }
        LocalWarning::Chosen(interface, net) => format!(
            "connections of this machine itself leave {interface} from {net}, and break when it moves: it is the first address of its \
             network there. List it as {}/32, or with the prefix length of the machine's own address and after it",
            net.addr()
        ),
        LocalWarning::Unsent(Unsent { interface, family, destination, errno }) => {
            let error = std::io::Error::from_raw_os_error(*errno);
            let remedy = unsent(*errno, &interface.to_string(), *destination);
            let (to, deaf) = match whom(*family, *destination) {
                None => (String::new(), "the other routers do not hear this node and take over beside it"),
                Some(to) => (to, "that node does not hear this one and takes over beside it"),
            };
            format!("advertisements{to} do not leave {interface} in {family}: {error}; {deaf}. {remedy}")
        }
    }
}

/// The one node that is not sent to, unless it is all of the group.
fn whom(family: Family, destination: IpAddr) -> Option<String> {
    (destination != family.group()).then(|| format!(" to {destination}"))
}

/// The usual reason why the kernel refuses a message, and the place to look at.
fn unsent(errno: i32, interface: &str, to: IpAddr) -> String {
    match errno {
        libc::EPERM | libc::EACCES => {
            "A firewall on this machine drops them: accept protocol 112 in its output chain (nft list ruleset)".to_owned()
        }
        libc::ENOBUFS | libc::EAGAIN => {
            format!("The interface's queue is full: tc -s qdisc show dev {interface}")
        }
        libc::EMSGSIZE => {
            format!("They are longer than the interface's MTU: ip link show dev {interface}")
        }
        libc::ENETUNREACH | libc::EHOSTUNREACH if !to.is_multicast() => {
            format!("There is no route to it: ip route get {to} oif {interface}")
        }
        libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EADDRNOTAVAIL | libc::EINVAL => {
            format!("The source address cannot be used now: ip address show dev {interface}")
        }
        _ => format!("Look at: ip -s link show dev {interface}"),
    }
}

fn octets(family: Family, addresses: usize, needed: usize, mtu: u32, interface: InterfaceName) -> String {
    format!(
        "an advertisement of {addresses} {family} addresses needs an MTU of {needed}, and {interface} has {mtu}: it is sent in \
         fragments, which other routers discard. Raise the MTU, or move addresses to `excluded_addresses` or another router"
    )
}

/// The sentence when a warning about this node ends.
pub(super) fn ends(concern: &LocalWarning) -> String {
    match concern {
        LocalWarning::ForeignAddresses(ForeignAddresses { interface, first, .. }) => {
            format!("{first} on {interface} is vrrpd's alone again, or not served here any more")
        }
        LocalWarning::MtuTooSmall { interface, family, .. } => {
            format!("an {family} advertisement fits the MTU of {interface} again, or is not sent any more")
        }
        LocalWarning::Chosen(interface, net) => {
            format!("connections of this machine itself do not leave {interface} from {net} any more")
        }
        LocalWarning::Unsent(Unsent { interface, family, destination, .. }) => {
            let to = whom(*family, *destination).unwrap_or_default();
            format!(
                "advertisements{to} leave {interface} in {family} again, or this node is not Active any more"
            )
        }
    }
}

/// The sentence about addresses that the machine has of its own, and their remedy.
#[must_use]
pub fn foreign_addresses(foreign: &ForeignAddresses) -> String {
    let ForeignAddresses { interface, first, others } = foreign;
    format!(
        "{} configured on {interface} by something else than vrrpd, which does not remove it. If it is this machine's \
         own address, take it out of `addresses`, or write priority = \"owner\"; if a program left it behind: \
         ip address delete {first} dev {interface}",
        named(first, *others)
    )
}

fn named(first: &IpNet, others: usize) -> String {
    match others {
        0 => format!("{first} is"),
        others => format!("{first} and {others} more are"),
    }
}
