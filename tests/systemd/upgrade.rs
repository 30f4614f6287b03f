//! Upgrades: the client does not notice them, and only a configuration with errors makes them fail.

use crate::machine::Machine;
use crate::pair::{ADDRESSES, Pair};

/// Builds the package again with a higher version, as `NAME` in /root.
fn repack(machine: &Machine, version: &str) {
    machine.must(&format!(
        "rm -rf next && dpkg-deb -R vrrpd_0*.deb next && \
         sed -i 's/^Version:.*/Version: {version}/' next/DEBIAN/control && dpkg-deb -b next next_{version}.deb"
    ));
}

#[test]
fn an_upgrade_loses_no_request_and_never_ends_a_service_that_works() {
    let mut pair = Pair::serving();
    repack(&pair.fe0, "0.1.1");
    let before = pair.fe0.daemon();
    pair.unnoticed("an upgrade of the Active", |pair| {
        pair.fe0.must("apt-get install -y ./next_0.1.1.deb");
        pair.wait_settled();
    });
    assert_ne!(pair.fe0.daemon(), before, "the new version runs");

    // The file has errors, but the daemon, which started with a correct one, goes on serving.
    repack(&pair.fe0, "0.1.2");
    let before = pair.fe0.daemon();
    pair.fe0.must(
        "cp /etc/vrrpd/vrrpd.toml good.toml && sed -i 's/^vrid = 51/vrid = 510/' /etc/vrrpd/vrrpd.toml",
    );
    pair.unnoticed("an upgrade that refuses the configuration", |pair| {
        let said = pair.fe0.must("apt-get install -y ./next_0.1.2.deb");
        let said = format!("{}{}", said.stdout, said.stderr);
        for words in
            ["was NOT restarted", "`vrid` is a number from 1 to 255", "vrrpd --check", "--reuid=vrrpd "]
        {
            assert!(said.contains(words), "{words} is not in\n{said}");
        }
        assert_eq!(pair.fe0.daemon(), before, "the old daemon goes on");
        assert!(pair.fe0.holds(ADDRESSES[0]));
        assert_eq!(
            pair.fe0.must("dpkg-query -W -f '${Status} ${Version}' vrrpd").stdout,
            "install ok installed 0.1.2"
        );
    });
    pair.unnoticed("the restart after the file is mended", |pair| {
        pair.fe0.must("cp good.toml /etc/vrrpd/vrrpd.toml && vrrpd --check && systemctl restart vrrpd");
        pair.wait_settled();
    });
}
