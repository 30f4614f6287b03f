//! RFC 9568 from outside: a daemon on a LAN with one neighbour that sends what the test says, octet
//! by octet, and receives what comes back. The cases T01 to T70 are listed in docs/rfc9568.md;
//! those that take minutes run in the simulation.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;
#[path = "../../core/tests/vectors/mod.rs"]
mod vectors;

mod active;
mod announcing;
mod backup;
mod crowd;
mod owner;
mod receiving;
mod sending;
mod version2;

use std::net::IpAddr;
use std::time::Duration;
use support::inject::{Forgery, Injector};
use support::lab::ip;
use support::wait::Ticker;
use support::{Config, Daemon, Lab, Node, Router, SOON, ms, wait_some};
use vectors::{Form, Vector, vector};

/// The virtual address of the IPv4 vectors.
const VIP: &str = "192.0.2.254";
/// How late this machine may be; a timer must never be early.
const LATE: Duration = ms(400);
/// The node with `fe80::a` and `192.0.2.10`, the source of the IPv6 vectors.
const TESTER: &str = "tester";
/// The node with `fe80::b` and `192.0.2.11`, the device under test.
const DUT: &str = "dut";

/// The device under test and its neighbour.
struct Bench {
    dut: Daemon,
    tester: Injector,
    /// A time just before the daemon was started.
    started: Duration,
    lab: Lab,
}

/// VRID 51 with the address of the IPv4 vectors, 1 s, priority 100.
fn v4() -> Router {
    Router::new("v4").addresses(&["192.0.2.254/24"]).priority(100).interval("1s")
}

/// VRID 51 with the addresses of the IPv6 vectors, 1 s, priority 100.
fn v6() -> Router {
    Router::new("v6").addresses(&["fe80::51/64", "2001:db8:51::fe/64"]).priority(100).interval("1s")
}

/// A message of the table as a frame from the source that the table names.
fn frame_of(vector: &Vector) -> Vec<u8> {
    Forgery::new(ip(vector.source), 51, 0, 0).frame_of(&vector.octets())
}

/// A message of the table in its RFC 9568 form.
fn frame(id: &str) -> Vec<u8> {
    frame_of(vector(id, Form::M))
}

impl Bench {
    fn new(config: &Config) -> Self {
        let lab = Lab::new(&[TESTER, DUT]);
        Self::on(lab, config)
    }

    /// A bench on a LAN on which something has already happened.
    fn on(lab: Lab, config: &Config) -> Self {
        let tester = Injector::new(lab.node(TESTER));
        let started = lab.capture().now();
        let dut = Daemon::start(lab.node(DUT), config);
        Self { dut, tester, started, lab }
    }

    /// A bench with one router, which has become Active.
    fn active(router: &Router) -> Self {
        let bench = Self::new(&Config::of(router));
        bench.wait("active");
        bench
    }

    fn node(&self) -> &Node {
        self.lab.node(DUT)
    }

    /// Waits until all routers are in this state.
    #[track_caller]
    fn wait(&self, state: &str) {
        support::wait_for(SOON, format!("the device under test is {state}"), || {
            self.states().iter().all(|one| one == state)
        });
    }

    fn states(&self) -> Vec<String> {
        let status = self.dut.ctl(&["status"]).json;
        let all = status["virtual_routers"].as_array().cloned().unwrap_or_default();
        assert!(!all.is_empty(), "no virtual routers in {status}");
        all.iter().map(|one| one["state"].as_str().unwrap_or("?").to_owned()).collect()
    }

    /// Sends a frame, and returns when it entered the switch.
    #[track_caller]
    fn say(&self, frame: &[u8]) -> Duration {
        let from = self.lab.capture().now();
        self.tester.send(frame);
        wait_some(SOON, "the frame on the LAN", || {
            self.lab
                .capture()
                .frames(from)
                .into_iter()
                .find(|seen| seen.node == TESTER && seen.bytes == frame)
        })
        .at
    }

    /// Sends the frame every `period` for `time`, and returns when it was last sent.
    fn hold(&self, frame: &[u8], period: Duration, time: Duration) -> Duration {
        let mut ticker = Ticker::new(period);
        let times = u32::try_from(time.as_nanos() / period.as_nanos()).expect("not that often");
        (0..=times).fold(Duration::ZERO, |_, _| {
            ticker.tick();
            self.say(frame)
        })
    }

    /// The first advertisement of the device under test after `from`.
    #[track_caller]
    fn first_advert(&self, from: Duration) -> support::frame::Advert {
        self.lab.capture().wait_advert(SOON, DUT, from, |_| true)
    }

    /// All advertisements of the device under test since `from`.
    fn adverts(&self, from: Duration) -> Vec<support::frame::Advert> {
        self.lab.capture().adverts_of(DUT, from)
    }

    /// Lets time pass while checking the state.
    #[track_caller]
    fn stays(&self, time: Duration, state: &str) {
        support::wait::stays(time, format!("the device under test is {state}"), || {
            self.states().iter().all(|one| one == state)
        });
    }

    fn dut_v4(&self) -> IpAddr {
        self.node().v4().into()
    }

    fn dut_v6(&self) -> IpAddr {
        self.node().link_local().into()
    }
}

/// The event came after this time: never early, and late only as far as a busy machine explains.
#[track_caller]
fn assert_after(elapsed: Duration, expected: Duration, what: &str) {
    let early = elapsed + ms(1) < expected;
    assert!(!early && elapsed < expected + LATE, "{what}: {elapsed:?} instead of {expected:?}");
}
