//! Memory and processor time of a process and its children, from `/proc`.

use nix::unistd::{Pid, SysconfVar, sysconf};
use std::fs;
use std::time::Duration;

/// Memory in kibibytes, from `smaps_rollup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Memory {
    /// Resident memory, including what is shared with other processes (programs, libraries).
    pub(crate) resident: u64,
    /// `Private_Clean` + `Private_Dirty`: the memory that would be free without this process.
    pub(crate) private: u64,
}

/// The process and all its descendants.
pub(crate) fn family(pid: Pid) -> Vec<Pid> {
    let mut all = vec![pid];
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the tasks of a process");
    for task in tasks.flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        all.extend(children.flat_map(|child| family(Pid::from_raw(child))));
    }
    all
}

/// The memory of the whole family. Pages that parent and child share are not private, and count
/// twice as resident.
pub(crate) fn memory(pid: Pid) -> Memory {
    family(pid).into_iter().map(memory_of).fold(Memory::default(), |sum, one| Memory {
        resident: sum.resident + one.resident,
        private: sum.private + one.private,
    })
}

fn memory_of(pid: Pid) -> Memory {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("smaps_rollup");
    let field = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a field of smaps_rollup");
        line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
    };
    Memory { resident: field("Rss:"), private: field("Private_Clean:") + field("Private_Dirty:") }
}

/// User and system time of the whole family, from `/proc/PID/stat`, in steps of 10 ms.
pub(crate) fn processor_time(pid: Pid) -> Duration {
    let ticks: u64 = family(pid).into_iter().map(ticks_of).sum();
    let rate = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|rate| u64::try_from(rate).ok());
    Duration::from_millis(ticks * 1000 / rate.expect("the rate of ticks"))
}

/// `utime` + `stime`, fields 14 and 15; the name in field 2 may contain spaces and parentheses.
fn ticks_of(pid: Pid) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the statistics of a process");
    let (_, rest) = text.rsplit_once(')').expect("a name in parentheses");
    rest.split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().expect("a number of ticks"))
        .sum()
}
