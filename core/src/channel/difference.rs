//! Settings that should be the same on all nodes: what differs is said once, and once more when it
//! does not differ any more.

use super::nodes::{HeardNode, Nodes};
use super::values::{ChannelEffect, ChannelEvent, LocalNode, SettingDifference, StandingDifference};
use crate::types::{MonoTime, RouterName};
use crate::wire::channel::{ReportedSettings, RouterReport};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The most differences that are remembered and said.
const MOST: usize = 1_024;

/// The name of the other node, the router if the setting is one of a router, and the difference.
type FoundDifference = (String, Option<RouterName>, SettingDifference);

/// What was said to differ.
#[derive(Debug, Default)]
pub(super) struct Differences {
    standing: BTreeMap<FoundDifference, MonoTime>,
}

impl Differences {
    /// Compares this node with all that are there. What differs from a node that is silent stays as
    /// it was: its configuration is not known to have changed.
    pub(super) fn update(
        &mut self,
        now: MonoTime,
        local: &LocalNode,
        nodes: &Nodes,
        out: &mut Vec<ChannelEffect>,
    ) {
        let mut found = BTreeSet::new();
        let mut present = BTreeSet::new();
        for (_, node) in nodes.present() {
            present.insert(&node.name);
            compare(local, node, &mut found);
        }
        let absent = self.standing.keys().filter(|(node, ..)| !present.contains(node)).cloned();
        found.extend(absent);
        while found.len() > MOST {
            found.pop_last();
        }
        self.standing.retain(|one, _| {
            let stands = found.contains(one);
            if !stands {
                let (node, router, what) = one.clone();
                out.push(ChannelEffect::Report(ChannelEvent::DiffersNoMore { router, node, what }));
            }
            stands
        });
        for one in found {
            if let Entry::Vacant(place) = self.standing.entry(one) {
                let (node, router, what) = place.key().clone();
                out.push(ChannelEffect::Report(ChannelEvent::Differs { router, node, what }));
                place.insert(now);
            }
        }
    }

    pub(super) fn standing(&self) -> Vec<StandingDifference> {
        let one = |((node, router, what), since): (&FoundDifference, &MonoTime)| StandingDifference {
            node: node.clone(),
            router: router.clone(),
            what: what.clone(),
            since: *since,
        };
        self.standing.iter().map(one).collect()
    }
}

fn compare(local: &LocalNode, node: &HeardNode, found: &mut BTreeSet<FoundDifference>) {
    if node.software != local.software {
        let what = SettingDifference::Software { here: local.software.clone(), there: node.software.clone() };
        found.insert((node.name.clone(), None, what));
    }
    for (link, here) in &local.links {
        let Some(there) = node.links.get(link) else { continue };
        for ours in &here.routers {
            let Ok(router) = ours.name.parse::<RouterName>() else { continue };
            let mut add = |what| found.insert((node.name.clone(), Some(router.clone()), what));
            match there.routers.get(&ours.vrid) {
                Some(theirs) => settings(&ours.settings, &theirs.settings).into_iter().for_each(|what| {
                    add(what);
                }),
                None => {
                    let same_name = |theirs: &&RouterReport| theirs.name == ours.name;
                    if let Some(theirs) = there.routers.values().find(same_name) {
                        add(SettingDifference::Vrid { here: ours.vrid, there: theirs.vrid });
                    }
                }
            }
        }
    }
}

fn settings(ours: &ReportedSettings, theirs: &ReportedSettings) -> Vec<SettingDifference> {
    let mut differences = Vec::new();
    if ours.version != theirs.version {
        differences.push(SettingDifference::Version { here: ours.version, there: theirs.version });
    }
    if ours.interval_ms != theirs.interval_ms {
        let interval = |settings: &ReportedSettings| Duration::from_millis(settings.interval_ms.into());
        differences.push(SettingDifference::Interval { here: interval(ours), there: interval(theirs) });
    }
    if (ours.address_count, ours.address_digest) != (theirs.address_count, theirs.address_digest) {
        differences.push(SettingDifference::Addresses {
            only_here: only(&ours.addresses, &theirs.addresses),
            only_there: only(&theirs.addresses, &ours.addresses),
        });
    }
    if (ours.check_count, &ours.checks) != (theirs.check_count, &theirs.checks) {
        differences.push(SettingDifference::Checks {
            only_here: only(&ours.checks, &theirs.checks),
            only_there: only(&theirs.checks, &ours.checks),
        });
    }
    differences
}

/// What the first list has and the second has not.
fn only<T: Clone + PartialEq>(first: &[T], second: &[T]) -> Vec<T> {
    first.iter().filter(|value| !second.contains(value)).cloned().collect()
}
