//! One address of an interface, as the kernel lists it: from and to netlink messages.
//!
//! This module owns the encoding (which attributes an address of ours has) and the tag by which
//! addresses of ours are recognized. It must not know sockets, nor why an address is wanted.

use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope, CacheInfo,
};
use std::net::IpAddr;

/// IFA_PROTO of the addresses that this agent installs: the protocol number 112. Kernels before
/// 5.18 do not store it, and the agent does not start there ([`super::release`]).
pub const TAG: u8 = 112;

/// An address as the kernel lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObservedAddress {
    /// Index of the interface.
    pub index: u32,
    /// The address with its host part, and the length of its prefix.
    pub net: IpNet,
    /// The far end of a point-to-point address.
    pub peer: Option<IpAddr>,
    /// Whether this agent installed the address.
    pub origin: Origin,
    /// The rank of the address in its IPv4 subnet.
    pub rank: AddressRank,
    /// Whether the address may be used yet.
    pub readiness: Readiness,
    /// How far the address is valid; [`AddressScope::Host`] never leaves the machine.
    pub scope: AddressScope,
}

/// Who installed an address, as its tag shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This agent, or an earlier run of it.
    Ours,
    /// Another program, or a person.
    Foreign,
}

/// IPv4: the first address of a subnet is primary. When a primary is removed, the kernel removes
/// its secondaries too, unless `promote_secondaries` is set. In IPv6 all addresses are primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressRank {
    /// The address is removed together with its primary.
    Secondary,
    /// The address does not depend on another.
    Primary,
}

/// IPv6: the state of Duplicate Address Detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// The address can be used.
    Ready,
    /// The address is being probed: it is neither used as a source nor answered for.
    Tentative,
    /// Another station answered the probe, so the address will never be used.
    Duplicate,
}

impl ObservedAddress {
    /// Reads a message; `None` for an address that is neither IPv4 nor IPv6.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "not our enum; the other attributes are of no use")]
    pub fn decode(message: &AddressMessage) -> Option<Self> {
        let mut address = None;
        let mut local = None;
        let mut origin = Origin::Foreign;
        let mut flags = AddressFlags::from_bits_retain(message.header.flags.bits().into());
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Address(a) => address = Some(*a),
                AddressAttribute::Local(a) => local = Some(*a),
                AddressAttribute::Flags(f) => flags = *f,
                AddressAttribute::Protocol(p) if u8::from(*p) == TAG => origin = Origin::Ours,
                _ => {}
            }
        }
        // On point-to-point addresses IFA_ADDRESS is the far end and IFA_LOCAL is ours. On others
        // the two are equal (IPv4), or IFA_LOCAL is missing (IPv6).
        let own = local.or(address)?;
        Some(Self {
            index: message.header.index,
            net: IpNet::new(own, message.header.prefix_len).ok()?,
            peer: address.filter(|a| *a != own),
            origin,
            rank: rank(own, flags),
            readiness: readiness(flags),
            scope: message.header.scope,
        })
    }

    /// The message that removes exactly this address.
    #[must_use]
    pub fn removal(&self) -> AddressMessage {
        let mut message = message(self.index, self.net);
        let address = self.peer.unwrap_or(self.net.addr());
        message.attributes =
            vec![AddressAttribute::Local(self.net.addr()), AddressAttribute::Address(address)];
        message
    }
}

/// The message that installs an address of ours.
///
/// The address is tagged. An IPv6 address skips Duplicate Address Detection, which would keep it
/// unusable for a second, because the election has already decided which router has it. Its
/// preferred lifetime is zero: a deprecated address answers, but is never chosen as the source of a
/// connection that this host opens, so such connections survive a failover. IPv4 does not have this
/// property; there, a secondary address is not chosen. No broadcast address is set, because the
/// broadcast address of the subnet comes with the host's own address.
#[must_use]
pub fn installation(index: u32, net: IpNet) -> AddressMessage {
    let mut message = message(index, net);
    let address = net.addr();
    message.attributes = vec![
        AddressAttribute::Local(address),
        AddressAttribute::Address(address),
        AddressAttribute::Protocol(AddressProtocol::Other(TAG)),
    ];
    if let IpAddr::V6(v6) = address {
        // RFC9568-7.4-2. When the kernel installs the address, it joins the solicited-node group:
        // RFC9568-6.4.3-2.
        if v6.is_unicast_link_local() {
            message.header.scope = AddressScope::Link;
        }
        let mut lifetime = CacheInfo::default();
        lifetime.ifa_valid = u32::MAX;
        // RFC9568-7.4-2
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        message.attributes.push(AddressAttribute::CacheInfo(lifetime));
    }
    message
}

fn message(index: u32, net: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match net {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = net.prefix_len();
    message.header.index = index;
    message
}

/// In IPv6, the bit of IFA_F_SECONDARY means "temporary".
fn rank(address: IpAddr, flags: AddressFlags) -> AddressRank {
    if address.is_ipv4() && flags.contains(AddressFlags::Secondary) {
        AddressRank::Secondary
    } else {
        AddressRank::Primary
    }
}

/// An optimistic address may be used while it is being probed (RFC 4429).
fn readiness(flags: AddressFlags) -> Readiness {
    if flags.contains(AddressFlags::Dadfailed) {
        Readiness::Duplicate
    } else if flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic) {
        Readiness::Tentative
    } else {
        Readiness::Ready
    }
}
