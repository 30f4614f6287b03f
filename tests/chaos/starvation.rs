//! How long the kernel let the daemons and the client wait for a processor. They are not
//! responsible for what they did not do in that time.
//!
//! The times are read from the scheduler's own account (`/proc/PID/task/TID/schedstat`: nanoseconds
//! on the processor, nanoseconds runnable and waiting, slices), so that a busy machine can be told
//! from a slow program.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long every thread had waited at some moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account(BTreeMap<PathBuf, Duration>);

impl Account {
    /// The account of the threads of these processes and of our own.
    pub(crate) fn now(processes: impl Iterator<Item = i32>) -> Self {
        let tasks = processes.map(|pid| PathBuf::from(format!("/proc/{pid}/task")));
        let threads = tasks.chain([PathBuf::from("/proc/self/task")]).flat_map(|tasks| {
            // A process or thread that has ended in the meantime does not count.
            fs::read_dir(tasks).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path())
        });
        Self(threads.filter_map(|thread| Some((thread.clone(), waited(&thread)?))).collect())
    }

    /// The longest total time that one thread waited since `earlier`; threads that started since
    /// then are included.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let more = |(thread, waited): (&PathBuf, &Duration)| {
            waited.saturating_sub(earlier.0.get(thread).copied().unwrap_or_default())
        };
        self.0.iter().map(more).max().unwrap_or_default()
    }
}

fn waited(thread: &Path) -> Option<Duration> {
    let text = fs::read_to_string(thread.join("schedstat")).ok()?;
    text.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::ms;

    #[test]
    fn the_thread_that_waited_longest_counts() {
        let account = |all: &[(&str, u64)]| {
            Account(all.iter().map(|(thread, waited)| (PathBuf::from(thread), ms(*waited))).collect())
        };
        let (before, after) = (account(&[("a", 5), ("b", 90)]), account(&[("a", 45), ("b", 100), ("c", 30)]));
        assert_eq!(after.since(&before), ms(40));
        assert_eq!(before.since(&before), ms(0));
    }

    #[test]
    fn the_kernel_keeps_this_account() {
        assert!(!Account::now(std::iter::empty()).0.is_empty());
    }
}
