//! Starts the threads, joins what they say, and ends them in order.
//!
//! Everything here may be slow: nothing the protocol does on time passes through this thread. It must not stop,
//! though: checks, control, the watchdog and the end live here (docs/adr/0020).

use super::clean_up;
use super::notices::on_notice;
use super::shutdown::{HOOKS_LIMIT, KEEPER_LIMIT, finish_hooks, release_addresses};
use super::signals::{Asked, Signals};
use crate::agent::error::panic_message;
use crate::agent::{
    AgentEvent, AgentEventKind, AgentHandle, AgentSnapshot, EventLog, ProgramOutcome, ReloadMode,
    ReloadRequest, Request,
};
use crate::config::{Config, Realtime};
use crate::control::{BindError, Limits, Server};
use crate::kernel::capabilities::{self, Missing, Powers};
use crate::kernel::keeper::{
    AddressKeeper, Command, KeeperError, KeeperEvent, Surroundings, frame_announcer,
};
use crate::kernel::monitor::{Monitor, MonitorError, MonitorEvent, RECEIVE_BUFFER};
use crate::kernel::other_name::other_name;
use crate::kernel::sysctl::promote_secondaries;
use crate::kernel::tenancy::{Tenancy, TenancyError};
use crate::kernel::{realtime, release};
use crate::protocol::{EventKind, HoldResult, Input, RouterSpec};
use crate::runtime::clock;
use crate::runtime::hooks::{self, HookBoard, Hooks, SharedRoutes};
use crate::runtime::notify::Notifier;
use crate::runtime::process::KILL_LIMIT;
use crate::runtime::protocol_thread::mailbox::{Mailbox, Sender, ThreadRequest};
use crate::runtime::protocol_thread::{ProtocolThread, ThreadOutlets};
use crate::runtime::reload::{RELOADS, Reloader, node_name};
use crate::runtime::state::{DemotionWriter, Moment, Recalled, Store};
use crate::runtime::trackers::{CheckBoard, CheckReport, Checks};
use crate::telemetry::log::log_event;
use crate::telemetry::printer;
use crate::types::{InterfaceName, RouterName};
use std::collections::BTreeSet;
use std::io;
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Events, reports of checks and notices that may wait for this thread. It does little, so a full queue means
/// that it is not run; then the oldest stay and the newest are counted as lost.
const QUEUE: usize = 4096;
/// Requests of the control server; it waits when there is no room.
const REQUESTS: usize = 16;
/// Notes of the writer; the protocol thread keeps what has no room.
const WRITER_QUEUE: usize = 256;
/// Longer than any hand-over of a stop (3 s).
const HANDOVER_LIMIT: Duration = Duration::from_secs(5);
/// For what an earlier run wrote down; then the disk hangs, and the routers start without.
const STATE_LIMIT: Duration = Duration::from_secs(2);
/// Longer than the writer's own patience with the disk.
const WRITER_LIMIT: Duration = Duration::from_secs(3);

/// The task that carries out configurations.
const RELOADER: &str = "configuration";
/// The thread that hears, judges and says.
const PROTOCOL: &str = "vrrp-protocol";

/// What to run.
#[derive(Debug)]
pub struct Settings {
    /// The configuration.
    pub config: Config,
    /// What root goes on with.
    pub powers: Powers,
    /// Where it was read, and is read again at a reload.
    pub config_file: PathBuf,
    /// Where the control socket is made.
    pub socket: PathBuf,
    /// Where demotions are kept over a restart.
    pub state_dir: PathBuf,
}

/// Why the agent cannot start, or ended on its own.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A capability is missing.
    #[error("{}", describe(.0))]
    Privileges(Vec<Missing>),
    /// The kernel is too old.
    #[error(
        "this kernel ({0}) does not keep who added an address, so that vrrpd could not tell its own from yours: it needs \
         Linux 5.18 or newer"
    )]
    Kernel(String),
    /// Another daemon.
    #[error(transparent)]
    Tenancy(#[from] TenancyError),
    /// Somebody else has the state directory; in its own words.
    #[error("{0}")]
    State(String),
    /// The control socket.
    #[error(transparent)]
    Control(#[from] BindError),
    /// The address keeper.
    #[error("cannot start the address keeper")]
    Keeper(#[from] KeeperError),
    /// The netlink monitor.
    #[error("cannot watch the interfaces")]
    Monitor(#[from] MonitorError),
    /// Threads, timers, signals.
    #[error("cannot {step}")]
    System {
        /// What was tried.
        step: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A thread ended that must not.
    #[error("the {thread} thread ended: {why}")]
    Died {
        /// Which.
        thread: &'static str,
        /// Its last words.
        why: String,
    },
}

/// Runs the agent until SIGTERM or SIGINT; then hands over, lets go of every address and returns.
///
/// # Errors
/// [`RunError`]; no address is left behind in that case either.
pub fn run(settings: Settings) -> Result<(), RunError> {
    check_privileges()?;
    if let Some(release) = release::too_old() {
        return Err(RunError::Kernel(release));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("start the event loop"))?;
    let outcome = runtime.block_on(supervise(settings));
    // A disk that hangs must not keep us.
    runtime.shutdown_background();
    outcome
}

pub(super) fn check_privileges() -> Result<(), RunError> {
    let missing = capabilities::missing().map_err(system("read this process's capabilities"))?;
    if missing.is_empty() { Ok(()) } else { Err(RunError::Privileges(missing)) }
}

async fn supervise(settings: Settings) -> Result<(), RunError> {
    let Settings { config, powers, config_file, socket, state_dir } = settings;
    let mut signals = Signals::open()?;
    // Before anything is touched: two daemons would remove each other's addresses.
    let tenancy = tenancy()?;
    // Before there is a thread that needs them, or passes them on. Whoever asked for the name had to look at others' processes.
    match powers {
        Powers::Needed => capabilities::shed_what_is_not_needed().map_err(system("give up capabilities"))?,
        Powers::All => {}
    }
    let now = Moment { mono: clock::now(), wall: clock::wall() };
    let opened = Store::open(&state_dir, now, STATE_LIMIT);
    let (store, recalled) = opened.map_err(|error| RunError::State(error.to_string()))?;
    let server = Server::bind(&socket, Limits::default())?;
    let _door =
        tenancy.as_ref().map(Tenancy::door).transpose().map_err(system("share a socket"))?.map(keep_door);
    let (mail, mailbox) = Mailbox::open().map_err(system("make an eventfd"))?;
    let (events_in, mut events) = mpsc::channel(QUEUE);
    let lost = Arc::new(AtomicU64::new(0));
    let told = hooks::HookOutlets {
        events: events_in.clone(),
        lost: Arc::clone(&lost),
        prepared: prepared_by(mail.clone()),
    };
    let hooks = Hooks::new(told);
    let (notices_in, mut notices) = mpsc::channel(QUEUE);
    let keeper = AddressKeeper::spawn(surroundings(mail.clone(), notices_in, hooks.shared_routes()))?;
    let keeper = Arc::new(keeper);
    let (stopped_in, stopped) = oneshot::channel();
    let (messages_in, messages) = mpsc::channel(WRITER_QUEUE);
    let writer = DemotionWriter::new(messages, store, recalled.demotions.clone(), recalled.expired.clone());
    let outlets = ThreadOutlets {
        events: events_in.clone(),
        lost: Arc::clone(&lost),
        to_writer: messages_in,
        stopped: stopped_in,
    };
    let thread =
        ProtocolThread::new(mailbox, Arc::clone(&keeper), outlets).map_err(system("start the protocol"))?;
    let mut protocol = spawn_protocol(thread, config.agent.realtime)?;
    let (finish, finished) = oneshot::channel();
    let writer = tokio::spawn(writer.run(finished));

    let (monitor_in, mut changes) = mpsc::channel(64);
    // What to watch is the reloader's to say.
    let (names_in, names) = watch::channel(BTreeSet::new());
    let mut monitor = tokio::spawn(Monitor::open(RECEIVE_BUFFER)?.run(names, monitor_in));

    let log = Arc::new(EventLog::new());
    let (requests_in, mut requests) = mpsc::channel(REQUESTS);
    let (reloads_in, reloads) = mpsc::channel(RELOADS);
    let daemon = AgentHandle { requests: requests_in, reloads: reloads_in.clone(), events: Arc::clone(&log) };
    let notifier = Notifier::start(daemon.clone());
    let serving = tokio::spawn(server.run(daemon));
    let (reports_in, mut reports) = mpsc::channel(64);
    let checks = Checks::new(reports_in);
    let (node_in, node) = watch::channel(node_name(&config));
    let looked_at = watch::Sender::new(BTreeSet::new());

    let desk = Desk {
        node,
        reloads: reloads_in,
        looked_at: looked_at.clone(),
        checks: checks.board(),
        mail: mail.clone(),
        hooks: hooks.board(),
        log,
        lost,
        reported: 0.into(),
    };
    let (node, routers) = (desk.node.borrow().clone(), config.routers.len());
    let (version, file, socket) = (env!("CARGO_PKG_VERSION"), config_file.display(), socket.display());
    tracing::info!(version, node, %file, routers, %socket, "started");
    desk.recall(recalled, &config.routers);
    let reloader = Reloader {
        file: config_file,
        running: Arc::new(config),
        node: node_in,
        names: names_in,
        looked_at,
        checks,
        hooks,
        mail: mail.clone(),
        notifier: notifier.clone(),
        events: events_in,
        lost: Arc::clone(&desk.lost),
    };
    let (end_reloads, reloads_end) = oneshot::channel();
    let mut reloader = tokio::spawn(reloader.run(reloads, reloads_end));
    let outcome = loop {
        tokio::select! {
            Some(event) = events.recv() => desk.on_event(event),
            notice = notices.recv() => match notice {
                Some(notice) => on_notice(&notice),
                // It holds the other end for as long as it lives.
                None => break Err(died("vrrp-addresses", "its last words are above".to_owned())),
            },
            Some(request) = requests.recv() => desk.on_request(request),
            Some(report) = reports.recv() => desk.on_check_report(report),
            Some(change) = changes.recv() => desk.on_change(&keeper, change),
            why = &mut protocol.ended => break Err(died(PROTOCOL, why.unwrap_or_default())),
            ended = &mut monitor => break Err(monitor_died(ended)),
            ended = &mut reloader => break Err(reloader_died(&ended)),
            asked = signals.next() => match asked {
                Asked::Reload => desk.reload(),
                Asked::End(signal) => {
                    tracing::info!(signal, "stopping: handing over");
                    break Ok(());
                }
            },
        }
    };
    let hooks_limit = HOOKS_LIMIT + hooks::KILLING;
    let limit = HANDOVER_LIMIT + KILL_LIMIT + KEEPER_LIMIT + hooks_limit + WRITER_LIMIT + printer::PATIENCE;
    notifier.stopping(limit);
    // The rest is the order of the end: say so, hand over, and then let the keeper remove what is left.
    let _ = end_reloads.send(());
    // Whatever ended us: as long as the protocol thread lives, somebody else can take over first.
    if mail.send(Input::Shutdown).is_ok() {
        let farewell = timeout(HANDOVER_LIMIT, stopped);
        tokio::pin!(farewell);
        loop {
            tokio::select! {
                _ = &mut farewell => break,
                Some(event) = events.recv() => desk.on_event(event),
                Some(notice) = notices.recv() => on_notice(&notice),
                Some(request) = requests.recv() => desk.on_request(request),
                signal = signals.next_end() => {
                    tracing::warn!(signal, "stopping at once: nobody may have taken over yet");
                    break;
                }
            }
        }
    }
    // Nobody answers any more. Whoever asked, and whoever asks from now on (a hook that runs vrrpctl), is told so at once.
    drop(requests);
    let rest = match outcome {
        Err(RunError::Died { thread: RELOADER, .. }) => None,
        Ok(()) | Err(_) => reloader.await.ok(),
    };
    let (mut hooks, mut ran) = (None, None);
    if let Some((config, checks, rest)) = rest {
        checks.shutdown().await;
        (ran, hooks) = (Some(config), Some(rest));
    }
    if let (Err(RunError::Died { thread: PROTOCOL, .. }), Some(config)) = (&outcome, &ran) {
        // Nobody has been told: somebody else can take over first, as after a SIGKILL.
        if let Err(error) = clean_up::succeed(config, &keeper).await {
            tracing::error!(%error, "nothing could be handed over");
        }
    }
    release_addresses(keeper, &mut notices).await;
    if let Some(hooks) = &mut hooks {
        finish_hooks(hooks, &mut signals).await;
    }
    while let Ok(event) = events.try_recv() {
        desk.on_event(event);
    }
    let _ = finish.send(());
    if timeout(WRITER_LIMIT, writer).await.is_err() {
        tracing::error!(limit = ?WRITER_LIMIT, "the last demotions may not be saved");
    }
    serving.abort();
    tracing::info!("stopped");
    outcome
}

/// The only daemon of the network namespace, or as good as that can be told.
fn tenancy() -> Result<Option<Tenancy>, RunError> {
    match Tenancy::take() {
        Ok(tenancy) => Ok(Some(tenancy)),
        Err(taken @ TenancyError::Taken(_)) => Err(taken.into()),
        Err(unclear @ (TenancyError::Unclear(_) | TenancyError::Dead(_))) => {
            tracing::warn!("{unclear}");
            Ok(None)
        }
    }
}

/// Sends away whoever asks, so that there is always room for the next one.
fn keep_door(door: UnixListener) -> JoinHandle<io::Result<()>> {
    tokio::spawn(async move {
        let door = tokio::net::UnixListener::from_std(door)?;
        loop {
            if door.accept().await.is_err() {
                // Usually out of file descriptors: those who wait in the backlog can.
                sleep(Duration::from_millis(100)).await;
            }
        }
    })
}

/// What this thread does with what it hears.
struct Desk {
    node: watch::Receiver<String>,
    reloads: mpsc::Sender<ReloadRequest>,
    looked_at: watch::Sender<BTreeSet<InterfaceName>>,
    checks: CheckBoard,
    mail: Sender,
    hooks: HookBoard,
    log: Arc<EventLog>,
    lost: Arc<AtomicU64>,
    reported: AtomicU64,
}

impl Desk {
    fn on_event(&self, event: AgentEvent) {
        log_event(&self.log.push(clock::wall(), event));
        let lost = self.lost.load(Ordering::Relaxed);
        let news = lost.saturating_sub(self.reported.swap(lost, Ordering::Relaxed));
        if news > 0 {
            tracing::warn!(lost = news, "events were lost: more came than could be written down");
        }
    }

    /// Tells the protocol thread what an earlier run wrote down, before the routers are configured.
    fn recall(&self, recalled: Recalled, routers: &[RouterSpec]) {
        for trouble in recalled.troubles {
            tracing::error!(%trouble, "demotions may be forgotten: routers take part unless named below");
        }
        let configured = |name: &RouterName| routers.iter().any(|spec| spec.name == *name);
        // Of routers that are not configured there may be any number, and nobody asked for them.
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

    fn on_request(&self, request: Request) {
        match request {
            Request::Snapshot { reply } => {
                let (snapshot_in, snapshot) = oneshot::channel();
                let (node, hooks, checks) =
                    (self.node.borrow().clone(), self.hooks.clone(), self.checks.clone());
                // A dropped reply tells the server that the daemon ends.
                if self.mail.send(ThreadRequest::Snapshot(snapshot_in)).is_ok() {
                    tokio::spawn(async move {
                        if let Ok(snapshot) = snapshot.await {
                            let (wall, hooks, checks) = (clock::wall(), hooks.snapshot(), checks.snapshot());
                            let _ = reply.send(AgentSnapshot { node, wall, snapshot, hooks, checks });
                        }
                    });
                }
            }
            Request::Command { command, reply } => {
                let _ = self.mail.send(ThreadRequest::Command(command, reply));
            }
        }
    }

    /// SIGHUP. With a full queue there is nothing to do: those who wait there read what is there now, too.
    fn reload(&self) {
        let (reply, _nobody_waits) = oneshot::channel();
        let by = "SIGHUP".to_owned();
        let _ = self.reloads.try_send(ReloadRequest { mode: ReloadMode::Apply, by, reply });
    }

    fn on_check_report(&self, report: CheckReport) {
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

    fn on_change(&self, keeper: &AddressKeeper, change: MonitorEvent) {
        match change {
            MonitorEvent::Link(name, facts) => {
                tell(keeper, Command::Link(name, facts.clone().map(Box::new)));
                if let Some(real) = facts.is_none().then(|| other_name(name)).flatten() {
                    let _ = self.mail.send(Input::OtherName(name, real));
                }
                let _ = self.mail.send(Input::Link(name, facts));
                self.looked_at.send_if_modified(|known| known.insert(name));
            }
            MonitorEvent::AddressesChanged => tell(keeper, Command::Reconcile),
            MonitorEvent::Resync => {
                tracing::warn!("the kernel dropped notifications: everything was read anew");
                tell(keeper, Command::Reconcile);
            }
        }
    }
}

/// The protocol thread, and how we learn that it ended.
struct Protocol {
    ended: oneshot::Receiver<String>,
}

fn spawn_protocol(thread: ProtocolThread, realtime: Realtime) -> Result<Protocol, RunError> {
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
            // A bug of ours must not leave addresses behind: the supervisor hands them over.
            let why = match catch_unwind(AssertUnwindSafe(|| thread.run())) {
                Ok(Ok(())) => "it was told to".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(panic) => panic_message(&*panic),
            };
            let _ = ended_in.send(why);
        })
        .map_err(system("start the protocol thread"))?;
    Ok(Protocol { ended })
}

/// How the end of a `before_active` gets to the protocol thread.
fn prepared_by(mail: Sender) -> Arc<hooks::Prepared> {
    Arc::new(move |router: &RouterName, run| {
        let _ = mail.send(ThreadRequest::BeforeActiveEnded(router.clone(), run));
    })
}

/// The keeper's way to the clock, to frames, and to the rest of the agent.
fn surroundings(mail: Sender, notices: mpsc::Sender<KeeperEvent>, hooks: SharedRoutes) -> Surroundings {
    Surroundings {
        clock: Box::new(clock::now),
        announcer: frame_announcer(),
        promoter: Box::new(promote_secondaries),
        events: Box::new(move |event| {
            hooks.on_keeper(&event);
            let input = match event {
                KeeperEvent::Owned { key, epoch, outcome } => {
                    Input::AddressesHeld(HoldResult { key, epoch, outcome })
                }
                KeeperEvent::Restored { key, count } => Input::AddressesRestored { key, count },
                KeeperEvent::Reinstalled { key, .. } => Input::AddressesReinstalled { key },
                KeeperEvent::Unrestored { key, why } => Input::AddressesNotRestored { key, why },
                KeeperEvent::Released { .. }
                | KeeperEvent::Contested { .. }
                | KeeperEvent::StaleRemoved { .. }
                | KeeperEvent::Unguarded { .. }
                | KeeperEvent::SweptBack { .. }
                | KeeperEvent::Unannounced { .. }
                | KeeperEvent::Stopped { .. } => {
                    // Only log lines are lost with a full queue.
                    let _ = notices.try_send(event);
                    return;
                }
            };
            let _ = mail.send(input);
        }),
    }
}

/// The first few of many.
fn named(routers: &[RouterName]) -> String {
    const NAMED: usize = 5;
    let names: Vec<_> = routers.iter().take(NAMED).map(RouterName::to_string).collect();
    let rest = if routers.len() > NAMED { ", …" } else { "" };
    names.join(", ") + rest
}

fn tell(keeper: &AddressKeeper, command: Command) {
    // Only a keeper that is stuck in the kernel is full; what it is told now it will find by looking.
    if let Err(refused) = keeper.send(command) {
        tracing::error!(%refused, "the address keeper was not told");
    }
}

fn died(thread: &'static str, why: String) -> RunError {
    RunError::Died { thread, why }
}

fn reloader_died<T>(ended: &Result<T, tokio::task::JoinError>) -> RunError {
    let why = ended.as_ref().err().map_or_else(|| "nobody can ask it".to_owned(), ToString::to_string);
    died(RELOADER, why)
}

fn monitor_died(ended: Result<Result<(), MonitorError>, tokio::task::JoinError>) -> RunError {
    match ended {
        Ok(Ok(())) => died("monitor", "nobody listens".to_owned()),
        Ok(Err(error)) => RunError::Monitor(error),
        Err(error) => died("monitor", error.to_string()),
    }
}

pub(super) fn system(step: &'static str) -> impl Fn(io::Error) -> RunError {
    move |source| RunError::System { step, source }
}

fn describe(missing: &[Missing]) -> String {
    let mut text = String::from("this process may not do its work; it lacks");
    for Missing { name, purpose } in missing {
        text.push_str(&format!("\n  {name} {purpose}"));
    }
    text.push_str("\nRun it as root, or grant them: in a systemd unit\n");
    text.push_str("  AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW\n");
    text.push_str("or, to the program itself,\n  setcap cap_net_admin,cap_net_raw+ep /usr/sbin/vrrpd");
    text
}
