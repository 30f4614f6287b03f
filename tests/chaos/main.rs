//! Chaos: random faults against three daemons on a real kernel, with an oracle that looks from
//! outside only.
//!
//! The faults are drawn from a seed ([`schedule`]). After each (or after several that overlap) the
//! service must come to rest within Active_Down_Interval and 2.5 s: each address is held by exactly
//! one member, the best that may serve; the client is answered by it; no other member advertises;
//! and `vrrpctl status` says the same. Planned moves lose no request, and nothing is left behind at
//! the end ([`oracle`]). What is true is read from the kernels, from the switch and from the
//! client; the daemons are only asked in order to compare their answer.
//!
//! `netns-scripts/chaos` runs it for long; `cargo test` runs some faults of a fixed seed and some
//! of a random one. A kernel under load does not do everything twice in the same order: a seed
//! repeats the faults, not their exact timing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod cluster;
mod fault;
mod oracle;
mod residue;
mod run;
mod schedule;
mod starvation;
mod tally;
mod timeline;
mod truth;
mod watch;
mod world;

use fault::{Kind, Member, Stroke};
use nix::sys::signal::Signal;
use oracle::{Machine, Violation};
use run::{Request, Run, run};
use schedule::Mode;
use std::time::Duration;
use support::{SOON, ms, wait_for};

/// A few faults, which take about twenty seconds.
const FEW: usize = 12;

const INTERVAL: Duration = ms(100);

#[test]
fn a_fixed_seed() {
    let (seed, faults) = (1, FEW);
    run(Request { seed, faults, interval: INTERVAL, mode: Mode::OneByOne, only_last: faults });
}

#[test]
fn a_fixed_seed_of_faults_that_overlap() {
    let (seed, faults) = (2, FEW);
    run(Request { seed, faults, interval: INTERVAL, mode: Mode::Overlapping, only_last: faults });
}

/// The test that `netns-scripts/chaos` runs, with the number of faults that it asks for; without
/// it, a few.
#[test]
fn a_random_seed() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let count = |name| number(name).and_then(|count| usize::try_from(count).ok());
    let faults = count("CHAOS_FAULTS").unwrap_or(FEW);
    run(Request {
        seed: number("CHAOS_SEED").unwrap_or_else(any_seed),
        faults,
        interval: number("CHAOS_INTERVAL_MS").map_or(INTERVAL, ms),
        mode: if std::env::var_os("CHAOS_OVERLAP").is_some() { Mode::Overlapping } else { Mode::OneByOne },
        only_last: count("CHAOS_ONLY_LAST").unwrap_or(faults),
    });
}

fn any_seed() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME).expect("a clock");
    u64::try_from(now.tv_nsec()).unwrap_or_default() % 1_000_000
}

/// The oracle on a real kernel: it must find everything that is done to the members without the
/// daemons' knowledge.
#[test]
fn sabotage_is_found() {
    let faults = 0;
    let request = Request { seed: 0, faults, interval: INTERVAL, mode: Mode::OneByOne, only_last: 0 };
    let mut run = Run::start(request);
    let at_rest = |run: &Run| run.come_to_rest(run.world().lab().capture().now()).1;
    assert_eq!(at_rest(&run), []);
    let second = run.world().node(Member::Fe2).clone();
    let (add, delete) = ("address add 192.0.2.50/32 dev lo", "address delete 192.0.2.50/32 dev lo");

    // Two members hold the address.
    second.ns.ip(add);
    let found = at_rest(&run);
    assert!(
        found.iter().any(|one| matches!(one, Violation::SeveralHold(_, all) if all.len() == 2)),
        "{found:?}"
    );
    second.ns.ip(delete);
    assert_eq!(at_rest(&run), []);

    // No member holds the address: the daemons are stopped, and the addresses of the holder are
    // removed.
    let signal_all = |signal| Member::ALL.map(|member| run.world().daemon(member).process().signal(signal));
    signal_all(Signal::SIGSTOP);
    let fe0 = run.world().node(Member::Fe0);
    fe0.ns.ip("address delete 192.0.2.50/24 dev eth0\naddress delete 2001:db8::50/64 dev eth0");
    let found = at_rest(&run);
    assert!(found.iter().any(|one| matches!(one, Violation::NobodyHolds(_))), "{found:?}");
    assert!(found.iter().any(|one| matches!(one, Violation::NotServed { by: None, .. })), "{found:?}");
    signal_all(Signal::SIGCONT);
    assert_eq!(at_rest(&run), []);
    run.forget();

    // A planned move during which requests are lost, because the client is cut off for a moment.
    let client = run.world().lab().node("client").clone();
    run.world().lab().cut(&client);
    let cut = run.world().lab().capture().now();
    wait_for(SOON, "requests sent in vain", || !run.world().lab().capture().datagrams(cut).is_empty());
    run.world().lab().heal(&client);
    let found = oracle::losing(Kind::Demote, &run.lost().0, Machine::Fair);
    assert!(!found.is_empty(), "{found:?}");

    // Something is left behind.
    second.ns.ip(add);
    let found = run.finish();
    let left =
        |one: &Violation| matches!(one, Violation::LeftBehind { what, .. } if what.contains("192.0.2.50"));
    assert!(found.iter().any(left), "{found:?}");
}

/// A fault that happens to `fe0` at once.
fn chaos_stroke(kind: Kind) -> Stroke {
    let nothing = Duration::ZERO;
    Stroke { number: 1, kind, member: Member::Fe0, after: nothing, lasts: nothing, percent: 0 }
}
