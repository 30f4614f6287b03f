//! Checks what a router tracks: the names must exist, and each may be listed once.

use super::unique::Unique;
use crate::config::problem::{Problems, shown};
use crate::config::raw::{RawCheck, RawConfig, RawTrack};
use crate::config::report::MOST;
use crate::config::schema::nearest;
use crate::config::value::RawRole;
use crate::protocol::{CheckName, Track};
use crate::types::InterfaceName;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use toml::Spanned;

/// Resolves the `track` entries of one router.
pub(super) fn resolve(
    raw: &[RawTrack],
    checks: &[RawCheck],
    unique: &Unique,
    role: Option<RawRole>,
    problems: &mut Problems,
) -> Vec<Track> {
    let mut checks_seen: BTreeMap<&CheckName, Range<usize>> = BTreeMap::new();
    let mut interfaces_seen: BTreeMap<&InterfaceName, Range<usize>> = BTreeMap::new();
    let mut tracks = Vec::new();
    for track in raw {
        match track {
            RawTrack::Check { check, weight } => {
                exists(check, checks, unique, problems);
                once(&mut checks_seen, check, problems);
                if let (Some(RawRole::Owner), Some(weight)) = (role, weight) {
                    let message = "a weight cannot change the priority of an owner, which is always 255";
                    let help = "remove the weight; a failing check is then a fault";
                    problems.error(weight.span(), message, help);
                }
                let name = check.get_ref().clone();
                tracks.push(match weight {
                    Some(weight) => Track::weighted(name, *weight.get_ref()),
                    None => Track::fault(name),
                });
            }
            RawTrack::Interface(interface) => {
                once(&mut interfaces_seen, interface, problems);
                tracks.push(Track::fault(*interface.get_ref()));
            }
        }
    }
    tracks
}

/// Warns about checks that no router tracks: they run without effect.
pub(super) fn advise_on_unused(raw: &RawConfig, problems: &mut Problems) {
    let lists = raw.routers.iter().filter_map(|router| router.keys.tracks.or(&raw.defaults.tracks).spanned());
    let used: BTreeSet<_> = lists
        .flat_map(|list| list.get_ref())
        .filter_map(|track| match track {
            RawTrack::Check { check, .. } => Some(check.get_ref()),
            RawTrack::Interface(_) => None,
        })
        .collect();
    for name in raw.checks.iter().filter_map(|check| check.name.spanned()) {
        if !used.contains(name.get_ref()) {
            let name_shown = shown(&name.get_ref().0);
            let message = format!("no virtual router tracks the check \"{name_shown}\"");
            let help = format!("write track = [{{ check = \"{name_shown}\" }}] where it matters");
            problems.warning(name.span(), message, help);
        }
    }
}

fn exists(name: &Spanned<CheckName>, checks: &[RawCheck], unique: &Unique, problems: &mut Problems) {
    if unique.has_check(name.get_ref()) {
        return;
    }
    let known = || checks.iter().filter_map(|check| check.name.spanned()).map(|name| &*name.get_ref().0);
    let wanted = &*name.get_ref().0;
    // Nobody reads the thousandth piece of advice, and each one costs a comparison with every name.
    let near = if problems.errors_so_far() < MOST { nearest(wanted, known()) } else { None };
    let help = match near {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("add a [[check]] with name = \"{wanted}\""),
    };
    problems.error(name.span(), format!("there is no check called \"{wanted}\""), help);
}

fn once<'r, K: Ord>(seen: &mut BTreeMap<&'r K, Range<usize>>, name: &'r Spanned<K>, problems: &mut Problems) {
    if let Some(first) = seen.get(name.get_ref()) {
        let problem = problems.error(name.span(), "this is tracked twice", "remove one of the two");
        problem.related(first.clone(), "first here");
    } else {
        seen.insert(name.get_ref(), name.span());
    }
}
