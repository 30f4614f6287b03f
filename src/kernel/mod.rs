//! Floor 4: Linux. Sockets, netlink, files and scheduling; the only floor that may have `unsafe`
//! code.
//!
//! May use `types` and `wire`, but never `protocol` or `config`.

pub mod address;
pub mod announcement_socket;
pub mod blocking;
pub mod capabilities;
pub mod channel_socket;
pub mod confinement;
pub mod connections;
pub mod filter;
pub mod forwarding;
pub mod frame_socket;
pub mod keeper;
pub mod membership;
pub mod memory;
pub mod monitor;
pub mod namespace_lock;
pub mod neighbour;
pub mod netlink;
mod netlink_socket;
pub mod nftables;
pub mod other_name;
pub mod plain_file;
pub mod probe_socket;
pub mod realtime;
pub mod release;
pub mod resources;
pub mod socket_error;
mod sys;
pub mod sysctl;
pub mod vrrp_socket;
mod wait_limit;
pub mod writers;
