//! Types on machines with systemd what the documents have a reader type there.

use crate::machine::{Cable, Machine};
use crate::pair::{ADDRESSES, Pair};
use crate::runner::{Runner, runner};
use crate::shown::{self, Command, Lasting, Step};
use crate::source_tree::SourceFile;
use crate::support::guide_client::{Outcome, count};
use crate::support::process::Process;
use crate::support::{ms, wait_for};
use std::path::Path;

/// A reboot and an upgrade move an address away and back. One request may be under way each time.
const MOVES: usize = 2;

#[test]
fn getting_started_on_two_fresh_machines() {
    let mut pair = Pair::bare();
    type_all(&mut pair, &shown::document("docs/getting-started.md"), Vec::new());
}

#[test]
fn operations_on_a_pair_that_serves() {
    let mut pair = Pair::serving();
    // The client of the guide, as its reader has it.
    let guide = shown::document("docs/getting-started.md");
    let client = shown::steps(&guide).into_iter().find_map(|step| match step {
        Step::Type(command) if command.lasting == Lasting::UntilInterrupted => Some(command),
        Step::Type(_) | Step::Write { .. } => None,
    });
    let mut watching = Vec::new();
    type_on_client(&pair, &client.expect("the guide watches with a client"), &mut watching);
    type_all(&mut pair, &shown::document("docs/operations.md"), watching);
}

fn type_all(pair: &mut Pair, document: &SourceFile, mut watching: Vec<Process>) {
    for step in shown::steps(document) {
        match step {
            Step::Write { machines, path, text, .. } => {
                for machine in machines {
                    on(pair, machine).write(&path, &text);
                }
            }
            Step::Type(command) => type_one(pair, &command, &mut watching),
        }
    }
}

fn type_one(pair: &mut Pair, command: &Command, watching: &mut Vec<Process>) {
    let runs = runner(command);
    if !matches!(runs, Some(Runner::Lab | Runner::Package)) {
        return;
    }
    println!("{}: {}# {}", command.place, command.machine.name(), command.line);
    if command.machine == shown::Machine::Client {
        return type_on_client(pair, command, watching);
    }
    settle(pair);
    catch_up(watching);
    let (lost, cut) = (ended(watching, Outcome::Lost), ended(watching, Outcome::Cut));
    if command.line == "systemctl reboot" {
        let lab = &pair.lab;
        let machine = &mut pair.fe0;
        machine.run(&command.line);
        machine.wait_off();
        machine.boot(lab, Cable::Plugged);
    } else {
        let machine = on(pair, command.machine);
        let outcome = machine.run(&apt_answers(&command.line));
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(outcome.code, command.exit_code, "{}: {}\n{said}", command.place, command.line);
    }
    let planned = ["vrrpctl demote", "vrrpctl promote", "systemctl reboot", "apt install"];
    if planned.iter().any(|planned| command.line.starts_with(planned)) {
        settle(pair);
        catch_up(watching);
        assert_eq!(ended(watching, Outcome::Lost), lost, "{}: {} lost requests", command.place, command.line);
        let cut = ended(watching, Outcome::Cut) - cut;
        assert!(cut <= MOVES, "{}: {} cut {cut} connections", command.place, command.line);
    }
}

fn type_on_client(pair: &Pair, command: &Command, watching: &mut Vec<Process>) {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &command.line]);
    match command.lasting {
        Lasting::UntilInterrupted => {
            settle(pair);
            let process =
                Process::start(&pair.lab.node("client").ns, Path::new("/run"), "client", &mut shell);
            wait_for(ms(20_000), "the client is answered", || {
                count(&process.log(), |outcome| matches!(outcome, Outcome::ServedBy(_))) > 0
            });
            watching.push(process);
        }
        Lasting::ToItsEnd => {
            let (code, out, err) =
                crate::support::process::finish(&pair.lab.node("client").ns, ms(30_000), &mut shell);
            assert_eq!(code, command.exit_code, "{}: {}\n{out}{err}", command.place, command.line);
        }
    }
}

/// Nobody is there to answer questions with yes.
fn apt_answers(line: &str) -> String {
    line.replace("apt install", "apt-get install -y")
}

/// A lost request is reported a second later.
fn catch_up(watching: &[Process]) {
    for process in watching {
        let lines = || process.log().lines().count();
        let before = lines();
        wait_for(ms(20_000), "the client has told of what it asked until now", || lines() >= before + 2);
    }
}

/// How many requests ended in this way.
fn ended(watching: &[Process], how: Outcome<'_>) -> usize {
    watching.iter().map(|process| count(&process.log(), |outcome| outcome == how)).sum()
}

fn on(pair: &mut Pair, machine: shown::Machine) -> &mut Machine {
    match machine {
        shown::Machine::Fe1 => &mut pair.fe1,
        shown::Machine::Fe0 | shown::Machine::Frontend => &mut pair.fe0,
        shown::Machine::Client | shown::Machine::Checkout => panic!("{machine:?} is no frontend"),
    }
}

/// A reader takes a while to read on. Waits until each address is held, and each router is where it
/// will stay.
fn settle(pair: &Pair) {
    let running = |machine: &Machine| machine.run("systemctl is-active vrrpd").stdout.trim() == "active";
    if !(running(&pair.fe0) && running(&pair.fe1)) {
        return;
    }
    for (router, address, home, away) in
        [("web-a", ADDRESSES[0], &pair.fe0, &pair.fe1), ("web-b", ADDRESSES[1], &pair.fe1, &pair.fe0)]
    {
        wait_for(ms(60_000), format!("{router} has settled"), || {
            let (here, there) = (home.states(router), away.states(router));
            let is = |states: &[String], state: &str| states.iter().all(|one| one == state);
            let at_home = is(&here, "active") && is(&there, "backup") && home.holds(address);
            let away_from_home = is(&here, "initialize") && is(&there, "active") && away.holds(address);
            let nowhere_else = is(&here, "active") && is(&there, "initialize") && home.holds(address);
            !here.is_empty() && !there.is_empty() && (at_home || away_from_home || nowhere_else)
        });
    }
}
