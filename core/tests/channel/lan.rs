//! Several nodes on a LAN that loses, delays and reorders datagrams.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use vrrpd_core::channel::{
    Ability, Afterwards, Channel, ChannelEffect, ChannelEvent, ChannelInput, ChannelLink, ChannelView,
    DrainAbilities, DrainView, ForwardedConnections, HandoverRequest, LocalDrain, LocalLink, LocalNode,
    Redundancy, TakeOutcome,
};
use vrrpd_core::sim::rng::Rng;
use vrrpd_core::types::{Connection, Family, MonoTime, RouterName};
use vrrpd_core::wire::channel::{ChannelKey, ReportedSettings, ReportedState, RouterReport, SessionId};

pub(crate) const MS: u64 = 1_000_000;

pub(crate) fn link(family: Family) -> ChannelLink {
    ChannelLink { interface: "eth0".parse().unwrap(), family }
}

/// A key of which each octet has this value.
pub(crate) fn key_of(octet: u8) -> ChannelKey {
    ChannelKey::new(&[octet; 32]).unwrap()
}

pub(crate) fn address(node: usize, family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => format!("192.0.2.{}", 10 + node).parse().unwrap(),
        Family::Ipv6 => format!("fe80::{}", 10 + node).parse().unwrap(),
    }
}

pub(crate) fn report(state: ReportedState, priority: u8) -> RouterReport {
    RouterReport {
        vrid: 51,
        name: "web".to_owned(),
        state,
        priority,
        obstacle: None,
        preempts: true,
        settings: ReportedSettings {
            version: 3,
            interval_ms: 1_000,
            addresses: vec!["192.0.2.50".parse().unwrap()],
            address_count: 1,
            address_digest: 7,
            checks: vec!["nginx".to_owned()],
            check_count: 1,
        },
    }
}

pub(crate) fn web() -> RouterName {
    "web".parse().unwrap()
}

#[derive(Debug, Clone)]
pub(crate) struct Datagram {
    pub(crate) link: ChannelLink,
    pub(crate) source: IpAddr,
    /// `None`: everybody but the sender.
    pub(crate) to: Option<IpAddr>,
    pub(crate) octets: Vec<u8>,
    pub(crate) carrier: Carrier,
}

/// How octets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    Datagram,
    /// In a frame whose source address is foreign.
    ProbeFrame,
}

/// Nodes, what is under way between them, and what they did.
pub(crate) struct Lan {
    pub(crate) now: u64,
    pub(crate) nodes: Vec<Option<Channel>>,
    pub(crate) local: Vec<LocalNode>,
    sessions: u8,
    pub(crate) under_way: BTreeMap<(u64, u64), Datagram>,
    pub(crate) sent: u64,
    pub(crate) recorded: Vec<Datagram>,
    pub(crate) events: Vec<(usize, ChannelEvent)>,
    pub(crate) handovers: Vec<(usize, HandoverRequest, Afterwards)>,
    pub(crate) ended: Vec<(usize, u64, TakeOutcome)>,
    pub(crate) rng: Rng,
    /// Of a hundred datagrams, how many are lost.
    pub(crate) loss: u64,
    /// The nodes whose frames with a foreign source address the network drops (port security).
    pub(crate) guarded: BTreeSet<usize>,
    /// What each node was told to be listed, by link, VRID and leaver.
    pub(crate) listed: BTreeMap<(usize, ChannelLink, u8, IpAddr), BTreeSet<Connection>>,
    pub(crate) forwarding_lost: Vec<(usize, ChannelLink, u8, Option<String>)>,
}

impl Lan {
    pub(crate) fn of(families: &[Family], count: usize) -> Self {
        let local = (0..count).map(|node| {
            let state = if node == 0 { ReportedState::Active } else { ReportedState::Backup };
            let priority = 200_u8.saturating_sub(u8::try_from(50 * node).unwrap_or(u8::MAX));
            let routers = vec![report(state, priority)];
            let of_link = |family: &Family| {
                let here = LocalLink {
                    source: Some(address(node, *family)),
                    destinations: [family.group()].into(),
                    routers: routers.clone(),
                };
                (link(*family), here)
            };
            LocalNode {
                name: format!("fe{node}"),
                software: "0.1.0".to_owned(),
                links: families.iter().map(of_link).collect(),
                abilities: DrainAbilities::default(),
            }
        });
        let mut lan = Self {
            now: 0,
            nodes: Vec::new(),
            local: local.collect(),
            sessions: 0,
            under_way: BTreeMap::new(),
            sent: 0,
            recorded: Vec::new(),
            events: Vec::new(),
            handovers: Vec::new(),
            ended: Vec::new(),
            rng: Rng::new(1),
            loss: 0,
            guarded: BTreeSet::new(),
            listed: BTreeMap::new(),
            forwarding_lost: Vec::new(),
        };
        for node in 0..count {
            lan.nodes.push(None);
            lan.start(node);
        }
        lan
    }

    pub(crate) fn start(&mut self, node: usize) {
        self.sessions += 1;
        self.nodes[node] = Some(Channel::new(SessionId([self.sessions; 16]), key_of(7)));
        self.tell(node);
    }

    /// Tells a node what it is to say of itself.
    pub(crate) fn tell(&mut self, node: usize) {
        let local = self.local[node].clone();
        self.input(node, ChannelInput::Local(local));
    }

    pub(crate) fn change(&mut self, node: usize, change: impl Fn(&mut RouterReport)) {
        for link in self.local[node].links.values_mut() {
            link.routers.iter_mut().for_each(&change);
        }
        self.tell(node);
    }

    pub(crate) fn input(&mut self, node: usize, input: ChannelInput<'_>) {
        let now = MonoTime::from_nanos(self.now);
        let Some(channel) = &mut self.nodes[node] else { return };
        for effect in channel.handle(now, input) {
            match effect {
                ChannelEffect::Send { link, to, octets } => {
                    let source = self.local[node].links[&link].source.unwrap();
                    let datagram = Datagram { link, source, to, octets, carrier: Carrier::Datagram };
                    self.recorded.push(datagram.clone());
                    self.send(datagram);
                }
                ChannelEffect::Report(event) => self.events.push((node, event)),
                ChannelEffect::HandOver { request, router, afterwards, .. } => {
                    assert_eq!(router, web());
                    self.handovers.push((node, request, afterwards));
                }
                ChannelEffect::TakeEnded { id, outcome } => self.ended.push((node, id, outcome)),
                ChannelEffect::SendProbe { link, to, octets } => self.send_probe(node, link, to, octets),
                ChannelEffect::Listed { link, vrid, leaver, connections } => {
                    let lists = self.listed.entry((node, link, vrid, leaver)).or_default();
                    lists.extend(connections);
                }
                ChannelEffect::ForwardingLost { link, vrid, since: _, node: active } => {
                    self.forwarding_lost.push((node, link, vrid, active));
                }
            }
        }
    }

    fn send_probe(&mut self, node: usize, link: ChannelLink, to: IpAddr, octets: Vec<u8>) {
        let source = self.local[node].links[&link].source.unwrap();
        let carrier = Carrier::ProbeFrame;
        let frame = Datagram { link, source, to: Some(to), octets, carrier };
        self.recorded.push(frame.clone());
        if !self.guarded.contains(&node) {
            self.send(frame);
        }
    }

    pub(crate) fn send(&mut self, datagram: Datagram) {
        if self.rng.below(100) < self.loss {
            return;
        }
        self.sent += 1;
        let delay = 100_000 + self.rng.below(2 * MS);
        self.under_way.insert((self.now + delay, self.sent), datagram);
    }

    pub(crate) fn deliver(&mut self, datagram: &Datagram) {
        for node in 0..self.nodes.len() {
            let own = self.local[node].links.get(&datagram.link).and_then(|link| link.source);
            let is_for_it = match datagram.to {
                Some(to) => own == Some(to),
                None => own.is_some_and(|own| own != datagram.source),
            };
            if is_for_it {
                let Datagram { link, source, ref octets, carrier, .. } = *datagram;
                let input = match carrier {
                    Carrier::Datagram => ChannelInput::Received { link, source, octets },
                    Carrier::ProbeFrame => ChannelInput::ProbeHeard { link, octets },
                };
                self.input(node, input);
            }
        }
    }

    /// Runs until this long from now.
    pub(crate) fn run(&mut self, ms: u64) {
        let end = self.now + ms * MS;
        loop {
            let wakes = self
                .nodes
                .iter()
                .enumerate()
                .filter_map(|(node, channel)| Some((channel.as_ref()?.wakes_at()?.as_nanos(), node)));
            let wake = wakes.min();
            let datagram = self.under_way.keys().next().copied();
            let next = [wake.map(|(at, _)| at), datagram.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if let Some((at, _)) = datagram.filter(|(at, _)| *at <= self.now) {
                let (_, datagram) = self.under_way.pop_first().expect("it was seen");
                assert!(at <= self.now);
                self.deliver(&datagram);
            } else if let Some((_, node)) = wake {
                let before = self.nodes[node].as_ref().unwrap().wakes_at();
                self.input(node, ChannelInput::Deadline);
                let after = self.nodes[node].as_ref().unwrap().wakes_at();
                assert!(after != before, "node {node} wants to be woken for ever at {before:?}");
            }
        }
        self.now = end;
    }

    /// All nodes keep connections, and pass on packets.
    pub(crate) fn all_drain(&mut self) {
        for node in 0..self.local.len() {
            self.local[node].abilities = DrainAbilities { drains: Ability::Able, forwards: Ability::Able };
            self.tell(node);
        }
    }

    pub(crate) fn drains(&self, node: usize) -> DrainView {
        DrainView::clone(self.nodes[node].as_ref().unwrap().drains())
    }

    pub(crate) fn outlook(&self, node: usize) -> Result<String, String> {
        self.nodes[node].as_ref().unwrap().drain_outlook(MonoTime::from_nanos(self.now), &web())
    }

    /// The router drains on a node in these families, with so many connections left.
    pub(crate) fn drain(&mut self, node: usize, families: &[Family], left: u32) {
        let (since, until) = (MonoTime::ZERO, MonoTime::from_nanos(600_000 * MS));
        let drain = LocalDrain { since, until, left, oldest: None };
        let drains = families.iter().map(|family| ((link(*family), 51), drain)).collect();
        self.input(node, ChannelInput::Draining(drains));
    }

    /// A node forwards for the leavers that it hears of.
    pub(crate) fn forward(&mut self, node: usize) {
        let view = self.drains(node);
        let mut forwarding = BTreeMap::new();
        for ((link, vrid), leavers) in view.leavers {
            for leaver in leavers {
                let listed = self.listed.get(&(node, link, vrid, leaver.address)).map_or(0, BTreeSet::len);
                let listed = u32::try_from(listed).unwrap();
                let forwarded = ForwardedConnections { listed, packets: 7 };
                forwarding.insert((link, vrid, leaver.address), forwarded);
            }
        }
        self.input(node, ChannelInput::Forwarding(forwarding));
    }

    pub(crate) fn view(&self, node: usize) -> ChannelView {
        self.nodes[node].as_ref().unwrap().view(MonoTime::from_nanos(self.now))
    }

    pub(crate) fn redundancy(&self, node: usize) -> Option<Redundancy> {
        self.view(node).routers.get(&web()).cloned()
    }

    pub(crate) fn is_redundant(&self, node: usize) -> Option<bool> {
        self.redundancy(node).map(|redundancy| redundancy.is_redundant)
    }

    /// The events since the last call.
    pub(crate) fn news(&mut self) -> Vec<(usize, ChannelEvent)> {
        std::mem::take(&mut self.events)
    }

    pub(crate) fn kinds(&mut self) -> Vec<(usize, &'static str)> {
        let kind = |event: &ChannelEvent| match event {
            ChannelEvent::NodeHeard { .. } => "heard",
            ChannelEvent::NodeSilent { .. } => "silent",
            ChannelEvent::NodeLeft { .. } => "left",
            ChannelEvent::RedundancyLost { .. } => "lost",
            ChannelEvent::RedundancyBack { .. } => "back",
            ChannelEvent::Differs { .. } => "differs",
            ChannelEvent::DiffersNoMore { .. } => "differs no more",
            ChannelEvent::NameShared { .. } => "name shared",
            ChannelEvent::NotUnderstood { .. } => "not understood",
        };
        self.news().iter().map(|(node, event)| (*node, kind(event))).collect()
    }
}
