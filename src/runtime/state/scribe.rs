//! Who writes demotions down, between the protocol thread and the operator who waits for an answer.
//!
//! Owns the order: what a command changed is on the disk before its answer goes out, or the answer
//! says that it is not. A disk that hangs holds up nothing but a few answers, and those not for long.

use super::document::Demotions;
use super::{StateError, Store};
use crate::agent::CommandReply;
use crate::kernel::blocking::{BlockingTask, spawn};
use crate::protocol::{Answer, Demotion};
use crate::runtime::clock;
use crate::types::RouterName;
use futures_util::FutureExt;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

/// Notes that are dealt with at once: with one write for all of them.
const BATCH: usize = 1024;
const PATIENCE: Patience = Patience { write: Duration::from_secs(2), retry: Duration::from_secs(30) };

/// How long it waits.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// Then an operator gets an answer, with a warning.
    write: Duration,
    /// Then it is tried again what could not be written: a full disk is emptied some day.
    retry: Duration,
}

/// What the protocol thread tells, in its order.
#[derive(Debug)]
pub(crate) enum Note {
    /// This is to survive a restart; `None`: it is not demoted any more.
    Remember { router: RouterName, demotion: Option<Demotion> },
    /// The command is answered.
    Answer { router: RouterName, answer: Answer, reply: oneshot::Sender<CommandReply> },
}

/// Writes everything; may block.
type Pen = Box<dyn FnMut(&Demotions) -> Result<(), StateError> + Send>;
/// A write under way, and whose demotions are not on the disk before it ends.
type Writing = (BTreeSet<RouterName>, BlockingTask<Result<(), StateError>>);

/// The one who writes; to be run by a task.
pub(crate) struct Scribe {
    notes: mpsc::Receiver<Note>,
    wanted: Demotions,
    /// Of whom the file may say something else than is wanted, besides those being written.
    owed: BTreeSet<RouterName>,
    patience: Patience,
    pen: Arc<Mutex<Pen>>,
    writing: Option<Writing>,
    /// Why the last attempt failed.
    failure: Option<String>,
}

/// Whether a save is news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    Change,
    Retry,
}

impl Scribe {
    /// Goes on from what was recalled; the file still has the `expired`.
    pub(crate) fn new(
        notes: mpsc::Receiver<Note>,
        mut store: Store,
        recalled: Demotions,
        expired: Vec<RouterName>,
    ) -> Self {
        let pen: Pen = Box::new(move |demotions| store.save(demotions, clock::wall()));
        let owed = expired.into_iter().collect();
        Self {
            notes,
            wanted: recalled,
            owed,
            patience: PATIENCE,
            pen: Arc::new(Mutex::new(pen)),
            writing: None,
            failure: None,
        }
    }

    /// Writes and answers until the protocol thread has ended, or `finish` asks for what is there.
    pub(crate) async fn run(mut self, finish: oneshot::Receiver<()>) {
        self.save(Occasion::Change).await;
        let mut finish = finish.fuse();
        let mut notes = Vec::new();
        loop {
            tokio::select! {
                count = self.notes.recv_many(&mut notes, BATCH) => match count {
                    0 => return,
                    _ => self.take_down(&mut notes).await,
                },
                _ = &mut finish => self.notes.close(),
                () = sleep(self.patience.retry) => self.save(Occasion::Retry).await,
            }
        }
    }

    async fn take_down(&mut self, notes: &mut Vec<Note>) {
        let mut answers = Vec::new();
        for note in notes.drain(..) {
            match note {
                Note::Remember { router, demotion } => {
                    self.owed.insert(router.clone());
                    match demotion {
                        Some(demotion) => drop(self.wanted.insert(router, demotion)),
                        None => drop(self.wanted.remove(&router)),
                    }
                }
                Note::Answer { router, answer, reply } => answers.push((router, answer, reply)),
            }
        }
        self.save(Occasion::Change).await;
        for (router, answer, reply) in answers {
            // Who asked may be gone.
            let _ = reply.send(CommandReply { answer, saved: self.saved(&router) });
        }
    }

    /// Whether the file says about a router what it should.
    fn saved(&self, router: &RouterName) -> Result<(), String> {
        let being_written = self.writing.as_ref().is_some_and(|(routers, _)| routers.contains(router));
        if !being_written && !self.owed.contains(router) {
            return Ok(());
        }
        Err(self.failure.clone().unwrap_or_else(|| "it is not written yet".to_owned()))
    }

    fn is_due(&self) -> bool {
        !self.owed.is_empty() || self.writing.is_some()
    }

    async fn save(&mut self, occasion: Occasion) {
        if !self.is_due() {
            return;
        }
        let patience = self.patience.write;
        let outcome = match timeout(patience, self.write()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("the disk of the state directory did not answer within {patience:?}")),
        };
        match (&outcome, occasion, &self.failure) {
            (Err(why), Occasion::Change, _) => {
                tracing::error!(why, "demotions are not saved: they will not survive a restart");
            }
            (Ok(()), Occasion::Change | Occasion::Retry, Some(_)) => {
                tracing::info!("demotions are saved again");
            }
            (Err(_), Occasion::Retry, _) | (Ok(()), Occasion::Change | Occasion::Retry, None) => {}
        }
        self.failure = outcome.err();
    }

    /// Writes until the file says what is wanted, or cannot. One write at a time; given up in the
    /// middle, it goes on where it was.
    async fn write(&mut self) -> Result<(), String> {
        while self.is_due() {
            let Self { wanted, owed, pen, .. } = self;
            let writing =
                self.writing.get_or_insert_with(|| (std::mem::take(owed), begin(pen, wanted.clone())));
            let ended = (&mut writing.1).await;
            let failure = match ended {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                // It cannot be begun, or it panicked.
                Err(error) => Some(error.to_string()),
            };
            let routers = self.writing.take().map(|(routers, _)| routers).unwrap_or_default();
            if let Some(failure) = failure {
                self.owed.extend(routers);
                return Err(failure);
            }
        }
        Ok(())
    }
}

fn begin(pen: &Arc<Mutex<Pen>>, demotions: Demotions) -> BlockingTask<Result<(), StateError>> {
    let pen = Arc::clone(pen);
    spawn(move || pen.lock().unwrap_or_else(PoisonError::into_inner)(&demotions))
}

#[cfg(test)]
mod tests;
