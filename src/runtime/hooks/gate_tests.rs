//! Tests of the gate with real queues and no workers.

use super::*;
use crate::config::resolve;
use crate::protocol::{Cause, StateName, TransitionDetails};
use crate::types::{AdvertPriority, Family};
use std::sync::Arc;
use tokio::sync::mpsc;

const CONFIG: &str = r#"
[defaults]
interface = "eth0"
priority = 100
[[virtual_router]]
name = "web"
vrid = 51
addresses = ["192.0.2.50/24", "2001:db8::50/64"]
before_active = ["/bin/true"]
before_active_timeout = "300ms"
[[virtual_router]]
name = "mail"
vrid = 52
addresses = ["192.0.2.52/24"]
on_transition = ["/bin/true"]
[[virtual_router]]
name = "plain"
vrid = 53
addresses = ["192.0.2.53/24"]
"#;

struct GateScene {
    gate: HookGate,
    news: mpsc::Receiver<WorkerEvent>,
    web: [InstanceKey; 2],
    others: [InstanceKey; 2],
    lost: Arc<std::sync::atomic::AtomicU64>,
}

impl GateScene {
    /// Makes a gate whose queues have room for so many messages.
    fn new(room: usize) -> Self {
        let config = resolve(CONFIG, "test").unwrap().config;
        let key = |at: usize, family| config.routers[at].key(family);
        let web = [key(0, Family::Ipv4), key(0, Family::Ipv6)];
        let others = [key(1, Family::Ipv4), key(2, Family::Ipv4)];
        let (sender, news) = mpsc::channel(room);
        let name = |at: usize| config.routers[at].name.clone();
        let keys = [(web[0], name(0)), (web[1], name(0)), (others[0], name(1)), (others[1], name(2))];
        let workers = [0, 1].map(|at| (name(at), sender.clone()));
        let lost = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let (keys, workers) = (Arc::new(keys.into()), Arc::new(workers.into()));
        let routes = WorkerRoutes { keys, workers, lost: Arc::clone(&lost) };
        let mut gate = HookGate::default();
        let preparations = [(name(0), Duration::from_millis(300))].into();
        assert!(gate.reroute(HookRouting { routes, preparations }).is_empty());
        Self { gate, news, web, others, lost }
    }

    fn claim(&mut self, now: MonoTime, key: InstanceKey, epoch: u64) -> Option<KeeperCommand> {
        let passed = self.gate.hold(now, key, epoch);
        self.gate.on_event(&moved(key, StateName::Backup, StateName::Active));
        passed
    }

    fn heard(&mut self) -> Vec<&'static str> {
        let mut heard = Vec::new();
        while let Ok(news) = self.news.try_recv() {
            heard.push(match news {
                WorkerEvent::Moved(_) => "moved",
                WorkerEvent::TakenOverBy(_) => "taken over",
                WorkerEvent::Prepare { .. } => "prepare",
                WorkerEvent::Held(_) | WorkerEvent::Draining(_) | WorkerEvent::Released(_) => "keeper",
            });
        }
        heard
    }
}

fn moved(key: InstanceKey, from: StateName, to: StateName) -> Event {
    let (cause, priority) = (Cause::ActiveDownTimer, AdvertPriority::from_wire(100));
    let kind = EventKind::Transition { from, to, cause, priority, details: TransitionDetails::default() };
    let name = match key.vrid.get() {
        51 => "web",
        52 => "mail",
        _ => "plain",
    };
    Event { router: Some(name.parse().unwrap()), key: Some(key), kind }
}

fn web() -> RouterName {
    "web".parse().unwrap()
}

const fn at(ms: u64) -> MonoTime {
    MonoTime::from_nanos(ms * 1_000_000)
}

#[test]
fn who_has_no_before_active_passes_at_once() {
    let mut scene = GateScene::new(16);
    for key in scene.others {
        assert_eq!(scene.gate.hold(at(0), key, 1), Some(KeeperCommand::Hold { key, epoch: 1 }));
    }
    assert_eq!((scene.gate.flush(), scene.gate.deadline()), (vec![], None));
    assert_eq!(scene.heard(), Vec::<&str>::new());
}

#[test]
fn both_families_wait_for_one_preparation_and_pass_together() {
    let mut scene = GateScene::new(16);
    let [v4, v6] = scene.web;
    assert_eq!((scene.claim(at(0), v4, 1), scene.claim(at(0), v6, 7)), (None, None));
    assert_eq!(scene.gate.flush(), []);
    assert_eq!(scene.heard(), ["moved", "moved", "prepare"]);
    assert_eq!(scene.gate.deadline(), Some(at(300)));
    let both = [KeeperCommand::Hold { key: v4, epoch: 1 }, KeeperCommand::Hold { key: v6, epoch: 7 }];
    assert_eq!(scene.gate.prepared(&web(), 1), both);
    assert_eq!(scene.gate.deadline(), None);
    assert_eq!(scene.gate.prepared(&web(), 1), [], "it passes once");
    assert_eq!(scene.gate.hold(at(1), v4, 2), Some(KeeperCommand::Hold { key: v4, epoch: 2 }), "readdressed");
}

#[test]
fn the_deadline_opens_whether_or_not_the_hook_has_ended() {
    let mut scene = GateScene::new(16);
    let [v4, _] = scene.web;
    assert_eq!(scene.claim(at(1000), v4, 1), None);
    assert_eq!(scene.gate.expire(at(1299)), []);
    assert_eq!(scene.gate.expire(at(1300)), [KeeperCommand::Hold { key: v4, epoch: 1 }]);
    assert_eq!(scene.gate.prepared(&web(), 1), [], "too late");
}

#[test]
fn what_is_wanted_no_more_never_passes() {
    let mut scene = GateScene::new(16);
    let [v4, v6] = scene.web;
    scene.claim(at(0), v4, 1);
    scene.claim(at(0), v6, 1);
    scene.gate.release(v4);
    assert_eq!(scene.gate.deadline(), Some(at(300)), "the other family still waits");
    scene.gate.release(v6);
    assert_eq!((scene.gate.deadline(), scene.gate.expire(at(999))), (None, vec![]));
    assert_eq!(scene.gate.prepared(&web(), 1), []);
    assert_eq!(scene.gate.flush(), []);
    assert_eq!(scene.heard(), ["moved", "moved"], "nobody prepares in vain");
}

#[test]
fn the_end_of_an_older_preparation_opens_nothing() {
    let mut scene = GateScene::new(16);
    let [v4, _] = scene.web;
    scene.claim(at(0), v4, 1);
    scene.gate.release(v4);
    assert_eq!(scene.claim(at(10), v4, 3), None);
    assert_eq!(scene.gate.prepared(&web(), 1), []);
    assert_eq!(scene.gate.prepared(&web(), 2), [KeeperCommand::Hold { key: v4, epoch: 3 }]);
    scene.gate.release(v4);
    assert_eq!(scene.claim(at(20), v4, 5), None, "every tenure is prepared");
}

#[test]
fn a_worker_that_cannot_be_told_holds_up_nothing() {
    let mut scene = GateScene::new(1);
    let [v4, _] = scene.web;
    scene.claim(at(0), v4, 1);
    assert_eq!(scene.gate.flush(), [KeeperCommand::Hold { key: v4, epoch: 1 }]);
    assert_eq!(scene.heard(), ["moved"]);
    assert_eq!(scene.lost.load(Ordering::Relaxed), 1);
    assert_eq!(scene.gate.deadline(), None);
}

#[test]
fn workers_hear_of_transitions_and_takers_of_their_own_router_only() {
    let mut scene = GateScene::new(16);
    let [mail, plain] = scene.others;
    scene.gate.on_event(&moved(mail, StateName::Active, StateName::Backup));
    scene.gate.on_event(&moved(plain, StateName::Active, StateName::Backup));
    let kind = EventKind::HandedOver { to: "192.0.2.11".parse().unwrap(), after: Duration::ZERO };
    scene.gate.on_event(&Event { router: Some("mail".parse().unwrap()), key: None, kind: kind.clone() });
    scene.gate.on_event(&Event { router: Some("plain".parse().unwrap()), key: None, kind });
    assert_eq!(scene.gate.flush(), []);
    assert_eq!(scene.heard(), ["moved", "taken over"]);
}

impl GateScene {
    /// From now on these routers, by their identity in `CONFIG`, have a `before_active`.
    fn reroute(&mut self, preparations: &[usize]) -> Vec<KeeperCommand> {
        let config = resolve(CONFIG, "test").unwrap().config;
        let preparation = |at: &usize| (config.routers[*at].name.clone(), Duration::from_millis(300));
        let routes = self.gate.routes.clone();
        self.gate
            .reroute(HookRouting { routes, preparations: preparations.iter().map(preparation).collect() })
    }
}

#[test]
fn a_door_that_is_new_is_open_for_what_is_held() {
    let mut scene = GateScene::new(16);
    let now = MonoTime::from_nanos(1);
    let mail = scene.others[0];
    assert!(scene.claim(now, mail, 1).is_some());
    assert_eq!(scene.reroute(&[0, 1]), []);
    // More addresses for an Active router are not a takeover.
    assert_eq!(scene.gate.hold(now, mail, 2), Some(KeeperCommand::Hold { key: mail, epoch: 2 }));
    scene.gate.release(mail);
    // The next request is a takeover.
    assert_eq!(scene.gate.hold(now, mail, 4), None);
}

#[test]
fn what_waits_behind_a_door_that_is_no_more_passes() {
    let mut scene = GateScene::new(16);
    let now = MonoTime::from_nanos(1);
    let [v4, v6] = scene.web;
    assert_eq!((scene.claim(now, v4, 1), scene.claim(now, v6, 1)), (None, None));
    let passed = scene.reroute(&[]);
    assert_eq!(
        passed,
        [KeeperCommand::Hold { key: v4, epoch: 1 }, KeeperCommand::Hold { key: v6, epoch: 1 }]
    );
    assert_eq!(scene.gate.deadline(), None);
}

#[test]
fn a_door_that_stays_goes_on_waiting() {
    let mut scene = GateScene::new(16);
    let now = MonoTime::from_nanos(1);
    let v4 = scene.web[0];
    assert_eq!(scene.claim(now, v4, 1), None);
    assert_eq!(scene.reroute(&[0]), []);
    assert_eq!(scene.gate.deadline(), Some(now + Duration::from_millis(300)));
    assert_eq!(scene.gate.prepared(&"web".parse().unwrap(), 1), [KeeperCommand::Hold { key: v4, epoch: 1 }]);
}

#[test]
fn the_end_of_an_older_preparation_opens_no_newer_door() {
    let mut scene = GateScene::new(16);
    let now = MonoTime::from_nanos(1);
    let v4 = scene.web[0];
    assert_eq!(scene.claim(now, v4, 1), None);
    scene.gate.release(v4);
    scene.reroute(&[]);
    scene.reroute(&[0]);
    assert_eq!(scene.claim(now, v4, 3), None);
    assert_eq!(scene.gate.prepared(&"web".parse().unwrap(), 1), []);
}
