//! Which addresses of an instance have connections that outlive a move. Pure.

use crate::kernel::resources::address::can_drain;
use crate::protocol::RouterSnapshot;
use crate::types::{Family, InstanceKey};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The addresses of an instance, by what becomes of their connections when they move.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::runtime) struct DrainAddresses {
    /// Their packets are passed on: connections to them are listed, and are waited for. These are the
    /// addresses of the family of the instance, because the rules of a successor are of one family,
    /// without those that the kernel serves only on their own interface.
    pub(in crate::runtime) passed_on: BTreeSet<IpAddr>,
    /// All that drain. Nobody passes on packets to the others, which are served until hosts have
    /// switched; connections to them are reset with the rest, because their clients would hang.
    pub(in crate::runtime) all: BTreeSet<IpAddr>,
}

impl DrainAddresses {
    pub(in crate::runtime) fn of(router: &RouterSnapshot, key: InstanceKey) -> Self {
        let spec = router.spec.instances.iter().find(|spec| spec.family == key.family);
        let held = spec.into_iter().flat_map(|spec| spec.held()).map(ipnet::IpNet::addr);
        let all: BTreeSet<IpAddr> = held.filter(|address| can_drain(*address)).collect();
        let passed_on = all.iter().copied().filter(|address| Family::of(*address) == key.family).collect();
        Self { passed_on, all }
    }
}
