//! A log that nobody reads: the journal waits for its disk, or a container's log driver is blocked.
//! Lines may be lost, but the service goes on.

use super::support::process::Unread;
use super::support::wait::now;
use super::support::{Config, Daemon, Lab, SOON, ServiceManager, ms, wait_for};
use super::{WEB, web};
use std::sync::Arc;
use std::time::Duration;

/// The period of the service manager's watchdog.
const WATCHDOG: Duration = ms(500);
/// The longest duration of a stop or a clean-up, including the second for which the last lines are
/// offered.
const ENDS: Duration = Duration::from_secs(4);

#[test]
fn checks_control_watchdog_and_stop_do_not_wait_for_the_reader_of_the_log() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let alive = fe0.dir().join("alive");
    std::fs::write(&alive, "").expect("the service is alive");
    let manager = ServiceManager::start(fe0.dir(), Some(WATCHDOG));
    let tracked = web(200).key("track", "[{ check = \"service\" }]");
    let config = Config::new().file_check("service", alive.to_str().expect("a path")).with(&tracked);
    // The outputs are full from the first line on.
    let mut first = Daemon::start_unread(&manager, fe0, &config, Arc::new(Unread::new()));
    manager.wait_line("READY=1");
    first.wait_state("web", "active");
    let second = Daemon::start(fe1, &Config::of(&web(100)));
    second.wait_state("web", "backup");

    std::fs::remove_file(&alive).expect("the service dies");
    second.wait_state("web", "active");
    wait_for(SOON, "fe0 lets the address go", || !fe0.has(WEB));
    std::fs::write(&alive, "").expect("the service is back");
    first.wait_state("web", "active");

    assert_eq!(first.ctl(&["demote", "web"]).code, 0);
    assert_eq!(first.ctl(&["promote", "web"]).code, 0);
    first.wait_state("web", "active");
    let fed = manager.beats().len();
    wait_for(SOON, "the watchdog is fed", || manager.beats().len() >= fed + 4);

    let stop = now();
    assert!(first.terminate().success());
    assert!(stop.elapsed() < ENDS, "{:?}", stop.elapsed());
    assert!(!fe0.has(WEB), "an address is left behind");
}

#[test]
fn a_clean_up_that_nobody_reads_ends() {
    let lab = Lab::new(&["fe0"]);
    let mut fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    wait_for(SOON, "the address", || fe0.node().has(WEB));
    fe0.kill();
    let (status, took) = fe0.clean_up_unread(&Unread::new());
    // The clean-up takes up to three seconds, and waits for a second for each output.
    assert!(status.success() && took < ENDS + ms(1000), "{status} after {took:?}");
    assert!(!fe0.node().has(WEB), "an address is left behind");
}
