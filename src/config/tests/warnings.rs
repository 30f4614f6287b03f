//! Each warning once, and a similar text that causes no warning.

use super::{ROUTER, router_with, warnings};

#[track_caller]
fn one(text: &str, at: &str, message: &str) {
    let found = warnings(text);
    let [finding] = &found[..] else { panic!("not one warning but {found:#?}\n{text}") };
    assert_eq!(&text[finding.span.clone()], at);
    assert!(finding.message.contains(message), "{finding:#?}");
    assert!(!finding.help.is_empty());
}

const CHECK: &str = "[[check]]\nname = \"ok\"\ncommand = [\"/bin/true\"]\n";

#[test]
fn what_is_probably_not_meant_is_said_once() {
    let v6 = |count: usize| {
        let list: Vec<_> = (1..=count).map(|n| format!("\"2001:db8::{n:x}/64\"")).collect();
        (format!("{ROUTER}addresses = [{}]\n", list.join(",")), format!("[{}]", list.join(",")))
    };
    for (text, at, message) in [
        (router_with(CHECK), "\"ok\"", "no virtual router tracks the check \"ok\""),
        (router_with("advertise_interval = \"10ms\""), "\"10ms\"", "at an interval of 10ms, a busy machine"),
        (router_with("down_adverts = 1"), "1", "one lost packet"),
        (
            router_with("unicast_peers = [\"192.0.2.11\"]\nmin_ttl = 254"),
            "254",
            "a host that is not on this link can send advertisements in a peer's name",
        ),
        (router_with("preempt = false\npreempt_delay = \"5s\""), "\"5s\"", "has no effect"),
        (
            router_with("preempt = false\ntrack = [{ check = \"ok\", weight = -5 }]") + CHECK,
            "false",
            "weights never displace",
        ),
        (
            router_with("priority = 200\ntrack = [{ check = \"ok\", weight = 55 }]") + CHECK,
            "[{ check = \"ok\", weight = 55 }]",
            "to 255; it is limited to 254",
        ),
        (router_with("track = [{ interface = \"eth0\" }]"), "\"eth0\"", "own interface"),
        (
            router_with("before_active = [\"/bin/true\"]\nbefore_active_timeout = \"4s\""),
            "\"4s\"",
            "wait longer for this",
        ),
        (
            format!("{ROUTER}addresses = [\"192.0.2.50/24\", \"2001:db8::50/64\"]\n"),
            "[[virtual_router]]",
            "has IPv4 and IPv6 addresses, and no `priority`",
        ),
        (
            router_with("") + &router_with("").replace("web", "b").replace("eth0", "eth1"),
            "\"192.0.2.50/24\"",
            "on two interfaces",
        ),
        (
            router_with("track = [{ check = \"ok\" }]") + CHECK + "timeout = \"3s\"\n",
            "\"3s\"",
            "longer than `interval`",
        ),
        (
            format!("[agent]\nmetrics = \"[::]:9650\"\n{}", router_with("")),
            "\"[::]:9650\"",
            "answers on every address",
        ),
        (
            format!("[agent]\nmetrics = \"192.0.2.50:9650\"\n{}", router_with("")),
            "\"192.0.2.50:9650\"",
            "which a node has only while it serves",
        ),
    ] {
        one(&text, at, message);
    }
    for address in ["127.0.0.1", "192.0.2.10", "[::1]"] {
        let text = format!("[agent]\nmetrics = \"{address}:9650\"\n{}", router_with(""));
        assert_eq!(warnings(&text), [], "{address}");
    }
    let (text, list) = v6(90);
    one(&text, &list, "91 IPv6 addresses need an MTU of 1504");
    assert_eq!(warnings(&v6(89).0), [], "with the link-local one that is what 1500 octets carry");
}

#[test]
fn a_default_is_warned_about_once_for_all_routers() {
    let text = format!(
        "[defaults]\nadvertise_interval = \"20ms\"\n{}{}",
        router_with(""),
        router_with("").replace("web", "b").replace("51", "52").replace("192.0.2.50", "192.0.2.51")
    );
    one(&text, "\"20ms\"", "at an interval of 20ms");
}

#[test]
fn what_is_meant_gets_no_warning() {
    for text in [
        router_with(""),
        router_with("advertise_interval = \"100ms\""),
        router_with("advertise_interval = \"10ms\"\n[agent]\nrealtime = true"),
        router_with("preempt = false\ntrack = [{ check = \"ok\" }]") + CHECK,
        router_with("preempt_delay = \"5s\""),
        router_with("priority = 200\ntrack = [{ check = \"ok\", weight = -253 }]") + CHECK,
        format!("{ROUTER}priority = 100\naddresses = [\"192.0.2.50/24\", \"2001:db8::50/64\"]\n"),
        router_with("track = [{ check = \"ok\" }]") + CHECK + "timeout = \"2s\"\n",
    ] {
        assert_eq!(warnings(&text), [], "{text}");
    }
}
