//! A configuration before it runs: it is read, resolved, and checked as the program that will run
//! it needs.
//!
//! Every user of a configuration gets it here: the daemon at its start and at a reload, `--check`,
//! `vrrpctl check`. Owns the question whether a user other than the one who runs a program can
//! change that program (docs/adr/0021). May block, as disks and name services do.

mod machine;

use super::account;
use crate::config::{ConfigError, ConfigWarning, Finding, Place, Program, Resolved, Task, decode, resolve};
use crate::kernel::blocking::run_within;
use crate::kernel::plain_file::{self, Accept, Links};
use crate::kernel::writers::{Trusted, WritableByOther, writable_by_other};
use nix::unistd::{User, geteuid};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The largest configuration in octets: that of some 60,000 virtual routers. A larger file is not a
/// configuration.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Programs that run the file that is their first argument.
const INTERPRETERS: [&str; 13] = [
    "sh", "bash", "dash", "ash", "zsh", "ksh", "busybox", "env", "python3", "python", "perl", "ruby", "node",
];

/// The purpose that a configuration is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadPurpose {
    /// The configuration is run, and read again at a reload: it must be a regular file.
    Run,
    /// The configuration is only checked: it may be a draft that comes from a pipe.
    Check,
    /// The routers of a dead daemon are handed over: no program in the configuration is run.
    CleanUp,
}

/// The text of a configuration and its meaning.
#[derive(Debug)]
pub struct Candidate {
    /// The text of the file.
    pub text: String,
    /// The configuration, or everything that is wrong with it.
    pub judged: Result<Resolved, Vec<ConfigError>>,
}

/// Reads and judges a file.
///
/// # Errors
/// If the file cannot be read, or is not a text of at most 16 MiB.
pub fn load(file: &Path, purpose: LoadPurpose) -> io::Result<Candidate> {
    let accept = match purpose {
        LoadPurpose::Run | LoadPurpose::CleanUp => Accept::Regular,
        LoadPurpose::Check => Accept::RegularOrPipe,
    };
    // The path may be a link, because the administrator chose it.
    let octets = plain_file::read_octets(file, Links::Follow, accept, LARGEST)?;
    let text = decode(octets).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let resolved = resolve(&text, &file.display().to_string());
    let mut looks = Looks::default();
    let judged = match (resolved, purpose) {
        (Ok(resolved), LoadPurpose::Run) => vet(file, purpose, resolved, &mut looks)?,
        (Ok(resolved), LoadPurpose::Check) => {
            vet(file, purpose, resolved, &mut looks)?.map(|mut resolved| {
                resolved.warnings.extend(machine::look(file, &resolved, &looks));
                resolved.warnings.sort_by(|a, b| a.0.place.cmp(&b.0.place));
                resolved
            })
        }
        (resolved, LoadPurpose::Run | LoadPurpose::Check | LoadPurpose::CleanUp) => resolved,
    };
    Ok(Candidate { text, judged })
}

/// Whether any of these programs would run as root, so that the daemon must keep root's privileges.
#[must_use]
pub fn needs_root(programs: &[Program]) -> bool {
    let mut identities = Identities { us: geteuid().as_raw(), known: BTreeMap::new() };
    programs.iter().any(|program| identities.of(program) == Runner::Root)
}

/// The results of the examination of programs' paths. A path on a disk that does not answer must
/// not delay the rest.
#[derive(Debug, Default)]
struct Looks {
    seen: BTreeMap<(PathBuf, Runner), Look>,
    /// The paths whose disk did not answer.
    silent: BTreeSet<PathBuf>,
}

/// The result of the examination of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Look {
    /// No other user can change where the path leads, or it leads nowhere.
    Closed,
    Open(WritableByOther),
    Silent,
}

/// The limit for one path; if it takes longer, the disk hangs.
const LOOK: Duration = Duration::from_secs(1);
/// How many paths may hang. After that, the paths that were not examined yet count as hanging.
const HANGING: usize = 3;

impl Looks {
    fn at(&mut self, path: &Path, runner: Runner, us: u32) -> Look {
        self.at_by(path, runner, move |path| writable_by_other(path, &runner.trusts(us)), LOOK)
    }

    fn at_by(
        &mut self,
        path: &Path,
        runner: Runner,
        look: impl FnOnce(&Path) -> io::Result<Option<WritableByOther>> + Send + 'static,
        limit: Duration,
    ) -> Look {
        let key = (path.to_owned(), runner);
        if let Some(seen) = self.seen.get(&key) {
            return seen.clone();
        }
        let to = key.0.clone();
        let found = if self.silent.contains(path) || self.silent.len() >= HANGING {
            Look::Silent
        } else {
            match run_within(limit, move || look(&to)) {
                Ok(Ok(Some(found))) => Look::Open(found),
                // A program that does not exist, and cannot be made by others: its runs will fail
                // and report it.
                Ok(Ok(None) | Err(_)) => Look::Closed,
                Err(_) => Look::Silent,
            }
        };
        if found == Look::Silent {
            self.silent.insert(path.to_owned());
        }
        self.seen.insert(key, found.clone());
        found
    }

    fn is_silent(&self, path: &str) -> bool {
        self.silent.contains(Path::new(path))
    }
}

/// A program that other users can change is refused if root would run it, and causes a warning
/// otherwise.
///
/// # Errors
/// It is not known what root would run: the disk may answer another time.
fn vet(
    file: &Path,
    purpose: LoadPurpose,
    mut resolved: Resolved,
    looks: &mut Looks,
) -> io::Result<Result<Resolved, Vec<ConfigError>>> {
    let us = geteuid().as_raw();
    let mut errors = Vec::new();
    let mut identities = Identities { us, known: BTreeMap::new() };
    for program in &resolved.programs {
        let runner = identities.of(program);
        for path in programs_of(&program.command) {
            match (looks.at(&path, runner, us), runner) {
                (Look::Closed, _) => {}
                (Look::Open(found), Runner::Root) => {
                    errors.push(ConfigError(of_program(program, &path, runner, &found)));
                }
                (Look::Open(found), Runner::User(_) | Runner::Unknown) => {
                    resolved.warnings.push(ConfigWarning(of_program(program, &path, runner, &found)));
                }
                (Look::Silent, Runner::Root) => {
                    let path = path.display();
                    let why = format!(
                        "root would run {path}, whose disk does not answer: nobody can tell who can change it"
                    );
                    return Err(io::Error::new(io::ErrorKind::TimedOut, why));
                }
                (Look::Silent, Runner::User(_) | Runner::Unknown) => {
                    resolved.warnings.push(ConfigWarning(of_silence(program, &path)));
                }
            }
        }
    }
    if let Ok(absolute) = std::path::absolute(file)
        && let Ok(Some(found)) = writable_by_other(&absolute, &Trusted::with([us]))
    {
        let finding = of_the_file(file, &found);
        match (us, purpose) {
            // A configuration that passes a check must also start: an upgrade relies on it.
            (0, LoadPurpose::Run | LoadPurpose::Check) => errors.push(ConfigError(finding)),
            (_, LoadPurpose::Run | LoadPurpose::Check | LoadPurpose::CleanUp) => {
                resolved.warnings.push(ConfigWarning(finding))
            }
        }
    }
    errors.sort_by(|a, b| a.0.place.cmp(&b.0.place));
    resolved.warnings.sort_by(|a, b| a.0.place.cmp(&b.0.place));
    Ok(if errors.is_empty() { Ok(resolved) } else { Err(errors) })
}

/// The user that a program runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Runner {
    Root,
    User(u32),
    /// The user does not exist: the runs of the program will fail and report it.
    Unknown,
}

impl Runner {
    /// Returns the users who may write the program: a user who can change the daemon need not
    /// change its programs.
    fn trusts(self, us: u32) -> Trusted {
        match self {
            Self::Root => Trusted::with([]),
            Self::User(user) => Trusted::with([us, user]),
            Self::Unknown => Trusted::with([us]),
        }
    }
}

/// The identities of the users that the file names.
struct Identities {
    us: u32,
    known: BTreeMap<String, Runner>,
}

impl Identities {
    fn of(&mut self, program: &Program) -> Runner {
        let default = match program.task {
            Task::Check => account::for_checks(),
            Task::Hook => None,
        };
        match program.user.as_deref().or(default) {
            None => runner(self.us),
            Some(name) => *self.known.entry(name.to_owned()).or_insert_with(|| {
                let user = User::from_name(name).ok().flatten();
                user.map_or(Runner::Unknown, |user| runner(user.uid.as_raw()))
            }),
        }
    }
}

fn runner(uid: u32) -> Runner {
    if uid == 0 { Runner::Root } else { Runner::User(uid) }
}

/// Returns the program, and the script that a shell or another interpreter must run.
fn programs_of(command: &[String]) -> impl Iterator<Item = PathBuf> {
    let program = command.first().map(PathBuf::from);
    let name = program.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    let interprets = name.is_some_and(|name| INTERPRETERS.contains(&name));
    let script = command.iter().skip(1).find(|argument| !argument.starts_with('-'));
    let script = script.filter(|script| interprets && script.starts_with('/')).map(PathBuf::from);
    program.into_iter().chain(script)
}

fn of_program(program: &Program, path: &Path, runner: Runner, found: &WritableByOther) -> Finding {
    let (path, place) = (path.display(), found.path.display());
    let runs = match runner {
        Runner::Root => "root would run".to_owned(),
        Runner::User(uid) => format!("user id {uid} runs"),
        Runner::Unknown => "this runs".to_owned(),
    };
    let user = match program.task {
        Task::Check => "user",
        Task::Hook => "hook_user",
    };
    let or = match runner {
        Runner::Root => format!(", or have it run with less: {user} = \"vrrpd-check\""),
        Runner::User(_) | Runner::Unknown => String::new(),
    };
    Finding {
        place: program.place.clone(),
        span: program.span.clone(),
        message: format!("{runs} {path}, which others can change: {place} {}", found.writer),
        help: format!("give it to root: chown root:root {place}; chmod go-w {place}{or}"),
        related: None,
    }
}

fn of_silence(program: &Program, path: &Path) -> Finding {
    let path = path.display();
    Finding {
        place: program.place.clone(),
        span: program.span.clone(),
        message: format!("the disk of {path} does not answer, so that its runs will hang"),
        help: "put it on a disk of this machine: what a dead server keeps cannot say how a service is"
            .to_owned(),
        related: None,
    }
}

fn of_the_file(file: &Path, found: &WritableByOther) -> Finding {
    let place = found.path.display();
    Finding {
        place: Place { file: file.display().to_string().into(), line: 1, column: 1 },
        span: 0..0,
        message: format!(
            "others can change this file, and with it what vrrpd runs: {place} {}",
            found.writer
        ),
        help: format!(
            "give it to root: chown root:root {place}; chmod go-w {place} (vrrpd refuses to run as root otherwise)"
        ),
        related: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    const ROUTER: &str = "\n[[virtual_router]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\naddresses = [\"192.0.2.50/24\"]\n";

    /// A directory with a program and a configuration, which belongs to the test alone.
    struct TestDirectory {
        directory: tempfile::TempDir,
    }

    impl TestDirectory {
        fn new() -> Self {
            let place = Self { directory: tempfile::tempdir().unwrap() };
            place.write("check", "#!/bin/sh\n", 0o755);
            place
        }

        fn path(&self, name: &str) -> String {
            self.directory.path().join(name).display().to_string()
        }

        fn write(&self, name: &str, text: &str, mode: u32) {
            fs::write(self.path(name), text).unwrap();
            fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
        }

        /// Returns the findings about a configuration with these commands of a check and a hook.
        fn findings(&self, check: &str, hook: &str, purpose: LoadPurpose) -> Vec<String> {
            let text = format!(
                "[[check]]\nname = \"a\"\nuser = \"root\"\ncommand = {check}\n{ROUTER}track = [{{ check = \"a\" }}]\nhook_user = \"nobody\"\non_transition = {hook}\n"
            );
            self.write("vrrpd.toml", &text, 0o644);
            self.judged(purpose)
        }

        fn judged(&self, purpose: LoadPurpose) -> Vec<String> {
            let candidate = load(Path::new(&self.path("vrrpd.toml")), purpose).unwrap();
            let line =
                |kind: &str, finding: &Finding| format!("{kind} {}: {}", finding.place.line, finding.message);
            match candidate.judged {
                Ok(resolved) => {
                    // The warnings about the machine are tested in `machine`, so `machine`'s
                    // warnings are left out.
                    let of_files =
                        resolved.warnings.iter().filter(|w| !w.0.message.starts_with("on this machine"));
                    of_files.map(|warning| line("warning", &warning.0)).collect()
                }
                Err(errors) => errors.iter().map(|error| line("error", &error.0)).collect(),
            }
        }
    }

    #[test]
    fn a_text_in_another_encoding_is_refused_with_its_place_and_the_way_out() {
        let place = TestDirectory::new();
        fs::write(place.path("vrrpd.toml"), b"a = 1\n# M\xfcller\n").unwrap();
        let error = load(Path::new(&place.path("vrrpd.toml")), LoadPurpose::Check).unwrap_err().to_string();
        assert!(error.starts_with("line 2, column 4: the octet 0xFC is not UTF-8."), "{error}");
        assert!(error.contains("iconv -f latin1 -t utf-8"), "{error}");
    }

    #[test]
    fn what_only_we_can_change_is_no_finding() {
        let place = TestDirectory::new();
        let found =
            place.findings("[\"/bin/true\"]", &format!("[{:?}]", place.path("check")), LoadPurpose::Run);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn what_others_can_change_is_refused_for_root_and_a_warning_for_others() {
        let place = TestDirectory::new();
        place.write("check", "#!/bin/sh\n", 0o777);
        let program = format!("[{:?}]", place.path("check"));
        let found = place.findings(&program, "[]", LoadPurpose::Run);
        let open = place.path("check");
        assert_eq!(
            found,
            [format!(
                "error 4: root would run {open}, which others can change: {open} can be written by everybody"
            )]
        );
        let found = place.findings("[\"/bin/true\"]", &program, LoadPurpose::Run);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("warning 13: user id "), "{found:?}");
    }

    #[test]
    fn a_path_that_does_not_answer_is_told_once_and_soon_nobody_waits_any_more() {
        let (mut looks, us) = (Looks::default(), Runner::User(1));
        let (held, hangs) = std::sync::mpsc::channel::<()>();
        let hangs = std::sync::Arc::new(std::sync::Mutex::new(hangs));
        for path in ["/mnt/a", "/mnt/b", "/mnt/c"] {
            let hangs = std::sync::Arc::clone(&hangs);
            let look = move |_: &Path| {
                let _ = hangs.lock().unwrap().recv();
                Ok(None)
            };
            assert_eq!(looks.at_by(Path::new(path), us, look, Duration::from_millis(10)), Look::Silent);
        }
        let never = |_: &Path| panic!("nobody looks again");
        assert_eq!(looks.at_by(Path::new("/mnt/a"), Runner::Root, never, LOOK), Look::Silent);
        assert_eq!(looks.at_by(Path::new("/mnt/d"), us, never, LOOK), Look::Silent);
        assert!(looks.is_silent("/mnt/a"));
        drop(held);
        assert_eq!(Looks::default().at(Path::new("/bin/true"), Runner::Root, 0), Look::Closed);
    }

    #[test]
    fn what_anybody_could_put_there_is_refused_for_root() {
        let place = TestDirectory::new();
        place.write("vrrpd.toml", "", 0o644);
        let shared = place.directory.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, Permissions::from_mode(0o1777)).unwrap();
        let missing = shared.join("check.sh").display().to_string();
        let found = place.findings(&format!("[{missing:?}]"), "[]", LoadPurpose::Run);
        let shared = shared.display();
        assert_eq!(
            found,
            [format!(
                "error 4: root would run {missing}, which others can change: {shared} can be written by everybody"
            )]
        );
    }

    #[test]
    fn the_script_of_a_shell_counts_and_other_arguments_do_not() {
        let place = TestDirectory::new();
        place.write("check", "", 0o777);
        let open = place.path("check");
        for (command, findings) in [
            (format!("[\"/bin/sh\", {open:?}]"), 1),
            (format!("[\"/bin/sh\", \"-e\", {open:?}, \"x\"]"), 1),
            (format!("[\"/bin/sh\", \"-c\", \"true {open}\"]"), 0),
            (format!("[\"/bin/cat\", {open:?}]"), 0),
        ] {
            assert_eq!(place.findings(&command, "[]", LoadPurpose::Run).len(), findings, "{command}");
        }
    }

    #[test]
    fn a_configuration_that_others_can_change_is_not_run_by_root() {
        let place = TestDirectory::new();
        place.write("vrrpd.toml", ROUTER, 0o666);
        let kind = if geteuid().is_root() { "error 1: " } else { "warning 1: " };
        for purpose in [LoadPurpose::Run, LoadPurpose::Check] {
            let found = place.judged(purpose);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(&format!("{kind}others can change this file")), "{found:?}");
        }
    }
}
