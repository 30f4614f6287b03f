//! Between which nodes packets of open connections can be passed on.
//!
//! A forwarded frame has the address of a client as its source. Networks that check source
//! addresses (port security) drop such frames, and clients would hang. So nothing is promised
//! before it has been tried: a node that forwards sends *probe frames* with a foreign source address
//! to each node that drains, and that node lists the sessions whose frames have arrived. Such a
//! frame carries a message of the channel, so that nobody without the key can write one.

use super::nodes::Nodes;
use super::values::{ChannelLink, LocalNode};
use super::{Ability, MessageSender, SILENT_AFTER};
use crate::types::MonoTime;
use crate::wire::channel::{ChannelMessage, SessionId};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// How often a probe is sent to a node that does not say that one has arrived.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// After this time without success, a probe is sent in [`PROBE_SELDOM`]. The network does not let
/// it through, and somebody may mend that.
const PROBE_OFTEN_FOR: Duration = Duration::from_secs(60);
const PROBE_SELDOM: Duration = Duration::from_secs(60);
/// How often a path is proven again.
const PROVE_AGAIN: Duration = Duration::from_secs(3_600);
/// How long a proof lasts. One of two probes that renew it may be lost.
const PROOF_LASTS: Duration = Duration::from_secs(2 * 3_600 + 60);

/// A session on a link.
type Place = (ChannelLink, SessionId);

/// What nodes can do, and what was proven.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// What the nodes that are there said.
    heard: BTreeMap<Place, HeardAbilities>,
    /// When the last probe frame of a session arrived here.
    proofs: BTreeMap<Place, MonoTime>,
    /// The nodes that this node proves a path to.
    probing: BTreeMap<Place, Probing>,
    sent: u64,
}

/// What a node says that it can do.
#[derive(Debug, Clone, Copy)]
pub(super) struct SaidAbilities {
    pub(super) drains: bool,
    pub(super) forwards: bool,
    /// Whether the node says that a probe frame of ours has arrived.
    pub(super) lists_us: bool,
}

#[derive(Debug)]
struct HeardAbilities {
    said: SaidAbilities,
    heard: MonoTime,
    /// The counter of the message.
    counter: u64,
}

#[derive(Debug)]
struct Probing {
    sent: Option<MonoTime>,
    standing: ProbeStanding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProbeStanding {
    /// The node has not listed us since this time.
    Missing(MonoTime),
    Listed,
}

/// Whether a probe frame proves something that was not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProofNews {
    New,
    Renewed,
}

/// A probe frame that is to be sent.
#[derive(Debug)]
pub(super) struct DueProbe {
    pub(super) link: ChannelLink,
    pub(super) address: IpAddr,
    pub(super) to: SessionId,
    pub(super) message: ChannelMessage,
}

impl Probing {
    fn due(&self) -> MonoTime {
        match (self.sent, self.standing) {
            (None, ProbeStanding::Missing(since)) => since,
            (None, ProbeStanding::Listed) => MonoTime::ZERO,
            (Some(sent), ProbeStanding::Missing(since)) if sent.since(since) < PROBE_OFTEN_FOR => {
                sent + PROBE_EVERY
            }
            (Some(sent), ProbeStanding::Missing(_)) => sent + PROBE_SELDOM,
            (Some(sent), ProbeStanding::Listed) => sent + PROVE_AGAIN,
        }
    }
}

impl Paths {
    /// A node says what it can do, and whose probe frames have arrived there.
    pub(super) fn on_drains(&mut self, now: MonoTime, sender: MessageSender, said: SaidAbilities) {
        let MessageSender { link, from, counter, .. } = sender;
        let place = (link, from);
        if self.heard.get(&place).is_some_and(|heard| heard.counter > counter) {
            return; // A later message has overtaken this one.
        }
        self.heard.insert(place, HeardAbilities { said, heard: now, counter });
    }

    /// A probe frame of a node has arrived.
    pub(super) fn on_probe(&mut self, now: MonoTime, link: ChannelLink, from: SessionId) -> ProofNews {
        match self.proofs.insert((link, from), now) {
            None => ProofNews::New,
            Some(_) => ProofNews::Renewed,
        }
    }

    /// This node could not hear, and nothing could be proven to it, for this long.
    pub(super) fn excuse(&mut self, now: MonoTime, paused: Duration) {
        self.heard.values_mut().for_each(|heard| heard.heard = now);
        self.proofs.values_mut().for_each(|proof| *proof = *proof + paused);
    }

    /// Forgets what does not count any more, and returns the probe frames that are due.
    pub(super) fn update(&mut self, now: MonoTime, local: &LocalNode, nodes: &Nodes) -> Vec<DueProbe> {
        let is_ours = |link: &ChannelLink| local.links.contains_key(link);
        self.heard.retain(|(link, session), heard| {
            now.since(heard.heard) < SILENT_AFTER && is_ours(link) && nodes.get(*session).is_some()
        });
        self.proofs.retain(|(link, session), proof| {
            now.since(*proof) < PROOF_LASTS && is_ours(link) && nodes.knows(*session)
        });
        let can_forward = local.abilities.forwards == Ability::Able;
        let heard = &self.heard;
        self.probing
            .retain(|place, _| can_forward && heard.get(place).is_some_and(|heard| heard.said.drains));
        if !can_forward {
            return Vec::new();
        }
        let mut due = Vec::new();
        for ((link, session), heard) in self.heard.iter().filter(|(_, heard)| heard.said.drains) {
            let can_send = local.links.get(link).is_some_and(|here| here.source.is_some());
            let there = nodes.get(*session).and_then(|node| node.links.get(link));
            let Some(there) = there.filter(|_| can_send) else {
                self.probing.remove(&(*link, *session));
                continue;
            };
            let missing = ProbeStanding::Missing(now);
            let fresh = Probing { sent: None, standing: missing };
            let probing = self.probing.entry((*link, *session)).or_insert(fresh);
            probing.standing = match (heard.said.lists_us, probing.standing) {
                (true, _) => ProbeStanding::Listed,
                (false, ProbeStanding::Listed) => missing,
                (false, standing @ ProbeStanding::Missing(_)) => standing,
            };
            if probing.due() <= now {
                probing.sent = Some(now);
                let message = ChannelMessage::Probe { number: self.sent };
                self.sent += 1;
                due.push(DueProbe { link: *link, address: there.address, to: *session, message });
            }
        }
        due
    }

    /// When something is due.
    pub(super) fn wakes_at(&self) -> Option<MonoTime> {
        let silent = self.heard.values().map(|heard| heard.heard + SILENT_AFTER);
        let forgotten = self.proofs.values().map(|proof| *proof + PROOF_LASTS);
        let probes = self.probing.values().map(Probing::due);
        silent.chain(forgotten).chain(probes).min()
    }

    /// The sessions whose probe frames have arrived on a link: the newest, if there are many.
    pub(super) fn proven(&self, link: ChannelLink) -> Vec<SessionId> {
        let of_link = self.proofs.iter().filter(|((on, _), _)| *on == link);
        let mut proven: Vec<(MonoTime, SessionId)> =
            of_link.map(|((_, session), proof)| (*proof, *session)).collect();
        proven.sort_by_key(|(proof, _)| Reverse(*proof));
        proven.truncate(ChannelMessage::MOST_PROVEN);
        proven.into_iter().map(|(_, session)| session).collect()
    }

    /// Whether a node says that it goes on serving open connections.
    pub(super) fn says_it_drains(&self, link: ChannelLink, session: SessionId) -> bool {
        self.heard.get(&(link, session)).is_some_and(|heard| heard.said.drains)
    }

    /// Whether a node says that it passes on packets.
    pub(super) fn says_it_forwards(&self, link: ChannelLink, session: SessionId) -> bool {
        self.heard.get(&(link, session)).is_some_and(|heard| heard.said.forwards)
    }

    /// Whether frames with a foreign source address get from a node to this one.
    pub(super) fn is_proven_from(&self, link: ChannelLink, session: SessionId) -> bool {
        self.proofs.contains_key(&(link, session))
    }

    /// Whether a node says that frames with a foreign source address get there from this one.
    pub(super) fn is_proven_to(&self, link: ChannelLink, session: SessionId) -> bool {
        self.heard.get(&(link, session)).is_some_and(|heard| heard.said.lists_us)
    }
}
