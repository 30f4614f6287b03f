//! What the operator's signals ask for.

use super::supervisor::{RunError, system};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT end the agent, SIGHUP reloads it.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// A signal, in the operator's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// End: by this signal.
    End(&'static str),
    /// Read the configuration anew.
    Reload,
}

impl Signals {
    pub(super) fn open() -> Result<Self, RunError> {
        let watch = |kind| signal(kind).map_err(system("watch signals"));
        Ok(Self {
            terminate: watch(SignalKind::terminate())?,
            interrupt: watch(SignalKind::interrupt())?,
            hang_up: watch(SignalKind::hangup())?,
        })
    }

    /// The next one. Signals of one kind that come at once are one.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End("SIGTERM"),
            _ = self.interrupt.recv() => Asked::End("SIGINT"),
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }

    /// The next one that ends the agent.
    pub(super) async fn next_end(&mut self) -> &'static str {
        loop {
            match self.next().await {
                Asked::End(signal) => return signal,
                Asked::Reload => tracing::warn!("SIGHUP: the agent ends, and reloads nothing"),
            }
        }
    }
}
