//! One request's circumstances.

use std::net::SocketAddr;
use std::sync::Arc;

use ottla_wire::api::Listener;

use crate::context::Context;

/// What belongs to a connection as long as it lives.
#[derive(Debug)]
pub struct Session {
    /// Names the connection as long as the process lives.
    pub id: u64,
    /// Where the peer is.
    pub remote: SocketAddr,
    /// The listener's name.
    pub listener: Arc<str>,
    /// Which kind of listener it is.
    pub kind: Listener,
}

/// One request's circumstances: whom to ask, who asks, and in which version.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whom to ask.
    pub context: Arc<Context>,
    /// The connection it came by.
    pub session: Arc<Session>,
    /// The version of the request, and so of its response.
    pub version: i16,
    /// What the client calls itself; empty when it does not say.
    pub client_id: String,
}

impl Call {
    /// The client's address as Kafka writes it in groups and logs: `/127.0.0.1`.
    #[must_use]
    pub fn client_host(&self) -> String {
        format!("/{}", self.session.remote.ip())
    }
}
