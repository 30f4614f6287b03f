//! What this node says of itself, from a snapshot of the core. Pure.

use crate::channel::{ChannelLink, LocalLink, LocalNode};
use crate::protocol::{InstanceSnapshot, LastResort, RouterSnapshot, Snapshot, StateName};
use crate::types::{Preempt, Role, Version};
use crate::wire::channel::{ReportedSettings, ReportedState, RouterReport};
use crate::words::fault_in_short;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The report of this node.
pub(super) fn local_node(name: &str, snapshot: &Snapshot) -> LocalNode {
    let mut links: BTreeMap<ChannelLink, LocalLink> = BTreeMap::new();
    for router in &snapshot.routers {
        for instance in &router.instances {
            let link = ChannelLink { interface: instance.key.interface, family: instance.key.family };
            let here = links.entry(link).or_insert(LocalLink { source: None, routers: Vec::new() });
            here.source = here.source.or(instance.source);
            here.routers.push(report(router, instance));
        }
    }
    LocalNode { name: name.to_owned(), software: env!("CARGO_PKG_VERSION").to_owned(), links }
}

fn report(router: &RouterSnapshot, instance: &InstanceSnapshot) -> RouterReport {
    RouterReport {
        vrid: instance.key.vrid.get(),
        name: router.spec.name.to_string(),
        state: match instance.state {
            StateName::Initialize => ReportedState::Initialize,
            StateName::Backup => ReportedState::Backup,
            StateName::Active => ReportedState::Active,
        },
        priority: router.effective.get(),
        obstacle: obstacle(router, instance),
        preempts: match router.spec.role {
            Role::Owner | Role::Contender { preempt: Preempt::Allow, .. } => true,
            Role::Contender { preempt: Preempt::Forbid, .. } => false,
        },
        settings: settings(router, instance),
    }
}

/// Why the router would not take over here if the Active failed now.
fn obstacle(router: &RouterSnapshot, instance: &InstanceSnapshot) -> Option<String> {
    let demotion = router.demoted.as_ref().filter(|demotion| demotion.last_resort == LastResort::No);
    if let Some(demotion) = demotion {
        let reason =
            if demotion.reason.is_empty() { String::new() } else { format!(": {}", demotion.reason) };
        return Some(format!("demoted by {}{reason}", demotion.by));
    }
    if !router.faults.is_empty() {
        return Some(router.faults.iter().map(fault_in_short).collect::<Vec<_>>().join("; "));
    }
    match instance.state {
        StateName::Initialize => Some("it has not started yet".to_owned()),
        StateName::Active if router.handing_over => Some("it hands over".to_owned()),
        StateName::Active | StateName::Backup => None,
    }
}

fn settings(router: &RouterSnapshot, instance: &InstanceSnapshot) -> ReportedSettings {
    let of_family = router.spec.instances.iter().find(|spec| spec.family == instance.key.family);
    let mut addresses: Vec<IpAddr> =
        of_family.into_iter().flat_map(|spec| &spec.addresses).map(ipnet::IpNet::addr).collect();
    addresses.sort_unstable();
    let mut checks: Vec<String> = router.spec.tracked_checks().map(|check| check.0.to_string()).collect();
    checks.sort_unstable();
    checks.dedup();
    let count = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
    ReportedSettings {
        version: match of_family.map(|spec| spec.version).unwrap_or_default() {
            Version::V3 => 3,
        },
        interval_ms: u32::try_from(router.spec.interval.period().as_millis()).unwrap_or(u32::MAX),
        address_count: count(addresses.len()),
        address_digest: digest(&addresses),
        addresses: addresses.into_iter().take(ReportedSettings::MOST).collect(),
        check_count: count(checks.len()),
        checks: checks.into_iter().take(ReportedSettings::MOST).collect(),
    }
}

/// The first octets of a digest of the whole list: two lists that differ have two digests.
fn digest(addresses: &[IpAddr]) -> u64 {
    let mut hash = Sha256::new();
    for address in addresses {
        hash.update(address.to_string());
        hash.update([0]);
    }
    let octets = hash.finalize();
    octets.iter().take(8).fold(0, |digest, octet| digest << 8 | u64::from(*octet))
}
