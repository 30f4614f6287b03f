//! The control server: who may connect, and how many may be connected.
//!
//! One task serves each connection. When all slots are taken, a new connection replaces the oldest
//! one that neither changes something nor follows events, so that clients that are idle, slow or
//! ask without end cannot keep an operator out. Connections that change or follow cannot keep an
//! operator out either: a user has a limited number of such connections, and root has slots of its
//! own.

use super::call::{CallError, Caller};
use super::connection::ControlConnection;
use super::service::Service;
use super::snapshot_broker::SnapshotSource;
use super::socket::{BindError, ControlSocket, GROUP, bind};
use super::varlink::FrameBuffer;
use crate::agent::AgentHandle;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

/// The limits of the server. With the defaults its memory stays under 66 × (64 KiB + one reply).
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many connections there may be at the same time.
    pub connections: usize,
    /// How many of these connections may follow events. There must be fewer than `connections`,
    /// because a connection that follows keeps its slot.
    pub followers: usize,
    /// How many connections of one user keep their slots because they change something or follow
    /// events.
    pub engaged: usize,
    /// How many slots the operator has in addition to `connections`.
    pub reserved: usize,
    /// The user who is the operator. No other user takes the operator's slots, and the operator may
    /// always follow events.
    pub operator: u32,
    /// The largest call in bytes.
    pub message: usize,
    /// The time from the connection, or the previous reply, to the last byte of a call.
    pub request: Duration,
    /// The time from the first byte of a reply until the peer has taken all of it into its buffer.
    pub write: Duration,
    /// How long the server waits for a snapshot of the daemon.
    pub snapshot: Duration,
    /// How long the server waits until the daemon has carried out commands. It is longer than any
    /// hand-over.
    pub command: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            followers: 32,
            engaged: 16,
            reserved: 2,
            operator: 0,
            message: 64 * 1024,
            request: Duration::from_secs(30),
            write: Duration::from_secs(10),
            snapshot: Duration::from_secs(5),
            command: Duration::from_secs(120),
        }
    }
}

/// A control socket that listens and is not served yet.
#[derive(Debug)]
pub struct Server {
    socket: ControlSocket,
    limits: Limits,
}

impl Server {
    /// Listens on `path`, with mode 0660 and the group [`GROUP`]. The file is removed when the
    /// server is dropped.
    ///
    /// # Errors
    /// [`BindError`]. Where another daemon runs, nothing has been changed.
    pub fn bind(path: &Path, limits: Limits) -> Result<Self, BindError> {
        Ok(Self { socket: bind(path, GROUP)?, limits })
    }

    /// Serves until it is dropped, and then ends every connection. If the daemon stops while a call
    /// is under way, the call is answered with `Stopping`.
    ///
    /// # Errors
    /// If the runtime cannot watch the socket. A client cannot cause this error.
    pub async fn run(self, agent: AgentHandle, snapshots: SnapshotSource) -> std::io::Result<()> {
        let Self { socket, limits } = self;
        let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
        let service = Arc::new(Service::new(agent, snapshots, limits));
        let mut connections = Connections { service, limits, slots: Vec::new(), tasks: JoinSet::new() };
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => connections.admit(stream),
                    Err(error) => {
                        // Usually the process has no file descriptor left. Connections in the
                        // backlog wait until it has.
                        tracing::warn!(%error, "cannot accept a control connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(ended) = connections.tasks.join_next_with_id() => connections.leave(ended),
            }
        }
    }
}

/// The present connections, oldest first.
#[derive(Debug)]
struct Connections {
    service: Arc<Service>,
    limits: Limits,
    slots: Vec<Slot>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Slot {
    task: AbortHandle,
    uid: u32,
    engaged: Arc<AtomicBool>,
}

impl Connections {
    fn admit(&mut self, stream: UnixStream) {
        let Ok(credentials) = stream.peer_cred() else { return };
        let uid = credentials.uid();
        if self.slots.len() >= self.slots_for(uid) && !self.make_room_for(uid) {
            // The socket buffer is empty, so the error is written at once; if it is not, the peer
            // gets none.
            let _best_effort = stream.try_write(&CallError::TooManyConnections.encode());
            return;
        }
        let engaged = Arc::new(AtomicBool::new(false));
        let connection = ControlConnection {
            stream,
            frames: FrameBuffer::new(self.limits.message),
            caller: Caller { uid, pid: credentials.pid() },
            limits: self.limits,
            service: Arc::clone(&self.service),
            engaged: Arc::clone(&engaged),
        };
        let task = self.tasks.spawn(connection.serve());
        self.slots.push(Slot { task, uid, engaged });
    }

    fn slots_for(&self, uid: u32) -> usize {
        let Limits { connections, reserved, operator, .. } = self.limits;
        if uid == operator { connections + reserved } else { connections }
    }

    /// Disconnects the oldest connection that may be replaced. Only the operator can replace a
    /// connection of the operator.
    fn make_room_for(&mut self, uid: u32) -> bool {
        let operator = self.limits.operator;
        let may_go =
            |slot: &Slot| !slot.engaged.load(Ordering::Relaxed) && (slot.uid != operator || uid == operator);
        let idle = self.slots.iter().position(may_go);
        let Some(oldest) = idle.or_else(|| self.beyond_its_share()) else { return false };
        self.slots.remove(oldest).task.abort();
        true
    }

    /// Finds the oldest connection that keeps its slot although its user has too many of them. A
    /// change that it asked for is carried out nevertheless.
    fn beyond_its_share(&self) -> Option<usize> {
        let Limits { engaged, operator, .. } = self.limits;
        let mut of_user: BTreeMap<u32, usize> = BTreeMap::new();
        self.slots.iter().position(|slot| {
            let count = of_user.entry(slot.uid).or_default();
            *count += usize::from(slot.engaged.load(Ordering::Relaxed));
            *count > engaged && slot.uid != operator
        })
    }

    fn leave(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "a control connection panicked: this is a bug of vrrpd");
                }
                error.id()
            }
        };
        self.slots.retain(|slot| slot.task.id() != id);
    }
}
