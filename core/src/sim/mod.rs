//! A deterministic simulation: real cores on a LAN that misbehaves, from one seed.
//!
//! Uses floors 0 to 2 only, and neither clock nor thread nor file: the same seed is the same run.
//! Shared by tests, fuzzing and benches; the daemon does not use it.
//!
//! * [`rng`], [`clock`], [`lan`], [`kernel`], [`packet`]: what surrounds a node
//! * [`node`], [`peer`]: our routers, and routers of others; `hosts`: the hosts that use the addresses
//! * [`reference`](mod@reference): what our own node must do and when, predicted from the documents; `documents`: the numbers
//!   that they promise
//! * [`lone_node`]: one node with several routers and interfaces, given every input in every state
//! * [`world`], [`script`]: everything together, and what is done to it
//! * [`checker`], [`bounds`], [`view`]: what must hold, and for how long it may not
//! * [`fault`]: the mix of faults that a seed means
//! * [`trace`]: what to read when it does not hold

pub mod bounds;
pub mod checker;
pub mod clock;
mod describe;
mod documents;
pub mod fault;
mod hosts;
mod input_context;
pub mod kernel;
pub mod lan;
pub mod lone_node;
pub mod node;
pub mod packet;
pub mod peer;
pub mod reference;
pub mod rng;
pub mod script;
pub mod trace;
pub mod view;
pub mod world;

pub use checker::Violation;
pub use clock::TrueTime;
pub use lan::Port;
pub use script::Act;
pub use world::World;
