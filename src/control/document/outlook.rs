//! The sentence of `promote`: what this node does now and why, and which command an operator who
//! wanted something else runs, and on which node.

use super::AgentSnapshot;
use crate::protocol::{InstanceSnapshot, PeerSnapshot, RouterSnapshot, StateName};
use crate::types::{Preempt, Role};
use crate::words::NamedNode;

impl AgentSnapshot {
    /// A sentence without its subject, which is the router: "is Backup, because 192.0.2.10 has
    /// priority 150 …".
    #[must_use]
    pub fn outlook(&self, router: &RouterSnapshot) -> String {
        // The families of a router are Active or Backup together, so the first one speaks for all.
        let Some(lead) = router.instances.first() else { return "has no addresses".to_owned() };
        if !router.faults.is_empty() {
            return format!("is out of service here: {}", self.why(router, lead));
        }
        match lead.state {
            StateName::Active => "is Active on this node".to_owned(),
            StateName::Initialize => "is about to start here".to_owned(),
            StateName::Backup => self.of_a_backup(router, lead),
        }
    }

    fn of_a_backup(&self, router: &RouterSnapshot, lead: &InstanceSnapshot) -> String {
        let in_time =
            lead.timers.next.map_or_else(String::new, |at| match at.since(self.snapshot.at).as_secs() {
                0 => " in less than 1 s".to_owned(),
                seconds => format!(" in about {seconds} s"),
            });
        let Some(active) = active(lead) else {
            return format!("is Backup; it takes over{in_time} unless another router is heard");
        };
        let (name, ours) = (&router.spec.name, router.effective);
        let (node, theirs) = (NamedNode::of(&self.names, active.address), active.priority);
        let knows_the_active =
            self.redundancy(router).is_some_and(|it| it.standbys.iter().any(|other| other.is_active));
        let elsewhere = if knows_the_active {
            format!("to move it here: vrrpctl take {name}")
        } else {
            format!("to move it here, run on {}: vrrpctl demote {name}", node.in_short())
        };
        let preempts = match router.spec.role {
            Role::Owner | Role::Contender { preempt: Preempt::Allow, .. } => Preempt::Allow,
            Role::Contender { preempt: Preempt::Forbid, .. } => Preempt::Forbid,
        };
        match preempts {
            Preempt::Allow if ours > theirs => {
                format!("is Backup, and takes over from {node}{in_time} (priority {ours} > {theirs})")
            }
            Preempt::Forbid if ours > theirs => {
                let why = match node.name {
                    // The address is in parentheses already.
                    Some(_) => ", because preempt = false",
                    None => " (preempt = false)",
                };
                format!("is Backup, and leaves it to {node}{why}; {elsewhere}")
            }
            Preempt::Allow | Preempt::Forbid => {
                format!("is Backup, because {node} has priority {theirs} and this node {ours}; {elsewhere}")
            }
        }
    }
}

/// The peer that is Active, as this node last heard it.
fn active(instance: &InstanceSnapshot) -> Option<&PeerSnapshot> {
    let active = instance.active?;
    instance.peers.iter().find(|peer| peer.address == active.address)
}
