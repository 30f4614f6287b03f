//! Finds out whether a reload would list addresses that belong to the machine itself
//! (docs/adr/0017).
//!
//! Owns the comparison of two configurations with the addresses of this machine. At the start
//! nothing is refused: there such an address is a fault of its router.

use crate::config::Config;
use crate::kernel::address::{ObservedAddress, Origin};
use crate::kernel::netlink::{Netlink, NetlinkError};
use crate::protocol::{ForeignAddresses, RouterSpec};
use crate::types::{InterfaceName, Role};
use crate::words;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Returns the reasons why `wanted` may not replace `running`; if there is no reason, it may.
///
/// # Errors
/// The addresses cannot be listed.
pub(super) fn refusals(running: &Config, wanted: &Config) -> Result<Vec<String>, NetlinkError> {
    let observed = Netlink::open()?.addresses()?;
    let names: BTreeSet<InterfaceName> = wanted.routers.iter().map(|spec| spec.address_interface).collect();
    let indexes = names.into_iter().filter_map(|name| {
        let index = nix::net::if_::if_nametoindex(name.as_str()).ok()?;
        Some((name, index))
    });
    Ok(conflicts(running, wanted, &observed, &indexes.collect()))
}

/// Compares with the observed addresses. An address that is listed already is not a reason: it is a
/// fault or a warning by now, and the reload may remove it.
fn conflicts(
    running: &Config,
    wanted: &Config,
    observed: &[ObservedAddress],
    indexes: &BTreeMap<InterfaceName, u32>,
) -> Vec<String> {
    let foreign = observed.iter().filter(|address| address.origin == Origin::Foreign);
    let foreign: BTreeMap<(u32, IpAddr), IpNet> =
        foreign.map(|address| ((address.index, address.net.addr()), address.net)).collect();
    let listed: BTreeSet<(InterfaceName, IpAddr)> = running.routers.iter().flat_map(virtual_places).collect();
    let conflict = |spec: &RouterSpec| {
        let index = indexes.get(&spec.address_interface)?;
        let new = virtual_places(spec).filter(|place| !listed.contains(place));
        let mut theirs = new.filter_map(|(_, address)| foreign.get(&(*index, address)).copied());
        let first = theirs.next()?;
        let foreign = ForeignAddresses { interface: spec.address_interface, first, others: theirs.count() };
        Some(format!("{}: {}", spec.name, words::foreign_addresses(&foreign)))
    };
    wanted.routers.iter().filter_map(conflict).collect()
}

/// The interfaces and addresses of a contender. Those of an owner are the machine's own.
fn virtual_places(spec: &RouterSpec) -> impl Iterator<Item = (InterfaceName, IpAddr)> {
    let instances = match spec.role {
        Role::Owner => &[][..],
        Role::Contender { .. } => &spec.instances[..],
    };
    let nets = instances.iter().flat_map(|instance| instance.held());
    nets.map(|net| (spec.address_interface, net.addr()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve;

    fn config(more: &str, addresses: &str) -> Config {
        let text = format!(
            "[[virtual_router]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 61\n{more}\naddresses = [{addresses}]\n"
        );
        resolve(&text, "test.toml").unwrap_or_else(|errors| panic!("{errors:?}")).config
    }

    fn seen(net: &str, origin: Origin) -> ObservedAddress {
        ObservedAddress::ready(2, net, origin)
    }

    fn refused(running: &Config, wanted: &Config, observed: &[ObservedAddress]) -> usize {
        conflicts(running, wanted, observed, &BTreeMap::from([("eth0".parse().unwrap(), 2)])).len()
    }

    #[test]
    fn only_what_would_be_new_and_is_not_ours_is_refused() {
        let before = config("", "\"192.0.2.50/24\"");
        let slip = config("", "\"192.0.2.50/24\", \"192.0.2.10/32\", \"2001:db8::10/64\"");
        let own = [seen("192.0.2.10/24", Origin::Foreign), seen("2001:db8::10/64", Origin::Foreign)];
        let told = conflicts(&before, &slip, &own, &BTreeMap::from([("eth0".parse().unwrap(), 2)]));
        let [told] = &told[..] else { panic!("{told:?}") };
        assert!(
            told.starts_with("web: 192.0.2.10/24 and 1 more are configured on eth0 by something else"),
            "{told}"
        );
        assert!(told.contains("ip address delete 192.0.2.10/24 dev eth0"), "{told}");
        // The address is installed already, and a fault: the reload may do what it likes.
        assert_eq!(refused(&slip, &slip, &own), 0);
        assert_eq!(refused(&slip, &before, &own), 0);
        // The address was installed by the agent, or is on another interface.
        assert_eq!(refused(&before, &slip, &own.map(|a| ObservedAddress { origin: Origin::Ours, ..a })), 0);
        assert_eq!(refused(&before, &slip, &own.map(|a| ObservedAddress { index: 3, ..a })), 0);
    }

    #[test]
    fn an_owner_may_list_what_a_contender_may_not() {
        let own = [seen("192.0.2.10/24", Origin::Foreign)];
        let (before, owner) =
            (config("", "\"192.0.2.50/24\""), config("priority = \"owner\"", "\"192.0.2.10/24\""));
        assert_eq!(refused(&before, &owner, &own), 0);
        assert_eq!(refused(&owner, &config("", "\"192.0.2.10/24\""), &own), 1, "it is a contender now");
    }
}
