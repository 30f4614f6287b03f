//! Which of the capabilities that the agent needs this process has, and how the others are given
//! up.

use super::sys;
use nix::sys::signal::SigSet;
use std::fs;
use std::io;

/// The needed capabilities: name, bit (capabilities(7)), and purpose.
const NEEDED: [(&str, u32, &str); 2] = [
    ("CAP_NET_ADMIN", 12, "to add and remove addresses"),
    ("CAP_NET_RAW", 13, "to send and receive VRRP, gratuitous ARP and neighbor advertisements"),
];

/// CAP_KILL, CAP_SETGID and CAP_SETUID, for programs that run as other users.
const USERS: u64 = 1 << 5 | 1 << 6 | 1 << 7;
const SETPCAP: u64 = 1 << 8;
/// The capabilities that a daemon started as root keeps. Besides those in [`NEEDED`] and [`USERS`]
/// they are CAP_CHOWN (the control socket's group), CAP_DAC_OVERRIDE and CAP_FOWNER (a state
/// directory that belonged to the service user), CAP_IPC_LOCK and CAP_SYS_NICE (`realtime`).
const KEPT_BY_ROOT: u64 = 1 << 12 | 1 << 13 | USERS | 1 << 0 | 1 << 1 | 1 << 3 | 1 << 14 | 1 << 23;

/// Which capabilities a daemon started as root keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Powers {
    /// All, because a configured program runs as root.
    All,
    /// Those that the daemon needs.
    Needed,
}

/// A capability that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Name as in capabilities(7).
    pub name: &'static str,
    /// What the agent needs the capability for.
    pub purpose: &'static str,
}

/// The needed capabilities that are not effective.
///
/// # Errors
/// `/proc` cannot be read.
pub fn missing() -> io::Result<Vec<Missing>> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let effective =
        effective(&status).ok_or_else(|| io::Error::other("/proc/thread-self/status has no CapEff"))?;
    Ok(NEEDED
        .into_iter()
        .filter(|(_, bit, _)| effective & (1 << bit) == 0)
        .map(|(name, _, purpose)| Missing { name, purpose })
        .collect())
}

/// Programs that this thread, or a thread started by it, starts from now on do not inherit our
/// capabilities. A daemon of an ordinary user has them as ambient capabilities, which every check
/// and hook would otherwise have too. Programs that run as root still have the capabilities of
/// root.
///
/// # Errors
/// The kernel has no ambient capabilities (before Linux 4.3).
pub fn withhold_from_programs() -> io::Result<()> {
    sys::clear_ambient_capabilities()
}

/// Whether the process with this `/proc/PID/status` may change addresses.
pub(super) fn may_change_addresses(status: &str) -> bool {
    let [(_, bit, _), _] = NEEDED;
    effective(status).is_some_and(|effective| effective & (1 << bit) != 0)
}

/// Whether this process may start programs as other users, and end them.
#[must_use]
pub fn may_change_users() -> bool {
    let status = fs::read_to_string("/proc/thread-self/status").ok();
    status.and_then(|status| effective(&status)).is_some_and(|effective| effective & USERS == USERS)
}

/// Whether a user id exists here. In a user namespace, only the mapped ids exist.
#[must_use]
pub fn knows_user(uid: u32) -> bool {
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| is_mapped(&map, uid))
}

/// Prevents inherited open files from being passed on to programs, and unblocks inherited signals:
/// a daemon whose SIGTERM is blocked would never end. To be called before there is a second thread.
///
/// # Errors
/// The kernel refused.
pub fn shed_inheritance() -> io::Result<()> {
    SigSet::empty().thread_set_mask()?;
    sys::close_on_exec(3)
}

/// Gives up, for this process and all programs that it starts, every capability that it will not
/// need. This is for a daemon that was started as root by hand, and must be called before there is
/// a second thread. If the service manager has limited the capabilities already, the call changes
/// nothing; and a process that may not change the set has no more than the service manager gave it.
///
/// # Errors
/// The kernel refused.
pub fn shed_what_is_not_needed() -> io::Result<()> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let effective =
        effective(&status).ok_or_else(|| io::Error::other("/proc/thread-self/status has no CapEff"))?;
    if effective & SETPCAP == 0 {
        return Ok(());
    }
    for capability in (0..u64::BITS).filter(|bit| KEPT_BY_ROOT & (1 << bit) == 0) {
        match sys::drop_from_bounding_set(capability) {
            // The kernel does not have capabilities beyond this one.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => break,
            dropped => dropped?,
        }
    }
    sys::set_capabilities(effective & KEPT_BY_ROOT)
}

/// Gives up all capabilities of the calling thread, which must only write to files that are open
/// already.
///
/// # Errors
/// The kernel refused.
pub fn give_up_all() -> io::Result<()> {
    sys::set_capabilities(0)
}

/// Whether an id is in one of the ranges of a uid_map: first id inside, first id outside, count.
pub(super) fn is_mapped(map: &str, uid: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        matches!(numbers[..], [inside, _, count] if (inside..inside + count).contains(&uid.into()))
    })
}

fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_set_is_read_from_proc() {
        assert_eq!(effective("Name:\tx\nCapEff:\t0000000000003000\n"), Some(0x3000));
        assert_eq!(effective("Name:\tx\n"), None);
        for (set, may) in [("3000", true), ("1000", true), ("2000", false), ("0", false)] {
            assert_eq!(may_change_addresses(&format!("CapEff:\t{set}\n")), may, "{set}");
        }
    }

    #[test]
    fn the_users_of_a_namespace_are_those_that_were_mapped() {
        assert!(is_mapped("         0          0 4294967295\n", 998));
        let rootless = "         0       1000          1\n         1     100000      65536\n";
        assert_eq!([0, 1, 65_536, 65_537].map(|uid| is_mapped(rootless, uid)), [true, true, true, false]);
        assert!(!is_mapped("", 0));
    }

    /// A set of capabilities of this thread.
    fn set(name: &str) -> u64 {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
    }

    #[test]
    fn what_is_not_needed_is_given_up_for_good() {
        // Each thread has its own sets, so the test thread keeps its capabilities.
        let given_up = std::thread::spawn(|| {
            let before = set("CapEff");
            shed_what_is_not_needed().unwrap();
            (before, ["CapEff", "CapPrm", "CapBnd"].map(set), set("CapInh"))
        });
        let (before, after, inheritable) = given_up.join().unwrap();
        if before & SETPCAP == 0 {
            assert_eq!(
                after[0], before,
                "whoever may not change the set keeps what the service manager gave"
            );
        } else {
            let kept = before & KEPT_BY_ROOT;
            assert_eq!((after[0], after[1], after[2] & !KEPT_BY_ROOT, inheritable), (kept, kept, 0, 0));
        }
    }

    #[test]
    fn open_files_and_blocked_signals_are_not_passed_on() {
        use nix::fcntl::{FcntlArg, FdFlag, fcntl};
        use nix::sys::signal::Signal;
        let (file, blocked) = std::thread::spawn(|| {
            let file = fs::File::open("/dev/null").unwrap();
            fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
            SigSet::from_iter([Signal::SIGTERM]).thread_block().unwrap();
            shed_inheritance().unwrap();
            (file, SigSet::thread_get_mask().unwrap())
        })
        .join()
        .unwrap();
        let flags = FdFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFD).unwrap());
        assert!(flags.contains(FdFlag::FD_CLOEXEC));
        assert_eq!(blocked, SigSet::empty());
    }
}
