//! The composition root: joins the control socket, the threads and tasks of `runtime`, and the log.
//! None of these names another.
//!
//! [`build`] starts the agent, [`run`](mod@run) is its main loop, [`stop`] its end; [`dispatcher`]
//! is what the main thread does with the messages that it receives. `vrrpd --clean-up` is
//! [`clean_up`].
//!
//! Everything here may be slow: nothing that the protocol must do on time passes through this
//! thread. The thread must not stop, though: checks, control, the watchdog and the end of the agent
//! run on it (docs/adr/0020).

mod build;
pub mod clean_up;
mod dispatcher;
mod error;
mod notices;
mod resume;
mod run;
mod signals;
mod stop;
#[cfg(test)]
mod test_agent;

pub use error::RunError;

use self::error::system;
use crate::config::Config;
use crate::control::metrics::LogLinesDropped;
use crate::kernel::capabilities::{self, Powers};
use crate::kernel::release;
use crate::runtime::spare_memory;
use std::path::PathBuf;

/// The configuration that the agent runs, its paths, and what it cannot know itself.
pub struct DaemonSettings {
    /// The configuration.
    pub config: Config,
    /// The privileges that root keeps.
    pub powers: Powers,
    /// The file that the configuration was read from, and is read from again at a reload.
    pub config_file: PathBuf,
    /// The path of the control socket.
    pub socket: PathBuf,
    /// The directory in which demotions are kept over a restart.
    pub state_dir: PathBuf,
    /// Returns how many lines of the log were lost.
    pub log_lines_dropped: LogLinesDropped,
}

/// Runs the agent until SIGTERM or SIGINT; then hands over, releases every address and returns.
///
/// # Errors
/// [`RunError`]; no address is left behind in that case either.
pub fn run(settings: DaemonSettings) -> Result<(), RunError> {
    check_privileges()?;
    if let Some(release) = release::too_old() {
        return Err(RunError::Kernel(release));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("start the event loop"))?;
    let outcome = runtime.block_on(live(settings));
    // A disk that hangs must not keep the process from ending.
    runtime.shutdown_background();
    outcome
}

fn check_privileges() -> Result<(), RunError> {
    let missing = capabilities::missing().map_err(system("read this process's capabilities"))?;
    if missing.is_empty() { Ok(()) } else { Err(RunError::Privileges(missing)) }
}

/// Runs the agent from its start to its end.
async fn live(settings: DaemonSettings) -> Result<(), RunError> {
    let opened = build::open(settings)?;
    let build::StartedAgent { mut agent, mut signals, _namespace_lock } = build::start(opened)?;
    spare_memory::give_back_soon();
    let outcome = run::run(&mut agent, &mut signals).await;
    let replace_protocol = async |config: &Config, keeper: &_| {
        if let Err(error) = clean_up::replace_protocol_thread(config, keeper).await {
            tracing::error!(%error, "no router could be handed over before its addresses are removed");
        }
    };
    stop::stop(agent, &outcome, &mut signals, replace_protocol).await;
    outcome
}
