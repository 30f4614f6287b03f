//! Kernel parameters of an interface that the agent needs.

use crate::types::InterfaceName;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the kernel does with the other IPv4 addresses of a network when the first of them is
/// removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promotion {
    /// The next one becomes the first (`promote_secondaries` = 1).
    On,
    /// They are removed, too.
    Off,
}

/// Whether setting the parameter changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The parameter had the value already, or another parameter has the same effect.
    Unchanged,
    /// The parameter had the opposite value before.
    Changed,
}

/// The parameters by which an interface decides for which addresses it answers ARP requests, and
/// which address its own requests name as the sender. The values are single digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArpValues {
    /// `arp_ignore`: with 1, only addresses of the interface itself are answered for.
    pub ignore: u8,
    /// `arp_announce`: with 2, requests name an address of the interface itself.
    pub announce: u8,
}

/// The values of an interface and those of `all`; for each parameter the kernel obeys the greater
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArpState {
    /// The values of the interface.
    pub own: ArpValues,
    /// The values of `all`.
    pub all: ArpValues,
}

/// What is done to the parameters of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArpRequest {
    /// Read them.
    Read,
    /// Set the values of the interface.
    Write(ArpValues),
}

/// Sets or reads the ARP parameters of an interface, and returns them as they are afterwards.
///
/// # Errors
/// The error of a file, with its name: for instance that `/proc/sys` is read-only in a container.
pub fn arp(interface: InterfaceName, request: ArpRequest) -> io::Result<ArpState> {
    arp_below(Path::new("/proc/sys/net/ipv4/conf"), interface, request)
}

fn arp_below(conf: &Path, interface: InterfaceName, request: ArpRequest) -> io::Result<ArpState> {
    let named =
        |path: &Path, error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let read = |whose: &str, parameter: &str| {
        let path = conf.join(whose).join(parameter);
        let text = fs::read_to_string(&path).map_err(|error| named(&path, error))?;
        let digit = text.trim().parse::<u8>().ok().filter(|value| *value <= 9);
        digit.ok_or_else(|| {
            named(&path, io::Error::new(io::ErrorKind::InvalidData, "the value is not a known one"))
        })
    };
    let values = |whose: &str| {
        io::Result::Ok(ArpValues {
            ignore: read(whose, "arp_ignore")?,
            announce: read(whose, "arp_announce")?,
        })
    };
    let state = || io::Result::Ok(ArpState { own: values(interface.as_str())?, all: values("all")? });
    let before = state()?;
    let ArpRequest::Write(wanted) = request else { return Ok(before) };
    for (parameter, value, old) in [
        ("arp_ignore", wanted.ignore, before.own.ignore),
        ("arp_announce", wanted.announce, before.own.announce),
    ] {
        if value != old {
            let path = conf.join(interface.as_str()).join(parameter);
            fs::write(&path, value.to_string()).map_err(|error| named(&path, error))?;
        }
    }
    state()
}

/// Sets whether the kernel promotes a secondary address when its primary is removed, instead of
/// removing it too.
///
/// Without this, removing a virtual address that happens to be the first of its subnet would remove
/// the host's own address as well, and a DHCP client that renews the host's address would remove
/// ours. systemd sets it for every interface by default.
///
/// # Errors
/// The error of writing the file, for instance that `/proc/sys` is read-only in a container.
pub fn promote_secondaries(interface: InterfaceName, promotion: Promotion) -> io::Result<Setting> {
    let write = |path: PathBuf, value: &str| fs::write(path, value);
    set(Path::new("/proc/sys/net/ipv4/conf"), interface, promotion, write)
}

fn set(
    conf: &Path,
    interface: InterfaceName,
    promotion: Promotion,
    write: impl FnOnce(PathBuf, &str) -> io::Result<()>,
) -> io::Result<Setting> {
    let path = |whose: &str| conf.join(whose).join("promote_secondaries");
    let has = |whose: &str, value: &str| fs::read_to_string(path(whose)).map(|found| found.trim() == value);
    let value = match promotion {
        Promotion::On => "1",
        Promotion::Off => "0",
    };
    if has(interface.as_str(), value)? {
        return Ok(Setting::Unchanged);
    }
    match write(path(interface.as_str()), value) {
        Ok(()) => Ok(Setting::Changed),
        // The kernel promotes if either parameter is set, and `all` is the one that the operator of
        // a container can set.
        Err(_) if promotion == Promotion::On && has("all", value).unwrap_or(false) => Ok(Setting::Unchanged),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arp_parameters_are_read_and_set_on_the_interface_only() {
        let conf = tempfile::tempdir().unwrap();
        for (name, ignore, announce) in [("all", "0", "1"), ("eth0", "0", "2"), ("odd", "10", "0")] {
            let place = conf.path().join(name);
            fs::create_dir(&place).unwrap();
            fs::write(place.join("arp_ignore"), format!("{ignore}\n")).unwrap();
            fs::write(place.join("arp_announce"), format!("{announce}\n")).unwrap();
        }
        let values = |ignore, announce| ArpValues { ignore, announce };
        let ask = |name: &str, request| arp_below(conf.path(), name.parse().unwrap(), request);
        let found = ask("eth0", ArpRequest::Read).unwrap();
        assert_eq!(found, ArpState { own: values(0, 2), all: values(0, 1) });
        let set = ask("eth0", ArpRequest::Write(values(1, 2))).unwrap();
        assert_eq!(set, ArpState { own: values(1, 2), ..found });
        assert_eq!(ask("eth0", ArpRequest::Read).unwrap(), set);
        let unknown = ask("odd", ArpRequest::Read).unwrap_err().to_string();
        assert!(unknown.ends_with("odd/arp_ignore: the value is not a known one"), "{unknown}");
        let missing = ask("gone", ArpRequest::Read).unwrap_err().to_string();
        assert!(missing.contains("gone/arp_ignore: No such file"), "{missing}");
    }

    #[test]
    fn what_cannot_be_set_on_the_interface_may_be_set_for_all() {
        for (all, own, writable, expected) in [
            ("0", "0", true, Some(Setting::Changed)),
            ("1", "0", true, Some(Setting::Changed)),
            ("0", "1", false, Some(Setting::Unchanged)),
            ("1", "0", false, Some(Setting::Unchanged)),
            ("0", "0", false, None),
        ] {
            let conf = tempfile::tempdir().unwrap();
            for (name, value) in [("all", all), ("eth0", own)] {
                fs::create_dir(conf.path().join(name)).unwrap();
                fs::write(conf.path().join(name).join("promote_secondaries"), format!("{value}\n")).unwrap();
            }
            let write = |path: PathBuf, value: &str| {
                assert_eq!((path, value), (conf.path().join("eth0/promote_secondaries"), "1"));
                if writable { Ok(()) } else { Err(io::ErrorKind::ReadOnlyFilesystem.into()) }
            };
            let found = set(conf.path(), "eth0".parse().unwrap(), Promotion::On, write).ok();
            assert_eq!(found, expected, "all={all} eth0={own} writable={writable}");
        }
    }
}
