//! Why the agent cannot start, or ended on its own.

use crate::control::BindError;
use crate::kernel::capabilities::Missing;
use crate::kernel::keeper::KeeperError;
use crate::kernel::monitor::MonitorError;
use crate::kernel::namespace_lock::NamespaceLockError;
use std::io;

/// Name of the task that carries out configurations.
pub(super) const RELOADER: &str = "configuration";
/// Name of the thread that runs the core.
pub(super) const PROTOCOL: &str = "vrrp-protocol";
/// Name of the thread that installs addresses.
pub(super) const ADDRESSES: &str = "vrrp-addresses";
/// Name of the task that watches interfaces.
pub(super) const MONITOR: &str = "monitor";

/// Why the agent cannot start, or ended on its own.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A capability is missing.
    #[error("{}", describe(.0))]
    Privileges(Vec<Missing>),
    /// The kernel is too old.
    #[error(
        "this kernel ({0}) does not record which program added an address, so vrrpd could not tell its own addresses from \
         yours. It needs Linux 5.18 or newer"
    )]
    Kernel(String),
    /// Another daemon runs in this network namespace.
    #[error(transparent)]
    NamespaceLock(#[from] NamespaceLockError),
    /// The state directory cannot be used; the text is that of [`StateError`](crate::runtime).
    #[error("{0}")]
    State(String),
    /// The control socket cannot be made.
    #[error(transparent)]
    Control(#[from] BindError),
    /// The address thread cannot be started.
    #[error("cannot manage addresses")]
    Keeper(#[from] KeeperError),
    /// The netlink monitor cannot be started, or has ended.
    #[error("cannot watch the interfaces")]
    Monitor(#[from] MonitorError),
    /// The system refused a thread, a timer, a signal handler or the like.
    #[error("cannot {step}")]
    System {
        /// The step that failed.
        step: &'static str,
        /// The error of the kernel.
        #[source]
        source: io::Error,
    },
    /// A thread or task has ended that must not.
    #[error("the {thread} thread ended: {why}")]
    Died {
        /// The name of the thread or task.
        thread: &'static str,
        /// Why it ended.
        why: String,
    },
}

pub(super) fn died(thread: &'static str, why: String) -> RunError {
    RunError::Died { thread, why }
}

/// Makes the error of this step from an error of the system.
pub(super) fn system(step: &'static str) -> impl Fn(io::Error) -> RunError {
    move |source| RunError::System { step, source }
}

fn describe(missing: &[Missing]) -> String {
    let mut text = String::from("this process does not have the capabilities that vrrpd needs:");
    for Missing { name, purpose } in missing {
        text.push_str(&format!("\n  {name} {purpose}"));
    }
    text.push_str("\nRun it as root, or grant them: in a systemd unit\n");
    text.push_str("  AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW\n");
    text.push_str("or, to the program itself,\n  setcap cap_net_admin,cap_net_raw+ep /usr/sbin/vrrpd");
    text
}
