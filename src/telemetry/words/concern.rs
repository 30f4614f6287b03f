//! What is wrong with what this node serves, and what the machine has of its own: in words, each with its remedy.

use crate::protocol::{Concern, ForeignAddresses};
use ipnet::IpNet;

/// It begins.
pub(super) fn begins(concern: &Concern) -> String {
    match concern {
        Concern::ForeignAddresses(foreign) => {
            let ForeignAddresses { interface, first, others } = foreign;
            format!(
                "{} configured on {interface} by something else than vrrpd as well; this node serves on, but when it lets go \
                 the address stays there: ip address delete {first} dev {interface}",
                named(first, *others)
            )
        }
    }
}

/// It is over.
pub(super) fn ends(concern: &Concern) -> String {
    match concern {
        Concern::ForeignAddresses(ForeignAddresses { interface, first, .. }) => {
            format!("{first} on {interface} is vrrpd's alone again, or not served here any more")
        }
    }
}

/// What the machine has of its own, and what to do about it.
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
