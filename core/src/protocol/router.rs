//! One router: what the operator configured in one `[[virtual_router]]`, with an instance for each
//! of its families. Its instances move together (docs/adr/0003).
//!
//! From facts (links, checks, the kernel's refusals, a demotion) follow faults, and from faults
//! whether the router runs. What each of its mechanisms does is in the modules below; the state
//! machine of each instance is in [`super::instance`].
//!
//! | module | owns |
//! |---|---|
//! | [`tracking`] | facts → faults, warnings, priority, source address |
//! | [`coupling`] | the instances become Active, yield and stop together |
//! | [`handover`] | leaving without a gap, and how a hand-over ends |
//! | [`successor_watch`] | whether the successor of a demoted router stays |
//! | [`demotion`] | demote, promote, and their answers |
//! | [`draining`] | connections that outlive a hand-over |
//! | [`refusal`] | the kernel refused the addresses |
//! | [`interruption`] | the link or the source address is away for a moment |
//! | [`carrier`] | the checks of the IP header, and of the sender |
//! | [`receive`] | the other checks of a received message that need configuration |
//! | [`peer_warnings`] | what is wrong with other routers |
//! | [`crashed_run`] | finishing the hand-over of a run that crashed |

mod carrier;
mod coupling;
mod crashed_run;
mod demotion;
mod draining;
mod handover;
mod interruption;
mod peer_warnings;
mod receive;
mod refusal;
mod service;
mod successor_watch;
mod throttle;
mod tracking;

pub(in crate::protocol) use carrier::CarrierRule;
pub use peer_warnings::StandingPeerWarning;
pub use tracking::Health;
pub(in crate::protocol) use tracking::{Facts, UNSENT_IN_A_ROW, health, link_fault};

use super::counters::Counters;
use super::deadline::{Deadline, Due};
use super::effect::{Effect, Effects};
use super::event::{Cause, DrainEnd, Event, EventKind, HandoverCause};
use super::input::{Demotion, Fault, LastResort};
use super::instance::{Addresses, Drain, HostsTold, Instance, Moved, Policy};
use super::local_warning::LocalWarning;
use super::snapshot::RouterSnapshot;
use super::spec::{CheckName, InstanceSpec, RouterSpec, Watched};
use crate::types::{
    AdvertPriority, Family, InstanceKey, InterfaceName, MacAddr, MonoTime, Preempt, Role, RouterName, Version,
};
use handover::Handover;
use interruption::Interruption;
use peer_warnings::PeerWarnings;
use refusal::Refusal;
use serde::{Deserialize, Serialize};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use successor_watch::SuccessorWatch;
use throttle::Throttle;
use tracking::Participation;

/// One configured router.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::protocol) struct Router {
    spec: RouterSpec,
    policy: Policy,
    instances: Vec<Instance>,
    /// The addresses that it advertises in all families, for comparison with received lists.
    advertised: BTreeSet<IpAddr>,
    presence: Presence,
    faults: BTreeSet<Fault>,
    /// The faults that were cleared last, which is why a router starts.
    cleared: Vec<Fault>,
    /// What is wrong besides, and since when.
    warnings: BTreeMap<LocalWarning, MonoTime>,
    /// What would be faults if it lasted.
    interruption: Option<Interruption>,
    /// What each thing that is tracked with a weight adds to the priority now.
    weights: BTreeMap<Watched, i32>,
    /// Checks that a reload added and that have no result yet: they do not stop a router that
    /// serves.
    unjudged_new_checks: BTreeSet<CheckName>,
    demoted: Option<Demotion>,
    handover: Option<Handover>,
    successor_watch: Option<SuccessorWatch>,
    refusal: Option<Refusal>,
    throttle: Throttle,
    peer_warnings: PeerWarnings,
}

/// Whether the router is to be there at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Presence {
    Wanted,
    /// The daemon stops.
    ShuttingDown,
    /// It left the configuration, or what replaces it starts when it is gone.
    Removed,
}

/// What is to be done after a router has acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(in crate::protocol) enum FollowUp {
    Nothing,
    /// The facts must be evaluated again. If the router starts because of that, this is the cause.
    Evaluate {
        cause_if_started: Cause,
    },
    /// A hand-over was called off: as [`Self::Evaluate`], and if the router goes on, what one
    /// family did during the hand-over the others do now.
    EvaluateAndMoveTogether {
        cause_if_started: Cause,
    },
}

/// What keeps a router from running.
#[derive(Debug, Clone, Copy)]
struct Obstacle {
    cause: Cause,
    handover: HandoverCause,
}

impl Router {
    /// A router at rest. `epoch` is the last one that each key had, `demoted` what an earlier run
    /// recorded.
    pub(in crate::protocol) fn new(
        now: MonoTime,
        spec: RouterSpec,
        demoted: Option<Demotion>,
        epoch: impl Fn(InstanceKey) -> u64,
    ) -> Self {
        let instances = spec.instances.iter().map(|instance| {
            let key = spec.key(instance.family);
            Instance::new(key, now, epoch(key), instance)
        });
        Self {
            instances: instances.collect(),
            advertised: advertised(&spec),
            // RESIGN: it has no priority before its first evaluation.
            policy: policy(&spec, AdvertPriority::RESIGN, now),
            spec,
            presence: Presence::Wanted,
            faults: BTreeSet::new(),
            cleared: Vec::new(),
            warnings: BTreeMap::new(),
            interruption: None,
            weights: BTreeMap::new(),
            unjudged_new_checks: BTreeSet::new(),
            demoted,
            handover: None,
            successor_watch: None,
            refusal: None,
            throttle: Throttle::default(),
            peer_warnings: PeerWarnings::default(),
        }
    }

    pub(in crate::protocol) const fn spec(&self) -> &RouterSpec {
        &self.spec
    }

    pub(in crate::protocol) const fn name(&self) -> &RouterName {
        &self.spec.name
    }

    pub(in crate::protocol) fn keys(&self) -> impl Iterator<Item = InstanceKey> {
        self.instances.iter().map(Instance::key)
    }

    /// Whether any instance is Active.
    pub(in crate::protocol) fn is_active(&self) -> bool {
        self.instances.iter().any(Instance::is_active)
    }

    /// Whether it takes no part.
    fn is_idle(&self) -> bool {
        use super::event::StateName;
        self.instances.iter().all(|instance| instance.state_name() == StateName::Initialize)
    }

    /// Whether nothing more will come of it: it takes no part, and the kernel was told to hold
    /// nothing. When the daemon stops, what drains may go on: the next run takes it over.
    pub(in crate::protocol) fn is_at_rest(&self) -> bool {
        let is_done = |instance: &Instance| match instance.addresses() {
            Addresses::None => true,
            Addresses::Draining => self.presence == Presence::ShuttingDown,
            Addresses::Held | Addresses::Retained => false,
        };
        self.is_idle() && self.instances.iter().all(is_done)
    }

    /// Whether it was removed, and is gone.
    pub(in crate::protocol) fn is_gone(&self) -> bool {
        self.presence == Presence::Removed && self.is_at_rest()
    }

    /// What outlives it: its specification, the epoch of each instance, and its demotion.
    pub(in crate::protocol) fn into_remains(self) -> (RouterSpec, Vec<u64>, Option<Demotion>) {
        let epochs = self.instances.iter().map(Instance::epoch).collect();
        (self.spec, epochs, self.demoted)
    }

    /// Evaluates everything that follows from facts, and starts or stops accordingly.
    pub(in crate::protocol) fn evaluate(
        &mut self,
        now: MonoTime,
        facts: &Facts,
        cause_if_started: Cause,
        out: &mut Effects,
    ) {
        for instance in &mut self.instances {
            let (family, current) = (instance.key().family, instance.source());
            instance.set_source(tracking::source(&self.spec, family, facts, current));
            instance.set_destinations(tracking::destinations(&self.spec, family, facts));
        }
        self.evaluate_priority(facts, out);
        // A router that starts waits for the results; one that runs goes on until they come.
        if self.is_idle() {
            self.unjudged_new_checks.clear();
        }
        self.unjudged_new_checks.retain(|check| !facts.checks.contains_key(check));
        let faults = self.evaluate_faults(now, facts, out);
        self.report_faults(faults, out);
        self.policy.drain = self.configured_drain();
        self.update_local_warnings(now, facts, out);
        if self.has_dead_link() {
            self.successor_watch = None; // Whether any router serves cannot be heard.
        }
        if self.presence == Presence::Removed {
            self.end_drains(now, out);
        }
        let was_active = self.is_active();
        match self.obstacle() {
            None => {
                self.stay_if_nobody_takes_over();
                self.start(now, cause_if_started, out);
            }
            Some(obstacle) => self.stop(now, obstacle, out),
        }
        // A demotion as the last resort that ended with this stop counts at once.
        self.evaluate_priority(facts, out);
        // An owner serves from its start.
        if !was_active && self.is_active() {
            self.update_local_warnings(now, facts, out);
        }
        if self.must_evaluate_again() {
            self.evaluate(now, facts, cause_if_started, out);
        }
    }

    /// The faults that count now.
    fn evaluate_faults(&mut self, now: MonoTime, facts: &Facts, out: &mut Effects) -> BTreeSet<Fault> {
        let mut faults = tracking::faults(&self.spec, facts);
        faults.retain(|fault| !self.is_tolerated(fault));
        if !self.is_active() {
            faults.retain(|fault| !tracking::follows_from_foreign_addresses(&self.spec, facts, fault));
        }
        // What the kernel refused on a link that is dead, or gone, it may accept on the next: it is
        // asked at once. A router that is Active without its addresses lets go first, however short
        // the interruption is.
        if !self.is_active() && faults.iter().any(|fault| tracking::is_dead_link(&self.spec, fault)) {
            self.refusal = None;
        }
        faults.extend(self.refusal.as_ref().map(Refusal::fault));
        self.wait_out(now, &mut faults, out);
        faults
    }

    fn report_faults(&mut self, faults: BTreeSet<Fault>, out: &mut Effects) {
        let cleared: Vec<Fault> = self.faults.difference(&faults).cloned().collect();
        for fault in &cleared {
            self.report(None, EventKind::FaultCleared(fault.clone()), out);
        }
        for fault in faults.difference(&self.faults) {
            self.report(None, EventKind::FaultRaised(fault.clone()), out);
        }
        if !cleared.is_empty() {
            self.cleared = cleared;
        }
        self.faults = faults;
    }

    /// Whether `fault` is not a reason to let go of what is served.
    fn is_tolerated(&self, fault: &Fault) -> bool {
        match fault {
            Fault::CheckPending(check) => self.unjudged_new_checks.contains(check),
            Fault::ForeignAddresses(_) => self.is_active(),
            Fault::InterfaceMissing(_)
            | Fault::InterfaceDown(_)
            | Fault::NoCarrier(_)
            | Fault::Port(..)
            | Fault::OtherName(..)
            | Fault::NoSourceAddress(..)
            | Fault::NoUnicastPeer(..)
            | Fault::Sockets(..)
            | Fault::Check(_)
            | Fault::Addresses(_) => false,
        }
    }

    fn has_dead_link(&self) -> bool {
        self.faults.iter().any(|fault| tracking::is_dead_link(&self.spec, fault))
    }

    /// Whether the router does something else now, so that facts mean something else: what was a
    /// warning to a router that serves, and what was waited out, may be faults.
    pub(in crate::protocol) fn must_evaluate_again(&self) -> bool {
        // A router that let go starts only with the results of its checks, new ones included.
        (self.is_idle() && !self.unjudged_new_checks.is_empty())
            || (!self.is_active() && !self.warnings.is_empty())
            || self.has_outlived_its_interruption()
    }

    /// Why the router may not run, the most final reason first.
    fn obstacle(&self) -> Option<Obstacle> {
        match self.presence {
            Presence::ShuttingDown => {
                Some(Obstacle { cause: Cause::Shutdown, handover: HandoverCause::Shutdown })
            }
            Presence::Removed => {
                Some(Obstacle { cause: Cause::Configuration, handover: HandoverCause::Configuration })
            }
            Presence::Wanted if !self.faults.is_empty() => {
                Some(Obstacle { cause: Cause::Fault, handover: HandoverCause::Fault })
            }
            Presence::Wanted if self.demoted.as_ref().is_some_and(|d| d.last_resort == LastResort::No) => {
                Some(Obstacle { cause: Cause::Demoted, handover: HandoverCause::Demote })
            }
            Presence::Wanted => None,
        }
    }

    /// How a demotion bears on the priority.
    fn participation(&self) -> Participation {
        match self.demoted.as_ref().map(|demotion| demotion.last_resort) {
            Some(LastResort::Yes) => Participation::LastResort,
            Some(LastResort::No) | None => Participation::Full,
        }
    }

    /// The priority that follows from facts, and whose weights changed it.
    fn evaluate_priority(&mut self, facts: &Facts, out: &mut Effects) {
        let weights = tracking::weights(&self.spec, facts);
        let before = std::mem::replace(&mut self.weights, weights);
        let change = |(watched, now): (&Watched, &i32)| {
            let change = now - before.get(watched).unwrap_or(&0);
            (change != 0).then(|| (watched.clone(), change))
        };
        let changes = self.weights.iter().filter_map(change).collect();
        let priority = tracking::effective_priority(&self.spec, facts, self.participation());
        self.set_priority(priority, changes, out);
    }

    fn set_priority(&mut self, priority: AdvertPriority, weights: Vec<(Watched, i32)>, out: &mut Effects) {
        let from = std::mem::replace(&mut self.policy.priority, priority);
        // RESIGN: this is the first evaluation.
        if from != priority && from != AdvertPriority::RESIGN {
            self.report(None, EventKind::PriorityChanged { from, to: priority, weights }, out);
        }
        for instance in &mut self.instances {
            instance.on_priority_evaluated(&self.policy);
        }
    }

    /// Reports warnings that begin and warnings that end. A router that does not serve has none.
    pub(in crate::protocol) fn update_local_warnings(
        &mut self,
        now: MonoTime,
        facts: &Facts,
        out: &mut Effects,
    ) {
        let warnings =
            if self.is_active() { tracking::local_warnings(&self.spec, facts) } else { BTreeSet::new() };
        self.warnings.retain(|warning, _| {
            let stands = warnings.contains(warning);
            if !stands {
                out.push(report(&self.spec, None, EventKind::LocalWarningCleared(warning.clone())));
            }
            stands
        });
        for warning in warnings {
            if let Entry::Vacant(place) = self.warnings.entry(warning) {
                out.push(report(&self.spec, None, EventKind::LocalWarningRaised(place.key().clone())));
                place.insert(now);
            }
        }
    }

    /// The interface of the addresses has another hardware address: hosts send to one that does not
    /// exist any more.
    pub(in crate::protocol) fn on_mac_changed(
        &mut self,
        now: MonoTime,
        from: MacAddr,
        to: MacAddr,
        out: &mut Effects,
    ) {
        let mut told = HostsTold::No;
        for instance in &mut self.instances {
            match instance.on_mac_changed(now, &self.policy, out) {
                HostsTold::Yes => told = HostsTold::Yes,
                HostsTold::No => {}
            }
        }
        if told == HostsTold::Yes {
            let interface = self.spec.address_interface;
            self.report(None, EventKind::MacChanged { interface, from, to }, out);
        }
    }

    /// Takes another specification with the same interfaces, VRID and families. State and timers
    /// stay.
    pub(in crate::protocol) fn reconfigure(&mut self, now: MonoTime, spec: RouterSpec, out: &mut Effects) {
        self.presence = Presence::Wanted;
        if spec == self.spec {
            return;
        }
        self.advertised = advertised(&spec);
        let before = std::mem::replace(&mut self.spec, spec);
        if !self.is_idle() {
            let is_new = |check: &&CheckName| !before.tracked_checks().any(|old| old == *check);
            self.unjudged_new_checks.extend(self.spec.tracked_checks().filter(is_new).cloned());
        }
        let Policy { priority, preempt_after, ahead, .. } = self.policy;
        // RFC9568-6.1-9
        self.policy = Policy { preempt_after, ahead, ..policy(&self.spec, priority, now) };
        let changes = before.instances.iter().zip(&self.spec.instances);
        for (instance, (old, new)) in self.instances.iter_mut().zip(changes) {
            if (&old.addresses, &old.excluded) != (&new.addresses, &new.excluded) {
                instance.on_addresses_changed(now, new.held().count(), out);
            }
            instance.set_version(new.version, new.authentication);
            instance.on_interval_changed(now, &self.policy);
        }
        self.end_refusals_of_changed(now, &before, out);
    }

    /// It left the configuration.
    pub(in crate::protocol) fn remove(&mut self) {
        self.presence = Presence::Removed;
        // It does not wait for the results of new checks any more.
        self.unjudged_new_checks.extend(self.spec.tracked_checks().cloned());
    }

    /// The daemon stops.
    pub(in crate::protocol) const fn shut_down(&mut self) {
        self.presence = Presence::ShuttingDown;
    }

    /// When a deadline is due.
    fn due(&self, deadline: Deadline) -> Option<Due> {
        match deadline {
            Deadline::ReleaseRetained
            | Deadline::ActiveDown
            | Deadline::Advertise
            | Deadline::Announce
            | Deadline::AddressConflict
            | Deadline::PeersUnheard
            | Deadline::DrainEnd => self.due_of_instances(deadline),
            Deadline::ServiceSilence if self.presence == Presence::Wanted => self.due_of_instances(deadline),
            Deadline::HandoverEnd => self.handover_ends_at().map(Due::exactly),
            // A hand-over decides first.
            Deadline::DemotionEnd if self.handover.is_none() => {
                let until = self.demoted.as_ref().and_then(|demotion| demotion.until.as_ref());
                until.map(|until| Due::exactly(until.at))
            }
            Deadline::SuccessorSilent => {
                self.successor_watch.as_ref().map(|watch| Due::exactly(watch.silent_at()))
            }
            Deadline::InterruptionEnd => {
                self.interruption.as_ref().map(|interruption| Due::exactly(interruption.until()))
            }
            Deadline::RefusalRetry => self.refusal.as_ref().map(|refusal| Due::exactly(refusal.retry_at())),
            Deadline::ServiceSilence | Deadline::DemotionEnd => None,
        }
    }

    fn due_of_instances(&self, deadline: Deadline) -> Option<Due> {
        let due = self.instances.iter().filter_map(|instance| instance.due(deadline, &self.policy));
        due.min_by_key(|due| due.latest)
    }

    /// When to be called at the latest.
    pub(in crate::protocol) fn wakes_at(&self) -> Option<MonoTime> {
        let deadlines = Deadline::OF_INSTANCE.into_iter().chain(Deadline::OF_ROUTER);
        deadlines.filter_map(|deadline| self.due(deadline)).map(|due| due.latest).min()
    }

    /// Fires what is due.
    pub(in crate::protocol) fn on_deadline(&mut self, now: MonoTime, out: &mut Effects) -> FollowUp {
        // A hand-over whose patience is over ends without another advertisement: after a pause, one
        // with our priority would silence whoever took over, and be our last.
        if self.is_due(now, Deadline::HandoverEnd) {
            return self.settle(now, out);
        }
        for at in 0..self.instances.len() {
            let Some(instance) = self.instances.get_mut(at) else { continue };
            if let Some(late) = instance.on_deadline(now, &self.policy, out) {
                let key = instance.key();
                self.report(Some(key), EventKind::Stalled { late }, out);
            }
        }
        self.judge_conflicts(now, out);
        let settled = self.settle(now, out);
        for deadline in Deadline::OF_ROUTER {
            if self.is_due(now, deadline)
                && let follow_up = self.on_router_deadline(now, deadline, out)
                && follow_up != FollowUp::Nothing
            {
                return follow_up;
            }
        }
        settled
    }

    fn is_due(&self, now: MonoTime, deadline: Deadline) -> bool {
        self.due(deadline).is_some_and(|due| due.at <= now)
    }

    fn on_router_deadline(&mut self, now: MonoTime, deadline: Deadline, out: &mut Effects) -> FollowUp {
        match deadline {
            Deadline::DemotionEnd => {
                self.end_demotion(EventKind::DemotionExpired, out);
                FollowUp::Evaluate { cause_if_started: Cause::DemotionExpired }
            }
            Deadline::SuccessorSilent => self.on_successor_deadline(now, out),
            Deadline::InterruptionEnd => {
                let ended = self.interruption.as_mut().is_some_and(|interruption| interruption.ends(now));
                if ended {
                    return FollowUp::Evaluate { cause_if_started: Cause::FaultCleared };
                }
                FollowUp::Nothing
            }
            Deadline::RefusalRetry => {
                self.refusal = None;
                FollowUp::Evaluate { cause_if_started: Cause::FaultCleared }
            }
            Deadline::DrainEnd => {
                self.on_drain_deadline(now, out);
                FollowUp::Nothing
            }
            // Each instance has fired its own.
            Deadline::ReleaseRetained | Deadline::ActiveDown | Deadline::Advertise | Deadline::Announce => {
                FollowUp::Nothing
            }
            // `settle` ends a hand-over, `judge_conflicts` has judged, and `watch_service` looks
            // after every input.
            Deadline::HandoverEnd
            | Deadline::AddressConflict
            | Deadline::ServiceSilence
            | Deadline::PeersUnheard => FollowUp::Nothing,
        }
    }

    /// Whether its addresses are on `interface`, and `address` is one of them.
    pub(in crate::protocol) fn has_address_on(&self, interface: InterfaceName, address: IpAddr) -> bool {
        let mut instances = self.spec.instances.iter();
        self.spec.address_interface == interface && instances.any(|spec| has_address(spec, address))
    }

    /// Another station announced an address.
    pub(in crate::protocol) fn on_announced_by_other(
        &mut self,
        now: MonoTime,
        address: IpAddr,
        mac: MacAddr,
    ) {
        for (instance, spec) in self.instances.iter_mut().zip(&self.spec.instances) {
            if has_address(spec, address) {
                instance.on_announced_by_other(now, address, mac);
            }
        }
    }

    pub(in crate::protocol) fn counters_mut(&mut self, key: InstanceKey) -> Option<&mut Counters> {
        self.instance_mut(key).map(Instance::counters_mut)
    }

    /// The version that it speaks in one family.
    fn version(&self, family: Family) -> Version {
        let of_family = self.instances.iter().find(|instance| instance.key().family == family);
        of_family.map(Instance::version).unwrap_or_default()
    }

    fn instance_mut(&mut self, key: InstanceKey) -> Option<&mut Instance> {
        self.instances.iter_mut().find(|instance| instance.key() == key)
    }

    /// The addresses that it advertises in one family.
    fn advertised_addresses(&self, family: Family) -> Vec<IpAddr> {
        let instances = self.spec.instances.iter().filter(|instance| instance.family == family);
        instances.flat_map(|instance| instance.addresses.iter().map(ipnet::IpNet::addr)).collect()
    }

    /// Lets each instance make a transition, and reports it.
    fn move_each(
        &mut self,
        out: &mut Effects,
        mut act: impl FnMut(&mut Instance, &Policy, &mut Effects) -> Option<Moved>,
    ) {
        for at in 0..self.instances.len() {
            let Some(instance) = self.instances.get_mut(at) else { continue };
            let key = instance.key();
            let drained_since = instance.drain().map(Drain::since);
            let Some(moved) = act(instance, &self.policy, out) else { continue };
            self.report_transition(key, moved, out);
            let Some(instance) = self.instances.get(at).filter(|instance| instance.is_active()) else {
                continue;
            };
            if let Some(since) = drained_since {
                let (why, after) = (DrainEnd::ActiveAgain, instance.since().since(since));
                self.report(Some(key), EventKind::DrainEnded { why, after, reset: Some(0) }, out);
            }
        }
    }

    /// Reports a transition, with what decided it.
    fn report_transition(&mut self, key: InstanceKey, moved: Moved, out: &mut Effects) {
        let Moved { from, to, cause } = moved;
        let (faults, demotion) = match cause {
            Cause::Fault => (self.faults.iter().cloned().collect(), None),
            Cause::FaultCleared => (self.cleared.clone(), None),
            Cause::Demoted | Cause::HandedOver => {
                let under_way = self.handover.as_ref().and_then(Handover::demotion);
                (Vec::new(), under_way.or(self.demoted.as_ref()).cloned())
            }
            Cause::Startup
            | Cause::OwnerStartup
            | Cause::ActiveDownTimer
            | Cause::PeerResigned
            | Cause::Preempted
            | Cause::HigherPriority
            | Cause::TieBreak
            | Cause::Promoted
            | Cause::DemotionExpired
            | Cause::Sibling
            | Cause::Stalled
            | Cause::Configuration
            | Cause::Shutdown => (Vec::new(), None),
        };
        let Some(instance) = self.instance_mut(key) else { return };
        let details = instance.set_details(faults, demotion);
        let priority = self.policy.priority;
        self.report(Some(key), EventKind::Transition { from, to, cause, priority, details }, out);
    }

    fn report(&self, key: Option<InstanceKey>, kind: EventKind, out: &mut Effects) {
        out.push(report(&self.spec, key, kind));
    }

    /// Everything that can be seen of it.
    pub(in crate::protocol) fn snapshot(&self, now: MonoTime) -> RouterSnapshot {
        RouterSnapshot {
            spec: self.spec.clone(),
            effective: self.policy.priority,
            faults: self.faults.iter().cloned().collect(),
            local_warnings: self.warnings.iter().map(|(warning, since)| (warning.clone(), *since)).collect(),
            demoted: self.demoted.clone(),
            handing_over: self.handover.is_some(),
            instances: self.instances.iter().map(|m| m.snapshot(now, &self.policy)).collect(),
            peer_warnings: self.peer_warnings.standing(now),
            not_serving: self.not_serving(),
        }
    }
}

fn advertised(spec: &RouterSpec) -> BTreeSet<IpAddr> {
    spec.instances.iter().flat_map(|instance| &instance.addresses).map(ipnet::IpNet::addr).collect()
}

fn has_address(spec: &InstanceSpec, address: IpAddr) -> bool {
    spec.held().any(|ours| ours.addr() == address)
}

fn report(spec: &RouterSpec, key: Option<InstanceKey>, kind: EventKind) -> Effect {
    Effect::Report(Event { router: Some(spec.name.clone()), key, kind })
}

fn policy(spec: &RouterSpec, priority: AdvertPriority, now: MonoTime) -> Policy {
    let preempt = match spec.role {
        Role::Owner => Preempt::Allow, // RFC9568-6.1-5: the owner always preempts.
        Role::Contender { preempt, .. } => preempt,
    };
    Policy {
        priority,
        preempt,
        interval: spec.interval,
        down_adverts: spec.down_adverts,
        announce: spec.announce,
        checksum: spec.checksum,
        preempt_after: now,
        drain: spec.drain,
        ahead: 0,
    }
}
