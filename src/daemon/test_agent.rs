//! An agent without a kernel for tests of the main loop and of the end: the test takes the part of
//! the protocol thread, the address thread, the operator who sends signals, and the clients.

use super::dispatcher::{Dispatcher, KeeperHandle};
use super::run::{Inbox, RunningAgent, Tasks};
use super::signals::{SignalRequest, Signals};
use super::stop::StopParts;
use crate::agent::{AgentEvent, EventLog, NodeNames, ReloadRequest, Request};
use crate::config::{self, Config};
use crate::control::metrics::EventCounter;
use crate::kernel::keeper::{CommandRefused, KeeperCommand, KeeperEvent};
use crate::kernel::monitor::{MonitorError, MonitorEvent};
use crate::protocol::CheckName;
use crate::runtime::channel::{ChannelHandle, ChannelOutlets, ChannelSettings};
use crate::runtime::draining::{DrainQueues, ForwarderHandle};
use crate::runtime::hooks::{HookOutlets, Hooks};
use crate::runtime::notify::Notifier;
use crate::runtime::protocol_thread::mailbox::{Mailbox, Message};
use crate::runtime::reload::Reloaded;
use crate::runtime::trackers::{CheckReport, Checks};
use crate::types::InterfaceName;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, oneshot, watch};

/// What the agent did, in this order.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(super) fn write(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// What the address thread does with [`KeeperCommand::Stop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnStop {
    /// The address thread reports that it has stopped.
    Stops,
    /// The address thread takes the command and does not report anything.
    Hangs,
    /// The queue of the address thread is full and stays full.
    IsFull,
    /// The address thread has ended.
    HasEnded,
}

#[derive(Debug, Clone)]
pub(super) struct TestKeeper {
    log: Log,
    notices: mpsc::Sender<KeeperEvent>,
    on_stop: OnStop,
}

impl KeeperHandle for TestKeeper {
    fn send(&self, command: KeeperCommand) -> Result<(), CommandRefused> {
        match (&command, self.on_stop) {
            (KeeperCommand::Stop(_), OnStop::IsFull) => return Err(CommandRefused::Full(command)),
            (KeeperCommand::Stop(_), OnStop::HasEnded) => return Err(CommandRefused::Ended(command)),
            (KeeperCommand::Stop(_), OnStop::Stops) => {
                self.notices
                    .try_send(KeeperEvent::Stopped { outcome: Ok(()), draining: BTreeSet::new() })
                    .unwrap();
            }
            (_, OnStop::Stops | OnStop::Hangs | OnStop::IsFull | OnStop::HasEnded) => {}
        }
        self.log.write(format!("keeper: {command:?}"));
        Ok(())
    }
}

/// Signals that the test sends.
pub(super) struct TestSignals(mpsc::Receiver<SignalRequest>);

impl Signals for TestSignals {
    async fn next(&mut self) -> SignalRequest {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

/// The other ends of the agent's queues.
pub(super) struct Outside {
    pub(super) log: Log,
    pub(super) signal: mpsc::Sender<SignalRequest>,
    pub(super) mailbox: Mailbox,
    pub(super) events: mpsc::Sender<AgentEvent>,
    pub(super) event_log: Arc<EventLog>,
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) reports: mpsc::Sender<CheckReport>,
    pub(super) changes: mpsc::Sender<MonitorEvent>,
    pub(super) names: watch::Sender<NodeNames>,
    pub(super) reloads: mpsc::Receiver<ReloadRequest>,
    pub(super) looked_at: watch::Receiver<BTreeSet<InterfaceName>>,
    pub(super) protocol_ended: oneshot::Sender<String>,
    pub(super) end_monitor: oneshot::Sender<Result<(), MonitorError>>,
    /// Makes the task of the configuration end, or panic.
    pub(super) end_reloader: oneshot::Sender<End>,
    pub(super) stopped: oneshot::Sender<()>,
}

/// How a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Returns,
    Panics,
}

/// Returns a configuration with one router.
pub(super) fn config() -> Config {
    let text = "[[virtual_router]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\n\
                addresses = [\"192.0.2.50/24\"]\n";
    config::resolve(text, "test.toml").unwrap_or_else(|errors| panic!("{errors:?}")).config
}

/// Returns an agent whose threads and tasks are replaced by the test.
pub(super) fn agent(on_stop: OnStop) -> (RunningAgent<TestKeeper>, TestSignals, Outside) {
    let log = Log::default();
    let (signal, signals) = mpsc::channel(8);
    let (mail, mailbox) = Mailbox::open().unwrap();
    let (events_in, events) = mpsc::channel(8);
    let (notices_in, notices) = mpsc::channel(8);
    let (requests_in, requests) = mpsc::channel(8);
    let (reports_in, reports) = mpsc::channel(8);
    let (changes_in, changes) = mpsc::channel(8);
    let (reloads_in, reloads) = mpsc::channel(8);
    let (protocol_ended, protocol) = oneshot::channel();
    let (end_monitor, monitor_end) = oneshot::channel();
    let (end_reloader, reloader_end) = oneshot::channel();
    let (end_reloads, reloads_end) = oneshot::channel();
    let (stopped_in, stopped) = oneshot::channel();
    let (finish_writer, finished) = oneshot::channel();
    let (_node, node) = watch::channel("n1".to_owned());
    let looked_at = watch::Sender::new(BTreeSet::new());
    let lost = Arc::default();
    let event_log = Arc::new(EventLog::new());
    let (names_in, names) = watch::channel(NodeNames::default());
    let outlets =
        HookOutlets { events: events_in.clone(), lost: Arc::clone(&lost), prepared: Arc::new(|_, _| {}) };
    let hooks = Hooks::new(outlets, names.clone());
    let checks = Checks::new(reports_in.clone());
    checks.board().insert(CheckName("nginx".into()));
    let forwarder = ForwarderHandle::default();
    let (drain_queues, _drains) = DrainQueues::new(&forwarder);
    let channel = ChannelHandle::start(ChannelOutlets {
        settings: watch::channel(ChannelSettings::of(&config(), "n1")).1,
        mail: mail.clone(),
        events: events_in.clone(),
        lost: Arc::clone(&lost),
        names: watch::channel(NodeNames::default()).0,
        forwarder: forwarder.clone(),
        drains: drain_queues.statuses(),
    });
    let leaver = drain_queues.start(mail.clone(), || {}, channel.clone());
    let dispatcher = Dispatcher {
        node,
        names,
        reloads: reloads_in,
        looked_at: looked_at.clone(),
        checks: checks.board(),
        mail: mail.clone(),
        hooks: hooks.board(),
        channel: channel.clone(),
        leaver,
        log: Arc::clone(&event_log),
        counter: EventCounter::default(),
        metrics_problem: watch::channel(None).1,
        lost,
        reported: 0.into(),
    };
    let reloader = tokio::spawn({
        let log = log.clone();
        async move {
            tokio::select! {
                _ = reloads_end => log.write("configuration: ended"),
                end = reloader_end => assert_eq!(end, Ok(End::Returns), "it panics on purpose"),
            }
            Reloaded { running: Arc::new(config()), checks, hooks }
        }
    });
    let writer = tokio::spawn({
        let log = log.clone();
        async move {
            let _ = finished.await;
            log.write("writer: finished");
        }
    });
    let monitor = async { monitor_end.await.unwrap_or(Ok(())) };
    let agent = RunningAgent {
        inbox: Inbox { events, notices, requests, reports, changes },
        tasks: Tasks { protocol, monitor: tokio::spawn(monitor), reloader },
        dispatcher,
        keeper: TestKeeper { log: log.clone(), notices: notices_in, on_stop },
        stop: StopParts {
            mail,
            channel,
            notifier: Notifier::without_manager(),
            end_reloads,
            stopped,
            finish_writer,
            writer,
            serving: tokio::spawn(std::future::pending()),
            monitoring: tokio::spawn(std::future::pending()),
        },
    };
    let outside = Outside {
        log,
        signal,
        mailbox,
        events: events_in,
        event_log,
        requests: requests_in,
        reports: reports_in,
        changes: changes_in,
        names: names_in,
        reloads,
        looked_at: looked_at.subscribe(),
        protocol_ended,
        end_monitor,
        end_reloader,
        stopped: stopped_in,
    };
    (agent, TestSignals(signals), outside)
}

impl Outside {
    /// Returns the messages that were sent to the protocol thread.
    pub(super) fn messages(&self) -> Vec<Message> {
        std::iter::from_fn(|| self.mailbox.next()).collect()
    }
}
