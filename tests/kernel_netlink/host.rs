//! A host with a cable `eth0`, and the keeper and the monitor on it, connected as in the agent.

use crate::support::namespace::Ns;
use crate::support::{SOON, wait_some};
use nix::time::{ClockId, clock_gettime};
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use vrrpd::kernel::address::{LOOPBACK, ObservedAddress, Origin};
use vrrpd::kernel::keeper::{
    AddressKeeper, AnnouncementRequest, Announcer, ArpControl, ArpTableWriter, KeeperCommand, KeeperEvent,
    KeeperFunctions, Promoter, arp_table_writer, frame_announcer,
};
use vrrpd::kernel::monitor::{Monitor, MonitorEvent, RECEIVE_BUFFER};
use vrrpd::kernel::netlink::Netlink;
use vrrpd::kernel::sysctl::{ArpRequest, arp, promote_secondaries};
use vrrpd::types::{Family, InstanceKey, InterfaceName, MonoTime, Vrid};

pub(crate) const ETH0: &str = "eth0";

pub(crate) fn interface(name: &str) -> InterfaceName {
    name.parse().unwrap()
}

pub(crate) fn key(family: Family, vrid: u8) -> InstanceKey {
    InstanceKey { interface: interface(ETH0), family, vrid: Vrid::new(vrid).unwrap() }
}

pub(crate) fn clock() -> MonoTime {
    MonoTime::ZERO + Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap())
}

/// A namespace whose `eth0` is up, with 192.0.2.10/24 and a link-local address. The far end is up.
pub(crate) struct Host {
    pub(crate) ns: Ns,
    pub(crate) far: Ns,
}

impl Host {
    pub(crate) fn new() -> Self {
        let host = Self { ns: Ns::new(), far: Ns::new() };
        // The link-local address can be used at once, and not after the second that detection
        // takes.
        host.ns.sysctl("ipv6/conf/default/dad_transmits", "0");
        host.plug_in();
        host
    }

    /// Creates a new `eth0`.
    pub(crate) fn plug_in(&self) {
        self.ns.cable(ETH0, &self.far, ETH0);
        self.far.ip("link set eth0 up");
        self.ns.ip("link set eth0 up\naddress add 192.0.2.10/24 dev eth0");
        wait_some(SOON, "a link-local address", || {
            let ready = |text: &str| text.contains("fe80::") && !text.contains("tentative");
            ready(&self.ns.run("ip", &["-6", "address", "show", "dev", ETH0])).then_some(())
        });
    }

    /// From now on addresses are probed before they are used, as on a usual host.
    pub(crate) fn detect_duplicates(&self) {
        self.ns.sysctl("ipv6/conf/eth0/dad_transmits", "1");
    }

    pub(crate) fn index(&self, name: &str) -> u32 {
        self.ns.enter(|| nix::net::if_::if_nametoindex(name).unwrap())
    }

    pub(crate) fn netlink(&self) -> Netlink {
        self.ns.enter(|| Netlink::open().unwrap())
    }

    pub(crate) fn observed(&self) -> Vec<ObservedAddress> {
        self.netlink().addresses().unwrap()
    }

    /// The addresses of ours on `lo`, as sorted text.
    pub(crate) fn ours_on_lo(&self) -> Vec<String> {
        let observed = self.observed();
        let on_lo = observed.iter().filter(|a| a.origin == Origin::Ours && a.index == LOOPBACK);
        let mut list: Vec<String> = on_lo.map(|a| a.net.to_string()).collect();
        list.sort();
        list
    }

    /// `arp_ignore` and `arp_announce` of `eth0`.
    pub(crate) fn guard(&self) -> (u8, u8) {
        let state = self.ns.enter(|| arp(interface(ETH0), ArpRequest::Read).unwrap());
        (state.own.ignore, state.own.announce)
    }

    /// The addresses of ours, as sorted text.
    pub(crate) fn ours(&self) -> Vec<String> {
        self.list(Origin::Ours)
    }

    /// The addresses on `eth0` that are not ours, except link-local ones.
    pub(crate) fn foreign(&self) -> Vec<String> {
        self.list(Origin::Foreign)
    }

    fn list(&self, origin: Origin) -> Vec<String> {
        let observed = self.observed();
        let of_origin = observed.iter().filter(|a| a.origin == origin);
        let mut list: Vec<String> = of_origin.map(|a| a.net.to_string()).collect();
        list.retain(|net| {
            origin == Origin::Ours || !(net.starts_with("fe80") || net.ends_with("/8") || net == "::1/128")
        });
        list.sort();
        list
    }
}

/// The functions of a keeper that differ between tests.
pub(crate) struct Functions {
    pub(crate) announcer: Announcer,
    pub(crate) promoter: Promoter,
    pub(crate) arp: ArpControl,
    pub(crate) arp_table: ArpTableWriter,
}

impl Functions {
    pub(crate) fn of_the_daemon() -> Self {
        Self {
            announcer: frame_announcer(),
            promoter: Box::new(promote_secondaries),
            arp: Box::new(arp),
            arp_table: arp_table_writer(),
        }
    }

    /// As in a container whose /proc/sys is read-only, as far as ARP is concerned.
    pub(crate) fn with_read_only_arp() -> Self {
        let read_only: ArpControl = Box::new(|interface, request| match request {
            ArpRequest::Read => arp(interface, request),
            ArpRequest::Write(_) => Err(std::io::Error::from_raw_os_error(nix::libc::EROFS)),
        });
        Self { arp: read_only, ..Self::of_the_daemon() }
    }
}

/// How long addresses drain where a test says nothing else.
pub(crate) const LIFETIME: Duration = Duration::from_secs(600);

/// A keeper and a monitor, connected.
pub(crate) struct Agent {
    keeper: Arc<Mutex<Option<AddressKeeper>>>,
    events: Receiver<KeeperEvent>,
    pub(crate) announced: Arc<Mutex<Vec<AnnouncementRequest>>>,
    _watched: watch::Sender<BTreeSet<InterfaceName>>,
    monitor: Option<JoinHandle<()>>,
}

impl Agent {
    pub(crate) fn start(host: &Host) -> Self {
        let announced = Arc::new(Mutex::new(Vec::new()));
        let record = announced.clone();
        let announcer: Announcer = Box::new(move |announcement| {
            record.lock().unwrap().push(announcement.clone());
            Ok(())
        });
        let mut agent = Self::start_with(host, announcer);
        agent.announced = announced;
        agent
    }

    pub(crate) fn start_with(host: &Host, announcer: Announcer) -> Self {
        Self::start_in(host, Vec::new(), Functions { announcer, ..Functions::of_the_daemon() })
    }

    /// As in a container whose /proc/sys is read-only.
    pub(crate) fn start_without_promotion(host: &Host) -> Self {
        host.ns.sysctl("ipv4/conf/eth0/promote_secondaries", "0");
        let promoter: Promoter = Box::new(|_, _| Err(std::io::Error::from_raw_os_error(nix::libc::EROFS)));
        Self::start_in(host, Vec::new(), Functions { promoter, ..Functions::of_the_daemon() })
    }

    /// An agent that knows these commands at its start.
    pub(crate) fn start_in(host: &Host, known: Vec<KeeperCommand>, functions: Functions) -> Self {
        let (tell, events) = channel();
        let announced = Arc::default();
        let Functions { announcer, promoter, arp, arp_table } = functions;
        let functions = KeeperFunctions {
            clock: Box::new(clock),
            announcer,
            promoter,
            arp,
            arp_table,
            events: Box::new(move |event| drop(tell.send(event))),
        };
        let keeper = host.ns.enter(|| AddressKeeper::spawn_knowing(known, functions).unwrap());
        let keeper = Arc::new(Mutex::new(Some(keeper)));
        let (watching, watched) = watch::channel(BTreeSet::from([interface(ETH0)]));
        let forward = keeper.clone();
        let namespace = host.ns.clone();
        let monitor = std::thread::spawn(move || {
            namespace.enter(|| watch_for(watched, &forward));
        });
        Self { keeper, events, announced, _watched: watching, monitor: Some(monitor) }
    }

    pub(crate) fn send(&self, command: KeeperCommand) {
        self.keeper.lock().unwrap().as_ref().unwrap().send(command).unwrap();
    }

    pub(crate) fn declare(&self, key: InstanceKey, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        self.send(KeeperCommand::Declare { key, address_interface: key.interface, addresses });
    }

    /// Waits until the keeper knows `eth0` too; then `Hold` succeeds.
    #[track_caller]
    pub(crate) fn hold(&self, key: InstanceKey, epoch: u64) {
        self.send(KeeperCommand::Hold { key, epoch });
        let outcome = self.wait("an answer to Hold", |event| match event {
            KeeperEvent::Held { key: of, epoch: e, outcome } if (*of, *e) == (key, epoch) => {
                Some(outcome.clone())
            }
            _ => None,
        });
        assert_eq!(outcome, Ok(()));
    }

    #[track_caller]
    pub(crate) fn drain(&self, key: InstanceKey, epoch: u64) {
        self.send(KeeperCommand::Drain { key, epoch, lifetime: LIFETIME });
        self.wait_event(&KeeperEvent::Draining { key, epoch, outcome: Ok(()) });
    }

    #[track_caller]
    pub(crate) fn release(&self, key: InstanceKey, epoch: u64) {
        self.send(KeeperCommand::Release { key, epoch });
        self.wait_event(&KeeperEvent::Released { key, epoch, outcome: Ok(()) });
    }

    #[track_caller]
    pub(crate) fn wait_event(&self, expected: &KeeperEvent) {
        self.wait(&format!("{expected:?}"), |event| (event == expected).then_some(()));
    }

    /// Reads events until `look` finds something; fails with the events that it passed over.
    #[track_caller]
    pub(crate) fn wait<T>(&self, what: &str, mut look: impl FnMut(&KeeperEvent) -> Option<T>) -> T {
        let mut others = Vec::new();
        loop {
            let Ok(event) = self.events.recv_timeout(SOON) else {
                panic!("not within {SOON:?}: {what}; there was: {others:?}");
            };
            if let Some(found) = look(&event) {
                return found;
            }
            others.push(event);
        }
    }

    /// The events until everything is handled that the keeper was told before.
    pub(crate) fn told_so_far(&self) -> Vec<KeeperEvent> {
        let (probe, nobody) = (key(Family::Ipv4, 255), key(Family::Ipv6, 255));
        self.declare(probe, &[]);
        let mut told = Vec::new();
        // The first answer comes at the end of a pass, perhaps between other events; the second
        // comes after those.
        for (key, epoch) in [(probe, u64::MAX), (nobody, 0)] {
            let last = KeeperEvent::Released { key, epoch, outcome: Ok(()) };
            self.send(KeeperCommand::Release { key, epoch });
            self.wait("an answer for a probe", |event| {
                told.push(event.clone());
                (*event == last).then_some(())
            });
            told.retain(|event| *event != last);
        }
        told
    }

    /// Ends the keeper, and waits for its thread.
    pub(crate) fn stop(&self) {
        drop(self.keeper.lock().unwrap().take());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop();
        let (sender, _) = watch::channel(BTreeSet::new());
        drop(std::mem::replace(&mut self._watched, sender));
        if let Some(monitor) = self.monitor.take() {
            let _ = monitor.join();
        }
    }
}

fn watch_for(watched: watch::Receiver<BTreeSet<InterfaceName>>, keeper: &Mutex<Option<AddressKeeper>>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let monitor = Monitor::open(RECEIVE_BUFFER).unwrap();
        let (out, mut events) = mpsc::channel(16);
        let forward = async {
            while let Some(event) = events.recv().await {
                let command = match event {
                    MonitorEvent::Link(name, facts) => KeeperCommand::Link(name, facts.map(Box::new)),
                    MonitorEvent::AddressesChanged | MonitorEvent::Resync => KeeperCommand::Reconcile,
                };
                if let Some(keeper) = keeper.lock().unwrap().as_ref() {
                    let _ = keeper.send(command);
                }
            }
        };
        let (result, ()) = tokio::join!(monitor.run(watched, out), forward);
        result.unwrap();
    });
}

impl Agent {
    /// Waits until the keeper knows `eth0`.
    #[track_caller]
    pub(crate) fn known(&self, host: &Host) {
        let probe = key(Family::Ipv4, 254);
        self.declare(probe, &["203.0.113.254/32"]);
        let mut epoch = 0;
        wait_some(SOON, "the keeper knows eth0", || {
            epoch += 2;
            self.send(KeeperCommand::Hold { key: probe, epoch });
            let known = self.wait("an answer for the probe", |event| match event {
                KeeperEvent::Held { key, outcome, .. } if *key == probe => Some(outcome.is_ok()),
                _ => None,
            });
            self.release(probe, epoch + 1);
            known.then_some(())
        });
        self.send(KeeperCommand::Forget { key: probe });
        assert!(!host.ours().contains(&"203.0.113.254/32".to_owned()));
    }

    /// Waits until the keeper knows that there is no `eth0`.
    #[track_caller]
    pub(crate) fn gone(&self) {
        let probe = key(Family::Ipv4, 254);
        self.declare(probe, &[]);
        let mut epoch = 0;
        wait_some(SOON, "the keeper knows that eth0 is gone", || {
            epoch += 2;
            self.send(KeeperCommand::Hold { key: probe, epoch });
            let gone = self.wait("an answer for the probe", |event| match event {
                KeeperEvent::Held { key, outcome, .. } if *key == probe => Some(outcome.is_err()),
                _ => None,
            });
            self.release(probe, epoch + 1);
            gone.then_some(())
        });
        self.send(KeeperCommand::Forget { key: probe });
    }
}
