//! Many connections that say nothing, between two nodes. A process may have only so many open files
//! (20,000 in some containers, where not even root may raise the limit), so both ends are spread over
//! processes. They are this program again, with other arguments.

use crate::measure::clients::serve;
use crate::support::lab::ip;
use crate::support::process::Process;
use crate::support::tcp::PORT;
use crate::support::{Node, SOON, ms, wait_for};
use crate::traffic::ADDRESSES;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The first argument of a process that accepts connections, or opens them.
const SERVER: &str = "--crowd-server";
const CLIENT: &str = "--crowd-client";
/// How many connections a process has at most.
const MOST_IN_PART: usize = 5000;
/// How many files are open in a process beside its connections.
const OTHER_FILES: usize = 100;
/// The port of the first server.
const FIRST_PORT: u16 = PORT + 10;

/// Does the work of a part of a crowd, if this process was started for that.
pub(crate) fn runs_as_part() -> bool {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [SERVER, port, number] => {
            raise_limit_of_open_files();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(port.parse().unwrap(), number.parse().unwrap()));
        }
        [CLIENT, port, count] => be_clients(port.parse().unwrap(), count.parse().unwrap()),
        _ => return false,
    }
    true
}

/// A process may open as many files as it may ever, and what it starts as well.
pub(crate) fn raise_limit_of_open_files() -> usize {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of open files");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("raising the limit of open files");
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// The number of connections of each part, with the port of its server.
fn parts(count: usize) -> Vec<(u16, usize)> {
    let allowed = raise_limit_of_open_files().saturating_sub(OTHER_FILES);
    let most = MOST_IN_PART.min(allowed).max(1);
    (FIRST_PORT..).zip((0..count).step_by(most)).map(|(port, from)| (port, most.min(count - from))).collect()
}

fn part(arguments: [&str; 3]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(arguments);
    command
}

/// The servers of one node, which answer each octet with its number.
pub(crate) struct CrowdServers {
    _processes: Vec<Process>,
}

impl CrowdServers {
    /// Starts servers for this many connections.
    pub(crate) fn start(node: &Node, number: u8, count: usize) -> Self {
        let start = |(port, _): (u16, usize)| {
            let mut command = part([SERVER, &port.to_string(), &number.to_string()]);
            let process = node.spawn(&format!("server-{port}"), &mut command);
            wait_for(SOON, format!("the server at port {port} listens"), || {
                node.ns.enter(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
            });
            process
        };
        Self { _processes: parts(count).into_iter().map(start).collect() }
    }
}

/// The clients' ends of all connections, half of them over IPv4 and half over IPv6.
pub(crate) struct Crowd {
    parts: Vec<CrowdPart>,
}

struct CrowdPart {
    child: Child,
    orders: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Crowd {
    /// Opens this many connections to the virtual addresses.
    pub(crate) fn open(client: &Node, count: usize) -> Self {
        // The ports of a client are enough for all connections to one port of a server.
        client.ns.sysctl("ipv4/ip_local_port_range", "1024 65000");
        let start = |(port, count): (u16, usize)| {
            let mut command = part([CLIENT, &port.to_string(), &count.to_string()]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = client.ns.enter(|| command.spawn().expect("a process with connections"));
            let orders = child.stdin.take().expect("piped");
            let said = BufReader::new(child.stdout.take().expect("piped"));
            CrowdPart { child, orders, said }
        };
        let mut parts: Vec<CrowdPart> = parts(count).into_iter().map(start).collect();
        let opened: usize = parts.iter_mut().map(|part| part.answer::<usize>()).sum();
        assert_eq!(opened, count, "connections");
        Self { parts }
    }

    /// Says one octet on each connection; returns which errors there were in the place of an answer,
    /// and how often.
    pub(crate) fn say_something(&mut self) -> BTreeMap<String, usize> {
        self.parts.iter_mut().for_each(|part| part.orders.write_all(b"ask\n").expect("an order"));
        let mut broken = BTreeMap::new();
        for part in &mut self.parts {
            for (why, count) in part.answer::<BTreeMap<String, usize>>() {
                *broken.entry(why).or_default() += count;
            }
        }
        broken
    }
}

impl CrowdPart {
    /// Waits for a line of JSON.
    fn answer<T: serde::de::DeserializeOwned>(&mut self) -> T {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("an answer");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("a client said {line:?}: {error}"))
    }
}

impl Drop for CrowdPart {
    fn drop(&mut self) {
        let _has_ended: std::io::Result<()> = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Opens connections, and waits for an order to say something on each. Tells by lines of JSON how many
/// are open, and how many gave no answer, for each reason.
fn be_clients(port: u16, count: usize) {
    raise_limit_of_open_files();
    let open = |number: usize| {
        let server = SocketAddr::new(ip(ADDRESSES[number % 2]), port);
        TcpStream::connect_timeout(&server, SOON).expect("a connection")
    };
    let mut streams: Vec<TcpStream> = (0..count).map(open).collect();
    println!("{}", streams.len());
    let mut order = String::new();
    std::io::stdin().read_line(&mut order).expect("an order");
    let asked: Vec<_> = streams.iter_mut().map(|stream| stream.write_all(b"x")).collect();
    let mut broken = BTreeMap::<String, usize>::new();
    let mut hung = 0;
    for (stream, asked) in streams.iter_mut().zip(asked) {
        // All are answered at about the same time: who has waited long for some waits for no more.
        let patience = if hung < 3 { SOON } else { ms(10) };
        stream.set_read_timeout(Some(patience)).expect("a receive timeout");
        if let Err(error) = asked.and_then(|()| stream.read_exact(&mut [0])) {
            hung += usize::from(error.kind() == ErrorKind::WouldBlock);
            *broken.entry(error.kind().to_string()).or_default() += 1;
        }
    }
    println!("{}", serde_json::to_string(&broken).unwrap());
}
