//! What the nodes know of one another: which are there, who would take over, and what is not
//! configured alike.

use super::AgentSnapshot;
use crate::agent::{ChannelState, Severity, named};
use crate::channel::{ChannelEvent, NodePresence, OtherNode, Redundancy, Standby, StandingDifference};
use crate::control::message::{NodeDoc, StandbyDoc, WarningDoc};
use crate::protocol::{InstanceSnapshot, RouterSnapshot, StateName};
use crate::types::MonoTime;
use crate::words::{self, millis};
use std::collections::BTreeSet;

impl AgentSnapshot {
    /// The other nodes; `None`: the nodes do not talk to one another.
    pub(super) fn nodes(&self) -> Option<Vec<NodeDoc>> {
        match self.channel.state {
            ChannelState::Off | ChannelState::Broken(_) => None,
            ChannelState::On => Some(self.channel.view.nodes.iter().map(|node| self.node(node)).collect()),
        }
    }

    /// Who would take over a router, if that is known.
    pub(super) fn redundancy(&self, router: &RouterSnapshot) -> Option<&Redundancy> {
        self.channel.view.routers.get(&router.spec.name)
    }

    pub(super) fn standbys(&self, router: &RouterSnapshot) -> Vec<StandbyDoc> {
        let standbys = self.redundancy(router).map(|redundancy| &redundancy.standbys);
        standbys.into_iter().flatten().map(|standby| self.standby(standby)).collect()
    }

    /// The warnings that are about no router.
    pub(super) fn warnings_of_node(&self) -> Vec<WarningDoc> {
        let broken = match &self.channel.state {
            ChannelState::Broken(why) => Some(why.clone()),
            ChannelState::Off | ChannelState::On => None,
        };
        let problems = broken.into_iter().chain(self.channel.problems.iter().cloned());
        let problem = |kind: &'static str, message| WarningDoc {
            kind: kind.into(),
            severity: Severity::Warning.as_str().into(),
            peer: None,
            peer_node: None,
            mac: None,
            since: self.wall_time(self.snapshot.at),
            message,
        };
        let problems =
            problems.map(|why| problem("channel", format!("the nodes cannot talk to one another: {why}")));
        let metrics = self.metrics_problem.iter();
        let metrics = metrics.map(|why| problem("metrics", format!("metrics are not served: {why}")));
        let differences = self.channel.view.differences.iter();
        let of_nodes = differences.filter(|standing| standing.router.is_none());
        problems.chain(metrics).chain(of_nodes.map(|standing| self.difference(standing))).collect()
    }

    /// The warnings about one router, from what other nodes say of it.
    pub(super) fn warnings_of_nodes(
        &self,
        router: &RouterSnapshot,
        instance: &InstanceSnapshot,
    ) -> Vec<WarningDoc> {
        let name = Some(&router.spec.name);
        let differences =
            self.channel.view.differences.iter().filter(|standing| standing.router.as_ref() == name);
        let differences = differences.map(|standing| self.difference(standing));
        self.not_redundant(router, instance).into_iter().chain(differences).collect()
    }

    fn not_redundant(&self, router: &RouterSnapshot, instance: &InstanceSnapshot) -> Option<WarningDoc> {
        let redundancy = self.redundancy(router)?;
        if redundancy.is_redundant || instance.state != StateName::Active {
            return None;
        }
        let why = redundancy.why.clone();
        let event = ChannelEvent::RedundancyLost { router: router.spec.name.clone(), why };
        let since = redundancy.missing_since.unwrap_or(self.snapshot.at);
        Some(self.warning_of_nodes("not_redundant", &event, since))
    }

    fn difference(&self, standing: &StandingDifference) -> WarningDoc {
        let StandingDifference { node, router, what, since } = standing.clone();
        self.warning_of_nodes("setting_differs", &ChannelEvent::Differs { router, node, what }, since)
    }

    fn warning_of_nodes(&self, kind: &'static str, event: &ChannelEvent, since: MonoTime) -> WarningDoc {
        WarningDoc {
            kind: kind.into(),
            severity: Severity::of_channel(event).max(Severity::Warning).as_str().into(),
            peer: None,
            peer_node: None,
            mac: None,
            since: self.wall_time(since),
            message: words::channel::sentence(event),
        }
    }

    fn node(&self, node: &OtherNode) -> NodeDoc {
        let addresses: BTreeSet<_> = node.addresses.iter().map(|(_, address)| *address).collect();
        NodeDoc {
            name: node.name.clone(),
            addresses: addresses.into_iter().collect(),
            presence: presence(&node.presence).into(),
            heard: self.wall_time(node.heard),
            software: node.software.clone(),
        }
    }

    fn standby(&self, standby: &Standby) -> StandbyDoc {
        StandbyDoc {
            node: standby.node.clone(),
            address: standby.address,
            active: standby.is_active,
            priority: standby.priority,
            obstacle: standby.obstacle.clone(),
            heard: self.wall_time(standby.heard),
            age_ms: millis(self.snapshot.at.since(standby.heard)),
        }
    }
}

named! {
    /// The names that say whether a node is there.
    pub(crate) const PRESENCES;
    fn presence(NodePresence);
    NodePresence::Present => "present",
    NodePresence::Silent => "silent",
    NodePresence::Left => "left",
}
