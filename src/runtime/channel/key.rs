//! Reads the key that all nodes share.

use crate::kernel::plain_file::{self, Accept, Links};
use crate::wire::channel::{ChannelKey, ChannelKeyTooShort};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The longest file in octets: more is not a key.
const LARGEST: u64 = 1 << 20;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(in crate::runtime) enum KeyProblem {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("everybody can read it, so that it is no secret. Run: chmod 640 {0}")]
    Public(String),
    #[error("{0}. To make one: head -c 32 /dev/urandom | base64")]
    TooShort(#[from] ChannelKeyTooShort),
}

/// Reads a key. May block, as disks do. Line ends after the key do not belong to it, because
/// editors add them.
pub(in crate::runtime) fn read(path: &Path) -> Result<ChannelKey, KeyProblem> {
    let octets = plain_file::read_octets(path, Links::Follow, Accept::Regular, LARGEST)?;
    if fs::metadata(path)?.permissions().mode() & 0o007 != 0 {
        return Err(KeyProblem::Public(path.display().to_string()));
    }
    let end = octets.iter().rposition(|octet| !matches!(octet, b'\n' | b'\r')).map_or(0, |last| last + 1);
    Ok(ChannelKey::new(octets.get(..end).unwrap_or_default())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;

    fn judged(content: &[u8], mode: u32) -> Result<ChannelKey, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peer.key");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        read(&path).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_key_is_the_same_with_and_without_a_line_end() {
        let key = ChannelKey::new(&[b'k'; 32]).unwrap();
        for content in
            [&[b'k'; 32][..], &[&[b'k'; 32][..], b"\n"].concat(), &[&[b'k'; 32][..], b"\r\n"].concat()]
        {
            assert_eq!(judged(content, 0o640), Ok(key.clone()));
        }
    }

    #[test]
    fn a_key_that_is_short_public_or_missing_is_refused_with_the_remedy() {
        let short = judged(&[b'k'; 31], 0o600).unwrap_err();
        assert!(short.contains("has 31") && short.contains("head -c 32 /dev/urandom"), "{short}");
        assert!(judged(b"\n\n\n", 0o600).unwrap_err().contains("has 0"));
        let public = judged(&[b'k'; 32], 0o644).unwrap_err();
        assert!(public.contains("chmod 640"), "{public}");
        let missing = read(Path::new("/nowhere/peer.key")).unwrap_err().to_string();
        assert!(missing.contains("cannot be read"), "{missing}");
    }
}
