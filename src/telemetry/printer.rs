//! Prints lines to a stream whose reader may have stopped: a journal that waits for its disk, a
//! container's log driver, a pipe that nobody empties (docs/adr/0020).
//!
//! Owns the queue of lines, whose writers never wait, and the thread that writes to the stream and
//! may wait without a limit. A line that finds no room is lost and counted, and the count is
//! written as soon as the reader reads again. Must not know the contents of a line.

use crate::kernel::capabilities;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;

/// How many octets may wait; the thread may be writing as many again. That is some 5,000 lines, ten
/// seconds of the worst case. If there is no room, the newest lines are lost, because the oldest
/// ones tell how the trouble began.
const ROOM: usize = 1024 * 1024;

/// How long the process waits at its end until the last lines are written.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Prints lines in their order, from any thread, and never waits. Clones share the stream.
#[derive(Debug, Clone)]
pub struct Printer(Arc<Shared>);

/// Whether everything that was printed has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Everything has been written, as far as the stream took it.
    Complete,
    /// The reader does not read the rest.
    GivenUp,
}

/// Builds the line that says how many lines were lost.
pub type Apology = Box<dyn Fn(u64) -> Vec<u8> + Send>;

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<PrintQueue>,
    /// Signals that the queue has text.
    filled: Condvar,
    /// Signals that everything has been written.
    idle: Condvar,
    /// How many lines were lost since the start.
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct PrintQueue {
    waiting: Vec<u8>,
    /// How many lines were lost since the thread last emptied the queue. All of them came after the
    /// lines that wait.
    lost: u64,
    pen: Pen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Pen {
    #[default]
    Idle,
    Writing,
}

impl Printer {
    /// Starts the thread `name`, which writes to `stream`.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(name: &str, stream: impl Write + Send + 'static, apology: Apology) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let ours = Arc::clone(&shared);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            // The thread lives as long as the process and only writes, so it needs no privilege.
            let _best_effort = capabilities::give_up_all();
            ours.write_to(stream, &apology);
        })?;
        Ok(Self(shared))
    }

    /// Prints whole lines: either all of them, or none if there is no room.
    pub fn print(&self, text: &[u8]) {
        let mut queue = self.0.lock();
        // Once lines were lost, a short line must not follow a long one that found no room, because
        // the count must stand where the gap is.
        if queue.lost > 0 || queue.waiting.len() + text.len() > ROOM {
            queue.lost += self.0.lose(text);
        } else {
            queue.waiting.extend_from_slice(text);
        }
        self.0.filled.notify_one();
    }

    /// Returns how many lines were lost since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything has been written, for `limit` at most.
    pub fn finish(&self, limit: Duration) -> Finish {
        let owes = |queue: &mut PrintQueue| queue.is_filled() || queue.pen == Pen::Writing;
        let waited = self.0.idle.wait_timeout_while(self.0.lock(), limit, owes);
        let (_queue, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        if outcome.timed_out() { Finish::GivenUp } else { Finish::Complete }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, PrintQueue> {
        // A panic of another thread cannot leave octets and numbers half written.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the lines of a text that is lost.
    fn lose(&self, text: &[u8]) -> u64 {
        let lines = u64::try_from(text.split_inclusive(|octet| *octet == b'\n').count()).unwrap_or(u64::MAX);
        self.lost.fetch_add(lines, Ordering::Relaxed);
        lines
    }

    /// Writes lines as they come; this is the body of the thread.
    fn write_to(&self, mut stream: impl Write, apology: &Apology) {
        let mut owed: u64 = 0;
        loop {
            let (text, lost) = self.take();
            // Each line is one write, so that lines of several processes on one pipe do not mix.
            for line in text.split_inclusive(|octet| *octet == b'\n') {
                if stream.write_all(line).is_err() {
                    owed += self.lose(line);
                }
            }
            owed += lost;
            if owed > 0 && stream.write_all(&apology(owed)).is_ok() {
                owed = 0;
            }
            let mut queue = self.lock();
            queue.pen = Pen::Idle;
            if !queue.is_filled() {
                self.idle.notify_all();
            }
        }
    }

    /// Waits for text and takes all of it, with the number of the lines that were lost after it.
    fn take(&self) -> (Vec<u8>, u64) {
        let empty = |queue: &mut PrintQueue| !queue.is_filled();
        let mut queue = self.filled.wait_while(self.lock(), empty).unwrap_or_else(PoisonError::into_inner);
        queue.pen = Pen::Writing;
        (std::mem::take(&mut queue.waiting), std::mem::take(&mut queue.lost))
    }
}

impl PrintQueue {
    fn is_filled(&self) -> bool {
        !self.waiting.is_empty() || self.lost > 0
    }
}

impl Write for &Printer {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.print(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Printer {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// A standard stream that is written to without the lock of the standard library, because another
/// thread that holds the lock may wait without a limit.
#[derive(Debug)]
pub struct Stream(File);

impl Stream {
    /// Opens a second handle of `stream`.
    ///
    /// # Errors
    /// If the process has too many file descriptors.
    pub fn of(stream: impl AsFd) -> io::Result<Self> {
        Ok(Self(stream.as_fd().try_clone_to_owned()?.into()))
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(octets) {
                // The process that started this one made the stream non-blocking, for a program
                // that shares it.
                Err(error) if error.kind() == ErrorKind::WouldBlock => wait_for_room(&self.0)?,
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn wait_for_room(stream: &File) -> io::Result<()> {
    match poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests;
