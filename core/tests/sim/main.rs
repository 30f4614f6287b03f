//! The simulation: routers on a LAN with faults, in scripted tests and at random.
//!
//! ```text
//! cargo test --test sim                                            # every day
//! SIM_SEEDS=1000000 cargo test --release --test sim random         # over night
//! SIM_FROM=4711 SIM_SEEDS=1 cargo test --test sim random           # one seed again
//! ```

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod checkpoint;
mod demotion;
mod draining;
mod election;
mod faults;
mod hosts;
mod interruptions;
mod lab;
mod lone_node;
mod machine;
mod random;
mod reloads;
mod second_opinion;
mod two_routers;
mod unicast;
mod version2;
