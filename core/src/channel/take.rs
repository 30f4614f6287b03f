//! One node asks another to hand over: the operator works here, and wants the addresses here.
//!
//! The node that asks repeats its request until it is answered. The node that is asked hands over
//! once, and gives every repetition the same answer.

use super::OutgoingMessage;
use super::nodes::Nodes;
use super::redundancy::routers;
use super::values::{Afterwards, ChannelEffect, ChannelLink, HandoverRequest, LocalNode, TakeOutcome};
use crate::types::{MonoTime, RouterName};
use crate::wire::channel::{ChannelMessage, ReportedState, RouterReport, SessionId, TakeAnswer};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// How often a request is repeated.
const REPEAT: Duration = Duration::from_millis(300);
/// How long an answer may take. A hand-over without a successor is refused after 3 s at most.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long an answer is kept for those who repeat their request.
const REMEMBERED: Duration = Duration::from_secs(30);
/// The most requests at a time, ours and those of others.
const MOST: usize = 64;

/// Requests of this node, and requests to it.
#[derive(Debug, Default)]
pub(super) struct Takes {
    numbers: u64,
    ours: BTreeMap<u64, OurRequest>,
    theirs: BTreeMap<HandoverRequest, TheirRequest>,
}

/// A request of this node.
#[derive(Debug)]
struct OurRequest {
    id: u64,
    node: String,
    address: IpAddr,
    /// The session that was asked.
    asked: SessionId,
    message: OutgoingMessage,
    since: MonoTime,
    repeat_at: MonoTime,
}

/// A request of another node.
#[derive(Debug)]
struct TheirRequest {
    link: ChannelLink,
    address: IpAddr,
    state: RequestState,
}

#[derive(Debug)]
enum RequestState {
    HandingOver {
        router: RouterName,
    },
    /// The answer, when it was given, and whether it is to be sent now.
    Answered {
        answer: TakeAnswer,
        at: MonoTime,
        send: Sending,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Due,
    Done,
}

/// A request as it arrived.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) link: ChannelLink,
    pub(super) address: IpAddr,
    pub(super) vrid: u8,
    pub(super) by: String,
}

impl Takes {
    /// Begins to ask the Active for a router. `Err`: why nobody is asked.
    pub(super) fn begin(
        &mut self,
        now: MonoTime,
        id: u64,
        router: &RouterName,
        by: String,
        local: &LocalNode,
        nodes: &Nodes,
    ) -> Result<(), String> {
        if self.ours.len() >= MOST {
            return Err("too many such requests are under way".to_owned());
        }
        let routers = routers(local);
        let families = routers.get(router).ok_or("it is not configured here")?;
        if families.iter().all(|(_, report)| report.state == ReportedState::Active) {
            return Err("this node serves it already".to_owned());
        }
        if let Some(why) = families.iter().find_map(|(_, report)| report.obstacle.as_ref()) {
            return Err(format!("this node could not serve it: {why}"));
        }
        let active = families.iter().find_map(|(link, ours)| {
            nodes.present().find_map(|(session, node)| {
                let theirs = node.router(now, *link, ours.vrid)?;
                let address = node.links.get(link)?.address;
                (theirs.state == ReportedState::Active).then_some((*link, ours.vrid, session, node, address))
            })
        });
        let (link, vrid, to, node, address) = active.ok_or(
            "no node that shares the key of this one serves it. To move it, demote it where it is Active",
        )?;
        self.numbers += 1;
        let message = ChannelMessage::TakeRequest { number: self.numbers, vrid, by };
        let message = OutgoingMessage { link, address: Some(address), to: Some(to), message };
        let node = node.name.clone();
        let request = OurRequest { id, node, address, asked: to, message, since: now, repeat_at: now };
        self.ours.insert(self.numbers, request);
        Ok(())
    }

    /// The answer to a request of ours.
    pub(super) fn on_answer(
        &mut self,
        from: SessionId,
        number: u64,
        answer: TakeAnswer,
        out: &mut Vec<ChannelEffect>,
    ) {
        if self.ours.get(&number).is_none_or(|request| request.asked != from) {
            return;
        }
        let Some(OurRequest { id, node, address, .. }) = self.ours.remove(&number) else { return };
        let outcome = match answer {
            TakeAnswer::HandedOver { micros, demoted } => TakeOutcome::HandedOver {
                node,
                address,
                after: Duration::from_micros(micros),
                afterwards: if demoted { Afterwards::LastResort } else { Afterwards::Backup },
            },
            TakeAnswer::Refused { why } => TakeOutcome::Refused(format!("{node} refuses: {why}")),
        };
        out.push(ChannelEffect::TakeEnded { id, outcome });
    }

    /// A request of another node.
    pub(super) fn on_request(
        &mut self,
        now: MonoTime,
        request: HandoverRequest,
        asked: Asked,
        local: &LocalNode,
        nodes: &Nodes,
        out: &mut Vec<ChannelEffect>,
    ) {
        if let Some(known) = self.theirs.get_mut(&request) {
            if let RequestState::Answered { send, .. } = &mut known.state {
                *send = Sending::Due;
            }
            return;
        }
        if self.theirs.len() >= MOST {
            return; // It is repeated.
        }
        let Asked { link, address, vrid, by } = asked;
        // The second of two hand-overs would take the demotion of the first for an operator's.
        let result = hand_over(now, request, link, vrid, &by, local, nodes).and_then(|handover| {
            let is_under_way = self.theirs.values().any(|known| match &known.state {
                RequestState::HandingOver { router } => *router == handover.router,
                RequestState::Answered { .. } => false,
            });
            let why = "it is handing this virtual router over already, as another request asked";
            if is_under_way { Err(why.to_owned()) } else { Ok(handover) }
        });
        let state = match result {
            Ok(PermittedHandover { router, by, afterwards }) => {
                let state = RequestState::HandingOver { router: router.clone() };
                out.push(ChannelEffect::HandOver { request, router, by, afterwards });
                state
            }
            Err(why) => {
                let answer = TakeAnswer::refusal(&why);
                RequestState::Answered { answer, at: now, send: Sending::Due }
            }
        };
        self.theirs.insert(request, TheirRequest { link, address, state });
    }

    /// This node has handed over, or has not.
    pub(super) fn on_handed_over(&mut self, now: MonoTime, request: HandoverRequest, answer: TakeAnswer) {
        if let Some(known) = self.theirs.get_mut(&request) {
            known.state = RequestState::Answered { answer, at: now, send: Sending::Due };
        }
    }

    /// The messages that are due, and requests of ours that are given up.
    pub(super) fn due(&mut self, now: MonoTime, out: &mut Vec<ChannelEffect>) -> Vec<OutgoingMessage> {
        let mut messages = Vec::new();
        self.ours.retain(|_, request| {
            let waited = now.since(request.since);
            if waited >= PATIENCE {
                let outcome = TakeOutcome::NoAnswer { node: request.node.clone(), waited };
                out.push(ChannelEffect::TakeEnded { id: request.id, outcome });
                return false;
            }
            if request.repeat_at <= now {
                request.repeat_at = now + REPEAT;
                messages.push(request.message.clone());
            }
            true
        });
        self.theirs.retain(|request, known| match &mut known.state {
            RequestState::HandingOver { .. } => true,
            RequestState::Answered { answer, at, send } => {
                if *send == Sending::Due {
                    *send = Sending::Done;
                    let number = request.number;
                    let message = ChannelMessage::TakeAnswer { number, answer: answer.clone() };
                    let TheirRequest { link, address, .. } = *known;
                    let (address, to) = (Some(address), Some(request.from));
                    messages.push(OutgoingMessage { link, address, to, message });
                }
                now.since(*at) < REMEMBERED
            }
        });
        messages
    }

    /// When something is due.
    pub(super) fn wakes_at(&self) -> Option<MonoTime> {
        let ours = self.ours.values().map(|request| request.repeat_at.min(request.since + PATIENCE));
        let theirs = self.theirs.values().filter_map(|known| match &known.state {
            RequestState::HandingOver { .. } => None,
            RequestState::Answered { at, send: Sending::Due, .. } => Some(*at),
            RequestState::Answered { at, send: Sending::Done, .. } => Some(*at + REMEMBERED),
        });
        ours.chain(theirs).min()
    }
}

/// A hand-over that nothing speaks against.
#[derive(Debug)]
struct PermittedHandover {
    router: RouterName,
    by: String,
    afterwards: Afterwards,
}

/// The hand-over that a request asks for, or why there is none.
fn hand_over(
    now: MonoTime,
    request: HandoverRequest,
    link: ChannelLink,
    vrid: u8,
    by: &str,
    local: &LocalNode,
    nodes: &Nodes,
) -> Result<PermittedHandover, String> {
    let here = local.links.get(&link).and_then(|here| here.routers.iter().find(|ours| ours.vrid == vrid));
    let ours = here.ok_or("it does not have this virtual router")?;
    if ours.state != ReportedState::Active {
        return Err("it does not serve this virtual router any more".to_owned());
    }
    let router: RouterName = ours.name.parse().map_err(|_| "it does not have this virtual router")?;
    let node = nodes.get(request.from).ok_or("it has not heard a report of this node yet")?;
    let theirs = node.router(now, link, vrid).ok_or("it has not heard a report of this node yet")?;
    if theirs.obstacle.is_some() || theirs.state != ReportedState::Backup {
        return Err("by the last report of this node, it could not serve this virtual router".to_owned());
    }
    // The Backup that wins the election takes over, whoever asked.
    let rank = |address, report: &RouterReport| (report.priority, address);
    let address = node.links.get(&link).map(|heard| heard.address);
    let winner = nodes.present().filter_map(|(session, other)| {
        let report = other.router(now, link, vrid).filter(|report| report.obstacle.is_none())?;
        let heard = other.links.get(&link).map(|heard| heard.address);
        (session != request.from).then_some((rank(heard, report), &other.name))
    });
    if let Some((_, winner)) = winner.max().filter(|(other, _)| *other > rank(address, theirs)) {
        return Err(format!("{winner} would take over instead, because it comes first in the election"));
    }
    // A Backup that preempts and has the higher priority takes over again at once.
    let would_return = ours.preempts && ours.priority > theirs.priority;
    let afterwards = if would_return { Afterwards::LastResort } else { Afterwards::Backup };
    let by = format!("{by} on {}", node.name);
    Ok(PermittedHandover { router, by, afterwards })
}
