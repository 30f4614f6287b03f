//! A reference of our own node: RFC 9568 §6, RFC 3768 where a family speaks VRRPv2, and what vrrpd adds
//! to them, written from the documents.
//!
//! The reference is given every input that the core is given, and predicts what the core does:
//! which advertisement the core sends (everything but its checksum), when it asks for the addresses
//! and releases them, when it announces them and when it listens to announcements, which state each
//! family is in, and by when the core must want to be called again. Every difference is a violation
//! of the simulation.
//!
//! Two things have a window instead of a moment: an advertisement of a router that serves, and a
//! round of an announcement, may be sent a sixty-fourth of an interval late (1 ms at most), so that
//! those of many routers are sent in one system call ([`crate::sim::documents::may_be_late`]).
//! Within the window the reference accepts the moment that the core chose. Answers to commands, the
//! checksum and events are not predicted, but for the two events that tell of nodes that are listed.
//!
//! The reference does not share code with `protocol`, nor its numbers: see
//! [`crate::sim::documents`].

mod announcing;
mod facts;
mod handover;
mod instance;
mod leave;
mod router;
mod turn;

use crate::protocol::{Command, Demotion, Effect, Effects, Input, LinkLocalRule, RouterSpec, Snapshot};
use crate::types::{Family, InstanceKey, MonoTime, RouterName};
use facts::{Facts, is_expected};
use ipnet::IpNet;
use router::{Next, Router, Start, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use turn::{Expected, Turn};

/// What the reference knows of one node.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    /// The routers, in the order of their names.
    routers: Vec<Router>,
    facts: Facts,
    /// The demotions of routers that are not running.
    remembered: BTreeMap<RouterName, Demotion>,
    /// Routers that wait until another router is gone.
    waiting: BTreeMap<RouterName, RouterSpec>,
    /// The epoch of the last request to the kernel for each key, as it was seen.
    epochs: BTreeMap<InstanceKey, u64>,
    /// The instances whose connections are served on: whether and when that ends is not predicted.
    draining: BTreeSet<InstanceKey>,
    /// How many other Backups would win the election against each instance.
    better_backups: BTreeMap<InstanceKey, u8>,
    ends: bool,
    stopped: bool,
}

/// A difference between the core and the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The rule that the difference breaks.
    pub rule: &'static str,
    /// What was predicted, and what was seen.
    pub seen: String,
}

impl Reference {
    /// The reference of a node that was not given any input yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Follows the input that the core has just handled at `now`, and compares the result: the
    /// effects, the state after the input, and when the core wants to be called again.
    ///
    /// # Errors
    /// The first [`Mismatch`].
    pub fn follow(
        &mut self,
        now: MonoTime,
        input: &Input<'_>,
        observed: &Effects,
        after: &Snapshot,
        wakes: Option<MonoTime>,
    ) -> Result<(), Mismatch> {
        let mut turn = Turn::new(now, observed, after);
        self.handle(input, &mut turn);
        if self.ends && !self.stopped && self.routers.iter().all(Router::is_gone) {
            self.stopped = true;
            turn.stopped = true;
        }
        let Turn { expected, mut told, stopped, .. } = turn;
        compare_effects(&expected, stopped, observed, &self.draining)?;
        // Which router tells first, of two that have been waiting, means nothing.
        let mut seen: Vec<_> = observed.iter().filter_map(turn::told_of_peers).collect();
        seen.sort_by_key(|(key, _)| *key);
        told.sort_by_key(|(key, _)| *key);
        if told != seen {
            return differs("it tells of its peers what is predicted", &told, &seen);
        }
        self.note(now, observed);
        self.compare_states(after)?;
        self.compare_deadline(wakes)
    }

    /// Takes over what only the core decides: the epochs, and the time of its last announcement.
    fn note(&mut self, now: MonoTime, observed: &Effects) {
        for effect in observed {
            match effect {
                Effect::HoldAddresses { key, epoch, relieved: _ }
                | Effect::ReleaseAddresses { key, epoch } => {
                    self.epochs.insert(*key, *epoch);
                    self.draining.remove(key);
                }
                Effect::DrainAddresses { key, epoch, until: _ } => {
                    self.epochs.insert(*key, *epoch);
                    self.draining.insert(*key);
                }
                Effect::Announce { key, .. } => {
                    if let Some(instance) = self.router(*key).and_then(|router| router.instance(*key)) {
                        instance.announced = Some(now);
                    }
                }
                Effect::Advertise { .. }
                | Effect::ResetConnections(..)
                | Effect::WatchAnnouncements { .. }
                | Effect::IgnoreAnnouncements { .. }
                | Effect::Report(_)
                | Effect::Answer { .. }
                | Effect::SaveDemotion { .. }
                | Effect::Stopped => {}
            }
        }
    }

    fn compare_states(&self, snapshot: &Snapshot) -> Result<(), Mismatch> {
        let names = snapshot.routers.iter().map(|router| &router.spec.name);
        if !names.eq(self.routers.iter().map(|router| &router.spec.name)) {
            let predicted: Vec<_> = self.routers.iter().map(|router| &router.spec.name).collect();
            return differs("the routers that run are those predicted", &predicted, &snapshot.routers.len());
        }
        for (predicted, seen) in self.routers.iter().zip(&snapshot.routers) {
            let states = predicted.instances.iter().map(|one| (one.key, one.state_name()));
            if !states.clone().eq(seen.instances.iter().map(|one| (one.key, one.state))) {
                let seen: Vec<_> = seen.instances.iter().map(|one| (one.key, one.state)).collect();
                return differs("the state is the predicted one", &states.collect::<Vec<_>>(), &seen);
            }
            let settings = &predicted.settings;
            let timers = predicted.instances.iter();
            let timers = timers.map(|one| (one.key, one.learned(settings), one.next_timer()));
            let running = seen.instances.iter();
            let running = running.map(|one| (one.key, one.timers.active_adver_interval, one.timers.next));
            if !timers.clone().eq(running.clone()) {
                let (timers, running) = (timers.collect::<Vec<_>>(), running.collect::<Vec<_>>());
                return differs("the timers are those predicted", &timers, &running);
            }
            let facts = (settings.priority, predicted.handover.is_some(), predicted.demoted.is_some());
            let seen_facts = (seen.effective, seen.handing_over, seen.demoted.is_some());
            if facts != seen_facts {
                return differs("priority, hand-over and demotion are those predicted", &facts, &seen_facts);
            }
            // A router that is about to go is not asked why it does not take part.
            if predicted.wanted == Wanted::Yes && !predicted.faults.iter().eq(&seen.faults) {
                return differs("the faults are those predicted", &predicted.faults, &seen.faults);
            }
        }
        Ok(())
    }

    /// The core must want to be called by the time at which something is due. Its effects show that
    /// it does not act earlier.
    fn compare_deadline(&self, wakes: Option<MonoTime>) -> Result<(), Mismatch> {
        let due = self.routers.iter().filter_map(Router::due).min();
        match (due, wakes) {
            (Some(due), None) => differs("it wakes when something is due", &due, &"never"),
            (Some(due), Some(wakes)) if wakes > due => {
                differs("it wakes when something is due", &due, &wakes)
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    fn router(&mut self, key: InstanceKey) -> Option<&mut Router> {
        self.routers.iter_mut().find(|router| router.instances.iter().any(|one| one.key == key))
    }

    fn handle(&mut self, input: &Input<'_>, turn: &mut Turn<'_>) {
        match input {
            Input::Deadline => self.on_deadline(turn),
            Input::Received { interface, carrier, advertisement } => {
                let (family, vrid) = (Family::of(carrier.source), advertisement.vrid);
                let key = InstanceKey { interface: *interface, family, vrid };
                let own = self.facts.is_own(*interface, carrier.source);
                let (priority, interval) = (advertisement.priority, advertisement.interval);
                let link_local = advertisement.addresses.first_is_link_local();
                let meant =
                    self.routers.iter().find(|router| router.instances.iter().any(|it| it.key == key));
                if !meant.is_some_and(|router| self.facts.arrived_well(&router.spec, carrier)) {
                    return;
                }
                self.with(key, turn, |router, turn| {
                    let heard = router.heard(carrier.source, priority, interval, &advertisement.addresses);
                    if own || router.has_sent_from(key, carrier.source) {
                        let settings = router.settings;
                        if let Some(instance) = router.instance(key) {
                            instance.on_own(&settings, &heard, turn);
                        }
                        return Next::Nothing;
                    }
                    let strict = router.spec.link_local == LinkLocalRule::Require;
                    let rejected = family == Family::Ipv6 && strict && !link_local;
                    let stranger = !is_expected(&router.spec, carrier.source);
                    if stranger || rejected || is_broadcast(&router.spec, carrier.source) {
                        return Next::Nothing;
                    }
                    if router.discards(family, advertisement) {
                        return Next::Nothing;
                    }
                    router.on_advert(key, &heard, turn)
                });
            }
            Input::AnnouncementHeard { interface, address, .. } => {
                let now = turn.now;
                for at in 0..self.routers.len() {
                    self.step(at, turn, |router, _| {
                        let here = router.spec.interface == *interface;
                        let concerned = here
                            && router.instances.iter().any(|instance| {
                                (instance.is_watching() || instance.is_active())
                                    && instance.addresses.contains(address)
                            });
                        let held = router.instances.iter_mut().filter(|it| it.addresses.contains(address));
                        for instance in held.filter(|_| concerned) {
                            instance.on_announced(*address, now);
                        }
                        Next::Nothing
                    });
                }
            }
            Input::AddressesHeld(result) => {
                if self.epochs.get(&result.key) != Some(&result.epoch) {
                    return;
                }
                self.with(result.key, turn, |router, turn| match &result.outcome {
                    Ok(()) => {
                        router.on_held(result.key, turn);
                        Next::Nothing
                    }
                    Err(why) => router.refuse(why.clone(), turn),
                });
            }
            // Whether connections are kept makes no difference to the protocol.
            Input::AddressesDraining(_)
            | Input::DrainPartners(_)
            | Input::ConnectionsEnded { .. }
            | Input::ForwardingLost(..) => {}
            Input::BetterBackups(ahead) => {
                self.better_backups.clone_from(ahead);
                self.routers.iter_mut().for_each(|router| router.set_better_backups(ahead));
            }
            Input::DrainOfEarlierRun { key, .. } => drop(self.draining.insert(*key)),
            Input::AddressesNotRestored { key, why } => self.with(*key, turn, |router, turn| {
                if router.is_active() { router.refuse(why.clone(), turn) } else { Next::Nothing }
            }),
            Input::AddressesRestored { key, .. } | Input::AddressesReinstalled { key } => {
                if let Some(instance) = self.router(*key).and_then(|router| router.instance(*key)) {
                    instance.on_restored(turn);
                }
            }
            Input::Link(name, facts) => {
                let before = self.facts.links.remove(name);
                self.facts.links.extend(facts.clone().map(|facts| (*name, facts)));
                let mac = |link: Option<crate::types::LinkFacts>| link.and_then(|link| link.mac);
                let moved = mac(before).zip(mac(facts.clone())).is_some_and(|(from, to)| from != to);
                for router in self.routers.iter_mut().filter(|it| moved && it.spec.interface == *name) {
                    let settings = router.settings;
                    for instance in router.instances.iter_mut().filter(|it| it.announces()) {
                        instance.begin_announcing(&settings, turn);
                    }
                }
                self.evaluate_all(turn);
            }
            Input::Sockets(name, family, outcome) => {
                self.facts.closed_sockets.remove(&(*name, *family));
                let closed = outcome.clone().err().map(|why| ((*name, *family), why));
                self.facts.closed_sockets.extend(closed);
                self.evaluate_all(turn);
            }
            Input::CheckResult(name, result) => {
                self.facts.checks.insert(name.clone(), *result);
                self.evaluate_all(turn);
            }
            Input::CheckRemoved(name) => {
                self.facts.checks.remove(name);
                self.evaluate_all(turn);
            }
            Input::Command(_, command) => self.on_command(command, turn),
            Input::SavedDemotion(name, demotion) => {
                self.remembered.insert(name.clone(), demotion.clone());
            }
            Input::Configure(specs) => {
                if !self.ends {
                    self.configure(specs, turn);
                }
            }
            Input::FinishCrashedRun(specs) => {
                self.routers = specs.iter().map(|spec| Router::new(turn.now, spec.clone(), None)).collect();
                self.sort();
                for at in 0..self.routers.len() {
                    self.step(at, turn, |router, turn| {
                        router.begin_as_crashed_run(turn);
                        Next::Evaluate(Start::Ordinary)
                    });
                }
            }
            Input::Shutdown => {
                self.ends = true;
                self.waiting.clear();
                for router in &mut self.routers {
                    router.wanted = Wanted::AgentEnds;
                }
                self.evaluate_all(turn);
            }
            // These inputs are counted or reported, and nothing else; other interface names are not
            // simulated.
            Input::Rejected { .. }
            | Input::AdvertisementUnsent { .. }
            | Input::AdvertisementSentAgain(..)
            | Input::OtherName(..) => {}
        }
    }

    fn on_deadline(&mut self, turn: &mut Turn<'_>) {
        let mut at = 0;
        while at < self.routers.len() {
            self.step(at, turn, Router::on_deadline);
            if self.replace_gone(turn) {
                at = 0;
                continue;
            }
            // A hand-over that ends may start a router that is due at once, namely an owner.
            let due = self.routers.get(at).and_then(Router::due);
            if due.is_none_or(|due| due > turn.now) {
                at += 1;
            }
        }
    }

    fn on_command(&mut self, command: &Command, turn: &mut Turn<'_>) {
        let (Command::Demote { router: name, .. } | Command::Promote { router: name }) = command;
        let Some(at) = self.routers.iter().position(|router| router.spec.name == *name) else { return };
        self.step(at, turn, |router, turn| match command {
            Command::Demote { demotion, force, .. } => router.demote(demotion.clone(), *force, turn),
            Command::Promote { .. } => router.promote(turn),
        });
        self.replace_gone(turn);
    }

    fn with(
        &mut self,
        key: InstanceKey,
        turn: &mut Turn<'_>,
        act: impl FnOnce(&mut Router, &mut Turn<'_>) -> Next,
    ) {
        let at = self.routers.iter().position(|router| router.instances.iter().any(|one| one.key == key));
        if let Some(at) = at {
            self.step(at, turn, act);
            self.replace_gone(turn);
        }
    }

    /// One router acts, and everything that follows from the act is done.
    fn step(&mut self, at: usize, turn: &mut Turn<'_>, act: impl FnOnce(&mut Router, &mut Turn<'_>) -> Next) {
        let Some(router) = self.routers.get_mut(at) else { return };
        match act(router, turn) {
            Next::Nothing => {}
            Next::Evaluate(start) => router.evaluate(&self.facts, start, turn),
            Next::EvaluateAndCouple(start) => {
                router.evaluate(&self.facts, start, turn);
                router.couple(turn);
            }
        }
        if router.must_evaluate_again() {
            router.evaluate(&self.facts, Start::Ordinary, turn);
        }
        router.look_after_each_input(turn);
    }

    fn evaluate_all(&mut self, turn: &mut Turn<'_>) {
        for router in &mut self.routers {
            router.evaluate(&self.facts, Start::Ordinary, turn);
            router.look_after_each_input(turn);
        }
        self.replace_gone(turn);
    }

    // Configurations.

    fn configure(&mut self, specs: &[RouterSpec], turn: &mut Turn<'_>) {
        self.waiting = specs.iter().map(|spec| (spec.name.clone(), spec.clone())).collect();
        for router in &mut self.routers {
            match self.waiting.remove(&router.spec.name) {
                Some(spec) if router.spec.keys().eq(spec.keys()) => router.reconfigure(spec, turn),
                other => {
                    router.remove();
                    self.waiting.extend(other.map(|spec| (spec.name.clone(), spec)));
                }
            }
        }
        self.admit(turn.now);
        self.evaluate_all(turn);
    }

    /// Adds the waiting routers that no other router blocks. Returns their names.
    fn admit(&mut self, now: MonoTime) -> Vec<RouterName> {
        let mut admitted = Vec::new();
        for (name, spec) in std::mem::take(&mut self.waiting) {
            let in_the_way = |router: &Router| {
                router.spec.name == name || router.spec.keys().any(|key| spec.keys().any(|k| k == key))
            };
            let before = self.routers.iter().filter(|router| !admitted.contains(&router.spec.name));
            if before.clone().any(in_the_way) {
                self.waiting.insert(name, spec);
            } else {
                let demoted = self.remembered.remove(&name);
                let mut router = Router::new(now, spec, demoted);
                router.set_better_backups(&self.better_backups);
                self.routers.push(router);
                admitted.push(name);
            }
        }
        self.sort();
        admitted
    }

    /// Routers that left are replaced by those that waited for them. Returns whether there were
    /// any.
    fn replace_gone(&mut self, turn: &mut Turn<'_>) -> bool {
        let gone = |router: &Router| router.wanted == Wanted::No && router.is_gone();
        let any = self.routers.iter().any(gone);
        while self.routers.iter().any(gone) {
            let (leaving, staying) = std::mem::take(&mut self.routers).into_iter().partition(gone);
            self.routers = staying;
            let leaving: Vec<Router> = leaving;
            for router in leaving {
                self.remembered.extend(router.demoted.map(|demotion| (router.spec.name, demotion)));
            }
            let admitted = self.admit(turn.now);
            for at in 0..self.routers.len() {
                if self.routers.get(at).is_some_and(|router| admitted.contains(&router.spec.name)) {
                    self.step(at, turn, |_, _| Next::Evaluate(Start::Ordinary));
                }
            }
        }
        any
    }

    fn sort(&mut self) {
        self.routers.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    }
}

fn compare_effects(
    expected: &[(InstanceKey, Expected)],
    stopped: bool,
    observed: &Effects,
    draining: &BTreeSet<InstanceKey>,
) -> Result<(), Mismatch> {
    if stopped != observed.contains(&Effect::Stopped) {
        return differs("it stops when everything is let go", &stopped, &!stopped);
    }
    let drains = |effect: &Effect| matches!(effect, Effect::DrainAddresses { .. });
    if draining.is_empty() && !observed.iter().any(drains) {
        return compare_in_order(expected, observed.iter().filter_map(turn::expected));
    }
    // For the protocol, what drains has been released.
    let mut draining = draining.clone();
    let is_new = |effect: &&Effect| match effect {
        Effect::DrainAddresses { key, .. } => draining.insert(*key),
        Effect::ReleaseAddresses { key, .. } => !draining.remove(key),
        Effect::HoldAddresses { key, .. } => {
            draining.remove(key);
            true
        }
        Effect::ResetConnections(..)
        | Effect::Advertise { .. }
        | Effect::Announce { .. }
        | Effect::WatchAnnouncements { .. }
        | Effect::IgnoreAnnouncements { .. }
        | Effect::Report(_)
        | Effect::Answer { .. }
        | Effect::SaveDemotion { .. }
        | Effect::Stopped => true,
    };
    let seen: Vec<&Effect> = observed.iter().filter(is_new).collect();
    compare_in_order(expected, seen.into_iter().filter_map(turn::expected))
}

fn compare_in_order(
    expected: &[(InstanceKey, Expected)],
    seen: impl Iterator<Item = (InstanceKey, Expected)> + Clone,
) -> Result<(), Mismatch> {
    // The usual case, which needs no memory: the order is the same for all instances.
    if seen.clone().eq(expected.iter().copied()) {
        return Ok(());
    }
    let seen: Vec<(InstanceKey, Expected)> = seen.collect();
    let of = |list: &[(InstanceKey, Expected)], key| -> Vec<Expected> {
        list.iter().filter(|(of, _)| *of == key).map(|(_, what)| *what).collect()
    };
    for (key, _) in expected.iter().chain(&seen) {
        let (expected, seen) = (of(expected, *key), of(&seen, *key));
        if expected != seen {
            return differs("it does what the reference predicts", &(key, expected), &seen);
        }
    }
    Ok(())
}

fn differs(
    rule: &'static str,
    predicted: &dyn std::fmt::Debug,
    seen: &dyn std::fmt::Debug,
) -> Result<(), Mismatch> {
    Err(Mismatch { rule, seen: format!("predicted {predicted:?}, seen {seen:?}") })
}

/// Whether `source` is the broadcast address of a network that contains one of our addresses.
fn is_broadcast(spec: &RouterSpec, source: IpAddr) -> bool {
    let mut nets = spec.instances.iter().flat_map(|instance| &instance.addresses);
    nets.any(|net| match net {
        IpNet::V4(net) => net.prefix_len() < 31 && IpAddr::V4(net.broadcast()) == source,
        IpNet::V6(_) => false,
    })
}
