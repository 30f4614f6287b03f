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

mod difference;
mod nodes;
mod redundancy;
mod session;
mod take;
mod values;

pub use values::{
    Afterwards, ChannelEffect, ChannelEvent, ChannelInput, ChannelLink, ChannelView, HandoverRequest,
    LocalLink, LocalNode, NodePresence, OtherNode, Redundancy, SettingDifference, Standby,
    StandingDifference, TakeOutcome,
};

use crate::types::MonoTime;
use crate::wire::channel::{ChannelKey, ChannelMessage, ChannelReject, Envelope, SessionId, pages};
use difference::Differences;
use nodes::{Nodes, ReportProgress};
use redundancy::RedundancyWatch;
use session::{SessionProof, Sessions, Worth};
use std::collections::BTreeMap;
use std::net::IpAddr;
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
    reported: Option<MonoTime>,
    /// When the next report is due.
    report_at: Option<MonoTime>,
    sessions: Sessions,
    nodes: Nodes,
    redundancy: RedundancyWatch,
    differences: Differences,
    takes: Takes,
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
            reported: None,
            report_at: None,
            sessions: Sessions::new(session),
            nodes: Nodes::default(),
            redundancy: RedundancyWatch::default(),
            differences: Differences::default(),
            takes: Takes::default(),
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
        let deadlines = [self.report_at, self.nodes.wakes_at(), redundancy, self.takes.wakes_at()];
        deadlines.into_iter().flatten().min()
    }

    /// Takes one input. The effects are to be carried out in their order.
    pub fn handle(&mut self, now: MonoTime, input: ChannelInput<'_>) -> Vec<ChannelEffect> {
        let mut out = Vec::new();
        if self.left == Attendance::Left {
            return out;
        }
        // This node was not run: what the others said meanwhile waits in its sockets.
        if self.wakes_at().is_some_and(|due| now.since(due) > LATE) {
            self.nodes.excuse(now);
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
            ChannelInput::Farewell => {
                for link in self.local.links.keys().copied().collect::<Vec<_>>() {
                    self.send(link, None, None, ChannelMessage::Farewell, &mut out);
                }
                self.left = Attendance::Left;
                return out;
            }
        }
        self.nodes.expire(now, &mut out);
        for letter in self.takes.due(now, &mut out) {
            self.send(letter.link, Some(letter.address), Some(letter.to), letter.message, &mut out);
        }
        if self.report_at.is_some_and(|at| at <= now) {
            self.report(now, &mut out);
        }
        if self.has_listened(now) {
            self.redundancy.update(now, &self.local, &self.nodes, &mut out);
        }
        out
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
        self.report_soon(now);
        self.differences.update(now, &self.local, &self.nodes, out);
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
                self.send(link, Some(source), Some(from), ChannelMessage::Response { number }, out);
                // It does not know us yet, so it has not believed our last report.
                self.report_soon(now);
            }
            ChannelMessage::Response { number } if to == Some(own) => {
                match self.sessions.prove(now, from, number, counter) {
                    SessionProof::NewSession => self.report_soon(now),
                    SessionProof::Nothing => {}
                }
            }
            ChannelMessage::Challenge { .. } | ChannelMessage::Response { .. } => {}
            message @ (ChannelMessage::Report(_)
            | ChannelMessage::Farewell
            | ChannelMessage::TakeRequest { .. }
            | ChannelMessage::TakeAnswer { .. }) => match self.sessions.judge(now, from, counter) {
                Worth::Fresh => self.on_message(now, MessageSender { link, source, from }, message, out),
                Worth::MustProve(number) => {
                    self.send(link, Some(source), Some(from), ChannelMessage::Challenge { number }, out);
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
        let MessageSender { link, source, from } = sender;
        match message {
            ChannelMessage::Report(page) => {
                match self.nodes.on_page(now, sender, page, &self.local.name, out) {
                    ReportProgress::Complete => self.differences.update(now, &self.local, &self.nodes, out),
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
            ChannelMessage::Challenge { .. } | ChannelMessage::Response { .. } => {}
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

    /// Makes the next report due now, or after the pause that reports keep.
    fn report_soon(&mut self, now: MonoTime) {
        let earliest = self.reported.map_or(now, |reported| (reported + REPORT_PAUSE).max(now));
        self.report_at = Some(self.report_at.map_or(earliest, |at| at.min(earliest)));
    }

    fn report(&mut self, now: MonoTime, out: &mut Vec<ChannelEffect>) {
        self.generation += 1;
        self.reported = Some(now);
        self.report_at = Some(now + REPORT_EVERY);
        let LocalNode { name, software, links } = self.local.clone();
        for (link, LocalLink { source: _, routers }) in links {
            for page in pages(self.generation, &name, &software, &routers) {
                self.send(link, None, None, ChannelMessage::Report(page), out);
            }
        }
    }

    fn send(
        &mut self,
        link: ChannelLink,
        address: Option<IpAddr>,
        to: Option<SessionId>,
        message: ChannelMessage,
        out: &mut Vec<ChannelEffect>,
    ) {
        if self.local.links.get(&link).is_none_or(|local| local.source.is_none()) {
            return; // The interface has no address now.
        }
        let (from, counter) = (self.sessions.own(), self.sessions.next_counter());
        // Whatever is sent here is made to fit.
        if let Ok(octets) = (Envelope { from, to, counter, message }).seal(&self.key) {
            out.push(ChannelEffect::Send { link, to: address, octets });
        }
    }
}
