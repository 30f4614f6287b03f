//! Whether anybody would take over a router, if the one that serves it failed now.

use super::SILENT_AFTER;
use super::nodes::{HeardNode, Nodes};
use super::values::{ChannelEffect, ChannelEvent, ChannelLink, LocalNode, NodePresence, Redundancy, Standby};
use crate::types::{MonoTime, RouterName};
use crate::wire::channel::{ReportedState, RouterReport, SessionId};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

/// Redundancy counts as lost when it has been away for this long. While a router moves, the nodes
/// hear of it one after the other.
const LOST_AFTER: Duration = Duration::from_secs(2);

/// The families of one router of this node, with the report of each.
pub(super) type Families<'a> = Vec<(ChannelLink, &'a RouterReport)>;

/// What was said about the redundancy of each router that this node serves.
#[derive(Debug, Default)]
pub(super) struct RedundancyWatch {
    /// `None`: nothing was judged yet.
    routers: Option<BTreeMap<RouterName, Standing>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Redundant,
    /// Nobody would take over since this time, and it was not said yet.
    Missing(MonoTime),
    /// Nobody would take over since this time, and it was said.
    Lost(MonoTime),
}

impl RedundancyWatch {
    /// When something is to be said. `judged_at` is when all nodes have had the time to report.
    pub(super) fn wakes_at(&self, judged_at: Option<MonoTime>) -> Option<MonoTime> {
        let Some(routers) = &self.routers else { return judged_at };
        let missing = routers.values().filter_map(|standing| match standing {
            Standing::Missing(since) => Some(*since + LOST_AFTER),
            Standing::Redundant | Standing::Lost(_) => None,
        });
        missing.min()
    }

    /// The redundancy of each router of this node.
    pub(super) fn of_all(
        &self,
        now: MonoTime,
        local: &LocalNode,
        nodes: &Nodes,
    ) -> BTreeMap<RouterName, Redundancy> {
        let since = |name: &RouterName| match self.routers.as_ref().and_then(|routers| routers.get(name)) {
            Some(Standing::Missing(since) | Standing::Lost(since)) => Some(*since),
            Some(Standing::Redundant) | None => None,
        };
        let routers = routers(local).into_iter();
        let of = |(name, families): (RouterName, Families<'_>)| {
            let missing_since = since(&name);
            (name, Redundancy { missing_since, ..of(now, &families, nodes) })
        };
        routers.map(of).collect()
    }

    /// Says what has changed for the routers that this node serves. Others say it for the rest.
    pub(super) fn update(
        &mut self,
        now: MonoTime,
        local: &LocalNode,
        nodes: &Nodes,
        out: &mut Vec<ChannelEffect>,
    ) {
        let routers = routers(local);
        let known = self.routers.get_or_insert_default();
        known.retain(|name, _| routers.contains_key(name));
        for (name, families) in &routers {
            let Redundancy { is_redundant, standbys, why, missing_since: _ } = of(now, families, nodes);
            let before = known.get(name).copied().unwrap_or(Standing::Redundant);
            let standing = match (before, is_redundant, serves(families)) {
                (Standing::Lost(_), true, true) => {
                    let node = standbys.iter().find(|standby| standby.obstacle.is_none());
                    out.extend(node.map(|standby| {
                        let (router, node) = (name.clone(), standby.node.clone());
                        ChannelEffect::Report(ChannelEvent::RedundancyBack { router, node })
                    }));
                    Standing::Redundant
                }
                (_, true, _) | (_, false, false) => Standing::Redundant,
                (Standing::Lost(_), false, true) => before,
                (Standing::Redundant, false, true) => Standing::Missing(now),
                (Standing::Missing(since), false, true) if now.since(since) < LOST_AFTER => before,
                (Standing::Missing(since), false, true) => {
                    let event = ChannelEvent::RedundancyLost { router: name.clone(), why };
                    out.push(ChannelEffect::Report(event));
                    Standing::Lost(since)
                }
            };
            known.insert(name.clone(), standing);
        }
    }
}

/// The routers of this node by name, each with its families.
pub(super) fn routers(local: &LocalNode) -> BTreeMap<RouterName, Families<'_>> {
    let mut routers: BTreeMap<RouterName, Families<'_>> = BTreeMap::new();
    for (link, here) in &local.links {
        for report in &here.routers {
            if let Ok(name) = report.name.parse() {
                routers.entry(name).or_default().push((*link, report));
            }
        }
    }
    routers
}

/// Whether this node is Active of the router in any family.
pub(super) fn serves(families: &Families<'_>) -> bool {
    families.iter().any(|(_, report)| report.state == ReportedState::Active)
}

fn of(now: MonoTime, families: &Families<'_>, nodes: &Nodes) -> Redundancy {
    let mut standbys: Vec<Standby> =
        nodes.present().filter_map(|(_, node)| standby(now, families, node)).collect();
    standbys.sort_by_key(|standby| (standby.obstacle.is_some(), Reverse(standby.priority)));
    let is_ready_here = families.iter().all(|(_, report)| report.obstacle.is_none());
    let is_redundant = if serves(families) {
        // A node that was Active a moment ago, and has not reported since, is Backup now.
        standbys.iter().any(|standby| standby.obstacle.is_none())
    } else {
        is_ready_here || standbys.iter().any(|standby| standby.obstacle.is_none() && !standby.is_active)
    };
    let why = if is_redundant { Vec::new() } else { why(now, &standbys, nodes) };
    Redundancy { is_redundant, standbys, why, missing_since: None }
}

/// A node that has the router in any family. It takes over if it can do so in all of them.
fn standby(now: MonoTime, families: &Families<'_>, node: &HeardNode) -> Option<Standby> {
    let reports: Vec<Option<&RouterReport>> =
        families.iter().map(|(link, report)| node.router(now, *link, report.vrid)).collect();
    let first = reports.iter().flatten().next()?;
    let missing = families.iter().zip(&reports).find(|(_, report)| report.is_none());
    let obstacle = match missing {
        Some(((link, _), _)) => Some(format!("it does not have this virtual router in {}", link.family)),
        None => reports.iter().flatten().find_map(|report| report.obstacle.clone()),
    };
    Some(Standby {
        node: node.name.clone(),
        address: node.address()?,
        priority: first.priority,
        obstacle,
        is_active: reports.iter().flatten().any(|report| report.state == ReportedState::Active),
        heard: node.heard,
    })
}

/// For each family of a router, the node that would take over from this one: of those that can do
/// so in all families, the one that wins the election. Empty: nobody would.
pub(super) fn successors<'a>(
    now: MonoTime,
    families: &Families<'_>,
    nodes: &'a Nodes,
) -> Vec<(ChannelLink, SessionId, &'a HeardNode)> {
    let is_able =
        |node: &HeardNode| standby(now, families, node).is_some_and(|standby| standby.obstacle.is_none());
    let able: Vec<_> = nodes.present().filter(|(_, node)| is_able(node)).collect();
    let first = |(link, ours): &(ChannelLink, &RouterReport)| {
        let rank = |node: &HeardNode| {
            let address = node.links.get(link).map(|heard| heard.address);
            (node.router(now, *link, ours.vrid).map(|report| report.priority), address)
        };
        let winner = able.iter().max_by_key(|(_, node)| rank(node));
        winner.map(|(session, node)| (*link, *session, *node))
    };
    families.iter().filter_map(first).collect()
}

/// How many Backups would win the election against this node, and can take over in all families of
/// the router. Of equal priorities the higher address wins.
pub(super) fn better_backups(now: MonoTime, families: &Families<'_>, local: &LocalNode, nodes: &Nodes) -> u8 {
    let is_better = |node: &HeardNode| {
        let ready = standby(now, families, node);
        let is_ready = ready.is_some_and(|standby| standby.obstacle.is_none() && !standby.is_active);
        is_ready
            && families.iter().all(|(link, ours)| {
                let theirs = node.router(now, *link, ours.vrid).map(|report| report.priority);
                let their_address = node.links.get(link).map(|heard| heard.address);
                let our_address = local.links.get(link).and_then(|here| here.source);
                (theirs, their_address) > (Some(ours.priority), our_address)
            })
    };
    let better = nodes.present().filter(|(_, node)| is_better(node)).count();
    u8::try_from(better).unwrap_or(u8::MAX)
}

/// Every node that was heard, and why it would not take over.
fn why(now: MonoTime, standbys: &[Standby], nodes: &Nodes) -> Vec<(String, String)> {
    let mut why: BTreeMap<String, String> = BTreeMap::new();
    for node in nodes.iter() {
        let reason = match node.presence {
            NodePresence::Left => "it has left: vrrpd was stopped there, or has another key now".to_owned(),
            NodePresence::Silent => {
                format!("it has not been heard for {} s", now.since(node.heard).max(SILENT_AFTER).as_secs())
            }
            NodePresence::Present => "it does not have this virtual router".to_owned(),
        };
        why.entry(node.name.clone()).or_insert(reason);
    }
    for standby in standbys {
        why.extend(standby.obstacle.clone().map(|obstacle| (standby.node.clone(), obstacle)));
    }
    why.into_iter().collect()
}
