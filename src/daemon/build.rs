//! The start of the agent: what is opened, and which threads and tasks are started, in which order.
//!
//! First everything that may refuse is opened ([`open`]): until then nothing of this machine is
//! touched. Then threads and tasks are started ([`start`]), the address thread first, because it
//! removes what an earlier run left behind. The task of the configuration configures the routers
//! last, when the demotions of an earlier run are known and the facts of each interface were read.

use super::DaemonSettings;
use super::dispatcher::Dispatcher;
use super::error::{PROTOCOL, RunError, system};
use super::resume::{ResumedDrain, resumed};
use super::run::{Inbox, RunningAgent, Tasks};
use super::signals::ProcessSignals;
use super::stop::StopParts;
use crate::agent::error::panic_message;
use crate::agent::{AgentHandle, EventLog, NodeNames};
use crate::config::{Config, Realtime};
use crate::control::metrics::{
    EndpointLimits, EventCounter, LogLinesDropped, MetricsEndpoint, MetricsSources,
};
use crate::control::{Limits, Server, SnapshotSource};
use crate::kernel::capabilities::{self, Powers};
use crate::kernel::keeper::{
    AddressKeeper, KeeperCommand, KeeperEvent, KeeperFunctions, arp_table_writer, frame_announcer,
};
use crate::kernel::monitor::{Monitor, RECEIVE_BUFFER};
use crate::kernel::namespace_lock::{NamespaceLock, NamespaceLockError};
use crate::kernel::netlink::Netlink;
use crate::kernel::realtime;
use crate::kernel::sysctl::{arp, promote_secondaries};
use crate::protocol::{DrainResult, HoldResult, Input};
use crate::runtime::channel::{ChannelHandle, ChannelOutlets, ChannelSettings};
use crate::runtime::clock;
use crate::runtime::draining::{DrainQueues, ForwarderHandle};
use crate::runtime::hooks::{self, Hooks, SharedRoutes};
use crate::runtime::notify::Notifier;
use crate::runtime::protocol_thread::mailbox::{Mailbox, Sender, ThreadRequest};
use crate::runtime::protocol_thread::{OUTLIVES, ProtocolThread, ThreadOutlets};
use crate::runtime::reload::{RELOADS, Reloader, node_name};
use crate::runtime::state::{DemotionWriter, Moment, Recalled, Store};
use crate::runtime::trackers::Checks;
use crate::types::RouterName;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

/// Number of events, reports of checks and notices that may wait for the main thread. That thread
/// does little, so a full queue means that the kernel does not run it; then the oldest stay and the
/// newest are counted as lost.
const QUEUE: usize = 4096;
/// Number of requests of the control server that may wait; the server waits when there is no room.
const REQUESTS: usize = 16;
/// Number of messages to the writer of demotions that may wait; the protocol thread keeps what has
/// no room.
const WRITER_QUEUE: usize = 256;
/// Number of results of checks, and of changes of interfaces, that may wait. Their senders wait
/// when there is no room.
const SMALL_QUEUE: usize = 64;
/// The limit for reading what an earlier run saved; after this time the disk hangs, and the routers
/// start without it.
const STATE_LIMIT: Duration = Duration::from_secs(2);

/// What is open before anything is started.
pub(super) struct OpenedAgent {
    config: Config,
    config_file: PathBuf,
    socket: PathBuf,
    signals: ProcessSignals,
    store: Store,
    recalled: Recalled,
    server: Server,
    log_lines_dropped: LogLinesDropped,
    namespace_lock: Option<NamespaceLock>,
}

/// The agent, and what must be held for as long as it runs.
pub(super) struct StartedAgent {
    pub(super) agent: RunningAgent<Arc<AddressKeeper>>,
    pub(super) signals: ProcessSignals,
    /// Keeps a second daemon out of this network namespace.
    pub(super) _namespace_lock: Option<NamespaceLock>,
}

/// Opens everything that may refuse the agent: signals, the network namespace, the state directory,
/// the control socket.
///
/// # Errors
/// The first refusal. Nothing was started.
pub(super) fn open(settings: DaemonSettings) -> Result<OpenedAgent, RunError> {
    let DaemonSettings { config, powers, config_file, socket, state_dir, log_lines_dropped } = settings;
    let signals = ProcessSignals::open()?;
    // This comes before anything is touched: two daemons would remove each other's addresses.
    let namespace_lock = lock_namespace()?;
    // Privileges are dropped before there is a thread that needs them, or passes them on. Taking
    // the name comes earlier, because it reads data of other processes.
    match powers {
        Powers::Needed => capabilities::shed_what_is_not_needed().map_err(system("give up capabilities"))?,
        Powers::All => {}
    }
    let now = Moment { mono: clock::now(), wall: clock::wall() };
    let opened = Store::open(&state_dir, now, STATE_LIMIT);
    let (store, recalled) = opened.map_err(|error| RunError::State(error.to_string()))?;
    let server = Server::bind(&socket, Limits::default())?;
    Ok(OpenedAgent {
        config,
        config_file,
        socket,
        signals,
        store,
        recalled,
        server,
        log_lines_dropped,
        namespace_lock,
    })
}

/// Starts threads and tasks, and joins them with queues.
///
/// # Errors
/// [`RunError`] if a thread cannot be started, or the kernel refuses netlink.
pub(super) fn start(opened: OpenedAgent) -> Result<StartedAgent, RunError> {
    let OpenedAgent {
        config,
        config_file,
        socket,
        signals,
        store,
        recalled,
        server,
        log_lines_dropped,
        namespace_lock,
    } = opened;
    if let Some(listener) =
        namespace_lock.as_ref().map(NamespaceLock::listener).transpose().map_err(system("share a socket"))?
    {
        tokio::spawn(refuse_connections(listener));
    }
    let (mail, mailbox) = Mailbox::open().map_err(system("make an eventfd"))?;
    let (events_in, events) = mpsc::channel(QUEUE);
    let (notices_in, notices) = mpsc::channel(QUEUE);
    let lost = Arc::new(AtomicU64::new(0));
    let (node_names_in, node_names) = watch::channel(NodeNames::default());
    let outlets = hooks::HookOutlets {
        events: events_in.clone(),
        lost: Arc::clone(&lost),
        prepared: prepared_by(mail.clone()),
    };
    let hooks = Hooks::new(outlets, node_names.clone());
    let drains = earlier_drains(&config, &mail);
    let functions = functions(mail.clone(), notices_in, hooks.shared_routes());
    let keeper = AddressKeeper::spawn_knowing(drains, functions)?;
    let keeper = Arc::new(keeper);

    let (stopped_in, stopped) = oneshot::channel();
    let (to_writer, messages) = mpsc::channel(WRITER_QUEUE);
    let forwarder = ForwarderHandle::default();
    let (drain_queues, drains) = DrainQueues::new(&forwarder);
    let outlets = ThreadOutlets {
        events: events_in.clone(),
        lost: Arc::clone(&lost),
        to_writer,
        drains,
        stopped: stopped_in,
    };
    let thread =
        ProtocolThread::new(mailbox, Arc::clone(&keeper), outlets).map_err(system("start the protocol"))?;
    let protocol = spawn_protocol(thread, config.agent.realtime)?;
    let writer = DemotionWriter::new(messages, store, recalled.demotions.clone(), recalled.expired.clone());
    let (finish_writer, finished) = oneshot::channel();
    let writer = tokio::spawn(writer.run(finished));

    // The task of the configuration tells the monitor which interfaces to watch.
    let (changes_in, changes) = mpsc::channel(SMALL_QUEUE);
    let (names_in, names) = watch::channel(BTreeSet::new());
    let monitor = tokio::spawn(Monitor::open(RECEIVE_BUFFER)?.run(names, changes_in));

    let log = Arc::new(EventLog::new());
    let (requests_in, requests) = mpsc::channel(REQUESTS);
    let (reloads_in, reloads) = mpsc::channel(RELOADS);
    let agent = AgentHandle { requests: requests_in, reloads: reloads_in.clone(), events: Arc::clone(&log) };
    let notifier = Notifier::start(agent.clone());
    let snapshots = SnapshotSource::start(agent.requests.clone());
    let serving = tokio::spawn(server.run(agent, snapshots.clone()));
    let counter = EventCounter::default();
    let (metrics_in, metrics) = watch::channel(None);
    let (problem_in, metrics_problem) = watch::channel(None);
    let sources = MetricsSources { snapshots, events: counter.clone(), log_lines_dropped };
    let endpoint = MetricsEndpoint::new(sources, EndpointLimits::default(), metrics, problem_in);
    let monitoring = tokio::spawn(endpoint.run());

    let (reports_in, reports) = mpsc::channel(SMALL_QUEUE);
    let checks = Checks::new(reports_in);
    let (node_in, node) = watch::channel(node_name(&config));
    let looked_at = watch::Sender::new(BTreeSet::new());
    let (settings_in, settings) = watch::channel(ChannelSettings::of(&config, &node_name(&config)));
    let channel = ChannelHandle::start(ChannelOutlets {
        settings,
        mail: mail.clone(),
        events: events_in.clone(),
        lost: Arc::clone(&lost),
        names: node_names_in,
        forwarder,
        drains: drain_queues.statuses(),
    });
    let keeper_of_leaver = Arc::clone(&keeper);
    let reconcile = move || drop(keeper_of_leaver.send(KeeperCommand::Reconcile));
    let leaver = drain_queues.start(mail.clone(), reconcile, channel.clone());
    let dispatcher = Dispatcher {
        node,
        names: node_names,
        reloads: reloads_in,
        looked_at: looked_at.clone(),
        checks: checks.board(),
        mail: mail.clone(),
        hooks: hooks.board(),
        channel: channel.clone(),
        leaver,
        log,
        counter,
        metrics_problem,
        lost: Arc::clone(&lost),
        reported: 0.into(),
    };
    log_start(&dispatcher, &config, &config_file, &socket);
    dispatcher.restore_demotions(recalled, &config.routers);
    let reloader = Reloader {
        file: config_file,
        running: Arc::new(config),
        node: node_in,
        channel: settings_in,
        metrics: metrics_in,
        names: names_in,
        looked_at,
        checks,
        hooks,
        mail: mail.clone(),
        notifier: notifier.clone(),
        events: events_in,
        lost,
    };
    let (end_reloads, reloads_end) = oneshot::channel();
    let reloader = tokio::spawn(reloader.run(reloads, reloads_end));
    let agent = RunningAgent {
        inbox: Inbox { events, notices, requests, reports, changes },
        tasks: Tasks { protocol, monitor, reloader },
        dispatcher,
        keeper,
        stop: StopParts {
            mail,
            channel,
            notifier,
            end_reloads,
            stopped,
            finish_writer,
            writer,
            serving,
            monitoring,
        },
    };
    Ok(StartedAgent { agent, signals, _namespace_lock: namespace_lock })
}

fn log_start(dispatcher: &Dispatcher, config: &Config, file: &std::path::Path, socket: &std::path::Path) {
    let (node, routers) = (dispatcher.node.borrow().clone(), config.routers.len());
    let (version, file, socket) = (env!("CARGO_PKG_VERSION"), file.display(), socket.display());
    tracing::info!(version, node, %file, routers, %socket, "started");
}

/// What an earlier run left draining goes on: the address thread must know before it removes what
/// nobody wants, and the core before the routers are configured.
fn earlier_drains(config: &Config, mail: &Sender) -> Vec<KeeperCommand> {
    let addresses = match Netlink::open().and_then(|mut netlink| netlink.addresses()) {
        Ok(addresses) => addresses,
        Err(error) => {
            tracing::warn!(%error, "it is not known whether an earlier run was draining");
            return Vec::new();
        }
    };
    let mut commands = Vec::new();
    for ResumedDrain { key, left, commands: of_it } in resumed(config, &addresses) {
        let until = clock::now() + left.saturating_sub(OUTLIVES);
        let _ = mail.send(Input::DrainOfEarlierRun { key, until });
        commands.extend(of_it);
    }
    commands
}

/// Makes this the only daemon of the network namespace. If it is not known whether there is another
/// one, the agent starts all the same.
fn lock_namespace() -> Result<Option<NamespaceLock>, RunError> {
    match NamespaceLock::take() {
        Ok(namespace_lock) => Ok(Some(namespace_lock)),
        Err(taken @ NamespaceLockError::Taken(_)) => Err(taken.into()),
        Err(unclear @ (NamespaceLockError::Unclear(_) | NamespaceLockError::Dead(_))) => {
            tracing::warn!("{unclear}");
            Ok(None)
        }
    }
}

/// Closes each connection to the socket that holds the name of this network namespace, so that
/// there is always room for the next one.
async fn refuse_connections(listener: UnixListener) -> io::Result<()> {
    let listener = tokio::net::UnixListener::from_std(listener)?;
    loop {
        if listener.accept().await.is_err() {
            // The usual reason is that there are no more file descriptors. The connections in the
            // backlog can wait.
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Starts the protocol thread. The returned receiver is told why the thread ended.
fn spawn_protocol(thread: ProtocolThread, realtime: Realtime) -> Result<oneshot::Receiver<String>, RunError> {
    let (ended_in, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name(PROTOCOL.to_owned())
        .spawn(move || {
            match realtime {
                Realtime::Off => {}
                Realtime::On => {
                    let (scheduling, memory) = (realtime::raise_thread(), realtime::lock_memory());
                    tracing::info!(%scheduling, %memory, "real-time scheduling was asked for");
                }
            }
            // A bug of this program must not leave addresses behind: the main thread hands them
            // over.
            let why = match catch_unwind(AssertUnwindSafe(|| thread.run())) {
                Ok(Ok(())) => "it was asked to stop".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(panic) => panic_message(&*panic),
            };
            let _ = ended_in.send(why);
        })
        .map_err(system("start the protocol thread"))?;
    Ok(ended)
}

/// Returns the function that tells the protocol thread that a `before_active` has ended.
fn prepared_by(mail: Sender) -> Arc<hooks::Prepared> {
    Arc::new(move |router: &RouterName, run| {
        let _ = mail.send(ThreadRequest::BeforeActiveEnded(router.clone(), run));
    })
}

/// Returns what connects the keeper to the clock, to frames, and to the rest of the agent.
fn functions(mail: Sender, notices: mpsc::Sender<KeeperEvent>, hooks: SharedRoutes) -> KeeperFunctions {
    KeeperFunctions {
        clock: Box::new(clock::now),
        announcer: frame_announcer(),
        promoter: Box::new(promote_secondaries),
        arp: Box::new(arp),
        arp_table: arp_table_writer(),
        events: Box::new(move |event| {
            hooks.on_keeper(&event);
            let input = match event {
                KeeperEvent::Held { key, epoch, outcome } => {
                    Input::AddressesHeld(HoldResult { key, epoch, outcome })
                }
                KeeperEvent::Draining { key, epoch, outcome } => {
                    Input::AddressesDraining(DrainResult { key, epoch, outcome })
                }
                KeeperEvent::Restored { key, count } => Input::AddressesRestored { key, count },
                KeeperEvent::Reinstalled { key, .. } => Input::AddressesReinstalled { key },
                KeeperEvent::NotRestored { key, why } => Input::AddressesNotRestored { key, why },
                KeeperEvent::Released { .. }
                | KeeperEvent::Contested { .. }
                | KeeperEvent::StaleRemoved { .. }
                | KeeperEvent::PromotionNotSet { .. }
                | KeeperEvent::ForeignReinstalled { .. }
                | KeeperEvent::GuardRestored { .. }
                | KeeperEvent::NotAnnounced { .. }
                | KeeperEvent::Stopped { .. } => {
                    // If the queue is full, only log lines are lost.
                    let _ = notices.try_send(event);
                    return;
                }
            };
            let _ = mail.send(input);
        }),
    }
}
