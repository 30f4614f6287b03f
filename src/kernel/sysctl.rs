//! Kernel parameters of an interface that the agent needs.

use crate::types::InterfaceName;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the kernel does with the other IPv4 addresses of a network when the first of them is
/// removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promotion {
    /// The next one becomes the first (`promote_secondaries` = 1).
    On,
    /// They are removed, too.
    Off,
}

/// Whether setting the parameter changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The parameter had the value already, or another parameter has the same effect.
    Unchanged,
    /// The parameter had the opposite value before.
    Changed,
}

/// Sets whether the kernel promotes a secondary address when its primary is removed, instead of
/// removing it too.
///
/// Without this, removing a virtual address that happens to be the first of its subnet would remove
/// the host's own address as well, and a DHCP client that renews the host's address would remove
/// ours. systemd sets it for every interface by default.
///
/// # Errors
/// The error of writing the file, for instance that `/proc/sys` is read-only in a container.
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
        // The kernel promotes if either parameter is set, and `all` is the one that the operator of
        // a container can set.
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
