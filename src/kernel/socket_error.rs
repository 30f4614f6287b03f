//! Why a socket could not be opened, in terms that an operator understands.

use crate::types::InterfaceName;
use std::io;

/// Why a socket could not be opened. The daemon goes on: this is a fault of one interface, and
/// opening is tried again when the interface changes.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The process lacks a capability.
    #[error(
        "{interface}: cannot {operation}: permission denied; this needs CAP_NET_RAW. Run as root, or set \
         \"AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN\" in the systemd unit, or run \
         \"setcap cap_net_raw,cap_net_admin+ep\" on the program's file"
    )]
    NotPermitted {
        /// The interface that the socket is for.
        interface: InterfaceName,
        /// The step that was refused.
        operation: &'static str,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// There is no interface with the index any more: it was removed, or removed and created again.
    #[error(
        "{interface}: cannot {operation}: no interface has index {index} any more, or IPv6 is disabled on it"
    )]
    Gone {
        /// The interface that the socket is for.
        interface: InterfaceName,
        /// The index that the interface had.
        index: u32,
        /// The step that was refused.
        operation: &'static str,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// The step failed for another reason.
    #[error("{interface}: cannot {operation}")]
    Failed {
        /// The interface that the socket is for.
        interface: InterfaceName,
        /// The step that failed.
        operation: &'static str,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
}

/// The interface that a socket is opened for, with which errors are reported.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    pub(super) interface: InterfaceName,
    pub(super) index: u32,
}

impl Context {
    /// Converts the result of one step of opening a socket; `operation` completes the sentence
    /// "cannot ...".
    pub(super) fn step<T>(self, operation: &'static str, outcome: io::Result<T>) -> Result<T, SocketError> {
        let Self { interface, index } = self;
        outcome.map_err(|source| match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => SocketError::NotPermitted { interface, operation, source },
            Some(libc::ENODEV | libc::ENXIO) => SocketError::Gone { interface, index, operation, source },
            Some(_) | None => SocketError::Failed { interface, operation, source },
        })
    }
}
