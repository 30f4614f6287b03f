//! SimConnections to the addresses, as tokens: who opened them, which station accepted them, and
//! whether their packets are answered.
//!
//! A host opens a connection to the station that it believes to have the addresses, sends a packet
//! now and then, and ends the connection after a while. A packet that is not answered is sent again.
//! A station that gets a packet of a connection that it does not know resets the connection, as the
//! kernel does: that is what draining is to prevent.
//!
//! This file knows connections and sockets. `draining` moves the packets through the world and
//! decides what a station does with them, by the rules of `forwarding`.

use super::clock::TrueTime;
use super::forwarding::{ForwardingRules, Segment};
use super::lan::Port;
use super::rng::{PerMille, Rng};
use crate::types::InstanceKey;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Whether our stations can leave connections to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partners {
    /// Each can to all others.
    All,
    /// None can.
    None,
}

/// How strict the rules about connections are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Moves are planned: no connection is reset by a station that does not know it.
    NothingIsReset,
    /// There are faults, which may cost connections: nothing hangs.
    NothingHangs,
}

/// The connections of a world.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionSetup {
    /// Whether connections can be left to other stations.
    pub partners: Partners,
    /// How strict the rules are.
    pub strictness: Strictness,
    /// Each host opens a connection to each instance at least this long after the one before.
    pub least_pause: Duration,
    /// The same, at most.
    pub most_pause: Duration,
}

/// What happened to connections so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionTotals {
    /// SimConnections that were opened.
    pub opened: u64,
    /// SimConnections that ended as their hosts wanted.
    pub ended: u64,
    /// SimConnections that were reset by a station that did not know them.
    pub reset: u64,
    /// SimConnections that were reset at the end of a drain.
    pub reset_by_drain: u64,
    /// Packets of listed connections that were passed on.
    pub forwarded_by_list: u64,
    /// Packets that were passed on because the address was switching.
    pub forwarded_while_switching: u64,
    /// Packets that arrived at a station without the addresses.
    pub swallowed: u64,
    /// Drains that began.
    pub drains: u64,
    /// Drains that were over.
    pub drains_ended: u64,
    /// The most stations that one packet visited.
    pub most_visited: usize,
}

/// What the packets of one connection have in common: a host uses the same one again for a later
/// connection, as ports are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tuple {
    pub(super) key: InstanceKey,
    pub(super) host: Port,
    number: u32,
}

impl Tuple {
    #[cfg(test)]
    pub(super) const fn new(key: InstanceKey, host: Port, number: u32) -> Self {
        Self { key, host, number }
    }
}

/// A connection, which is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId(u64);

/// From which machine on the link a packet comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PacketSender {
    /// The host that has the connection.
    Host,
    /// A station that passed the packet on.
    Station(Port),
}

/// A packet of a connection.
#[derive(Debug, Clone)]
pub(super) struct ConnectionPacket {
    pub(super) id: ConnectionId,
    pub(super) tuple: Tuple,
    pub(super) segment: Segment,
    pub(super) sender: PacketSender,
    pub(super) visited: Vec<Port>,
}

/// What a host gets back.
#[derive(Debug, Clone, Copy)]
pub(super) enum ServerReply {
    Answer(Port, Segment),
    Reset,
}

/// The host's side of a connection.
#[derive(Debug, Clone)]
pub(super) struct SimClient {
    pub(super) tuple: Tuple,
    /// The station that accepted it.
    pub(super) server: Option<Port>,
    pub(super) ends_at: TrueTime,
    pace: Duration,
    /// How many packets were sent since the last answer.
    pub(super) unanswered: u32,
    /// Numbers the packets: the timer of an earlier packet is void.
    pub(super) timer: u32,
    /// Since when packets reach a living station that has the addresses, and are not answered.
    pub(super) stuck_since: Option<TrueTime>,
}

/// A station's side of a connection.
#[derive(Debug, Clone, Copy)]
struct Socket {
    id: ConnectionId,
    /// When the service gives up a connection of which it hears nothing more.
    until: TrueTime,
}

/// A drain of one station, as its daemon sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct SimDrain {
    pub(super) since: TrueTime,
    /// Tells the ticks of this drain from those of an earlier one.
    pub(super) number: u64,
    pub(super) empty_ticks: u8,
    /// Since when another station serves that does not forward for us.
    pub(super) lost_since: Option<TrueTime>,
    /// Whether the core was told that no connection is left.
    pub(super) told: bool,
}

/// What a host does next with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PacketSending {
    pub(super) segment: Segment,
    pub(super) again_after: Duration,
}

/// All connections of a world, and what stations know of them.
#[derive(Debug)]
pub(super) struct SimConnections {
    pub(super) setup: ConnectionSetup,
    pub(super) rng: Rng,
    pub(super) totals: ConnectionTotals,
    clients: BTreeMap<ConnectionId, SimClient>,
    sockets: BTreeMap<(Port, Tuple), Socket>,
    free: BTreeMap<(InstanceKey, Port), Vec<u32>>,
    next: u64,
    pub(super) rules: BTreeMap<(Port, InstanceKey), ForwardingRules>,
    /// When each instance was armed last with a station that it relieved.
    pub(super) armed: BTreeMap<(Port, InstanceKey), TrueTime>,
    /// From whom addresses are taken over, until the kernel has them.
    pub(super) relieved: BTreeMap<(Port, InstanceKey, u64), Port>,
    pub(super) drains: BTreeMap<(Port, InstanceKey), SimDrain>,
    /// What each station was last told of better Backups.
    pub(super) better_backups: BTreeMap<Port, BTreeMap<InstanceKey, u8>>,
    drain_number: u64,
    /// Since when the process of a station is down.
    pub(super) down: BTreeMap<Port, TrueTime>,
    /// Machines without power.
    pub(super) off: BTreeSet<Port>,
    /// When the last message from one station to another arrives: messages stay in order.
    last_message: BTreeMap<(Port, Port), TrueTime>,
}

/// What a packet meets at a station that has the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// The station answers.
    Answer,
    /// The station drops the packet, and expects it again.
    Nothing,
    /// The station does not know the connection, and resets it.
    Unknown,
}

/// How long connections live. Those of a moment matter as much as those that outlive several moves.
const SHORTEST_LIFE: Duration = Duration::from_millis(30);
const LONGEST_LIFE: Duration = Duration::from_secs(20);
const SPREAD: Duration = Duration::from_secs(1);
/// How soon a host sends again what was not answered.
const RETRANSMISSION: Duration = Duration::from_millis(200);
const LONGEST_RETRANSMISSION: Duration = Duration::from_secs(1);
/// How long a service keeps a connection that its host has given up.
const SERVICE_GIVES_UP: Duration = Duration::from_secs(1);

impl SimConnections {
    pub(super) const fn new(setup: ConnectionSetup, rng: Rng) -> Self {
        Self {
            setup,
            rng,
            totals: ConnectionTotals {
                opened: 0,
                ended: 0,
                reset: 0,
                reset_by_drain: 0,
                forwarded_by_list: 0,
                forwarded_while_switching: 0,
                swallowed: 0,
                drains: 0,
                drains_ended: 0,
                most_visited: 0,
            },
            clients: BTreeMap::new(),
            sockets: BTreeMap::new(),
            free: BTreeMap::new(),
            next: 0,
            rules: BTreeMap::new(),
            armed: BTreeMap::new(),
            relieved: BTreeMap::new(),
            better_backups: BTreeMap::new(),
            drains: BTreeMap::new(),
            drain_number: 0,
            down: BTreeMap::new(),
            off: BTreeSet::new(),
            last_message: BTreeMap::new(),
        }
    }

    pub(super) fn client(&mut self, id: ConnectionId) -> Option<&mut SimClient> {
        self.clients.get_mut(&id)
    }

    /// A host opens a connection.
    pub(super) fn open(&mut self, now: TrueTime, key: InstanceKey, host: Port) -> ConnectionId {
        self.next += 1;
        let id = ConnectionId(self.next);
        let free = self.free.entry((key, host)).or_default();
        let again = if free.len() > 2 && self.rng.chance(PerMille::new(500)) {
            Some(free.remove(self.rng.index(free.len())))
        } else {
            None
        };
        let number = again.unwrap_or_else(|| u32::try_from(self.next).unwrap_or(u32::MAX));
        let tuple = Tuple { key, host, number };
        let longer =
            Duration::from_millis(30 << self.rng.below(10)) + self.rng.between(Duration::ZERO, SPREAD);
        let is_short = self.rng.chance(PerMille::new(500));
        let life = if is_short { SHORTEST_LIFE } else { longer.min(LONGEST_LIFE) };
        let paces: &[u64] = if life < Duration::from_secs(1) { &[3, 20, 60] } else { &[60, 300, 1000, 3000] };
        let pace = Duration::from_millis(self.rng.pick(paces, 60));
        let client = SimClient {
            tuple,
            server: None,
            ends_at: now + life,
            pace,
            unanswered: 0,
            timer: 0,
            stuck_since: None,
        };
        self.clients.insert(id, client);
        self.totals.opened += 1;
        id
    }

    /// What the host sends now.
    pub(super) fn sending(&mut self, now: TrueTime, id: ConnectionId) -> Option<PacketSending> {
        let client = self.clients.get_mut(&id)?;
        client.timer += 1;
        let again_after = (RETRANSMISSION * (1 << client.unanswered.min(3))).min(LONGEST_RETRANSMISSION);
        client.unanswered += 1;
        let sending = if client.server.is_none() {
            PacketSending { segment: Segment::Syn, again_after: LONGEST_RETRANSMISSION }
        } else if now >= client.ends_at {
            PacketSending { segment: Segment::Fin, again_after }
        } else {
            PacketSending { segment: Segment::Data, again_after }
        };
        Some(sending)
    }

    /// The host is answered. Returns how long it waits until it sends again.
    pub(super) fn answered(&mut self, id: ConnectionId, from: Port, segment: Segment) -> Option<Duration> {
        let client = self.clients.get_mut(&id)?;
        match (segment, client.server) {
            (Segment::Syn, None) => client.server = Some(from),
            // A second station accepted it: the host does not know that connection.
            (Segment::Syn, Some(server)) if server != from => return None,
            (Segment::Syn | Segment::Data, _) => {}
            (Segment::Fin, _) => {
                self.totals.ended += 1;
                self.end(id);
                return None;
            }
        }
        client.unanswered = 0;
        client.stuck_since = None;
        client.timer += 1;
        Some(client.pace)
    }

    /// The connection is over for its host, and its port can be used again.
    fn end(&mut self, id: ConnectionId) {
        if let Some(SimClient { tuple, .. }) = self.clients.remove(&id) {
            self.free.entry((tuple.key, tuple.host)).or_default().push(tuple.number);
        }
    }

    /// The host is told that nobody knows its connection.
    pub(super) fn reset(&mut self, id: ConnectionId) {
        if self.clients.contains_key(&id) {
            self.totals.reset += 1;
            self.end(id);
        }
    }

    /// A packet is for this station, which has the addresses.
    pub(super) fn meet(&mut self, now: TrueTime, at: Port, packet: &ConnectionPacket) -> Met {
        let Some(client) = self.clients.get(&packet.id) else { return Met::Nothing };
        let place = (at, packet.tuple);
        let socket = self.sockets.get(&place).copied();
        match (packet.segment, socket) {
            (Segment::Syn, None) => {
                let until = client.ends_at + SERVICE_GIVES_UP;
                self.sockets
                    .insert(place, Socket { id: packet.id, until: until.max(now + SERVICE_GIVES_UP) });
                Met::Answer
            }
            (Segment::Syn, Some(socket)) if socket.id == packet.id => Met::Answer,
            // The host resets the older connection, and tries again.
            (Segment::Syn, Some(_)) => {
                self.sockets.remove(&place);
                Met::Nothing
            }
            (Segment::Data, Some(socket)) if socket.id == packet.id && client.server == Some(at) => {
                Met::Answer
            }
            (Segment::Fin, Some(socket)) if socket.id == packet.id && client.server == Some(at) => {
                self.sockets.remove(&place);
                Met::Answer
            }
            (Segment::Data | Segment::Fin, Some(_) | None) => Met::Unknown,
        }
    }

    /// The connections that a station has.
    pub(super) fn own(&mut self, now: TrueTime, at: Port, key: InstanceKey) -> Vec<Tuple> {
        self.sockets.retain(|_, socket| now < socket.until || self.clients.contains_key(&socket.id));
        let own = self.sockets.keys().filter(|(port, tuple)| *port == at && tuple.key == key);
        own.map(|(_, tuple)| *tuple).collect()
    }

    /// A station resets its connections. Returns how many there were.
    pub(super) fn destroy(&mut self, now: TrueTime, at: Port, key: InstanceKey) -> usize {
        let own = self.own(now, at, key);
        for tuple in &own {
            let Some(socket) = self.sockets.remove(&(at, *tuple)) else { continue };
            let is_its = self.clients.get(&socket.id).is_some_and(|client| client.server == Some(at));
            if is_its {
                self.totals.reset_by_drain += 1;
                self.end(socket.id);
            }
        }
        own.len()
    }

    /// How many connections a station has of which their hosts know.
    pub(super) fn left(&self, at: Port, key: InstanceKey) -> usize {
        let own = self.sockets.iter().filter(|((port, tuple), _)| *port == at && tuple.key == key);
        own.filter(|(_, socket)| self.clients.get(&socket.id).is_some_and(|client| client.server == Some(at)))
            .count()
    }

    /// A machine lost its power.
    pub(super) fn power_off(&mut self, at: Port) {
        self.sockets.retain(|(port, _), _| *port != at);
        self.off.insert(at);
    }

    /// A process ended, and with it its table.
    pub(super) fn process_ended(&mut self, now: TrueTime, at: Port) {
        self.rules.retain(|(port, _), _| *port != at);
        self.down.entry(at).or_insert(now);
    }

    pub(super) fn process_began(&mut self, at: Port) {
        self.down.remove(&at);
        self.off.remove(&at);
    }

    /// A drain begins.
    pub(super) fn begin_drain(&mut self, now: TrueTime, at: Port, key: InstanceKey) -> u64 {
        self.drain_number += 1;
        self.totals.drains += 1;
        let number = self.drain_number;
        let drain = SimDrain { since: now, number, empty_ticks: 0, lost_since: None, told: false };
        self.drains.insert((at, key), drain);
        number
    }

    /// When a message that is sent now arrives at another station.
    pub(super) fn message_arrives(&mut self, now: TrueTime, from: Port, to: Port) -> TrueTime {
        let delay = self.rng.between(Duration::from_millis(10), Duration::from_millis(300));
        let last = self.last_message.entry((from, to)).or_default();
        *last = (*last).max(now + delay);
        *last
    }
}
