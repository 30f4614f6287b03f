//! What a frontend serves: requests of 30 ms, and long connections of each kind. nginx and haproxy are
//! the real ones; the other services are this program's own, so that clients can check each octet.

use crate::long::LongKind;
use crate::measure::clients::{BusyService, listener, until_stopped};
use crate::support::process::Process;
use crate::support::{Node, SOON, Worker, ms, wait_for};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpStream as BlockingStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

/// How often a part of a download or of an upload is sent.
pub(crate) const PART_EVERY: Duration = ms(10);
/// How often the server of events sends one.
pub(crate) const EVENT_EVERY: Duration = ms(40);
/// The octets of a body count from 0 to this prime, again and again, so that a part that is missing or
/// that came twice is noticed.
pub(crate) const CYCLE: usize = 251;
/// Octets in a part: 1.6 MB a second.
pub(crate) const PART: usize = 65 * CYCLE;
/// The bodies of uploads are the same for all nodes.
pub(crate) const NO_NODE: u8 = 0;

/// The services of one node, which end with it.
pub(crate) struct Frontend {
    _requests: BusyService,
    _streams: Worker,
    _nginx: Process,
    _haproxy: Process,
}

impl Frontend {
    /// Starts everything, and waits until it listens.
    pub(crate) fn start(node: &Node, number: u8) -> Self {
        let inside = node.clone();
        let streams = Worker::start(move |stop| inside.ns.enter(|| until_stopped(stop, stream(number))));
        let frontend = Self {
            _requests: BusyService::start(node, number),
            _streams: streams,
            _nginx: start_nginx(node, number),
            _haproxy: start_haproxy(node),
        };
        for kind in LongKind::ALL {
            wait_for(SOON, format!("the service for {} on {} listens", kind.label(), node.name), || {
                node.ns.enter(|| BlockingStream::connect((Ipv4Addr::LOCALHOST, kind.port())).is_ok())
            });
        }
        frontend
    }
}

/// One part of a body of a node.
pub(crate) fn part(node: u8) -> Vec<u8> {
    (0..PART).map(|at| octet(node, at)).collect()
}

/// The octet of a body at this place.
pub(crate) fn octet(node: u8, at: usize) -> u8 {
    u8::try_from(at % CYCLE).expect("less than the cycle") ^ node
}

/// Serves downloads, uploads and events.
async fn stream(node: u8) {
    tokio::join!(
        serve(LongKind::Download, move |stream| send_body(stream, node)),
        serve(LongKind::Upload, move |stream| receive_body(stream, node)),
        serve(LongKind::Events, move |stream| send_events(stream, node)),
    );
}

async fn serve<F>(kind: LongKind, answer: impl Fn(TcpStream) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = listener(kind.port()).expect("the port of a service");
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        let answer = answer(stream);
        tokio::spawn(async move {
            // It ends when the client has gone; a client that has not gone notices that itself.
            let _ended: io::Result<()> = answer.await;
        });
    }
}

async fn send_body(mut stream: TcpStream, node: u8) -> io::Result<()> {
    let part = part(node);
    let mut ticks = interval(PART_EVERY);
    // After a pause the body goes on as fast as before, and not faster.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        stream.write_all(&part).await?;
    }
}

/// Confirms each part.
async fn receive_body(mut stream: TcpStream, node: u8) -> io::Result<()> {
    let wanted = part(NO_NODE);
    let mut received = vec![0; PART];
    loop {
        stream.read_exact(&mut received).await?;
        if received != wanted {
            return Err(ErrorKind::InvalidData.into());
        }
        stream.write_all(&[node]).await?;
    }
}

async fn send_events(mut stream: TcpStream, node: u8) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut ticks = interval(EVENT_EVERY);
    for id in 0_u64.. {
        ticks.tick().await;
        stream.write_all(format!("id: {id}\ndata: node {node}\n\n").as_bytes()).await?;
    }
    Ok(())
}

/// nginx answers with the number of the node.
fn start_nginx(node: &Node, number: u8) -> Process {
    let dir = node.dir();
    let temporary = |name: &str| format!("{name}_temp_path {};\n", dir.join(name).display());
    let temporary: String =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].iter().map(|name| temporary(name)).collect();
    // The usual limit of 1,000 requests for each connection would end it after 20 seconds.
    let text = format!(
        "daemon off;\nuser root;\nworker_processes 1;\npid {pid};\nerror_log {log};\n\
         events {{ worker_connections 1024; }}\n\
         http {{\naccess_log off;\nkeepalive_requests 100000000;\nkeepalive_timeout 1h;\n{temporary}\
         server {{\nlisten {port};\nlisten [::]:{port};\n\
         location / {{ return 200 \"node {number}\\n\"; }}\n}}\n}}\n",
        pid = dir.join("nginx.pid").display(),
        log = dir.join("nginx.error.log").display(),
        port = LongKind::Nginx.port(),
    );
    let config = write(dir, "nginx.conf", &text);
    let mut command = Command::new("nginx");
    command.arg("-e").arg(dir.join("nginx.error.log")).arg("-c").arg(config);
    node.spawn("nginx", &mut command)
}

/// haproxy asks the nginx of its own node. Its listener is one for both families, so that connections
/// over IPv4 are those of an IPv6 socket.
fn start_haproxy(node: &Node) -> Process {
    let text = format!(
        "defaults\n mode http\n timeout connect 2s\n timeout client 1m\n timeout server 1m\n\
         frontend web\n bind :::{} v4v6\n default_backend local\n\
         backend local\n server nginx 127.0.0.1:{}\n",
        LongKind::Haproxy.port(),
        LongKind::Nginx.port(),
    );
    let config = write(node.dir(), "haproxy.cfg", &text);
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(config);
    node.spawn("haproxy", &mut command)
}

fn write(dir: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}
