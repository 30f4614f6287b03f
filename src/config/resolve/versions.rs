//! Which version of VRRP each family of a router speaks, and what that version cannot say: `version`,
//! `password` and `advertise_interval` together.

use crate::config::document::Key;
use crate::config::duration;
use crate::config::problem::Problems;
use crate::config::raw::RouterKeys;
use crate::protocol::InstanceSpec;
use crate::types::{AdverInterval, Authentication, Family, Version};

/// Gives each instance its version and its authentication. VRRPv2 is for IPv4 only, so that a router of
/// both families speaks VRRPv2 in IPv4 and VRRPv3 in IPv6, as keepalived does.
///
/// A key in the router's own table that has no effect is an error. Inherited from `[defaults]` it may be
/// meant for other routers.
///
/// Returns `None` only after an error was reported.
pub(super) fn resolve(
    own: &RouterKeys,
    defaults: &RouterKeys,
    instances: &mut [InstanceSpec],
    interval: Option<AdverInterval>,
    problems: &mut Problems,
) -> Option<()> {
    let before = problems.error_count();
    let version = own.version.or(&defaults.version).or_default(Version::default())?;
    for instance in &mut *instances {
        instance.version = match instance.family {
            Family::Ipv4 => version,
            Family::Ipv6 => Version::V3,
        };
    }
    let speaks = |version| instances.iter().any(|instance| instance.version == version);
    let (speaks_v2, speaks_v3) = (speaks(Version::V2), speaks(Version::V3));
    if let Some(key) = own.version.spanned().filter(|_| version == Version::V2 && !speaks_v2) {
        let message = "`version = 2` is for IPv4 only, and this router has IPv6 addresses only";
        problems.error(key.span(), message, "remove it: IPv6 always speaks VRRPv3");
    }
    if let (Some(key), true) = (own.checksum.spanned(), !speaks_v3_over_ipv4(instances) && speaks_v2) {
        let message = "`checksum` has no effect in VRRPv2, which has one checksum only";
        problems.error(key.span(), message, "remove it");
    }
    authenticate(own, defaults, version, instances, problems);
    if let (Some(interval), Some(key)) = (interval, own.interval.or(&defaults.interval).spanned()) {
        if speaks_v2 && interval.whole_seconds().is_none() {
            let seconds = interval.centiseconds().div_ceil(100);
            let message = format!(
                "VRRPv2 advertises in whole seconds, and `advertise_interval` is \"{}\"",
                duration::text(interval.period())
            );
            let help =
                format!("write advertise_interval = \"{seconds}s\", or version = 3; the same on all nodes");
            problems.error(key.span(), message, help);
        } else if speaks_v3 && interval > AdverInterval::MAX {
            let message = format!(
                "`advertise_interval` is a duration from \"10ms\" to \"40.95s\" in VRRPv3, not \"{}\"",
                duration::text(interval.period())
            );
            // Beside VRRPv2 it must be a number of whole seconds as well.
            let longest = if speaks_v2 { "40s" } else { "40.95s" };
            problems.error(key.span(), message, format!("write advertise_interval = \"{longest}\""));
        }
    }
    (problems.error_count() == before).then_some(())
}

/// `checksum` chooses between the two that VRRPv3 over IPv4 has in the field.
fn speaks_v3_over_ipv4(instances: &[InstanceSpec]) -> bool {
    instances.iter().any(|of| (of.family, of.version) == (Family::Ipv4, Version::V3))
}

/// The password, in the family that speaks VRRPv2.
fn authenticate(
    own: &RouterKeys,
    defaults: &RouterKeys,
    version: Version,
    instances: &mut [InstanceSpec],
    problems: &mut Problems,
) {
    let Some(password) = own.password.or(&defaults.password).spanned() else { return };
    match (version, &own.password, &own.version) {
        (Version::V2, ..) => {
            for instance in instances.iter_mut().filter(|instance| instance.version == Version::V2) {
                instance.authentication = Authentication::Password(*password.get_ref());
            }
        }
        // The password of `[defaults]` is for the other routers.
        (Version::V3, Key::Absent | Key::Wrong, Key::Set(_)) => {}
        (Version::V3, Key::Set(_), _) | (Version::V3, _, Key::Absent | Key::Wrong) => {
            let message = "`password` needs `version = 2`: VRRPv3 has no authentication";
            let help = "remove it, and let the firewall accept protocol 112 from the other nodes only; or add \
                        version = 2, on all nodes";
            problems.error(password.span(), message, help);
        }
    }
}
