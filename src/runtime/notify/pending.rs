//! The messages that must still be sent to the service manager. The code is pure.

use std::fmt::Write as _;
use std::time::Duration;

/// The phases of the agent that the main thread reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AgentPhase {
    /// Every virtual router was given to the protocol thread.
    Configured,
    /// A reload began at this time of the service manager's clock.
    Reloading { at: Duration },
    /// The agent ends, within `limit`.
    Stopping { limit: Duration },
}

/// The messages that are still to be sent.
#[derive(Debug, Default)]
pub(super) struct PendingNotices {
    ready: MessageDue,
    alive: MessageDue,
    states: MessageDue,
    lifecycle: Lifecycle,
    /// The line of states that was sent last.
    told: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum MessageDue {
    #[default]
    No,
    Yes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Lifecycle {
    #[default]
    Running,
    Stopping,
}

impl PendingNotices {
    /// Records a phase. Returns the message that must be sent at once, if there is one, as the
    /// other methods do.
    pub(super) fn on_phase(&mut self, news: AgentPhase) -> Option<String> {
        match news {
            AgentPhase::Configured => {
                self.ready = MessageDue::Yes;
                None
            }
            AgentPhase::Reloading { at } => {
                let since = format!("MONOTONIC_USEC={}", at.as_micros());
                Some(message(&["RELOADING=1", &since]))
            }
            AgentPhase::Stopping { limit } => {
                *self = Self { lifecycle: Lifecycle::Stopping, ..Self::default() };
                let limit = format!("EXTEND_TIMEOUT_USEC={}", limit.as_micros());
                Some(message(&["STOPPING=1", &limit, "STATUS=stopping: handing over"]))
            }
        }
    }

    /// Half of the watchdog's limit is over.
    ///
    /// An agent that stops does not ask any more: the protocol thread ends before the last hook
    /// does, and a stop has its own limit of time.
    pub(super) fn on_beat(&mut self) -> Option<String> {
        match self.lifecycle {
            Lifecycle::Running => {
                self.alive = MessageDue::Yes;
                None
            }
            Lifecycle::Stopping => Some(message(&["WATCHDOG=1"])),
        }
    }

    /// States may have changed.
    pub(super) fn on_event(&mut self) {
        self.states = MessageDue::Yes;
    }

    /// Whether the protocol thread is to be asked.
    pub(super) fn wants_answer(&self) -> bool {
        self.lifecycle == Lifecycle::Running
            && [self.ready, self.alive, self.states].contains(&MessageDue::Yes)
    }

    /// The protocol thread answered with its states.
    pub(super) fn on_answer(&mut self, line: &str) -> Option<String> {
        match self.lifecycle {
            Lifecycle::Running => {}
            Lifecycle::Stopping => return None,
        }
        let mut lines = Vec::new();
        if std::mem::take(&mut self.ready) == MessageDue::Yes {
            lines.push("READY=1".to_owned());
        }
        if std::mem::take(&mut self.alive) == MessageDue::Yes {
            lines.push("WATCHDOG=1".to_owned());
        }
        self.states = MessageDue::No;
        if self.told != line {
            line.clone_into(&mut self.told);
            lines.push(format!("STATUS={line}"));
        }
        (!lines.is_empty()).then(|| message(&lines))
    }
}

fn message(lines: &[impl AsRef<str>]) -> String {
    let mut text = String::new();
    for line in lines {
        let _infallible = writeln!(text, "{}", line.as_ref());
    }
    text
}
