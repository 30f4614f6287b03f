//! The client of `netns-scripts/demo`: sends requests to several HTTP servers many times a second,
//! with a connection for each request, and prints what happened to them.
//!
//! `probe RATE ADDRESS:PORT...` reads lines from its standard input; after each line it prints, for
//! each server, what happened since the line before, and then an empty line. The answer's
//! `X-Frontend` header names the frontend that answered.

#![allow(clippy::disallowed_methods, reason = "a stop-watch: what it measures is time")]

use std::error::Error;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// A request that is not answered after this time is lost. This is less than TCP's first
/// retransmission, which would hide the loss.
const PATIENCE: Duration = Duration::from_millis(900);
const USAGE: &str = "usage: probe RATE ADDRESS:PORT...";
const REQUEST: &[u8] = b"GET / HTTP/1.0\r\nHost: demo\r\n\r\n";

/// The time when a request was sent, and the frontend that answers it.
type Asked = (Instant, JoinHandle<Option<String>>);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let rate: u32 = arguments.next().ok_or(USAGE)?.parse()?;
    let servers: Vec<SocketAddr> = arguments.map(|text| text.parse()).collect::<Result<_, _>>()?;
    if rate == 0 || servers.is_empty() {
        return Err(USAGE.into());
    }
    let period = Duration::from_secs(1) / rate;
    let reports: Vec<_> = servers.into_iter().map(|server| Client::start(server, period)).collect();
    let mut questions = questions();
    while questions.recv().await.is_some() {
        let mut text = String::new();
        for client in &reports {
            let (answer, report) = oneshot::channel();
            client.send(answer).await.map_err(|_| "a client has ended")?;
            writeln!(text, "{}", report.await?)?;
        }
        println!("{text}");
    }
    Ok(())
}

/// The lines of the standard input, one at a time, read by a thread of their own.
fn questions() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut lines = std::io::stdin().lines().map_while(Result::ok);
        while lines.next().is_some_and(|line| sender.blocking_send(line).is_ok()) {}
    });
    receiver
}

struct Client {
    server: SocketAddr,
    period: Duration,
    asked: Vec<Asked>,
}

impl Client {
    /// Sends requests until the program ends; receives the requests for reports.
    fn start(server: SocketAddr, period: Duration) -> mpsc::Sender<oneshot::Sender<String>> {
        // One report at a time.
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(Self { server, period, asked: Vec::new() }.run(receiver));
        sender
    }

    async fn run(mut self, mut reports: mpsc::Receiver<oneshot::Sender<String>>) {
        let mut ticks = interval(self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    let server = self.server;
                    let answer = tokio::spawn(async move { timeout(PATIENCE, ask(server)).await.ok()?.ok() });
                    self.asked.push((Instant::now(), answer));
                }
                report = reports.recv() => {
                    let Some(report) = report else { return };
                    let asked = std::mem::take(&mut self.asked);
                    // The report is made in the background, while the client goes on.
                    tokio::spawn(tell(self.server, self.period, asked, report));
                }
            }
        }
    }
}

/// One request on a connection of its own; who answered it.
async fn ask(server: SocketAddr) -> Result<String, Box<dyn Error + Send + Sync>> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(REQUEST).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split_whitespace().nth(1);
    if status != Some("200") {
        return Err(format!("status {status:?}").into());
    }
    let mut headers = answer.lines().filter_map(|line| line.split_once(": "));
    let who = headers.find(|(name, _)| name.eq_ignore_ascii_case("x-frontend"));
    Ok(who.ok_or("an answer without X-Frontend")?.1.trim().to_owned())
}

/// Waits for the last answers, and makes the report.
async fn tell(server: SocketAddr, period: Duration, asked: Vec<Asked>, report: oneshot::Sender<String>) {
    let (sent, mut lost) = (asked.len(), 0_usize);
    let mut longest = Duration::ZERO;
    let mut since: Option<Instant> = None;
    let mut who: Vec<String> = Vec::new();
    for (at, answer) in asked {
        if let Some(name) = answer.await.ok().flatten() {
            longest = longest.max(since.map_or(Duration::ZERO, |since| at - since));
            since = None;
            if who.last() != Some(&name) {
                who.push(name);
            }
        } else {
            lost += 1;
            // A gap lasts from the first unanswered request to the next answered one.
            since = since.or(Some(at));
        }
        longest = longest.max(since.map_or(Duration::ZERO, |since| at + period - since));
    }
    let gap = longest.as_millis();
    let who = if who.is_empty() { "nobody".to_owned() } else { who.join(" -> ") };
    let line =
        format!("{:<13}{sent:>6} requests {lost:>5} lost   longest gap {gap:>5} ms   {who}", server.ip());
    // If the receiver of the report has gone, the report is not needed.
    let _gone: Result<(), String> = report.send(line);
}
