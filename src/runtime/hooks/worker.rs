//! Runs the hooks of one router, one at a time.
//!
//! A started command ends by itself, by its time-out, or because its preparation is cancelled. In
//! each case its whole process group has ended before the next command starts. (A command that
//! hangs in the kernel is given up after the limit of [`Attempt::kill`], because it must not delay
//! the other hooks without a limit. While the start of a command hangs, the other hooks of the
//! router fail.)

use super::board::HookBoard;
use super::queue::{Action, FamilyTransition, HookQueue, Job, WorkerEvent};
use super::variables::{RouterIdentity, Variables};
use super::{BusyFlag, HookOutlets};
use crate::agent::{
    AgentEvent, AgentEventKind, FailureKind, HookOutcome, HookRun, NodeNames, ProgramFailure, ProgramOutcome,
};
use crate::config::{HookKind, RouterHooks};
use crate::kernel::confinement::Confinement;
use crate::protocol::StateName;
use crate::runtime::account::Account;
use crate::runtime::clock;
use crate::runtime::process::{Attempt, Launch, OutputMode, Starter};
use futures_util::future::OptionFuture;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

/// How long installing or removing addresses may take, before a state counts as settled without
/// them: a netlink batch of thousands takes a second. The time that `before_active` may take is
/// added to it.
const ADDRESSES_TAKE: Duration = Duration::from_secs(5);

/// The order that all workers follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WorkerPhase {
    /// Run all hooks.
    Work,
    /// Run the hooks that are due, and end.
    Finish,
    /// End at once.
    Abandon,
}

/// The hooks that a worker runs, and their router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) identity: RouterIdentity,
    pub(super) hooks: RouterHooks,
    pub(super) start: AssignmentStart,
}

/// The moment from which an assignment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AssignmentStart {
    /// The assignment holds at once, because the router stays.
    AtOnce,
    /// The assignment holds when the router is gone, because another router of the same name
    /// replaces it then.
    WithTheRouter,
}

/// The task of one router.
pub(super) struct HookWorker {
    identity: RouterIdentity,
    hooks: RouterHooks,
    queue: HookQueue,
    outlets: HookOutlets,
    names: watch::Receiver<NodeNames>,
    board: HookBoard,
    /// The account is looked up until it is found once.
    account: Option<Account>,
    /// Starts the hooks. It is with the running hook while one runs.
    starter: Starter,
    assignments: watch::Receiver<Assignment>,
    next: NextAssignment,
    busy: BusyFlag,
}

/// The assignment that a worker takes later.
enum NextAssignment {
    Nothing,
    /// The assignment is taken when the router that is leaving has a successor.
    WithStart(Assignment),
    /// The router has a successor, and its own addresses are still being removed: `after_release`
    /// belongs to the old router.
    WithRelease(Assignment),
}

/// A running hook.
struct RunningHook {
    job: Job,
    /// This sender is dropped in order to end the hook.
    cancel: Option<oneshot::Sender<()>>,
    end: Pin<Box<dyn Future<Output = EndedHook> + Send>>,
}

/// How a hook ended.
struct EndedHook {
    outcome: HookOutcome,
    took: Duration,
    account: Option<Account>,
    starter: Starter,
}

/// The command of one hook, ready to run.
struct HookCommand {
    command: Vec<String>,
    variables: Variables,
    limit: Duration,
    user: Option<String>,
    account: Option<Account>,
    starter: Starter,
}

impl HookWorker {
    pub(super) fn new(
        mut assignments: watch::Receiver<Assignment>,
        outlets: HookOutlets,
        names: watch::Receiver<NodeNames>,
        board: HookBoard,
        busy: BusyFlag,
    ) -> Self {
        let Assignment { identity, hooks, start: _ } = assignments.borrow_and_update().clone();
        let configured = hooks.commands.keys().copied().collect();
        let queue = HookQueue::new(configured, patience(&hooks), identity.families.iter().copied());
        let (account, starter, next) = (None, Starter::default(), NextAssignment::Nothing);
        Self { identity, hooks, queue, outlets, names, board, account, starter, assignments, next, busy }
    }

    /// Runs the worker until it is told to end.
    pub(super) async fn live(
        mut self,
        mut news: mpsc::Receiver<WorkerEvent>,
        mut stages: watch::Receiver<WorkerPhase>,
    ) {
        let mut run: Option<RunningHook> = None;
        loop {
            if run.is_none() {
                let job = self.queue.next();
                run = job.map(|job| self.start(job));
            }
            if self.queue.is_released() {
                self.take_up_next();
            }
            self.busy.0.store(run.is_some() || !self.queue.is_idle(), Ordering::Relaxed);
            let phase = *stages.borrow_and_update();
            if run.is_none() && phase != WorkerPhase::Work && news.is_empty() {
                return;
            }
            let deadline = self.queue.deadline().map(|at| sleep(at.since(clock::now())));
            tokio::select! {
                biased;
                told = news.recv() => match told {
                    Some(told) => self.on_news(told, &mut run),
                    // All senders are gone, so no more events arrive.
                    None => {
                        self.abandon(&mut run).await;
                        return;
                    }
                },
                Some(end) = OptionFuture::from(run.as_mut().map(|run| &mut run.end)) => {
                    self.conclude(run.take(), end);
                }
                Ok(()) = self.assignments.changed() => self.read_assignment(),
                Some(()) = OptionFuture::from(deadline) => self.queue.on_deadline(clock::now()),
                changed = stages.changed() => {
                    if changed.is_err() || *stages.borrow() == WorkerPhase::Abandon {
                        self.abandon(&mut run).await;
                        return;
                    }
                }
            }
        }
    }

    fn read_assignment(&mut self) {
        let assignment = self.assignments.borrow_and_update().clone();
        match assignment.start {
            AssignmentStart::WithTheRouter if !self.queue.is_idle() => {
                self.next = NextAssignment::WithStart(assignment)
            }
            AssignmentStart::WithTheRouter | AssignmentStart::AtOnce => self.take_up(assignment),
        }
    }

    /// Takes the waiting assignment: the router that was leaving is gone.
    fn take_up_next(&mut self) {
        match std::mem::replace(&mut self.next, NextAssignment::Nothing) {
            NextAssignment::WithRelease(assignment) => self.take_up(assignment),
            next @ (NextAssignment::Nothing | NextAssignment::WithStart(_)) => self.next = next,
        }
    }

    /// Takes an assignment. A running hook continues as it was started.
    fn take_up(&mut self, assignment: Assignment) {
        self.next = NextAssignment::Nothing;
        let Assignment { identity, hooks, start: _ } = assignment;
        if hooks.user != self.hooks.user {
            self.account = None;
        }
        let configured = hooks.commands.keys().copied().collect();
        self.queue.reconfigure(configured, patience(&hooks), identity.families.iter().copied());
        (self.identity, self.hooks) = (identity, hooks);
    }

    fn on_news(&mut self, news: WorkerEvent, run: &mut Option<RunningHook>) {
        // The assignment was sent before this event.
        if self.assignments.has_changed().unwrap_or(false) {
            self.read_assignment();
        }
        if let WorkerEvent::Moved(FamilyTransition { from, to, .. }) = news {
            self.next = match std::mem::replace(&mut self.next, NextAssignment::Nothing) {
                NextAssignment::WithStart(assignment) if from == StateName::Initialize => {
                    NextAssignment::WithRelease(assignment)
                }
                next @ (NextAssignment::Nothing
                | NextAssignment::WithStart(_)
                | NextAssignment::WithRelease(_)) => next,
            };
            if to == StateName::Active {
                self.take_up_next();
            }
        }
        for action in self.queue.accept(clock::now(), clock::wall(), news) {
            self.carry_out(action, run);
        }
    }

    fn carry_out(&self, action: Action, run: &mut Option<RunningHook>) {
        match action {
            Action::Kill => drop(run.as_mut().and_then(|run| run.cancel.take())),
            Action::Drop(job, why) => {
                self.board.skipped(&self.identity.router, job.hook);
                self.report(job, why.into(), Duration::ZERO);
            }
        }
    }

    async fn abandon(&mut self, run: &mut Option<RunningHook>) {
        for action in self.queue.clear() {
            self.carry_out(action, run);
        }
        if let Some(mut running) = run.take() {
            drop(running.cancel.take());
            let end = (&mut running.end).await;
            self.conclude(Some(running), end);
        }
    }

    fn start(&mut self, job: Job) -> RunningHook {
        let order = HookCommand {
            command: self.hooks.commands.get(&job.hook).cloned().unwrap_or_default(),
            variables: self.identity.variables(job.hook, &job.facts, &self.names.borrow()),
            limit: self.hooks.timeout_of(job.hook),
            user: self.hooks.user.clone(),
            account: self.account.clone(),
            starter: std::mem::take(&mut self.starter),
        };
        self.board.started(&self.identity.router, job.hook);
        let (cancel, cancelled) = oneshot::channel();
        RunningHook { job, cancel: Some(cancel), end: Box::pin(order.carry_out(cancelled)) }
    }

    fn conclude(&mut self, run: Option<RunningHook>, end: EndedHook) {
        let Some(RunningHook { job, .. }) = run else { return };
        self.queue.ended();
        self.account = self.account.take().or(end.account);
        self.starter = end.starter;
        match job.hook {
            HookKind::BeforeActive => (self.outlets.prepared)(&self.identity.router, job.run),
            HookKind::OnTransition | HookKind::OnDrain | HookKind::AfterRelease => {}
        }
        let EndedHook { outcome, took, .. } = end;
        let last = HookRun { ended: clock::wall(), state: job.facts.state, took, outcome: outcome.clone() };
        self.board.ended(&self.identity.router, job.hook, last);
        self.report(job, outcome, took);
    }

    fn report(&self, job: Job, outcome: HookOutcome, took: Duration) {
        let kind = AgentEventKind::Hook { hook: job.hook, state: job.facts.state, outcome, took };
        let event = AgentEvent::of_router(self.identity.router.clone(), kind);
        if self.outlets.events.try_send(event).is_err() {
            self.outlets.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Returns how long a state may wait for its addresses.
fn patience(hooks: &RouterHooks) -> Duration {
    hooks.before_active_timeout + ADDRESSES_TAKE
}

impl HookCommand {
    /// Runs the command until it ends.
    async fn carry_out(mut self, cancelled: oneshot::Receiver<()>) -> EndedHook {
        let started = Instant::now();
        let (mut attempt, mut account) = (None, self.account.clone());
        let outcome = tokio::select! {
            biased;
            // The other end is never used to send, only dropped.
            _ = cancelled => HookOutcome::Cancelled,
            outcome = self.attempt(&mut attempt, &mut account) => outcome,
        };
        let took = started.elapsed();
        self.starter.call_off().await;
        if let Some(attempt) = &mut attempt {
            attempt.kill().await;
        }
        EndedHook { outcome, took, account, starter: self.starter }
    }

    async fn attempt(&mut self, attempt: &mut Option<Attempt>, account: &mut Option<Account>) -> HookOutcome {
        let outcome = match self.start(account).await {
            Ok(started) => attempt.insert(started).outcome(self.limit).await,
            Err(kind) => ProgramOutcome::Failed(ProgramFailure::from(kind)),
        };
        match outcome {
            ProgramOutcome::Passed => HookOutcome::Passed,
            ProgramOutcome::Failed(failure) => match failure.kind {
                FailureKind::TimedOut(_) => HookOutcome::TimedOut(failure.to_string()),
                FailureKind::ExitCode(_)
                | FailureKind::Signal(_)
                | FailureKind::CouldNotRun(_)
                | FailureKind::Unkillable => HookOutcome::Failed(failure.to_string()),
            },
        }
    }

    async fn start(&mut self, account: &mut Option<Account>) -> Result<Attempt, FailureKind> {
        if let (None, Some(user)) = (account.as_ref(), &self.user) {
            let found = timeout(self.limit, Account::look_up(user)).await;
            let answer = found.map_err(|_| FailureKind::TimedOut(self.limit))?;
            *account = Some(answer.map_err(|error| FailureKind::CouldNotRun(error.to_string()))??);
        }
        let variables: Vec<_> = self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let launch = Launch {
            command: &self.command,
            account: account.as_ref(),
            confinement: Confinement::None,
            variables: &variables,
            output: OutputMode::Discarded,
        };
        self.starter.start(launch, self.limit).await
    }
}
