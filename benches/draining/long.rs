//! Long connections of six kinds, all of them of one client and on one thread. Each checks everything
//! that it receives, and counts it: a connection on which nothing moves would prove nothing.

use crate::frontend::{CYCLE, NO_NODE, PART, PART_EVERY, octet, part};
use crate::measure::clients::until_stopped;
use crate::measure::samples::milliseconds;
use crate::support::lab::ip;
use crate::support::tcp::PORT;
use crate::support::wait::now;
use crate::support::{Node, SOON, Worker, ms, wait_for};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// After this time without an answer a connection is cut. Where nothing keeps connections, some of them
/// are never told, and the next move waits for this.
const PATIENCE: Duration = Duration::from_secs(4);
/// How often a connection asks that is asking.
const EVERY: Duration = ms(20);

/// What a long connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LongKind {
    /// The server sends without an end.
    Download,
    /// The client sends without an end, and the server confirms each part.
    Upload,
    /// Requests to nginx, all of them on one connection.
    Nginx,
    /// Requests to haproxy, likewise.
    Haproxy,
    /// An octet there and back.
    Echo,
    /// Events that the server sends (SSE).
    Events,
}

impl LongKind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Download, Self::Upload, Self::Nginx, Self::Haproxy, Self::Echo, Self::Events];

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Upload => "upload",
            Self::Nginx => "keep-alive of nginx",
            Self::Haproxy => "keep-alive of haproxy",
            Self::Echo => "echo",
            Self::Events => "events (SSE)",
        }
    }

    pub(crate) const fn port(self) -> u16 {
        match self {
            Self::Echo => PORT,
            Self::Download => PORT + 1,
            Self::Upload => PORT + 2,
            Self::Events => PORT + 3,
            Self::Nginx => PORT + 4,
            Self::Haproxy => PORT + 5,
        }
    }

    /// What is counted, and how much of it shows that a connection goes on.
    const fn unit(self) -> (&'static str, u64) {
        match self {
            Self::Download | Self::Upload => ("octets", 5 * PART as u64),
            Self::Nginx | Self::Haproxy | Self::Echo => ("answers", 5),
            Self::Events => ("events", 5),
        }
    }
}

/// The client's end of one connection.
struct LongConnection {
    kind: LongKind,
    address: &'static str,
    journal: Mutex<LongJournal>,
}

/// What has happened on a connection.
struct LongJournal {
    amount: u64,
    last: Instant,
    longest_pause: Duration,
    /// Why it is cut.
    cut: Option<String>,
}

impl LongConnection {
    fn new(kind: LongKind, address: &'static str) -> Self {
        let journal = LongJournal { amount: 0, last: now(), longest_pause: Duration::ZERO, cut: None };
        Self { kind, address, journal: Mutex::new(journal) }
    }

    /// Notes that something has arrived.
    fn note(&self, amount: usize) {
        let mut journal = self.journal.lock().unwrap();
        journal.amount += u64::try_from(amount).expect("an amount");
        let at = now();
        journal.longest_pause = journal.longest_pause.max(at - journal.last);
        journal.last = at;
    }

    fn amount(&self) -> u64 {
        self.journal.lock().unwrap().amount
    }

    fn is_cut(&self) -> bool {
        self.journal.lock().unwrap().cut.is_some()
    }
}

/// What became of the connections of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KindTally {
    pub(crate) opened: usize,
    pub(crate) cut: usize,
    amount: u64,
    longest_pause: Duration,
}

/// A client with long connections.
pub(crate) struct LongClient {
    orders: UnboundedSender<Arc<LongConnection>>,
    open: Vec<Arc<LongConnection>>,
    tallies: BTreeMap<LongKind, KindTally>,
    worker: Worker,
}

impl LongClient {
    pub(crate) fn start(client: &Node) -> Self {
        let (orders, received) = unbounded_channel();
        let node = client.clone();
        let worker = Worker::start(move |stop| node.ns.enter(|| until_stopped(stop, converse_all(received))));
        Self { orders, open: Vec::new(), tallies: BTreeMap::new(), worker }
    }

    /// Opens a connection of each kind to this address.
    pub(crate) fn open_each(&mut self, address: &'static str) {
        LongKind::ALL.iter().for_each(|kind| self.open(*kind, address));
    }

    fn open(&mut self, kind: LongKind, address: &'static str) {
        let connection = Arc::new(LongConnection::new(kind, address));
        self.tallies.entry(kind).or_default().opened += 1;
        self.open.push(Arc::clone(&connection));
        self.orders.send(connection).expect("the thread of the connections runs");
    }

    /// Waits until each connection has gone on for a while, or is cut.
    #[track_caller]
    pub(crate) fn wait_some_answers(&self) {
        let wanted: Vec<u64> = self.open.iter().map(|one| one.amount() + one.kind.unit().1).collect();
        let goes_on = |(one, wanted): (&Arc<LongConnection>, &u64)| one.is_cut() || one.amount() >= *wanted;
        wait_for(SOON, "answers on all long connections", || self.open.iter().zip(&wanted).all(goes_on));
    }

    /// Puts another connection in the place of each one that is cut, and says which these are.
    pub(crate) fn replace_cut(&mut self, when: &str) {
        let (cut, whole): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.open).into_iter().partition(|one| one.is_cut());
        self.open = whole;
        for one in cut {
            self.count(&one, when);
            self.open(one.kind, one.address);
        }
    }

    /// Closes all connections, and tells what became of those of each kind.
    pub(crate) fn finish(mut self) -> BTreeMap<LongKind, KindTally> {
        let open = std::mem::take(&mut self.open);
        // What is cut from now on is cut by us.
        open.iter().for_each(|one| self.count(one, "at the end"));
        let Self { worker, tallies, .. } = self;
        drop(worker);
        for (kind, tally) in &tallies {
            eprintln!(
                "{}: {} opened, {} cut, {} {}, longest pause {:.0} ms",
                kind.label(),
                tally.opened,
                tally.cut,
                tally.amount,
                kind.unit().0,
                milliseconds(tally.longest_pause),
            );
        }
        tallies
    }

    fn count(&mut self, one: &LongConnection, when: &str) {
        let tally = self.tallies.entry(one.kind).or_default();
        let journal = one.journal.lock().unwrap();
        tally.amount += journal.amount;
        tally.longest_pause = tally.longest_pause.max(journal.longest_pause);
        if let Some(why) = &journal.cut {
            tally.cut += 1;
            let (kind, (unit, _)) = (one.kind.label(), one.kind.unit());
            eprintln!("{}: {kind} cut {when}, after {} {unit}: {why}", one.address, journal.amount);
        }
    }
}

/// Begins each connection that is ordered.
async fn converse_all(mut orders: UnboundedReceiver<Arc<LongConnection>>) {
    while let Some(connection) = orders.recv().await {
        tokio::spawn(async move {
            let Err(why) = converse(&connection).await;
            connection.journal.lock().unwrap().cut = Some(why);
        });
    }
}

/// Goes on until something is wrong.
async fn converse(connection: &LongConnection) -> Result<Infallible, String> {
    let server = SocketAddr::new(ip(connection.address), connection.kind.port());
    let stream = patiently(TcpStream::connect(server)).await.map_err(|why| format!("connecting: {why}"))?;
    stream.set_nodelay(true).expect("TCP_NODELAY");
    match connection.kind {
        LongKind::Download => download(stream, connection).await,
        LongKind::Upload => upload(stream, connection).await,
        LongKind::Nginx | LongKind::Haproxy => keep_asking(stream, connection).await,
        LongKind::Echo => echo(stream, connection).await,
        LongKind::Events => listen(stream, connection).await,
    }
}

async fn download(mut stream: TcpStream, connection: &LongConnection) -> Result<Infallible, String> {
    let (mut at, mut node, mut buffer) = (0, None, vec![0; 4 * PART]);
    loop {
        let length = patiently(stream.read(&mut buffer)).await?;
        let received = buffer.get(..length).unwrap_or_default();
        // The first octet of a body is the number of the node.
        let Some(node) = node.or(received.first().copied()).inspect(|one| node = Some(*one)) else {
            return Err("closed".to_owned());
        };
        if length == 0 {
            return Err("closed".to_owned());
        }
        if (at..).zip(received).any(|(at, one)| octet(node, at) != *one) {
            return Err("other octets than those that were sent".to_owned());
        }
        at = (at + length) % CYCLE;
        connection.note(length);
    }
}

async fn upload(mut stream: TcpStream, connection: &LongConnection) -> Result<Infallible, String> {
    let (mut receiving, mut sending) = stream.split();
    let send = async {
        let part = part(NO_NODE);
        let mut ticks = interval(PART_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            patiently(sending.write_all(&part)).await?;
        }
    };
    let confirmed = async {
        let mut node = ServingNode::default();
        loop {
            node.is(&patiently(receiving.read_u8()).await?.to_string())?;
            connection.note(PART);
        }
    };
    // Whichever fails first is why the connection is cut.
    tokio::select! {
        cut = send => cut,
        cut = confirmed => cut,
    }
}

async fn keep_asking(stream: TcpStream, connection: &LongConnection) -> Result<Infallible, String> {
    let (mut stream, mut node) = (BufReader::new(stream), ServingNode::default());
    let mut ticks = interval(EVERY);
    loop {
        ticks.tick().await;
        patiently(stream.write_all(b"GET / HTTP/1.1\r\nHost: web.example.org\r\n\r\n")).await?;
        let status = line(&mut stream).await?;
        if !status.starts_with("HTTP/1.1 200 ") {
            return Err(format!("answered {status:?}"));
        }
        let mut length = 0;
        loop {
            let header = line(&mut stream).await?.to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(|error| format!("{header:?}: {error}"))?;
            }
        }
        let mut body = vec![0; length];
        patiently(stream.read_exact(&mut body)).await?;
        node.is(&String::from_utf8_lossy(&body))?;
        connection.note(1);
    }
}

async fn echo(mut stream: TcpStream, connection: &LongConnection) -> Result<Infallible, String> {
    let mut node = ServingNode::default();
    let mut ticks = interval(EVERY);
    loop {
        ticks.tick().await;
        patiently(stream.write_all(b"x")).await?;
        node.is(&patiently(stream.read_u8()).await?.to_string())?;
        connection.note(1);
    }
}

async fn listen(stream: TcpStream, connection: &LongConnection) -> Result<Infallible, String> {
    let (mut stream, mut node) = (BufReader::new(stream), ServingNode::default());
    let request = b"GET /events HTTP/1.1\r\nHost: web.example.org\r\nAccept: text/event-stream\r\n\r\n";
    patiently(stream.write_all(request)).await?;
    while !line(&mut stream).await?.is_empty() {}
    for id in 0_u64.. {
        let (seen, data, end) =
            (line(&mut stream).await?, line(&mut stream).await?, line(&mut stream).await?);
        if seen != format!("id: {id}") || !end.is_empty() {
            return Err(format!("{seen:?} in the place of event {id}"));
        }
        node.is(&data)?;
        connection.note(1);
    }
    Err("no number is left for an event".to_owned())
}

/// A line without its end.
async fn line(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<String, String> {
    let mut line = String::new();
    match patiently(stream.read_line(&mut line)).await? {
        0 => Err("closed".to_owned()),
        _some => Ok(line.trim_end().to_owned()),
    }
}

/// The node that serves a connection, which must be one and the same.
#[derive(Default)]
struct ServingNode(Option<String>);

impl ServingNode {
    fn is(&mut self, said: &str) -> Result<(), String> {
        let first = self.0.get_or_insert_with(|| said.to_owned());
        if first == said { Ok(()) } else { Err(format!("{first:?} served it, and now {said:?} does")) }
    }
}

async fn patiently<T>(work: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    match timeout(PATIENCE, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.kind().to_string()),
        Err(_patience) => Err("hung".to_owned()),
    }
}
