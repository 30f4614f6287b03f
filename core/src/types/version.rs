//! The version of VRRP that an instance speaks.

use serde::{Deserialize, Serialize};

/// A version of the protocol.
///
/// Only VRRPv3 exists here. The version is asked for in two places: `protocol::VersionRules` has
/// what one version prescribes and another does not, and `wire` has a file for the octets of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Version {
    /// VRRPv3 (RFC 9568), over IPv4 and IPv6.
    #[default]
    V3,
}
