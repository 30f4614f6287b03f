//! Kernel parameters of an interface that the agent needs.

use crate::types::InterfaceName;
use std::io;
use std::path::PathBuf;

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
    let path = PathBuf::from("/proc/sys/net/ipv4/conf").join(interface.as_str()).join("promote_secondaries");
    let value = match promotion {
        Promotion::On => "1",
        Promotion::Off => "0",
    };
    if std::fs::read_to_string(&path)?.trim() == value {
        return Ok(Setting::Unchanged);
    }
    std::fs::write(path, value)?;
    Ok(Setting::Changed)
}
