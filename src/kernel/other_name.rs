//! Alternative names of interfaces (`ip link property add altname`).

use crate::types::InterfaceName;
use nix::net::if_::{if_indextoname, if_nametoindex};

/// The interface that has `name` as an alternative name. The kernel finds an interface by any of
/// its names, and reports its main name.
#[must_use]
pub fn other_name(name: InterfaceName) -> Option<InterfaceName> {
    let index = if_nametoindex(name.as_str()).ok()?;
    let real = if_indextoname(index).ok()?.to_str().ok()?.parse().ok()?;
    (real != name).then_some(real)
}
