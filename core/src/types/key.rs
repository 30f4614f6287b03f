//! The identity of a virtual router.

use super::{Family, InterfaceName, Vrid};
use std::fmt;

/// One virtual router of RFC 9568: a VRID is unique per interface and family (§5.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceKey {
    // RFC9568-5.2.3-2: all three make the identity.
    /// The interface it runs on.
    pub interface: InterfaceName,
    /// Its address family.
    pub family: Family,
    /// Its VRID.
    pub vrid: Vrid,
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.interface, self.vrid, self.family)
    }
}
