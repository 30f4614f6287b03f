//! Measures what a client loses when the Active is taken out of service on purpose, and how long
//! the hand-over takes.
//!
//! The interval is the default of one second, and a client sends 1,000 requests a second
//! throughout. *Hand-over* is, from the kernel's timestamps at the switch, the time from the first
//! advertisement of the leaving router that is not an ordinary one (shortened, or priority 0) to
//! the successor's first advertisement; *answered* is the time that `vrrpctl demote` reported;
//! *announced after* is the time from the successor's first advertisement until it announced the
//! address. The service itself goes on answering on both nodes, also while its check "fails":
//! losses are caused by the move of the address, and the time that a check needs does not count.
//!
//! Pairs are measured `--jobs N` at a time, each on a LAN of its own, because most of a run is
//! waiting; no two hand-overs take place at the same time. The pairs with FRR follow, one after the
//! other.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a bench a panic is the report")]

#[path = "measure/mod.rs"]
mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use measure::machine::{self, Noise};
use measure::rivals::{ADDRESS, Dialect, Kind, Opponent, Seat};
use measure::samples::signed_milliseconds;
use measure::{Request, Samples, Table};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;
use support::frame::Advert;
use support::lab::ip;
use support::prober::Responder;
use support::{Config, Daemon, Lab, Prober, Router, SOON, ms, wait_for};

const INTERVAL_MS: u32 = 1000;
const LEAVER: u8 = 200;
const TAKER: u8 = 100;
/// The number of runs is large enough that p99 means more than the worst of a few.
const RUNS: usize = 50;
/// The number of pairs that are measured at a time.
const JOBS: usize = 4;

/// This lock is held while addresses move on purpose.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A measurement that one job makes, and its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    /// We leave and come back.
    Ours(Way, Opponent),
    /// The other implementation leaves for good, by its orderly end.
    Rival(Opponent),
}

/// How the Active leaves, and how it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Demote,
    Stop,
    Check,
}

/// The measurements of many moves in one direction.
#[derive(Default)]
struct Tally {
    handover: Samples,
    announced: Samples,
    answered: Samples,
    lost: Vec<usize>,
}

const COLUMNS: [&str; 12] = [
    "what                        ",
    "the other is         ",
    "runs",
    "hand-over p50 (ms)",
    "p99",
    "max",
    "announced after (ms) max",
    "answered p50 (ms)",
    "p99",
    "max",
    "lost in all",
    "most in one run",
];

/// The duration of a run, as measured: until the pair has settled, the hand-over, our
/// Active_Down_Interval before we preempt, and the client.
const A_RUN: Duration = ms(6500);

fn main() -> ExitCode {
    let request = Request::from_arguments();
    machine::introduce();
    let jobs: Vec<Job> = all_jobs().into_iter().filter(|job| request.wants(&job.label())).collect();
    let (runs, workers) = (request.runs(RUNS), request.jobs(JOBS).min(jobs.len().max(1)));
    let (alone, together): (Vec<Job>, Vec<Job>) = jobs.iter().partition(|job| job.is_disturbed_by_links());
    let turns = together.len().div_ceil(workers) + alone.len();
    let total = A_RUN * u32::try_from(turns * runs).unwrap_or(u32::MAX);
    println!(
        "{} pairs, {runs} runs each, {workers} pairs at a time: about {} minutes.",
        jobs.len(),
        total.as_secs().div_ceil(60)
    );
    let noise = Noise::start();
    let table = Table::new("Planned hand-over at 1 s intervals, 1,000 requests a second", &COLUMNS);
    let mut failed = measure_all(&together, workers, runs, &table);
    failed.extend(measure_all(&alone, 1, runs, &table));
    let [p50, p99, max] = noise.finish().cells();
    println!(
        "\nMeanwhile this machine was late by {p50} ms (p50), {p99} (p99), {max} (max); load {}.",
        machine::load()
    );
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("FAILED, and not in the table: {}", failed.join("; "));
    ExitCode::FAILURE
}

fn all_jobs() -> Vec<Job> {
    use Kind::{Frr, Keepalived, KeepalivedNopreempt, Vrrpd};
    let in_version3 = jobs(
        Dialect::Version3,
        &[Way::Demote, Way::Stop, Way::Check],
        &[Vrrpd, Keepalived, KeepalivedNopreempt, Frr],
        &[Keepalived, Frr],
    );
    // A check that fails begins in these as a demotion does.
    let ways = [Way::Demote, Way::Stop];
    let in_version2 = jobs(Dialect::Version2, &ways, &[Vrrpd, Keepalived, Frr], &[Keepalived, Frr]);
    let in_unicast = jobs(Dialect::Unicast, &ways, &[Vrrpd, Keepalived], &[Keepalived]);
    [in_version3, in_version2, in_unicast].concat()
}

/// We leave in each of these ways beside each of the successors, and each of the rivals leaves.
fn jobs(dialect: Dialect, ways: &[Way], successors: &[Kind], rivals: &[Kind]) -> Vec<Job> {
    let opponent = |kind: &Kind| Opponent { kind: *kind, dialect };
    let ours = ways.iter().flat_map(|way| successors.iter().map(move |kind| Job::Ours(*way, opponent(kind))));
    ours.chain(rivals.iter().map(|kind| Job::Rival(opponent(kind)))).collect()
}

/// Measures several pairs at a time, each on a LAN of its own, because most of a run is waiting.
/// Rows are printed in their order; a pair that fails loses its own rows only. Returns the pairs
/// that failed.
fn measure_all(jobs: &[Job], workers: usize, runs: usize, table: &Table) -> Vec<String> {
    let (next, (done_in, done)) = (AtomicUsize::new(0), mpsc::channel());
    let mut failed = Vec::new();
    thread::scope(|scope| {
        for _ in 0..workers {
            let (next, done_in) = (&next, done_in.clone());
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(at) else { return };
                    let measured = catch_unwind(AssertUnwindSafe(|| job.measure(runs)));
                    done_in.send((at, measured.ok())).expect("the table is printed to its end");
                }
            });
        }
        drop(done_in);
        let mut early = BTreeMap::new();
        for (at, job) in jobs.iter().enumerate() {
            while !early.contains_key(&at) {
                early.extend(done.recv());
            }
            match early.remove(&at).flatten() {
                Some(tallies) => job.print(table, &tallies),
                None => failed.push(job.label()),
            }
        }
    });
    failed
}

impl Job {
    /// FRR advertises when the kernel has reported that its interface is up. The kernel reports
    /// some link events only once a second, for all namespaces together: the start of another pair
    /// would delay FRR.
    fn is_disturbed_by_links(self) -> bool {
        let (Self::Ours(_, opponent) | Self::Rival(opponent)) = self;
        opponent.kind == Kind::Frr
    }

    fn label(self) -> String {
        match self {
            Self::Ours(way, opponent) => format!("{} {opponent}", way.words()[0]),
            Self::Rival(opponent) => format!("{opponent} stops"),
        }
    }

    fn measure(self, runs: usize) -> Vec<Tally> {
        match self {
            Self::Ours(way, opponent) => measure_ours(way, opponent, runs),
            Self::Rival(opponent) => vec![measure_rival(opponent, runs)],
        }
    }

    fn print(self, table: &Table, tallies: &[Tally]) {
        let (words, opponent) = match self {
            Self::Ours(way, opponent) => (way.words().map(str::to_owned).to_vec(), opponent),
            Self::Rival(opponent) => (vec![self.label()], opponent),
        };
        for (words, tally) in words.iter().zip(tallies) {
            tally.print(table, words, opponent);
        }
    }
}

/// Takes us out of service and back, again and again, beside a successor of some kind.
fn measure_ours(way: Way, opponent: Opponent, runs: usize) -> Vec<Tally> {
    let lab = Lab::new(&["leaver", "taker", "client"]);
    let _services = ["leaver", "taker"].map(|name| Responder::start(lab.node(name), ADDRESS));
    let _taker = opponent.start(Seat::of(&lab, "taker", "leaver"), TAKER, INTERVAL_MS);
    // The peer shows its checksum flavour before we take over.
    lab.capture().wait_advert(SOON, "taker", ms(0), |_| true);
    let alive = lab.node("leaver").dir().join("alive");
    std::fs::write(&alive, "").expect("the service is alive");
    let ours = opponent.beside_it(Seat::of(&lab, "leaver", "taker"), LEAVER, INTERVAL_MS);
    let mut us = Daemon::start(lab.node("leaver"), &configuration(way, &ours, &alive));
    us.wait_state("web", "active");
    let (mut left, mut returned) = (Tally::default(), Tally::default());
    for _ in 0..runs {
        wait_settled(&lab);
        left.move_away(&lab, || way.leave(&mut us, &alive));
        returned.move_back(&lab, || way.come_back(&mut us, &alive));
    }
    vec![left, returned]
}

/// Does the same for an implementation that can leave only by its orderly end.
fn measure_rival(opponent: Opponent, runs: usize) -> Tally {
    let mut tally = Tally::default();
    for _ in 0..runs {
        let lab = Lab::new(&["leaver", "taker", "client"]);
        let _services = ["leaver", "taker"].map(|name| Responder::start(lab.node(name), ADDRESS));
        let leaver = opponent.start(Seat::of(&lab, "leaver", "taker"), LEAVER, INTERVAL_MS);
        lab.capture().wait_advert(SOON, "leaver", ms(0), |_| true);
        let _taker = opponent.start(Seat::of(&lab, "taker", "leaver"), TAKER, INTERVAL_MS);
        wait_settled(&lab);
        tally.move_away(&lab, || {
            leaver.terminate();
            None
        });
    }
    tally
}

fn configuration(way: Way, router: &Router, alive: &Path) -> Config {
    match way {
        Way::Demote | Way::Stop => Config::of(router),
        Way::Check => {
            let path = alive.to_str().expect("a readable path");
            let router = router.clone().key("track", "[{ check = \"service\" }]");
            Config::new().file_check("service", path).with(&router)
        }
    }
}

impl Way {
    /// The names of this way and of the way back in the tables.
    const fn words(self) -> [&'static str; 2] {
        match self {
            Self::Demote => ["vrrpctl demote", "vrrpctl promote"],
            Self::Stop => ["SIGTERM", "start, preempting"],
            Self::Check => ["check fails", "check recovers"],
        }
    }

    /// Takes us out of service; returns how long that took, as reported to us.
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
        // The client of one pair must not take processor time from the hand-over of another.
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let from = lab.capture().now();
        if let Some(answered) = act() {
            self.answered.push(answered);
        }
        let taken = lab.capture().wait_advert(SOON, "taker", from, |advert| advert.priority > 0);
        self.count(lab, prober, "taker");
        drop(alone);
        let mut announcements = lab.capture().announcements(from).into_iter();
        if let Some(first) = announcements.find(|seen| seen.node == "taker" && seen.address == ip(ADDRESS)) {
            self.announced.push(signed_milliseconds(first.at, taken.at));
        }
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

    fn print(&self, table: &Table, what: &str, opponent: Opponent) {
        let runs = self.lost.len();
        let head = [what.to_owned(), opponent.to_string(), runs.to_string()];
        let lost = [self.lost.iter().sum::<usize>(), self.lost.iter().copied().max().unwrap_or(0)];
        let cells = |samples: &Samples| {
            if samples.count() == 0 { std::array::from_fn(|_| "–".to_owned()) } else { samples.cells() }
        };
        let [_, _, announced] = cells(&self.announced);
        let times = [&cells(&self.handover)[..], &[announced], &cells(&self.answered)].concat();
        table.row(&[&head[..], &times, &lost.map(|lost| lost.to_string())].concat());
    }
}

/// Starts a client, and waits until it is answered.
fn client(lab: &Lab, by: &str) -> Prober {
    let prober = Prober::start(lab.node("client"), ADDRESS, 1000);
    prober.wait_answer_of(lab.node(by));
    prober.wait_some_answers();
    prober
}

/// Whether this advertisement is part of a hand-over: shortened, or a resignation.
fn leaves(advert: &Advert) -> bool {
    advert.priority == 0
        || Duration::from_millis(u64::from(advert.interval_cs) * 10) != ms(INTERVAL_MS.into())
}

/// The time until a leaving router believes its peer. For two intervals it doubts whether an
/// advertisement was sent before the hand-over. A pair that has been up for a while is in this
/// state.
const SETTLED: Duration = ms(2100);

/// Waits until only the leaving router has advertised for that long.
fn wait_settled(lab: &Lab) {
    let began = lab.capture().now();
    // The frames of a minute of requests would slow down every look.
    lab.capture().forget_before(began.saturating_sub(SETTLED));
    wait_for(SOON * 2, "the leaver alone speaks", || {
        let adverts = lab.capture().adverts(lab.capture().now().saturating_sub(SETTLED));
        adverts.len() >= 2 && adverts.iter().all(|advert| advert.node == "leaver" && !leaves(advert))
    });
}
