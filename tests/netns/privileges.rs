//! Which privileges of root the daemon keeps, and which its checks get.

use super::support::{Config, Daemon, Lab, SOON, wait_for};
use super::{WEB, web};
use std::fs::read_to_string;

/// CAP_SYS_ADMIN, CAP_SYS_PTRACE and CAP_SYS_MODULE.
const DANGEROUS: u64 = 1 << 21 | 1 << 19 | 1 << 16;

/// One capability set of every thread.
fn sets(pid: i32, name: &str) -> Vec<u64> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    // A thread that starts a program may have ended before its status is read.
    let status =
        |thread: std::io::Result<std::fs::DirEntry>| read_to_string(thread.ok()?.path().join("status")).ok();
    threads.filter_map(status).map(|status| set(&status, name)).collect()
}

fn set(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
}

#[test]
fn a_daemon_started_as_root_keeps_what_it_needs_unless_a_hook_runs_as_root() {
    let lab = Lab::new(&["fe0"]);
    for (config, keeps) in [(web(150), 0), (web(150).key("on_transition", "[\"/bin/true\"]"), DANGEROUS)] {
        let mut fe0 = Daemon::start(lab.node("fe0"), &Config::of(&config));
        wait_for(SOON, "the address", || fe0.node().has(WEB));
        let all = sets(fe0.pid().as_raw(), "CapEff");
        assert!(all.len() >= 4, "{all:x?}");
        // The thread that writes the log has no capabilities in any case.
        assert!(all.iter().all(|set| [keeps, 0].contains(&(set & DANGEROUS))), "{all:x?}");
        assert!(all.contains(&0), "{all:x?}");
        // A program that the daemon starts has the capabilities of the main thread.
        let main = format!("/proc/{}/status", fe0.pid());
        assert_eq!(set(&read_to_string(main).unwrap(), "CapBnd") & DANGEROUS, keeps);
        assert!(fe0.terminate().success());
    }
}

#[test]
fn a_check_gains_no_privileges_and_inherits_nothing() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let seen = node.dir().join("seen");
    let script = format!(
        "{{ grep -E '^(NoNewPrivs|SigBlk):' /proc/self/status; ls /proc/self/fd; }} >{0}.new && mv {0}.new {0}",
        seen.display()
    );
    let command = format!("[\"/bin/sh\", \"-c\", {script:?}]");
    let router = web(150).key("track", "[{ check = \"look\" }]");
    let config = Config::new().check("look", &command, &[]).with(&router);
    let _fe0 = Daemon::start(node, &config);
    wait_for(SOON, "the address", || node.has(WEB));
    let seen = read_to_string(&seen).unwrap();
    let mut lines = seen.lines();
    let found: Vec<_> = lines.by_ref().take(2).map(|line| line.split_whitespace().last().unwrap()).collect();
    assert_eq!(found, ["0000000000000000", "1"], "{seen}");
    // Standard input, output and error, and the descriptor with which ls reads the directory.
    assert_eq!(lines.collect::<Vec<_>>(), ["0", "1", "2", "3"], "{seen}");
}
