//! The key of an instance.

use super::{Family, InterfaceName, Vrid};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Identifies an instance, which is a virtual router in the sense of RFC 9568: a VRID is unique per
/// interface and family (§5.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceKey {
    // RFC9568-5.2.3-2: interface, family and VRID together identify an instance.
    /// The interface that the instance runs on.
    pub interface: InterfaceName,
    /// The address family of the instance.
    pub family: Family,
    /// The VRID of the instance.
    pub vrid: Vrid,
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.interface, self.vrid, self.family)
    }
}
