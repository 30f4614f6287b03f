//! Whether the release of this kernel is new enough.

use std::fs;

/// From 5.18 on the kernel stores who added an address (IFA_PROTO). Older kernels ignore the
/// attribute without an error: addresses that a crashed run left behind could not be told from
/// those of other programs.
const OLDEST: (u32, u32) = (5, 18);

/// The release of this kernel, if it is too old. A release that cannot be read counts as new
/// enough.
#[must_use]
pub fn too_old() -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let release = release.trim();
    version(release).filter(|version| *version < OLDEST).map(|_| release.to_owned())
}

/// Major and minor of `6.1.0-18-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next()?, numbers.next()?) {
        (Ok(major), Ok(minor)) => Some((major, minor)),
        (Ok(_) | Err(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_as_numbers() {
        for (release, new) in [
            ("6.1.0-18-amd64", true),
            ("5.18.0", true),
            ("10.0", true),
            ("5.15.0-101-generic", false),
            ("5.4", false),
            ("4.19.0-26-amd64", false),
        ] {
            assert_eq!(version(release).map(|version| version >= OLDEST), Some(new), "{release}");
        }
        assert_eq!(version("rolling"), None);
    }

    #[test]
    fn this_one_is_new_enough_for_the_tests_to_mean_anything() {
        assert_eq!(too_old(), None);
    }
}
