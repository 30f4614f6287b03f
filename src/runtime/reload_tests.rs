//! Tests of what a new configuration does, in which order, and what ends it. The test takes the
//! part of the monitor of the interfaces and of the protocol thread.

use super::*;
use crate::agent::NodeNames;
use crate::config::resolve;
use crate::protocol::CheckName;
use crate::runtime::hooks::HookOutlets;
use crate::runtime::protocol_thread::mailbox::{Mailbox, Message};

const WEB: &str =
    "[[virtual_router]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\naddresses = [\"192.0.2.50/24\"]\n";
const CHECKED: &str = "[[check]]\nname = \"nginx\"\ncommand = [\"/bin/true\"]\ninterval = \"1h\"\n";

struct Outside {
    file: tempfile::NamedTempFile,
    mailbox: Mailbox,
    names: watch::Receiver<BTreeSet<InterfaceName>>,
    looked_at: watch::Sender<BTreeSet<InterfaceName>>,
    events: mpsc::Receiver<AgentEvent>,
    metrics: watch::Receiver<Option<SocketAddr>>,
    requests: mpsc::Sender<ReloadRequest>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Reloaded>,
}

/// Starts a task that runs this configuration, on an interface whose facts the monitor has not
/// read.
fn start(text: &str) -> Outside {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let (mail, mailbox) = Mailbox::open().unwrap();
    let (events_in, events) = mpsc::channel(8);
    let (names_in, names) = watch::channel(BTreeSet::new());
    let looked_at = watch::Sender::new(BTreeSet::new());
    let (node, _) = watch::channel(String::new());
    let (reports, _) = mpsc::channel(8);
    let lost = Arc::default();
    let outlets =
        HookOutlets { events: events_in.clone(), lost: Arc::clone(&lost), prepared: Arc::new(|_, _| {}) };
    let (_, node_names) = watch::channel(NodeNames::default());
    let hooks = Hooks::new(outlets, node_names);
    let (metrics_in, metrics) = watch::channel(None);
    let reloader = Reloader {
        file: file.path().to_owned(),
        running: Arc::new(resolve(text, "test.toml").unwrap().config),
        node,
        channel: watch::Sender::new(ChannelSettings { node: "n1".to_owned(), key_file: None, port: 9651 }),
        metrics: metrics_in,
        names: names_in,
        looked_at: looked_at.clone(),
        checks: Checks::new(reports),
        hooks,
        mail,
        notifier: Notifier::without_manager(),
        events: events_in,
        lost,
    };
    let (requests, requests_out) = mpsc::channel(8);
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(reloader.run(requests_out, stopped));
    Outside { file, mailbox, metrics, names, looked_at, events, requests, stop, task }
}

impl Outside {
    /// Reports the facts of this interface, once the monitor is asked for them.
    async fn look_at(&self, name: &str) {
        self.settle().await;
        self.looked_at.send_if_modified(|known| known.insert(name.parse().unwrap()));
    }

    /// Returns the next message to the protocol thread: `hooks`, `configure N`, or the check that
    /// is gone.
    async fn told(&self) -> String {
        let next = async {
            loop {
                match self.mailbox.next() {
                    Some(message) => break message,
                    None => tokio::task::yield_now().await,
                }
            }
        };
        let message = timeout(Duration::from_secs(20), next).await.expect("nothing is told in time");
        match message {
            Message::Request(ThreadRequest::RouteHooks(_)) => "hooks".to_owned(),
            Message::Input(Input::Configure(specs)) => format!("configure {}", specs.len()),
            Message::Input(Input::CheckRemoved(CheckName(name))) => format!("no check {name}"),
            other @ (Message::Input(_) | Message::Request(_)) => panic!("{other:?}"),
        }
    }

    /// Gives the task every opportunity to go on.
    async fn settle(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    async fn reload(&self, text: &str, mode: ReloadMode) -> ReloadOutcome {
        std::fs::write(self.file.path(), text).unwrap();
        let (reply, answer) = oneshot::channel();
        self.requests.send(ReloadRequest { mode, by: "alice".to_owned(), reply }).await.unwrap();
        answer.await.unwrap().outcome
    }
}

#[tokio::test]
async fn routers_are_configured_when_each_interface_was_looked_at_and_hooks_before_them() {
    let outside = start(WEB);
    outside.settle().await;
    assert_eq!(outside.names.borrow().len(), 1, "the monitor is asked");
    assert!(outside.mailbox.next().is_none(), "an interface that exists must not be a fault");
    outside.look_at("eth0").await;
    assert_eq!([outside.told().await, outside.told().await], ["hooks", "configure 1"]);
}

#[tokio::test]
async fn a_reload_is_carried_out_as_a_whole_and_told_with_the_number_of_changes() {
    let mut outside = start(&format!("{CHECKED}{WEB}"));
    outside.look_at("eth0").await;
    assert_eq!([outside.told().await, outside.told().await], ["hooks", "configure 1"]);
    let accepted = outside.reload(&format!("{WEB}priority = 90\n"), ReloadMode::Apply).await;
    assert!(matches!(accepted, ReloadOutcome::Accepted { .. }), "{accepted:?}");
    let told = [outside.told().await, outside.told().await, outside.told().await];
    assert_eq!(told, ["hooks", "configure 1", "no check nginx"], "what tracks a check goes before it");
    let event = outside.events.recv().await.unwrap();
    let reloaded = AgentEventKind::ConfigurationReloaded { by: "alice".to_owned(), changes: 2 };
    assert_eq!(event.kind, reloaded);
}

#[tokio::test]
async fn the_endpoint_for_monitoring_follows_each_configuration_and_nothing_that_is_refused() {
    let at = |address: &str| format!("[agent]\nmetrics = \"{address}\"\n{WEB}");
    let mut outside = start(&at("127.0.0.1:9650"));
    outside.look_at("eth0").await;
    let _start = [outside.told().await, outside.told().await];
    let told = |outside: &mut Outside| {
        outside
            .metrics
            .has_changed()
            .unwrap()
            .then(|| outside.metrics.borrow_and_update().map(|at| at.port()))
    };
    assert_eq!(told(&mut outside), Some(Some(9650)));
    outside.reload(&at("127.0.0.1:9651"), ReloadMode::DryRun).await;
    outside.reload("[[virtual_router]]\n", ReloadMode::Apply).await;
    outside.reload(&format!("{}priority = 90\n", at("127.0.0.1:9650")), ReloadMode::Apply).await;
    assert_eq!(told(&mut outside), None);
    outside.reload(&at("127.0.0.1:9651"), ReloadMode::Apply).await;
    assert_eq!(told(&mut outside), Some(Some(9651)));
    outside.reload(WEB, ReloadMode::Apply).await;
    assert_eq!(told(&mut outside), Some(None));
}

#[tokio::test]
async fn what_is_not_carried_out_changes_nothing() {
    let mut outside = start(WEB);
    outside.look_at("eth0").await;
    let _start = [outside.told().await, outside.told().await];
    let dry = outside.reload(&format!("{WEB}priority = 90\n"), ReloadMode::DryRun).await;
    assert!(matches!(dry, ReloadOutcome::Accepted { .. }), "{dry:?}");
    let invalid = outside.reload("[[virtual_router]]\n", ReloadMode::Apply).await;
    assert!(matches!(invalid, ReloadOutcome::Invalid { .. }), "{invalid:?}");
    std::fs::remove_file(outside.file.path()).unwrap();
    let (reply, answer) = oneshot::channel();
    let request = ReloadRequest { mode: ReloadMode::Apply, by: "SIGHUP".to_owned(), reply };
    outside.requests.send(request).await.unwrap();
    assert!(matches!(answer.await.unwrap().outcome, ReloadOutcome::Unreadable(_)));
    assert!(outside.mailbox.next().is_none() && outside.events.try_recv().is_err());
    outside.stop.send(()).unwrap();
    assert_eq!(outside.task.await.unwrap().running.routers.len(), 1, "the running one stays");
}

#[tokio::test]
async fn whoever_is_not_reloaded_because_the_agent_ends_is_told_nothing() {
    let outside = start(WEB);
    outside.settle().await;
    let (reply, answer) = oneshot::channel();
    let request = ReloadRequest { mode: ReloadMode::Apply, by: "alice".to_owned(), reply };
    outside.requests.send(request).await.unwrap();
    // The task still waits for the interface.
    outside.stop.send(()).unwrap();
    let ended = outside.task.await.unwrap();
    assert_eq!(ended.running.routers.len(), 1);
    drop(outside.requests);
    assert!(answer.await.is_err(), "the queue is gone, and with it the request");
    assert!(outside.mailbox.next().is_none());
}
