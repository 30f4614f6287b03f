//! One run of a command, under bounds: of time, of output, and of what it may leave behind.
//!
//! The command is the leader of a process group of its own; whatever ends the run early ends the
//! whole group. A descendant that calls `setsid` escapes; only the service manager's cgroup catches
//! it. What a command leaves running when it ends *by itself* is left alone: it may have started a
//! service. But nobody reads any more then: what is left and writes where a run is listened to (standard error,
//! of a check standard output as well) ends by SIGPIPE, unless the command redirected its output.
//!
//! Shared by health checks and hooks. Must not know: why it runs.

use super::account::Account;
use crate::agent::{FailureKind, ProgramFailure, ProgramOutcome};
use crate::kernel::blocking::{BlockingTask, spawn_with_stack};
use crate::kernel::confinement::{Identity, Trust, confine};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::convert::Infallible;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_millis(500);
/// How long a killed process may take to go, before it is given up for the time being: one that
/// hangs in the kernel (a dead NFS server) goes when that lets it.
const KILL_TAKES: Duration = Duration::from_secs(1);
/// To end a run, whether it has begun or is about to: [`Starter::call_off`] and [`Attempt::kill`].
pub(crate) const KILL_LIMIT: Duration = CALLED_OFF.saturating_add(GRACE).saturating_add(KILL_TAKES);
/// How long to wait for the last words of a command that has ended. They are in the pipe already;
/// only a descendant that keeps the pipe open lets this pass.
const LAST_WORDS: Duration = Duration::from_millis(50);
/// Octets of a line of output that are kept.
const LINE_KEPT: usize = 200;
/// The daemon's own environment is nobody's business, and may be empty.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whether standard output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputMode {
    /// It is: a check says there what it found.
    Read,
    /// It is not.
    Discarded,
}

/// What is to be run: program and arguments, no shell; as the daemon's user or another; with nothing but `PATH` and
/// `variables` in its environment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Launch<'a> {
    pub(super) command: &'a [String],
    pub(super) account: Option<&'a Account>,
    pub(super) trust: Trust,
    pub(super) variables: &'a [(&'a str, &'a str)],
    pub(super) output: OutputMode,
}

/// What came of a start, and what says that it is over.
type Started = (Result<Attempt, FailureKind>, oneshot::Sender<Infallible>);

/// The starts of one check, or of the hooks of one router. Whoever starts a program waits until the kernel has read it,
/// which takes for ever where the disk does not answer: so another thread does it, and never two of them.
#[derive(Default)]
pub(super) struct Starter {
    /// Of a start that nobody has waited for to its end; dropped, it kills what comes of it.
    errand: Option<BlockingTask<Started>>,
    /// Closed when the last one is over.
    under_way: Option<oneshot::Receiver<Infallible>>,
}

/// How long a start that is called off may take to be over.
const CALLED_OFF: Duration = Duration::from_millis(500);
/// Octets of stack for that; with locked memory all of them are used.
const STACK: usize = 256 << 10;

impl Starter {
    /// Starts it within `limit`. What comes to life later is killed at once; while it may, nothing else is started.
    pub(super) async fn start(
        &mut self,
        launch: Launch<'_>,
        limit: Duration,
    ) -> Result<Attempt, FailureKind> {
        let start = launch.prepare()?;
        self.start_by(start, limit).await
    }

    /// After a start that was called off: what it brought to life is ended as any other, if that comes soon.
    pub(super) async fn call_off(&mut self) {
        let Some(errand) = self.errand.take() else { return };
        if let Ok(Ok((Ok(mut attempt), _))) = timeout(CALLED_OFF, errand).await {
            attempt.kill().await;
        }
    }

    async fn start_by(
        &mut self,
        start: impl FnOnce() -> Result<Attempt, FailureKind> + Send + 'static,
        limit: Duration,
    ) -> Result<Attempt, FailureKind> {
        // One that was cancelled is over in a moment, and killed.
        self.errand = None;
        if let Some(earlier) = &mut self.under_way
            && timeout(KILL_TAKES.min(limit), earlier).await.is_err()
        {
            return Err(FailureKind::Unkillable);
        }
        let (end, under_way) = oneshot::channel::<Infallible>();
        self.under_way = Some(under_way);
        let runtime = Handle::current();
        let errand = self.errand.insert(spawn_with_stack(STACK, move || {
            let _context = runtime.enter();
            // It is over when whoever waits has it; if nobody does, when it was dropped, which kills it.
            (start(), end)
        }));
        let started = timeout(limit, errand).await;
        self.errand = None;
        let started = started.map_err(|_| FailureKind::TimedOut(limit))?;
        started.map_err(|error| FailureKind::CouldNotRun(error.to_string()))?.0
    }
}

/// A command that was started. Dropped, it takes its process group along.
#[derive(Debug)]
pub(super) struct Attempt {
    child: Child,
    group: Pid,
    stderr: Listener<ChildStderr>,
    stdout: Listener<ChildStdout>,
    life: Life,
}

/// Whether there may be processes to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// There may.
    Running,
    /// The command ended by itself, or everything of it was killed.
    Over,
}

impl Launch<'_> {
    /// What may wait for a disk; to be done on a tokio runtime with I/O.
    pub(super) fn prepare(
        self,
    ) -> Result<impl FnOnce() -> Result<Attempt, FailureKind> + Send + 'static, FailureKind> {
        let Self { command, account, trust, variables, output } = self;
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| FailureKind::CouldNotRun("the command is empty".to_owned()))?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir("/").env_clear().env("PATH", PATH);
        command.envs(variables.iter().copied());
        let stdout = match output {
            OutputMode::Read => Stdio::piped(),
            OutputMode::Discarded => Stdio::null(),
        };
        command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).process_group(0);
        let identity = account.map(|Account { uid, gid, groups }| Identity { uid: *uid, gid: *gid, groups });
        confine(command.as_std_mut(), identity, trust);
        let (program, uid) = (program.clone(), account.map(|account| account.uid));
        Ok(move || Attempt::spawn(command, &program, uid))
    }
}

impl Attempt {
    fn spawn(mut command: Command, program: &str, uid: Option<u32>) -> Result<Self, FailureKind> {
        let started = command.spawn();
        let mut child = started.map_err(|error| FailureKind::CouldNotRun(explained(program, uid, &error)))?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        let leader =
            leader.ok_or_else(|| FailureKind::CouldNotRun(format!("{program} has no process id")))?;
        be_as_expendable_as_others(leader);
        let stderr = Listener::new(child.stderr.take());
        let stdout = Listener::new(child.stdout.take());
        Ok(Self { child, group: Pid::from_raw(leader), stderr, stdout, life: Life::Running })
    }

    /// Waits for the end, `limit` at most. After a time-out the group has been asked to end, and
    /// [`Self::kill`] must see to it that it does.
    pub(super) async fn outcome(&mut self, limit: Duration) -> ProgramOutcome {
        let Self { child, stderr, stdout, .. } = self;
        // The order matters: output that never ends must starve neither the end nor the limit.
        let ended = tokio::select! {
            biased;
            status = child.wait() => Some(status),
            () = sleep(limit) => None,
            never = stderr.hear() => match never {},
            never = stdout.hear() => match never {},
        };
        let kind = match ended {
            Some(Ok(status)) => {
                self.life = Life::Over;
                failure_of(status)
            }
            Some(Err(error)) => Some(FailureKind::CouldNotRun(format!("cannot wait for it: {error}"))),
            None => {
                self.signal(Signal::SIGTERM);
                Some(FailureKind::TimedOut(limit))
            }
        };
        let Some(kind) = kind else { return ProgramOutcome::Passed };
        if self.life == Life::Over {
            let Self { stderr, stdout, .. } = self;
            let _ = timeout(LAST_WORDS, async { tokio::join!(stderr.complete(), stdout.complete()) }).await;
        }
        let said = self.stderr.text().or_else(|| self.stdout.text());
        ProgramOutcome::Failed(ProgramFailure { kind, said })
    }

    /// Ends the whole group: SIGTERM, a short grace, SIGKILL. Takes 1.5 s at most; still
    /// [`Life::Running`] then, its leader hangs in the kernel. Nothing to do where the command ended
    /// by itself.
    ///
    /// The group is signalled even after its leader is gone: whoever ignores SIGTERM may be any of
    /// its members. While one of them lives, its number cannot be another's.
    pub(super) async fn kill(&mut self) -> Life {
        if self.life == Life::Over {
            return Life::Over;
        }
        self.signal(Signal::SIGTERM);
        let _ = timeout(GRACE, self.vanished()).await;
        self.signal(Signal::SIGKILL);
        if let Ok(Ok(_)) = timeout(KILL_TAKES, self.child.wait()).await {
            self.life = Life::Over;
        }
        self.life
    }

    /// After [`Self::kill`] gave up: looks whether the leader has gone meanwhile.
    pub(super) fn life_now(&mut self) -> Life {
        if let Ok(Some(_)) = self.child.try_wait() {
            self.life = Life::Over;
        }
        self.life
    }

    async fn vanished(&mut self) {
        let _ = self.child.wait().await;
        while killpg(self.group, None).is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn signal(&self, signal: Signal) {
        match killpg(self.group, signal) {
            // ESRCH: it ended by itself, which is as good.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => {
                tracing::warn!(group = self.group.as_raw(), %signal, %error, "cannot signal a command")
            }
        }
    }
}

/// The service manager shields the daemon from the killer that acts when memory is short. What the daemon starts must not
/// inherit that: a check that runs wild would take nginx along. Refused for another user's process, which is no harm.
fn be_as_expendable_as_others(process: i32) {
    let shielded = std::fs::read_to_string("/proc/self/oom_score_adj").is_ok_and(|own| own.starts_with('-'));
    if shielded {
        let _ = std::fs::write(format!("/proc/{process}/oom_score_adj"), "0");
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.life == Life::Running {
            self.signal(Signal::SIGKILL);
        }
    }
}

/// The start of what a command says on one stream, however much that is.
#[derive(Debug)]
struct Listener<T> {
    /// `None`: nothing more comes.
    pipe: Option<T>,
    octets: Vec<u8>,
    complete: bool,
}

impl<T: AsyncRead + Unpin> Listener<T> {
    const fn new(pipe: Option<T>) -> Self {
        Self { pipe, octets: Vec::new(), complete: false }
    }

    /// Reads for ever, so that the command never waits for a reader.
    async fn hear(&mut self) -> Infallible {
        while self.read().await {}
        std::future::pending().await
    }

    /// Reads until the line is there, or nothing more comes.
    async fn complete(&mut self) {
        while !self.complete && self.read().await {}
    }

    async fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let Some(pipe) = &mut self.pipe else { return false };
        let read = pipe.read(&mut buffer).await.unwrap_or(0);
        self.push(buffer.get(..read).unwrap_or_default());
        if read == 0 {
            self.pipe = None;
        }
        read > 0
    }

    fn push(&mut self, octets: &[u8]) {
        for octet in octets {
            if self.complete || (self.octets.is_empty() && octet.is_ascii_whitespace()) {
                continue;
            }
            if *octet == b'\n' || self.octets.len() == LINE_KEPT {
                self.complete = true;
                continue;
            }
            self.octets.push(*octet);
        }
    }

    /// Fit for a log and a terminal.
    fn text(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.octets);
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

fn failure_of(status: ExitStatus) -> Option<FailureKind> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(FailureKind::ExitCode(code)),
        (None, signal) => Some(FailureKind::Signal(signal.unwrap_or_default())),
    }
}

fn explained(program: &str, uid: Option<u32>, error: &io::Error) -> String {
    match (uid, error.kind()) {
        (Some(uid), io::ErrorKind::PermissionDenied) => {
            format!(
                "{program} as user id {uid}: {error} (this needs CAP_SETUID, and that user the right to run it)"
            )
        }
        (_, _) => format!("{program}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    const LIMIT: Duration = Duration::from_secs(20);

    fn launch(command: &[String]) -> Launch<'_> {
        Launch { command, account: None, trust: Trust::ToAnswer, variables: &[], output: OutputMode::Read }
    }

    async fn until_gone(group: Pid) {
        while killpg(group, None).is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_start_that_hangs_is_given_up_and_what_comes_late_is_killed() {
        let command = ["/bin/sleep".to_owned(), "1000".to_owned()];
        let (disk, answers) = channel();
        let (late_in, late) = channel();
        let start = launch(&command).prepare().unwrap();
        let hangs = move || {
            let _ = answers.recv();
            let attempt = start()?;
            let _ = late_in.send(attempt.group);
            Ok(attempt)
        };
        let (mut starter, limit) = (Starter::default(), Duration::from_millis(50));
        assert_eq!(starter.start_by(hangs, limit).await.unwrap_err(), FailureKind::TimedOut(limit));
        let again = starter.start(launch(&command), LIMIT).await;
        assert_eq!(again.unwrap_err(), FailureKind::Unkillable, "never two of them");
        disk.send(()).unwrap();
        let group = late.recv_timeout(LIMIT).unwrap();
        timeout(LIMIT, until_gone(group)).await.expect("it is killed");
        let mut next = starter.start(launch(&command), LIMIT).await.unwrap();
        assert_eq!(next.kill().await, Life::Over);
    }

    #[tokio::test]
    async fn after_a_start_that_was_cancelled_the_next_one_waits_a_moment_for_its_end() {
        let command = ["/bin/true".to_owned()];
        let mut starter = Starter::default();
        let start = launch(&command).prepare().unwrap();
        let slow = move || {
            std::thread::park_timeout(Duration::from_millis(100));
            start()
        };
        let _cancelled = timeout(Duration::from_millis(1), starter.start_by(slow, LIMIT)).await.unwrap_err();
        assert!(starter.errand.is_some());
        let mut next = starter.start(launch(&command), LIMIT).await.unwrap();
        assert_eq!(next.outcome(LIMIT).await, ProgramOutcome::Passed);
    }
    #[tokio::test]
    async fn what_a_start_that_was_called_off_brought_to_life_has_ended() {
        let command = ["/bin/sleep".to_owned(), "1000".to_owned()];
        let (born_in, born) = channel();
        let start = launch(&command).prepare().unwrap();
        let slow = move || {
            let attempt = start()?;
            let _ = born_in.send(attempt.group);
            std::thread::park_timeout(Duration::from_millis(100));
            Ok(attempt)
        };
        let mut starter = Starter::default();
        let _cancelled = timeout(Duration::from_millis(1), starter.start_by(slow, LIMIT)).await.unwrap_err();
        starter.call_off().await;
        assert!(killpg(born.recv_timeout(LIMIT).unwrap(), None).is_err());
        starter.call_off().await;
    }
}
