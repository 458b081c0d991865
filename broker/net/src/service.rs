//! The wall between the network and those who answer.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::registry::ConnectionId;
use crate::response::Response;

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Names the connection as long as the process lives.
    pub id: ConnectionId,
    /// The peer's address.
    pub remote: SocketAddr,
    /// The address it connected to.
    pub local: SocketAddr,
    /// The listener's name.
    pub listener: Arc<str>,
}

/// Answers the frames of one connection. There is one instance a connection, so it may keep what
/// belongs to it (who is authenticated, what the client calls itself).
pub trait Service: Send + 'static {
    /// Takes one frame, without its length prefix. Called in the order of arrival; what must be
    /// ordered (appends) happens here, what waits is returned as [`Outcome::Pending`].
    ///
    /// A frame larger than [`MAX_COPIED_FRAME`](crate::MAX_COPIED_FRAME) is a slice of a read
    /// buffer, and is counted no more once this returned: keep no part of it, but copy what is to
    /// be kept.
    fn call(&mut self, frame: Bytes) -> Outcome;
}

/// A reply still being worked on. Dropped when the connection ends first.
pub type PendingReply = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// What became of a frame.
pub enum Outcome {
    /// Answered at once.
    Ready(Response),
    /// Worked on; later frames are handed over meanwhile.
    Pending {
        /// What becomes the answer. It keeps no part of the frame.
        reply: PendingReply,
        /// Bytes that it keeps in memory meanwhile, about.
        holds: usize,
    },
    /// Worked on; no later frame is handed over before it is done (authentication).
    Exclusive {
        /// What becomes the answer. It keeps no part of the frame.
        reply: PendingReply,
        /// Bytes that it keeps in memory meanwhile, about.
        holds: usize,
    },
    /// Done, without an answer (acks=0).
    NoResponse,
    /// The connection is to be closed once earlier answers have left.
    Close(CloseReason),
}

/// What a pending reply becomes.
#[derive(Debug)]
pub enum Reply {
    /// The answer.
    Response(Response),
    /// Done, without an answer.
    NoResponse,
    /// The connection is to be closed once earlier answers have left.
    Close(CloseReason),
}

/// Why a service closes a connection; it is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReason(pub String);

impl<S> From<S> for CloseReason
where
    S: Into<String>,
{
    fn from(text: S) -> Self {
        Self(text.into())
    }
}
