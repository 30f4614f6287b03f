//! The state of the model, and one step of it.

use crate::space::Limits;
use std::collections::VecDeque;
use std::time::Duration;
use vrrpd_core::protocol::{
    Command, CommandId, Demotion, Effect, Effects, Force, HoldResult, Input, LastResort, Node, StateName,
};
use vrrpd_core::sim::node::{self, Host, NodeSetup, interface, key, name, virtual_addresses};
use vrrpd_core::sim::packet::Packet;
use vrrpd_core::types::{Family, InstanceKey, MacAddr, MonoTime, Preempt, Priority, Role};
use vrrpd_core::wire::Draft;

/// One router of the model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contender {
    pub(crate) priority: u8,
    pub(crate) preempt: Preempt,
    pub(crate) v4: u8,
    pub(crate) v6: u16,
}

/// A request to a kernel that is not carried out yet.
#[derive(Debug, Clone)]
struct Request {
    key: InstanceKey,
    epoch: u64,
    hold: bool,
    asked: MonoTime,
}

#[derive(Debug, Clone)]
struct Station {
    core: Node,
    requests: VecDeque<Request>,
    held: Vec<InstanceKey>,
    listens: Vec<InstanceKey>,
    epochs: Vec<(InstanceKey, u64, bool)>,
}

/// A packet in flight.
#[derive(Debug, Clone)]
struct Flight {
    to: usize,
    sent: MonoTime,
    packet: Packet,
}

/// The whole state of the model.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) now: MonoTime,
    families: Vec<Family>,
    stations: Vec<Station>,
    air: Vec<Flight>,
    /// Demotions that an operator has asked for, and that have not arrived yet.
    orders: Vec<usize>,
    pub(crate) losses: u8,
    pub(crate) duplicates: u8,
    /// Whether the routers hear the announcements of the others: at once, or never.
    pub(crate) announcements: Announcements,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announcements {
    Heard,
    NeverHeard,
}

/// An event that may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Arrives(usize),
    Lost(usize),
    Duplicated(usize),
    KernelAnswers(usize),
    TimerFires(usize),
    Ordered(usize),
}

pub(crate) type StepResult = Result<(), String>;

impl Cluster {
    /// The routers at the moment when all of them have just been configured.
    pub(crate) fn started(families: &[Family], nodes: &[Contender]) -> Self {
        let station = || Station {
            core: Node::new(),
            requests: VecDeque::new(),
            held: Vec::new(),
            listens: Vec::new(),
            epochs: Vec::new(),
        };
        let mut cluster = Self {
            now: MonoTime::from_nanos(1),
            families: families.to_vec(),
            stations: nodes.iter().map(|_| station()).collect(),
            air: Vec::new(),
            orders: Vec::new(),
            losses: 0,
            duplicates: 0,
            announcements: Announcements::Heard,
        };
        for (at, of) in nodes.iter().enumerate() {
            let role = Role::Contender { priority: Priority::new(of.priority).unwrap(), preempt: of.preempt };
            let setup = NodeSetup::new(Host { v4: of.v4, v6: of.v6 }, role);
            let node = node::SimNode::new(setup, families);
            cluster.feed(at, Input::Configure(vec![node.spec().clone()])).unwrap();
            cluster.feed(at, Input::Link(interface(), Some(node.link().clone()))).unwrap();
        }
        cluster
    }

    /// The routers when they run and have agreed on an Active.
    pub(crate) fn settled(families: &[Family], nodes: &[Contender]) -> Self {
        let mut cluster = Self::started(families, nodes);
        cluster.rest(Duration::from_secs(20)).unwrap();
        cluster.at_rest().unwrap();
        cluster
    }

    pub(crate) fn active(&self) -> Option<usize> {
        (0..self.stations.len()).find(|at| self.is_active(*at))
    }

    pub(crate) fn demote(&mut self, at: usize) -> StepResult {
        let demotion = Demotion {
            since: String::new(),
            until: None,
            last_resort: LastResort::No,
            reason: String::new(),
            by: String::new(),
        };
        let command = Command::Demote { router: name(), demotion, force: Force::No, drain: None };
        self.feed(at, Input::Command(CommandId(1), command))
    }

    /// A demotion that may arrive at any moment from now on.
    pub(crate) fn demote_later(&mut self, at: usize) {
        self.orders.push(at);
    }

    /// Every event that may happen next.
    pub(crate) fn events(&self, limits: Limits) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        for at in 0..self.air.len() {
            events.push(Event::Arrives(at));
            if self.losses < limits.losses {
                events.push(Event::Lost(at));
            }
            if self.duplicates < limits.duplicates {
                events.push(Event::Duplicated(at));
            }
        }
        let asked = |at: &usize| !self.stations[*at].requests.is_empty();
        events.extend((0..self.stations.len()).filter(asked).map(Event::KernelAnswers));
        events.extend((0..self.orders.len()).map(Event::Ordered));
        let flights = self.air.iter().map(|flight| flight.sent);
        let requests = self.stations.iter().filter_map(|station| station.requests.front()).map(|r| r.asked);
        let timers = self.stations.iter().filter_map(|station| station.core.next_deadline());
        let latest = flights.chain(requests).chain(timers).min().unwrap_or(self.now) + limits.patience;
        let fires = |at: &usize| self.stations[*at].core.next_deadline().is_some_and(|due| due <= latest);
        events.extend((0..self.stations.len()).filter(fires).map(Event::TimerFires));
        events
    }

    pub(crate) fn step(&mut self, event: Event) -> StepResult {
        match event {
            Event::Arrives(at) => {
                let flight = self.air.remove(at);
                self.hear(flight.to, &flight.packet)
            }
            Event::Lost(at) => {
                self.air.remove(at);
                self.losses += 1;
                Ok(())
            }
            Event::Duplicated(at) => {
                let flight = self.air[at].clone();
                self.duplicates += 1;
                self.hear(flight.to, &flight.packet)
            }
            Event::KernelAnswers(at) => self.kernel(at),
            Event::TimerFires(at) => {
                let due = self.stations[at].core.next_deadline().unwrap();
                self.now = self.now.max(due);
                self.feed(at, Input::Deadline)?;
                match self.stations[at].core.next_deadline() {
                    Some(next) if next <= self.now => Err(format!("node {at}: due again at once")),
                    Some(_) | None => Ok(()),
                }
            }
            Event::Ordered(at) => {
                let who = self.orders.remove(at);
                self.demote(who)
            }
        }
    }

    /// Lets every event happen in its natural order on a healthy LAN.
    pub(crate) fn rest(&mut self, duration: Duration) -> StepResult {
        let until = self.now + duration;
        loop {
            let busy = (0..self.stations.len()).find(|at| !self.stations[*at].requests.is_empty());
            let timer = self.stations.iter().enumerate();
            let timer =
                timer.filter_map(|(at, station)| station.core.next_deadline().map(|due| (due, at))).min();
            let event = match (busy, timer) {
                _ if !self.air.is_empty() => Event::Arrives(0),
                (Some(at), _) => Event::KernelAnswers(at),
                (None, Some((due, at))) if due <= until => Event::TimerFires(at),
                (None, _) => break,
            };
            self.step(event)?;
        }
        self.now = until;
        Ok(())
    }

    /// One router is Active, and only that router holds the addresses.
    pub(crate) fn at_rest(&self) -> StepResult {
        let actives: Vec<usize> = (0..self.stations.len()).filter(|at| self.is_active(*at)).collect();
        let [active] = actives[..] else { return Err(format!("Active: {actives:?}")) };
        for (at, station) in self.stations.iter().enumerate() {
            if station.held.len() != if at == active { self.families.len() } else { 0 } {
                return Err(format!("{active} is Active, {at} holds {:?}", station.held));
            }
        }
        Ok(())
    }

    /// The addresses of every family have a holder.
    pub(crate) fn is_held(&self) -> StepResult {
        for family in &self.families {
            if !self.stations.iter().any(|station| station.held.contains(&key(*family))) {
                return Err(format!("nobody holds the addresses of {family}"));
            }
        }
        Ok(())
    }

    /// An event in this state, in words.
    pub(crate) fn describe(&self, event: Event) -> String {
        match event {
            Event::Arrives(at) | Event::Lost(at) | Event::Duplicated(at) => {
                let Flight { to, packet, .. } = &self.air[at];
                let said = packet.parse().map(|said| (said.priority.get(), said.interval));
                format!("{said:?} from {} to node {to}", packet.carrier().source)
            }
            Event::KernelAnswers(at) => format!("{:?}", self.stations[at].requests.front()),
            Event::TimerFires(at) => format!("node {at}, {:?}", self.states(at)),
            Event::Ordered(at) => format!("node {} is demoted", self.orders[at]),
        }
    }

    fn is_active(&self, at: usize) -> bool {
        let snapshot = self.stations[at].core.snapshot(self.now);
        snapshot.routers[0].instances.iter().any(|instance| instance.state == StateName::Active)
    }

    fn hear(&mut self, at: usize, packet: &Packet) -> StepResult {
        let advertisement = packet.parse().map_err(|reject| format!("{reject:?}"))?;
        self.feed(at, Input::Received { interface: interface(), carrier: packet.carrier(), advertisement })
    }

    fn kernel(&mut self, at: usize) -> StepResult {
        let station = &mut self.stations[at];
        let Some(Request { key, epoch, hold, .. }) = station.requests.pop_front() else { return Ok(()) };
        station.held.retain(|held| *held != key);
        if hold {
            station.held.push(key);
            station.held.sort_unstable();
            return self.feed(at, Input::AddressesHeld(HoldResult { key, epoch, outcome: Ok(()) }));
        }
        Ok(())
    }

    fn feed(&mut self, at: usize, input: Input<'_>) -> StepResult {
        let before = self.states(at);
        let mut effects = Effects::new();
        self.stations[at].core.handle(self.now, input, &mut effects);
        let after = self.states(at);
        let active = after.iter().filter(|(_, state)| *state == StateName::Active).count();
        if active != 0 && active != after.len() {
            return Err(format!("node {at}: families apart: {after:?}"));
        }
        for effect in effects {
            self.carry_out(at, &before, &after, effect)?;
        }
        for (key, state) in after {
            let wanted = self.stations[at].epochs.iter().any(|(of, _, hold)| *of == key && *hold);
            let retained = state != StateName::Active && self.stations[at].listens.contains(&key);
            if wanted != (state == StateName::Active || retained) {
                return Err(format!("node {at}: {key} is {state}, wanted: {wanted}"));
            }
        }
        Ok(())
    }

    /// All the other routers hear the announcement, if they want to hear announcements.
    fn announce(&mut self, at: usize, key: InstanceKey) -> StepResult {
        if self.announcements == Announcements::NeverHeard {
            return Ok(());
        }
        for other in (0..self.stations.len()).filter(|other| *other != at) {
            for address in virtual_addresses(key.family) {
                if self.stations[other].listens.contains(&key) {
                    let mac = MacAddr([2, 0, 0, 0, 0, 1]);
                    let announced =
                        Input::AnnouncementHeard { interface: interface(), address: address.addr(), mac };
                    self.feed(other, announced)?;
                }
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, at: usize, before: &States, after: &States, effect: Effect) -> StepResult {
        let was = |states: &States, key| states.contains(&(key, StateName::Active));
        match effect {
            Effect::HoldAddresses { key, epoch, .. } => {
                // An instance that takes over again before it has let go asks for addresses that it
                // holds.
                let again = before.contains(&(key, StateName::Backup));
                self.request(at, key, epoch, true, again)
            }
            Effect::ReleaseAddresses { key, epoch } | Effect::DrainAddresses { key, epoch, .. } => {
                self.request(at, key, epoch, false, false)
            }
            Effect::ResetConnections(..) => Ok(()),
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
                // An instance that yields sends one last advertisement, while it still holds the
                // addresses.
                let wanted = self.stations[at].epochs.iter().any(|(of, _, hold)| *of == key && *hold);
                let entitled = if priority.is_resignation() {
                    was(before, key)
                } else {
                    was(after, key) || (was(before, key) && wanted)
                };
                if !entitled {
                    return Err(format!("node {at} says {priority} and is {before:?}, then {after:?}"));
                }
                let vrid = key.vrid;
                let draft = Draft {
                    version,
                    source,
                    destination,
                    vrid,
                    priority,
                    interval,
                    authentication,
                    checksum,
                };
                let addresses = virtual_addresses(key.family).into_iter().map(|net| net.addr());
                let packet = Packet::advertise(&draft, addresses).map_err(|error| error.to_string())?;
                let others = (0..self.stations.len()).filter(|to| *to != at);
                let flight = |to| Flight { to, sent: self.now, packet: packet.clone() };
                self.air.extend(others.map(flight));
                Ok(())
            }
            Effect::Announce { key, .. } if !self.stations[at].held.contains(&key) => {
                Err(format!("node {at} announces {key} and does not hold it"))
            }
            Effect::Announce { key, .. } => self.announce(at, key),
            Effect::WatchAnnouncements { key } => {
                let listens = &mut self.stations[at].listens;
                listens.push(key);
                listens.sort_unstable();
                Ok(())
            }
            Effect::IgnoreAnnouncements { key } => {
                self.stations[at].listens.retain(|listens| *listens != key);
                Ok(())
            }
            Effect::Report(_) | Effect::Answer { .. } | Effect::SaveDemotion { .. } | Effect::Stopped => {
                Ok(())
            }
        }
    }

    fn request(&mut self, at: usize, key: InstanceKey, epoch: u64, hold: bool, again: bool) -> StepResult {
        let asked = self.now;
        let station = &mut self.stations[at];
        let last = station.epochs.iter().position(|(of, ..)| *of == key);
        let (_, last_epoch, last_hold) = last.map_or((key, 0, false), |last| station.epochs.remove(last));
        if epoch <= last_epoch || (hold == last_hold && !again) {
            return Err(format!("node {at}: {key} epoch {epoch} hold {hold} after {last_epoch} {last_hold}"));
        }
        station.epochs.push((key, epoch, hold));
        station.requests.push_back(Request { key, epoch, hold, asked });
        Ok(())
    }

    fn states(&self, at: usize) -> States {
        let snapshot = self.stations[at].core.snapshot(self.now);
        let instances =
            snapshot.routers.first().map(|router| router.instances.as_slice()).unwrap_or_default();
        instances.iter().map(|instance| (instance.key, instance.state)).collect()
    }
}

type States = Vec<(InstanceKey, StateName)>;
