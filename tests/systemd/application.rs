//! The application servers that config/haproxy-frontend.cfg names.

use crate::support::{Node, Worker, ms};
use socket2::Socket;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The addresses of the servers in that file.
pub(crate) const ADDRESSES: [&str; 2] = ["192.0.2.30", "192.0.2.31"];
const PORT: u16 = 8081;
/// How long a client that connects and sends nothing delays the others.
const PATIENCE: Duration = Duration::from_secs(1);

/// A server that answers every request with the name of the frontend that it came through.
pub(crate) struct Application(#[expect(dead_code, reason = "held for its Drop")] Worker);

impl Application {
    /// `frontends` has the name of each frontend, and the address that it connects from.
    pub(crate) fn start(node: &Node, frontends: &[(&'static str, IpAddr)]) -> Self {
        let listener = node.ns.enter(|| TcpListener::bind(("0.0.0.0", PORT)).expect("a port of its own"));
        // The timeout is valid for accept(2) too, which returns so that the thread can check
        // whether it must stop.
        let listener = Socket::from(listener);
        listener.set_read_timeout(Some(ms(20))).expect("a receive timeout");
        let listener = TcpListener::from(listener);
        let frontends = frontends.to_vec();
        Self(Worker::start(move |stop| {
            while !stop.load(Ordering::Relaxed) {
                let Ok((stream, asking)) = listener.accept() else { continue };
                let known = frontends.iter().find(|(_, address)| *address == asking.ip());
                let name = known.map_or_else(|| asking.ip().to_string(), |(name, _)| (*name).to_owned());
                // A client that has gone away in the meantime gets no answer.
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
