//! Floor 2: VRRP itself (RFC 9568 §6), pure.
//!
//! [`Node`] is this node: it owns every virtual router and every deadline. Time comes in as
//! an argument, packets as representations; what should happen comes out as [`Effect`]s. It knows
//! no socket, clock, thread or log, and no input makes it fail.

mod announce;
mod checksum;
mod command;
mod conflict;
mod counters;
mod doubt;
mod effect;
mod event;
mod handover;
mod inheritance;
mod input;
mod instance;
mod interruption;
mod leaving;
mod local_warning;
mod moves;
mod node;
mod peer_warnings;
mod peers;
mod receive;
mod reception;
mod router;
mod silence;
mod snapshot;
mod spec;
mod speech;
mod stalling;
#[cfg(test)]
mod tests;
mod throttle;
pub mod timing;
mod tracking;
mod turning;

pub use counters::{Counters, LinkCounters};
pub use doubt::HastyMessage;
pub use effect::{Answer, DemoteOutcome, Effect, Effects, InstanceResult};
pub use event::{
    Cause, Event, EventKind, HandoverCause, HookKind, HookOutcome, LastHeard, NotServing, PeerWarning,
    StateName, TransitionDetails, Turn,
};
pub use input::{
    CheckResult, Command, CommandId, Demotion, Fault, Force, HoldResult, Input, LastResort, Until,
};
pub use local_warning::{ForeignAddresses, LocalWarning, Unsent};
pub use node::Node;
pub use peer_warnings::StandingPeerWarning;
pub use silence::NobodyServing;
pub use snapshot::{ActiveRouter, InstanceSnapshot, PeerSnapshot, RouterSnapshot, Snapshot, TimerSnapshot};
pub use spec::{AnnounceSpec, CheckName, ChecksumPolicy, InstanceSpec, LinkLocalRule, RouterSpec, Track};
