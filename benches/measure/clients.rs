//! A TCP service and a client for many connections a second: one thread each, whatever the number of
//! connections, because a thread for each would cost more than what is measured.

#![allow(clippy::disallowed_methods, reason = "a load generator: what it makes is a rate")]

use super::samples::{Samples, milliseconds};
use crate::support::tcp::PORT;
use crate::support::{Node, Worker, ms, wait_for};
use socket2::{Domain, Protocol, Socket, Type};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{interval, sleep, timeout};

/// After this time without an answer a request is lost.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long the connection of a request is open before it asks.
const OPEN_FOR: Duration = ms(30);

/// A service for both families and every address of a node, which answers each octet with the number
/// of the node.
pub(crate) struct BusyService {
    _worker: Worker,
}

impl BusyService {
    pub(crate) fn start(node: &Node, number: u8) -> Self {
        let node = node.clone();
        let worker = Worker::start(move |stop| {
            node.ns.enter(|| until_stopped(stop, serve(PORT, number)));
        });
        Self { _worker: worker }
    }
}

/// Answers each octet of each connection to a port with the number of the node.
pub(crate) async fn serve(port: u16, number: u8) {
    let listener = listener(port).expect("the port of the service");
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        tokio::spawn(answer(stream, number));
    }
}

/// Listens on a port, for both families and every address.
pub(crate) fn listener(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_only_v6(false)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port).into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

async fn answer(mut stream: TcpStream, number: u8) {
    let mut octet = [0];
    while let Ok(1..) = stream.read(&mut octet).await {
        if stream.write_all(&[number]).await.is_err() {
            return;
        }
    }
}

/// Runs a task until the thread is told to stop.
pub(crate) fn until_stopped(stop: &AtomicBool, work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let stopped = async {
        let mut looks = interval(ms(20));
        while !stop.load(Ordering::Relaxed) {
            looks.tick().await;
        }
    };
    runtime.block_on(async {
        tokio::select! {
            () = work => {}
            () = stopped => {}
        }
    });
}

/// A client that opens a connection for each request.
pub(crate) struct BusyClient {
    worker: Option<Worker>,
    log: Arc<Mutex<RequestLog>>,
    server: SocketAddr,
}

/// A request without an answer.
#[derive(Debug, Clone)]
pub(crate) struct LostRequest {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// The client's port, if there was a connection.
    pub(crate) port: Option<u16>,
    pub(crate) why: String,
}

/// What became of the requests of a client.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestLog {
    pub(crate) sent: usize,
    under_way: usize,
    answered: usize,
    pub(crate) lost: Vec<LostRequest>,
    /// How long the others took, without the time for which they kept quiet.
    pub(crate) took: Vec<f64>,
}

impl BusyClient {
    pub(crate) fn start(client: &Node, server: SocketAddr, rate: u32) -> Self {
        let (node, log) = (client.clone(), Arc::new(Mutex::new(RequestLog::default())));
        let shared = Arc::clone(&log);
        let worker = Worker::start(move |stop| {
            node.ns.enter(|| until_stopped(stop, send(server, rate, &shared)));
        });
        Self { worker: Some(worker), log, server }
    }

    /// Waits for a hundred more answers.
    #[track_caller]
    pub(crate) fn wait_some_answers(&self) {
        let before = self.log.lock().unwrap().answered;
        wait_for(PATIENCE * 2, format!("a hundred answers of {}", self.server), || {
            self.log.lock().unwrap().answered >= before + 100
        });
    }

    /// Stops, and tells what became of the requests. Those that are under way do not count.
    pub(crate) fn finish(mut self) -> RequestLog {
        self.worker.take();
        let mut log = self.log.lock().unwrap().clone();
        log.sent -= log.under_way;
        log
    }
}

async fn send(server: SocketAddr, rate: u32, log: &Arc<Mutex<RequestLog>>) {
    // A tick that is late is made up for.
    let mut ticks = interval(Duration::from_secs(1) / rate);
    loop {
        ticks.tick().await;
        {
            let mut log = log.lock().unwrap();
            log.sent += 1;
            log.under_way += 1;
        }
        let log = Arc::clone(log);
        tokio::spawn(async move {
            let began = Instant::now();
            let mut port = None;
            let result = timeout(PATIENCE, ask(server, &mut port)).await;
            let took = began.elapsed().saturating_sub(OPEN_FOR);
            let mut log = log.lock().unwrap();
            log.under_way -= 1;
            let why = match result {
                Ok(Ok(())) => {
                    log.answered += 1;
                    log.took.push(milliseconds(took));
                    return;
                }
                Ok(Err(error)) => error.kind().to_string(),
                Err(_patience) => "hung".to_owned(),
            };
            log.lost.push(LostRequest { began, ended: Instant::now(), port, why });
        });
    }
}

async fn ask(server: SocketAddr, port: &mut Option<u16>) -> io::Result<()> {
    let mut stream = TcpStream::connect(server).await?;
    *port = Some(stream.local_addr()?.port());
    sleep(OPEN_FOR).await;
    stream.write_all(b"x").await?;
    match stream.read(&mut [0]).await? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _one => Ok(()),
    }
}

impl RequestLog {
    /// How long the answered requests of both clients took.
    pub(crate) fn samples(logs: &[Self]) -> Samples {
        Samples::from(logs.iter().flat_map(|log| log.took.iter().copied()).collect::<Vec<_>>())
    }
}
