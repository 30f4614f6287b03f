//! The core of vrrpd: VRRP (RFC 9568) as values. It knows no socket, clock, thread, file or log.
//!
//! A crate of its own, so that what it must not know is not there to be named
//! (docs/adr/0026-a-crate-for-the-core.md). The floors, lowest first:
//!
//! | floor | module | what it is |
//! |---|---|---|
//! | 0 | [`types`] | the vocabulary of RFC 9568 as newtypes |
//! | 1 | [`wire`] | octets to representations and back |
//! | 2 | [`protocol`] | the state machine, elections, hand-overs and deadlines |
//! | 2 | [`channel`] | what nodes tell one another beside VRRP
//! | – | [`sim`] | many cores on a simulated LAN; uses floors 0 to 2 |

pub mod channel;
pub mod protocol;
pub mod sim;
pub mod types;
pub mod wire;
