//! A client that sends requests to a virtual address many times a second and notices every lost
//! one, and the frontends that answer. The protocol is UDP with one datagram in each direction, so
//! that no retransmission hides a gap.

use super::frame::{Announcement, Datagram};
use super::lab::{Lab, Node};
use super::ms;
use super::namespace::Ns;
use super::wait::{Ticker, now};
use super::worker::Worker;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The UDP port of the frontends.
const PORT: u16 = 7007;
/// A request counts as lost if it was not answered in this time.
const PATIENCE: Duration = ms(500);

/// The service of a frontend: answers every request to `address` with the name of its node, from
/// that address, whether or not the node holds it at that moment.
pub(crate) struct Responder(#[expect(dead_code, reason = "held for its Drop")] Worker);

/// A running client.
pub(crate) struct Prober {
    workers: Vec<Worker>,
    log: Arc<Mutex<Log>>,
}

/// The requests of a client. They are numbered from 0 over its whole life.
#[derive(Default)]
struct Log {
    /// How many of the first requests were reported and dropped ([`Prober::take`]).
    forgotten: usize,
    /// When each of the other requests was sent.
    sent: Vec<Instant>,
    answers: BTreeMap<usize, (Instant, String)>,
}

/// What happened to the requests of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) sent: usize,
    pub(crate) lost: usize,
    /// The numbers of the lost requests, counted from 0.
    pub(crate) unanswered: Vec<usize>,
    /// The longest time from a lost request to the next one that was answered.
    pub(crate) longest_gap: Duration,
    /// How many requests each node answered.
    pub(crate) answered_by: BTreeMap<String, usize>,
    /// The nodes that answered, in the order of the requests, without repetitions.
    pub(crate) sequence: Vec<String>,
}

impl Responder {
    pub(crate) fn start(node: &Node, address: &str) -> Self {
        Self::start_in(&node.ns, &node.name, address)
    }

    /// As [`Self::start`], on a machine that is not a node of a lab.
    pub(crate) fn start_in(ns: &Ns, name: &str, address: &str) -> Self {
        let address = super::lab::ip(address);
        let socket = ns.enter(|| bound_to(address));
        socket.set_read_timeout(Some(ms(20))).expect("a receive timeout");
        let name = name.to_owned();
        Self(Worker::start(move |stop| {
            let mut request = [0_u8; 64];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, client)) = socket.recv_from(&mut request) else { continue };
                let mut answer = request[..length].to_vec();
                answer.extend(name.as_bytes());
                // The answer is lost like any other packet if the node has just lost the address.
                let _lost: std::io::Result<usize> = socket.send_to(&answer, client);
            }
        }))
    }
}

impl Prober {
    /// Sends `rate` requests a second from `node` to `address`, until the client is finished.
    pub(crate) fn start(node: &Node, address: &str, rate: u32) -> Self {
        let server = SocketAddr::new(super::lab::ip(address), PORT);
        let socket = node.ns.enter(|| {
            let any = if server.is_ipv4() {
                IpAddr::V4(Ipv4Addr::UNSPECIFIED)
            } else {
                Ipv6Addr::UNSPECIFIED.into()
            };
            let socket = UdpSocket::bind((any, 0)).expect("a client's socket");
            // The socket is connected, so that answers from other addresses are not received.
            socket.connect(server).expect("a route to the virtual address");
            socket
        });
        socket.set_read_timeout(Some(ms(20))).expect("a receive timeout");
        let log = Arc::new(Mutex::new(Log::default()));
        let (sender, receiver) = (socket.try_clone().expect("a second handle"), socket);
        let workers = vec![
            Worker::start({
                let log = Arc::clone(&log);
                move |stop| send_requests(&sender, rate, &log, stop)
            }),
            Worker::start({
                let log = Arc::clone(&log);
                move |stop| receive_answers(&receiver, &log, stop)
            }),
        ];
        Self { workers, log }
    }

    /// How many requests were answered so far.
    pub(crate) fn answered(&self) -> usize {
        self.log.lock().unwrap().answers.len()
    }

    /// The node that answered last.
    pub(crate) fn answering(&self) -> Option<String> {
        self.log.lock().unwrap().answers.last_key_value().map(|(_, (_, name))| name.clone())
    }

    /// The node that answered last, if that was within the last `time`.
    pub(crate) fn answering_within(&self, time: Duration) -> Option<String> {
        let log = self.log.lock().unwrap();
        let (_, (at, name)) = log.answers.last_key_value()?;
        (at.elapsed() <= time).then(|| name.clone())
    }

    /// The results of all requests since the last call, or since the start. Waits until each was
    /// answered or counts as lost. The client goes on.
    pub(crate) fn take(&self) -> Report {
        let until = self.log.lock().unwrap().next();
        super::wait_for(super::SOON, "an answer to each request, or the end of patience", || {
            self.log.lock().unwrap().is_known(until)
        });
        let mut log = self.log.lock().unwrap();
        let report = log.report(until);
        log.forget(until);
        report
    }

    /// Waits until this node answers.
    #[track_caller]
    pub(crate) fn wait_answer_of(&self, node: &Node) {
        super::wait_for(super::SOON, format!("{} answers the client", node.name), || {
            self.answering().as_deref() == Some(&node.name)
        });
    }

    /// Waits for a hundred more answers, so that there are enough of them before or after an event.
    #[track_caller]
    pub(crate) fn wait_some_answers(&self) {
        let before = self.answered();
        super::wait_for(super::SOON, "a hundred answers", || self.answered() >= before + 100);
    }

    /// Stops the client, waits for late answers, and reports.
    pub(crate) fn finish(mut self) -> Report {
        let receiver = self.workers.pop();
        self.workers.clear();
        let until = self.log.lock().unwrap().next();
        let end = now();
        super::wait_for(PATIENCE * 2, "the end of patience", || {
            end.elapsed() >= PATIENCE || self.log.lock().unwrap().is_known(until)
        });
        drop(receiver);
        self.log.lock().unwrap().report(until)
    }
}

impl Report {
    /// How many of the lost requests `node` lost by itself: it had announced `address`, so that the
    /// client sent to it, but its kernel did not deliver to the address yet. No other node can
    /// answer what arrives there.
    pub(crate) fn announced_too_early(&self, lab: &Lab, node: &Node, address: &str) -> usize {
        self.announced_too_early_since(Duration::ZERO, lab, node, address)
    }

    /// As [`Self::announced_too_early`], for a node that has served before `since`, on the clock of
    /// the capture.
    pub(crate) fn announced_too_early_since(
        &self,
        since: Duration,
        lab: &Lab,
        node: &Node,
        address: &str,
    ) -> usize {
        let address = super::lab::ip(address);
        let mut announcements = lab.capture().announcements(since).into_iter();
        let its_own = |seen: &Announcement| seen.node == node.name && seen.address == address;
        let Some(announced) = announcements.find(its_own) else { return 0 };
        let datagrams = lab.capture().datagrams(since);
        // The other family may be asked at the same time.
        let from_it =
            |seen: &&Datagram| seen.node == node.name && seen.source == address && seen.source_port == PORT;
        let answer = datagrams.iter().find(from_it);
        let answered = answer.map_or(Duration::MAX, |answer| answer.at);
        let too_early = datagrams.iter().filter(|seen| {
            seen.destination == address
                && seen.destination_mac == announced.mac
                && (announced.at..answered).contains(&seen.at)
        });
        too_early.filter_map(number_of_request).filter(|number| self.unanswered.contains(number)).count()
    }
}

/// The number of the request in a datagram, if it is one.
fn number_of_request(seen: &Datagram) -> Option<usize> {
    let number = <[u8; 8]>::try_from(seen.payload.as_slice()).ok()?;
    (seen.destination_port == PORT).then(|| usize::try_from(u64::from_be_bytes(number)).unwrap())
}

impl Log {
    /// The number of the next request.
    fn next(&self) -> usize {
        self.forgotten + self.sent.len()
    }

    /// The requests below this number, with the time at which each was sent.
    fn requests(&self, until: usize) -> impl Iterator<Item = (usize, Instant)> {
        (self.forgotten..until).zip(self.sent.iter().copied())
    }

    /// Whether each request below this number was answered or counts as lost.
    fn is_known(&self, until: usize) -> bool {
        let answered = |number| self.answers.contains_key(&number);
        self.requests(until).all(|(number, asked)| answered(number) || asked.elapsed() >= PATIENCE)
    }

    fn forget(&mut self, until: usize) {
        self.answers = self.answers.split_off(&until);
        self.sent.drain(..until - self.forgotten);
        self.forgotten = until;
    }

    /// The report about the requests below this number.
    fn report(&self, until: usize) -> Report {
        let mut answered_by = BTreeMap::new();
        let mut sequence: Vec<String> = Vec::new();
        let mut unanswered = Vec::new();
        let mut longest = Duration::ZERO;
        // The gap is measured from the first unanswered request to the next answered one. Requests
        // count, not answers: a request that is late because this machine is busy is not a gap.
        let mut since: Option<Instant> = None;
        for (number, asked) in self.requests(until) {
            longest = longest.max(since.map_or(Duration::ZERO, |since| asked - since));
            let Some((_, name)) = self.answers.get(&number) else {
                since = since.or(Some(asked));
                unanswered.push(number);
                continue;
            };
            since = None;
            *answered_by.entry(name.clone()).or_default() += 1;
            if sequence.last() != Some(name) {
                sequence.push(name.clone());
            }
        }
        Report {
            sent: until - self.forgotten,
            lost: unanswered.len(),
            unanswered,
            longest_gap: longest,
            answered_by,
            sequence,
        }
    }
}

fn send_requests(socket: &UdpSocket, rate: u32, log: &Mutex<Log>, stop: &AtomicBool) {
    let mut ticker = Ticker::new(Duration::from_secs(1) / rate);
    while !stop.load(Ordering::Relaxed) {
        ticker.tick();
        let number = {
            let mut log = log.lock().unwrap();
            log.sent.push(now());
            log.next() - 1
        };
        // An ICMP error for an earlier request is reported here. This request was then not sent,
        // and counts as lost.
        let _lost: std::io::Result<usize> = socket.send(&u64::try_from(number).unwrap().to_be_bytes());
    }
}

fn receive_answers(socket: &UdpSocket, log: &Mutex<Log>, stop: &AtomicBool) {
    let mut answer = [0_u8; 64];
    while !stop.load(Ordering::Relaxed) {
        let length = match socket.recv(&mut answer) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::InvalidInput => panic!("receiving: {error}"),
            Err(_timeout_or_icmp) => continue,
        };
        let Some((number, name)) = answer[..length].split_first_chunk::<8>() else { continue };
        let number = usize::try_from(u64::from_be_bytes(*number)).unwrap();
        let name = String::from_utf8_lossy(name).into_owned();
        let mut log = log.lock().unwrap();
        // An answer that comes after its request was reported as lost is ignored.
        if number >= log.forgotten {
            log.answers.insert(number, (now(), name));
        }
    }
}

/// A UDP socket with `address` as its source, even while the node does not hold that address.
fn bound_to(address: IpAddr) -> UdpSocket {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).expect("a UDP socket");
    if address.is_ipv4() {
        socket.set_freebind_v4(true).expect("IP_FREEBIND");
    } else {
        socket.set_freebind_v6(true).expect("IPV6_FREEBIND");
    }
    socket.bind(&SocketAddr::new(address, PORT).into()).expect("binding to the virtual address");
    socket.into()
}
