//! Tests of hooks with real processes. Every wait is for a condition, with a deadline.

use super::*;
use crate::agent::{AgentEventKind, HookOutcome};
use crate::config::resolve;
use crate::protocol::{Cause, LastHeard, StateName, TransitionDetails};
use crate::types::AdvertPriority;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(20);

/// Both families of one router, its hooks, and a directory where they leave traces.
struct HookScene {
    room: TempDir,
    hooks: Hooks,
    events: mpsc::Receiver<AgentEvent>,
    prepared: Arc<Mutex<Vec<u64>>>,
    keys: Vec<InstanceKey>,
    names: watch::Sender<NodeNames>,
}

impl HookScene {
    /// `keys` as TOML; ROOM stands for the directory.
    fn new(keys: &str) -> Self {
        let room = TempDir::new().unwrap();
        let keys = keys.replace("ROOM", room.path().to_str().unwrap());
        let text = format!(
            "[[virtual_router]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\npriority = 150\n\
             addresses = [\"192.0.2.50/24\", \"2001:db8::50/64\"]\nlink_local = \"none\"\n\
             excluded_addresses = [\"192.0.2.51/24\"]\n{keys}\n"
        );
        let config = resolve(&text, "test").unwrap_or_else(|errors| panic!("{errors:#?}")).config;
        let (sender, events) = mpsc::channel(64);
        let prepared = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&prepared);
        let outlets = HookOutlets {
            events: sender,
            lost: Arc::default(),
            prepared: Arc::new(move |_, run| told.lock().unwrap().push(run)),
        };
        let names = watch::Sender::new(NodeNames::default());
        let mut hooks = Hooks::new(outlets, names.subscribe());
        let _arrangement = hooks.apply(&config, "fe0");
        let keys = config.routers[0].instances.iter().map(|m| config.routers[0].key(m.family)).collect();
        Self { room, hooks, events, prepared, keys, names }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.room.path().join(name)
    }

    fn moves(&self, from: StateName, to: StateName, cause: Cause) {
        let priority = AdvertPriority::from_wire(150);
        let address = "192.0.2.11".parse().unwrap();
        let peer = Some(LastHeard { address, priority: AdvertPriority::from_wire(200), ago: Duration::ZERO });
        let details = Arc::new(TransitionDetails { peer, ..TransitionDetails::default() });
        for key in &self.keys {
            let moved = queue::FamilyTransition {
                family: key.family,
                from,
                to,
                cause,
                priority,
                details: Arc::clone(&details),
            };
            self.tell(WorkerEvent::Moved(moved)).unwrap();
        }
    }

    fn tell(&self, news: WorkerEvent) -> Result<(), NotTold> {
        self.hooks.shared_routes.0.lock().unwrap().tell(&"web".parse().unwrap(), news)
    }

    fn claims(&self, run: u64) {
        self.moves(StateName::Backup, StateName::Active, Cause::ActiveDownTimer);
        self.tell(WorkerEvent::Prepare { run }).unwrap();
    }

    fn held(&self) {
        for key in &self.keys {
            self.hooks.shared_routes().on_keeper(&KeeperEvent::Held { key: *key, epoch: 1, outcome: Ok(()) });
        }
    }

    fn released(&self) {
        for key in &self.keys {
            self.hooks.shared_routes().on_keeper(&KeeperEvent::Released {
                key: *key,
                epoch: 2,
                outcome: Ok(()),
            });
        }
    }

    /// Returns the next event: hook, state and outcome.
    async fn next(&mut self) -> (HookKind, StateName, HookOutcome) {
        let event = timeout(DEADLINE, self.events.recv()).await.expect("no event in time").unwrap();
        assert_eq!((event.router.as_ref().map(RouterName::as_str), event.key), (Some("web"), None));
        let AgentEventKind::Hook { hook, state, outcome, .. } = event.kind else { panic!("{event:?}") };
        (hook, state, outcome)
    }

    fn prepared(&self) -> Vec<u64> {
        self.prepared.lock().unwrap().clone()
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let patience = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, patience).await.unwrap_or_else(|_| panic!("never came true: {what}"));
}

/// Waits for a line in a file, and returns the content of the file.
async fn content(file: &Path) -> String {
    let read = || std::fs::read_to_string(file).unwrap_or_default();
    until("the script wrote its file", || read().ends_with('\n')).await;
    read().trim().to_owned()
}

fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[tokio::test]
async fn a_hook_is_told_what_happened_and_nothing_else() {
    let mut scene =
        HookScene::new("on_transition = [\"/usr/bin/env\", \"sh\", \"-c\", \"env | sort >ROOM/env\"]");
    scene.moves(StateName::Initialize, StateName::Backup, Cause::Startup);
    assert_eq!(scene.next().await, (HookKind::OnTransition, StateName::Backup, HookOutcome::Passed));
    let told = content(&scene.path("env")).await;
    let told: Vec<_> = told
        .lines()
        .filter(|line| !["PWD=", "SHLVL=", "_=", "OLDPWD="].iter().any(|own| line.starts_with(own)))
        .collect();
    let time = told.iter().find_map(|line| line.strip_prefix("VRRPD_TIME=")).expect("a time");
    assert!(time.parse::<jiff::Timestamp>().is_ok() && time.ends_with('Z'), "{time}");
    let expected = [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "VRRPD_ADDRESSES=192.0.2.50/24 192.0.2.51/24 2001:db8::50/64",
        "VRRPD_CAUSE=startup",
        "VRRPD_FAMILIES=ipv4 ipv6",
        "VRRPD_FAULTS=",
        "VRRPD_HOOK=on_transition",
        "VRRPD_INTERFACE=eth0",
        "VRRPD_NAME=web",
        "VRRPD_NODE=fe0",
        "VRRPD_PEER=192.0.2.11",
        "VRRPD_PEER_NODE=",
        "VRRPD_PREVIOUS_STATE=initialize",
        "VRRPD_PRIORITY=150",
        "VRRPD_REASON=vrrpd started",
        "VRRPD_STATE=backup",
        &format!("VRRPD_TIME={time}"),
        "VRRPD_VRID=51",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_hook_is_told_the_name_of_the_other_node() {
    let mut scene = HookScene::new(
        "on_transition = [\"/bin/sh\", \"-c\", \"echo $VRRPD_PEER_NODE: $VRRPD_REASON >ROOM/told\"]",
    );
    scene.names.send_replace(NodeNames::from_iter([("192.0.2.11".parse().unwrap(), "fe1")]));
    scene.moves(StateName::Initialize, StateName::Backup, Cause::HigherPriority);
    assert_eq!(scene.next().await.2, HookOutcome::Passed);
    let told = content(&scene.path("told")).await;
    assert_eq!(told, "fe1: fe1 (192.0.2.11) has a higher priority (200 > 150)");
}

#[tokio::test]
async fn hooks_of_one_router_never_overlap_and_keep_their_order() {
    let log = "[\"/bin/sh\", \"-c\", \"echo +$VRRPD_HOOK-$VRRPD_STATE >>ROOM/log; sleep 0.05; echo -$VRRPD_HOOK >>ROOM/log\"]";
    let mut scene =
        HookScene::new(&format!("before_active = {log}\non_transition = {log}\nafter_release = {log}"));
    scene.claims(1);
    until("it is prepared", || scene.prepared() == [1]).await;
    scene.held();
    scene.moves(StateName::Active, StateName::Backup, Cause::HigherPriority);
    scene.released();
    scene.hooks.finish(DEADLINE).await;
    let said = content(&scene.path("log")).await;
    let order: Vec<_> = said.lines().collect();
    for pair in order.chunks(2) {
        let opened = pair[0].strip_prefix('+').and_then(|name| name.split_once('-')).map(|(name, _)| name);
        assert_eq!(opened, pair[1].strip_prefix('-'), "{order:?}");
    }
    assert_eq!(order.first(), Some(&"+before_active-active"));
    assert_eq!(
        order[order.len() - 4..],
        ["+after_release-backup", "-after_release", "+on_transition-backup", "-on_transition"]
    );
    assert_eq!(scene.next().await.0, HookKind::BeforeActive);
}

#[tokio::test]
async fn a_hook_that_hangs_is_killed_with_all_its_processes() {
    let mut scene = HookScene::new(
        "hook_timeout = \"200ms\"\n\
         on_transition = [\"/bin/sh\", \"-c\", \"sleep 1000 & echo $! >ROOM/pid; echo stuck >&2; wait\"]",
    );
    scene.moves(StateName::Initialize, StateName::Backup, Cause::Startup);
    let (_, _, outcome) = scene.next().await;
    assert_eq!(outcome, HookOutcome::TimedOut("timed out after 200ms: stuck".to_owned()));
    let pid = content(&scene.path("pid")).await;
    until("its child is gone", || !alive(&pid)).await;
    let status = scene.hooks.board().snapshot().into_values().next().unwrap().remove(0);
    assert_eq!((status.runs, status.failures, status.skipped), (1, 1, 0));
}

#[tokio::test]
async fn a_preparation_that_fails_is_over_and_says_why() {
    let mut scene = HookScene::new("before_active = [\"/bin/sh\", \"-c\", \"echo no zone >&2; exit 3\"]");
    scene.claims(9);
    let failed = HookOutcome::Failed("exit code 3: no zone".to_owned());
    assert_eq!(scene.next().await, (HookKind::BeforeActive, StateName::Active, failed));
    assert_eq!(scene.prepared(), [9]);
}

#[tokio::test]
async fn a_preparation_that_is_off_is_killed_at_once() {
    let mut scene = HookScene::new(
        "before_active_timeout = \"10s\"\n\
         before_active = [\"/bin/sh\", \"-c\", \"echo $$ >ROOM/pid; exec sleep 1000\"]",
    );
    scene.claims(1);
    let pid = content(&scene.path("pid")).await;
    scene.moves(StateName::Active, StateName::Backup, Cause::HigherPriority);
    assert_eq!(scene.next().await, (HookKind::BeforeActive, StateName::Active, HookOutcome::Cancelled));
    assert!(!alive(&pid));
}

#[tokio::test]
async fn intermediate_states_are_left_out_and_counted() {
    let mut scene = HookScene::new(
        "on_transition = [\"/bin/sh\", \"-c\", \"echo $VRRPD_STATE >>ROOM/log; \
         while [ ! -e ROOM/go ]; do sleep 0.01; done\"]",
    );
    scene.moves(StateName::Initialize, StateName::Backup, Cause::Startup);
    assert_eq!(content(&scene.path("log")).await, "backup");
    for _ in 0..3 {
        scene.moves(StateName::Backup, StateName::Active, Cause::ActiveDownTimer);
        scene.held();
        scene.moves(StateName::Active, StateName::Initialize, Cause::Fault);
        scene.released();
    }
    for state in [StateName::Active, StateName::Initialize, StateName::Active, StateName::Initialize] {
        assert_eq!(scene.next().await, (HookKind::OnTransition, state, HookOutcome::Superseded));
    }
    std::fs::write(scene.path("go"), "").unwrap();
    let superseded = scene.next().await;
    assert_eq!(superseded, (HookKind::OnTransition, StateName::Active, HookOutcome::Superseded));
    assert_eq!(scene.next().await.2, HookOutcome::Passed);
    assert_eq!(scene.next().await, (HookKind::OnTransition, StateName::Initialize, HookOutcome::Passed));
    assert_eq!(content(&scene.path("log")).await, "backup\ninitialize");
    let status = scene.hooks.board().snapshot().into_values().next().unwrap().remove(0);
    assert_eq!((status.runs, status.failures, status.skipped), (2, 0, 5));
}

#[tokio::test]
async fn the_end_waits_for_what_is_due_but_not_for_ever() {
    let mut scene = HookScene::new(
        "after_release = [\"/bin/sh\", \"-c\", \"echo $VRRPD_CAUSE >ROOM/released\"]\n\
         on_transition = [\"/bin/sh\", \"-c\", \"echo $$ >ROOM/pid; exec sleep 1000\"]",
    );
    scene.moves(StateName::Backup, StateName::Active, Cause::ActiveDownTimer);
    scene.held();
    let first = content(&scene.path("pid")).await;
    scene.moves(StateName::Active, StateName::Initialize, Cause::Shutdown);
    scene
        .hooks
        .shared_routes()
        .on_keeper(&KeeperEvent::Stopped { outcome: Ok(()), draining: BTreeSet::new() });
    scene.hooks.finish(Duration::from_millis(100)).await;
    assert!(!alive(&first), "what runs is killed");
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(scene.next().await.2);
    }
    assert_eq!(outcomes, [HookOutcome::Cancelled, HookOutcome::Cancelled, HookOutcome::Cancelled]);
}

/// Addresses that stay on `lo` are served on, so that nobody may be told that they are free.
#[tokio::test]
async fn the_end_does_not_release_what_still_drains() {
    for (draining, released) in [(true, false), (false, true)] {
        let mut scene =
            HookScene::new("after_release = [\"/bin/sh\", \"-c\", \"echo $VRRPD_CAUSE >ROOM/released\"]");
        scene.moves(StateName::Backup, StateName::Active, Cause::ActiveDownTimer);
        scene.held();
        scene.moves(StateName::Active, StateName::Initialize, Cause::Shutdown);
        let draining = if draining { scene.keys.iter().copied().collect() } else { BTreeSet::new() };
        let stopped = KeeperEvent::Stopped { outcome: Ok(()), draining };
        scene.hooks.shared_routes().on_keeper(&stopped);
        scene.hooks.finish(DEADLINE).await;
        assert_eq!(scene.path("released").exists(), released);
    }
}

#[tokio::test]
async fn a_command_or_user_that_does_not_exist_is_a_failure_with_a_name() {
    for (keys, says) in [
        ("on_transition = [\"/nonexistent/notify\"]", "could not run: /nonexistent/notify: No such file"),
        (
            "on_transition = [\"/bin/true\"]\nhook_user = \"nobody-of-this-name\"",
            "no user \"nobody-of-this-name\"",
        ),
    ] {
        let mut scene = HookScene::new(keys);
        scene.moves(StateName::Initialize, StateName::Backup, Cause::Startup);
        let (_, _, outcome) = scene.next().await;
        let HookOutcome::Failed(why) = outcome else { panic!("{outcome:?}") };
        assert!(why.contains(says), "{why}");
    }
}

/// Configuration management reloads twice within seconds.
#[tokio::test]
async fn a_router_that_left_runs_its_last_hooks_however_often_others_change() {
    let mut scene =
        HookScene::new("after_release = [\"/bin/sh\", \"-c\", \"echo $VRRPD_CAUSE >ROOM/released\"]");
    scene.moves(StateName::Initialize, StateName::Backup, Cause::Startup);
    scene.moves(StateName::Backup, StateName::Active, Cause::ActiveDownTimer);
    scene.held();
    let busy = |scene: &HookScene| scene.hooks.workers.values().any(WorkerHandle::is_busy);
    until("the worker knows", || busy(&scene)).await;
    for vrid in [60, 61, 62] {
        let text = format!(
            "[[virtual_router]]\nname = \"other\"\ninterface = \"eth1\"\nvrid = {vrid}\n\
             addresses = [\"198.51.100.1/24\"]\n"
        );
        let _arrangement = scene.hooks.apply(&resolve(&text, "test").unwrap().config, "fe0");
    }
    scene.moves(StateName::Active, StateName::Initialize, Cause::Configuration);
    scene.released();
    assert_eq!(scene.next().await, (HookKind::AfterRelease, StateName::Initialize, HookOutcome::Passed));
    assert_eq!(content(&scene.path("released")).await, "configuration");

    until("it has nothing left to do", || !busy(&scene)).await;
    let text = "[[virtual_router]]\nname = \"other\"\ninterface = \"eth1\"\nvrid = 62\naddresses = [\"198.51.100.1/24\"]\n";
    let _arrangement = scene.hooks.apply(&resolve(text, "test").unwrap().config, "fe0");
    assert_eq!(scene.hooks.workers.len(), 1, "and then it goes");
}

/// A task that has ended keeps two kilobytes until its result is asked for.
#[tokio::test]
async fn workers_of_routers_that_left_leave_nothing_behind() {
    let mut scene = HookScene::new("");
    for round in 0..200 {
        let text = format!(
            "[[virtual_router]]\nname = \"r{round}\"\ninterface = \"eth1\"\nvrid = 60\naddresses = [\"198.51.100.1/24\"]\n"
        );
        let _arrangement = scene.hooks.apply(&resolve(&text, "test").unwrap().config, "fe0");
        // The new task, the one before, and one more that the runtime may not have run yet.
        tokio::task::yield_now().await;
        assert!(scene.hooks.tasks.len() <= 4, "{} tasks after {round} reloads", scene.hooks.tasks.len());
    }
    assert!(scene.hooks.workers.len() <= 2 && scene.hooks.departed.len() <= 1);
}
