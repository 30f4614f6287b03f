//! `vrrpd --clean-up`: hands over and removes what a killed daemon left behind (docs/adr/0014).
//!
//! The addresses are still there and the kernel still serves them. Of each router that was Active the protocol
//! thread takes the place, to leave by the ordinary hand-over; the address keeper removes the rest at its
//! start, as it does in every daemon. No hook, check, control socket or log takes part.
//!
//! While a daemon runs nothing is touched, and while this runs no daemon can start.

use super::error::RunError;
use super::stop::tell_to_stop;
use crate::agent::{AgentEvent, AgentEventKind};
use crate::config::Config;
use crate::control::{self, BindError};
use crate::kernel::address::{ObservedAddress, Origin};
use crate::kernel::blocking::run_within;
use crate::kernel::keeper::{AddressKeeper, KeeperCommand, KeeperEvent, Surroundings, frame_announcer};
use crate::kernel::monitor::{Monitor, MonitorEvent, RECEIVE_BUFFER};
use crate::kernel::netlink::{Netlink, NetlinkError};
use crate::kernel::sysctl::promote_secondaries;
use crate::kernel::tenancy::{self, Tenancy, TenancyError};
use crate::protocol::{EventKind, Input, LastResort, RouterSpec};
use crate::runtime::clock;
use crate::runtime::protocol_thread::mailbox::Mailbox;
use crate::runtime::protocol_thread::{ProtocolThread, ThreadOutlets};
use crate::runtime::state::{Demotions, Moment, StateError, Store};
use crate::types::{InstanceKey, InterfaceName, LinkFacts};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// Listing the interfaces takes milliseconds.
const LINKS_LIMIT: Duration = Duration::from_millis(300);
/// At an interval of one second a hand-over ends before, whoever takes over. Together with the other limits
/// 3 s: a service manager waits.
const HANDOVER_LIMIT: Duration = Duration::from_millis(1700);
const KEEPER_LIMIT: Duration = Duration::from_secs(1);
/// For the demotions: on a disk that hangs it is on top.
const STATE_LIMIT: Duration = Duration::from_secs(1);
/// Notices and events of one run.
const QUEUE: usize = 4096;
/// Addresses that are named; more are counted.
const NAMED: usize = 4;

/// Where the daemon that is gone lived.
#[derive(Debug)]
pub struct DaemonPaths {
    /// Where the daemon would listen.
    pub socket: PathBuf,
    /// Where it keeps demotions.
    pub state_dir: PathBuf,
}

/// Why something may still be there.
#[derive(Debug, thiserror::Error)]
pub enum CleanUpError {
    /// Privileges, threads, netlink.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The addresses cannot be listed.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// It cannot be told whether a daemon runs.
    #[error("cannot tell whether a daemon runs, so nothing was touched")]
    Socket(#[source] BindError),
    /// Somebody who does not answer keeps the state directory locked.
    #[error(
        "somebody holds the lock of {path}, and no daemon answers on the control socket: nothing was touched, and addresses \
         of a daemon that is gone may still be on the interfaces. Find out who: fuser {path} (a daemon with another \
         --socket? then name that one)", path = .0.display()
    )]
    Held(PathBuf),
    /// The kernel.
    #[error("addresses may be left behind: {0}")]
    Left(String),
}

/// Does it, and says what was done: one line a router. No line: there was nothing to do.
///
/// `config` is asked for only if there is something; `None`: it is wrong, so that nobody can be told.
///
/// # Errors
/// [`CleanUpError`].
pub fn run(
    paths: &DaemonPaths,
    config: impl FnOnce() -> Option<Config>,
) -> Result<Vec<String>, CleanUpError> {
    let mut netlink = Netlink::open()?;
    if leftovers(&mut netlink)?.is_empty() {
        return Ok(Vec::new());
    }
    let (_tenancy, died) = match Tenancy::take() {
        Ok(tenancy) => (Some(tenancy), None),
        Err(TenancyError::Taken(_)) => return Ok(Vec::new()),
        Err(died @ TenancyError::Dead(_)) => (None, Some(died)),
        // Both locks are left to tell.
        Err(TenancyError::Unclear(_)) => (None, None),
    };
    let now = Moment { mono: clock::now(), wall: clock::wall() };
    let (_socket, died) = match (control::vacancy(&paths.socket), died) {
        (Ok(vacancy), _) => (Some(vacancy), None),
        // Its lock is held by what hangs of it, and so is that of the state directory.
        (Err(BindError::InUse(_)), Some(died)) if listens(&died, &paths.socket) => (None, Some(died)),
        (Err(BindError::InUse(_)), _) => return Ok(Vec::new()),
        (
            Err(
                error @ (BindError::Locked(_)
                | BindError::NotASocket(_)
                | BindError::ForeignDirectory { .. }
                | BindError::Replaced(_)
                | BindError::Io { .. }),
            ),
            _,
        ) => return Err(CleanUpError::Socket(error)),
    };
    // A daemon would have answered. Whoever holds this keeps addresses where nobody serves them.
    let StateLock { _store, demotions, trouble } = match died {
        Some(died) => StateLock::unknown(died.to_string()),
        None => lock_state(&paths.state_dir, now)?,
    };
    // Once more: whoever held these may have ended only now, in good order.
    let left = leftovers(&mut netlink)?;
    if left.is_empty() {
        return Ok(Vec::new());
    }
    super::check_privileges()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(system("start the event loop"))?;
    let lines = runtime.block_on(release_leftovers(config(), &demotions, &left));
    runtime.shutdown_background();
    Ok(trouble.into_iter().chain(lines?).collect())
}

/// The state directory, held.
struct StateLock {
    _store: Option<Store>,
    demotions: Demotions,
    /// Why demotions are not known.
    trouble: Option<String>,
}

impl StateLock {
    fn unknown(why: String) -> Self {
        let trouble = Some(format!("demotions are not known: {why}"));
        Self { _store: None, demotions: Demotions::default(), trouble }
    }
}

fn listens(died: &TenancyError, socket: &Path) -> bool {
    matches!(died, TenancyError::Dead(pid) if tenancy::listener(socket) == Some(*pid))
}

/// A disk that hangs or fails keeps no address on an interface: that no daemon lives, the socket has told. What is not
/// known is who was demoted, and who was holds no address that could be left over.
fn lock_state(dir: &Path, now: Moment) -> Result<StateLock, CleanUpError> {
    let place = dir.to_owned();
    match run_within(STATE_LIMIT, move || Store::visit(&place, now)) {
        Ok(Ok((store, demotions))) => Ok(StateLock { _store: Some(store), demotions, trouble: None }),
        Ok(Err(StateError::InUse(path))) => Err(CleanUpError::Held(path)),
        Ok(Err(error @ StateError::Io { .. })) => Ok(StateLock::unknown(error.to_string())),
        Err(hangs) => Ok(StateLock::unknown(format!("cannot read {}: {hangs}", dir.display()))),
    }
}

/// The protocol thread has died and the agent lives on: another one takes its place, to leave. `keeper` holds what
/// the dead one wanted.
pub(super) async fn replace_protocol_thread(
    config: &Config,
    keeper: &Arc<AddressKeeper>,
) -> Result<(), CleanUpError> {
    let held = leftovers(&mut Netlink::open()?)?;
    let links = links(config.routers.iter().map(|spec| spec.interface).collect()).await?;
    // Who is out of service holds nothing.
    let orphans = orphans(config, &Demotions::default(), &links, &held);
    if orphans.is_empty() {
        return Ok(());
    }
    let events = hand_over(&orphans, &links, keeper).await?;
    for orphan in &orphans {
        tracing::warn!("{}", line(orphan, &events));
    }
    Ok(())
}

fn leftovers(netlink: &mut Netlink) -> Result<Vec<ObservedAddress>, NetlinkError> {
    let mut addresses = netlink.addresses()?;
    addresses.retain(|address| address.origin == Origin::Ours);
    Ok(addresses)
}

/// A router that died as Active.
struct OrphanedRouter {
    spec: RouterSpec,
    /// What of it is still there.
    found: BTreeMap<InstanceKey, Vec<IpNet>>,
}

async fn release_leftovers(
    config: Option<Config>,
    demotions: &Demotions,
    left: &[ObservedAddress],
) -> Result<Vec<String>, CleanUpError> {
    let (orphans, links) = match config {
        None => (Vec::new(), BTreeMap::new()),
        Some(config) => {
            let links = links(config.routers.iter().map(|spec| spec.interface).collect()).await?;
            (orphans(&config, demotions, &links, left), links)
        }
    };
    let (notices_in, mut notices) = mpsc::channel(QUEUE);
    let surroundings = Surroundings {
        clock: Box::new(clock::now),
        announcer: frame_announcer(),
        promoter: Box::new(promote_secondaries),
        // A full queue loses lines of the report only.
        events: Box::new(move |event| drop(notices_in.try_send(event))),
    };
    let keeper = AddressKeeper::spawn_knowing(known(&orphans, &links), surroundings);
    let keeper = Arc::new(keeper.map_err(RunError::from)?);
    let events = if orphans.is_empty() { Vec::new() } else { hand_over(&orphans, &links, &keeper).await? };
    let mut lines: Vec<String> = orphans.iter().map(|orphan| line(orphan, &events)).collect();
    let stopped = async {
        tell_to_stop(|command| keeper.send(command)).await.map_err(|ended| ended.to_string())?;
        while let Some(notice) = notices.recv().await {
            match notice {
                KeeperEvent::StaleRemoved { interface, addresses } => {
                    lines.push(format!("{interface}: removed {}, left over", named(&addresses)));
                }
                KeeperEvent::Stopped { outcome } => return outcome,
                KeeperEvent::Owned { .. }
                | KeeperEvent::Released { .. }
                | KeeperEvent::Restored { .. }
                | KeeperEvent::Reinstalled { .. }
                | KeeperEvent::Unrestored { .. }
                | KeeperEvent::Contested { .. }
                | KeeperEvent::Unguarded { .. }
                | KeeperEvent::SweptBack { .. }
                | KeeperEvent::Unannounced { .. } => {}
            }
        }
        Err("the address keeper has ended".to_owned())
    };
    match timeout(KEEPER_LIMIT, stopped).await {
        Ok(Ok(())) => Ok(lines),
        Ok(Err(why)) => Err(CleanUpError::Left(why)),
        Err(_) => {
            // Dropped, it would wait for its thread, which waits for the kernel.
            std::mem::forget(keeper);
            Err(CleanUpError::Left("the kernel does not answer".to_owned()))
        }
    }
}

/// The facts of these interfaces, as far as they exist.
async fn links(watched: BTreeSet<InterfaceName>) -> Result<BTreeMap<InterfaceName, LinkFacts>, CleanUpError> {
    let (changes_in, mut changes) = mpsc::channel(64);
    let mut missing = watched.clone();
    let (_names, names) = watch::channel(watched);
    let monitor = Monitor::open(RECEIVE_BUFFER).map_err(RunError::from)?;
    let watching = tokio::spawn(monitor.run(names, changes_in));
    let mut links = BTreeMap::new();
    let all = async {
        while !missing.is_empty() {
            let Some(change) = changes.recv().await else { return };
            if let MonitorEvent::Link(name, facts) = change {
                missing.remove(&name);
                links.extend(facts.map(|facts| (name, facts)));
            }
        }
    };
    // Who is not told of in time is as good as gone: its addresses are removed without a word.
    let _late = timeout(LINKS_LIMIT, all).await;
    watching.abort();
    Ok(links)
}

/// Routers of which something was found. One that is out of service serves nobody.
fn orphans(
    config: &Config,
    demotions: &Demotions,
    links: &BTreeMap<InterfaceName, LinkFacts>,
    left: &[ObservedAddress],
) -> Vec<OrphanedRouter> {
    let out = |name| demotions.get(name).is_some_and(|demotion| demotion.last_resort == LastResort::No);
    let mut orphans = Vec::new();
    for spec in config.routers.iter().filter(|spec| !out(&spec.name)) {
        let Some(link) = links.get(&spec.interface) else { continue };
        let mut found: BTreeMap<InstanceKey, Vec<IpNet>> = BTreeMap::new();
        for instance in &spec.instances {
            let is_its = |a: &&ObservedAddress| {
                let mut configured = instance.held();
                a.index == link.index && configured.any(|net| net.addr() == a.net.addr())
            };
            // As they are: the configuration may have another prefix length by now.
            let nets: Vec<IpNet> = left.iter().filter(is_its).map(|a| a.net).collect();
            if !nets.is_empty() {
                found.insert(spec.key(instance.family), nets);
            }
        }
        if !found.is_empty() {
            // Checks do not run: what they would say of the service is not asked.
            orphans.push(OrphanedRouter { spec: RouterSpec { tracks: Vec::new(), ..spec.clone() }, found });
        }
    }
    orphans
}

/// What the keeper must know before it removes what is left over.
fn known(orphans: &[OrphanedRouter], links: &BTreeMap<InterfaceName, LinkFacts>) -> Vec<KeeperCommand> {
    let mut commands: Vec<KeeperCommand> =
        links.iter().map(|(name, facts)| KeeperCommand::Link(*name, Some(Box::new(facts.clone())))).collect();
    for OrphanedRouter { found, .. } in orphans {
        for (key, addresses) in found {
            commands.push(KeeperCommand::Declare { key: *key, addresses: addresses.clone() });
            commands.push(KeeperCommand::Own { key: *key, epoch: 0 });
        }
    }
    commands
}

/// Lets the protocol thread leave in the place of the dead one. Returns what happened.
async fn hand_over(
    orphans: &[OrphanedRouter],
    links: &BTreeMap<InterfaceName, LinkFacts>,
    keeper: &Arc<AddressKeeper>,
) -> Result<Vec<AgentEvent>, CleanUpError> {
    let (mail, mailbox) = Mailbox::open().map_err(system("make an eventfd"))?;
    let (events_in, mut events) = mpsc::channel(QUEUE);
    let (stopped_in, stopped) = oneshot::channel();
    let (to_writer, _unread) = mpsc::channel(1);
    let outlets = ThreadOutlets { events: events_in, lost: Arc::default(), to_writer, stopped: stopped_in };
    let thread = ProtocolThread::new(mailbox, Arc::clone(keeper), outlets);
    let thread = thread.map_err(system("start the protocol"))?;
    let started = std::thread::Builder::new().name("vrrp-protocol".to_owned()).spawn(move || thread.run());
    started.map_err(system("start the protocol thread"))?;
    for (name, facts) in links {
        let _ = mail.send(Input::Link(*name, Some(facts.clone())));
    }
    let _ = mail.send(Input::FinishCrashedRun(orphans.iter().map(|orphan| orphan.spec.clone()).collect()));
    let _ = mail.send(Input::Shutdown);
    // Whether it ended in time or not: the addresses go now.
    let _late = timeout(HANDOVER_LIMIT, stopped).await;
    let mut happened = Vec::new();
    while let Ok(event) = events.try_recv() {
        happened.push(event);
    }
    Ok(happened)
}

fn line(orphan: &OrphanedRouter, events: &[AgentEvent]) -> String {
    let name = &orphan.spec.name;
    let addresses: Vec<IpNet> = orphan.found.values().flatten().copied().collect();
    let of_it = || events.iter().filter(|event| event.router.as_ref() == Some(name)).map(|event| &event.kind);
    let by = of_it().find_map(taken);
    let told = by.or_else(|| of_it().find_map(unheard)).unwrap_or_else(|| "nobody took over".to_owned());
    format!("{name}: {told}; removed {}", named(&addresses))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the report is about two kinds")]
fn taken(kind: &AgentEventKind) -> Option<String> {
    match kind {
        AgentEventKind::Protocol(EventKind::HandedOver { to, after }) => {
            Some(format!("{to} took over after {} ms", after.as_millis()))
        }
        _ => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "as above")]
fn unheard(kind: &AgentEventKind) -> Option<String> {
    match kind {
        AgentEventKind::Protocol(EventKind::FaultRaised(fault)) => {
            Some(format!("nobody could be told ({fault})"))
        }
        _ => None,
    }
}

fn named(addresses: &[IpNet]) -> String {
    if addresses.len() > NAMED {
        return format!("{} addresses", addresses.len());
    }
    addresses.iter().map(IpNet::to_string).collect::<Vec<_>>().join(", ")
}

fn system(step: &'static str) -> impl Fn(io::Error) -> CleanUpError {
    move |source| CleanUpError::Run(RunError::System { step, source })
}
