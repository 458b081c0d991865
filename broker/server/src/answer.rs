//! What a handler answers with.

use std::future::Future;
use std::pin::Pin;

use ottla_net::FileSlice;

/// A response value, and the files that fill the holes in it.
#[derive(Debug)]
pub struct Filled<R> {
    /// The response; each [`ottla_wire::Records::Hole`] in it is a promise.
    pub response: R,
    /// For each hole, in the order of encoding, the slice that keeps the promise.
    pub slices: Vec<FileSlice>,
}

impl<R> From<R> for Filled<R> {
    fn from(response: R) -> Self {
        Self { response, slices: Vec::new() }
    }
}

/// A response still being worked on.
pub(crate) type Later<R> = Pin<Box<dyn Future<Output = Filled<R>> + Send>>;

/// How much memory a response still being worked on holds of its request, about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// As much as its frame had: the decoded request.
    Frame,
    /// So many bytes.
    Bytes(usize),
}

/// What becomes of a request. What must happen in the order of a connection's requests has happened
/// when a handler returns; the rest may go on in [`Answer::Later`].
pub enum Answer<R> {
    /// Answered at once.
    Now(Filled<R>),
    /// Worked on; later requests of the connection are begun meanwhile. It keeps no slice of the
    /// request's frame.
    Later(Later<R>, Holds),
    /// Done, and the client wants no answer (acks=0).
    Silent,
    /// The connection is closed, for this reason.
    Close(String),
}

impl<R> Answer<R> {
    /// An answer that is ready.
    pub fn now(response: R) -> Self {
        Self::Now(response.into())
    }

    /// An answer that a future will give.
    pub fn later<F>(future: F) -> Self
    where
        F: Future<Output = R> + Send + 'static,
        R: 'static,
    {
        Self::later_holding(Holds::Frame, future)
    }

    /// An answer that a future will give which holds little of the request, or much.
    pub fn later_holding<F>(holds: Holds, future: F) -> Self
    where
        F: Future<Output = R> + Send + 'static,
        R: 'static,
    {
        Self::Later(Box::pin(async move { future.await.into() }), holds)
    }
}

impl<R> From<R> for Answer<R> {
    fn from(response: R) -> Self {
        Self::now(response)
    }
}
