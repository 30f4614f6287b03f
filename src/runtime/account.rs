//! The users that checks and hooks run as.
//!
//! Owns the choice of the user if the configuration does not name one: checks get a user of their
//! own if that user exists and the daemon may change users (docs/adr/0021).

use crate::agent::FailureKind;
use crate::kernel::blocking::{BlockingTask, spawn};
use crate::kernel::capabilities;
use nix::unistd::{User, getgrouplist};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::watch;

/// The user of checks for which the configuration does not name one. The package creates the user.
const CHECKS: &str = "vrrpd-check";

/// A user, with the groups that a login would have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Arc<[u32]>,
}

impl Account {
    /// Asks the name service. That may take as long as its servers need, and cannot be ended. So it
    /// is not done on the runtime's own thread, and all who ask for one name wait for the same
    /// answer.
    pub(super) fn look_up(name: &str) -> BlockingTask<Result<Self, FailureKind>> {
        static QUESTIONS: Questions<Result<Account, FailureKind>> = Questions::new();
        QUESTIONS.ask(name, Self::of)
    }

    fn of(name: &str) -> Result<Self, FailureKind> {
        let cannot = |error| FailureKind::CouldNotRun(format!("cannot look up \"{name}\": {error}"));
        let user = User::from_name(name).map_err(cannot)?;
        let user = user.ok_or_else(|| FailureKind::CouldNotRun(format!("no user \"{name}\"")))?;
        // A name that was found does not contain a NUL.
        let name = CString::new(user.name).unwrap_or_default();
        let groups = getgrouplist(&name, user.gid).map_err(cannot)?;
        let groups = groups.into_iter().map(nix::unistd::Gid::as_raw).collect();
        Ok(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups })
    }
}

/// Questions that wait for an answer, one for each name, however many callers ask it: the hooks of
/// all routers of a machine may run as the same user.
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
        // If no more threads can be started, this caller gets the error, and the others see that
        // the question has no answer.
        spawn(move || {
            let answer = question(&name);
            answer_in.send_replace(Some(answer.clone()));
            answer
        })
    }
}

/// Whether an answer is still expected. It is not if the sender is gone.
fn is_under_way<T>(answer: &watch::Receiver<T>) -> bool {
    answer.has_changed().is_ok()
}

fn told<T: Clone + Send + Sync + 'static>(mut answer: watch::Receiver<Option<T>>) -> BlockingTask<T> {
    Box::pin(async move {
        let answer = answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
        answer.ok_or_else(|| io::Error::other("another look-up of the same user ended without an answer"))
    })
}

/// The user of checks that do not name one; `None` for the daemon's user. It is determined once,
/// because a name service that is down later must not change the user that a check runs as.
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
        // An answer is not kept, because the user may be another one by the next question.
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
