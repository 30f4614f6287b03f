//! The file of the control socket.
//!
//! Owns who may connect (mode and group of the file), the replacement of a dead daemon's file, and
//! the refusal of a live one's.

use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Group, chown};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/vrrpd/control.sock";

/// The group whose members may read and change.
pub const GROUP: &str = "vrrpd";

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// Why the control socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon lives there.
    #[error("another vrrpd already listens on {path}; stop it, or give this one another --socket", path = .0.display())]
    InUse(PathBuf),
    /// Something else is there.
    #[error("{path} exists and is no socket; it is left alone", path = .0.display())]
    NotASocket(PathBuf),
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

/// Removes the file on drop, unless somebody has put another in its place; then lets go of the lock.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    _lock: Flock<File>,
}

/// The place of a daemon that is gone, kept free: none can start there while this is held.
#[derive(Debug)]
pub struct Vacancy(#[expect(dead_code, reason = "held for its Drop")] Option<Flock<File>>);

/// Finds out whether a daemon lives at `path`. Nothing is created.
///
/// # Errors
/// [`BindError::InUse`]: it does. Anything else: there is no telling.
pub fn vacancy(path: &Path) -> Result<Vacancy, BindError> {
    let lock = match lock_file(path, OpenOptions::new().write(true)) {
        Err(BindError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
        lock => Some(lock?),
    };
    // Somebody may have removed the file of the lock.
    match UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse(path.to_owned())),
        Err(_) => Ok(Vacancy(lock)),
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
    let lock = lock(path)?;
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed("create a socket for"))?;
    // Linux gives the file the mode of the socket (unix(7)), so no umask is needed: that belongs
    // to the whole process.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|e| failed("set the mode of")(e.into()))?;
    let address = SockAddr::unix(path).map_err(failed("listen on"))?;
    socket.bind(&address).map_err(failed("listen on"))?;
    let file =
        SocketFile { path: path.to_owned(), identity: identity(path).map_err(failed("read"))?, _lock: lock };
    admit(path, group).map_err(failed("set the mode of"))?;
    socket.listen(BACKLOG).map_err(failed("listen on"))?;
    socket.set_nonblocking(true).map_err(failed("listen on"))?;
    Ok(ControlSocket { listener: socket.into(), _file: file })
}

/// One daemon a path: two that start at the same moment must not both find the file stale. The lock
/// ends with its holder, whatever ends it.
fn lock(path: &Path) -> Result<Flock<File>, BindError> {
    lock_file(path, OpenOptions::new().create(true).truncate(false).write(true).mode(0o600))
}

fn lock_file(path: &Path, options: &OpenOptions) -> Result<Flock<File>, BindError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = options.open(&name).map_err(|source| BindError::Io {
        doing: "open",
        path: PathBuf::from(&name),
        source,
    })?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| BindError::InUse(path.to_owned()))
}

fn remove_stale(path: &Path) -> Result<(), BindError> {
    let failed = |doing| move |source| BindError::Io { doing, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed("read")(e)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        // The lock is ours, so this is no vrrpd; but it lives.
        Ok(_) => Err(BindError::InUse(path.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("remove the stale"))
        }
        Err(e) => Err(failed("connect to")(e)),
    }
}

/// Mode 0660 and the group. Where the group does not exist the file keeps the daemon's own; where
/// it cannot be given, mode 0600.
fn admit(path: &Path, group: &str) -> io::Result<()> {
    let Some(members) = Group::from_name(group)? else {
        tracing::info!(group, "no such group: the control socket is for the daemon's own user and group");
        return fs::set_permissions(path, Permissions::from_mode(0o660));
    };
    // As the group of a service it already is; and in its sandbox chown may be refused all the same.
    if fs::symlink_metadata(path)?.gid() == members.gid.as_raw() {
        return fs::set_permissions(path, Permissions::from_mode(0o660));
    }
    if let Err(error) = chown(path, None, Some(members.gid)) {
        tracing::warn!(group, %error, "cannot give the control socket to the group: only its owner can use it");
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(0o660))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _best_effort = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/control.sock");
        (directory, path)
    }

    #[test]
    fn the_file_is_for_its_owner_and_group_and_goes_with_the_socket() {
        let (_directory, path) = place();
        let bound = bind(&path, "no-such-group").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o660);
        UnixStream::connect(&path).unwrap();
        drop(bound);
        assert!(!path.exists());
    }

    #[test]
    fn the_file_gets_the_group() {
        let (directory, path) = place();
        // An ordinary user, and the root of a user namespace, can give a file to a group of its own only.
        let probe = directory.path().join("probe");
        fs::write(&probe, "").unwrap();
        let any = nix::unistd::chown(&probe, None, Some(1.into())).is_ok();
        let gid = if any { 1.into() } else { nix::unistd::getegid() };
        let group = Group::from_gid(gid).unwrap().unwrap();
        let _bound = bind(&path, &group.name).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.gid(), metadata.mode() & 0o7777), (gid.as_raw(), 0o660));
    }

    #[test]
    fn the_file_of_a_dead_daemon_is_replaced() {
        let (_directory, path) = place();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "left behind, as after SIGKILL");
        let _bound = bind(&path, GROUP).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_live_daemon_is_left_alone() {
        let (_directory, path) = place();
        let _bound = bind(&path, GROUP).unwrap();
        let error = bind(&path, GROUP).unwrap_err();
        assert!(matches!(error, BindError::InUse(_)), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()));
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_live_socket_of_somebody_else_is_left_alone() {
        let (_directory, path) = place();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        assert!(matches!(bind(&path, GROUP), Err(BindError::InUse(_))));
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let (_directory, path) = place();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path, GROUP), Err(BindError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_successor_keeps_its_file_when_the_predecessor_ends() {
        let (_directory, path) = place();
        let first = bind(&path, GROUP).unwrap();
        fs::remove_file(&path).unwrap();
        let _successor = UnixListener::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
    }
}
