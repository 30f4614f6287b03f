//! One machine: a container with systemd, its own copy of the file system, and one interface on the
//! LAN.

use crate::root;
use crate::support::process::{Process, finish};
use crate::support::{Lab, Ns, Responder, ms, wait_for, wait_some};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The longest time that a line may take: an upgrade is the slowest.
const LIMIT: Duration = Duration::from_secs(120);
/// The longest time that a boot may take.
const BOOT: Duration = Duration::from_secs(60);

/// A machine, which is switched off when this value is dropped.
pub(crate) struct Machine {
    name: String,
    switch: Ns,
    base: PathBuf,
    root: PathBuf,
    power: Option<Power>,
}

/// What exists while a machine is switched on.
struct Power {
    nspawn: Process,
    /// The process id of its init, outside of the container.
    leader: u32,
    responders: Vec<Responder>,
    cgroups: Vec<PathBuf>,
}

/// Moves the shell into each directory before `--`, and executes the rest.
const ENTER_CGROUPS: &str =
    r#"while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs" || exit; shift; done; shift; exec "$@""#;

/// Whether a machine has its interface when it boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cable {
    Plugged,
    Missing,
}

/// The result of a line.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Machine {
    /// A new Debian that is switched off: `192.0.2.NUMBER` and `2001:db8::NUMBER` on eth0.
    pub(crate) fn new(lab: &Lab, name: &str, number: u8) -> Self {
        let base = lab.dir().join(name);
        for directory in ["upper", "work", "root"] {
            fs::create_dir_all(base.join(directory)).expect("a directory of the machine");
        }
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            root::debian().display(),
            base.join("upper").display(),
            base.join("work").display()
        );
        let root = base.join("root");
        let mounted =
            Command::new("mount").args(["-t", "overlay", "none", "-o", &options]).arg(&root).status();
        assert!(mounted.expect("mount").success(), "mounting the file system of {name}");
        let (name, switch) = (name.to_owned(), lab.switch().clone());
        let machine = Self { name, switch, base, root, power: None };
        machine.write("/etc/hostname", &format!("{}\n", machine.name));
        // As an administrator would write it; networkd must not manage vrrpd's addresses.
        machine.write(
            "/etc/systemd/network/eth0.network",
            &format!(
                "[Match]\nName=eth0\n[Network]\nAddress=192.0.2.{number}/24\nAddress=2001:db8::{number}/64\n\
                 IPv6AcceptRA=no\nLLMNR=no\nKeepConfiguration=static\n[Link]\nRequiredForOnline=no\n"
            ),
        );
        fs::copy(root::package(), machine.place("/root").join(root::package().file_name().unwrap()))
            .expect("copying the package");
        machine
    }

    /// Switches the machine on, and waits until systemd has started everything.
    pub(crate) fn boot(&mut self, lab: &Lab, cable: Cable) {
        // Without a cgroup of its own each machine would have the same one for a unit of the same
        // name, and stopping the unit on one would affect the other.
        let cgroups = cgroups(&self.name);
        let mut command = Command::new("sh");
        command.args(["-c", ENTER_CGROUPS, "sh"]).args(&cgroups).args(["--", "systemd-nspawn"]);
        command.arg("-D").arg(&self.root).args([
            "--boot",
            "--private-network",
            "--register=no",
            "--keep-unit",
            // A real machine lets its services restrict themselves; a container of this systemd
            // does not do that yet.
            "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self",
        ]);
        command.args(["--console=pipe", "--machine", &self.name]);
        if cable == Cable::Plugged {
            command.arg(format!("--network-veth-extra={}:eth0", self.name));
        }
        let nspawn =
            Process::start(&self.switch, &self.base, &format!("{}-console", self.name), &mut command);
        let leader = wait_some(BOOT, format!("{} has an init", self.name), || init_of(nspawn.pid().as_raw()));
        self.power = Some(Power { nspawn, leader, responders: Vec::new(), cgroups });
        if cable == Cable::Plugged {
            self.plug_in(lab);
        }
        wait_for(BOOT, format!("{} is up", self.name), || {
            let state = self.run("systemctl is-system-running").stdout;
            ["running", "degraded"].contains(&state.trim())
        });
        // In a test, a hand-over follows the last one sooner than in operation.
        self.run("ip ntable change name arp_cache dev eth0 locktime 0");
    }

    /// Connects the machine to the switch.
    pub(crate) fn plug_in(&self, lab: &Lab) {
        self.switch.ip(&format!("link set {} addrgenmode none master br0 up", self.name));
        lab.capture().name_port(&self.switch, &self.name, &self.name);
    }

    /// Makes the interface appear now.
    pub(crate) fn add_interface(&self, lab: &Lab) {
        let inside = Ns::of_process(self.power().leader);
        self.switch.cable(&self.name, &inside, "eth0");
        self.plug_in(lab);
    }

    /// Answers the client on a virtual address with the name of the machine, as a service behind
    /// the address would.
    pub(crate) fn serve(&mut self, address: &str) {
        let inside = Ns::of_process(self.power().leader);
        let responder = Responder::start_in(&inside, &self.name, address);
        self.power.as_mut().expect("it is on").responders.push(responder);
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Writes a file of the machine.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let place = self.place(path);
        fs::create_dir_all(place.parent().expect("a file has a directory")).expect("its directory");
        fs::write(&place, text).unwrap_or_else(|e| panic!("{path} on {}: {e}", self.name));
    }

    pub(crate) fn has_file(&self, path: &str) -> bool {
        self.run(&format!("test -e {path}")).code == 0
    }

    /// Types a line as root, in /root, and waits for its end.
    pub(crate) fn run(&self, line: &str) -> Outcome {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.power().leader.to_string(), "-m", "-u", "-i", "-n", "-p", "-C", "--"]);
        command.args(["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
        command.args(["HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_PAGER="]);
        command.args(["sh", "-c", "cd /root && eval \"$0\"", line]);
        let (code, stdout, stderr) = finish(&self.switch, LIMIT, &mut command);
        Outcome { code, stdout, stderr }
    }

    /// Types a line that must succeed.
    #[track_caller]
    pub(crate) fn must(&self, line: &str) -> Outcome {
        let outcome = self.run(line);
        assert_eq!(outcome.code, 0, "{}# {line}\n{}{}", self.name, outcome.stdout, outcome.stderr);
        outcome
    }

    /// A property of the service, as systemd shows it.
    pub(crate) fn property(&self, name: &str) -> String {
        self.must(&format!("systemctl show --property={name} --value vrrpd")).stdout.trim().to_owned()
    }

    /// The service's main process, by its number on the machine.
    pub(crate) fn daemon(&self) -> String {
        self.property("MainPID")
    }

    pub(crate) fn holds(&self, address: &str) -> bool {
        self.run("ip -brief address show dev eth0").stdout.contains(&format!(" {address}/"))
    }

    /// The states of all families of a router.
    pub(crate) fn states(&self, router: &str) -> Vec<String> {
        let answer = self.run("vrrpctl --json status").stdout;
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
        let all = answer["virtual_routers"].as_array().cloned().unwrap_or_default();
        let ours = all.iter().filter(|one| one["name"] == router);
        ours.map(|one| one["state"].as_str().unwrap_or("?").to_owned()).collect()
    }

    #[track_caller]
    pub(crate) fn wait_state(&self, router: &str, state: &str) {
        wait_for(BOOT, format!("{router} is {state} on {}", self.name), || {
            let states = self.states(router);
            !states.is_empty() && states.iter().all(|one| one == state)
        });
    }

    /// Waits until the machine switches itself off, as `systemctl reboot` and `poweroff` make it
    /// do.
    pub(crate) fn wait_off(&mut self) {
        // The services of the machine answer until the end, because they stop after vrrpd.
        let mut power = self.power.take().expect("it is on");
        power.nspawn.wait(BOOT);
        power.cgroups.iter().for_each(|cgroup| remove_cgroup(cgroup));
    }

    fn power(&self) -> &Power {
        self.power.as_ref().unwrap_or_else(|| panic!("{} is switched off", self.name))
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() && self.power.is_some() {
            let journal = self.run("journalctl --no-pager --no-hostname --output=short-precise -n 150");
            eprintln!("---- journal of {} ----\n{}", self.name, journal.stdout);
        }
        if let Some(power) = self.power.take() {
            // Nothing in the container is needed any more: what runs in it is killed with its init.
            drop(power.responders);
            let _gone = Command::new("kill").args(["-KILL", &power.leader.to_string()]).status();
            let mut nspawn = power.nspawn;
            nspawn.wait(ms(20_000));
            power.cgroups.iter().for_each(|cgroup| remove_cgroup(cgroup));
        }
        let _lazily = Command::new("umount").arg("--lazy").arg(&self.root).status();
    }
}

/// A cgroup for a machine in each hierarchy that systemd uses, below our own.
fn cgroups(machine: &str) -> Vec<PathBuf> {
    let ours = fs::read_to_string("/proc/self/cgroup").expect("our cgroups");
    let name = format!("vrrpd-test-{}-{machine}", std::process::id());
    let directory = |line: &str| {
        let (hierarchy, path) = line.split_once(':')?.1.split_once(':')?;
        let unified = if Path::new("/sys/fs/cgroup/unified").exists() { "unified" } else { "" };
        let mount = match hierarchy {
            "" => unified,
            "name=systemd" => "systemd",
            _ => return None,
        };
        let base = Path::new("/sys/fs/cgroup").join(mount).join(path.trim_start_matches('/'));
        Some(base.join(&name))
    };
    let cgroups: Vec<PathBuf> = ours.lines().filter_map(directory).collect();
    assert!(!cgroups.is_empty(), "no cgroup for systemd in\n{ours}");
    for cgroup in &cgroups {
        fs::create_dir_all(cgroup).unwrap_or_else(|e| panic!("{}: {e}", cgroup.display()));
    }
    cgroups
}

/// A cgroup can be removed when everything in it is gone, the innermost first.
fn remove_cgroup(cgroup: &Path) {
    let inner = fs::read_dir(cgroup).into_iter().flatten().flatten();
    inner.filter(|entry| entry.path().is_dir()).for_each(|entry| remove_cgroup(&entry.path()));
    let _best_effort = fs::remove_dir(cgroup);
}

/// The child of nspawn that became init.
fn init_of(nspawn: i32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
    let child = children.split_whitespace().next()?.parse().ok()?;
    let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
    (name.trim() == "systemd").then_some(child)
}
