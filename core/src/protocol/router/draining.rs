//! Connections that outlive a planned move: when an instance drains instead of releasing its
//! addresses, and how its drain ends (docs/adr/0040).
//!
//! A router drains when it gave its addresses away although its service is good: an operator
//! demoted it, or a better router took over. The router that has them now must be one to which
//! connections can be left ([`crate::protocol::Input::DrainPartners`]). With a fault, or when vrrpd
//! stops, it does not: then nobody could serve the connections.

use super::{Presence, Router};
use crate::protocol::effect::Effects;
use crate::protocol::event::{DrainEnd, EventKind, HandoverCause};
use crate::protocol::input::{DrainId, DrainResult};
use crate::protocol::instance::{DrainAnswer, DrainOrigin, Instance, Successor};
use crate::types::{InstanceKey, MonoTime};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

impl Router {
    /// Connections can be left to these routers.
    pub(in crate::protocol) fn set_drain_partners(
        &mut self,
        partners: impl Fn(InstanceKey) -> BTreeSet<IpAddr>,
    ) {
        for instance in &mut self.instances {
            let key = instance.key();
            instance.set_drain_partners(partners(key));
        }
    }

    /// So many other Backups would win the election. The families take over together, so that the most
    /// of them counts for all.
    pub(in crate::protocol) fn set_better_backups(&mut self, ahead: impl Fn(InstanceKey) -> u8) {
        self.policy.ahead = self.instances.iter().map(|one| ahead(one.key())).max().unwrap_or_default();
    }

    /// An earlier run was draining: the drain goes on.
    pub(in crate::protocol) fn resume_drains(
        &mut self,
        now: MonoTime,
        until: impl Fn(InstanceKey) -> Option<MonoTime>,
        out: &mut Effects,
    ) {
        for instance in &mut self.instances {
            if let Some(until) = until(instance.key()) {
                instance.resume_drain(now, until, out);
            }
        }
    }

    /// Whether this node can serve connections on: its service is good, and it stays.
    fn can_serve_on(&self) -> bool {
        self.presence == Presence::Wanted && self.faults.is_empty()
    }

    /// How long connections are kept if the addresses go now, by the configuration.
    pub(super) fn configured_drain(&self) -> Duration {
        if self.can_serve_on() { self.spec.drain } else { Duration::ZERO }
    }

    /// How long connections are kept after the hand-over that ends now. A fault may have come since
    /// it began.
    pub(super) fn drain_after_handover(&self, successors: Option<&[Successor]>) -> Duration {
        let handover = self.handover.as_ref().filter(|_| successors.is_some() && self.can_serve_on());
        match handover.map(|handover| (handover.cause(), handover.drain())) {
            Some((HandoverCause::Demote, drain)) => drain.unwrap_or(self.spec.drain),
            Some((HandoverCause::Shutdown | HandoverCause::Fault | HandoverCause::Configuration, _))
            | None => Duration::ZERO,
        }
    }

    /// The kernel's answer to [`crate::protocol::Effect::DrainAddresses`].
    pub(in crate::protocol) fn on_drain_result(
        &mut self,
        now: MonoTime,
        result: DrainResult,
        out: &mut Effects,
    ) {
        let DrainResult { key, epoch, outcome } = result;
        let Some(instance) = self.instance_mut(key).filter(|instance| instance.epoch() == epoch) else {
            return; // Stale: the decision changed meanwhile.
        };
        let event = match outcome {
            Ok(()) => instance.on_draining().map(|drain| {
                let (to, lasts) = (drain.to(), drain.until().since(now));
                match drain.origin() {
                    DrainOrigin::ThisRun => EventKind::DrainBegun { to, lasts },
                    DrainOrigin::EarlierRun => EventKind::DrainResumed { lasts },
                }
            }),
            Err(why) => instance.refuse_drain(out).map(|answer| match answer {
                DrainAnswer::First => EventKind::DrainRefused { why },
                DrainAnswer::Later => EventKind::DrainNotRenewed { why },
            }),
        };
        if let Some(event) = event {
            self.report(Some(key), event, out);
        }
    }

    /// An operator gives the drain that is under way another end.
    pub(super) fn set_drain_end(&mut self, now: MonoTime, lasts: Duration, out: &mut Effects) {
        for instance in &mut self.instances {
            instance.set_drain_end(now, now + lasts, out);
        }
    }

    /// Every drain ends now: the router is not wanted any more.
    pub(super) fn end_drains(&mut self, now: MonoTime, out: &mut Effects) {
        self.instances.iter_mut().for_each(|instance| instance.reset_drain(now, DrainEnd::Deadline, out));
    }

    /// The router that is Active now does not pass on what belongs to us.
    pub(in crate::protocol) fn on_forwarding_lost(
        &mut self,
        now: MonoTime,
        drain: DrainId,
        out: &mut Effects,
    ) {
        if let Some(instance) = self.draining_mut(drain) {
            instance.reset_drain(now, DrainEnd::ForwardingLost, out);
        }
    }

    /// No connection is left.
    pub(in crate::protocol) fn on_connections_ended(
        &mut self,
        now: MonoTime,
        drain: DrainId,
        reset: usize,
        out: &mut Effects,
    ) {
        if self.draining_mut(drain).is_some() {
            self.finish_drain(now, drain.key, Some(reset), out);
        }
    }

    /// The instance of a drain, unless that is over.
    fn draining_mut(&mut self, drain: DrainId) -> Option<&mut Instance> {
        let DrainId { key, since } = drain;
        let is_meant = |instance: &&mut Instance| instance.drain().is_some_and(|now| now.since() == since);
        self.instance_mut(key).filter(is_meant)
    }

    /// The time of a drain is up, or our patience with the kernel is.
    pub(super) fn on_drain_deadline(&mut self, now: MonoTime, out: &mut Effects) {
        let due = |instance: &&Instance| instance.drain().is_some_and(|drain| drain.due() <= now);
        for key in self.instances.iter().filter(due).map(Instance::key).collect::<Vec<_>>() {
            let Some(instance) = self.instance_mut(key) else { continue };
            if instance.drain().is_some_and(|drain| drain.resets_for().is_some()) {
                self.finish_drain(now, key, None, out);
            } else {
                instance.reset_drain(now, DrainEnd::Deadline, out);
            }
        }
    }

    fn finish_drain(&mut self, now: MonoTime, key: InstanceKey, reset: Option<usize>, out: &mut Effects) {
        let Some(instance) = self.instance_mut(key) else { return };
        let Some(drain) = instance.drain() else { return };
        let why = drain.resets_for().unwrap_or(DrainEnd::Free);
        let after = now.since(drain.since());
        instance.release_drained(out);
        self.report(Some(key), EventKind::DrainEnded { why, after, reset }, out);
    }
}
