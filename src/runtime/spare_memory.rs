//! When memory that is not needed any more is given back to the kernel.

use crate::kernel::memory;
use std::time::Duration;

/// After a start or a reload: routers that had to be elected are, and their addresses were
/// announced for the second time.
const SETTLED: Duration = Duration::from_secs(10);

/// Gives back what the start or a reload needed, when everything has settled. Does not wait.
pub(crate) fn give_back_soon() {
    tokio::spawn(async {
        tokio::time::sleep(SETTLED).await;
        memory::give_back();
    });
}
