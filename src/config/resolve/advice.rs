//! Warnings about one router: settings that are legal and probably not meant.

use crate::config::Realtime;
use crate::config::document::Key;
use crate::config::problem::Problems;
use crate::config::raw::{RawConfig, RawRouter, RawTrack};
use crate::protocol::{RouterSpec, Track};
use crate::types::{Preempt, Role};
use std::time::Duration;

/// Below this interval, delays of the scheduler matter, and the protocol thread should run with
/// real-time priority.
const WANTS_REALTIME: Duration = Duration::from_millis(100);

/// Adds all warnings about one router.
pub(super) fn on_router(raw: &RawRouter, file: &RawConfig, spec: &RouterSpec, problems: &mut Problems) {
    on_timing(raw, file, spec, problems);
    match spec.role {
        Role::Owner => {}
        Role::Contender { priority, preempt: Preempt::Forbid } => {
            on_fixed_active(raw, file, spec, problems);
            on_weights(raw, file, spec, priority.get(), problems);
        }
        Role::Contender { priority, preempt: Preempt::Allow } => {
            on_weights(raw, file, spec, priority.get(), problems);
        }
    }
    on_families(raw, file, spec, problems);
    on_own_interface(raw, file, spec, problems);
}

fn on_timing(raw: &RawRouter, file: &RawConfig, spec: &RouterSpec, problems: &mut Problems) {
    let realtime = file.realtime.or_default(Realtime::Off) == Some(Realtime::On);
    if let Some(set) = raw.keys.interval.or(&file.defaults.interval).spanned()
        && spec.interval.period() < WANTS_REALTIME
        && !realtime
    {
        let message = format!("at an interval of {}, a busy machine may miss advertisements", spec.interval);
        problems.warning(set.span(), message, "write realtime = true in [agent]");
    }
    if let Some(set) = raw.keys.down_adverts.or(&file.defaults.down_adverts).spanned()
        && spec.down_adverts.get() == 1
    {
        let message = "with `down_adverts = 1`, one lost packet causes a failover";
        problems.warning(set.span(), message, "write 2 or more; RFC 9568 uses 3");
    }
}

/// Warns about settings that have no effect with Preempt_Mode False, because a lower priority is
/// never displaced.
fn on_fixed_active(raw: &RawRouter, file: &RawConfig, spec: &RouterSpec, problems: &mut Problems) {
    if let Some(set) = raw.keys.preempt_delay.or(&file.defaults.preempt_delay).spanned()
        && !spec.preempt_delay.is_zero()
    {
        let message = "`preempt_delay` has no effect while `preempt = false`";
        problems.warning(set.span(), message, "remove one of the two");
    }
    let weighted = spec.tracks.iter().any(|track| track.weight().is_some());
    if let (Some(set), true) = (raw.keys.preempt.or(&file.defaults.preempt).spanned(), weighted) {
        let message = "with `preempt = false`, weights never displace a live Active";
        let help = "remove the weight, so that a failing check is a fault, or write `preempt = true`";
        problems.warning(set.span(), message, help);
    }
}

/// Warns about positive weights that exceed 254, the highest priority of a contender.
fn on_weights(raw: &RawRouter, file: &RawConfig, spec: &RouterSpec, priority: u8, problems: &mut Problems) {
    let weights = spec.tracks.iter().filter_map(Track::weight);
    let raised = i32::from(priority) + weights.map(|weight| i32::from(weight.max(0))).sum::<i32>();
    if let (Some(set), true) = (raw.keys.tracks.or(&file.defaults.tracks).spanned(), raised > 254) {
        let message = format!("the weights raise the priority to {raised}; it is limited to 254");
        problems.warning(set.span(), message, "write a lower priority or smaller weights");
    }
}

/// Warns about equal priorities, where addresses decide, which can order two nodes differently in
/// each family.
fn on_families(raw: &RawRouter, file: &RawConfig, spec: &RouterSpec, problems: &mut Problems) {
    let unset = matches!(raw.keys.role.or(&file.defaults.role), Key::Absent);
    if spec.instances.len() > 1 && unset {
        let message = format!("\"{}\" has IPv4 and IPv6 addresses, and no `priority`", spec.name);
        let help = "write a different `priority` on each node; otherwise the addresses decide, and may decide differently in each family";
        problems.warning(raw.span.clone(), message, help);
    }
}

fn on_own_interface(raw: &RawRouter, file: &RawConfig, spec: &RouterSpec, problems: &mut Problems) {
    let list = raw.keys.tracks.or(&file.defaults.tracks).spanned();
    for track in list.iter().flat_map(|list| list.get_ref()) {
        match track {
            RawTrack::Interface(interface) if *interface.get_ref() == spec.interface => {
                let message =
                    format!("{} is this router's own interface, which is always tracked", spec.interface);
                problems.warning(interface.span(), message, "remove it from `track`");
            }
            RawTrack::Interface(_) | RawTrack::Check { .. } => {}
        }
    }
}
