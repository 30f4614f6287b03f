//! What the tests of the control socket share: a hand-made state, and a daemon that has nothing but
//! that state and the real server.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod schema;

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use vrrpd::agent::{
    AgentEvent, AgentEventKind, AgentHandle, AgentSnapshot, ChannelStatus, CheckRule, CheckRun, CheckStatus,
    CommandReply, EventLog, FailureKind, HookActivity, HookOutcome, HookRun, HookStatus, NodeNames,
    ProgramFailure, ProgramOutcome, ReloadOutcome, ReloadReply, ReloadRequest, Request,
};
use vrrpd::channel::TakeOutcome;
use vrrpd::config::HookKind;
use vrrpd::config::plan::Plan;
use vrrpd::config::{Resolved, report, resolve};
use vrrpd::control::{Limits, Server, SnapshotSource};
use vrrpd::protocol::{
    ActiveRouter, AnnounceSpec, Answer, Cause, CheckName, CheckResult, ChecksumPolicy, Command, Counters,
    DemoteOutcome, Demotion, EventKind, Fault, Force, Health, InstanceResult, InstanceSnapshot, InstanceSpec,
    LastHeard, LinkCounters, LinkLocalRule, NobodyServing, NotServing, PeerSnapshot, PeerWarning,
    RouterSnapshot, RouterSpec, Snapshot, StandingPeerWarning, StateName, TimerSnapshot, Track,
    TransitionDetails, Watched,
};
use vrrpd::types::{
    AdverInterval, AdvertPriority, Authentication, Destinations, Family, InstanceKey, MonoTime, Preempt,
    Priority, Role, RouterName, Version, Vrid,
};
use vrrpd::wire::{ChecksumFlavour, RejectReason};

pub fn seconds(seconds: u64) -> MonoTime {
    MonoTime::from_nanos(seconds * 1_000_000_000)
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

pub fn check(name: &str) -> CheckName {
    CheckName(name.into())
}

fn spec(name: &str, interface: &str, vrid: u8, priority: u8, instances: Vec<InstanceSpec>) -> RouterSpec {
    RouterSpec {
        name: name.parse().unwrap(),
        interface: interface.parse().unwrap(),
        address_interface: interface.parse().unwrap(),
        vrid: Vrid::new(vrid).unwrap(),
        role: Role::Contender { priority: Priority::new(priority).unwrap(), preempt: Preempt::Allow },
        interval: AdverInterval::default(),
        down_adverts: 3.try_into().unwrap(),
        preempt_delay: Duration::ZERO,
        checksum: ChecksumPolicy::Auto,
        link_local: LinkLocalRule::Require,
        source_address: None,
        destinations: Destinations::Multicast,
        accept_from: Vec::new(),
        instances,
        tracks: vec![],
        announce: AnnounceSpec::default(),
        drain: Duration::ZERO,
    }
}

fn holds(addresses: &[&str]) -> InstanceSpec {
    let addresses: Vec<ipnet::IpNet> = addresses.iter().map(|a| a.parse().unwrap()).collect();
    InstanceSpec {
        family: Family::of(addresses[0].addr()),
        authentication: Authentication::None,
        version: Version::V3,
        addresses,
        excluded: vec![],
    }
}

fn instance(
    spec: &RouterSpec,
    family: Family,
    state: StateName,
    cause: Cause,
    since: u64,
) -> InstanceSnapshot {
    InstanceSnapshot {
        key: spec.key(family),
        version: Version::V3,
        authentication: Authentication::None,
        state,
        since: seconds(since),
        cause,
        details: TransitionDetails::default(),
        active: None,
        nobody_serving: None,
        source: None,
        destinations: spec.destinations.addresses(family, |_| false),
        timers: TimerSnapshot {
            active_adver_interval: AdverInterval::default(),
            skew_time: Duration::from_micros(414_062),
            active_down_interval: Duration::from_micros(3_414_062),
            next: None,
        },
        peers: vec![],
        counters: Counters::default(),
        checksum: ChecksumFlavour::Rfc9568,
        draining: None,
    }
}

fn router(spec: RouterSpec, instances: Vec<InstanceSnapshot>) -> RouterSnapshot {
    let effective = match spec.role {
        Role::Owner => AdvertPriority::OWNER,
        Role::Contender { priority, .. } => priority.into(),
    };
    RouterSnapshot {
        spec,
        effective,
        faults: vec![],
        local_warnings: vec![],
        demoted: None,
        handing_over: false,
        instances,
        peer_warnings: vec![],
        not_serving: NotServing::Sibling,
    }
}

/// Active in both families, with everything that `show` can show.
fn moodle_a() -> RouterSnapshot {
    let mut spec = spec(
        "moodle-a",
        "eth0",
        51,
        150,
        vec![holds(&["192.0.2.50/24", "192.0.2.51/24"]), holds(&["fe80::50/64", "2001:db8::50/64"])],
    );
    spec.instances[0].excluded = vec!["198.51.100.50/32".parse().unwrap()];
    spec.tracks = vec![
        Track::fault(check("nginx")),
        Track::weighted(check("haproxy"), -60),
        Track::fault(Watched::Interface("eth1".parse().unwrap())),
    ];
    let mut v4 = instance(&spec, Family::Ipv4, StateName::Active, Cause::ActiveDownTimer, 808);
    v4.active = Some(ActiveRouter { address: ip("192.0.2.10"), local: true });
    v4.source = Some(ip("192.0.2.10"));
    v4.timers.next = Some(seconds(1000) + Duration::from_millis(250));
    v4.peers = vec![PeerSnapshot {
        address: ip("192.0.2.11"),
        heard: seconds(805),
        priority: AdvertPriority::from_wire(100),
        standing: AdvertPriority::from_wire(100),
        interval: AdverInterval::default(),
        checksum: ChecksumFlavour::Rfc5798,
    }];
    v4.counters = Counters {
        active_transitions: 1,
        advertisement_sent: 192,
        advertisement_rcvd: 40,
        address_list_errors: 2,
        rejected: [(RejectReason::ChecksumErrors, 3), (RejectReason::AddressListErrors, 1)].into(),
        ..Counters::default()
    };
    v4.details.lasted = Duration::from_secs(600);
    v4.details.peer = Some(LastHeard {
        address: ip("192.0.2.11"),
        priority: AdvertPriority::from_wire(100),
        ago: Duration::from_millis(3609),
    });
    let mut v6 = instance(&spec, Family::Ipv6, StateName::Active, Cause::Sibling, 808);
    v6.active = Some(ActiveRouter { address: ip("fe80::1c2d:3eff:fe4f:5a6b"), local: true });
    v6.source = v6.active.map(|active| active.address);
    let mut router = router(spec, vec![v4, v6]);
    router.effective = AdvertPriority::from_wire(90);
    router
}

/// Backup of another node.
fn moodle_b() -> RouterSnapshot {
    let spec = spec("moodle-b", "eth0", 52, 100, vec![holds(&["192.0.2.52/24"])]);
    let mut v4 = instance(&spec, Family::Ipv4, StateName::Backup, Cause::HigherPriority, 400);
    v4.active = Some(ActiveRouter { address: ip("192.0.2.11"), local: false });
    v4.details.peer = Some(LastHeard {
        address: ip("192.0.2.11"),
        priority: AdvertPriority::from_wire(150),
        ago: Duration::ZERO,
    });
    let what = PeerWarning::SamePriority(AdvertPriority::from_wire(100));
    let warning =
        StandingPeerWarning { key: v4.key, peer: Some(ip("192.0.2.11")), what, since: seconds(940) };
    RouterSnapshot { peer_warnings: vec![warning], ..router(spec, vec![v4]) }
}

/// Kept out by faults.
fn broken() -> RouterSnapshot {
    let spec = spec("broken", "eth1", 7, 100, vec![holds(&["203.0.113.7/28"])]);
    let mut v4 = instance(&spec, Family::Ipv4, StateName::Initialize, Cause::Fault, 997);
    v4.nobody_serving = Some(NobodyServing { last: None, silent: Duration::from_secs(15) });
    let mut router = router(spec, vec![v4]);
    router.faults = vec![Fault::NoCarrier("eth1".parse().unwrap()), Fault::Check(check("nginx"))];
    router.not_serving = NotServing::Faults(router.faults.clone());
    router
}

/// Active without anybody who could take over.
fn lonely() -> RouterSnapshot {
    let mut spec = spec("lonely", "eth2", 8, 100, vec![holds(&["203.0.113.8/28"])]);
    spec.role = Role::Owner;
    let mut v4 = instance(&spec, Family::Ipv4, StateName::Active, Cause::OwnerStartup, 10);
    v4.active = Some(ActiveRouter { address: ip("203.0.113.8"), local: true });
    router(spec, vec![v4])
}

/// One that failed, and one that has not run.
fn hooks() -> Vec<HookStatus> {
    let status = |hook, command: &[&str], timeout, last| HookStatus {
        hook,
        command: command.iter().map(ToString::to_string).collect(),
        timeout,
        activity: HookActivity::Idle,
        runs: 0,
        failures: 0,
        skipped: 0,
        last,
    };
    let failed = HookRun {
        ended: "2026-11-22T09:56:48.200Z".parse().unwrap(),
        state: StateName::Active,
        took: Duration::from_micros(73_250),
        outcome: HookOutcome::Failed("exit code 1: no such zone".into()),
    };
    vec![
        status(HookKind::BeforeActive, &["/bin/true"], Duration::from_millis(500), None),
        HookStatus {
            activity: HookActivity::Running,
            runs: 4,
            failures: 1,
            skipped: 2,
            ..status(
                HookKind::OnTransition,
                &["/etc/vrrpd/notify", "--zone", "b"],
                Duration::from_secs(10),
                Some(failed),
            )
        },
    ]
}

/// One that fails, one that passes but for its last run.
fn checks() -> std::collections::BTreeMap<CheckName, CheckStatus> {
    let status = |result, since: &str, streak, failure: Option<ProgramFailure>| CheckStatus {
        rule: CheckRule { interval: Duration::from_secs(1), rise: 2, fall: 3 },
        result: Some(result),
        since: Some(since.parse().unwrap()),
        streak: Some(streak),
        runs: 4123,
        last: Some(CheckRun {
            time: "2026-11-22T09:59:59.200Z".parse().unwrap(),
            took: Duration::from_micros(12_250),
            outcome: failure.map_or(ProgramOutcome::Passed, ProgramOutcome::Failed),
        }),
    };
    let refused =
        ProgramFailure { kind: FailureKind::ExitCode(7), said: Some("CRITICAL - connection refused".into()) };
    let slow = ProgramFailure { kind: FailureKind::TimedOut(Duration::from_millis(500)), said: None };
    let (failing, passing) = (CheckResult::Failing, CheckResult::Passing);
    [
        (check("haproxy"), status(failing, "2026-11-22T09:56:48.123Z", (failing, 195), Some(refused))),
        (check("nginx"), status(passing, "2026-11-22T08:00:00.000Z", (failing, 1), Some(slow))),
    ]
    .into()
}

/// A node as `frontend-0` was at 2026-11-22T10:00:00.123Z, 1000 seconds after its clock's zero.
pub fn published() -> AgentSnapshot {
    AgentSnapshot {
        node: "frontend-0".into(),
        channel: ChannelStatus::default(),
        names: NodeNames::default(),
        wall: "2026-11-22T10:00:00.123456Z".parse().unwrap(),
        snapshot: Snapshot {
            at: seconds(1000),
            routers: vec![broken(), lonely(), moodle_a(), moodle_b()],
            links: vec![
                (
                    "eth0".parse().unwrap(),
                    Family::Ipv4,
                    LinkCounters { rejected: [(RejectReason::VridErrors, 12)].into() },
                ),
                ("eth0".parse().unwrap(), Family::Ipv6, LinkCounters::default()),
                (
                    "eth1".parse().unwrap(),
                    Family::Ipv4,
                    LinkCounters { rejected: [(RejectReason::IpTtlErrors, 1)].into() },
                ),
            ],
            watched: vec![
                (check("haproxy").into(), Health::Failing(Fault::Check(check("haproxy")))),
                (check("nginx").into(), Health::Passing),
                (Watched::Interface("eth1".parse().unwrap()), Health::Passing),
            ],
        },
        hooks: [("moodle-a".parse().unwrap(), hooks())].into(),
        checks: checks(),
        metrics_problem: None,
    }
}

/// The same node, when the channel has told the names of the others.
pub fn published_with_names() -> AgentSnapshot {
    let names = [(ip("192.0.2.11"), "fe1"), (ip("fe80::11"), "fe1")];
    AgentSnapshot { names: names.into_iter().collect(), ..published() }
}

pub fn event(router: &str, kind: impl Into<AgentEventKind>) -> AgentEvent {
    let key = InstanceKey {
        interface: "eth0".parse().unwrap(),
        family: Family::Ipv4,
        vrid: Vrid::new(51).unwrap(),
    };
    AgentEvent {
        router: Some(router.parse().unwrap()),
        key: Some(key),
        kind: kind.into(),
        names: NodeNames::default(),
    }
}

/// What runs before a reload.
pub const BEFORE: &str = r#"
[agent]
node_name = "fe0"

[defaults]
interface = "eth0"

[[check]]
name = "nginx"
command = ["/usr/bin/systemctl", "is-active", "--quiet", "nginx.service"]

[[check]]
name = "disk"
command = ["/usr/bin/test", "-w", "/srv"]

[[virtual_router]]
name = "web"
vrid = 51
priority = 150
addresses = ["192.0.2.50/24", "192.0.2.51/24"]
track = [{ check = "nginx" }]

[[virtual_router]]
name = "db"
vrid = 52
addresses = ["192.0.2.60/24"]

[[virtual_router]]
name = "old"
vrid = 53
addresses = ["192.0.2.70/24"]

[[virtual_router]]
name = "mail"
vrid = 54
addresses = ["192.0.2.80/24"]
track = [{ check = "disk" }]
"#;

/// What came of a reload from one text to another.
pub fn reloaded(before: &str, after: &str) -> ReloadReply {
    let file = "/etc/vrrpd/vrrpd.toml";
    let before = resolve(before, file).unwrap().config;
    let outcome = match resolve(after, file) {
        Ok(Resolved { config, warnings, programs: _, expectations: _ }) => ReloadOutcome::Accepted {
            plan: Plan::new(&before, &config),
            report: report::text(after, &[], &warnings, report::Style::Plain),
            warnings,
        },
        Err(errors) => {
            let report = report::text(after, &errors, &[], report::Style::Plain);
            ReloadOutcome::Invalid { errors, report }
        }
    };
    ReloadReply { file: file.to_owned(), outcome }
}

pub fn took_over() -> EventKind {
    EventKind::Transition {
        from: StateName::Backup,
        to: StateName::Active,
        cause: Cause::ActiveDownTimer,
        priority: AdvertPriority::from_wire(150),
        details: TransitionDetails { lasted: Duration::from_millis(3414), ..TransitionDetails::default() },
    }
}

/// The daemon behind the server: it answers from [`published`].
struct Agent {
    published: AgentSnapshot,
    demotions: Arc<Mutex<Vec<Demotion>>>,
    demoted: BTreeSet<RouterName>,
    /// Demotions are answered when this many wait.
    together: usize,
    commands: Arc<AtomicUsize>,
    waiting: Vec<(Command, oneshot::Sender<CommandReply>)>,
    /// What it says about the disk.
    saved: Result<(), String>,
    /// What comes of the next requests to take a router.
    takes_to_come: Arc<Mutex<VecDeque<TakeOutcome>>>,
}

impl Agent {
    async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(request) = requests.recv().await {
            match request {
                Request::Snapshot { reply } => drop(reply.send(self.published.clone())),
                Request::Take { router, by, reply } => {
                    let next = self.takes_to_come.lock().unwrap().pop_front();
                    drop(reply.send(next.unwrap_or_else(|| panic!("{by} takes {router}"))));
                }
                Request::DrainOutlook { router, reply } => {
                    drop(reply.send(Err(format!("nobody would take over {router} here"))));
                }
                Request::Command { command, reply } => {
                    self.waiting.push((command, reply));
                    self.commands.fetch_add(1, Ordering::Relaxed);
                    if self.waiting.len() >= self.together {
                        for (command, reply) in std::mem::take(&mut self.waiting) {
                            let answer = self.answer(command);
                            drop(reply.send(CommandReply { answer, saved: self.saved.clone() }));
                        }
                    }
                }
            }
        }
    }

    fn answer(&mut self, command: Command) -> Answer {
        match command {
            Command::Promote { router } => Answer::Promoted { was_demoted: self.demoted.remove(&router) },
            Command::Demote { router, demotion, force, drain: _ } => {
                self.demotions.lock().unwrap().push(demotion);
                let again = !self.demoted.insert(router.clone());
                let instances = self.published.router(router.as_str()).unwrap().instances.clone();
                let result = |instance: &InstanceSnapshot| InstanceResult {
                    name: router.clone(),
                    family: instance.key.family,
                    outcome: if again {
                        DemoteOutcome::AlreadyDemoted
                    } else {
                        outcome(&router, instance, force)
                    },
                };
                Answer::Demoted(instances.iter().map(result).collect())
            }
        }
    }
}

fn outcome(router: &RouterName, instance: &InstanceSnapshot, force: Force) -> DemoteOutcome {
    let after = Duration::from_millis(1609);
    match (router.as_str(), instance.key.family, force) {
        ("moodle-a", Family::Ipv4, _) => DemoteOutcome::HandedOver {
            to: ip("192.0.2.11"),
            after: Duration::from_micros(17_250),
            kept: None,
        },
        ("moodle-a", Family::Ipv6, _) => {
            DemoteOutcome::HandedOver { to: ip("fe80::11"), after: Duration::from_micros(18_300), kept: None }
        }
        ("lonely", _, Force::No) => DemoteOutcome::Refused { after },
        ("lonely", _, Force::Yes) => DemoteOutcome::Forced { after },
        _ => DemoteOutcome::WasBackup,
    }
}

/// A running daemon in a thread of its own; it ends with this value.
pub struct Running {
    pub socket: PathBuf,
    pub events: Arc<EventLog>,
    /// As the server handed them over.
    pub demotions: Arc<Mutex<Vec<Demotion>>>,
    /// Commands that have come, answered or not.
    pub commands: Arc<AtomicUsize>,
    /// What comes of the next reloads; then nothing changes.
    pub reloads_to_come: Arc<Mutex<VecDeque<ReloadReply>>>,
    /// What comes of the next requests to take a router.
    pub takes_to_come: Arc<Mutex<VecDeque<TakeOutcome>>>,
    directory: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    pub fn start() -> Self {
        Self::with(Limits::default(), 1)
    }

    /// With limits, and a daemon that answers commands only when `together` of them wait.
    pub fn with(limits: Limits, together: usize) -> Self {
        Self::of(published(), limits, together, Ok(()))
    }

    /// Nothing that it is told survives a restart.
    pub fn with_a_full_disk() -> Self {
        Self::of(published(), Limits::default(), 1, Err("the disk is full".to_owned()))
    }

    /// It knows the names of the other nodes.
    pub fn with_names() -> Self {
        Self::of(published_with_names(), Limits::default(), 1, Ok(()))
    }

    fn of(published: AgentSnapshot, limits: Limits, together: usize, saved: Result<(), String>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("control.sock");
        let events = Arc::new(EventLog::new());
        let demotions = Arc::new(Mutex::new(Vec::new()));
        let commands = Arc::<AtomicUsize>::default();
        let takes_to_come = Arc::<Mutex<VecDeque<TakeOutcome>>>::default();
        let (stop, stopped) = oneshot::channel();
        // Bound here, so that whoever connects next is served.
        let server = Server::bind(&socket, limits).unwrap();
        let agent = Agent {
            published,
            demotions: Arc::clone(&demotions),
            demoted: BTreeSet::new(),
            together,
            commands: Arc::clone(&commands),
            waiting: Vec::new(),
            saved,
            takes_to_come: Arc::clone(&takes_to_come),
        };
        let (requests, receiver) = mpsc::channel(4);
        let reloads_to_come = Arc::new(Mutex::new(VecDeque::new()));
        let files = Arc::clone(&reloads_to_come);
        let (reloads, mut asked) = mpsc::channel::<ReloadRequest>(4);
        let daemon = AgentHandle { requests, reloads, events: Arc::clone(&events) };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let snapshots = SnapshotSource::start(daemon.requests.clone());
                tokio::select! {
                    ended = server.run(daemon, snapshots) => ended.unwrap(),
                    () = agent.run(receiver) => (),
                    () = async {
                        while let Some(request) = asked.recv().await {
                            let next = files.lock().unwrap().pop_front();
                            drop(request.reply.send(next.unwrap_or_else(|| reloaded(BEFORE, BEFORE))));
                        }
                    } => (),
                    _ = stopped => (),
                }
            });
        });
        Self {
            socket,
            events,
            demotions,
            commands,
            reloads_to_come,
            takes_to_come,
            directory,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn happens(&self, router: &str, kind: impl Into<AgentEventKind>) {
        let time = "2026-11-22T09:56:48.123Z".parse().unwrap();
        self.events.push(time, event(router, kind));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        if !std::thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}
