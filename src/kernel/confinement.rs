//! Restricts the programs that the agent starts to less than the agent may do.
//!
//! This module owns the steps between fork and exec: another user with that user's groups, no new
//! privileges, and no signals to the daemon. It must not know why the program runs.

use super::sys::{self, InChild};
use std::fs;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::OnceLock;

/// The user that a program runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Numeric user id.
    pub uid: u32,
    /// Numeric id of the user's primary group.
    pub gid: u32,
    /// All groups that the user is a member of.
    pub groups: &'a [u32],
}

/// What a program may not do although its user may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confinement {
    /// The program may do what its user may, and may start others that gain privileges (sudo).
    None,
    /// The program only has to give an answer (a check). It cannot gain privileges through what it
    /// starts. If it runs as the daemon's user, it can signal only the processes that it started
    /// itself (Linux 6.12, landlock(7)): otherwise that user could signal the daemon's processes.
    AnswerOnly,
}

/// Octets of our own memory (about 1,500 routers) up to which a fork takes a few milliseconds on a
/// busy machine. With more, a fork could block the protocol thread's memory accesses for as long as
/// an interval.
const CHEAP_TO_FORK: u64 = 16 << 20;

/// Makes a command start its program with the restrictions. Without an identity the program runs as
/// the daemon's user.
pub fn confine(command: &mut Command, identity: Option<Identity<'_>>, confinement: Confinement) {
    let us = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    // A process may change to its own user without privileges, but may not set its groups.
    let identity = identity.filter(|identity| (identity.uid, identity.gid) != us);
    let signals = match confinement {
        Confinement::AnswerOnly if identity.is_none() && us.0 != 0 => no_signals_to_others(),
        Confinement::AnswerOnly | Confinement::None => None,
    };
    // Restrictions cost a fork, which copies the page tables of our memory, so a program that needs
    // none is started without one. A large daemon leaves out the restrictions too: its checks may
    // gain privileges, unless the service manager forbids it (docs/security.md).
    if identity.is_none() && (confinement == Confinement::None || own_memory() > CHEAP_TO_FORK) {
        return;
    }
    let identity = identity.map(|Identity { uid, gid, groups }| (uid, gid, groups.to_vec()));
    sys::before_exec(command, InChild { identity, confinement, signals });
}

/// Octets of memory that do not belong to a file: a fork copies the page tables for them.
fn own_memory() -> u64 {
    anonymous(&fs::read_to_string("/proc/self/status").unwrap_or_default())
}

/// The number of octets in the line `RssAnon`, which counts in KiB whatever the size of a page.
fn anonymous(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.map_or(0, |kib: u64| kib << 10)
}

/// Rules that forbid signals to processes outside of them; `None` if the kernel does not support
/// such rules.
fn no_signals_to_others() -> Option<&'static OwnedFd> {
    static RULES: OnceLock<Option<OwnedFd>> = OnceLock::new();
    RULES.get_or_init(|| sys::signal_scope().ok()).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::geteuid;

    /// The exit code of a script that runs with these restrictions.
    fn exit(steps: InChild, script: &str) -> i32 {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        sys::before_exec(&mut command, steps);
        command.status().unwrap().code().unwrap()
    }

    fn answering(signals: Option<&'static OwnedFd>) -> InChild {
        InChild { identity: None, confinement: Confinement::AnswerOnly, signals }
    }

    #[test]
    fn what_is_to_answer_gains_no_privileges() {
        assert_eq!(exit(answering(None), "grep -q '^NoNewPrivs:.*1$' /proc/self/status"), 0);
    }

    #[test]
    fn what_is_to_answer_signals_only_what_it_started() {
        const DAEMON: &str = "kill -0 $PPID 2>/dev/null";
        const OWN: &str = "sleep 1000 & kill $!";
        assert_eq!(exit(answering(None), DAEMON), 0, "otherwise this shows nothing");
        match sys::signal_scope() {
            Ok(_) => {
                assert_ne!(exit(answering(no_signals_to_others()), DAEMON), 0);
                assert_eq!(exit(answering(no_signals_to_others()), OWN), 0);
            }
            // An older kernel supports neither the rule nor perhaps landlock at all.
            Err(error) => {
                let known = [libc::E2BIG, libc::ENOSYS, libc::EOPNOTSUPP, libc::EPERM];
                assert!(known.contains(&error.raw_os_error().unwrap()), "{error}");
            }
        }
    }

    #[test]
    fn another_user_comes_with_his_groups() {
        let identity = Some((65_534, 65_534, vec![65_534, 4]));
        let steps = InChild { identity, confinement: Confinement::None, signals: None };
        if crate::kernel::capabilities::knows_user(65_534) && geteuid().is_root() {
            let script = "[ \"$(id -u) $(id -g) $(id -G)\" = '65534 65534 65534 4' ]";
            assert_eq!(exit(steps, script), 0);
        } else {
            let mut command = Command::new("/bin/true");
            sys::before_exec(&mut command, steps);
            assert!(command.status().is_err());
        }
    }

    #[test]
    fn memory_is_read_in_octets() {
        assert_eq!(anonymous("VmRSS:\t   9000 kB\nRssAnon:\t    1404 kB\nRssFile:\t 7596 kB\n"), 1404 << 10);
        assert_eq!(anonymous(""), 0);
    }

    #[test]
    fn our_memory_is_known() {
        let (before, more) = (own_memory(), vec![1_u8; 64 << 20]);
        assert!(before > 0);
        assert!(own_memory() >= before + (60 << 20), "{} octets", more.len());
    }

    #[test]
    fn to_run_as_oneself_needs_no_privilege() {
        let (uid, gid) = (geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let mut command = Command::new("/bin/true");
        confine(&mut command, Some(Identity { uid, gid, groups: &[] }), Confinement::AnswerOnly);
        assert!(command.status().unwrap().success());
    }
}
