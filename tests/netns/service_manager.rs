//! The messages that the service manager receives, and those that it must not receive.

use super::support::wait::{now, stays};
use super::support::{Config, Daemon, Lab, SOON, ServiceManager, ms, wait_for};
use super::{Pair, web};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::time::Duration;

const WATCHDOG: Duration = ms(200);

/// One frontend under a service manager.
fn managed(lab: &Lab, config: &Config) -> (ServiceManager, Daemon) {
    let node = lab.node("fe0");
    let manager = ServiceManager::start(node.dir(), Some(WATCHDOG));
    let daemon = Daemon::start_under(&manager, node, config);
    (manager, daemon)
}

#[test]
fn start_transition_demotion_and_stop_are_reported_in_their_order() {
    let pair = Pair::on(Lab::new(&["fe0", "fe1", "client"]), &Config::of(&web(100)), &Config::of(&web(50)));
    let node = pair.lab.node("client");
    let manager = ServiceManager::start(node.dir(), None);
    let mut third = Daemon::start_under(&manager, node, &Config::of(&web(200)));
    // Preempts within 3 intervals and a Skew_Time.
    manager.wait_line("STATUS=active: web");
    assert_eq!(third.ctl(&["demote", "web"]).code, 0);
    manager.wait_line("STATUS=demoted: web");
    assert_eq!(third.ctl(&["promote", "web"]).code, 0);
    let again = |wanted: &str| manager.lines().iter().filter(|line| *line == wanted).count() == 2;
    wait_for(SOON, "active again", || again("STATUS=active: web"));
    assert!(third.terminate().success());
    let mut lines = manager.lines();
    // This line may be missing, depending on timing.
    lines.retain(|line| line != "STATUS=handing over: web");
    assert_eq!(
        lines,
        [
            "READY=1",
            "STATUS=backup: web",
            "STATUS=active: web",
            "STATUS=demoted: web",
            "STATUS=backup: web",
            "STATUS=active: web",
            "STOPPING=1",
            "EXTEND_TIMEOUT_USEC=33500000",
            "STATUS=stopping: handing over",
        ]
    );
    assert_eq!(manager.beats(), [], "nobody asked for a watchdog");
}

#[test]
fn a_fault_is_named() {
    let lab = Lab::new(&["fe0"]);
    let (manager, _fe0) = managed(&lab, &Config::of(&web(100)));
    manager.wait_line("STATUS=active: web");
    lab.carrier_down(lab.node("fe0"));
    manager.wait_line("STATUS=faulty: web (interface eth0 no carrier)");
}

#[test]
fn ready_means_that_vrrpctl_works_and_knows_every_router() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let manager = ServiceManager::start(node.dir(), None);
    // An interface that does not exist (yet) is not a reason to delay the start.
    let late = super::Router::new("late").vrid(52).key("interface", "\"eth9\"").addresses(&["192.0.2.60/24"]);
    let fe0 = Daemon::launch_under(&manager, node, &Config::of(&web(100)).with(&late));
    manager.wait_line("READY=1");
    let status = fe0.ctl(&["status"]);
    assert_eq!(status.code, 0, "{status:?}");
    let names: Vec<_> =
        status.json["virtual_routers"].as_array().unwrap().iter().map(|r| &r["name"]).collect();
    assert_eq!(names, ["late", "web"]);
}

/// Stops one thread of a process, as if it hung.
struct Frozen(Pid);

impl Frozen {
    fn thread(process: Pid, name: &str) -> Self {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let named = |task: &Pid| {
            let comm = std::fs::read_to_string(format!("/proc/{process}/task/{task}/comm"));
            comm.is_ok_and(|comm| comm.trim_end() == name)
        };
        let numbers = tasks.map(|task| task.unwrap().file_name().to_str().unwrap().parse().unwrap());
        let task = numbers.map(Pid::from_raw).find(named).unwrap_or_else(|| panic!("no thread {name}"));
        ptrace::seize(task, ptrace::Options::empty()).expect("attaching to a thread of a child");
        ptrace::interrupt(task).expect("stopping it");
        waitpid(task, Some(WaitPidFlag::__WALL)).expect("its stop");
        Self(task)
    }

    fn thaw(self) {
        ptrace::detach(self.0, None).expect("letting it go on");
    }
}

/// Waits for this number of messages to the watchdog.
fn wait_beats(manager: &ServiceManager, count: usize) {
    let from = manager.beats().len();
    wait_for(SOON, format!("the watchdog is fed {count} times"), || manager.beats().len() >= from + count);
}

#[test]
fn the_watchdog_is_fed_at_half_of_its_patience() {
    let lab = Lab::new(&["fe0"]);
    let (manager, _fe0) = managed(&lab, &Config::of(&web(100)));
    let (start, before) = (now(), manager.beats().len());
    wait_beats(&manager, 10);
    let took = start.elapsed();
    let fed = u32::try_from(manager.beats().len() - before).unwrap();
    // Ten half periods are a second. No message may be early, and this machine may be busy.
    assert!(took >= WATCHDOG / 2 * 9 && took < WATCHDOG / 2 * 20, "{fed} times in {took:?}");
}

#[test]
fn a_thread_that_hangs_starves_the_watchdog() {
    let lab = Lab::new(&["fe0"]);
    let (manager, fe0) = managed(&lab, &Config::of(&web(100)));
    for thread in ["vrrp-protocol", "vrrpd"] {
        wait_beats(&manager, 3);
        let frozen = Frozen::thread(fe0.pid(), thread);
        // One message may be on its way already.
        let fed = manager.beats().len() + 1;
        stays(WATCHDOG * 4, format!("nobody feeds it while {thread} hangs"), || manager.beats().len() <= fed);
        frozen.thaw();
        wait_beats(&manager, 3);
    }
    fe0.wait_state("web", "active");
}

/// The service manager would take messages of a child for those of the main process. Even worse, a
/// child could send messages to the watchdog after the daemon died.
#[test]
fn checks_and_hooks_do_not_hear_of_the_service_manager() {
    let lab = Lab::new(&["fe0"]);
    let dir = lab.node("fe0").dir().display().to_string();
    let script = |file: &str| format!("[\"/bin/sh\", \"-c\", \"/usr/bin/env > {dir}/{file}\"]");
    let router = web(100).key("track", "[{ check = \"env\" }]").key("on_transition", &script("hook"));
    let config = Config::new().check("env", &script("check"), &[]).with(&router);
    let (_manager, fe0) = managed(&lab, &config);
    fe0.wait_state("web", "active");
    for file in ["check", "hook"] {
        let file = format!("{dir}/{file}");
        let environment = || std::fs::read_to_string(&file).unwrap_or_default();
        wait_for(SOON, format!("{file} is written"), || environment().contains("PATH="));
        let environment = environment();
        assert!(!environment.contains("NOTIFY") && !environment.contains("WATCHDOG"), "{environment}");
    }
}

#[test]
fn a_reload_is_reported_and_its_end_whatever_the_result() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let manager = ServiceManager::start(node.dir(), None);
    let fe0 = Daemon::start_under(&manager, node, &Config::of(&web(100)));
    manager.wait_line("STATUS=active: web");
    let told = |line: &str| manager.lines().iter().filter(|one| *one == line).count();
    for (text, code, reloads) in
        [(Config::of(&web(150)).text().to_owned(), 0, 1), ("priority = no".to_owned(), 2, 2)]
    {
        fe0.write_config(&text);
        assert_eq!(fe0.ctl(&["reload"]).code, code);
        wait_for(SOON, "the reload, and ready again", || {
            (told("RELOADING=1"), told("READY=1")) == (reloads, reloads + 1)
        });
    }
    assert_eq!(fe0.ctl(&["reload", "--dry-run"]).code, 2);
    assert_eq!(told("RELOADING=1"), 2, "a dry run is none");
    assert!(fe0.is("web", "active"));
}
