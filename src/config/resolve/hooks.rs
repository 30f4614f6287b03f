//! The hooks of one `[[virtual_router]]`, with those of `[defaults]` where it has none.

use crate::config::problem::Problems;
use crate::config::raw::HookKeys;
use crate::config::{HookKind, RouterHooks};
use std::time::Duration;

/// Returns `None` if an error was reported, and `Some(None)` if the router has no hooks.
pub(super) fn resolve(own: &HookKeys, defaults: &HookKeys) -> Option<Option<RouterHooks>> {
    let timeout = own.timeout.or(&defaults.timeout).or_default(RouterHooks::DEFAULT_TIMEOUT);
    let before_active_timeout = own
        .before_active_timeout
        .or(&defaults.before_active_timeout)
        .or_default(RouterHooks::DEFAULT_BEFORE_ACTIVE_TIMEOUT);
    let user = own.user.or(&defaults.user).optional();
    let commands = [
        (HookKind::BeforeActive, own.before_active.or(&defaults.before_active).or_default(Vec::new())?),
        (HookKind::OnTransition, own.on_transition.or(&defaults.on_transition).or_default(Vec::new())?),
        (HookKind::OnDrain, own.on_drain.or(&defaults.on_drain).or_default(Vec::new())?),
        (HookKind::AfterRelease, own.after_release.or(&defaults.after_release).or_default(Vec::new())?),
    ];
    let hooks = RouterHooks {
        commands: commands.into_iter().filter(|(_, command)| !command.is_empty()).collect(),
        timeout: timeout?,
        before_active_timeout: before_active_timeout?,
        user: user?,
    };
    Some((!hooks.commands.is_empty()).then_some(hooks))
}

/// Warns if a takeover may wait for its hook longer than other routers wait for a dead Active: they
/// would take over first.
pub(super) fn advise(own: &HookKeys, hooks: &RouterHooks, interval: Duration, problems: &mut Problems) {
    if let Some(set) = own.before_active_timeout.spanned()
        && hooks.commands.contains_key(&HookKind::BeforeActive)
        && hooks.before_active_timeout > interval * 3
    {
        let message = "a takeover may wait longer for this than the other routers wait for a dead Active";
        problems.warning(set.span(), message, "write a shorter time, or do the work in `on_transition`");
    }
}
