//! What an earlier run left draining, and this one goes on with. Pure.

use crate::config::Config;
use crate::kernel::address::{LOOPBACK, ObservedAddress};
use crate::kernel::keeper::{KeeperCommand, earlier_drains_among};
use crate::types::InstanceKey;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// An instance that drains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResumedDrain {
    pub(super) key: InstanceKey,
    /// How long its addresses still have on `lo`.
    pub(super) left: Duration,
    /// What the address thread must know before it removes what nobody wants.
    pub(super) commands: [KeeperCommand; 2],
}

/// The instances of a configuration that drain, by the addresses that this machine has. An address
/// that is on an interface as well has come back, or had not gone: then nothing drains.
pub(super) fn resumed(config: &Config, addresses: &[ObservedAddress]) -> Vec<ResumedDrain> {
    let elsewhere: BTreeSet<IpAddr> =
        addresses.iter().filter(|one| one.index != LOOPBACK).map(|one| one.net.addr()).collect();
    let earlier: BTreeMap<IpAddr, Duration> =
        earlier_drains_among(addresses).into_iter().map(|drain| (drain.address, drain.left)).collect();
    let mut drains = Vec::new();
    for spec in &config.routers {
        for instance in &spec.instances {
            let held: Vec<_> = instance.held().copied().collect();
            let left = held.iter().filter_map(|net| earlier.get(&net.addr())).max().copied();
            let Some(left) = left.filter(|_| !held.iter().any(|net| elsewhere.contains(&net.addr()))) else {
                continue;
            };
            let (key, address_interface) = (spec.key(instance.family), spec.address_interface);
            let declare = KeeperCommand::Declare { key, address_interface, addresses: held };
            let drain = KeeperCommand::Drain { key, epoch: 0, lifetime: left };
            drains.push(ResumedDrain { key, left, commands: [declare, drain] });
        }
    }
    drains
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::address::{AddressLifetime, Origin};
    use crate::types::Family;

    const CONFIG: &str = "[[virtual_router]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\npriority = 100\n\
                          addresses = [\"192.0.2.50/24\", \"2001:db8::50/64\"]\n";

    fn address(index: u32, net: &str, seconds: u64) -> ObservedAddress {
        let lifetime = AddressLifetime::Limited(Duration::from_secs(seconds));
        ObservedAddress { lifetime, ..ObservedAddress::ready(index, net, Origin::Ours) }
    }

    fn families(addresses: &[ObservedAddress]) -> Vec<(Family, bool)> {
        let config = crate::config::resolve(CONFIG, "vrrpd.toml").unwrap().config;
        let resumed = resumed(&config, addresses);
        resumed.iter().map(|drain| (drain.key.family, drain.left > Duration::from_secs(50))).collect()
    }

    #[test]
    fn what_is_on_lo_and_nowhere_else_drains() {
        let ipv4 = address(LOOPBACK, "192.0.2.50/32", 60);
        assert_eq!(families(&[]), []);
        assert_eq!(families(&[ipv4]), [(Family::Ipv4, true)]);
        let ipv6 = address(LOOPBACK, "2001:db8::50/128", 30);
        assert_eq!(families(&[ipv4, ipv6]), [(Family::Ipv4, true), (Family::Ipv6, false)]);
        assert_eq!(families(&[ipv4, address(2, "192.0.2.50/24", 60)]), [], "it had not gone yet");
        assert_eq!(families(&[address(LOOPBACK, "192.0.2.99/32", 60)]), [], "no router has it");
    }
}
