//! Two frontends, a client and an application server, and the reader who types on each of them.

use crate::machine::Machine;
use crate::runner::{Runner, runner};
use crate::shown::{self, Command, Lasting, Step};
use crate::source_tree::{SourceFile, root};
use crate::support::guide_client::{Outcome, count};
use crate::support::process::Process;
use crate::support::{Lab, SOON, wait_for};
use serde_json::Value;

/// Each frontend, and the router that is normally Active there (config/pair-*.toml).
const HOMES: [(&str, &str); 2] = [("fe0", "web-a"), ("fe1", "web-b")];

pub(crate) struct Lan {
    pub(crate) fe0: Machine,
    pub(crate) fe1: Machine,
    pub(crate) client: Machine,
    _app: Machine,
    // The LAN comes last: the machines must end before their network does.
    pub(crate) lab: Lab,
}

/// A command that goes on, and its process.
pub(crate) type Watching = (Command, Process);

impl Lan {
    /// Machines as an installer leaves them. Only the application servers of
    /// config/haproxy-frontend.cfg serve.
    pub(crate) fn new() -> Self {
        let lab = Lab::new(&["fe0", "fe1", "client", "app"]);
        let machine = |name| Machine::new(lab.node(name));
        let (fe0, fe1, client, mut app) = (machine("fe0"), machine("fe1"), machine("client"), machine("app"));
        lab.node("app").ns.ip("address add 192.0.2.30/24 dev eth0\naddress add 192.0.2.31/24 dev eth0");
        app.write(
            "/etc/nginx/conf.d/application.conf",
            "server { listen 80; listen 8081; location / { return 200 \"the application\\n\"; } }\n",
        );
        app.run("rm /etc/nginx/sites-enabled/default");
        app.systemctl("start", "nginx");
        Self { fe0, fe1, client, _app: app, lab }
    }

    /// The frontends with the pair of config/ running, every file in its place.
    pub(crate) fn with_the_pair() -> Self {
        let mut lan = Self::new();
        for frontend in [&mut lan.fe0, &mut lan.fe1] {
            let config = format!("pair-{}.toml", frontend.name());
            for (file, path) in [
                (config.as_str(), "/etc/vrrpd/vrrpd.toml"),
                ("nginx-frontend.conf", "/etc/nginx/conf.d/frontend.conf"),
                ("haproxy-frontend.cfg", "/etc/haproxy/haproxy.cfg"),
            ] {
                let text = std::fs::read_to_string(root().join("config").join(file)).expect(file);
                frontend.write(path, &text);
            }
            frontend.run("rm /etc/nginx/sites-enabled/default");
            for service in ["haproxy", "nginx", "vrrpd"] {
                frontend.systemctl("start", service);
            }
        }
        lan.wait_settled();
        lan
    }

    /// Types what a document shows, from top to bottom. Returns the commands that still run.
    pub(crate) fn follow(&mut self, document: &SourceFile) -> Vec<Watching> {
        let mut watching = Vec::new();
        for step in shown::steps(document) {
            match step {
                Step::Write { machines, path, text, .. } => {
                    for machine in machines {
                        self.machine(machine).write(&path, &text);
                    }
                }
                Step::Type(command) => self.act(&command, &mut watching),
            }
        }
        watching
    }

    fn act(&mut self, command: &Command, watching: &mut Vec<Watching>) {
        eprintln!("{}: {}# {}", command.place, command.machine.name(), command.line);
        self.read_on(watching);
        if let Some((verb, services)) = lab_services(&command.line) {
            for service in services {
                let machine = self.machine(command.machine);
                machine.systemctl(verb, service);
                wait_judged(machine, service);
            }
            return;
        }
        if runner(command) != Some(Runner::Lab) {
            return;
        }
        if command.lasting == Lasting::UntilInterrupted {
            let process = self.machine(command.machine).start("lasting", &command.line);
            wait_for(SOON, format!("{} says something", command.line), || !process.log().is_empty());
            watching.push((command.clone(), process));
            return;
        }
        let lost = lost(watching);
        let outcome = self.machine(command.machine).run(&command.line);
        eprint!("{}", outcome.stdout);
        assert_eq!(outcome.code, command.exit_code, "{}: {}\n{outcome:#?}", command.place, command.line);
        assert_shown(command, &outcome.stdout);
        if ["vrrpctl demote", "vrrpctl promote"].iter().any(|planned| command.line.starts_with(planned)) {
            self.read_on(watching);
            assert_eq!(self::lost(watching), lost, "{}: {} lost requests", command.place, command.line);
        }
    }

    /// What a reader does between two lines: waits until everything is where it belongs, and until
    /// a running client has seen it.
    fn read_on(&self, watching: &[Watching]) {
        self.wait_settled();
        let said = said(watching);
        let nobody = !watching.iter().any(|(command, _)| command.machine == shown::Machine::Client);
        wait_for(SOON, "the client goes on", || nobody || self::said(watching) > said + 3);
    }

    /// The machine that a command is typed on.
    pub(crate) fn machine(&mut self, machine: shown::Machine) -> &mut Machine {
        match machine {
            shown::Machine::Fe0 | shown::Machine::Frontend => &mut self.fe0,
            shown::Machine::Fe1 => &mut self.fe1,
            shown::Machine::Client => &mut self.client,
            shown::Machine::Checkout => panic!("a checkout is no machine of the lab"),
        }
    }

    /// A reader takes a while to read on. Waits until each router is Active where it belongs, in
    /// all families.
    pub(crate) fn wait_settled(&self) {
        if !(self.fe0.runs("vrrpd") && self.fe1.runs("vrrpd")) {
            return;
        }
        wait_for(3 * SOON, "the pair has settled", || {
            let all = [status(&self.fe0), status(&self.fe1)];
            HOMES.iter().enumerate().all(|(home, (_, router))| is_settled(&all, home, router))
        });
    }
}

/// Checks that a command prints what the document shows below it: every shown line must be there,
/// whatever the numbers in it, and of a table, its first columns up to the state.
fn assert_shown(command: &Command, stdout: &str) {
    let columns = if command.line.starts_with("vrrpctl status") { 5 } else { usize::MAX };
    let pattern = |line: &str| {
        let words: Vec<_> = line.split_whitespace().take(columns).map(without_numbers).collect();
        words.join(" ")
    };
    let printed: Vec<_> = stdout.lines().map(pattern).collect();
    for line in command.output.iter().filter(|line| line.trim() != "...") {
        assert!(
            printed.contains(&pattern(line)),
            "{}: it does not print\n{line}\nbut\n{stdout}",
            command.place
        );
    }
}

fn without_numbers(word: &str) -> String {
    let mut pattern = word.replace(|c: char| c.is_ascii_digit(), "0");
    while pattern.contains("00") {
        pattern = pattern.replace("00", "0");
    }
    pattern
}

/// A reader looks when the client has changed to the other frontend, or back. Waits until the
/// checks of the machine have a result about a service.
fn wait_judged(machine: &Machine, service: &str) {
    let config = machine.run("cat /etc/vrrpd/vrrpd.toml").stdout;
    if !machine.runs("vrrpd") || !config.contains(&format!("name = \"{service}\"")) {
        return;
    }
    let fault = format!("check {service}");
    wait_for(2 * SOON, format!("{} knows about {service}", machine.name()), || {
        let faulty = status(machine).iter().any(|one| one["faults"].to_string().contains(&fault));
        faulty != machine.runs(service)
    });
}

/// The routers that `vrrpctl --json status` lists.
pub(crate) fn status(machine: &Machine) -> Vec<Value> {
    let answer: Value =
        serde_json::from_str(&machine.run("vrrpctl --json status").stdout).unwrap_or_default();
    answer["virtual_routers"].as_array().cloned().unwrap_or_default()
}

fn is_settled(all: &[Vec<Value>; 2], home: usize, router: &str) -> bool {
    let of = |at: usize| all[at].iter().filter(move |one| one["name"] == router);
    let every = |at: usize, state: &str| of(at).count() == 2 && of(at).all(|one| one["state"] == state);
    let out =
        |at: usize| of(at).any(|one| !one["demoted"].is_null() || one["faults"] != Value::Array(vec![]));
    let undecided = |at: usize| of(at).any(|one| one["faults"].to_string().contains("pending"));
    if undecided(0) || undecided(1) {
        return false;
    }
    let away = 1 - home;
    let (here, there) = if out(home) { (away, home) } else { (home, away) };
    match (out(here), out(there)) {
        // A demoted router may hold the addresses, if the other cannot.
        (true, _) => true,
        (false, true) => every(here, "active") && !of(there).any(|one| one["state"] == "active"),
        (false, false) => every(here, "active") && every(there, "backup"),
    }
}

/// The verb and the services of a `systemctl` line that the lab can carry out itself.
fn lab_services(line: &str) -> Option<(&str, Vec<&str>)> {
    let mut words = line.strip_prefix("systemctl ")?.split(' ').filter(|word| !word.starts_with('-'));
    let verb = words.next().filter(|verb| ["start", "stop", "restart", "enable"].contains(verb))?;
    let services: Vec<_> = words.collect();
    services.iter().all(|service| ["vrrpd", "nginx", "haproxy"].contains(service)).then_some((verb, services))
}

fn lost(watching: &[Watching]) -> usize {
    let clients = watching.iter().filter(|(command, _)| command.machine == shown::Machine::Client);
    clients.map(|(_, process)| count(&process.log(), |outcome| outcome == Outcome::Lost)).sum()
}

fn said(watching: &[Watching]) -> usize {
    watching.iter().map(|(_, process)| process.log().lines().count()).sum()
}

#[test]
fn what_is_shown_is_compared_without_numbers_and_a_table_up_to_the_state() {
    let shows = |line: &str, output: &str, stdout: &str| {
        let command = Command {
            place: "x.md:1".to_owned(),
            machine: shown::Machine::Fe0,
            line: line.to_owned(),
            exit_code: 0,
            lasting: Lasting::ToItsEnd,
            output: vec![output.to_owned()],
        };
        std::panic::catch_unwind(|| assert_shown(&command, stdout)).is_ok()
    };
    assert!(shows("vrrpctl demote a", "a: taken after 13 ms", "x\na: taken after 7 ms\n"));
    assert!(!shows("vrrpctl demote a", "a: taken after 13 ms", "a: refused\n"));
    let table = "web eth0 51 ipv4 backup 100 192.0.2.11 3s recovered\n";
    assert!(shows("vrrpctl status", "web  eth0  51  ipv4  backup  150  -  9m  outranked", table));
    assert!(!shows("vrrpctl status", "web  eth0  51  ipv4  active  150  -  9m  outranked", table));
}
