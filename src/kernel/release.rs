//! Whether this kernel is new enough.

use std::fs;

/// From 5.18 on the kernel keeps who added an address (IFA_PROTO). Before, the attribute is ignored without a word: what
/// a dead run left behind could not be told from what is somebody else's.
const OLDEST: (u32, u32) = (5, 18);

/// The release of this kernel, if it is too old. One that does not tell is taken for new.
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
