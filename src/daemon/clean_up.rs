//! `vrrpd --clean-up`: hands over and removes what a killed daemon left behind (docs/adr/0014).
//!
//! The addresses are still installed and the kernel still serves them. The protocol thread takes
//! the place of each router that was Active, in order to leave by the ordinary hand-over; the
//! address thread removes the rest at its start, as it does in every daemon. Hooks, checks, the
//! control socket and the log are not started.
//!
//! While a daemon runs nothing is touched, and while the clean-up runs no daemon can start.

use super::error::RunError;
use super::stop::tell_to_stop;
use crate::agent::error::error_chain;
use crate::agent::{AgentEvent, AgentEventKind};
use crate::config::Config;
use crate::control::{self, BindError};
use crate::kernel::address::{LOOPBACK, ObservedAddress, Origin};
use crate::kernel::blocking::run_within;
use crate::kernel::connections;
use crate::kernel::keeper::{
    AddressKeeper, DrainsAtStop, EarlierDrain, KeeperCommand, KeeperEvent, KeeperFunctions, arp_table_writer,
    earlier_drains_among, frame_announcer,
};
use crate::kernel::monitor::{Monitor, MonitorEvent, RECEIVE_BUFFER};
use crate::kernel::namespace_lock::{self, NamespaceLock, NamespaceLockError};
use crate::kernel::netlink::{Netlink, NetlinkError};
use crate::kernel::sysctl::{arp, promote_secondaries};
use crate::protocol::{EventKind, Input, LastResort, RouterSpec};
use crate::runtime::clock;
use crate::runtime::draining::{DrainQueues, ForwarderHandle};
use crate::runtime::protocol_thread::mailbox::Mailbox;
use crate::runtime::protocol_thread::{ProtocolThread, ThreadOutlets};
use crate::runtime::state::{Demotions, Moment, StateError, Store};
use crate::types::{Family, InstanceKey, InterfaceName, LinkFacts, Version, Vrid};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// The limit for listing the interfaces, which takes milliseconds.
const LINKS_LIMIT: Duration = Duration::from_millis(300);
/// The limit for the hand-overs. At an interval of one second a hand-over ends earlier, whichever
/// router takes over. Together with the other limits this is 3 s, because a service manager waits.
const HANDOVER_LIMIT: Duration = Duration::from_millis(1700);
/// The limit for the hand-overs if one of them is in version 2. A Backup that heard the second round of
/// resignations only, which ends after 1.26 s, takes over up to one second later (RFC 3768 §6.1).
const HANDOVER_LIMIT_OF_VERSION_2: Duration = Duration::from_millis(2600);
const KEEPER_LIMIT: Duration = Duration::from_secs(1);
/// The limit for reading the demotions. If the disk hangs, this time is added to the other limits.
const STATE_LIMIT: Duration = Duration::from_secs(1);
/// Number of notices and events of one run that may wait.
const QUEUE: usize = 4096;
/// Number of addresses that are named; the others are counted.
const NAMED: usize = 4;

/// The paths of the daemon that has ended.
#[derive(Debug)]
pub struct DaemonPaths {
    /// The control socket of the daemon.
    pub socket: PathBuf,
    /// The directory in which the daemon keeps demotions.
    pub state_dir: PathBuf,
}

/// Why addresses may still be installed.
#[derive(Debug, thiserror::Error)]
pub enum CleanUpError {
    /// Privileges are missing, or a thread or netlink cannot be opened.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The addresses cannot be listed.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// It is not known whether a daemon runs.
    #[error("cannot find out whether a daemon runs, so nothing was changed")]
    Socket(#[source] BindError),
    /// A process that does not answer keeps the state directory locked.
    #[error(
        "a process holds the lock of {path}, but no daemon answers on the control socket. Nothing was changed, and addresses of \
         a daemon that has ended may still be installed. To see the process, run: fuser {path}. If it is a daemon with another \
         --socket, give that --socket to this command", path = .0.display()
    )]
    Held(PathBuf),
    /// The kernel refused to remove addresses.
    #[error("addresses may be left behind: {0}")]
    Left(String),
}

/// Cleans up, and returns what was done: one line for each router. If there was nothing to do, no
/// line is returned.
///
/// `config` is called only if something was left behind. It returns `None` if the configuration is
/// wrong; then no peer can be told.
///
/// Addresses on `lo` belong to a drain of the daemon that has ended. `drains` ([`drains_after`]) says
/// whether it goes on for the next daemon, at most until the kernel removes the addresses at the end of
/// their lifetime, or ends as well: then the connections to them are reset, so that their clients know
/// at once, and the addresses are removed together with the ARP guard.
///
/// # Errors
/// [`CleanUpError`].
pub fn run(
    paths: &DaemonPaths,
    drains: DrainsAtStop,
    config: impl FnOnce() -> Option<Config>,
) -> Result<Vec<String>, CleanUpError> {
    let mut netlink = Netlink::open()?;
    if nothing_to_do(&leftovers(&mut netlink)?, drains) {
        return Ok(Vec::new());
    }
    let (_namespace, died) = match NamespaceLock::take() {
        Ok(namespace) => (Some(namespace), None),
        Err(NamespaceLockError::Taken(_)) => return Ok(Vec::new()),
        Err(died @ NamespaceLockError::Dead(_)) => (None, Some(died)),
        // The other two locks still show whether a daemon runs.
        Err(NamespaceLockError::Unclear(_)) => (None, None),
    };
    let now = Moment { mono: clock::now(), wall: clock::wall() };
    let (_socket, died) = match (control::vacancy(&paths.socket), died) {
        (Ok(vacancy), _) => (Some(vacancy), None),
        // The lock is held by what remains of the daemon in the kernel, and so is the lock of the
        // state directory.
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
    // A daemon would have answered. The process that holds this lock keeps addresses that no daemon
    // serves.
    let StateLock { _store, demotions, trouble } = match died {
        Some(died) => StateLock::unknown(died.to_string()),
        None => lock_state(&paths.state_dir, now)?,
    };
    // The leftovers are listed once more: the daemon that held these locks may have ended only now,
    // in good order.
    let left = leftovers(&mut netlink)?;
    if nothing_to_do(&left, drains) {
        return Ok(Vec::new());
    }
    super::check_privileges()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(system("start the event loop"))?;
    let reset = match drains {
        DrainsAtStop::Keep => None,
        DrainsAtStop::End => reset_connections(&earlier_drains_among(&left)),
    };
    let lines = runtime.block_on(release_leftovers(config(), &demotions, &left, drains));
    runtime.shutdown_background();
    Ok(trouble.into_iter().chain(reset).chain(lines?).collect())
}

/// The state directory, locked.
struct StateLock {
    _store: Option<Store>,
    demotions: Demotions,
    /// Why the demotions are not known.
    trouble: Option<String>,
}

impl StateLock {
    fn unknown(why: String) -> Self {
        let trouble = Some(format!("demotions are not known: {why}"));
        Self { _store: None, demotions: Demotions::default(), trouble }
    }
}

fn listens(died: &NamespaceLockError, socket: &Path) -> bool {
    matches!(died, NamespaceLockError::Dead(pid) if namespace_lock::process_listening_at(socket) == Some(*pid))
}

/// Locks the state directory. A disk that hangs or fails must not keep an address on an interface:
/// the socket has shown that no daemon runs. Without the disk it is not known which routers were
/// demoted, but a demoted router does not hold addresses that could be left over.
fn lock_state(dir: &Path, now: Moment) -> Result<StateLock, CleanUpError> {
    let place = dir.to_owned();
    match run_within(STATE_LIMIT, move || Store::visit(&place, now)) {
        Ok(Ok((store, demotions))) => Ok(StateLock { _store: Some(store), demotions, trouble: None }),
        Ok(Err(StateError::InUse(path))) => Err(CleanUpError::Held(path)),
        Ok(Err(error @ StateError::Io { .. })) => Ok(StateLock::unknown(error.to_string())),
        Err(hangs) => Ok(StateLock::unknown(format!("cannot read {}: {hangs}", dir.display()))),
    }
}

/// Replaces a protocol thread that has died while the agent runs: another protocol thread takes its
/// place, in order to leave. `keeper` holds the addresses that the dead thread wanted.
pub(super) async fn replace_protocol_thread(
    config: &Config,
    keeper: &Arc<AddressKeeper>,
) -> Result<(), CleanUpError> {
    let held = leftovers(&mut Netlink::open()?)?;
    let links = links(used_interfaces(config)).await?;
    // A router that is out of service does not hold addresses.
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

/// What becomes of drains: if a service manager runs the clean-up after the daemon has ended, it starts
/// another daemon, or the operator has stopped this one and knows what drains. Then they go on. Who runs
/// it by hand wants nothing to be left.
///
/// systemd sets `SERVICE_RESULT` for `ExecStopPost=` only (systemd.exec(5)).
#[must_use]
pub fn drains_after(service_result: Option<&OsStr>) -> DrainsAtStop {
    match service_result {
        Some(_) => DrainsAtStop::Keep,
        None => DrainsAtStop::End,
    }
}

fn nothing_to_do(left: &[ObservedAddress], drains: DrainsAtStop) -> bool {
    match drains {
        DrainsAtStop::Keep => left.len() == kept(left).len(),
        DrainsAtStop::End => left.is_empty(),
    }
}

/// The drains that go on. An address that is on an interface as well had not moved, or had just come
/// back, when the daemon ended: its router is handed over like any other.
fn kept(left: &[ObservedAddress]) -> Vec<EarlierDrain> {
    let elsewhere: BTreeSet<IpAddr> =
        left.iter().filter(|address| address.index != LOOPBACK).map(|address| address.net.addr()).collect();
    let mut drains = earlier_drains_among(left);
    drains.retain(|drain| !elsewhere.contains(&drain.address));
    drains
}

/// Returns what the keeper must know so that these drains go on: an instance for each address, because
/// each has a lifetime of its own. Neither the configuration nor the names of interfaces matter for that:
/// the label of an address says which interface has to keep its guard.
fn going_on(drains: &[EarlierDrain]) -> Vec<KeeperCommand> {
    let mut commands = Vec::new();
    for (number, EarlierDrain { address, left }) in drains.iter().enumerate() {
        let (Ok(interface), Ok(vrid)) = (format!("drain-{number}").parse(), Vrid::new(1)) else { continue };
        let key = InstanceKey { interface, family: Family::of(*address), vrid };
        let addresses = vec![IpNet::from(*address)];
        commands.push(KeeperCommand::Declare { key, address_interface: interface, addresses });
        commands.push(KeeperCommand::Drain { key, epoch: 0, lifetime: *left });
    }
    commands
}

/// Resets the connections to addresses whose drain ends now. Returns the line about it, if there is
/// something to say. The addresses are removed whether this succeeds or not.
fn reset_connections(drains: &[EarlierDrain]) -> Option<String> {
    let addresses: BTreeSet<IpAddr> = drains.iter().map(|drain| drain.address).collect();
    if addresses.is_empty() {
        return None;
    }
    let reset = connections::list(&addresses).and_then(|list| connections::destroy(&list.sockets));
    match reset {
        Ok(0) => None,
        Ok(1) => Some("lo: reset 1 connection to an address that drained".to_owned()),
        Ok(count) => Some(format!("lo: reset {count} connections to addresses that drained")),
        Err(error) => {
            Some(format!("lo: connections to addresses that drained were not reset: {}", error_chain(&error)))
        }
    }
}

/// A router that died as Active.
struct OrphanedRouter {
    spec: RouterSpec,
    /// The addresses of the router that are still installed.
    found: BTreeMap<InstanceKey, Vec<IpNet>>,
}

async fn release_leftovers(
    config: Option<Config>,
    demotions: &Demotions,
    left: &[ObservedAddress],
    drains: DrainsAtStop,
) -> Result<Vec<String>, CleanUpError> {
    let (orphans, links) = match config {
        None => (Vec::new(), BTreeMap::new()),
        Some(config) => {
            let links = links(used_interfaces(&config)).await?;
            (orphans(&config, demotions, &links, left), links)
        }
    };
    let mut commands = known(&orphans, &links);
    match drains {
        DrainsAtStop::Keep => commands.extend(going_on(&kept(left))),
        DrainsAtStop::End => {}
    }
    let (notices_in, mut notices) = mpsc::channel(QUEUE);
    let functions = KeeperFunctions {
        clock: Box::new(clock::now),
        announcer: frame_announcer(),
        promoter: Box::new(promote_secondaries),
        arp: Box::new(arp),
        arp_table: arp_table_writer(),
        // If the queue is full, only lines of the report are lost.
        events: Box::new(move |event| drop(notices_in.try_send(event))),
    };
    let keeper = AddressKeeper::spawn_knowing(commands, functions);
    let keeper = Arc::new(keeper.map_err(RunError::from)?);
    let events = if orphans.is_empty() { Vec::new() } else { hand_over(&orphans, &links, &keeper).await? };
    let mut lines: Vec<String> = orphans.iter().map(|orphan| line(orphan, &events)).collect();
    let stopped = async {
        tell_to_stop(drains, |command| keeper.send(command)).await.map_err(|ended| ended.to_string())?;
        while let Some(notice) = notices.recv().await {
            match notice {
                KeeperEvent::StaleRemoved { interface, addresses } => {
                    lines.push(format!(
                        "{interface}: removed {}, which an earlier run left behind",
                        named(&addresses)
                    ));
                }
                KeeperEvent::Stopped { outcome, .. } => return outcome,
                KeeperEvent::Held { .. }
                | KeeperEvent::Draining { .. }
                | KeeperEvent::Released { .. }
                | KeeperEvent::Restored { .. }
                | KeeperEvent::Reinstalled { .. }
                | KeeperEvent::NotRestored { .. }
                | KeeperEvent::Contested { .. }
                | KeeperEvent::PromotionNotSet { .. }
                | KeeperEvent::ForeignReinstalled { .. }
                | KeeperEvent::GuardRestored { .. }
                | KeeperEvent::NotAnnounced { .. } => {}
            }
        }
        Err("the address thread has ended".to_owned())
    };
    match timeout(KEEPER_LIMIT, stopped).await {
        Ok(Ok(())) => Ok(lines),
        Ok(Err(why)) => Err(CleanUpError::Left(why)),
        Err(_) => {
            // If the keeper were dropped, this thread would wait for the keeper's thread, which
            // waits for the kernel.
            std::mem::forget(keeper);
            Err(CleanUpError::Left("the kernel does not answer".to_owned()))
        }
    }
}

/// Returns every interface that a router runs on or has its addresses on.
fn used_interfaces(config: &Config) -> BTreeSet<InterfaceName> {
    config.routers.iter().flat_map(|spec| [spec.interface, spec.address_interface]).collect()
}

/// Returns the facts of these interfaces, if they exist.
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
    // An interface whose facts do not arrive in time counts as missing: its addresses are removed
    // without a hand-over.
    let _late = timeout(LINKS_LIMIT, all).await;
    watching.abort();
    Ok(links)
}

/// Returns the routers that addresses were left of. A router that is out of service does not serve.
fn orphans(
    config: &Config,
    demotions: &Demotions,
    links: &BTreeMap<InterfaceName, LinkFacts>,
    left: &[ObservedAddress],
) -> Vec<OrphanedRouter> {
    let out = |name| demotions.get(name).is_some_and(|demotion| demotion.last_resort == LastResort::No);
    let mut orphans = Vec::new();
    for spec in config.routers.iter().filter(|spec| !out(&spec.name)) {
        let Some(link) = links.get(&spec.address_interface) else { continue };
        let mut found: BTreeMap<InstanceKey, Vec<IpNet>> = BTreeMap::new();
        for instance in &spec.instances {
            let is_its = |a: &&ObservedAddress| {
                let mut configured = instance.held();
                a.index == link.index && configured.any(|net| net.addr() == a.net.addr())
            };
            // The addresses are taken as they are installed: the configuration may have another
            // prefix length by now.
            let nets: Vec<IpNet> = left.iter().filter(is_its).map(|a| a.net).collect();
            if !nets.is_empty() {
                found.insert(spec.key(instance.family), nets);
            }
        }
        if !found.is_empty() {
            // The checks do not run, so their results do not count.
            orphans.push(OrphanedRouter { spec: RouterSpec { tracks: Vec::new(), ..spec.clone() }, found });
        }
    }
    orphans
}

/// Returns what the keeper must know before it removes what is left over.
fn known(orphans: &[OrphanedRouter], links: &BTreeMap<InterfaceName, LinkFacts>) -> Vec<KeeperCommand> {
    let mut commands: Vec<KeeperCommand> =
        links.iter().map(|(name, facts)| KeeperCommand::Link(*name, Some(Box::new(facts.clone())))).collect();
    for OrphanedRouter { spec, found } in orphans {
        for (key, addresses) in found {
            let address_interface = spec.address_interface;
            commands.push(KeeperCommand::Declare {
                key: *key,
                address_interface,
                addresses: addresses.clone(),
            });
            commands.push(KeeperCommand::Hold { key: *key, epoch: 0 });
        }
    }
    commands
}

/// How long the hand-overs of these routers may take.
fn handover_limit(orphans: &[OrphanedRouter]) -> Duration {
    let mut instances = orphans.iter().flat_map(|orphan| &orphan.spec.instances);
    if instances.any(|instance| instance.version == Version::V2) {
        HANDOVER_LIMIT_OF_VERSION_2
    } else {
        HANDOVER_LIMIT
    }
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
    // Nothing drains after a crash, and nobody passes anything on.
    let (_unread, drains) = DrainQueues::new(&ForwarderHandle::default());
    let outlets =
        ThreadOutlets { events: events_in, lost: Arc::default(), to_writer, drains, stopped: stopped_in };
    let thread = ProtocolThread::new(mailbox, Arc::clone(keeper), outlets);
    let thread = thread.map_err(system("start the protocol"))?;
    let started = std::thread::Builder::new().name("vrrp-protocol".to_owned()).spawn(move || thread.run());
    started.map_err(system("start the protocol thread"))?;
    for (name, facts) in links {
        let _ = mail.send(Input::Link(*name, Some(facts.clone())));
    }
    let _ = mail.send(Input::FinishCrashedRun(orphans.iter().map(|orphan| orphan.spec.clone()).collect()));
    let _ = mail.send(Input::Shutdown);
    // The addresses are released now, whether the hand-over ended in time or not.
    let _late = timeout(handover_limit(orphans), stopped).await;
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
            Some(format!("no other router could be told ({fault})"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::address::AddressLifetime;

    fn ours(index: u32, net: &str, seconds: u64) -> ObservedAddress {
        let lifetime = AddressLifetime::Limited(Duration::from_secs(seconds));
        ObservedAddress { lifetime, ..ObservedAddress::ready(index, net, Origin::Ours) }
    }

    #[test]
    fn drains_go_on_under_a_service_manager_and_end_by_hand() {
        for result in ["success", "signal", ""] {
            assert_eq!(drains_after(Some(OsStr::new(result))), DrainsAtStop::Keep);
        }
        assert_eq!(drains_after(None), DrainsAtStop::End);
    }

    /// Each address drains for what is left of its own lifetime.
    #[test]
    fn what_drains_goes_on_and_what_is_on_an_interface_as_well_is_handed_over() {
        let drains = [ours(LOOPBACK, "192.0.2.50/32", 62), ours(LOOPBACK, "2001:db8::50/128", 32)];
        assert!(nothing_to_do(&drains, DrainsAtStop::Keep) && !nothing_to_do(&drains, DrainsAtStop::End));
        let told: Vec<_> = going_on(&kept(&drains))
            .into_iter()
            .filter_map(|command| {
                let KeeperCommand::Drain { key, lifetime, .. } = command else { return None };
                Some((key.to_string(), lifetime.as_secs()))
            })
            .collect();
        let expected = [("drain-0/1/ipv4".to_owned(), 60), ("drain-1/1/ipv6".to_owned(), 30)];
        assert_eq!(told, expected);

        let moving =
            [drains.as_slice(), &[ObservedAddress::ready(2, "192.0.2.50/24", Origin::Ours)]].concat();
        assert!(!nothing_to_do(&moving, DrainsAtStop::Keep));
        assert_eq!(
            kept(&moving).iter().map(|drain| drain.address).collect::<Vec<_>>(),
            [drains[1].net.addr()]
        );
        let unlimited = [ObservedAddress::ready(LOOPBACK, "192.0.2.50/32", Origin::Ours)];
        assert!(!nothing_to_do(&unlimited, DrainsAtStop::Keep), "not of a drain");
        assert!(nothing_to_do(&[], DrainsAtStop::End));
    }
}
