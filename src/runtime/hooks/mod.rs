//! Hooks: an operator's commands at the turning points of a router.
//!
//! In the order of a tenure: `before_active`, the addresses come, `on_transition` (active); the
//! addresses go, `after_release`, `on_transition` (backup or initialize). One at a time for a
//! configured router, whatever its families; routers do not wait for each other.
//!
//! - [`gate`] stands on the protocol thread: it tells the worker of a router what happens, and keeps
//!   back the wish for addresses until `before_active` ended, or its time is up.
//! - [`queue`] is the order, pure: news in, what to run out.
//! - [`worker`] runs it on the ordinary runtime, one task for each router that has hooks.
//!
//! The protocol thread waits for none of this. Must not know: what a hook is for.

mod board;
mod gate;
mod queue;
mod variables;
mod worker;

pub use board::{HookBoard, HookRun, HookStatus, Running};
pub(in crate::runtime) use gate::Gate;

use self::queue::News;
use self::variables::Place;
use self::worker::{Stage, Worker};
use crate::config::Config;
use crate::kernel::keeper::KeeperEvent;
use crate::protocol::Event;
use crate::types::{RouterName, VrKey};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// News that may wait for one worker, which reads them at once: it is full only while the main thread
/// is not run. Then the newest are lost and counted, and nobody waits.
const NEWS: usize = 1024;

/// What ends a command that ignores SIGTERM, and a little more.
const KILLING: Duration = Duration::from_secs(2);

/// Takes the end of a router's `before_active`, and which run it was.
pub(super) type Prepared = dyn Fn(&RouterName, u64) + Send + Sync;

/// Whom the workers tell.
#[derive(Clone)]
pub(super) struct Outlets {
    /// What came of a hook. Full: dropped and counted in `lost`.
    pub(super) events: mpsc::Sender<Event>,
    pub(super) lost: Arc<AtomicU64>,
    /// The `before_active` of this run of a router ended.
    pub(super) prepared: Arc<Prepared>,
}

impl fmt::Debug for Outlets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlets").finish_non_exhaustive()
    }
}

/// The workers of all routers that have hooks. Dropped, what they run is killed.
#[derive(Debug)]
pub(super) struct Hooks {
    lines: Lines,
    board: HookBoard,
    stage: watch::Sender<Stage>,
    tasks: JoinSet<()>,
}

impl Hooks {
    /// Starts the workers. Must be called on a tokio runtime with I/O and time.
    pub(super) fn start(config: &Config, node: &str, outlets: &Outlets) -> Self {
        let (stage, stages) = watch::channel(Stage::Work);
        let board = HookBoard::default();
        let mut lines = BTreeMap::new();
        let mut tasks = JoinSet::new();
        for spec in &config.routers {
            let Some(hooks) = config.hooks.get(&spec.name) else { continue };
            let (sender, news) = mpsc::channel(NEWS);
            for member in &spec.members {
                let line = Line { router: spec.name.clone(), news: sender.clone() };
                lines.insert(spec.key(member.family), line);
            }
            board.open(&spec.name, hooks);
            let worker = Worker::new(Place::of(spec, node), hooks.clone(), outlets.clone(), board.clone());
            tasks.spawn(worker.live(news, stages.clone()));
        }
        let lines = Lines { lines: Arc::new(lines), lost: Arc::clone(&outlets.lost) };
        Self { lines, board, stage, tasks }
    }

    /// The way to the workers.
    pub(super) fn lines(&self) -> Lines {
        self.lines.clone()
    }

    /// What became of each hook, shared.
    pub(super) fn board(&self) -> HookBoard {
        self.board.clone()
    }

    /// Lets the workers run what is due, for `limit` at most; then [`Self::abandon`].
    pub(super) async fn finish(&mut self, limit: Duration) {
        self.stage.send_replace(Stage::Finish);
        if timeout(limit, self.ended()).await.is_err() {
            tracing::warn!(?limit, "hooks have not ended in time");
            self.abandon().await;
        }
    }

    /// Kills what runs and leaves out what is due.
    pub(super) async fn abandon(&mut self) {
        self.stage.send_replace(Stage::Abandon);
        let _ = timeout(KILLING, self.ended()).await;
    }

    async fn ended(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a hook's task ended: this is a bug, please report it");
            }
        }
    }
}

/// The way to the workers, by virtual router; for the protocol thread and the keeper's.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    lines: Arc<BTreeMap<VrKey, Line>>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Line {
    router: RouterName,
    news: mpsc::Sender<News>,
}

/// The worker was not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NotTold;

impl Lines {
    /// What the keeper did matters to hooks as well. Never waits.
    pub(super) fn on_keeper(&self, event: &KeeperEvent) {
        match event {
            // Refused addresses are a fault, and what follows from that is a transition.
            KeeperEvent::Owned { key, outcome: Ok(()), .. } => {
                self.tell_or_lose(*key, News::Owned(key.family))
            }
            // `Err`: tried again for ever, and an error in the log. The service has moved all the same.
            KeeperEvent::Released { key, .. } => self.tell_or_lose(*key, News::Released(key.family)),
            KeeperEvent::Stopped { .. } => {
                for key in self.lines.keys() {
                    self.tell_or_lose(*key, News::Released(key.family));
                }
            }
            KeeperEvent::Owned { outcome: Err(_), .. }
            | KeeperEvent::Restored { .. }
            | KeeperEvent::Reinstalled { .. }
            | KeeperEvent::Contested { .. }
            | KeeperEvent::Unrestored { .. }
            | KeeperEvent::StaleRemoved { .. }
            | KeeperEvent::SquatterRemoved { .. }
            | KeeperEvent::Unannounced { .. } => {}
        }
    }

    fn router(&self, key: VrKey) -> Option<&RouterName> {
        self.lines.get(&key).map(|line| &line.router)
    }

    fn tell_or_lose(&self, key: VrKey, news: News) {
        if self.tell(key, news) == Err(NotTold) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A router without hooks has nobody to be told.
    fn tell(&self, key: VrKey, news: News) -> Result<(), NotTold> {
        self.lines.get(&key).map_or(Ok(()), |line| line.news.try_send(news).map_err(|_| NotTold))
    }
}

#[cfg(test)]
#[path = "hooks_tests.rs"]
mod tests;
