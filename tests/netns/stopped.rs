//! A Backup that was not run for a while processes what waits in its sockets before it decides
//! (`runtime::turn`): it does not replace an Active that advertised all the time.

use super::support::wait::stays;
use super::support::{Config, Daemon, Lab, Router, ms};
use super::web;
use nix::sys::signal::Signal;
use std::time::Duration;

/// At 300 ms and priority 100 the Active_Down_Interval is 1083 ms. A process that wakes more than
/// an interval late listens once more in any case; between the two, the result depends on what is
/// read first.
const INTERVAL: &str = "300ms";
const STOPPED: Duration = ms(1200);

/// Stops `fe1` so many times while `fe0` is Active for all these routers. It must take over none of
/// them.
fn stops(rounds: usize, fe0: &Daemon, fe1: &mut Daemon, routers: &[String]) {
    for name in routers {
        fe0.wait_state(name, "active");
        fe1.wait_state(name, "backup");
    }
    for _ in 0..rounds {
        fe1.process().signal(Signal::SIGSTOP);
        stays(STOPPED, "time passes", || true);
        fe1.process().signal(Signal::SIGCONT);
        // The daemon answers after the turn in which it decided.
        let all = fe1.ctl(&["status"]).json;
        let all = all["virtual_routers"].as_array().expect("routers");
        assert_eq!(all.len(), routers.len());
        for router in all {
            let seen = (&router["state"], &router["counters"]["active_transitions"]);
            assert_eq!(seen, (&"backup".into(), &0.into()), "{}", router["name"]);
        }
    }
}

#[test]
fn a_backup_that_was_stopped_does_not_replace_a_living_active() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let router = |priority| Config::of(&web(priority).interval(INTERVAL));
    let fe0 = Daemon::start(lab.node("fe0"), &router(200));
    fe0.wait_state("web", "active");
    let mut fe1 = Daemon::start(lab.node("fe1"), &router(100));
    stops(5, &fe0, &mut fe1, &["web".to_owned()]);
}

/// More interfaces than any fixed number of ready sockets that one turn looks at.
#[test]
fn with_forty_interfaces_neither() {
    const INTERFACES: u8 = 40;
    let lab = Lab::new(&["fe0", "fe1"]);
    let (one, two) = (lab.node("fe0"), lab.node("fe1"));
    let mut routers = Vec::new();
    let (mut first, mut second) = (Config::new(), Config::new());
    for number in 0..INTERFACES {
        let (name, link) = (format!("r{number}"), format!("x{number}"));
        one.ns.cable(&link, &two.ns, &link);
        for (node, host) in [(one, 1), (two, 2)] {
            node.ns.ip(&format!("link set {link} up\naddress add 198.18.{number}.{host}/24 dev {link}"));
        }
        let router = |priority| {
            let router = Router::new(&name).key("interface", &format!("{link:?}")).priority(priority);
            router.interval(INTERVAL).addresses(&[&format!("198.18.{number}.50/24")])
        };
        first = first.with(&router(200));
        second = second.with(&router(100));
        routers.push(name);
    }
    let fe0 = Daemon::start(one, &first);
    fe0.wait_state("r39", "active");
    let mut fe1 = Daemon::start(two, &second);
    stops(5, &fe0, &mut fe1, &routers);
}
