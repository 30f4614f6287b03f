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

/// How often a probe is sent to a node that does not say that one has arrived, by how long it has
/// not said so. At first it may not know this node yet. After a minute the network does not let
/// probes through, and somebody may mend that.
const PROBES: [(Duration, Duration); 2] =
    [(Duration::from_secs(5), Duration::from_secs(1)), (Duration::from_secs(60), Duration::from_secs(5))];
const PROBE_SELDOM: Duration = Duration::from_secs(60);
/// How often a path is proven again.
const PROVE_AGAIN: Duration = Duration::from_secs(3_600);
/// How long a proof lasts. One of two probes that renew it may be lost.
const PROOF_LASTS: Duration = Duration::from_secs(2 * 3_600 + 60);

/// A session on a link.
type PathKey = (ChannelLink, SessionId);

/// What nodes can do, and what was proven.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// What the nodes that are there said.
    heard: BTreeMap<PathKey, HeardAbilities>,
    /// When the last probe frame of a session arrived here.
    proofs: BTreeMap<PathKey, MonoTime>,
    /// The nodes that this node proves a path to.
    probing: BTreeMap<PathKey, Probing>,
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
            (Some(sent), ProbeStanding::Missing(since)) => {
                let often = PROBES.iter().find(|(until, _)| sent.since(since) < *until);
                sent + often.map_or(PROBE_SELDOM, |(_, every)| *every)
            }
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

#[cfg(test)]
mod tests {
    use super::super::{DrainAbilities, LocalLink, Recipient};
    use super::*;
    use crate::types::Family;
    use crate::wire::channel::pages;
    use std::collections::BTreeSet;

    const FE1: SessionId = SessionId([1; 16]);
    const LISTS_US: SaidAbilities = SaidAbilities { drains: true, forwards: true, lists_us: true };
    const MISSES_US: SaidAbilities = SaidAbilities { lists_us: false, ..LISTS_US };

    /// This node, which can do everything, and its paths to fe1, which drains.
    struct Pair {
        link: ChannelLink,
        local: LocalNode,
        nodes: Nodes,
        paths: Paths,
        counter: u64,
    }

    impl Pair {
        fn new() -> Self {
            let link = ChannelLink { interface: "eth0".parse().unwrap(), family: Family::Ipv4 };
            let here = LocalLink {
                source: Some([192, 0, 2, 10].into()),
                destinations: BTreeSet::new(),
                routers: vec![],
            };
            let abilities = DrainAbilities { drains: Ability::Able, forwards: Ability::Able };
            let local = LocalNode { links: [(link, here)].into(), abilities, ..LocalNode::default() };
            let (nodes, paths) = (Nodes::default(), Paths::default());
            let mut pair = Self { link, local, nodes, paths, counter: 0 };
            let page = pages(1, "fe1", "0.1.0", &[]).remove(0);
            let sender = pair.sender();
            pair.nodes.on_page(MonoTime::ZERO, sender, page, "fe0", &mut Vec::new());
            pair
        }

        fn sender(&mut self) -> MessageSender {
            self.counter += 1;
            let (source, recipient) = ([192, 0, 2, 11].into(), Recipient::Everybody);
            MessageSender { link: self.link, source, from: FE1, counter: self.counter, recipient }
        }

        /// The seconds of this hour in which a probe is sent, while fe1 says this each second.
        fn probes(&mut self, hour: u64, said: SaidAbilities) -> Vec<u64> {
            let mut probes = Vec::new();
            for second in 0..3_600 {
                let now = MonoTime::ZERO + Duration::from_secs(hour * 3_600 + second);
                let sender = self.sender();
                self.paths.on_drains(now, sender, said);
                if !self.paths.update(now, &self.local, &self.nodes).is_empty() {
                    probes.push(second);
                }
                assert!(self.paths.wakes_at().is_some_and(|at| at > now));
            }
            probes
        }
    }

    #[test]
    fn a_path_is_tried_often_then_seldom_and_proven_again_each_hour() {
        let mut pair = Pair::new();
        let often = (0..5).chain((5..60).step_by(5));
        let all: Vec<u64> = often.chain((60..3_600).step_by(60)).collect();
        assert_eq!(pair.probes(0, MISSES_US), all);
        // The last one was at 3,540 s.
        assert_eq!(pair.probes(1, LISTS_US), [3_540]);
        assert_eq!(pair.probes(2, LISTS_US), [3_540]);
        assert_eq!(pair.probes(3, MISSES_US), all, "what was proven is not listed any more");
    }

    #[test]
    fn one_of_two_proofs_may_be_lost() {
        let mut pair = Pair::new();
        let at = |seconds| MonoTime::ZERO + Duration::from_secs(seconds);
        let (link, own) = (pair.link, pair.local.clone());
        assert_eq!(pair.paths.on_probe(at(0), link, FE1), ProofNews::New);
        for seconds in [3_600, 7_201, 7_259] {
            pair.paths.update(at(seconds), &own, &pair.nodes);
            assert!(pair.paths.is_proven_from(link, FE1), "at {seconds} s");
        }
        pair.paths.update(at(7_260), &own, &pair.nodes);
        assert!(!pair.paths.is_proven_from(link, FE1));
        assert_eq!(pair.paths.on_probe(at(7_300), link, FE1), ProofNews::New);
        assert_eq!(pair.paths.on_probe(at(7_400), link, FE1), ProofNews::Renewed);
        pair.paths.update(at(7_400 + 7_259), &own, &pair.nodes);
        assert_eq!(pair.paths.proven(link), [FE1]);
        // A session that is forgotten has no proof.
        pair.paths.update(at(7_500), &own, &Nodes::default());
        assert_eq!(pair.paths.proven(link), []);
    }

    #[test]
    fn the_newest_proofs_are_listed() {
        let mut pair = Pair::new();
        for n in 0..40_u8 {
            let now = MonoTime::ZERO + Duration::from_secs(n.into());
            pair.paths.on_probe(now, pair.link, SessionId([n; 16]));
        }
        let newest: Vec<_> = (8..40).rev().map(|n| SessionId([n; 16])).collect();
        assert_eq!(pair.paths.proven(pair.link), newest);
    }

    #[test]
    fn what_was_overtaken_is_not_believed() {
        let mut pair = Pair::new();
        let (older, newer) = (pair.sender(), pair.sender());
        pair.paths.on_drains(MonoTime::ZERO, newer, SaidAbilities { drains: false, ..LISTS_US });
        pair.paths.on_drains(MonoTime::ZERO, older, LISTS_US);
        assert!(!pair.paths.says_it_drains(pair.link, FE1));
        assert!(pair.paths.says_it_forwards(pair.link, FE1) && pair.paths.is_proven_to(pair.link, FE1));
    }
}
