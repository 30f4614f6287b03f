//! The examples under `config/` load, and what they say is true.

use crate::config::{Config, resolve};
use crate::types::{Priority, Role};
use std::collections::BTreeMap;

const EXAMPLE: &str = include_str!("../../../config/example.toml");
const EVERYTHING: &str = include_str!("../../../config/vrrpd.toml");
const FE0: &str = include_str!("../../../config/pair-fe0.toml");
const FE1: &str = include_str!("../../../config/pair-fe1.toml");

/// The command that the examples use to check nginx.
const ASK_NGINX: &str =
    r#"["/usr/bin/curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1/ping"]"#;
const ASK_HAPROXY: &str =
    r#"["/usr/bin/curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8080/ping"]"#;

fn clean(text: &str) -> Config {
    let resolved = resolve(text, "example.toml").unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!(resolved.warnings, [], "an example is free of warnings");
    resolved.config
}

#[test]
fn every_file_under_config_is_one_of_these() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("config/ exists")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("ASCII"))
        .filter(|name| name.ends_with(".toml"))
        .collect();
    files.sort();
    assert_eq!(files, ["example.toml", "pair-fe0.toml", "pair-fe1.toml", "vrrpd.toml"]);
}

#[test]
fn the_commented_example_shows_the_defaults() {
    let shown = clean(EVERYTHING);
    let bare = format!(
        "[agent]\nnode_name = \"fe0\"\n\
         [[check]]\nname = \"nginx\"\ncommand = {ASK_NGINX}\n\
         timeout = \"1s\"\n\
         [[check]]\nname = \"haproxy\"\ncommand = {ASK_HAPROXY}\n\
         [[virtual_router]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\npriority = 150\n\
         addresses = [\"192.0.2.50/24\", \"2001:db8::50/64\"]\nexcluded_addresses = [\"192.0.2.51/24\"]\n\
         track = [{{ check = \"nginx\" }}, {{ check = \"haproxy\", weight = -60 }}, {{ interface = \"eth1\" }}]\n",
    );
    assert_eq!(shown, clean(&bare));
}

#[test]
fn what_the_commented_example_comments_out_is_legal() {
    let keys = ["# user = ", "# interface = ", "# source_address = "];
    let mut text = EVERYTHING.to_owned();
    for key in keys {
        assert!(text.contains(key), "{key}");
        text = text.replace(key, &key[2..]);
    }
    let config = clean(&text);
    assert_eq!(config.checks[0].user.as_deref(), Some("vrrpd-check"));
    assert_eq!(config.routers[0].source_address, Some("192.0.2.10".parse().unwrap()));
}

#[test]
fn the_commented_example_has_every_supported_key() {
    for schema in crate::config::schema::TABLES {
        for key in schema.supported() {
            let (assigned, header) = (format!("{key} = "), format!("{key}]"));
            assert!(EVERYTHING.contains(&assigned) || EVERYTHING.contains(&header), "{key} is not shown");
        }
    }
}

#[test]
fn the_pair_agrees_on_everything_but_the_preferred_node() {
    let (mut fe0, mut fe1) = (clean(FE0), clean(FE1));
    assert_eq!(
        (fe0.agent.node_name.take(), fe1.agent.node_name.take()),
        (Some("fe0".into()), Some("fe1".into()))
    );
    let mut priorities: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for router in fe0.routers.iter_mut().chain(&mut fe1.routers) {
        let Role::Contender { priority, preempt } = router.role else { panic!("nobody owns these") };
        priorities.entry(router.name.to_string()).or_default().push(priority.get());
        router.role = Role::Contender { priority: Priority::default(), preempt };
    }
    assert_eq!(fe0, fe1);
    assert_eq!(
        priorities.into_iter().collect::<Vec<_>>(),
        [("web-a".to_owned(), vec![150, 100]), ("web-b".to_owned(), vec![100, 150]),]
    );
    assert!(fe0.routers.iter().all(|router| router.instances.len() == 2 && router.tracks.len() == 2));
}

#[test]
fn the_pair_differs_in_name_and_priorities_and_in_no_other_line() {
    let differing: Vec<_> = FE0.lines().zip(FE1.lines()).filter(|(fe0, fe1)| fe0 != fe1).collect();
    let comments_aside: Vec<_> = differing.into_iter().filter(|(fe0, _)| !fe0.starts_with('#')).collect();
    assert_eq!(
        comments_aside,
        [
            ("node_name = \"fe0\"", "node_name = \"fe1\""),
            ("priority = 150", "priority = 100"),
            ("priority = 100", "priority = 150"),
        ]
    );
    assert_eq!(FE0.lines().count(), FE1.lines().count());
}

/// The text that an administrator gets by removing the `#` in column 1 of lines that are not
/// remarks.
fn uncommented(text: &str) -> String {
    let bare = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(bare).collect()
}

#[test]
fn the_installed_example_starts_nothing_until_it_is_edited() {
    assert!(EXAMPLE.lines().all(|line| line.is_empty() || line.starts_with('#')));
    let errors = resolve(EXAMPLE, "vrrpd.toml").expect_err("an example that starts takes addresses");
    assert_eq!(errors.len(), 1, "{errors:#?}");
}

#[test]
fn the_installed_example_is_the_first_of_the_pair_without_a_balancer() {
    let shown = clean(&uncommented(EXAMPLE));
    let mut fe0 = clean(FE0);
    fe0.checks.retain(|check| &*check.name.0 == "nginx");
    assert_eq!(shown.checks, fe0.checks);
    assert_eq!(shown.agent, fe0.agent);
    for (ours, theirs) in shown.routers.iter().zip(&fe0.routers) {
        assert_eq!((&ours.name, ours.vrid, &ours.role), (&theirs.name, theirs.vrid, &theirs.role));
        assert_eq!((&ours.instances, ours.tracks.len()), (&theirs.instances, 1));
    }
    assert_eq!(shown.routers.len(), fe0.routers.len());
}
