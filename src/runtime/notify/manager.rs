//! The service manager's socket, as the environment names it.
//!
//! The socket does not block and is opened once. Its name may be abstract, as the name in a
//! container is.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// A service manager that waits for messages.
#[derive(Debug)]
pub(super) struct Manager {
    pub(super) socket: tokio::net::UnixDatagram,
    /// The time within which the service manager expects a sign of life; without one, it ends the
    /// agent.
    pub(super) watchdog: Option<Duration>,
}

/// Why nothing can be sent although a service manager waits.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreachable {
    /// The address is of another kind.
    #[error("NOTIFY_SOCKET={0:?} is neither a path nor an abstract name")]
    Address(OsString),
    /// The kernel refused.
    #[error("NOTIFY_SOCKET={name:?}: {source}")]
    Io {
        /// The name in the environment.
        name: OsString,
        /// The error of the kernel.
        source: io::Error,
    },
}

impl Manager {
    /// Returns `None` if no service manager waits. `variable` reads the environment, which is not
    /// changed; the programs that the agent starts get an environment of their own.
    pub(super) fn of(variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<Self>, Unreachable> {
        let Some(name) = variable("NOTIFY_SOCKET") else { return Ok(None) };
        let socket = connect(&name)?;
        let number = |name| variable(name).and_then(|text| text.to_str()?.parse::<u64>().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let limit = number("WATCHDOG_USEC").filter(|usec| ours && *usec > 0).map(Duration::from_micros);
        Ok(Some(Self { socket, watchdog: limit }))
    }
}

fn connect(name: &OsStr) -> Result<tokio::net::UnixDatagram, Unreachable> {
    let failed = |source| Unreachable::Io { name: name.to_owned(), source };
    let address = match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name),
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        _ => return Err(Unreachable::Address(name.to_owned())),
    };
    let socket = UnixDatagram::unbound().map_err(failed)?;
    socket.connect_addr(&address.map_err(failed)?).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    tokio::net::UnixDatagram::from_std(socket).map_err(failed)
}
