//! The end of the agent, in its order: routers hand over, checks end, addresses are released, the
//! last hooks run, and the last demotions are written to the disk. Each step has a limit of time,
//! because a service manager waits for their sum.

use super::dispatcher::{Dispatcher, KeeperHandle};
use super::error::{PROTOCOL, RELOADER, RunError};
use super::notices::log_notice;
use super::run::{Inbox, RunningAgent};
use super::signals::Signals;
use crate::config::Config;
use crate::kernel::keeper::{CommandRefused, DrainsAtStop, KeeperCommand, KeeperEvent};
use crate::protocol::Input;
use crate::runtime::channel::ChannelHandle;
use crate::runtime::hooks::{self, Hooks};
use crate::runtime::notify::Notifier;
use crate::runtime::process::KILL_LIMIT;
use crate::runtime::protocol_thread::mailbox::Sender;
use crate::runtime::reload::Reloaded;
use crate::telemetry::printer;
use std::io;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The limit for hand-overs. It is longer than any hand-over of a stop (3 s).
const HANDOVER_LIMIT: Duration = Duration::from_secs(5);
/// The limit for telling the other nodes that this one stops.
const FAREWELL_LIMIT: Duration = Duration::from_millis(200);
/// The limit for the address thread. A netlink batch of thousands of addresses takes a second at
/// most.
const KEEPER_LIMIT: Duration = Duration::from_secs(10);
/// The limit for all hooks of the end together.
const HOOKS_LIMIT: Duration = Duration::from_secs(10);
/// The limit for the writer of demotions. It is longer than the writer waits for the disk.
const WRITER_LIMIT: Duration = Duration::from_secs(3);

/// What only the end of the agent needs.
#[derive(Debug)]
pub(super) struct StopParts {
    pub(super) mail: Sender,
    pub(super) channel: ChannelHandle,
    pub(super) notifier: Notifier,
    /// Ends the task of the configuration.
    pub(super) end_reloads: oneshot::Sender<()>,
    /// Fires when every router has handed over.
    pub(super) stopped: oneshot::Receiver<()>,
    /// Asks the writer of demotions to save what it has, and to end.
    pub(super) finish_writer: oneshot::Sender<()>,
    pub(super) writer: JoinHandle<()>,
    pub(super) serving: JoinHandle<io::Result<()>>,
    /// The endpoint for monitoring.
    pub(super) monitoring: JoinHandle<()>,
}

/// Ends the agent, whatever the reason for its end is (`outcome`). If the protocol thread has died,
/// `replace_protocol` starts another one in its place, which hands over what the dead one held.
pub(super) async fn stop<K: KeeperHandle>(
    agent: RunningAgent<K>,
    outcome: &Result<(), RunError>,
    signals: &mut impl Signals,
    replace_protocol: impl AsyncFnOnce(&Config, &K),
) {
    let RunningAgent { mut inbox, tasks, dispatcher, keeper, stop } = agent;
    let StopParts {
        mail,
        channel,
        notifier,
        end_reloads,
        stopped,
        finish_writer,
        writer,
        serving,
        monitoring,
    } = stop;
    notifier.stopping(limit());
    let _ = end_reloads.send(());
    // Whatever ended the agent: as long as the protocol thread lives, another router can take over
    // before the addresses are released.
    if mail.send(Input::Shutdown).is_ok() {
        hand_over(&mut inbox, &dispatcher, stopped, signals).await;
    }
    // After the hand-over, so that the others know to the end which node is Active.
    let _ = timeout(FAREWELL_LIMIT, channel.farewell()).await;
    // From now on no thread answers requests. Every client that waits for an answer, and every
    // client that asks from now on (a hook that runs vrrpctl), is told so at once.
    let Inbox { mut events, mut notices, requests, .. } = inbox;
    drop(requests);
    let reloaded = match outcome {
        Err(RunError::Died { thread: RELOADER, .. }) => None,
        Ok(()) | Err(_) => tasks.reloader.await.ok(),
    };
    let mut hooks = None;
    if let Some(Reloaded { running, checks, hooks: workers }) = reloaded {
        checks.shutdown().await;
        hooks = Some(workers);
        if let Err(RunError::Died { thread: PROTOCOL, .. }) = outcome {
            // The peers have not been told yet: another router can take over first, as after a
            // SIGKILL.
            replace_protocol(&running, &keeper).await;
        }
    }
    release_addresses(keeper, &mut notices).await;
    if let Some(hooks) = &mut hooks {
        finish_hooks(hooks, signals).await;
    }
    while let Ok(event) = events.try_recv() {
        dispatcher.on_event(event);
    }
    let _ = finish_writer.send(());
    if timeout(WRITER_LIMIT, writer).await.is_err() {
        tracing::error!(limit = ?WRITER_LIMIT, "the last demotions may not be saved");
    }
    serving.abort();
    monitoring.abort();
    tracing::info!("stopped");
}

/// Returns the sum of the limits of all steps.
const fn limit() -> Duration {
    let hooks = HOOKS_LIMIT.saturating_add(hooks::KILLING);
    let handover = HANDOVER_LIMIT.saturating_add(KILL_LIMIT).saturating_add(KEEPER_LIMIT);
    handover.saturating_add(hooks).saturating_add(WRITER_LIMIT).saturating_add(printer::PATIENCE)
}

/// Waits until every router has handed over. Events are logged and requests answered meanwhile;
/// another signal ends it.
async fn hand_over(
    inbox: &mut Inbox,
    dispatcher: &Dispatcher,
    stopped: oneshot::Receiver<()>,
    signals: &mut impl Signals,
) {
    let handed_over = timeout(HANDOVER_LIMIT, stopped);
    tokio::pin!(handed_over);
    loop {
        tokio::select! {
            _ = &mut handed_over => return,
            Some(event) = inbox.events.recv() => dispatcher.on_event(event),
            Some(notice) = inbox.notices.recv() => log_notice(&notice),
            Some(request) = inbox.requests.recv() => dispatcher.on_request(request),
            signal = signals.next_end() => {
                tracing::warn!(signal, "stopping at once: perhaps no other router has taken over yet");
                return;
            }
        }
    }
}

/// Makes the address thread remove every address, whatever the reason for the agent's end is. What
/// drains stays: the next run goes on.
async fn release_addresses(keeper: impl KeeperHandle, notices: &mut mpsc::Receiver<KeeperEvent>) {
    let stopped = async {
        tell_to_stop(DrainsAtStop::Keep, |command| keeper.send(command)).await?;
        while let Some(notice) = notices.recv().await {
            log_notice(&notice);
            if matches!(notice, KeeperEvent::Stopped { .. }) {
                break;
            }
        }
        Ok(())
    };
    match timeout(KEEPER_LIMIT, stopped).await {
        Ok(Ok(())) => {}
        Ok(Err(KeeperEnded)) => {
            tracing::error!("{KeeperEnded}: addresses may be left behind (vrrpd --clean-up removes them)")
        }
        Err(_) => {
            tracing::error!(limit = ?KEEPER_LIMIT, "the kernel does not answer: addresses may be left behind (vrrpd --clean-up removes them)");
            // If the keeper were dropped, this thread would wait for the keeper's thread, which
            // waits for the kernel.
            std::mem::forget(keeper);
        }
    }
}

/// The address thread does not accept commands any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address thread has ended")]
pub(super) struct KeeperEnded;

/// Makes the address thread remove everything and end. An address thread whose queue is full is
/// alive, and waits for the kernel: the caller sets the limit.
pub(super) async fn tell_to_stop(
    drains: DrainsAtStop,
    send: impl Fn(KeeperCommand) -> Result<(), CommandRefused>,
) -> Result<(), KeeperEnded> {
    loop {
        match send(KeeperCommand::Stop(drains)) {
            Ok(()) => return Ok(()),
            Err(CommandRefused::Ended(_)) => return Err(KeeperEnded),
            Err(CommandRefused::Full(_)) => sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Runs the last hooks, which are those of routers that have released their addresses. Another
/// signal skips them.
async fn finish_hooks(hooks: &mut Hooks, signals: &mut impl Signals) {
    let skipped = tokio::select! {
        () = hooks.finish(HOOKS_LIMIT) => None,
        signal = signals.next_end() => Some(signal),
    };
    if let Some(signal) = skipped {
        tracing::warn!(signal, "stopping at once: hooks that have not ended are skipped");
        hooks.abandon().await;
    }
}

#[cfg(test)]
#[path = "stop_tests.rs"]
mod tests;
