//! Floor 2: what nodes tell one another beside VRRP, pure.
//!
//! VRRP's packets say which router is Active, and a Backup is silent. So VRRP alone does not know
//! whether anybody would take over, what the others are called, or whether they are configured
//! alike. Nodes that share a key tell one another here: each sends a report of itself on every link
//! that it has routers on, each second and when something changes ([`REPORT_EVERY`]).
//!
//! [`Channel`] is this node's end. It takes the time and one input and returns what should be done;
//! it knows no socket and no clock. Nothing of VRRP depends on it: without a key it does not exist,
//! and when it fails, elections go on.
//!
//! | module | owns |
//! |---|---|
//! | [`session`] | which messages were written now, by a node that runs now |
//! | [`nodes`] | what the other nodes said of themselves, and whether they are there |
//! | [`redundancy`] | who would take over a router |
//! | [`difference`] | settings that differ between nodes |
//! | [`take`] | one node asks another to hand over |
//! | [`paths`] | what nodes can do for open connections, and between which of them it was proven |
//! | [`drains`] | who drains which router, and who forwards to whom |
//! | [`lists`] | lists of open connections on their way |
//! | [`drain_view`] | what the other parts of this node are told about draining |
//! | [`pace`] | when something is said that is said each second |

mod difference;
mod drain_values;
mod drain_view;
mod drains;
mod lists;
mod nodes;
mod pace;
mod paths;
mod redundancy;
mod session;
mod take;
mod values;

pub use drain_values::{
    Ability, DrainAbilities, DrainView, ForwardedBy, ForwardedConnections, HeardLeaver, LocalDrain,
};
pub use values::{
    Afterwards, ChannelEffect, ChannelEvent, ChannelInput, ChannelLink, ChannelView, HandoverRequest,
    LocalLink, LocalNode, NodePresence, OtherNode, Redundancy, SettingDifference, Standby,
    StandingDifference, TakeOutcome,
};

use crate::types::{Connection, MonoTime, RouterName};
use crate::wire::channel::{
    ChannelKey, ChannelMessage, ChannelReject, Envelope, SessionId, connection_chunks, pages,
};
use difference::Differences;
use drains::Drains;
use lists::WaitingLists;
use nodes::{Nodes, ReportProgress};
use pace::ReportPace;
use paths::{DueProbe, Paths, ProofNews, SaidAbilities};
use redundancy::RedundancyWatch;
use session::{SessionProof, Sessions, Worth};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use take::Takes;

/// How often each node reports.
pub const REPORT_EVERY: Duration = Duration::from_secs(1);
/// The least time between two reports, however often something changes.
const REPORT_PAUSE: Duration = Duration::from_millis(50);
/// After this time without a report, a node counts as silent. Three reports in a row may be lost,
/// or late because the machine is busy.
pub const SILENT_AFTER: Duration = Duration::from_secs(4);
/// A deadline that is so late means that this node was paused.
const LATE: Duration = Duration::from_secs(1);
/// The most events about datagrams that are not believed in the time of [`STRANGER_AGAIN`]. Anybody
/// on the link can send such datagrams, from any address.
const MOST_STRANGERS: usize = 16;
/// After this time the same sender is told again for the same reason.
const STRANGER_AGAIN: Duration = Duration::from_secs(3600);
/// The most challenges that are answered in a second. A recorded challenge to this
/// session can be sent again as often as somebody likes; a node that is not answered asks again.
const MOST_RESPONSES: u32 = 64;

/// This node's end of the channel.
#[derive(Debug)]
pub struct Channel {
    key: ChannelKey,
    local: LocalNode,
    /// When the first routers were configured; since then the others can be heard.
    listens_since: Option<MonoTime>,
    generation: u64,
    reports: ReportPace,
    /// What this node last said that it can do for open connections.
    said_abilities: DrainAbilities,
    sessions: Sessions,
    nodes: Nodes,
    redundancy: RedundancyWatch,
    differences: Differences,
    takes: Takes,
    paths: Paths,
    drains: Drains,
    lists: WaitingLists,
    drain_view: Arc<DrainView>,
    strangers: BTreeMap<(IpAddr, ChannelReject), MonoTime>,
    /// Challenges that were answered since the last second began.
    responses: u32,
    responses_since: Option<MonoTime>,
    left: Attendance,
}

/// Where a message comes from.
#[derive(Debug, Clone, Copy)]
struct MessageSender {
    link: ChannelLink,
    source: IpAddr,
    from: SessionId,
    counter: u64,
    recipient: Recipient,
}

/// For whom a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recipient {
    Everybody,
    ThisNode,
}

/// A message that is to be sent.
#[derive(Debug, Clone)]
struct OutgoingMessage {
    link: ChannelLink,
    /// The address to send it to; `None`: the VRRP group of the family.
    address: Option<IpAddr>,
    to: Option<SessionId>,
    message: ChannelMessage,
}

impl OutgoingMessage {
    const fn to_everybody(link: ChannelLink, message: ChannelMessage) -> Self {
        Self { link, address: None, to: None, message }
    }
}

/// Whether this node still takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attendance {
    Here,
    /// It said farewell.
    Left,
}

impl Channel {
    /// Begins a session. Its octets must be random, and new at each start.
    #[must_use]
    pub fn new(session: SessionId, key: ChannelKey) -> Self {
        Self {
            key,
            local: LocalNode::default(),
            listens_since: None,
            generation: 0,
            reports: ReportPace::default(),
            said_abilities: DrainAbilities::default(),
            sessions: Sessions::new(session),
            nodes: Nodes::default(),
            redundancy: RedundancyWatch::default(),
            differences: Differences::default(),
            takes: Takes::default(),
            paths: Paths::default(),
            drains: Drains::default(),
            lists: WaitingLists::default(),
            drain_view: Arc::default(),
            strangers: BTreeMap::new(),
            responses: 0,
            responses_since: None,
            left: Attendance::Here,
        }
    }

    /// When [`ChannelInput::Deadline`] should come next.
    #[must_use]
    pub fn wakes_at(&self) -> Option<MonoTime> {
        if self.left == Attendance::Left {
            return None;
        }
        let judged_at = self.listens_since.map(|since| since + SILENT_AFTER);
        let redundancy = self.redundancy.wakes_at(judged_at);
        let deadlines = [
            self.reports.wakes_at(),
            self.nodes.wakes_at(),
            redundancy,
            self.takes.wakes_at(),
            self.paths.wakes_at(),
            self.drains.wakes_at(),
            self.lists.wakes_at(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Takes one input. The effects are to be carried out in their order.
    pub fn handle(&mut self, now: MonoTime, input: ChannelInput<'_>) -> Vec<ChannelEffect> {
        let mut out = Vec::new();
        if self.left == Attendance::Left {
            return out;
        }
        // This node was not run: what the others said meanwhile waits in its sockets.
        if let Some(paused) = self.wakes_at().map(|due| now.since(due)).filter(|paused| *paused > LATE) {
            self.nodes.excuse(now);
            self.paths.excuse(now, paused);
            self.drains.excuse(now);
        }
        match input {
            ChannelInput::Deadline => {}
            ChannelInput::Local(local) => self.on_local(now, local, &mut out),
            ChannelInput::Received { link, source, octets } => {
                self.on_datagram(now, link, source, octets, &mut out);
            }
            ChannelInput::Take { id, router, by } => {
                let ask = self.takes.begin(now, id, &router, by, &self.local, &self.nodes);
                match ask {
                    Ok(()) => {}
                    Err(why) => {
                        let outcome = TakeOutcome::Refused(why);
                        out.push(ChannelEffect::TakeEnded { id, outcome });
                    }
                }
            }
            ChannelInput::HandedOver(request, answer) => self.takes.on_handed_over(now, request, answer),
            ChannelInput::Draining(drains) => self.drains.on_local_drains(now, drains),
            ChannelInput::Connections { link, vrid, connections } => {
                self.on_connections(now, link, vrid, connections);
            }
            ChannelInput::Forwarding(forwarding) => self.drains.on_local_forwarding(now, forwarding),
            ChannelInput::ProbeHeard { link, octets } => self.on_probe(now, link, octets),
            ChannelInput::Farewell => {
                for link in self.local.links.keys().copied().collect::<Vec<_>>() {
                    self.send(OutgoingMessage::to_everybody(link, ChannelMessage::Farewell), &mut out);
                }
                self.left = Attendance::Left;
                return out;
            }
        }
        self.nodes.expire(now, &mut out);
        for message in self.takes.due(now, &mut out) {
            self.send(message, &mut out);
        }
        if self.reports.is_due(now) {
            self.report(&mut out);
        }
        self.drain(now, &mut out);
        if self.has_listened(now) {
            self.redundancy.update(now, &self.local, &self.nodes, &mut out);
        }
        out
    }

    /// What is due for open connections, after each input.
    fn drain(&mut self, now: MonoTime, out: &mut Vec<ChannelEffect>) {
        self.drains.update(now, &self.local, &self.nodes, out);
        for message in self.drains.due(now) {
            self.send(message, out);
        }
        for (link, chunk) in self.lists.due(now) {
            let recipient = self.drains.recipient(now, link, chunk.vrid(), &self.nodes);
            if let Some((to, address)) = recipient {
                let (address, to) = (Some(address), Some(to));
                let message = ChannelMessage::Connections(chunk);
                self.send(OutgoingMessage { link, address, to, message }, out);
            }
        }
        for DueProbe { link, address, to, message } in self.paths.update(now, &self.local, &self.nodes) {
            if let Some(octets) = self.seal(Some(to), message) {
                out.push(ChannelEffect::SendProbe { link, to: address, octets });
            }
        }
        let view = drain_view::view(now, &self.local, &self.nodes, &self.paths, &self.drains);
        if *self.drain_view != view {
            self.drain_view = Arc::new(view);
        }
    }

    /// Everything that is known, at an instant.
    #[must_use]
    pub fn view(&self, now: MonoTime) -> ChannelView {
        ChannelView {
            nodes: self.nodes.view(),
            routers: if self.has_listened(now) {
                self.redundancy.of_all(now, &self.local, &self.nodes)
            } else {
                BTreeMap::new()
            },
            differences: self.differences.standing(),
        }
    }

    /// What is known about draining, as of the last input. It is the same [`Arc`] as long as nothing
    /// has changed.
    #[must_use]
    pub const fn drains(&self) -> &Arc<DrainView> {
        &self.drain_view
    }

    /// Whether open connections would outlive a move of a router: the name of the node that would
    /// take over now and forward, in every family of the router.
    ///
    /// # Errors
    /// Why they would be cut, as one sentence for people.
    pub fn drain_outlook(&self, now: MonoTime, router: &RouterName) -> Result<String, String> {
        drain_view::outlook(now, router, &self.local, &self.nodes, &self.paths)
    }

    /// The addresses of the other nodes, each with the name of its node.
    pub fn names(&self) -> impl Iterator<Item = (IpAddr, &str)> {
        let nodes = self.nodes.iter();
        nodes.flat_map(|node| node.links.values().map(|link| (link.address, node.name.as_str())))
    }

    /// Whether every node that is there has had the time to report.
    fn has_listened(&self, now: MonoTime) -> bool {
        self.listens_since.is_some_and(|since| now.since(since) >= SILENT_AFTER)
    }

    fn on_local(&mut self, now: MonoTime, local: LocalNode, out: &mut Vec<ChannelEffect>) {
        if self.local == local {
            return;
        }
        self.local = local;
        self.nodes.keep_links(|link| self.local.links.contains_key(&link));
        if self.listens_since.is_none() && !self.local.links.is_empty() {
            self.listens_since = Some(now);
        }
        self.reports.soon(now);
        self.differences.update(now, &self.local, &self.nodes, out);
    }

    /// Open connections of a router that drains here.
    fn on_connections(&mut self, now: MonoTime, link: ChannelLink, vrid: u8, connections: &[Connection]) {
        if self.drains.recipient(now, link, vrid, &self.nodes).is_some() {
            self.lists.add(link, connection_chunks(vrid, connections));
        }
    }

    /// What a probe frame carried. Anybody can write such a frame, so nothing is answered or told.
    fn on_probe(&mut self, now: MonoTime, link: ChannelLink, octets: &[u8]) {
        let own = self.sessions.own();
        let Ok(Envelope { from, to, counter, message }) = Envelope::open(&self.key, octets) else { return };
        let ChannelMessage::Probe { number: _ } = message else { return };
        let is_for_us = to == Some(own) && from != own && self.local.links.contains_key(&link);
        // A node that is not known repeats its probe, because we do not list it.
        if !is_for_us || self.nodes.get(from).is_none() {
            return;
        }
        match self.sessions.judge_known(now, from, counter) {
            Some(Worth::Fresh) => match self.paths.on_probe(now, link, from) {
                ProofNews::New => self.reports.soon(now),
                ProofNews::Renewed => {}
            },
            Some(Worth::Repeated | Worth::MustProve(_) | Worth::Unproven) | None => {}
        }
    }

    fn on_datagram(
        &mut self,
        now: MonoTime,
        link: ChannelLink,
        source: IpAddr,
        octets: &[u8],
        out: &mut Vec<ChannelEffect>,
    ) {
        if !self.local.links.contains_key(&link) {
            return;
        }
        let Envelope { from, to, counter, message } = match Envelope::open(&self.key, octets) {
            Ok(envelope) => envelope,
            // It is of a node of ours that has a later version.
            Err(ChannelReject::LaterMessage(_)) => return,
            Err(why) => {
                self.on_stranger(now, source, why, out);
                return;
            }
        };
        let own = self.sessions.own();
        if from == own || to.is_some_and(|to| to != own) {
            return; // A reflection of our own message, or a message for another node.
        }
        match message {
            // Whoever asks has the key, and asks this session. It may ask before we know it.
            ChannelMessage::Challenge { number } if to == Some(own) => {
                if !self.may_respond(now) {
                    return;
                }
                let message = ChannelMessage::Response { number };
                self.send(OutgoingMessage { link, address: Some(source), to: Some(from), message }, out);
                // It does not know us yet, so it has not believed our last report.
                self.reports.soon(now);
                self.drains.say_soon(now);
            }
            ChannelMessage::Response { number } if to == Some(own) => {
                match self.sessions.prove(now, from, number, counter) {
                    SessionProof::NewSession => {
                        self.reports.soon(now);
                        self.drains.say_soon(now);
                    }
                    SessionProof::Nothing => {}
                }
            }
            // A probe proves something in a probe frame only.
            ChannelMessage::Challenge { .. }
            | ChannelMessage::Response { .. }
            | ChannelMessage::Probe { .. } => {}
            message @ (ChannelMessage::Report(_)
            | ChannelMessage::Farewell
            | ChannelMessage::TakeRequest { .. }
            | ChannelMessage::TakeAnswer { .. }
            | ChannelMessage::Drains { .. }
            | ChannelMessage::Draining { .. }
            | ChannelMessage::DrainEnded { .. }
            | ChannelMessage::Connections(_)
            | ChannelMessage::Forwarding { .. }) => match self.sessions.judge(now, from, counter) {
                Worth::Fresh => {
                    let recipient = if to.is_some() { Recipient::ThisNode } else { Recipient::Everybody };
                    let sender = MessageSender { link, source, from, counter, recipient };
                    self.on_message(now, sender, message, out);
                }
                Worth::MustProve(number) => {
                    let message = ChannelMessage::Challenge { number };
                    self.send(OutgoingMessage { link, address: Some(source), to: Some(from), message }, out);
                }
                Worth::Repeated | Worth::Unproven => {}
            },
        }
    }

    fn on_message(
        &mut self,
        now: MonoTime,
        sender: MessageSender,
        message: ChannelMessage,
        out: &mut Vec<ChannelEffect>,
    ) {
        let MessageSender { link, source, from, counter: _, recipient } = sender;
        match message {
            ChannelMessage::Report(page) => {
                match self.nodes.on_page(now, sender, page, &self.local.name, out) {
                    ReportProgress::Complete => {
                        self.drains.on_report(now, sender, &self.local, &self.nodes);
                        self.differences.update(now, &self.local, &self.nodes, out);
                    }
                    ReportProgress::Partial => {}
                }
            }
            ChannelMessage::Farewell => self.nodes.on_farewell(now, from, out),
            ChannelMessage::TakeRequest { number, vrid, by } => {
                let request = HandoverRequest { from, number };
                let asked = take::Asked { link, address: source, vrid, by };
                self.takes.on_request(now, request, asked, &self.local, &self.nodes, out);
            }
            ChannelMessage::TakeAnswer { number, answer } => self.takes.on_answer(from, number, answer, out),
            ChannelMessage::Drains { drains, forwards, proven } => {
                if self.nodes.get(from).is_some() {
                    let lists_us = proven.contains(&self.sessions.own());
                    self.paths.on_drains(now, sender, SaidAbilities { drains, forwards, lists_us });
                }
            }
            ChannelMessage::Draining { vrid, left, oldest_ms, lasted_ms, remaining_ms } => {
                let drain = LocalDrain {
                    since: now - Duration::from_millis(lasted_ms),
                    until: now + Duration::from_millis(remaining_ms),
                    left,
                    oldest: oldest_ms.map(Duration::from_millis),
                };
                self.drains.on_draining(now, sender, vrid, drain, &self.local, &self.nodes);
            }
            ChannelMessage::DrainEnded { vrid } => {
                self.drains.on_drain_ended(now, sender, vrid, &self.nodes);
            }
            ChannelMessage::Connections(chunk) => match recipient {
                Recipient::ThisNode => {
                    self.drains.on_connections(now, sender, &chunk, &self.local, &self.nodes, out);
                }
                Recipient::Everybody => {}
            },
            ChannelMessage::Forwarding { vrid, listed, packets } => match recipient {
                Recipient::ThisNode => {
                    let forwarded = ForwardedConnections { listed, packets };
                    self.drains.on_forwarding(now, sender, vrid, forwarded, &self.nodes);
                }
                Recipient::Everybody => {}
            },
            ChannelMessage::Challenge { .. }
            | ChannelMessage::Response { .. }
            | ChannelMessage::Probe { .. } => {}
        }
    }

    /// Whether one more challenge is answered in this second.
    fn may_respond(&mut self, now: MonoTime) -> bool {
        if self.responses_since.is_none_or(|since| now.since(since) >= REPORT_EVERY) {
            (self.responses_since, self.responses) = (Some(now), 0);
        }
        self.responses = self.responses.saturating_add(1);
        self.responses <= MOST_RESPONSES
    }

    /// Datagrams that are not believed are told once for each sender and reason. A report of the
    /// sender does not change that, because anybody can write its address.
    fn on_stranger(
        &mut self,
        now: MonoTime,
        source: IpAddr,
        why: ChannelReject,
        out: &mut Vec<ChannelEffect>,
    ) {
        self.strangers.retain(|_, told| now.since(*told) < STRANGER_AGAIN);
        let place = (source, why);
        if self.strangers.contains_key(&place) || self.strangers.len() >= MOST_STRANGERS {
            return;
        }
        self.strangers.insert(place, now);
        out.push(ChannelEffect::Report(ChannelEvent::NotUnderstood { address: source, why }));
    }

    fn report(&mut self, out: &mut Vec<ChannelEffect>) {
        self.generation += 1;
        let LocalNode { name, software, links, abilities } = self.local.clone();
        let can_do_nothing = DrainAbilities::default();
        // What has become impossible is said once; then the others forget it.
        let says_abilities = abilities != can_do_nothing || self.said_abilities != can_do_nothing;
        self.said_abilities = abilities;
        for (link, LocalLink { source: _, destinations: _, routers }) in links {
            for page in pages(self.generation, &name, &software, &routers) {
                self.send(OutgoingMessage::to_everybody(link, ChannelMessage::Report(page)), out);
            }
            if says_abilities {
                let message = ChannelMessage::Drains {
                    drains: abilities.drains == Ability::Able,
                    forwards: abilities.forwards == Ability::Able,
                    proven: self.paths.proven(link),
                };
                self.send(OutgoingMessage::to_everybody(link, message), out);
            }
        }
    }

    fn send(&mut self, message: OutgoingMessage, out: &mut Vec<ChannelEffect>) {
        let OutgoingMessage { link, address, to, message } = message;
        if self.local.links.get(&link).is_none_or(|local| local.source.is_none()) {
            return; // The interface has no address now.
        }
        if let Some(octets) = self.seal(to, message) {
            out.push(ChannelEffect::Send { link, to: address, octets });
        }
    }

    /// The octets of a message. Whatever is sent is made to fit.
    fn seal(&mut self, to: Option<SessionId>, message: ChannelMessage) -> Option<Vec<u8>> {
        let (from, counter) = (self.sessions.own(), self.sessions.next_counter());
        Envelope { from, to, counter, message }.seal(&self.key).ok()
    }
}
