//! The other nodes: what they said of themselves, and whether they are there.

use super::values::{ChannelEffect, ChannelEvent, ChannelLink, NodePresence, OtherNode};
use super::{MessageSender, SILENT_AFTER};
use crate::types::MonoTime;
use crate::wire::channel::{ReportPage, RouterReport, SessionId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The most nodes that are remembered. Those that are gone make room first.
const MOST: usize = 64;
/// The most pages of one report. 255 routers with long lists need some 100.
const MOST_PAGES: u16 = 512;

/// All nodes that were heard.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    by_session: BTreeMap<SessionId, HeardNode>,
}

/// One node.
#[derive(Debug)]
pub(super) struct HeardNode {
    pub(super) name: String,
    pub(super) software: String,
    pub(super) links: BTreeMap<ChannelLink, HeardLink>,
    pub(super) heard: MonoTime,
    pub(super) presence: NodePresence,
    first_heard: MonoTime,
    /// Whether it was said that another node has its name.
    shares_name: bool,
}

/// What a node said on one link.
#[derive(Debug)]
pub(super) struct HeardLink {
    pub(super) address: IpAddr,
    pub(super) heard: MonoTime,
    /// The last report that is complete.
    pub(super) routers: BTreeMap<u8, RouterReport>,
    generation: u64,
    pages: BTreeMap<u16, Vec<RouterReport>>,
}

/// Whether all pages of a report have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReportProgress {
    Partial,
    Complete,
}

impl HeardNode {
    /// The address by which people know the node: the IPv4 one, if it is heard there.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.links.values().map(|link| link.address).min_by_key(IpAddr::is_ipv6)
    }

    /// What it last said of a router, if it still says so.
    pub(super) fn router(&self, now: MonoTime, link: ChannelLink, vrid: u8) -> Option<&RouterReport> {
        let heard = self.links.get(&link).filter(|heard| now.since(heard.heard) < SILENT_AFTER)?;
        heard.routers.get(&vrid)
    }
}

impl Nodes {
    /// The nodes that were heard, and have not been forgotten.
    pub(super) fn iter(&self) -> impl Iterator<Item = &HeardNode> {
        self.by_session.values()
    }

    /// The nodes that are there now, each with its session.
    pub(super) fn present(&self) -> impl Iterator<Item = (SessionId, &HeardNode)> {
        let present = self.by_session.iter().filter(|(_, node)| node.presence == NodePresence::Present);
        present.map(|(session, node)| (*session, node))
    }

    /// The node of a session, if it is there now.
    pub(super) fn get(&self, session: SessionId) -> Option<&HeardNode> {
        self.by_session.get(&session).filter(|node| node.presence == NodePresence::Present)
    }

    /// Whether a session was heard, and has not been forgotten.
    pub(super) fn knows(&self, session: SessionId) -> bool {
        self.by_session.contains_key(&session)
    }

    /// Forgets what was heard on links that this node has no routers on any more.
    pub(super) fn keep_links(&mut self, keep: impl Fn(ChannelLink) -> bool) {
        for node in self.by_session.values_mut() {
            node.links.retain(|link, _| keep(*link));
        }
    }

    /// This node could not hear: silence until now says nothing about the others.
    pub(super) fn excuse(&mut self, now: MonoTime) {
        for node in self.by_session.values_mut().filter(|node| node.presence == NodePresence::Present) {
            node.heard = now;
            node.links.values_mut().for_each(|link| link.heard = now);
        }
    }

    /// When a node that is there counts as silent.
    pub(super) fn wakes_at(&self) -> Option<MonoTime> {
        self.present().map(|(_, node)| node.heard + SILENT_AFTER).min()
    }

    /// A page of a report. The report counts when all of its pages have arrived.
    pub(super) fn on_page(
        &mut self,
        now: MonoTime,
        sender: MessageSender,
        page: ReportPage,
        own_name: &str,
        out: &mut Vec<ChannelEffect>,
    ) -> ReportProgress {
        let MessageSender { link, source: address, from, .. } = sender;
        let ReportPage { generation, page, pages, node: name, software, routers } = page;
        if pages > MOST_PAGES {
            return ReportProgress::Partial;
        }
        if !self.by_session.contains_key(&from) {
            self.make_room();
            self.forget_earlier_run(&name, link, address);
        }
        // Datagrams overtake one another, above all those of two links. A session that has said
        // farewell says nothing after it.
        if self.by_session.get(&from).is_some_and(|node| node.presence == NodePresence::Left) {
            return ReportProgress::Partial;
        }
        let node = self.by_session.entry(from).or_insert_with(|| HeardNode {
            name: name.clone(),
            software: software.clone(),
            links: BTreeMap::new(),
            heard: now,
            presence: NodePresence::Silent,
            first_heard: now,
            shares_name: false,
        });
        (node.name, node.software, node.heard) = (name.clone(), software, now);
        if node.presence != NodePresence::Present {
            node.presence = NodePresence::Present;
            out.push(ChannelEffect::Report(ChannelEvent::NodeHeard { node: name.clone(), address }));
        }
        let heard = node.links.entry(link).or_insert_with(|| HeardLink {
            address,
            heard: now,
            routers: BTreeMap::new(),
            generation,
            pages: BTreeMap::new(),
        });
        (heard.address, heard.heard) = (address, now);
        // A later report has overtaken this one.
        if generation < heard.generation {
            return ReportProgress::Partial;
        }
        if heard.generation != generation {
            heard.generation = generation;
            heard.pages.clear();
        }
        heard.pages.insert(page, routers);
        let mut progress = ReportProgress::Partial;
        if heard.pages.len() == usize::from(pages) {
            let routers = std::mem::take(&mut heard.pages).into_values().flatten();
            heard.routers = routers.map(|report| (report.vrid, report)).collect();
            progress = ReportProgress::Complete;
        }
        self.tell_shared_name(now, from, address, own_name, out);
        progress
    }

    pub(super) fn on_farewell(&mut self, now: MonoTime, from: SessionId, out: &mut Vec<ChannelEffect>) {
        if let Some(node) = self.by_session.get_mut(&from)
            && node.presence == NodePresence::Present
        {
            (node.presence, node.heard) = (NodePresence::Left, now);
            let (name, address) = (node.name.clone(), node.address());
            out.extend(
                address.map(|address| ChannelEffect::Report(ChannelEvent::NodeLeft { node: name, address })),
            );
        }
    }

    /// Reports nodes that are silent from now on.
    pub(super) fn expire(&mut self, now: MonoTime, out: &mut Vec<ChannelEffect>) {
        let is_silent = |node: &HeardNode| {
            node.presence == NodePresence::Present && now.since(node.heard) >= SILENT_AFTER
        };
        let heard: BTreeSet<String> =
            self.present().filter(|(_, node)| !is_silent(node)).map(|(_, node)| node.name.clone()).collect();
        // The earlier run of a node that is there again.
        self.by_session.retain(|_, node| !(is_silent(node) && heard.contains(&node.name)));
        for node in self.by_session.values_mut() {
            let silent = now.since(node.heard);
            if is_silent(node) {
                node.presence = NodePresence::Silent;
                let (name, address) = (node.name.clone(), node.address());
                out.extend(address.map(|address| {
                    ChannelEffect::Report(ChannelEvent::NodeSilent { node: name, address, silent })
                }));
            }
        }
    }

    pub(super) fn view(&self) -> Vec<OtherNode> {
        let mut nodes: Vec<OtherNode> = self
            .iter()
            .map(|node| OtherNode {
                name: node.name.clone(),
                software: node.software.clone(),
                addresses: node.links.iter().map(|(link, heard)| (*link, heard.address)).collect(),
                heard: node.heard,
                presence: node.presence,
            })
            .collect();
        nodes.sort_by(|a, b| (&a.name, a.presence).cmp(&(&b.name, b.presence)));
        nodes
    }

    /// A node that starts again has another session. What it was before is forgotten.
    fn forget_earlier_run(&mut self, name: &str, link: ChannelLink, address: IpAddr) {
        self.by_session.retain(|_, node| {
            let same_place = node.links.get(&link).is_some_and(|heard| heard.address == address);
            node.name != name || (node.presence == NodePresence::Present && !same_place)
        });
    }

    /// Says once that a node has the name of another one. An earlier run of a node may have had
    /// another address: it is not heard any more.
    fn tell_shared_name(
        &mut self,
        now: MonoTime,
        from: SessionId,
        address: IpAddr,
        own_name: &str,
        out: &mut Vec<ChannelEffect>,
    ) {
        let Some(node) = self.get(from) else { return };
        let name = node.name.clone();
        let lasts = now.since(node.first_heard) > SILENT_AFTER;
        let is_others = self.present().any(|(session, other)| {
            session != from && other.name == name && now.since(other.first_heard) > SILENT_AFTER
        });
        let is_shared = name == own_name || (lasts && is_others);
        let Some(node) = self.by_session.get_mut(&from) else { return };
        if is_shared && !node.shares_name {
            out.push(ChannelEffect::Report(ChannelEvent::NameShared { node: name, address }));
        }
        node.shares_name = is_shared;
    }

    fn make_room(&mut self) {
        while self.by_session.len() >= MOST {
            let present = |node: &HeardNode| node.presence == NodePresence::Present;
            let oldest = self.by_session.iter().min_by_key(|(_, node)| (present(node), node.heard));
            match oldest.map(|(session, _)| *session) {
                Some(session) => self.by_session.remove(&session),
                None => return,
            };
        }
    }
}
