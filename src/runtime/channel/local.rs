//! What this node says of itself, from a snapshot of the core. Pure.

use crate::channel::{ChannelLink, DrainAbilities, LocalLink, LocalNode};
use crate::kernel::membership::GroupMembership;
use crate::protocol::{InstanceSnapshot, LastResort, RouterSnapshot, Snapshot, StateName};
use crate::types::{Destinations, InstanceKey, Preempt, Role};
use crate::wire::channel::{ReportedSettings, ReportedState, RouterReport};
use crate::words::fault_in_short;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How datagrams of the other nodes reach this one on a link, which follows from its routers there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinkReach {
    /// Whether any of the routers speaks to the group.
    pub(super) group: GroupMembership,
    /// The listed nodes that may be behind a router, each with the least TTL or Hop Limit.
    routed: BTreeMap<IpAddr, u8>,
}

impl LinkReach {
    /// Whether a datagram is believed: it comes from this link (RFC 5082), or from a node whose
    /// advertisements are believed with this TTL, too.
    pub(super) fn admits(&self, source: IpAddr, ttl: u8) -> bool {
        ttl == u8::MAX || self.routed.get(&source).is_some_and(|least| ttl >= *least)
    }
}

/// How each link of this node is reached.
pub(super) fn reach(snapshot: &Snapshot) -> BTreeMap<ChannelLink, LinkReach> {
    let mut reach = BTreeMap::new();
    for router in &snapshot.routers {
        for InstanceKey { interface, family, .. } in router.instances.iter().map(|instance| instance.key) {
            let here = reach
                .entry(ChannelLink { interface, family })
                .or_insert_with(|| LinkReach { group: GroupMembership::None, routed: BTreeMap::new() });
            match &router.spec.destinations {
                Destinations::Multicast => here.group = GroupMembership::Joined,
                Destinations::Unicast(peers) => {
                    for peer in peers.of(family) {
                        let least = here.routed.entry(peer).or_insert(u8::MAX);
                        *least = peers.min_ttl.get().min(*least);
                    }
                }
            }
        }
    }
    reach
}

/// The report of this node.
pub(super) fn local_node(name: &str, snapshot: &Snapshot) -> LocalNode {
    let mut links: BTreeMap<ChannelLink, LocalLink> = BTreeMap::new();
    for router in &snapshot.routers {
        for instance in &router.instances {
            let link = ChannelLink { interface: instance.key.interface, family: instance.key.family };
            let here = links.entry(link).or_insert_with(|| LocalLink {
                source: None,
                destinations: BTreeSet::new(),
                routers: Vec::new(),
            });
            here.source = here.source.or(instance.source);
            here.destinations.extend(&instance.destinations);
            here.routers.push(report(router, instance));
        }
    }
    let abilities = DrainAbilities::default();
    LocalNode { name: name.to_owned(), software: env!("CARGO_PKG_VERSION").to_owned(), links, abilities }
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
        version: of_family.map(|spec| spec.version).unwrap_or_default().number(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Demotion, Fault, Input, Node, RouterSpec};
    use crate::types::{Family, LinkFacts, MonoTime};

    const CONFIG: &str = "[[check]]\nname = \"nginx\"\ncommand = [\"/bin/true\"]\n[[virtual_router]]\nname = \"web\"\n\
        interface = \"eth0\"\nvrid = 51\npriority = 150\npreempt = false\ntrack = [{ check = \"nginx\" }]\n\
        addresses = [\"192.0.2.51/24\", \"192.0.2.50/24\", \"2001:db8::50/64\"]\n";

    fn spec() -> RouterSpec {
        crate::config::resolve(CONFIG, "test.toml").unwrap().config.routers.remove(0)
    }

    /// The snapshot of a node with this router, whose check has no result yet.
    fn snapshot() -> Snapshot {
        let (mut node, mut out) = (Node::new(), Vec::new());
        let facts = LinkFacts {
            index: 2,
            mtu: 1500,
            up: true,
            carrier: true,
            ipv4: vec!["192.0.2.10".parse().unwrap()],
            ipv6_link_local: vec!["fe80::10".parse().unwrap()],
            ..LinkFacts::default()
        };
        node.handle(MonoTime::ZERO, Input::Link("eth0".parse().unwrap(), Some(facts)), &mut out);
        node.handle(MonoTime::ZERO, Input::Configure(vec![spec()]), &mut out);
        node.snapshot(MonoTime::ZERO)
    }

    fn link(family: Family) -> ChannelLink {
        ChannelLink { interface: "eth0".parse().unwrap(), family }
    }

    fn reported(change: impl Fn(&mut RouterSnapshot)) -> RouterReport {
        let mut snapshot = snapshot();
        snapshot.routers.iter_mut().for_each(change);
        local_node("fe0", &snapshot).links[&link(Family::Ipv4)].routers[0].clone()
    }

    #[test]
    fn a_node_reports_each_family_where_it_is_heard() {
        let node = local_node("fe0", &snapshot());
        assert_eq!((&*node.name, &*node.software), ("fe0", env!("CARGO_PKG_VERSION")));
        let sources: Vec<_> = node.links.iter().map(|(link, here)| (link.family, here.source)).collect();
        let source = |text: &str| Some(text.parse().unwrap());
        assert_eq!(sources, [(Family::Ipv4, source("192.0.2.10")), (Family::Ipv6, source("fe80::10"))]);
        let report = reported(|_| ());
        assert_eq!((report.vrid, &*report.name, report.preempts), (51, "web", false));
        let settings = report.settings;
        assert_eq!((settings.version, settings.interval_ms), (3, 1_000));
        let sorted: Vec<IpAddr> = ["192.0.2.50", "192.0.2.51"].map(|text| text.parse().unwrap()).into();
        assert_eq!((settings.addresses, settings.address_count), (sorted, 2));
        assert_eq!((settings.checks, settings.check_count), (vec!["nginx".to_owned()], 1));
    }

    /// How the IPv4 link of a node with these routers is reached: each has these lines.
    fn reach_of(routers: &[&str]) -> LinkReach {
        let table = |(vrid, lines): (usize, &&str)| {
            format!(
                "[[virtual_router]]\nname = \"r{vrid}\"\ninterface = \"eth0\"\nvrid = {vrid}\n\
                 addresses = [\"192.0.2.{vrid}/24\"]\n{lines}\n"
            )
        };
        let text: String = (51..).zip(routers).map(table).collect();
        let (mut node, mut out) = (Node::new(), Vec::new());
        let config = crate::config::resolve(&text, "test.toml").unwrap().config;
        node.handle(MonoTime::ZERO, Input::Configure(config.routers), &mut out);
        reach(&node.snapshot(MonoTime::ZERO))[&link(Family::Ipv4)].clone()
    }

    #[test]
    fn a_link_is_in_the_group_if_any_router_speaks_to_it() {
        let listed = "unicast_peers = [\"192.0.2.11\"]";
        assert_eq!(reach_of(&[""]).group, GroupMembership::Joined);
        assert_eq!(reach_of(&[listed]).group, GroupMembership::None);
        assert_eq!(reach_of(&[listed, ""]).group, GroupMembership::Joined);
        assert_eq!(reach_of(&["", listed]).group, GroupMembership::Joined);
    }

    #[test]
    fn what_was_routed_is_believed_of_listed_nodes_that_may_be_behind_a_router() {
        let admits = |reach: &LinkReach, source: &str, ttl| reach.admits(source.parse().unwrap(), ttl);
        let near = "unicast_peers = [\"192.0.2.11\", \"198.51.100.7\"]";
        let far = "unicast_peers = [\"198.51.100.7\"]\nmin_ttl = 253";
        for (routers, source, ttl, believed) in [
            (&[""][..], "192.0.2.11", 255, true),
            (&[""], "192.0.2.11", 254, false),
            (&[near], "192.0.2.99", 255, true),
            (&[near], "198.51.100.7", 254, false),
            (&[far], "198.51.100.7", 253, true),
            (&[far], "198.51.100.7", 252, false),
            (&[far], "198.51.100.8", 254, false),
            // One of two routers says so.
            (&[near, far], "198.51.100.7", 253, true),
            (&[near, far], "192.0.2.11", 254, false),
        ] {
            let reach = reach_of(routers);
            assert_eq!(admits(&reach, source, ttl), believed, "{routers:?} {source} {ttl}");
        }
    }

    #[test]
    fn the_obstacle_is_the_one_that_an_operator_must_remove() {
        let obstacle = |change: fn(&mut RouterSnapshot)| reported(change).obstacle;
        assert_eq!(
            obstacle(|_| ()).as_deref(),
            Some("waiting for the first result of check nginx"),
            "at a start"
        );
        let ready = |router: &mut RouterSnapshot, state| {
            router.faults.clear();
            router.instances.iter_mut().for_each(|instance| instance.state = state);
        };
        let demotion = |last_resort, reason: &str| Demotion {
            since: String::new(),
            until: None,
            last_resort,
            reason: reason.to_owned(),
            by: "alice".to_owned(),
        };
        let of = |change: &dyn Fn(&mut RouterSnapshot)| reported(change).obstacle;
        assert_eq!(of(&|router| ready(router, StateName::Backup)), None);
        assert_eq!(of(&|router| ready(router, StateName::Active)), None);
        let starts = of(&|router| ready(router, StateName::Initialize));
        assert_eq!(starts.as_deref(), Some("it has not started yet"));
        let leaves = of(&|router| {
            ready(router, StateName::Active);
            router.handing_over = true;
        });
        assert_eq!(leaves.as_deref(), Some("it hands over"));
        let fails = of(&|router| {
            ready(router, StateName::Initialize);
            router.faults = vec![Fault::NoCarrier("eth0".parse().unwrap())];
        });
        assert_eq!(fails.as_deref(), Some("eth0 has no carrier"));
        let demoted = of(&|router| router.demoted = Some(demotion(LastResort::No, "kernel update")));
        assert_eq!(demoted.as_deref(), Some("demoted by alice: kernel update"));
        let last_resort = of(&|router| {
            ready(router, StateName::Backup);
            router.demoted = Some(demotion(LastResort::Yes, ""));
        });
        assert_eq!(last_resort, None, "it serves if nobody else does");
    }

    #[test]
    fn lists_that_differ_have_two_digests_however_long_they_are() {
        let list = |last: u8| (0..=last).map(|n| IpAddr::from([192, 0, 2, n])).collect::<Vec<_>>();
        assert_eq!(digest(&list(200)), digest(&list(200)));
        assert_ne!(digest(&list(200)), digest(&list(201)));
        assert_ne!(digest(&[]), digest(&list(0)));
    }
}
