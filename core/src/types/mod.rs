//! Floor 0: the vocabulary of RFC 9568 as types whose constructors check the values.
//!
//! This module depends neither on sockets, nor on a clock, nor on another floor.

mod authentication;
mod connection;
mod destination;
mod family;
mod interval;
mod key;
mod link;
mod mac;
mod name;
mod priority;
mod text_form;
mod time;
mod version;
mod vrid;

pub use authentication::{AuthPassword, AuthPasswordError, Authentication};
pub use connection::Connection;
pub use destination::{Destinations, UnicastPeers};
pub use family::Family;
pub use interval::{AdverInterval, AdverIntervalError};
pub use key::InstanceKey;
pub use link::LinkFacts;
pub use mac::{MacAddr, MacAddrError};
pub use name::{InterfaceName, InterfaceNameError, RouterName, RouterNameError};
pub use priority::{AdvertPriority, Preempt, Priority, PriorityError, Role};
pub use time::MonoTime;
pub use version::Version;
pub use vrid::{Vrid, VridError};
