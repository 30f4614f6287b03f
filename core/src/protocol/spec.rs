//! What the operator wants of one configured virtual router, resolved: `config` makes it, the core
//! takes it. Every combination that a value of these types can express is legal.

use crate::types::{AdverInterval, Family, InstanceKey, InterfaceName, Role, RouterName, Vrid};
use ipnet::IpNet;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

/// One `[[virtual_router]]`: one or two protocol instances that move together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterSpec {
    /// Unique on this node.
    pub name: RouterName,
    /// Where it runs.
    pub interface: InterfaceName,
    /// Same VRID in both families.
    pub vrid: Vrid,
    /// Owner, or contender with priority and Preempt_Mode.
    pub role: Role,
    /// Advertisement_Interval: our own sending period.
    pub interval: AdverInterval,
    /// Missed advertisements before Active_Down, RFC 9568's 3 unless configured.
    pub down_adverts: NonZeroU8,
    /// How long a preemption of a *live* Active waits after start or recovery. Not in RFC 9568; it
    /// never delays the takeover from a dead Active.
    pub preempt_delay: Duration,
    /// Checksum of VRRPv3/IPv4 on transmit.
    pub checksum: ChecksumPolicy,
    /// What to do with IPv6 peers whose first address is not link-local.
    pub link_local: LinkLocalRule,
    /// Source address of advertisements; must be on the interface. Of one family only.
    pub source_address: Option<IpAddr>,
    /// One or two, IPv4 before IPv6, families distinct.
    pub instances: Vec<InstanceSpec>,
    /// What may fault it or change its priority.
    pub tracks: Vec<Track>,
    /// Gratuitous ARP and unsolicited NA.
    pub announce: AnnounceSpec,
}

impl RouterSpec {
    /// The identity of the instance of one family.
    #[must_use]
    pub const fn key(&self, family: Family) -> InstanceKey {
        InstanceKey { interface: self.interface, family, vrid: self.vrid }
    }

    /// The identities of all families.
    pub fn keys(&self) -> impl Iterator<Item = InstanceKey> {
        self.instances.iter().map(|instance| self.key(instance.family))
    }

    /// Whether a router that runs by `self` can run by `other` with its state and timers: the same
    /// interface, VRID and families. Otherwise it lets go, and what replaces it starts anew. The core
    /// acts on this, and the plan of a reload tells it.
    #[must_use]
    pub fn is_same_instance(&self, other: &Self) -> bool {
        self.keys().eq(other.keys())
    }
}

/// One family of a [`RouterSpec`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceSpec {
    /// Its family.
    pub family: Family,
    /// IPvX_Addresses, advertised in this order, 1..=255; IPv6: the link-local one first unless
    /// [`LinkLocalRule::Lenient`].
    pub addresses: Vec<IpNet>,
    /// Held, but not advertised. Those of a family that the router has no instance for are here, too.
    pub excluded: Vec<IpNet>,
}

impl InstanceSpec {
    /// Every address that is held, advertised or not.
    pub fn held(&self) -> impl Iterator<Item = &IpNet> {
        self.addresses.iter().chain(&self.excluded)
    }
}

/// Checksum flavour of VRRPv3/IPv4 advertisements we send. Both are accepted whatever it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChecksumPolicy {
    /// RFC 9568's until a peer shows the other.
    #[default]
    Auto,
    /// The message only.
    Rfc9568,
    /// With pseudo-header.
    Rfc5798,
}

/// Whether the first IPv6 address of a received advertisement must be link-local (errata 8300).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LinkLocalRule {
    /// It must: RFC 9568.
    #[default]
    Require,
    /// It need not: keepalived.
    Lenient,
}

/// The name of a health check.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckName(pub Arc<str>);

/// One thing that is watched on behalf of a virtual router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Track {
    /// A health check without a weight: failing is a fault.
    Check(CheckName),
    /// A health check with a weight: a negative one is added to the priority while it fails, a
    /// positive one while it passes.
    WeightedCheck(CheckName, i16),
    /// Another interface: down, without carrier or missing is a fault.
    Interface(InterfaceName),
}

impl Track {
    /// The health check it watches, if it watches one.
    #[must_use]
    pub const fn check(&self) -> Option<&CheckName> {
        match self {
            Self::Check(name) | Self::WeightedCheck(name, _) => Some(name),
            Self::Interface(_) => None,
        }
    }

    /// The interface it watches, if it watches one.
    #[must_use]
    pub const fn interface(&self) -> Option<InterfaceName> {
        match self {
            Self::Interface(name) => Some(*name),
            Self::Check(_) | Self::WeightedCheck(..) => None,
        }
    }
}

/// When to tell the LAN where the addresses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnounceSpec {
    /// Rounds in each burst, 1..=100: all addresses, then all again.
    pub repeat: NonZeroU8,
    /// From becoming Active to the second burst; zero: no second burst.
    pub delay: Duration,
    /// Period of a single round while Active; zero: never.
    pub refresh: Duration,
}

impl Default for AnnounceSpec {
    fn default() -> Self {
        Self {
            repeat: NonZeroU8::MIN.saturating_add(4),
            delay: Duration::from_secs(5),
            refresh: Duration::from_secs(60),
        }
    }
}
