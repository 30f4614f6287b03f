//! The users that checks and hooks run as.
//!
//! Owns who that is where the configuration names nobody: checks get a user of their own where there is one and the
//! daemon may change users (docs/adr/0021).

use super::patience::{Errand, aside};
use super::process::FailureKind;
use crate::kernel::capabilities;
use nix::unistd::{User, getgrouplist};
use std::ffi::CString;
use std::sync::{Arc, OnceLock};

/// For checks of which the configuration does not say as whom they run. The package makes it.
const CHECKS: &str = "vrrpd-check";

/// A user, with the groups that a login would have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Arc<[u32]>,
}

impl Account {
    /// Asks the name service. That may take as long as its servers like, and cannot be ended: not on the
    /// runtime's own thread, and whoever asks again and again should wait for the same answer.
    pub(super) fn look_up(name: &str) -> Errand<Result<Self, FailureKind>> {
        let name = name.to_owned();
        aside(move || Self::of(&name))
    }

    fn of(name: &str) -> Result<Self, FailureKind> {
        let cannot = |error| FailureKind::CouldNotRun(format!("cannot look up \"{name}\": {error}"));
        let user = User::from_name(name).map_err(cannot)?;
        let user = user.ok_or_else(|| FailureKind::CouldNotRun(format!("no user \"{name}\"")))?;
        // A name that was found has no NUL in it.
        let name = CString::new(user.name).unwrap_or_default();
        let groups = getgrouplist(&name, user.gid).map_err(cannot)?;
        let groups = groups.into_iter().map(nix::unistd::Gid::as_raw).collect();
        Ok(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups })
    }
}

/// The user of checks that name none; `None`: the daemon's. Found out once: a name service that is down later must not
/// change in whose name a check runs.
pub(super) fn for_checks() -> Option<&'static str> {
    static FOUND: OnceLock<Option<&'static str>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let exists = || {
            let user = User::from_name(CHECKS).ok().flatten();
            user.is_some_and(|user| capabilities::knows_user(user.uid.as_raw()))
        };
        (capabilities::may_change_users() && exists()).then_some(CHECKS)
    })
}
