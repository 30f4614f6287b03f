//! The users that checks and hooks run as.
//!
//! Owns who that is where the configuration names nobody: checks get a user of their own where there is one and the
//! daemon may change users (docs/adr/0021).

use crate::agent::FailureKind;
use crate::kernel::blocking::{BlockingTask, spawn};
use crate::kernel::capabilities;
use nix::unistd::{User, getgrouplist};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::watch;

/// For checks of which the configuration does not say as whom they run. The package makes it.
const CHECKS: &str = "vrrpd-check";

/// A user, with the groups that a login would have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Arc<[u32]>,
}

impl Account {
    /// Asks the name service. That may take as long as its servers like, and cannot be ended: not on the
    /// runtime's own thread, and whoever asks for a name waits for the answer to the question that is under way.
    pub(super) fn look_up(name: &str) -> BlockingTask<Result<Self, FailureKind>> {
        static QUESTIONS: Questions<Result<Account, FailureKind>> = Questions::new();
        QUESTIONS.ask(name, Self::of)
    }

    fn of(name: &str) -> Result<Self, FailureKind> {
        let cannot = |error| FailureKind::CouldNotRun(format!("cannot look up \"{name}\": {error}"));
        let user = User::from_name(name).map_err(cannot)?;
        let user = user.ok_or_else(|| FailureKind::CouldNotRun(format!("no user \"{name}\"")))?;
        // A name that was found has no NUL in it.
        let name = CString::new(user.name).unwrap_or_default();
        let groups = getgrouplist(&name, user.gid).map_err(cannot)?;
        let groups = groups.into_iter().map(nix::unistd::Gid::as_raw).collect();
        Ok(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups })
    }
}

/// Questions under way, one for each name, however many ask it: the routers of a machine have hooks in the name of the
/// same user.
struct Questions<T: 'static>(Mutex<BTreeMap<String, watch::Receiver<Option<T>>>>);

impl<T: Clone + Send + Sync + 'static> Questions<T> {
    const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    fn ask(&self, name: &str, question: impl FnOnce(&str) -> T + Send + 'static) -> BlockingTask<T> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, answer| is_under_way(answer));
        if let Some(answer) = asked.get(name) {
            return told(answer.clone());
        }
        let (answer_in, answer) = watch::channel(None);
        asked.insert(name.to_owned(), answer.clone());
        let name = name.to_owned();
        // Where there can be no more threads, this one is told so, and the others that nobody asks.
        spawn(move || {
            let answer = question(&name);
            answer_in.send_replace(Some(answer.clone()));
            answer
        })
    }
}

/// It is not, if nobody will answer any more.
fn is_under_way<T>(answer: &watch::Receiver<T>) -> bool {
    answer.has_changed().is_ok()
}

fn told<T: Clone + Send + Sync + 'static>(mut answer: watch::Receiver<Option<T>>) -> BlockingTask<T> {
    Box::pin(async move {
        let answer = answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
        answer.ok_or_else(|| io::Error::other("nobody answers the same question of somebody else"))
    })
}

/// The user of checks that name none; `None`: the daemon's. Found out once: a name service that is down later must not
/// change in whose name a check runs.
pub(super) fn for_checks() -> Option<&'static str> {
    static FOUND: OnceLock<Option<&'static str>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let exists = || {
            let user = User::from_name(CHECKS).ok().flatten();
            user.is_some_and(|user| capabilities::knows_user(user.uid.as_raw()))
        };
        (capabilities::may_change_users() && exists()).then_some(CHECKS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::channel;

    #[tokio::test]
    async fn a_question_that_is_under_way_is_asked_once() {
        let questions = Questions::new();
        let (answers, hangs) = channel();
        let hangs = Arc::new(Mutex::new(hangs));
        let asked = Arc::new(AtomicU32::new(0));
        let ask = |name: &str| {
            let (asked, hangs) = (Arc::clone(&asked), Arc::clone(&hangs));
            questions.ask(name, move |_| {
                asked.fetch_add(1, Ordering::Relaxed);
                hangs.lock().unwrap().recv().unwrap_or(0)
            })
        };
        let (first, second) = (ask("nobody"), ask("nobody"));
        answers.send(7).unwrap();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (7, 7));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // An answer is not kept: the user may be another by now.
        answers.send(8).unwrap();
        let deadline = std::time::Duration::from_secs(20);
        let fresh = async {
            while ask("nobody").await.unwrap() != 8 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(deadline, fresh).await.unwrap();
    }

    #[tokio::test]
    async fn a_question_that_is_given_up_goes_on_for_the_others() {
        let questions = Questions::new();
        let (answers, hangs) = channel::<u32>();
        let first = questions.ask("nobody", move |_| hangs.recv().unwrap_or(0));
        let second = questions.ask("nobody", |_| unreachable!("it is under way"));
        drop(first);
        answers.send(7).unwrap();
        assert_eq!(second.await.unwrap(), 7);
        let dies = questions.ask("other", |name| if name.is_empty() { 0 } else { panic!("on purpose") });
        assert!(dies.await.is_err());
    }
}
