//! Kernel parameters of an interface that the agent needs.

use crate::types::InterfaceName;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the kernel does with the other IPv4 addresses of a network when the first of them goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promotion {
    /// The next one takes its place (`promote_secondaries` = 1).
    On,
    /// They go, too.
    Off,
}

/// What that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Nothing.
    Unchanged,
    /// It did the opposite before.
    Changed,
}

/// Tells the kernel whether to promote a secondary address when its primary goes, instead of removing it too.
///
/// Without it, removing a virtual address that happens to be the first of its subnet would take the host's own address
/// along, and a DHCP client that renews the host's address would take ours. It is systemd's default for every interface.
///
/// # Errors
/// Whatever writing the file says, for instance that `/proc/sys` is read-only in a container.
pub fn promote_secondaries(interface: InterfaceName, promotion: Promotion) -> io::Result<Setting> {
    let write = |path: PathBuf, value: &str| fs::write(path, value);
    set(Path::new("/proc/sys/net/ipv4/conf"), interface, promotion, write)
}

fn set(
    conf: &Path,
    interface: InterfaceName,
    promotion: Promotion,
    write: impl FnOnce(PathBuf, &str) -> io::Result<()>,
) -> io::Result<Setting> {
    let path = |whose: &str| conf.join(whose).join("promote_secondaries");
    let has = |whose: &str, value: &str| fs::read_to_string(path(whose)).map(|found| found.trim() == value);
    let value = match promotion {
        Promotion::On => "1",
        Promotion::Off => "0",
    };
    if has(interface.as_str(), value)? {
        return Ok(Setting::Unchanged);
    }
    match write(path(interface.as_str()), value) {
        Ok(()) => Ok(Setting::Changed),
        // The kernel promotes if either says so, and `all` is what the operator of a container can set.
        Err(_) if promotion == Promotion::On && has("all", value).unwrap_or(false) => Ok(Setting::Unchanged),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_set_on_the_interface_may_be_set_for_all() {
        for (all, own, writable, expected) in [
            ("0", "0", true, Some(Setting::Changed)),
            ("1", "0", true, Some(Setting::Changed)),
            ("0", "1", false, Some(Setting::Unchanged)),
            ("1", "0", false, Some(Setting::Unchanged)),
            ("0", "0", false, None),
        ] {
            let conf = tempfile::tempdir().unwrap();
            for (name, value) in [("all", all), ("eth0", own)] {
                fs::create_dir(conf.path().join(name)).unwrap();
                fs::write(conf.path().join(name).join("promote_secondaries"), format!("{value}\n")).unwrap();
            }
            let write = |path: PathBuf, value: &str| {
                assert_eq!((path, value), (conf.path().join("eth0/promote_secondaries"), "1"));
                if writable { Ok(()) } else { Err(io::ErrorKind::ReadOnlyFilesystem.into()) }
            };
            let found = set(conf.path(), "eth0".parse().unwrap(), Promotion::On, write).ok();
            assert_eq!(found, expected, "all={all} eth0={own} writable={writable}");
        }
    }
}
