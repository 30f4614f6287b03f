//! Turns of the protocol thread on a scripted host: what it hears, decides and does, in which
//! order.

use super::super::mailbox::Sender;
use super::super::scripted::{ScriptedHost, link, router};
use super::*;
use crate::agent::{AgentEventKind, CommandReply};
use crate::kernel::announcement_socket::AnnouncementFilter;
use crate::kernel::vrrp_socket::Addressee;
use crate::protocol::{
    Answer, Command, Demotion, EventKind, Fault, Force, HoldResult, LastResort, LocalWarning, RouterSpec,
    Snapshot, StateName,
};
use crate::types::{
    AdverInterval, AdvertPriority, Authentication, Family, LinkFacts, MacAddr, RouterName, Version, Vrid,
};
use crate::wire::{ChecksumFlavour, Draft};
use tokio::sync::oneshot;

/// Events that may wait in these tests.
const EVENTS: usize = 64;

struct ThreadScene {
    host: ScriptedHost,
    engine: Engine<ScriptedHost>,
    mail: Sender,
    events: mpsc::Receiver<AgentEvent>,
    lost: Arc<AtomicU64>,
    to_writer: mpsc::Receiver<WriterMessage>,
}

impl ThreadScene {
    /// A thread that knows eth0 and runs web with this priority, after its first turn.
    fn with_router(priority: u8) -> Self {
        let mut scene = Self::new(EVENTS);
        scene.turn();
        scene.send(Input::Link("eth0".parse().unwrap(), Some(link(2))));
        scene.send(Input::Configure(router(priority)));
        scene.turn();
        scene
    }

    fn new(events: usize) -> Self {
        let host = ScriptedHost::default();
        host.0.borrow_mut().now = MonoTime::from_nanos(1_000_000_000_000);
        let (mail, mailbox) = Mailbox::open().unwrap();
        let (events_in, events) = mpsc::channel(events);
        let (writer, to_writer) = mpsc::channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let engine = Engine::new(host.clone(), mailbox, events_in, Arc::clone(&lost), writer);
        Self { host, engine, mail, events, lost, to_writer }
    }

    /// web, which has become Active because nobody else was.
    fn active() -> Self {
        let mut scene = Self::with_router(100);
        scene.turn_until(StateName::Active);
        scene.kernel_holds_addresses(1);
        scene.turn();
        scene.host.log();
        scene.events();
        scene
    }

    fn send(&self, message: impl Into<Message>) {
        self.mail.send(message).unwrap();
        self.host.0.borrow_mut().mail = true;
    }

    fn turn(&mut self) {
        turn::turn(&mut self.engine);
    }

    /// Sleeps as the thread does, and turns, until the router has this state.
    fn turn_until(&mut self, state: StateName) {
        for _ in 0..2_000 {
            if self.state() == state {
                return;
            }
            let deadline = self.engine.deadline();
            self.engine.io.sleep_until(deadline).unwrap();
            self.turn();
        }
        panic!("it does not become {state}");
    }

    fn snapshot(&self) -> Snapshot {
        self.engine.runner.node().snapshot(self.engine.io.now())
    }

    fn state(&self) -> StateName {
        self.snapshot().routers[0].instances[0].state
    }

    fn key(&self) -> InstanceKey {
        self.snapshot().routers[0].instances[0].key
    }

    fn kernel_holds_addresses(&self, epoch: u64) {
        let key = self.key();
        self.send(Input::AddressesHeld(HoldResult { key, epoch, outcome: Ok(()) }));
    }

    fn events(&mut self) -> Vec<EventKind> {
        let mut kinds = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            let AgentEventKind::Protocol(kind) = event.kind else { panic!("{event:?}") };
            kinds.push(kind);
        }
        kinds
    }

    /// Another router advertises.
    fn hear(&self, source: &str, priority: u8) {
        let draft = Draft {
            version: Version::V3,
            source: source.parse().unwrap(),
            destination: Family::Ipv4.group(),
            vrid: Vrid::new(51).unwrap(),
            priority: AdvertPriority::from_wire(priority),
            interval: AdverInterval::from_centiseconds(100).unwrap(),
            authentication: Authentication::None,
            checksum: ChecksumFlavour::Rfc9568,
        };
        let mut octets = Vec::new();
        wire::emit(&draft, ["192.0.2.50".parse().unwrap()], &mut octets).unwrap();
        self.host.hear_advertisement(source, &octets);
    }

    fn demote(&self) -> oneshot::Receiver<CommandReply> {
        let (reply, answered) = oneshot::channel();
        let demotion = Demotion {
            since: "2026-11-28T10:00:00Z".into(),
            until: None,
            last_resort: LastResort::No,
            reason: String::new(),
            by: "alice".into(),
        };
        let command = Command::Demote { router: web(), demotion, force: Force::Yes, drain: None };
        self.send(ThreadRequest::Command(command, reply));
        answered
    }
}

fn web() -> RouterName {
    "web".parse().unwrap()
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_takeover_holds_the_addresses_before_it_announces_them() {
    let mut scene = ThreadScene::with_router(100);
    assert_eq!(scene.host.log(), ["open 0: eth0 2 ipv4", "set filters", "declare"]);
    scene.turn_until(StateName::Active);
    let log = scene.host.log();
    let at = |what: &str| log.iter().position(|line| line.starts_with(what));
    assert!(at("hold addresses, epoch 1") < at("set filters"), "urgent things come first: {log:?}");
    assert_eq!(at("announce"), None, "they are not there yet: {log:?}");
    scene.kernel_holds_addresses(1);
    scene.turn();
    assert!(scene.host.log().contains(&"announce".to_owned()));
}

/// The rule of a turn, with the real core: whoever was stopped hears what waits before it judges.
#[test]
fn an_advertisement_that_waits_is_heard_before_the_deadline_that_has_passed_is_judged() {
    let mut scene = ThreadScene::with_router(100);
    scene.hear("192.0.2.2", 200);
    scene.turn();
    let deadline = scene.engine.deadline().unwrap();
    scene.host.pass(deadline.since(scene.engine.io.now()) + millis(1));
    scene.hear("192.0.2.2", 200);
    scene.turn();
    assert_eq!(scene.state(), StateName::Backup);
    // Now it is silent.
    scene.turn_until(StateName::Active);
}

#[test]
fn the_last_advertisement_leaves_before_the_addresses_do() {
    let mut scene = ThreadScene::active();
    let _answered = scene.demote();
    scene.turn();
    scene.turn_until(StateName::Initialize);
    let log = scene.host.log();
    let resigned = log.iter().rposition(|line| line.starts_with("send priority 0"));
    let released = log.iter().position(|line| line.starts_with("release addresses"));
    assert!(resigned.is_some() && resigned < released, "{log:?}");
}

#[test]
fn commands_that_the_address_thread_had_no_room_for_are_offered_again_in_order() {
    let mut scene = ThreadScene::new(EVENTS);
    scene.host.0.borrow_mut().keeper_room = Some(0);
    scene.send(Input::Link("eth0".parse().unwrap(), Some(link(2))));
    scene.send(Input::Configure(router(100)));
    scene.turn();
    scene.turn_until(StateName::Active);
    let deadline = scene.engine.deadline().unwrap();
    assert!(deadline.since(scene.engine.io.now()) <= REOFFER, "it tries again soon");
    let told =
        |log: Vec<String>| log.into_iter().filter(|line| !line.starts_with("send")).collect::<Vec<_>>();
    scene.host.log();
    scene.host.0.borrow_mut().keeper_room = Some(1);
    scene.turn();
    assert_eq!(told(scene.host.log()), ["declare"]);
    scene.host.0.borrow_mut().keeper_room = None;
    scene.turn();
    assert_eq!(told(scene.host.log()), ["hold addresses, epoch 1"]);
}

#[test]
fn an_answer_waits_for_the_writer_behind_what_it_depends_on() {
    let mut scene = ThreadScene::with_router(100);
    // The queue to the writer has room for one message: what is saved. The answer waits.
    let mut answered = scene.demote();
    scene.turn();
    let saved = scene.to_writer.try_recv();
    assert!(matches!(saved, Ok(WriterMessage::Save { ref router, demotion: Some(_) }) if *router == web()));
    assert!(scene.to_writer.try_recv().is_err() && answered.try_recv().is_err());
    assert!(scene.engine.deadline().unwrap().since(scene.engine.io.now()) <= REOFFER);
    scene.turn();
    let Ok(WriterMessage::Answer { answer, reply, .. }) = scene.to_writer.try_recv() else {
        panic!("no answer")
    };
    assert!(matches!(answer, Answer::Demoted(_)), "{answer:?}");
    reply.send(CommandReply { answer, saved: Ok(()) }).unwrap();
    assert!(answered.try_recv().is_ok());
}

#[test]
fn at_the_end_the_writer_gets_what_it_had_no_room_for() {
    let mut scene = ThreadScene::with_router(100);
    let _answered = scene.demote();
    scene.send(Input::Shutdown);
    let reader = std::thread::spawn(move || {
        let mut kinds = Vec::new();
        while let Some(message) = scene.to_writer.blocking_recv() {
            kinds.push(matches!(message, WriterMessage::Answer { .. }));
        }
        kinds
    });
    scene.engine.run().unwrap();
    drop(scene.engine);
    assert_eq!(reader.join().unwrap(), [false, true], "what is saved, and then the answer");
}

#[test]
fn a_kernel_that_refuses_to_wait_ends_the_thread() {
    let mut scene = ThreadScene::new(EVENTS);
    // Without a router there is no deadline, and the scripted kernel refuses to wait without one.
    assert_eq!(scene.engine.run().unwrap_err().to_string(), "it sleeps for ever");
}

#[test]
fn events_that_nobody_reads_are_dropped_and_counted() {
    let mut scene = ThreadScene::new(1);
    scene.send(Input::Link("eth0".parse().unwrap(), Some(link(2))));
    scene.send(Input::Configure(router(100)));
    scene.turn();
    scene.turn_until(StateName::Active);
    let lost = scene.lost.load(Ordering::Relaxed);
    assert!(lost > 0);
    assert_eq!(scene.events().len(), 1, "the first one is kept");
}

#[test]
fn what_cannot_be_sent_is_told_to_the_core_and_so_is_its_end() {
    let mut scene = ThreadScene::active();
    scene.host.0.borrow_mut().send_errors = [libc::EPERM; 2].into();
    for _ in 0..12 {
        let deadline = scene.engine.deadline();
        scene.engine.io.sleep_until(deadline).unwrap();
        scene.turn();
    }
    let events = scene.events();
    let raised = |kind: &EventKind| matches!(kind, EventKind::LocalWarningRaised(LocalWarning::Unsent(_)));
    let cleared = |kind: &EventKind| matches!(kind, EventKind::LocalWarningCleared(LocalWarning::Unsent(_)));
    assert_eq!(events.iter().position(raised), Some(0), "{events:?}");
    assert_eq!(events.iter().position(cleared), Some(1), "{events:?}");
    assert_eq!(scene.snapshot().routers[0].instances[0].counters.tx_errors, 2);
}

#[test]
fn sockets_that_cannot_be_opened_are_a_fault_and_are_tried_again_every_second() {
    let mut scene = ThreadScene::new(EVENTS);
    scene.host.0.borrow_mut().open_error = Some("no memory");
    scene.send(Input::Link("eth0".parse().unwrap(), Some(link(2))));
    scene.send(Input::Configure(router(100)));
    scene.turn();
    let faults = |scene: &ThreadScene| scene.snapshot().routers[0].faults.clone();
    assert!(matches!(&faults(&scene)[..], [Fault::Sockets(_, Family::Ipv4, why)] if why == "no memory"));
    assert_eq!(scene.host.log().iter().filter(|line| line.starts_with("open")).count(), 1);
    let again = scene.engine.deadline().unwrap().since(scene.engine.io.now());
    assert!(again <= Duration::from_secs(1), "{again:?}");
    scene.host.0.borrow_mut().open_error = None;
    scene.host.pass(Duration::from_secs(1));
    scene.turn();
    assert_eq!(scene.host.log().first().map(String::as_str), Some("open 0: eth0 2 ipv4"));
    assert_eq!(faults(&scene), []);
}

#[test]
fn an_interface_that_was_away_for_a_moment_gets_new_sockets_even_under_its_old_index() {
    let mut scene = ThreadScene::with_router(100);
    scene.host.log();
    scene.send(Input::Link("eth0".parse().unwrap(), Some(link(2))));
    scene.turn();
    assert_eq!(scene.host.log(), [""; 0], "the sockets fit");
    scene.send(Input::Link("eth0".parse().unwrap(), None));
    scene.send(Input::Link("eth0".parse().unwrap(), Some(link(2))));
    scene.turn();
    assert_eq!(scene.host.log().first().map(String::as_str), Some("open 0: eth0 2 ipv4"));
    scene.send(Input::Link("eth0".parse().unwrap(), Some(link(7))));
    scene.turn();
    assert_eq!(scene.host.log().first().map(String::as_str), Some("open 0: eth0 7 ipv4"));
}

#[test]
fn a_router_that_left_the_configuration_keeps_its_sockets_until_it_is_gone() {
    let mut scene = ThreadScene::active();
    let endpoint_is_open = |scene: &mut ThreadScene| {
        scene.engine.endpoints.at(0).unwrap().is_open_for(2, SocketPurpose::Advertisements(Addressee::Group))
    };
    scene.send(Input::Configure(Vec::new()));
    scene.turn();
    assert!(endpoint_is_open(&mut scene), "it hands over");
    for _ in 0..100 {
        let Some(deadline) = scene.engine.deadline() else { break };
        scene.engine.io.sleep_until(Some(deadline)).unwrap();
        scene.turn();
    }
    assert_eq!(scene.snapshot().routers, []);
    assert!(!endpoint_is_open(&mut scene));
    assert!(scene.host.log().contains(&"forget".to_owned()));
}

#[test]
fn our_own_announcements_are_not_taken_for_those_of_others() {
    let heard = |mac: MacAddr| {
        let mut scene = ThreadScene::active();
        for _ in 0..10 {
            scene.host.hear_announcement(2, mac);
            scene.turn();
            scene.host.pass(millis(600));
        }
        scene.events().iter().any(|kind| matches!(kind, EventKind::PeerWarningRaised { .. }))
    };
    assert!(!heard(link(2).mac.unwrap()));
    assert!(heard(MacAddr([2, 0, 0, 0, 0, 9])), "what this test waits for can happen");
}

/// eth0 and eth1 are there.
fn with_two_interfaces() -> ThreadScene {
    let scene = ThreadScene::new(EVENTS);
    let other = LinkFacts { mac: Some(MacAddr([2, 0, 0, 0, 0, 3])), ..link(3) };
    scene.send(Input::Link("eth0".parse().unwrap(), Some(link(2))));
    scene.send(Input::Link("eth1".parse().unwrap(), Some(other)));
    scene
}

/// web with this priority, which has its addresses on eth1.
fn router_with_addresses_on_eth1(priority: u8) -> Vec<RouterSpec> {
    let mut routers = router(priority);
    routers.iter_mut().for_each(|spec| spec.address_interface = "eth1".parse().unwrap());
    routers
}

#[test]
fn announcements_are_heard_where_the_addresses_are() {
    let mut scene = with_two_interfaces();
    scene.send(Input::Configure(router_with_addresses_on_eth1(100)));
    scene.turn();
    let log = scene.host.log();
    let opened: Vec<_> = log.iter().filter(|line| line.starts_with("open")).collect();
    assert_eq!(opened, ["open 0: eth0 2 ipv4", "open 1: eth1 3 ipv4, announcements only"]);
    assert_eq!(scene.host.announcement_filter(3), AnnouncementFilter::Nothing);
    scene.turn_until(StateName::Active);
    let held = AnnouncementFilter::Addresses(["192.0.2.50".parse().unwrap()].into());
    assert_eq!(scene.host.announcement_filter(3), held);
    scene.kernel_holds_addresses(1);
    scene.turn();
    scene.events();
    // The addresses of this node may be on another machine as well.
    let stranger = MacAddr([2, 0, 0, 0, 0, 9]);
    let warned = |scene: &mut ThreadScene, index: u32| {
        for _ in 0..10 {
            scene.host.hear_announcement(index, stranger);
            scene.turn();
            scene.host.pass(millis(600));
        }
        scene.events().iter().any(|kind| matches!(kind, EventKind::PeerWarningRaised { .. }))
    };
    assert!(!warned(&mut scene, 2));
    assert!(warned(&mut scene, 3));
}

#[test]
fn who_yields_hears_every_announcement_where_its_addresses_are_and_releases_them_on_one() {
    let mut scene = with_two_interfaces();
    scene.send(Input::Configure(router_with_addresses_on_eth1(100)));
    scene.turn();
    scene.turn_until(StateName::Active);
    scene.kernel_holds_addresses(1);
    scene.turn();
    // An announcement that comes this late does not cross ours.
    scene.host.pass(millis(100));
    scene.hear("192.0.2.2", 200);
    scene.turn();
    assert_eq!(scene.state(), StateName::Backup);
    let held = AnnouncementFilter::Addresses(["192.0.2.50".parse().unwrap()].into());
    assert_eq!(scene.host.announcement_filter(2), held);
    assert_eq!(scene.host.announcement_filter(3), AnnouncementFilter::Everything);
    let successor = MacAddr([2, 0, 0, 0, 0, 9]);
    let released = |scene: &mut ThreadScene, index: u32| {
        scene.host.hear_announcement(index, successor);
        for _ in 0..10 {
            scene.turn();
            scene.host.pass(millis(5));
        }
        scene.host.log().iter().any(|line| line.starts_with("release addresses"))
    };
    assert!(!released(&mut scene, 2), "its addresses are not on eth0");
    assert_eq!(scene.host.announcement_filter(3), AnnouncementFilter::Everything);
    assert!(released(&mut scene, 3));
    for index in [2, 3] {
        assert_eq!(scene.host.announcement_filter(index), AnnouncementFilter::Nothing, "{index}");
    }
}

#[test]
fn instances_that_run_where_others_have_addresses_need_more_of_its_sockets() {
    let mut scene = with_two_interfaces();
    scene.send(Input::Configure(router_with_addresses_on_eth1(100)));
    scene.turn();
    let more = RouterSpec {
        name: "more".parse().unwrap(),
        interface: "eth1".parse().unwrap(),
        ..router_with_addresses_on_eth1(90).remove(0)
    };
    scene.send(Input::Configure([router_with_addresses_on_eth1(100), vec![more]].concat()));
    scene.turn();
    assert!(scene.host.log().contains(&"open 1: eth1 3 ipv4".to_owned()));
}

#[test]
fn a_crashed_run_is_finished_without_declaring_what_the_address_thread_knows() {
    let mut scene = ThreadScene::new(EVENTS);
    scene.send(Input::Link("eth0".parse().unwrap(), Some(link(2))));
    scene.send(Input::FinishCrashedRun(router(100)));
    scene.send(Input::Shutdown);
    scene.turn();
    let log = scene.host.log();
    assert!(!log.contains(&"declare".to_owned()), "{log:?}");
    assert!(log.iter().any(|line| line.starts_with("send priority")), "it hands over: {log:?}");
    scene.engine.run().unwrap();
    let log = scene.host.log();
    assert!(log.iter().any(|line| line.starts_with("release addresses")), "{log:?}");
}

#[test]
fn a_snapshot_shows_the_inputs_that_came_before_it() {
    let scene = &mut ThreadScene::new(EVENTS);
    let (reply, mut answered) = oneshot::channel();
    scene.send(Input::Link("eth0".parse().unwrap(), Some(link(2))));
    scene.send(Input::Configure(router(100)));
    scene.send(ThreadRequest::Snapshot(reply));
    scene.turn();
    assert_eq!(answered.try_recv().unwrap().routers[0].spec.name, web());
}

/// The core's part is measured in core/tests/allocations.rs; here is the thread's.
#[test]
fn a_steady_state_allocates_nothing() {
    let turns = |scene: &mut ThreadScene, turns: u32| {
        for _ in 0..turns {
            let deadline = scene.engine.deadline();
            scene.engine.io.sleep_until(deadline).unwrap();
            scene.turn();
        }
    };
    let mut active = ThreadScene::active();
    active.host.0.borrow_mut().quiet = true;
    turns(&mut active, 20);
    let sent = |scene: &ThreadScene| scene.snapshot().routers[0].instances[0].counters.advertisement_sent;
    let before = sent(&active);
    let allocations = allocation_counter::measure(|| turns(&mut active, 1_000));
    assert!(sent(&active) > before + 500, "it advertises");
    assert_eq!(allocations.count_total, 0, "{allocations:?}");

    let mut backup = ThreadScene::with_router(100);
    backup.host.0.borrow_mut().quiet = true;
    let mut count = 0;
    for second in 0..1_000 {
        backup.hear("192.0.2.2", 200);
        let allocations = allocation_counter::measure(|| backup.turn());
        // At first it meets the other router.
        count += if second < 5 { 0 } else { allocations.count_total };
        backup.host.pass(millis(1_000));
    }
    assert_eq!((backup.state(), count), (StateName::Backup, 0));
}
