//! A run: rounds of faults, the oracle after each, and the evidence if it finds violations.

use super::fault::{Member, Service, Stroke, all_held};
use super::oracle::{self, Machine, Violation};
use super::residue::residue;
use super::schedule::{Mode, Round, Schedule};
use super::tally::{Seen, Tally};
use super::timeline::{Holders, HowMany};
use super::world::World;
use crate::support::{SOON, ms, wait_for};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The parameters of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) seed: u64,
    pub(crate) faults: usize,
    pub(crate) interval: Duration,
    pub(crate) mode: Mode,
    /// If less than `faults`, only the last so many of the faults are carried out; the condition
    /// that the earlier ones would have left is brought about directly.
    pub(crate) only_last: usize,
}

/// How much of the past is kept for a report: the time for frames, and the number of lines.
const KEPT: Duration = Duration::from_secs(30);
const HISTORY: usize = 40;

/// A run under way.
pub(crate) struct Run {
    request: Request,
    world: World,
    before: BTreeMap<Member, BTreeSet<String>>,
    start: Duration,
    history: Vec<String>,
    pub(crate) tally: Tally,
}

impl Request {
    /// The command line that does the same again.
    fn line(&self, faults: usize) -> String {
        let mode = match self.mode {
            Mode::OneByOne => "",
            Mode::Overlapping => " --overlap",
        };
        let (seed, interval) = (self.seed, self.interval.as_millis());
        format!("netns-scripts/chaos --seed {seed} --faults {faults} --interval {interval}ms{mode}")
    }
}

/// Carries out a run; panics with all evidence if the oracle finds violations.
#[track_caller]
pub(crate) fn run(request: Request) -> Tally {
    say(&format!("chaos: {}", request.line(request.faults)));
    // The world is dropped before the panic. Otherwise its daemons would print their logs as well.
    let tally = attempt(request).unwrap_or_else(|report| panic!("{report}"));
    say(&format!("chaos: seed {}: {} faults, every rule was kept\n\n{tally}", request.seed, tally.faults()));
    tally
}

fn attempt(request: Request) -> Result<Tally, String> {
    let mut run = Run::start(request);
    let mut schedule = Schedule::new(request.seed, request.mode, request.interval);
    let skipped = request.faults.saturating_sub(request.only_last);
    let mut done = 0;
    while done < skipped {
        done += schedule.next_round(skipped - done).strokes.len();
    }
    let mut wrong = run.come_to_rest(run.world.lab().capture().now()).1;
    wrong.extend(run.world.prepare(schedule.cluster()));
    wrong.extend(run.come_to_rest(run.world.lab().capture().now()).1);
    run.judge(done, &wrong)?;
    run.forget();
    while done < request.faults {
        let round = schedule.next_round(request.faults - done);
        done += round.strokes.len();
        let wrong = run.round(&round);
        run.judge(done, &wrong)?;
        run.forget();
    }
    let wrong = run.finish();
    run.judge(done, &wrong)?;
    Ok(run.tally)
}

impl Run {
    pub(crate) fn start(request: Request) -> Self {
        let lab = World::lan();
        let before =
            Member::ALL.map(|member| (member, residue(lab.node(member.name())))).into_iter().collect();
        let start = lab.capture().now();
        let world = World::start(lab, request.interval);
        Self { request, world, before, start, history: Vec::new(), tally: Tally::default() }
    }

    pub(crate) const fn world(&self) -> &World {
        &self.world
    }

    /// Carries out a round, waits for rest, and judges.
    pub(crate) fn round(&mut self, round: &Round) -> Vec<Violation> {
        let begun = self.world.lab().capture().now();
        let account = self.world.account();
        for stroke in &round.strokes {
            self.note(begun, stroke.to_string());
        }
        let mut wrong = self.strike(&round.strokes);
        let over = self.world.lab().capture().now();
        let rested = loop {
            let (rested, unrest) = self.come_to_rest(over);
            wrong.extend(unrest);
            if !wrong.is_empty() {
                break rested;
            }
            let seen = self.judge_rest(rested);
            // If an address moved in the meantime, the state that was judged was not at rest.
            let late = rested > over + oracle::bound(self.request.interval);
            if seen.is_empty() || late || self.world.watch().timeline().is_quiet_since(rested) {
                wrong = seen;
                break rested;
            }
        };
        let end = self.world.lab().capture().now();
        let (lost, longest_gap) = self.lost();
        let seen = {
            let timeline = self.world.watch().timeline();
            Seen {
                rest_after: rested.saturating_sub(over),
                lost: lost.values().sum(),
                longest_gap,
                without_holder: timeline.longest(HowMany::Nobody, begun, end),
                several_holders: timeline.longest(HowMany::Several, begun, end),
                waited: self.world.account().since(&account),
            }
        };
        let machine = Machine::when(seen.waited, self.request.interval);
        if let [stroke] = round.strokes.as_slice() {
            wrong.extend(oracle::losing(stroke.kind, &lost, machine));
        }
        self.note(end, seen.to_string());
        self.tally.add(&round.strokes, &seen, machine);
        wrong
    }

    /// Carries out all faults at their times; returns what went wrong in doing so.
    fn strike(&self, strokes: &[Stroke]) -> Vec<Violation> {
        if let [stroke] = strokes {
            return self.world.carry_out(stroke).into_iter().collect();
        }
        let world = &self.world;
        thread::scope(|scope| {
            let each: Vec<_> =
                strokes.iter().map(|stroke| scope.spawn(move || world.carry_out(stroke))).collect();
            let join = |one: thread::ScopedJoinHandle<'_, Option<Violation>>| {
                one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            let wrong = strokes.iter().zip(each.into_iter().map(join));
            wrong
                .filter_map(|(stroke, wrong)| wrong.filter(|wrong| !oracle::excused(stroke.kind, wrong)))
                .collect()
        })
    }

    /// Waits until everything is as it must be, and has stayed so for a moment. Returns when that
    /// began, and what is still wrong if it took too long since `over`. The time for which a thread
    /// waited for a processor does not count.
    pub(crate) fn come_to_rest(&self, over: Duration) -> (Duration, Vec<Violation>) {
        let expected = self.world.cluster().holders();
        let capture = self.world.lab().capture();
        let quiet = self.request.interval * 2 + ms(50);
        let limit = over + oracle::bound(self.request.interval);
        let account = self.world.account();
        let mut rested: Option<Duration> = None;
        let mut result = None;
        wait_for(SOON * 6, "the oracle has a verdict", || {
            let at = capture.now();
            let mut wrong = oracle::holding(&expected, self.world.watch().timeline().now());
            wrong.extend(oracle::serving(&expected, &self.answers()));
            if wrong.is_empty() {
                let since = *rested.get_or_insert(at);
                if at >= since + quiet {
                    result = Some((since, Vec::new()));
                }
            } else {
                rested = None;
                if at > limit && at > limit + self.world.account().since(&account) {
                    result = Some((at, wrong));
                }
            }
            result.is_some()
        });
        result.expect("waited for")
    }

    /// The member that answers the client at this moment, for each address.
    fn answers(&self) -> BTreeMap<IpAddr, Option<Member>> {
        let answering = |client: &crate::support::Prober| client.answering_within(ms(200));
        let clients = self.world.clients().iter();
        clients
            .map(|(address, client)| (*address, answering(client).and_then(|name| Member::named(&name))))
            .collect()
    }

    /// Judges what can be judged at rest only; the service is at rest since `rested`.
    fn judge_rest(&self, rested: Duration) -> Vec<Violation> {
        let cluster = self.world.cluster();
        let expected: BTreeMap<Service, Option<Member>> =
            Service::ALL.into_iter().map(|service| (service, cluster.holder(service))).collect();
        // A last advertisement may still have been on its way when everything was at rest.
        let adverts = self.world.lab().capture().adverts(rested + self.request.interval);
        let heard = adverts
            .iter()
            .filter_map(|advert| Some((Service::of_vrid(advert.vrid)?, Member::named(&advert.node)?)));
        let mut wrong = oracle::advertising(&expected, &heard.collect());
        let mut listed = Holders::new();
        for member in Member::ALL {
            let here = self.world.node(member).addresses();
            for (_, address) in all_held().filter(|(_, address)| here.contains(address)) {
                listed.entry(address).or_default().insert(member);
            }
        }
        wrong.extend(oracle::telling(self.world.watch().timeline().now(), &listed));
        wrong.extend(super::truth::status(&self.world));
        wrong
    }

    /// What the client lost at each address since the last call, and the longest gap.
    pub(crate) fn lost(&self) -> (BTreeMap<IpAddr, usize>, Duration) {
        let mut longest = Duration::ZERO;
        let mut lost = BTreeMap::new();
        for (address, client) in self.world.clients() {
            let report = client.take();
            longest = longest.max(report.longest_gap);
            lost.insert(*address, report.lost);
        }
        (lost, longest)
    }

    /// Stops everything and looks for what is left behind.
    pub(crate) fn finish(&mut self) -> Vec<Violation> {
        let mut wrong = self.world.stop();
        for (member, before) in &self.before {
            wrong.extend(oracle::residue(*member, before, &residue(self.world.node(*member))));
        }
        wrong
    }

    /// Drops what was recorded so far.
    pub(crate) fn forget(&mut self) {
        self.lost();
        self.world.watch().timeline().forget();
        let capture = self.world.lab().capture();
        capture.forget_before(capture.now().saturating_sub(KEPT));
        let old = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..old);
    }

    fn note(&mut self, at: Duration, text: String) {
        let line = format!("{:9.3} s  {text}", at.saturating_sub(self.start).as_secs_f64());
        println!("{line}");
        self.history.push(line);
    }

    /// Returns a report if something is wrong.
    fn judge(&self, done: usize, wrong: &[Violation]) -> Result<(), String> {
        if wrong.is_empty() {
            return Ok(());
        }
        let again = self.request.line(done);
        let mut text = format!("seed {}, after {done} faults:\n", self.request.seed);
        for violation in wrong {
            let _ = writeln!(text, "    {violation}");
        }
        let _ = writeln!(text, "what happened last:\n{}", self.history.join("\n"));
        let kept = self.keep(&text).map_or_else(|error| error.to_string(), |kept| kept.display().to_string());
        Err(format!("{text}\nkept: {kept}\nagain: {again}\nonly the last: {again} --only-last 10"))
    }

    /// Writes the evidence to a directory that outlives the run.
    fn keep(&self, text: &str) -> std::io::Result<PathBuf> {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{}", self.request.seed));
        std::fs::create_dir_all(&kept)?;
        let mut history = format!("{text}\nwho held what since the last rest:\n");
        history.push_str(&self.world.watch().timeline().text(self.start));
        std::fs::write(kept.join("history.txt"), history)?;
        self.world.lab().capture().write_pcap(&kept.join("lan.pcap"))?;
        for member in Member::ALL {
            let daemon = self.world.daemon(member);
            let mut file = std::fs::File::create(kept.join(format!("{}.txt", member.name())))?;
            let node = self.world.node(member);
            writeln!(file, "{}\n{}", node.ns.run("ip", &["address"]), daemon.log())?;
        }
        Ok(kept)
    }
}

/// Prints the text even where the test harness hides the output of passing tests, so that the seed
/// of a later failure is known.
fn say(text: &str) {
    let _nobody_reads = writeln!(std::io::stderr(), "{text}");
}
