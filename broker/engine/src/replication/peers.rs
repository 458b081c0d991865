//! The way to other brokers, as fetchers see it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use ottla_wire::api::fetch::{FetchRequest, FetchResponse};
use ottla_wire::api::list_offsets::{ListOffsetsRequest, ListOffsetsResponse};

/// One of the fetchers of one leader. Each has a connection of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The broker that leads.
    pub leader: i32,
    /// Which of its fetchers, from 0.
    pub number: u32,
}

/// Why a peer gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PeerError(pub String);

/// An answer under way.
pub type PeerFuture<T> = Pin<Box<dyn Future<Output = Result<T, PeerError>> + Send>>;

/// Sends requests to other brokers, over the listener between brokers.
pub trait Peers: fmt::Debug + Send + Sync + 'static {
    /// Sends a Fetch over the lane's connection, opening it if there is none. Versions 13 and later
    /// only: topics are named by id.
    ///
    /// Up to two are under way on a lane. They must go out in the order in which their futures are
    /// first polled. The caller has a time limit; it drops the future, and
    /// [closes](Self::close) the lane, when that is over.
    fn fetch(&self, lane: Lane, request: FetchRequest) -> PeerFuture<FetchResponse>;

    /// Sends a ListOffsets over the lane's connection.
    fn list_offsets(
        &self,
        lane: Lane,
        request: ListOffsetsRequest,
    ) -> PeerFuture<ListOffsetsResponse>;

    /// Closes the lane's connection, if there is one: it failed, or is of no more use. What waits
    /// on it fails.
    fn close(&self, lane: Lane);
}
