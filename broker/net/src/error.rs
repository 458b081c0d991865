//! What can go wrong between a peer and a service.

use std::net::SocketAddr;

/// A frame that cannot be read; the connection is closed and the line logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length prefix was negative.
    #[error("invalid receive: frame size {0} is negative")]
    Negative(i32),
    /// The length prefix was above `socket.request.max.bytes`.
    #[error("invalid receive: frame size {size} is larger than the allowed {max} bytes")]
    TooLarge {
        /// What the peer announced, in bytes.
        size: u32,
        /// What is allowed, in bytes.
        max: u32,
    },
    /// The first bytes are a TLS handshake: a client set to SSL on a port without it.
    #[error("peer speaks TLS to a listener without it; check the client's security.protocol")]
    Tls,
    /// The first bytes are an HTTP request line.
    #[error("peer speaks HTTP ({0}) to a Kafka listener; the HTTP port is another one")]
    Http(&'static str),
}

/// A listener that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Binding or listening failed.
    #[error("cannot listen on {address} for {listener}: {source}")]
    Bind {
        /// The listener's name.
        listener: String,
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A runtime could not be started.
    #[error("cannot start network runtime: {0}")]
    Runtime(std::io::Error),
}
