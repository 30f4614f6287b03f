//! What the package installs, what it leaves behind, and what it does before it is configured.

use crate::machine::{Cable, Machine};
use crate::pair::{configure, install, turn};
use crate::support::Lab;

/// What `systemd-analyze security` finds open, and why each is open.
const OPEN: [&str; 13] = [
    // Checks and hooks run programs of the machine.
    "RootDirectory=/RootImage=",
    // This is how a daemon without root gets its two capabilities.
    "AmbientCapabilities=",
    // Gratuitous ARP; addresses and links; the control socket and the service manager; VRRP, and
    // checks.
    "RestrictAddressFamilies=~AF_PACKET",
    "RestrictAddressFamilies=~AF_NETLINK",
    "RestrictAddressFamilies=~AF_UNIX",
    "RestrictAddressFamilies=~AF_(INET|INET6)",
    "CapabilityBoundingSet=~CAP_NET_ADMIN",
    // /proc/sys/net is needed for promote_secondaries.
    "ProcSubset=",
    "CapabilityBoundingSet=~CAP_NET_(BIND_SERVICE|BROADCAST|RAW)",
    // The daemon's work is the network of this machine, which it cannot change from a user
    // namespace.
    "PrivateNetwork=",
    "PrivateUsers=",
    // Reading the real-time clock, which ProtectClock= adds.
    "DeviceAllow=",
    // What checks connect to may be anywhere.
    "IPAddressDeny=",
];

const UNEDITED: &str = "no virtual router is configured yet: edit /etc/vrrpd/vrrpd.toml";

#[test]
fn the_package_installs_waits_for_a_configuration_and_leaves_what_it_should() {
    let _turn = turn();
    let lab = Lab::new(&["client"]);
    let mut machine = Machine::new(&lab, "fe0", 30);
    machine.boot(&lab, Cable::Plugged);
    install(&machine);

    // The service is enabled, not started, and has not failed.
    assert_eq!(machine.run("systemctl is-enabled vrrpd").stdout.trim(), "enabled");
    assert_eq!(machine.run("systemctl is-active vrrpd").stdout.trim(), "inactive");
    machine.must("systemctl start vrrpd");
    assert_eq!(machine.run("systemctl is-active vrrpd").stdout.trim(), "inactive");
    assert_eq!(machine.run("systemctl is-failed vrrpd").stdout.trim(), "inactive");
    assert_eq!(machine.must("systemctl --failed --plain --no-legend").stdout, "");
    let journal = machine.must("journalctl --sync; journalctl --no-pager -u vrrpd").stdout;
    assert!(journal.contains(UNEDITED), "{journal}");

    let changelog = machine.must("zcat /usr/share/doc/vrrpd/changelog.gz").stdout;
    assert!(changelog.starts_with("vrrpd ("), "Debian's changelog:\n{changelog}");
    let readme = machine.must("cat /usr/share/doc/vrrpd/README.md").stdout;
    assert!(readme.starts_with("# vrrpd"), "{readme}");
    for document in ["CHANGELOG.md", "SECURITY.md", "docs/operations.md", "docs/adr/README.md"] {
        machine.must(&format!("test -s /usr/share/doc/vrrpd/{document}"));
    }

    // Files, and their owners and modes.
    for (path, mode) in [
        ("/usr/sbin/vrrpd", "755 root root"),
        ("/usr/bin/vrrpctl", "755 root root"),
        ("/etc/vrrpd/vrrpd.toml", "644 root root"),
        ("/usr/share/vrrpd/vrrpd.toml.schema.json", "644 root root"),
        ("/usr/share/bash-completion/completions/vrrpctl", "644 root root"),
        ("/usr/share/zsh/vendor-completions/_vrrpctl", "644 root root"),
        ("/usr/share/fish/vendor_completions.d/vrrpctl.fish", "644 root root"),
        ("/usr/share/doc/vrrpd/copyright", "644 root root"),
        ("/usr/share/doc/vrrpd/examples/pair-fe0.toml", "644 root root"),
    ] {
        let found = machine.must(&format!("stat -c '%a %U %G' {path}")).stdout;
        assert_eq!(found.trim(), mode, "{path}");
    }
    for page in ["8 vrrpd", "1 vrrpctl", "5 vrrpd.toml"] {
        machine.must(&format!("test -s \"$(man -w {page})\""));
    }
    machine.must("bash -n /usr/share/bash-completion/completions/vrrpctl");
    machine.must("getent group vrrpd && getent passwd vrrpd-check");
    let size = machine.must("dpkg-query -W -f '${Installed-Size}' vrrpd").stdout;
    println!("installed size: {size} KiB");

    // An error in the configuration makes the service fail, and is reported where people look for
    // it.
    machine.write(
        "/etc/vrrpd/vrrpd.toml",
        "[[virtual_router]]\nname = \"web\"\nvrid = 0\ninterfase = \"eth0\"\n",
    );
    assert_ne!(machine.run("systemctl start vrrpd").code, 0);
    assert_eq!(machine.run("systemctl is-failed vrrpd").stdout.trim(), "failed");
    let status = machine.run("journalctl --sync; systemctl status --no-pager --full --lines=40 vrrpd").stdout;
    for said in ["did you mean `interface`", "`vrid` is a number from 1 to 255", "nothing was started"] {
        assert!(status.contains(said), "{said} is not in\n{status}");
    }
    assert_eq!(machine.property("ExecMainStatus"), "2");
    assert_eq!(machine.property("NRestarts"), "0");

    // The exposure level shows how much the service is sandboxed.
    let exposure = machine.must("systemd-analyze security --no-pager vrrpd | tail -n 1").stdout;
    println!("{}", exposure.trim());
    let score: f64 = exposure
        .split_whitespace()
        .find_map(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("no figure in {exposure}"));
    assert!(score <= 1.8, "{exposure}");
    let assessed = machine.must("systemd-analyze security --no-pager --json=short vrrpd").stdout;
    let assessed: serde_json::Value = serde_json::from_str(&assessed).unwrap();
    let is_open = |one: &&serde_json::Value| one["exposure"].as_str().is_some_and(|points| points != "0.0");
    let open = assessed.as_array().unwrap().iter().filter(is_open);
    let open: Vec<&str> = open.filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(open, OPEN, "each needs a reason");

    // The service runs without root, and the programs that it starts have no capabilities.
    configure(&machine);
    machine.write(
        "/etc/vrrpd/look",
        "#!/bin/sh\n{ grep -E '^(Uid|Cap(Prm|Eff|Amb)|NoNewPrivs)' /proc/self/status; kill -0 $PPID && echo signals; \\\n\
         cp /bin/true /run/vrrpd/true && /run/vrrpd/true && echo executes; } >/run/vrrpd/look 2>/dev/null; true\n",
    );
    machine.must("chmod 755 /etc/vrrpd/look && sed -i 's|^command = .*8080.*|command = [\"/etc/vrrpd/look\"]|' /etc/vrrpd/vrrpd.toml");
    machine.must("systemctl start vrrpd");
    machine.wait_state("web-a", "active");
    let pid = machine.daemon();
    let user = machine.must(&format!("ps -o user= -p {pid}")).stdout;
    assert_eq!(user.trim(), "vrrpd");
    let capabilities = machine.must("cat /run/vrrpd/look").stdout;
    for name in ["CapPrm", "CapEff", "CapAmb"] {
        assert!(capabilities.contains(&format!("{name}:\t0000000000000000")), "{capabilities}");
    }

    assert!(capabilities.contains("NoNewPrivs:\t1"), "{capabilities}");
    assert!(!capabilities.contains("executes"), "what it can write it cannot execute: {capabilities}");
    // The containers have the kernel of the host.
    let kernel = machine.must("uname -r").stdout;
    let version: Vec<u32> = kernel.split(['.', '-']).filter_map(|part| part.parse().ok()).take(2).collect();
    if version.as_slice() >= [6, 12].as_slice() {
        assert!(!capabilities.contains("signals"), "it can signal the daemon: {capabilities}");
    }

    // The kernel parameter that the addresses need could be set from inside of the sandbox.
    assert_eq!(machine.must("cat /proc/sys/net/ipv4/conf/eth0/promote_secondaries").stdout.trim(), "1");

    // Members of the group may use vrrpctl, others may not.
    machine.must("useradd operator1 -G vrrpd && useradd stranger1");
    machine.must("setpriv --reuid operator1 --regid operator1 --init-groups vrrpctl status");
    let refused = machine.run("setpriv --reuid stranger1 --regid stranger1 --init-groups vrrpctl status");
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains("/run/vrrpd/control.sock"), "{}", refused.stderr);

    // Removal deletes the addresses and the programs, and keeps what somebody wrote.
    assert!(machine.holds("192.0.2.50"));
    // There is no other router.
    machine.must("vrrpctl demote web-b --force --reason kept");
    machine.must("apt-get remove -y vrrpd");
    assert!(!machine.holds("192.0.2.50"), "an address is left behind");
    assert!(!machine.has_file("/usr/sbin/vrrpd") && !machine.has_file("/run/vrrpd"));
    assert!(machine.has_file("/etc/vrrpd/vrrpd.toml") && machine.has_file("/var/lib/vrrpd/demotions.json"));
    machine.must("rm /etc/vrrpd/look && apt-get purge -y vrrpd");
    for gone in ["/etc/vrrpd", "/var/lib/vrrpd", "/etc/systemd/system/multi-user.target.wants/vrrpd.service"]
    {
        assert!(!machine.has_file(gone), "{gone} is left behind");
    }
}
