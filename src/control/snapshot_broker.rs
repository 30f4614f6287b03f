//! Snapshots for many clients. The protocol thread makes at most 50 of them a second.
//!
//! Clients that ask while a snapshot is being made share the next one, and there is a pause between
//! two snapshots. So each answer was made after its question (a `status` after a `demote` shows the
//! demotion), however many clients ask.

use crate::agent::{AgentSnapshot, Request};
use crate::types::MonoTime;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The pause between two snapshots.
const DISTANCE: Duration = Duration::from_millis(20);

/// How many questions may wait. Each connection, to the control socket or to the endpoint for
/// monitoring, has one question; a client that finds the queue full waits in `send`.
const WAITING: usize = 64;

/// The largest difference between two readings that is not a step of the wall clock. The two clocks
/// are read a moment apart, and the wall clock is slewed; without a tolerance, "since" would change
/// from one answer to the next.
const STEADY: SignedDuration = SignedDuration::from_millis(100);

type Asker = oneshot::Sender<Arc<AgentSnapshot>>;

/// The place to ask for a snapshot. The control server and the endpoint for monitoring share it.
#[derive(Debug, Clone)]
pub struct SnapshotSource {
    askers: mpsc::Sender<Asker>,
}

/// Takes the snapshots for all who wait. A task runs it.
#[derive(Debug)]
struct SnapshotBroker {
    askers: mpsc::Receiver<Asker>,
    requests: mpsc::Sender<Request>,
    /// The same instant on both clocks.
    reference: Option<(MonoTime, Timestamp)>,
}

/// The daemon has ended and answers no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

/// Creates both ends.
fn open(requests: mpsc::Sender<Request>) -> (SnapshotSource, SnapshotBroker) {
    let (sender, askers) = mpsc::channel(WAITING);
    (SnapshotSource { askers: sender }, SnapshotBroker { askers, requests, reference: None })
}

impl SnapshotSource {
    /// Starts the task that takes snapshots. It ends when nobody can ask it any more, or the agent
    /// answers no more.
    #[must_use]
    pub fn start(requests: mpsc::Sender<Request>) -> Self {
        let (source, broker) = open(requests);
        tokio::spawn(broker.run());
        source
    }

    /// Returns a snapshot that is taken after this call.
    pub(super) async fn snapshot(&self) -> Result<Arc<AgentSnapshot>, Gone> {
        let (asker, answer) = oneshot::channel();
        self.askers.send(asker).await.map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }
}

impl SnapshotBroker {
    /// Serves until the daemon has ended.
    async fn run(mut self) {
        while let Some(first) = self.askers.recv().await {
            let mut waiting = vec![first];
            while let Ok(asker) = self.askers.try_recv() {
                waiting.push(asker);
            }
            let (reply, answer) = oneshot::channel();
            if self.requests.send(Request::Snapshot { reply }).await.is_err() {
                return;
            }
            // On an error the senders are dropped, and the clients that wait on them see that.
            if let Ok(published) = answer.await {
                let published = Arc::new(steady(&mut self.reference, published));
                for asker in waiting {
                    let _asker_went_away = asker.send(Arc::clone(&published));
                }
            }
            tokio::time::sleep(DISTANCE).await;
        }
    }
}

/// Dates a snapshot by an earlier reading of both clocks, unless the wall clock was stepped since.
fn steady(reference: &mut Option<(MonoTime, Timestamp)>, mut published: AgentSnapshot) -> AgentSnapshot {
    let at = published.snapshot.at;
    let expected = reference.and_then(|(then, wall)| {
        let passed = SignedDuration::try_from(at.since(then)).ok()?;
        wall.checked_add(passed).ok()
    });
    match expected {
        Some(expected) if published.wall.duration_since(expected).abs() < STEADY => published.wall = expected,
        Some(_) | None => *reference = Some((at, published.wall)),
    }
    published
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::NodeNames;
    use crate::protocol::Snapshot;

    fn published(at_ms: u64, wall_ms: i64) -> AgentSnapshot {
        let at = MonoTime::from_nanos(at_ms * 1_000_000);
        AgentSnapshot {
            names: NodeNames::default(),
            node: "n".into(),
            wall: Timestamp::from_millisecond(wall_ms).unwrap(),
            snapshot: Snapshot { at, routers: vec![], links: vec![], watched: vec![] },
            hooks: std::collections::BTreeMap::new(),
            checks: std::collections::BTreeMap::new(),
            channel: crate::agent::ChannelStatus::default(),
            metrics_problem: None,
        }
    }

    #[test]
    fn small_differences_of_the_clocks_do_not_show_and_steps_do() {
        let mut reference = None;
        let mut dated = |at, wall| steady(&mut reference, published(at, wall)).wall.as_millisecond();
        assert_eq!(dated(1_000, 50_000), 50_000);
        assert_eq!(dated(2_000, 51_003), 51_000);
        assert_eq!(dated(3_000, 51_999), 52_000);
        assert_eq!(dated(4_000, 90_000), 90_000, "the wall clock was set");
        assert_eq!(dated(5_000, 91_001), 91_000);
    }

    #[tokio::test]
    async fn askers_share_a_round_and_nobody_gets_an_older_one() {
        let (requests, mut daemon) = mpsc::channel(1);
        let (snapshots, broker) = open(requests);
        let broker = tokio::spawn(broker.run());
        let rounds = tokio::spawn(async move {
            let mut round = 0;
            while let Some(Request::Snapshot { reply }) = daemon.recv().await {
                round += 1;
                let _gone = reply.send(published(round, 0));
            }
            round
        });
        let flood: Vec<_> = (0..500)
            .map(|_| {
                let snapshots = snapshots.clone();
                tokio::spawn(async move { snapshots.snapshot().await.map(|p| p.snapshot.at) })
            })
            .collect();
        let mut last = MonoTime::ZERO;
        for asker in flood {
            let at = asker.await.unwrap().unwrap();
            assert!(at >= last);
            last = at;
        }
        drop(snapshots);
        broker.await.unwrap();
        assert!(rounds.await.unwrap() < 50, "500 questions in a few rounds");
    }
}
