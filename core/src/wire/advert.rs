//! The representation of an ADVERTISEMENT, which is the same for every version (RFC 9568 §5.2).

use crate::types::{AdverInterval, AdvertPriority, Authentication, Family, Version, Vrid};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The octets that the checksum of a VRRPv3/IPv4 message covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChecksumFlavour {
    /// The checksum covers the VRRP message only (RFC 9568 §5.2.8).
    Rfc9568,
    /// The checksum also covers an IPv4 pseudo-header, as RFC 5798 is widely read (keepalived,
    /// FRR).
    Rfc5798,
}

/// The facts of the IP header of a message that the receive checks need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Carrier {
    /// IP source address.
    pub source: IpAddr,
    /// IP destination address; same family as `source`.
    pub destination: IpAddr,
    /// TTL or Hop Limit.
    pub ttl: u8,
}

/// An ADVERTISEMENT that passed every check that needs no configuration. Its carrier was not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertisement<'a> {
    /// The version in which it was written.
    pub version: Version,
    /// Virtual Router ID.
    pub vrid: Vrid,
    /// Priority: 0 resigns, 255 is the owner.
    pub priority: AdvertPriority,
    /// Max Advertise Interval; Adver Int in VRRPv2.
    pub interval: AdverInterval,
    /// The addresses of the virtual router, at least one.
    pub addresses: AddressList<'a>,
    /// How the message says that it belongs to the virtual router. VRRPv3 has no such field, and is
    /// always without authentication.
    pub authentication: HeardAuthentication,
    /// The flavour of its checksum. Always [`ChecksumFlavour::Rfc9568`] for IPv6 and for VRRPv2.
    pub checksum: ChecksumFlavour,
}

/// The authentication of a message that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeardAuthentication {
    /// This authentication, which may be none.
    Readable(Authentication),
    /// An IPsec Authentication Header (Auth Type 2 of RFC 2338), which is not spoken here.
    IpsecHeader,
}

/// The address list of a received message, as the octets of the message, so that receiving
/// allocates nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressList<'a> {
    family: Family,
    octets: &'a [u8],
}

impl<'a> AddressList<'a> {
    /// Makes a list of octets whose length is a multiple of the family's address length; a
    /// remainder is ignored.
    #[must_use]
    pub const fn new(family: Family, octets: &'a [u8]) -> Self {
        Self { family, octets }
    }

    /// Returns the addresses in the order of the message.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + 'a {
        let family = self.family;
        self.octets.chunks_exact(family.address_len()).filter_map(move |octets| match family {
            Family::Ipv4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
            Family::Ipv6 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        })
    }

    /// Returns the number of addresses.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.octets.len() / self.family.address_len()
    }

    /// Whether the list has no addresses.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the first address is an IPv6 link-local one, as RFC 9568 §5.2.9 (errata 8300)
    /// requires for IPv6. `false` for IPv4, which does not have this rule.
    #[must_use]
    pub fn first_is_link_local(&self) -> bool {
        match self.iter().next() {
            Some(IpAddr::V6(address)) => address.is_unicast_link_local(),
            Some(IpAddr::V4(_)) | None => false,
        }
    }
}

/// An advertisement that is to be sent, without its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draft {
    /// The version in which it is written.
    pub version: Version,
    /// IP source address; its family is the family of the message.
    pub source: IpAddr,
    /// IP destination address; same family as `source`.
    pub destination: IpAddr,
    /// Virtual Router ID.
    pub vrid: Vrid,
    /// Priority.
    pub priority: AdvertPriority,
    /// Max Advertise Interval; Adver Int in VRRPv2, where it is a number of whole seconds.
    pub interval: AdverInterval,
    /// The authentication of a VRRPv2 message. VRRPv3 has none, so this field does not matter there.
    pub authentication: Authentication,
    /// The flavour of the checksum of a VRRPv3 message over IPv4. Others have only one, so this field
    /// does not matter there.
    pub checksum: ChecksumFlavour,
}

/// Why something cannot be advertised. `config` refuses it, so this error when sending is a bug of the
/// caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// The list is empty, but IPvX Addr Count is 1..=255 (RFC 9568 §5.2.5).
    #[error("an advertisement without an address")]
    NoAddress,
    /// The list has more than 255 addresses, but IPvX Addr Count is one octet.
    #[error("more than 255 addresses in one advertisement")]
    TooManyAddresses,
    /// The list has an address of the other family, but a message carries one family (RFC 9568
    /// §5.2.9).
    #[error("{address} in an advertisement from {source_address}")]
    WrongFamily {
        /// The address of the other family.
        address: IpAddr,
        /// The source address of the message.
        source_address: IpAddr,
    },
    /// The version has no messages of this family: VRRPv2 is for IPv4 only (RFC 3768 §1).
    #[error("a message of {version} from {source_address}")]
    NoSuchFamily {
        /// The version of the message.
        version: Version,
        /// The source address of the message.
        source_address: IpAddr,
    },
    /// The field of the version has no such interval: VRRPv2 has whole seconds, VRRPv3 at most 40.95 s.
    #[error("{version} has no interval of {interval}")]
    NoSuchInterval {
        /// The version of the message.
        version: Version,
        /// The interval that was to be said.
        interval: AdverInterval,
    },
}

/// Why a message was discarded before it reached a virtual router. Each reason has a counter; the
/// names are those of RFC 8347 if it has one, or of the MIB of VRRPv2 (RFC 2787).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RejectReason {
    /// TTL or Hop Limit is not 255, or is below `min_ttl` with unicast.
    IpTtlErrors,
    /// The message is shorter or longer than its own fields say.
    PacketLengthErrors,
    /// The version is not the one that is configured, or none that exists.
    VersionErrors,
    /// Type is not ADVERTISEMENT.
    InvalidTypePktsRcvd,
    /// The checksum matches neither flavour.
    ChecksumErrors,
    /// The VRID is 0, or is not configured here.
    VridErrors,
    /// IPvX Addr Count is 0 (errata 8299).
    AddrCountErrors,
    /// Max Advertise Interval, or Adver Int, is 0 (errata 8301).
    IntervalZero,
    /// The first address of an IPv6 message is not link-local (errata 8300), or a VRRPv2 message lists
    /// other addresses than are configured here (RFC 3768 §7.1).
    AddressListErrors,
    /// The interval of a VRRPv2 message is not the one that is configured here (RFC 3768 §7.1).
    IntervalErrors,
    /// The Auth Type of a VRRPv2 message is none that exists.
    InvalidAuthType,
    /// The Auth Type of a VRRPv2 message is not the one that is configured here.
    AuthTypeMismatch,
    /// The password of a VRRPv2 message is not the one that is configured here.
    AuthFailures,
    /// The message was not sent to the VRRP group or, with unicast, not to an address of this node.
    BadDestination,
    /// The source address cannot be that of a router: it is not unicast, or it is IPv6 and not
    /// link-local although the message was sent to the group.
    BadSource,
    /// The sender is not one of `unicast_peers`, or not one of `accept_from`.
    UnknownSenders,
    /// The message is a reflected copy of our own advertisement.
    OwnPackets,
}

impl RejectReason {
    /// All reasons, in the order in which they are shown.
    pub const ALL: [Self; 17] = [
        Self::IpTtlErrors,
        Self::PacketLengthErrors,
        Self::VersionErrors,
        Self::InvalidTypePktsRcvd,
        Self::ChecksumErrors,
        Self::VridErrors,
        Self::AddrCountErrors,
        Self::IntervalZero,
        Self::AddressListErrors,
        Self::IntervalErrors,
        Self::InvalidAuthType,
        Self::AuthTypeMismatch,
        Self::AuthFailures,
        Self::BadDestination,
        Self::BadSource,
        Self::UnknownSenders,
        Self::OwnPackets,
    ];

    /// Returns the name of the counter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IpTtlErrors => "ip_ttl_errors",
            Self::PacketLengthErrors => "packet_length_errors",
            Self::VersionErrors => "version_errors",
            Self::InvalidTypePktsRcvd => "invalid_type_pkts_rcvd",
            Self::ChecksumErrors => "checksum_errors",
            Self::VridErrors => "vrid_errors",
            Self::AddrCountErrors => "addr_count_errors",
            Self::IntervalZero => "interval_zero",
            Self::AddressListErrors => "address_list_errors",
            Self::IntervalErrors => "interval_errors",
            Self::InvalidAuthType => "invalid_auth_type",
            Self::AuthTypeMismatch => "auth_type_mismatch",
            Self::AuthFailures => "auth_failures",
            Self::BadDestination => "bad_destination",
            Self::BadSource => "bad_source",
            Self::UnknownSenders => "unknown_senders",
            Self::OwnPackets => "own_packets",
        }
    }
}

/// A discarded message: why it was discarded, and the VRID in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reject {
    /// The first check that failed.
    pub reason: RejectReason,
    /// The VRID octet, if the message was long enough to have one and it is not 0.
    pub vrid: Option<Vrid>,
    /// The version in which it was written, if that exists and the check that failed is not one of those
    /// before it.
    pub version: Option<Version>,
}
