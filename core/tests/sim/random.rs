//! Random runs: each seed stands for a world, its faults, and the work of the operators afterwards.

use crate::lab::keep;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use vrrpd_core::sim::fault::{self, Totals};
use vrrpd_core::sim::trace::Detail;

/// This number of seeds is enough to reach every kind of fault many times, and quick in an
/// unoptimised build.
const SEEDS: u64 = 400;

/// Seeds that once broke a rule, and what was wrong. They prove less as the mix of faults changes;
/// the scripted tests beside each fix prove it permanently.
const REGRESSIONS: &[(u64, &str)] = &[
    (47, "an owner that started advertised before it held the addresses"),
    (52, "a hand-over that waited for hosts longer than its patience never ended"),
    (90, "the first advertisement of one family made the other Active drop both"),
    (182, "a router that starts alone finds no service"),
    (1409, "a start at the very end had no time to settle"),
    (1506, "three equal routers of two families yielded to one another in a circle"),
    (2286, "the same, while one of them stopped"),
    (8136, "a stalled hand-over advertised once more and was gone"),
    (14_963, "foreign routers serve one family each: that is not two Actives"),
    (17_794, "the same as 8136, with both families"),
    (161_013, "a router that heard an Active before it started took over as if there were none"),
    (169_750, "the last advertisement of a router that yielded taught the Backups its own short interval"),
    (170_391, "a router that left before its first advertisement sent it before it held the addresses"),
];

#[test]
fn random() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let from = number("SIM_FROM").unwrap_or(0);
    let until = from.saturating_add(number("SIM_SEEDS").unwrap_or(SEEDS));
    let next = AtomicU64::new(from);
    let mut all = Totals::default();
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(|| work(&next, until))).collect();
        for worker in workers {
            let tally = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            add(&mut all, tally);
        }
    });
    let seeds = until - from;
    let Totals { steps, checks: _, commands, second_routers, version_2, unicast, mended } = all;
    println!(
        "{seeds} seeds ({second_routers} with second routers, {version_2} in VRRPv2, {unicast} in unicast, \
         {mended} with lists or paths that were mended), {steps} steps, {commands} commands on calm LANs"
    );
    assert!(steps > seeds * 50, "the worlds were too quiet to prove anything");
    assert!(seeds < 100 || second_routers > seeds / 10, "too few nodes had two routers");
    assert!(seeds < 100 || version_2 > seeds / 20, "too few worlds spoke VRRPv2");
    assert!(seeds < 100 || unicast > seeds / 10, "too few worlds sent to listed stations");
    assert!(seeds < 100 || mended > seeds / 50, "in too few worlds some did not hear one another");
}

#[test]
fn seeds_that_failed_once_pass() {
    for (seed, what) in REGRESSIONS {
        println!("{seed}: {what}");
        one(*seed);
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let traces = [0, 1].map(|_| {
        let (steps, world) = fault::replay(7, Detail::On);
        (steps, world.trace().text(usize::MAX), world.trace().pcap())
    });
    assert_eq!(traces[0], traces[1]);
    assert!(traces[0].1.len() > 1000);
}

fn work(next: &AtomicU64, until: u64) -> Totals {
    let mut sum = Totals::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= until {
            return sum;
        }
        add(&mut sum, one(seed));
    }
}

fn add(sum: &mut Totals, tally: Totals) {
    sum.steps += tally.steps;
    sum.commands += tally.commands;
    sum.second_routers += tally.second_routers;
    sum.version_2 += tally.version_2;
    sum.unicast += tally.unicast;
    sum.mended += tally.mended;
}

/// Runs one seed; a seed that fails is run again with a trace.
fn one(seed: u64) -> Totals {
    fault::run(seed, Detail::Off).unwrap_or_else(|failure| {
        let (_, world) = fault::replay(seed, Detail::On);
        panic!(
            "seed {seed}: {}\nagain: SIM_FROM={seed} SIM_SEEDS=1 cargo test --test sim random\nkept: {}\n{}",
            failure.violation,
            keep(&seed.to_string(), world.trace()),
            world.trace().text(60),
        )
    })
}
