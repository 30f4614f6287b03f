//! Floor 2: VRRP itself (RFC 9568 §6), pure.
//!
//! [`VrrpRouter`] is this node: it owns every virtual router and every deadline. Time comes in as
//! an argument, packets as representations; what should happen comes out as [`Effect`]s. It knows
//! no socket, clock, thread or log, and no input makes it fail.

mod announce;
mod checksum;
mod command;
mod concern;
mod conflict;
mod counters;
mod doubt;
mod effect;
mod event;
mod group;
mod handover;
mod inheritance;
mod input;
mod interruption;
mod leaving;
mod moves;
mod peers;
mod receive;
mod reception;
mod remarks;
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
mod virtual_router;
mod vrrp_router;

pub use concern::{Concern, ForeignAddresses, Unsent};
pub use counters::{Counters, LinkCounters};
pub use doubt::Hastened;
pub use effect::{Answer, DemoteOutcome, Effect, Effects, MemberResult};
pub use event::{
    Cause, Event, EventKind, Grounds, HandoverCause, HookKind, HookOutcome, Idle, LastHeard, StateName,
    Suspicion, Turn,
};
pub use input::{Command, CommandId, Demotion, Fault, Force, Health, Input, LastResort, Owned, Until};
pub use remarks::Remark;
pub use silence::Unserved;
pub use snapshot::{ActiveRouter, MemberSnapshot, PeerSnapshot, RouterSnapshot, Snapshot, TimerSnapshot};
pub use spec::{AnnounceSpec, CheckName, ChecksumPolicy, LinkLocalRule, MemberSpec, RouterSpec, Track};
pub use vrrp_router::VrrpRouter;
