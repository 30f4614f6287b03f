//! Makes a configuration the one that runs: the first one at the start, others at reloads
//! (docs/adr/0013).
//!
//! Owns the configuration that runs, and updates what depends on it: the watched interfaces, the
//! checks, the hooks. There is one reload at a time, and it is carried out as a whole or not at
//! all: a file is read, resolved and planned before anything is touched, and the steps that carry
//! it out cannot fail. This module must not know the control socket.

use super::candidate::{self, Candidate, LoadPurpose};
use super::channel::ChannelSettings;
use super::foreign;
use super::hooks::Hooks;
use super::notify::Notifier;
use super::protocol_thread::mailbox::{Sender, ThreadRequest};
use super::spare_memory;
use super::trackers::Checks;
use crate::agent::{AgentEvent, AgentEventKind, ReloadMode, ReloadOutcome, ReloadReply, ReloadRequest};
use crate::config::plan::{CheckStep, Plan, RouterStep};
use crate::config::report::{self, Style};
use crate::config::{Agent, Config, Resolved};
use crate::kernel::blocking::spawn;
use crate::protocol::{Input, RouterSpec};
use crate::types::InterfaceName;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// How many reloads may wait. The sender of another one waits until there is room.
pub(crate) const RELOADS: usize = 16;

/// How many findings are logged, because a file can have tens of thousands.
const LOGGED: usize = 20;

/// The limit for reading and resolving a file; after this time its disk hangs.
const READING: Duration = Duration::from_secs(30);

/// The configuration that runs, and the receivers of the next one.
#[derive(Debug)]
pub(crate) struct Reloader {
    /// The file of the configuration, which is read again at each reload.
    pub(crate) file: PathBuf,
    pub(crate) running: Arc<Config>,
    /// The name of this node.
    pub(crate) node: watch::Sender<String>,
    /// The settings of the channel between nodes, which reads the key again at each reload.
    pub(crate) channel: watch::Sender<ChannelSettings>,
    /// Where the endpoint for monitoring listens.
    pub(crate) metrics: watch::Sender<Option<SocketAddr>>,
    /// The interfaces that the monitor watches.
    pub(crate) names: watch::Sender<BTreeSet<InterfaceName>>,
    /// The watched interfaces whose facts are known. The main thread adds each one when its facts
    /// arrive.
    pub(crate) looked_at: watch::Sender<BTreeSet<InterfaceName>>,
    pub(crate) checks: Checks,
    pub(crate) hooks: Hooks,
    pub(crate) mail: Sender,
    pub(crate) notifier: Notifier,
    /// If the queue is full, an event is dropped and counted in `lost`.
    pub(crate) events: mpsc::Sender<AgentEvent>,
    pub(crate) lost: Arc<AtomicU64>,
}

/// The result of the task at its end.
#[derive(Debug)]
pub(crate) struct Reloaded {
    /// The configuration that ran last.
    pub(crate) running: Arc<Config>,
    /// The checks, which must be ended.
    pub(crate) checks: Checks,
    /// The hooks, of which some have to run yet.
    pub(crate) hooks: Hooks,
}

impl Reloader {
    /// Starts what is configured, and then reloads as asked, until it is told to stop. Returns what
    /// ran, and what must be ended in order. A reload that is stopped has changed nothing, and its
    /// request is not answered.
    pub(crate) async fn run(
        mut self,
        mut requests: mpsc::Receiver<ReloadRequest>,
        stop: oneshot::Receiver<()>,
    ) -> Reloaded {
        tokio::select! {
            biased;
            _ = stop => {}
            () = self.work(&mut requests) => {}
        }
        Reloaded { running: self.running, checks: self.checks, hooks: self.hooks }
    }

    /// Handles requests until all senders are gone.
    async fn work(&mut self, requests: &mut mpsc::Receiver<ReloadRequest>) {
        let first = Config::clone(&self.running);
        self.look_at(watched(&first.routers)).await;
        self.carry_out(first);
        self.notifier.configured();
        while let Some(request) = requests.recv().await {
            let ReloadRequest { mode, by, reply } = request;
            self.begins(&by, mode);
            let reloaded = self.reload(mode, &by).await;
            self.ends(&by, mode, &reloaded);
            // The client that asked may be gone.
            let _ = reply.send(reloaded);
        }
    }

    /// Reports the begin of a reload, which lasts until [`Self::ends`].
    fn begins(&self, by: &str, mode: ReloadMode) {
        tracing::debug!(file = %self.file.display(), by, intent = mode.word(), "reading the configuration");
        match mode {
            ReloadMode::Apply => self.notifier.reloading(),
            ReloadMode::DryRun => {}
        }
    }

    /// Reports the end of a reload, whatever its result is.
    fn ends(&self, by: &str, mode: ReloadMode, reloaded: &ReloadReply) {
        let file = &*reloaded.file;
        match mode {
            ReloadMode::Apply => self.notifier.configured(),
            ReloadMode::DryRun => {}
        }
        match &reloaded.outcome {
            ReloadOutcome::Accepted { warnings, .. } => {
                log_findings(warnings, |warning| tracing::warn!(help = warning.0.help, "{warning}"));
            }
            ReloadOutcome::Refused { reasons, .. } => {
                for reason in reasons {
                    tracing::error!("{reason}");
                }
                tracing::error!(
                    file,
                    by,
                    intent = mode.word(),
                    "configuration refused, the running one stays"
                );
            }
            ReloadOutcome::Invalid { errors, .. } => {
                log_findings(errors, |error| tracing::error!(help = error.0.help, "{error}"));
                let errors = errors.len();
                tracing::error!(
                    file,
                    by,
                    intent = mode.word(),
                    errors,
                    "the configuration has errors: nothing was changed"
                );
            }
            ReloadOutcome::Unreadable(why) => {
                tracing::error!(
                    file,
                    by,
                    intent = mode.word(),
                    why,
                    "cannot read the configuration: nothing was changed"
                );
            }
        }
    }

    async fn reload(&mut self, mode: ReloadMode, by: &str) -> ReloadReply {
        let file = self.file.display().to_string();
        let outcome = match load(&self.file).await {
            Err(error) => ReloadOutcome::Unreadable(error.to_string()),
            Ok(candidate) => match judge(candidate, Arc::clone(&self.running)).await {
                Err(error) => ReloadOutcome::Unreadable(error.to_string()),
                Ok(Judged { outcome, config }) => {
                    if let (ReloadOutcome::Accepted { plan, .. }, Some(config), ReloadMode::Apply) =
                        (&outcome, config, mode)
                    {
                        self.apply(config, plan, by).await;
                    }
                    outcome
                }
            },
        };
        // What is refused, and what is only tried, was read as well.
        spare_memory::give_back_soon();
        ReloadReply { file, outcome }
    }

    async fn apply(&mut self, config: Config, plan: &Plan, by: &str) {
        self.channel.send_replace(ChannelSettings::of(&config, &node_name(&config)));
        if !plan.is_empty() {
            // The interfaces of the old configuration are needed until its routers are gone.
            let names = watched(&self.running.routers).into_iter().chain(watched(&config.routers)).collect();
            self.look_at(names).await;
            self.carry_out(config);
        }
        let kind = AgentEventKind::ConfigurationReloaded { by: by.to_owned(), changes: changes(plan) };
        if self.events.try_send(AgentEvent::of_node(kind)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Makes the monitor watch these interfaces, and waits until the facts of each are known: an
    /// existing interface must not be a fault for the first millisecond.
    async fn look_at(&mut self, names: BTreeSet<InterfaceName>) {
        let before = self.names.send_replace(names.clone());
        self.looked_at.send_modify(|known| known.retain(|name| before.contains(name)));
        let mut known = self.looked_at.subscribe();
        // This cannot fail, because `self` holds the sender.
        let _ = known.wait_for(|known| known.is_superset(&names)).await;
    }

    /// Carries out a configuration as a whole: nothing in this function waits or fails.
    fn carry_out(&mut self, config: Config) {
        let node = node_name(&config);
        self.node.send_replace(node.clone());
        self.metrics.send_if_modified(|address| {
            let before = std::mem::replace(address, config.agent.metrics);
            before != config.agent.metrics
        });
        let routing = self.hooks.apply(&config, &node);
        // If the protocol thread has ended, the agent ends as well.
        let _ = self.mail.send(ThreadRequest::RouteHooks(Box::new(routing)));
        let _ = self.mail.send(Input::Configure(config.routers.clone()));
        let stay: BTreeSet<_> = config.checks.iter().map(|spec| &spec.name).collect();
        for spec in self.running.checks.iter().filter(|spec| !stay.contains(&spec.name)) {
            let _ = self.mail.send(Input::CheckRemoved(spec.name.clone()));
        }
        self.checks.apply(&config.checks);
        // A setting that only a restart changes keeps its value, and is planned again at the next
        // reload.
        let agent = Agent { realtime: self.running.agent.realtime, ..config.agent.clone() };
        self.running = Arc::new(Config { agent, ..config });
    }
}

/// Returns the host name unless the configuration gives another name.
pub(crate) fn node_name(config: &Config) -> String {
    let host = || nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    config.agent.node_name.clone().or_else(host).unwrap_or_else(|| "localhost".to_owned())
}

/// Reads a file on another thread, because disks may hang and a large file takes a while.
async fn load(file: &Path) -> io::Result<Candidate> {
    let path = file.to_owned();
    let reading = spawn(move || candidate::load(&path, LoadPurpose::Run));
    match timeout(READING, reading).await {
        Ok(read) => read?,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {READING:?}"))),
    }
}

/// The result of judging a text.
struct Judged {
    outcome: ReloadOutcome,
    /// The configuration, if the text was accepted.
    config: Option<Config>,
}

/// Judges a text on another thread: a long file takes long, and checks, control and the watchdog
/// need the main thread.
async fn judge(candidate: Candidate, running: Arc<Config>) -> io::Result<Judged> {
    let Candidate { text, judged } = candidate;
    let judging = spawn(move || match judged {
        Err(errors) => {
            let report = report::text(&text, &errors, &[], Style::Plain);
            Judged { outcome: ReloadOutcome::Invalid { errors, report }, config: None }
        }
        Ok(Resolved { config, warnings, programs: _, expectations: _ }) => {
            let report = report::text(&text, &[], &warnings, Style::Plain);
            let plan = Plan::new(&running, &config);
            let reasons = refusals(&running, &config);
            if reasons.is_empty() {
                Judged { outcome: ReloadOutcome::Accepted { plan, warnings, report }, config: Some(config) }
            } else {
                Judged { outcome: ReloadOutcome::Refused { plan, reasons, warnings, report }, config: None }
            }
        }
    });
    judging.await
}

/// Returns the reasons why this machine cannot run `wanted`. If the kernel does not answer, there
/// is no reason: a conflict becomes a fault then.
fn refusals(running: &Config, wanted: &Config) -> Vec<String> {
    foreign::refusals(running, wanted).unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot find out which addresses are this machine's own; the reload continues");
        Vec::new()
    })
}

/// Logs the first few findings in a file.
fn log_findings<F>(findings: &[F], each: impl FnMut(&F)) {
    findings.iter().take(LOGGED).for_each(each);
    if findings.len() > LOGGED {
        let more = report::grouped(findings.len() - LOGGED);
        tracing::warn!(
            "and {more} more findings; vrrpctl check shows the first {} with their lines",
            report::MOST
        );
    }
}

/// Returns every interface that a router runs on, has its addresses on, or tracks.
fn watched(routers: &[RouterSpec]) -> BTreeSet<InterfaceName> {
    let tracked = routers.iter().flat_map(RouterSpec::tracked_interfaces);
    let used = routers.iter().flat_map(|router| [router.interface, router.address_interface]);
    used.chain(tracked).collect()
}

fn changes(plan: &Plan) -> usize {
    let routers = plan.routers.iter().filter(|router| router.step != RouterStep::Unchanged).count();
    let checks = plan.checks.iter().filter(|check| check.step != CheckStep::Unchanged).count();
    routers + checks + plan.agent.len()
}

#[cfg(test)]
#[path = "reload_tests.rs"]
mod tests;
