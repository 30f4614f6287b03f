use super::*;
use crate::protocol::{Demotion, LastResort};
use crate::types::MonoTime;
use std::os::unix::fs::PermissionsExt;

fn now() -> Moment {
    Moment { mono: MonoTime::ZERO, wall: "2026-11-23T12:00:00Z".parse().unwrap() }
}

fn demotions(reason: &str) -> Demotions {
    let demotion = Demotion {
        since: "2026-11-23T11:00:00.000Z".into(),
        until: None,
        last_resort: LastResort::No,
        reason: reason.into(),
        by: "alice".into(),
    };
    [("web".parse().unwrap(), demotion)].into()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Opens the directory as a daemon that starts at this moment does.
fn open(dir: &Path, now: Moment) -> (Store, Recalled) {
    Store::open(dir, now, Duration::from_secs(10)).unwrap()
}

/// Returns what a daemon that starts now reads.
fn recalled(dir: &Path) -> Recalled {
    open(dir, now()).1
}

fn said(recalled: &Recalled) -> String {
    recalled.problems.iter().map(|trouble| format!("{}: {trouble}\n", trouble.consequence())).collect()
}

#[test]
fn what_is_saved_is_recalled_by_the_next_run() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("lib/vrrpd");
    let (mut store, found) = open(&dir, now());
    assert!(found.demotions.is_empty() && found.problems.is_empty(), "{}", said(&found));
    for reason in ["a", "b"] {
        store.save(&demotions(reason), now().wall).unwrap();
    }
    assert_eq!((mode(&dir), mode(&dir.join(FILE)), names(&dir)), (0o750, 0o600, vec![FILE.to_owned()]));
    drop(store);
    let found = recalled(&dir);
    assert_eq!((found.demotions, found.problems.len()), (demotions("b"), 0));
}

#[test]
fn a_draft_that_a_crash_left_behind_is_no_state() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), now()).0.save(&demotions("a"), now().wall).unwrap();
    fs::write(dir.path().join(DRAFT), "{\"versi").unwrap();
    let (mut store, found) = open(dir.path(), now());
    assert_eq!((found.demotions, found.problems.len()), (demotions("a"), 0));
    store.save(&demotions("b"), now().wall).unwrap();
    assert_eq!(names(dir.path()), [FILE]);
}

#[test]
fn a_damaged_file_is_told_and_set_aside_and_three_of_them_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let text = format!("{{ torn {round}");
        fs::write(dir.path().join(FILE), &text).unwrap();
        let wall = now().wall + jiff::SignedDuration::from_secs(round / 2);
        let (mut store, found) = open(dir.path(), Moment { wall, ..now() });
        assert!(found.demotions.is_empty());
        assert!(
            said(&found).starts_with("saved demotions could not be understood: every router takes part")
                && said(&found).contains("is damaged")
                && said(&found).contains("it is kept as"),
            "{}",
            said(&found)
        );
        assert!(!dir.path().join(FILE).exists());
        let newest = names(dir.path()).pop().unwrap();
        assert_eq!(fs::read_to_string(dir.path().join(newest)).unwrap(), text, "as it was");
        store.save(&demotions("a"), wall).unwrap();
    }
    assert_eq!(
        names(dir.path()),
        [
            FILE,
            "demotions.json.corrupt-20261123T120001Z-1",
            "demotions.json.corrupt-20261123T120002Z",
            "demotions.json.corrupt-20261123T120002Z-1"
        ]
    );
}

#[test]
fn a_file_of_another_version_is_kept_too() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), "{\"version\": 2, \"demotions\": {}}").unwrap();
    assert!(said(&recalled(dir.path())).contains("has version 2"));
    assert_eq!(names(dir.path()), ["demotions.json.corrupt-20261123T120000Z"]);
}

#[test]
fn what_cannot_be_read_is_told_and_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    // Root can read every file, so a directory is in the place of the file.
    fs::create_dir(dir.path().join(FILE)).unwrap();
    fs::write(dir.path().join(FILE).join("precious"), "").unwrap();
    let (mut store, found) = open(dir.path(), now());
    let text = said(&found);
    assert!(text.starts_with("saved demotions could not be read: every router takes part"), "{text}");
    assert!(text.contains("it is a directory"), "{text}");
    store.save(&demotions("a"), now().wall).unwrap();
    let aside = "demotions.json.corrupt-20261123T120000Z";
    assert_eq!(names(dir.path()), [FILE, aside]);
    assert_eq!(names(&dir.path().join(aside)), ["precious"]);
}

#[test]
fn a_directory_that_cannot_be_is_told_at_start_and_at_each_save() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let (mut store, found) = open(&file.join("state"), now());
    assert!(found.demotions.is_empty());
    assert!(
        said(&found).contains(&format!("cannot create the directory {}", file.display())),
        "{}",
        said(&found)
    );
    let error = store.save(&demotions("a"), now().wall).unwrap_err();
    assert!(error.to_string().contains("cannot create the directory"), "{error}");
    // The file is written as soon as that is possible.
    fs::remove_file(&file).unwrap();
    store.save(&demotions("a"), now().wall).unwrap();
    drop(store);
    assert_eq!(recalled(&file.join("state")).demotions, demotions("a"));
}

/// As on a read-only file system: the demotions are read and hold, and new ones are lost. The answer of
/// the kernel is given by hand, because root may write into every directory.
#[test]
fn a_directory_that_can_only_be_read_is_told_without_a_word_about_the_demotions_that_were_read() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path(), now());
    assert!(store.unwritable(Ok(())).is_none());
    let problem = store.unwritable(Err(Errno::EROFS)).unwrap();
    assert_eq!(problem.consequence(), "demotions cannot be saved: they will not survive a restart");
    let text = problem.to_string();
    assert!(text.starts_with(&format!("cannot write to {}: Read-only", dir.path().display())), "{text}");
}

#[test]
fn a_directory_that_vanished_is_made_anew() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("state");
    let (mut store, _) = open(&dir, now());
    fs::remove_dir(&dir).unwrap();
    store.save(&demotions("a"), now().wall).unwrap();
    assert_eq!(recalled(&dir).demotions, demotions("a"));
}

#[test]
fn two_daemons_do_not_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, _) = open(dir.path(), now());
    first.save(&demotions("of the first"), now().wall).unwrap();
    let refused = Store::open(dir.path(), now(), Duration::from_secs(10)).unwrap_err();
    assert!(matches!(refused, StateError::InUse(_)), "{refused}");
    drop(first);
    assert_eq!(
        (recalled(dir.path()).demotions, names(dir.path())),
        (demotions("of the first"), vec![FILE.into()])
    );
}

#[test]
fn who_could_not_read_the_directory_does_not_write_while_another_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, _) = open(dir.path(), now());
    first.save(&demotions("of the first"), now().wall).unwrap();
    let mut second = Store::unread(dir.path());
    assert!(matches!(second.save(&demotions("of the second"), now().wall), Err(StateError::InUse(_))));
    drop(first);
    // A store that has not read the file does not overwrite it.
    second.save(&demotions("of the second"), now().wall).unwrap();
    assert_eq!(names(dir.path()), [FILE, "demotions.json.corrupt-20261123T120000Z"]);
}

#[test]
fn a_pipe_or_a_link_in_the_place_of_the_file_is_told_and_never_waited_for() {
    type Make = fn(&Path);
    let table: [(Make, &str); 2] = [
        (|path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(), "it is a pipe"),
        (|path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap(), "it is a symbolic link"),
    ];
    for (make, why) in table {
        let dir = tempfile::tempdir().unwrap();
        make(&dir.path().join(FILE));
        let error = Store::visit(dir.path(), now()).err().map(|error| error.to_string()).unwrap();
        assert!(error.contains(why), "{error}");
        let (mut store, found) = open(dir.path(), now());
        assert!(said(&found).contains(why), "{}", said(&found));
        // The new demotions are written; the old content of the file is kept for the administrator.
        store.save(&demotions("a"), now().wall).unwrap();
        drop(store);
        assert_eq!(recalled(dir.path()).demotions, demotions("a"));
        assert!(names(dir.path()).iter().any(|name| name.starts_with(ASIDE)), "{:?}", names(dir.path()));
    }
}

#[test]
fn a_draft_that_is_a_link_is_not_written_through() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, dir.path().join(DRAFT)).unwrap();
    open(dir.path(), now()).0.save(&demotions("a"), now().wall).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    assert!(dir.path().join(FILE).symlink_metadata().unwrap().is_file());
    assert_eq!(recalled(dir.path()).demotions, demotions("a"));
}

#[test]
fn a_disk_that_hangs_is_told_and_its_file_is_set_aside_when_it_answers() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), now()).0.save(&demotions("of an earlier run"), now().wall).unwrap();
    let hangs = io::Error::new(ErrorKind::TimedOut, "no answer within 2s");
    let (mut store, found) = Store::without(dir.path(), hangs);
    assert!(found.demotions.is_empty());
    let expected = format!(
        "saved demotions could not be read: every router takes part, even one that was demoted: cannot read {}: no answer within 2s\n",
        dir.path().display()
    );
    assert_eq!(said(&found), expected);
    store.save(&demotions("of this run"), now().wall).unwrap();
    assert_eq!(names(dir.path()), [FILE, "demotions.json.corrupt-20261123T120000Z"]);
}
