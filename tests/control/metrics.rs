//! The endpoint for monitoring, over a real connection: what it answers, and that nobody who
//! connects to it disturbs anybody else.

use crate::nodes::knowing;
use crate::rig::{event, published, seconds, took_over};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};
use vrrpd::agent::{AgentSnapshot, ChannelState, ChannelStatus, Request};
use vrrpd::channel::{ChannelLink, DrainView, ForwardedConnections, HeardLeaver, LocalDrain};
use vrrpd::control::SnapshotSource;
use vrrpd::control::health::NodeHealth;
use vrrpd::control::metrics::{EndpointLimits, EventCounter, MetricsEndpoint, MetricsSources};
use vrrpd::control::render;
use vrrpd::protocol::{DrainSnapshot, EventKind, StateName};
use vrrpd::types::{Family, InstanceKey};

/// Longer than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// An endpoint beside an agent that answers with one snapshot, or with none.
struct Endpoint {
    address: SocketAddr,
    wanted: watch::Sender<Option<SocketAddr>>,
    problem: watch::Receiver<Option<String>>,
    events: EventCounter,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An address on which nobody listens.
fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

impl Endpoint {
    fn start(snapshot: AgentSnapshot) -> Self {
        Self::with(Some(snapshot), EndpointLimits::default(), free_address())
    }

    /// Without a snapshot the agent takes questions and never answers.
    fn with(snapshot: Option<AgentSnapshot>, limits: EndpointLimits, address: SocketAddr) -> Self {
        let (requests, mut asked) = mpsc::channel(4);
        let (wanted, wanted_address) = watch::channel(Some(address));
        let (problem_in, problem) = watch::channel(None);
        let (stop, stopped) = oneshot::channel::<()>();
        let events = EventCounter::default();
        let counter = events.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let sources = MetricsSources {
                    snapshots: SnapshotSource::start(requests),
                    events: counter,
                    log_lines_dropped: Box::new(|| 7),
                };
                let endpoint = MetricsEndpoint::new(sources, limits, wanted_address, problem_in);
                let mut unanswered = Vec::new();
                let agent = async {
                    while let Some(request) = asked.recv().await {
                        match (request, &snapshot) {
                            (Request::Snapshot { reply }, Some(snapshot)) => {
                                drop(reply.send(snapshot.clone()));
                            }
                            (request, _) => unanswered.push(request),
                        }
                    }
                };
                tokio::select! {
                    () = endpoint.run() => {}
                    () = agent => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, wanted, problem, events, stop: Some(stop), thread: Some(thread) }
    }

    fn get(&self, path: &str) -> Response {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: fe0:9650\r\n\r\n"))
    }

    fn ask(&self, request: &str) -> Response {
        let mut stream = connect(self.address);
        stream.write_all(request.as_bytes()).unwrap();
        Response::read(&mut stream)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a test that waits needs a clock")]
fn now() -> Instant {
    Instant::now()
}

/// Waits until a condition holds, without a pause between two looks.
#[track_caller]
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = now() + PATIENCE;
    while !condition() {
        assert!(now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

/// Connects, as soon as somebody listens.
fn connect(address: SocketAddr) -> TcpStream {
    let mut connected = None;
    wait_until("somebody listens", || {
        connected = TcpStream::connect(address).ok();
        connected.is_some()
    });
    let stream = connected.unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[derive(Debug)]
struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Response {
    fn read(stream: &mut TcpStream) -> Self {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not an answer: {text:?}"));
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    #[track_caller]
    fn has_header(&self, line: &str) {
        assert!(self.head.lines().any(|header| header == line), "no {line} in {}", self.head);
    }
}

/// One sample: the name of its family, its labels, its value.
#[derive(Debug, PartialEq)]
struct Sample {
    family: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Reads the text format of Prometheus, as strictly as `promtool check metrics`.
fn parse(text: &str) -> Result<Vec<Sample>, String> {
    let is_name = |name: &str| {
        let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !text.ends_with('\n') {
        return Err("the last line is not complete".to_owned());
    }
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    let (mut described, mut seen, mut samples) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    let mut current = "";
    for line in text.lines() {
        let wrong = |why: &str| format!("{why}: {line}");
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').ok_or(wrong("no description"))?;
            if words.is_empty() || !described.insert(name) {
                return Err(wrong("described twice, or not at all"));
            }
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').ok_or(wrong("no type"))?;
            let known = ["gauge", "counter", "histogram"].contains(&kind) && described.contains(name);
            if !known || types.insert(name, kind).is_some() {
                return Err(wrong("a type that is unknown, repeated or not described"));
            }
            current = name;
            continue;
        }
        let (name, rest) = match line.find(['{', ' ']) {
            Some(at) => line.split_at(at),
            None => return Err(wrong("no value")),
        };
        let kind = types.get(current).ok_or(wrong("no type before this"))?;
        let suffix = name.strip_prefix(current).ok_or(wrong("not of the family above"))?;
        let suffixes: &[&str] = if *kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        if !is_name(name) || !suffixes.contains(&suffix) {
            return Err(wrong("not a name of this family"));
        }
        if (*kind == "counter") != current.ends_with("_total") {
            return Err(wrong("counters end in _total, and nothing else does"));
        }
        let mut labels = BTreeMap::new();
        let mut rest = rest;
        if let Some(mut inner) = rest.strip_prefix('{') {
            loop {
                let (label, after) = inner.split_once("=\"").ok_or(wrong("no label"))?;
                let mut value = String::new();
                let mut characters = after.char_indices();
                let end = loop {
                    match characters.next() {
                        Some((at, '"')) => break at + 1,
                        Some((_, '\\')) => match characters.next() {
                            Some((_, escaped @ ('\\' | '"' | 'n'))) => value.push(escaped),
                            _ => return Err(wrong("an unknown escape")),
                        },
                        Some((_, character)) => value.push(character),
                        None => return Err(wrong("a label does not end")),
                    }
                };
                if !is_name(label) || labels.insert(label.to_owned(), value).is_some() {
                    return Err(wrong("a label that is malformed or repeated"));
                }
                inner = &after[end..];
                match inner.strip_prefix(',') {
                    Some(more) => inner = more,
                    None => break,
                }
            }
            rest = inner.strip_prefix('}').ok_or(wrong("labels do not end"))?;
        }
        let value = rest.strip_prefix(' ').and_then(|value| value.parse().ok()).ok_or(wrong("no value"))?;
        if !seen.insert((name.to_owned(), labels.clone())) {
            return Err(wrong("a sample is there twice"));
        }
        samples.push(Sample { family: name.to_owned(), labels, value });
    }
    Ok(samples)
}

/// The values of a family whose samples have these labels.
fn values(samples: &[Sample], family: &str, labels: &[(&str, &str)]) -> Vec<f64> {
    let wanted = |sample: &&Sample| {
        let has = |(name, value): &(&str, &str)| sample.labels.get(*name).is_some_and(|own| own == value);
        sample.family == family && labels.iter().all(has)
    };
    samples.iter().filter(wanted).map(|sample| sample.value).collect()
}

#[test]
fn the_parser_sees_what_promtool_would_refuse() {
    let head = "# HELP a_total Things.\n# TYPE a_total counter\n";
    assert!(parse(&format!("{head}a_total{{x=\"y\\\\\\\"\\n\"}} 1\na_total 2\n")).is_ok());
    for text in [
        "a_total 1\n",
        "# TYPE a_total counter\na_total 1\n",
        "# HELP a_total T.\n# TYPE a_total count\na_total 1\n",
        "# HELP a T.\n# TYPE a counter\na 1\n",
        "# HELP a-b T.\n# TYPE a-b gauge\na-b 1\n",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    for line in [
        "b_total 1",
        "a_total",
        "a_total x",
        "a_total{x=\"y} 1",
        "a_total{x=\"\\y\"} 1",
        "a_total{x=\"y\",x=\"z\"} 1",
        "a_total{x-y=\"z\"} 1",
        "a_total{x=\"y\" 1",
        "a_total_sum 1",
        "a_total 1\na_total 2",
    ] {
        assert!(parse(&format!("{head}{line}\n")).is_err(), "{line}");
    }
    assert!(parse(&format!("{head}a_total 1")).is_err(), "no end of line");
}

#[test]
fn the_metrics_of_a_node_are_what_its_status_says_and_what_happened() {
    let endpoint = Endpoint::start(published());
    for _ in 0..2 {
        endpoint.events.count(&event("moodle-a", took_over()));
    }
    let (to, after) = ("192.0.2.11".parse().unwrap(), Duration::from_millis(13));
    endpoint.events.count(&event("moodle-a", EventKind::HandedOver { to, after }));
    let response = endpoint.get("/metrics");
    assert_eq!(response.status, 200);
    response.has_header("Content-Type: text/plain; version=0.0.4; charset=utf-8");
    let samples = parse(&response.body).unwrap_or_else(|wrong| panic!("{wrong}"));
    let a = [("name", "moodle-a"), ("family", "ipv4"), ("interface", "eth0"), ("vrid", "51")];
    let with = |more: &[(&'static str, &'static str)]| [&a[..], more].concat();
    for (family, labels, value) in [
        ("vrrpd_state", with(&[("state", "active")]), 1.0),
        ("vrrpd_state", with(&[("state", "backup")]), 0.0),
        ("vrrpd_priority", a.to_vec(), 90.0),
        ("vrrpd_demoted", a.to_vec(), 0.0),
        ("vrrpd_transitions_total", with(&[("to", "active"), ("cause", "active_down_timer")]), 2.0),
        ("vrrpd_advertisements_total", with(&[("direction", "sent")]), 192.0),
        ("vrrpd_advertisements_total", with(&[("direction", "received")]), 40.0),
        ("vrrpd_packet_errors_total", with(&[("reason", "checksum_errors")]), 3.0),
        ("vrrpd_packet_errors_total", with(&[("reason", "ip_ttl_errors")]), 0.0),
        ("vrrpd_handover_seconds_count", vec![("name", "moodle-a"), ("vrid", "51")], 1.0),
        ("vrrpd_handover_seconds_sum", vec![("name", "moodle-a")], 0.013),
        ("vrrpd_check_healthy", vec![("check", "haproxy")], 0.0),
        ("vrrpd_check_healthy", vec![("check", "nginx")], 1.0),
        ("vrrpd_build_info", vec![("node", "frontend-0"), ("version", env!("CARGO_PKG_VERSION"))], 1.0),
        ("vrrpd_log_lines_dropped_total", vec![], 7.0),
    ] {
        assert_eq!(values(&samples, family, &labels), [value], "{family} {labels:?}");
    }
    // Of messages that named no router here there is neither a name nor a VRID.
    let stray = samples.iter().find(|sample| {
        sample.labels.get("reason").is_some_and(|reason| reason == "vrid_errors") && sample.value == 12.0
    });
    let labels: Vec<_> = stray.unwrap().labels.keys().map(String::as_str).collect();
    assert_eq!(labels, ["family", "interface", "reason"]);
    assert!(values(&samples, "vrrpd_redundant", &[]).is_empty(), "nobody knows without the channel");
    insta::assert_snapshot!(response.body.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn whether_a_node_would_take_over_is_told_where_the_nodes_know_one_another() {
    for (obstacle, value) in [(None, 1.0), (Some("demoted"), 0.0)] {
        let endpoint = Endpoint::start(knowing(obstacle));
        let samples = parse(&endpoint.get("/metrics").body).unwrap();
        assert_eq!(values(&samples, "vrrpd_redundant", &[("name", "moodle-a")]), [value, value]);
        assert!(values(&samples, "vrrpd_redundant", &[("name", "moodle-b")]).is_empty());
    }
}

/// A node whose `moodle-b` drains, and which passes packets on to two others in the place of
/// `moodle-a`.
fn draining_and_forwarding() -> AgentSnapshot {
    let mut snapshot = published();
    let mut drains = BTreeMap::new();
    let mut forwarded = BTreeMap::new();
    let mut leavers = BTreeMap::new();
    let (since, until) = (seconds(990), seconds(1050));
    for router in &mut snapshot.snapshot.routers {
        for instance in &mut router.instances {
            match router.spec.name.as_str() {
                "moodle-b" => {
                    instance.draining = Some(DrainSnapshot { since, until, to: None, is_serving: true });
                    drains.insert(instance.key, LocalDrain { since, until, left: 37, oldest: None });
                }
                "moodle-a" if instance.key.family == Family::Ipv4 => {
                    instance.state = StateName::Active;
                    let InstanceKey { interface, family, vrid } = instance.key;
                    let heard = ["192.0.2.11", "192.0.2.12"].map(|address| HeardLeaver {
                        node: "fe1".to_owned(),
                        address: address.parse().unwrap(),
                        left: 5,
                        since,
                        until,
                        oldest: None,
                        proven: true,
                    });
                    for (leaver, packets) in heard.iter().zip([1_200, 34]) {
                        let counts = ForwardedConnections { listed: 5, packets };
                        forwarded.insert((instance.key, leaver.address), counts);
                    }
                    leavers.insert((ChannelLink { interface, family }, vrid.get()), heard.to_vec());
                }
                _others => {}
            }
        }
    }
    let drain_view = DrainView { leavers, ..DrainView::default() };
    let channel =
        ChannelStatus { state: ChannelState::On, drain_view, drains, forwarded, ..ChannelStatus::default() };
    AgentSnapshot { channel, ..snapshot }
}

#[test]
fn connections_that_are_kept_and_packets_that_are_passed_on_are_counted() {
    let endpoint = Endpoint::start(draining_and_forwarding());
    let samples = parse(&endpoint.get("/metrics").body).unwrap();
    let of = |family, labels: &[(&'static str, &'static str)]| values(&samples, family, labels);
    let b = [("name", "moodle-b"), ("interface", "eth0"), ("family", "ipv4"), ("vrid", "52")];
    assert_eq!(of("vrrpd_drain_connections", &b), [37.0]);
    assert_eq!(of("vrrpd_drain_connections", &[]).len(), 1, "the others do not drain");
    let a = [("name", "moodle-a"), ("interface", "eth0"), ("vrid", "51")];
    let a = |family| [&a[..], &[("family", family)]].concat();
    assert_eq!(of("vrrpd_forwarded_packets_total", &a("ipv4")), [1_234.0], "for both nodes");
    assert_eq!(of("vrrpd_forwarded_packets_total", &a("ipv6")), [0.0]);
}

#[test]
fn a_node_to_which_the_path_is_not_proven_is_told_as_one_for_which_nothing_is_passed_on() {
    let mut snapshot = draining_and_forwarding();
    let [(_, leavers)] = &mut snapshot.channel.drain_view.leavers.iter_mut().collect::<Vec<_>>()[..] else {
        panic!("one router has leavers");
    };
    let ipv4_of_a = |snapshot: &AgentSnapshot| {
        let routers = snapshot.status(&snapshot.snapshot.routers).virtual_routers.into_iter();
        let mut of_a = routers.filter(|one| &*one.name == "moodle-a" && &*one.family == "ipv4");
        of_a.next().unwrap()
    };
    // One has started again, and packets are passed on to it as before.
    leavers[0].proven = false;
    let shown = ipv4_of_a(&snapshot);
    assert_eq!(shown.forwarding.len(), 2);
    assert!(shown.why.ends_with("; forwards 5 for fe1; forwards 5 for fe1"), "{}", shown.why);
    snapshot.channel.forwarded.retain(|(_, leaver), _| *leaver != std::net::IpAddr::from([192, 0, 2, 11]));
    let shown = ipv4_of_a(&snapshot);
    let addresses: Vec<_> = shown.forwarding.iter().map(|one| one.address.to_string()).collect();
    assert_eq!(addresses, ["192.0.2.12"]);
    let why = "; forwards nothing for fe1: the path to it is not proven; forwards 5 for fe1";
    assert!(shown.why.ends_with(why), "{}", shown.why);
}

#[test]
fn health_is_the_line_of_vrrpctl_and_only_a_critical_one_is_a_failure() {
    let line = |snapshot: &AgentSnapshot| {
        let health = NodeHealth::of(&snapshot.status(&snapshot.snapshot.routers));
        render::health(&health.document)
    };
    let only = |names: &[&str]| {
        let mut snapshot = published();
        snapshot.snapshot.routers.retain(|router| names.contains(&router.spec.name.as_str()));
        snapshot
    };
    for (snapshot, status, begins) in [
        (only(&["lonely"]), 200, "OK: "),
        (only(&["moodle-b"]), 200, "WARNING: "),
        (published(), 503, "CRITICAL: "),
    ] {
        let endpoint = Endpoint::start(snapshot.clone());
        let response = endpoint.get("/health");
        assert_eq!((response.status, &*response.body), (status, &*line(&snapshot)));
        assert!(response.body.starts_with(begins), "{}", response.body);
    }
}

#[test]
fn the_page_has_the_table_of_status_without_a_script() {
    let mut snapshot = published();
    snapshot.node = "<b>fe0".to_owned();
    let endpoint = Endpoint::start(snapshot);
    let response = endpoint.get("/?from=bookmark");
    assert_eq!(response.status, 200);
    response.has_header("Content-Type: text/html; charset=utf-8");
    response.has_header("Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'");
    for part in [
        "<h1>vrrpd on &lt;b&gt;fe0</h1>",
        "<p class=\"critical\">CRITICAL: broken: ",
        "<th>NAME</th><th>INTERFACE</th><th>VRID</th>",
        "<td>moodle-a</td><td>eth0</td><td>51</td><td>ipv6</td><td>active</td><td>90 (150)</td>",
        "<p class=\"warning\">moodle-b: ",
    ] {
        assert!(response.body.contains(part), "no {part} in {}", response.body);
    }
    assert!(!response.body.contains("<script") && !response.body.contains("<b>"), "{}", response.body);
}

#[test]
fn what_is_not_a_question_to_the_endpoint_is_refused_with_its_status() {
    let endpoint = Endpoint::start(published());
    let many = format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(3000));
    for (request, status) in [
        ("GET /metrics/ HTTP/1.1\r\n\r\n", 404),
        ("GET /../etc/passwd HTTP/1.1\r\n\r\n", 404),
        ("POST /metrics HTTP/1.1\r\nContent-Length: 4\r\n\r\nlots", 405),
        ("DELETE / HTTP/1.1\r\n\r\n", 405),
        ("hello\r\n\r\n", 400),
        (&many, 431),
    ] {
        assert_eq!(endpoint.ask(request).status, status, "{request:.40}");
    }
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000));
    assert_eq!(endpoint.ask(&long).status, 431);
    let head = endpoint.ask("HEAD /metrics HTTP/1.1\r\n\r\n");
    assert_eq!((head.status, &*head.body), (200, ""));
    assert!(!head.head.contains("Content-Length: 0"), "{}", head.head);
}

#[test]
fn a_slow_reader_and_a_hundred_connections_disturb_nobody() {
    // A text of some megabytes, more than the sockets hold.
    let mut large = published();
    let router = large.snapshot.routers[2].clone();
    for number in 0..800 {
        let mut another = router.clone();
        another.spec.name = format!("many-{number}").parse().unwrap();
        large.snapshot.routers.push(another);
    }
    let limits =
        EndpointLimits { request: PATIENCE * 10, response: PATIENCE * 10, ..EndpointLimits::default() };
    let endpoint = Endpoint::with(Some(large), limits, free_address());
    let mut unread = connect(endpoint.address);
    unread.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let mut silent: Vec<_> = (0..100).map(|_| connect(endpoint.address)).collect();
    let mut half = connect(endpoint.address);
    half.write_all(b"GET /metr").unwrap();
    // Nobody's time has run out, so only the new connection can have made the room.
    for _ in 0..3 {
        assert_eq!(endpoint.get("/health").status, 503);
        assert_eq!(endpoint.get("/metrics").status, 200);
    }
    let mut closed = 0;
    for stream in &mut silent {
        stream.set_nonblocking(true).unwrap();
        closed += usize::from(match stream.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        });
    }
    assert!(closed >= 100 - limits.connections, "{closed} of 100 were sent away");
    half.write_all(b"ics HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(Response::read(&mut half).status, 200, "who came last had time");
}

#[test]
fn who_does_not_finish_a_request_is_sent_away_in_time() {
    let limits = EndpointLimits { request: Duration::from_secs(1), ..EndpointLimits::default() };
    let endpoint = Endpoint::with(Some(published()), limits, free_address());
    let mut slow = connect(endpoint.address);
    let start = now();
    // A header now and then would hold a connection for ever if each one bought time.
    slow.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    slow.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    wait_until("it is sent away", || {
        slow.write_all(b"X: y\r\n").is_err() || slow.read(&mut [0]).is_ok_and(|read| read == 0)
    });
    assert!(start.elapsed() >= limits.request);
}

#[test]
fn an_agent_that_does_not_answer_is_reported_as_unknown() {
    let limits = EndpointLimits { snapshot: Duration::from_millis(100), ..EndpointLimits::default() };
    let endpoint = Endpoint::with(None, limits, free_address());
    for path in ["/health", "/metrics", "/"] {
        let response = endpoint.get(path);
        assert_eq!((response.status, &*response.body), (503, "UNKNOWN: no answer within 100ms\n"), "{path}");
    }
}

#[test]
fn an_address_in_use_is_reported_once_and_tried_again() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap();
    let limits = EndpointLimits { retry: Duration::from_millis(20), ..EndpointLimits::default() };
    let endpoint = Endpoint::with(Some(published()), limits, address);
    wait_until("the problem is told", || endpoint.problem.borrow().is_some());
    let problem = endpoint.problem.borrow().clone().unwrap();
    assert!(problem.starts_with(&format!("cannot listen on {address}: ")), "{problem}");
    drop(taken);
    wait_until("it listens", || endpoint.problem.borrow().is_none());
    assert_eq!(endpoint.get("/metrics").status, 200);
}

#[test]
fn a_problem_of_the_endpoint_is_a_warning_about_the_node() {
    let snapshot = AgentSnapshot { metrics_problem: Some("cannot listen on X".to_owned()), ..published() };
    let status = snapshot.status(&snapshot.snapshot.routers);
    let told: Vec<_> = status.warnings.iter().map(|warning| (&*warning.kind, &*warning.message)).collect();
    assert_eq!(told, [("metrics", "metrics are not served: cannot listen on X")]);
}

#[test]
fn the_endpoint_follows_its_address_and_closes() {
    let endpoint = Endpoint::start(published());
    let before = endpoint.address;
    assert_eq!(endpoint.get("/metrics").status, 200);
    let after = free_address();
    endpoint.wanted.send_replace(Some(after));
    let mut moved = connect(after);
    moved.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(Response::read(&mut moved).status, 200);
    assert!(TcpStream::connect(before).is_err(), "nobody listens where it was");
    endpoint.wanted.send_replace(None);
    wait_until("it is closed", || TcpStream::connect(after).is_err());
}
