//! The programs that a configuration runs, with the places in the text. This module cannot look at
//! files; its caller checks who may write to the programs.

use crate::config::document::Key;
use crate::config::problem::{Lines, Place};
use crate::config::raw::RawConfig;
use std::ops::Range;
use toml::Spanned;

/// The command of a check or a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where the command starts in the file.
    pub place: Place,
    /// The octets of the command.
    pub span: Range<usize>,
    /// Whether the command belongs to a check or to a hook.
    pub task: Task,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The user that must run the command; `None` if the configuration does not say.
    pub user: Option<String>,
}

/// What a program is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// A health check.
    Check,
    /// A hook.
    Hook,
}

/// The commands in the order of the text. A default of many routers is listed once for each user.
pub(super) fn list(raw: &RawConfig, lines: &Lines<'_>) -> Vec<Program> {
    let program = |task, command: &Key<Vec<String>>, user: &Key<String>| {
        let command: &Spanned<Vec<String>> = command.spanned()?;
        if command.get_ref().is_empty() {
            return None;
        }
        let span = lines.fit(&command.span());
        Some(Program {
            place: lines.place(span.start),
            span,
            task,
            command: command.get_ref().clone(),
            user: user.optional().flatten(),
        })
    };
    let checks = raw.checks.iter().filter_map(|check| program(Task::Check, &check.command, &check.user));
    let hooks = raw.routers.iter().flat_map(|router| {
        let (own, defaults) = (&router.keys.hooks, &raw.defaults.hooks);
        let user = own.user.or(&defaults.user);
        let commands = [
            own.before_active.or(&defaults.before_active),
            own.on_transition.or(&defaults.on_transition),
            own.on_drain.or(&defaults.on_drain),
            own.after_release.or(&defaults.after_release),
        ];
        commands.into_iter().filter_map(|command| program(Task::Hook, command, user)).collect::<Vec<_>>()
    });
    let mut programs: Vec<_> = checks.chain(hooks).collect();
    programs.sort_by(|a, b| (a.span.start, &a.user).cmp(&(b.span.start, &b.user)));
    programs.dedup();
    programs
}
