//! The instances of a router move together: they become Active, yield and stop as one
//! (docs/adr/0003).

use super::{FollowUp, Router};
use crate::protocol::effect::Effects;
use crate::protocol::event::{Cause, StateName};
use crate::protocol::instance::{Instance, Tie};
use crate::types::{AdvertPriority, InstanceKey, MonoTime, Role};

impl Router {
    /// Nothing keeps the router from running: its instances start, if they do not run.
    pub(super) fn start(&mut self, now: MonoTime, why: Cause, out: &mut Effects) {
        if !self.is_idle() {
            return;
        }
        self.policy.preempt_after = now + self.spec.preempt_delay; // RFC9568-6.4.2-16
        let role = self.spec.role;
        self.move_each(out, |instance, policy, out| {
            Some(match role {
                Role::Owner if policy.priority == AdvertPriority::OWNER => {
                    let why = if why == Cause::Startup { Cause::OwnerStartup } else { why };
                    instance.take_over(now, policy, why, out) // RFC9568-6.4.1-1
                }
                // The wait is over already: the successor fell silent.
                Role::Owner | Role::Contender { .. } if why == Cause::ActiveDownTimer => {
                    instance.take_over(now, policy, why, out)
                }
                // Also an owner that is demoted and serves as the last resort only.
                Role::Owner | Role::Contender { .. } => instance.start(now, policy, why),
            })
        });
    }

    /// After any change of an instance: the others follow, a hand-over ends, Backups take over.
    pub(super) fn settle(&mut self, now: MonoTime, out: &mut Effects) -> FollowUp {
        if self.handover.is_some() {
            return self.settle_handover(now, out);
        }
        self.move_together(now, out);
        FollowUp::Nothing
    }

    /// The families yield together, or take over together. While a hand-over is under way, it alone
    /// decides when the router lets go; what one family did meanwhile, the others do at its end.
    pub(in crate::protocol) fn move_together(&mut self, now: MonoTime, out: &mut Effects) {
        if self.handover.is_some() {
            return;
        }
        self.yield_together(now, out);
        if self.may_take_over() {
            self.take_over(now, out);
        }
    }

    /// If one family yielded to a router of our own pair, the other does as well. A stranger with our
    /// VRID serves none of our addresses: what it takes from one family, the other does not give up.
    /// A router that has fallen silent since serves nothing either.
    fn yield_together(&mut self, now: MonoTime, out: &mut Effects) {
        let yielded = |instance: &Instance| {
            let interval = instance.interval_of_obeyed_peer().filter(|_| !instance.is_ready_to_take_over());
            Some((instance.cause(), interval?))
        };
        let Some((cause, learned)) = self.instances.iter().find_map(yielded) else { return };
        self.move_each(out, |instance, policy, out| {
            instance.is_active().then(|| instance.follow_other_family(now, policy, learned, cause, out))
        });
    }

    /// Whether Backups whose timer has fired take over: every family that is not Active is ready, or
    /// obeys a stranger, which does not keep the other family from taking over. During an interruption
    /// nothing can be sent, and that nothing could be heard may be why the timer fired.
    fn may_take_over(&self) -> bool {
        let waits = |instance: &Instance| match instance.state_name() {
            StateName::Initialize => true,
            StateName::Backup => {
                !instance.is_ready_to_take_over() && instance.interval_of_obeyed_peer().is_some()
            }
            StateName::Active => false,
        };
        let ready = self.instances.iter().any(Instance::is_ready_to_take_over);
        ready && !self.instances.iter().any(waits) && self.interruption.is_none()
    }

    fn take_over(&mut self, now: MonoTime, out: &mut Effects) {
        self.move_each(out, |instance, policy, out| {
            let cause = instance.takeover_cause(now, policy).filter(|_| instance.is_ready_to_take_over())?;
            Some(instance.take_over(now, policy, cause, out))
        });
    }

    /// Every instance that is not Active stops, and sends nothing.
    pub(super) fn stop_backups(&mut self, now: MonoTime, cause: Cause, out: &mut Effects) {
        self.move_each(out, |instance, _, _| match instance.state_name() {
            StateName::Backup => Some(instance.stop(now, cause)), // RFC9568-6.4.2-6
            StateName::Initialize | StateName::Active => None,
        });
    }

    /// When a lost tie of `key` counts: the first family decides.
    pub(super) fn tie(&self, key: InstanceKey) -> Tie {
        match self.instances.first() {
            Some(first) if first.key() != key => Tie::After(self.active_down_interval()),
            Some(_) | None => Tie::AtOnce,
        }
    }
}
