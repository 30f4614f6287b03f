//! The order of the end: what was told is done, addresses go, the last hooks run, the disk has it.

use super::hooks::Hooks;
use super::notices::on_notice;
use super::signals::Signals;
use crate::kernel::keeper::{AddressKeeper, Command, KeeperEvent};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A netlink batch of thousands of addresses takes a second at most.
pub(super) const KEEPER_LIMIT: Duration = Duration::from_secs(10);
/// For all hooks of the end together.
pub(super) const HOOKS_LIMIT: Duration = Duration::from_secs(10);

/// Nothing is left behind, whatever brought us here.
pub(super) async fn release_addresses(keeper: Arc<AddressKeeper>, notices: &mut mpsc::Receiver<KeeperEvent>) {
    if keeper.send(Command::Stop).is_err() {
        tracing::error!("the address keeper has ended: addresses may be left behind");
        return;
    }
    let stopped = async {
        while let Some(notice) = notices.recv().await {
            on_notice(&notice);
            if matches!(notice, KeeperEvent::Stopped { .. }) {
                return;
            }
        }
    };
    if timeout(KEEPER_LIMIT, stopped).await.is_err() {
        tracing::error!(limit = ?KEEPER_LIMIT, "the kernel does not answer: addresses may be left behind");
        // Dropped, it would wait for its thread, which waits for the kernel.
        std::mem::forget(keeper);
    }
}

/// The last hooks, of routers that have let go. Another signal leaves them out.
pub(super) async fn finish_hooks(hooks: &mut Hooks, signals: &mut Signals) {
    let skipped = tokio::select! {
        () = hooks.finish(HOOKS_LIMIT) => None,
        signal = signals.next_end() => Some(signal),
    };
    if let Some(signal) = skipped {
        tracing::warn!(signal, "stopping at once: hooks are left out");
        hooks.abandon().await;
    }
}
