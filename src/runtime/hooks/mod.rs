//! Hooks: commands of the operator that run when a router changes its state.
//!
//! While a router becomes Active: `before_active`, the addresses are installed, `on_transition`
//! (active). When it stops: the addresses are removed, `after_release`, `on_transition` (backup or
//! initialize). When open connections are kept: `on_drain`, `on_transition`, and `after_release` when
//! the last of them has ended. One hook runs at a time for a configured router, whatever its families are; routers
//! do not wait for each other.
//!
//! - [`gate`] runs on the protocol thread: it tells the worker of a router what happens, and keeps
//!   back the command to install addresses until `before_active` has ended, or its time is up.
//! - [`queue`] is the order of hooks. It is pure: events are its input, and jobs are its output.
//! - [`worker`] runs the jobs on the ordinary runtime, one task for each router. A router without
//!   hooks has a task as well: it may get a hook at a reload, and the task must then know the
//!   state.
//!
//! The protocol thread does not wait for any of this. This module must not know what a hook is for.

mod board;
mod gate;
mod queue;
mod variables;
mod worker;

pub(crate) use board::HookBoard;
pub(in crate::runtime) use gate::HookGate;

use self::queue::WorkerEvent;
use self::variables::RouterIdentity;
use self::worker::{Assignment, AssignmentStart, HookWorker, WorkerPhase};
use crate::agent::{AgentEvent, NodeNames};
use crate::config::{Config, HookKind};
use crate::kernel::keeper::KeeperEvent;
use crate::protocol::RouterSpec;
use crate::runtime::process::KILL_LIMIT;
use crate::types::{InstanceKey, RouterName};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;

/// How many [`WorkerEvent`]s may wait for one worker. A worker reads them at once, so its queue is
/// full only while the kernel does not run the main thread. Then the newest are lost and counted,
/// and no sender waits.
const NEWS: usize = 1024;

/// The time that it takes to end a command that ignores SIGTERM, and a little more.
pub(crate) const KILLING: Duration = KILL_LIMIT.saturating_add(Duration::from_millis(500));

/// Receives the end of a router's `before_active`, with the number of its run.
pub(crate) type Prepared = dyn Fn(&RouterName, u64) + Send + Sync;

/// The receivers of the workers' reports.
#[derive(Clone)]
pub(crate) struct HookOutlets {
    /// The results of hooks. If the queue is full, a result is dropped and counted in `lost`.
    pub(crate) events: mpsc::Sender<AgentEvent>,
    pub(crate) lost: Arc<AtomicU64>,
    /// The `before_active` of this run of a router ended.
    pub(crate) prepared: Arc<Prepared>,
}

impl fmt::Debug for HookOutlets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookOutlets").finish_non_exhaustive()
    }
}

/// The workers of all routers. When this is dropped, the running hooks are killed.
#[derive(Debug)]
pub(crate) struct Hooks {
    outlets: HookOutlets,
    /// The names of the other nodes, which hooks are told.
    names: watch::Receiver<NodeNames>,
    board: HookBoard,
    workers: BTreeMap<RouterName, WorkerHandle>,
    /// The routers of the last configuration.
    routers: BTreeMap<RouterName, RouterSpec>,
    /// The routers that left the configuration earlier, and may have hooks to run.
    departed: BTreeMap<RouterName, RouterSpec>,
    shared_routes: SharedRoutes,
    phase: watch::Sender<WorkerPhase>,
    tasks: JoinSet<()>,
}

/// The handles of a worker.
#[derive(Debug)]
struct WorkerHandle {
    news: mpsc::Sender<WorkerEvent>,
    assignment: watch::Sender<Assignment>,
    busy: BusyFlag,
}

/// The part of a configuration that the gate needs.
#[derive(Debug)]
pub(crate) struct HookRouting {
    routes: WorkerRoutes,
    /// How long a takeover waits for `before_active`, for the routers that have one.
    preparations: BTreeMap<RouterName, Duration>,
}

impl WorkerHandle {
    /// Whether the worker has a hook to run, or will have one when its router releases the
    /// addresses.
    fn is_busy(&self) -> bool {
        self.busy.0.load(Ordering::Relaxed)
    }
}

/// Whether a worker has a hook to run. The worker sets it.
#[derive(Debug, Clone, Default)]
struct BusyFlag(Arc<AtomicBool>);

impl Hooks {
    /// Begins without workers.
    pub(crate) fn new(outlets: HookOutlets, names: watch::Receiver<NodeNames>) -> Self {
        let routes = WorkerRoutes { lost: Arc::clone(&outlets.lost), ..WorkerRoutes::default() };
        Self {
            outlets,
            names,
            board: HookBoard::default(),
            workers: BTreeMap::new(),
            routers: BTreeMap::new(),
            departed: BTreeMap::new(),
            shared_routes: SharedRoutes(Arc::new(Mutex::new(routes))),
            phase: watch::Sender::new(WorkerPhase::Work),
            tasks: JoinSet::new(),
        }
    }

    /// Gives every router its hooks. A running hook continues; the next one is as configured now.
    /// Must be called on a tokio runtime with I/O and time.
    ///
    /// A router that left the configuration keeps its worker for the hooks that run when it
    /// releases its addresses, until a later call finds the worker idle.
    pub(crate) fn apply(&mut self, config: &Config, node: &str) -> HookRouting {
        let routers: BTreeMap<_, _> =
            config.routers.iter().map(|spec| (spec.name.clone(), spec.clone())).collect();
        let before = std::mem::replace(&mut self.routers, routers);
        self.reap();
        let (routers, workers) = (&self.routers, &self.workers);
        let left = |name: &RouterName| !routers.contains_key(name);
        self.departed.retain(|name, _| left(name) && workers.get(name).is_some_and(WorkerHandle::is_busy));
        let departs = before.iter().filter(|(name, _)| left(name));
        self.departed.extend(departs.map(|(name, spec)| (name.clone(), spec.clone())));
        let (routers, departed) = (&self.routers, &self.departed);
        self.workers.retain(|name, _| routers.contains_key(name) || departed.contains_key(name));
        self.board.retain(|name| self.workers.contains_key(name));
        for spec in &config.routers {
            let hooks = config.hooks.get(&spec.name).cloned().unwrap_or_default();
            self.board.open(&spec.name, &hooks);
            let stays = before.get(&spec.name).is_some_and(|before| before.is_same_instance(spec));
            let start = if stays { AssignmentStart::AtOnce } else { AssignmentStart::WithTheRouter };
            let assignment = Assignment { identity: RouterIdentity::of(spec, node), hooks, start };
            match self.workers.get(&spec.name) {
                Some(hand) => drop(hand.assignment.send_replace(assignment)),
                None => self.spawn_worker(spec.name.clone(), assignment),
            }
        }
        // Routers that left, or moved, keep their keys until they are gone.
        let keys = self.departed.values().chain(before.values()).chain(&config.routers);
        let keys = keys.flat_map(|spec| spec.keys().map(|key| (key, spec.name.clone()))).collect();
        let workers = self.workers.iter().map(|(name, hand)| (name.clone(), hand.news.clone())).collect();
        let routes = WorkerRoutes {
            keys: Arc::new(keys),
            workers: Arc::new(workers),
            lost: self.outlets.lost.clone(),
        };
        self.shared_routes.replace(routes.clone());
        let preparations =
            config.hooks.iter().filter(|(_, h)| h.commands.contains_key(&HookKind::BeforeActive));
        let preparations =
            preparations.map(|(name, hooks)| (name.clone(), hooks.before_active_timeout)).collect();
        HookRouting { routes, preparations }
    }

    fn spawn_worker(&mut self, name: RouterName, assignment: Assignment) {
        let (news, told) = mpsc::channel(NEWS);
        let (assignment, assigned) = watch::channel(assignment);
        let busy = BusyFlag::default();
        let (outlets, names, board) = (self.outlets.clone(), self.names.clone(), self.board.clone());
        let worker = HookWorker::new(assigned, outlets, names, board, busy.clone());
        self.tasks.spawn(worker.live(told, self.phase.subscribe()));
        self.workers.insert(name, WorkerHandle { news, assignment, busy });
    }

    /// Returns the routes to the current workers, for the keeper.
    pub(crate) fn shared_routes(&self) -> SharedRoutes {
        self.shared_routes.clone()
    }

    /// Returns the board with the last results of each hook.
    pub(crate) fn board(&self) -> HookBoard {
        self.board.clone()
    }

    /// Lets the workers run the hooks that are due, for `limit` at most; then calls
    /// [`Self::abandon`].
    pub(crate) async fn finish(&mut self, limit: Duration) {
        self.phase.send_replace(WorkerPhase::Finish);
        if timeout(limit, self.ended()).await.is_err() {
            tracing::warn!(?limit, "hooks have not ended in time");
            self.abandon().await;
        }
    }

    /// Kills the running hooks and skips those that are due.
    pub(crate) async fn abandon(&mut self) {
        self.phase.send_replace(WorkerPhase::Abandon);
        let _ = timeout(KILLING, self.ended()).await;
    }

    async fn ended(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            buried(ended);
        }
    }

    /// Removes ended tasks. A task that has ended keeps its memory until its result is asked for.
    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            buried(ended);
        }
    }
}

fn buried(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a hook's task ended: this is a bug, please report it");
    }
}

/// The routes to the current workers, for the address thread. The lock is held for moments only,
/// and never by the protocol thread.
#[derive(Debug, Clone)]
pub(crate) struct SharedRoutes(Arc<Mutex<WorkerRoutes>>);

impl SharedRoutes {
    /// See [`WorkerRoutes::on_keeper`].
    pub(crate) fn on_keeper(&self, event: &KeeperEvent) {
        let routes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        routes.on_keeper(event);
    }

    fn replace(&self, routes: WorkerRoutes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = routes;
    }
}

/// The routes to the workers, for the protocol thread and the keeper's thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorkerRoutes {
    /// The router of each key.
    keys: Arc<BTreeMap<InstanceKey, RouterName>>,
    workers: Arc<BTreeMap<RouterName, mpsc::Sender<WorkerEvent>>>,
    lost: Arc<AtomicU64>,
}

/// The worker could not be told: its queue is full, or it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NotTold;

impl WorkerRoutes {
    /// Tells a worker what the keeper did to the addresses of its router. Never waits.
    pub(crate) fn on_keeper(&self, event: &KeeperEvent) {
        match event {
            // Refused addresses are a fault, and the transition that follows from the fault is
            // reported.
            KeeperEvent::Held { key, outcome: Ok(()), .. } => {
                self.forward(*key, WorkerEvent::Held(key.family))
            }
            // A failed removal counts as well. It is tried again until it succeeds, and the error
            // is logged; but this node does not serve the addresses any more.
            KeeperEvent::Released { key, .. } => self.forward(*key, WorkerEvent::Released(key.family)),
            KeeperEvent::Draining { key, outcome: Ok(()), .. } => {
                self.forward(*key, WorkerEvent::Draining(key.family));
            }
            // What still drains is not free: its connections are served on.
            KeeperEvent::Stopped { outcome: _, draining } => {
                for (key, router) in self.keys.iter().filter(|(key, _)| !draining.contains(key)) {
                    self.tell_or_lose(router, WorkerEvent::Released(key.family));
                }
            }
            KeeperEvent::Held { outcome: Err(_), .. }
            | KeeperEvent::Draining { outcome: Err(_), .. }
            | KeeperEvent::Restored { .. }
            | KeeperEvent::Reinstalled { .. }
            | KeeperEvent::Contested { .. }
            | KeeperEvent::NotRestored { .. }
            | KeeperEvent::StaleRemoved { .. }
            | KeeperEvent::PromotionNotSet { .. }
            | KeeperEvent::ForeignReinstalled { .. }
            | KeeperEvent::GuardRestored { .. }
            | KeeperEvent::NotAnnounced { .. } => {}
        }
    }

    fn router(&self, key: InstanceKey) -> Option<&RouterName> {
        self.keys.get(&key)
    }

    fn forward(&self, key: InstanceKey, news: WorkerEvent) {
        if let Some(router) = self.router(key) {
            self.tell_or_lose(router, news);
        }
    }

    fn tell_or_lose(&self, router: &RouterName, news: WorkerEvent) {
        if self.tell(router, news) == Err(NotTold) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tells the worker of a router. A router without a worker counts as told.
    fn tell(&self, router: &RouterName, news: WorkerEvent) -> Result<(), NotTold> {
        self.workers.get(router).map_or(Ok(()), |worker| worker.try_send(news).map_err(|_| NotTold))
    }
}

#[cfg(test)]
#[path = "hooks_tests.rs"]
mod tests;
