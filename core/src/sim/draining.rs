//! Draining in a world: packets of connections move between hosts and stations, leavers list their
//! connections, and their kernels answer.
//!
//! The rules:
//!
//! * In a planned move no connection is reset by a station that does not know it.
//! * What no leaver listed is passed on only while the address is switching.
//! * No packet visits a station twice.
//! * Nothing is passed on to a leaver that has been dead for some seconds.
//! * A drain does not end with a connection that was neither over nor reset.
//! * On a whole LAN nothing hangs: a packet that reaches the service is answered, or its connection
//!   is reset after some seconds.

use super::checker::Violation;
use super::clock::TrueTime;
use super::connections::{
    ConnectionId, ConnectionPacket, ConnectionSetup, ConnectionTotals, Met, PacketSender, PacketSending,
    Partners, ServerReply, SimConnections, Strictness, Tuple,
};
use super::forwarding::{Decision, ForwardingReason, SILENT, SWITCHING};
use super::kernel::KernelOutcome;
use super::lan::{Lan, Port};
use super::node::{ProcessState, QueuedInput};
use super::rng::Rng;
use super::router::RouterNumber;
use super::world::{EventOrder, Station, World, WorldEvent};
use crate::protocol::{DrainId, Snapshot, StateName};
use crate::types::{Family, InstanceKey, MonoTime};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// A leaver lists its connections this often at first, and then each second.
const FIRST_LISTS: Duration = Duration::from_millis(250);
const LISTS: Duration = Duration::from_secs(1);
/// How long a leaver lists often.
const LISTS_OFTEN_FOR: Duration = Duration::from_secs(6);
/// How many ticks in a row must find no connection before the drain is over.
const EMPTY_TICKS: u8 = 2;
/// How long a leaver waits for a station that serves and does not forward.
const NOT_FORWARDED: Duration = Duration::from_secs(3);
/// The addresses of a drain outlive its deadline by this much if nobody removes them.
const LIFETIME_MARGIN: Duration = Duration::from_secs(10);
/// How long nothing may hang: until a dead leaver is not believed in any more, and the host has sent
/// again.
const HANGS: Duration = Duration::from_millis(4500);
/// How long after the death of a leaver packets may be passed on to it: it is silent for three
/// seconds, its last message was on its way, and lists are looked at each second.
const DEAD: Duration = SILENT.saturating_add(Duration::from_millis(1300));
/// A host asks again who has an address if so many packets in a row were not answered.
const ASKS_AGAIN: u32 = 3;
/// Resetting connections takes up to this long.
const RESETTING: Duration = Duration::from_millis(120);

/// What happens to connections.
#[derive(Debug, Clone)]
pub(super) enum ConnectionEvent {
    /// A host opens a connection.
    Opens(InstanceKey, Port),
    /// A host sends the next packet, unless that is the timer of an earlier packet.
    Sends(ConnectionId, u32),
    /// A packet arrives at a station.
    Arrives(Port, ConnectionPacket),
    /// A station's reply arrives at the host.
    Replies(ConnectionId, ServerReply),
    /// A leaver looks at its connections, and lists them.
    Tick(Port, InstanceKey, u64),
    /// A station hears of a leaver.
    Heard { to: Port, leaver: Port, key: InstanceKey, listed: Vec<Tuple> },
    /// A station hears that a leaver is one no longer.
    Ended { to: Port, leaver: Port, key: InstanceKey },
    /// The kernel of a station resets the connections, for the process with this number.
    Resets(Port, DrainId, u32),
    /// The daemon has found that so many were reset.
    WereReset(Port, DrainId, u32, usize),
    /// The lifetime of addresses that drain is over.
    LifetimeEnds(Port, InstanceKey, MonoTime),
}

impl World {
    /// From now on hosts open connections.
    pub fn simulate_connections(&mut self, setup: ConnectionSetup) {
        let mut rng = Rng::new(self.rng.clone().next_u64() ^ 0x0063_6f6e_6e65_6374);
        let keys: Vec<InstanceKey> = self
            .checkers
            .numbers()
            .flat_map(|number| self.families.iter().map(move |family| number.key(*family)))
            .collect();
        for key in keys {
            for host in (0..self.stations.len()).map(Port) {
                let at = self.now + rng.between(Duration::ZERO, setup.most_pause);
                self.on_connections(at, ConnectionEvent::Opens(key, host));
            }
        }
        self.connections = Some(Box::new(SimConnections::new(setup, rng)));
    }

    /// What happened to connections so far.
    #[must_use]
    pub fn connection_totals(&self) -> ConnectionTotals {
        self.connections.as_ref().map(|connections| connections.totals).unwrap_or_default()
    }

    fn on_connections(&mut self, at: TrueTime, event: ConnectionEvent) {
        self.enqueue(at, EventOrder::Arrival, WorldEvent::Connections(event));
    }

    pub(super) fn on_connection_event(&mut self, event: ConnectionEvent) -> Result<(), Violation> {
        let Some(mut connections) = self.connections.take() else { return Ok(()) };
        let mut inputs = Vec::new();
        let result = self.handle_connection_event(&mut connections, event, &mut inputs);
        self.connections = Some(connections);
        result?;
        inputs.into_iter().try_for_each(|(port, input)| self.deliver(port, input))
    }

    fn handle_connection_event(
        &mut self,
        connections: &mut SimConnections,
        event: ConnectionEvent,
        inputs: &mut Vec<(Port, QueuedInput)>,
    ) -> Result<(), Violation> {
        match event {
            ConnectionEvent::Opens(key, host) => {
                if self.hosts.belief(host, key).is_some() {
                    let id = connections.open(self.now, key, host);
                    self.on_connections(self.now, ConnectionEvent::Sends(id, 0));
                }
                let (least, most) = (connections.setup.least_pause, connections.setup.most_pause);
                let next = self.now + connections.rng.between(least, most);
                self.on_connections(next, ConnectionEvent::Opens(key, host));
            }
            ConnectionEvent::Sends(id, timer) => {
                if connections.client(id).is_some_and(|client| client.timer == timer) {
                    self.send_next(connections, id)?;
                }
            }
            ConnectionEvent::Arrives(port, packet) => self.packet_arrives(connections, port, packet)?,
            ConnectionEvent::Replies(id, ServerReply::Reset) => connections.reset(id),
            ConnectionEvent::Replies(id, ServerReply::Answer(from, segment)) => {
                if let Some(after) = connections.answered(id, from, segment) {
                    let timer = connections.client(id).map_or(0, |client| client.timer);
                    self.on_connections(self.now + after, ConnectionEvent::Sends(id, timer));
                }
            }
            ConnectionEvent::Tick(port, key, number) => {
                inputs.extend(self.tick(connections, port, key, number).map(|input| (port, input)));
            }
            ConnectionEvent::Heard { to, leaver, key, listed } => {
                let up = self.node(to).is_some_and(|node| node.run == ProcessState::Up);
                let armed = connections.rules.contains_key(&(to, key));
                if up && (armed || self.is_active(to, key)) {
                    let words = || format!("node {}: {} lists {} of {key}", to.0, leaver.0, listed.len());
                    self.trace.note(self.now, words);
                    let rules = connections.rules.entry((to, key)).or_default();
                    rules.hear(self.now, leaver, listed.into_iter());
                }
            }
            ConnectionEvent::Ended { to, leaver, key } => {
                if let Some(rules) = connections.rules.get_mut(&(to, key)) {
                    self.trace.note(self.now, || format!("node {}: forgets {} of {key}", to.0, leaver.0));
                    rules.forget(leaver);
                }
            }
            ConnectionEvent::Resets(port, drain, life) => {
                if self.node(port).is_some_and(|node| node.life == life) {
                    let reset = connections.destroy(self.now, port, drain.key);
                    let after = connections.rng.between(Duration::ZERO, Duration::from_millis(20));
                    let event = ConnectionEvent::WereReset(port, drain, life, reset);
                    self.on_connections(self.now + after, event);
                }
            }
            ConnectionEvent::WereReset(port, drain, life, reset) => {
                if self.node(port).is_some_and(|node| node.life == life) {
                    inputs.push((port, QueuedInput::ConnectionsEnded(drain, reset)));
                }
            }
            ConnectionEvent::LifetimeEnds(port, key, until) => {
                if let Some(Station::Ours(node)) = self.stations.get_mut(port.0) {
                    node.kernel.end_lifetime(key, until);
                }
            }
        }
        Ok(())
    }

    fn send_next(&mut self, connections: &mut SimConnections, id: ConnectionId) -> Result<(), Violation> {
        let Some(PacketSending { segment, again_after }) = connections.sending(self.now, id) else {
            return Ok(());
        };
        let whole = self.is_whole();
        let now = self.now;
        let Some(client) = connections.client(id) else { return Ok(()) };
        let (tuple, timer) = (client.tuple, client.timer);
        if !whole {
            client.stuck_since = None;
        }
        if let Some(since) = client.stuck_since.filter(|since| now.since(*since) > HANGS) {
            let seen = format!("{id:?} of {:?} since {since:?}", client.server);
            return Err(Violation { at: now, port: None, rule: "no connection hangs on a whole LAN", seen });
        }
        let asks = client.unanswered > ASKS_AGAIN;
        if asks {
            self.ask_again(tuple);
        }
        self.on_connections(now + again_after, ConnectionEvent::Sends(id, timer));
        let Some(station) = self.hosts.belief(tuple.host, tuple.key) else { return Ok(()) };
        match self.way(connections, tuple.host, station) {
            Some(way) => {
                let packet =
                    ConnectionPacket { id, tuple, segment, sender: PacketSender::Host, visited: Vec::new() };
                self.on_connections(now + way, ConnectionEvent::Arrives(station, packet));
            }
            None => connections.client(id).into_iter().for_each(|client| client.stuck_since = None),
        }
        Ok(())
    }

    /// A host asks who has the address, because the station that it believes to have it does not
    /// answer.
    fn ask_again(&mut self, tuple: Tuple) {
        let Tuple { key, host, .. } = tuple;
        let answers = |port: &Port| {
            let reached = self.reaches(host, *port) && self.reaches(*port, host);
            reached && self.node(*port).is_some_and(|node| node.holds(key))
        };
        let answering: Vec<Port> = (0..self.stations.len()).map(Port).filter(answers).collect();
        let believed = self.hosts.belief(host, key);
        if let Some(first) =
            answering.first().filter(|_| !answering.iter().any(|port| Some(*port) == believed))
        {
            self.hosts.believe(self.now, host, key, *first);
        }
    }

    fn packet_arrives(
        &mut self,
        connections: &mut SimConnections,
        port: Port,
        mut packet: ConnectionPacket,
    ) -> Result<(), Violation> {
        let now = self.now;
        let ConnectionPacket { id, tuple, segment, sender, .. } = packet;
        let key = tuple.key;
        let first = packet.visited.is_empty();
        if connections.off.contains(&port) {
            connections.client(id).filter(|_| first).into_iter().for_each(|client| client.stuck_since = None);
            return Ok(());
        }
        let has_address = self.node(port).is_some_and(|node| node.kernel.accepts(key));
        if first
            && has_address
            && let Some(client) = connections.client(id)
        {
            client.stuck_since.get_or_insert(now);
        }
        let fail = |rule, seen: String| Err(Violation::by(port, now, rule, seen));
        if packet.visited.contains(&port) {
            return fail("no packet visits a station twice", format!("{packet:?}"));
        }
        packet.visited.push(port);
        connections.totals.most_visited = connections.totals.most_visited.max(packet.visited.len());
        let rules = connections.rules.get_mut(&(port, key));
        let decision = rules.map_or(Decision::Here, |rules| rules.decide(now, tuple, segment, sender));
        self.trace
            .note(now, || format!("node {}:     {id:?} {segment:?} from {sender:?}: {decision:?}", port.0));
        if let Decision::PassOn(to, reason) = decision {
            match reason {
                ForwardingReason::Listed => connections.totals.forwarded_by_list += 1,
                ForwardingReason::Switching => {
                    connections.totals.forwarded_while_switching += 1;
                    let armed = connections.armed.get(&(port, key));
                    if armed.is_none_or(|armed| now.since(*armed) > SWITCHING) {
                        let seen = format!("{packet:?} to {}", to.0);
                        return fail("only listed connections are passed on after the switch", seen);
                    }
                }
            }
            if let Some(since) = connections.down.get(&to).filter(|since| now.since(**since) > DEAD) {
                let seen = format!("{packet:?} to {}, down since {since:?}", to.0);
                return fail("nothing is passed on to the dead", seen);
            }
            if let Some(way) = self.way(connections, port, to) {
                packet.sender = PacketSender::Station(port);
                self.on_connections(now + way, ConnectionEvent::Arrives(to, packet));
            }
            return Ok(());
        }
        if !has_address {
            connections.totals.swallowed += 1;
            return Ok(());
        }
        let reply = match connections.meet(now, port, &packet) {
            Met::Nothing => return Ok(()),
            Met::Answer => ServerReply::Answer(port, segment),
            Met::Unknown => match connections.setup.strictness {
                Strictness::NothingIsReset => {
                    let server = connections.client(id).and_then(|client| client.server);
                    let seen = format!("{packet:?} of {server:?}");
                    return fail("no connection is reset by a station that does not know it", seen);
                }
                Strictness::NothingHangs => ServerReply::Reset,
            },
        };
        match self.way(connections, port, tuple.host) {
            Some(way) => self.on_connections(now + way, ConnectionEvent::Replies(id, reply)),
            None => connections.client(id).into_iter().for_each(|client| client.stuck_since = None),
        }
        Ok(())
    }

    /// A leaver looks at its connections and lists them. Returns what its core is told.
    fn tick(
        &mut self,
        connections: &mut SimConnections,
        port: Port,
        key: InstanceKey,
        number: u64,
    ) -> Option<QueuedInput> {
        let now = self.now;
        let node = self.node(port)?;
        let (drains, up) = (node.kernel.drains(key), node.run == ProcessState::Up);
        let own = connections.own(now, port, key);
        let place = (port, key);
        let drain = connections.drains.get(&place).copied().filter(|drain| drain.number == number)?;
        if !drains || connections.off.contains(&port) {
            connections.drains.remove(&place);
            return None;
        }
        let often = now.since(drain.since) < LISTS_OFTEN_FOR;
        let next = if often { FIRST_LISTS } else { LISTS };
        self.on_connections(now + next, ConnectionEvent::Tick(port, key, number));
        if !up {
            return None;
        }
        for to in (0..self.stations.len())
            .map(Port)
            .filter(|to| *to != port && self.reaches(port, *to))
            .collect::<Vec<_>>()
        {
            let listed = if self.is_active(to, key) { own.clone() } else { Vec::new() };
            let at = connections.message_arrives(now, port, to);
            self.on_connections(at, ConnectionEvent::Heard { to, leaver: port, key, listed });
        }
        let neglects = |other: Port| {
            let rules = connections.rules.get(&(other, key));
            let forwards = rules.is_some_and(|rules| rules.hears(now, port));
            other != port && self.reaches(other, port) && self.is_active(other, key) && !forwards
        };
        let neglected = (0..self.stations.len()).map(Port).any(neglects);
        let drain = connections.drains.get_mut(&place)?;
        drain.lost_since = neglected.then(|| drain.lost_since.unwrap_or(now));
        drain.empty_ticks = if own.is_empty() { drain.empty_ticks.saturating_add(1) } else { 0 };
        if drain.empty_ticks >= EMPTY_TICKS && !drain.told {
            drain.told = true;
            return Some(QueuedInput::ConnectionsEnded(self.drain_of_core(port, key)?, 0));
        }
        drain.told &= own.is_empty();
        if drain.lost_since.is_some_and(|since| now.since(since) >= NOT_FORWARDED) {
            drain.lost_since = None;
            return Some(QueuedInput::ForwardingLost(self.drain_of_core(port, key)?));
        }
        None
    }

    /// The drain of an instance, as the core of a station knows it.
    fn drain_of_core(&self, port: Port, key: InstanceKey) -> Option<DrainId> {
        let node = self.node(port)?;
        let snapshot = node.core().snapshot(node.clock().read(self.now));
        let mut instances = snapshot.routers.into_iter().flat_map(|router| router.instances);
        let drain = instances.find(|instance| instance.key == key)?.draining?;
        Some(DrainId { key, since: drain.since })
    }

    // What the world tells.

    /// The core asked for addresses that it takes over from a router that lives.
    pub(super) fn note_relieved(
        &mut self,
        port: Port,
        key: InstanceKey,
        epoch: u64,
        relieved: Option<IpAddr>,
    ) {
        let relieved = relieved.and_then(|relieved| self.station_with(relieved));
        if let Some((connections, relieved)) = self.connections.as_mut().zip(relieved)
            && connections.setup.partners == Partners::All
        {
            connections.relieved.insert((port, key, epoch), relieved);
        }
    }

    /// The core asked its kernel to reset the connections of an instance.
    pub(super) fn reset_connections(&mut self, port: Port, drain: DrainId) {
        let Some(life) = self.node(port).map(|node| node.life) else { return };
        let Some(connections) = self.connections.as_mut() else { return };
        let after = connections.rng.between(Duration::ZERO, RESETTING);
        self.on_connections(self.now + after, ConnectionEvent::Resets(port, drain, life));
    }

    /// The kernel of a station has carried out a request about addresses.
    pub(super) fn note_kernel_outcome(
        &mut self,
        port: Port,
        outcome: &KernelOutcome,
    ) -> Result<(), Violation> {
        let now = self.now;
        let Some(connections) = self.connections.as_mut() else { return Ok(()) };
        match outcome {
            KernelOutcome::Held(result) => {
                let relieved = connections.relieved.remove(&(port, result.key, result.epoch));
                let place = (port, result.key);
                if relieved.is_some() || connections.rules.contains_key(&place) {
                    let own = connections.own(now, port, result.key);
                    connections.rules.entry(place).or_default().arm(now, relieved, own.into_iter());
                    connections.armed.extend(relieved.map(|_| (place, now)));
                }
            }
            KernelOutcome::Draining { result, until, was_held: _ } => {
                let place = (port, result.key);
                connections.rules.entry(place).or_default().give_away(now);
                if result.outcome.is_ok() {
                    if !connections.drains.contains_key(&place) {
                        let number = connections.begin_drain(now, port, result.key);
                        self.on_connections(now, ConnectionEvent::Tick(port, result.key, number));
                    }
                    let clock = self.node(port).map_or(super::clock::Clock::EXACT, |node| node.clock);
                    let ends = clock.when(*until + LIFETIME_MARGIN);
                    self.on_connections(ends, ConnectionEvent::LifetimeEnds(port, result.key, *until));
                }
            }
            KernelOutcome::Absent(key) => {
                connections.rules.entry((port, *key)).or_default().give_away(now);
            }
            KernelOutcome::Drained(key) => {
                connections.totals.drains_ended += 1;
                let left = connections.left(port, *key);
                if left > 0 {
                    let seen = format!("{left} connections of {key}");
                    let rule = "a drain does not end with connections";
                    return Err(Violation::by(port, now, rule, seen));
                }
            }
            KernelOutcome::Nothing => {}
        }
        Ok(())
    }

    /// After an input: drains that the core does not know any more are over.
    pub(super) fn note_drains(&mut self, port: Port, snapshot: &Snapshot) {
        let Some(mut connections) = self.connections.take() else { return };
        let instances = snapshot.routers.iter().flat_map(|router| &router.instances);
        for instance in instances.filter(|instance| instance.draining.is_none()) {
            let drained = connections.drains.remove(&(port, instance.key)).is_some();
            // A leaver that is Active again does not say that it drains no longer: until hosts know
            // of it, their packets go to the station that it relieves, which must know its list.
            if !drained || instance.state == StateName::Active {
                continue;
            }
            for to in (0..self.stations.len())
                .map(Port)
                .filter(|to| *to != port && self.reaches(port, *to))
                .collect::<Vec<_>>()
            {
                let at = connections.message_arrives(self.now, port, to);
                self.on_connections(at, ConnectionEvent::Ended { to, leaver: port, key: instance.key });
            }
        }
        self.connections = Some(connections);
    }

    /// Each station learns which others would win the election against it: what it knows before the
    /// next act.
    pub(super) fn tell_better_backups(&mut self) -> Result<(), Violation> {
        for port in (0..self.stations.len()).map(Port) {
            let Some(ahead) = self.better_backups(port) else { continue };
            let Some(connections) = &mut self.connections else { continue };
            if connections.better_backups.insert(port, ahead.clone()).as_ref() != Some(&ahead) {
                self.deliver(port, QueuedInput::BetterBackups(ahead))?;
            }
        }
        Ok(())
    }

    /// For each instance of a station that runs, how many Backups would win the election against it.
    /// Stations know that of one another where they can leave connections to one another.
    fn better_backups(&self, port: Port) -> Option<BTreeMap<InstanceKey, u8>> {
        let connections = self.connections.as_ref()?;
        self.node(port).filter(|node| node.run == ProcessState::Up)?;
        if connections.setup.partners == Partners::None {
            return None;
        }
        let mut better = BTreeMap::new();
        for number in self.checkers.numbers() {
            let ready = |other: &Port| {
                let node = self.node(*other).filter(|node| node.run == ProcessState::Up)?;
                let view = node.view(number);
                let is_backup = view.states.iter().all(|(_, state)| *state == StateName::Backup);
                (view.eligible && is_backup).then_some(view.priority)
            };
            let ours = self.node(port)?.view(number).priority;
            let stations = (0..self.stations.len()).map(Port);
            let others = stations.filter(|other| *other != port && self.reaches(*other, port));
            let ahead = others.filter(|other| ready(other).is_some_and(|theirs| theirs > ours)).count();
            let ahead = u8::try_from(ahead).unwrap_or(u8::MAX);
            better.extend(self.families.iter().map(|family| (number.key(*family), ahead)));
        }
        Some(better)
    }

    /// To which routers a station can leave its connections.
    pub(super) fn drain_partners(&self, port: Port) -> Option<BTreeMap<InstanceKey, BTreeSet<IpAddr>>> {
        let connections = self.connections.as_ref()?;
        let mut partners = BTreeMap::new();
        for number in self.checkers.numbers() {
            for family in &self.families {
                let others = self.stations.iter().enumerate().filter(|(at, _)| *at != port.0);
                let addresses = others.filter_map(|(_, station)| match station {
                    Station::Ours(node) => Some(node.host.address(*family)),
                    Station::Foreign(_) => None,
                });
                let addresses = match connections.setup.partners {
                    Partners::All => addresses.collect(),
                    Partners::None => BTreeSet::new(),
                };
                partners.insert(number.key(*family), addresses);
            }
        }
        Some(partners)
    }

    // What is true.

    fn is_active(&self, port: Port, key: InstanceKey) -> bool {
        self.node(port).is_some_and(|node| {
            let view = node.view(RouterNumber::of(key));
            node.run == ProcessState::Up && view.state(key) == StateName::Active
        })
    }

    fn station_with(&self, address: IpAddr) -> Option<Port> {
        let family = Family::of(address);
        let has = |station: &Station| match station {
            Station::Ours(node) => node.host.address(family) == address,
            Station::Foreign(_) => false,
        };
        self.stations.iter().position(has).map(Port)
    }

    /// Whether every station reaches every other one.
    fn is_whole(&self) -> bool {
        let ports = || (0..self.stations.len()).map(Port);
        ports().all(|from| ports().all(|to| self.reaches(from, to)))
    }

    /// Whether a frame from one port arrives at another; a host is at the port of its station.
    fn reaches(&self, from: Port, to: Port) -> bool {
        if from == to { self.lan.plugged(from) } else { self.lan.reaches(from, to) }
    }

    /// How long a packet is on its way, if it is not lost.
    fn way(&self, connections: &mut SimConnections, from: Port, to: Port) -> Option<Duration> {
        let conditions = self.lan.conditions();
        let lost = connections.rng.chance(conditions.loss);
        (self.reaches(from, to) && !lost).then(|| Lan::delay(conditions, &mut connections.rng))
    }
}
