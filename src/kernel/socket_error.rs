//! Why a socket could not be opened, in the operator's words.

use crate::types::InterfaceName;
use std::io;

/// A socket that could not be opened. The daemon keeps running: this is a fault of one interface,
/// and opening is tried again when the interface changes.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The process lacks a capability.
    #[error(
        "{interface}: cannot {operation}: permission denied; this needs CAP_NET_RAW. Run as root, or set \
         \"AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN\" in the systemd unit, or run \
         \"setcap cap_net_raw,cap_net_admin+ep\" on the program's file"
    )]
    NotPermitted {
        /// The interface it was for.
        interface: InterfaceName,
        /// What was refused.
        operation: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// No interface has the index any more: it was removed, or removed and recreated.
    #[error(
        "{interface}: cannot {operation}: no interface has index {index} any more, or IPv6 is disabled on it"
    )]
    Gone {
        /// The interface it was for.
        interface: InterfaceName,
        /// The index it had.
        index: u32,
        /// What was refused.
        operation: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Anything else.
    #[error("{interface}: cannot {operation}")]
    Failed {
        /// The interface it was for.
        interface: InterfaceName,
        /// What was refused.
        operation: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

/// Gives the kernel's answers their context.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    pub(super) interface: InterfaceName,
    pub(super) index: u32,
}

impl Context {
    /// Runs one step of opening a socket; `operation` completes the sentence "cannot ...".
    pub(super) fn step<T>(self, operation: &'static str, outcome: io::Result<T>) -> Result<T, SocketError> {
        let Self { interface, index } = self;
        outcome.map_err(|source| match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => SocketError::NotPermitted { interface, operation, source },
            Some(libc::ENODEV | libc::ENXIO) => SocketError::Gone { interface, index, operation, source },
            Some(_) | None => SocketError::Failed { interface, operation, source },
        })
    }
}
