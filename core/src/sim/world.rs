//! The world: stations on a LAN, one queue of events, one seed.
//!
//! Each step handles the earliest of the next arrival, the next answer of a kernel, the next act of
//! the script and the next deadline. If several are due at the same time, that is also their order:
//! *what has arrived is received before anything is decided*. After each step the checker looks at
//! everything.

use super::checker::Violation;
use super::checkers::{Checkers, Views};
use super::clock::TrueTime;
use super::connections::SimConnections;
use super::describe;
use super::draining::ConnectionEvent;
use super::groups::Ports;
use super::hosts::{AnnouncementEvent, Hosts};
use super::input_context::InputContext;
use super::kernel::{KernelOutcome, WantedAddresses};
use super::lan::{Arrival, Integrity, Lan, Port};
use super::node::{
    Packets, ProcessState, QueuedInput, Removal, SimNode, interface, key, virtual_addresses, vrid,
};
use super::packet::Packet;
use super::peer::{PeerSetup, audible};
use super::rng::Rng;
use super::router::RouterNumber;
use super::script::Act;
pub use super::station::{Station, StationSetup};
use super::trace::{Detail, Trace};
use super::view::StationView;
use crate::protocol::{Effect, Effects, Input};
use crate::types::{AdvertPriority, Family, InstanceKey, MonoTime, Version};
use crate::wire::Draft;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// The setup of a world, before anything happened.
#[derive(Debug, Clone)]
pub struct WorldSetup {
    /// The seed that decides every random choice.
    pub seed: u64,
    /// The families of every virtual router.
    pub families: Vec<Family>,
    /// The stations, in the order of their ports.
    pub stations: Vec<StationSetup>,
    /// A node notices a deadline at most this much late.
    pub lateness: Duration,
    /// Whether the trace remembers what happens.
    pub detail: Detail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EventOrder {
    Arrival,
    Kernel,
    Script,
}

#[derive(Debug)]
pub(super) enum WorldEvent {
    Arrives(Port, Packet),
    Announcement(Port, AnnouncementEvent),
    KernelDone(Port, u32),
    Act(Act),
    Connections(ConnectionEvent),
}

impl WorldSetup {
    /// Whether any station speaks VRRPv2. A router of IPv6 alone does not.
    pub(super) fn speaks_version_2(&self) -> bool {
        let speech = |station: &StationSetup| match station {
            StationSetup::Ours(node) => node.speech,
            StationSetup::Foreign(_, peer) => peer.speech(),
        };
        let in_v4 = self.families.contains(&Family::Ipv4);
        in_v4 && self.stations.iter().any(|station| speech(station).version == Version::V2)
    }

    /// Whether our nodes have a second router. All stations of such a world are ours.
    pub(super) fn has_second_router(&self) -> bool {
        self.stations.iter().any(|station| match station {
            StationSetup::Ours(node) => node.second.is_some(),
            StationSetup::Foreign(..) => false,
        })
    }
}

/// The whole simulated world.
#[derive(Debug)]
pub struct World {
    pub(super) now: TrueTime,
    pub(super) rng: Rng,
    pub(super) lan: Lan,
    pub(super) stations: Vec<Station>,
    pub(super) families: Vec<Family>,
    pub(super) lateness: Duration,
    pub(super) hosts: Hosts,
    /// The connections of hosts, if they are simulated.
    pub(super) connections: Option<Box<SimConnections>>,
    queue: BTreeMap<(TrueTime, EventOrder, u64), WorldEvent>,
    sequence: u64,
    pub(super) checkers: Checkers,
    pub(super) trace: Trace,
    views: Vec<StationView>,
    /// For each station: the lowest port of its component, and the stations that it hears.
    pub(super) components: Vec<(usize, Ports)>,
    arrivals: Vec<Arrival>,
    steps: u64,
}

impl World {
    /// A world in which no station runs yet: [`Act::Start`] starts a station.
    #[must_use]
    pub fn new(setup: WorldSetup) -> Self {
        let checkers = Checkers::new(&setup);
        let families = setup.families;
        let stations: Vec<Station> =
            setup.stations.into_iter().map(|station| Station::new(station, &families)).collect();
        let mut world = Self {
            now: TrueTime::ZERO,
            rng: Rng::new(setup.seed),
            lan: Lan::new(stations.len()),
            components: Vec::new(),
            stations,
            families,
            lateness: setup.lateness,
            hosts: Hosts::new(setup.seed),
            connections: None,
            queue: BTreeMap::new(),
            sequence: 0,
            checkers,
            trace: Trace::new(setup.detail),
            views: Vec::new(),
            arrivals: Vec::new(),
            steps: 0,
        };
        world.find_components();
        world
    }

    /// The time of the observer.
    #[must_use]
    pub const fn now(&self) -> TrueTime {
        self.now
    }

    /// How many steps were taken so far.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// The trace of what happened.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// How many times the whole world was checked, counted for each virtual router.
    #[must_use]
    pub fn checks(&self) -> u64 {
        self.checkers.checks()
    }

    /// The time from the last fault until the rules about the service apply to every router.
    #[must_use]
    pub fn settle(&self) -> Duration {
        self.checkers.settle()
    }

    /// Applies the rules of rest to every router.
    ///
    /// # Errors
    /// The [`Violation`].
    pub fn judge_quiescence(&self) -> Result<(), Violation> {
        for (number, views) in self.all_views() {
            self.checkers.of(number).judge_quiescence(self.now, &views)?;
        }
        Ok(())
    }

    /// The families of every virtual router.
    #[must_use]
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// Whether our nodes have a second router.
    #[must_use]
    pub fn has_second_router(&self) -> bool {
        self.checkers.numbers().any(|number| number == RouterNumber::Second)
    }

    /// Whether any station was set up to speak VRRPv2.
    #[must_use]
    pub fn speaks_version_2(&self) -> bool {
        self.checkers.bounds().speaks_version_2()
    }

    /// One of our nodes.
    #[must_use]
    pub fn node(&self, port: Port) -> Option<&SimNode> {
        match self.stations.get(port.0) {
            Some(Station::Ours(node)) => Some(node),
            Some(Station::Foreign(_)) | None => None,
        }
    }

    /// Every station as the checker of the first router sees it.
    #[must_use]
    pub fn views(&self) -> Vec<StationView> {
        self.views_of(RouterNumber::First)
    }

    /// Every station as the checker of this router sees it.
    #[must_use]
    pub fn views_of(&self, number: RouterNumber) -> Vec<StationView> {
        let mut views = Vec::new();
        self.look(number, &mut views);
        views
    }

    /// Every station as each checker sees it.
    pub(super) fn all_views(&self) -> Views {
        self.checkers.numbers().map(|number| (number, self.views_of(number))).collect()
    }

    /// Adds an act to the script.
    pub fn at(&mut self, when: TrueTime, act: Act) {
        self.enqueue(when, EventOrder::Script, WorldEvent::Act(act));
    }

    /// Carries out an act now.
    ///
    /// # Errors
    /// A [`Violation`] of an invariant.
    pub fn act(&mut self, act: Act) -> Result<(), Violation> {
        let words = || format!("script: {act:?}");
        self.trace.note(self.now, words);
        self.carry_out_act(act)?;
        self.judge()
    }

    /// Runs until `until`; what is due at exactly that moment is included.
    ///
    /// # Errors
    /// A [`Violation`] of an invariant.
    pub fn run_until(&mut self, until: TrueTime) -> Result<(), Violation> {
        while let Some(next) = self.next_moment().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.step()?;
        }
        self.now = until;
        self.judge()
    }

    /// Runs for this much longer.
    ///
    /// # Errors
    /// A [`Violation`] of an invariant.
    pub fn run_for(&mut self, duration: Duration) -> Result<(), Violation> {
        self.run_until(self.now + duration)
    }

    fn next_moment(&self) -> Option<TrueTime> {
        let queued = self.queue.keys().next().map(|(at, _, _)| *at);
        let deadlines = self.stations.iter().filter_map(Station::wakes_at);
        queued.into_iter().chain(deadlines).min()
    }

    fn step(&mut self) -> Result<(), Violation> {
        self.steps += 1;
        let queued = self.queue.first_entry().filter(|entry| entry.key().0 <= self.now);
        match queued.map(std::collections::btree_map::OccupiedEntry::remove) {
            Some(WorldEvent::Arrives(port, packet)) => self.on_arrival(port, packet)?,
            Some(WorldEvent::Announcement(port, event)) => self.on_announcement_event(port, event)?,
            Some(WorldEvent::KernelDone(port, life)) => self.on_kernel_done(port, life)?,
            Some(WorldEvent::Act(act)) => return self.act(act),
            // What becomes of a packet of a connection changes nothing that the other rules are about.
            Some(WorldEvent::Connections(event)) => return self.on_connection_event(event),
            None => self.on_deadlines()?,
        }
        self.judge()
    }

    fn on_arrival(&mut self, port: Port, packet: Packet) -> Result<(), Violation> {
        match self.stations.get_mut(port.0) {
            Some(Station::Ours(node)) => match node.run {
                ProcessState::Down | ProcessState::Stalled(Packets::Vanish) => Ok(()),
                ProcessState::Up | ProcessState::Stalled(Packets::Wait)
                    if node.closed_sockets.contains(&packet.family()) =>
                {
                    Ok(())
                }
                ProcessState::Stalled(Packets::Wait) => {
                    node.queue_packet(packet);
                    Ok(())
                }
                ProcessState::Up => self.feed_packet(port, &packet),
            },
            Some(Station::Foreign(instances)) => {
                let now = MonoTime::from_nanos(self.now.as_nanos());
                let instance = instances.iter_mut().find(|m| Family::of(m.setup().source) == packet.family());
                let Some(instance) = instance else { return Ok(()) };
                let Some(heard) = audible(instance, &packet) else { return Ok(()) };
                let message = instance.on_advert(now, packet.carrier().source, &heard);
                let message = instance.message(message).map(|said| (*instance.setup(), said));
                self.send_foreign(port, message);
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn feed_packet(&mut self, port: Port, packet: &Packet) -> Result<(), Violation> {
        let input = match packet.parse() {
            Ok(advertisement) => {
                Input::Received { interface: interface(), carrier: packet.carrier(), advertisement }
            }
            Err(reject) => Input::Rejected {
                interface: interface(),
                family: packet.family(),
                carrier: Some(packet.carrier()),
                reject,
            },
        };
        self.feed(port, input)
    }

    fn on_kernel_done(&mut self, port: Port, life: u32) -> Result<(), Violation> {
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        if node.life != life {
            return Ok(());
        }
        let outcome = node.kernel.carry_out();
        self.note_kernel_outcome(port, &outcome)?;
        match outcome {
            KernelOutcome::Held(result) => self.deliver(port, QueuedInput::AddressesHeld(result)),
            KernelOutcome::Draining { result, was_held, until: _ } => {
                if was_held {
                    self.judge_release(port, result.key)?;
                }
                self.deliver(port, QueuedInput::AddressesDraining(result))
            }
            KernelOutcome::Absent(key) => self.judge_release(port, key),
            KernelOutcome::Drained(_) | KernelOutcome::Nothing => Ok(()),
        }
    }

    /// Gives a queued input to a node, now or when the node runs again.
    pub(super) fn deliver(&mut self, port: Port, queued: QueuedInput) -> Result<(), Violation> {
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        match node.run {
            ProcessState::Down => Ok(()),
            ProcessState::Stalled(_) => {
                node.queued_inputs.push_back(queued);
                Ok(())
            }
            ProcessState::Up => self.open(port, queued),
        }
    }

    pub(super) fn open(&mut self, port: Port, queued: QueuedInput) -> Result<(), Violation> {
        let input = match queued {
            QueuedInput::AddressesHeld(result) => Input::AddressesHeld(result),
            QueuedInput::Link(facts) => Input::Link(interface(), Some(facts)),
            QueuedInput::Check(name, result) => Input::CheckResult(name, result),
            QueuedInput::Command(id, command) => Input::Command(id, command),
            QueuedInput::Configure(specs) => Input::Configure(specs),
            QueuedInput::Sockets(family, outcome) => Input::Sockets(interface(), family, outcome),
            QueuedInput::CheckRemoved(name) => Input::CheckRemoved(name),
            QueuedInput::FinishCrashedRun(specs) => Input::FinishCrashedRun(specs),
            QueuedInput::AddressesTouched(key, removal) => match removal {
                Removal::PutBack => Input::AddressesRestored { key, count: 1 },
                Removal::Reinstalled => Input::AddressesReinstalled { key },
                Removal::Refused => {
                    let why = "RTNETLINK: no buffer space".to_owned();
                    Input::AddressesNotRestored { key, why }
                }
            },
            QueuedInput::SavedDemotion(name, demotion) => Input::SavedDemotion(name, demotion),
            QueuedInput::AddressesDraining(result) => Input::AddressesDraining(result),
            QueuedInput::BetterBackups(ahead) => Input::BetterBackups(ahead),
            QueuedInput::DrainPartners(partners) => Input::DrainPartners(partners),
            QueuedInput::DrainOfEarlierRun(key, until) => Input::DrainOfEarlierRun { key, until },
            QueuedInput::ConnectionsEnded(drain, reset) => Input::ConnectionsEnded { drain, reset },
            QueuedInput::ForwardingLost(drain) => Input::ForwardingLost(drain),
            QueuedInput::Shutdown => Input::Shutdown,
        };
        self.feed(port, input)
    }

    fn on_deadlines(&mut self) -> Result<(), Violation> {
        let now = self.now;
        let due = self.stations.iter().position(|station| station.wakes_at().is_some_and(|at| at <= now));
        let Some(port) = due.map(Port) else { return Ok(()) };
        match self.stations.get_mut(port.0) {
            Some(Station::Ours(_)) => self.feed(port, Input::Deadline),
            Some(Station::Foreign(instances)) => {
                let now = MonoTime::from_nanos(now.as_nanos());
                let instance = instances.iter_mut().find(|m| m.next_deadline().is_some_and(|at| at <= now));
                let message = instance.and_then(|m| {
                    let message = m.on_deadline(now);
                    m.message(message).map(|said| (*m.setup(), said))
                });
                self.send_foreign(port, message);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Gives one input to the core, checks the effects, and carries them out.
    pub(super) fn feed(&mut self, port: Port, input: Input<'_>) -> Result<(), Violation> {
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        let local = node.clock.read(self.now);
        node.classify(&input);
        let trace = &mut self.trace;
        trace.note(self.now, || format!("node {}: {}", port.0, describe::input(&input)));
        let mut effects = std::mem::take(&mut node.effects);
        effects.clear();
        node.core.handle(local, input.clone(), &mut effects);
        let snapshot = node.core.snapshot(local);
        let predicted = node.reference.follow(local, &input, &effects, &snapshot, node.core.next_deadline());
        let listening = node.listen(&effects);
        node.look(&snapshot);
        trace.note(self.now, || {
            let states = node.routers.iter().map(|router| {
                let states: Vec<_> = router.view.states.iter().map(|(_, state)| state.as_str()).collect();
                let leaving = if router.view.handing_over { ", leaving" } else { "" };
                format!("{}{leaving}", states.join("/"))
            });
            let states: Vec<_> = states.collect();
            format!("node {}:     {}, next {:?}", port.0, states.join("; "), node.deadline())
        });
        if let Err(difference) = predicted {
            let effects: Vec<_> = effects.iter().map(describe::effect).collect();
            let seen = format!("{} (effects: {effects:?})", difference.seen);
            return Err(Violation::by(port, self.now, difference.rule, seen));
        }
        if let Err(seen) = listening {
            return Err(Violation::by(
                port,
                self.now,
                "WatchAnnouncements and IgnoreAnnouncements alternate",
                seen,
            ));
        }
        for router in &node.routers {
            let checker = self.checkers.of_mut(router.number);
            let (kind, before) = (router.kind, &router.before);
            let input_context = InputContext { now: self.now, port, local, kind, before };
            if node.routers.len() == 1 {
                checker.judge_input(&input_context, node, &effects)?;
            } else {
                checker.judge_input(&input_context, node, &router.own_effects(&effects))?;
            }
        }
        self.note_yields(port);
        self.note_drains(port, &snapshot);
        let result = self.carry_out(port, &effects);
        self.reschedule(port);
        if let Some(Station::Ours(node)) = self.stations.get_mut(port.0) {
            node.effects = effects;
        }
        result
    }

    fn carry_out(&mut self, port: Port, effects: &Effects) -> Result<(), Violation> {
        for effect in effects {
            self.trace.note(self.now, || format!("node {}:     {}", port.0, describe::effect(effect)));
            match effect {
                Effect::HoldAddresses { key, epoch, relieved } => {
                    self.note_relieved(port, *key, *epoch, *relieved);
                    self.ask_kernel(port, *key, *epoch, WantedAddresses::Held)
                }
                Effect::DrainAddresses { key, epoch, until } => {
                    self.ask_kernel(port, *key, *epoch, WantedAddresses::Draining(*until))
                }
                Effect::ResetConnections(drain) => self.reset_connections(port, *drain),
                Effect::ReleaseAddresses { key, epoch } => {
                    self.ask_kernel(port, *key, *epoch, WantedAddresses::Absent)
                }
                Effect::Advertise {
                    key,
                    version,
                    source,
                    destination,
                    priority,
                    interval,
                    authentication,
                    checksum,
                } => {
                    let draft = Draft {
                        version: *version,
                        source: *source,
                        destination: *destination,
                        vrid: key.vrid,
                        priority: *priority,
                        interval: *interval,
                        authentication: *authentication,
                        checksum: *checksum,
                    };
                    self.transmit(port, *key, &draft)?;
                }
                Effect::Announce { key, .. } => {
                    let held = self.node(port).is_some_and(|node| node.holds(*key));
                    self.checkers
                        .of(RouterNumber::of(*key))
                        .judge_announcement(self.now, port, *key, held)?;
                    self.announce(port, *key);
                }
                Effect::WatchAnnouncements { .. }
                | Effect::IgnoreAnnouncements { .. }
                | Effect::Report(_) => {}
                Effect::Answer { id, answer } => {
                    let (now, id, answer) = (self.now, *id, answer.clone());
                    if let Some(Station::Ours(node)) = self.stations.get_mut(port.0) {
                        node.answers.push((now, id, answer));
                    }
                }
                Effect::SaveDemotion { router, demotion } => {
                    if let Some(Station::Ours(node)) = self.stations.get_mut(port.0) {
                        node.save_demotion(router, demotion.clone());
                    }
                }
                Effect::Stopped => self.end_process(port),
            }
        }
        Ok(())
    }

    fn ask_kernel(&mut self, port: Port, key: InstanceKey, epoch: u64, wanted: WantedAddresses) {
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return };
        let behaviour = node.kernel.behaviour();
        let delay = self.rng.between(behaviour.least_delay, behaviour.most_delay);
        let done_at = node.kernel.request(self.now, key, epoch, wanted, delay);
        let life = node.life;
        self.enqueue(done_at, EventOrder::Kernel, WorldEvent::KernelDone(port, life));
    }

    /// The agent ends by itself: the kernel still carries out what was asked for, but no process
    /// reads its answers.
    fn end_process(&mut self, port: Port) {
        if let Some(Station::Ours(node)) = self.stations.get_mut(port.0) {
            node.run = ProcessState::Down;
            node.socket.clear();
            node.queued_inputs.clear();
            node.forget_views();
        }
        let now = self.now;
        self.connections.iter_mut().for_each(|connections| connections.process_ended(now, port));
    }

    fn reschedule(&mut self, port: Port) {
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return };
        let waited = node.wake.map(|(deadline, _)| deadline);
        if waited == node.deadline() && waited.is_some() {
            return;
        }
        let late = self.rng.between(Duration::ZERO, self.lateness);
        node.wake = node.deadline().map(|at| (at, node.clock.when(at).max(self.now) + late));
    }

    fn transmit(&mut self, port: Port, key: InstanceKey, draft: &Draft) -> Result<(), Violation> {
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        let (listed, _) = node.core.addresses(key);
        let listed: Vec<IpAddr> = listed.iter().map(IpNet::addr).collect();
        let packet = Packet::advertise(draft, listed.iter().copied())
            .map_err(|error| Violation::by(port, self.now, "emit", error.to_string()))?;
        self.checkers.of(RouterNumber::of(key)).judge_codec(self.now, port, draft, &listed, &packet)?;
        if node.closed_sockets.contains(&key.family) {
            return Ok(());
        }
        if node.unsendable.contains(&key.family) {
            node.unsent.insert((key, draft.destination));
            let (destination, priority, errno) = (draft.destination, draft.priority, Some(EPERM));
            return self.feed(port, Input::AdvertisementUnsent { key, destination, priority, errno });
        }
        let sent_again = node.unsent.remove(&(key, draft.destination));
        self.send(port, &packet);
        if sent_again {
            self.feed(port, Input::AdvertisementSentAgain(key, draft.destination))?;
        }
        Ok(())
    }

    pub(super) fn send_foreign(
        &mut self,
        port: Port,
        message: Option<(PeerSetup, (AdvertPriority, crate::types::AdverInterval))>,
    ) {
        let Some((setup, (priority, interval))) = message else { return };
        self.trace.note(self.now, || format!("peer {}:     message {priority}, {interval}", port.0));
        self.checkers.of_mut(RouterNumber::First).note_foreign(self.now, port, priority);
        let (family, speech) = (Family::of(setup.source), setup.speech());
        for destination in setup.audience.recipients(setup.source) {
            let draft = Draft {
                version: speech.version,
                source: setup.source,
                destination,
                vrid: vrid(),
                priority,
                interval,
                authentication: speech.authentication,
                checksum: setup.checksum,
            };
            let addresses = virtual_addresses(family).into_iter().map(|net| net.addr());
            if let Ok(packet) = Packet::advertise(&draft, addresses) {
                self.send(port, &packet);
            }
        }
        if let Some(Station::Foreign(instances)) = self.stations.get_mut(port.0)
            && instances.iter_mut().any(|m| Family::of(m.setup().source) == family && m.take_became_active())
        {
            self.foreign_becomes_active(port, key(family));
        }
    }

    fn send(&mut self, port: Port, packet: &Packet) {
        self.trace.packet(self.now, packet);
        let mut arrivals = std::mem::take(&mut self.arrivals);
        // A packet to one address reaches the stations that have it.
        let destination = packet.carrier().destination;
        let is_meant = |to: Port| {
            destination.is_multicast()
                || self.stations.get(to.0).is_some_and(|station| station.has_address(destination))
        };
        self.lan.carry(port, is_meant, &mut self.rng, &mut arrivals);
        for arrival in arrivals.drain(..) {
            let copy = match arrival.copy {
                Integrity::Intact => packet.clone(),
                Integrity::Damaged => packet.damaged(&mut self.rng),
            };
            self.enqueue(
                self.now + arrival.after,
                EventOrder::Arrival,
                WorldEvent::Arrives(arrival.port, copy),
            );
        }
        self.arrivals = arrivals;
    }

    pub(super) fn enqueue(&mut self, at: TrueTime, order: EventOrder, event: WorldEvent) {
        self.sequence += 1;
        self.queue.insert((at.max(self.now), order, self.sequence), event);
    }

    fn judge(&mut self) -> Result<(), Violation> {
        let mut views = std::mem::take(&mut self.views);
        let result = self.checkers.numbers().try_for_each(|number| {
            self.look(number, &mut views);
            self.checkers.of_mut(number).judge_world(self.now, &views)
        });
        self.views = views;
        result
    }

    fn look(&self, number: RouterNumber, views: &mut Vec<StationView>) {
        views.clear();
        for (at, station) in self.stations.iter().enumerate() {
            let component = self.components.get(at).copied().unwrap_or((at, Ports::default()));
            views.push(station.view(number, Port(at), component, &self.families));
        }
    }
}

/// The error that the kernel returns when a filter forbids sending.
const EPERM: i32 = 1;
