//! How much later than RFC 9568 demands a Backup takes over when its Active disappears.
//!
//! The Active's port is removed from the bridge: no carrier changes, and no last advertisement is
//! sent. From the kernel's timestamps at the switch: *overshoot* = (first advertisement of the
//! survivor − last advertisement that was passed on to it) − (3 × interval + skew), with the exact
//! skew of §6.1.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a bench a panic is the report")]

#[path = "measure/mod.rs"]
mod measure;
#[path = "../tests/support/mod.rs"]
mod support;

use measure::machine::{self, Noise};
use measure::rivals::{Kind, Opponent, Seat};
use measure::samples::signed_milliseconds;
use measure::{Request, Samples, Table};
use std::time::Duration;
use support::{Lab, SOON, ms, wait_for};

const ACTIVE: u8 = 200;
const SURVIVOR: u8 = 100;

fn main() {
    let request = Request::from_arguments();
    machine::introduce();
    let columns = [
        "pair of             ",
        "interval",
        "runs",
        "overshoot p50 (ms)",
        "p99",
        "max",
        "machine late p50 (ms)",
        "p99",
        "max",
    ];
    let table = Table::new("Crash failover: overshoot over 3 × interval + skew", &columns);
    for (interval_ms, runs) in [(1000, 10), (100, 30), (10, 50)] {
        for kind in [Kind::Vrrpd, Kind::Keepalived, Kind::Frr] {
            if !request.wants(&format!("{kind} {interval_ms} ms")) {
                continue;
            }
            let noise = Noise::start();
            let overshoot = measure(kind, interval_ms, request.runs(runs));
            let noise = noise.finish();
            let head = [kind.to_string(), format!("{interval_ms} ms"), overshoot.count().to_string()];
            table.row(&[&head[..], &overshoot.cells(), &noise.cells()].concat());
        }
    }
}

fn measure(kind: Kind, interval_ms: u32, runs: usize) -> Samples {
    let lab = Lab::new(&["active", "survivor"]);
    let opponent = Opponent::from(kind);
    let _active = opponent.start(Seat::of(&lab, "active", "survivor"), ACTIVE, interval_ms);
    lab.capture().wait_advert(SOON, "active", ms(0), |_| true);
    let _survivor = opponent.start(Seat::of(&lab, "survivor", "active"), SURVIVOR, interval_ms);
    let interval = ms(interval_ms.into());
    let mut overshoot = Samples::default();
    for _ in 0..runs {
        wait_settled(&lab, interval);
        let cut = lab.capture().now();
        lab.cut(lab.node("active"));
        let first = lab.capture().wait_advert(SOON, "survivor", cut, |advert| advert.priority > 0);
        let delivered = lab.capture().delivered_adverts("survivor").into_iter();
        let last = delivered.map(|advert| advert.at).filter(|at| *at < first.at).max().expect("it heard one");
        overshoot.push(signed_milliseconds(first.at - last, active_down_interval(interval)));
        lab.heal(lab.node("active"));
    }
    overshoot
}

/// Active_Down_Interval of RFC 9568 §6.1, in nanoseconds.
fn active_down_interval(interval: Duration) -> Duration {
    3 * interval + interval * (256 - u32::from(SURVIVOR)) / 256
}

/// Waits until only the Active has advertised for three intervals.
fn wait_settled(lab: &Lab, interval: Duration) {
    let from = lab.capture().now();
    wait_for(SOON * 3, "the Active alone speaks", || {
        let capture = lab.capture();
        let now = capture.now();
        let adverts = capture.adverts(from.max(now.saturating_sub(3 * interval)));
        let alone = adverts.iter().all(|advert| advert.node == "active");
        now >= from + 3 * interval && alone && adverts.len() >= 2
    });
}
