//! Advertisements must not become a storm.

use super::{Checker, Violation};
use crate::protocol::{Effect, Effects};
use crate::sim::clock::TrueTime;
use crate::sim::input_context::{InputContext, InputKind, is_copy};
use crate::sim::node::SimNode;
use std::time::Duration;

/// How many advertisements a process sent, and how many it was allowed to send besides its regular
/// ones.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rate {
    /// Since when they are counted.
    since: TrueTime,
    sent: u64,
    allowed: u64,
}

impl Rate {
    pub(super) const fn new(since: TrueTime) -> Self {
        Self { since, sent: 0, allowed: 0 }
    }

    /// How many advertisements may have been sent by now.
    fn most(&self, now: TrueTime, period: Duration, families: u64) -> u64 {
        let gap = (period / 4).max(Duration::from_millis(10));
        let lived = now.since(self.since).as_nanos();
        let regular = lived / (period.as_nanos() * 99 / 100) + lived / (gap.as_nanos() * 99 / 100);
        u64::try_from(regular).unwrap_or(u64::MAX).saturating_mul(families) + self.allowed + 8
    }
}

const fn is_advertisement(effect: &Effect) -> bool {
    matches!(effect, Effect::Advertise { .. })
}

impl Checker {
    /// Besides its regular advertisements, a router sends at most one per immediate gap, one per
    /// resignation that it heard, and those of its leaving.
    pub(super) fn judge_rate(
        &mut self,
        input_context: &InputContext<'_>,
        node: &SimNode,
        effects: &Effects,
    ) -> Result<(), Violation> {
        let InputContext { now, port, kind, before, .. } = *input_context;
        let after = node.view(self.number);
        let families = self.families.len() as u64;
        let Some(record) = self.records.get_mut(port.0) else { return Ok(()) };
        let rate = &mut record.rate;
        rate.sent +=
            effects.iter().filter(|effect| is_advertisement(effect) && !is_copy(effects, effect)).count()
                as u64;
        if kind == InputKind::Resignation {
            rate.allowed += 1;
        }
        if after.handing_over && (kind == InputKind::Heard || !before.handing_over) {
            // The script, its probes, and the first advertisement after a refusal.
            rate.allowed += 12 * families;
        }
        if matches!(kind, InputKind::Configure | InputKind::Replace) || before.states != after.states {
            rate.allowed += 2 * families;
        }
        let Some(router) = node.router(self.number) else { return Ok(()) };
        let most = rate.most(now, router.spec.interval.period(), families);
        if rate.sent > most {
            let seen = format!("{} advertisements, at most {most}", rate.sent);
            return Err(Violation::by(port, now, "no advertisement storms", seen));
        }
        Ok(())
    }
}
