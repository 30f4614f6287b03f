//! What the service manager is told (sd_notify(3)): that the agent is ready, reloads, stops and lives, and
//! its states in one line.
//!
//! The teller is one more client of the agent: it asks for the states by the road of `vrrpctl status`,
//! through the supervisor's loop and the mailbox of the protocol thread and back. That answer is what it
//! takes for progress. The end of a turn would not do: a Backup that nobody talks to has none for seconds, and
//! a thread may turn and not read its mailbox. So one of the two that hangs leaves the watchdog without food,
//! and a ready agent is one that has answered.
//!
//! It runs on the main thread, as a task of its own: a service manager that does not read holds up nobody.
//! Without `NOTIFY_SOCKET` there is no task, and nothing is done.
//!
//! Must not know: what a state means; what a reload does.

mod dues;
mod manager;
mod status;

#[cfg(test)]
mod tests;

use self::dues::{Dues, News};
use self::manager::Manager;
use super::clock;
use crate::agent::{AgentHandle, AgentSnapshot, EventFilter, Request};
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

/// News that may wait while the service manager does not read: so many reloads in a row are nobody's.
const WAITING: usize = 64;
/// Between two questions that events ask: a thousand routers that move are one line, not a thousand.
const CALM: Duration = Duration::from_millis(100);

/// Tells the service manager, if there is one.
#[derive(Debug, Clone)]
pub(crate) struct Notifier(Option<mpsc::Sender<News>>);

impl Notifier {
    /// Looks for a service manager in the environment, and starts the task that tells it.
    pub(crate) fn start(agent: AgentHandle) -> Self {
        let manager = match Manager::of(|name| std::env::var_os(name)) {
            Ok(Some(manager)) => manager,
            Ok(None) => return Self(None),
            Err(error) => {
                tracing::warn!(%error, "the service manager cannot be told anything");
                return Self(None);
            }
        };
        Self::telling(manager, agent)
    }

    /// Tells nobody.
    #[cfg(test)]
    pub(crate) const fn without_manager() -> Self {
        Self(None)
    }

    fn telling(manager: Manager, agent: AgentHandle) -> Self {
        let (tell, news) = mpsc::channel(WAITING);
        tokio::spawn(
            Teller { socket: manager.socket, agent, dues: Dues::default() }.run(news, manager.watchdog),
        );
        Self(Some(tell))
    }

    /// Every virtual router was given to the protocol thread: ready as soon as that answers.
    pub(crate) fn configured(&self) {
        self.tell(News::Configured);
    }

    /// A reload begins. Whatever comes of it, [`Self::configured`] must follow: until then the service
    /// manager waits.
    pub(crate) fn reloading(&self) {
        self.tell(News::Reloading { at: clock::monotonic() });
    }

    /// The agent ends, within this time.
    pub(crate) fn stopping(&self, limit: Duration) {
        self.tell(News::Stopping { limit });
    }

    fn tell(&self, news: News) {
        if let Some(tell) = &self.0
            && tell.try_send(news).is_err()
        {
            tracing::warn!("the service manager does not read what it is told");
        }
    }
}

/// The task.
struct Teller {
    socket: UnixDatagram,
    agent: AgentHandle,
    dues: Dues,
}

/// Whether the protocol thread was asked.
enum Question {
    No,
    Asked(oneshot::Receiver<AgentSnapshot>),
    /// Nobody is there any more to answer: the agent ends.
    Void,
}

impl Teller {
    async fn run(mut self, mut news: mpsc::Receiver<News>, watchdog: Option<Duration>) {
        let (_, mut events) = self.agent.events.follow(0, EventFilter::default());
        // As sd_watchdog_enabled(3) advises.
        let mut beats = watchdog.map(|limit| beats(limit / 2));
        let mut question = Question::No;
        let mut calm = Instant::now();
        loop {
            if matches!(question, Question::No) && self.dues.wants_answer() {
                question = self.ask().await;
            }
            let message = tokio::select! {
                news = news.recv() => match news {
                    Some(news) => self.dues.on_news(news),
                    None => return,
                },
                () = next(&mut beats) => self.dues.on_beat(),
                () = async { sleep_until(calm).await; events.next().await; } => {
                    calm = Instant::now() + CALM;
                    self.dues.on_event();
                    None
                }
                published = answer(&mut question) => self.dues.on_answer(&status::line(&published.snapshot)),
            };
            if let Some(message) = message {
                self.say(&message).await;
            }
        }
    }

    /// Waits if the supervisor does not take requests: then there is no progress to tell of.
    async fn ask(&self) -> Question {
        let (reply, question) = oneshot::channel();
        match self.agent.requests.send(Request::Snapshot { reply }).await {
            Ok(()) => Question::Asked(question),
            Err(_) => Question::Void,
        }
    }

    async fn say(&self, message: &str) {
        if let Err(error) = self.socket.send(message.as_bytes()).await {
            tracing::warn!(%error, message, "the service manager was not told");
        }
    }
}

fn beats(period: Duration) -> Interval {
    // Not zero, which `interval_at` would refuse.
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

/// Waits for it, if it was asked for.
async fn answer(question: &mut Question) -> AgentSnapshot {
    if let Question::Asked(waiting) = question {
        let answered = waiting.await;
        *question = if answered.is_ok() { Question::No } else { Question::Void };
        if let Ok(published) = answered {
            return published;
        }
    }
    std::future::pending().await
}
