//! How bytes get from one member of the quorum to another. The server carries them over the controller listener.

use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::quorum::BoxFuture;
use crate::voter::{Member, NodeKey};

/// Carries a request to another member and its answer back.
///
/// What is carried must be seen by members of the cluster alone: a transport lets nobody in that may not alter the
/// cluster. Exchanges with one member run side by side: a heartbeat must not wait behind a piece of a snapshot, so each
/// exchange under way needs a connection of its own or answers out of order. A request has at most
/// [`MAX_MESSAGE_BYTES`](crate::MAX_MESSAGE_BYTES), and so has an answer.
pub trait Transport: Debug + Send + Sync + 'static {
    /// Sends a request to a member at its endpoints, and waits no longer than `patience` for the answer. An id of -1
    /// stands for whoever listens there. The other side hands the request to
    /// [`RaftQuorum::receive`](crate::RaftQuorum::receive) and sends back what that gives.
    fn exchange(
        &self,
        to: NodeKey,
        member: &Member,
        request: Bytes,
        patience: Duration,
    ) -> BoxFuture<'_, Result<Bytes, TransportError>>;
}

/// Why no answer came.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TransportError {
    /// There is no connection and none can be made now.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// No answer came in time; the request may have been carried out.
    #[error("no answer came within {0:?}")]
    Timeout(Duration),
    /// The connection ended before the answer came; the request may have been carried out.
    #[error("the connection ended: {0}")]
    Broken(String),
}
