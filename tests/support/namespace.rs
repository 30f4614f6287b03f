//! A network namespace, held by a file descriptor: it has neither a name nor a mount, and ends with
//! its last user.

use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

/// A network namespace.
#[derive(Clone)]
pub(crate) struct Ns(Arc<File>);

impl Ns {
    /// A new namespace with loopback up.
    pub(crate) fn new() -> Self {
        assert!(
            std::env::var_os("VRRPD_TEST_WORLD").is_some(),
            "run this through cargo test or netns-scripts/in-userns: it needs namespaces of its own"
        );
        // A thread that ends afterwards, because a thread that has changed its namespace does not
        // change back.
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a new network namespace");
            File::open("/proc/thread-self/ns/net").expect("its handle")
        });
        let ns = Self(Arc::new(made.join().expect("the thread that makes a namespace")));
        ns.ip("link set lo up");
        ns
    }

    /// The namespace of a process.
    pub(crate) fn of_process(pid: u32) -> Self {
        Self(Arc::new(File::open(format!("/proc/{pid}/ns/net")).expect("a running process")))
    }

    /// Runs `work` inside: sockets that it opens and processes that it starts belong to this
    /// namespace.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&*self.0, CloneFlags::CLONE_NEWNET).expect("entering a network namespace");
                work()
            });
            match inside.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Runs a command to its end and returns what it printed; panics with its errors if it fails.
    #[track_caller]
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        let output = self.enter(|| command.output().unwrap_or_else(|e| panic!("{program}: {e}")));
        assert!(
            output.status.success(),
            "{program} {}: {}\n{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs `ip ARGUMENTS`, one command for each line.
    #[track_caller]
    pub(crate) fn ip(&self, lines: &str) {
        self.feed("ip", &["-batch", "-"], lines);
    }

    /// Loads nftables rules.
    #[track_caller]
    pub(crate) fn nft(&self, rules: &str) {
        self.feed("nft", &["-f", "-"], rules);
    }

    /// Sets a kernel parameter under `/proc/sys/net`.
    pub(crate) fn sysctl(&self, name: &str, value: &str) {
        let path = format!("/proc/sys/net/{name}");
        self.enter(|| std::fs::write(&path, value).unwrap_or_else(|e| panic!("{path}: {e}")));
    }

    /// Makes an interface `name` here, with a cable to `peer` in the namespace `there`.
    pub(crate) fn cable(&self, name: &str, there: &Self, peer: &str) {
        // `ip` receives the other namespace as its standard input.
        let handle = there.0.try_clone().expect("a second handle of a namespace");
        let mut command = Command::new("ip");
        command.args(["link", "add", name, "type", "veth", "peer", "name", peer]);
        command.args(["netns", "/proc/self/fd/0"]).stdin(Stdio::from(handle));
        let output = self.enter(|| command.output().expect("ip link add"));
        assert!(output.status.success(), "cable {name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    #[track_caller]
    fn feed(&self, program: &str, arguments: &[&str], input: &str) {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let output = self.enter(|| {
            let mut child = command.spawn().unwrap_or_else(|e| panic!("{program}: {e}"));
            child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("feeding a command");
            child.wait_with_output().expect("waiting for a command")
        });
        assert!(
            output.status.success(),
            "{program}: {}\n{}\non: {input}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
