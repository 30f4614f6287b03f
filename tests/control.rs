//! The control socket: documents against their schemas, what people read, and a server that serves
//! whatever its other clients do.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub, reason = "tests")]

#[path = "control/documents.rs"]
mod documents;
#[path = "control/hostile.rs"]
mod hostile;
#[path = "control/metrics.rs"]
mod metrics;
#[path = "control/nodes.rs"]
mod nodes;
#[path = "control/server.rs"]
mod server;
#[path = "control/wire.rs"]
mod wire;

mod rig;
