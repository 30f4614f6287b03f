//! Who drains which router, and who forwards to whom.
//!
//! A leaver says each second that it drains; its lists of connections go to the node that is
//! Active, which says each second that it forwards. Whoever falls silent is forgotten after
//! [`LEAVER_SILENT_AFTER`], a farewell included: a leaver that starts again has another session but
//! the same address, and goes on where it was.

use super::nodes::{HeardNode, Nodes};
use super::pace::ReportPace;
use super::values::{ChannelEffect, ChannelLink, LocalNode};
use super::{
    Ability, DrainView, ForwardedBy, ForwardedConnections, HeardLeaver, LocalDrain, MessageSender,
    OutgoingMessage, SILENT_AFTER,
};
use crate::types::{Connection, Family, MonoTime};
use crate::wire::channel::{ChannelMessage, ConnectionChunk, ReportedState, SessionId};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// After this time without a message of a leaver, or of the node that forwards, it does not count
/// any more. Two messages in a row may be lost.
const LEAVER_SILENT_AFTER: Duration = Duration::from_secs(3);
/// After this time between two reports of a node, it was paused, or the network was.
const REPORT_GAP: Duration = Duration::from_millis(1_500);
/// A leaver that hears of no Active waits for a successor for this long, and for as long as it may take
/// Backups to miss advertisements. A node without the channel may be Active: nobody forwards then.
const NO_ACTIVE_AFTER: Duration = Duration::from_secs(30);
const MISSED_ADVERTISEMENTS: u32 = 4;
/// A node may list connections for this long after it was Active: its first list may overtake the
/// message that says that it drains.
const WAS_ACTIVE_FOR: Duration = Duration::from_secs(10);
/// How often the end of a drain is said, and how long after one another.
const SAY_END: u8 = 3;
const SAY_END_EVERY: Duration = Duration::from_secs(1);
/// Two messages about one drain give instants that differ by their ways. If they differ by less
/// than this, the earlier message is right.
const SAME_INSTANT: Duration = Duration::from_millis(1_500);

/// A router on a link.
type RouterPlace = (ChannelLink, u8);

/// Everything about draining but the paths.
#[derive(Debug, Default)]
pub(super) struct Drains {
    /// The drains of this node.
    own: BTreeMap<RouterPlace, OwnDrain>,
    /// Drains of this node that have ended.
    ended: BTreeMap<RouterPlace, EndedDrain>,
    /// What this node forwards for each leaver.
    forwarding: BTreeMap<(ChannelLink, u8, IpAddr), ForwardedConnections>,
    leavers: BTreeMap<(ChannelLink, u8, IpAddr), KnownLeaver>,
    actives: BTreeMap<(ChannelLink, u8, SessionId), ActiveSpell>,
    /// When this node was last paused: what it has not heard before says nothing.
    excused: MonoTime,
    pace: ReportPace,
}

#[derive(Debug)]
struct OwnDrain {
    drain: LocalDrain,
    /// When the channel learnt of it.
    begun: MonoTime,
    /// When another node was last known to be Active.
    succeeded: MonoTime,
    forwarders: BTreeMap<SessionId, Forwarder>,
    watch: ForwardingWatch,
}

#[derive(Debug)]
struct EndedDrain {
    at: MonoTime,
    times: u8,
}

/// A node that says that it forwards to this one.
#[derive(Debug)]
struct Forwarder {
    address: IpAddr,
    forwarded: ForwardedConnections,
    heard: MonoTime,
    counter: u64,
    standing: ForwarderStanding,
}

/// Whether a node that says something each second still says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ForwarderStanding {
    Heard,
    Silent,
}

/// Whether it was said that the Active does not forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ForwardingWatch {
    Expected,
    /// It was said of this session; `None`: no node was Active.
    Lost(Option<SessionId>),
}

/// Another node that drains a router.
#[derive(Debug)]
struct KnownLeaver {
    session: SessionId,
    node: String,
    drain: LocalDrain,
    heard: MonoTime,
    /// The counter of the last message about the drain.
    counter: u64,
    /// Whether it goes on. What has ended is remembered, because messages overtake one another.
    phase: LeaverPhase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeaverPhase {
    Drains,
    Ended,
}

/// The time that a node has been Active, by its reports.
#[derive(Debug)]
struct ActiveSpell {
    since: MonoTime,
    /// Since when its reports have come without a gap. A node that was paused needs a moment.
    steady_since: MonoTime,
    last: MonoTime,
    phase: ActivePhase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ActivePhase {
    Lasts,
    Over,
}

/// The node that is Active.
struct ActiveNode<'a> {
    session: SessionId,
    node: &'a HeardNode,
    address: IpAddr,
    since: MonoTime,
    steady_since: MonoTime,
    /// When its last report arrived.
    reported: MonoTime,
}

impl Drains {
    /// The drains of this node, all of them.
    pub(super) fn on_local_drains(&mut self, now: MonoTime, drains: BTreeMap<RouterPlace, LocalDrain>) {
        let mut before = std::mem::take(&mut self.own);
        let mut has_changed = false;
        for (place, drain) in drains {
            self.ended.remove(&place);
            let known = before.remove(&place);
            has_changed |= known.as_ref().is_none_or(|known| {
                let LocalDrain { since, until, left, oldest: _ } = known.drain;
                (since, until, left) != (drain.since, drain.until, drain.left)
            });
            // What was known of an earlier drain says nothing of this one.
            let own = match known.filter(|known| known.drain.since == drain.since) {
                Some(known) => OwnDrain { drain, ..known },
                None => OwnDrain {
                    drain,
                    begun: now,
                    succeeded: now,
                    forwarders: BTreeMap::new(),
                    watch: ForwardingWatch::Expected,
                },
            };
            self.own.insert(place, own);
        }
        let ended = before.into_keys().map(|place| (place, EndedDrain { at: now, times: 0 }));
        self.ended.extend(ended);
        if has_changed {
            self.pace.soon(now);
        }
    }

    /// What this node forwards, all of it.
    pub(super) fn on_local_forwarding(
        &mut self,
        now: MonoTime,
        forwarding: BTreeMap<(ChannelLink, u8, IpAddr), ForwardedConnections>,
    ) {
        let has_new = forwarding.keys().any(|place| !self.forwarding.contains_key(place));
        self.forwarding = forwarding;
        if has_new {
            self.pace.soon(now);
        }
    }

    /// Somebody who did not know this node does so now.
    pub(super) fn say_soon(&mut self, now: MonoTime) {
        self.pace.soon(now);
    }

    /// A node has reported on a link.
    pub(super) fn on_report(
        &mut self,
        now: MonoTime,
        sender: MessageSender,
        local: &LocalNode,
        nodes: &Nodes,
    ) {
        let MessageSender { link, from, .. } = sender;
        let Some(node) = nodes.get(from) else { return };
        for ours in local.links.get(&link).into_iter().flat_map(|here| &here.routers) {
            let theirs = node.router(now, link, ours.vrid);
            if theirs.is_some_and(|theirs| theirs.state == ReportedState::Active) {
                let phase = ActivePhase::Lasts;
                let spell = ActiveSpell { since: now, steady_since: now, last: now, phase };
                let spell = self.actives.entry((link, ours.vrid, from)).or_insert(spell);
                if spell.phase == ActivePhase::Over || now.since(spell.last) >= SILENT_AFTER {
                    spell.since = now;
                }
                if spell.since == now || now.since(spell.last) >= REPORT_GAP {
                    spell.steady_since = now;
                }
                (spell.last, spell.phase) = (now, phase);
            } else if let Some(spell) = self.actives.get_mut(&(link, ours.vrid, from)) {
                spell.phase = ActivePhase::Over;
            }
        }
    }

    /// A node says that it drains a router.
    pub(super) fn on_draining(
        &mut self,
        now: MonoTime,
        sender: MessageSender,
        vrid: u8,
        drain: LocalDrain,
        local: &LocalNode,
        nodes: &Nodes,
    ) {
        let MessageSender { link, from, counter, .. } = sender;
        let Some((node, address)) = place_of(nodes, link, from) else { return };
        let place = (link, vrid, address);
        if local.router(link, vrid).is_none() || self.is_overtaken(place, from, counter) {
            return;
        }
        if !self.leavers.contains_key(&place) && !self.makes_room(link, vrid) {
            return;
        }
        // It may have got another address.
        self.leavers.retain(|(on, of, at), leaver| {
            (*on, *of, leaver.session) != (link, vrid, from) || *at == address
        });
        let known = self.leavers.get(&place).filter(|known| known.phase == LeaverPhase::Drains);
        let (since, until) = match known {
            Some(known) => (steady(known.drain.since, drain.since), steady(known.drain.until, drain.until)),
            None => (drain.since, drain.until),
        };
        let drain = LocalDrain { since, until, ..drain };
        let (node, phase) = (node.name.clone(), LeaverPhase::Drains);
        self.leavers.insert(place, KnownLeaver { session: from, node, drain, heard: now, counter, phase });
    }

    /// A node says that it does not drain a router any more.
    pub(super) fn on_drain_ended(&mut self, now: MonoTime, sender: MessageSender, vrid: u8, nodes: &Nodes) {
        let MessageSender { link, from, counter, .. } = sender;
        let Some((_, address)) = place_of(nodes, link, from) else { return };
        let place = (link, vrid, address);
        if self.is_overtaken(place, from, counter) {
            return;
        }
        if let Some(leaver) = self.leavers.get_mut(&place) {
            (leaver.session, leaver.heard, leaver.counter) = (from, now, counter);
            leaver.phase = LeaverPhase::Ended;
        }
    }

    /// A node lists open connections. It must drain the router, or have been Active of it a moment
    /// ago.
    pub(super) fn on_connections(
        &mut self,
        now: MonoTime,
        sender: MessageSender,
        chunk: &ConnectionChunk,
        local: &LocalNode,
        nodes: &Nodes,
        out: &mut Vec<ChannelEffect>,
    ) {
        let (link, from, vrid) = (sender.link, sender.from, chunk.vrid());
        let Some((_, leaver)) = place_of(nodes, link, from) else { return };
        if local.router(link, vrid).is_none() || local.abilities.forwards == Ability::Unable {
            return;
        }
        let was_active = self.actives.get(&(link, vrid, from));
        let was_active = was_active.is_some_and(|spell| now.since(spell.last) < WAS_ACTIVE_FOR);
        let known = self.leavers.get_mut(&(link, vrid, leaver)).filter(|known| known.session == from);
        let may_list = match known {
            Some(known) => match known.phase {
                LeaverPhase::Drains => {
                    known.heard = now;
                    true
                }
                LeaverPhase::Ended => was_active && sender.counter > known.counter,
            },
            None => was_active,
        };
        let connections: Vec<Connection> =
            chunk.connections().filter(|one| Family::of(one.local.ip()) == link.family).collect();
        if may_list && !connections.is_empty() {
            out.push(ChannelEffect::Listed { link, vrid, leaver, connections });
        }
    }

    /// A node says that it forwards to this one.
    pub(super) fn on_forwarding(
        &mut self,
        now: MonoTime,
        sender: MessageSender,
        vrid: u8,
        forwarded: ForwardedConnections,
        nodes: &Nodes,
    ) {
        let MessageSender { link, from, counter, .. } = sender;
        let Some((_, address)) = place_of(nodes, link, from) else { return };
        let Some(own) = self.own.get_mut(&(link, vrid)) else { return };
        if own.forwarders.get(&from).is_some_and(|known| known.counter > counter) {
            return;
        }
        let standing = ForwarderStanding::Heard;
        own.forwarders.insert(from, Forwarder { address, forwarded, heard: now, counter, standing });
    }

    /// This node could not hear: silence until now says nothing about the others.
    pub(super) fn excuse(&mut self, now: MonoTime) {
        self.excused = now;
        self.leavers.values_mut().for_each(|leaver| leaver.heard = now);
        self.actives.values_mut().for_each(|spell| spell.last = now);
        for forwarder in self.own.values_mut().flat_map(|own| own.forwarders.values_mut()) {
            forwarder.heard = now;
        }
    }

    /// Forgets who is silent, and tells if the Active does not forward.
    pub(super) fn update(
        &mut self,
        now: MonoTime,
        local: &LocalNode,
        nodes: &Nodes,
        out: &mut Vec<ChannelEffect>,
    ) {
        self.leavers.retain(|(link, vrid, _), leaver| {
            now.since(leaver.heard) < LEAVER_SILENT_AFTER && local.router(*link, *vrid).is_some()
        });
        self.actives.retain(|(link, vrid, session), spell| {
            let is_known = nodes.knows(*session) && local.router(*link, *vrid).is_some();
            is_known && now.since(spell.last) < WAS_ACTIVE_FOR
        });
        for (place, own) in &mut self.own {
            own.forwarders.retain(|session, _| nodes.knows(*session));
            for forwarder in own.forwarders.values_mut() {
                if now.since(forwarder.heard) >= LEAVER_SILENT_AFTER {
                    forwarder.standing = ForwarderStanding::Silent;
                }
            }
            let (link, vrid) = *place;
            let active = active(now, link, vrid, nodes, &self.actives);
            let is_missing = if let Some(active) = &active {
                own.succeeded = now;
                let heard = own.forwarders.get(&active.session).map(|forwarder| forwarder.heard);
                let expected = [Some(own.begun), Some(active.steady_since), Some(self.excused), heard];
                let last = expected.into_iter().flatten().max().unwrap_or(now);
                // Measured by its reports: a node that is silent altogether will be succeeded.
                active.reported.since(last) >= LEAVER_SILENT_AFTER
            } else {
                let ours = local.router(link, vrid);
                let interval = ours.map_or(0, |ours| ours.settings.interval_ms);
                let patience =
                    NO_ACTIVE_AFTER + MISSED_ADVERTISEMENTS * Duration::from_millis(interval.into());
                now.since(own.succeeded.max(self.excused)) >= patience
            };
            let session = active.as_ref().map(|active| active.session);
            own.watch = match own.watch {
                _ if !is_missing => ForwardingWatch::Expected,
                ForwardingWatch::Lost(known) if known == session => own.watch,
                ForwardingWatch::Lost(_) | ForwardingWatch::Expected => {
                    let (since, node) = (own.drain.since, active.map(|active| active.node.name.clone()));
                    out.push(ChannelEffect::ForwardingLost { link, vrid, since, node });
                    ForwardingWatch::Lost(session)
                }
            };
        }
    }

    /// The messages that are due.
    pub(super) fn due(&mut self, now: MonoTime) -> Vec<OutgoingMessage> {
        let mut messages = Vec::new();
        if self.own.is_empty() && self.forwarding.is_empty() {
            self.pace.rest();
        } else if self.pace.is_due(now) {
            for ((link, vrid), own) in &self.own {
                let LocalDrain { since, until, left, oldest } = own.drain;
                messages.push(OutgoingMessage::to_everybody(
                    *link,
                    ChannelMessage::Draining {
                        vrid: *vrid,
                        left,
                        oldest_ms: oldest.map(milliseconds),
                        lasted_ms: milliseconds(now.since(since)),
                        remaining_ms: milliseconds(until.since(now)),
                    },
                ));
            }
            for ((link, vrid, address), forwarded) in &self.forwarding {
                let leaver = self.leavers.get(&(*link, *vrid, *address));
                let ForwardedConnections { listed, packets } = *forwarded;
                let message = ChannelMessage::Forwarding { vrid: *vrid, listed, packets };
                messages.extend(leaver.map(|leaver| OutgoingMessage {
                    link: *link,
                    address: Some(*address),
                    to: Some(leaver.session),
                    message,
                }));
            }
        }
        self.ended.retain(|(link, vrid), end| {
            if end.at <= now {
                let message = ChannelMessage::DrainEnded { vrid: *vrid };
                messages.push(OutgoingMessage::to_everybody(*link, message));
                (end.at, end.times) = (now + SAY_END_EVERY, end.times.saturating_add(1));
            }
            end.times < SAY_END
        });
        messages
    }

    /// When something is due.
    pub(super) fn wakes_at(&self) -> Option<MonoTime> {
        let leavers = self.leavers.values().map(|leaver| leaver.heard + LEAVER_SILENT_AFTER);
        let forwarders = self.own.values().flat_map(|own| own.forwarders.values());
        let forwarders = forwarders.filter(|forwarder| forwarder.standing == ForwarderStanding::Heard);
        let forwarders = forwarders.map(|forwarder| forwarder.heard + LEAVER_SILENT_AFTER);
        let ended = self.ended.values().map(|end| end.at);
        leavers.chain(forwarders).chain(ended).chain(self.pace.wakes_at()).min()
    }

    /// Who gets the lists of a router: the node that is Active, if it is another one.
    pub(super) fn recipient(
        &self,
        now: MonoTime,
        link: ChannelLink,
        vrid: u8,
        nodes: &Nodes,
    ) -> Option<(SessionId, IpAddr)> {
        active(now, link, vrid, nodes, &self.actives).map(|active| (active.session, active.address))
    }

    /// The nodes that drain routers of ours. Whether the path is proven is for the caller to say.
    pub(super) fn leavers(&self) -> impl Iterator<Item = (RouterPlace, SessionId, HeardLeaver)> {
        let leavers = self.leavers.iter().filter(|(_, leaver)| leaver.phase == LeaverPhase::Drains);
        leavers.map(|((link, vrid, address), leaver)| {
            let LocalDrain { since, until, left, oldest } = leaver.drain;
            let (node, address) = (leaver.node.clone(), *address);
            let heard = HeardLeaver { node, address, left, since, until, oldest, proven: false };
            ((*link, *vrid), leaver.session, heard)
        })
    }

    /// The node that forwards to each drain of ours: the Active, or whoever said so last.
    pub(super) fn forwarded_by(&self, now: MonoTime, nodes: &Nodes) -> BTreeMap<RouterPlace, ForwardedBy> {
        let mut forwarded_by = BTreeMap::new();
        for ((link, vrid), own) in &self.own {
            let active = active(now, *link, *vrid, nodes, &self.actives).map(|active| active.session);
            let heard = own.forwarders.iter().filter(|(_, one)| one.standing == ForwarderStanding::Heard);
            let best = heard.max_by_key(|(session, one)| (Some(**session) == active, one.heard));
            if let Some((session, Forwarder { address, forwarded, .. })) = best {
                let node = nodes.get(*session).map_or_else(|| address.to_string(), |node| node.name.clone());
                let ForwardedConnections { listed, packets } = *forwarded;
                let by = ForwardedBy { node, address: *address, listed, packets };
                forwarded_by.insert((*link, *vrid), by);
            }
        }
        forwarded_by
    }

    /// Whether a later message of the same session about the same drain has arrived before.
    fn is_overtaken(&self, place: (ChannelLink, u8, IpAddr), from: SessionId, counter: u64) -> bool {
        let known = self.leavers.get(&place);
        known.is_some_and(|known| known.session == from && known.counter > counter)
    }

    /// Whether there is room for one more leaver of a router. Those that have ended make room.
    fn makes_room(&mut self, link: ChannelLink, vrid: u8) -> bool {
        let is_of = |place: &(ChannelLink, u8, IpAddr)| (place.0, place.1) == (link, vrid);
        let is_full = |leavers: &BTreeMap<_, KnownLeaver>| {
            leavers.keys().filter(|place| is_of(place)).count() >= DrainView::MOST_LEAVERS
        };
        if is_full(&self.leavers) {
            self.leavers.retain(|place, leaver| !is_of(place) || leaver.phase == LeaverPhase::Drains);
        }
        !is_full(&self.leavers)
    }
}

/// The node of a session and its address on a link, if it is there now.
fn place_of(nodes: &Nodes, link: ChannelLink, session: SessionId) -> Option<(&HeardNode, IpAddr)> {
    let node = nodes.get(session)?;
    Some((node, node.links.get(&link)?.address))
}

/// The node that is Active. While a router moves there may be two: then it is the later one.
fn active<'a>(
    now: MonoTime,
    link: ChannelLink,
    vrid: u8,
    nodes: &'a Nodes,
    spells: &BTreeMap<(ChannelLink, u8, SessionId), ActiveSpell>,
) -> Option<ActiveNode<'a>> {
    let actives = nodes.present().filter_map(|(session, node)| {
        let report = node.router(now, link, vrid)?;
        let heard = node.links.get(&link).filter(|_| report.state == ReportedState::Active)?;
        let ActiveSpell { since, steady_since, .. } = *spells.get(&(link, vrid, session))?;
        let (address, reported) = (heard.address, heard.heard);
        Some(ActiveNode { session, node, address, since, steady_since, reported })
    });
    actives.max_by_key(|active| active.since)
}

fn steady(known: MonoTime, said: MonoTime) -> MonoTime {
    let apart = known.since(said).max(said.since(known));
    if apart < SAME_INSTANT { known } else { said }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
