//! What people and programs see of a configuration with errors and of one with warnings, compared
//! with `tests/goldens/config/`. After an intended change: `INSTA_UPDATE=always cargo test --lib
//! config`.

use crate::config::{report, resolve};

const BAD: &str = include_str!("../../../tests/goldens/config/bad.toml");
const DOUBTFUL: &str = include_str!("../../../tests/goldens/config/doubtful.toml");

fn compare(name: &str, shown: String) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/config"));
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

#[test]
fn a_bad_file_is_explained_in_one_go() {
    let errors = resolve(BAD, "vrrpd.toml").expect_err("it is bad");
    let shown = report::text(BAD, &errors, &[], report::Style::Plain);
    let too_wide: Vec<_> = shown.lines().filter(|line| line.chars().count() > 80).collect();
    assert_eq!(too_wide, Vec::<&str>::new(), "it must fit a terminal of 80 columns");
    compare("bad", shown);
    compare("bad-json", report::json(&errors, &[]));
}

#[test]
fn a_doubtful_file_is_accepted_with_warnings() {
    let resolved = resolve(DOUBTFUL, "vrrpd.toml").expect("it is legal");
    compare("doubtful", report::text(DOUBTFUL, &[], &resolved.warnings, report::Style::Plain));
    compare("doubtful-json", report::json(&[], &resolved.warnings));
}

#[test]
fn colours_are_only_for_terminals() {
    let errors = resolve("", "vrrpd.toml").expect_err("it is empty");
    assert!(!report::text("", &errors, &[], report::Style::Plain).contains('\u{1b}'));
    assert!(report::text("", &errors, &[], report::Style::Colour).contains('\u{1b}'));
}

#[test]
fn errors_display_as_compilers_do() {
    let errors = resolve("[agent]\nnode = 1\n", "/etc/vrrpd/vrrpd.toml").expect_err("node is unknown");
    let shown: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(shown[1], "/etc/vrrpd/vrrpd.toml:2:1: unknown key `node` in [agent]");
}

#[test]
fn of_thousands_of_errors_the_first_are_shown_and_the_rest_is_counted() {
    let router = |n: usize| {
        format!(
            "[[virtual_router]]\nname = \"r{n}\"\ninterface = \"eth0\"\nvrid = 51\naddresses = [\"10.0.{}.{}/32\"]\n",
            n / 250,
            1 + n % 250
        )
    };
    let text: String = (0..1_252).map(router).collect();
    let errors = resolve(&text, "vrrpd.toml").unwrap_err();
    assert_eq!(errors.len(), 1_251);
    let shown = report::text(&text, &errors, &[], report::Style::Plain);
    assert_eq!(shown.matches("error: ").count(), report::MOST);
    assert!(shown.ends_with("and 1,201 more errors\n\n"), "{}", &shown[shown.len() - 200..]);
    // The fiftieth error is near the first one, but the last one is not.
    let last = report::text(&text, &errors[errors.len() - 1..], &[], report::Style::Plain);
    assert!(last.contains("first here: line 4, column 8") && last.lines().count() < 15, "{last}");
}

#[test]
fn counts_are_written_for_people() {
    let table = [(0, "0"), (999, "999"), (1_000, "1,000"), (17_950, "17,950"), (1_234_567, "1,234,567")];
    for (count, text) in table {
        assert_eq!(report::grouped(count), text);
    }
}
