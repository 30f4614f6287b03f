//! This node: every router, and every fact about its interfaces and checks. It routes each input to
//! the routers that it concerns.

mod schedule;
mod succession;

use super::counters::LinkCounters;
use super::effect::{Answer, Effect, Effects};
use super::event::Cause;
use super::input::{Command, CommandId, Input};
use super::router::{CarrierRule, Facts, FollowUp, Router, UNSENT_IN_A_ROW, health, link_fault};
use super::snapshot::Snapshot;
use super::spec::{CheckName, RouterSpec, Watched};
use crate::types::{AdvertPriority, Family, InstanceKey, InterfaceName, LinkFacts, MacAddr, MonoTime, Vrid};
use crate::wire::{Advertisement, Carrier, Reject, RejectReason};
use ipnet::IpNet;
use schedule::Schedule;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;
use succession::Succession;

/// This node.
///
/// Contract: time never steps back from one call to the next; received packets are fed before
/// [`Input::Deadline`], so that after a pause the queued advertisements are heard before any timer
/// fires.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Node {
    routers: BTreeMap<RouterId, Router>,
    next_id: u32,
    /// Which router each instance belongs to.
    by_key: BTreeMap<InstanceKey, RouterId>,
    schedule: Schedule,
    facts: Facts,
    succession: Succession,
    /// Messages for no router of this node.
    unattributed: BTreeMap<(InterfaceName, Family), LinkCounters>,
    ending: Ending,
    /// When the addresses of a foreign VRID were last compared with ours.
    compared_foreign_vrid: Option<MonoTime>,
    /// Counts changes of what runs.
    generation: u64,
}

/// A router, as long as it runs. Never used for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct RouterId(u32);

/// Messages for foreign VRIDs are compared with our addresses at most this often, so that a flood
/// of them costs little.
const BETWEEN_COMPARISONS: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Ending {
    #[default]
    No,
    Underway,
    Done,
}

impl Node {
    /// A node without any router; [`Input::Configure`] gives it some.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one input. Never fails: every (state, input) pair has a row. Effects are appended in
    /// the order in which they must be carried out.
    pub fn handle(&mut self, now: MonoTime, input: Input<'_>, out: &mut Effects) {
        match input {
            Input::Deadline => self.on_deadline(now, out),
            Input::Received { interface, carrier, advertisement } => {
                self.on_received(now, interface, carrier, &advertisement, out);
            }
            Input::Rejected { interface, family, carrier, reject } => {
                // The IP header is judged before what it carries.
                let carried = carrier.and_then(|it| self.examine(interface, &it, reject.vrid).err());
                let badly = |reason| Reject { reason, version: None, ..reject };
                let reject = carried.map_or(reject, badly);
                self.on_rejected(now, (interface, family), carrier.map(|it| it.source), reject, out);
            }
            Input::AnnouncementHeard { interface, address, mac } => {
                self.on_announced_by_other(now, interface, address, mac, out);
            }
            Input::AddressesHeld(result) => {
                self.act_on_key(now, result.key, out, |router, out| router.on_hold_result(now, result, out));
            }
            Input::AddressesDraining(result) => {
                self.act_on_key(now, result.key, out, |router, out| {
                    router.on_drain_result(now, result, out);
                    FollowUp::Nothing
                });
            }
            Input::DrainPartners(partners) => {
                self.succession.set_drain_partners(partners);
                for router in self.routers.values_mut() {
                    router.set_drain_partners(|key| self.succession.drain_partners(key));
                }
            }
            Input::BetterBackups(ahead) => {
                self.succession.set_better_backups(ahead);
                for router in self.routers.values_mut() {
                    router.set_better_backups(|key| self.succession.better_backups(key));
                }
            }
            Input::DrainOfEarlierRun { key, until } => self.succession.save_drain(key, until),
            Input::ConnectionsEnded { drain, reset } => {
                self.act_on_key(now, drain.key, out, |router, out| {
                    router.on_connections_ended(now, drain, reset, out);
                    FollowUp::Nothing
                })
            }
            Input::ForwardingLost(drain) => self.act_on_key(now, drain.key, out, |router, out| {
                router.on_forwarding_lost(now, drain, out);
                FollowUp::Nothing
            }),
            Input::AddressesRestored { key, count } => {
                if let Some(router) = self.router_of(key) {
                    router.on_addresses_restored(now, key, count, out);
                }
            }
            Input::AddressesReinstalled { key } => {
                if let Some(router) = self.router_of(key) {
                    router.on_addresses_reinstalled(now, key, out);
                }
            }
            Input::AddressesNotRestored { key, why } => {
                self.act_on_key(now, key, out, |router, out| {
                    router.on_addresses_not_restored(now, key, why, out)
                });
            }
            Input::Link(name, facts) => {
                self.on_link(now, name, facts, out);
                self.evaluate_each(now, Cause::FaultCleared, out, |spec| depends_on_link(spec, name));
            }
            Input::OtherName(name, real) => {
                self.facts.other_names.insert(name, real);
                self.evaluate_each(now, Cause::FaultCleared, out, |spec| depends_on_link(spec, name));
            }
            Input::Sockets(name, family, outcome) => {
                match outcome {
                    Ok(()) => drop(self.facts.socket_errors.remove(&(name, family))),
                    Err(why) => drop(self.facts.socket_errors.insert((name, family), why)),
                }
                self.evaluate_each(now, Cause::FaultCleared, out, |spec| spec.interface == name);
            }
            Input::AdvertisementUnsent { key, destination, priority, errno } => {
                self.on_unsent(now, (key, destination), priority, errno, out);
            }
            Input::AdvertisementSentAgain(key, destination) => {
                self.on_sent_again(now, (key, destination), out);
            }
            Input::CheckResult(name, result) => {
                self.facts.checks.insert(name.clone(), result);
                self.evaluate_each(now, Cause::FaultCleared, out, |spec| depends_on_check(spec, &name));
            }
            Input::CheckRemoved(name) => {
                self.facts.checks.remove(&name);
                self.evaluate_each(now, Cause::FaultCleared, out, |spec| depends_on_check(spec, &name));
            }
            Input::Command(id, command) => self.on_command(now, id, command, out),
            Input::SavedDemotion(router, demotion) => self.succession.save_demotion(router, demotion),
            Input::Configure(specs) => self.configure(now, specs, out),
            Input::FinishCrashedRun(specs) => self.finish_crashed_run(now, specs, out),
            Input::Shutdown => self.shut_down(now, out),
        }
        self.finish(out);
    }

    /// When to call again with [`Input::Deadline`] at the latest, if nothing else happens. After
    /// `Input::Deadline` it lies later than `now`.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonoTime> {
        self.schedule.first()
    }

    /// The addresses that `key` advertises, in order, then those that it only holds. For an
    /// instance that is gone: as they were. Empty if it never was.
    #[must_use]
    pub fn addresses(&self, key: InstanceKey) -> (&[IpNet], &[IpNet]) {
        let router = self.by_key.get(&key).and_then(|id| self.routers.get(id));
        let running =
            router.and_then(|router| router.spec().instances.iter().find(|m| m.family == key.family));
        let instance = running.or_else(|| self.succession.departed(key));
        instance.map_or((&[], &[]), |instance| (&instance.addresses, &instance.excluded))
    }

    /// The interface on which `key` has its addresses. An instance that does not run has none, and
    /// for it this is the interface in the key.
    #[must_use]
    pub fn address_interface(&self, key: InstanceKey) -> InterfaceName {
        let router = self.by_key.get(&key).and_then(|id| self.routers.get(id));
        router.map_or(key.interface, |router| router.spec().address_interface)
    }

    /// Changes with the answers of [`Self::running`] and [`Self::addresses`].
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// What runs: the configured routers. A router that waits until another is gone is not among
    /// them; the other, which is leaving, is.
    pub fn running(&self) -> impl Iterator<Item = &RouterSpec> {
        self.routers.values().map(Router::spec)
    }

    /// The state of everything, as owned data.
    #[must_use]
    pub fn snapshot(&self, now: MonoTime) -> Snapshot {
        let tracked = self.running().flat_map(|spec| &spec.tracks);
        let watched: BTreeSet<_> = tracked.map(|track| &track.watched).collect();
        let of = |watched: &Watched| (watched.clone(), health(watched, &self.facts));
        let mut routers: Vec<_> = self.routers.values().map(|router| router.snapshot(now)).collect();
        routers.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        let links = self.unattributed.iter().map(|((name, family), c)| (*name, *family, c.clone()));
        Snapshot { at: now, routers, links: links.collect(), watched: watched.into_iter().map(of).collect() }
    }

    /// The socket refused an advertisement of `key`. It was counted as sent when it was decided,
    /// and is not. `errno`: the kernel's error number, if it was asked at all.
    fn on_unsent(
        &mut self,
        now: MonoTime,
        (key, destination): (InstanceKey, IpAddr),
        priority: AdvertPriority,
        errno: Option<i32>,
        out: &mut Effects,
    ) {
        if let Some(router) = self.router_of(key) {
            router.on_unsent(key, destination, priority);
        }
        let Some(errno) = errno.filter(|_| self.by_key.contains_key(&key)) else { return };
        // A link that is away is reported already.
        if link_fault(key.interface, &self.facts).is_some() {
            return;
        }
        let (count, last) = self.facts.unsent.entry((key, destination)).or_insert((0, errno));
        *count = count.saturating_add(1);
        if *count == UNSENT_IN_A_ROW || *last != errno {
            *last = errno;
            self.act_on_key(now, key, out, |_, _| EVALUATE);
        }
    }

    /// The socket accepted an advertisement of `key` again.
    fn on_sent_again(&mut self, now: MonoTime, to: (InstanceKey, IpAddr), out: &mut Effects) {
        if self.facts.unsent.remove(&to).is_some() {
            self.act_on_key(now, to.0, out, |_, _| EVALUATE);
        }
    }

    fn on_link(&mut self, now: MonoTime, name: InterfaceName, facts: Option<LinkFacts>, out: &mut Effects) {
        let mac = facts.as_ref().and_then(|facts| facts.mac);
        let before = match facts {
            Some(facts) => {
                self.facts.other_names.remove(&name);
                self.facts.links.insert(name, facts)
            }
            None => self.facts.links.remove(&name),
        };
        let moved = before.and_then(|before| before.mac).zip(mac).filter(|(from, to)| from != to);
        if let Some((from, to)) = moved {
            let here = |router: &&mut Router| router.spec().address_interface == name;
            for router in self.routers.values_mut().filter(here) {
                router.on_mac_changed(now, from, to, out);
            }
        }
    }

    fn on_deadline(&mut self, now: MonoTime, out: &mut Effects) {
        // A router may be due again at once (a hand-over that ends starts another router). Each
        // step makes progress, so that this ends.
        while let Some(id) = self.schedule.due(now) {
            self.act_on(now, id, out, |router, out| router.on_deadline(now, out));
        }
    }

    fn on_received(
        &mut self,
        now: MonoTime,
        interface: InterfaceName,
        carrier: Carrier,
        advertisement: &Advertisement<'_>,
        out: &mut Effects,
    ) {
        let key = InstanceKey { interface, family: Family::of(carrier.source), vrid: advertisement.vrid };
        if let Err(reason) = self.examine(interface, &carrier, Some(key.vrid)) {
            let reject = Reject { reason, vrid: Some(key.vrid), version: None };
            return self.on_rejected(now, (interface, key.family), Some(carrier.source), reject, out);
        }
        let Some(id) = self.by_key.get(&key).copied() else {
            // RFC9568-7.1-6
            self.on_other_vrid(now, carrier, interface, advertisement, out);
            let reject = Reject { reason: RejectReason::VridErrors, vrid: Some(key.vrid), version: None };
            return self.on_rejected(now, (interface, key.family), Some(carrier.source), reject, out);
        };
        let is_own = self.facts.is_own(interface, carrier.source);
        self.act_on(now, id, out, |router, out| {
            if is_own || router.has_sent_from(key, carrier.source) {
                router.on_own_address_heard(now, key, carrier.source, advertisement, out);
                FollowUp::Nothing
            } else {
                router.on_advert(now, key, carrier, advertisement, out)
            }
        });
    }

    /// Checks the IP header of a message that names `vrid`, if it names any. A message for no router
    /// of this node is judged as those are that arrive as it did.
    fn examine(
        &self,
        interface: InterfaceName,
        carrier: &Carrier,
        vrid: Option<Vrid>,
    ) -> Result<(), RejectReason> {
        let family = Family::of(carrier.destination);
        let meant = vrid.and_then(|vrid| self.by_key.get(&InstanceKey { interface, family, vrid }));
        let meant = meant.and_then(|id| self.routers.get(id)).map(Router::spec);
        let here = || self.running().filter(|spec| spec.interface == interface);
        let meant = meant.or_else(|| {
            let to_group = carrier.destination == family.group();
            here().find(|spec| spec.destinations.unicast().is_some() != to_group)
        });
        let rule = meant.map_or(CarrierRule::MULTICAST, |spec| CarrierRule::of(&spec.destinations));
        rule.examine(carrier, |address| self.facts.is_own(interface, address))
    }

    /// Another router may have our addresses under another VRID.
    fn on_other_vrid(
        &mut self,
        now: MonoTime,
        carrier: Carrier,
        interface: InterfaceName,
        advertisement: &Advertisement<'_>,
        out: &mut Effects,
    ) {
        if self.compared_foreign_vrid.is_some_and(|last| now.since(last) < BETWEEN_COMPARISONS) {
            return;
        }
        self.compared_foreign_vrid = Some(now);
        for router in self.routers.values_mut().filter(|router| router.spec().interface == interface) {
            router.on_other_vrid(now, carrier, advertisement, out);
        }
    }

    fn on_announced_by_other(
        &mut self,
        now: MonoTime,
        interface: InterfaceName,
        address: IpAddr,
        mac: MacAddr,
        out: &mut Effects,
    ) {
        let of_router = |router: &Router| router.has_address_on(interface, address);
        let concerned = self.routers.iter().filter(|(_, router)| of_router(router)).map(|(id, _)| *id);
        for id in concerned.collect::<Vec<_>>() {
            self.act_on(now, id, out, |router, _| {
                router.on_announced_by_other(now, address, mac);
                FollowUp::Nothing
            });
        }
    }

    fn on_rejected(
        &mut self,
        now: MonoTime,
        (interface, family): (InterfaceName, Family),
        source: Option<IpAddr>,
        reject: Reject,
        out: &mut Effects,
    ) {
        let key = reject.vrid.map(|vrid| InstanceKey { interface, family, vrid });
        if let Some(key) = key
            && let Some(router) = self.router_of(key)
        {
            router.on_unreadable(now, key, source, reject, out);
            return;
        }
        let counters = self.unattributed.entry((interface, family)).or_default();
        *counters.rejected.entry(reject.reason).or_default() += 1;
    }

    fn on_command(&mut self, now: MonoTime, id: CommandId, command: Command, out: &mut Effects) {
        let (Command::Demote { router: name, .. } | Command::Promote { router: name }) = &command;
        let Some(router) = self.routers.iter().find(|(_, router)| router.name() == name).map(|(id, _)| *id)
        else {
            out.push(Effect::Answer { id, answer: Answer::UnknownRouter(name.clone()) });
            return;
        };
        self.act_on(now, router, out, |router, out| match command {
            Command::Demote { demotion, force, drain, .. } => {
                router.demote(now, id, demotion, force, drain, out)
            }
            Command::Promote { .. } => router.promote(now, id, out),
        });
    }

    fn router_of(&mut self, key: InstanceKey) -> Option<&mut Router> {
        self.by_key.get(&key).and_then(|id| self.routers.get_mut(id))
    }

    /// Evaluates the routers to which a fact matters that has changed. If one starts because of
    /// that, this is the cause.
    fn evaluate_each(
        &mut self,
        now: MonoTime,
        cause_if_started: Cause,
        out: &mut Effects,
        matters: impl Fn(&RouterSpec) -> bool,
    ) {
        let Self { routers, facts, schedule, .. } = self;
        for (id, router) in routers.iter_mut().filter(|(_, router)| matters(router.spec())) {
            router.evaluate(now, facts, cause_if_started, out);
            router.watch_service(now, out);
            forget_unsent(facts, router);
            schedule.set(*id, router.wakes_at());
        }
        self.replace_gone(now, out);
    }

    fn act_on_key(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        out: &mut Effects,
        act: impl FnOnce(&mut Router, &mut Effects) -> FollowUp,
    ) {
        if let Some(id) = self.by_key.get(&key).copied() {
            self.act_on(now, id, out, act);
        }
    }

    /// Lets one router act, and keeps everything true that depends on it.
    fn act_on(
        &mut self,
        now: MonoTime,
        id: RouterId,
        out: &mut Effects,
        act: impl FnOnce(&mut Router, &mut Effects) -> FollowUp,
    ) {
        let Some(router) = self.routers.get_mut(&id) else { return };
        let was_active = router.is_active();
        match act(router, out) {
            FollowUp::Nothing => {}
            FollowUp::Evaluate { cause_if_started } => {
                router.evaluate(now, &self.facts, cause_if_started, out);
            }
            FollowUp::EvaluateAndMoveTogether { cause_if_started } => {
                router.evaluate(now, &self.facts, cause_if_started, out);
                router.move_together(now, out);
            }
        }
        if !was_active && router.is_active() {
            router.update_local_warnings(now, &self.facts, out);
        }
        if router.must_evaluate_again() {
            router.evaluate(now, &self.facts, Cause::FaultCleared, out);
        }
        router.watch_service(now, out);
        router.expire_peer_warnings(now, out);
        forget_unsent(&mut self.facts, router);
        let gone = router.is_gone();
        self.reschedule(id);
        if gone {
            self.replace_gone(now, out);
        }
    }

    fn reschedule(&mut self, id: RouterId) {
        self.schedule.set(id, self.routers.get(&id).and_then(Router::wakes_at));
    }
}

const EVALUATE: FollowUp = FollowUp::Evaluate { cause_if_started: Cause::FaultCleared };

/// A router that sends nothing any more does not know whether it would be sent.
fn forget_unsent(facts: &mut Facts, router: &Router) {
    if !facts.unsent.is_empty() && !router.is_active() {
        for key in router.keys() {
            facts.unsent.retain(|(of, _), _| *of != key);
        }
    }
}

fn depends_on_check(spec: &RouterSpec, name: &CheckName) -> bool {
    spec.tracked_checks().any(|check| check == name)
}

fn depends_on_link(spec: &RouterSpec, name: InterfaceName) -> bool {
    [spec.interface, spec.address_interface].contains(&name)
        || spec.tracked_interfaces().any(|interface| interface == name)
        // An address of any interface that is listed is left out.
        || spec.destinations.unicast().is_some()
}
