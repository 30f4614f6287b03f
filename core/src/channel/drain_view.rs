//! What is known about draining, put together from what the nodes said and what was proven.

use super::drains::Drains;
use super::nodes::Nodes;
use super::paths::Paths;
use super::redundancy::{better_backups, routers, serves, successors};
use super::values::LocalNode;
use super::{Ability, DrainView, HeardLeaver};
use crate::types::{MonoTime, RouterName};

/// Everything that is known, at an instant.
pub(super) fn view(
    now: MonoTime,
    local: &LocalNode,
    nodes: &Nodes,
    paths: &Paths,
    drains: &Drains,
) -> DrainView {
    let mut view = DrainView { forwarded_by: drains.forwarded_by(now, nodes), ..DrainView::default() };
    for (place, session, leaver) in drains.leavers() {
        let proven = paths.is_proven_to(place.0, session);
        view.leavers.entry(place).or_default().push(HeardLeaver { proven, ..leaver });
    }
    for families in routers(local).into_values() {
        let ahead = better_backups(now, &families, local, nodes);
        if ahead > 0 {
            view.better_backups.extend(families.iter().map(|(link, ours)| ((*link, ours.vrid), ahead)));
        }
    }
    for (link, here) in &local.links {
        for (session, node) in nodes.present() {
            let Some(there) = node.links.get(link) else { continue };
            let can_relieve = local.abilities.forwards == Ability::Able
                && paths.says_it_drains(*link, session)
                && paths.is_proven_to(*link, session);
            if can_relieve {
                view.relievable.entry(*link).or_default().insert(there.address);
            }
            let would_forward = local.abilities.drains == Ability::Able
                && paths.says_it_forwards(*link, session)
                && paths.is_proven_from(*link, session);
            if would_forward {
                for ours in here.routers.iter().filter(|ours| node.router(now, *link, ours.vrid).is_some()) {
                    view.partners.entry((*link, ours.vrid)).or_default().insert(there.address);
                }
            }
        }
    }
    view
}

/// The name of the node that would take over a router from this one now and forward to it in every
/// family of the router; or why open connections would be cut.
pub(super) fn outlook(
    now: MonoTime,
    router: &RouterName,
    local: &LocalNode,
    nodes: &Nodes,
    paths: &Paths,
) -> Result<String, String> {
    let routers = routers(local);
    let families = routers.get(router).ok_or("this node does not have this virtual router")?;
    if !serves(families) {
        return Err("this node does not serve this virtual router".to_owned());
    }
    if local.abilities.drains == Ability::Unable {
        return Err("this node does not keep open connections when it gives the addresses away".to_owned());
    }
    let successors = successors(now, families, nodes);
    for (link, session, node) in &successors {
        let name = &node.name;
        if !paths.says_it_forwards(*link, *session) {
            return Err(format!("{name} would take over, and does not pass on packets of open connections"));
        }
        if !paths.is_proven_from(*link, *session) {
            return Err(format!(
                "{name} would take over, and no frame with a foreign source address has arrived from it on \
                 {} in {}, so that the network may drop what it passes on (port security)",
                link.interface, link.family
            ));
        }
    }
    let first = successors.first().map(|(_, _, node)| node.name.clone());
    first.ok_or_else(|| "no other node that shares the key of this one would take over".to_owned())
}
