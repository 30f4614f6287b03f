//! The task, with a kernel that writes down what it is asked.

use super::*;
use crate::kernel::connections::ListExtent;
use crate::protocol::{DrainSnapshot, Node, Snapshot, StateName};
use crate::runtime::protocol_thread::mailbox::{Mailbox, Message};
use crate::types::{Connection, MonoTime};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::yield_now;

/// A kernel with two connections to each address.
#[derive(Debug, Default)]
struct ScriptedSockets {
    /// The number of addresses in each list, and the number of sockets that were ended.
    listed: Mutex<Vec<usize>>,
    destroyed: Mutex<Vec<usize>>,
    cannot_list: AtomicBool,
    /// How often connections cannot be ended.
    refusals: AtomicUsize,
}

impl LeaverKernel for ScriptedSockets {
    fn list(&self, addresses: &BTreeSet<IpAddr>) -> Result<ConnectionList, ConnectionsError> {
        if self.cannot_list.load(Ordering::Relaxed) {
            return Err(ConnectionsError::NoDiagnosis);
        }
        self.listed.lock().unwrap().push(addresses.len());
        let two = addresses.iter().flat_map(|address| [(*address, 1), (*address, 2)]);
        let socket = |(address, port): (IpAddr, u16)| {
            let remote = (IpAddr::from([198, 51, 100, 7]), port).into();
            ConnectionSocket::established(Connection { local: (address, 443).into(), remote }, port.into())
        };
        Ok(ConnectionList { sockets: two.map(socket).collect(), extent: ListExtent::Whole })
    }

    fn destroy(&self, sockets: &[ConnectionSocket]) -> Result<(), ConnectionsError> {
        if self.refusals.load(Ordering::Relaxed) > 0 {
            self.refusals.fetch_sub(1, Ordering::Relaxed);
            return Err(ConnectionsError::NotPermitted);
        }
        self.destroyed.lock().unwrap().push(sockets.len());
        Ok(())
    }
}

/// A task whose protocol thread is played by a test.
struct Stage {
    mailbox: Mailbox,
    snapshot: Snapshot,
    kernel: Arc<ScriptedSockets>,
    /// When all drains began.
    since: MonoTime,
    resets: mpsc::Sender<DrainId>,
    changed: Arc<Notify>,
    statuses: watch::Receiver<DrainStatuses>,
    ended: Vec<(InstanceKey, usize)>,
}

impl Stage {
    /// So many routers drain.
    fn new(routers: u8) -> Self {
        let router = |vrid: u8| {
            format!(
                "[[virtual_router]]\nname = \"r{vrid}\"\ninterface = \"eth0\"\nvrid = {vrid}\n\
                 addresses = [\"192.0.2.{vrid}/24\"]\n"
            )
        };
        let text: String = (1..=routers).map(router).collect();
        let (mut node, mut out) = (Node::new(), Vec::new());
        let config = crate::config::resolve(&text, "test.toml").unwrap().config;
        node.handle(MonoTime::ZERO, Input::Configure(config.routers), &mut out);
        let mut snapshot = node.snapshot(MonoTime::ZERO);
        let now = clock::now();
        let until = now + Duration::from_secs(600);
        for router in &mut snapshot.routers {
            router.instances[0].state = StateName::Backup;
            router.instances[0].draining =
                Some(DrainSnapshot { since: now, until, to: None, is_serving: true });
        }
        let (mail, mailbox) = Mailbox::open().unwrap();
        let (resets, resets_out) = mpsc::channel(16);
        let (statuses_in, statuses) = watch::channel(DrainStatuses::new());
        let (changed, kernel) = (Arc::new(Notify::new()), Arc::new(ScriptedSockets::default()));
        let task = LeaverTask {
            mail,
            kernel: Arc::<ScriptedSockets>::clone(&kernel),
            reconcile: Reconcile(Box::new(|| ())),
            channel: ChannelHandle::closed(),
            changed: Arc::clone(&changed),
            resets: resets_out,
            statuses: statuses_in,
            listing: ToldTrouble::default(),
            resetting: ToldTrouble::default(),
        };
        tokio::spawn(task.run());
        Self { mailbox, snapshot, kernel, since: now, resets, changed, statuses, ended: Vec::new() }
    }

    fn key(&self, router: usize) -> InstanceKey {
        self.snapshot.routers[router].instances[0].key
    }

    /// The drain of a router, as it was at first.
    fn drain(&self, router: usize) -> DrainId {
        DrainId { key: self.key(router), since: self.since }
    }

    /// Plays the protocol thread until this is so.
    async fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        let deadline = clock::now() + Duration::from_secs(20);
        while !is_so(self) {
            assert!(clock::now() < deadline, "{:?} {:?}", self.kernel, self.ended);
            match self.mailbox.next() {
                Some(Message::Request(ThreadRequest::Snapshot(reply))) => {
                    reply.send(self.snapshot.clone()).unwrap();
                }
                Some(Message::Input(Input::ConnectionsEnded { drain, reset })) => {
                    assert_eq!(drain.since, self.since);
                    self.ended.push((drain.key, reset));
                }
                Some(other @ (Message::Input(_) | Message::Request(_))) => panic!("{other:?}"),
                None => yield_now().await,
            }
        }
    }
}

#[tokio::test]
async fn routers_that_are_reset_together_are_reset_at_once() {
    let mut stage = Stage::new(3);
    for router in 0..3 {
        stage.resets.send(stage.drain(router)).await.unwrap();
    }
    stage.until(|stage| stage.ended.len() == 3).await;
    let expected: Vec<_> = (0..3).map(|router| (stage.key(router), 2)).collect();
    assert_eq!(stage.ended, expected, "each is told its own");
    assert_eq!(*stage.kernel.destroyed.lock().unwrap(), [6]);
}

#[tokio::test]
async fn a_router_that_is_active_again_is_not_reset() {
    let mut stage = Stage::new(2);
    stage.until(|stage| stage.statuses.borrow().len() == 2).await;
    stage.snapshot.routers[0].instances[0].state = StateName::Active;
    stage.snapshot.routers[0].instances[0].draining = None;
    for router in 0..2 {
        stage.resets.send(stage.drain(router)).await.unwrap();
    }
    stage.until(|stage| !stage.ended.is_empty()).await;
    assert_eq!(stage.ended, [(stage.key(1), 2)]);
    assert_eq!(*stage.kernel.destroyed.lock().unwrap(), [2]);
}

#[tokio::test]
async fn what_the_kernel_refuses_to_reset_is_tried_again() {
    let mut stage = Stage::new(2);
    stage.kernel.refusals.store(2, Ordering::Relaxed);
    for router in 0..2 {
        stage.resets.send(stage.drain(router)).await.unwrap();
    }
    stage.until(|stage| stage.ended.len() == 2).await;
    assert_eq!(stage.ended, [(stage.key(0), 2), (stage.key(1), 2)]);
    assert_eq!(*stage.kernel.destroyed.lock().unwrap(), [4]);
}

#[tokio::test]
async fn a_drain_is_told_although_nothing_can_be_listed() {
    let mut stage = Stage::new(1);
    stage.kernel.cannot_list.store(true, Ordering::Relaxed);
    stage.changed.notify_one();
    stage.until(|stage| stage.statuses.borrow().len() == 1).await;
    assert_eq!(stage.statuses.borrow()[&stage.key(0)].left, 0);
    stage.kernel.cannot_list.store(false, Ordering::Relaxed);
    stage.until(|stage| stage.statuses.borrow()[&stage.key(0)].left == 2).await;
}

#[test]
fn trouble_is_told_when_it_begins_and_when_it_is_over() {
    let mut health = ToldTrouble::default();
    let fails = |why: &str| Some(TroubleNews::Begins(why.to_owned()));
    assert_eq!(health.note(None), None);
    assert_eq!(health.note(Some("no module".to_owned())), fails("no module"));
    assert_eq!(health.note(Some("no module".to_owned())), None);
    assert_eq!(health.note(Some("no memory".to_owned())), fails("no memory"));
    assert_eq!(health.note(None), Some(TroubleNews::IsOver));
    assert_eq!(health.note(None), None);
}
