//! What an operator may ask of a router, and how that is answered.

use super::handover::{Finished, Handover};
use super::successor_watch::SuccessorFinding;
use super::{FollowUp, Router};
use crate::protocol::effect::{Answer, DemoteOutcome, Effect, Effects, InstanceResult};
use crate::protocol::event::{Cause, EventKind, HandoverCause};
use crate::protocol::input::{CommandId, Demotion, Force, LastResort};
use crate::protocol::instance::{Instance, Successor};
use crate::types::{Family, MonoTime};
use std::time::Duration;

impl Router {
    /// Takes the router out of service on this node: an Active hands over first, a Backup just
    /// leaves.
    pub(in crate::protocol) fn demote(
        &mut self,
        now: MonoTime,
        id: CommandId,
        demotion: Demotion,
        force: Force,
        drain: Option<Duration>,
        out: &mut Effects,
    ) -> FollowUp {
        // Also a router that serves as the last resort.
        if self.is_active() {
            self.hand_over(now, HandoverCause::Demote, out);
            if let Some(handover) = &mut self.handover {
                handover.join(id, demotion, force, drain);
            }
            self.demand_proof();
            return FollowUp::Nothing;
        }
        if let Some(lasts) = drain {
            self.set_drain_end(now, lasts, out);
        }
        let outcome = match self.demoted {
            Some(_) => DemoteOutcome::AlreadyDemoted,
            None => DemoteOutcome::WasBackup,
        };
        self.record(demotion, out);
        self.answer_demote(&[id], |_| outcome, out);
        FollowUp::Evaluate { cause_if_started: Cause::Demoted }
    }

    /// Ends a demotion, also one that is still under way.
    pub(in crate::protocol) fn promote(
        &mut self,
        now: MonoTime,
        id: CommandId,
        out: &mut Effects,
    ) -> FollowUp {
        let under_way = self.handover.as_ref().map(Handover::cause) == Some(HandoverCause::Demote);
        if under_way {
            self.call_off_handover(now, out);
        }
        // A demotion that joined a hand-over for another cause: the hand-over goes on, and the
        // demotion is not recorded.
        let joined = self.handover.as_mut().and_then(|handover| handover.call_off_demotion(now));
        if let Some((commands, after)) = &joined {
            self.answer_demote(commands, |_| DemoteOutcome::Refused { after: *after }, out);
        }
        let was_demoted = self.end_demotion(EventKind::Promoted, out) || under_way || joined.is_some();
        out.push(Effect::Answer { id, answer: Answer::Promoted { was_demoted } });
        FollowUp::EvaluateAndMoveTogether { cause_if_started: Cause::Promoted }
    }

    /// Ends the demotion. Returns whether there was one.
    pub(super) fn end_demotion(&mut self, why: EventKind, out: &mut Effects) -> bool {
        self.successor_watch = None;
        let was_demoted = self.demoted.take().is_some();
        if was_demoted {
            self.save_demotion(out);
            self.report(None, why, out);
        }
        was_demoted
    }

    /// The successor of a demoted router should have been heard by now.
    pub(super) fn on_successor_deadline(&mut self, now: MonoTime, out: &mut Effects) -> FollowUp {
        match self.successor_watch.as_mut().map(|watch| watch.on_deadline(now)) {
            Some(SuccessorFinding::Silent) => self.serve_as_last_resort(out),
            Some(SuccessorFinding::Confirmed | SuccessorFinding::TooEarly) | None => FollowUp::Nothing,
        }
    }

    /// The successor is not heard: it is better to serve at the lowest priority than to let nobody
    /// serve.
    fn serve_as_last_resort(&mut self, out: &mut Effects) -> FollowUp {
        self.successor_watch = None;
        let Some(demotion) = &mut self.demoted else { return FollowUp::Nothing };
        demotion.last_resort = LastResort::Yes;
        self.save_demotion(out);
        self.report(None, EventKind::SuccessorSilent, out);
        FollowUp::Evaluate { cause_if_started: Cause::ActiveDownTimer }
    }

    /// A hand-over is over: reports it, records the demotion if it succeeded, and answers the
    /// commands. `successors`: the routers that took over every instance.
    pub(super) fn finish_handover(
        &mut self,
        now: MonoTime,
        successors: Option<&[Successor]>,
        out: &mut Effects,
    ) {
        let Some(Finished { began, demotion, commands }) = self.take_finished() else { return };
        // What counts is when another router served, and not for how long we kept the addresses
        // after that.
        let taken = successors.and_then(|successors| successors.iter().map(|one| one.heard).max());
        let after = taken.unwrap_or(now).since(began);
        let released = !self.is_active();
        match successors.and_then(|successors| successors.first()) {
            Some(to) => self.report(None, EventKind::HandedOver { to: to.address, after }, out),
            None => self.report(None, EventKind::NobodyTookOver { after, released }, out),
        }
        let stays = match demotion {
            Some(demotion) if released || demotion.last_resort == LastResort::Yes => {
                let last_resort = demotion.last_resort;
                self.record(demotion, out);
                last_resort
            }
            Some(_) | None => LastResort::No,
        };
        let nobody = match stays {
            _ if released => DemoteOutcome::Forced { after },
            LastResort::Yes => DemoteOutcome::LastResort { after },
            LastResort::No => DemoteOutcome::Refused { after },
        };
        let outcome = |family| match successors {
            None => nobody,
            Some(successors) => {
                let successor = successors.iter().find(|one| Family::of(one.address) == family);
                let instance = self.instances.iter().find(|instance| instance.key().family == family);
                let kept = instance.and_then(Instance::drain).map(|drain| drain.until().since(now));
                let handed_over = |to: &Successor| DemoteOutcome::HandedOver { to: to.address, after, kept };
                successor.map_or(DemoteOutcome::WasBackup, handed_over)
            }
        };
        self.answer_demote(&commands, outcome, out);
    }

    fn record(&mut self, demotion: Demotion, out: &mut Effects) {
        let (by, reason) = (demotion.by.clone(), demotion.reason.clone());
        self.demoted = Some(demotion);
        self.save_demotion(out);
        self.report(None, EventKind::Demoted { by, reason }, out);
    }

    fn save_demotion(&self, out: &mut Effects) {
        out.push(Effect::SaveDemotion { router: self.spec.name.clone(), demotion: self.demoted.clone() });
    }

    fn answer_demote(
        &self,
        commands: &[CommandId],
        outcome: impl Fn(Family) -> DemoteOutcome,
        out: &mut Effects,
    ) {
        for id in commands {
            let results = self.spec.instances.iter().map(|instance| {
                let (name, family) = (self.spec.name.clone(), instance.family);
                InstanceResult { name, family, outcome: outcome(family) }
            });
            out.push(Effect::Answer { id: *id, answer: Answer::Demoted(results.collect()) });
        }
    }
}
