//! One connection to the control socket.
//!
//! Owns the reading of calls, one after the other, and the patience with its peer: a call must be
//! whole in time and within its size, a reply must be taken in time. Whoever is too slow, too large
//! or talks nonsense is disconnected; nobody else notices.

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

/// Bytes read at once: a call has about 100.
const PIECE: usize = 512;

/// One peer.
#[derive(Debug)]
pub(super) struct Connection {
    pub stream: UnixStream,
    pub frames: FrameBuffer,
    pub caller: Caller,
    pub limits: Limits,
    pub service: Arc<Service>,
    /// Whether it must not be disconnected in favour of a newcomer.
    pub engaged: Arc<AtomicBool>,
}

/// Why a connection was ended by us.
#[derive(Debug, thiserror::Error)]
enum DisconnectReason {
    #[error("no whole call in time")]
    Silent,
    #[error("it does not take its reply")]
    DoesNotRead,
    #[error(transparent)]
    TooLong(#[from] FrameTooLong),
    #[error("its call is not varlink")]
    Nonsense(#[from] serde_json::Error),
    #[error("the connection broke")]
    Io(#[from] io::Error),
}

impl Connection {
    /// Serves until the peer goes away or is sent away.
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
            // Whoever sends calls without a pause would never be seen between two of them.
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

    /// Sends events until the peer goes away. What it sends meanwhile waits, up to the size of one
    /// message.
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

    /// The next call, as JSON; `None`: the peer has no more.
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
