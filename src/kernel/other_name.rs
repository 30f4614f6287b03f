//! Alternative names of interfaces (`ip link property add altname`).

use crate::types::InterfaceName;
use nix::net::if_::{if_indextoname, if_nametoindex};

/// The interface of which `name` is another name. The kernel finds an interface by either, and tells the one.
#[must_use]
pub fn other_name(name: InterfaceName) -> Option<InterfaceName> {
    let index = if_nametoindex(name.as_str()).ok()?;
    let real = if_indextoname(index).ok()?.to_str().ok()?.parse().ok()?;
    (real != name).then_some(real)
}
