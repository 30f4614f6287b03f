//! The methods of `org.vrrpd.Control` and `org.varlink.service`.
//!
//! Owns the meaning of a call. Must not know sockets or the framing of requests.

use super::call::{CallArguments, CallError, Caller};
use super::change_log::{ChangeLog, LogDecision};
use super::document::{
    PromoteOutcome, demote_result, demoted, promote_outcome, refused_demotion, take_document,
};
use super::message::{DemoteDoc, DemoteResultDoc, EventsDoc, PromoteDoc, PromoteResultDoc, VERSION};
use super::server::Limits;
use super::snapshot_broker::{Gone, SnapshotSource};
use super::varlink::{Call, Continues, encode_reply};
use crate::agent::{
    AgentHandle, AgentSnapshot, CommandReply, EventFilter, EventRecord, Follower, ReloadMode, ReloadRequest,
    Request, Severity,
};
use crate::channel::TakeOutcome;
use crate::kernel::blocking;
use crate::protocol::{
    Answer, Command, Demotion, Force, InstanceResult, LastResort, RouterSnapshot, StateName, Until,
};
use crate::types::RouterName;
use crate::words::{EventDoc, Stamp};
use jiff::Timestamp;
use nix::unistd::{Uid, User};
use serde_json::json;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// The interface in varlink's definition language.
pub const INTERFACE_DESCRIPTION: &str = include_str!("org.vrrpd.Control.varlink");
const SERVICE_DESCRIPTION: &str = include_str!("org.varlink.service.varlink");

/// How many events `show` has.
const EVENTS_SHOWN: usize = 10;
/// How many events `Events` returns if the call does not say.
const EVENTS_DEFAULT: usize = 20;

/// The span of a demotion that has an end; a longer demotion has none.
/// The longest time for which open connections can be kept.
pub const DRAIN_MOST: Duration = Duration::from_secs(86_400);
/// How long a demotion can last.
pub const DEMOTION_SPAN: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(366 * 24 * 3600);

/// The methods of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Status,
    Show,
    Demote,
    Promote,
    Take,
    Events,
    Reload,
}

/// The answer to a call.
#[derive(Debug)]
pub(super) enum Response {
    /// The answer is one frame.
    Reply(Vec<u8>),
    /// The answer consists of frames until the caller closes the connection.
    Follow(Following),
}

/// A caller that follows events.
#[derive(Debug)]
pub(super) struct Following {
    node: String,
    /// The events that the caller gets at once.
    past: Vec<Arc<EventRecord>>,
    follower: Follower,
    /// The place among the followers. The operator needs none.
    _permit: Option<OwnedSemaphorePermit>,
}

/// Carries out calls and answers them.
#[derive(Debug)]
pub(super) struct Service {
    daemon: AgentHandle,
    snapshots: SnapshotSource,
    limits: Limits,
    followers: Arc<Semaphore>,
    change_log: ChangeLog,
}

impl Method {
    pub(super) const ALL: [Self; 7] =
        [Self::Status, Self::Show, Self::Demote, Self::Promote, Self::Take, Self::Events, Self::Reload];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Status => "Status",
            Self::Show => "Show",
            Self::Demote => "Demote",
            Self::Promote => "Promote",
            Self::Take => "Take",
            Self::Events => "Events",
            Self::Reload => "Reload",
        }
    }

    /// Whether the method changes anything. If so, its connection keeps its slot even if others
    /// wait for one.
    pub(super) const fn changes(self) -> bool {
        match self {
            Self::Demote | Self::Promote | Self::Take | Self::Reload => true,
            Self::Status | Self::Show | Self::Events => false,
        }
    }

    /// The method of the interface that a call names.
    pub(super) fn of(call: &Call) -> Option<Self> {
        let name = call.method.strip_prefix("org.vrrpd.Control.")?;
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

impl Service {
    pub(super) fn new(daemon: AgentHandle, snapshots: SnapshotSource, limits: Limits) -> Self {
        let followers = Arc::new(Semaphore::new(limits.followers));
        Self { daemon, snapshots, limits, followers, change_log: ChangeLog::default() }
    }

    /// Answers one call.
    pub(super) async fn answer(&self, call: Call, caller: Caller) -> Result<Response, CallError> {
        let method = Method::of(&call);
        let (name, more) = (call.method, call.more);
        let mut arguments = CallArguments::new(call.parameters);
        let reply = match method {
            None => about_itself(&name, arguments)?,
            Some(Method::Status) => {
                let router = arguments.take("name")?;
                arguments.finish()?;
                self.status(router).await?
            }
            Some(Method::Show) => {
                let router = arguments.require("name")?;
                arguments.finish()?;
                self.show(router).await?
            }
            Some(Method::Demote) => self.demote(arguments, caller).await?,
            Some(Method::Promote) => self.promote(arguments, caller).await?,
            Some(Method::Take) => self.take(arguments, caller).await?,
            Some(Method::Reload) => self.reload(arguments, caller).await?,
            Some(Method::Events) => {
                let last = arguments.take("last")?.unwrap_or(EVENTS_DEFAULT);
                let published = self.snapshot().await?;
                let wanted = wanted(&published, arguments)?;
                if more {
                    return self.follow(caller, &published, last, wanted).map(Response::Follow);
                }
                let past = self.daemon.events.last_of(last, &wanted);
                encode_reply(&events(published.node.clone(), 0, &past), Continues::No)
            }
        };
        Ok(Response::Reply(reply))
    }

    async fn status(&self, name: Option<String>) -> Result<Vec<u8>, CallError> {
        let published = self.snapshot().await?;
        let document = match name {
            None => published.status(&published.snapshot.routers),
            Some(name) => published.status([known(&published, &name)?]),
        };
        Ok(encode_reply(&document, Continues::No))
    }

    async fn show(&self, name: String) -> Result<Vec<u8>, CallError> {
        let published = self.snapshot().await?;
        let router = known(&published, &name)?;
        let of_it = about([router]);
        let events = self.daemon.events.last_of(EVENTS_SHOWN, &of_it);
        let events = events.iter().map(|record| EventDoc::new(record)).collect();
        Ok(encode_reply(&published.show(router, events), Continues::No))
    }

    async fn demote(&self, mut arguments: CallArguments, caller: Caller) -> Result<Vec<u8>, CallError> {
        let order = DemoteArguments::take(&mut arguments)?;
        let (force, drain) = (order.force, order.drain);
        let (published, routers) = self.selected(arguments).await?;
        let by = operator(caller).await;
        match self.change_log.record(caller.uid) {
            LogDecision::Write => {
                let Caller { uid, pid } = caller;
                let DemoteArguments { reason, span, last_resort, force, drain } = &order;
                let drain = drain.map(tracing::field::debug);
                let reason = (!reason.is_empty()).then_some(reason);
                let span = span.map(tracing::field::debug);
                let last_resort = (*last_resort == LastResort::Yes).then_some("yes");
                let force = (*force == Force::Yes).then_some("yes");
                let routers = named(&routers);
                tracing::info!(
                    uid,
                    pid,
                    by,
                    routers,
                    reason,
                    r#for = span,
                    last_resort,
                    force,
                    drain,
                    "asked to demote"
                );
            }
            LogDecision::Count => {}
        }
        let demotion = order.demotion(&published, by)?;
        // What the operator asks for is promised to the clients: it is refused before anything moves.
        let is_demanded = drain.is_some_and(|drain| !drain.is_zero()) && force == Force::No;
        let refused = if is_demanded { self.cannot_drain(&published, &routers).await? } else { Vec::new() };
        if !refused.is_empty() {
            return Ok(encode_reply(&demote_document(&published, &demotion, None, refused), Continues::No));
        }
        let command = |router| Command::Demote { router, demotion: demotion.clone(), force, drain };
        let (mut results, mut unsaved) = (Vec::new(), None);
        for CommandReply { answer, saved } in self.command_all(routers.into_iter().map(command)).await? {
            unsaved = unsaved.or(saved.err());
            match answer {
                Answer::Demoted(instances) => {
                    let before = |router: &RouterName| published.router(router.as_str());
                    let result = |instance: &InstanceResult| {
                        demote_result(&published, instance, before(&instance.name))
                    };
                    results.extend(instances.iter().map(result));
                }
                Answer::UnknownRouter(name) => return Err(unknown(&published, name.as_str())),
                Answer::Promoted { .. } => unreachable!("a demotion is answered as one"),
            }
        }
        let document = demote_document(&published, &demotion, unsaved.as_deref(), results);
        Ok(encode_reply(&document, Continues::No))
    }

    /// If the connections of one of these routers could not be left to the node that would take over,
    /// the refusal of all of them.
    async fn cannot_drain(
        &self,
        published: &AgentSnapshot,
        routers: &[RouterName],
    ) -> Result<Vec<DemoteResultDoc>, CallError> {
        let mut outlooks = Vec::new();
        for name in routers {
            let router = known(published, name.as_str())?;
            if router.instances.iter().any(|instance| instance.state == StateName::Active) {
                if router.spec.drain.is_zero() {
                    let why = "it keeps no connections: write drain = \"10m\" for it on all nodes";
                    outlooks.push((router, Some(why.to_owned())));
                    continue;
                }
                let (reply, outlook) = oneshot::channel();
                let request = Request::DrainOutlook { router: name.clone(), reply };
                self.daemon.requests.send(request).await.map_err(|_| CallError::Stopping)?;
                outlooks.push((router, outlook.await.map_err(|_| CallError::Stopping)?.err()));
            }
        }
        let Some(first) = outlooks.iter().find(|(_, why)| why.is_some()).map(|(router, _)| &router.spec.name)
        else {
            return Ok(Vec::new());
        };
        let others = format!("nothing was moved, because the connections of {first} cannot be kept");
        let refusal = |(router, why): &(&RouterSnapshot, Option<String>)| {
            let why = why.clone().unwrap_or_else(|| others.clone());
            let families = router.instances.iter().map(|instance| instance.key.family);
            families.map(|family| refused_demotion(published, router, family, &why)).collect::<Vec<_>>()
        };
        Ok(outlooks.iter().flat_map(refusal).collect())
    }

    async fn promote(&self, arguments: CallArguments, caller: Caller) -> Result<Vec<u8>, CallError> {
        let (published, routers) = self.selected(arguments).await?;
        let by = operator(caller).await;
        match self.change_log.record(caller.uid) {
            LogDecision::Write => {
                let Caller { uid, pid } = caller;
                tracing::info!(uid, pid, by, routers = named(&routers), "asked to promote");
            }
            LogDecision::Count => {}
        }
        let commands = routers.iter().map(|router| Command::Promote { router: router.clone() });
        let (mut results, mut unsaved) = (Vec::new(), None);
        for (name, CommandReply { answer, saved }) in routers.iter().zip(self.command_all(commands).await?) {
            unsaved = unsaved.or(saved.err());
            let outcome = match answer {
                Answer::Promoted { was_demoted: true } => PromoteOutcome::Promoted,
                Answer::Promoted { was_demoted: false } => PromoteOutcome::WasNotDemoted,
                Answer::UnknownRouter(name) => return Err(unknown(&published, name.as_str())),
                Answer::Demoted(_) => unreachable!("a promotion is answered as one"),
            };
            results.push(PromoteResultDoc {
                name: name.to_string().into(),
                outcome: promote_outcome(&outcome).into(),
                outlook: String::new(),
            });
        }
        let now = self.snapshot().await?;
        for result in &mut results {
            result.outlook = now.router(&result.name).map_or_else(String::new, |router| now.outlook(router));
        }
        let persisted = unsaved.is_none();
        let warning = unsaved.map(|why| {
            format!("this promotion is not saved: it may be demoted again when vrrpd or the machine restarts ({why})")
        });
        let node = published.node.clone();
        let document = PromoteDoc { version: VERSION, node, persisted, warning, results };
        Ok(encode_reply(&document, Continues::No))
    }

    async fn take(&self, mut arguments: CallArguments, caller: Caller) -> Result<Vec<u8>, CallError> {
        let name: String = arguments.require("name")?;
        arguments.finish()?;
        let published = self.snapshot().await?;
        let router = known(&published, &name)?;
        let by = operator(caller).await;
        match self.change_log.record(caller.uid) {
            LogDecision::Write => {
                let Caller { uid, pid } = caller;
                tracing::info!(uid, pid, by, router = name, "asked to take");
            }
            LogDecision::Count => {}
        }
        let outcome = match &router.demoted {
            Some(_) => TakeOutcome::Refused(format!("it is demoted here. Run first: vrrpctl promote {name}")),
            None => self.take_from_active(router.spec.name.clone(), by).await?,
        };
        Ok(encode_reply(&take_document(published.node.clone(), name, outcome), Continues::No))
    }

    async fn take_from_active(&self, router: RouterName, by: String) -> Result<TakeOutcome, CallError> {
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            let request = Request::Take { router, by, reply };
            self.daemon.requests.send(request).await.map_err(|_| CallError::Stopping)?;
            answer.await.map_err(|_| CallError::Stopping)
        };
        timeout(self.limits.command, exchange).await.unwrap_or(Err(CallError::TimedOut))
    }

    async fn reload(&self, mut arguments: CallArguments, caller: Caller) -> Result<Vec<u8>, CallError> {
        let dry_run = arguments.take("dry_run")?.unwrap_or(false);
        arguments.finish()?;
        let mode = if dry_run { ReloadMode::DryRun } else { ReloadMode::Apply };
        let by = operator(caller).await;
        match self.change_log.record(caller.uid) {
            LogDecision::Write => {
                let Caller { uid, pid } = caller;
                tracing::info!(uid, pid, by, intent = mode.word(), "asked to reload");
            }
            LogDecision::Count => {}
        }
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            let request = ReloadRequest { mode, by, reply };
            self.daemon.reloads.send(request).await.map_err(|_| CallError::Stopping)?;
            answer.await.map_err(|_| CallError::Stopping)
        };
        let reloaded = timeout(self.limits.command, exchange).await.unwrap_or(Err(CallError::TimedOut))?;
        let node = self.snapshot().await?.node.clone();
        // Encoding tens of thousands of routers or errors takes long, so it does not happen on this
        // thread.
        let encoding = blocking::spawn(move || match reloaded.document(node, mode) {
            Ok(document) => Ok(encode_reply(&document, Continues::No)),
            Err(why) => {
                let (file, reason) = (reloaded.file.clone(), why.to_owned());
                Err(CallError::UnreadableConfiguration { file, reason })
            }
        });
        encoding.await.unwrap_or(Err(CallError::Stopping))
    }

    /// Starts following events. The operator always can, even if all places for followers are
    /// taken; only the slots of the operator limit that.
    fn follow(
        &self,
        caller: Caller,
        published: &AgentSnapshot,
        last: usize,
        wanted: EventFilter,
    ) -> Result<Following, CallError> {
        let permit = if caller.uid == self.limits.operator {
            None
        } else {
            let permit = Arc::clone(&self.followers).try_acquire_owned();
            Some(permit.map_err(|_| CallError::TooManyFollowers)?)
        };
        let (past, follower) = self.daemon.events.follow(last, wanted);
        Ok(Following { node: published.node.clone(), past, follower, _permit: permit })
    }

    /// Finds the routers that a command is about, each once, in the order in which they were named.
    /// A command that names an unknown router changes none.
    async fn selected(
        &self,
        mut arguments: CallArguments,
    ) -> Result<(Arc<AgentSnapshot>, Vec<RouterName>), CallError> {
        let names: Vec<String> = arguments.take("names")?.unwrap_or_default();
        let all = arguments.take("all")?.unwrap_or(false);
        arguments.finish()?;
        if all != names.is_empty() {
            return Err(CallError::InvalidParameter("names".to_owned()));
        }
        let published = self.snapshot().await?;
        if all {
            let every = published.snapshot.routers.iter().map(|router| router.spec.name.clone()).collect();
            return Ok((published, every));
        }
        let mut seen = BTreeSet::new();
        let each_once = names.iter().filter(|name| seen.insert(*name));
        let routers = each_once.map(|name| known(&published, name).map(|router| router.spec.name.clone()));
        let routers = routers.collect::<Result<_, _>>()?;
        Ok((published, routers))
    }

    /// Gives all commands to the daemon and then waits for all answers, so that the commands are
    /// carried out at the same time.
    async fn command_all(
        &self,
        commands: impl Iterator<Item = Command>,
    ) -> Result<Vec<CommandReply>, CallError> {
        let exchange = async {
            let mut pending = Vec::new();
            for command in commands {
                let (reply, answer) = oneshot::channel();
                let request = Request::Command { command, reply };
                self.daemon.requests.send(request).await.map_err(|_| CallError::Stopping)?;
                pending.push(answer);
            }
            let mut answers = Vec::with_capacity(pending.len());
            for answer in pending {
                answers.push(answer.await.map_err(|_| CallError::Stopping)?);
            }
            Ok(answers)
        };
        timeout(self.limits.command, exchange).await.unwrap_or(Err(CallError::TimedOut))
    }

    async fn snapshot(&self) -> Result<Arc<AgentSnapshot>, CallError> {
        match timeout(self.limits.snapshot, self.snapshots.snapshot()).await {
            Ok(Ok(published)) => Ok(published),
            Ok(Err(Gone)) => Err(CallError::Stopping),
            Err(_) => Err(CallError::TimedOut),
        }
    }
}

/// The arguments of `Demote`, except for its routers.
#[derive(Debug)]
struct DemoteArguments {
    reason: String,
    span: Option<Duration>,
    last_resort: LastResort,
    force: Force,
    drain: Option<Duration>,
}

/// The answer to a demotion. `unsaved`: why it is not on the disk.
fn demote_document(
    published: &AgentSnapshot,
    demotion: &Demotion,
    unsaved: Option<&str>,
    results: Vec<DemoteResultDoc>,
) -> DemoteDoc {
    let warning = unsaved.map(|why| {
        format!("this demotion is not saved: it will be forgotten when vrrpd or the machine restarts ({why})")
    });
    DemoteDoc {
        version: VERSION,
        node: published.node.clone(),
        demotion: demoted(demotion),
        persisted: unsaved.is_none(),
        warning,
        results,
    }
}

impl DemoteArguments {
    fn take(arguments: &mut CallArguments) -> Result<Self, CallError> {
        let invalid = |name: &str| Err(CallError::InvalidParameter(name.to_owned()));
        let reason: String = arguments.take("reason")?.unwrap_or_default();
        if reason.chars().count() > Demotion::REASON_MAX || reason.chars().any(char::is_control) {
            return invalid("reason");
        }
        let span = arguments.take("for_ms")?.map(Duration::from_millis);
        if span.is_some_and(|span| !DEMOTION_SPAN.contains(&span)) {
            return invalid("for_ms");
        }
        let last_resort =
            if arguments.take("last_resort")?.unwrap_or(false) { LastResort::Yes } else { LastResort::No };
        let force = if arguments.take("force")?.unwrap_or(false) { Force::Yes } else { Force::No };
        // The two exclude each other: `force` releases addresses that `last_resort` keeps.
        if (last_resort, force) == (LastResort::Yes, Force::Yes) {
            return invalid("force");
        }
        let drain = arguments.take("drain_ms")?.map(Duration::from_millis);
        if drain.is_some_and(|drain| drain > DRAIN_MOST) {
            return invalid("drain_ms");
        }
        Ok(Self { reason, span, last_resort, force, drain })
    }

    /// Builds the demotion. Its end is known on both clocks, from one reading of both.
    fn demotion(self, published: &AgentSnapshot, by: String) -> Result<Demotion, CallError> {
        let Self { reason, span, last_resort, force: _, drain: _ } = self;
        let at_wall = |span| {
            published.wall.checked_add(span).map_err(|_| CallError::InvalidParameter("for_ms".to_owned()))
        };
        let until = match span {
            Some(span) => {
                Some(Until { at: published.snapshot.at + span, text: Stamp(at_wall(span)?).to_string() })
            }
            None => None,
        };
        Ok(Demotion { since: Stamp(published.wall).to_string(), until, last_resort, reason, by })
    }
}

impl Following {
    /// The frame of the events that the caller gets at once.
    pub(super) fn first(&mut self) -> Vec<u8> {
        let past = std::mem::take(&mut self.past);
        encode_reply(&events(self.node.clone(), 0, &past), Continues::Yes)
    }

    /// Waits for the next event and returns its frame. Cancel-safe.
    pub(super) async fn next(&mut self) -> Vec<u8> {
        let batch = self.follower.next().await;
        encode_reply(&events(self.node.clone(), batch.lost, &batch.records), Continues::Yes)
    }
}

/// Answers a call of `org.varlink.service`, or of an interface that does not exist.
fn about_itself(name: &str, mut arguments: CallArguments) -> Result<Vec<u8>, CallError> {
    match name {
        "org.varlink.service.GetInfo" => {
            arguments.finish()?;
            let info = json!({
                "vendor": "vrrpd",
                "product": "vrrpd",
                "version": env!("CARGO_PKG_VERSION"),
                "url": "",
                "interfaces": ["org.varlink.service", "org.vrrpd.Control"],
            });
            Ok(encode_reply(&info, Continues::No))
        }
        "org.varlink.service.GetInterfaceDescription" => {
            let interface: String = arguments.require("interface")?;
            arguments.finish()?;
            let description = match interface.as_str() {
                "org.varlink.service" => SERVICE_DESCRIPTION,
                "org.vrrpd.Control" => INTERFACE_DESCRIPTION,
                _ => return Err(CallError::InterfaceNotFound(interface)),
            };
            Ok(encode_reply(&json!({ "description": description }), Continues::No))
        }
        _ => match name.rsplit_once('.') {
            Some(("org.varlink.service" | "org.vrrpd.Control", _)) => {
                Err(CallError::MethodNotFound(name.to_owned()))
            }
            Some((interface, _)) => Err(CallError::InterfaceNotFound(interface.to_owned())),
            None => Err(CallError::MethodNotFound(name.to_owned())),
        },
    }
}

fn events(node: String, lost: u64, records: &[Arc<EventRecord>]) -> EventsDoc {
    let events = records.iter().map(|record| EventDoc::new(record)).collect();
    EventsDoc { version: VERSION, node, lost, events }
}

/// Reads which events a call asks for.
fn wanted(published: &AgentSnapshot, mut arguments: CallArguments) -> Result<EventFilter, CallError> {
    // One call has room for thousands of names, so a repeated name counts once.
    let names: BTreeSet<String> = arguments.take("names")?.unwrap_or_default();
    let least: Option<String> = arguments.take("severity")?;
    let since: Option<Timestamp> = arguments.take("since")?;
    arguments.finish()?;
    let least = least.map(|name| name.parse::<Severity>()).transpose();
    let least = least.map_err(|_| CallError::InvalidParameter("severity".to_owned()))?;
    let routers = names.iter().map(|name| known(published, name)).collect::<Result<Vec<_>, _>>()?;
    Ok(EventFilter { least, since, ..about(routers) })
}

/// The filter for events of these routers, and of the checks that they track.
fn about<'a>(routers: impl IntoIterator<Item = &'a RouterSnapshot>) -> EventFilter {
    let mut filter = EventFilter::default();
    for router in routers {
        filter.routers.insert(router.spec.name.clone());
        filter.checks.extend(router.spec.tracked_checks().cloned());
    }
    filter
}

/// The names of the routers, shortened if there are many.
fn named(routers: &[RouterName]) -> String {
    const NAMED: usize = 10;
    let names: Vec<_> = routers.iter().take(NAMED).map(RouterName::as_str).collect();
    match routers.len() - names.len() {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

fn known<'a>(published: &'a AgentSnapshot, name: &str) -> Result<&'a RouterSnapshot, CallError> {
    published.router(name).ok_or_else(|| unknown(published, name))
}

fn unknown(published: &AgentSnapshot, name: &str) -> CallError {
    let known = published.snapshot.routers.iter().map(|router| router.spec.name.to_string()).collect();
    CallError::UnknownRouter { name: name.to_owned(), known }
}

/// How long a command waits for a name service, which may be down.
const NAME_LIMIT: Duration = Duration::from_secs(1);

/// The name of the caller: the user, and for root also the user who logged in and became root.
async fn operator(caller: Caller) -> String {
    let name = user_name(caller.uid).await;
    match caller.pid.filter(|_| caller.uid == 0).and_then(login_uid).filter(|login| *login != caller.uid) {
        Some(login) => format!("{} as {name}", user_name(login).await),
        None => name,
    }
}

/// The user who logged in, which the kernel remembers across `sudo` and `su`. `None`: no user
/// logged in, or the daemon cannot see it, as under the unit of the package
/// (`ProtectProc=invisible`).
fn login_uid(pid: i32) -> Option<u32> {
    let uid = std::fs::read_to_string(format!("/proc/{pid}/loginuid")).ok()?.trim().parse().ok()?;
    (uid != u32::MAX).then_some(uid)
}

/// The name of a user, or `uid 1000`. Names may come over the network (NSS), so the look-up does
/// not happen on this thread.
async fn user_name(uid: u32) -> String {
    let looked_up = blocking::spawn(move || User::from_uid(Uid::from_raw(uid)));
    match timeout(NAME_LIMIT, looked_up).await {
        Ok(Ok(Ok(Some(user)))) => user.name,
        Ok(Ok(Ok(None) | Err(_)) | Err(_)) | Err(_) => format!("uid {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_and_the_implementation_have_the_same_methods() {
        let defined: Vec<_> = INTERFACE_DESCRIPTION
            .lines()
            .filter_map(|line| line.strip_prefix("method ")?.split_once('(').map(|(name, _)| name))
            .collect();
        assert_eq!(defined, Method::ALL.map(Method::name));
    }
}
