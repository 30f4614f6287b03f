use super::*;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixStream;

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
    // An ordinary user, and the root of a user namespace, can give a file only to a group that the
    // user is in.
    let probe = directory.path().join("probe");
    fs::write(&probe, "").unwrap();
    let any = nix::unistd::chown(&probe, None, Some(1.into())).is_ok();
    let gid = if any { 1.into() } else { nix::unistd::getegid() };
    let group = Group::from_gid(gid).unwrap().unwrap();
    let _bound = bind(&path, &group.name).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.gid(), metadata.mode() & 0o7777), (gid.as_raw(), 0o660));
}

/// A name service that fails does not keep the daemon from serving, and neither does one that
/// hangs.
#[test]
fn a_group_that_cannot_be_looked_up_leaves_the_socket_to_its_owner() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let inode = OwnedFd::from(File::open(&path).unwrap());
    for error in [io::Error::from(Errno::EIO), io::ErrorKind::TimedOut.into()] {
        admit_members(&inode, GROUP, Err(error)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    }
    admit_members(&inode, GROUP, Ok(None)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o660);
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

#[test]
fn a_lock_that_somebody_else_holds_is_told_from_a_daemon() {
    let (_directory, path) = place();
    drop(bind(&path, "no-such-group").unwrap());
    let lock = path.with_file_name("control.sock.lock");
    let _held = Flock::lock(File::open(&lock).unwrap(), FlockArg::LockExclusiveNonblock).unwrap();
    for refused in [bind(&path, GROUP).unwrap_err(), vacancy(&path).unwrap_err()] {
        assert!(matches!(refused, BindError::Locked(_)), "{refused:?}");
        assert!(refused.to_string().contains(&format!("fuser {}", lock.display())), "{refused}");
    }
}

#[test]
fn the_lock_is_no_link_and_no_pipe() {
    let (directory, path) = place();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let (lock, target) = (path.with_file_name("control.sock.lock"), directory.path().join("target"));
    symlink(&target, &lock).unwrap();
    assert!(matches!(bind(&path, GROUP), Err(BindError::Io { doing: "open", .. })));
    assert!(!target.exists(), "nothing is created behind the link");
    fs::remove_file(&lock).unwrap();
    nix::unistd::mkfifo(&lock, Mode::S_IRWXU).unwrap();
    assert!(bind(&path, GROUP).is_err());
    assert!(vacancy(&path).is_err());
}

#[test]
fn a_link_in_the_place_of_the_socket_is_left_alone() {
    let (directory, path) = place();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let victim = directory.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    fs::set_permissions(&victim, Permissions::from_mode(0o600)).unwrap();
    symlink(&victim, &path).unwrap();
    assert!(matches!(bind(&path, GROUP), Err(BindError::NotASocket(_))));
    assert_eq!(fs::metadata(&victim).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn what_was_put_in_the_place_of_the_socket_is_not_taken_for_it() {
    let (directory, path) = place();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let place = SocketPath::open(&path).unwrap();
    let elsewhere = directory.path().join("elsewhere");
    let _other = UnixListener::bind(&elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert!(matches!(place.hold_what_was_bound(), Err(BindError::Replaced(_))), "a link to a socket");
    fs::remove_file(&path).unwrap();
    fs::hard_link(&elsewhere, &path).unwrap();
    assert!(matches!(place.hold_what_was_bound(), Err(BindError::Replaced(_))), "another name of a socket");
}

#[test]
fn root_does_not_serve_where_others_can_write() {
    let (_directory, path) = place();
    let parent = path.parent().unwrap();
    fs::create_dir_all(parent).unwrap();
    let refused = |us: Uid| SocketPath::open(&path).unwrap().refuse_that_of_somebody_else(us);
    let of = |mode| fs::set_permissions(parent, Permissions::from_mode(mode)).unwrap();
    of(0o777);
    // The tests may run as any user. For every user but root, the directory belongs to another
    // user.
    let said = refused(Uid::from_raw(0)).unwrap_err().to_string();
    assert!(said.contains(&format!("chown root:root {}", parent.display())), "{said}");
    assert!(refused(Uid::from_raw(1)).is_ok(), "an ordinary user has nothing to lose there");
    if geteuid().is_root() {
        for (mode, accepted) in [(0o755, true), (0o775, false), (0o1777, true)] {
            of(mode);
            assert_eq!(refused(geteuid()).is_ok(), accepted, "{mode:o}");
        }
    }
}
