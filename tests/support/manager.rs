//! A service manager, as far as a service sees it: a datagram socket for its messages, and a
//! watchdog that needs messages in time.

use super::SOON;
use super::wait::{now, wait_some};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A message to the service manager, and when it was received.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) at: Instant,
    pub(crate) text: String,
}

/// The socket of a service manager, which is read as long as this value lives.
pub(crate) struct ServiceManager {
    path: PathBuf,
    told: Arc<Mutex<Vec<Told>>>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// Listens in `dir`; with a `watchdog`, demands a message in each such period.
    pub(crate) fn start(dir: &Path, watchdog: Option<Duration>) -> Self {
        let path = dir.join("notify.sock");
        let socket = UnixDatagram::bind(&path).expect("a socket to be told through");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a receive timeout");
        let (told, stop) = (Arc::<Mutex<Vec<Told>>>::default(), Arc::<AtomicBool>::default());
        let reader = thread::spawn({
            let (told, stop) = (Arc::clone(&told), Arc::clone(&stop));
            move || {
                let mut text = [0; 4096];
                while !stop.load(Ordering::Relaxed) {
                    let Ok(length) = socket.recv(&mut text) else { continue };
                    let text = String::from_utf8_lossy(&text[..length]).into_owned();
                    told.lock().unwrap().push(Told { at: now(), text });
                }
            }
        });
        Self { path, told, stop, reader: Some(reader), watchdog }
    }

    /// The environment variables that a service receives.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let mut variables = vec![("NOTIFY_SOCKET".to_owned(), self.path.display().to_string())];
        let usec = self.watchdog.map(|limit| limit.as_micros().to_string());
        variables.extend(usec.map(|usec| ("WATCHDOG_USEC".to_owned(), usec)));
        variables
    }

    /// All messages so far.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// The lines of all messages so far, without those for the watchdog.
    pub(crate) fn lines(&self) -> Vec<String> {
        let told = self.told();
        let lines = told.iter().flat_map(|told| told.text.lines());
        lines.filter(|line| *line != "WATCHDOG=1").map(str::to_owned).collect()
    }

    /// When messages for the watchdog were received.
    pub(crate) fn beats(&self) -> Vec<Instant> {
        let fed = |told: &Told| told.text.lines().any(|line| line == "WATCHDOG=1");
        self.told().into_iter().filter(fed).map(|told| told.at).collect()
    }

    /// Waits for this line, and returns when it was received.
    #[track_caller]
    pub(crate) fn wait_line(&self, line: &str) -> Instant {
        let found = || self.told().into_iter().find(|told| told.text.lines().any(|one| one == line));
        wait_some(SOON, format!("the service manager is told {line:?}, not {:?}", self.lines()), found).at
    }
}

impl Drop for ServiceManager {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ended: thread::Result<()> = reader.join();
        }
        if thread::panicking() {
            eprintln!("---- the service manager was told ----\n{:?}", self.lines());
        }
    }
}
