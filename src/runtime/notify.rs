//! Tells the service manager (sd_notify(3)) that the agent is ready, reloads, stops and is alive,
//! and tells it the states in one line.
//!
//! The task asks for the states as `vrrpctl status` does: through the main loop and the mailbox of
//! the protocol thread. An answer shows that both make progress. The end of a turn of the protocol
//! thread would not show it: a Backup that receives nothing does not have a turn for seconds, and a
//! thread may run its turns without reading its mailbox. So if the main loop or the protocol thread
//! hangs, no `WATCHDOG=1` is sent; and an agent that has answered is ready.
//!
//! The task runs on the main thread: a service manager that does not read delays nothing else.
//! Without `NOTIFY_SOCKET` the task is not started. This module must not know what a state means,
//! or what a reload does.

mod manager;
mod pending;
mod status;

#[cfg(test)]
mod tests;

use self::manager::Manager;
use self::pending::{AgentPhase, PendingNotices};
use super::clock;
use crate::agent::{AgentHandle, AgentSnapshot, EventFilter, Request};
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

/// How many phases may wait while the service manager does not read. Reloads are never so frequent;
/// when the queue is full, the newest phase is dropped with a warning.
const WAITING: usize = 64;
/// The time between two questions that events cause: a thousand routers that change their state
/// cause one line, not a thousand.
const CALM: Duration = Duration::from_millis(100);

/// Tells the service manager, if there is one.
#[derive(Debug, Clone)]
pub(crate) struct Notifier(Option<mpsc::Sender<AgentPhase>>);

impl Notifier {
    /// Looks for a service manager in the environment, and starts the task that tells it.
    pub(crate) fn start(agent: AgentHandle) -> Self {
        let manager = match Manager::of(|name| std::env::var_os(name)) {
            Ok(Some(manager)) => manager,
            Ok(None) => return Self(None),
            Err(error) => {
                tracing::warn!(%error, "no message can be sent to the service manager");
                return Self(None);
            }
        };
        Self::telling(manager, agent)
    }

    /// Makes a notifier without a service manager.
    #[cfg(test)]
    pub(crate) const fn without_manager() -> Self {
        Self(None)
    }

    fn telling(manager: Manager, agent: AgentHandle) -> Self {
        let (tell, news) = mpsc::channel(WAITING);
        tokio::spawn(
            NotifyTask { socket: manager.socket, agent, pending: PendingNotices::default() }
                .run(news, manager.watchdog),
        );
        Self(Some(tell))
    }

    /// Every virtual router was given to the protocol thread: the agent is ready as soon as that
    /// thread answers.
    pub(crate) fn configured(&self) {
        self.tell(AgentPhase::Configured);
    }

    /// A reload begins. Whatever its result is, [`Self::configured`] must follow: until then the
    /// service manager waits.
    pub(crate) fn reloading(&self) {
        self.tell(AgentPhase::Reloading { at: clock::monotonic() });
    }

    /// The agent ends, within this time.
    pub(crate) fn stopping(&self, limit: Duration) {
        self.tell(AgentPhase::Stopping { limit });
    }

    fn tell(&self, news: AgentPhase) {
        if let Some(tell) = &self.0
            && tell.try_send(news).is_err()
        {
            tracing::warn!("the service manager does not read its messages");
        }
    }
}

/// The task that tells the service manager.
struct NotifyTask {
    socket: UnixDatagram,
    agent: AgentHandle,
    pending: PendingNotices,
}

/// Whether the protocol thread was asked.
enum PendingQuestion {
    No,
    Asked(oneshot::Receiver<AgentSnapshot>),
    /// The agent ends, so the question will not be answered.
    Void,
}

impl NotifyTask {
    async fn run(mut self, mut news: mpsc::Receiver<AgentPhase>, watchdog: Option<Duration>) {
        let (_, mut events) = self.agent.events.follow(0, EventFilter::default());
        // sd_watchdog_enabled(3) advises half of the limit.
        let mut beats = watchdog.map(|limit| beats(limit / 2));
        let mut question = PendingQuestion::No;
        let mut calm = Instant::now();
        loop {
            if matches!(question, PendingQuestion::No) && self.pending.wants_answer() {
                question = self.ask().await;
            }
            let message = tokio::select! {
                news = news.recv() => match news {
                    Some(news) => self.pending.on_phase(news),
                    None => return,
                },
                () = next(&mut beats) => self.pending.on_beat(),
                () = async { sleep_until(calm).await; events.next().await; } => {
                    calm = Instant::now() + CALM;
                    self.pending.on_event();
                    None
                }
                published = answer(&mut question) => self.pending.on_answer(&status::line(&published.snapshot)),
            };
            if let Some(message) = message {
                self.say(&message).await;
            }
        }
    }

    /// Asks for the states. Waits if the main loop does not take requests: then there is no
    /// progress to report.
    async fn ask(&self) -> PendingQuestion {
        let (reply, question) = oneshot::channel();
        match self.agent.requests.send(Request::Snapshot { reply }).await {
            Ok(()) => PendingQuestion::Asked(question),
            Err(_) => PendingQuestion::Void,
        }
    }

    async fn say(&self, message: &str) {
        if let Err(error) = self.socket.send(message.as_bytes()).await {
            tracing::warn!(%error, message, "a message to the service manager was not sent");
        }
    }
}

fn beats(period: Duration) -> Interval {
    // The period must not be zero, which `interval_at` would refuse.
    let period = period.max(Duration::from_millis(1));
    let mut beats = interval_at(Instant::now() + period, period);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

async fn next(beats: &mut Option<Interval>) {
    match beats {
        Some(beats) => drop(beats.tick().await),
        None => std::future::pending().await,
    }
}

/// Waits for the answer, if the question was asked.
async fn answer(question: &mut PendingQuestion) -> AgentSnapshot {
    if let PendingQuestion::Asked(waiting) = question {
        let answered = waiting.await;
        *question = if answered.is_ok() { PendingQuestion::No } else { PendingQuestion::Void };
        if let Ok(published) = answered {
            return published;
        }
    }
    std::future::pending().await
}
