//! The requests that the operator makes by signals.

use super::error::{RunError, system};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The request that a signal makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignalRequest {
    /// This signal asks the agent to end.
    End(&'static str),
    /// The signal asks for the configuration to be read again.
    Reload,
}

/// The source of signals: the process, or a script in tests.
pub(super) trait Signals {
    /// Waits for the next signal. Signals of one kind that arrive at once count as one.
    async fn next(&mut self) -> SignalRequest;

    /// Waits for the next signal that asks the agent to end. Reloads are ignored, because the agent
    /// ends already.
    async fn next_end(&mut self) -> &'static str {
        loop {
            match self.next().await {
                SignalRequest::End(signal) => return signal,
                SignalRequest::Reload => tracing::warn!("SIGHUP is ignored, because the agent is ending"),
            }
        }
    }
}

/// The signals of the process: SIGTERM and SIGINT end the agent, SIGHUP reloads it.
pub(super) struct ProcessSignals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl ProcessSignals {
    pub(super) fn open() -> Result<Self, RunError> {
        let watch = |kind| signal(kind).map_err(system("watch signals"));
        Ok(Self {
            terminate: watch(SignalKind::terminate())?,
            interrupt: watch(SignalKind::interrupt())?,
            hang_up: watch(SignalKind::hangup())?,
        })
    }
}

impl Signals for ProcessSignals {
    async fn next(&mut self) -> SignalRequest {
        tokio::select! {
            _ = self.terminate.recv() => SignalRequest::End("SIGTERM"),
            _ = self.interrupt.recv() => SignalRequest::End("SIGINT"),
            _ = self.hang_up.recv() => SignalRequest::Reload,
        }
    }
}
