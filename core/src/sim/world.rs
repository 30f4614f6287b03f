//! The world: stations on a LAN, one queue of happenings, one seed.
//!
//! A step goes to the earliest of the next arrival, the next answer of a kernel, the next act of
//! the script and the next deadline, in this order when they coincide: *receive before you judge*.
//! After each the checker looks at everything.

use super::checker::{Checker, Violation};
use super::clock::TrueTime;
use super::hosts::{Hosts, News};
use super::kernel::{Done, Wanted};
use super::lan::{Arrival, Copy, Lan, Port};
use super::node::{Brief, Letter, NodeSetup, Packets, Run, SimNode, interface, key, virtual_addresses, vrid};
use super::occasion::{InputKind, Occasion};
use super::packet::Packet;
use super::peer::{Machine, PeerSetup, audible};
use super::rng::Rng;
use super::script::Act;
use super::trace::{Detail, Trace};
use super::view::View;
use super::words;
use crate::protocol::{Effect, Effects, Input, StateName};
use crate::types::{AdvertPriority, Family, MonoTime};
use crate::wire::Draft;
use std::collections::BTreeMap;
use std::time::Duration;

/// One station.
#[derive(Debug)]
pub enum Station {
    /// Ours.
    Ours(Box<SimNode>),
    /// Somebody else's: one machine a family, which know nothing of each other.
    Foreign(Vec<Machine>),
}

/// How a station is configured.
#[derive(Debug, Clone)]
pub enum StationSetup {
    /// Ours.
    Ours(NodeSetup),
    /// Somebody else's; the source address is replaced by that of each family.
    Foreign(super::node::Host, PeerSetup),
}

/// A world before anything happened.
#[derive(Debug, Clone)]
pub struct WorldSetup {
    /// Decides every chance.
    pub seed: u64,
    /// Of the one virtual router that all of them run.
    pub families: Vec<Family>,
    /// Who is there, in the order of ports.
    pub stations: Vec<StationSetup>,
    /// A node notices a deadline up to this much late.
    pub lateness: Duration,
    /// Whether to remember what happens.
    pub detail: Detail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Arrival,
    Kernel,
    Script,
}

#[derive(Debug)]
pub(super) enum Happening {
    Arrives(Port, Packet),
    News(Port, News),
    KernelDone(Port, u32),
    Act(Act),
}

/// Everything.
#[derive(Debug)]
pub struct World {
    pub(super) now: TrueTime,
    pub(super) rng: Rng,
    pub(super) lan: Lan,
    pub(super) stations: Vec<Station>,
    pub(super) families: Vec<Family>,
    pub(super) lateness: Duration,
    pub(super) hosts: Hosts,
    queue: BTreeMap<(TrueTime, Rank, u64), Happening>,
    sequence: u64,
    pub(super) checker: Checker,
    pub(super) trace: Trace,
    views: Vec<View>,
    arrivals: Vec<Arrival>,
    steps: u64,
}

impl World {
    /// Nobody runs yet: [`Act::Start`] starts a station.
    #[must_use]
    pub fn new(setup: WorldSetup) -> Self {
        let checker = Checker::new(&setup);
        let families = setup.families;
        let stations: Vec<Station> =
            setup.stations.into_iter().map(|station| Station::new(station, &families)).collect();
        Self {
            now: TrueTime::ZERO,
            rng: Rng::new(setup.seed),
            lan: Lan::new(stations.len()),
            stations,
            families,
            lateness: setup.lateness,
            hosts: Hosts::new(setup.seed),
            queue: BTreeMap::new(),
            sequence: 0,
            checker,
            trace: Trace::new(setup.detail),
            views: Vec::new(),
            arrivals: Vec::new(),
            steps: 0,
        }
    }

    /// The observer's time.
    #[must_use]
    pub const fn now(&self) -> TrueTime {
        self.now
    }

    /// Steps so far.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// What happened.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// What was checked.
    #[must_use]
    pub const fn checker(&self) -> &Checker {
        &self.checker
    }

    /// The families of the virtual router.
    #[must_use]
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// One of our nodes.
    #[must_use]
    pub fn node(&self, port: Port) -> Option<&SimNode> {
        match self.stations.get(port.0) {
            Some(Station::Ours(node)) => Some(node),
            Some(Station::Foreign(_)) | None => None,
        }
    }

    /// Every station as the checker sees it.
    #[must_use]
    pub fn views(&self) -> Vec<View> {
        let mut views = Vec::new();
        self.look(&mut views);
        views
    }

    /// Puts an act into the script.
    pub fn at(&mut self, when: TrueTime, act: Act) {
        self.enqueue(when, Rank::Script, Happening::Act(act));
    }

    /// Acts now.
    ///
    /// # Errors
    /// A [`Violation`] of an invariant.
    pub fn act(&mut self, act: Act) -> Result<(), Violation> {
        let words = || format!("script: {act:?}");
        self.trace.note(self.now, words);
        self.carry_out_act(act)?;
        self.judge()
    }

    /// Runs until `until`; what happens at that very moment has happened.
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

    /// Runs this much longer.
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
            Some(Happening::Arrives(port, packet)) => self.on_arrival(port, packet)?,
            Some(Happening::News(port, news)) => self.on_news(port, news)?,
            Some(Happening::KernelDone(port, life)) => self.on_kernel_done(port, life)?,
            Some(Happening::Act(act)) => return self.act(act),
            None => self.on_deadlines()?,
        }
        self.judge()
    }

    fn on_arrival(&mut self, port: Port, packet: Packet) -> Result<(), Violation> {
        match self.stations.get_mut(port.0) {
            Some(Station::Ours(node)) => match node.run {
                Run::Down | Run::Stalled(Packets::Vanish) => Ok(()),
                Run::Stalled(Packets::Wait) => {
                    node.queue_packet(packet);
                    Ok(())
                }
                Run::Up => self.feed_packet(port, &packet),
            },
            Some(Station::Foreign(machines)) => {
                let now = MonoTime::from_nanos(self.now.as_nanos());
                let machine = machines.iter_mut().find(|m| Family::of(m.setup().source) == packet.family());
                let Some(machine) = machine else { return Ok(()) };
                let Some(heard) = audible(machine, &packet) else { return Ok(()) };
                let says = machine.on_advert(now, packet.carrier().source, &heard);
                let voice = machine.voice(says).map(|said| (*machine.setup(), said));
                self.speak_foreign(port, voice);
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
                source: Some(packet.carrier().source),
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
        match node.kernel.carry_out() {
            Done::Held(owned) => self.deliver(port, Letter::Owned(owned)),
            Done::Absent(key) => self.judge_release(port, key.family),
            Done::Nothing => Ok(()),
        }
    }

    /// Hands a letter to a node, now or when it runs again.
    pub(super) fn deliver(&mut self, port: Port, letter: Letter) -> Result<(), Violation> {
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        match node.run {
            Run::Down => Ok(()),
            Run::Stalled(_) => {
                node.letters.push_back(letter);
                Ok(())
            }
            Run::Up => self.open(port, letter),
        }
    }

    pub(super) fn open(&mut self, port: Port, letter: Letter) -> Result<(), Violation> {
        let input = match letter {
            Letter::Owned(owned) => Input::AddressesHeld(owned),
            Letter::Link(facts) => Input::Link(interface(), Some(facts)),
            Letter::Check(name, health) => Input::CheckResult(name, health),
            Letter::Operator(id, command) => Input::Command(id, command),
            Letter::Configure(spec) => Input::Configure(vec![spec]),
            Letter::Remembered(demotion) => Input::SavedDemotion(super::node::name(), demotion),
            Letter::Shutdown => Input::Shutdown,
        };
        self.feed(port, input)
    }

    fn on_deadlines(&mut self) -> Result<(), Violation> {
        let now = self.now;
        let due = self.stations.iter().position(|station| station.wakes_at().is_some_and(|at| at <= now));
        let Some(port) = due.map(Port) else { return Ok(()) };
        match self.stations.get_mut(port.0) {
            Some(Station::Ours(_)) => self.feed(port, Input::Deadline),
            Some(Station::Foreign(machines)) => {
                let now = MonoTime::from_nanos(now.as_nanos());
                let machine = machines.iter_mut().find(|m| m.next_deadline().is_some_and(|at| at <= now));
                let voice = machine.and_then(|m| {
                    let says = m.on_deadline(now);
                    m.voice(says).map(|said| (*m.setup(), said))
                });
                self.speak_foreign(port, voice);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Gives one input to the core, checks what comes of it, and carries it out.
    pub(super) fn feed(&mut self, port: Port, input: Input<'_>) -> Result<(), Violation> {
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        let local = node.clock.read(self.now);
        let mut kind = InputKind::of(&input);
        if let Input::Configure(specs) = &input
            && node.router.running().eq(specs)
        {
            kind = InputKind::Unchanged;
        }
        let trace = &mut self.trace;
        trace.note(self.now, || format!("node {}: {}", port.0, words::of_input(&input)));
        let mut effects = std::mem::take(&mut node.effects);
        effects.clear();
        let before: Brief = node.brief.clone();
        node.router.handle(local, input.clone(), &mut effects);
        let snapshot = node.router.snapshot(local);
        let predicted =
            node.reference.follow(local, &input, &effects, &snapshot, node.router.next_deadline());
        let listening = node.listen(&effects);
        node.look(&snapshot);
        trace.note(self.now, || {
            let states: Vec<_> = node.brief.states.iter().map(|(_, state)| state.as_str()).collect();
            let leaving = if node.brief.handing_over { ", leaving" } else { "" };
            format!("node {}:     {}{leaving}, next {:?}", port.0, states.join("/"), node.brief.deadline)
        });
        if let Err(difference) = predicted {
            let told: Vec<_> = effects.iter().map(words::of_effect).collect();
            let seen = format!("{} (effects: {told:?})", difference.seen);
            return Err(self.checker.violation(self.now, port, difference.rule, seen));
        }
        if let Err(seen) = listening {
            return Err(self.checker.violation(self.now, port, "Listen and Unlisten alternate", seen));
        }
        let occasion = Occasion { now: self.now, port, local, kind, before: &before };
        self.checker.judge_input(&occasion, node, &effects)?;
        self.note_yield(port, &before);
        let result = self.carry_out(port, &effects);
        self.reschedule(port);
        if let Some(Station::Ours(node)) = self.stations.get_mut(port.0) {
            node.effects = effects;
        }
        result
    }

    fn carry_out(&mut self, port: Port, effects: &Effects) -> Result<(), Violation> {
        for effect in effects {
            self.trace.note(self.now, || format!("node {}:     {}", port.0, words::of_effect(effect)));
            match effect {
                Effect::HoldAddresses { key, epoch } => self.ask_kernel(port, *key, *epoch, Wanted::Held),
                Effect::ReleaseAddresses { key, epoch } => {
                    self.ask_kernel(port, *key, *epoch, Wanted::Absent)
                }
                Effect::Advertise { key, source, priority, interval, checksum } => {
                    let draft = Draft {
                        source: *source,
                        vrid: key.vrid,
                        priority: *priority,
                        interval: *interval,
                        checksum: *checksum,
                    };
                    self.transmit(port, &draft)?;
                }
                Effect::Announce { key, .. } => {
                    let held = self.node(port).is_some_and(|node| node.holds(*key));
                    self.checker.judge_announcement(self.now, port, *key, held)?;
                    self.announce(port, key.family);
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
                Effect::SaveDemotion { demotion, .. } => {
                    if let Some(Station::Ours(node)) = self.stations.get_mut(port.0) {
                        node.demotion.clone_from(demotion);
                    }
                }
                Effect::Stopped => self.end_process(port),
            }
        }
        Ok(())
    }

    fn ask_kernel(&mut self, port: Port, key: crate::types::InstanceKey, epoch: u64, wanted: Wanted) {
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return };
        let mood = node.kernel.mood();
        let delay = self.rng.between(mood.least_delay, mood.most_delay);
        let done_at = node.kernel.request(self.now, key, epoch, wanted, delay);
        let life = node.life;
        self.enqueue(done_at, Rank::Kernel, Happening::KernelDone(port, life));
    }

    /// The agent ends by itself: the kernel still carries out what was asked, nobody listens.
    fn end_process(&mut self, port: Port) {
        if let Some(Station::Ours(node)) = self.stations.get_mut(port.0) {
            node.run = Run::Down;
            node.socket.clear();
            node.letters.clear();
            node.brief = Brief::NOTHING;
        }
    }

    fn reschedule(&mut self, port: Port) {
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return };
        let waited = node.wake.map(|(deadline, _)| deadline);
        if waited == node.brief.deadline && waited.is_some() {
            return;
        }
        let late = self.rng.between(Duration::ZERO, self.lateness);
        node.wake = node.brief.deadline.map(|at| (at, node.clock.when(at).max(self.now) + late));
    }

    fn transmit(&mut self, port: Port, draft: &Draft) -> Result<(), Violation> {
        let family = Family::of(draft.source);
        let addresses = virtual_addresses(family).into_iter().map(|net| net.addr());
        let packet = Packet::advertise(draft, addresses)
            .map_err(|error| self.checker.violation(self.now, port, "emit", error.to_string()))?;
        self.checker.judge_codec(self.now, port, draft, &packet)?;
        self.send(port, &packet);
        Ok(())
    }

    pub(super) fn speak_foreign(
        &mut self,
        port: Port,
        voice: Option<(PeerSetup, (AdvertPriority, crate::types::AdverInterval))>,
    ) {
        let Some((setup, (priority, interval))) = voice else { return };
        self.trace.note(self.now, || format!("peer {}:     says {priority}, {interval}", port.0));
        self.checker.note_foreign(self.now, port, priority);
        let draft =
            Draft { source: setup.source, vrid: vrid(), priority, interval, checksum: setup.checksum };
        let addresses = virtual_addresses(Family::of(setup.source)).into_iter().map(|net| net.addr());
        if let Ok(packet) = Packet::advertise(&draft, addresses) {
            self.send(port, &packet);
        }
        let family = Family::of(setup.source);
        if let Some(Station::Foreign(machines)) = self.stations.get_mut(port.0)
            && machines.iter_mut().any(|m| Family::of(m.setup().source) == family && m.take_risen())
        {
            self.foreign_rises(port, family);
        }
    }

    fn send(&mut self, port: Port, packet: &Packet) {
        self.trace.packet(self.now, packet);
        let mut arrivals = std::mem::take(&mut self.arrivals);
        self.lan.carry(port, &mut self.rng, &mut arrivals);
        for arrival in arrivals.drain(..) {
            let copy = match arrival.copy {
                Copy::Intact => packet.clone(),
                Copy::Damaged => packet.damaged(&mut self.rng),
            };
            self.enqueue(self.now + arrival.after, Rank::Arrival, Happening::Arrives(arrival.port, copy));
        }
        self.arrivals = arrivals;
    }

    pub(super) fn enqueue(&mut self, at: TrueTime, rank: Rank, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at.max(self.now), rank, self.sequence), happening);
    }

    fn judge(&mut self) -> Result<(), Violation> {
        let mut views = std::mem::take(&mut self.views);
        self.look(&mut views);
        let verdict = self.checker.judge_world(self.now, &views);
        self.views = views;
        verdict
    }

    fn look(&self, views: &mut Vec<View>) {
        views.clear();
        for (at, station) in self.stations.iter().enumerate() {
            let component = (0..=at)
                .find(|other| *other == at || self.both_ways(Port(*other), Port(at)))
                .map_or(at, |other| views.get(other).map_or(at, |view: &View| view.component));
            views.push(station.view(Port(at), component, &self.families));
        }
    }

    fn both_ways(&self, a: Port, b: Port) -> bool {
        self.lan.reaches(a, b) && self.lan.reaches(b, a)
    }
}

impl Station {
    fn new(setup: StationSetup, families: &[Family]) -> Self {
        match setup {
            StationSetup::Ours(setup) => Self::Ours(Box::new(SimNode::new(setup, families))),
            StationSetup::Foreign(host, setup) => {
                let machine =
                    |family: &Family| Machine::new(PeerSetup { source: host.address(*family), ..setup });
                Self::Foreign(families.iter().map(machine).collect())
            }
        }
    }

    fn wakes_at(&self) -> Option<TrueTime> {
        match self {
            Self::Ours(node) => match node.run {
                Run::Up => node.wake.map(|(_, at)| at),
                Run::Down | Run::Stalled(_) => None,
            },
            // Foreign clocks are exact.
            Self::Foreign(machines) => machines
                .iter()
                .filter_map(Machine::next_deadline)
                .map(|at| TrueTime::ZERO + at.since(MonoTime::ZERO))
                .min(),
        }
    }

    fn view(&self, port: Port, component: usize, families: &[Family]) -> View {
        let per_family = |f: &dyn Fn(Family) -> bool| {
            [Family::Ipv4, Family::Ipv6].map(|family| families.contains(&family) && f(family))
        };
        match self {
            Self::Ours(node) => {
                let up = node.run == Run::Up;
                let state = |family, wanted| node.brief.state(key(family)) == wanted;
                View {
                    port,
                    component,
                    ours: true,
                    awake: up,
                    active: per_family(&|family| up && state(family, StateName::Active)),
                    backup: per_family(&|family| up && state(family, StateName::Backup)),
                    holds: per_family(&|family| node.holds(key(family))),
                    leaving: node.brief.handing_over,
                    eligible: up && node.brief.eligible,
                    priority: node.brief.priority,
                    preempt: super::view::preempts(&node.spec.role),
                }
            }
            Self::Foreign(machines) => {
                let machine = |family| machines.iter().find(|m| Family::of(m.setup().source) == family);
                let running = |m: &Machine| m.next_deadline().is_some();
                let active = per_family(&|family| machine(family).is_some_and(Machine::is_active));
                let awake = machines.iter().all(running);
                let first = machines.first().map(Machine::setup);
                View {
                    port,
                    component,
                    ours: false,
                    awake,
                    active,
                    backup: per_family(&|family| {
                        machine(family).is_some_and(|m| running(m) && !m.is_active())
                    }),
                    holds: per_family(&|family| machine(family).is_some_and(Machine::holds)),
                    leaving: false,
                    eligible: awake,
                    priority: first.map_or(AdvertPriority::RESIGN, |setup| setup.priority),
                    preempt: first.map_or(crate::types::Preempt::Allow, |setup| setup.preempt),
                }
            }
        }
    }
}
