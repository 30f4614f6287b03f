//! VRRPv2 from outside: RFC 3768 §6.4 and §7.1, where it differs from RFC 9568.

use super::backup::in_parallel;
use super::support::inject::{Forgery, Sum};
use super::support::{Config, Router, SOON, ms, wait_for};
use super::{Bench, VIP, assert_after, frame, ip, v4};
use std::time::Duration;

/// Skew_Time of priority 100, whatever the interval is.
const SKEW: Duration = Duration::from_micros(609_375);
const SECRET: &[u8; 8] = b"secret\0\0";

/// The router of the IPv4 vectors in version 2: 1 s, priority 100, no password.
fn plain() -> Router {
    v4().key("version", "2")
}

/// As [`plain`], with the password of P33.
fn secret() -> Router {
    plain().key("password", "\"secret\"")
}

/// A message of VRRPv2 without authentication, of priority 200 unless it is changed.
fn message(seconds: u8, change: impl FnOnce(&mut Forgery)) -> Vec<u8> {
    let forgery = Forgery::new(ip("192.0.2.10"), 51, 200, u16::from(seconds)).addresses(&[VIP]);
    let v2 = |forgery: &mut Forgery| {
        forgery.version_type = 0x21;
        forgery.trailer = vec![0; 8];
    };
    forgery.with(v2).with(change).frame()
}

/// Sets Auth Type and Authentication Data.
fn authenticated(forgery: &mut Forgery, auth_type: u8, data: &[u8; 8]) {
    forgery.interval |= u16::from(auth_type) << 8;
    forgery.trailer = data.to_vec();
}

/// What keeps the router Backup, what is said last, and how long after that it becomes Active.
struct Held {
    name: &'static str,
    router: Router,
    by: Vec<u8>,
    last: Option<Vec<u8>>,
    active_after: Duration,
}

fn run(case: &Held) {
    let bench = Bench::new(&Config::of(&case.router));
    // Longer than the Active_Down_Interval of 3.6 s, so that it would speak if it did not obey.
    let mut last = bench.hold(&case.by, ms(500), ms(5000));
    assert!(bench.adverts(bench.started).is_empty(), "{}: it spoke while held", case.name);
    assert_eq!(bench.states(), ["backup"], "{}", case.name);
    if let Some(frame) = &case.last {
        last = bench.say(frame);
    }
    let first = bench.first_advert(last);
    assert_after(first.at - last, case.active_after, case.name);
    assert_eq!(first.version, 2, "{}", case.name);
}

// T61
#[test]
fn a_router_of_version_2_alone_is_silent_for_three_intervals_and_a_skew_time() {
    let bench = Bench::new(&Config::of(&secret()));
    let first = bench.first_advert(bench.started);
    let (waited, down) = (first.at - bench.started, Duration::from_secs(3) + SKEW);
    // Measured from before the start, so that "never early" is exact; the start takes a moment.
    assert!(waited >= down && waited < down + ms(1500), "{waited:?}");
    let expected = [0x21, 51, 100, 1, 1, 1];
    assert_eq!((&first.message[..6], &first.message[12..]), (&expected[..], &SECRET[..]));
    let second = bench.first_advert(first.at + ms(1));
    let gap = second.at - first.at;
    assert!(gap > ms(800) && gap < ms(1200), "{gap:?}");
}

// T61
#[test]
fn a_backup_of_version_2_is_held_resigned_to_and_left_alone() {
    let resigned = |seconds, authenticate: fn(&mut Forgery)| {
        message(seconds, |forgery| {
            forgery.priority = 0;
            authenticate(forgery);
        })
    };
    let left = |name, router, by: &str| {
        let active_after = Duration::from_secs(3) + SKEW;
        Held { name, router, by: frame(by), last: None, active_after }
    };
    let cases = [
        left("silence after an equal priority", plain(), "P30"),
        left("silence after the password", secret(), "P33"),
        left("silence after the owner, which lists another address too", plain(), "P35"),
        Held { last: Some(frame("P31")), active_after: SKEW, ..left("priority 0", plain(), "P30") },
        Held {
            last: Some(resigned(1, |forgery| authenticated(forgery, 1, SECRET))),
            active_after: SKEW,
            ..left("priority 0 with the password", secret(), "P33")
        },
        Held {
            last: Some(resigned(3, |_| {})),
            active_after: SKEW,
            ..left("priority 0 at three seconds", plain().interval("3s"), "P32")
        },
    ];
    in_parallel(&cases, |case| case.name, run);
}

/// Sends messages that are discarded, each of them counted by its counter, to an Active; and sees that
/// its own messages went on meanwhile.
struct Unheard {
    bench: Bench,
    from: Duration,
}

impl Unheard {
    fn by(router: &Router) -> Self {
        let bench = Bench::active(router);
        let from = bench.first_advert(bench.started).at;
        Self { bench, from }
    }

    fn discards(&self, what: &str, counter: &str, frame: &[u8]) {
        const SENT: u64 = 3;
        let read = || self.bench.dut.counter("v4", "ipv4", counter);
        let before = read();
        for _ in 0..SENT {
            self.bench.say(frame);
        }
        wait_for(SOON, format!("{what}: {SENT} more {counter}"), || read() == before + SENT);
        assert_eq!(self.bench.states(), ["active"], "{what}");
    }

    /// A message that does match is obeyed, and its resignation makes the router Active again.
    fn obeys(&self, what: &str, frame: &[u8], resignation: &[u8]) {
        self.bench.say(frame);
        self.bench.wait("backup");
        let resigned = self.bench.say(resignation);
        let first = self.bench.first_advert(resigned);
        assert_after(first.at - resigned, SKEW, what);
    }

    fn is_told(&self, suspicion: &str) {
        self.bench.dut.wait_event(suspicion, |event| event["suspicion"] == suspicion);
    }

    /// Its own messages were neither delayed nor answers to what it discarded.
    fn was_not_disturbed(&self) {
        assert_eq!(self.bench.dut.counter("v4", "ipv4", "active_transitions"), 1);
        let now = self.bench.lab.capture().now();
        let last = self.bench.first_advert(now);
        let adverts = self.bench.adverts(self.from).into_iter().filter(|advert| advert.at <= last.at);
        let times: Vec<Duration> = adverts.map(|advert| advert.at).collect();
        let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| *gap > ms(600) && *gap < ms(1400)), "{gaps:?}");
    }
}

// T62
#[test]
fn an_active_of_version_2_discards_and_counts_what_does_not_match() {
    let dut = Unheard::by(&plain());
    dut.discards("another interval", "interval_errors", &frame("P32"));
    dut.discards("a password", "auth_type_mismatch", &frame("P33"));
    dut.discards("another list", "address_list_errors", &frame("P34"));
    dut.discards("version 3", "version_errors", &frame("P18"));
    let bad = |change: fn(&mut Forgery)| message(1, change);
    dut.discards("no trailer", "packet_length_errors", &bad(|forgery| forgery.trailer.clear()));
    dut.discards("half a trailer", "packet_length_errors", &bad(|forgery| forgery.trailer.truncate(4)));
    dut.discards("four octets more", "packet_length_errors", &bad(|forgery| forgery.trailer.extend([0; 4])));
    dut.discards("Adver Int 0", "interval_zero", &message(0, |_| {}));
    dut.discards("no address", "addr_count_errors", &bad(|forgery| forgery.addresses.clear()));
    dut.discards("an IPsec header", "auth_type_mismatch", &bad(|f| authenticated(f, 2, &[0; 8])));
    dut.discards("Auth Type 3", "invalid_auth_type", &bad(|f| authenticated(f, 3, &[0; 8])));
    dut.discards("a bad checksum", "checksum_errors", &bad(|forgery| forgery.sum = Sum::Wrong));
    dut.discards("a pseudo-header", "checksum_errors", &bad(|forgery| forgery.sum = Sum::PseudoHeader));
    dut.discards("TTL 254", "ip_ttl_errors", &bad(|forgery| forgery.ttl = 254));
    for suspicion in ["interval_refused", "authentication_differs", "address_list_refused", "other_version"] {
        dut.is_told(suspicion);
    }
    dut.was_not_disturbed();
    dut.obeys("the Authentication Data of type 0", &bad(|f| authenticated(f, 0, SECRET)), &frame("P31"));
    dut.obeys("the list of the owner", &frame("P35"), &frame("P31"));
}

// T62
#[test]
fn an_active_with_a_password_discards_and_counts_what_has_another_or_none() {
    let dut = Unheard::by(&secret());
    let other = |data: &'static [u8; 8]| message(1, |forgery| authenticated(forgery, 1, data));
    dut.discards("another password", "auth_failures", &other(b"Secret\0\0"));
    dut.discards("a longer password", "auth_failures", &other(b"secrets\0"));
    dut.discards("an empty password", "auth_failures", &other(&[0; 8]));
    dut.discards("no password", "auth_type_mismatch", &message(1, |_| {}));
    dut.discards("a resignation without it", "auth_type_mismatch", &frame("P31"));
    dut.is_told("authentication_differs");
    dut.was_not_disturbed();
    let resignation = message(1, |forgery| {
        forgery.priority = 0;
        authenticated(forgery, 1, SECRET);
    });
    dut.obeys("the password", &frame("P33"), &resignation);
}

// T62
/// A resignation that does not match is no reason to take over, and what does not match does not hold a
/// Backup.
#[test]
fn a_backup_of_version_2_is_neither_held_nor_called_by_what_does_not_match() {
    let bench = Bench::new(&Config::of(&secret()));
    let last = bench.say(&frame("P33"));
    for id in ["P30", "P31", "P32", "P18", "P02"] {
        bench.say(&frame(id));
    }
    let first = bench.first_advert(last);
    assert_after(first.at - last, Duration::from_secs(3) + SKEW, "only the password counts");
}
