//! The machine on which a table was measured, and how busy it was.

use super::samples::{Samples, milliseconds};
use crate::support::wait::{Ticker, now};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often the machine is asked to wake a thread.
const PERIOD: Duration = Duration::from_millis(5);

/// Prints what a reader must know to interpret the figures.
pub(crate) fn introduce() {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let kernel = nix::sys::utsname::uname().expect("the kernel's name");
    println!(
        "{cores} CPUs, Linux {}, load {}, everything measured runs as {}; {}; {}; vrrpd {} ({})",
        kernel.release().to_string_lossy(),
        load(),
        scheduling(),
        first_line("keepalived", &["--version"]),
        first_line("/usr/lib/frr/vrrpd", &["--version"]),
        env!("CARGO_PKG_VERSION"),
        if cfg!(debug_assertions) {
            "NOT OPTIMISED: these figures are not for publication"
        } else {
            "release"
        },
    );
}

/// The scheduling policy of this process, which everything that it starts inherits (`man 1 chrt`).
fn scheduling() -> String {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let policy = text.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(38));
    match policy {
        Some("0") => "SCHED_OTHER".to_owned(),
        Some("1") => "SCHED_FIFO".to_owned(),
        Some("2") => "SCHED_RR".to_owned(),
        other => format!("policy {other:?}"),
    }
}

/// The load averages of the machine.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The clock of the kernel's timestamps.
pub(crate) fn wall_clock() -> Duration {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME);
    now.expect("the clock of the kernel").into()
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error} (installed? in PATH?)"));
    let both = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&both).lines().next().unwrap_or_default().trim().to_owned()
}

/// A thread that only wakes up in a fixed period, and measures how late it was: this share of the
/// measured times is caused by the machine. No program of ordinary priority can be more punctual.
pub(crate) struct Noise {
    stop: Arc<AtomicBool>,
    sleeper: Option<JoinHandle<Samples>>,
}

impl Noise {
    pub(crate) fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sleeper = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let mut late = Vec::new();
                let mut ticker = Ticker::new(PERIOD);
                let start = now();
                let mut due = Duration::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    ticker.tick();
                    late.push(milliseconds(start.elapsed().saturating_sub(due)));
                    due += PERIOD;
                }
                Samples::from(late)
            }
        });
        Self { stop, sleeper: Some(sleeper) }
    }

    /// Ends the thread, and returns how late it was each time.
    pub(crate) fn finish(mut self) -> Samples {
        self.stop.store(true, Ordering::Relaxed);
        self.sleeper.take().and_then(|sleeper| sleeper.join().ok()).unwrap_or_default()
    }
}

impl Drop for Noise {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
