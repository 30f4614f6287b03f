//! The file of the control socket.
//!
//! Owns who may connect (mode and group of the file), the replacement of a dead daemon's file, and the refusal of
//! a live one's. Whoever owns the directory can put other files in the place of ours at any moment, so every
//! file is held and then changed, never changed by its path; and root does not serve in the directory of somebody else.

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

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/vrrpd/control.sock";

/// The group whose members may read and change.
pub const GROUP: &str = "vrrpd";

/// For the group, which may come over the network (NSS): a start does not wait for a name service that is down.
const NAME_LIMIT: Duration = Duration::from_secs(2);

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// Why the control socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon lives there.
    #[error("another vrrpd already listens on {path}; stop it, or give this one another --socket", path = .0.display())]
    InUse(PathBuf),
    /// Somebody holds the lock and does not listen.
    #[error(
        "somebody holds the lock {path}, and nobody answers on the control socket: another vrrpd that starts or ends, or \
         another program. Find it with: fuser {path}", path = .0.display()
    )]
    Locked(PathBuf),
    /// Something else is there.
    #[error("{path} exists and is no socket; it is left alone", path = .0.display())]
    NotASocket(PathBuf),
    /// Root would serve where somebody else can replace the socket.
    #[error(
        "the directory {path} can be written by others than root ({why}), who could put their own socket in the place of \
         root's. Give it to root (chown root:root {path}; chmod go-w {path}), name another with --socket, or run vrrpd \
         as the owner of the directory", path = .directory.display()
    )]
    ForeignDirectory {
        /// Of the socket.
        directory: PathBuf,
        /// Who can.
        why: String,
    },
    /// What was bound is not what is there.
    #[error("somebody put another file in the place of {path} while it was made", path = .0.display())]
    Replaced(PathBuf),
    /// The kernel refused.
    #[error("cannot {doing} {path}", path = .path.display())]
    Io {
        /// What it was about to do.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A listening control socket; its file is removed on drop.
#[derive(Debug)]
pub(super) struct ControlSocket {
    pub listener: UnixListener,
    _file: SocketFile,
}

/// Where the file of the socket is: the directory is held, so that it stays the one that was looked at.
#[derive(Debug)]
struct SocketPath {
    path: PathBuf,
    directory: File,
    name: OsString,
}

/// Removes the file on drop, unless somebody has put another in its place; then lets go of the lock.
#[derive(Debug)]
struct SocketFile {
    place: SocketPath,
    /// Held, so that its number cannot become another file's.
    inode: OwnedFd,
    _lock: Flock<OwnedFd>,
}

/// The place of a daemon that is gone, kept free: none can start there while this is held.
#[derive(Debug)]
pub struct Vacancy(#[expect(dead_code, reason = "held for its Drop")] Option<Flock<OwnedFd>>);

/// Finds out whether a daemon lives at `path`. Nothing is created.
///
/// # Errors
/// [`BindError::InUse`]: it does. Anything else: there is no telling.
pub fn vacancy(path: &Path) -> Result<Vacancy, BindError> {
    let lock = match SocketPath::open(path).and_then(|place| place.lock(OFlag::empty())) {
        Err(BindError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
        lock => Some(lock?),
    };
    // Somebody may have removed the file of the lock.
    match answers(path) {
        Ok(Answers::Yes) => Err(BindError::InUse(path.to_owned())),
        Ok(Answers::Nobody) | Err(_) => Ok(Vacancy(lock)),
    }
}

/// Listens on `path`, for the owner and the members of `group` only.
///
/// There is no moment at which anybody else could connect: the file is born with mode 0600, and
/// nobody is listened to before it has its group.
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
    // Linux gives the file the mode of the socket (unix(7)), so no umask is needed: that belongs
    // to the whole process.
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

    /// Whoever can write the directory decides what is in the place of the socket. In one like /tmp nobody can
    /// remove what is not his.
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

    /// One daemon a path: two that start at the same moment must not both find the file stale. The lock
    /// ends with its holder, whatever ends it.
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
            // The lock is ours, so this is no vrrpd; but it lives.
            Ok(Answers::Yes) => Err(BindError::InUse(self.path.clone())),
            Ok(Answers::Nobody) => self.remove().map_err(|errno| self.failed("remove the stale", errno)),
            Err(source) => Err(BindError::Io { doing: "connect to", path: self.path.clone(), source }),
        }
    }

    /// The file that was bound a moment ago: nothing but a fresh socket of ours is taken for it.
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

/// Whether somebody listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    Yes,
    Nobody,
}

/// Does not wait for somebody who listens and accepts nobody: he lives.
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

/// Mode 0660 and the group. Where the group does not exist the file keeps the daemon's own; where
/// it cannot be looked up or given, mode 0600.
fn admit(inode: &OwnedFd, group: &str) -> io::Result<()> {
    let name = group.to_owned();
    let found = run_within(NAME_LIMIT, move || Group::from_name(&name));
    admit_members(inode, group, found.and_then(|found| Ok(found?)))
}

fn admit_members(inode: &OwnedFd, group: &str, found: io::Result<Option<Group>>) -> io::Result<()> {
    // The kernel's name of what is held: no other file can have it.
    let held = PathBuf::from(format!("/proc/self/fd/{}", inode.as_raw_fd()));
    let open = || fs::set_permissions(&held, Permissions::from_mode(0o660));
    let members = match found {
        Ok(Some(members)) => members,
        Ok(None) => {
            tracing::info!(group, "no such group: the control socket is for the daemon's own user and group");
            return open();
        }
        Err(error) => {
            tracing::warn!(group, %error, "cannot look up the group: only the daemon's own user can use the control socket");
            return Ok(());
        }
    };
    // As the group of a service it already is; and in its sandbox chown may be refused all the same.
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
