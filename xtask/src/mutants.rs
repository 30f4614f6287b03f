//! Mutation tests of the core: cargo-mutants changes one expression after the other. A change that
//! no test notices either changes a value that no test states, or makes no difference
//! (docs/mutation-testing.md).
//!
//! Only tests that take seconds are run. The exhaustive model and the long simulation would take
//! days for a thousand mutants, and they are good at finding wrong orders of events, not wrong
//! values.

use crate::docs::source_tree::root;
use anyhow::{Context, bail};
use clap::ValueEnum;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The version of cargo-mutants whose mutants docs/mutation-testing.md counts.
const VERSION: &str = "27.1.0";
/// Seconds after which tests that take one or two do not end any more.
const TEST_TIMEOUT: &str = "10";
/// The directory of the results, relative to the checkout.
const OUTPUT: &str = "target/mutants";
/// The lists of mutants that cargo-mutants writes, one mutant a line.
const CAUGHT: &str = "caught.txt";
const TIMED_OUT: &str = "timeout.txt";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The floor to change; all of them if it is not given
    #[arg(long = "in", value_name = "FLOOR")]
    floor: Option<Floor>,
    /// The part of the mutants to try, such as 0/4
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
    /// How many mutants to try at the same time
    #[arg(long, default_value_t = 2)]
    jobs: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Floor {
    Types,
    Wire,
    Protocol,
}

impl Floor {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Types => "types",
            Self::Wire => "wire",
            Self::Protocol => "protocol",
        }
    }

    /// The tests of this floor that take seconds, in passes: a mutant that one pass catches is not tried in
    /// the next. The simulation takes longer to build than all unit tests, and these catch most.
    const fn passes(self) -> &'static [Tests] {
        match self {
            Self::Types | Self::Wire => &[Tests {
                programs: &["--lib", "--test=conformance_vectors", "--test=vocabulary"],
                filter: &[],
            }],
            Self::Protocol => &[
                Tests { programs: &["--lib"], filter: &["protocol::"] },
                Tests { programs: &["--test=sim"], filter: &[] },
            ],
        }
    }

    /// The same tests in one pass. A filter would choose tests in every program.
    fn in_one_pass(self) -> Vec<&'static str> {
        self.passes().iter().flat_map(|tests| tests.programs).copied().collect()
    }
}

/// Tests of the core.
#[derive(Debug, Clone, Copy)]
struct Tests {
    /// The programs of tests, as options of `cargo test`. No other is built, which is most of the time
    /// that a mutant takes.
    programs: &'static [&'static str],
    /// The tests of these programs whose names begin so; all of them if it is empty.
    filter: &'static [&'static str],
}

/// The mutants of one floor, by result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tally {
    caught: BTreeSet<String>,
    /// Mutants with which the tests did not end. They count as noticed.
    timed_out: BTreeSet<String>,
    /// Mutants that the compiler refuses.
    unviable: BTreeSet<String>,
    survivors: BTreeSet<String>,
}

impl Tally {
    /// The result of this pass and the next, which tried the survivors of this one only.
    fn and_then(self, next: Self) -> Self {
        Self {
            caught: &self.caught | &next.caught,
            timed_out: &self.timed_out | &next.timed_out,
            unviable: &self.unviable | &next.unviable,
            survivors: next.survivors,
        }
    }

    /// Of those that could be tested, the share that no test noticed, in percent.
    fn surviving(&self) -> f64 {
        let survivors = self.survivors.len();
        let tested = self.caught.len() + self.timed_out.len() + survivors;
        let of = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        if tested == 0 { 0.0 } else { 100.0 * of(survivors) / of(tested) }
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    require_cargo_mutants()?;
    let floors = match options.floor {
        Some(floor) => vec![floor],
        None => vec![Floor::Types, Floor::Wire, Floor::Protocol],
    };
    let mut tallies = BTreeMap::new();
    for floor in floors {
        tallies.insert(floor, try_mutants(floor, options)?);
    }
    print!("{}", report(&tallies));
    let all_caught = tallies.values().all(|tally| tally.survivors.is_empty());
    Ok(if all_caught { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn require_cargo_mutants() -> anyhow::Result<()> {
    let found = Command::new("cargo").args(["mutants", "--version"]).output().context("cannot run cargo")?;
    let found = String::from_utf8_lossy(&found.stdout);
    if found.trim() != format!("cargo-mutants {VERSION}") {
        bail!(
            "cargo-mutants {VERSION} is needed, and there is {}. Run: cargo install --locked --version {VERSION} cargo-mutants",
            if found.trim().is_empty() { "none" } else { found.trim() }
        );
    }
    Ok(())
}

fn try_mutants(floor: Floor, options: &Options) -> anyhow::Result<Tally> {
    let name = options.shard.as_ref().map(|shard| format!("-{}", shard.replace('/', "-of-")));
    let name = format!("{}{}", floor.as_str(), name.unwrap_or_default());
    let output = root().join(OUTPUT).join(name);
    // What an earlier run caught would not be tried again.
    if output.exists() {
        fs::remove_dir_all(&output).with_context(|| format!("cannot remove {}", output.display()))?;
    }
    fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;
    if options.shard.is_some() {
        // A shard of what an earlier pass left would be another shard.
        return try_pass(floor, options, &output, Pass::First, &floor.in_one_pass(), &[]);
    }
    let mut tally: Option<Tally> = None;
    for tests in floor.passes() {
        let pass = if tally.is_none() { Pass::First } else { Pass::Further };
        let next = try_pass(floor, options, &output, pass, tests.programs, tests.filter)?;
        let whole = tally.map_or(next.clone(), |before| before.and_then(next));
        if whole.survivors.is_empty() {
            return Ok(whole);
        }
        tally = Some(whole);
    }
    Ok(tally.unwrap_or_default())
}

/// Which mutants are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// All.
    First,
    /// Those that survived the passes before.
    Further,
}

fn try_pass(
    floor: Floor,
    options: &Options,
    output: &Path,
    pass: Pass,
    programs: &[&str],
    filter: &[&str],
) -> anyhow::Result<Tally> {
    let mut command = Command::new("cargo");
    command.current_dir(root());
    command.args(["mutants", "--package", "vrrpd-core", "--no-shuffle", "--colors", "never"]);
    command.args(["--file", &format!("core/src/{}/**", floor.as_str())]).arg("--output").arg(output);
    command.args(["--jobs", &options.jobs.to_string()]);
    command.args(["--minimum-test-timeout", TEST_TIMEOUT]);
    if let Some(shard) = &options.shard {
        command.args(["--shard", shard]);
    }
    match pass {
        Pass::First => {}
        Pass::Further => {
            skip_timed_out(&output.join("mutants.out"))?;
            command.arg("--iterate");
        }
    }
    command.args(programs.iter().map(|program| format!("--cargo-arg={program}")));
    command.arg("--").args(filter);
    // The number of seeds makes the simulation short.
    command.env("SIM_SEEDS", "40");
    // What nobody debugs is built faster without.
    command.env("CARGO_PROFILE_DEV_DEBUG", "none");
    let status = command.status().context("cannot run cargo mutants")?;
    // The exit code is 0 if all mutants were caught, 2 if some were missed, and 3 if the tests of
    // some did not end. With any other code there is no result.
    match status.code() {
        Some(0 | 2 | 3) => read_tally(&output.join("mutants.out")),
        Some(_) | None => bail!("cargo mutants failed in {}: {status}", floor.as_str()),
    }
}

/// `--iterate` tries again whatever is not listed as caught. A mutant whose tests did not end has been
/// noticed, and would cost another timeout.
fn skip_timed_out(directory: &Path) -> anyhow::Result<()> {
    let noticed: String = [TIMED_OUT, CAUGHT]
        .into_iter()
        .map(|name| read_list(directory, name))
        .collect::<anyhow::Result<_>>()?;
    let path = directory.join(CAUGHT);
    fs::write(&path, noticed).with_context(|| format!("cannot write {}", path.display()))
}

fn read_tally(directory: &Path) -> anyhow::Result<Tally> {
    let lines = |name: &str| {
        let text = read_list(directory, name)?;
        anyhow::Ok(text.lines().map(str::to_owned).collect::<BTreeSet<_>>())
    };
    Ok(Tally {
        caught: lines(CAUGHT)?,
        timed_out: lines(TIMED_OUT)?,
        unviable: lines("unviable.txt")?,
        survivors: lines("missed.txt")?,
    })
}

fn read_list(directory: &Path, name: &str) -> anyhow::Result<String> {
    let path = directory.join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn report(tallies: &BTreeMap<Floor, Tally>) -> String {
    let mut text = String::from("\nfloor     caught  timed out  unviable  survived\n");
    for (floor, tally) in tallies {
        text.push_str(&format!(
            "{:9} {:6} {:10} {:9} {:9}  ({:.1} %)\n",
            floor.as_str(),
            tally.caught.len(),
            tally.timed_out.len(),
            tally.unviable.len(),
            tally.survivors.len(),
            tally.surviving()
        ));
    }
    for survivor in tallies.values().flat_map(|tally| &tally.survivors) {
        text.push_str(&format!("survived: {survivor}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_mutant_that_one_pass_notices_has_not_survived() {
        let first = Tally {
            caught: names(&["a"]),
            timed_out: names(&["endless"]),
            unviable: names(&["x"]),
            survivors: names(&["b", "c", "slow"]),
        };
        let next = Tally {
            caught: names(&["b"]),
            timed_out: names(&["slow"]),
            survivors: names(&["c"]),
            ..Tally::default()
        };
        let whole = first.and_then(next);
        assert_eq!(whole.caught, names(&["a", "b"]));
        assert_eq!((whole.timed_out, whole.unviable), (names(&["endless", "slow"]), names(&["x"])));
        assert_eq!(whole.survivors, names(&["c"]));
    }

    #[test]
    fn the_share_is_that_of_the_mutants_that_could_be_tested() {
        let caught = (0..18).map(|number| number.to_string()).collect();
        let unviable = (0..100).map(|number| number.to_string()).collect();
        let survivors = names(&["core/src/wire/v3.rs:9:1: replace + with -"]);
        let tally = Tally { caught, timed_out: names(&["endless"]), unviable, survivors };
        assert!((tally.surviving() - 5.0).abs() < 1e-9);
        assert!(Tally::default().surviving().abs() < 1e-9);
        let text = report(&BTreeMap::from([(Floor::Wire, tally)]));
        assert!(text.contains("(5.0 %)"), "{text}");
        assert!(text.ends_with("survived: core/src/wire/v3.rs:9:1: replace + with -\n"), "{text}");
    }
}
