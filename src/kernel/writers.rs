//! Which other users can change what a path leads to.
//!
//! This module owns the walk from the root along a path and its symbolic links: a user that can
//! write to a directory on it can put another file at its end. It must not know what the path is
//! for, nor what the caller does with the result.

use super::capabilities::is_mapped;
use super::sys;
use std::collections::{BTreeSet, VecDeque};
use std::ffi::CString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Number of symbolic links that are followed, the same as in the kernel (path_resolution(7)).
const LINKS: usize = 40;
const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const EVERYBODY_WRITES: u32 = 0o002;

/// Users that may be able to write, by their ids. Root always is one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    users: BTreeSet<u32>,
    groups: BTreeSet<u32>,
}

/// Whether the next component of the path exists in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextComponent {
    IsThere,
    IsMissing,
}

/// The first place at which another user can change where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WritableByOther {
    /// The file or directory that the user can write to.
    pub path: PathBuf,
    /// Which user can write to it.
    pub writer: Writer,
}

/// Who can write to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Writer {
    /// The owner of the file, by user id.
    #[error("belongs to user id {0}")]
    Owner(u32),
    /// The members of the file's group, by group id.
    #[error("can be written by group id {0}")]
    Group(u32),
    /// Users or groups that its access list (acl(5)) names.
    #[error("has an access list that lets others write (getfacl shows it)")]
    Listed,
    /// All users.
    #[error("can be written by everybody")]
    Everybody,
}

impl Trusted {
    /// Trusts root and these users.
    #[must_use]
    pub fn with(users: impl IntoIterator<Item = u32>) -> Self {
        // In a user namespace, files of ids that are not mapped belong to the user that made the
        // namespace, as its root directory does.
        Self {
            users: users.into_iter().chain([0]).chain(nobody("uid")).collect(),
            groups: [0].into_iter().chain(nobody("gid")).collect(),
        }
    }

    fn writable_by_other(&self, path: &Path, found: &Metadata, next: NextComponent) -> Option<Writer> {
        let mode = found.mode();
        // In a directory like /tmp all users can make files, but cannot replace those of other
        // users.
        let shared = found.is_dir() && mode & STICKY != 0 && next == NextComponent::IsThere;
        let writes = |bits| !found.is_symlink() && !shared && mode & bits != 0;
        if !self.users.contains(&found.uid()) {
            Some(Writer::Owner(found.uid()))
        } else if writes(EVERYBODY_WRITES) {
            Some(Writer::Everybody)
        } else if writes(GROUP_WRITES) && has_access_list(path) {
            // With an access list, the group bits of the mode are only what the list may grant at
            // most.
            Some(Writer::Listed)
        } else if writes(GROUP_WRITES) && !self.groups.contains(&found.gid()) {
            Some(Writer::Group(found.gid()))
        } else {
            None
        }
    }
}

/// Follows an absolute path as the kernel does. Returns `None` if no other user can change what is
/// at its end.
///
/// # Errors
/// The kernel's error, if the path leads nowhere and no other user can change that.
pub fn writable_by_other(path: &Path, trusted: &Trusted) -> io::Result<Option<WritableByOther>> {
    let mut at = PathBuf::from("/");
    let mut rest: VecDeque<PathBuf> = parts(path).collect();
    let mut links = 0;
    if let Some(to) = trusted.writable_by_other(&at, &fs::symlink_metadata(&at)?, NextComponent::IsThere) {
        return Ok(Some(WritableByOther { path: at, writer: to }));
    }
    while let Some(part) = rest.pop_front() {
        if part == Path::new("..") {
            at.pop();
            continue;
        }
        let next = at.join(&part);
        let found = match fs::symlink_metadata(&next) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A user that can write here can make the missing component.
                let to =
                    trusted.writable_by_other(&at, &fs::symlink_metadata(&at)?, NextComponent::IsMissing);
                return to.map(|to| Some(WritableByOther { path: at, writer: to })).ok_or(error);
            }
            found => found?,
        };
        if let Some(to) = trusted.writable_by_other(&next, &found, NextComponent::IsThere) {
            return Ok(Some(WritableByOther { path: next, writer: to }));
        }
        if found.is_symlink() {
            links += 1;
            if links > LINKS {
                return Err(io::Error::from_raw_os_error(libc::ELOOP));
            }
            let target = fs::read_link(&next)?;
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            parts(&target).rev().for_each(|part| rest.push_front(part));
        } else {
            at = next;
        }
    }
    Ok(None)
}

fn has_access_list(path: &Path) -> bool {
    CString::new(path.as_os_str().as_bytes()).is_ok_and(|path| sys::has_access_list(&path))
}

/// The components of a path, in order.
fn parts(path: &Path) -> impl DoubleEndedIterator<Item = PathBuf> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// The id (`uid` or `gid`) with which the kernel shows users outside of this user namespace.
fn nobody(of: &str) -> Option<u32> {
    let map = fs::read_to_string(format!("/proc/self/{of}_map")).ok()?;
    let id = fs::read_to_string(format!("/proc/sys/kernel/overflow{of}"));
    let id = id.ok().and_then(|id| id.trim().parse().ok()).unwrap_or(65534);
    unless_mapped(&map, id)
}

/// Returns the id unless the namespace maps it: a container with a range of 65,536 has a user of
/// that id, whom outside users then look like.
fn unless_mapped(map: &str, id: u32) -> Option<u32> {
    (!is_mapped(map, id)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A directory of ours below one like /tmp, whichever user runs the tests.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("bin");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(&inner, Permissions::from_mode(0o755)).unwrap();
        let file = inner.join("check");
        fs::write(&file, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        (directory, file)
    }

    fn us() -> Trusted {
        Trusted::with([nix::unistd::geteuid().as_raw()])
    }

    #[test]
    fn what_only_we_can_write_is_not_exposed() {
        let (_directory, file) = place();
        assert_eq!(writable_by_other(&file, &us()).unwrap(), None);
        assert_eq!(writable_by_other(&file.join("../../bin/./check"), &us()).unwrap(), None);
        assert_eq!(writable_by_other(Path::new("/bin/sh"), &us()).unwrap(), None, "a link on many systems");
    }

    #[test]
    fn a_user_that_can_write_the_file_or_a_directory_on_the_way_is_named() {
        let (_directory, file) = place();
        let parent = file.parent().unwrap();
        for (path, mode, to) in [
            (file.as_path(), 0o757, Some(Writer::Everybody)),
            (parent, 0o777, Some(Writer::Everybody)),
            (parent, 0o1777, None),
        ] {
            let before = fs::metadata(path).unwrap().permissions();
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            let expected = to.map(|to| WritableByOther { path: path.to_owned(), writer: to });
            assert_eq!(writable_by_other(&file, &us()).unwrap(), expected, "{mode:o}");
            fs::set_permissions(path, before).unwrap();
        }
    }

    #[test]
    fn what_is_not_there_is_exposed_where_others_can_make_it() {
        let (_directory, file) = place();
        let parent = file.parent().unwrap();
        for (mode, to) in [(0o755, None), (0o1777, Some(Writer::Everybody)), (0o777, Some(Writer::Everybody))]
        {
            fs::set_permissions(parent, Permissions::from_mode(mode)).unwrap();
            for missing in ["missing", "missing/check"] {
                let found = writable_by_other(&parent.join(missing), &us());
                match &to {
                    Some(to) => {
                        assert_eq!(found.unwrap(), Some(WritableByOther { path: parent.into(), writer: *to }))
                    }
                    None => assert_eq!(found.unwrap_err().kind(), io::ErrorKind::NotFound),
                }
            }
        }
    }

    #[test]
    fn a_group_is_not_trusted_unless_it_is_roots() {
        let (_directory, file) = place();
        fs::set_permissions(&file, Permissions::from_mode(0o775)).unwrap();
        let gid = fs::metadata(&file).unwrap().gid();
        let expected = (gid != 0).then(|| WritableByOther { path: file.clone(), writer: Writer::Group(gid) });
        assert_eq!(writable_by_other(&file, &us()).unwrap(), expected);
        let nobodys = Trusted { users: us().users, groups: BTreeSet::new() };
        assert_eq!(
            writable_by_other(&file, &nobodys).unwrap(),
            Some(WritableByOther { path: file.clone(), writer: Writer::Group(gid) })
        );
    }

    /// An access list that names one more user who may write, as setfacl makes it.
    #[test]
    fn a_user_in_an_access_list_counts() {
        let (_directory, file) = place();
        let entry = |tag: u16, rights: u16, id: u32| {
            [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let none = u32::MAX;
        let (owner, user, group) = (entry(0x01, 7, none), entry(0x02, 7, 12_345), entry(0x04, 5, none));
        let list =
            [vec![2, 0, 0, 0], owner, user, group, entry(0x10, 7, none), entry(0x20, 5, none)].concat();
        let path = CString::new(file.as_os_str().as_bytes()).unwrap();
        if let Err(error) = sys::set_access_list(&path, &list) {
            // The file system does not support lists, or the user namespace has no such user.
            let known = [libc::EOPNOTSUPP, libc::EINVAL];
            assert!(known.contains(&error.raw_os_error().unwrap()), "{error}");
            return;
        }
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o775);
        let roots = Trusted { groups: BTreeSet::from([fs::metadata(&file).unwrap().gid()]), ..us() };
        let expected = WritableByOther { path: file.clone(), writer: Writer::Listed };
        assert_eq!(writable_by_other(&file, &roots).unwrap(), Some(expected));
        fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(writable_by_other(&file, &roots).unwrap(), None, "without the right to write in the mask");
    }

    #[test]
    fn the_directory_behind_a_link_counts() {
        let (directory, file) = place();
        let link = directory.path().join("link");
        symlink("bin/check", &link).unwrap();
        assert_eq!(writable_by_other(&link, &us()).unwrap(), None);
        fs::set_permissions(file.parent().unwrap(), Permissions::from_mode(0o777)).unwrap();
        let expected = WritableByOther { path: file.parent().unwrap().to_owned(), writer: Writer::Everybody };
        assert_eq!(writable_by_other(&link, &us()).unwrap(), Some(expected));
    }

    #[test]
    fn the_owner_is_named_where_he_is_not_trusted() {
        let (directory, file) = place();
        let ours = nix::unistd::geteuid().as_raw();
        let nobody = Trusted { users: BTreeSet::from([ours + 1]), groups: BTreeSet::new() };
        let found = writable_by_other(&file, &nobody).unwrap().unwrap();
        assert!(matches!(found.writer, Writer::Owner(_)), "{found:?}");
        drop(directory);
    }

    #[test]
    fn users_outside_of_the_namespace_are_trusted_only_if_it_has_no_user_with_that_id() {
        for (map, trusted) in [
            ("         0          0 4294967295\n", None),
            ("0 100000 65536\n", None),
            ("0 1000 1\n", Some(65_534)),
            ("0 1000 1\n1 100000 65533\n", Some(65_534)),
            ("0 1000 1\n1 100000 65534\n", None),
        ] {
            assert_eq!(unless_mapped(map, 65_534), trusted, "{map}");
        }
    }

    #[test]
    fn a_path_that_leads_nowhere_is_an_error() {
        let (directory, file) = place();
        assert_eq!(
            writable_by_other(&file.join("x"), &us()).unwrap_err().kind(),
            io::ErrorKind::NotADirectory
        );
        let round = directory.path().join("round");
        symlink("round", &round).unwrap();
        assert_eq!(writable_by_other(&round, &us()).unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }
}
