//! What the channel knows about draining, as the core and the forwarder want it. Pure.

use super::forwarder_watch::ForwardedByPlace;
use super::probes::ProbesWanted;
use crate::channel::{Ability, ChannelLink, DrainAbilities, DrainView, LocalDrain};
use crate::protocol::{DrainId, Snapshot, StateName};
use crate::runtime::draining::{
    DrainAddresses, DrainStatuses, ForwardingInstance, ForwardingReport, ForwardingWanted,
};
use crate::types::{InstanceKey, MonoTime, Vrid};
use crate::words::Stamp;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// How long a drain may be without a channel: after a start, the key has to be read.
const LONELY_FOR: Duration = Duration::from_secs(8);

/// For each instance, the nodes to which its connections can be left.
pub(super) type PartnersByInstance = BTreeMap<InstanceKey, BTreeSet<IpAddr>>;

/// The instances of this node, as far as forwarding needs them.
pub(super) type ForwardingInstances = BTreeMap<InstanceKey, ForwardingInstance>;

/// The instances of a snapshot, without their leavers.
pub(super) fn instances(snapshot: &Snapshot) -> ForwardingInstances {
    let mut instances = ForwardingInstances::new();
    for router in &snapshot.routers {
        for instance in &router.instances {
            let one = ForwardingInstance {
                addresses: DrainAddresses::of(router, instance.key).passed_on,
                is_active: instance.state == StateName::Active,
                keeps: !router.spec.drain.is_zero(),
                leavers: BTreeSet::new(),
            };
            instances.insert(instance.key, one);
        }
    }
    instances
}

pub(super) fn partners(view: &DrainView) -> PartnersByInstance {
    let partners = view.partners.iter();
    partners.filter_map(|((link, vrid), nodes)| Some((key(*link, *vrid)?, nodes.clone()))).collect()
}

/// For each instance, how many other Backups would win the election against it.
pub(super) fn better_backups(view: &DrainView) -> BTreeMap<InstanceKey, u8> {
    let ahead = view.better_backups.iter();
    ahead.filter_map(|((link, vrid), ahead)| Some((key(*link, *vrid)?, *ahead))).collect()
}

/// What the forwarder has to do, after what it did `before`. A leaver that has just started again has
/// to prove the path again: what was passed on to it is passed on.
pub(super) fn wanted(
    instances: &ForwardingInstances,
    view: &DrainView,
    before: &ForwardingWanted,
) -> ForwardingWanted {
    if !keeps(instances) {
        return ForwardingWanted::default();
    }
    let mut instances = instances.clone();
    for ((link, vrid), leavers) in &view.leavers {
        let instance = key(*link, *vrid).and_then(|key| instances.get_mut(&key));
        if let Some(instance) = instance {
            let was_leaver = |address: &IpAddr| {
                let before = key(*link, *vrid).and_then(|key| before.instances.get(&key));
                before.is_some_and(|before| before.leavers.contains(address))
            };
            let goes_on = leavers.iter().filter(|leaver| leaver.proven || was_leaver(&leaver.address));
            instance.leavers = goes_on.map(|leaver| leaver.address).collect();
        }
    }
    let relievable = view.relievable.iter();
    let relievable = relievable.map(|(link, nodes)| ((link.interface, link.family), nodes.clone())).collect();
    ForwardingWanted { instances, relievable }
}

/// Whether any router of this node keeps connections.
pub(super) fn keeps(instances: &ForwardingInstances) -> bool {
    instances.values().any(|instance| instance.keeps)
}

/// Whether paths are to be proven. A node that keeps no connections has no sockets for that.
pub(super) fn probes_wanted(instances: &ForwardingInstances) -> ProbesWanted {
    if keeps(instances) { ProbesWanted::Yes } else { ProbesWanted::No }
}

/// What this node can do for open connections, if any router keeps some. `silent`: since when the
/// forwarder does not answer.
pub(super) fn abilities(
    report: &ForwardingReport,
    silent: Option<MonoTime>,
    instances: &ForwardingInstances,
) -> DrainAbilities {
    let keeps = keeps(instances);
    let of = |tried: &Option<Result<(), String>>| match tried {
        Some(Ok(())) if keeps => Ability::Able,
        Some(Ok(()) | Err(_)) | None => Ability::Unable,
    };
    let forwards = if silent.is_some() { Ability::Unable } else { of(&report.forwards) };
    DrainAbilities { drains: of(&report.drains), forwards }
}

/// Why open connections cannot be kept or passed on here, in words, if any router keeps some.
/// `silent`: since when the forwarder does not answer.
pub(super) fn problems(
    report: &ForwardingReport,
    silent: Option<Stamp>,
    instances: &ForwardingInstances,
) -> Vec<String> {
    if !keeps(instances) {
        return Vec::new();
    }
    let failed = |tried: &Option<Result<(), String>>| tried.clone().and_then(Result::err);
    let drains = failed(&report.drains)
        .map(|why| format!("open connections cannot be kept when another node takes over: {why}"));
    let forwards = failed(&report.forwards)
        .map(|why| format!("packets of other nodes' open connections cannot be passed on: {why}"));
    let refused = report.problem.as_ref().map(|why| {
        format!("packets of other nodes' open connections are not passed on at this moment: {why}")
    });
    let silent = silent.map(|since| {
        format!(
            "packets of other nodes' open connections are not passed on at this moment: the thread that does \
             it does not answer since {since}"
        )
    });
    [drains, forwards, refused, silent].into_iter().flatten().collect()
}

/// What this node drains, as the channel wants it.
pub(super) fn local_drains(statuses: &DrainStatuses) -> BTreeMap<(ChannelLink, u8), LocalDrain> {
    statuses.iter().map(|(key, drain)| (place(*key), *drain)).collect()
}

/// What this node passes on, as the channel wants it.
pub(super) fn forwarded(report: &ForwardingReport) -> ForwardedByPlace {
    let forwarded = report.forwarded.iter();
    forwarded
        .map(|((key, leaver), count)| {
            let (link, vrid) = place(*key);
            ((link, vrid, *leaver), *count)
        })
        .collect()
}

pub(super) fn key(link: ChannelLink, vrid: u8) -> Option<InstanceKey> {
    let ChannelLink { interface, family } = link;
    Some(InstanceKey { interface, family, vrid: Vrid::new(vrid).ok()? })
}

fn place(key: InstanceKey) -> (ChannelLink, u8) {
    (ChannelLink { interface: key.interface, family: key.family }, key.vrid.get())
}

/// The drains of a node without a channel.
#[derive(Debug, Default)]
pub(super) struct LonelyDrains {
    /// When each is given up; `None`: it was.
    end_at: BTreeMap<DrainId, Option<MonoTime>>,
}

impl LonelyDrains {
    /// The drains that are given up now, each once.
    pub(super) fn lost(&mut self, now: MonoTime, statuses: &DrainStatuses) -> Vec<DrainId> {
        let drains = statuses.iter().map(|(key, drain)| DrainId { key: *key, since: drain.since });
        let end_at = |drain| (drain, self.end_at.get(&drain).copied().unwrap_or(Some(now + LONELY_FOR)));
        self.end_at = drains.map(end_at).collect();
        let due = self.end_at.iter_mut().filter(|(_, at)| at.is_some_and(|at| at <= now));
        due.map(|(drain, at)| {
            *at = None;
            *drain
        })
        .collect()
    }

    /// When the next one is given up.
    pub(super) fn wakes_at(&self) -> Option<MonoTime> {
        self.end_at.values().flatten().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Input, Node};
    use crate::types::Family;

    /// The instances of a node whose router has these lines.
    fn of_router(lines: &str) -> ForwardingInstances {
        let text = format!(
            "[agent]\npeer_key_file = \"/etc/vrrpd/peer.key\"\n[[virtual_router]]\nname = \"web\"\n\
             interface = \"eth0\"\nvrid = 51\n{lines}\n"
        );
        let (mut node, mut out) = (Node::new(), Vec::new());
        let config = crate::config::resolve(&text, "test.toml").unwrap().config;
        node.handle(MonoTime::ZERO, Input::Configure(config.routers), &mut out);
        instances(&node.snapshot(MonoTime::ZERO))
    }

    #[test]
    fn packets_are_passed_on_to_the_addresses_whose_connections_drain() {
        let instances = of_router(
            "addresses = [\"192.0.2.50/24\"]\nexcluded_addresses = [\"192.0.2.51/32\", \"2001:db8::51/128\"]",
        );
        let one = instances.into_values().next().unwrap();
        let addresses: Vec<String> = one.addresses.iter().map(IpAddr::to_string).collect();
        assert_eq!(addresses, ["192.0.2.50", "192.0.2.51"]);
    }

    #[test]
    fn a_forwarder_that_does_not_answer_is_a_problem_where_connections_are_kept() {
        let addresses = "addresses = [\"192.0.2.50/24\"]";
        let keeps = of_router(&format!("drain = \"10m\"\n{addresses}"));
        let since = || Some(Stamp("2026-11-29T10:12:00Z".parse().unwrap()));
        let report = ForwardingReport::default();
        let problems = |instances| problems(&report, since(), instances);
        let said = problems(&keeps);
        assert!(said[0].contains("does not answer since 2026-11-29T10:12:00"), "{said:?}");
        assert_eq!(problems(&of_router(addresses)), [""; 0]);
    }

    #[test]
    fn a_node_that_keeps_nothing_has_no_sockets_to_prove_paths() {
        let addresses = "addresses = [\"192.0.2.50/24\"]";
        assert_eq!(probes_wanted(&of_router(addresses)), ProbesWanted::No);
        assert_eq!(probes_wanted(&of_router(&format!("drain = \"10m\"\n{addresses}"))), ProbesWanted::Yes);
    }

    fn drain(vrid: u8, since: u64) -> (InstanceKey, LocalDrain) {
        let vrid = Vrid::new(vrid).unwrap();
        let key = InstanceKey { interface: "eth0".parse().unwrap(), family: Family::Ipv4, vrid };
        let since = MonoTime::from_nanos(since);
        (key, LocalDrain { since, until: since + Duration::from_secs(600), left: 3, oldest: None })
    }

    #[test]
    fn a_drain_without_a_channel_is_given_up_once() {
        let (start, mut lonely) = (MonoTime::from_nanos(1), LonelyDrains::default());
        assert_eq!(lonely.lost(start, &DrainStatuses::new()), []);
        assert_eq!(lonely.wakes_at(), None);
        let first = drain(51, 0);
        assert_eq!(lonely.lost(start, &[first].into()), []);
        let end = start + LONELY_FOR;
        assert_eq!(lonely.wakes_at(), Some(end));
        let second = drain(52, 7);
        let later = start + Duration::from_secs(1);
        assert_eq!(lonely.lost(later, &[first, second].into()), []);
        let id = |(key, drain): (InstanceKey, LocalDrain)| DrainId { key, since: drain.since };
        assert_eq!(lonely.lost(end, &[first, second].into()), [id(first)]);
        assert_eq!(lonely.wakes_at(), Some(later + LONELY_FOR));
        assert_eq!(lonely.lost(later + LONELY_FOR, &[first, second].into()), [id(second)]);
        assert_eq!(lonely.wakes_at(), None);
        // Another drain of the same router is another one.
        let again = drain(51, 9);
        assert_eq!(lonely.lost(later + LONELY_FOR, &[again].into()), []);
        assert!(lonely.wakes_at().is_some());
    }
}
