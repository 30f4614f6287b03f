//! Floor 2: VRRP itself (RFC 9568 §6), pure.
//!
//! [`Node`] is this node: it owns every virtual router and every deadline. Time comes in as
//! an argument, packets as representations; what should happen comes out as [`Effect`]s. It knows
//! no socket, clock, thread or log, and no input makes it fail.

mod checkpoint;
mod counters;
mod deadline;
mod effect;
mod event;
mod input;
mod instance;
mod local_warning;
mod node;
mod router;
mod snapshot;
mod spec;
#[cfg(test)]
mod tests;
pub mod timing;
mod version_rules;

pub use checkpoint::{CheckpointError, CheckpointHeader};
pub use counters::{Counters, LinkCounters};
pub use effect::{Answer, DemoteOutcome, Effect, Effects, InstanceResult};
pub use event::{
    AuthenticationMismatch, Cause, DrainEnd, Event, EventKind, HandoverCause, LastHeard, NotServing,
    PeerWarning, StateName, TransitionDetails,
};
pub use input::{
    CheckResult, Command, CommandId, Demotion, DrainId, DrainResult, Fault, Force, HoldResult, Input,
    LastResort, Until,
};
pub use instance::HastyMessage;
pub use instance::NobodyServing;
pub use local_warning::{ForeignAddresses, LocalWarning, Unsent};
pub use node::Node;
pub use router::{Health, StandingPeerWarning};
pub use snapshot::{
    ActiveRouter, DrainSnapshot, InstanceSnapshot, PeerSnapshot, RouterSnapshot, Snapshot, TimerSnapshot,
};
pub use spec::{
    AnnounceSpec, CheckName, ChecksumPolicy, Consequence, InstanceSpec, LinkLocalRule, MissingSource,
    RouterSpec, Track, Watched,
};
pub use version_rules::VersionRules;
