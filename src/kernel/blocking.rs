//! Work that may hang, with a limit: a disk, a name service. The work is done on a thread of its
//! own, which is left behind if it hangs: [`run_within`] is for the time before the event loop runs
//! and for `--clean-up`, which does not have one; [`spawn`] is for tasks.
//!
//! The threads are not those of tokio: if no more threads can be started, `spawn_blocking` panics.
//! Here that is an error.

use std::io;
use std::pin::Pin;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// Octets of stack, the same number as in the standard library.
const STACK: usize = 2 << 20;

/// The result of work on another thread: an error if no more threads can be started, or if the work
/// panicked.
pub type BlockingTask<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Does `work` on a thread of its own, and leaves the thread behind if it has not ended within
/// `limit`.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`], or an error if no more threads can be started.
pub fn run_within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (done_in, done) = sync_channel(1);
    // If the work ends too late, the receiver is gone, and the result is dropped.
    start(STACK, move || drop(done_in.send(work())))?;
    done.recv_timeout(limit).map_err(|error| match error {
        RecvTimeoutError::Timeout => {
            io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}"))
        }
        RecvTimeoutError::Disconnected => panicked(),
    })
}

/// Does `work` on a thread of its own. The work begins at once, and continues if its result is not
/// awaited any more; the result is dropped then.
pub fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> BlockingTask<T> {
    spawn_with_stack(STACK, work)
}

/// Does what [`spawn`] does, with this much stack.
pub fn spawn_with_stack<T: Send + 'static>(
    stack: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> BlockingTask<T> {
    let (done_in, done) = oneshot::channel();
    let started = start(stack, move || drop(done_in.send(work())));
    Box::pin(async move {
        started?;
        done.await.map_err(|_| panicked())
    })
}

fn start(stack: usize, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = thread::Builder::new().name("vrrpd-slow".to_owned()).stack_size(stack);
    let refused = |error: io::Error| {
        io::Error::new(
            error.kind(),
            format!("cannot start a thread: {error} (TasksMax= of the service may be too low)"),
        )
    };
    builder.spawn(work).map(drop).map_err(refused)
}

fn panicked() -> io::Error {
    io::Error::other("this is a bug, please report it: it panicked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_in_time_is_answered_and_what_hangs_is_left_behind() {
        assert_eq!(run_within(Duration::from_secs(10), || 7).unwrap(), 7);
        let (_held, hangs) = std::sync::mpsc::channel::<()>();
        let error = run_within(Duration::from_millis(10), move || hangs.recv()).unwrap_err();
        assert_eq!(error.to_string(), "no answer within 10ms");
    }

    #[tokio::test]
    async fn an_errand_is_done_whether_or_not_somebody_waits_and_a_panic_is_an_error() {
        assert_eq!(spawn(|| 7).await.unwrap(), 7);
        let (done_in, done) = oneshot::channel();
        drop(spawn(move || done_in.send(8)));
        assert_eq!(done.await.unwrap(), 8);
        let error = spawn(|| assert!(std::env::args().next().is_none(), "on purpose")).await.unwrap_err();
        assert!(error.to_string().contains("it panicked"), "{error}");
    }

    #[tokio::test]
    async fn where_there_can_be_no_more_threads_that_is_an_error() {
        let error = spawn_with_stack(usize::MAX / 4, || 7).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot start a thread: "), "{error}");
    }
}
