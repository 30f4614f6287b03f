//! Compares a configuration with this machine, for `--check`. The results are warnings and not
//! errors, because what is missing now may exist later.

use super::{LOOK, Looks};
use crate::config::{Assumption, ConfigWarning, Expectation, Finding, Place, Program, Resolved, Task};
use crate::kernel::address::{ObservedAddress, Origin};
use crate::kernel::blocking::run_within;
use crate::kernel::netlink::Netlink;
use crate::runtime::channel::key;
use crate::types::Family;
use ipnet::IpNet;
use nix::net::if_::{if_nameindex, if_nametoindex};
use nix::unistd::{User, geteuid};
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// The beginning of each message: the file may be right, and meant for another machine.
const HERE: &str = "on this machine: ";
/// The user of the service that the package installs.
const SERVICE: &str = "vrrpd";

/// The facts that the kernel reports about this machine.
#[derive(Debug, Default)]
struct Machine {
    /// Index and name, in the order of the kernel.
    links: BTreeMap<u32, String>,
    addresses: Vec<ObservedAddress>,
}

/// Returns everything that does not agree with the configuration.
pub(super) fn look(file: &Path, resolved: &Resolved, looks: &Looks) -> Vec<ConfigWarning> {
    let mut found = match Machine::read() {
        Ok(machine) => {
            let of = |expectation: &Expectation| {
                let name = |name: &str| if_nametoindex(name).ok();
                let (message, help) = machine.objection(&expectation.what, name)?;
                Some(warning(expectation.place.clone(), expectation.span.clone(), message, help))
            };
            resolved.expectations.iter().filter_map(of).collect()
        }
        Err(error) => vec![about(
            file,
            format!("interfaces and addresses cannot be read: {error}"),
            "ip address shows them",
        )],
    };
    found.extend(resolved.programs.iter().filter_map(|program| {
        let (message, help) = of_program(program, looks)?;
        Some(warning(program.place.clone(), program.span.clone(), message, help))
    }));
    found.extend(of_file(file));
    found
}

impl Machine {
    fn read() -> std::io::Result<Self> {
        let names = if_nameindex()?;
        let links = names.iter().map(|link| (link.index(), link.name().to_string_lossy().into_owned()));
        let addresses = Netlink::open().and_then(|mut netlink| netlink.addresses());
        Ok(Self { links: links.collect(), addresses: addresses.map_err(std::io::Error::other)? })
    }

    fn index(&self, name: &str) -> Option<u32> {
        self.links.iter().find(|(_, link)| *link == name).map(|(index, _)| *index)
    }

    /// Returns what is wrong, and what to do; `resolve` finds an interface by any of its names.
    fn objection(
        &self,
        expected: &Assumption,
        resolve: impl Fn(&str) -> Option<u32>,
    ) -> Option<(String, String)> {
        match expected {
            Assumption::KeyFile(path) => of_key_file(path),
            Assumption::Interface(name) => self.of_interface(name.as_str(), resolve),
            Assumption::VirtualAddress { interface, net } => {
                self.of_virtual_address(interface.as_str(), *net)
            }
            Assumption::UnicastPeers { interface, peers } => self.of_peers(interface.as_str(), peers),
        }
    }

    fn of_interface(&self, name: &str, resolve: impl Fn(&str) -> Option<u32>) -> Option<(String, String)> {
        if self.index(name).is_some() {
            return None;
        }
        if let Some(real) = resolve(name).and_then(|index| self.links.get(&index)) {
            let help = format!("write interface = \"{real}\": the name that the kernel uses");
            return Some((format!("\"{name}\" is another name of {real}"), help));
        }
        let others: Vec<_> = self.links.values().filter(|link| *link != "lo").take(8).map(|n| &**n).collect();
        let help = format!("known here: {}; it is a fault until it is there", others.join(", "));
        Some((format!("there is no interface \"{name}\""), help))
    }

    /// Returns the problem of an address that the machine has already, or that no host of the link
    /// would look for here.
    fn of_virtual_address(&self, interface: &str, net: IpNet) -> Option<(String, String)> {
        let index = self.index(interface)?;
        let here =
            || self.addresses.iter().filter(move |own| own.index == index && own.origin == Origin::Foreign);
        if here().any(|own| own.net.addr() == net.addr()) {
            let message = format!("{} is on {interface} already, and vrrpd did not put it there", net.addr());
            let help = "take it out of the list if it is the machine's own; if another program holds it (keepalived), \
                        stop that first";
            return Some((message, help.to_owned()));
        }
        let networks: Vec<_> = here()
            .map(|own| own.net)
            .filter(|own| {
                Family::of(own.addr()) == Family::of(net.addr()) && own.prefix_len() < own.max_prefix_len()
            })
            .filter(|own| !link_local(*own))
            .collect();
        if networks.is_empty() || link_local(net) || networks.iter().any(|own| own.contains(&net.addr())) {
            return None;
        }
        let listed: Vec<_> = networks.iter().map(|own| own.trunc().to_string()).collect();
        let message = format!("{} is in no network of {interface} ({})", net.addr(), listed.join(", "));
        Some((
            message,
            "hosts there will not find it: write an address of one of them, unless a router sends it here"
                .to_owned(),
        ))
    }

    /// Returns the problem of a list of nodes that has this one only, or has it by an address at which
    /// its router does not hear the others. On another machine than the one that the file is meant
    /// for, nothing of the list may be known, and that is no objection.
    fn of_peers(&self, interface: &str, peers: &[IpAddr]) -> Option<(String, String)> {
        let index = self.index(interface)?;
        let owners = |peer: &IpAddr| {
            let same = |own: &&ObservedAddress| own.net.addr() == *peer && own.origin == Origin::Foreign;
            self.addresses.iter().filter(same).map(|own| own.index).collect::<Vec<_>>()
        };
        let own: Vec<_> =
            peers.iter().map(|peer| (peer, owners(peer))).filter(|(_, on)| !on.is_empty()).collect();
        // A link-local address may be on several interfaces.
        if let Some((peer, on)) = own.iter().find(|(_, on)| !on.contains(&index)) {
            let other =
                on.first().and_then(|index| self.links.get(index)).map_or("another interface", |it| it);
            let message =
                format!("{peer} in `unicast_peers` is on {other}, and this router speaks on {interface}");
            let help = format!("write the address that this node has on {interface}, or leave it out");
            return Some((message, help));
        }
        let (first, _) = own.first().filter(|_| own.len() == peers.len())?;
        let family = Family::of(**first);
        let message = format!("`unicast_peers` has no {family} address but this node's own ({first})");
        Some((message, "add the addresses of the other nodes".to_owned()))
    }
}

fn link_local(net: IpNet) -> bool {
    match net {
        IpNet::V4(_) => false,
        IpNet::V6(net) => net.addr().is_unicast_link_local(),
    }
}

/// Returns why the nodes would not know one another.
fn of_key_file(path: &Path) -> Option<(String, String)> {
    let read = run_within(LOOK, {
        let path = path.to_owned();
        move || key::read(&path)
    });
    let why = match read {
        Ok(Ok(_)) => return None,
        Ok(Err(problem)) => problem.to_string(),
        Err(_) => "its disk does not answer".to_owned(),
    };
    let help = "the nodes exchange nothing but VRRP until it can be used: give all nodes the same file, which only \
                root and the group vrrpd can read";
    Some((format!("peer_key_file {}: {why}", path.display()), help.to_owned()))
}

fn of_program(program: &Program, looks: &Looks) -> Option<(String, String)> {
    let key = match program.task {
        Task::Check => "user",
        Task::Hook => "hook_user",
    };
    if let Some(user) = &program.user
        && let Ok(None) = User::from_name(user)
    {
        return Some((
            format!("there is no user \"{user}\""),
            format!("write another {key}, or: useradd --system {user}"),
        ));
    }
    let path = program.command.first().filter(|path| !looks.is_silent(path))?;
    let help = "it can never pass like this: write the path of a program that is there";
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Some((format!("there is no {path}"), help.to_owned()))
        }
        // Another user than the current one may be allowed to read it.
        Err(_) => None,
        Ok(found) if !found.is_file() => Some((format!("{path} is not a program"), help.to_owned())),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            Some((format!("{path} may not be executed"), format!("chmod a+rx {path}")))
        }
        Ok(_) => None,
    }
}

/// Warns of a file that the service cannot read. Root can read everything; the service does not run
/// as root.
fn of_file(file: &Path) -> Option<ConfigWarning> {
    let service = User::from_name(SERVICE).ok().flatten().filter(|_| geteuid().is_root())?;
    let found = fs::metadata(file).ok()?;
    if readable(&found, service.uid.as_raw(), service.gid.as_raw()) {
        return None;
    }
    let (path, help) =
        (file.display(), format!("chmod a+r {0}, or: chgrp {SERVICE} {0}; chmod g+r {0}", file.display()));
    Some(about(file, format!("the service runs as the user {SERVICE}, who cannot read {path}"), &help))
}

fn readable(found: &Metadata, user: u32, group: u32) -> bool {
    let bit = if found.uid() == user {
        0o400
    } else if found.gid() == group {
        0o040
    } else {
        0o004
    };
    found.mode() & bit != 0
}

fn about(file: &Path, message: String, help: &str) -> ConfigWarning {
    let place = Place { file: file.display().to_string().into(), line: 1, column: 1 };
    warning(place, 0..0, message, help.to_owned())
}

fn warning(place: Place, span: std::ops::Range<usize>, message: String, help: String) -> ConfigWarning {
    ConfigWarning(Finding { place, span, message: format!("{HERE}{message}"), help, related: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve;
    use std::os::unix::fs::PermissionsExt;

    fn observed(index: u32, net: &str, origin: Origin) -> ObservedAddress {
        ObservedAddress::ready(index, net, origin)
    }

    fn machine() -> Machine {
        Machine {
            links: [(1, "lo"), (2, "eth0"), (3, "eth1")].map(|(index, name)| (index, name.to_owned())).into(),
            addresses: vec![
                observed(1, "127.0.0.1/8", Origin::Foreign),
                observed(2, "192.0.2.10/24", Origin::Foreign),
                observed(2, "192.0.2.60/24", Origin::Ours),
                observed(2, "2001:db8::10/64", Origin::Foreign),
                observed(2, "fe80::a/64", Origin::Foreign),
                observed(3, "203.0.113.7/32", Origin::Foreign),
                observed(3, "fe80::a/64", Origin::Foreign),
            ],
        }
    }

    /// Returns the objections to a router with these lines.
    fn objections(lines: &str) -> Vec<String> {
        let text = format!("[[virtual_router]]\nname = \"web\"\nvrid = 51\n{lines}\n");
        let resolved = resolve(&text, "test.toml").unwrap();
        let altname = |name: &str| (name == "enp0s3").then_some(3);
        let machine = machine();
        let found = resolved.expectations.iter().filter_map(|e| machine.objection(&e.what, altname));
        found.map(|(message, _)| message).collect()
    }

    #[test]
    fn what_cannot_work_here_is_said() {
        for (lines, said) in [
            ("interface = \"ens192\"\naddresses = [\"192.0.2.50/24\"]", "there is no interface \"ens192\""),
            ("interface = \"enp0s3\"\naddresses = [\"192.0.2.50/24\"]", "\"enp0s3\" is another name of eth1"),
            (
                "interface = \"eth0\"\naddresses = [\"192.0.2.50/24\"]\ntrack = [{ interface = \"eth7\" }]",
                "there is no interface \"eth7\"",
            ),
            (
                "interface = \"eth0\"\naddresses = [\"192.0.3.50/24\"]",
                "192.0.3.50 is in no network of eth0 (192.0.2.0/24)",
            ),
            (
                "interface = \"eth0\"\naddresses = [\"192.0.2.10/32\"]",
                "192.0.2.10 is on eth0 already, and vrrpd did not put it there",
            ),
            (
                "interface = \"eth0\"\naddresses = [\"192.0.2.50/24\"]\nunicast_peers = [\"192.0.2.10\"]",
                "`unicast_peers` has no ipv4 address but this node's own (192.0.2.10)",
            ),
            (
                "interface = \"eth0\"\naddresses = [\"192.0.2.50/24\"]\nunicast_peers = [\"192.0.2.11\", \"203.0.113.7\"]",
                "203.0.113.7 in `unicast_peers` is on eth1, and this router speaks on eth0",
            ),
            (
                "interface = \"eth0\"\naddresses = [\"192.0.2.50/24\"]\nexcluded_addresses = [\"2001:db8:1::1\"]",
                "2001:db8:1::1 is in no network of eth0 (2001:db8::/64)",
            ),
        ] {
            assert_eq!(objections(lines), [said], "{lines}");
        }
    }

    #[test]
    fn what_is_as_expected_is_not() {
        for lines in [
            "interface = \"eth0\"\naddresses = [\"192.0.2.50/24\", \"192.0.2.60/24\", \"2001:db8::50/64\"]\npriority = 9",
            "interface = \"eth0\"\naddresses = [\"2001:db8::50/64\", \"fe80::7/64\"]",
            "interface = \"eth0\"\npriority = \"owner\"\naddresses = [\"192.0.2.10/24\"]",
            "interface = \"eth0\"\naddresses = [\"192.0.2.50/24\"]\nunicast_peers = [\"192.0.2.10\", \"192.0.2.11\"]",
            "interface = \"eth0\"\naddresses = [\"192.0.2.50/24\"]\nunicast_peers = [\"192.0.2.11\"]",
            // This address is on both interfaces.
            "interface = \"eth0\"\naddresses = [\"2001:db8::50/64\"]\nlink_local = \"none\"\nunicast_peers = [\"fe80::a\", \"fe80::b\"]",
            // No interface has a network for this address: the address brings its own.
            "interface = \"eth1\"\naddresses = [\"198.51.100.1/24\"]",
        ] {
            assert_eq!(objections(lines), Vec::<String>::new(), "{lines}");
        }
    }

    #[test]
    fn programs_that_cannot_run_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("data");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let text = |command: &str, user: &str| {
            format!(
                "[[check]]\nname = \"c\"\ncommand = [\"{command}\"]\nuser = \"{user}\"\n[[virtual_router]]\nname = \"web\"\n\
                 interface = \"eth0\"\nvrid = 51\naddresses = [\"192.0.2.50/24\"]\ntrack = [{{ check = \"c\" }}]\n"
            )
        };
        for (command, user, said) in [
            ("/nowhere/check", "root", Some("there is no /nowhere/check")),
            ("/etc", "root", Some("/etc is not a program")),
            (file.to_str().unwrap(), "root", Some("may not be executed")),
            ("/bin/true", "nobody-of-that-name", Some("there is no user \"nobody-of-that-name\"")),
            ("/bin/true", "root", None),
        ] {
            let resolved = resolve(&text(command, user), "test.toml").unwrap();
            let found = of_program(&resolved.programs[0], &Looks::default()).map(|(message, _)| message);
            assert_eq!(found.is_some(), said.is_some(), "{command}: {found:?}");
            assert!(found.unwrap_or_default().contains(said.unwrap_or_default()), "{command}");
        }
    }

    #[test]
    fn who_can_read_a_file_is_told_by_its_bits() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("vrrpd.toml");
        fs::write(&file, "").unwrap();
        for (mode, owner, member, other) in [
            (0o600, true, false, false),
            (0o640, true, true, false),
            (0o604, true, false, true),
            (0o044, false, true, true),
        ] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let found = fs::metadata(&file).unwrap();
            let (user, group) = (found.uid(), found.gid());
            assert_eq!(readable(&found, user, group), owner, "{mode:o}");
            assert_eq!(readable(&found, user + 1, group), member, "{mode:o}");
            assert_eq!(readable(&found, user + 1, group + 1), other, "{mode:o}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_used_is_told_with_what_follows_from_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peer.key");
        let (message, help) = of_key_file(&path).unwrap();
        assert!(message.contains("cannot be read") && help.contains("nothing but VRRP"), "{message}");
        std::fs::write(&path, [b'k'; 32]).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(of_key_file(&path), None);
    }
}
