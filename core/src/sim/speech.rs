//! What a station speaks in IPv4: the version, and the password of VRRPv2. In IPv6 every station
//! speaks VRRPv3, which is the only version there (RFC 9568 §1).

use crate::protocol::RouterSpec;
use crate::types::{AdverInterval, Authentication, Family, Version};
use ipnet::IpNet;

/// The version and the authentication of the IPv4 messages of a station.
///
/// Stations that differ in it discard the messages of one another: they are on one LAN, and each
/// group has an Active of its own (docs/vrrpv2.md, "When the nodes do not agree").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Speech {
    /// The version of VRRP.
    pub version: Version,
    /// The authentication of VRRPv2.
    pub authentication: Authentication,
}

impl Speech {
    /// VRRPv2 without authentication (RFC 3768).
    pub const V2: Self = Self { version: Version::V2, authentication: Authentication::None };

    /// What is spoken in one family.
    #[must_use]
    pub fn of(self, family: Family) -> Self {
        match family {
            Family::Ipv4 => self,
            Family::Ipv6 => Self::default(),
        }
    }
}

/// What a station sends in IPv4, and what it demands of others. Two stations hear one another if both
/// are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialect {
    speech: Speech,
    /// The interval and the addresses that every message must have (VRRPv2).
    demanded: Option<(AdverInterval, Vec<IpNet>)>,
}

impl Dialect {
    pub(super) fn new(speech: Speech, interval: AdverInterval, addresses: &[IpNet]) -> Self {
        let demanded = match speech.version {
            Version::V2 => Some((interval, addresses.to_vec())),
            Version::V3 => None,
        };
        Self { speech, demanded }
    }

    /// The dialect of a router of ours. One without IPv4 has that of VRRPv3.
    pub(super) fn of_router(spec: &RouterSpec) -> Self {
        match spec.instances.iter().find(|instance| instance.family == Family::Ipv4) {
            Some(v4) => {
                let speech = Speech { version: v4.version, authentication: v4.authentication };
                Self::new(speech, spec.interval, &v4.addresses)
            }
            None => Self::new(Speech::default(), spec.interval, &[]),
        }
    }
}
