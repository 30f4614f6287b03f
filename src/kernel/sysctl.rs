//! Kernel parameters of an interface that the agent needs.

use crate::types::InterfaceName;
use std::io;
use std::path::PathBuf;

/// Makes the kernel promote a secondary address when its primary goes, instead of removing it too.
///
/// Without it, removing a virtual address that happens to be the first of its subnet would take the
/// host's own address along, and a DHCP client that renews the host's address would take ours. It
/// is systemd's default for every interface. It is left set: the interface is then as such hosts
/// have it, and undoing it after a crash would be guesswork.
///
/// # Errors
/// Whatever writing the file says, for instance that `/proc/sys` is read-only in a container.
pub fn promote_secondaries(interface: InterfaceName) -> io::Result<()> {
    let path = PathBuf::from("/proc/sys/net/ipv4/conf").join(interface.as_str()).join("promote_secondaries");
    if std::fs::read_to_string(&path)?.trim() == "1" {
        return Ok(());
    }
    std::fs::write(path, "1")
}
