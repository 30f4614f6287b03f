//! What the main thread does with the messages that it receives: it passes on requests, results of
//! checks and changes of interfaces, and logs events.
//!
//! Nothing that the protocol must do on time passes through this module.

use crate::agent::{
    AgentEvent, AgentEventKind, AgentSnapshot, EventLog, NodeNames, ProgramOutcome, ReloadMode,
    ReloadRequest, Request,
};
use crate::control::metrics::EventCounter;
use crate::kernel::keeper::{AddressKeeper, CommandRefused, KeeperCommand};
use crate::kernel::monitor::MonitorEvent;
use crate::kernel::other_name::other_name;
use crate::protocol::{EventKind, Input, RouterSpec};
use crate::runtime::channel::ChannelHandle;
use crate::runtime::clock;
use crate::runtime::draining::LeaverHandle;
use crate::runtime::hooks::HookBoard;
use crate::runtime::protocol_thread::mailbox::{Sender, ThreadRequest};
use crate::runtime::state::Recalled;
use crate::runtime::trackers::{CheckBoard, CheckReport};
use crate::telemetry::log::log_event;
use crate::types::{InterfaceName, RouterName};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot, watch};

/// Sends commands to the address thread.
pub(super) trait KeeperHandle {
    /// Hands over a command without waiting.
    fn send(&self, command: KeeperCommand) -> Result<(), CommandRefused>;
}

impl KeeperHandle for Arc<AddressKeeper> {
    fn send(&self, command: KeeperCommand) -> Result<(), CommandRefused> {
        AddressKeeper::send(self, command)
    }
}

/// What the main thread holds of the other threads and tasks.
#[derive(Debug)]
pub(super) struct Dispatcher {
    pub(super) node: watch::Receiver<String>,
    /// The names of the other nodes.
    pub(super) names: watch::Receiver<NodeNames>,
    pub(super) reloads: mpsc::Sender<ReloadRequest>,
    pub(super) looked_at: watch::Sender<BTreeSet<InterfaceName>>,
    pub(super) checks: CheckBoard,
    pub(super) mail: Sender,
    pub(super) hooks: HookBoard,
    pub(super) channel: ChannelHandle,
    pub(super) leaver: LeaverHandle,
    pub(super) log: Arc<EventLog>,
    /// Counts the events for the endpoint for monitoring.
    pub(super) counter: EventCounter,
    /// Why the endpoint for monitoring does not listen although it is configured.
    pub(super) metrics_problem: watch::Receiver<Option<String>>,
    pub(super) lost: Arc<AtomicU64>,
    /// Number of lost events that have been reported.
    pub(super) reported: AtomicU64,
}

impl Dispatcher {
    /// Counts and logs an event, with the names of the other nodes as they are known now.
    pub(super) fn on_event(&self, event: AgentEvent) {
        match &event.kind {
            // What follows from the reports of other nodes changes nothing here.
            AgentEventKind::Channel(_) => {}
            AgentEventKind::Protocol(kind) => {
                self.channel.look_again();
                if matches!(
                    kind,
                    EventKind::DrainBegun { .. }
                        | EventKind::DrainResumed { .. }
                        | EventKind::DrainEnded { .. }
                ) {
                    self.leaver.look_again();
                }
            }
            AgentEventKind::Check { .. }
            | AgentEventKind::Hook { .. }
            | AgentEventKind::ConfigurationReloaded { .. } => self.channel.look_again(),
        }
        let event = AgentEvent { names: self.names.borrow().clone(), ..event };
        self.counter.count(&event);
        log_event(&self.log.push(clock::wall(), event));
        let lost = self.lost.load(Ordering::Relaxed);
        let news = lost.saturating_sub(self.reported.swap(lost, Ordering::Relaxed));
        if news > 0 {
            tracing::warn!(lost = news, "events were lost, because too many happened at once");
        }
    }

    /// Tells the protocol thread which demotions an earlier run saved. To be called before the
    /// routers are configured.
    pub(super) fn restore_demotions(&self, recalled: Recalled, routers: &[RouterSpec]) {
        for trouble in recalled.problems {
            tracing::error!(%trouble, "{}", trouble.consequence());
        }
        let configured = |name: &RouterName| routers.iter().any(|spec| spec.name == *name);
        // There may be any number of routers that are not configured, and the operator did not ask
        // for them.
        let (expired, forgotten) = recalled.expired.into_iter().partition::<Vec<_>, _>(configured);
        for router in expired {
            self.on_event(AgentEvent::of_router(router, EventKind::DemotionExpired.into()));
        }
        let mut elsewhere = Vec::new();
        for (router, demotion) in recalled.demotions {
            let (since, by, reason) = (&demotion.since, &demotion.by, &demotion.reason);
            let until = demotion.until.as_ref().map_or("promoted", |until| &until.text);
            if configured(&router) {
                tracing::info!(%router, since, by, reason, until, "still demoted: the demotion was saved by an earlier run");
            } else {
                elsewhere.push(router.clone());
            }
            let _ = self.mail.send(Input::SavedDemotion(router, demotion));
        }
        if !elsewhere.is_empty() {
            let (count, names) = (elsewhere.len(), named(&elsewhere));
            tracing::warn!(
                count,
                names,
                "saved demotions are kept, but no virtual routers of these names are configured"
            );
        }
        if !forgotten.is_empty() {
            let (count, names) = (forgotten.len(), named(&forgotten));
            tracing::info!(
                count,
                names,
                "saved demotions have expired; no virtual routers of these names are configured"
            );
        }
    }

    pub(super) fn on_request(&self, request: Request) {
        match request {
            Request::Snapshot { reply } => {
                let (snapshot_in, snapshot) = oneshot::channel();
                let (node, names) = (self.node.borrow().clone(), self.names.borrow().clone());
                let (hooks, checks) = (self.hooks.clone(), self.checks.clone());
                let channel = self.channel.clone();
                let metrics_problem = self.metrics_problem.borrow().clone();
                // The dropped reply tells the server that the daemon ends.
                if self.mail.send(ThreadRequest::Snapshot(snapshot_in)).is_ok() {
                    tokio::spawn(async move {
                        if let Ok(snapshot) = snapshot.await {
                            let (wall, hooks, checks) = (clock::wall(), hooks.snapshot(), checks.snapshot());
                            let channel = channel.status().await;
                            let _ = reply.send(AgentSnapshot {
                                node,
                                names,
                                wall,
                                snapshot,
                                hooks,
                                checks,
                                channel,
                                metrics_problem,
                            });
                        }
                    });
                }
            }
            Request::DrainOutlook { router, reply } => {
                let channel = self.channel.clone();
                tokio::spawn(async move {
                    let _ = reply.send(channel.drain_outlook(router).await);
                });
            }
            Request::Take { router, by, reply } => {
                let channel = self.channel.clone();
                tokio::spawn(async move {
                    let _ = reply.send(channel.take(router, by).await);
                });
            }
            Request::Command { command, reply } => {
                let _ = self.mail.send(ThreadRequest::Command(command, reply));
            }
        }
    }

    /// SIGHUP: the configuration is read again. If the queue is full, this signal needs no reload
    /// of its own: the reloads that wait in the queue also read what the file contains now.
    pub(super) fn reload(&self) {
        let (reply, _nobody_waits) = oneshot::channel();
        let by = "SIGHUP".to_owned();
        let _ = self.reloads.try_send(ReloadRequest { mode: ReloadMode::Apply, by, reply });
    }

    pub(super) fn on_check_report(&self, report: CheckReport) {
        let CheckReport { check, result, change, in_a_row, outcome } = report;
        if !self.checks.has(&check) {
            return; // It left the configuration meanwhile.
        }
        let failure = match outcome {
            ProgramOutcome::Passed => None,
            ProgramOutcome::Failed(failure) => Some(failure.to_string()),
        };
        let kind = AgentEventKind::Check { check: check.clone(), result, change, in_a_row, failure };
        self.on_event(AgentEvent::of_node(kind));
        let _ = self.mail.send(Input::CheckResult(check, result));
    }

    pub(super) fn on_change(&self, keeper: &impl KeeperHandle, change: MonitorEvent) {
        match change {
            MonitorEvent::Link(name, facts) => {
                tell(keeper, KeeperCommand::Link(name, facts.clone().map(Box::new)));
                if let Some(real) = facts.is_none().then(|| other_name(name)).flatten() {
                    let _ = self.mail.send(Input::OtherName(name, real));
                }
                let _ = self.mail.send(Input::Link(name, facts));
                self.looked_at.send_if_modified(|known| known.insert(name));
            }
            MonitorEvent::AddressesChanged => tell(keeper, KeeperCommand::Reconcile),
            MonitorEvent::Resync => {
                tracing::warn!(
                    "the kernel dropped notifications, so all interfaces and addresses were read again"
                );
                tell(keeper, KeeperCommand::Reconcile);
            }
        }
    }
}

fn tell(keeper: &impl KeeperHandle, command: KeeperCommand) {
    // The queue is full only if the keeper waits for the kernel; it will see the change that this
    // command reports when it looks at the kernel again.
    if let Err(refused) = keeper.send(command) {
        tracing::error!(%refused, "a change was not passed on to the address thread");
    }
}

/// Returns the first few names of many.
fn named(routers: &[RouterName]) -> String {
    const NAMED: usize = 5;
    let names: Vec<_> = routers.iter().take(NAMED).map(RouterName::to_string).collect();
    let rest = if routers.len() > NAMED { ", …" } else { "" };
    names.join(", ") + rest
}
