//! A process in a namespace: its output goes to a log file, it is killed when its handle is
//! dropped, and if the test failed its log is printed.

use super::namespace::Ns;
use super::wait::wait_some;
use super::{SOON, ms};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe2, write};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A running process.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` in `ns`; `name` is its name in reports, and its log is `DIR/NAME.log`.
    pub(crate) fn start(ns: &Ns, dir: &Path, name: &str, command: &mut Command) -> Self {
        let log = dir.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log).expect("a log file");
        Self::start_on(
            ns,
            log,
            name,
            command,
            [out.try_clone().expect("its second handle").into(), out.into()],
        )
    }

    /// As [`Process::start`], with other outputs than a log.
    pub(crate) fn start_on(
        ns: &Ns,
        log: PathBuf,
        name: &str,
        command: &mut Command,
        [out, err]: [Stdio; 2],
    ) -> Self {
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = ns.enter(|| command.spawn().unwrap_or_else(|e| panic!("starting {name}: {e}")));
        Self { name: name.to_owned(), child, log }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap_or_else(|e| panic!("{signal} to {}: {e}", self.name));
    }

    /// Everything that the process has printed so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("asking for a child").is_none()
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let name = self.name.clone();
        wait_some(limit, format!("{name} ends"), || self.child.try_wait().expect("asking for a child"))
    }

    /// Sends SIGTERM and waits for the end; sends SIGKILL after `SOON`.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait(SOON)
    }

    /// Sends SIGKILL, so that the process cleans up nothing.
    pub(crate) fn kill(&mut self) {
        let _already_dead: Result<(), Errno> = kill(self.pid(), Signal::SIGKILL);
        self.child.wait().expect("the end of a killed child");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            self.kill();
        }
        if std::thread::panicking() {
            eprintln!("---- log of {} ({}) ----\n{}", self.name, self.log.display(), self.log());
        }
    }
}

/// A pipe that is full, and that nobody reads, like the one for a service's log while the journal
/// waits for its disk.
#[derive(Debug)]
pub(crate) struct Unread {
    _reading: OwnedFd,
    writing: OwnedFd,
}

impl Unread {
    /// A pipe of one page, which is full.
    pub(crate) fn new() -> Self {
        const PAGE: usize = 4096;
        let (reading, writing) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let size = i32::try_from(PAGE).expect("a page");
        fcntl(&writing, FcntlArg::F_SETPIPE_SZ(size)).expect("a small pipe");
        assert_eq!(write(&writing, &[b'.'; PAGE]), Ok(PAGE), "filling the pipe");
        Self { _reading: reading, writing }
    }

    /// The writing end of the pipe, as both outputs of a process.
    pub(crate) fn outputs(&self) -> [Stdio; 2] {
        [(); 2].map(|()| self.writing.try_clone().expect("another handle").into())
    }
}

/// Runs `command` in `ns` for at most `limit`; returns its exit code and what it printed on both
/// outputs.
pub(crate) fn finish(ns: &Ns, limit: Duration, command: &mut Command) -> (i32, String, String) {
    use std::io::Read;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = ns.enter(|| command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}")));
    let mut out = child.stdout.take().expect("piped");
    let mut err = child.stderr.take().expect("piped");
    let readers = (
        std::thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).map(|_| text).unwrap_or_default()
        }),
        std::thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).map(|_| text).unwrap_or_default()
        }),
    );
    let status = wait_some(limit.max(ms(1)), format!("{command:?} ends"), || {
        child.try_wait().expect("asking for a child")
    });
    let text = |reader: std::thread::JoinHandle<String>| reader.join().expect("a reader");
    (status.code().unwrap_or(-1), text(readers.0), text(readers.1))
}
