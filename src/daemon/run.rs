//! The main loop: receives the messages of all threads and tasks, until a signal or the end of one
//! of them ends the loop.

use super::dispatcher::{Dispatcher, KeeperHandle};
use super::error::{ADDRESSES, MONITOR, PROTOCOL, RELOADER, RunError, died};
use super::notices::log_notice;
use super::signals::{SignalRequest, Signals};
use super::stop::StopParts;
use crate::agent::{AgentEvent, Request};
use crate::kernel::keeper::KeeperEvent;
use crate::kernel::monitor::{MonitorError, MonitorEvent};
use crate::runtime::reload::Reloaded;
use crate::runtime::trackers::CheckReport;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};

/// The queues that the main thread reads.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) events: mpsc::Receiver<AgentEvent>,
    /// The reports of the address thread, which holds the other end for as long as it lives.
    pub(super) notices: mpsc::Receiver<KeeperEvent>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) reports: mpsc::Receiver<CheckReport>,
    pub(super) changes: mpsc::Receiver<MonitorEvent>,
}

/// The threads and tasks that the agent cannot run without.
#[derive(Debug)]
pub(super) struct Tasks {
    /// Receives the reason when the protocol thread ends.
    pub(super) protocol: oneshot::Receiver<String>,
    pub(super) monitor: JoinHandle<Result<(), MonitorError>>,
    /// The task of the configuration.
    pub(super) reloader: JoinHandle<Reloaded>,
}

/// The running agent.
#[derive(Debug)]
pub(super) struct RunningAgent<K> {
    pub(super) inbox: Inbox,
    pub(super) tasks: Tasks,
    pub(super) dispatcher: Dispatcher,
    pub(super) keeper: K,
    pub(super) stop: StopParts,
}

/// Runs until a signal asks for the end.
///
/// # Errors
/// A thread or task has ended that must not.
pub(super) async fn run(
    agent: &mut RunningAgent<impl KeeperHandle>,
    signals: &mut impl Signals,
) -> Result<(), RunError> {
    let RunningAgent { inbox, tasks, dispatcher, keeper, stop: _ } = agent;
    loop {
        tokio::select! {
            Some(event) = inbox.events.recv() => dispatcher.on_event(event),
            notice = inbox.notices.recv() => match notice {
                Some(notice) => log_notice(&notice),
                None => return Err(died(ADDRESSES, "see the log lines above".to_owned())),
            },
            Some(request) = inbox.requests.recv() => dispatcher.on_request(request),
            Some(report) = inbox.reports.recv() => dispatcher.on_check_report(report),
            Some(change) = inbox.changes.recv() => dispatcher.on_change(&*keeper, change),
            why = &mut tasks.protocol => return Err(died(PROTOCOL, why.unwrap_or_default())),
            ended = &mut tasks.monitor => return Err(monitor_ended(ended)),
            ended = &mut tasks.reloader => return Err(reloader_ended(&ended)),
            request = signals.next() => match request {
                SignalRequest::Reload => dispatcher.reload(),
                SignalRequest::End(signal) => {
                    tracing::info!(signal, "stopping: handing over");
                    return Ok(());
                }
            },
        }
    }
}

fn reloader_ended<T>(ended: &Result<T, JoinError>) -> RunError {
    let why = ended.as_ref().err().map_or_else(
        || "nothing sends to it any more (this is a bug, please report it)".to_owned(),
        ToString::to_string,
    );
    died(RELOADER, why)
}

fn monitor_ended(ended: Result<Result<(), MonitorError>, JoinError>) -> RunError {
    match ended {
        Ok(Ok(())) => {
            died(MONITOR, "nothing receives its events any more (this is a bug, please report it)".to_owned())
        }
        Ok(Err(error)) => RunError::Monitor(error),
        Err(error) => died(MONITOR, error.to_string()),
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
