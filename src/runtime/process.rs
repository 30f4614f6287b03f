//! One run of a command, with limits for its time, its output, and the processes that it may leave
//! behind.
//!
//! The command is the leader of a process group of its own; whatever ends the run early ends the
//! whole group. A descendant that calls `setsid` escapes, and only the service manager's cgroup
//! contains it. What a command leaves running when it ends *by itself* is left alone, because it
//! may be a service that the command started. But its output is not read any more: a process that
//! is left and writes to a stream that was read (standard error, and standard output of a check as
//! well) ends by SIGPIPE, unless the command redirected its output.
//!
//! Health checks and hooks share this module. It must not know why a command runs.

use super::account::Account;
use crate::agent::{FailureKind, ProgramFailure, ProgramOutcome};
use crate::kernel::blocking::{BlockingTask, spawn_with_stack};
use crate::kernel::confinement::{Confinement, Identity, confine};
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

/// Time from SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_millis(500);
/// How long a killed process may take to end, before it is given up for the time being: a process
/// that hangs in the kernel (a dead NFS server) ends only when the kernel call returns.
const KILL_TAKES: Duration = Duration::from_secs(1);
/// The limit for ending a run, whether it has begun or is about to: [`Starter::call_off`] and
/// [`Attempt::kill`].
pub(crate) const KILL_LIMIT: Duration = CALLED_OFF.saturating_add(GRACE).saturating_add(KILL_TAKES);
/// How long to wait for the last output of a command that has ended. The output is in the pipe
/// already; only a descendant that keeps the pipe open makes this time pass.
const LAST_OUTPUT: Duration = Duration::from_millis(50);
/// How many octets of a line of output are kept.
const LINE_KEPT: usize = 200;
/// The `PATH` of every command. The daemon's own environment is not passed on, and may be empty.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whether standard output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputMode {
    /// Standard output is read, because a check writes its findings there.
    Read,
    /// Standard output is discarded.
    Discarded,
}

/// The command to run: program and arguments, without a shell; as the daemon's user or another;
/// with only `PATH` and `variables` in its environment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Launch<'a> {
    pub(super) command: &'a [String],
    pub(super) account: Option<&'a Account>,
    pub(super) confinement: Confinement,
    pub(super) variables: &'a [(&'a str, &'a str)],
    pub(super) output: OutputMode,
}

/// The result of a start, and a sender that is dropped when the start is over.
type StartResult = (Result<Attempt, FailureKind>, oneshot::Sender<Infallible>);

/// Starts the commands of one check, or of the hooks of one router. The thread that starts a
/// program waits until the kernel has read the program, without a limit if the disk does not
/// answer. So another thread starts it, and there are never two such threads.
#[derive(Default)]
pub(super) struct Starter {
    /// A start whose end was not awaited; when this is dropped, the process that it started is
    /// killed.
    pending_start: Option<BlockingTask<StartResult>>,
    /// This receiver is closed when the last start is over.
    under_way: Option<oneshot::Receiver<Infallible>>,
}

/// How long a cancelled start may take to be over.
const CALLED_OFF: Duration = Duration::from_millis(500);
/// The stack of that thread in octets. If memory is locked, all of them are used.
const STACK: usize = 256 << 10;

impl Starter {
    /// Starts a command within `limit`. A process that is started later is killed at once; until
    /// that is certain, no other command is started.
    pub(super) async fn start(
        &mut self,
        launch: Launch<'_>,
        limit: Duration,
    ) -> Result<Attempt, FailureKind> {
        let start = launch.prepare()?;
        self.start_by(start, limit).await
    }

    /// Ends a start that was cancelled: a process that it still starts is ended as any other, if it
    /// starts soon.
    pub(super) async fn call_off(&mut self) {
        let Some(pending_start) = self.pending_start.take() else { return };
        if let Ok(Ok((Ok(mut attempt), _))) = timeout(CALLED_OFF, pending_start).await {
            attempt.kill().await;
        }
    }

    async fn start_by(
        &mut self,
        start: impl FnOnce() -> Result<Attempt, FailureKind> + Send + 'static,
        limit: Duration,
    ) -> Result<Attempt, FailureKind> {
        // A cancelled start is over in a moment, and its process is killed.
        self.pending_start = None;
        if let Some(earlier) = &mut self.under_way
            && timeout(KILL_TAKES.min(limit), earlier).await.is_err()
        {
            return Err(FailureKind::Unkillable);
        }
        let (end, under_way) = oneshot::channel::<Infallible>();
        self.under_way = Some(under_way);
        let runtime = Handle::current();
        let pending_start = self.pending_start.insert(spawn_with_stack(STACK, move || {
            let _context = runtime.enter();
            // The start is over when its result was received, or was dropped, which kills the
            // process.
            (start(), end)
        }));
        let started = timeout(limit, pending_start).await;
        self.pending_start = None;
        let started = started.map_err(|_| FailureKind::TimedOut(limit))?;
        started.map_err(|error| FailureKind::CouldNotRun(error.to_string()))?.0
    }
}

/// A command that was started. When this is dropped, its process group is killed.
#[derive(Debug)]
pub(super) struct Attempt {
    child: Child,
    group: Pid,
    stderr: Listener<ChildStderr>,
    stdout: Listener<ChildStdout>,
    life: Life,
}

/// Whether the command may have processes that must be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// There may be such processes.
    Running,
    /// The command ended by itself, or all of its processes were killed.
    Over,
}

impl Launch<'_> {
    /// Returns the function that starts the command, which may wait for a disk. That function must
    /// be called on a tokio runtime with I/O.
    pub(super) fn prepare(
        self,
    ) -> Result<impl FnOnce() -> Result<Attempt, FailureKind> + Send + 'static, FailureKind> {
        let Self { command, account, confinement, variables, output } = self;
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
        confine(command.as_std_mut(), identity, confinement);
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
        reset_oom_score(leader);
        let stderr = Listener::new(child.stderr.take());
        let stdout = Listener::new(child.stdout.take());
        Ok(Self { child, group: Pid::from_raw(leader), stderr, stdout, life: Life::Running })
    }

    /// Waits for the end of the command, `limit` at most. After a time-out the group has been asked
    /// to end, and the caller must call [`Self::kill`] to make sure that it ends.
    pub(super) async fn outcome(&mut self, limit: Duration) -> ProgramOutcome {
        let Self { child, stderr, stdout, .. } = self;
        // The order matters: output that never ends must delay neither the end nor the limit.
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
            let _ = timeout(LAST_OUTPUT, async { tokio::join!(stderr.complete(), stdout.complete()) }).await;
        }
        let said = self.stderr.text().or_else(|| self.stdout.text());
        ProgramOutcome::Failed(ProgramFailure { kind, said })
    }

    /// Ends the whole group: SIGTERM, a short wait, SIGKILL. Takes 1.5 s at most. If the result is
    /// [`Life::Running`] then, the leader of the group hangs in the kernel. If the command has
    /// ended by itself, nothing is done.
    ///
    /// The group is signalled even after its leader is gone: any of its members may ignore SIGTERM.
    /// While one of them lives, no other group can have its number.
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

    /// Returns, after [`Self::kill`] gave up, whether the leader has ended in the meantime.
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
            // ESRCH: the group has ended by itself, which is equally good.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => {
                tracing::warn!(group = self.group.as_raw(), %signal, %error, "cannot signal a command")
            }
        }
    }
}

/// Makes a process as likely to be killed as others. The service manager protects the daemon from
/// the kernel's out-of-memory killer. What the daemon starts must not inherit that: a check that
/// uses too much memory would cause nginx to be killed. The kernel refuses this for another user's
/// process, which does no harm.
fn reset_oom_score(process: i32) {
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

/// The beginning of what a command writes on one stream, however much that is.
#[derive(Debug)]
struct Listener<T> {
    /// `None` if the stream has ended.
    pipe: Option<T>,
    octets: Vec<u8>,
    complete: bool,
}

impl<T: AsyncRead + Unpin> Listener<T> {
    const fn new(pipe: Option<T>) -> Self {
        Self { pipe, octets: Vec::new(), complete: false }
    }

    /// Reads without an end, so that the command never waits for a reader.
    async fn hear(&mut self) -> Infallible {
        while self.read().await {}
        std::future::pending().await
    }

    /// Reads until the line is complete, or the stream has ended.
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

    /// Returns the line without characters that are not fit for a log or a terminal.
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
        Launch {
            command,
            account: None,
            confinement: Confinement::AnswerOnly,
            variables: &[],
            output: OutputMode::Read,
        }
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
        assert!(starter.pending_start.is_some());
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
