//! The demotions, which survive a restart in one file (docs/adr/0012).
//!
//! Owns the state directory: the file's name, how the file is replaced, and what is done with a
//! file that cannot be read. The form of the file is in `document`, and `demotion_writer` decides
//! when it is written. This module must not know what a demotion means. Everything here may block.

mod demotion_writer;
mod document;

pub(crate) use demotion_writer::{DemotionWriter, WriterMessage};
pub(crate) use document::{Demotions, Moment};

use crate::kernel::blocking::run_within;
use crate::kernel::plain_file::{self, Links};
use crate::types::RouterName;
use document::Damage;
use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{AccessFlags, access};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FILE: &str = "demotions.json";
/// The name of the file that is written first and then replaces the file of demotions. After a
/// crash it may be left over, and is then removed.
const DRAFT: &str = "demotions.json.new";
/// The beginning of the new name of a file that cannot be understood; the time follows.
const ASIDE: &str = "demotions.json.corrupt-";
/// How many of these files are kept. The newest ones stay.
const ASIDE_KEPT: usize = 3;
/// How many octets are read at most: those of some 10,000 demotions.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// Another daemon uses the directory. Two daemons would overwrite each other's demotions.
    #[error(
        "another process holds the state directory {path}: a vrrpd, whose demotions this one would overwrite, or another \
         program (fuser {path} shows which). This one stops and has changed nothing", path = .0.display()
    )]
    InUse(PathBuf),
    /// The kernel refused.
    #[error("cannot {doing} {path}: {source}", path = .path.display())]
    Io {
        /// The step that failed.
        doing: &'static str,
        /// The file of that step.
        path: PathBuf,
        /// The error of the kernel.
        source: io::Error,
    },
}

/// The state directory. While it is held, no other process uses it.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    lock: Option<Flock<File>>,
    file: FileContent,
}

/// Whether this daemon has read the file. A file that was not read is not overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileContent {
    Known,
    Unknown,
}

/// The demotions of an earlier run.
#[derive(Debug, Default)]
pub(crate) struct Recalled {
    /// The demotions that still hold, also of routers that are not configured.
    pub(crate) demotions: Demotions,
    /// The routers whose demotion has expired.
    pub(crate) expired: Vec<RouterName>,
    /// The problems that occurred. None of them is fatal, and all of them must be reported.
    pub(crate) problems: Vec<StateProblem>,
}

/// Why demotions may have been lost, or will be lost.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateProblem {
    /// The file cannot be read.
    #[error("{0}")]
    Unread(StateError),
    /// The file was read, and nothing can be written into its directory.
    #[error("{0}")]
    Unwritable(StateError),
    /// The file is damaged, or of another version.
    #[error("{path} {damage}; {}", aside(.set_aside), path = .path.display())]
    Damaged {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong with the file.
        damage: Damage,
        /// The path to which the file was renamed.
        set_aside: Result<PathBuf, StateError>,
    },
}

impl StateProblem {
    /// What the problem means for the routers.
    pub(crate) const fn consequence(&self) -> &'static str {
        match self {
            Self::Unread(_) => {
                "saved demotions could not be read: every router takes part, even one that was demoted"
            }
            Self::Damaged { .. } => {
                "saved demotions could not be understood: every router takes part, even one that was demoted"
            }
            Self::Unwritable(_) => "demotions cannot be saved: they will not survive a restart",
        }
    }
}

impl Store {
    /// Takes the directory, and creates it if necessary. [`Self::recall`] reports everything else
    /// that is wrong with the directory: a node that cannot keep demotions still serves.
    ///
    /// # Errors
    /// [`StateError::InUse`].
    pub(crate) fn claim(dir: &Path) -> Result<Self, StateError> {
        let mut store = Self::unread(dir);
        match store.prepare() {
            Err(error @ StateError::InUse(_)) => Err(error),
            Err(StateError::Io { .. }) | Ok(()) => Ok(store),
        }
    }

    /// Returns a directory whose content is not known: it is taken, and its file set aside, before
    /// anything is written.
    fn unread(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), lock: None, file: FileContent::Unknown }
    }

    /// Does what [`Self::claim`] and [`Self::recall`] do, on a disk that may hang.
    ///
    /// # Errors
    /// [`StateError::InUse`].
    pub(crate) fn open(dir: &Path, now: Moment, limit: Duration) -> Result<(Self, Recalled), StateError> {
        let place = dir.to_owned();
        let opened = run_within(limit, move || {
            let mut store = Self::claim(&place)?;
            let recalled = store.recall(now);
            Ok((store, recalled))
        });
        opened.unwrap_or_else(|hangs| Ok(Self::without(dir, hangs)))
    }

    /// Starts without what an earlier run wrote.
    fn without(dir: &Path, hangs: io::Error) -> (Self, Recalled) {
        let trouble = StateProblem::Unread(failed("read", dir)(hangs));
        (Self::unread(dir), Recalled { problems: vec![trouble], ..Recalled::default() })
    }

    /// Reads what an earlier run wrote.
    pub(crate) fn recall(&mut self, now: Moment) -> Recalled {
        let mut recalled = Recalled::default();
        match self.prepare().and_then(|()| self.read()) {
            Ok(None) => {}
            Ok(Some(text)) => match document::parse(&text) {
                Ok(entries) => (recalled.demotions, recalled.expired) = document::recall(entries, now),
                Err(damage) => {
                    let set_aside = self.set_aside(now.wall);
                    recalled.problems.push(StateProblem::Damaged {
                        path: self.path(FILE),
                        damage,
                        set_aside,
                    });
                }
            },
            Err(error) => {
                recalled.problems.push(StateProblem::Unread(error));
                return recalled;
            }
        }
        if recalled.problems.is_empty() {
            self.file = FileContent::Known;
        }
        // A read-only file system is reported here, before an operator relies on it.
        recalled.problems.extend(self.unwritable(access(&self.dir, AccessFlags::W_OK)));
        recalled
    }

    /// The problem, if the kernel refuses this `access` to the directory.
    fn unwritable(&self, access: nix::Result<()>) -> Option<StateProblem> {
        let errno = access.err()?;
        Some(StateProblem::Unwritable(failed("write to", &self.dir)(errno.into())))
    }

    /// Takes the directory of a daemon that is gone, and reads what it wrote. Nothing is created or
    /// renamed: the next daemon reports a damaged file.
    pub(crate) fn visit(dir: &Path, now: Moment) -> Result<(Self, Demotions), StateError> {
        let mut store = Self::unread(dir);
        if !dir.exists() {
            return Ok((store, Demotions::new()));
        }
        store.lock()?;
        let entries = store.read()?.and_then(|text| document::parse(&text).ok());
        Ok((store, entries.map(|entries| document::recall(entries, now).0).unwrap_or_default()))
    }

    /// Replaces the file so that a crash or a power failure at any moment leaves either the old or
    /// the new one.
    pub(crate) fn save(&mut self, demotions: &Demotions, wall: Timestamp) -> Result<(), StateError> {
        self.prepare()?;
        if self.file == FileContent::Unknown {
            self.set_aside(wall)?;
        }
        let draft = self.path(DRAFT);
        // Another user may have put a link there.
        let mut file = plain_file::create_anew(&draft, 0o600).map_err(failed("create", &draft))?;
        let text = document::text(demotions);
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("write", &draft))?;
        let path = self.path(FILE);
        fs::rename(&draft, &path).map_err(failed("replace", &path))?;
        // The new name is on the disk only when the directory is written, too.
        plain_file::directory(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed("write", &self.dir))
    }

    fn prepare(&mut self) -> Result<(), StateError> {
        let create = DirBuilder::new().recursive(true).mode(0o750).create(&self.dir);
        create.map_err(failed("create the directory", &self.dir))?;
        self.lock()
    }

    fn lock(&mut self) -> Result<(), StateError> {
        if self.lock.is_none() {
            let dir = plain_file::directory(&self.dir).map_err(failed("open", &self.dir))?;
            let lock = Flock::lock(dir, FlockArg::LockExclusiveNonblock);
            let refused = |(_, errno): (File, Errno)| {
                if errno == Errno::EWOULDBLOCK {
                    return StateError::InUse(self.dir.clone());
                }
                failed("lock", &self.dir)(errno.into())
            };
            self.lock = Some(lock.map_err(refused)?);
        }
        Ok(())
    }

    fn read(&self) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.path(FILE);
        let file = match plain_file::open(&path, Links::Refuse) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(failed("open", &path))?,
        };
        let mut text = Vec::new();
        // One octet more than the limit is read, so that a larger file is noticed.
        file.take(LARGEST + 1).read_to_end(&mut text).map_err(failed("read", &path))?;
        Ok(Some(text))
    }

    /// Renames the file, so that an administrator can see what was in it.
    fn set_aside(&mut self, wall: Timestamp) -> Result<PathBuf, StateError> {
        let stamp = wall.strftime("%Y%m%dT%H%M%SZ").to_string();
        let taken = |path: &PathBuf| path.symlink_metadata().is_ok();
        let names = std::iter::once(String::new()).chain((1..).map(|again| format!("-{again}")));
        let mut aside = names.map(|suffix| self.path(&format!("{ASIDE}{stamp}{suffix}")));
        let aside = aside.find(|path| !taken(path)).unwrap_or_else(|| unreachable!("names do not end"));
        let path = self.path(FILE);
        match fs::rename(&path, &aside) {
            Ok(()) => self.prune(),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("set aside", &path)(error)),
        }
        self.file = FileContent::Known;
        Ok(aside)
    }

    /// Removes all but the newest files that were set aside, so that they do not fill the disk.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        let mut names: Vec<_> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.retain(|name| name.starts_with(ASIDE));
        names.sort();
        for name in names.iter().rev().skip(ASIDE_KEPT) {
            // If the removal fails, one file too many is left, which does no harm.
            let _best_effort = fs::remove_file(self.path(name));
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Io { doing, path, source }
}

fn aside(set_aside: &Result<PathBuf, StateError>) -> String {
    match set_aside {
        Ok(path) => format!("it is kept as {}", path.display()),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
