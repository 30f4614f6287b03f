//! How a whole router leaves: with a hand-over if anything can still be said, else at once.
//!
//! What one virtual router says meanwhile is in `handover`.

use crate::protocol::effect::Effects;
use crate::protocol::event::{Cause, EventKind, HandoverCause, StateName};
use crate::protocol::input::{Fault, LastResort};
use crate::protocol::instance::{Instance, Policy, State, Tenure};
use crate::protocol::router::handover::{Handover, Taker, Then, Watch};
use crate::protocol::router::tracking;
use crate::protocol::router::{Again, Obstacle, Router, report};
use crate::protocol::timing::active_down_interval;
use crate::types::{MonoTime, Priority};

impl Router {
    /// Begins to hand over, or makes a hand-over under way more pressing.
    pub(in crate::protocol) fn hand_over(&mut self, now: MonoTime, cause: HandoverCause, out: &mut Effects) {
        if let Some(handover) = &mut self.handover {
            if handover.cause != cause {
                handover.press(now, cause, self.policy.interval);
            } else if cause == HandoverCause::Fault {
                handover.then = Then::LetGo; // It had gone meanwhile.
            }
        } else {
            let handover = Handover::new(now, cause, self.policy.interval);
            for instance in &mut self.instances {
                instance.leave(now, &self.policy, handover.proof(), out);
            }
            self.handover = Some(handover);
            out.push(report(&self.spec, None, EventKind::HandoverStarted(cause)));
        }
        self.demand_proof();
    }

    /// The fault that it leaves for has gone: whoever is about to take over may, and without one we stay.
    pub(in crate::protocol) fn relent(&mut self) {
        if let Some(handover) = self.handover.as_mut().filter(|it| it.cause == HandoverCause::Fault) {
            handover.then = Then::Stay;
            self.demand_proof();
        }
    }

    /// A hand-over became more pressing, or the operator will have it at any price.
    pub(in crate::protocol) fn demand_proof(&mut self) {
        let Some(handover) = &self.handover else { return };
        for instance in &mut self.instances {
            instance.demand(handover.proof());
        }
    }

    /// Takes a hand-over back: we serve on, and say so.
    pub(in crate::protocol) fn take_back(&mut self, now: MonoTime, out: &mut Effects) {
        for instance in &mut self.instances {
            instance.reassert(now, &self.policy, out);
        }
    }

    /// Those that hold their addresses: all, but where a stranger has taken the VRID of one family.
    fn serving(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|instance| matches!(instance.state, State::Active(_)))
    }

    /// When the hand-over under way ends: when hosts have turned to those who took over every instance, else
    /// when patience ends.
    pub(in crate::protocol) fn handover_ends(&self) -> Option<MonoTime> {
        let handover = self.handover.as_ref()?;
        let turned = |instance: &Instance| taker(instance).map(|taker| instance.turned_at(taker.heard));
        let turned: Option<Vec<MonoTime>> = self.serving().map(turned).collect();
        Some(turned.and_then(|turned| turned.into_iter().max()).unwrap_or(handover.until))
    }

    /// Who took over from each instance; `None`: not from all of them.
    pub(in crate::protocol) fn takers(&self) -> Option<Vec<Taker>> {
        self.serving().map(taker).collect()
    }

    /// Something keeps it from running.
    pub(in crate::protocol) fn stop(&mut self, now: MonoTime, obstacle: Obstacle, out: &mut Effects) {
        let dead = self.troubles().any(|fault| tracking::is_dead_link(&self.spec, fault));
        let is_mute =
            |m: &Instance| self.troubles().any(|fault| tracking::mutes(&self.spec, fault, m.key.family));
        let mute = self.serving().filter(|instance| is_mute(instance)).count();
        if !self.is_active() {
            self.stop_members(now, obstacle.cause, out);
            for instance in self.instances.iter_mut().filter(|instance| dead && instance.is_listening()) {
                instance.disown(out); // No host can be reached any more, nor the other be heard.
            }
        } else if mute == self.serving().count() {
            // Nothing can be said: let go, and let the others' timers speak.
            self.release(now, None, obstacle.cause, out);
        } else if self.refused.is_some() || self.is_deaf() {
            // Nobody would be heard to take over.
            for instance in &mut self.instances {
                instance.resign(&self.policy, out);
            }
            self.release(now, None, obstacle.cause, out);
        } else {
            let begins = self.handover.is_none();
            let Policy { down_adverts, priority, interval, .. } = self.policy;
            // RFC9568-6.4.3-8
            self.hand_over(now, obstacle.handover, out);
            if let Some(handover) = self.handover.as_mut().filter(|_| begins && mute > 0) {
                handover.wait_for_the_mute(now, active_down_interval(down_adverts, priority, interval));
            }
        }
    }

    /// It can speak, but hears nothing.
    fn is_deaf(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault, Fault::Port(..)))
    }

    /// Everything that is not Active ends without a word.
    pub(in crate::protocol) fn stop_members(&mut self, now: MonoTime, cause: Cause, out: &mut Effects) {
        for at in 0..self.instances.len() {
            let Some(instance) = self.instances.get_mut(at) else { continue };
            if instance.state_name() == StateName::Backup {
                let moved = instance.stop(now, cause); // RFC9568-6.4.2-6
                let key = instance.key;
                self.report_move(key, moved, out);
            }
        }
    }

    /// A hand-over ends: everybody taken, or patience over.
    pub(in crate::protocol) fn conclude(
        &mut self,
        now: MonoTime,
        takers: Option<&[Taker]>,
        out: &mut Effects,
    ) -> Again {
        let Some(then) = self.handover.as_ref().map(|handover| handover.then) else { return Again::Nothing };
        match (takers, then) {
            (Some(takers), Then::Stay | Then::LetGo) => {
                // One that was Active before, behind a partition that has healed, tells our hosts when it hears this.
                for instance in self.instances.iter_mut().filter(|instance| instance.leaves_hosts_behind()) {
                    instance.resign(&self.policy, out);
                }
                self.release(now, Some(takers), Cause::HandedOver, out)
            }
            (None, Then::LetGo) => {
                // A partition may have healed since the last word: an Active that hears this one tells our hosts.
                for instance in &mut self.instances {
                    instance.resign(&self.policy, out);
                }
                self.release(now, None, Cause::Demoted, out);
            }
            (None, Then::Stay) => {
                let demotion = self.handover.as_ref().and_then(|handover| handover.demotion.as_ref());
                if demotion.is_some_and(|demotion| demotion.last_resort == LastResort::Yes) {
                    self.update_priority(Priority::MIN.into(), Vec::new(), out);
                }
                // RFC9568-6.4.3-18
                self.take_back(now, out);
                self.answer_handover(now, None, out);
            }
        }
        // What stopped it may be gone by now, and what did not stop it before may have come.
        Again::Evaluate(if self.demoted.is_some() { Cause::Demoted } else { Cause::FaultCleared })
    }

    /// Every Active instance lets go. `cause` is that of a release without a hand-over's own.
    pub(in crate::protocol) fn release(
        &mut self,
        now: MonoTime,
        takers: Option<&[Taker]>,
        cause: Cause,
        out: &mut Effects,
    ) {
        let cause = match (self.handover.as_ref().map(|handover| handover.cause), takers) {
            (Some(HandoverCause::Demote), Some(_)) => Cause::HandedOver,
            (Some(HandoverCause::Demote), None) => Cause::Demoted,
            (Some(HandoverCause::Shutdown), _) => Cause::Shutdown,
            (Some(HandoverCause::Fault), _) => Cause::Fault,
            (Some(HandoverCause::Configuration), _) => Cause::Configuration,
            (None, _) => cause,
        };
        for at in 0..self.instances.len() {
            let Some(instance) = self.instances.get_mut(at) else { continue };
            if matches!(instance.state, State::Active(_)) {
                let moved = instance.let_go(now, cause, out);
                let key = instance.key;
                self.report_move(key, moved, out);
            }
        }
        self.stop_members(now, cause, out);
        if cause == Cause::HandedOver {
            self.watch = Some(Watch::new(now, self.policy.interval, self.policy.down_adverts));
        }
        self.answer_handover(now, takers, out);
    }
}

fn taker(instance: &Instance) -> Option<Taker> {
    match &instance.state {
        State::Active(active) => match &active.tenure {
            Tenure::Leaving(leaving) => leaving.taker(),
            Tenure::Claiming | Tenure::Ready | Tenure::Serving | Tenure::Listening => None,
        },
        State::Initialize | State::Backup(_) => None,
    }
}
