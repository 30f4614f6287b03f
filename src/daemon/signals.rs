//! What the operator's signals ask for.

use super::error::{RunError, system};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal, in the operator's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignalRequest {
    /// This signal asks the agent to end.
    End(&'static str),
    /// The configuration is to be read again.
    Reload,
}

/// Where signals come from: the process, or a script in tests.
pub(super) trait Signals {
    /// Waits for the next one. Signals of one kind that come at once are one.
    async fn next(&mut self) -> SignalRequest;

    /// Waits for the next one that asks the agent to end, which it does already.
    async fn next_end(&mut self) -> &'static str {
        loop {
            match self.next().await {
                SignalRequest::End(signal) => return signal,
                SignalRequest::Reload => tracing::warn!("SIGHUP: the agent ends, and reloads nothing"),
            }
        }
    }
}

/// SIGTERM and SIGINT end the agent, SIGHUP reloads it.
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
