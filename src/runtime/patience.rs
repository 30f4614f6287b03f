//! What may hang, with an end: a disk, a name service. For the time before the event loop runs and for `--clean-up`,
//! which has none.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// Does `work` on a thread of its own, and leaves that behind if it has not ended within `limit`.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`], or there can be no more threads.
pub fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (done_in, done) = sync_channel(1);
    // Whoever is late is told that nobody waits, and what it got is dropped.
    let work = move || drop(done_in.send(work()));
    thread::Builder::new().name("vrrpd-slow".to_owned()).spawn(work)?;
    done.recv_timeout(limit).map_err(|error| match error {
        RecvTimeoutError::Timeout => {
            io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}"))
        }
        RecvTimeoutError::Disconnected => io::Error::other("this is a bug, please report it: it panicked"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_in_time_is_answered_and_what_hangs_is_left_behind() {
        assert_eq!(within(Duration::from_secs(10), || 7).unwrap(), 7);
        let (_held, hangs) = std::sync::mpsc::channel::<()>();
        let error = within(Duration::from_millis(10), move || hangs.recv()).unwrap_err();
        assert_eq!(error.to_string(), "no answer within 10ms");
    }
}
