//! Times of ours, which RFC 9568 does not have or does not fix. The derived timers of §6.1 are in
//! [`super::version_rules`].

use crate::types::AdverInterval;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A process that wakes this late (or a whole interval late, if that is longer) has not received
/// anything in the meantime either. It listens once more before it decides anything.
pub(super) const OVERSLEPT: Duration = Duration::from_millis(50);

/// The shortest time between two advertisements that answer one of lower priority. RFC 9568 §6.4.3
/// asks for an answer at once; read literally, one reflected packet would start a storm.
#[must_use]
pub fn immediate_gap(interval: AdverInterval) -> Duration {
    (interval.period() / 4).max(Duration::from_millis(10))
}

/// How long the first advertisement may wait for the kernel to install the addresses.
///
/// After the death of an Active it does not wait: no router holds the addresses, and the timers of
/// other Backups are about to fire. A router that resigned or is displaced may still serve, and
/// every address that it removes before we have installed ours is a gap.
#[must_use]
pub fn claim_grace(interval: AdverInterval, taking: Taking) -> Duration {
    match taking {
        Taking::FromNobody => Duration::ZERO,
        Taking::FromLeaving => Duration::from_millis(20),
        Taking::FromLive => interval.period().min(Duration::from_millis(500)),
    }
}

/// From whom the addresses are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Taking {
    /// The Active died, or there was none.
    FromNobody,
    /// The Active resigned. An Active that hands over as vrrpd does goes on serving until it hears
    /// us, for 30 ms at least (`handover`).
    FromLeaving,
    /// An Active of lower priority is still heard.
    FromLive,
}

/// How much longer a Backup waits in a hand-over if so many others would win the election against it.
///
/// The first of them is Active within 20 ms and a machine's delay, and is heard then. The router
/// that leaves serves for 356 ms at least, so that no request is lost if the others do not take over
/// after all.
#[must_use]
pub fn better_first(ahead: u8) -> Duration {
    Duration::from_millis(80) * u32::from(ahead.min(3))
}

/// How late an advertisement may be sent, so that those of many instances leave in one system call.
/// Peers wait three intervals: a sixty-fourth of one does not matter to them.
#[must_use]
pub fn coalescing_slack(interval: AdverInterval) -> Duration {
    (interval.period() / 64).min(Duration::from_millis(1))
}
