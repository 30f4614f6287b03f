//! Tests of the notifier with a service manager that is a socket, and an agent that is a channel.

use super::manager::Manager;
use super::pending::{AgentPhase, PendingNotices};
use super::{Notifier, status};
use crate::agent::{AgentHandle, AgentSnapshot, EventLog, NodeNames, Request};
use crate::protocol::{Demotion, Fault, Input, LastResort, Node, Snapshot, StateName};
use crate::runtime::clock;
use crate::types::MonoTime;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);
const BEAT: Duration = Duration::from_millis(10);

/// Returns a snapshot of routers with these names, all of them Backup.
fn snapshot(names: &[&str]) -> Snapshot {
    let mut text = String::new();
    for (vrid, name) in (1..).zip(names) {
        text.push_str(&format!(
            "[[virtual_router]]\nname = {name:?}\ninterface = \"eth0\"\nvrid = {vrid}\n\
             addresses = [\"192.0.2.{vrid}/24\"]\n"
        ));
    }
    let config = crate::config::resolve(&text, "test.toml").unwrap().config;
    let mut node = Node::new();
    node.handle(MonoTime::ZERO, Input::Configure(config.routers), &mut Vec::new());
    let mut snapshot = node.snapshot(MonoTime::ZERO);
    for router in &mut snapshot.routers {
        router.faults.clear();
        router.instances[0].state = StateName::Backup;
    }
    snapshot
}

fn demotion(last_resort: LastResort) -> Demotion {
    let (since, reason, by) = (String::new(), String::new(), String::new());
    Demotion { since, until: None, last_resort, reason, by }
}

#[test]
fn few_routers_are_named_under_what_is_most_worth_saying() {
    let mut states = snapshot(&["a", "b", "c", "d", "e", "f", "g"]);
    let routers = &mut states.routers;
    routers[0].instances[0].state = StateName::Active;
    routers[2].instances[0].state = StateName::Initialize;
    routers[2].faults = vec![Fault::Check(crate::protocol::CheckName("nginx".into()))];
    routers[3].instances[0].state = StateName::Initialize;
    routers[3].faults = routers[2].faults.clone();
    routers[3].demoted = Some(demotion(LastResort::No));
    routers[4].demoted = Some(demotion(LastResort::Yes));
    routers[5].instances[0].state = StateName::Active;
    routers[5].handing_over = true;
    routers[6].instances[0].state = StateName::Initialize;
    assert_eq!(
        status::line(&states),
        "active: a; handing over: f; backup: b, e (last resort); faulty: c (check nginx); demoted: d; starting: g"
    );
    // The table of `vrrpctl status` says STARTING.
    let pending = Fault::CheckPending(crate::protocol::CheckName("nginx".into()));
    states.routers[6].faults = vec![pending.clone(), pending.clone()];
    assert!(status::line(&states).ends_with("; demoted: d; starting: g"), "{}", status::line(&states));
    states.routers[6].faults = vec![pending, Fault::NoCarrier("eth0".parse().unwrap())];
    assert!(!status::line(&states).contains("starting"), "{}", status::line(&states));
}

#[test]
fn many_routers_are_counted_and_the_line_stays_short() {
    let names: Vec<String> = (1..=40).map(|number| format!("a-rather-long-name-{number}")).collect();
    let mut states = snapshot(&names.iter().map(String::as_str).collect::<Vec<_>>());
    states.routers[7].instances[0].state = StateName::Active;
    assert_eq!(status::line(&states), "40 virtual routers: 1 active, 39 backup");
}

#[test]
fn what_the_kernel_said_breaks_neither_the_line_nor_its_length() {
    let mut states = snapshot(&["web"]);
    states.routers[0].instances[0].state = StateName::Initialize;
    states.routers[0].faults = vec![Fault::Addresses("one\nREADY=1".to_owned())];
    assert_eq!(status::line(&states), "faulty: web (addresses: one READY=1)");
    states.routers[0].faults = vec![Fault::Addresses("long ".repeat(100))];
    assert_eq!(status::line(&states), "1 virtual router: 1 faulty");
    states.routers.clear();
    assert_eq!(status::line(&states), "no virtual router");
}

#[test]
fn nothing_is_due_before_the_routers_are_configured_and_ready_needs_an_answer() {
    let mut pending = PendingNotices::default();
    assert!(!pending.wants_answer());
    assert_eq!(pending.on_phase(AgentPhase::Configured), None);
    assert!(pending.wants_answer());
    assert_eq!(pending.on_answer("backup: web").as_deref(), Some("READY=1\nSTATUS=backup: web\n"));
    assert!(!pending.wants_answer());
}

#[test]
fn a_reload_is_over_when_the_protocol_thread_has_answered() {
    let mut pending = PendingNotices::default();
    let at = Duration::from_micros(1_234_567);
    let reloading = pending.on_phase(AgentPhase::Reloading { at });
    assert_eq!(reloading.as_deref(), Some("RELOADING=1\nMONOTONIC_USEC=1234567\n"));
    assert!(!pending.wants_answer());
    pending.on_phase(AgentPhase::Configured);
    assert_eq!(pending.on_answer("backup: web").as_deref(), Some("READY=1\nSTATUS=backup: web\n"));
    pending.on_phase(AgentPhase::Configured);
    assert_eq!(pending.on_answer("backup: web").as_deref(), Some("READY=1\n"), "the line is no news");
}

#[test]
fn an_event_changes_the_line_and_never_feeds_the_watchdog() {
    let mut pending = PendingNotices::default();
    pending.on_event();
    assert!(pending.wants_answer());
    assert_eq!(pending.on_answer("active: web").as_deref(), Some("STATUS=active: web\n"));
    pending.on_event();
    assert_eq!(pending.on_answer("active: web"), None);
}

#[test]
fn the_end_is_told_and_nothing_that_was_asked_before_follows() {
    let mut pending = PendingNotices::default();
    pending.on_phase(AgentPhase::Configured);
    assert_eq!(pending.on_beat(), None);
    let stopping = pending.on_phase(AgentPhase::Stopping { limit: Duration::from_secs(3) });
    let expected = "STOPPING=1\nEXTEND_TIMEOUT_USEC=3000000\nSTATUS=stopping: handing over\n";
    assert_eq!(stopping.as_deref(), Some(expected));
    assert!(!pending.wants_answer());
    assert_eq!(pending.on_answer("backup: web"), None);
    assert_eq!(pending.on_beat().as_deref(), Some("WATCHDOG=1\n"), "the stop has a limit of its own");
}

/// Makes a service manager's socket under an abstract name, and the environment that names it.
fn service_manager(name: &str, variables: &[(&str, &str)]) -> (tokio::net::UnixDatagram, Manager) {
    let name = format!("vrrpd-test-{}-{name}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut variables: BTreeMap<_, _> = variables.iter().map(|(k, v)| (*k, OsString::from(v))).collect();
    variables.insert("NOTIFY_SOCKET", format!("@{name}").into());
    let manager = Manager::of(|name| variables.get(name).cloned()).unwrap().unwrap();
    (tokio::net::UnixDatagram::from_std(socket).unwrap(), manager)
}

async fn heard(socket: &tokio::net::UnixDatagram, limit: Duration) -> Option<String> {
    let mut text = [0; 512];
    let length = timeout(limit, socket.recv(&mut text)).await.ok()?.unwrap();
    Some(String::from_utf8(text[..length].to_vec()).unwrap())
}

fn agent() -> (AgentHandle, mpsc::Receiver<Request>) {
    let (requests, waiting) = mpsc::channel(1);
    (AgentHandle { requests, reloads: mpsc::channel(1).0, events: Arc::new(EventLog::new()) }, waiting)
}

fn give(request: Request) {
    let Request::Snapshot { reply } = request else { panic!("{request:?}") };
    let (node, snapshot) = ("fe0".to_owned(), snapshot(&["web"]));
    reply
        .send(AgentSnapshot {
            names: NodeNames::default(),
            node,
            wall: clock::wall(),
            snapshot,
            hooks: BTreeMap::new(),
            checks: BTreeMap::new(),
            channel: crate::agent::ChannelStatus::default(),
            metrics_problem: None,
        })
        .unwrap();
}

#[tokio::test]
async fn the_environment_says_whether_and_how_often() {
    let none = Manager::of(|_| None).unwrap();
    assert!(none.is_none());
    let limit = |name, variables: &[_]| service_manager(name, variables).1.watchdog;
    let own = std::process::id().to_string();
    assert_eq!(limit("plain", &[]), None);
    assert_eq!(limit("usec", &[("WATCHDOG_USEC", "250000")]), Some(Duration::from_millis(250)));
    assert_eq!(limit("zero", &[("WATCHDOG_USEC", "0")]), None);
    assert_eq!(limit("odd", &[("WATCHDOG_USEC", "often")]), None);
    assert!(limit("own", &[("WATCHDOG_USEC", "1"), ("WATCHDOG_PID", &own)]).is_some());
    assert_eq!(limit("not-ours", &[("WATCHDOG_USEC", "1"), ("WATCHDOG_PID", "1")]), None);
    for (name, why) in [("vsock:2:1", "neither"), ("/nonexistent/notify", "No such file")] {
        let error = Manager::of(|which| (which == "NOTIFY_SOCKET").then(|| name.into())).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

/// The protocol thread gives the answer: an agent whose protocol thread does not answer is neither
/// ready nor alive.
#[tokio::test]
async fn a_protocol_thread_that_does_not_answer_starves_the_watchdog() {
    let (manager, ours) = service_manager("watchdog", &[("WATCHDOG_USEC", "20000")]);
    assert_eq!(ours.watchdog, Some(BEAT * 2));
    let (daemon, mut requests) = agent();
    let notifier = Notifier::telling(ours, daemon);
    notifier.configured();
    let held_up = timeout(SOON, requests.recv()).await.unwrap().unwrap();
    assert_eq!(heard(&manager, BEAT * 10).await, None, "asked, not answered: neither ready nor alive");
    give(held_up);
    let first = heard(&manager, SOON).await.unwrap();
    assert_eq!(first, "READY=1\nWATCHDOG=1\nSTATUS=backup: web\n");
    for _ in 0..5 {
        give(timeout(SOON, requests.recv()).await.unwrap().unwrap());
        assert_eq!(heard(&manager, SOON).await.as_deref(), Some("WATCHDOG=1\n"));
    }
    let _unanswered = timeout(SOON, requests.recv()).await.unwrap().unwrap();
    assert_eq!(heard(&manager, BEAT * 10).await, None);
    assert!(requests.try_recv().is_err(), "one question at a time");
}

/// The main loop takes no requests: the channel is full, and nobody reads it.
#[tokio::test]
async fn a_main_loop_that_hangs_starves_it_too() {
    let (manager, ours) = service_manager("main-loop", &[("WATCHDOG_USEC", "20000")]);
    let (daemon, mut requests) = agent();
    let (reply, _waiting) = tokio::sync::oneshot::channel();
    daemon.requests.send(Request::Snapshot { reply }).await.unwrap();
    let _notifier = Notifier::telling(ours, daemon);
    assert_eq!(heard(&manager, BEAT * 10).await, None);
    drop(requests.recv().await);
    give(timeout(SOON, requests.recv()).await.unwrap().unwrap());
    assert!(heard(&manager, SOON).await.unwrap().starts_with("WATCHDOG=1\n"));
}

#[tokio::test]
async fn an_agent_that_ends_is_asked_once_and_still_says_that_it_stops() {
    let (manager, ours) = service_manager("end", &[]);
    let (daemon, requests) = agent();
    drop(requests);
    let notifier = Notifier::telling(ours, daemon);
    notifier.configured();
    notifier.stopping(Duration::from_secs(1));
    assert!(heard(&manager, SOON).await.unwrap().starts_with("STOPPING=1\n"));
}

#[tokio::test]
async fn a_service_manager_that_does_not_read_holds_up_nobody() {
    let (_deaf, ours) = service_manager("deaf", &[]);
    let (daemon, _requests) = agent();
    let notifier = Notifier::telling(ours, daemon);
    // This is far more than any socket or queue of the agent takes; the test shows that the call
    // returns.
    for _ in 0..2000 {
        notifier.reloading();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn without_a_service_manager_nothing_runs() {
    let notifier = Notifier(None);
    notifier.configured();
    notifier.reloading();
    notifier.stopping(Duration::from_secs(1));
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}
