//! One vrrpd in a network namespace (docs/adr/0020).
//!
//! Addresses of ours carry a mark, by which a daemon that starts recognizes what a crashed one left
//! behind; but those of a running daemon carry the same mark. Therefore a process that is going to
//! change addresses takes a name first: that of an abstract socket (unix(7)). Such a name belongs
//! to the network namespace, as addresses do; it is not a file that could be in another place; and
//! it ends with the process that holds it.
//!
//! Any user of the machine can take the name. A process that could not be a daemon is not
//! taken for one.

use super::capabilities;
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::Pid;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::time::Duration;

/// The name, without the NUL in front of it.
const NAME: &str = "vrrpd";
/// How often the name is tried. A process that has just ended, or does not listen yet, cannot be
/// identified.
const TRIES: usize = 3;
/// How often we look whether a process that has died gives up the name, and after how long.
const DYING_POLLS: usize = 15;
const DYING_POLL: Duration = Duration::from_millis(20);

/// The name is ours while this value lives. Another process that asks who has it connects, and may
/// be accepted and closed again.
#[derive(Debug)]
pub struct NamespaceLock(UnixListener);

/// Why the name could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceLockError {
    /// A running daemon has the name.
    #[error(
        "another vrrpd already runs in this network namespace{}. Two of them would remove each other's addresses, so this one \
         ends and has changed nothing. To run this one, stop the other one first (systemctl stop vrrpd)",
        in_parentheses(*.0)
    )]
    Taken(Option<i32>),
    /// A daemon that has died has the name: a part of it hangs in the kernel and keeps everything
    /// open.
    #[error(
        "an earlier vrrpd in this network namespace{} has died, but a part of it hangs in the kernel (perhaps because a disk \
         does not answer). Until that part ends, the control socket and the state directory of that vrrpd stay locked",
        in_parentheses(Some(*.0))
    )]
    Dead(i32),
    /// A process that is not a daemon has the name, or the process cannot be identified.
    #[error(
        "cannot find out whether another vrrpd runs in this network namespace: {0}. Two of them would remove each other's \
         addresses. The locks of the control socket and of the state directory still keep a second one with the same paths \
         from starting"
    )]
    Unclear(String),
}

impl NamespaceLock {
    /// Takes the name in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`NamespaceLockError`].
    pub fn take() -> Result<Self, NamespaceLockError> {
        Self::take_name(NAME)
    }

    fn take_name(name: &str) -> Result<Self, NamespaceLockError> {
        let unclear = |error: io::Error| NamespaceLockError::Unclear(error.to_string());
        let address = SocketAddr::from_abstract_name(name).map_err(unclear)?;
        for _ in 0..TRIES {
            match UnixListener::bind_addr(&address) {
                Ok(listener) => return Ok(Self(listener)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(unclear(error)),
            }
            match process_with_name(name) {
                Ok(process) => {
                    let refusal = process.refusal(name);
                    let released =
                        matches!(refusal, NamespaceLockError::Dead(_)).then(|| after_death(&address));
                    return released.flatten().map(Self).ok_or(refusal);
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(unclear(error)),
            }
        }
        Err(NamespaceLockError::Unclear(format!(
            "a process has the abstract socket @{name} and does not listen on it"
        )))
    }

    /// The socket that other processes connect to when they ask who has the name.
    ///
    /// # Errors
    /// If there are too many open descriptors.
    pub fn listener(&self) -> io::Result<UnixListener> {
        let listener = self.0.try_clone()?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }
}

/// Waits for a process that has died: it gives up the name in a moment, unless a part of it hangs.
/// It is not asked again, because nothing accepts the connection.
fn after_death(address: &SocketAddr) -> Option<UnixListener> {
    for _ in 0..DYING_POLLS {
        std::thread::park_timeout(DYING_POLL);
        if let Ok(listener) = UnixListener::bind_addr(address) {
            return Some(listener);
        }
    }
    None
}

/// The process that listens, as the kernel reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LockingProcess {
    /// `None` if the process is in another PID namespace.
    pid: Option<i32>,
    uid: u32,
}

impl LockingProcess {
    /// Why this name cannot be taken while this process has it. The process could be a daemon if it
    /// belongs to root or to our own user, or has the capability to change addresses in a user
    /// namespace that is ours too.
    fn refusal(self, name: &str) -> NamespaceLockError {
        let Self { pid, uid } = self;
        let believed = uid == 0 || uid == nix::unistd::geteuid().as_raw();
        if let Some(dead) = pid.filter(|pid| believed && has_died(*pid)) {
            return NamespaceLockError::Dead(dead);
        }
        if believed || pid.is_some_and(may_change_addresses) {
            return NamespaceLockError::Taken(pid);
        }
        let who = in_parentheses(pid);
        NamespaceLockError::Unclear(format!(
            "a process{who} of user id {uid}, which may not change addresses, has the abstract socket @{name}"
        ))
    }
}

/// The process that began to listen on the socket at `path`; `None` if no process listens, or if it
/// is in another PID namespace.
#[must_use]
pub fn process_listening_at(path: &Path) -> Option<i32> {
    listening_process(&SockAddr::unix(path).ok()?).ok()?.pid
}

fn process_with_name(name: &str) -> io::Result<LockingProcess> {
    listening_process(&SockAddr::unix(format!("\0{name}"))?)
}

fn listening_process(address: &SockAddr) -> io::Result<LockingProcess> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A process that does not accept connections must not make us wait.
    socket.set_nonblocking(true)?;
    socket.connect(address)?;
    let credentials = getsockopt(&socket, sockopt::PeerCredentials)?;
    let pid = Some(credentials.pid()).filter(|pid| *pid > 0);
    Ok(LockingProcess { pid, uid: credentials.uid() })
}

/// Whether a process has died. One that was killed keeps everything open while a thread of it hangs
/// in the kernel, or a child of it that has not called exec yet. It is then shown as a zombie, or
/// not at all. In doubt it counts as alive.
fn has_died(pid: i32) -> bool {
    // Where /proc hides the processes of other users, this call does not.
    if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return true;
    }
    // "PID (NAME) STATE …", where NAME may contain anything.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// Whether a process may change addresses; `false` also if we may not read its status.
fn may_change_addresses(pid: i32) -> bool {
    let realm = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pid = pid.to_string();
    capabilities::may_change_addresses(&status) && realm(&pid).is_some() && realm(&pid) == realm("self")
}

fn in_parentheses(pid: Option<i32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that is unique on this machine, because it belongs to the whole network namespace.
    fn name(test: &str) -> String {
        format!("vrrpd-test-{test}-{}", std::process::id())
    }

    #[test]
    fn the_name_is_taken_once_and_is_free_again_after_its_process() {
        let name = name("once");
        let first = NamespaceLock::take_name(&name).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let error = NamespaceLock::take_name(&name).unwrap_err();
        assert!(matches!(error, NamespaceLockError::Taken(Some(pid)) if pid == own), "{error:?}");
        assert!(
            error
                .to_string()
                .contains(&format!("already runs in this network namespace (process {own}). Two")),
            "{error}"
        );
        drop(first);
        // The child of another test holds the name as well, until it has called exec.
        let again = || {
            std::thread::park_timeout(Duration::from_millis(10));
            NamespaceLock::take_name(&name).ok()
        };
        assert!((0..1000).find_map(|_| again()).is_some());
    }

    #[test]
    fn a_process_with_the_name_that_does_not_listen_is_not_believed() {
        let name = name("mute");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(format!("\0{name}")).unwrap()).unwrap();
        let error = NamespaceLock::take_name(&name).unwrap_err();
        assert!(matches!(error, NamespaceLockError::Unclear(_)), "{error:?}");
    }

    #[test]
    fn a_crowd_at_the_door_is_not_waited_for() {
        let name = name("crowd");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(format!("\0{name}")).unwrap()).unwrap();
        socket.listen(0).unwrap();
        // The first process that asked still counts in the queue although it has ended, and leaves
        // no room.
        assert!(matches!(NamespaceLock::take_name(&name), Err(NamespaceLockError::Taken(Some(_)))));
        assert!(matches!(NamespaceLock::take_name(&name), Err(NamespaceLockError::Unclear(_))));
    }

    #[test]
    fn a_process_that_has_died_is_not_believed() {
        let mut child = std::process::Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let process = LockingProcess { pid: Some(pid), uid: 0 };
        assert!(matches!(process.refusal(NAME), NamespaceLockError::Taken(Some(_))));
        child.kill().unwrap();
        // Nothing collects its exit code yet, so it is a zombie, like the first thread of a process
        // whose other threads hang.
        let id = nix::sys::wait::Id::Pid(Pid::from_raw(pid));
        let flags = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
        nix::sys::wait::waitid(id, flags).unwrap();
        assert!(matches!(process.refusal(NAME), NamespaceLockError::Dead(dead) if dead == pid));
        child.wait().unwrap();
        assert!(matches!(process.refusal(NAME), NamespaceLockError::Dead(dead) if dead == pid));
        let elsewhere = LockingProcess { pid: None, uid: 0 };
        assert!(matches!(elsewhere.refusal(NAME), NamespaceLockError::Taken(None)));
    }

    #[test]
    fn the_process_that_listens_on_a_file_is_known() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        assert_eq!(process_listening_at(&path), None);
        let _listening = UnixListener::bind(&path).unwrap();
        assert_eq!(process_listening_at(&path), Some(i32::try_from(std::process::id()).unwrap()));
    }

    #[test]
    fn an_ordinary_user_is_not_believed() {
        let nobody = LockingProcess { pid: None, uid: 65_534 };
        let refusal = nobody.refusal("vrrpd-other");
        assert!(
            matches!(&refusal, NamespaceLockError::Unclear(why) if why.ends_with("has the abstract socket @vrrpd-other")),
            "{refusal:?}"
        );
        let root = LockingProcess { pid: None, uid: 0 };
        assert!(matches!(root.refusal(NAME), NamespaceLockError::Taken(None)));
    }
}
