//! What a daemon could leave behind on a machine: addresses, interfaces, routes, rules, filters,
//! kernel parameters, processes, sockets.

use crate::support::Node;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// One line for each of them, in no order.
pub(crate) fn residue(node: &Node) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (what, program, arguments) in [
        ("rule", "ip", &["-4", "rule"][..]),
        ("rule", "ip", &["-6", "rule"]),
        ("route", "ip", &["-4", "route", "show", "table", "all"]),
        ("route", "ip", &["-6", "route", "show", "table", "all"]),
        ("nftables", "nft", &["list", "ruleset"]),
    ] {
        let text = node.ns.run(program, arguments);
        all.extend(text.lines().map(|line| format!("{what} {}", line.trim_end())));
    }
    all.extend(addresses(node));
    all.extend(parameters(node));
    all.extend(processes(node));
    let files = fs::read_dir(node.dir()).expect("the directory of a node").filter_map(Result::ok);
    let sockets =
        files.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "sock"));
    all.extend(sockets.map(|path| format!("socket {}", path.display())));
    all
}

fn addresses(node: &Node) -> Vec<String> {
    let links: serde_json::Value =
        serde_json::from_str(&node.ns.run("ip", &["-json", "address"])).expect("ip -json");
    let mut lines = Vec::new();
    for link in links.as_array().into_iter().flatten() {
        lines.push(format!("interface {}", link["ifname"]));
        for address in link["addr_info"].as_array().into_iter().flatten() {
            let (local, length) = (&address["local"], &address["prefixlen"]);
            lines.push(format!("address {local}/{length} on {}", link["ifname"]));
        }
    }
    lines
}

/// This parameter is left out: after a SIGKILL its old value is not known, and it stays set
/// (docs/adr/0017).
const STAYS: &str = "promote_secondaries";

/// The parameters of the network namespace, as far as they can be read.
fn parameters(node: &Node) -> Vec<String> {
    node.ns.enter(|| {
        let mut lines = Vec::new();
        for directory in ["/proc/sys/net/ipv4", "/proc/sys/net/ipv6"] {
            read_below(Path::new(directory), &mut lines);
        }
        lines
    })
}

fn read_below(directory: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            read_below(&path, lines);
        } else if let Ok(value) = fs::read_to_string(&path)
            && !path.ends_with(STAYS)
        {
            lines.push(format!("parameter {} = {}", path.display(), value.trim()));
        }
    }
}

/// The processes in the node's network namespace.
fn processes(node: &Node) -> Vec<String> {
    let here = node.ns.enter(|| fs::metadata("/proc/thread-self/ns/net").expect("a namespace").ino());
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let inside = processes.filter(|entry| {
        fs::metadata(entry.path().join("ns/net")).is_ok_and(|namespace| namespace.ino() == here)
    });
    let name = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
    inside.map(|entry| format!("process {}", name(entry).trim())).collect()
}
