//! One address of an interface, as the kernel lists it: from and to netlink messages.
//!
//! This module owns the encoding (which attributes an address of ours has), the tag by which
//! addresses of ours are recognized, and the note in the label of a draining
//! address, and its lifetime in seconds. It must not know sockets, nor why an address is wanted.

use super::sysctl::ArpValues;
use ipnet::IpNet;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope, CacheInfo,
};
use std::net::IpAddr;
use std::time::Duration;

/// IFA_PROTO of the addresses that this agent installs: the protocol number 112. Kernels before
/// 5.18 do not store it, and the agent does not start there ([`super::release`]).
pub const TAG: u8 = 112;

/// The index of `lo`, which is the same in every network namespace.
pub const LOOPBACK: u32 = 1;

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
    /// What this agent noted in the label of an address on `lo`.
    pub note: Option<ArpNote>,
    /// How long an address that this agent put on `lo` still lasts, as the kernel says it: in whole
    /// seconds, of which the last has begun. All other addresses count as unlimited.
    pub lifetime: AddressLifetime,
}

/// How long an address lasts before the kernel removes it by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressLifetime {
    /// Until somebody removes it.
    Unlimited,
    /// For this time.
    Limited(Duration),
}

impl AddressLifetime {
    /// The kernel's number for an unlimited lifetime.
    const FOREVER: u32 = u32::MAX;

    const fn of_seconds(seconds: u32) -> Self {
        match seconds {
            Self::FOREVER => Self::Unlimited,
            seconds => Self::Limited(Duration::from_secs(seconds as u64)),
        }
    }

    /// Whole seconds that have not ended earlier. The kernel refuses an address that lasts for none.
    fn seconds(self) -> u32 {
        match self {
            Self::Unlimited => Self::FOREVER,
            Self::Limited(time) => {
                let whole = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
                u32::try_from(whole).unwrap_or(Self::FOREVER).clamp(1, Self::FOREVER - 1)
            }
        }
    }
}

#[cfg(test)]
impl ObservedAddress {
    /// A primary address that is ready and valid everywhere, for tests that are about other things.
    pub(crate) fn ready(index: u32, net: &str, origin: Origin) -> Self {
        Self {
            index,
            net: net.parse().unwrap(),
            peer: None,
            origin,
            rank: AddressRank::Primary,
            readiness: Readiness::Ready,
            note: None,
            lifetime: AddressLifetime::Unlimited,
            scope: AddressScope::Universe,
        }
    }
}

/// What an interface had before its ARP guard was set. It is the label of the IPv4 addresses that
/// drain: what the kernel keeps is found again after any crash, and cannot be older than the
/// addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArpNote {
    /// The index of the interface that has the guard.
    pub interface: u32,
    /// The values that the interface had before.
    pub found: ArpValues,
}

impl ArpNote {
    /// The label: `lo:` with the index in hexadecimal digits and the two values. A label has at most
    /// 15 octets, and the longest of these has 14.
    #[must_use]
    pub fn label(self) -> String {
        let Self { interface, found: ArpValues { ignore, announce } } = self;
        format!("lo:{interface:x}:{ignore}{announce}")
    }

    /// Reads a label; `None` if it is another one.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        let (interface, values) = label.strip_prefix("lo:")?.split_once(':')?;
        let mut digits = values.chars().map(|digit| digit.to_digit(10).and_then(|it| u8::try_from(it).ok()));
        let found = ArpValues { ignore: digits.next()??, announce: digits.next()?? };
        let note = Self { interface: u32::from_str_radix(interface, 16).ok()?, found };
        digits.next().is_none().then_some(note)
    }
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
        let mut note = None;
        let mut lifetime = AddressLifetime::Unlimited;
        let mut flags = AddressFlags::from_bits_retain(message.header.flags.bits().into());
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Address(a) => address = Some(*a),
                AddressAttribute::Local(a) => local = Some(*a),
                AddressAttribute::Flags(f) => flags = *f,
                AddressAttribute::Protocol(p) if u8::from(*p) == TAG => origin = Origin::Ours,
                AddressAttribute::Label(label) => note = ArpNote::parse(label),
                AddressAttribute::CacheInfo(cache) => lifetime = AddressLifetime::of_seconds(cache.ifa_valid),
                _ => {}
            }
        }
        // On point-to-point addresses IFA_ADDRESS is the far end and IFA_LOCAL is ours. On others
        // the two are equal (IPv4), or IFA_LOCAL is missing (IPv6).
        let own = local.or(address)?;
        let drains = origin == Origin::Ours && message.header.index == LOOPBACK;
        Some(Self {
            index: message.header.index,
            net: IpNet::new(own, message.header.prefix_len).ok()?,
            peer: address.filter(|a| *a != own),
            origin,
            rank: rank(own, flags),
            readiness: readiness(flags),
            scope: message.header.scope,
            note: note.filter(|_| drains),
            lifetime: if drains { lifetime } else { AddressLifetime::Unlimited },
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
        // RFC9568-7.4-2
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        message.attributes.push(lifetime_of(address, AddressLifetime::Unlimited));
    }
    message
}

/// The message that puts a draining address on `lo`.
///
/// Connections that are open live on there, and the address is never chosen as the source of
/// another one: an IPv4 address has the scope of the host, and an IPv6 address is deprecated. On
/// `lo` no address is probed or defended. No route to it is added but the one that delivers. The
/// kernel removes the address after its lifetime, whatever has become of this agent.
#[must_use]
pub fn loopback_installation(
    address: IpAddr,
    note: Option<ArpNote>,
    lifetime: AddressLifetime,
) -> AddressMessage {
    let mut message = installation(LOOPBACK, IpNet::from(address));
    let is_replaced = |attribute: &AddressAttribute| {
        matches!(attribute, AddressAttribute::Flags(_) | AddressAttribute::CacheInfo(_))
    };
    message.attributes.retain(|attribute| !is_replaced(attribute));
    let flags = match address {
        IpAddr::V4(_) => {
            message.header.scope = AddressScope::Host;
            message.attributes.extend(note.map(|note| AddressAttribute::Label(note.label())));
            AddressFlags::Noprefixroute
        }
        IpAddr::V6(_) => AddressFlags::Nodad | AddressFlags::Noprefixroute,
    };
    message.attributes.push(AddressAttribute::Flags(flags));
    message.attributes.push(lifetime_of(address, lifetime));
    message
}

/// An IPv6 address of ours is deprecated from the beginning. In IPv4 the kernel does not look at the
/// preferred lifetime.
fn lifetime_of(address: IpAddr, lifetime: AddressLifetime) -> AddressAttribute {
    let mut cache = CacheInfo::default();
    cache.ifa_valid = lifetime.seconds();
    cache.ifa_preferred = match address {
        IpAddr::V4(_) => cache.ifa_valid,
        IpAddr::V6(_) => 0,
    };
    AddressAttribute::CacheInfo(cache)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_from_the_label_that_it_makes() {
        for (interface, ignore, announce, label) in
            [(2, 0, 0, "lo:2:00"), (31, 1, 2, "lo:1f:12"), (u32::MAX, 8, 9, "lo:ffffffff:89")]
        {
            let note = ArpNote { interface, found: ArpValues { ignore, announce } };
            assert_eq!(note.label(), label);
            assert!(label.len() < 16, "IFNAMSIZ");
            assert_eq!(ArpNote::parse(label), Some(note));
        }
        for other in ["lo", "lo:0", "lo:2:0", "lo:2:000", "lo:2:0x", "lo::00", "lo:x:00", "eth0:2:00"] {
            assert_eq!(ArpNote::parse(other), None, "{other}");
        }
    }

    #[test]
    fn only_a_label_of_ours_on_lo_is_a_note() {
        let note = ArpNote { interface: 2, found: ArpValues { ignore: 0, announce: 1 } };
        let message =
            loopback_installation("192.0.2.50".parse().unwrap(), Some(note), AddressLifetime::Unlimited);
        assert_eq!(ObservedAddress::decode(&message).unwrap().note, Some(note));
        let mut elsewhere = message.clone();
        elsewhere.header.index = 2;
        assert_eq!(ObservedAddress::decode(&elsewhere).unwrap().note, None);
        let mut foreign = message;
        foreign.attributes.retain(|attribute| !matches!(attribute, AddressAttribute::Protocol(_)));
        assert_eq!(ObservedAddress::decode(&foreign).unwrap().note, None);
    }

    /// The kernel counts whole seconds: no address ends before its time.
    #[test]
    fn the_lifetime_of_an_address_on_lo_is_written_in_seconds_and_read_back() {
        let millis = Duration::from_millis;
        for (lifetime, seconds) in [
            (AddressLifetime::Unlimited, u32::MAX),
            (AddressLifetime::Limited(millis(0)), 1),
            (AddressLifetime::Limited(millis(1)), 1),
            (AddressLifetime::Limited(millis(1000)), 1),
            (AddressLifetime::Limited(millis(1001)), 2),
            (AddressLifetime::Limited(Duration::MAX), u32::MAX - 1),
        ] {
            for (address, preferred) in [("192.0.2.50", seconds), ("2001:db8::50", 0)] {
                let message = loopback_installation(address.parse().unwrap(), None, lifetime);
                let caches: Vec<_> = message
                    .attributes
                    .iter()
                    .filter_map(|attribute| {
                        let AddressAttribute::CacheInfo(cache) = attribute else { return None };
                        Some((cache.ifa_valid, cache.ifa_preferred))
                    })
                    .collect();
                assert_eq!(caches, [(seconds, preferred)], "{lifetime:?} {address}");
                let read = ObservedAddress::decode(&message).unwrap().lifetime;
                assert_eq!(read, AddressLifetime::of_seconds(seconds));
                let mut elsewhere = message.clone();
                elsewhere.header.index = 2;
                assert_eq!(ObservedAddress::decode(&elsewhere).unwrap().lifetime, AddressLifetime::Unlimited);
            }
        }
    }
}
