//! The `VRRPD_*` variables, which tell a hook the facts. They are part of the contract
//! (docs/operations.md).

use super::queue::HookFacts;
use crate::agent::NodeNames;
use crate::config::HookKind;
use crate::protocol::{Cause, RouterSpec};
use crate::types::{InterfaceName, RouterName, Vrid};
use crate::words::{Stamp, why_in_full};

/// The variables in the environment of a hook.
pub(super) type Variables = [(&'static str, String); 16];

/// The facts about a router that do not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RouterIdentity {
    pub(super) router: RouterName,
    pub(super) families: Vec<crate::types::Family>,
    interface: InterfaceName,
    vrid: Vrid,
    node: String,
    addresses: String,
}

impl RouterIdentity {
    pub(super) fn of(spec: &RouterSpec, node: &str) -> Self {
        let addresses = spec.instances.iter().flat_map(|instance| instance.held());
        Self {
            router: spec.name.clone(),
            families: spec.instances.iter().map(|instance| instance.family).collect(),
            interface: spec.interface,
            vrid: spec.vrid,
            node: node.to_owned(),
            addresses: joined(addresses),
        }
    }

    /// All variables are always set; a variable whose value is not known is empty.
    pub(super) fn variables(&self, hook: HookKind, facts: &HookFacts, names: &NodeNames) -> Variables {
        let HookFacts { state, previous, family, cause, priority, details, peer, at } = facts;
        let faults: Vec<String> = match cause {
            Cause::Fault => details.faults.iter().map(ToString::to_string).collect(),
            Cause::Startup
            | Cause::OwnerStartup
            | Cause::ActiveDownTimer
            | Cause::PeerResigned
            | Cause::Preempted
            | Cause::HigherPriority
            | Cause::TieBreak
            | Cause::HandedOver
            | Cause::FaultCleared
            | Cause::Demoted
            | Cause::Promoted
            | Cause::DemotionExpired
            | Cause::Sibling
            | Cause::Stalled
            | Cause::Configuration
            | Cause::Shutdown => Vec::new(),
        };
        let reason = why_in_full(names, *cause, details, *priority, *family);
        [
            ("VRRPD_HOOK", hook.to_string()),
            ("VRRPD_NAME", self.router.to_string()),
            ("VRRPD_INTERFACE", self.interface.to_string()),
            ("VRRPD_VRID", self.vrid.to_string()),
            ("VRRPD_STATE", state.to_string()),
            ("VRRPD_PREVIOUS_STATE", previous.to_string()),
            ("VRRPD_CAUSE", cause.to_string()),
            ("VRRPD_PRIORITY", priority.to_string()),
            ("VRRPD_ADDRESSES", self.addresses.clone()),
            ("VRRPD_FAMILIES", joined(&self.families)),
            ("VRRPD_REASON", one_line(&reason)),
            ("VRRPD_PEER", joined(*peer)),
            ("VRRPD_PEER_NODE", joined(peer.and_then(|peer| names.of(peer)))),
            ("VRRPD_FAULTS", one_line(&faults.join("; "))),
            ("VRRPD_NODE", self.node.clone()),
            ("VRRPD_TIME", Stamp(*at).to_string()),
        ]
    }
}

/// Replaces the characters that would break a line, because the text may come from the kernel or
/// from a command.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn joined<T: ToString>(words: impl IntoIterator<Item = T>) -> String {
    words.into_iter().map(|word| word.to_string()).collect::<Vec<_>>().join(" ")
}
