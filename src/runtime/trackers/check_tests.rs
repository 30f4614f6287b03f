//! Tests of checks with real processes. Every wait is for a condition, with a deadline.

use super::*;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(20);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn program(name: &str, command: &[&str]) -> CheckSpec {
    CheckSpec {
        name: CheckName(name.into()),
        command: command.iter().map(ToString::to_string).collect(),
        interval: millis(50),
        timeout: Duration::from_secs(10),
        rise: 1,
        fall: 1,
        user: None,
    }
}

fn shell(script: &str) -> CheckSpec {
    program("test", &["/bin/sh", "-c", script])
}

fn start(specs: &[CheckSpec]) -> (Checks, mpsc::Receiver<CheckReport>) {
    let (sender, reports) = mpsc::channel(8);
    let mut checks = Checks::new(sender);
    checks.apply(specs);
    (checks, reports)
}

async fn next(reports: &mut mpsc::Receiver<CheckReport>) -> CheckReport {
    tokio::time::timeout(DEADLINE, reports.recv()).await.expect("no report in time").expect("no check runs")
}

/// Returns the first result of a check, and its description of the failure.
async fn first(spec: CheckSpec) -> (CheckResult, String) {
    let (checks, mut reports) = start(&[spec]);
    let report = next(&mut reports).await;
    checks.shutdown().await;
    match report.outcome {
        ProgramOutcome::Passed => (report.result, String::new()),
        ProgramOutcome::Failed(failure) => (report.result, failure.to_string()),
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let patience = async {
        while !condition() {
            tokio::time::sleep(millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, patience).await.unwrap_or_else(|_| panic!("never came true: {what}"));
}

fn status(checks: &Checks) -> CheckStatus {
    checks.board().snapshot().into_values().next().expect("one check")
}

/// Returns the processes of a group that are not zombies, from the kernel's own list.
fn members(group: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        // pid (name) state parent group …; the name may hold anything.
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        (fields[2] == group && fields[0] != "Z").then_some(stat)
    });
    processes.collect()
}

async fn content(file: &Path) -> String {
    let read = || std::fs::read_to_string(file).unwrap_or_default();
    until("the script wrote its process id", || read().ends_with('\n')).await;
    read().trim().to_owned()
}

#[tokio::test]
async fn exit_code_0_passes_and_any_other_fails() {
    assert_eq!(first(shell("exit 0")).await, (CheckResult::Passing, String::new()));
    assert_eq!(first(shell("exit 3")).await, (CheckResult::Failing, "exit code 3".to_owned()));
    assert_eq!(first(program("true", &["/bin/true"])).await.0, CheckResult::Passing);
}

#[tokio::test]
async fn a_signal_is_named() {
    assert_eq!(first(shell("kill -SEGV $$")).await, (CheckResult::Failing, "killed by SIGSEGV".to_owned()));
}

#[tokio::test]
async fn the_first_line_is_kept_and_made_fit_for_a_log_and_standard_error_goes_before_standard_output() {
    for (script, said) in [
        ("echo nginx is gone >&2; echo more >&2; exit 1", "exit code 1: nginx is gone"),
        (r"printf '\n  \n spaced \n' >&2; exit 1", "exit code 1: spaced"),
        (r"printf 'a\033[31mb\377' >&2; exit 1", "exit code 1: a [31mb\u{fffd}"),
        (
            "echo CRITICAL - connection refused; echo more; exit 2",
            "exit code 2: CRITICAL - connection refused",
        ),
        ("echo to stdout; echo to stderr >&2; exit 1", "exit code 1: to stderr"),
        ("echo last words >&2; kill -KILL $$", "killed by SIGKILL: last words"),
    ] {
        assert_eq!(first(shell(script)).await, (CheckResult::Failing, said.to_owned()), "{script}");
    }
    let (_, long) = first(shell("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1")).await;
    assert_eq!(long, format!("exit code 1: {}", "x".repeat(200)));
    let (_, endless) = first(shell("head -c 1000000 /dev/zero | tr '\\0' y; exit 1")).await;
    assert_eq!(endless, format!("exit code 1: {}", "y".repeat(200)), "all of it is read, and no more kept");
}

#[tokio::test]
async fn what_a_check_says_while_it_passes_is_not_kept() {
    assert_eq!(first(shell("echo a warning >&2")).await, (CheckResult::Passing, String::new()));
}

#[tokio::test]
async fn a_flood_of_output_neither_blocks_the_check_nor_us() {
    let flood = "head -c 30000000 /dev/zero; head -c 30000000 /dev/zero >&2; exit 0";
    assert_eq!(first(shell(flood)).await.0, CheckResult::Passing);
}

#[tokio::test]
async fn output_without_end_does_not_outlive_the_timeout() {
    let spec = CheckSpec { timeout: millis(300), ..shell("exec yes >&2") };
    assert_eq!(first(spec).await, (CheckResult::Failing, "timed out after 300ms: y".to_owned()));
}

#[tokio::test]
async fn a_descendant_that_keeps_stderr_open_does_not_delay_the_result() {
    let room = TempDir::new().unwrap();
    let pid = room.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; echo sad >&2; exit 1", pid.display());
    let (checks, mut reports) = start(&[CheckSpec { interval: DEADLINE, ..shell(&script) }]);
    let report = next(&mut reports).await;
    assert_eq!(report.result, CheckResult::Failing);
    assert!(status(&checks).last.unwrap().took < Duration::from_secs(5), "it waited for the descendant");
    checks.shutdown().await;
    // A command that ended by itself keeps what it started.
    let pid: i32 = content(&pid).await.parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_command_that_cannot_run_says_so_and_fails() {
    let room = TempDir::new().unwrap();
    let plain = room.path().join("not-executable");
    std::fs::write(&plain, "#!/bin/sh\n").unwrap();
    let plain = plain.to_str().unwrap();
    for (command, says) in [
        (&["/nonexistent/check"][..], "could not run: /nonexistent/check: No such file or directory"),
        (&[plain], &format!("could not run: {plain}: Permission denied")),
        (&["/"], "could not run: /: Permission denied"),
        (&[], "could not run: the command is empty"),
    ] {
        let (health, detail) = first(program("test", command)).await;
        assert_eq!(health, CheckResult::Failing, "{command:?}");
        assert!(detail.starts_with(says), "{command:?}: {detail}");
    }
    let nobody = CheckSpec { user: Some("no-such-user".to_owned()), ..shell("exit 0") };
    let expected = "could not run: no user \"no-such-user\"".to_owned();
    assert_eq!(first(nobody).await, (CheckResult::Failing, expected));
}

/// As root, the check runs as that user, with the user's group and no other; without the privilege
/// it reports that.
#[tokio::test]
async fn a_check_runs_as_its_user_or_says_why_not() {
    let user = nix::unistd::User::from_name("nobody").unwrap().expect("every system has nobody");
    let script =
        format!("test \"$(id -u) $(id -G)\" = \"{} {}\" || {{ id >&2; exit 1; }}", user.uid, user.gid);
    let spec = CheckSpec { user: Some("nobody".to_owned()), ..shell(&script) };
    let (health, detail) = first(spec).await;
    // In a user namespace root may be the only user there is.
    let whole = std::fs::read_to_string("/proc/self/uid_map").unwrap().contains("4294967295");
    let us = nix::unistd::geteuid();
    if us == user.uid || (us.is_root() && whole) {
        assert_eq!((health, detail), (CheckResult::Passing, String::new()));
    } else {
        assert_eq!(health, CheckResult::Failing);
        assert!(detail.starts_with("could not run: /bin/sh"), "{detail}");
    }
}

#[tokio::test]
async fn the_environment_holds_the_path_and_the_name_of_the_check_only() {
    let room = TempDir::new().unwrap();
    let env = room.path().join("env");
    let spec = program("web", &["/bin/cp", "/proc/self/environ", env.to_str().unwrap()]);
    assert_eq!(first(spec).await.0, CheckResult::Passing);
    let mut variables: Vec<_> =
        std::fs::read_to_string(&env).unwrap().split_terminator('\0').map(str::to_owned).collect();
    variables.sort();
    assert_eq!(
        variables,
        ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "VRRPD_CHECK=web"]
    );
}

#[tokio::test]
async fn a_check_reads_nothing_and_holds_no_terminal() {
    assert_eq!(first(shell("read line && exit 1; test \"$(pwd)\" = /")).await.0, CheckResult::Passing);
}

/// The first report and the end of everything that the script started.
async fn times_out_and_leaves_nothing(script: &str, at_least: Duration) {
    let room = TempDir::new().unwrap();
    let pid = room.path().join("pid");
    let script = format!("echo $$ > {}; {script}", pid.display());
    let spec = CheckSpec { timeout: millis(1500), interval: DEADLINE, ..shell(&script) };
    let (checks, mut reports) = start(&[spec]);
    let group = content(&pid).await;
    until("the whole tree runs", || members(&group).len() >= 2).await;

    let report = next(&mut reports).await;
    let timed_out = ProgramOutcome::Failed(FailureKind::TimedOut(millis(1500)).into());
    assert_eq!((report.result, report.outcome), (CheckResult::Failing, timed_out), "{script}");
    let said = Instant::now();
    until("the whole tree is gone", || members(&group).is_empty()).await;
    assert!(said.elapsed() >= at_least, "{script}: {:?}", said.elapsed());
    checks.shutdown().await;
}

#[tokio::test]
async fn a_timeout_ends_the_whole_tree() {
    times_out_and_leaves_nothing("sleep 1000 & sleep 1000", Duration::ZERO).await;
}

#[tokio::test]
async fn a_timeout_ends_those_who_ignore_sigterm_after_a_grace() {
    let deaf = "trap '' TERM; sleep 1000 & sleep 1000";
    times_out_and_leaves_nothing(deaf, millis(100)).await;
}

#[tokio::test]
async fn a_timeout_ends_a_deaf_descendant_of_a_leader_that_obeys() {
    let script = "sh -c \"trap '' TERM; while :; do sleep 1000; done\" & wait";
    times_out_and_leaves_nothing(script, millis(100)).await;
}

/// The test holds however late the killing starts: the leader has ended long before.
#[tokio::test]
async fn who_ignores_sigterm_is_killed_even_after_the_leader_went() {
    let room = TempDir::new().unwrap();
    let pid = room.path().join("pid");
    let script =
        format!("sh -c \"trap '' TERM; echo $$ > {}; while :; do sleep 1000; done\" & wait", pid.display());
    let command = ["/bin/sh", "-c", &script].map(str::to_owned);
    let mut attempt = attempt(&command);
    let group = content(&pid).await;
    let leader = |stat: &String| stat.starts_with(&format!("{group} "));
    until("leader and descendant run", || members(&group).len() >= 2).await;
    let timed_out = ProgramOutcome::Failed(FailureKind::TimedOut(millis(1)).into());
    assert_eq!(attempt.outcome(millis(1)).await, timed_out);
    until("the leader obeys", || !members(&group).iter().any(leader)).await;
    assert!(!members(&group).is_empty(), "the descendant does not");
    assert_eq!(attempt.kill().await, Life::Over);
    until("the descendant is gone", || members(&group).is_empty()).await;
}

#[tokio::test]
async fn a_timeout_ends_stopped_processes() {
    times_out_and_leaves_nothing("sleep 1000 & kill -STOP $$", Duration::ZERO).await;
}

#[tokio::test]
async fn rise_and_fall_count_runs_in_a_row() {
    let room = TempDir::new().unwrap();
    let count = room.path().join("count");
    // Runs 1 to 11: pass, 2 fail, pass, 3 fail, pass, fail, 2 pass; then passes.
    let script = format!(
        "n=$(($(cat {0} 2>/dev/null || echo 0) + 1)); echo $n > {0}; case $n in 2|3|5|6|7|9) exit 1;; esac",
        count.display()
    );
    let spec = CheckSpec { rise: 2, fall: 3, interval: millis(20), ..shell(&script) };
    let (checks, mut reports) = start(&[spec]);
    let mut changes = Vec::new();
    for _ in 0..3 {
        changes.push(next(&mut reports).await.result);
        // The report is on the board before it is told, and later runs only add to the count.
        changes.push(status(&checks).result.unwrap());
    }
    assert_eq!(
        changes,
        [
            CheckResult::Passing,
            CheckResult::Passing,
            CheckResult::Failing,
            CheckResult::Failing,
            CheckResult::Passing,
            CheckResult::Passing
        ]
    );
    until("15 runs", || status(&checks).runs >= 15).await;
    assert!(reports.try_recv().is_err(), "what confirms a report is not told");
    let status = status(&checks);
    assert_eq!(status.streak.map(|(health, _)| health), Some(CheckResult::Passing));
    assert_eq!(u64::from(status.streak.unwrap().1), status.runs - 9);
    checks.shutdown().await;
}

#[tokio::test]
async fn runs_of_one_check_never_overlap() {
    let room = TempDir::new().unwrap();
    let lock = room.path().join("lock");
    let script = format!("mkdir {0} || exit 1; sleep 0.1; rmdir {0}", lock.display());
    let (checks, mut reports) = start(&[CheckSpec { interval: millis(10), ..shell(&script) }]);
    assert_eq!(next(&mut reports).await.result, CheckResult::Passing);
    until("5 runs", || status(&checks).runs >= 5).await;
    assert!(reports.try_recv().is_err(), "one of them met another");
    checks.shutdown().await;
}

#[tokio::test]
async fn missed_ticks_are_put_off_and_not_made_up_for() {
    let room = TempDir::new().unwrap();
    let slow = room.path().join("slow");
    let script = format!("test -e {0} && exit 0; touch {0}; sleep 0.9", slow.display());
    let (checks, _results) = start(&[CheckSpec { interval: millis(250), ..shell(&script) }]);
    let mut starts = Vec::new();
    until("three runs", || {
        if let Some(last) = status(&checks).last
            && starts.last() != Some(&last.time)
        {
            starts.push(last.time);
        }
        starts.len() == 3
    })
    .await;
    assert!(starts[2].duration_since(starts[1]).unsigned_abs() >= millis(200), "a burst: {starts:?}");
    checks.shutdown().await;
}

fn attempt(command: &[String]) -> Attempt {
    let variables = [("VRRPD_CHECK", "test")];
    let (confinement, output) = (Confinement::AnswerOnly, OutputMode::Read);
    let launch = Launch { command, account: None, confinement, variables: &variables, output };
    launch.prepare().and_then(|start| start()).unwrap()
}

/// A watcher that has not begun.
fn watcher(spec: CheckSpec) -> (Watcher, mpsc::Receiver<CheckReport>) {
    let (sender, reports) = mpsc::channel(8);
    let board = CheckBoard::default();
    board.lock().insert(spec.name.clone(), CheckStatus::default());
    let hysteresis = Hysteresis::new(1, 1);
    let watcher = Watcher {
        spec,
        reports: sender,
        board,
        hysteresis,
        account: None,
        asked: None,
        starter: Starter::default(),
        attempt: None,
    };
    (watcher, reports)
}

#[tokio::test]
async fn a_check_whose_watcher_died_counts_as_failing() {
    for (before, change) in [(None, ResultChange::First), (Some(CheckResult::Passing), ResultChange::Changed)]
    {
        let spec = CheckSpec { user: Some("nobody".to_owned()), ..shell("exit 0") };
        let (mut watcher, mut reports) = watcher(spec.clone());
        watcher.asked = Some(Box::pin(async { panic!("on purpose") }));
        let board = watcher.board.clone();
        board.lock().get_mut(&spec.name).unwrap().result = before;
        let (_stop, stopped) = watch::channel(());
        run_watcher(watcher, stopped).await;
        let report = next(&mut reports).await;
        assert_eq!((report.result, report.change), (CheckResult::Failing, change));
        assert_eq!(board.snapshot()[&spec.name].result, Some(CheckResult::Failing));
    }
}

#[tokio::test]
async fn a_run_that_cannot_be_killed_fails_every_interval_until_it_is_gone() {
    let hangs = ["/bin/sleep".to_owned(), "1000".to_owned()];
    let (mut watcher, _results) = watcher(shell("exit 0"));
    watcher.attempt = Some(attempt(&hangs));
    let unkillable = ProgramOutcome::Failed(FailureKind::Unkillable.into());
    assert_eq!(watcher.run_once().await, unkillable);
    assert_eq!(watcher.run_once().await, unkillable);
    clear(&mut watcher.attempt).await;
    assert_eq!(watcher.run_once().await, ProgramOutcome::Passed);
}

#[tokio::test]
async fn shutdown_ends_what_runs() {
    let room = TempDir::new().unwrap();
    let pid = room.path().join("pid");
    let script = format!("echo $$ > {}; trap '' TERM; sleep 1000 & sleep 1000", pid.display());
    let (checks, mut reports) = start(&[shell(&script)]);
    let group = content(&pid).await;
    until("the whole tree runs", || members(&group).len() >= 2).await;
    tokio::time::timeout(Duration::from_secs(5), checks.shutdown()).await.expect("it is bounded");
    // SIGKILL was sent to all; those that are not our children may take a moment to obey.
    until("the whole tree is gone", || members(&group).is_empty()).await;
    assert!(reports.recv().await.is_none(), "a check that was stopped has no report");
}

#[test]
fn a_runtime_that_ends_takes_the_processes_along() {
    let room = TempDir::new().unwrap();
    let pid = room.path().join("pid");
    // The output is more than a pipe holds, so the command ends only if it is read.
    let heard = "head -c 200000 /dev/zero >&2";
    let script = format!("{heard}; echo $$ > {}; trap '' TERM; sleep 1000 & sleep 1000", pid.display());
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let (checks, reports, group) = first.block_on(async {
        let (checks, reports) = start(&[shell(&script)]);
        let group = content(&pid).await;
        until("the whole tree runs", || members(&group).len() >= 2).await;
        (checks, reports, group)
    });
    drop(first);
    runtime().block_on(until("the tree is gone", || members(&group).is_empty()));
    drop((checks, reports));
}

#[tokio::test]
async fn a_new_list_leaves_unchanged_checks_alone() {
    let named = |name: &str, script: &str| CheckSpec { name: CheckName(name.into()), ..shell(script) };
    let (kept, changed, gone) =
        (named("kept", "exit 0"), named("changed", "exit 0"), named("gone", "exit 0"));
    let (mut checks, mut reports) = start(&[kept.clone(), changed, gone]);
    for _ in 0..3 {
        assert_eq!(next(&mut reports).await.result, CheckResult::Passing);
    }
    let board = checks.board();
    let runs = |name: &str| board.snapshot().get(&CheckName(name.into())).map(|status| status.runs);
    until("it has run twice", || runs("kept") >= Some(2)).await;
    let before = runs("kept");

    checks.apply(&[kept, named("changed", "exit 1"), named("new", "exit 0")]);
    assert!(runs("kept") >= before);
    assert_eq!((runs("changed"), runs("gone"), runs("new")), (Some(0), None, Some(0)));
    let mut news = [next(&mut reports).await, next(&mut reports).await].map(|v| (v.check, v.result));
    news.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [("changed", CheckResult::Failing), ("new", CheckResult::Passing)];
    assert_eq!(news, expected.map(|(name, health)| (CheckName(name.into()), health)));
    until("it still runs", || runs("kept") > before).await;
    assert_eq!(runs("gone"), None);
    checks.shutdown().await;
}

#[tokio::test]
async fn a_full_queue_makes_checks_wait_and_loses_no_result() {
    let (sender, mut reports) = mpsc::channel(1);
    let mut checks = Checks::new(sender);
    let room = TempDir::new().unwrap();
    let flag = room.path().join("flag");
    // Every run contradicts the one before.
    let script = format!("rm {0} 2>/dev/null || {{ touch {0}; exit 1; }}", flag.display());
    checks.apply(&[CheckSpec { interval: millis(10), ..shell(&script) }]);
    until("two runs: one report queued, one waiting", || status(&checks).runs == 2).await;
    let third = until("a third run", || status(&checks).runs > 2);
    assert!(tokio::time::timeout(millis(200), third).await.is_err(), "it did not wait");
    let mut results = Vec::new();
    for _ in 0..6 {
        results.push(next(&mut reports).await.result);
    }
    assert_eq!(results, [CheckResult::Failing, CheckResult::Passing].repeat(3));
    checks.shutdown().await;
}

#[tokio::test]
async fn the_board_tells_the_latest_run() {
    let (checks, mut reports) =
        start(&[CheckSpec { interval: DEADLINE, ..shell("sleep 0.2; echo no >&2; exit 7") }]);
    let rule = CheckRule { interval: DEADLINE, rise: 1, fall: 1 };
    assert_eq!(status(&checks), CheckStatus { rule, ..CheckStatus::default() });
    let report = next(&mut reports).await;
    let status = status(&checks);
    assert_eq!(
        (status.result, status.streak, status.runs),
        (Some(CheckResult::Failing), Some((CheckResult::Failing, 1)), 1)
    );
    assert!(status.since.is_some());
    assert_eq!((report.change, report.in_a_row), (ResultChange::First, 1));
    let last = status.last.unwrap();
    assert_eq!(last.outcome, report.outcome);
    assert!(last.took >= millis(200), "{:?}", last.took);
    checks.shutdown().await;
}
