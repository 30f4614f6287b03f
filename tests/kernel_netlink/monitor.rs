//! The monitor: facts of interfaces, and what it reports after an overrun.

use crate::host::{ETH0, Host, interface};
use crate::support::SOON;
use std::collections::BTreeSet;
use std::future::Future;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::timeout;
use vrrpd::kernel::monitor::{Monitor, MonitorError, MonitorEvent, RECEIVE_BUFFER};
use vrrpd::kernel::resources::Operation;
use vrrpd::kernel::resources::address::AddressOperation;
use vrrpd::types::{InterfaceName, LinkFacts};

struct Watch {
    events: mpsc::Receiver<MonitorEvent>,
    watched: watch::Sender<BTreeSet<InterfaceName>>,
    _running: JoinHandle<Result<(), MonitorError>>,
}

impl Watch {
    fn start(names: &[&str], receive_buffer: usize, room: usize) -> Self {
        let names = names.iter().map(|name| interface(name)).collect();
        let (watched, names) = watch::channel(names);
        let (out, events) = mpsc::channel(room);
        let monitor = Monitor::open(receive_buffer).unwrap();
        Self { events, watched, _running: tokio::task::spawn_local(monitor.run(names, out)) }
    }

    async fn next(&mut self) -> MonitorEvent {
        timeout(SOON, self.events.recv()).await.expect("an event in time").expect("a running monitor")
    }

    async fn until(&mut self, wanted: impl Fn(&MonitorEvent) -> bool) -> MonitorEvent {
        loop {
            let event = self.next().await;
            if wanted(&event) {
                return event;
            }
        }
    }

    /// Waits for facts of `name` that satisfy `wanted`.
    async fn facts(&mut self, name: &str, wanted: impl Fn(&LinkFacts) -> bool) -> LinkFacts {
        let is_wanted = |event: &MonitorEvent| matches!(event, MonitorEvent::Link(of, Some(facts)) if *of == interface(name) && wanted(facts));
        match self.until(is_wanted).await {
            MonitorEvent::Link(_, Some(facts)) => facts,
            other => unreachable!("{other:?}"),
        }
    }

    async fn missing(&mut self, name: &str) {
        self.until(|event| *event == MonitorEvent::Link(interface(name), None)).await;
    }
}

/// Runs a test inside the host's namespace.
fn on<F: Future>(host: &Host, test: impl FnOnce() -> F + Send) {
    host.ns.enter(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async { test().await });
    });
}

fn add(host: &Host, net: &str) {
    let add = AddressOperation::Add { index: host.index(ETH0), net: net.parse().unwrap() };
    assert_eq!(host.netlink().apply(&[add.into()]).unwrap(), [Ok(())]);
}

#[test]
fn the_facts_of_watched_interfaces_are_reported_and_no_others() {
    let host = Host::new();
    on(&host, || async {
        let mut watch = Watch::start(&[ETH0, "eth7"], RECEIVE_BUFFER, 16);
        let MonitorEvent::Link(name, Some(facts)) = watch.next().await else { panic!("no facts") };
        assert_eq!(name, interface(ETH0));
        assert_eq!(facts.index, host.index(ETH0));
        assert!(facts.up && facts.carrier && facts.mac.is_some());
        assert_eq!(facts.mtu, 1500);
        assert_eq!(facts.ipv4, ["192.0.2.10".parse::<std::net::Ipv4Addr>().unwrap()]);
        assert_eq!(facts.ipv6_link_local.len(), 1);
        assert_eq!(watch.next().await, MonitorEvent::Link(interface("eth7"), None));
        host.ns.ip("link add eth8 type veth\nlink set eth8 up\nlink set eth0 mtu 1400");
        let MonitorEvent::Link(name, Some(facts)) = watch.next().await else { panic!("no facts") };
        assert_eq!((name, facts.mtu), (interface(ETH0), 1400));
        watch.watched.send(BTreeSet::from([interface("eth8")])).unwrap();
        watch.facts("eth8", |facts| facts.up).await;
    });
}

#[test]
fn addresses_of_ours_are_not_a_source_and_their_removal_is_reported() {
    let host = Host::new();
    on(&host, || async {
        let mut watch = Watch::start(&[ETH0], RECEIVE_BUFFER, 16);
        let before = watch.facts(ETH0, |_| true).await;
        add(&host, "192.0.2.50/24");
        add(&host, "fe80::50/64");
        host.ns.ip("address delete 192.0.2.50/24 dev eth0");
        assert_eq!(watch.next().await, MonitorEvent::AddressesChanged);
        host.ns.ip("address add 192.0.2.11/24 dev eth0");
        let after = watch.facts(ETH0, |facts| facts.ipv4.len() > 1).await;
        assert_eq!(
            after.ipv4,
            ["192.0.2.10", "192.0.2.11"].map(|a| a.parse::<std::net::Ipv4Addr>().unwrap())
        );
        assert_eq!(after.ipv6_link_local, before.ipv6_link_local);
        watch.until(|event| *event == MonitorEvent::AddressesChanged).await;
    });
}

#[test]
fn a_tentative_link_local_address_is_not_a_source_until_it_is_ready() {
    let host = Host::new();
    host.ns.run("ip", &["-6", "address", "flush", "dev", ETH0]);
    on(&host, || async {
        let mut watch = Watch::start(&[ETH0], RECEIVE_BUFFER, 16);
        let before = watch.facts(ETH0, |_| true).await;
        assert!(before.ipv6_link_local.is_empty());
        host.detect_duplicates();
        host.far.ip("address add fe80::66/64 dev eth0 nodad");
        host.ns.ip("address add fe80::66/64 dev eth0\naddress add fe80::77/64 dev eth0");
        let after = watch.facts(ETH0, |facts| !facts.ipv6_link_local.is_empty()).await;
        assert_eq!(after.ipv6_link_local, ["fe80::77".parse::<std::net::Ipv6Addr>().unwrap()]);
        let shown = host.ns.run("ip", &["-6", "address", "show", "dev", ETH0]);
        assert!(shown.contains("dadfailed"), "{shown}");
    });
}

#[test]
fn an_interface_goes_down_loses_its_carrier_and_comes_back() {
    let host = Host::new();
    on(&host, || async {
        let mut watch = Watch::start(&[ETH0], RECEIVE_BUFFER, 16);
        watch.facts(ETH0, |facts| facts.up && facts.carrier).await;
        host.far.ip("link set eth0 down");
        watch.facts(ETH0, |facts| facts.up && !facts.carrier).await;
        host.far.ip("link set eth0 up");
        watch.facts(ETH0, |facts| facts.up && facts.carrier).await;
        host.ns.ip("link set eth0 down");
        let down = watch.facts(ETH0, |facts| !facts.up).await;
        assert_eq!(down.ipv4.len(), 1);
        host.ns.ip("link set eth0 up");
        watch.facts(ETH0, |facts| facts.up && facts.carrier && facts.ipv6_link_local.len() == 1).await;
    });
}

#[test]
fn an_interface_that_is_renamed_or_created_again_is_followed_by_name() {
    let host = Host::new();
    on(&host, || async {
        let mut watch = Watch::start(&[ETH0, "lan0"], RECEIVE_BUFFER, 16);
        let first = watch.facts(ETH0, |_| true).await;
        host.ns.ip("link set eth0 name lan0");
        watch.missing(ETH0).await;
        let renamed = watch.facts("lan0", |_| true).await;
        assert_eq!(renamed.index, first.index);
        assert_eq!(renamed.ipv4, first.ipv4);
        host.ns.ip("link delete lan0");
        watch.missing("lan0").await;
        host.plug_in();
        let again = watch.facts(ETH0, |facts| facts.up && !facts.ipv4.is_empty()).await;
        assert_ne!(again.index, first.index);
    });
}

/// The kernel uses an index again if it is asked to, but sockets that were bound to the old
/// interface are not bound to the new one.
#[test]
fn an_interface_that_was_created_again_under_its_old_index_is_reported_as_gone_first() {
    let host = Host::new();
    let create = "link add br7 index 77 address 02:00:00:00:00:77 type bridge";
    host.ns.ip(create);
    on(&host, || async {
        let mut watch = Watch::start(&["br7"], RECEIVE_BUFFER, 16);
        let first = watch.facts("br7", |_| true).await;
        // The monitor shares this thread, so it reads both notifications together.
        host.ns.ip(&format!("link delete br7\n{create}"));
        watch.missing("br7").await;
        let again = watch.facts("br7", |_| true).await;
        assert_eq!(again, first);
    });
}

#[test]
fn a_port_that_leaves_its_bridge_still_exists() {
    let host = Host::new();
    host.ns.ip("link add br0 type bridge\nlink set br0 up\nlink set eth0 master br0");
    on(&host, || async {
        let mut watch = Watch::start(&[ETH0], RECEIVE_BUFFER, 16);
        watch.facts(ETH0, |_| true).await;
        host.ns.ip("link set eth0 nomaster\nlink set eth0 mtu 1300");
        let gone = MonitorEvent::Link(interface(ETH0), None);
        let event = watch.until(|event| {
            *event == gone || matches!(event, MonitorEvent::Link(_, Some(f)) if f.mtu == 1300)
        });
        assert_ne!(event.await, gone);
    });
}

#[test]
fn after_an_overrun_everything_is_read_again() {
    let host = Host::new();
    on(&host, || async {
        let mut watch = Watch::start(&[ETH0], 8 << 10, 16);
        watch.facts(ETH0, |_| true).await;
        // The monitor is not polled while this call blocks the runtime.
        let index = host.index(ETH0);
        let adds: Vec<_> = (0..4000)
            .map(|n| format!("10.{}.{}.1/32", n / 250, n % 250).parse().unwrap())
            .map(|net| Operation::from(AddressOperation::Add { index, net }))
            .collect();
        host.netlink().apply(&adds).unwrap();
        host.ns.ip("link set eth0 mtu 1400");
        watch.facts(ETH0, |facts| facts.mtu == 1400).await;
        watch.until(|event| *event == MonitorEvent::Resync).await;
        // The monitor goes on afterwards.
        host.ns.ip("link set eth0 mtu 1300");
        watch.facts(ETH0, |facts| facts.mtu == 1300).await;
    });
}

#[test]
fn a_slow_receiver_gets_the_newest_facts_and_no_backlog() {
    let host = Host::new();
    on(&host, || async {
        let mut watch = Watch::start(&[ETH0], RECEIVE_BUFFER, 1);
        watch.facts(ETH0, |_| true).await;
        for mtu in 1000..1400 {
            host.ns.ip(&format!("link set eth0 mtu {mtu}"));
            tokio::task::yield_now().await;
        }
        let mut count = 0;
        loop {
            let event = watch.next().await;
            count += 1;
            if matches!(event, MonitorEvent::Link(_, Some(facts)) if facts.mtu == 1399) {
                break;
            }
        }
        assert!(count <= 3, "{count} events");
    });
}
