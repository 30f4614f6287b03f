//! `vrrpd` on a node, and `vrrpctl` calls to it.

use super::config::Config;
use super::lab::Node;
use super::manager::ServiceManager;
use super::process::{Process, Unread, finish};
use super::wait::{now, stays, wait_for, wait_some};
use super::{SOON, ms};
use nix::unistd::Pid;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

/// A running daemon, which is killed when this value is dropped.
pub(crate) struct Daemon {
    node: Node,
    process: Process,
    place: Place,
}

/// The result of a `vrrpctl` call.
#[derive(Debug, Clone)]
pub(crate) struct Ctl {
    pub(crate) code: i32,
    /// Standard output as JSON; null if it is not JSON.
    pub(crate) json: Value,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Where the files of one daemon are.
#[derive(Debug, Clone)]
struct Place {
    config: PathBuf,
    socket: PathBuf,
    state: PathBuf,
    /// Environment variables in addition to the test's own.
    environment: Vec<(String, String)>,
    /// Where the daemon prints, if not to a file.
    unread: Option<Arc<Unread>>,
}

impl Daemon {
    /// Starts a daemon, and waits until it answers.
    pub(crate) fn start(node: &Node, config: &Config) -> Self {
        Self::start_in(node, "vrrpd", config)
    }

    /// As [`Daemon::start`], with a name of its own, for tests that run several daemons on one
    /// node.
    pub(crate) fn start_in(node: &Node, name: &str, config: &Config) -> Self {
        Self::launch(node, name, config, Vec::new()).answering()
    }

    /// As [`Daemon::start`], under a service manager.
    pub(crate) fn start_under(manager: &ServiceManager, node: &Node, config: &Config) -> Self {
        Self::launch_under(manager, node, config).answering()
    }

    /// As [`Daemon::start_under`], but does not wait until the daemon answers.
    pub(crate) fn launch_under(manager: &ServiceManager, node: &Node, config: &Config) -> Self {
        Self::launch(node, "vrrpd", config, manager.environment())
    }

    /// As [`Daemon::start_under`], with outputs that nobody reads.
    pub(crate) fn start_unread(
        manager: &ServiceManager,
        node: &Node,
        config: &Config,
        unread: Arc<Unread>,
    ) -> Self {
        Self::launch_on(node, "vrrpd", config, manager.environment(), Some(unread)).answering()
    }

    fn launch(node: &Node, name: &str, config: &Config, environment: Vec<(String, String)>) -> Self {
        Self::launch_on(node, name, config, environment, None)
    }

    fn launch_on(
        node: &Node,
        name: &str,
        config: &Config,
        environment: Vec<(String, String)>,
        unread: Option<Arc<Unread>>,
    ) -> Self {
        let dir = node.dir();
        let place = Place {
            config: dir.join(format!("{name}.toml")),
            socket: dir.join(format!("{name}.sock")),
            state: dir.join(format!("{name}.state")),
            environment,
            unread,
        };
        std::fs::write(&place.config, config.text()).expect("writing a configuration");
        let process = launch(node, name, &place);
        Self { node: node.clone(), process, place }
    }

    fn answering(mut self) -> Self {
        wait_for(SOON, format!("vrrpd on {} answers", self.node.name), || {
            assert!(self.process.is_running(), "vrrpd on {} ended at its start", self.node.name);
            self.ctl(&["status"]).code == 0
        });
        self
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// Runs `vrrpctl --json ARGUMENTS`.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Ctl {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vrrpctl"));
        command.arg("--socket").arg(&self.place.socket).arg("--json").args(arguments);
        let (code, stdout, stderr) = finish(&self.node.ns, ms(60_000), &mut command);
        Ctl { code, json: serde_json::from_str(&stdout).unwrap_or(Value::Null), stdout, stderr }
    }

    /// The text that `vrrpctl ARGUMENTS` prints for people.
    pub(crate) fn ctl_text(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vrrpctl"));
        command.arg("--socket").arg(&self.place.socket).args(arguments);
        finish(&self.node.ns, ms(60_000), &mut command).1
    }

    /// One instance as `status --json` shows it; null if it is not shown.
    pub(crate) fn instance(&self, router: &str, family: &str) -> Value {
        let status = self.ctl(&["status"]).json;
        let wanted = |one: &&Value| one["name"] == router && one["family"] == family;
        status["virtual_routers"]
            .as_array()
            .and_then(|all| all.iter().find(wanted))
            .cloned()
            .unwrap_or(Value::Null)
    }

    /// The states of all instances of a router.
    pub(crate) fn states(&self, router: &str) -> Vec<String> {
        let status = self.ctl(&["status"]).json;
        let all = status["virtual_routers"].as_array().cloned().unwrap_or_default();
        let ours = all.iter().filter(|one| one["name"] == router);
        ours.map(|one| one["state"].as_str().unwrap_or("?").to_owned()).collect()
    }

    /// Whether every instance of the router is in this state.
    pub(crate) fn is(&self, router: &str, state: &str) -> bool {
        let states = self.states(router);
        !states.is_empty() && states.iter().all(|one| one == state)
    }

    /// Waits until every instance of the router is in this state.
    #[track_caller]
    pub(crate) fn wait_state(&self, router: &str, state: &str) {
        wait_for(SOON, format!("{router} is {state} on {}", self.node.name), || self.is(router, state));
    }

    /// Checks for `time` that no instance of the router leaves this state.
    #[track_caller]
    pub(crate) fn stays(&self, time: Duration, router: &str, state: &str) {
        stays(time, format!("{router} is {state} on {}", self.node.name), || self.is(router, state));
    }

    /// Waits until exactly these faults are shown.
    #[track_caller]
    pub(crate) fn wait_faults(&self, router: &str, family: &str, faults: &[&str]) {
        wait_for(SOON, format!("{router} on {} has the faults {faults:?}", self.node.name), || {
            self.instance(router, family)["faults"] == Value::from(faults)
        });
    }

    /// A counter of an instance.
    pub(crate) fn counter(&self, router: &str, family: &str, counter: &str) -> u64 {
        let instance = self.instance(router, family);
        let value = instance["counters"][counter].as_u64();
        value.unwrap_or_else(|| panic!("no counter {counter} in {instance}"))
    }

    /// Waits for an event since the start of the daemon whose JSON `matches`.
    #[track_caller]
    pub(crate) fn wait_event(&self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        wait_some(SOON, format!("the event {what} on {}", self.node.name), || {
            let events = self.ctl(&["events", "-n", "1000"]).json;
            events["events"].as_array()?.iter().find(|event| matches(event)).cloned()
        })
    }

    /// Writes the configuration that the next reload reads.
    pub(crate) fn write_config(&self, text: &str) {
        std::fs::write(&self.place.config, text).expect("writing a configuration");
    }

    pub(crate) fn remove_config(&self) {
        std::fs::remove_file(&self.place.config).expect("removing the configuration");
    }

    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Sends SIGTERM, and waits for the orderly end.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.process.terminate()
    }

    /// Sends SIGKILL, after which the addresses stay on the interface.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Runs `vrrpd --clean-up` with the daemon's files: exit code, both outputs, and how long it
    /// ran.
    pub(crate) fn clean_up(&self) -> (i32, String, String, Duration) {
        let start = now();
        let (code, out, err) = finish(&self.node.ns, SOON, &mut self.clean_up_command());
        (code, out, err, start.elapsed())
    }

    /// As [`Daemon::clean_up`], with outputs that nobody reads.
    pub(crate) fn clean_up_unread(&self, unread: &Unread) -> (ExitStatus, Duration) {
        let (start, log) = (now(), self.node.dir().join("clean-up.log"));
        let mut command = self.clean_up_command();
        let mut process = Process::start_on(&self.node.ns, log, "clean-up", &mut command, unread.outputs());
        (process.wait(SOON), start.elapsed())
    }

    fn clean_up_command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vrrpd"));
        command.arg("--clean-up").arg("--config").arg(&self.place.config);
        command.arg("--socket").arg(&self.place.socket).arg("--state-dir").arg(&self.place.state);
        command
    }

    /// Starts another daemon with the same files while this one runs: exit code and log of the
    /// other.
    pub(crate) fn start_beside(&self) -> (i32, String) {
        let (code, _, log) = finish(&self.node.ns, SOON, &mut command(&self.place));
        (code, log)
    }

    /// The path of its configuration.
    pub(crate) fn config(&self) -> &std::path::Path {
        &self.place.config
    }

    /// The directory of its state.
    pub(crate) fn state_dir(&self) -> &std::path::Path {
        &self.place.state
    }

    /// The path of its control socket.
    pub(crate) fn socket(&self) -> &std::path::Path {
        &self.place.socket
    }

    /// Starts the daemon again after its end, with the same files.
    pub(crate) fn start_again(&mut self) {
        let name = self.place.config.file_stem().and_then(|stem| stem.to_str()).unwrap_or("vrrpd").to_owned();
        self.process = launch(&self.node, &name, &self.place);
        wait_for(SOON, format!("vrrpd on {} answers again", self.node.name), || {
            self.ctl(&["status"]).code == 0
        });
    }
}

fn launch(node: &Node, name: &str, place: &Place) -> Process {
    let mut command = command(place);
    match &place.unread {
        None => node.spawn(name, &mut command),
        Some(unread) => {
            let log = node.dir().join(format!("{name}.log"));
            Process::start_on(&node.ns, log, name, &mut command, unread.outputs())
        }
    }
}

fn command(place: &Place) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vrrpd"));
    command.arg("--config").arg(&place.config).arg("--socket").arg(&place.socket);
    command.arg("--state-dir").arg(&place.state).args(["--log-format", "text"]);
    command.envs(place.environment.iter().cloned());
    command
}
