//! TCP services and clients: connections that must outlive a move, and requests of which each has a
//! connection of its own.
//!
//! A service answers each octet with the number of its node, so that a client knows who serves it,
//! and that it is the same node for the whole life of a connection.

use super::lab::Node;
use super::ms;
use super::namespace::Ns;
use super::wait::{Ticker, wait_for, wait_out};
use super::worker::Worker;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The TCP port of the services.
pub(crate) const PORT: u16 = 7443;
/// After this time without an answer a connection counts as hung.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long the connection of a request is open.
const OPEN_FOR: Duration = ms(30);
/// How often a long connection says something.
const EVERY: Duration = ms(20);

/// A service of one node, for both families and every address.
pub(crate) struct Service {
    _worker: Worker,
}

impl Service {
    pub(crate) fn start(node: &Node, number: u8) -> Self {
        let listener = node.ns.enter(|| {
            let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)).expect("a TCP socket");
            // As haproxy with `v4v6`: connections over IPv4 are those of an IPv6 socket.
            socket.set_only_v6(false).expect("IPV6_V6ONLY");
            socket.set_reuse_address(true).expect("SO_REUSEADDR");
            let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), PORT);
            socket.bind(&any.into()).expect("the port of the service");
            socket.listen(4096).expect("a listener");
            socket.set_nonblocking(true).expect("O_NONBLOCK");
            TcpListener::from(socket)
        });
        let worker = Worker::start(move |stop| {
            while !stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => drop(thread::spawn(move || answer(stream, number))),
                    Err(_would_block) => wait_out(ms(1)),
                }
            }
        });
        Self { _worker: worker }
    }
}

/// Answers each octet of a connection, until the client closes.
fn answer(mut stream: TcpStream, number: u8) {
    stream.set_nonblocking(false).expect("a blocking socket");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let mut octets = [0; 512];
    while let Ok(length @ 1..) = stream.read(&mut octets) {
        if stream.write_all(&vec![number; length]).is_err() {
            return;
        }
    }
}

/// How connections ended that should not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Broken {
    /// What went wrong, and how often.
    pub(crate) why: BTreeMap<String, usize>,
}

impl Broken {
    fn note(&mut self, why: impl Into<String>) {
        *self.why.entry(why.into()).or_default() += 1;
    }

    pub(crate) fn count(&self) -> usize {
        self.why.values().sum()
    }
}

/// Connections that are open all the time, each of which says something every 20 ms.
pub(crate) struct LongConnections {
    shared: Arc<Shared>,
    workers: Vec<Worker>,
}

#[derive(Default)]
struct Shared {
    broken: Mutex<Broken>,
    answers: AtomicUsize,
    open: AtomicUsize,
}

impl LongConnections {
    /// Opens this many connections from a client to an address.
    pub(crate) fn open(client: &Node, address: &str, count: usize) -> Self {
        let (shared, server) = (Arc::new(Shared::default()), SocketAddr::new(super::lab::ip(address), PORT));
        let streams: Vec<TcpStream> = client.ns.enter(|| {
            (0..count).map(|_| TcpStream::connect_timeout(&server, PATIENCE).expect("a connection")).collect()
        });
        shared.open.store(count, Ordering::Relaxed);
        let start = |stream: TcpStream| {
            let shared = Arc::clone(&shared);
            Worker::start(move |stop| {
                if let Err(why) = converse(stream, &shared, stop) {
                    shared.broken.lock().unwrap().note(why);
                }
                shared.open.fetch_sub(1, Ordering::Relaxed);
            })
        };
        let workers = streams.into_iter().map(start).collect();
        Self { shared, workers }
    }

    /// Waits until each connection was answered some more times.
    #[track_caller]
    pub(crate) fn wait_some_answers(&self) {
        let before = self.shared.answers.load(Ordering::Relaxed);
        let more = 5 * self.workers.len();
        wait_for(super::SOON, "answers on the long connections", || {
            self.shared.answers.load(Ordering::Relaxed) >= before + more || self.broken().count() > 0
        });
    }

    pub(crate) fn broken(&self) -> Broken {
        self.shared.broken.lock().unwrap().clone()
    }

    /// Closes the connections, and tells which of them were broken before.
    pub(crate) fn close(mut self) -> Broken {
        self.workers.clear();
        self.broken()
    }
}

fn converse(mut stream: TcpStream, shared: &Shared, stop: &AtomicBool) -> Result<(), String> {
    stream.set_read_timeout(Some(PATIENCE)).expect("a receive timeout");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    let mut ticker = Ticker::new(EVERY);
    let mut served_by = None;
    while !stop.load(Ordering::Relaxed) {
        ticker.tick();
        let mut answer = [0];
        stream.write_all(b"x").map_err(|error| said(&error))?;
        stream.read_exact(&mut answer).map_err(|error| said(&error))?;
        if *served_by.get_or_insert(answer[0]) != answer[0] {
            return Err("another node answers".to_owned());
        }
        shared.answers.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn said(error: &std::io::Error) -> String {
    let kind = error.kind();
    if matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut) {
        "hung".to_owned()
    } else {
        kind.to_string()
    }
}

/// A client that opens a connection for each request, many times a second.
pub(crate) struct Requests {
    worker: Option<Worker>,
    log: Arc<Mutex<RequestLog>>,
}

#[derive(Default)]
struct RequestLog {
    sent: usize,
    under_way: usize,
    broken: Broken,
    answered_by: BTreeMap<u8, usize>,
}

impl Requests {
    pub(crate) fn start(client: &Node, address: &str, rate: u32) -> Self {
        let (log, server) =
            (Arc::new(Mutex::new(RequestLog::default())), SocketAddr::new(super::lab::ip(address), PORT));
        let (ns, shared): (Ns, _) = (client.ns.clone(), Arc::clone(&log));
        let worker = Worker::start(move |stop| {
            let mut ticker = Ticker::new(Duration::from_secs(1) / rate);
            ns.enter(|| {
                while !stop.load(Ordering::Relaxed) {
                    ticker.tick();
                    let log = Arc::clone(&shared);
                    {
                        let mut log = log.lock().unwrap();
                        log.sent += 1;
                        log.under_way += 1;
                    }
                    // A thread begins in the namespace of the one that starts it.
                    thread::spawn(move || {
                        let result = request(server);
                        let mut log = log.lock().unwrap();
                        log.under_way -= 1;
                        match result {
                            Ok(node) => *log.answered_by.entry(node).or_default() += 1,
                            Err(why) => log.broken.note(why),
                        }
                    });
                }
            });
        });
        Self { worker: Some(worker), log }
    }

    /// Waits for a hundred more answers.
    #[track_caller]
    pub(crate) fn wait_some_answers(&self) {
        let answered = || self.log.lock().unwrap().answered_by.values().sum::<usize>();
        let before = answered();
        wait_for(super::SOON, "a hundred answers", || answered() >= before + 100);
    }

    /// Stops, and tells how many requests were sent, what became of those without an answer, and who
    /// answered the others.
    pub(crate) fn finish(mut self) -> (usize, Broken, BTreeMap<u8, usize>) {
        self.worker.take();
        wait_for(PATIENCE * 3, "the last answers", || self.log.lock().unwrap().under_way == 0);
        let log = self.log.lock().unwrap();
        (log.sent, log.broken.clone(), log.answered_by.clone())
    }
}

fn request(server: SocketAddr) -> Result<u8, String> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)
        .map_err(|error| format!("connect: {}", said(&error)))?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a receive timeout");
    let mut answer = [0];
    // The connection is open for a while before anything is asked: instant ones prove nothing.
    wait_out(OPEN_FOR);
    stream.write_all(b"x").map_err(|error| said(&error))?;
    stream.read_exact(&mut answer).map_err(|error| said(&error))?;
    Ok(answer[0])
}
