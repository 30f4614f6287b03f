//! The version of VRRP that an instance speaks.

use serde::{Deserialize, Serialize};

/// A version of the protocol.
///
/// Only VRRPv3 exists here. Nothing above `wire` asks for the version: what one version prescribes and
/// another does not is data (`protocol::VersionRules`), and the octets are written and read by one file
/// of `wire` for each version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Version {
    /// VRRPv3 (RFC 9568), over IPv4 and IPv6.
    #[default]
    V3,
}
