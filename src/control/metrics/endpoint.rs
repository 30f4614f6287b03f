//! The endpoint itself: where it listens, and who is connected.
//!
//! One task serves each connection. When all slots are taken, a new connection replaces the oldest
//! one, so that peers that are slow or never finish cannot keep Prometheus out. An address that
//! cannot be listened on is reported and tried again; it never keeps a router from serving.

use super::http::{HttpMethod, HttpResponse, read_request, write_response};
use super::responder::{MetricsSources, Responder};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{sleep, timeout};

/// The limits of the endpoint.
#[derive(Debug, Clone, Copy)]
pub struct EndpointLimits {
    /// How many connections there may be at the same time.
    pub connections: usize,
    /// The largest head of a request in octets.
    pub head: usize,
    /// The time from the connection to the end of the request's head.
    pub request: Duration,
    /// The time from the first octet of an answer until the peer has taken all of it.
    pub response: Duration,
    /// How long a snapshot of the agent is waited for.
    pub snapshot: Duration,
    /// How long after a refusal of the kernel the address is tried again.
    pub retry: Duration,
}

impl Default for EndpointLimits {
    fn default() -> Self {
        Self {
            connections: 16,
            head: 8 * 1024,
            request: Duration::from_secs(5),
            response: Duration::from_secs(10),
            snapshot: Duration::from_secs(5),
            retry: Duration::from_secs(5),
        }
    }
}

/// The endpoint for monitoring, which listens wherever it is told to.
pub struct MetricsEndpoint {
    responder: Arc<Responder>,
    limits: EndpointLimits,
    /// The address; `None`: the endpoint is off.
    address: watch::Receiver<Option<SocketAddr>>,
    /// Why the endpoint does not listen although it should.
    problem: watch::Sender<Option<String>>,
}

impl MetricsEndpoint {
    /// Creates an endpoint that follows `address`, and tells in `problem` if it cannot listen.
    #[must_use]
    pub fn new(
        sources: MetricsSources,
        limits: EndpointLimits,
        address: watch::Receiver<Option<SocketAddr>>,
        problem: watch::Sender<Option<String>>,
    ) -> Self {
        Self { responder: Arc::new(Responder::new(sources, limits.snapshot)), limits, address, problem }
    }

    /// Serves until it is dropped, and then ends every connection.
    pub async fn run(mut self) {
        loop {
            let Some(address) = *self.address.borrow_and_update() else {
                self.problem.send_replace(None);
                changed(&mut self.address).await;
                continue;
            };
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    self.problem.send_replace(None);
                    tracing::info!(%address, "metrics are served");
                    self.serve(&listener, address).await;
                }
                Err(error) => {
                    self.report(address, &error);
                    tokio::select! {
                        () = sleep(self.limits.retry) => {}
                        () = changed(&mut self.address) => {}
                    }
                }
            }
        }
    }

    /// Reports a refusal once, and not at each attempt.
    fn report(&self, address: SocketAddr, error: &io::Error) {
        let problem = format!("cannot listen on {address}: {error}");
        let is_new = self.problem.send_if_modified(|known| {
            let is_new = known.as_ref() != Some(&problem);
            *known = Some(problem.clone());
            is_new
        });
        if is_new {
            let retry = self.limits.retry;
            tracing::error!(%address, %error, ?retry, "metrics cannot be served; trying again");
        }
    }

    /// Serves until another address is wanted. The connections end with this function.
    async fn serve(&mut self, listener: &TcpListener, address: SocketAddr) {
        let mut connections = MetricsConnections { slots: VecDeque::new(), tasks: JoinSet::new() };
        loop {
            tokio::select! {
                () = changed(&mut self.address) => {
                    if *self.address.borrow_and_update() != Some(address) {
                        return;
                    }
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.make_room(self.limits.connections);
                        let serve = serve_one(stream, Arc::clone(&self.responder), self.limits);
                        connections.slots.push_back(connections.tasks.spawn(serve));
                    }
                    Err(error) => {
                        // Usually the process has no file descriptor left. MetricsConnections in the
                        // backlog wait until it has.
                        tracing::warn!(%error, "cannot accept a connection to the metrics");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(ended) = connections.tasks.join_next() => connections.leave(ended),
            }
        }
    }
}

/// Waits for a change. After the sender is gone, there are no more.
async fn changed(address: &mut watch::Receiver<Option<SocketAddr>>) {
    if address.changed().await.is_err() {
        std::future::pending().await
    }
}

/// The present connections, oldest first.
#[derive(Debug)]
struct MetricsConnections {
    slots: VecDeque<AbortHandle>,
    tasks: JoinSet<()>,
}

impl MetricsConnections {
    /// Disconnects the oldest connections until there is room for one more.
    fn make_room(&mut self, most: usize) {
        self.slots.retain(|slot| !slot.is_finished());
        while self.slots.len() >= most
            && let Some(oldest) = self.slots.pop_front()
        {
            oldest.abort();
        }
    }

    fn leave(&mut self, ended: Result<(), JoinError>) {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(%error, "a connection to the metrics panicked: this is a bug of vrrpd");
        }
        self.slots.retain(|slot| !slot.is_finished());
    }
}

/// Serves one request, and closes the connection.
async fn serve_one(mut stream: TcpStream, responder: Arc<Responder>, limits: EndpointLimits) {
    let Ok(Ok(Some(request))) = timeout(limits.request, read_request(&mut stream, limits.head)).await else {
        return; // The peer is too slow, or has gone.
    };
    let (method, response) = match request {
        Ok(request) => (request.method, responder.answer(&request).await),
        Err(status) => (HttpMethod::Get, HttpResponse::of_status(status).into()),
    };
    write_response(stream, method, &response, limits.response).await;
}
