//! The file of the control socket.
//!
//! Decides who may connect (mode and group of the file), replaces the file of a daemon that has
//! ended, and leaves that of a running one alone. The owner of the directory can put another file
//! in place of ours at any moment, so every file is opened first and then changed through the
//! descriptor, never through its path; and root does not serve in a directory of another user.

use crate::kernel::blocking::run_within;
use crate::kernel::plain_file;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat};
use nix::unistd::{Group, Uid, UnlinkatFlags, fchownat, geteuid, unlinkat};
use socket2::{Domain, SockAddr, Socket, Type};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The socket of a daemon that is told no other path.
pub const DEFAULT_SOCKET: &str = "/run/vrrpd/control.sock";

/// The group whose members may read and change.
pub const GROUP: &str = "vrrpd";

/// How long a start waits for the look-up of the group, which may ask a name service that is down
/// (NSS).
const NAME_LIMIT: Duration = Duration::from_secs(2);

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 64;

/// Why the daemon cannot listen on the control socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon listens there.
    #[error("another vrrpd already listens on {path}; stop it, or give this one another --socket", path = .0.display())]
    InUse(PathBuf),
    /// Another process holds the lock, and no process listens.
    #[error(
        "another process holds the lock {path}, and no process answers on the control socket: a vrrpd that starts or \
         stops, or another program. Find it with: fuser {path}", path = .0.display()
    )]
    Locked(PathBuf),
    /// The path is not a socket.
    #[error("{path} exists and is not a socket; it is left alone", path = .0.display())]
    NotASocket(PathBuf),
    /// Root would serve in a directory in which another user can replace the socket.
    #[error(
        "the directory {path} can be written by others than root ({why}), who could put their own socket in the place of \
         root's. Give it to root (chown root:root {path}; chmod go-w {path}), name another with --socket, or run vrrpd \
         as the owner of the directory", path = .directory.display()
    )]
    ForeignDirectory {
        /// The directory of the socket.
        directory: PathBuf,
        /// The user or group that can write the directory.
        why: String,
    },
    /// The file at the path is not the socket that was bound.
    #[error("another file was put in the place of {path} while the socket was created", path = .0.display())]
    Replaced(PathBuf),
    /// The kernel refused an operation.
    #[error("cannot {doing} {path}", path = .path.display())]
    Io {
        /// The operation.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the kernel.
        #[source]
        source: io::Error,
    },
}

/// A control socket that listens. Its file is removed on drop.
#[derive(Debug)]
pub(super) struct ControlSocket {
    pub listener: UnixListener,
    _file: SocketFile,
}

/// The path of the socket. Its directory is kept open, so that it stays the directory that was
/// examined.
#[derive(Debug)]
struct SocketPath {
    path: PathBuf,
    directory: File,
    name: OsString,
}

/// Removes the file on drop, unless another file stands in its place, and then releases the lock.
#[derive(Debug)]
struct SocketFile {
    place: SocketPath,
    /// The file is kept open, so that no other file can get its inode number.
    inode: OwnedFd,
    _lock: Flock<OwnedFd>,
}

/// Proof that no daemon runs at a path. No daemon can start there while this value exists.
#[derive(Debug)]
pub struct Vacancy(#[expect(dead_code, reason = "held for its Drop")] Option<Flock<OwnedFd>>);

/// Finds out whether a daemon runs at `path`. Nothing is created.
///
/// # Errors
/// [`BindError::InUse`] if a daemon runs there; any other error if that cannot be found out.
pub fn vacancy(path: &Path) -> Result<Vacancy, BindError> {
    let lock = match SocketPath::open(path).and_then(|place| place.lock(OFlag::empty())) {
        Err(BindError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
        lock => Some(lock?),
    };
    // The file of the lock may have been removed although a daemon runs, so the socket is tried as
    // well.
    match answers(path) {
        Ok(Answers::Yes) => Err(BindError::InUse(path.to_owned())),
        Ok(Answers::Nobody) | Err(_) => Ok(Vacancy(lock)),
    }
}

/// Listens on `path`, for the owner and the members of `group` only.
///
/// Nobody else can connect at any moment: the file is created with mode 0600, and the socket does
/// not listen before the file has its group.
pub(super) fn bind(path: &Path, group: &str) -> Result<ControlSocket, BindError> {
    let failed = |doing| move |source| BindError::Io { doing, path: path.to_owned(), source };
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        let create = fs::DirBuilder::new().recursive(true).mode(0o755).create(directory);
        create.map_err(failed("create the directory of"))?;
    }
    let place = SocketPath::open(path)?;
    place.refuse_that_of_somebody_else(geteuid())?;
    let lock = place.lock(OFlag::O_CREAT)?;
    place.remove_stale()?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed("create a socket for"))?;
    // Linux gives the file the mode of the socket (unix(7)), so the umask, which belongs to the
    // whole process, need not change.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|e| failed("set the mode of")(e.into()))?;
    let address = SockAddr::unix(path).map_err(failed("listen on"))?;
    socket.bind(&address).map_err(failed("listen on"))?;
    let inode = place.hold_what_was_bound()?;
    admit(&inode, group).map_err(failed("set the mode of"))?;
    let file = SocketFile { place, inode, _lock: lock };
    socket.listen(BACKLOG).map_err(failed("listen on"))?;
    socket.set_nonblocking(true).map_err(failed("listen on"))?;
    Ok(ControlSocket { listener: socket.into(), _file: file })
}

impl SocketPath {
    fn open(path: &Path) -> Result<Self, BindError> {
        let failed = |source| BindError::Io { doing: "open the directory of", path: path.to_owned(), source };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = plain_file::directory(parent.unwrap_or(Path::new("."))).map_err(failed)?;
        let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?.to_owned();
        Ok(Self { path: path.to_owned(), directory, name })
    }

    /// Refuses a directory that another user owns or can write, because that user decides which
    /// file is in the place of the socket. A directory like /tmp is allowed: there a user can
    /// remove only files of his own.
    fn refuse_that_of_somebody_else(&self, us: Uid) -> Result<(), BindError> {
        if !us.is_root() {
            return Ok(());
        }
        let found = fstat(&self.directory).map_err(|e| self.failed("read the directory of", e))?;
        let mode = Mode::from_bits_truncate(found.st_mode);
        let why = if found.st_uid != us.as_raw() {
            format!("it belongs to user id {}", found.st_uid)
        } else if mode.intersects(Mode::S_IWGRP | Mode::S_IWOTH) && !mode.contains(Mode::S_ISVTX) {
            format!("its mode is {:o}", mode.bits())
        } else {
            return Ok(());
        };
        let directory = self.path.parent().unwrap_or(Path::new(".")).to_owned();
        Err(BindError::ForeignDirectory { directory, why })
    }

    /// Takes the lock of the path, because two daemons that start at the same moment must not both
    /// find a file of an ended daemon. The lock ends with its process, however the process ends.
    fn lock(&self, create: OFlag) -> Result<Flock<OwnedFd>, BindError> {
        let mut name = self.name.clone();
        name.push(".lock");
        let path = self.path.with_file_name(&name);
        let failed = |doing, errno: Errno| BindError::Io { doing, path: path.clone(), source: errno.into() };
        let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | create;
        let opened = openat(&self.directory, &*name, flags, Mode::S_IRUSR | Mode::S_IWUSR);
        let file = opened.map_err(|errno| failed("open", errno))?;
        if !is(&fstat(&file).map_err(|errno| failed("read", errno))?, SFlag::S_IFREG) {
            return Err(failed("lock", Errno::EINVAL));
        }
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
            if errno != Errno::EWOULDBLOCK {
                return failed("lock", errno);
            }
            match answers(&self.path) {
                Ok(Answers::Yes) => BindError::InUse(self.path.clone()),
                Ok(Answers::Nobody) | Err(_) => BindError::Locked(path.clone()),
            }
        })
    }

    fn remove_stale(&self) -> Result<(), BindError> {
        match self.look() {
            Err(Errno::ENOENT) => return Ok(()),
            Err(errno) => return Err(self.failed("read", errno)),
            Ok(found) if !is(&found, SFlag::S_IFSOCK) => {
                return Err(BindError::NotASocket(self.path.clone()));
            }
            Ok(_) => {}
        }
        match answers(&self.path) {
            // The lock is ours, so the process that listens is not a vrrpd. It runs nevertheless.
            Ok(Answers::Yes) => Err(BindError::InUse(self.path.clone())),
            Ok(Answers::Nobody) => self.remove().map_err(|errno| self.failed("remove the stale", errno)),
            Err(source) => Err(BindError::Io { doing: "connect to", path: self.path.clone(), source }),
        }
    }

    /// Opens the file that was bound a moment ago. Any other file than a new socket of ours is
    /// refused.
    fn hold_what_was_bound(&self) -> Result<OwnedFd, BindError> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = openat(&self.directory, &*self.name, flags, Mode::empty());
        let inode = opened.map_err(|errno| self.failed("open", errno))?;
        let found = fstat(&inode).map_err(|errno| self.failed("read", errno))?;
        let ours = is(&found, SFlag::S_IFSOCK) && found.st_uid == geteuid().as_raw() && found.st_nlink == 1;
        if ours { Ok(inode) } else { Err(BindError::Replaced(self.path.clone())) }
    }

    fn look(&self) -> Result<FileStat, Errno> {
        fstatat(&self.directory, &*self.name, AtFlags::AT_SYMLINK_NOFOLLOW)
    }

    fn remove(&self) -> Result<(), Errno> {
        unlinkat(&self.directory, &*self.name, UnlinkatFlags::NoRemoveDir)
    }

    fn failed(&self, doing: &'static str, errno: Errno) -> BindError {
        BindError::Io { doing, path: self.path.clone(), source: errno.into() }
    }
}

/// Whether a process listens on the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    Yes,
    Nobody,
}

/// Tries to connect without waiting. A process that listens and accepts no connection still runs.
fn answers(path: &Path) -> io::Result<Answers> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Ok(Answers::Yes),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Answers::Yes),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(Answers::Nobody),
        Err(error) => Err(error),
    }
}

/// Gives the file mode 0660 and the group. If the group does not exist, the file keeps the group of
/// the daemon; if it cannot be looked up or given, the file keeps mode 0600.
fn admit(inode: &OwnedFd, group: &str) -> io::Result<()> {
    let name = group.to_owned();
    let found = run_within(NAME_LIMIT, move || Group::from_name(&name));
    admit_members(inode, group, found.and_then(|found| Ok(found?)))
}

fn admit_members(inode: &OwnedFd, group: &str, found: io::Result<Option<Group>>) -> io::Result<()> {
    // The path that the kernel gives to an open file cannot name another file.
    let held = PathBuf::from(format!("/proc/self/fd/{}", inode.as_raw_fd()));
    let open = || fs::set_permissions(&held, Permissions::from_mode(0o660));
    let members = match found {
        Ok(Some(members)) => members,
        Ok(None) => {
            tracing::info!(
                group,
                "this group does not exist: only the daemon's own user and group can use the control socket"
            );
            return open();
        }
        Err(error) => {
            tracing::warn!(group, %error, "cannot look up the group: only the daemon's own user can use the control socket");
            return Ok(());
        }
    };
    // The file has the group already if the service runs with it; and in the sandbox of a service
    // chown may be refused even so.
    if fstat(inode)?.st_gid == members.gid.as_raw() {
        return open();
    }
    if let Err(error) = fchownat(inode, OsStr::new(""), None, Some(members.gid), AtFlags::AT_EMPTY_PATH) {
        tracing::warn!(group, %error, "cannot give the control socket to the group: only its owner can use it");
        return Ok(());
    }
    open()
}

fn is(found: &FileStat, kind: SFlag) -> bool {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == kind
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let identity = |found: FileStat| (found.st_dev, found.st_ino);
        let ours = fstat(&self.inode).map(identity);
        if ours.is_ok() && self.place.look().map(identity) == ours {
            let _best_effort = self.place.remove();
        }
    }
}

#[cfg(test)]
mod tests;
