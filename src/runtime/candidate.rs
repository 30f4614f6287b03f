//! The file of a configuration, before anything of it runs.
//!
//! Everybody who reads one reads it here: the daemon at its start and at a reload, `--check`, `vrrpctl check`. May
//! block, as disks do.

use crate::kernel::plain_file::{self, Accept, Links};
use std::io;
use std::path::Path;

/// Octets of a configuration: some 60,000 virtual routers. What is larger is something else.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Reads the text. The path may be a link: it is the administrator's.
///
/// # Errors
/// If it cannot be read, or is no text of at most 16 MiB.
pub fn read(file: &Path, accept: Accept) -> io::Result<String> {
    plain_file::read_text(file, Links::Follow, accept, LARGEST)
}
