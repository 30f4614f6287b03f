//! `vrrpd::kernel::forwarding` on the real kernel: what happens to each packet, seen on the wire.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod connections;
mod lifetime;
mod moves;
mod packets;
mod rules;
mod scale;
mod scene;
