//! One vrrpd a network namespace (docs/adr/0020).
//!
//! Addresses of ours carry a mark, by which a daemon that starts knows what a dead one left behind; those of a daemon
//! that lives carry the same one. So whoever is about to touch addresses takes a name first: that of an abstract socket
//! (unix(7)), which belongs to the network namespace as addresses do, is no file that could be in another place, and ends
//! with its holder.
//!
//! Any user of the machine can take the name. Nobody is believed who could not be a daemon.

use super::capabilities;
use nix::sys::socket::{getsockopt, sockopt};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// The name, without the NUL in front of it.
const NAME: &str = "vrrpd";
/// A holder that has just ended, or has not yet begun to listen, shows as nobody.
const TRIES: usize = 3;

/// The name is ours while this lives. Whoever asks connects, and may be accepted and sent away.
#[derive(Debug)]
pub struct Tenancy(UnixListener);

/// Why the name is not ours.
#[derive(Debug, thiserror::Error)]
pub enum TenancyError {
    /// A daemon has it.
    #[error(
        "another vrrpd runs in this network namespace already{}, and two of them would remove each other's addresses. \
         This one ends and has touched nothing. To run this one, stop the other one first (systemctl stop vrrpd)",
        process(*.0)
    )]
    Taken(Option<i32>),
    /// Somebody has it who is none, or there is no telling.
    #[error(
        "cannot tell whether another vrrpd runs in this network namespace: {0}. Two of them would remove each other's \
         addresses; the locks of the control socket and of the state directory still keep a second one from starting"
    )]
    Unclear(String),
}

impl Tenancy {
    /// Takes the name.
    ///
    /// # Errors
    /// [`TenancyError`].
    pub fn take() -> Result<Self, TenancyError> {
        Self::take_name(NAME)
    }

    fn take_name(name: &str) -> Result<Self, TenancyError> {
        let unclear = |error: io::Error| TenancyError::Unclear(error.to_string());
        let address = SocketAddr::from_abstract_name(name).map_err(unclear)?;
        for _ in 0..TRIES {
            match UnixListener::bind_addr(&address) {
                Ok(listener) => return Ok(Self(listener)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(unclear(error)),
            }
            match holder(name) {
                Ok(holder) => return Err(holder.judged()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(unclear(error)),
            }
        }
        Err(TenancyError::Unclear(format!("somebody has the abstract socket @{name} and does not listen")))
    }

    /// What those who ask connect to.
    ///
    /// # Errors
    /// If there are too many handles.
    pub fn door(&self) -> io::Result<UnixListener> {
        let door = self.0.try_clone()?;
        door.set_nonblocking(true)?;
        Ok(door)
    }
}

/// Who listens: the kernel's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holder {
    /// `None`: it is in another PID namespace.
    pid: Option<i32>,
    uid: u32,
}

impl Holder {
    /// Whether it could be a daemon: it belongs to root or to our own user, or it has the capability to change
    /// addresses in a user namespace that is ours too.
    fn judged(self) -> TenancyError {
        let Self { pid, uid } = self;
        let believed = uid == 0 || uid == nix::unistd::geteuid().as_raw();
        if believed || pid.is_some_and(may_change_addresses) {
            return TenancyError::Taken(pid);
        }
        let who = process(pid);
        TenancyError::Unclear(format!(
            "somebody who may not change addresses has the name{who}, user id {uid}"
        ))
    }
}

fn holder(name: &str) -> io::Result<Holder> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Somebody who accepts nobody is not waited for.
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(format!("\0{name}"))?)?;
    let credentials = getsockopt(&socket, sockopt::PeerCredentials)?;
    let pid = Some(credentials.pid()).filter(|pid| *pid > 0);
    Ok(Holder { pid, uid: credentials.uid() })
}

/// `false` also where we may not look.
fn may_change_addresses(pid: i32) -> bool {
    let realm = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pid = pid.to_string();
    capabilities::may_change_addresses(&status) && realm(&pid).is_some() && realm(&pid) == realm("self")
}

fn process(pid: Option<i32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unique on this machine: the name belongs to the whole network namespace.
    fn name(test: &str) -> String {
        format!("vrrpd-test-{test}-{}", std::process::id())
    }

    #[test]
    fn the_name_is_taken_once_and_is_free_again_after_its_holder() {
        let name = name("once");
        let first = Tenancy::take_name(&name).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let error = Tenancy::take_name(&name).unwrap_err();
        assert!(matches!(error, TenancyError::Taken(Some(pid)) if pid == own), "{error:?}");
        assert!(error.to_string().contains(&format!("already (process {own}), and")), "{error}");
        drop(first);
        Tenancy::take_name(&name).unwrap();
    }

    #[test]
    fn whoever_has_the_name_and_does_not_listen_is_not_believed() {
        let name = name("mute");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(format!("\0{name}")).unwrap()).unwrap();
        let error = Tenancy::take_name(&name).unwrap_err();
        assert!(matches!(error, TenancyError::Unclear(_)), "{error:?}");
    }

    #[test]
    fn a_crowd_at_the_door_is_not_waited_for() {
        let name = name("crowd");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(format!("\0{name}")).unwrap()).unwrap();
        socket.listen(0).unwrap();
        // The first of those who ask waits there although it has gone, and leaves no room.
        assert!(matches!(Tenancy::take_name(&name), Err(TenancyError::Taken(Some(_)))));
        assert!(matches!(Tenancy::take_name(&name), Err(TenancyError::Unclear(_))));
    }

    #[test]
    fn an_ordinary_user_is_not_believed() {
        let nobody = Holder { pid: None, uid: 65_534 };
        assert!(matches!(nobody.judged(), TenancyError::Unclear(_)));
        let root = Holder { pid: None, uid: 0 };
        assert!(matches!(root.judged(), TenancyError::Taken(None)));
    }
}
