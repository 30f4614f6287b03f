//! Starts the threads, joins what they say, and ends them in order.
//!
//! Everything here may be slow: nothing the protocol does on time passes through this thread.

use super::clock;
use super::hooks::{self, Gate, HookBoard, Hooks, Lines};
use super::mailbox::{Letter, Mailbox, Sender};
use super::notify::Notifier;
use super::process::Outcome;
use super::reactor::{Outlets, Reactor};
use super::state::{Moment, Recalled, Scribe, Store};
use super::trackers::{Checks, Verdict};
use crate::config::{Config, Realtime};
use crate::control::{BindError, Daemon, Limits, Published, Request, Server};
use crate::kernel::capabilities::{self, Missing};
use crate::kernel::keeper::{
    AddressKeeper, Command, KeeperError, KeeperEvent, Surroundings, frame_announcer,
};
use crate::kernel::monitor::{Monitor, MonitorError, MonitorEvent, RECEIVE_BUFFER};
use crate::kernel::realtime;
use crate::protocol::{Event, EventKind, Owned, RouterSpec, Track};
use crate::telemetry::EventLog;
use crate::telemetry::log::log_event;
use crate::types::{InterfaceName, RouterName};
use std::any::Any;
use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// Events, verdicts and notices that may wait for this thread. It does little, so a full queue means
/// that it is not run; then the oldest stay and the newest are counted as lost.
const QUEUE: usize = 4096;
/// Requests of the control server; it waits when there is no room.
const REQUESTS: usize = 16;
/// Notes of the scribe; the protocol thread keeps what has no room.
const NOTES: usize = 256;
/// Longer than any hand-over of a stop (3 s).
const HANDOVER_LIMIT: Duration = Duration::from_secs(5);
/// A netlink batch of thousands of addresses takes a second at most.
const KEEPER_LIMIT: Duration = Duration::from_secs(10);
/// Longer than the scribe's own patience with the disk.
const SCRIBE_LIMIT: Duration = Duration::from_secs(3);
/// For all hooks of the end together.
const HOOKS_LIMIT: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Debug)]
pub struct Settings {
    /// The configuration.
    pub config: Config,
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
    let Settings { config, socket, state_dir } = settings;
    let mut signals = Signals::open()?;
    let server = Server::bind(&socket, Limits::default())?;
    let (mail, mailbox) = Mailbox::open().map_err(system("make an eventfd"))?;
    let (events_in, mut events) = mpsc::channel(QUEUE);
    let lost = Arc::new(AtomicU64::new(0));
    let told = hooks::Outlets {
        events: events_in.clone(),
        lost: Arc::clone(&lost),
        prepared: prepared_by(mail.clone()),
    };
    let mut hooks = Hooks::start(&config, &node_name(&config), &told);
    let (notices_in, mut notices) = mpsc::channel(QUEUE);
    let keeper = AddressKeeper::spawn(surroundings(mail.clone(), notices_in, hooks.lines()))?;
    let keeper = Arc::new(keeper);
    let gate = Gate::new(&config, hooks.lines());
    let (stopped_in, stopped) = oneshot::channel();
    let (notes_in, notes) = mpsc::channel(NOTES);
    let (store, recalled) = Store::open(&state_dir, Moment { mono: clock::now(), wall: clock::wall() });
    let scribe = Scribe::new(notes, store, recalled.demotions.clone(), recalled.expired.clone());
    let outlets =
        Outlets { events: events_in, lost: Arc::clone(&lost), notes: notes_in, stopped: stopped_in };
    let reactor =
        Reactor::new(mailbox, Arc::clone(&keeper), gate, outlets).map_err(system("start the protocol"))?;
    let mut protocol = spawn_protocol(reactor, config.agent.realtime)?;
    let (finish, finished) = oneshot::channel();
    let scribe = tokio::spawn(scribe.run(finished));

    let (monitor_in, mut changes) = mpsc::channel(64);
    let watched = watched(&config.routers);
    let (_names, names) = watch::channel(watched.clone());
    let mut monitor = tokio::spawn(Monitor::open(RECEIVE_BUFFER)?.run(names, monitor_in));

    let log = Arc::new(EventLog::new());
    let (requests_in, mut requests) = mpsc::channel(REQUESTS);
    let daemon = Daemon { requests: requests_in, events: Arc::clone(&log) };
    let notifier = Notifier::start(daemon.clone());
    let serving = tokio::spawn(server.run(daemon));
    let (verdicts_in, mut verdicts) = mpsc::channel(64);
    let mut checks = Checks::new(verdicts_in);

    let desk = Desk {
        node: node_name(&config),
        mail: mail.clone(),
        hooks: hooks.board(),
        log,
        lost,
        reported: 0.into(),
    };
    let mut start = Start { missing: watched, routers: Some(config.routers) };
    tracing::info!(node = desk.node, socket = %socket.display(), "started");
    desk.recall(recalled, start.routers.as_deref().unwrap_or_default());
    let outcome = loop {
        tokio::select! {
            Some(event) = events.recv() => desk.on_event(event),
            Some(notice) = notices.recv() => on_notice(&notice),
            Some(request) = requests.recv() => desk.on_request(request),
            Some(verdict) = verdicts.recv() => desk.on_verdict(verdict),
            Some(change) = changes.recv() => {
                desk.on_change(&keeper, change, &mut start);
                if start.is_due() {
                    let _ = mail.send(Letter::Configure(start.routers.take().unwrap_or_default()));
                    checks.apply(&config.checks);
                    notifier.configured();
                }
            }
            why = &mut protocol.ended => break Err(died("vrrp-protocol", why.unwrap_or_default())),
            ended = &mut monitor => break Err(monitor_died(ended)),
            signal = signals.next() => {
                tracing::info!(signal, "stopping: handing over");
                break Ok(());
            }
        }
    };
    notifier.stopping(HANDOVER_LIMIT + KEEPER_LIMIT + HOOKS_LIMIT + SCRIBE_LIMIT);
    // The rest is the order of the end: say so, hand over, and then let the keeper remove what is left.
    if outcome.is_ok() && mail.send(Letter::Shutdown).is_ok() {
        let farewell = timeout(HANDOVER_LIMIT, stopped);
        tokio::pin!(farewell);
        loop {
            tokio::select! {
                _ = &mut farewell => break,
                Some(event) = events.recv() => desk.on_event(event),
                Some(notice) = notices.recv() => on_notice(&notice),
                Some(request) = requests.recv() => desk.on_request(request),
                signal = signals.next() => {
                    tracing::warn!(signal, "stopping at once: nobody may have taken over yet");
                    break;
                }
            }
        }
    }
    checks.shutdown().await;
    release_addresses(&keeper, &mut notices).await;
    finish_hooks(&mut hooks, &mut signals).await;
    while let Ok(event) = events.try_recv() {
        desk.on_event(event);
    }
    let _ = finish.send(());
    if timeout(SCRIBE_LIMIT, scribe).await.is_err() {
        tracing::error!(limit = ?SCRIBE_LIMIT, "the last demotions may not be saved");
    }
    serving.abort();
    tracing::info!("stopped");
    outcome
}

/// Nothing is left behind, whatever brought us here.
async fn release_addresses(keeper: &AddressKeeper, notices: &mut mpsc::Receiver<KeeperEvent>) {
    if keeper.send(Command::Stop).is_err() {
        tracing::error!("the address keeper has ended: addresses may be left behind");
        return;
    }
    let stopped = async {
        while let Some(notice) = notices.recv().await {
            on_notice(&notice);
            if matches!(notice, KeeperEvent::Stopped { .. }) {
                return;
            }
        }
    };
    if timeout(KEEPER_LIMIT, stopped).await.is_err() {
        tracing::error!(limit = ?KEEPER_LIMIT, "the kernel does not answer: addresses may be left behind");
    }
}

/// The last hooks, of routers that have let go. Another signal leaves them out.
async fn finish_hooks(hooks: &mut Hooks, signals: &mut Signals) {
    let skipped = tokio::select! {
        () = hooks.finish(HOOKS_LIMIT) => None,
        signal = signals.next() => Some(signal),
    };
    if let Some(signal) = skipped {
        tracing::warn!(signal, "stopping at once: hooks are left out");
        hooks.abandon().await;
    }
}

/// What this thread does with what it hears.
struct Desk {
    node: String,
    mail: Sender,
    hooks: HookBoard,
    log: Arc<EventLog>,
    lost: Arc<AtomicU64>,
    reported: AtomicU64,
}

impl Desk {
    fn on_event(&self, event: Event) {
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
        for router in recalled.expired {
            self.on_event(Event { router, key: None, kind: EventKind::DemotionExpired });
        }
        for (router, demotion) in recalled.demotions {
            let (since, by, reason) = (&demotion.since, &demotion.by, &demotion.reason);
            let until = demotion.until.as_ref().map_or("promoted", |until| &until.text);
            if routers.iter().any(|spec| spec.name == router) {
                tracing::warn!(%router, since, by, reason, until, "is demoted since an earlier run");
            } else {
                tracing::warn!(%router, since, by, reason, until, "is demoted, but not configured");
            }
            let _ = self.mail.send(Letter::Remembered(router, demotion));
        }
    }

    fn on_request(&self, request: Request) {
        match request {
            Request::Snapshot { reply } => {
                let (snapshot_in, snapshot) = oneshot::channel();
                let (node, board) = (self.node.clone(), self.hooks.clone());
                // A dropped reply tells the server that the daemon ends.
                if self.mail.send(Letter::Snapshot(snapshot_in)).is_ok() {
                    tokio::spawn(async move {
                        if let Ok(snapshot) = snapshot.await {
                            let (wall, hooks) = (clock::wall(), board.snapshot());
                            let _ = reply.send(Published { node, wall, snapshot, hooks });
                        }
                    });
                }
            }
            Request::Command { command, reply } => {
                let _ = self.mail.send(Letter::Command(command, reply));
            }
        }
    }

    fn on_verdict(&self, verdict: Verdict) {
        let Verdict { check, health, outcome } = verdict;
        match outcome {
            Outcome::Passed => tracing::info!(check = &*check.0, "check passes"),
            Outcome::Failed(failure) => tracing::warn!(check = &*check.0, %failure, "check fails"),
        }
        let _ = self.mail.send(Letter::Check(check, health));
    }

    fn on_change(&self, keeper: &AddressKeeper, change: MonitorEvent, start: &mut Start) {
        match change {
            MonitorEvent::Link(name, facts) => {
                start.missing.remove(&name);
                tell(keeper, Command::Link(name, facts.clone()));
                let _ = self.mail.send(Letter::Link(name, facts));
            }
            MonitorEvent::AddressesChanged => tell(keeper, Command::Reconcile),
            MonitorEvent::Resync => {
                tracing::warn!("the kernel dropped notifications: everything was read anew");
                tell(keeper, Command::Reconcile);
            }
        }
    }
}

/// The virtual routers start when every interface they name was looked at, so that what exists is
/// not a fault for the first millisecond.
struct Start {
    missing: BTreeSet<InterfaceName>,
    routers: Option<Vec<RouterSpec>>,
}

impl Start {
    fn is_due(&self) -> bool {
        self.missing.is_empty() && self.routers.is_some()
    }
}

/// SIGTERM and SIGINT end the agent; SIGHUP must not.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn open() -> Result<Self, RunError> {
        let watch = |kind| signal(kind).map_err(system("watch signals"));
        Ok(Self {
            terminate: watch(SignalKind::terminate())?,
            interrupt: watch(SignalKind::interrupt())?,
            hang_up: watch(SignalKind::hangup())?,
        })
    }

    /// The next one that ends the agent.
    async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hang_up.recv() => {
                    tracing::warn!("SIGHUP: this version cannot reload; restart it, it hands over without a gap");
                }
            }
        }
    }
}

/// The protocol thread, and how we learn that it ended.
struct Protocol {
    ended: oneshot::Receiver<String>,
}

fn spawn_protocol(reactor: Reactor, realtime: Realtime) -> Result<Protocol, RunError> {
    let (ended_in, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("vrrp-protocol".to_owned())
        .spawn(move || {
            match realtime {
                Realtime::Off => {}
                Realtime::On => {
                    let (scheduling, memory) = (realtime::raise_thread(), realtime::lock_memory());
                    tracing::info!(%scheduling, %memory, "real-time scheduling was asked for");
                }
            }
            // A bug of ours must not leave addresses behind: the supervisor removes them.
            let why = match catch_unwind(AssertUnwindSafe(|| reactor.run())) {
                Ok(Ok(())) => "it was told to".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(panic) => last_words(&*panic),
            };
            let _ = ended_in.send(why);
        })
        .map_err(system("start the protocol thread"))?;
    Ok(Protocol { ended })
}

/// How the end of a `before_active` gets to the protocol thread.
fn prepared_by(mail: Sender) -> Arc<hooks::Prepared> {
    Arc::new(move |router: &RouterName, run| {
        let _ = mail.send(Letter::Prepared(router.clone(), run));
    })
}

/// The keeper's way to the clock, to frames, and to the rest of the agent.
fn surroundings(mail: Sender, notices: mpsc::Sender<KeeperEvent>, hooks: Lines) -> Surroundings {
    Surroundings {
        clock: Box::new(clock::now),
        announcer: frame_announcer(),
        events: Box::new(move |event| {
            hooks.on_keeper(&event);
            let letter = match event {
                KeeperEvent::Owned { key, epoch, outcome } => Letter::Owned(Owned { key, epoch, outcome }),
                KeeperEvent::Restored { key, count } | KeeperEvent::Reinstalled { key, count } => {
                    Letter::Restored { key, count }
                }
                KeeperEvent::Unrestored { key, why } => Letter::Unrestored { key, why },
                KeeperEvent::Released { .. }
                | KeeperEvent::Contested { .. }
                | KeeperEvent::StaleRemoved { .. }
                | KeeperEvent::SquatterRemoved { .. }
                | KeeperEvent::Unannounced { .. }
                | KeeperEvent::Stopped { .. } => {
                    // Only log lines are lost with a full queue.
                    let _ = notices.try_send(event);
                    return;
                }
            };
            let _ = mail.send(letter);
        }),
    }
}

fn on_notice(notice: &KeeperEvent) {
    match notice {
        KeeperEvent::Released { key, outcome: Err(why), .. } => {
            tracing::error!(%key, why, "addresses could not be removed; trying again");
        }
        KeeperEvent::Contested { key, count } => tracing::warn!(
            %key, count, "somebody keeps changing our addresses; is it a network manager?"
        ),
        KeeperEvent::StaleRemoved { interface, addresses } => {
            tracing::warn!(interface, ?addresses, "removed addresses that a previous run left behind");
        }
        KeeperEvent::SquatterRemoved { key, addresses } => tracing::warn!(
            %key, ?addresses, "removed addresses that this node must not hold now"
        ),
        KeeperEvent::Unannounced { key, why } => {
            tracing::warn!(%key, why, "an announcement could not be sent")
        }
        KeeperEvent::Stopped { outcome: Err(why) } => {
            tracing::error!(why, "addresses may be left behind");
        }
        KeeperEvent::Owned { .. }
        | KeeperEvent::Released { .. }
        | KeeperEvent::Restored { .. }
        | KeeperEvent::Reinstalled { .. }
        | KeeperEvent::Unrestored { .. }
        | KeeperEvent::Stopped { .. } => {}
    }
}

/// Every interface that a router runs on or tracks.
fn watched(routers: &[RouterSpec]) -> BTreeSet<InterfaceName> {
    let tracked = routers.iter().flat_map(|router| &router.tracks).filter_map(|track| match track {
        Track::Interface(name) => Some(*name),
        Track::Check(_) | Track::WeightedCheck(..) => None,
    });
    routers.iter().map(|router| router.interface).chain(tracked).collect()
}

fn tell(keeper: &AddressKeeper, command: Command) {
    // Only a keeper that is stuck in the kernel is full; what it is told now it will find by looking.
    if let Err(refused) = keeper.send(command) {
        tracing::error!(%refused, "the address keeper was not told");
    }
}

fn node_name(config: &Config) -> String {
    let host = || nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    config.agent.node_name.clone().or_else(host).unwrap_or_else(|| "localhost".to_owned())
}

fn last_words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("this is a bug, please report it: {}", text.unwrap_or_default())
}

fn died(thread: &'static str, why: String) -> RunError {
    RunError::Died { thread, why }
}

fn monitor_died(ended: Result<Result<(), MonitorError>, tokio::task::JoinError>) -> RunError {
    match ended {
        Ok(Ok(())) => died("monitor", "nobody listens".to_owned()),
        Ok(Err(error)) => RunError::Monitor(error),
        Err(error) => died("monitor", error.to_string()),
    }
}

fn system(step: &'static str) -> impl Fn(io::Error) -> RunError {
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
