//! The application servers that config/haproxy-frontend.cfg names.

use crate::support::{Node, Worker, ms};
use socket2::Socket;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Where the backend of the file is.
pub(crate) const ADDRESSES: [&str; 2] = ["192.0.2.30", "192.0.2.31"];
const PORT: u16 = 8081;
/// Whoever connects and says nothing holds up the others for this long.
const PATIENCE: Duration = Duration::from_secs(1);

/// Answers every request with the name of the frontend that it came through.
pub(crate) struct Application(#[expect(dead_code, reason = "held for its Drop")] Worker);

impl Application {
    /// `frontends`: the name of each, and the address that it asks from.
    pub(crate) fn start(node: &Node, frontends: &[(&'static str, IpAddr)]) -> Self {
        let listener = node.ns.enter(|| TcpListener::bind(("0.0.0.0", PORT)).expect("a port of its own"));
        // Valid for accept(2) too: it returns to see whether it shall stop.
        let listener = Socket::from(listener);
        listener.set_read_timeout(Some(ms(20))).expect("a receive timeout");
        let listener = TcpListener::from(listener);
        let frontends = frontends.to_vec();
        Self(Worker::start(move |stop| {
            while !stop.load(Ordering::Relaxed) {
                let Ok((stream, asking)) = listener.accept() else { continue };
                let known = frontends.iter().find(|(_, address)| *address == asking.ip());
                let name = known.map_or_else(|| asking.ip().to_string(), |(name, _)| (*name).to_owned());
                // Who went away meanwhile gets none.
                let _answered: io::Result<()> = answer(stream, &name);
            }
        }))
    }
}

fn answer(stream: TcpStream, name: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    // A request of GET ends with an empty line.
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    let page = format!("{name}\n");
    let length = page.len();
    write!(
        stream.get_mut(),
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
    )
}
