//! Writes demotions to the disk, between the protocol thread and the operator who waits for an
//! answer.
//!
//! Owns the order: what a command changed is on the disk before the command is answered, or the
//! answer says that it is not. A disk that hangs delays only a few answers, and those for a limited
//! time.

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

/// How many messages are handled at once, with one write for all of them.
const BATCH: usize = 1024;
const LIMITS: WriterLimits = WriterLimits { write: Duration::from_secs(2), retry: Duration::from_secs(30) };

/// How long the writer waits.
#[derive(Debug, Clone, Copy)]
struct WriterLimits {
    /// After this time an operator gets an answer, with a warning.
    write: Duration,
    /// After this time a failed write is tried again, because a full disk may have room then.
    retry: Duration,
}

/// The messages of the protocol thread, in their order.
#[derive(Debug)]
pub(crate) enum WriterMessage {
    /// This demotion must survive a restart; `None` if the router is not demoted any more.
    Save { router: RouterName, demotion: Option<Demotion> },
    /// The command can be answered.
    Answer { router: RouterName, answer: Answer, reply: oneshot::Sender<CommandReply> },
}

/// Writes all demotions; may block.
type SaveFunction = Box<dyn FnMut(&Demotions) -> Result<(), StateError> + Send>;
/// A write in progress, and the routers whose demotions are not on the disk before it ends.
type Writing = (BTreeSet<RouterName>, BlockingTask<Result<(), StateError>>);

/// The writer of demotions, which a task runs.
pub(crate) struct DemotionWriter {
    messages: mpsc::Receiver<WriterMessage>,
    wanted: Demotions,
    /// The routers whose demotions in the file may differ from what is wanted, besides those that
    /// are being written.
    unsaved: BTreeSet<RouterName>,
    limits: WriterLimits,
    save_all: Arc<Mutex<SaveFunction>>,
    writing: Option<Writing>,
    /// Why the last attempt failed.
    failure: Option<String>,
}

/// Whether a save changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SaveTrigger {
    Change,
    Retry,
}

impl DemotionWriter {
    /// Continues with the demotions that were read; the file still contains the `expired` ones.
    pub(crate) fn new(
        messages: mpsc::Receiver<WriterMessage>,
        mut store: Store,
        recalled: Demotions,
        expired: Vec<RouterName>,
    ) -> Self {
        let save_all: SaveFunction = Box::new(move |demotions| store.save(demotions, clock::wall()));
        let unsaved = expired.into_iter().collect();
        Self {
            messages,
            wanted: recalled,
            unsaved,
            limits: LIMITS,
            save_all: Arc::new(Mutex::new(save_all)),
            writing: None,
            failure: None,
        }
    }

    /// Writes and answers until the protocol thread has ended, or until `finish` asks for what is
    /// there to be written.
    pub(crate) async fn run(mut self, finish: oneshot::Receiver<()>) {
        self.save(SaveTrigger::Change).await;
        let mut finish = finish.fuse();
        let mut messages = Vec::new();
        loop {
            tokio::select! {
                count = self.messages.recv_many(&mut messages, BATCH) => match count {
                    0 => return,
                    _ => self.process(&mut messages).await,
                },
                _ = &mut finish => self.messages.close(),
                () = sleep(self.limits.retry) => self.save(SaveTrigger::Retry).await,
            }
        }
    }

    async fn process(&mut self, messages: &mut Vec<WriterMessage>) {
        let mut answers = Vec::new();
        for message in messages.drain(..) {
            match message {
                WriterMessage::Save { router, demotion } => {
                    self.unsaved.insert(router.clone());
                    match demotion {
                        Some(demotion) => drop(self.wanted.insert(router, demotion)),
                        None => drop(self.wanted.remove(&router)),
                    }
                }
                WriterMessage::Answer { router, answer, reply } => answers.push((router, answer, reply)),
            }
        }
        self.save(SaveTrigger::Change).await;
        for (router, answer, reply) in answers {
            // The client that asked may be gone.
            let _ = reply.send(CommandReply { answer, saved: self.saved(&router) });
        }
    }

    /// Whether the file contains what it should about a router.
    fn saved(&self, router: &RouterName) -> Result<(), String> {
        let being_written = self.writing.as_ref().is_some_and(|(routers, _)| routers.contains(router));
        if !being_written && !self.unsaved.contains(router) {
            return Ok(());
        }
        Err(self.failure.clone().unwrap_or_else(|| "it is not written yet".to_owned()))
    }

    fn is_due(&self) -> bool {
        !self.unsaved.is_empty() || self.writing.is_some()
    }

    async fn save(&mut self, trigger: SaveTrigger) {
        if !self.is_due() {
            return;
        }
        let limit = self.limits.write;
        let outcome = match timeout(limit, self.write()).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("the disk of the state directory did not answer within {limit:?}")),
        };
        match (&outcome, trigger, &self.failure) {
            (Err(why), SaveTrigger::Change, _) => {
                tracing::error!(why, "demotions are not saved: they will not survive a restart");
            }
            (Ok(()), SaveTrigger::Change | SaveTrigger::Retry, Some(_)) => {
                tracing::info!("demotions are saved again");
            }
            (Err(_), SaveTrigger::Retry, _) | (Ok(()), SaveTrigger::Change | SaveTrigger::Retry, None) => {}
        }
        self.failure = outcome.err();
    }

    /// Writes until the file contains what is wanted, or cannot be written. There is one write at a
    /// time. If this future is dropped in the middle, the next call continues with the same write.
    async fn write(&mut self) -> Result<(), String> {
        while self.is_due() {
            let Self { wanted, unsaved, save_all, .. } = self;
            let writing = self
                .writing
                .get_or_insert_with(|| (std::mem::take(unsaved), begin(save_all, wanted.clone())));
            let ended = (&mut writing.1).await;
            let failure = match ended {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                // The write cannot be started, or it panicked.
                Err(error) => Some(error.to_string()),
            };
            let routers = self.writing.take().map(|(routers, _)| routers).unwrap_or_default();
            if let Some(failure) = failure {
                self.unsaved.extend(routers);
                return Err(failure);
            }
        }
        Ok(())
    }
}

fn begin(save_all: &Arc<Mutex<SaveFunction>>, demotions: Demotions) -> BlockingTask<Result<(), StateError>> {
    let save_all = Arc::clone(save_all);
    spawn(move || save_all.lock().unwrap_or_else(PoisonError::into_inner)(&demotions))
}

#[cfg(test)]
mod tests;
