//! Opens files in places where other users may have put something else.
//!
//! This module owns what all files that the agent reads or writes have in common: opening never
//! waits, what is opened is a regular file, and a symbolic link is followed only where an
//! administrator may have made one. The caller limits how much is read. It must not know what is in
//! a file.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Opening does not wait (a named pipe would wait for its other end), and does not make a terminal
/// our controlling one.
const NEVER_WAIT: OFlag = OFlag::O_NONBLOCK.union(OFlag::O_NOCTTY);

/// Whether a symbolic link in the last component of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Links are followed, because the administrator chose the path.
    Follow,
    /// Links are refused, because another user may write in the directory.
    Refuse,
}

/// Which kinds of files may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// Regular files, which can be read again.
    Regular,
    /// Pipes as well. The operator waits for the end of the pipe, and can interrupt that (`vrrpctl
    /// check <(make-config)`).
    RegularOrPipe,
}

/// Opens a regular file for reading.
///
/// # Errors
/// The kernel's error, or that the file is not a regular one.
pub fn open(path: &Path, links: Links) -> io::Result<File> {
    open_accepted(path, links, Accept::Regular)
}

/// The content of a file of at most `limit` octets.
///
/// # Errors
/// The kernel's error, or that the file is of another kind, or larger.
pub fn read_octets(path: &Path, links: Links, accept: Accept, limit: u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    // One octet more than is accepted, so that a larger file is noticed.
    open_accepted(path, links, accept)?.take(limit.saturating_add(1)).read_to_end(&mut octets)?;
    if u64::try_from(octets.len()).unwrap_or(u64::MAX) > limit {
        return Err(unfit(format!("it is larger than {} MiB", limit >> 20)));
    }
    Ok(octets)
}

/// Creates a file for writing. An existing file of that name is removed; it is not overwritten.
///
/// # Errors
/// The kernel's error, for instance because another program made a file of that name at the same
/// moment.
pub fn create_anew(path: &Path, mode: u32) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let flags = OFlag::O_NOFOLLOW | NEVER_WAIT;
    OpenOptions::new().write(true).create_new(true).mode(mode).custom_flags(flags.bits()).open(path)
}

/// Opens a directory, to lock it or to make its entries durable.
///
/// # Errors
/// The kernel's error.
pub fn directory(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_DIRECTORY | NEVER_WAIT;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

fn open_accepted(path: &Path, links: Links, accept: Accept) -> io::Result<File> {
    let flags = match links {
        Links::Follow => NEVER_WAIT,
        Links::Refuse => NEVER_WAIT | OFlag::O_NOFOLLOW,
    };
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) if links == Links::Refuse => unfit("it is a symbolic link".to_owned()),
        Some(libc::ENXIO) => unfit("it is a socket or a device, not a regular file".to_owned()),
        Some(_) | None => error,
    })?;
    let kind = file.metadata()?.file_type();
    if accept == Accept::RegularOrPipe && kind.is_fifo() {
        // From here on, reading waits for data.
        fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
        return Ok(file);
    }
    if kind.is_file() { Ok(file) } else { Err(unfit(format!("it is {}, not a regular file", named(kind)))) }
}

fn named(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else {
        "a device"
    }
}

fn unfit(why: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    const LIMIT: u64 = 1 << 20;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        (directory, path)
    }

    fn read(path: &Path, links: Links) -> Result<String, String> {
        let octets = read_octets(path, links, Accept::Regular, LIMIT).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(octets).unwrap())
    }

    #[test]
    fn a_file_that_is_not_regular_is_named_and_never_waited_for() {
        type Make = fn(&Path);
        let table: [(Make, &str); 4] = [
            (|path| mkfifo(path, Mode::S_IRWXU).unwrap(), "it is a pipe, not a regular file"),
            (|path| fs::create_dir(path).unwrap(), "it is a directory, not a regular file"),
            (
                |path| drop(UnixListener::bind(path).unwrap()),
                "it is a socket or a device, not a regular file",
            ),
            (|path| symlink("/dev/zero", path).unwrap(), "it is a device, not a regular file"),
        ];
        for (make, why) in table {
            let (_directory, path) = place();
            make(&path);
            assert_eq!(read(&path, Links::Follow), Err(why.to_owned()));
        }
    }

    #[test]
    fn a_link_is_followed_only_where_the_caller_says_so() {
        let (directory, path) = place();
        let target = directory.path().join("target");
        fs::write(&target, "text").unwrap();
        symlink(&target, &path).unwrap();
        assert_eq!(read(&path, Links::Follow), Ok("text".to_owned()));
        assert_eq!(read(&path, Links::Refuse), Err("it is a symbolic link".to_owned()));
    }

    #[test]
    fn what_is_larger_than_the_limit_is_refused() {
        let (_directory, path) = place();
        for (length, accepted) in [(LIMIT, true), (LIMIT + 1, false)] {
            fs::write(&path, vec![b'#'; usize::try_from(length).unwrap()]).unwrap();
            assert_eq!(read(&path, Links::Refuse).is_ok(), accepted, "{length}");
        }
        assert_eq!(read(&path, Links::Refuse), Err("it is larger than 1 MiB".to_owned()));
    }

    #[test]
    fn a_pipe_is_read_to_its_end_where_one_is_accepted() {
        let (reader, writer) = io::pipe().unwrap();
        let path = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader)));
        let writing = std::thread::spawn(move || {
            let mut writer = writer;
            // More than fits into a pipe, so that the reader has to wait.
            writer.write_all(&[b'#'; 200_000]).unwrap();
        });
        let text = read_octets(&path, Links::Follow, Accept::RegularOrPipe, LIMIT).unwrap();
        writing.join().unwrap();
        assert_eq!(text.len(), 200_000);
        assert!(read_octets(&path, Links::Follow, Accept::Regular, LIMIT).is_err());
    }

    #[test]
    fn a_new_file_replaces_a_link_and_leaves_its_target_alone() {
        let (directory, path) = place();
        let target = directory.path().join("target");
        fs::write(&target, "precious").unwrap();
        symlink(&target, &path).unwrap();
        create_anew(&path, 0o600).unwrap().write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        assert!(path.symlink_metadata().unwrap().is_file());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_directory_is_a_directory() {
        let (directory, path) = place();
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        assert!(super::directory(directory.path()).is_ok());
        assert!(super::directory(&path).is_err());
    }
}
