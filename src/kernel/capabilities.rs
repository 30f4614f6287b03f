//! Which of the capabilities that the agent needs this process has, and that they stay with it.

use super::sys;
use std::fs;
use std::io;

/// What is needed, with its bit (capabilities(7)) and what for.
const NEEDED: [(&str, u32, &str); 2] = [
    ("CAP_NET_ADMIN", 12, "to add and remove addresses"),
    ("CAP_NET_RAW", 13, "to send and receive VRRP, gratuitous ARP and neighbor advertisements"),
];

/// A capability that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub name: &'static str,
    /// Why it is needed.
    pub purpose: &'static str,
}

/// The needed capabilities that are not effective.
///
/// # Errors
/// `/proc` cannot be read.
pub fn missing() -> io::Result<Vec<Missing>> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let effective = effective(&status).ok_or_else(|| io::Error::other("/proc tells no CapEff"))?;
    Ok(NEEDED
        .into_iter()
        .filter(|(_, bit, _)| effective & (1 << bit) == 0)
        .map(|(name, _, purpose)| Missing { name, purpose })
        .collect())
}

/// Programs that are started from now on, by this thread or by those that it starts, do not inherit our
/// capabilities. A daemon of an ordinary user has them as ambient ones, which every check and hook would have too.
/// Programs that run as root have what root may have, as ever.
///
/// # Errors
/// The kernel has no ambient capabilities (before Linux 4.3).
pub fn withhold_from_programs() -> io::Result<()> {
    sys::clear_ambient_capabilities()
}

/// Whether a process may change addresses, by its `/proc/PID/status`.
pub(super) fn may_change_addresses(status: &str) -> bool {
    let [(_, bit, _), _] = NEEDED;
    effective(status).is_some_and(|effective| effective & (1 << bit) != 0)
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
}
