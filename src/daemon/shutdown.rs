//! The order of the end: what was told is done, addresses go, the last hooks run, the disk has it.

use super::notices::on_notice;
use super::signals::Signals;
use crate::kernel::keeper::{AddressKeeper, Command, KeeperEvent, Refused};
use crate::runtime::hooks::Hooks;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// A netlink batch of thousands of addresses takes a second at most.
pub(super) const KEEPER_LIMIT: Duration = Duration::from_secs(10);
/// For all hooks of the end together.
pub(super) const HOOKS_LIMIT: Duration = Duration::from_secs(10);

/// Nothing is left behind, whatever brought us here.
pub(super) async fn release_addresses(keeper: Arc<AddressKeeper>, notices: &mut mpsc::Receiver<KeeperEvent>) {
    let stopped = async {
        tell_to_stop(|command| keeper.send(command)).await?;
        while let Some(notice) = notices.recv().await {
            on_notice(&notice);
            if matches!(notice, KeeperEvent::Stopped { .. }) {
                break;
            }
        }
        Ok(())
    };
    match timeout(KEEPER_LIMIT, stopped).await {
        Ok(Ok(())) => {}
        Ok(Err(Ended)) => tracing::error!("{Ended}: addresses may be left behind"),
        Err(_) => {
            tracing::error!(limit = ?KEEPER_LIMIT, "the kernel does not answer: addresses may be left behind");
            // Dropped, it would wait for its thread, which waits for the kernel.
            std::mem::forget(keeper);
        }
    }
}

/// The thread of the addresses takes no more orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address keeper has ended")]
pub(super) struct Ended;

/// Has the keeper remove everything and end. One whose mailbox is full lives, and waits for the kernel: whoever asks
/// sets the limit.
pub(super) async fn tell_to_stop(send: impl Fn(Command) -> Result<(), Refused>) -> Result<(), Ended> {
    loop {
        match send(Command::Stop) {
            Ok(()) => return Ok(()),
            Err(Refused::Ended(_)) => return Err(Ended),
            Err(Refused::Full(_)) => sleep(Duration::from_millis(10)).await,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn a_full_mailbox_is_not_the_end_of_the_keeper() {
        let tries = Cell::new(0);
        let full_twice = |command| {
            tries.set(tries.get() + 1);
            if tries.get() > 2 { Ok(()) } else { Err(Refused::Full(command)) }
        };
        assert_eq!(tell_to_stop(full_twice).await, Ok(()));
        assert_eq!(tries.get(), 3);
        assert_eq!(tell_to_stop(|command| Err(Refused::Ended(command))).await, Err(Ended));
    }
}
