//! What a client loses when the Active is taken out of service on purpose, and how long the hand-over takes.
//!
//! At the default interval of one second, with a client that asks 1,000 times a second throughout. *Hand-over* is, from
//! the kernel's timestamps at the switch, the time from the leaver's first word that is not an ordinary
//! advertisement (shortened, or priority 0) to the taker's first advertisement; *answered* is what `vrrpctl
//! demote` said. The service itself goes on answering on both nodes, also while its check "fails": what is lost is
//! lost to the move of the address, and how long a check takes to notice does not count.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a bench a panic is the report")]

#[path = "measure/mod.rs"]
mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use measure::machine::{self, Noise};
use measure::rivals::{ADDRESS, Kind, ours};
use measure::{Request, Samples, Table};
use std::path::Path;
use std::time::Duration;
use support::frame::Advert;
use support::prober::Responder;
use support::{Config, Daemon, Lab, Prober, SOON, ms, wait_for};

const INTERVAL_MS: u32 = 1000;
const LEAVER: u8 = 200;
const TAKER: u8 = 100;

/// How the Active leaves, and how it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Demote,
    Stop,
    Check,
}

/// What was seen of many moves in one direction.
#[derive(Default)]
struct Tally {
    handover: Samples,
    answered: Samples,
    lost: Vec<usize>,
}

fn main() {
    let request = Request::from_arguments();
    machine::introduce();
    let noise = Noise::start();
    let columns = [
        "what                        ",
        "the other is         ",
        "runs",
        "hand-over p50 (ms)",
        "p99",
        "max",
        "answered p50 (ms)",
        "p99",
        "max",
        "lost in all",
        "most in one run",
    ];
    let table = Table::new("Planned hand-over at 1 s intervals, 1,000 requests a second", &columns);
    for (way, away, back) in [
        (Way::Demote, "vrrpctl demote", "vrrpctl promote"),
        (Way::Stop, "SIGTERM", "start, preempting"),
        (Way::Check, "check fails", "check recovers"),
    ] {
        for kind in [Kind::Vrrpd, Kind::Keepalived, Kind::KeepalivedNopreempt, Kind::Frr] {
            if request.wants(&format!("{away} {kind}")) {
                let usual = if matches!(kind, Kind::Vrrpd | Kind::Keepalived) { 50 } else { 20 };
                let (left, returned) = measure(way, kind, request.runs(usual));
                left.print(&table, away, kind);
                returned.print(&table, back, kind);
            }
        }
    }
    for kind in [Kind::Keepalived, Kind::Frr] {
        if request.wants(&format!("{kind} stops")) {
            measure_rival(kind, request.runs(20)).print(&table, &format!("{kind} stops"), kind);
        }
    }
    let [p50, p99, max] = noise.finish().cells();
    println!(
        "\nMeanwhile this machine was late by {p50} ms (p50), {p99} (p99), {max} (max); load {}.",
        machine::load()
    );
}

/// Takes us out and back, again and again, beside a taker of some kind.
fn measure(way: Way, kind: Kind, runs: usize) -> (Tally, Tally) {
    let lab = Lab::new(&["leaver", "taker", "client"]);
    let _services = ["leaver", "taker"].map(|name| Responder::start(lab.node(name), ADDRESS));
    let _taker = kind.start(lab.node("taker"), TAKER, INTERVAL_MS);
    // It shows its checksum flavour before we take over.
    lab.capture().wait_advert(SOON, "taker", ms(0), |_| true);
    let alive = lab.node("leaver").dir().join("alive");
    std::fs::write(&alive, "").expect("the service is alive");
    let mut us = Daemon::start(lab.node("leaver"), &configuration(way, &alive));
    us.wait_state("web", "active");
    let (mut left, mut returned) = (Tally::default(), Tally::default());
    for _ in 0..runs {
        wait_settled(&lab);
        left.move_away(&lab, || way.leave(&mut us, &alive));
        returned.move_back(&lab, || way.come_back(&mut us, &alive));
    }
    (left, returned)
}

/// The same for an agent that has no other way to leave than its orderly end.
fn measure_rival(kind: Kind, runs: usize) -> Tally {
    let mut tally = Tally::default();
    for _ in 0..runs {
        let lab = Lab::new(&["leaver", "taker", "client"]);
        let _services = ["leaver", "taker"].map(|name| Responder::start(lab.node(name), ADDRESS));
        let leaver = kind.start(lab.node("leaver"), LEAVER, INTERVAL_MS);
        lab.capture().wait_advert(SOON, "leaver", ms(0), |_| true);
        let _taker = kind.start(lab.node("taker"), TAKER, INTERVAL_MS);
        wait_settled(&lab);
        tally.move_away(&lab, || {
            leaver.terminate();
            None
        });
    }
    tally
}

fn configuration(way: Way, alive: &Path) -> Config {
    let router = ours(LEAVER, INTERVAL_MS);
    match way {
        Way::Demote | Way::Stop => Config::of(&router),
        Way::Check => {
            let path = alive.to_str().expect("a readable path");
            let router = router.key("track", "[{ check = \"service\" }]");
            Config::new().file_check("service", path).with(&router)
        }
    }
}

impl Way {
    /// Takes us out; what we were told about how long it took.
    fn leave(self, us: &mut Daemon, alive: &Path) -> Option<f64> {
        match self {
            Self::Demote => {
                let answer = us.ctl(&["demote", "web"]);
                assert_eq!(answer.json["results"][0]["outcome"], "handed_over", "{answer:?}");
                answer.json["results"][0]["handover_ms"].as_f64()
            }
            Self::Stop => {
                assert!(us.terminate().success(), "an orderly end");
                None
            }
            Self::Check => {
                std::fs::remove_file(alive).expect("the service dies");
                None
            }
        }
    }

    fn come_back(self, us: &mut Daemon, alive: &Path) {
        match self {
            Self::Demote => assert_eq!(us.ctl(&["promote", "web"]).code, 0, "a promotion"),
            Self::Stop => us.start_again(),
            Self::Check => std::fs::write(alive, "").expect("the service is back"),
        }
    }
}

impl Tally {
    fn move_away(&mut self, lab: &Lab, act: impl FnOnce() -> Option<f64>) {
        let prober = client(lab, "leaver");
        let from = lab.capture().now();
        if let Some(answered) = act() {
            self.answered.push(answered);
        }
        let taken = lab.capture().wait_advert(SOON, "taker", from, |advert| advert.priority > 0);
        self.count(lab, prober, "taker");
        let mut words = lab.capture().adverts_of("leaver", from).into_iter();
        let word = words.find(leaves).expect("a word of the leaver");
        self.handover.push_duration(taken.at.saturating_sub(word.at));
    }

    fn move_back(&mut self, lab: &Lab, act: impl FnOnce()) {
        let prober = client(lab, "taker");
        let from = lab.capture().now();
        act();
        lab.capture().wait_advert(SOON, "leaver", from, |advert| !leaves(advert));
        self.count(lab, prober, "leaver");
    }

    fn count(&mut self, lab: &Lab, prober: Prober, answering: &str) {
        prober.wait_answer_of(lab.node(answering));
        prober.wait_some_answers();
        self.lost.push(prober.finish().lost);
    }

    fn print(&self, table: &Table, what: &str, kind: Kind) {
        let runs = self.lost.len();
        let head = [what.to_owned(), kind.to_string(), runs.to_string()];
        let lost = [self.lost.iter().sum::<usize>(), self.lost.iter().copied().max().unwrap_or(0)];
        let times = [&self.handover, &self.answered].map(|samples| {
            if samples.count() == 0 { std::array::from_fn(|_| "–".to_owned()) } else { samples.cells() }
        });
        table.row(&[&head[..], &times.concat(), &lost.map(|lost| lost.to_string())].concat());
    }
}

/// A client that is already being answered.
fn client(lab: &Lab, by: &str) -> Prober {
    let prober = Prober::start(lab.node("client"), ADDRESS, 1000);
    prober.wait_answer_of(lab.node(by));
    prober.wait_some_answers();
    prober
}

/// Whether this is a word of the hand-over: shortened, or a resignation.
fn leaves(advert: &Advert) -> bool {
    advert.priority == 0
        || Duration::from_millis(u64::from(advert.interval_cs) * 10) != ms(INTERVAL_MS.into())
}

/// Long enough for the other's last word to be of no account: as in a pair that has been up for a while.
const SETTLED: Duration = ms(2500);

/// Waits until the leaver alone has spoken for that long.
fn wait_settled(lab: &Lab) {
    let from = lab.capture().now();
    wait_for(SOON * 2, "the leaver alone speaks", || {
        let now = lab.capture().now();
        let adverts = lab.capture().adverts(from.max(now.saturating_sub(SETTLED)));
        let alone = adverts.iter().all(|advert| advert.node == "leaver");
        now >= from + SETTLED && alone && !adverts.is_empty()
    });
}
