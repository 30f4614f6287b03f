//! What an operator may ask of a router, and how it is answered.

use crate::protocol::effect::{Answer, DemoteOutcome, Effect, Effects, InstanceResult};
use crate::protocol::event::{Cause, EventKind, HandoverCause};
use crate::protocol::input::{CommandId, Demotion, Force, LastResort};
use crate::protocol::router::handover::{Handover, Taker};
use crate::protocol::router::{Again, Router, report};
use crate::types::{Family, MonoTime};
use std::time::Duration;

impl Router {
    /// Out of service on this node: an Active hands over first, a Backup just leaves.
    pub(in crate::protocol) fn demote(
        &mut self,
        now: MonoTime,
        id: CommandId,
        demotion: Demotion,
        force: Force,
        out: &mut Effects,
    ) -> Again {
        // Also one that serves as the last resort.
        if self.is_active() {
            self.hand_over(now, HandoverCause::Demote, out);
            if let Some(handover) = &mut self.handover {
                handover.join(id, demotion, force);
            }
            self.demand_proof();
            return Again::Nothing;
        }
        let outcome = match self.demoted {
            Some(_) => DemoteOutcome::AlreadyDemoted,
            None => DemoteOutcome::WasBackup,
        };
        self.record(demotion, out);
        self.answer_demote(&[id], outcome, out);
        Again::Evaluate(Cause::Demoted)
    }

    /// Ends a demotion, also one that is still under way.
    pub(in crate::protocol) fn promote(&mut self, now: MonoTime, id: CommandId, out: &mut Effects) -> Again {
        let under_way =
            self.handover.as_ref().is_some_and(|handover| handover.cause == HandoverCause::Demote);
        if under_way {
            self.take_back(now, out);
            self.answer_handover(now, None, out);
        }
        // One that joined a hand-over for another cause: that goes on, and the demotion is not recorded.
        let joined = self.handover.as_mut().filter(|handover| handover.demotion.is_some()).map(|handover| {
            handover.demotion = None;
            (std::mem::take(&mut handover.waiting), now.since(handover.began))
        });
        if let Some((waiting, after)) = &joined {
            self.answer_demote(waiting, DemoteOutcome::Refused { after: *after }, out);
        }
        let was_demoted = self.end_demotion(EventKind::Promoted, out) || under_way || joined.is_some();
        out.push(Effect::Answer { id, answer: Answer::Promoted { was_demoted } });
        Again::Evaluate(Cause::Promoted)
    }

    /// Ends the demotion, if there is one.
    pub(in crate::protocol) fn end_demotion(&mut self, why: EventKind, out: &mut Effects) -> bool {
        self.watch = None;
        let was_demoted = self.demoted.take().is_some();
        if was_demoted {
            out.push(Effect::SaveDemotion { router: self.spec.name.clone(), demotion: None });
            out.push(report(&self.spec, None, why));
        }
        was_demoted
    }

    /// The hand-over is over: reports it, records the demotion if it succeeded, answers who waits.
    pub(in crate::protocol) fn answer_handover(
        &mut self,
        now: MonoTime,
        takers: Option<&[Taker]>,
        out: &mut Effects,
    ) {
        let Some(Handover { began, demotion, waiting, .. }) = self.handover.take() else { return };
        // What counts is when the service was in other hands, not for how long we lingered.
        let taken = takers.and_then(|takers| takers.iter().map(|taker| taker.heard).max());
        let after = taken.unwrap_or(now).since(began);
        let released = !self.is_active();
        match takers.and_then(|takers| takers.first()) {
            Some(to) => out.push(report(&self.spec, None, EventKind::HandedOver { to: to.address, after })),
            None => out.push(report(&self.spec, None, EventKind::NobodyTookOver { after, released })),
        }
        let stays = match demotion {
            Some(demotion) if released || demotion.last_resort == LastResort::Yes => {
                let last_resort = demotion.last_resort;
                self.record(demotion, out);
                last_resort
            }
            Some(_) | None => LastResort::No,
        };
        if takers.is_some() || waiting.is_empty() {
            self.answer_taken(&waiting, takers.unwrap_or_default(), after, out);
            return;
        }
        let outcome = match stays {
            _ if released => DemoteOutcome::Forced { after },
            LastResort::Yes => DemoteOutcome::LastResort { after },
            LastResort::No => DemoteOutcome::Refused { after },
        };
        self.answer_demote(&waiting, outcome, out);
    }

    pub(in crate::protocol) fn record(&mut self, demotion: Demotion, out: &mut Effects) {
        let (by, reason) = (demotion.by.clone(), demotion.reason.clone());
        self.demoted = Some(demotion.clone());
        out.push(Effect::SaveDemotion { router: self.spec.name.clone(), demotion: Some(demotion) });
        out.push(report(&self.spec, None, EventKind::Demoted { by, reason }));
    }

    fn answer_demote(&self, ids: &[CommandId], outcome: DemoteOutcome, out: &mut Effects) {
        self.answer_each(ids, |_| outcome, out);
    }

    fn answer_taken(&self, ids: &[CommandId], takers: &[Taker], after: Duration, out: &mut Effects) {
        let outcome = |family| {
            let taker = takers.iter().find(|taker| Family::of(taker.address) == family);
            let handed_over = |to: &Taker| DemoteOutcome::HandedOver { to: to.address, after };
            taker.map_or(DemoteOutcome::WasBackup, handed_over)
        };
        self.answer_each(ids, outcome, out);
    }

    fn answer_each(&self, ids: &[CommandId], outcome: impl Fn(Family) -> DemoteOutcome, out: &mut Effects) {
        let name = &self.spec.name;
        let families = || self.spec.instances.iter().map(|instance| instance.family);
        for id in ids {
            let result = |family| InstanceResult { name: name.clone(), family, outcome: outcome(family) };
            let results = families().map(result).collect();
            out.push(Effect::Answer { id: *id, answer: Answer::Demoted(results) });
        }
    }
}
