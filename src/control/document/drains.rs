//! Connections that outlive a move: what this node drains, and what it passes on for others.

use super::AgentSnapshot;
use crate::agent::{Severity, named};
use crate::channel::{ChannelLink, HeardLeaver};
use crate::control::message::{DrainingDoc, ForwardingDoc, WarningDoc};
use crate::protocol::{InstanceSnapshot, StateName};
use crate::words;

impl AgentSnapshot {
    /// The drain of an instance, if it drains.
    pub(in crate::control) fn draining(&self, instance: &InstanceSnapshot) -> Option<DrainingDoc> {
        let drain = instance.draining?;
        let known = self.channel.drains.get(&instance.key);
        let place = (link(instance), instance.key.vrid.get());
        let forwarder = self.channel.drain_view.forwarded_by.get(&place);
        let to = forwarder.map(|forwarder| forwarder.address).or(drain.to);
        Some(DrainingDoc {
            since: self.wall_time(drain.since),
            until: self.wall_time(drain.until),
            left: known.map(|known| known.left),
            oldest: known.and_then(|known| known.oldest).map(|age| self.wall_time(self.snapshot.at - age)),
            to,
            to_node: forwarder
                .map(|forwarder| forwarder.node.clone())
                .or_else(|| to.and_then(|to| self.name_of(to))),
            via: via(&Way::Link).into(),
        })
    }

    /// The names of the nodes to which connections could be left.
    pub(super) fn drain_partners(&self, instance: &InstanceSnapshot) -> Vec<String> {
        let place = (link(instance), instance.key.vrid.get());
        let partners = self.channel.drain_view.partners.get(&place).into_iter().flatten();
        partners.map(|address| self.name_of(*address).unwrap_or_else(|| address.to_string())).collect()
    }

    /// What this node passes on for others.
    pub(in crate::control) fn forwarding(&self, instance: &InstanceSnapshot) -> Vec<ForwardingDoc> {
        let served = self.leavers(instance).filter(|leaver| self.is_served(instance, leaver));
        served.map(|leaver| self.forwarding_for(instance, leaver)).collect()
    }

    /// The other nodes that drain an instance that is Active here.
    fn leavers(&self, instance: &InstanceSnapshot) -> impl Iterator<Item = &HeardLeaver> {
        let is_active = instance.state == StateName::Active;
        let place = (link(instance), instance.key.vrid.get());
        let leavers = self.channel.drain_view.leavers.get(&place).filter(|_| is_active);
        leavers.into_iter().flatten()
    }

    /// Whether packets are passed on to a node that drains: once the path to it is proven. One that
    /// has started again has to prove it anew, and is served meanwhile.
    fn is_served(&self, instance: &InstanceSnapshot, leaver: &HeardLeaver) -> bool {
        leaver.proven || self.channel.forwarded.contains_key(&(instance.key, leaver.address))
    }

    fn forwarding_for(&self, instance: &InstanceSnapshot, leaver: &HeardLeaver) -> ForwardingDoc {
        let forwarded = self.channel.forwarded.get(&(instance.key, leaver.address));
        ForwardingDoc {
            leaver: leaver.node.clone(),
            address: leaver.address,
            connections: leaver.left,
            listed: forwarded.map_or(0, |forwarded| forwarded.listed),
            packets: forwarded.map_or(0, |forwarded| forwarded.packets),
            until: self.wall_time(leaver.until),
        }
    }

    /// `draining, 37 left, until 10:12 UTC`.
    pub(super) fn draining_in_short(&self, instance: &InstanceSnapshot) -> Option<String> {
        let draining = self.draining(instance)?;
        let left = draining.left.map_or_else(String::new, |left| format!(", {left} left"));
        let until = words::until(&draining.until.to_string(), self.wall);
        Some(format!("draining{left}, until {until}"))
    }

    /// `forwards 37 for fe0`, or `forwards nothing for fe0: the path to it is not proven`.
    pub(super) fn forwarding_in_short(&self, instance: &InstanceSnapshot) -> Vec<String> {
        let short = |leaver: &HeardLeaver| {
            if self.is_served(instance, leaver) {
                format!("forwards {} for {}", leaver.left, leaver.node)
            } else {
                format!("forwards nothing for {}: the path to it is not proven", leaver.node)
            }
        };
        self.leavers(instance).map(short).collect()
    }

    /// Why open connections cannot be kept or passed on, if the nodes talk to one another.
    pub(super) fn drain_warnings(&self) -> Vec<WarningDoc> {
        let warning = |message: &String| WarningDoc {
            kind: "draining".into(),
            severity: Severity::Warning.as_str().into(),
            peer: None,
            peer_node: None,
            mac: None,
            since: self.wall_time(self.snapshot.at),
            message: message.clone(),
        };
        self.channel.drain_problems.iter().map(warning).collect()
    }
}

const fn link(instance: &InstanceSnapshot) -> ChannelLink {
    ChannelLink { interface: instance.key.interface, family: instance.key.family }
}

/// How packets get from the node that took over to the node that drains.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) enum Way {
    /// Over the link that both are on.
    Link,
}

named! {
    /// The names of the ways.
    pub(crate) const WAYS;
    fn via(Way);
    Way::Link => "link",
}
