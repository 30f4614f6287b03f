//! One connection to the control socket.
//!
//! Reads calls one after the other, and limits how long the peer may take: a call must be complete
//! in time and within its size, and the peer must take a reply in time. A peer that is too slow,
//! sends too much or sends something else than calls is disconnected, and no other connection
//! notices.

use super::call::Caller;
use super::server::Limits;
use super::service::{Following, Method, Response, Service};
use super::varlink::{Call, FrameBuffer, FrameTooLong};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// How many bytes are read at once. A call has about 100.
const PIECE: usize = 512;

/// One client that is connected.
#[derive(Debug)]
pub(super) struct ControlConnection {
    pub stream: UnixStream,
    pub frames: FrameBuffer,
    pub caller: Caller,
    pub limits: Limits,
    pub service: Arc<Service>,
    /// Whether the connection must not be ended to make room for a new one.
    pub engaged: Arc<AtomicBool>,
}

/// Why the server ended a connection.
#[derive(Debug, thiserror::Error)]
enum DisconnectReason {
    #[error("the call was not complete in time")]
    Silent,
    #[error("the reply was not taken in time")]
    DoesNotRead,
    #[error(transparent)]
    TooLong(#[from] FrameTooLong),
    #[error("the call is not varlink")]
    Nonsense(#[from] serde_json::Error),
    #[error("the connection broke")]
    Io(#[from] io::Error),
}

impl ControlConnection {
    /// Serves calls until the peer closes the connection or is disconnected.
    pub(super) async fn serve(mut self) {
        if let Err(ended) = self.calls().await {
            let Caller { uid, pid } = self.caller;
            tracing::debug!(uid, pid, %ended, "disconnected a client");
        }
    }

    async fn calls(&mut self) -> Result<(), DisconnectReason> {
        let patience = self.limits.request;
        while let Some(frame) =
            timeout(patience, self.frame()).await.map_err(|_| DisconnectReason::Silent)??
        {
            let call: Call = serde_json::from_slice(&frame)?;
            drop(frame);
            self.call(call).await?;
            // Without this yield, a peer that sends calls without a pause would keep its slot: the
            // other tasks could not end the connection between two calls.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn call(&mut self, call: Call) -> Result<(), DisconnectReason> {
        let oneway = call.oneway;
        let changes = Method::of(&call).is_some_and(Method::changes);
        self.engaged.store(changes, Ordering::Relaxed);
        let response = self.service.answer(call, self.caller).await;
        self.engaged.store(false, Ordering::Relaxed);
        match response {
            _ if oneway => Ok(()),
            Ok(Response::Reply(frame)) => self.write(&frame).await,
            Err(error) => self.write(&error.encode()).await,
            Ok(Response::Follow(following)) => {
                self.engaged.store(true, Ordering::Relaxed);
                self.follow(following).await
            }
        }
    }

    /// Sends events until the peer closes the connection. Bytes that the peer sends meanwhile wait,
    /// up to the size of one message.
    async fn follow(&mut self, mut following: Following) -> Result<(), DisconnectReason> {
        let first = following.first();
        self.write(&first).await?;
        let mut piece = [0; PIECE];
        loop {
            tokio::select! {
                frame = following.next() => self.write(&frame).await?,
                read = self.stream.read(&mut piece) => match piece.get(..read?) {
                    Some([]) | None => return Ok(()),
                    Some(bytes) => {
                        self.frames.extend(bytes);
                        if self.frames.len() > self.limits.message {
                            return Err(FrameTooLong { limit: self.limits.message }.into());
                        }
                    }
                },
            }
        }
    }

    /// Reads the next call as JSON; `None`: the peer sends no more.
    async fn frame(&mut self) -> Result<Option<Vec<u8>>, DisconnectReason> {
        let mut piece = [0; PIECE];
        loop {
            if let Some(frame) = self.frames.next_frame()? {
                return Ok(Some(frame));
            }
            let read = self.stream.read(&mut piece).await?;
            match piece.get(..read) {
                Some([]) | None => return Ok(None),
                Some(bytes) => self.frames.extend(bytes),
            }
        }
    }

    async fn write(&mut self, frame: &[u8]) -> Result<(), DisconnectReason> {
        let written = timeout(self.limits.write, self.stream.write_all(frame)).await;
        Ok(written.map_err(|_| DisconnectReason::DoesNotRead)??)
    }
}
