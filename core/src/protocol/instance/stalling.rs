//! Who was not run for a while has not listened either: it listens once more before it judges.

use crate::protocol::instance::{Active, Backup, Down, Policy, Tenure};
use crate::protocol::timing::{OVERSLEPT, active_down_interval, immediate_gap, skew_time};
use crate::types::MonoTime;
use std::time::Duration;

impl Active {
    /// An advertisement is sent now that no timer asked for: the next such one waits.
    pub(in crate::protocol) fn said_at_once(&mut self, now: MonoTime, policy: &Policy) {
        self.immediate_after = now + immediate_gap(policy.interval);
    }

    /// Whoever took over while we slept must not be displaced with Preempt_Mode False, so hear it
    /// first.
    pub(in crate::protocol) fn listen(&mut self, now: MonoTime, policy: &Policy) {
        self.tenure = Tenure::Listening;
        self.advertise_at = now + policy.interval.period();
    }
}

/// Whether an Active was silent for so long that others rightly believe it is gone.
pub(in crate::protocol) fn overslept(active: &Active, now: MonoTime, policy: &Policy) -> bool {
    let patience = active_down_interval(policy.down_adverts, policy.priority, policy.interval);
    now.since(active.advertise_at) > patience
}

/// Active_Down_Timer. Returns how long we had not been run, if that is longer than others wait.
pub(in crate::protocol) fn on_active_down_timer(
    backup: &mut Backup,
    now: MonoTime,
    policy: &Policy,
) -> Option<Duration> {
    let Down::At(at) = backup.down else { return None };
    if at > now {
        return None;
    }
    let late = now.since(at);
    let period = backup.learned.period();
    // RFC9568-6.2-4
    if late > period.max(OVERSLEPT) {
        // Not run, so not listening either (a paused machine loses its packets): a living Active is
        // heard within one interval.
        backup.down = Down::At(now + period + skew_time(policy.priority, backup.learned));
        return Some(late);
    }
    backup.down = Down::Expired; // RFC9568-6.4.2-7
    None
}
