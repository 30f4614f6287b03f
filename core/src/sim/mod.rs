//! A deterministic simulation: the real cores run on a LAN with faults, and one seed decides
//! everything.
//!
//! The simulation uses floors 0 to 2 only, and does not use a clock, a thread or a file, so the
//! same seed gives the same run. Tests, fuzzing and benches share it; the daemon does not use it.
//!
//! * [`rng`], [`clock`], [`lan`], [`kernel`], [`packet`]: what surrounds a node
//! * [`node`], [`router`], [`peer`]: our nodes, the routers of each of them, and routers of other
//!   implementations; `hosts`: the hosts that use the addresses
//! * [`reference`](mod@reference): what our own node must do and when, predicted from the
//!   documents; `documents`: the numbers that the documents promise
//! * [`speech`]: which version and password the stations speak; [`audience`]: to whom they send and whom
//!   they believe; [`groups`]: which of them hear one another because of it
//! * [`connections`]: connections to the addresses, as tokens; `draining`: what moves do to them;
//!   `forwarding`: the rules by which a successor passes their packets on
//! * [`lone_node`]: one node with several routers and interfaces, which is given every input in
//!   every state; `lone_unicast`: what it is given of unicast
//! * [`world`], [`script`]: all stations together, and what is done to them; `station`: one of them
//! * [`checker`], [`bounds`], [`view`]: what must hold for one virtual router, and for how long it
//!   may be violated; `checkers`: one checker for each; `gaps`: after which acts a gap in the
//!   service is allowed
//! * [`fault`]: the mix of faults that a seed stands for; `meshes`: what belongs to unicast in it
//! * [`trace`]: what to read when a rule does not hold

pub mod audience;
pub mod bounds;
pub mod checker;
mod checkers;
pub mod clock;
pub mod connections;
mod describe;
mod documents;
mod draining;
pub mod fault;
mod forwarding;
mod gaps;
pub mod groups;
mod hosts;
mod input_context;
pub mod kernel;
pub mod lan;
pub mod lone_node;
mod lone_unicast;
mod meshes;
pub mod node;
pub mod packet;
pub mod peer;
pub mod reference;
pub mod rng;
pub mod router;
pub mod script;
pub mod speech;
mod station;
pub mod trace;
pub mod view;
pub mod world;

pub use checker::Violation;
pub use clock::TrueTime;
pub use lan::Port;
pub use script::Act;
pub use world::World;
