//! A node of the lab as a reader of the documents finds it: a machine whose `/etc`, `/run`,
//! `/var/lib` and `/var/log` are its own, with the package's users, and a host name. A shell on it
//! runs what is typed, so that every path in a document means what it says.
//!
//! There is no systemd in a namespace. What the documents tell `systemctl` about their three
//! services is done here; the rest is left to the test with the installed package.

use crate::support::process::{Process, finish};
use crate::support::{Node, SOON, ms, wait_for};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The longest time that a line may take. `demote` is the slowest.
const LIMIT: Duration = Duration::from_secs(60);

/// The directories that are private to a machine, and what they contain at the start.
const PRIVATE: [(&str, &str); 4] =
    [("etc", "/etc"), ("lib", "/var/lib"), ("log", "/var/log"), ("run", "/run")];

/// One machine.
pub(crate) struct Machine {
    node: Node,
    root: PathBuf,
    services: BTreeMap<&'static str, Process>,
}

/// The result of a line.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Machine {
    pub(crate) fn new(node: &Node) -> Self {
        let root = node.dir().join("root");
        for (directory, _) in PRIVATE {
            fs::create_dir_all(root.join(directory)).expect("a directory of the machine");
        }
        let machine = Self { node: node.clone(), root, services: BTreeMap::new() };
        let copied = Command::new("cp").args(["-a", "/etc/."]).arg(machine.root.join("etc")).status();
        assert!(copied.expect("cp").success(), "copying /etc");
        // The directories that the packages vrrpd, nginx and haproxy make.
        for directory in ["lib/vrrpd", "lib/nginx", "lib/haproxy", "log/nginx", "run/vrrpd", "run/haproxy"] {
            fs::create_dir(machine.root.join(directory)).expect("a directory of a package");
        }
        for directory in ["etc/vrrpd", "etc/nginx/conf.d"] {
            fs::create_dir_all(machine.root.join(directory)).expect("a directory of a package");
        }
        machine.append("/etc/passwd", "vrrpd:x:64124:64124::/nonexistent:/usr/sbin/nologin\n");
        machine.append("/etc/group", "vrrpd:x:64124:\n");
        machine
    }

    pub(crate) fn name(&self) -> &str {
        &self.node.name
    }

    /// Writes a file of the machine.
    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.place(path), text).unwrap_or_else(|e| panic!("{path} on {}: {e}", self.name()));
    }

    /// Types a line, and waits for its end.
    pub(crate) fn run(&self, line: &str) -> Outcome {
        let (code, stdout, stderr) = finish(&self.node.ns, LIMIT, &mut self.shell(line));
        Outcome { code, stdout, stderr }
    }

    /// Types a line that goes on until its handle is dropped.
    pub(crate) fn start(&self, name: &str, line: &str) -> Process {
        self.node.spawn(name, &mut self.shell(line))
    }

    /// Does what `systemctl VERB SERVICE` would do.
    pub(crate) fn systemctl(&mut self, verb: &str, service: &str) {
        let (service, line) = match service {
            "vrrpd" => ("vrrpd", "exec vrrpd"),
            "nginx" => ("nginx", "exec nginx -g 'daemon off;'"),
            "haproxy" => ("haproxy", "exec haproxy -db -f /etc/haproxy/haproxy.cfg"),
            _ => panic!("no service {service} in the lab"),
        };
        match verb {
            "start" | "restart" | "reload" | "enable" => {
                self.stop(service);
                let process = self.node.spawn(service, &mut self.shell(line));
                self.services.insert(service, process);
                self.wait_up(service);
            }
            "stop" => self.stop(service),
            _ => panic!("systemctl {verb} is not for the lab"),
        }
    }

    pub(crate) fn runs(&self, service: &str) -> bool {
        self.services.contains_key(service)
    }

    fn stop(&mut self, service: &str) {
        if let Some(mut process) = self.services.remove(service) {
            process.terminate();
        }
    }

    fn wait_up(&mut self, service: &'static str) {
        let line = match service {
            "vrrpd" => "vrrpctl status",
            "nginx" => "curl --silent --output /dev/null http://127.0.0.1/",
            _ => "curl --silent --output /dev/null http://127.0.0.1:8080/",
        };
        let mut process = self.services.remove(service).expect("just started");
        wait_for(SOON, format!("{service} on {} answers", self.name()), || {
            assert!(
                process.is_running(),
                "{service} on {} ended at its start:\n{}",
                self.name(),
                process.log()
            );
            let (code, ..) = finish(&self.node.ns, ms(10_000), &mut self.shell(line));
            code == 0
        });
        self.services.insert(service, process);
    }

    fn append(&self, path: &str, text: &str) {
        let place = self.place(path);
        let before = fs::read_to_string(&place).unwrap_or_default();
        fs::write(&place, before + text).expect("a file of the machine");
    }

    /// Where a path of the machine is outside of it.
    fn place(&self, path: &str) -> PathBuf {
        let inside = |&(directory, mount): &(&str, &str)| {
            let rest = path.strip_prefix(mount)?.strip_prefix('/')?;
            Some(self.root.join(directory).join(rest))
        };
        PRIVATE.iter().find_map(inside).unwrap_or_else(|| panic!("{path} is shared by all machines"))
    }

    /// A shell on the machine. Its mounts disappear with it, but the files stay.
    fn shell(&self, line: &str) -> Command {
        // /run is mounted last, because the directories that are mounted are below it.
        const ENTER: &str = "root=$1 name=$2 programs=$3 line=$4
            for pair in etc:/etc lib:/var/lib log:/var/log run:/run; do
                mount --bind \"$root/${pair%%:*}\" \"${pair#*:}\" || exit 127
            done
            hostname \"$name\"
            export PATH=\"$programs:$PATH\"
            unset VRRPD_SOCKET
            eval \"$line\"";
        let programs = Path::new(env!("CARGO_BIN_EXE_vrrpctl")).parent().expect("a directory");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--uts", "--propagation", "private", "sh", "-c", ENTER, "sh"]);
        command.arg(&self.root).arg(self.name()).arg(programs).arg(line).current_dir("/");
        command
    }
}
