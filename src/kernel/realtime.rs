//! Asks the kernel to run a thread without delay, and to keep its memory from being paged out.
//!
//! This module owns the attempts and their order. The result of each is for the log and never an
//! error: a daemon without real-time scheduling still works, only later. At 10 ms intervals a
//! priority step is worth 39 µs of Skew_Time (RFC 9568 §6.1), while an ordinary thread on a busy
//! machine wakes 3.6 ms late in one case of a hundred; with either policy here it is 0.2 ms.

use super::sys;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use std::fmt;
use std::io;

/// The real-time priority, 1 to 99. It is low, so that kernel threads and programs that an operator
/// placed above are not disturbed.
const FIFO_PRIORITY: libc::c_int = 10;

/// The best nice value.
const BEST_NICE: libc::c_int = -20;

/// How the calling thread is scheduled now.
#[derive(Debug)]
pub enum Scheduling {
    /// SCHED_FIFO, with a real-time priority.
    Fifo {
        /// Priority from 1 to 99.
        priority: i32,
    },
    /// An ordinary thread with a nice value.
    Nice {
        /// Nice value from -20 to 19.
        nice: i32,
        /// Why the kernel refused SCHED_FIFO.
        fifo: io::Error,
    },
    /// The thread is scheduled as before.
    Unchanged {
        /// Why the kernel refused SCHED_FIFO.
        fifo: io::Error,
        /// Why the kernel refused the nice value.
        nice: io::Error,
    },
}

/// Whether the process's memory is locked.
#[derive(Debug)]
pub enum MemoryLock {
    /// The memory is locked: nothing will be paged out.
    Locked,
    /// The kernel refused to lock the memory.
    Refused(io::Error),
}

/// Gives the calling thread SCHED_FIFO, or else the best nice value.
///
/// Children (health checks) start as ordinary processes in both cases: SCHED_RESET_ON_FORK.
pub fn raise_thread() -> Scheduling {
    let fifo = match sys::set_scheduler(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, FIFO_PRIORITY) {
        Ok(()) => return Scheduling::Fifo { priority: FIFO_PRIORITY },
        Err(error) => error,
    };
    let outcome = sys::set_nice(BEST_NICE)
        .and_then(|()| sys::set_scheduler(libc::SCHED_OTHER | libc::SCHED_RESET_ON_FORK, 0));
    match outcome {
        Ok(()) => Scheduling::Nice { nice: BEST_NICE, fifo },
        Err(nice) => Scheduling::Unchanged { fifo, nice },
    }
}

/// Locks all memory of the process, present and future, so that no page fault delays the protocol.
///
/// The cost: every mapping becomes resident, including thread stacks (2 MiB each unless they are
/// made smaller), so this is called only if real-time scheduling was asked for. It needs
/// CAP_IPC_LOCK or `LimitMEMLOCK=infinity`. With a finite limit and without the capability, this
/// function refuses, even if the kernel might agree now: a later allocation would then fail and end
/// the daemon.
pub fn lock_memory() -> MemoryLock {
    match lock_unless_limited() {
        Ok(()) => MemoryLock::Locked,
        Err(error) => MemoryLock::Refused(error.into()),
    }
}

/// With a limit of 0 the kernel locks memory only because of the capability, which is not subject
/// to any limit.
fn lock_unless_limited() -> nix::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    if soft == RLIM_INFINITY {
        return mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE);
    }
    setrlimit(Resource::RLIMIT_MEMLOCK, 0, hard)?;
    let outcome = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE);
    setrlimit(Resource::RLIMIT_MEMLOCK, soft, hard)?;
    outcome
}

impl fmt::Display for Scheduling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fifo { priority } => write!(f, "SCHED_FIFO, priority {priority}"),
            Self::Nice { nice, fifo } => write!(
                f,
                "nice {nice}, because SCHED_FIFO was refused ({fifo}; grant CAP_SYS_NICE or LimitRTPRIO={FIFO_PRIORITY})"
            ),
            Self::Unchanged { fifo, nice } => write!(
                f,
                "unchanged, because SCHED_FIFO ({fifo}) and nice {BEST_NICE} ({nice}) were refused; grant CAP_SYS_NICE"
            ),
        }
    }
}

impl fmt::Display for MemoryLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => f.write_str("locked"),
            Self::Refused(error) => {
                write!(f, "not locked ({error}; grant CAP_IPC_LOCK or LimitMEMLOCK=infinity)")
            }
        }
    }
}
